package server

import (
	"bytes"

	"paddock/wire"
)

// state is what the sequencer knows of a znode.
type state struct {
	exists   bool
	pathData uint32    // its part of the digest that does not come from the stat; see tree.StatCRC
	stat     wire.Stat // as persisted: Cversion counts creations, EphemeralOwner is raw
	acl      wire.ACLVec
}

// change is the state a znode will have once a transaction that is on its way is applied.
type change struct {
	path []byte
	hash uint64
	prev int32 // the next older change with the same hash in this generation, or -1
	state
}

// generation is a run of changes, oldest first. It is forgotten as a whole.
type generation struct {
	heads   map[uint64]int32
	changes []change
	bytes   []byte // paths and ACLs of the changes
	last    wire.Zxid
}

func (g *generation) reset() {
	clear(g.heads)
	clear(g.changes)
	g.changes = g.changes[:0]
	if cap(g.bytes) > 4<<20 {
		g.bytes = nil
	}
	g.bytes = g.bytes[:0]
}

func (g *generation) find(hash uint64, path []byte) *change {
	at, ok := g.heads[hash]
	if !ok {
		return nil
	}
	for at >= 0 {
		if c := &g.changes[at]; bytes.Equal(c.path, path) {
			return c
		}
		at = g.changes[at].prev
	}
	return nil
}

// overlay holds the changes on their way: what the sequencer has decided and apply has not done yet.
// It belongs to the sequencer alone. A path that is not in it cannot change under the sequencer's
// eyes, for every change comes through it; so the tree may be read without a common lock.
//
// Changes are kept in two generations, so that forgetting is cheap although under load there is always
// something on its way: the older is dropped when all of it is applied.
type overlay struct {
	old, young generation
}

func newOverlay() overlay {
	return overlay{old: generation{heads: map[uint64]int32{}}, young: generation{heads: map[uint64]int32{}}}
}

// forget drops what is applied. Call it between batches only: a batch must not lose what it looked up.
func (o *overlay) forget(applied wire.Zxid) {
	if len(o.old.changes) > 0 && o.old.last <= applied {
		o.old.reset()
	}
	if len(o.old.changes) > 0 {
		return
	}
	if o.young.last <= applied {
		o.young.reset()
		return
	}
	o.old, o.young = o.young, o.old
}

// find returns the newest change of a path, or nil.
func (o *overlay) find(hash uint64, path []byte) *change {
	if c := o.young.find(hash, path); c != nil {
		return c
	}
	return o.old.find(hash, path)
}

// put records the state a path will have after zxid. path and s.acl are copied.
func (o *overlay) put(hash uint64, path []byte, s *state, zxid wire.Zxid) {
	g := &o.young
	prev, ok := g.heads[hash]
	if !ok {
		prev = -1
	}
	at := len(g.bytes)
	g.bytes = append(g.bytes, path...)
	c := change{path: g.bytes[at:len(g.bytes):len(g.bytes)], hash: hash, prev: prev, state: *s}
	if s.acl != nil {
		at = len(g.bytes)
		g.bytes = append(g.bytes, s.acl...)
		c.acl = g.bytes[at:len(g.bytes):len(g.bytes)]
	}
	g.heads[hash] = int32(len(g.changes))
	g.changes = append(g.changes, c)
	g.last = zxid
}

// mark and rollback undo the changes of a multi that failed.
func (o *overlay) mark() int { return len(o.young.changes) }

func (o *overlay) rollback(mark int) {
	g := &o.young
	for i := len(g.changes) - 1; i >= mark; i-- {
		c := &g.changes[i]
		if c.prev >= 0 {
			g.heads[c.hash] = c.prev
		} else {
			delete(g.heads, c.hash)
		}
	}
	clear(g.changes[mark:])
	g.changes = g.changes[:mark]
}

// eachOwned calls f for the newest change of every path whose node belongs, or belonged, to the
// session, in the order of those changes.
func (o *overlay) eachOwned(session int64, f func(path []byte, hash uint64, exists bool)) {
	for _, g := range []*generation{&o.old, &o.young} {
		for i := range g.changes {
			c := &g.changes[i]
			if c.stat.EphemeralOwner == session && o.find(c.hash, c.path) == c {
				f(c.path, c.hash, c.exists)
			}
		}
	}
}
