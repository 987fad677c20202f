package wal

import (
	"fmt"
	"slices"
	"testing"

	"paddock/vfs"
	"paddock/wire"
)

// A step is one call of the scripted run. While it runs, a crash may leave the state before it or
// after it; when it has returned, only that after it.
type step struct {
	name string
	do   func(l *Log, m *model) error
}

func commits(n, size int) step {
	return step{fmt.Sprintf("commit %d of %d bytes", n, size), func(l *Log, m *model) error {
		b := NewBatch(64)
		m.fill(b, n, 1, size)
		m.record(m.last - 1)
		return l.Commit(b, m.last-1, m.last-1, uint64(m.last))
	}}
}

// z is short for a zxid.
func z(epoch, counter int64) wire.Zxid { return wire.Zxid(epoch<<32 | counter) }

// commitsIn commits in an epoch, with a committed position as a leader may have sent it.
func commitsIn(epoch int64, n, size int, committed wire.Zxid) step {
	name := fmt.Sprintf("commit %d of %d bytes in epoch %d, committed %s", n, size, epoch, committed)
	return step{name, func(l *Log, m *model) error {
		b := NewBatch(64)
		m.last = max(m.last, z(epoch, 0))
		m.fill(b, n, int(epoch), size)
		m.record(committed)
		return l.Commit(b, committed, 0, 0)
	}}
}

// notes is a COMMIT that arrives when the log is idle.
func notes(committed wire.Zxid) step {
	return step{fmt.Sprintf("note committed %s, seal", committed), func(l *Log, m *model) error {
		l.NoteCommitted(committed)
		m.noted = max(m.noted, committed)
		m.record(0)
		return l.Seal()
	}}
}

func truncatesTo(zxid wire.Zxid) step {
	return step{fmt.Sprintf("truncate to %s", zxid), func(l *Log, m *model) error {
		m.truncate(zxid)
		return l.TruncateTo(zxid)
	}}
}

func restartsAt(after wire.Zxid) step {
	return step{fmt.Sprintf("restart after %s", after), func(l *Log, m *model) error {
		m.restart(after)
		return l.Restart(after)
	}}
}

// tailBatch is part of a tail: n transactions of an epoch.
type tailBatch struct {
	epoch   int64
	n, size int
}

// restartsWith goes over to a received snapshot, with the log behind it.
func restartsWith(after wire.Zxid, tail ...tailBatch) step {
	return step{fmt.Sprintf("restart after %s with %v", after, tail), func(l *Log, m *model) error {
		return l.RestartWith(after, fillTail(m, after, tail))
	}}
}

func fillTail(m *model, after wire.Zxid, tail []tailBatch) []*Batch {
	m.restart(after)
	var batches []*Batch
	for _, x := range tail {
		b := NewBatch(64)
		m.last = max(m.last, z(x.epoch, 0))
		m.fill(b, x.n, int(x.epoch)+10, x.size)
		batches = append(batches, b)
	}
	return batches
}

func seals() step {
	return step{"seal", func(l *Log, m *model) error { m.record(0); return l.Seal() }}
}

func prepares() step {
	return step{"prepare", func(l *Log, m *model) error {
		for {
			if more, err := l.Prepare(); err != nil || !more {
				return err
			}
		}
	}}
}

func truncates(back wire.Zxid) step {
	return step{fmt.Sprintf("truncate by %d", back), func(l *Log, m *model) error {
		m.truncate(m.last - back)
		return l.TruncateTo(m.last)
	}}
}

func restarts(ahead wire.Zxid) step {
	return step{"restart", func(l *Log, m *model) error {
		m.restart(m.last + ahead)
		return l.Restart(m.last)
	}}
}

func removes(through wire.Zxid) step {
	return step{fmt.Sprintf("remove through %d", through), func(l *Log, m *model) error {
		err := l.RemoveThrough(through)
		m.base = max(m.base, through)
		return err
	}}
}

func script() []step {
	return []step{
		commits(1, 20), commits(3, 200), seals(), commits(1, 900),
		prepares(), commits(2, 700), commits(1, 1400), seals(),
		commits(1, 30), truncates(1), commits(2, 40), prepares(), truncates(3), commits(1, 50), seals(),
		prepares(), commits(1, 2000), commits(1, 6000), commits(2, 100), seals(),
		removes(6), commits(1, 60), commits(1, 60), commits(1, 600),
		restarts(5), commits(1, 70), prepares(), commits(1, 1900), removes(18), commits(1, 20),
		prepares(), restartsWith(30, tailBatch{0, 3, 700}, tailBatch{0, 1, 20}), commits(1, 30),
	}
}

// scriptOfAFollower is epochs that come and go: tails that no quorum had, a committed position that
// trails, and a snapshot from elsewhere.
func scriptOfAFollower() []step {
	return []step{
		commitsIn(1, 3, 60, 0), commitsIn(1, 2, 700, z(1, 2)), commitsIn(1, 1, 1400, z(1, 5)), seals(),
		commitsIn(1, 2, 50, z(1, 5)), commitsIn(2, 1, 50, z(1, 5)), truncatesTo(z(1, 7)), truncatesTo(z(1, 6)),
		commitsIn(3, 1, 40, z(1, 6)), notes(z(3, 1)), notes(z(3, 1)), prepares(),
		commitsIn(3, 3, 900, z(3, 1)), truncatesTo(z(3, 2)), truncatesTo(z(1, 6)),
		commitsIn(4, 2, 30, z(1, 4)), notes(z(4, 9)), prepares(), commitsIn(4, 1, 6000, 0),
		commitsIn(5, 1, 20, z(4, 3)), seals(), removes(z(1, 6)), commitsIn(5, 2, 600, z(5, 9)),
		restartsAt(z(7, 0)), commitsIn(7, 2, 70, z(7, 1)), prepares(), commitsIn(7, 1, 1900, z(7, 1)),
		truncatesTo(z(7, 1)), commitsIn(9, 1, 100, z(7, 1)), commitsIn(10, 1, 100, z(7, 1)), notes(z(10, 1)),
		truncatesTo(z(7, 0)), commitsIn(11, 1, 100, z(7, 0)), removes(z(7, 0)), commitsIn(12, 1, 20, 0), seals(),
		restartsWith(z(13, 4), tailBatch{13, 2, 30}, tailBatch{15, 0, 0}, tailBatch{15, 1, 1000}, tailBatch{16, 3, 300}),
		commitsIn(16, 1, 40, z(15, 1)), truncatesTo(z(15, 1)), commitsIn(17, 1, 30, z(15, 1)),
	}
}

// history is a run of the script: the models between steps, and the operation of the disk at
// which each was reached.
type history struct {
	disk   *vfs.Sim
	states []*model
	at     []int
	after  []wire.Zxid // what Open may be told from here on
	names  []string
}

func runScript(t *testing.T, steps []step) *history {
	t.Helper()
	h := &history{disk: vfs.NewSim(1)}
	m := newModel()
	l := mustOpen(t, h.disk, small())
	h.states, h.at, h.after = []*model{m.clone()}, []int{h.disk.Ops()}, []wire.Zxid{0}
	for _, s := range steps {
		before := m.base
		if err := s.do(l, m); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		after := before
		if m.base > before {
			after = m.base // a snapshot has it before segments go, or the log restarts
		}
		h.states, h.at = append(h.states, m.clone()), append(h.at, h.disk.Ops())
		h.after, h.names = append(h.after, after), append(h.names, s.name)
		if d := m.differsInAll(l, m.base); d != "" {
			t.Fatalf("after %s: %s", s.name, d)
		}
	}
	return h
}

// allowed returns the states that a crash after at operations may leave.
func (h *history) allowed(at int) (states []*model, after wire.Zxid, name string) {
	i := 0
	for i+1 < len(h.at) && h.at[i+1] <= at {
		i++
	}
	states = h.states[i : i+1]
	after, name = h.after[i], "at the end"
	if i+1 < len(h.at) {
		states, after, name = h.states[i:i+2], h.after[i+1], "in "+h.names[i]
	}
	return states, after, name
}

func matches(l *Log, states []*model, after wire.Zxid) (*model, string) {
	var why string
	for _, m := range states {
		c := *m
		c.reopen(after)
		d := c.differsInAll(l, max(after, c.base))
		if d == "" {
			return m, ""
		}
		why += d + "; "
	}
	return nil, why
}

// TestEveryCrashPoint cuts a scripted run after each operation of the disk, and what recovery does
// then after each of its operations, with every image of what was not synced. The log that comes
// back holds what was acknowledged and at most the write that was on its way.
func TestEveryCrashPoint(t *testing.T) {
	t.Run("standalone", func(t *testing.T) { cutEverywhere(t, script()) })
	t.Run("follower", func(t *testing.T) { cutEverywhere(t, scriptOfAFollower()) })
}

func cutEverywhere(t *testing.T, steps []step) {
	subsets, recoverySubsets, share := 4, 1, 16 // one image in so many has its recovery cut too
	if long {
		subsets, recoverySubsets, share = 64, 2, 8
	}
	h := runScript(t, steps)
	images, again, torn, rewritten := 0, 0, 0, 0
	for at := 0; at <= h.disk.Ops(); at++ {
		states, after, where := h.allowed(at)
		for img := range h.disk.Images(at, subsets) {
			images++
			name := fmt.Sprintf("crash %s after op %d, %s", where, at, img.Name)
			o := small()
			o.After = after
			l, err := Open(img.Disk, dir, o)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got, why := matches(l, states, after)
			if got == nil {
				t.Fatalf("%s: %s", name, why)
			}
			if l.Recovery().Torn {
				torn++
			}
			rewritten += l.Recovery().Rewritten
			if images%share == 0 {
				again += cutRecovery(t, name, img.Disk, states, got, after, recoverySubsets)
			}
			goOn(t, name, l, got, after)
		}
	}
	t.Logf("crash points %d, images %d, images of recovery %d, torn %d, transactions rewritten %d, lost 0",
		h.disk.Ops()+1, images, again, torn, rewritten)
	if torn == 0 || rewritten == 0 {
		t.Error("no image had a torn tail, or none needed a rewrite")
	}
}

// cutRecovery crashes the disk in and after the recovery that it has just been through. When Open
// has returned, what it returned must stay.
func cutRecovery(t *testing.T, name string, d *vfs.Sim, states []*model, got *model, after wire.Zxid, subsets int) int {
	t.Helper()
	n := 0
	for at := 0; at <= d.Ops(); at++ {
		if at == d.Ops() {
			states = []*model{got}
		}
		for img := range d.Images(at, subsets) {
			n++
			name := fmt.Sprintf("%s; then crash of the recovery after op %d, %s", name, at, img.Name)
			o := small()
			o.After = after
			l, err := Open(img.Disk, dir, o)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if m, why := matches(l, states, after); m == nil {
				t.Fatalf("%s: %s", name, why)
			}
			must(t, l.Close())
		}
	}
	return n
}

// goOn writes to a recovered log and opens it again.
func goOn(t *testing.T, name string, l *Log, m *model, after wire.Zxid) {
	t.Helper()
	m = m.clone()
	m.reopen(after)
	if l.Last() < after {
		must(t, l.Restart(after))
		m.restart(after)
	}
	for range 3 {
		b := NewBatch(64)
		m.fill(b, 1, 2, 700)
		must(t, l.Commit(b, m.last-2, 0, 0))
		m.record(m.last - 2)
	}
	must(t, l.Close())
	o := small()
	o.After = after
	again, err := Open(l.fs, dir, o)
	if err != nil {
		t.Fatalf("%s: after three more commits and a close: %v", name, err)
	}
	m.reopen(after)
	if d := m.differsInAll(again, after); d != "" {
		t.Fatalf("%s: after three more commits and a close: %s", name, d)
	}
	must(t, again.Close())
}

// A torn write behind a seal leaves sectors that are not zero. The log must not go on over them:
// the next torn write would look like damage.
func TestTornTwiceBehindASeal(t *testing.T) {
	d, m := vfs.NewSim(1), newModel()
	o := small()
	o.SegmentBytes = 16 << 10 // batches from sector 5 on
	l := mustOpen(t, d, o)
	must(t, commits(1, 20).do(l, m))
	must(t, l.Seal()) // sector 6
	for i, kept := range [][]int64{{9}, {5, 7}, {5}, {6}} {
		prepareAll(t, l)
		d.SetFaults(func(op vfs.Op) *vfs.Fault {
			if op.Kind == vfs.OpSync {
				return &vfs.Fault{Drop: true}
			}
			return nil
		})
		must(t, commits(1, 1200-i).do(l, m.clone()))
		d = d.Crash(d.Ops(), func(u vfs.Unit) bool { return slices.Contains(kept, u.Sector) })
		l = mustOpen(t, d, o)
		if why := m.differs(l, 0); why != "" || !l.Recovery().Torn {
			t.Fatalf("torn but for sectors %d: %+v, %s", kept, l.Recovery(), why)
		}
	}
}
