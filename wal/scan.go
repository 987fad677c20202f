package wal

import (
	"errors"

	"paddock/wire"
)

// run is a stretch of a segment whose batches all verify and follow each other.
type run struct {
	start, end  int64 // bytes; start is where the first batch is, end where the last one ends
	batches     int
	first, last header
	lastAt      int64      // where last is
	checkpoint  Checkpoint // the latest
	spans       []Span
	marks       []mark

	// What is at end, where something should be or might be.
	err  error
	torn bool
}

var errChain = errors.New("the batch does not continue the one before it")

// scan verifies the batches from start on, up to limit or to the first that does not verify.
func (r *reader) scan(start, limit int64) run {
	s := run{start: start, end: start}
	for s.end < limit {
		h, _, torn, err := r.batch(s.end)
		if err == nil && s.batches > 0 {
			err = follows(&s.last, &h)
		}
		if err == nil && (s.end != r.dataStart() && h.kind > kindSeal || s.end+h.frameSize() > limit) {
			err = errChain
		}
		if err != nil {
			s.err, s.torn = err, torn
			return s
		}
		if s.batches == 0 {
			s.first = h
		}
		s.note(&h, r.size)
		if h.digestAt != 0 {
			s.checkpoint = Checkpoint{At: h.digestAt, Digest: h.digest}
		}
		s.last, s.lastAt = h, s.end
		s.end += h.frameSize()
		s.batches++
	}
	return s
}

// note adds the batch with h, which verified at the end of s, in a segment of size bytes.
func (s *run) note(h *header, size int64) {
	k := link{size: size, start: s.start, spans: s.spans, marks: s.marks}
	k.add(h, s.end)
	s.spans, s.marks = k.spans, k.marks
}

// link returns s, which is not empty, as the part of the log that r holds.
func (s *run) link(r *reader) link {
	return link{id: r.id, size: r.size, start: s.start, end: s.end, prev: s.first.prev, spans: s.spans, marks: s.marks}
}

// follows says whether h can come right after prev in the log. Both verified.
func follows(prev, h *header) error {
	if h.sequence != prev.sequence+1 || h.prevHash != prev.hash || h.prev != prev.last ||
		h.committed < prev.committed {
		return errChain
	}
	return nil
}

// traces is what a segment holds besides the run that verified.
type traces struct {
	vouched  position  // the furthest that anything says was durable
	next     int64     // the first batch behind the run, 0 for none
	nextPrev wire.Zxid // the zxid before it, -1 for none
	lastZxid wire.Zxid // the highest zxid the index names, -1 for none

	dirty      bool // something behind the run is not zero
	unreadable error

	index      int64    // sectors of the index up to the last that is not zero
	indexDirty bool     // some of them cannot be read or do not verify
	goesOn     uint64   // the segment in which the log goes on, 0 for none known
	goesOnAt   position // what that one continues
	entrance   position // what the first batch of this segment continues
	latest     entry    // of the last batch in the index
}

func (t *traces) vouch(p position) {
	if p.after(t.vouched) {
		t.vouched = p
	}
}

// search looks behind a run, and into the index, for whatever still verifies. A header is
// enough to vouch; the log's own id in it keeps a client's data from posing as one.
func (r *reader) search(from int64) traces {
	t := traces{nextPrev: unknown, lastZxid: unknown}
	const chunk = 64 << 10
	for off := from; off < r.size; {
		n := min(chunk, r.size-off)
		b, err := r.bytes(off, n)
		if err != nil && n > sectorSize {
			n = min(sectorSize, r.size-off)
			b, err = r.bytes(off, n)
		}
		switch {
		case err != nil:
			t.unreadable, t.dirty = err, true
		case !allZero(b):
			t.dirty = true
			r.searchBatches(&t, b, off, from)
		}
		off += n
	}
	r.searchIndex(&t)
	return t
}

func (r *reader) searchBatches(t *traces, b []byte, off, from int64) {
	for ; len(b) >= sectorSize; b, off = b[sectorSize:], off+sectorSize {
		h, err := decodeHeader(b)
		if err != nil || !r.placed(&h, off) {
			continue
		}
		t.vouch(h.synced)
		if t.next == 0 && off > from {
			t.next, t.nextPrev = off, h.prev
		}
	}
}

func (r *reader) searchIndex(t *traces) {
	for s := int64(1); s <= r.indexSectors; s++ {
		b, err := r.bytes(s*sectorSize, sectorSize)
		if err != nil {
			t.index, t.indexDirty = s, true
			continue
		}
		if allZero(b) {
			continue
		}
		t.index = s
		for ; len(b) > 0; b = b[entrySize:] {
			if e, ok := decodeEntry(b, r.id); ok {
				t.note(&e, r.dataStart())
			} else if !allZero(b[:entrySize]) {
				t.indexDirty = true
			}
		}
	}
}

func (t *traces) note(e *entry, dataStart int64) {
	t.vouch(e.synced)
	t.lastZxid = max(t.lastZxid, e.last)
	if e.closing {
		if e.hash > t.goesOn {
			t.goesOn, t.goesOnAt = e.hash, e.synced
		}
		return
	}
	if e.offset == dataStart {
		t.entrance = e.synced
	}
	if e.offset >= t.latest.offset {
		t.latest = *e
	}
}

// nothingAt says whether the index knows what stood at off, and that it was the last batch and
// had no transactions: a seal.
func (t *traces) nothingAt(off int64) bool {
	return t.latest.offset == off && t.latest.first == 0
}
