package snap

import (
	"errors"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"

	"paddock/vfs"
	"paddock/wire"
)

// three is a disk with snapshots at 10, 20 and 30, which differ; oldest first.
func three(t testing.TB) (d *vfs.Sim, states []*state, infos []Info) {
	t.Helper()
	d = newDisk(t)
	for i := range 3 {
		s := shapes(wire.Zxid(10 * (i + 1)))
		s.records[3].Version = int32(i)
		states = append(states, s)
		infos = append(infos, mustWrite(t, d, s, int64(1000*(i+1))))
	}
	return d, states, infos
}

func flip(t testing.TB, d *vfs.Sim, info Info) {
	t.Helper()
	if err := d.FlipBit(path.Join(dir, info.Name), info.FileBytes/2, 1); err != nil {
		t.Fatal(err)
	}
}

func TestLoadTakesTheNewestThatIsWhole(t *testing.T) {
	for damaged := range 3 {
		d, states, infos := three(t)
		for i := range damaged {
			flip(t, d, infos[2-i])
		}
		var got memory
		report, err := Load(d, dir, &got, tested())
		if err != nil {
			t.Fatal(err)
		}
		want := 2 - damaged
		if report.Loaded != infos[want] || got.began > damaged+1 {
			t.Errorf("%d damaged: loaded %v after %d attempts", damaged, report.Loaded.Zxid, got.began)
		}
		equal(t, &got.state, states[want])
		for i, p := range report.Passed {
			if p.Name != infos[2-i].Name || p.Quarantine != p.Name+".corrupt-1" || p.RenameErr != nil {
				t.Errorf("%d damaged: passed over %+v", damaged, p)
			}
		}
		if again, err := Load(d, dir, &got, tested()); err != nil || len(again.Passed) != 0 {
			t.Errorf("%d damaged, second load: %v, passed over %v", damaged, err, again.Passed)
		}
	}
}

func TestLoadOfNothingSaysSoAndWhy(t *testing.T) {
	var got memory
	if _, err := Load(newDisk(t), dir, &got, tested()); !errors.Is(err, ErrNone) {
		t.Errorf("empty directory: got %v, want ErrNone", err)
	}
	d, _, infos := three(t)
	for _, info := range infos {
		flip(t, d, info)
	}
	report, err := Load(d, dir, &got, tested())
	var corrupt *CorruptError
	if !errors.Is(err, ErrNone) || !errors.As(err, &corrupt) || len(report.Passed) != 3 {
		t.Errorf("all damaged: got %v, passed over %d", err, len(report.Passed))
	}
	for _, info := range infos {
		if !strings.Contains(err.Error(), info.Name) {
			t.Errorf("error does not name %s: %v", info.Name, err)
		}
	}
	if _, err := Load(d, "elsewhere", &got, tested()); err == nil || errors.Is(err, ErrNone) {
		t.Errorf("no directory: got %v, want an error other than ErrNone", err)
	}
}

func TestAFileUnderTheNameOfAnotherZxidIsRefused(t *testing.T) {
	d, states, infos := three(t)
	if err := d.Rename(path.Join(dir, infos[0].Name), path.Join(dir, fileName(40))); err != nil {
		t.Fatal(err)
	}
	var got memory
	report, err := Load(d, dir, &got, tested())
	if err != nil || report.Loaded != infos[2] || len(report.Passed) != 1 {
		t.Fatalf("got %v, loaded %v", err, report.Loaded)
	}
	equal(t, &got.state, states[2])
}

func TestWhatTheTargetRefusesIsTriedNoMoreUnlessItSaysAbort(t *testing.T) {
	nodeExists := errors.New("node exists")
	d, _, _ := three(t)
	report, err := Load(d, dir, &memory{failNode: nodeExists}, tested())
	if !errors.Is(err, ErrNone) || !errors.Is(err, nodeExists) || len(report.Passed) != 3 {
		t.Errorf("sink refuses: got %v", err)
	}
	d, _, _ = three(t)
	report, err = Load(d, dir, &memory{failEnd: nodeExists}, tested())
	if !errors.Is(err, ErrNone) || len(report.Passed) != 3 || report.Passed[0].Quarantine == "" {
		t.Errorf("finish refuses: got %v, %+v", err, report.Passed)
	}
	noMemory := errors.Join(ErrAbort, errors.New("no memory"))
	for name, m := range map[string]*memory{"node": {failNode: noMemory}, "finish": {failEnd: noMemory}} {
		d, _, _ = three(t)
		report, err = Load(d, dir, m, tested())
		if !errors.Is(err, ErrAbort) || errors.Is(err, ErrNone) || len(report.Passed) != 0 || len(names(t, d)) != 3 {
			t.Errorf("%s aborts: got %v, %v", name, err, names(t, d))
		}
	}
}

func TestAnUnreadableFileIsPassedOverAndLeftInPlace(t *testing.T) {
	d, states, infos := three(t)
	if err := d.BadSector(path.Join(dir, infos[2].Name), 1); err != nil {
		t.Fatal(err)
	}
	var got memory
	report, err := Load(d, dir, &got, tested())
	if err != nil || report.Loaded != infos[1] {
		t.Fatalf("got %v, loaded %v", err, report.Loaded)
	}
	equal(t, &got.state, states[1])
	if p := report.Passed[0]; !errors.Is(p.Err, syscall.EIO) || p.Quarantine != "" || len(names(t, d)) != 3 {
		t.Errorf("passed over %+v", p)
	}
}

func TestLoadGoesOnWhereItCannotTidyUp(t *testing.T) {
	d, states, infos := three(t)
	flip(t, d, infos[2])
	put(t, d, infos[2].Name+".tmp", []byte("half"))
	d.SetFaults(func(op vfs.Op) *vfs.Fault { // a file system mounted read-only
		switch op.Kind {
		case vfs.OpRename, vfs.OpRemove, vfs.OpSyncDir, vfs.OpCreate, vfs.OpWrite:
			return &vfs.Fault{Err: syscall.EROFS}
		}
		return nil
	})
	var got memory
	report, err := Load(d, dir, &got, tested())
	if err != nil || report.Loaded != infos[1] {
		t.Fatalf("got %v, loaded %v", err, report.Loaded)
	}
	equal(t, &got.state, states[1])
	if len(report.Failed) != 1 || !errors.Is(report.Passed[0].RenameErr, syscall.EROFS) {
		t.Errorf("got %+v", report)
	}
}

func TestLoadRemovesWhatWritersLeftAndNothingElse(t *testing.T) {
	d, _, infos := three(t)
	others := []string{"log.1", "snapshot.5", "foo.tmp", "0000000000000005.snap.corrupt-1", "5.snap", "000000000000000G.snap.tmp"}
	for _, name := range others {
		put(t, d, name, []byte("x"))
	}
	ours := []string{"0000000000000005.snap.tmp", infos[2].Name + ".tmp"}
	for _, name := range ours {
		put(t, d, name, contents(t, d, infos[2].Name)[:100])
	}
	var got memory
	report, err := Load(d, dir, &got, tested())
	if err != nil || !slices.Equal(report.Removed, ours) {
		t.Errorf("got %v, removed %v", err, report.Removed)
	}
	left := names(t, d)
	if len(left) != 3+len(others) {
		t.Errorf("left: %v", left)
	}
}

func TestEvidenceOfAnEarlierTimeIsNotReplaced(t *testing.T) {
	d, _, infos := three(t)
	put(t, d, infos[2].Name+".corrupt-1", []byte("earlier"))
	flip(t, d, infos[2])
	var got memory
	report, err := Load(d, dir, &got, tested())
	if err != nil || report.Passed[0].Quarantine != infos[2].Name+".corrupt-2" {
		t.Errorf("got %v, %+v", err, report.Passed)
	}
	if string(contents(t, d, infos[2].Name+".corrupt-1")) != "earlier" {
		t.Error("the earlier one was replaced")
	}
}

func TestListShowsWhatIsThereNewestFirst(t *testing.T) {
	d, _, infos := three(t)
	put(t, d, fileName(40), []byte("no snapshot"))
	entries, err := List(d, dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 4 || entries[0].Err == nil || entries[0].Zxid != 40 || entries[0].Name != fileName(40) {
		t.Fatalf("got %+v", entries)
	}
	for i, e := range entries[1:] {
		if e.Err != nil || e.Info != infos[2-i] {
			t.Errorf("got %+v, want %+v", e, infos[2-i])
		}
	}
}
