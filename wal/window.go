package wal

import (
	"fmt"
	"iter"
	"sort"

	"paddock/wire"
)

// Window keeps the latest transactions of a log in memory, as a leader needs them to feed those
// who follow without reading its disk: all above Floor, up to Last, as far as they fit. What is not
// in it any more is in the log (Log.Range) as soon as it is durable; so a window takes more than
// one batch.
//
//	ring     [ 7777 8888 9999 . . 4444 5555 6666 . ]     one copy of each, in one piece; what does
//	           └ newest ┘ └ next  └ oldest       └ gap   not fit before the end begins anew
//	entries  [ 4 5 6 7 8 9 ]                             where each is
//
// Append copies: a batch goes back to those who fill it when it is durable, while the window needs
// its transactions until the slowest learner has them. A copy costs less than keeping the batches
// would in memory, and nothing here has a pointer that the collector follows.
//
// A Window has one owner at a time. The slices that it gives alias it and are valid until its next
// change: Append, TruncateTo or Reset. With the build tag invariants, what is dropped is overwritten.
type Window struct {
	maxBytes, maxTxns int

	ring  []byte // grows up to maxBytes
	next  int    // in ring: where the next transaction goes, if it fits
	bytes int    // of all transactions

	entries      []windowEntry // a ring, too; grows up to maxTxns
	first, count int

	floor, last wire.Zxid
}

type windowEntry struct {
	zxid      wire.Zxid
	off, size uint32
}

// What a window begins with. It doubles from there, so that every test with a few transactions sees it grow.
const (
	minWindowBytes = 64
	minWindowTxns  = 4
)

// NewWindow returns an empty window behind after, which takes memory for at most maxBytes of
// transactions and maxTxns of them (16 bytes each), and less until it needs them.
func NewWindow(after wire.Zxid, maxBytes, maxTxns int) *Window {
	if maxBytes <= 0 || maxBytes > maxPayload || maxTxns <= 0 {
		panic(fmt.Sprintf("wal: window of %d bytes and %d transactions", maxBytes, maxTxns))
	}
	return &Window{maxBytes: maxBytes, maxTxns: maxTxns, floor: after, last: after}
}

// Floor returns the zxid above which w has everything up to Last.
func (w *Window) Floor() wire.Zxid { return w.floor }

// Last returns the zxid of the latest transaction, Floor where there is none.
func (w *Window) Last() wire.Zxid { return w.last }

// Len returns the number of transactions.
func (w *Window) Len() int { return w.count }

// Bytes returns the size of all transactions.
func (w *Window) Bytes() int { return w.bytes }

// Has says whether w has all transactions above after and up to through.
func (w *Window) Has(after, through wire.Zxid) bool { return after >= w.floor && through <= w.last }

// Append adds the transaction that follows Last (Follows), and drops the oldest as far as that
// takes. txn is copied. A txn that is larger than the window empties it.
func (w *Window) Append(zxid wire.Zxid, txn []byte) {
	if len(txn) == 0 || !Follows(w.last, zxid) {
		panic(fmt.Sprintf("wal: transaction %s of %d bytes appended to a window that ends at %s",
			zxid, len(txn), w.last))
	}
	if len(txn) > w.maxBytes {
		w.Reset(zxid)
		return
	}
	if w.count == len(w.entries) {
		w.growEntries()
	}
	off := w.place(len(txn))
	copy(w.ring[off:], txn)
	w.next = off + len(txn)
	*w.entry(w.count) = windowEntry{zxid: zxid, off: uint32(off), size: uint32(len(txn))}
	w.count++
	w.bytes += len(txn)
	w.last = zxid
}

// AppendBatch appends the transactions of b.
func (w *Window) AppendBatch(b *Batch) {
	for zxid, txn := range b.Txns() {
		w.Append(zxid, txn)
	}
}

// Range yields the transactions above after and up to through, oldest first. It panics unless w Has
// them. w must not change meanwhile.
func (w *Window) Range(after, through wire.Zxid) iter.Seq2[wire.Zxid, []byte] {
	return func(yield func(wire.Zxid, []byte) bool) { w.each(after, through, yield) }
}

func (w *Window) each(after, through wire.Zxid, yield func(wire.Zxid, []byte) bool) {
	for i, to := w.find(after, through); i < to; i++ {
		e := w.entry(i)
		if !yield(e.zxid, w.txn(e)) {
			return
		}
	}
}

// find returns which entries are above after and not above through.
func (w *Window) find(after, through wire.Zxid) (from, to int) {
	if !w.Has(after, through) {
		panic(fmt.Sprintf("wal: range from %s up to %s of a window from %s up to %s",
			after, through, w.floor, w.last))
	}
	above := func(z wire.Zxid) int {
		if z >= w.last {
			return w.count
		}
		return sort.Search(w.count, func(i int) bool { return w.entry(i).zxid > z })
	}
	return above(after), above(through)
}

// TruncateTo drops what is above zxid, as the log does.
func (w *Window) TruncateTo(zxid wire.Zxid) {
	if zxid <= w.floor {
		w.Reset(zxid)
		return
	}
	for w.count > 0 && w.entry(w.count-1).zxid > zxid {
		w.count--
		w.drop(w.entry(w.count))
	}
	w.last = min(w.last, zxid)
	w.next = 0
	if w.count > 0 {
		e := w.entry(w.count - 1)
		w.next = int(e.off + e.size)
	}
}

// Reset empties w, which goes on behind after.
func (w *Window) Reset(after wire.Zxid) {
	poison(w.ring)
	w.first, w.count, w.next, w.bytes = 0, 0, 0, 0
	w.floor, w.last = after, after
}

// entry returns entry i, from the oldest.
func (w *Window) entry(i int) *windowEntry {
	if i += w.first; i >= len(w.entries) {
		i -= len(w.entries)
	}
	return &w.entries[i]
}

func (w *Window) txn(e *windowEntry) []byte { return w.ring[e.off:][:e.size:e.size] }

func (w *Window) drop(e *windowEntry) {
	w.bytes -= int(e.size)
	poison(w.txn(e))
}

// evict drops the oldest transaction.
func (w *Window) evict() {
	e := w.entry(0)
	w.floor = e.zxid
	w.drop(e)
	w.count--
	if w.first++; w.first == len(w.entries) {
		w.first = 0
	}
}

// place returns where in the ring n bytes are free, at most maxBytes.
func (w *Window) place(n int) int {
	for {
		if w.count == 0 {
			w.next = 0
		}
		if off, ok := w.fit(n); ok {
			return off
		}
		if len(w.ring) < w.maxBytes {
			w.growRing(n)
		} else {
			w.evict()
		}
	}
}

// fit says where n bytes can go: between the newest and the oldest, before the end or after it.
func (w *Window) fit(n int) (off int, ok bool) {
	if w.count == 0 {
		return 0, n <= len(w.ring)
	}
	oldest := int(w.entry(0).off)
	switch {
	case w.next <= oldest: // it has begun anew; where the two meet, it is full
		return w.next, n <= oldest-w.next
	case n <= len(w.ring)-w.next:
		return w.next, true
	}
	return 0, n <= oldest
}

// growRing makes the ring twice as large, and larger than n, but for maxBytes.
func (w *Window) growRing(n int) {
	ring := make([]byte, 0, min(max(2*len(w.ring), 2*n, minWindowBytes), w.maxBytes))
	for i := range w.count {
		e := w.entry(i)
		off := len(ring)
		ring = append(ring, w.txn(e)...)
		e.off = uint32(off)
	}
	poison(w.ring)
	w.next = len(ring)
	w.ring = ring[:cap(ring)]
}

// growEntries makes room for one entry more: in a larger ring, or by dropping the oldest.
func (w *Window) growEntries() {
	if w.count == w.maxTxns {
		w.evict()
		return
	}
	entries := make([]windowEntry, min(max(2*w.count, minWindowTxns), w.maxTxns))
	n := copy(entries, w.entries[w.first:])
	copy(entries[n:], w.entries[:w.first])
	w.entries, w.first = entries, 0
}

// poison makes a slice that somebody kept too long wrong, so that a test sees it.
func poison(b []byte) {
	if !invariants {
		return
	}
	for i := range b {
		b[i] = 0xDD
	}
}
