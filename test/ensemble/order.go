package ensemble

import (
	"cmp"
	"fmt"
	"slices"
)

// Order is what zxids say about a history, in time that is linear in its length.
type Order struct {
	Reads, Writes int
	Inexact       int // reads of servers that promise no exactness which were stamped too late
	Broken        []string
}

func (r *Order) broken(format string, a ...any) {
	r.Broken = append(r.Broken, fmt.Sprintf(format, a...))
}

// checkOrder checks what a reply's zxid and a node's promise: see doc.go.
func checkOrder(ops []Op) *Order {
	r := &Order{}
	byCall := make([]*Op, 0, len(ops))
	for i := range ops {
		byCall = append(byCall, &ops[i])
	}
	slices.SortFunc(byCall, func(a, b *Op) int { return cmp.Compare(a.Call, b.Call) })
	r.realTime(byCall)
	r.oneValueOneName(byCall)
	r.sessions(byCall)
	r.exactReads(byCall)
	return r
}

// realTime: writes are ordered as clients saw them, and each has a zxid of its own.
func (r *Order) realTime(byCall []*Op) {
	var writes []*Op
	for _, o := range byCall {
		if o.Kind.writes() && o.Kind != OpDelete && o.done() && o.Mzxid != 0 { // deletes tell a stamp only
			writes = append(writes, o)
		}
	}
	r.Writes = len(writes)
	byReturn := slices.Clone(writes)
	slices.SortFunc(byReturn, func(a, b *Op) int { return cmp.Compare(a.Return, b.Return) })
	var last *Op // the greatest zxid of all that had returned
	seen := map[int64]*Op{}
	for _, w := range writes {
		for len(byReturn) > 0 && byReturn[0].Return < w.Call {
			if last == nil || byReturn[0].Mzxid > last.Mzxid {
				last = byReturn[0]
			}
			byReturn = byReturn[1:]
		}
		if last != nil && last.Mzxid >= w.Mzxid {
			r.broken("a later write has no greater zxid:\n  %v\n  %v", last, w)
		}
		if twin := seen[w.Mzxid]; twin != nil {
			r.broken("two writes have one zxid:\n  %v\n  %v", twin, w)
		}
		seen[w.Mzxid] = w
	}
}

// oneValueOneName: what is read was written, and what a zxid left on a key is the same for all.
func (r *Order) oneValueOneName(byCall []*Op) {
	written := map[string]*Op{}
	for _, o := range byCall {
		if o.Kind.writes() && o.Kind != OpDelete && o.Kind != OpLedger {
			written[o.Value] = o
		}
	}
	type name struct {
		key   string
		mzxid int64
	}
	named := map[name]*Op{}
	for _, o := range byCall {
		if !o.done() || o.Mzxid == 0 || o.Kind == OpLedger || o.Kind == OpDelete {
			continue
		}
		value := o.Value
		if !o.Kind.writes() {
			r.Reads++
			value = o.Got
			if w := written[value]; w == nil || w.Key != o.Key || w.Call > o.Return {
				r.broken("a value that nobody wrote there: %v", o)
			}
		}
		n := name{o.Key, o.Mzxid}
		other := named[n]
		if other == nil {
			named[n] = o
			continue
		}
		if value != shown(other) || o.Version != other.Version {
			r.broken("one zxid, two states:\n  %v\n  %v", other, o)
		}
	}
}

func shown(o *Op) string {
	if o.Kind.writes() {
		return o.Value
	}
	return o.Got
}

// sessions: a session's zxids never go back, nor does what it sees of a key.
func (r *Order) sessions(byCall []*Op) {
	type place struct {
		session int64
		key     string
	}
	stamps := map[int64]*Op{}
	places := map[place]*Op{} // of the greatest position seen
	deletes := map[string][]*Op{}
	for _, o := range byCall {
		if o.Kind == OpDelete && (o.done() || o.Unknown()) {
			deletes[o.Key] = append(deletes[o.Key], o)
		}
	}
	for _, o := range byCall {
		if o.Unknown() {
			continue
		}
		if before := stamps[o.Session]; before != nil && before.Stamp > o.Stamp {
			r.broken("a session's zxid went back:\n  %v\n  %v", before, o)
		}
		stamps[o.Session] = o
		at := place{o.Session, o.Key}
		before := places[at]
		switch {
		case o.done() && o.Mzxid != 0:
			if before != nil && before.Mzxid > o.Mzxid {
				r.broken("a session saw a key go back:\n  %v\n  %v", before, o)
			}
			places[at] = o
		case o.Code == codeNoNode && before != nil:
			gone := func(d *Op) bool { return d.Unknown() || d.Stamp > before.Mzxid }
			if !slices.ContainsFunc(deletes[o.Key], gone) {
				r.broken("a session saw a key vanish that nobody deleted:\n  %v\n  %v", before, o)
			}
		}
	}
}

// exactReads: a read shows the last write at or before its reply's zxid, and none behind it.
func (r *Order) exactReads(byCall []*Op) {
	zxids := map[string][]int64{} // of writes to a key, in order
	for _, o := range byCall {
		if o.done() && o.Kind.writes() && o.Mzxid != 0 && o.Kind != OpDelete {
			zxids[o.Key] = append(zxids[o.Key], o.Mzxid)
		}
	}
	for _, z := range zxids {
		slices.Sort(z)
	}
	for _, o := range byCall {
		if !o.done() || o.Kind.writes() {
			continue
		}
		if o.Mzxid > o.Stamp {
			r.broken("a read shows what is behind its zxid: %v", o)
		}
		z := zxids[o.Key]
		i, _ := slices.BinarySearch(z, o.Mzxid+1)
		if i == len(z) || z[i] > o.Stamp {
			continue
		}
		if o.Exact {
			r.broken("a read lacks the write %#x: %v", z[i], o)
		}
		r.Inexact++
	}
}
