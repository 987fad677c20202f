package wal

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"paddock/vfs"
	"paddock/wire"
)

// logMachine drives a log and a plain model of it with random calls, closes, kills and power
// cuts. Every call has returned before a crash, so the log that comes back is the model exactly.
type logMachine struct {
	disk       *vfs.Sim
	log        *Log
	m          *model
	o          Options
	generation int
}

func (x *logMachine) open(t *rapid.T) {
	x.o.After = x.m.base
	l, err := Open(x.disk, dir, x.o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	x.log = l
	x.m.reopen(x.o.After)
	x.generation++
}

func (x *logMachine) check(t *rapid.T) {
	if d := x.m.differsInAll(x.log, x.m.base); d != "" {
		t.Fatal(d)
	}
}

func (x *logMachine) commit(t *rapid.T) {
	b := NewBatch(0)
	if rapid.IntRange(0, 9).Draw(t, "new epoch") == 0 {
		x.m.last = wire.Zxid(x.m.last.Epoch()+1) << 32
	}
	x.m.fill(b, rapid.IntRange(1, 5).Draw(t, "transactions"), x.generation,
		rapid.IntRange(1, 1500).Draw(t, "bytes"))
	committed := x.some(t)
	x.must(t, x.log.Commit(b, committed, x.m.last-1, 9))
	x.m.record(committed)
}

// note draws a committed position, which may be ahead of the log.
func (x *logMachine) note(t *rapid.T) {
	z := x.some(t) + wire.Zxid(rapid.IntRange(0, 3).Draw(t, "ahead"))
	x.log.NoteCommitted(z)
	x.m.noted = max(x.m.noted, z)
}

func (x *logMachine) seal(t *rapid.T) {
	x.must(t, x.log.Seal())
	x.m.record(0)
}

// readRange reads between two zxids that the log has.
func (x *logMachine) readRange(t *rapid.T) {
	from, to := x.some(t), x.some(t)
	from, to = min(from, to), max(from, to)
	at := from
	x.must(t, x.log.Range(from, to, func(z wire.Zxid, txn []byte) error {
		at = x.m.next(at)
		if at != z || z > to || string(txn) != x.m.txns[z] {
			return fmt.Errorf("range %s to %s: got %s, %.40q, want %s, %.40q", from, to, z, txn, at, x.m.txns[at])
		}
		return nil
	}))
	if at != to {
		t.Fatalf("range %s to %s ended at %s", from, to, at)
	}
}

func (x *logMachine) must(t *rapid.T, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

// some draws a zxid that the log has, or begins after.
func (x *logMachine) some(t *rapid.T) wire.Zxid {
	all := []wire.Zxid{x.m.base}
	for z := range x.m.txns { // sorted below by Max: the draw is an index from the end
		all = append(all, z)
	}
	z := x.m.base
	for range rapid.IntRange(0, len(all)-1).Draw(t, "position") {
		z = x.m.next(z)
	}
	return z
}

func (x *logMachine) restartDisk(t *rapid.T, keep func(vfs.Unit) bool) {
	x.disk = x.disk.Crash(x.disk.Ops(), keep)
	x.open(t)
}

func TestLogAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := &logMachine{disk: vfs.NewSim(1), m: newModel(), o: small()}
		x.o.SegmentBytes = rapid.SampledFrom([]int64{4096, 8192, 65536}).Draw(t, "segment")
		x.open(t)
		t.Repeat(map[string]func(*rapid.T){
			"commit": x.commit,
			"again":  x.commit, // twice as often
			"seal":   x.seal,
			"note":   x.note,
			"range":  x.readRange,
			"prepare": func(t *rapid.T) {
				_, err := x.log.Prepare()
				x.must(t, err)
			},
			"truncate": func(t *rapid.T) {
				z := x.some(t)
				x.m.truncate(z)
				x.must(t, x.log.TruncateTo(z))
			},
			"restart": func(t *rapid.T) {
				z := x.m.last + wire.Zxid(rapid.IntRange(0, 5).Draw(t, "ahead"))
				x.m.restart(z)
				x.must(t, x.log.Restart(z))
			},
			"remove": func(t *rapid.T) {
				z := x.some(t)
				x.must(t, x.log.RemoveThrough(z))
				if x.log.Base() > z {
					t.Fatalf("removal through %s took up to %s", z, x.log.Base())
				}
				for at := x.m.base; at < z; {
					at = x.m.next(at)
					delete(x.m.txns, at)
				}
				x.m.base = z
			},
			"replay from the middle": func(t *rapid.T) {
				if d := x.m.differs(x.log, x.some(t)); d != "" {
					t.Fatal(d)
				}
			},
			"close": func(t *rapid.T) {
				x.must(t, x.log.Close())
				x.m.record(0)
				x.open(t)
				if r := x.log.Recovery(); r.Torn || r.Rewritten != 0 {
					t.Fatalf("after a clean close: %+v", r)
				}
			},
			"kill": func(t *rapid.T) {
				x.disk.Kill()
				x.open(t)
			},
			"power cut, nothing kept": func(t *rapid.T) {
				x.restartDisk(t, func(vfs.Unit) bool { return false })
			},
			"power cut, something kept": func(t *rapid.T) {
				seed := rapid.Uint64().Draw(t, "kept")
				x.restartDisk(t, func(u vfs.Unit) bool {
					return seed>>(uint64(u.Op*7+int(u.Sector))%64)&1 == 1
				})
			},
			"": x.check,
		})
	})
}

// next returns the zxid after z in the model.
func (m *model) next(z wire.Zxid) wire.Zxid {
	if _, ok := m.txns[z+1]; ok {
		return z + 1
	}
	for e := z.Epoch() + 1; e <= m.last.Epoch(); e++ {
		if first := wire.Zxid(e)<<32 + 1; m.txns[first] != "" {
			return first
		}
	}
	panic(fmt.Sprintf("nothing after %s", z))
}
