package wal

import (
	"errors"
	"fmt"
	"path"
	"syscall"
	"testing"

	"paddock/vfs"
	"paddock/wire"
)

// TestPeekBase asks logs that nobody began with a snapshot, and such as have gone on since.
func TestPeekBase(t *testing.T) {
	d, m := vfs.NewSim(1), newModel()
	check := func(when string, base wire.Zxid, want bool) {
		t.Helper()
		got, began, err := PeekBase(d, dir)
		if err != nil || began != want || began && got != base {
			t.Errorf("%s: got %s, %v, %v; want %s, %v", when, got, began, err, base, want)
		}
	}
	check("no directory", 0, false)
	l := mustOpen(t, d, small())
	check("an empty log", 0, false)
	prepareAll(t, l)
	check("a prepared segment", 0, false)
	must(t, commits(2, 700).do(l, m))
	must(t, commits(2, 700).do(l, m))
	check("a log from the beginning", 0, false)
	must(t, restartsAt(9).do(l, m))
	check("a restart", 9, true)
	for range 5 {
		must(t, commits(2, 700).do(l, m))
		prepareAll(t, l)
	}
	check("segments later", 9, true)
	must(t, truncatesTo(12).do(l, m))
	check("a truncation", 9, true)
	must(t, truncatesTo(9).do(l, m))
	check("a truncation to where it began", 9, true)
	must(t, commits(2, 700).do(l, m))
	must(t, commits(2, 1700).do(l, m))
	must(t, l.RemoveThrough(11))
	check("its beginning was removed", 0, false)
	must(t, restartsWith(20, tailBatch{0, 2, 30}).do(l, m))
	must(t, l.RestartWith(m.last, nil))
	check("another restart", 22, true)
}

// installed is a log over which another one began, with a tail of two epochs, and the states of
// both. base is where the new one begins; the old one ends above it if above.
type installed struct {
	disk     *vfs.Sim
	from     int // operations of the disk before
	old, new *model
	base     wire.Zxid
}

func install(t *testing.T, prepared, above bool) *installed {
	t.Helper()
	x := &installed{disk: vfs.NewSim(4), new: newModel(), base: z(3, 2)}
	if above {
		x.base = z(1, 2)
	}
	l, m := mustOpen(t, x.disk, small()), newModel()
	for _, s := range []step{commitsIn(1, 2, 40, z(1, 2)), seals(), commitsIn(1, 1, 700, z(1, 2)), commitsIn(2, 2, 30, z(1, 2))} {
		must(t, s.do(l, m))
	}
	if prepared {
		prepareAll(t, l)
	}
	x.old, x.from = m, x.disk.Ops()
	tail := fillTail(x.new, x.base, []tailBatch{{x.base.Epoch(), 2, 40}, {4, 3, 500}, {7, 1, 20}})
	must(t, l.RestartWith(x.base, tail))
	if why := x.new.differsInAll(l, x.base); why != "" {
		t.Fatal(why)
	}
	if l.Base() != x.base || l.Committed() != x.base {
		t.Fatalf("got base %s, committed %s; want %s", l.Base(), l.Committed(), x.base)
	}
	return x
}

// TestEveryCrashPointOfARestart cuts RestartWith everywhere, as a start-up that loaded the old
// snapshot finds it: there is the old log, or the new one with its whole tail. PeekBase knows
// which, and what it has said stays so, whatever a second crash makes of the start-up.
func TestEveryCrashPointOfARestart(t *testing.T) {
	for _, prepared := range []bool{false, true} {
		x := install(t, prepared, false)
		images, olds, news := 0, 0, 0
		for at := x.from; at <= x.disk.Ops(); at++ {
			for img := range x.disk.Images(at, 4) {
				images++
				what := fmt.Sprintf("prepared %v: crash after op %d, %s", prepared, at, img.Name)
				if x.check(t, what, img.Disk.Clone()) == x.new {
					news++
				} else if olds++; at == x.disk.Ops() {
					t.Fatalf("%s: the old log, after RestartWith has returned", what)
				}
				if images%4 == 0 || long {
					x.cutStart(t, what, img.Disk)
				}
			}
		}
		t.Logf("images %d, old %d, new %d", images, olds, news)
		if olds == 0 || news == 0 {
			t.Error("every image had the same outcome")
		}
	}
}

// check peeks and opens, and says which of the two logs is there.
func (x *installed) check(t *testing.T, what string, d *vfs.Sim) *model {
	t.Helper()
	base, began, err := PeekBase(d, dir)
	if err != nil {
		t.Fatalf("%s: peek: %v", what, err)
	}
	m, o := x.old, small()
	if o.After = z(1, 1); began {
		m, o.After = x.new, base
	}
	l, err := Open(d, dir, o)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	defer l.Close()
	m.reopen(o.After)
	if why := m.differsInAll(l, max(m.base, o.After)); why != "" || began && base != x.base || l.Base() != m.base {
		t.Fatalf("%s: peeked %s, %v; base %s: %s", what, base, began, l.Base(), why)
	}
	return m
}

// cutStart crashes the disk once more, at the end of and during what check does.
func (x *installed) cutStart(t *testing.T, what string, d *vfs.Sim) {
	t.Helper()
	_, began, err := PeekBase(d, dir)
	if err != nil {
		t.Fatalf("%s: peek: %v", what, err)
	}
	peeked := d.Ops()
	o := small()
	if o.After = z(1, 1); began {
		o.After = x.base
	}
	if l, err := Open(d, dir, o); err != nil {
		t.Fatalf("%s: %v", what, err)
	} else {
		must(t, l.Close())
	}
	for at := peeked; at <= d.Ops(); at++ {
		for img := range d.Images(at, 1) {
			again := fmt.Sprintf("%s; again after %d, %s", what, at, img.Name)
			if got := x.check(t, again, img.Disk); began && got != x.new {
				t.Fatalf("%s: the new log was there and is gone", again)
			}
		}
	}
}

// TestEveryFaultOfARestart fails each operation of RestartWith. A lack of space before anything of
// the log changed is survived; all else is final. A start finds one of the two logs.
func TestEveryFaultOfARestart(t *testing.T) {
	x := install(t, true, false)
	base := x.disk.Crash(x.from, func(vfs.Unit) bool { return true })
	tail := func() []*Batch {
		return fillTail(newModel(), x.base, []tailBatch{{x.base.Epoch(), 2, 40}, {4, 3, 500}, {7, 1, 20}})
	}
	run := func(d *vfs.Sim, fault func() func(vfs.Op) *vfs.Fault) (*Log, error) {
		l := mustOpen(t, d, small())
		x.from = d.Ops()
		d.SetFaults(fault())
		return l, l.RestartWith(x.base, tail())
	}
	total := 0
	_, err := run(base.Clone(), func() func(vfs.Op) *vfs.Fault {
		return func(vfs.Op) *vfs.Fault { total++; return nil }
	})
	must(t, err)
	final, survived := 0, 0
	for _, failure := range []error{syscall.EIO, syscall.ENOSPC} {
		for n := range total {
			d := base.Clone()
			what := fmt.Sprintf("operation %d fails with %v", n, failure)
			l, err := run(d, func() func(vfs.Op) *vfs.Fault { return nthFault(n, vfs.Fault{Err: failure}) })
			if !errors.Is(err, failure) {
				t.Errorf("%s: got %v", what, err)
			}
			d.SetFaults(nil)
			if l.Err() != nil {
				final++
				isFinal(t, what, l, d)
				for img := range d.Images(d.Ops(), 3) {
					x.check(t, what+"; then crash, "+img.Name, img.Disk)
				}
				continue
			}
			survived++
			if !errors.Is(err, ErrNoSpace) {
				t.Errorf("%s: the log goes on", what)
			}
			old := *x.old
			if why := old.differsInAll(l, 0); why != "" {
				t.Errorf("%s: %s", what, why)
			}
			must(t, l.RestartWith(x.base, tail()))
			m := *x.new
			if why := m.differsInAll(l, x.base); why != "" {
				t.Errorf("%s, tried again: %s", what, why)
			}
		}
	}
	t.Logf("operations %d, final %d, survived %d", total, final, survived)
	if final == 0 || survived == 0 {
		t.Error("every fault had the same outcome")
	}
}

// TestEveryBitOfARestart damages all segments, with and without what came before the seal: what
// comes back is the new log, or a refusal by name. PeekBase may be silent then, and never says
// what is not so.
func TestEveryBitOfARestart(t *testing.T) {
	x := install(t, true, false)
	unsealed := x.disk.Ops()
	for unsealed > 0 && x.disk.Op(unsealed-1).Kind != vfs.OpWrite {
		unsealed--
	}
	counts := map[string]int{}
	disks := map[string]*vfs.Sim{
		"sealed":   x.disk.Clone(),
		"unsealed": x.disk.Crash(unsealed-2, func(vfs.Unit) bool { return true }),
	}
	for state, disk := range disks {
		if got := x.check(t, state, disk.Clone()); got != x.new {
			t.Fatalf("%s: not the new log", state)
		}
		try := func(what string, d *vfs.Sim) {
			base, began, err := PeekBase(d, dir)
			if began && base != x.base {
				t.Errorf("%s, %s: peeked %s", state, what, base)
			}
			got := outcome(t, state+", "+what, d, x.new, 0)
			if counts[got]++; got == "right" && !began {
				t.Errorf("%s, %s: opened, and peeked %v, %v", state, what, began, err)
			}
		}
		for _, name := range segmentFiles(t, disk) {
			file := path.Join(dir, name)
			size := len(fileBytes(t, disk, file))
			for s := range int64(size / sectorSize) {
				d := disk.Clone()
				must(t, d.ZeroSector(file, s))
				if state == "unsealed" && inLastBatch(t, disk, name, s) {
					continue // taken for a torn write, as in TestEveryBit
				}
				try(fmt.Sprintf("sector %d of %s zeroed", s, name), d)
				d = disk.Clone()
				must(t, d.BadSector(file, s))
				try(fmt.Sprintf("sector %d of %s unreadable", s, name), d)
			}
			for bit := 0; bit < size*8; bit += 97 {
				d := disk.Clone()
				must(t, d.FlipBit(file, int64(bit/8), uint(bit%8)))
				try(fmt.Sprintf("bit %d of byte %d of %s", bit%8, bit/8, name), d)
			}
		}
	}
	t.Logf("outcomes %v", counts)
	if counts["lost"] > 0 || counts["hole"] == 0 || counts["right"] == 0 {
		t.Errorf("outcomes: %v", counts)
	}
}

// TestAcceptLossAfterARestart gives up damage in a log that began anew: what remains is a beginning of
// the new log, or nothing behind the snapshot. What the restart made void does not come back.
func TestAcceptLossAfterARestart(t *testing.T) {
	for _, above := range []bool{false, true} {
		x := install(t, true, above)
		gaveUp := 0
		for _, name := range segmentFiles(t, x.disk) {
			for s := range int64(len(fileBytes(t, x.disk, path.Join(dir, name))) / sectorSize) {
				d := x.disk.Clone()
				must(t, d.BadSector(path.Join(dir, name), s))
				what := fmt.Sprintf("old log above %v: sector %d of %s", above, s, name)
				o := small()
				o.After = x.base
				loss, err := AcceptLoss(d, dir, o)
				must(t, err)
				if loss.Damage != nil {
					gaveUp++
				}
				l := mustOpen(t, d, o)
				rest := *x.new
				rest.txns = x.new.clone().txns
				if l.Last() < rest.last {
					rest.truncate(l.Last())
				}
				if why := rest.differs(l, x.base); why != "" || l.Last() < x.base {
					t.Errorf("%s: ends at %s: %s", what, l.Last(), why)
				}
				must(t, l.Close())
			}
		}
		if gaveUp == 0 {
			t.Error("nothing was given up")
		}
	}
}
