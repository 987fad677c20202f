package wal

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"paddock/vfs"
	"paddock/wire"
)

// countOps returns how many operations of the disk, reads too, do makes.
func countOps(d *vfs.Sim, do func()) int {
	n := 0
	d.SetFaults(func(vfs.Op) *vfs.Fault { n++; return nil })
	do()
	d.SetFaults(nil)
	return n
}

// nthFault fails operation n, once.
func nthFault(n int, f vfs.Fault) func(vfs.Op) *vfs.Fault {
	return func(op vfs.Op) *vfs.Fault {
		if n--; n != -1 {
			return nil
		}
		if op.Kind == vfs.OpWrite {
			f.Short = op.Len / 2 / vfs.SectorSize * vfs.SectorSize
		}
		return &f
	}
}

// TestEveryFault fails each operation of a scripted run once. Whatever the log says is its last
// word: nothing is acknowledged after it (fsync-once). What was acknowledged before is there when
// the disk comes back.
func TestEveryFault(t *testing.T) {
	steps := script()
	clean := vfs.NewSim(3)
	total := countOps(clean, func() {
		l, m := mustOpen(t, clean, small()), newModel()
		for _, s := range steps {
			must(t, s.do(l, m))
		}
	})
	stopped, survived := 0, 0
	for _, failure := range []error{syscall.EIO, syscall.ENOSPC} {
		for n := range total {
			d, m := vfs.NewSim(uint64(n)), newModel()
			d.SetFaults(nthFault(n, vfs.Fault{Err: failure}))
			l, err := Open(d, dir, small())
			if err != nil {
				continue // TestEveryFaultOfOpen
			}
			states, after := []*model{m.clone()}, m.base
			for _, s := range steps {
				before := m.clone()
				err := s.do(l, m)
				after = m.base
				states = []*model{m.clone()}
				if err == nil {
					continue
				}
				states = append(states, before)
				what := fmt.Sprintf("operation %d fails with %v, in %s", n, failure, s.name)
				if !errors.Is(err, failure) {
					t.Errorf("%s: got %v", what, err)
				}
				if l.Err() != nil {
					stopped++
					isFinal(t, what, l, d)
					break
				}
				survived++
				if !errors.Is(err, ErrNoSpace) && s.name != "prepare" && !strings.HasPrefix(s.name, "remove") && !strings.HasPrefix(s.name, "truncate") {
					t.Errorf("%s: the log goes on", what)
				}
				m = before // a truncation that could not read, a removal, a lack of space: nothing happened
				break
			}
			d.SetFaults(nil)
			for img := range d.Images(d.Ops(), 3) {
				o := small()
				o.After = after
				back, err := Open(img.Disk, dir, o)
				if err != nil {
					t.Fatalf("operation %d failed with %v; then crash, %s: %v", n, failure, img.Name, err)
				}
				if got, why := matches(back, states, after); got == nil {
					t.Fatalf("operation %d failed with %v; then crash, %s: %s", n, failure, img.Name, why)
				}
				must(t, back.Close())
			}
		}
	}
	t.Logf("operations %d, final errors %d, others %d", total, stopped, survived)
	if stopped < 100 || survived == 0 {
		t.Error("too few errors")
	}
}

// isFinal checks that a failed log stays failed and leaves the disk alone.
func isFinal(t *testing.T, what string, l *Log, d *vfs.Sim) {
	t.Helper()
	first, before := l.Err(), d.Ops()
	b := NewBatch(64)
	b.Add(l.Last()+1, []byte("x"))
	_, prepareErr := l.Prepare()
	for call, err := range map[string]error{
		"Commit": l.Commit(b, 0, 0, 0), "Seal": l.Seal(), "Prepare": prepareErr,
		"TruncateTo": l.TruncateTo(0), "Restart": l.Restart(99), "RestartWith": l.RestartWith(99, []*Batch{b}), "RemoveThrough": l.RemoveThrough(99),
		"Close": l.Close(),
	} {
		if err != first {
			t.Errorf("%s: %s then: got %v, want %v", what, call, err, first)
		}
	}
	if n := d.Ops(); n != before {
		t.Errorf("%s: %d operations after the error", what, n-before)
	}
}

// TestEveryFaultOfOpen fails each operation of Open, Restart and AcceptLoss once, over a log that
// needs its tail rewritten or is damaged. They return an error and give up the lock, and a second try
// does what the first should have done.
func TestEveryFaultOfOpen(t *testing.T) {
	unsealed, m := damagedLog(t, false)
	damaged := unsealed.Clone()
	names := segmentFiles(t, damaged)
	must(t, damaged.FlipBit(dir+"/"+names[len(names)-2], 1600, 0))
	calls := map[string]struct {
		disk *vfs.Sim
		do   func(d *vfs.Sim) error
	}{
		"Open": {unsealed, func(d *vfs.Sim) error {
			l, err := Open(d, dir, small())
			if err != nil {
				return err
			}
			defer l.Close()
			if why := m.differs(l, 0); why != "" {
				return errors.New(why)
			}
			return nil
		}},
		"Restart": {unsealed, func(d *vfs.Sim) error {
			l, err := Restart(d, dir, 0, small())
			if err != nil {
				return err
			}
			return l.Close()
		}},
		"AcceptLoss": {damaged, func(d *vfs.Sim) error { return second(AcceptLoss(d, dir, small())) }},
	}
	for name, call := range calls {
		counted := call.disk.Clone()
		total := countOps(counted, func() { must(t, call.do(counted)) })
		failed := 0
		for n := range total {
			d := call.disk.Clone()
			d.SetFaults(nthFault(n, vfs.Fault{Err: syscall.EIO}))
			err := call.do(d)
			d.SetFaults(nil)
			if err != nil {
				failed++
			}
			if err := call.do(d); err != nil {
				t.Errorf("%s, operation %d of %d failed; second try: %v", name, n, total, err)
			}
		}
		if failed < total/4 {
			t.Errorf("%s: %d of %d failed operations were errors", name, failed, total)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// TestFullDisk: a lack of space for the next segment is found by Prepare, between batches, and is
// survived; Room says what still fits.
func TestFullDisk(t *testing.T) {
	d, m := vfs.NewSim(1), newModel()
	l := mustOpen(t, d, small())
	must(t, commits(1, 20).do(l, m))
	d.SetCapacity(minSegment + 100)
	for range 2 {
		if _, err := l.Prepare(); !errors.Is(err, ErrNoSpace) || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("prepare on a full disk: got %v, want ErrNoSpace", err)
		}
		if names, _ := d.List(dir); len(names) != 1 {
			t.Fatalf("files after a failed preparation: got %q, want one segment", names)
		}
	}
	b := NewBatch(64)
	for m.fill(b, 1, 1, 20); b.Size() <= l.Stats().Room; m.fill(b, 1, 1, 20) {
		must(t, l.Commit(b, 0, 0, 0))
	}
	must(t, l.Err())
	d.SetCapacity(0)
	prepareAll(t, l)
	if s := l.Stats(); !s.Prepared || s.Room < minSegment/2 {
		t.Errorf("after space came back: got %+v", s)
	}
	must(t, l.Commit(b, 0, 0, 0))
	if s := l.Stats(); s.Outruns != 1 || s.Rolls != 2 {
		t.Errorf("rolls: got %+v, want 2, the first of them outrun", s)
	}
	// A batch that does not fit and finds no space waits for it: nothing of it was written.
	d.SetCapacity(minSegment)
	m.fill(b, 1, 1, 3000)
	for range 2 {
		if err := l.Commit(b, 0, 0, 0); !errors.Is(err, ErrNoSpace) || !errors.Is(err, syscall.ENOSPC) || l.Err() != nil {
			t.Fatalf("commit without space: got %v, then %v; want ErrNoSpace, then none", err, l.Err())
		}
	}
	must(t, l.Seal())
	d.SetCapacity(0)
	must(t, l.Commit(b, 0, 0, 0))
	if why := m.differs(l, 0); why != "" {
		t.Error(why)
	}
	d = d.Crash(d.Ops(), func(vfs.Unit) bool { return false })
	l = mustOpen(t, d, small())
	if why := m.differs(l, 0); why != "" {
		t.Errorf("after a crash: %s", why)
	}
	// A truncation that finds none is the end.
	d.SetCapacity(minSegment)
	if err := l.TruncateTo(2); !errors.Is(err, syscall.ENOSPC) || l.Err() == nil {
		t.Errorf("truncation without space: got %v, want a final ENOSPC", err)
	}
}

// Where even the beginnings of the next segment cannot be removed, the disk is worse than full.
func TestFullDiskThatRefusesRemoval(t *testing.T) {
	d := vfs.NewSim(1)
	l := mustOpen(t, d, small())
	d.SetCapacity(100)
	d.SetFaults(vfs.FailNth(vfs.OpRemove, 1, vfs.Fault{Err: syscall.EROFS}))
	if _, err := l.Prepare(); !errors.Is(err, syscall.EROFS) || l.Err() == nil {
		t.Errorf("prepare: got %v, want a final EROFS", err)
	}
}

// A log that the disk lies to is refused, not believed: a write that was reported and not
// done, and one that went to another place.
func TestLyingDisk(t *testing.T) {
	for name, f := range map[string]vfs.Fault{
		"dropped write":     {Drop: true},
		"misdirected ahead": {Shift: sectorSize},
		"misdirected back":  {Shift: -2 * sectorSize},
	} {
		d, m := vfs.NewSim(1), newModel()
		l := mustOpen(t, d, small())
		must(t, commits(1, 20).do(l, m))
		must(t, commits(1, 700).do(l, m))
		d.SetFaults(vfs.FailNth(vfs.OpWrite, 1, f))
		must(t, commits(1, 20).do(l, m))
		d.SetFaults(nil)
		must(t, l.Close())
		if got := outcome(t, name, d.Clone(), m, 0); got == "lost" || got == "right" || got == "wrong" {
			t.Errorf("%s: got %s, want a refusal", name, got)
		}
	}
}

func TestSecondProcess(t *testing.T) {
	d := vfs.NewSim(1)
	l := mustOpen(t, d, small())
	_, err := Open(d, dir, small())
	if !errors.Is(err, vfs.ErrLocked) {
		t.Fatalf("second open: got %v, want ErrLocked", err)
	}
	for _, want := range []string{"directory " + dir, "pid 1"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("second open: %q does not say %q", err, want)
		}
	}
	must(t, l.Close())
	must(t, l.Close())
	if err := l.Commit(NewBatch(0), 0, 0, 0); !errors.Is(err, ErrClosed) {
		t.Errorf("commit after close: got %v, want ErrClosed", err)
	}
	if err := l.RemoveThrough(1); !errors.Is(err, ErrClosed) {
		t.Errorf("remove after close: got %v, want ErrClosed", err)
	}
	mustOpen(t, d, small())
}

func TestLaterVersionIsRefusedAsSuch(t *testing.T) {
	d, m := vfs.NewSim(1), newModel()
	l := mustOpen(t, d, small())
	must(t, commits(1, 20).do(l, m))
	must(t, l.Close())
	name := dir + "/" + segmentFiles(t, d)[0]
	b := fileBytes(t, d, name)
	b[11] = formatVersion + 1
	resumSegment(b)
	overwrite(t, d, name, b)
	var version *VersionError
	if _, err := Open(d, dir, small()); !errors.As(err, &version) || version.Version != 2 {
		t.Errorf("open: got %v, want a VersionError", err)
	} else if !strings.Contains(err.Error(), "format version 2") {
		t.Errorf("text: %s", err)
	}
	if _, err := AcceptLoss(d, dir, small()); !errors.As(err, &version) {
		t.Errorf("accept-loss: got %v, want a VersionError", err)
	}
}

func overwrite(t testing.TB, d vfs.FS, name string, b []byte) {
	t.Helper()
	f, err := d.OpenWrite(name)
	must(t, err)
	_, err = f.WriteAt(b, 0)
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
}

func TestOptionsAreChecked(t *testing.T) {
	_, err := Open(vfs.NewSim(1), dir, Options{SegmentBytes: 4097, PrepareBytes: -1, After: -1})
	for _, want := range []string{"SegmentBytes 4097", "PrepareBytes -1", "After"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %q", err, want)
		}
	}
	if _, err := Restart(vfs.NewSim(1), dir, 0, Options{SegmentBytes: 1}); err == nil {
		t.Error("Restart took bad options")
	}
	if o, err := (Options{}).withDefaults(); err != nil || o.SegmentBytes != 64<<20 || o.PrepareBytes != 1<<20 {
		t.Errorf("defaults: got %+v, %v", o, err)
	}
}

func TestDumpSaysWhatIsDamaged(t *testing.T) {
	d, _ := damagedLog(t, true)
	names := segmentFiles(t, d)
	must(t, d.FlipBit(dir+"/"+names[0], 1600, 1))
	must(t, d.ZeroSector(dir+"/"+names[1], 0))
	var out bytes.Buffer
	must(t, Dump(&out, d, dir, DumpOptions{}))
	for _, want := range []string{errHeader.Error(), errSegmentHeader.Error(), "goes on in segment", "cut", "digest"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("dump does not say %q:\n%s", want, &out)
		}
	}
	if err := Dump(&out, d, "/none", DumpOptions{}); err == nil {
		t.Error("dump of no directory succeeded")
	}
}

func TestDumpOfARangeShowsItsTransactions(t *testing.T) {
	d, _ := damagedLog(t, true)
	var seen []wire.Zxid
	var out bytes.Buffer
	must(t, Dump(&out, d, dir, DumpOptions{From: 3, To: 4, Txn: func(zxid wire.Zxid, txn []byte) string {
		if !bytes.HasPrefix(txn, fmt.Appendf(nil, "txn %s of", zxid)) {
			t.Errorf("under zxid %s came %q", zxid, txn)
		}
		if zxid == 4 {
			return ""
		}
		seen = append(seen, zxid)
		return "line of " + zxid.String()
	}}))
	text := out.String()
	if !strings.Contains(text, "           line of 0x3\n") || strings.Contains(text, "line of 0x2\n") ||
		strings.Contains(text, "seal") || strings.Contains(text, "0x5..") {
		t.Errorf("dump of 0x3 to 0x4:\n%s", text)
	}
	if len(seen) == 0 {
		t.Error("nothing was asked for its line")
	}
}
