package zab

import (
	"fmt"
	"slices"
	"sort"

	"paddock/wire"
)

// History is which transactions a log has: all after base, in runs of one epoch each, without a gap
// inside a run. The zero value is an empty log from the beginning.
type History struct {
	base wire.Zxid
	runs []run
}

// run is the transactions of one epoch, from first to last; first's counter is 1 but for the run that
// goes on where the base stands.
type run struct{ first, last wire.Zxid }

// NewHistory returns an empty history after base.
func NewHistory(base wire.Zxid) History { return History{base: base} }

// Base returns the zxid after which it begins.
func (h *History) Base() wire.Zxid { return h.base }

// Last returns the last zxid, which is the base while there is none behind it.
func (h *History) Last() wire.Zxid {
	if n := len(h.runs); n > 0 {
		return h.runs[n-1].last
	}
	return h.base
}

// Follows says whether next may come right behind prev: the next counter of the same epoch, or the
// first of a later one.
func Follows(prev, next wire.Zxid) bool {
	if next.Epoch() == prev.Epoch() {
		return next == prev+1
	}
	return next.Epoch() > prev.Epoch() && next.Counter() == 1
}

// Append adds the transaction that follows the last. It panics on any other: whoever calls has to have
// looked (Follows), and a hole in a history is what this protocol must never make.
func (h *History) Append(z wire.Zxid) {
	last := h.Last()
	if !Follows(last, z) {
		panic(fmt.Sprintf("zab: %v appended behind %v", z, last))
	}
	if n := len(h.runs); n > 0 && h.runs[n-1].last.Epoch() == z.Epoch() {
		h.runs[n-1].last = z
		return
	}
	h.runs = append(h.runs, run{z, z})
}

// AppendRun is Append for all of one epoch from first to last.
func (h *History) AppendRun(first, last wire.Zxid) {
	h.Append(first)
	if last < first || last.Epoch() != first.Epoch() {
		panic(fmt.Sprintf("zab: a run from %v to %v", first, last))
	}
	h.runs[len(h.runs)-1].last = last
}

// Has says whether the history contains z; it knows nothing of what is before its base, which itself
// counts.
func (h *History) Has(z wire.Zxid) bool {
	f, ok := h.Floor(z)
	return ok && f == z
}

// Floor returns the last zxid that is not above z, which may be the base; false where z is below the base.
func (h *History) Floor(z wire.Zxid) (wire.Zxid, bool) {
	if z < h.base {
		return 0, false
	}
	i := sort.Search(len(h.runs), func(i int) bool { return h.runs[i].first > z })
	if i == 0 {
		return h.base, true
	}
	return min(z, h.runs[i-1].last), true
}

// Next returns the first zxid above z; false where there is none, or where z is below the base.
func (h *History) Next(z wire.Zxid) (wire.Zxid, bool) {
	if z < h.base || z >= h.Last() {
		return 0, false
	}
	i := sort.Search(len(h.runs), func(i int) bool { return h.runs[i].last > z })
	return max(h.runs[i].first, z+1), true
}

// TruncateTo drops all behind z, which it must have.
func (h *History) TruncateTo(z wire.Zxid) {
	if !h.Has(z) {
		panic(fmt.Sprintf("zab: history truncated to %v, which it does not have", z))
	}
	i := sort.Search(len(h.runs), func(i int) bool { return h.runs[i].last > z })
	if i == len(h.runs) {
		return
	}
	h.runs = h.runs[:i+1]
	if h.runs[i].first > z {
		h.runs = h.runs[:i]
		return
	}
	h.runs[i].last = z
}

// PurgeTo drops all up to z, which it must have and which is its base then. What is below the base already
// changes nothing.
func (h *History) PurgeTo(z wire.Zxid) {
	if z <= h.base {
		return
	}
	if !h.Has(z) {
		panic(fmt.Sprintf("zab: history purged to %v, which %v does not have", z, h))
	}
	i := sort.Search(len(h.runs), func(i int) bool { return h.runs[i].last > z })
	h.base, h.runs = z, slices.Delete(h.runs, 0, i)
	if len(h.runs) > 0 && h.runs[0].first <= z {
		h.runs[0].first = z + 1
	}
}

// Reset makes it empty after base.
func (h *History) Reset(base wire.Zxid) { h.base, h.runs = base, h.runs[:0] }

// Clone returns a copy that shares nothing.
func (h *History) Clone() History { return History{h.base, slices.Clone(h.runs)} }

func (h *History) String() string {
	s := fmt.Sprintf("(%v", h.base)
	for _, r := range h.runs {
		s += fmt.Sprintf(" %v..%v", r.first, r.last)
	}
	return s + ")"
}
