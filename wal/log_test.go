package wal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"paddock/vfs"
	"paddock/wire"
)

func TestFollows(t *testing.T) {
	tests := []struct {
		name       string
		prev, next wire.Zxid
		want       bool
	}{
		{"the next counter", 0x100000001, 0x100000002, true},
		{"the first of a new log", 0, 1, true},
		{"the first of the next epoch", 0x1000000ff, 0x200000001, true},
		{"the first of an epoch after some that came to nothing", 0x1000000ff, 0x700000001, true},
		{"a gap", 0x100000001, 0x100000003, false},
		{"the same again", 0x100000001, 0x100000001, false},
		{"an epoch that does not begin with 1", 0x100000001, 0x200000002, false},
		{"an earlier epoch", 0x200000001, 0x100000001, false},
		{"a counter that ran over", 0x1ffffffff, 0x200000000, false},
	}
	for _, tt := range tests {
		if got := Follows(tt.prev, tt.next); got != tt.want {
			t.Errorf("%s: Follows(%s, %s): got %v, want %v", tt.name, tt.prev, tt.next, got, tt.want)
		}
	}
}

func TestBatch(t *testing.T) {
	b := NewBatch(10)
	if b.Len() != 0 || b.First() != 0 || b.Last() != 0 || b.Size() != sectorSize {
		t.Errorf("empty batch: got %d, %s, %s, %d", b.Len(), b.First(), b.Last(), b.Size())
	}
	b.End(append(b.Begin(0x100000007), "seven"...))
	_ = append(b.Begin(0x100000008), "given up"...)
	b.Add(0x100000008, []byte("eight"))
	b.Add(0x100000009, make([]byte, 1000))
	if b.Len() != 3 || b.First() != 0x100000007 || b.Last() != 0x100000009 || b.Size() != 3*sectorSize {
		t.Errorf("batch: got %d, %s, %s, %d", b.Len(), b.First(), b.Last(), b.Size())
	}
	if b.Accepts(0x200000001) || !b.Accepts(0x10000000a) {
		t.Error("a batch must be of one epoch, without gaps")
	}
	want := map[wire.Zxid]string{0x100000007: "seven", 0x100000008: "eight", 0x100000009: string(make([]byte, 1000))}
	for zxid, txn := range b.Txns() {
		if string(txn) != want[zxid] {
			t.Errorf("%s: got %q, want %q", zxid, txn, want[zxid])
		}
		delete(want, zxid)
	}
	if len(want) != 0 {
		t.Errorf("missing: %v", want)
	}
	for range b.Txns() {
		break
	}
	b.Reset()
	b.Add(1, make([]byte, keepBatchBytes+1))
	if b.Reset(); cap(b.buf) > keepBatchBytes {
		t.Errorf("a batch of %d bytes was kept", cap(b.buf))
	}
}

func TestMisuseStops(t *testing.T) {
	d := vfs.NewSim(1)
	l := mustOpen(t, d, small())
	b := NewBatch(0)
	for name, do := range map[string]func(){
		"a gap in a batch":     func() { b.Reset(); b.Add(5, []byte("x")); b.Begin(7) },
		"zxid 0":               func() { b.Reset(); b.Begin(0) },
		"an empty transaction": func() { b.Reset(); b.Add(5, nil) },
		"End without Begin":    func() { b.Reset(); b.End(make([]byte, 200)) },
		"a commit that leaves a gap": func() {
			b.Reset()
			b.Add(2, []byte("x"))
			_ = l.Commit(b, 0, 0, 0)
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s did not stop the process", name)
				}
			}()
			do()
		}()
	}
}

func TestWhatCommitTells(t *testing.T) {
	d := vfs.NewSim(1)
	l := mustOpen(t, d, Options{SegmentBytes: minSegment}) // draws its own id
	b := NewBatch(0)
	must(t, l.Commit(b, 0, 0, 0)) // nothing to do
	if n := l.Stats().Fsyncs; n != 0 {
		t.Errorf("an empty commit took %d fsyncs", n)
	}
	tell := func(txns int, committed, digestAt wire.Zxid, digest uint64) {
		b.Reset()
		for z := l.Last() + 1; txns > 0; z, txns = z+1, txns-1 {
			b.Add(z, []byte("txn"))
		}
		must(t, l.Commit(b, committed, digestAt, digest))
	}
	tell(3, 2, 1, 11)
	tell(3, 1, 0, 0)   // a commit position never goes back
	tell(1, 99, 3, 33) // nor beyond the log
	check := func(committed wire.Zxid, c Checkpoint) {
		t.Helper()
		if got := l.Committed(); got != committed {
			t.Errorf("committed: got %s, want %s", got, committed)
		}
		if got := l.Checkpoint(); got != c {
			t.Errorf("checkpoint: got %+v, want %+v", got, c)
		}
	}
	check(7, Checkpoint{3, 33})
	must(t, l.Close())
	l = mustOpen(t, d, small())
	check(7, Checkpoint{3, 33})
	if s := l.Stats(); s.Segments != 1 || s.LogBytes != 4*sectorSize {
		t.Errorf("stats after open: got %+v", s)
	}
	must(t, l.TruncateTo(2))
	check(2, Checkpoint{1, 11})
	must(t, l.Restart(50))
	check(50, Checkpoint{})
}

func TestReplayNeedsWhatItContinues(t *testing.T) {
	d := vfs.NewSim(1)
	l := mustOpen(t, d, roomy())
	must(t, l.Restart(0x100000003))
	b := NewBatch(0)
	b.Add(0x100000004, []byte("a"))
	must(t, l.Commit(b, 0, 0, 0))
	b.Reset()
	b.Add(0x200000001, []byte("b"))
	b.Add(0x200000002, []byte("c"))
	must(t, l.Commit(b, 0, 0, 0))
	stop := errors.New("stop")
	tests := []struct {
		name  string
		after wire.Zxid
		want  string
		err   error
	}{
		{"from the beginning", 0x100000003, "abc", nil},
		{"from the end of an epoch", 0x100000004, "bc", nil},
		{"from the middle of a batch", 0x200000001, "c", nil},
		{"from the end", 0x200000002, "", nil},
		{"from beyond the end", 0x300000001, "", nil},
		{"from before the beginning", 0x100000002, "", ErrBelow},
		{"from a transaction of another history", 0x100000005, "", ErrDiverged},
		{"until the caller stops", 0x100000003, "a", stop},
	}
	for _, tt := range tests {
		got := ""
		err := l.Replay(tt.after, func(txn []byte) error {
			got += string(txn)
			if tt.err == stop {
				return stop
			}
			return nil
		})
		if got != tt.want || !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
			t.Errorf("%s: got %q, %v; want %q, %v", tt.name, got, err, tt.want, tt.err)
		}
	}
	for zxid, want := range map[wire.Zxid]error{0x100000002: ErrBelow, 0x100000005: ErrAbsent, 0x300000001: ErrAbsent} {
		if err := l.TruncateTo(zxid); !errors.Is(err, want) || l.Err() != nil {
			t.Errorf("truncation to %s: got %v, want %v", zxid, err, want)
		}
	}
	// Damage that appears while the log is open.
	must(t, d.FlipBit(dir+"/"+segmentName(1), l.links[0].end-100, 0))
	if err := l.Replay(0x100000003, func([]byte) error { return nil }); !errors.Is(err, ErrHole) {
		t.Errorf("replay of what rotted: got %v, want a hole", err)
	}
	must(t, d.Remove(dir+"/"+segmentName(1)))
	if err := l.Replay(0x100000003, func([]byte) error { return nil }); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("replay of what was removed: got %v, want ErrNotExist", err)
	}
	if err := l.TruncateTo(0x200000001); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("truncation of what was removed: got %v, want ErrNotExist", err)
	}
}

func TestSnapshotNewerThanTheLog(t *testing.T) {
	d, m := vfs.NewSim(1), newModel()
	l := mustOpen(t, d, small())
	must(t, commits(2, 20).do(l, m))
	must(t, l.Close())
	o := small()
	o.After = 10
	l = mustOpen(t, d, o)
	if l.Last() != 2 {
		t.Errorf("last: got %s, want 0x2", l.Last())
	}
	must(t, l.Close())
	// No log at all beside a snapshot is a loss, unless somebody says that it begins there.
	d = vfs.NewSim(1)
	if _, err := Open(d, dir, o); !errors.Is(err, ErrHole) {
		t.Errorf("empty log beside a snapshot: got %v, want a hole", err)
	}
	l, err := Restart(d, dir, 10, o)
	must(t, err)
	must(t, l.Close())
	l = mustOpen(t, d, o)
	must(t, l.Close())
	// And the log's own id need not be given.
	l, err = Restart(vfs.NewSim(1), dir, 10, Options{SegmentBytes: minSegment})
	must(t, err)
	must(t, l.Close())
}

// TestBeside runs Prepare, Replay, RemoveThrough and the accessors beside Commit, on real files;
// under -race it shows what they share.
func TestBeside(t *testing.T) {
	name := t.TempDir()
	o := Options{SegmentBytes: 16 << 10, PrepareBytes: 4 << 10, LogID: 7}
	l, err := Open(vfs.OS(), name, o)
	must(t, err)
	rounds := 80
	if long {
		rounds = 3000
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	beside := func(do func() error) {
		wg.Go(func() {
			for {
				if err := do(); err != nil {
					t.Error(err)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	beside(func() error { _, err := l.Prepare(); return err })
	beside(func() error {
		base, n := l.Base(), 0
		err := l.Replay(base, func([]byte) error { n++; return nil })
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, ErrBelow) {
			return nil // removed meanwhile
		}
		return err
	})
	beside(func() error { return l.RemoveThrough(l.Last() - 60) })
	beside(func() error {
		l.NoteCommitted(l.Last() - 5)
		last, n := l.Last(), 0
		err := l.Range(max(last-40, 0), last, func(wire.Zxid, []byte) error { n++; return nil })
		if err == nil && n != int(min(last, 40)) {
			return fmt.Errorf("range of the last 40 of %s: got %d transactions", last, n)
		}
		if errors.Is(err, ErrBelow) {
			return nil // removed meanwhile
		}
		return err
	})
	beside(func() error {
		if s := l.Stats(); s.Segments > 0 && l.Committed() > l.Last() {
			return errors.New("committed beyond the log")
		}
		return nil
	})
	m, b := newModel(), NewBatch(0)
	for i := range rounds {
		m.fill(b, 1+i%5, 1, 100+i)
		must(t, l.Commit(b, m.last, m.last, 1))
		if i%7 == 0 {
			must(t, l.Seal())
		}
	}
	close(done)
	wg.Wait()
	must(t, l.RemoveThrough(l.Last()-60)) // the one beside may have been late
	s := l.Stats()
	if s.Rolls < 5 || s.Batches != uint64(rounds) || l.Base() == 0 {
		t.Errorf("stats: got %+v, base %s", s, l.Base())
	}
	must(t, l.Close())
	o.After = l.Base()
	if left, err := filepath.Glob(filepath.Join(name, "*.tmp")); len(left) != 0 || err != nil {
		t.Logf("left behind for Open to remove: %v", left)
	}
	l, err = Open(vfs.OS(), name, o)
	must(t, err)
	defer l.Close()
	if d := m.differs(l, l.Base()); d != "" {
		t.Error(d)
	}
	if left, _ := filepath.Glob(filepath.Join(name, "*.tmp")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestCommitDoesNotAllocate(t *testing.T) {
	l, err := Open(vfs.OS(), t.TempDir(), Options{SegmentBytes: 4 << 20, LogID: 7})
	must(t, err)
	defer l.Close()
	prepareAll(t, l)
	b, last, txn := NewBatch(8<<10), wire.Zxid(0), txnBytes(1, 1, 150)
	n := testing.AllocsPerRun(100, func() {
		b.Reset()
		for range 20 {
			last++
			b.End(append(b.Begin(last), txn...))
		}
		if err := l.Commit(b, last, last, 1); err != nil {
			t.Fatal(err)
		}
		for _, txn := range b.Txns() {
			last += wire.Zxid(len(txn) - len(txn))
		}
	})
	if n != 0 {
		t.Errorf("commit of 20 transactions: %v allocs, want 0", n)
	}
	if s := l.Stats(); s.Fsyncs != 101 {
		t.Errorf("101 commits took %d fsyncs", s.Fsyncs)
	}
}

// TestOneWriteOneSync counts what a commit asks of the disk: one write, and the index's with every
// sixteenth batch, and one sync.
func TestOneWriteOneSync(t *testing.T) {
	d, m := vfs.NewSim(1), newModel()
	o := small()
	o.SegmentBytes = 64 << 10
	l := mustOpen(t, d, o)
	prepareAll(t, l)
	for range 50 {
		d.Compact()
		must(t, commits(1, 100).do(l, m))
	}
	writes, syncs := 0, 0
	d.SetFaults(func(op vfs.Op) *vfs.Fault {
		switch op.Kind {
		case vfs.OpWrite:
			writes++
		case vfs.OpSync:
			syncs++
		default:
			t.Errorf("a commit asked for: %s", op)
		}
		return nil
	})
	for range 32 {
		must(t, commits(1, 100).do(l, m))
	}
	if writes != 34 || syncs != 32 {
		t.Errorf("32 commits: got %d writes, %d syncs, want 34 and 32", writes, syncs)
	}
	writes, syncs = 0, 0
	must(t, l.Seal())
	must(t, l.Seal())
	if writes != 2 || syncs != 1 {
		t.Errorf("two seals in a row: got %d writes, %d syncs, want 2 and 1", writes, syncs)
	}
}

// A prepared segment that is too small for one large batch stays behind, empty.
func TestLargeBatch(t *testing.T) {
	d, m := vfs.NewSim(1), newModel()
	l := mustOpen(t, d, small())
	for range 3 {
		prepareAll(t, l)
		must(t, commits(1, 20).do(l, m))
		prepareAll(t, l)
		must(t, commits(1, 100_000).do(l, m))
	}
	must(t, l.Close())
	l = mustOpen(t, d, small())
	if why := m.differs(l, 0); why != "" {
		t.Error(why)
	}
}

// Segments of two logs must not be taken for one.
func TestSegmentOfAnotherLog(t *testing.T) {
	d, m := vfs.NewSim(1), newModel()
	l := mustOpen(t, d, small())
	must(t, commits(1, 1500).do(l, m))
	must(t, commits(1, 1500).do(l, m))
	must(t, l.Close())
	other, m2 := vfs.NewSim(1), newModel()
	o := small()
	o.LogID = 8
	l = mustOpen(t, other, o)
	must(t, commits(1, 1500).do(l, m2))
	must(t, l.Close())
	overwrite(t, d, dir+"/"+segmentName(1), fileBytes(t, other, dir+"/"+segmentName(1)))
	_, err := Open(d, dir, small())
	if !errors.Is(err, ErrHole) || !strings.Contains(err.Error(), errSegmentID.Error()) {
		t.Errorf("open: got %v, want a hole: %v", err, errSegmentID)
	}
	if loss, err := AcceptLoss(d, dir, small()); err != nil || loss.Last != 0 {
		t.Errorf("accept-loss: got %+v, %v", loss, err)
	}
}

// A log that is idle after each write fills the index of a segment before its sectors of data. The
// entry that closes the segment still finds room: without it, a next segment that is lost is not
// missed.
func TestEverySegmentThatIsLeftSaysSo(t *testing.T) {
	for _, o := range []Options{small(), roomy()} {
		d, m := vfs.NewSim(1), newModel()
		l := mustOpen(t, d, o)
		for i := 0; l.Stats().Segments < 4; i++ {
			must(t, commits(1, 20).do(l, m))
			if i%5 != 0 {
				must(t, l.Seal())
			}
		}
		must(t, l.Close())
		for id := uint64(1); id < l.links[len(l.links)-1].id; id++ {
			r, err := openReader(d, dir, id)
			must(t, err)
			if s := r.search(r.scan(r.dataStart(), r.size).end); s.goesOn != id+1 {
				t.Errorf("segments of %d bytes: segment %d says that the log goes on in %d, want %d", o.SegmentBytes, id, s.goesOn, id+1)
			}
		}
	}
}
