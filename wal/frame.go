package wal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/cespare/xxhash/v2"

	"paddock/vfs"
	"paddock/wire"
)

const (
	sectorSize  = vfs.SectorSize
	headerSize  = 128 // bytes of a batch header
	sumSize     = 4   // bytes of a sector's CRC32C
	batchMagic  = 0x50444B42
	hashedBytes = headerSize - 8
)

// kind is what a batch is for.
type kind uint8

const (
	kindData  kind = iota + 1
	kindSeal       // no transactions; vouches for what came before
	kindCut        // first in its segment: takes the place of what stood at its position
	kindStart      // first in its segment: the log begins here, after header.prev
)

// position is a place in the log. Segments are numbered in the order of writing.
type position struct {
	segment uint64
	offset  int64
}

func (p position) after(q position) bool {
	return p.segment > q.segment || p.segment == q.segment && p.offset > q.offset
}

// header is the head of a batch, decoded. docs/format/log.md gives its bytes.
type header struct {
	kind      kind
	segment   uint64
	sequence  uint64 // of the batch in the log, from 1
	first     wire.Zxid
	last      wire.Zxid // of the log, with this batch
	prev      wire.Zxid // of the log, before this batch
	count     uint32
	payload   uint32   // bytes
	synced    position // the log was durable up to here when this was written
	committed wire.Zxid
	digestAt  wire.Zxid
	digest    uint64
	prevHash  uint64 // hash of the header before
	trailer   uint64 // xxhash64 of all behind the payload
	logID     uint64
	hash      uint64 // xxhash64 of all fields above
}

// A frame is a batch on the disk: header, payload, trailer. The trailer is one CRC32C for each
// sector that holds payload, and zeros up to the end of the sector.

func sums(payload int64) int64 {
	if payload == 0 {
		return 0
	}
	return (headerSize + payload + sectorSize - 1) / sectorSize
}

func frameSize(payload int64) int64 {
	n := headerSize + payload + sumSize*sums(payload)
	return (n + sectorSize - 1) / sectorSize * sectorSize
}

func (h *header) frameSize() int64 { return frameSize(int64(h.payload)) }

// encode writes h into dst and returns its hash.
func (h *header) encode(dst []byte) uint64 {
	be := binary.BigEndian
	be.PutUint32(dst[0:], batchMagic)
	be.PutUint32(dst[4:], uint32(h.kind))
	be.PutUint64(dst[8:], h.segment)
	be.PutUint64(dst[16:], h.sequence)
	be.PutUint64(dst[24:], uint64(h.first))
	be.PutUint64(dst[32:], uint64(h.last))
	be.PutUint64(dst[40:], uint64(h.prev))
	be.PutUint32(dst[48:], h.count)
	be.PutUint32(dst[52:], h.payload)
	be.PutUint64(dst[56:], h.synced.segment)
	be.PutUint64(dst[64:], uint64(h.synced.offset))
	be.PutUint64(dst[72:], uint64(h.committed))
	be.PutUint64(dst[80:], uint64(h.digestAt))
	be.PutUint64(dst[88:], h.digest)
	be.PutUint64(dst[96:], h.prevHash)
	be.PutUint64(dst[104:], h.trailer)
	be.PutUint64(dst[112:], h.logID)
	h.hash = xxhash.Sum64(dst[:hashedBytes])
	be.PutUint64(dst[120:], h.hash)
	return h.hash
}

// Why a batch does not verify. They become the Err of a DamageError.
var (
	errNothing    = errors.New("there is no batch")
	errHeader     = errors.New("the header of the batch does not match its checksum")
	errMisplaced  = errors.New("the batch belongs to another place")
	errTooLong    = errors.New("the batch is longer than the segment")
	errTrailer    = errors.New("the sums of the batch do not match their checksum")
	errSector     = errors.New("a sector of the batch does not match its sum")
	errRecords    = errors.New("the batch does not hold the transactions its header promises")
	errFields     = errors.New("the header contradicts itself")
	errUnreadable = errors.New("it cannot be read")
)

// decodeHeader decodes b, which has headerSize bytes at least, and verifies its own hash.
func decodeHeader(b []byte) (header, error) {
	be := binary.BigEndian
	if be.Uint32(b) != batchMagic || xxhash.Sum64(b[:hashedBytes]) != be.Uint64(b[120:]) {
		return header{}, errHeader
	}
	return header{
		kind:      kind(be.Uint32(b[4:])),
		segment:   be.Uint64(b[8:]),
		sequence:  be.Uint64(b[16:]),
		first:     wire.Zxid(be.Uint64(b[24:])),
		last:      wire.Zxid(be.Uint64(b[32:])),
		prev:      wire.Zxid(be.Uint64(b[40:])),
		count:     be.Uint32(b[48:]),
		payload:   be.Uint32(b[52:]),
		synced:    position{be.Uint64(b[56:]), int64(be.Uint64(b[64:]))},
		committed: wire.Zxid(be.Uint64(b[72:])),
		digestAt:  wire.Zxid(be.Uint64(b[80:])),
		digest:    be.Uint64(b[88:]),
		prevHash:  be.Uint64(b[96:]),
		trailer:   be.Uint64(b[104:]),
		logID:     be.Uint64(b[112:]),
		hash:      be.Uint64(b[120:]),
	}, nil
}

// check says whether the fields of h make sense together. They verified, so an error is a bug
// or tampering and not the disk's.
func (h *header) check() error {
	ok := h.payload <= maxPayload && h.sequence > 0
	if h.count == 0 {
		ok = ok && h.payload == 0 && h.first == 0 && h.last == h.prev && h.kind != kindData
	} else {
		ok = ok && h.kind != kindSeal && h.kind != kindStart && Follows(h.prev, h.first) &&
			h.first.Epoch() == h.last.Epoch() && h.last-h.first == wire.Zxid(h.count-1)
	}
	if !ok || h.kind < kindData || h.kind > kindStart {
		return errFields
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// finish completes the frame that buf begins, header space and payload, with h and the trailer,
// and returns it. Without room for the trailer it is moved.
func (h *header) finish(buf []byte) []byte {
	end := len(buf)
	h.payload = uint32(end - headerSize)
	if h.payload > 0 {
		for at := headerSize; at < end; {
			next := min(at/sectorSize*sectorSize+sectorSize, end)
			buf = binary.BigEndian.AppendUint32(buf, crc32.Checksum(buf[at:next], castagnoli))
			at = next
		}
	}
	for len(buf)%sectorSize != 0 {
		buf = append(buf, zeroSector[:sectorSize-len(buf)%sectorSize]...)
	}
	h.trailer = xxhash.Sum64(buf[end:])
	h.encode(buf)
	return buf
}

var zeroSector [sectorSize]byte

// verify checks the payload and the trailer of frame against h. torn says that all that
// disagrees may be sectors that were never written: they are zero.
func (h *header) verify(frame []byte) (err error, torn bool) {
	end := headerSize + int64(h.payload)
	trailerOK := xxhash.Sum64(frame[end:]) == h.trailer
	if !trailerOK {
		err, torn = errTrailer, anyZeroSector(frame[end/sectorSize*sectorSize:])
	}
	sum := frame[end:]
	for at := int64(headerSize); at < end; sum = sum[sumSize:] {
		next := min(at/sectorSize*sectorSize+sectorSize, end)
		known := trailerOK || !inZeroSector(frame, int64(len(frame)-len(sum)))
		if known && crc32.Checksum(frame[at:next], castagnoli) != binary.BigEndian.Uint32(sum) {
			zero := allZero(sector(frame, at))
			torn = zero && (torn || err == nil)
			if err == nil || !zero {
				err = errSector
			}
		}
		at = next
	}
	return err, torn
}

// inZeroSector says whether the sum at off, which may span two sectors, lies in a zero one.
func inZeroSector(frame []byte, off int64) bool {
	return allZero(sector(frame, off)) || allZero(sector(frame, off+sumSize-1))
}

func sector(b []byte, off int64) []byte {
	off = off / sectorSize * sectorSize
	return b[off : off+sectorSize]
}

func anyZeroSector(b []byte) bool {
	for ; len(b) > 0; b = b[sectorSize:] {
		if allZero(b[:sectorSize]) {
			return true
		}
	}
	return false
}

func allZero(b []byte) bool {
	for ; len(b) >= 8; b = b[8:] {
		if binary.NativeEndian.Uint64(b) != 0 {
			return false
		}
	}
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// checkRecords says whether payload is exactly h.count records.
func (h *header) checkRecords(payload []byte) error {
	for range h.count {
		if len(payload) < recordHeaderSize {
			return errRecords
		}
		n := int64(binary.BigEndian.Uint32(payload))
		if n == 0 || n > int64(len(payload)-recordHeaderSize) {
			return errRecords
		}
		payload = payload[recordHeaderSize+n:]
	}
	if len(payload) > 0 {
		return errRecords
	}
	return nil
}
