package wal

import "paddock/wire"

// link is the part of a segment that belongs to the log. The log is a chain of links. A reader on
// another goroutine works from a copy, without a lock: no element of marks ever changes.
type link struct {
	id         uint64
	size       int64     // of the segment
	start, end int64     // bytes
	prev       wire.Zxid // the last zxid before start
	spans      []Span    // of its transactions
	marks      []mark    // where in it a reader can begin; start is another such place
}

// mark is a place in a link where a batch begins.
type mark struct {
	off  int64
	prev wire.Zxid // the last zxid before off
}

// marksPerSegment says how close the marks of a link are: a reader verifies one part in so many
// of a segment in vain, at most, and then what it was asked for. 256 take 4 KiB.
const marksPerSegment = 256

// Span is transactions of one epoch that follow each other without a gap.
type Span struct{ First, Last wire.Zxid }

// add notes the batch with h, which begins at off.
func (k *link) add(h *header, off int64) {
	from := k.start
	if n := len(k.marks); n > 0 {
		from = k.marks[n-1].off
	}
	if off-from >= k.size/marksPerSegment {
		k.marks = append(k.marks, mark{off, h.prev})
	}
	if h.count > 0 {
		k.spans = addSpan(k.spans, Span{h.first, h.last})
	}
}

// addSpan appends s, which follows the last of spans.
func addSpan(spans []Span, s Span) []Span {
	if n := len(spans); n > 0 && spans[n-1].Last.Epoch() == s.First.Epoch() {
		spans[n-1].Last = s.Last
		return spans
	}
	return append(spans, s)
}

// cut ends k, for good, at the batch that begins at off and follows last.
func (k *link) cut(off int64, last wire.Zxid) {
	k.end = off
	for n := len(k.marks); n > 0 && k.marks[n-1].off >= off; n-- {
		k.marks = k.marks[:n-1]
	}
	for n := len(k.spans); n > 0 && k.spans[n-1].Last > last; n-- {
		if k.spans[n-1].First <= last {
			k.spans[n-1].Last = last
			return
		}
		k.spans = k.spans[:n-1]
	}
}

// seek returns the last place in k where a reader can begin that wants what follows zxid.
func (k *link) seek(zxid wire.Zxid) mark {
	at := mark{k.start, k.prev}
	for lo, hi := 0, len(k.marks); lo < hi; {
		if mid := (lo + hi) / 2; k.marks[mid].prev <= zxid {
			at, lo = k.marks[mid], mid+1
		} else {
			hi = mid
		}
	}
	return at
}

// Spans returns which transactions the log has behind Base, a span for each epoch, in order. It
// takes no reading: a server learns its history from it without decoding a transaction.
func (l *Log) Spans() []Span {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []Span
	for i := range l.links {
		for _, s := range l.links[i].spans {
			all = addSpan(all, s)
		}
	}
	return all
}
