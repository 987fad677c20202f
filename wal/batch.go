package wal

import (
	"encoding/binary"
	"fmt"
	"iter"

	"paddock/wire"
)

// Batch is the transactions of one commit, encoded once and in place: its buffer is what is
// written to the disk, and what is sent to learners. It belongs to whoever builds it; Commit
// borrows it. After Reset it can be filled again.
//
//	dst := b.Begin(zxid)
//	dst = txn.Append(dst)
//	b.End(dst)
//
// The zxids of a batch follow each other without a gap and are of one epoch (Accepts).
type Batch struct {
	buf    []byte // header, then the payload up to end; Commit's trailer behind it
	end    int
	mark   int // where the record that Begin opened starts; 0 for none
	opened wire.Zxid

	first, last wire.Zxid
	count       uint32
}

const (
	recordHeaderSize = 4       // bytes: the length of the transaction
	keepBatchBytes   = 4 << 20 // a larger buffer is not kept for the next batch
	maxPayload       = 1 << 30 // bytes; far above what a queue may hold
)

// NewBatch returns an empty batch with room for sizeBytes of transactions.
func NewBatch(sizeBytes int) *Batch {
	b := &Batch{buf: make([]byte, headerSize, headerSize+sizeBytes+sizeBytes/64+2*sectorSize)}
	b.Reset()
	return b
}

// Reset empties b. Slices that Txns gave are no longer valid.
func (b *Batch) Reset() {
	if cap(b.buf) > keepBatchBytes {
		b.buf = make([]byte, headerSize, 64<<10)
	}
	*b = Batch{buf: b.buf[:headerSize], end: headerSize}
}

// Accepts says whether a transaction with that zxid can be the next of b. Where it cannot,
// because another epoch begins, b has to be committed first.
func (b *Batch) Accepts(zxid wire.Zxid) bool {
	return b.count == 0 || zxid == b.last+1 && zxid.Epoch() == b.last.Epoch()
}

// Begin opens the record of a transaction and returns the buffer to append it to, which End
// takes back. A record that is begun and not ended was never there.
func (b *Batch) Begin(zxid wire.Zxid) []byte {
	if zxid <= 0 || !b.Accepts(zxid) {
		panic(fmt.Sprintf("wal: transaction %s begun in a batch that ends at %s",
			zxid, b.last))
	}
	b.mark, b.opened = b.end, zxid
	b.buf = b.buf[:b.end]
	return append(b.buf, 0, 0, 0, 0)
}

// End closes the record that Begin opened. dst is Begin's buffer with one transaction appended.
func (b *Batch) End(dst []byte) {
	size := len(dst) - b.mark - recordHeaderSize
	if b.mark == 0 || size <= 0 || len(dst)-headerSize > maxPayload {
		panic(fmt.Sprintf("wal: transaction %s ended with %d bytes", b.opened, size))
	}
	binary.BigEndian.PutUint32(dst[b.mark:], uint32(size))
	if b.count == 0 {
		b.first = b.opened
	}
	b.buf, b.end, b.last, b.mark = dst, len(dst), b.opened, 0
	b.count++
}

// Add appends a transaction that is already encoded. txn is copied.
func (b *Batch) Add(zxid wire.Zxid, txn []byte) { b.End(append(b.Begin(zxid), txn...)) }

// Len returns the number of transactions.
func (b *Batch) Len() int { return int(b.count) }

// First returns the first zxid, 0 when b is empty.
func (b *Batch) First() wire.Zxid { return b.first }

// Last returns the last zxid, 0 when b is empty.
func (b *Batch) Last() wire.Zxid { return b.last }

// Size returns what b takes on the disk, in bytes.
func (b *Batch) Size() int64 { return frameSize(int64(b.end - headerSize)) }

// Txns yields the transactions in order. The slices alias b and are valid until Reset; Commit
// leaves their bytes alone, and neither they nor Commit mind to be read meanwhile.
func (b *Batch) Txns() iter.Seq2[wire.Zxid, []byte] {
	return records(b.first, b.buf[headerSize:b.end])
}

// records yields the transactions of a payload that verified.
func records(first wire.Zxid, payload []byte) iter.Seq2[wire.Zxid, []byte] {
	return func(yield func(wire.Zxid, []byte) bool) {
		for zxid := first; len(payload) > 0; zxid++ {
			n := recordHeaderSize + int(binary.BigEndian.Uint32(payload))
			if !yield(zxid, payload[recordHeaderSize:n:n]) {
				return
			}
			payload = payload[n:]
		}
	}
}

// Follows says whether next may come right after prev in a log: the next counter of the same
// epoch, or the first of a later one.
func Follows(prev, next wire.Zxid) bool {
	if prev.Epoch() == next.Epoch() {
		return next == prev+1
	}
	return next.Epoch() > prev.Epoch() && next.Counter() == 1
}
