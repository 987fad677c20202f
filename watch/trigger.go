package watch

import (
	"github.com/cespare/xxhash/v2"

	"paddock/wire"
)

// Trigger appends to dst the connections that are to be told of an event, each once, and spends their standard
// watches. hash is that of the path. The event that a deletion or creation is for the parent's
// children is a call of its own.
func (t *Table) Trigger(text []byte, hash uint64, typ wire.EventType, dst []uint32) []uint32 {
	t.nextEvent()
	switch typ {
	case wire.EventNodeChildrenChanged:
		return t.fire(text, tagOf(hash), childModes, dst)
	case wire.EventNodeDeleted:
		dst = t.fire(text, tagOf(hash), allModes, dst)
	default:
		dst = t.fire(text, tagOf(hash), dataModes, dst)
	}
	if t.recursive.held > 0 {
		dst = t.fireAbove(text, dst)
	}
	return dst
}

// nextEvent begins an event of which nobody was told.
func (t *Table) nextEvent() {
	t.event++
	if t.event != 0 {
		return
	}
	for c := range t.connLimit { // the numbers begin again: once in 2^32 events
		t.connAt(c).told = 0
	}
	t.event = 1
}

// tell appends a connection, unless it is there already.
func (t *Table) tell(conn uint32, dst []uint32) []uint32 {
	c := t.connAt(conn)
	if c.told == t.event {
		return dst
	}
	c.told = t.event
	return append(dst, conn)
}

// fire tells the connections that have any of some modes on exactly this path.
func (t *Table) fire(text []byte, tag uint32, some modes, dst []uint32) []uint32 {
	i := t.find(text, tag)
	if i == 0 {
		return dst
	}
	p := t.paths.at(i)
	if p.isShared() {
		return t.fireMembers(p, some, dst)
	}
	if p.modes()&some != 0 {
		dst = t.tell(p.conn(), dst)
		t.change(pathRef(i), p.modes()&^(some&spent))
	}
	return dst
}

// fireMembers goes around the ring of a path until all members that have any of some modes were told. It
// counts them, for the last one to be spent frees the path.
func (t *Table) fireMembers(p *path, some modes, dst []uint32) []uint32 {
	left := dataModes.in(some)*p.inData() + childModes.in(some)*p.inChild()
	for m := p.first(); left > 0; {
		x := t.members.at(m)
		r := memberRef(m)
		m = x.right
		have := x.modes() & some
		if have == 0 {
			continue
		}
		left -= have.in(dataModes) + have.in(childModes)
		dst = t.tell(x.conn(), dst)
		t.change(r, x.modes()&^(some&spent))
	}
	return dst
}

// fireAbove tells the connections with a recursive watch on an ancestor. The event of the path itself
// was fired already.
func (t *Table) fireAbove(text []byte, dst []uint32) []uint32 {
	for i := len(text) - 1; i >= 0; i-- {
		if text[i] != '/' || len(text) == 1 {
			continue
		}
		above := text[:max(i, 1)] // the root's name is its slash
		if tag := tagOf(xxhash.Sum64(above)); t.recursive.has(tag) {
			dst = t.fireRecursive(above, tag, dst)
		}
	}
	return dst
}

// fireRecursive tells the connections with a recursive watch on exactly this path. They are the first of its
// ring, so others cost nothing.
func (t *Table) fireRecursive(text []byte, tag uint32, dst []uint32) []uint32 {
	i := t.find(text, tag)
	if i == 0 {
		return dst
	}
	p := t.paths.at(i)
	if !p.isShared() {
		if p.modes()&dataRecursive != 0 {
			dst = t.tell(p.conn(), dst)
		}
		return dst
	}
	for m := p.first(); ; {
		x := t.members.at(m)
		if x.modes()&dataRecursive == 0 {
			return dst
		}
		dst = t.tell(x.conn(), dst)
		if m = x.right; m == p.first() {
			return dst
		}
	}
}
