package vfs

import (
	"fmt"
	"iter"
	"math/rand/v2"
)

// Unit is the least that a power cut keeps or loses: one sector of a write, or another
// operation as a whole.
type Unit struct {
	Op     int   // number of the operation
	Sector int64 // of the file; wholeOp (-1) where the operation is not a write
}

const wholeOp = -1

func all(int64) bool { return true }

// Op returns operation n of the journal.
func (d *Sim) Op(n int) Op {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.journal[n-d.folded].Op
}

// Pending lists, in order, what a power cut after the first at operations may lose.
func (d *Sim) Pending(at int) []Unit {
	d.mu.Lock()
	defer d.mu.Unlock()
	var units []Unit
	for i := range d.journal[:at-d.folded] {
		e := &d.journal[i]
		if e.durable(at) {
			continue
		}
		if e.Kind != OpWrite {
			units = append(units, Unit{Op: d.folded + i, Sector: wholeOp})
			continue
		}
		for s := e.Off / SectorSize; s*SectorSize < e.Off+int64(e.Len); s++ {
			units = append(units, Unit{Op: d.folded + i, Sector: s})
		}
	}
	return units
}

// durable says whether e is safe when power fails after the first at operations.
func (e *entry) durable(at int) bool { return e.syncedBy >= 0 && e.syncedBy < at }

// Crash returns the disk as it is found when power fails after the first at operations: all
// that was durable by then, and of the rest what keep says. The new disk has an empty journal,
// no faults, and the limits of d.
func (d *Sim) Crash(at int, keep func(Unit) bool) *Sim {
	d.mu.Lock()
	defer d.mu.Unlock()
	st := d.base.clone()
	// Files without a name in base still matter to operations that name them later.
	for id, f := range d.base.files { //order-free
		if st.files[id] == nil {
			st.files[id] = &inode{data: append([]byte(nil), f.data...)}
		}
	}
	for i := range d.journal[:at-d.folded] {
		e := &d.journal[i]
		if e.durable(at) {
			st.apply(e, all)
			continue
		}
		st.apply(e, func(sector int64) bool { return keep(Unit{Op: d.folded + i, Sector: sector}) })
	}
	st.dropUnnamed(nil)
	c := newSim(d.seed, st, d.nextID)
	c.capacity = d.capacity
	return c
}

// Clone returns a copy of the disk as a running process sees it, everything durable.
func (d *Sim) Clone() *Sim { return d.Crash(d.Ops(), func(Unit) bool { return true }) }

// Image is one disk that a power cut can leave.
type Image struct {
	Name string // says what was kept, for messages
	Disk *Sim
}

// Images yields what a power cut after the first at operations can leave: nothing unsynced
// kept, all of it, each prefix, each operation lost alone, each write torn at each sector (its
// beginning kept, or its end), and as many random subsets of sectors as asked for. The tears of
// a write of many sectors are sampled.
func (d *Sim) Images(at, subsets int) iter.Seq[Image] {
	pending := d.Pending(at)
	ops := operations(pending)
	return func(yield func(Image) bool) {
		emit := func(keep func(Unit) bool, format string, args ...any) bool {
			return yield(Image{Name: fmt.Sprintf(format, args...), Disk: d.Crash(at, keep)})
		}
		if !emit(func(Unit) bool { return true }, "all kept") || len(pending) == 0 {
			return
		}
		if !emit(func(Unit) bool { return false }, "nothing kept") {
			return
		}
		for i, op := range ops {
			if i > 0 && !emit(func(u Unit) bool { return u.Op < op }, "prefix before op %d", op) {
				return
			}
			if len(ops) > 1 && !emit(func(u Unit) bool { return u.Op != op }, "op %d lost", op) {
				return
			}
		}
		rnd := rand.New(rand.NewPCG(d.seed, uint64(at)))
		for _, t := range tears(pending, rnd) {
			first := func(u Unit) bool { return u.Op != t.Op || u.Sector < t.Sector }
			last := func(u Unit) bool { return u.Op != t.Op || u.Sector >= t.Sector }
			if !emit(first, "op %d torn before sector %d", t.Op, t.Sector) ||
				!emit(last, "op %d torn, kept from sector %d", t.Op, t.Sector) {
				return
			}
		}
		for n := range subsets {
			kept := map[Unit]bool{}
			for _, u := range pending {
				kept[u] = rnd.IntN(2) == 0
			}
			if !emit(func(u Unit) bool { return kept[u] }, "subset %d", n) {
				return
			}
		}
	}
}

func operations(units []Unit) []int {
	var ops []int
	for _, u := range units {
		if len(ops) == 0 || ops[len(ops)-1] != u.Op {
			ops = append(ops, u.Op)
		}
	}
	return ops
}

// maxTears bounds the tears tried of one write.
const maxTears = 24

// tears picks the sectors, each but a write's first, at which writes are torn.
func tears(pending []Unit, rnd *rand.Rand) []Unit {
	inner := map[int]int{}
	for i, u := range pending {
		if i > 0 && pending[i-1].Op == u.Op {
			inner[u.Op]++
		}
	}
	var out []Unit
	for i, u := range pending {
		if i == 0 || pending[i-1].Op != u.Op {
			continue
		}
		if n := inner[u.Op]; n <= maxTears || rnd.IntN(n) < maxTears {
			out = append(out, u)
		}
	}
	return out
}
