package tree

import (
	"fmt"

	"paddock/slab"
)

const (
	firstSlots = 64
	// moveSlots is how many slots of the old array an insertion or deletion moves to the new one.
	// Two would do: with n old slots, the new array takes 0.8n insertions until it is due itself.
	moveSlots = 8
	// tomb marks a slot of the old array whose entry has gone. A chain that is probed runs on over
	// it.
	tomb = 1 << 63
)

// A table finds the nodes of one shard by the hash of their path: open addressing with linear
// probing over entries of 8 bytes.
//
//	entry   hash:32 │ index:32        0 = empty; index 0 with any hash = tomb
//
// Different paths may share 32 bits of hash, so whoever probes verifies the path. To grow, a table
// gets a second array of twice the size and moves a few slots at each change: no change waits for a
// whole rehash. New memory is zeroed by the kernel page by page, as it is touched.
//
// Guarded by the shard's lock.
type table struct {
	space *slab.Space
	slots []uint64
	used  int      // entries in slots
	old   []uint64 // nil unless growing; entries leave it, none come in
	moved int      // slots of old below are tombs or empty
}

func (t *table) init(s *slab.Space) {
	t.space, t.slots = s, slab.Make[uint64](s, firstSlots)
}

// A probe walks the entries that have a hash.
type probe struct {
	slots, old []uint64
	hash, i    uint32
}

func (t *table) probe(hash uint32) probe {
	return probe{slots: t.slots, old: t.old, hash: hash, i: hash}
}

// next returns the next index with that hash, 0 after the last.
func (p *probe) next() uint32 {
	for {
		mask := uint32(len(p.slots) - 1)
		for {
			e := p.slots[p.i&mask]
			if e == 0 {
				break
			}
			p.i++
			if uint32(e>>32) == p.hash && uint32(e) != 0 {
				return uint32(e)
			}
		}
		if p.old == nil {
			return 0
		}
		p.slots, p.old, p.i = p.old, nil, p.hash
	}
}

// insert adds an entry that is not there.
func (t *table) insert(hash, index uint32) {
	t.step()
	if (t.used+1)*5 > len(t.slots)*4 {
		t.grow()
	}
	t.put(uint64(hash)<<32 | uint64(index))
}

func (t *table) put(e uint64) {
	mask := uint32(len(t.slots) - 1)
	i := uint32(e>>32) & mask
	for t.slots[i] != 0 {
		i = (i + 1) & mask
	}
	t.slots[i] = e
	t.used++
}

// delete removes an entry that is there.
func (t *table) delete(hash, index uint32) {
	t.step()
	e := uint64(hash)<<32 | uint64(index)
	if i, ok := find(t.slots, e); ok {
		t.close(i)
		t.used--
		return
	}
	i, ok := find(t.old, e)
	if !ok {
		panic(fmt.Sprintf("tree: no entry for index %d, hash %#x", index, hash))
	}
	t.old[i] = tomb
}

// find returns the slot that holds e.
func find(slots []uint64, e uint64) (uint32, bool) {
	if slots == nil {
		return 0, false
	}
	mask := uint32(len(slots) - 1)
	for i := uint32(e>>32) & mask; slots[i] != 0; i = (i + 1) & mask {
		if slots[i] == e {
			return i, true
		}
	}
	return 0, false
}

// close empties slot hole and moves later entries of the chain up, so that none is cut off from its
// home.
func (t *table) close(hole uint32) {
	mask := uint32(len(t.slots) - 1)
	for i := (hole + 1) & mask; t.slots[i] != 0; i = (i + 1) & mask {
		home := uint32(t.slots[i]>>32) & mask
		if (i-home)&mask >= (i-hole)&mask { // the hole lies between its home and it
			t.slots[hole] = t.slots[i]
			hole = i
		}
	}
	t.slots[hole] = 0
}

func (t *table) grow() {
	if t.old != nil {
		panic(fmt.Sprintf("tree: a table of %d slots is full with %d old ones to move", len(t.slots), len(t.old)-t.moved))
	}
	t.old, t.moved = t.slots, 0
	t.slots, t.used = slab.Make[uint64](t.space, 2*len(t.old)), 0
}

// step moves a few entries on, if the table is growing.
func (t *table) step() {
	if t.old == nil {
		return
	}
	end := min(t.moved+moveSlots, len(t.old))
	for ; t.moved < end; t.moved++ {
		e := t.old[t.moved]
		if e == 0 {
			continue
		}
		t.old[t.moved] = tomb
		if uint32(e) != 0 {
			t.put(e)
		}
	}
	if t.moved == len(t.old) {
		slab.Drop(t.space, t.old)
		t.old = nil
	}
}
