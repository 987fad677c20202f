package snap

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"paddock/tree"
	"paddock/vfs"
	"paddock/wal"
	"paddock/wire"
)

const logDir = "/data/log"

func zxid(epoch, counter int64) wire.Zxid { return wire.Zxid(epoch<<32 | counter) }

// started is what a start-up found.
type started struct {
	state state
	last  wire.Zxid
	tail  int // transactions behind the snapshot
}

// start is what a server does before it serves. It is a model of server/storage.go.
func start(d *vfs.Sim) (s started, err error) {
	base, began, err := wal.PeekBase(d, logDir)
	if err == nil && began {
		_, err = Adopt(d, dir, base)
	}
	if err != nil {
		return s, err
	}
	var m memory
	o := tested()
	o.Workers = 1
	report, err := Load(d, dir, &m, o)
	if err != nil {
		return s, err
	}
	loaded := report.Loaded.Zxid
	l, err := wal.Open(d, logDir, wal.Options{After: loaded, SegmentBytes: 4096})
	if err != nil {
		return s, err
	}
	defer l.Close()
	if l.Base() > loaded || l.Last() < loaded {
		return s, fmt.Errorf("log of %s to %s, snapshot of %s", l.Base(), l.Last(), loaded)
	}
	if err := DropStaged(d, dir); err != nil {
		return s, err
	}
	s = started{state: m.state, last: l.Last()}
	return s, l.Replay(loaded, func([]byte) error { s.tail++; return nil })
}

// batches makes a batch of each run of zxids.
func batches(runs ...[]wire.Zxid) (all []*wal.Batch) {
	for _, run := range runs {
		b := wal.NewBatch(64)
		for _, z := range run {
			b.Add(z, []byte("txn "+z.String()))
		}
		all = append(all, b)
	}
	return all
}

// TestEveryCrashPointOfAnInstall cuts the way of a received snapshot, from the first byte of it to
// its adoption, and then the start-up that follows. Until RestartWith decides there is the old state
// with the old log; from then on the new one with its whole tail. Never is one found with the
// other's.
func TestEveryCrashPointOfAnInstall(t *testing.T) {
	for name, own := range map[string]wire.Zxid{
		"our own snapshot is older":   zxid(1, 2),
		"it is of the same zxid":      zxid(3, 5),
		"it is newer, and of nowhere": zxid(4, 1),
	} {
		t.Run(name, func(t *testing.T) { cutInstall(t, own) })
	}
}

func cutInstall(t *testing.T, own wire.Zxid) {
	d := newDisk(t)
	old, next := shapes(own), shapes(zxid(3, 5))
	old.records, next.records = old.records[:5], next.records[:7]
	mustWrite(t, d, old, 1)
	l, err := wal.Open(d, logDir, wal.Options{SegmentBytes: 4096, LogID: 9})
	check(t, err)
	for _, b := range batches([]wire.Zxid{1}, []wire.Zxid{zxid(1, 1), zxid(1, 2), zxid(1, 3)},
		[]wire.Zxid{zxid(3, 1), zxid(3, 2), zxid(3, 3), zxid(3, 4), zxid(3, 5)}, []wire.Zxid{zxid(4, 1), zxid(4, 2)}) {
		check(t, l.Commit(b, 0, 0, 0))
	}
	check(t, l.Seal())
	from := d.Ops()
	before, err := start(d.Clone())
	check(t, err)

	if _, err := WriteStaged(d, dir, next.rewound(), 2, tested()); err != nil {
		t.Fatal(err)
	}
	tail := batches([]wire.Zxid{zxid(3, 6), zxid(3, 7)}, []wire.Zxid{zxid(6, 1)})
	check(t, l.RestartWith(zxid(3, 5), tail))
	decided := d.Ops()
	if adopted, err := Adopt(d, dir, zxid(3, 5)); err != nil || !adopted {
		t.Fatalf("adopted %v, %v", adopted, err)
	}
	if adopted, err := Adopt(d, dir, zxid(3, 5)); err != nil || adopted {
		t.Fatalf("adopted again: %v, %v", adopted, err)
	}
	after := started{*next, zxid(6, 1), 3}

	olds, news := 0, 0
	which := func(what string, d *vfs.Sim) bool {
		t.Helper()
		got, err := start(d)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		for _, want := range []*started{&before, &after} {
			if difference(&got.state, &want.state) == "" && got.last == want.last && got.tail == want.tail {
				for _, n := range names(t, d) {
					if strings.Contains(n, stagedSuffix) {
						t.Fatalf("%s: left %s", what, n)
					}
				}
				return want == &after
			}
		}
		t.Fatalf("%s: found %s with %d transactions up to %s", what, got.state.zxid, got.tail, got.last)
		return false
	}
	for at := from; at <= d.Ops(); at++ {
		for image := range d.Images(at, 2) {
			what := fmt.Sprintf("crash after operation %d, %s", at, image.Name)
			first := image.Disk.Ops()
			isNew := which(what, image.Disk)
			if isNew {
				news++
			} else if olds++; at >= decided {
				t.Fatalf("%s: the old state, after the log has gone over", what)
			}
			for cut := first; cut <= image.Disk.Ops(); cut++ {
				none := image.Disk.Crash(cut, func(vfs.Unit) bool { return false })
				again := fmt.Sprintf("%s, again after %d", what, cut)
				if which(again, none) != isNew && (isNew && cut == image.Disk.Ops() || !isNew) {
					t.Fatalf("%s: changed its mind", again)
				}
			}
		}
	}
	t.Logf("old %d, new %d", olds, news)
	if olds == 0 || news == 0 {
		t.Error("every crash had the same outcome")
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestNobodyTakesAStagedSnapshotForOne looks at a directory with a staged snapshot and with a part of one.
func TestNobodyTakesAStagedSnapshotForOne(t *testing.T) {
	d := newDisk(t)
	for z := wire.Zxid(1); z <= 5; z++ {
		mustWrite(t, d, shapes(z), 1)
	}
	for range 2 { // the second replaces the first
		info, err := WriteStaged(d, dir, shapes(9), 1, tested())
		if err != nil || info.Zxid != 9 {
			t.Fatal(info, err)
		}
	}
	put(t, d, fileName(11)+stagedSuffix+tmpSuffix, []byte("half"))
	var got memory
	if _, err := Load(d, dir, &got, tested()); err != nil || got.zxid != 5 {
		t.Errorf("load: got %v, %v; want 5", got.zxid, err)
	}
	if list, err := List(d, dir); err != nil || len(list) != 5 {
		t.Errorf("list: got %v, %v", list, err)
	}
	if p, err := Purge(d, dir, Retention{Count: 3, NowMS: 1e9}, tested()); err != nil || p.LogThrough != 3 {
		t.Errorf("purge: got %+v, %v", p, err)
	}
	if adopted, err := Adopt(d, dir, 8); err != nil || adopted {
		t.Errorf("adopt of what is not there: got %v, %v", adopted, err)
	}
	check(t, DropStaged(d, dir))
	if left := names(t, d); len(left) != 3 {
		t.Errorf("left: %v", left)
	}
	d.SetCapacity(1)
	if _, err := WriteStaged(d, dir, shapes(9), 1, tested()); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("on a full disk: got %v", err)
	}
	if left := names(t, d); len(left) != 3 {
		t.Errorf("left: %v", left)
	}
}

// A tree that came as a stream is no server's yet, and is written as any other.
func TestATreeFromAStreamIsStaged(t *testing.T) {
	shape := tree.Options{ExtendedTypes: true, Fuzzy: true}
	g := rich(tree.Options{ExtendedTypes: true})
	received, _, err := fed(snapshotOf(t, g.t), shape, g.t.Applied(), 4096)
	check(t, err)
	if _, err := received.OpenView(); !errors.Is(err, tree.ErrFuzzy) {
		t.Errorf("a view of what may be fuzzy: got %v", err)
	}
	check(t, received.Settle())
	d := newDisk(t)
	v := view(t, received)
	if _, err := WriteStaged(d, dir, v, 1, tested()); err != nil {
		t.Fatal(err)
	}
	v.Close()
	if _, err := Adopt(d, dir, g.t.Applied()); err != nil {
		t.Fatal(err)
	}
	loaded, _, err := LoadTree(d, dir, shape, tested())
	check(t, err)
	check(t, loaded.Settle())
	sameTree(t, loaded, g.t)
}
