package vfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// content reads a whole file, "-" for none.
func content(t *testing.T, d FS, name string) string {
	t.Helper()
	f, err := d.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "-"
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<30))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, d FS, name, text string) File {
	t.Helper()
	f, err := d.Create(name)
	must(t, err)
	_, err = f.WriteAt([]byte(text), 0)
	must(t, err)
	return f
}

func none(Unit) bool { return false }

func TestSimKeepsWhatWasSynced(t *testing.T) {
	tests := []struct {
		name string
		run  func(t *testing.T, d *Sim)
		want map[string]string
	}{{
		name: "nothing was synced",
		run:  func(t *testing.T, d *Sim) { create(t, d, "a", "x") },
		want: map[string]string{"a": "-"},
	}, {
		name: "a new file is lost without a directory sync, though its bytes were synced",
		run:  func(t *testing.T, d *Sim) { must(t, create(t, d, "a", "x").Sync()) },
		want: map[string]string{"a": "-"},
	}, {
		name: "a directory sync keeps the name but not the bytes",
		run:  func(t *testing.T, d *Sim) { create(t, d, "a", "x"); must(t, d.SyncDir(".")) },
		want: map[string]string{"a": ""},
	}, {
		name: "both syncs keep both",
		run: func(t *testing.T, d *Sim) {
			must(t, create(t, d, "a", "x").Sync())
			must(t, d.SyncDir("."))
		},
		want: map[string]string{"a": "x"},
	}, {
		name: "a rename is lost without a directory sync",
		run: func(t *testing.T, d *Sim) {
			must(t, create(t, d, "a", "x").Sync())
			must(t, d.SyncDir("."))
			must(t, d.Rename("a", "b"))
		},
		want: map[string]string{"a": "x", "b": "-"},
	}, {
		name: "a removal and a truncation are lost without syncs",
		run: func(t *testing.T, d *Sim) {
			for _, n := range []string{"a", "b"} {
				f := create(t, d, n, "xyz")
				must(t, f.Sync())
				must(t, d.SyncDir("."))
				must(t, f.Truncate(1))
			}
			must(t, d.Remove("a"))
		},
		want: map[string]string{"a": "xyz", "b": "xyz"},
	}, {
		name: "what failed to sync is not saved by the next sync, which succeeds",
		run: func(t *testing.T, d *Sim) {
			f := create(t, d, "a", "x")
			d.SetFaults(FailNth(OpSync, 1, Fault{Err: syscall.EIO}))
			if err := f.Sync(); !errors.Is(err, syscall.EIO) {
				t.Errorf("sync: got %v, want EIO", err)
			}
			if got := content(t, d, "a"); got != "x" {
				t.Errorf("page cache after the failed sync: got %q, want x", got)
			}
			must(t, f.Sync())
			must(t, d.SyncDir("."))
		},
		want: map[string]string{"a": ""},
	}, {
		name: "a sync that the disk only claims saves nothing, until a later one",
		run: func(t *testing.T, d *Sim) {
			for _, n := range []string{"a", "b"} {
				f := create(t, d, n, "x")
				d.SetFaults(FailNth(OpSync, 1, Fault{Drop: true}))
				must(t, f.Sync())
				if n == "b" {
					must(t, f.Sync())
				}
			}
			must(t, d.SyncDir("."))
		},
		want: map[string]string{"a": "", "b": "x"},
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, compact := range []bool{false, true} {
				d := NewSim(1)
				tt.run(t, d)
				if compact {
					d.Compact()
				}
				crashed := d.Crash(d.Ops(), none)
				for name, want := range tt.want {
					if got := content(t, crashed, name); got != want {
						t.Errorf("%s after the crash (compacted %v): got %q, want %q", name, compact, got, want)
					}
				}
			}
		})
	}
}

func TestSimReplacesByRename(t *testing.T) {
	d := NewSim(1)
	must(t, create(t, d, "a", "old").Sync())
	must(t, d.SyncDir("."))
	start := d.Ops()
	must(t, create(t, d, "a.new", "new").Sync())
	must(t, d.Rename("a.new", "a"))
	must(t, d.SyncDir("."))
	seen := map[string]bool{}
	for at := start; at <= d.Ops(); at++ {
		for img := range d.Images(at, 4) {
			got := content(t, img.Disk, "a")
			if got != "old" && got != "new" {
				t.Errorf("crash after op %d, %s: got %q, want old or new", at, img.Name, got)
			}
			if at == d.Ops() && got != "new" {
				t.Errorf("crash at the end, %s: got %q, want new", img.Name, got)
			}
			seen[got] = true
		}
	}
	if len(seen) != 2 {
		t.Errorf("images seen: %v, want both", seen)
	}
}

func TestSimTearsAtSectors(t *testing.T) {
	d := NewSim(1)
	f := create(t, d, "a", strings.Repeat("o", 3*SectorSize))
	must(t, f.Sync())
	must(t, d.SyncDir("."))
	if _, err := f.WriteAt(bytes.Repeat([]byte("N"), 2*SectorSize), SectorSize/2); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for img := range d.Images(d.Ops(), 32) {
		got := content(t, img.Disk, "a")
		pattern := string([]byte{got[0], got[300], got[600], got[1200], got[1500]})
		seen[pattern] = true
	}
	var got []string
	for p := range seen {
		got = append(got, p)
	}
	slices.Sort(got)
	want := []string{"oNNNo", "oNNoo", "oNoNo", "oNooo", "ooNNo", "ooNoo", "oooNo", "ooooo"}
	if !slices.Equal(got, want) {
		t.Errorf("tears: got %q, want %q", got, want)
	}
}

func TestSimImagesRepeat(t *testing.T) {
	run := func() string {
		var b strings.Builder
		d := NewSim(7)
		f := create(t, d, "a", strings.Repeat("x", 40*SectorSize))
		f.WriteAt([]byte("y"), 100)
		d.Rename("a", "b")
		for img := range d.Images(d.Ops(), 8) {
			b.WriteString(img.Name + "\n" + img.Disk.Tree() + content(t, img.Disk, "b"))
		}
		return b.String()
	}
	if run() != run() {
		t.Error("two runs of one seed give two sets of images")
	}
	d := NewSim(7)
	create(t, d, "a", "x").WriteAt([]byte("y"), 0)
	for n := range 8 { // every place where a range loop over images can stop
		i := 0
		for range d.Images(d.Ops(), 2) {
			if i++; i > n {
				break
			}
		}
	}
}

func TestSimFaults(t *testing.T) {
	d := NewSim(1)
	must(t, d.MkdirAll("/d"))
	f := create(t, d, "/d/a", "0123456789")
	steps := []struct {
		name  string
		fault func(Op) *Fault
		do    func() error
		err   error
		want  string
	}{
		{"a short write", FailNth(OpWrite, 1, Fault{Err: syscall.ENOSPC, Short: 2}), func() error {
			n, err := f.WriteAt([]byte("abcd"), 0)
			if n != 2 {
				t.Errorf("short write: got %d bytes, want 2", n)
			}
			return err
		}, syscall.ENOSPC, "ab23456789"},
		{"a dropped write", FailNth(OpWrite, 1, Fault{Drop: true}), func() error {
			return second(f.WriteAt([]byte("ABCD"), 0))
		}, nil, "ab23456789"},
		{"a misdirected write", FailNth(OpWrite, 1, Fault{Shift: 4}), func() error {
			return second(f.WriteAt([]byte("ABCD"), 0))
		}, nil, "ab23ABCD89"},
		{"the second rename", FailNth(OpRename, 2, Fault{Err: syscall.EIO}), func() error {
			must(t, d.Rename("/d/a", "/d/b"))
			return d.Rename("/d/b", "/d/a")
		}, syscall.EIO, "-"},
		{"a directory sync", FailNth(OpSyncDir, 1, Fault{Err: syscall.EIO}), func() error {
			return d.SyncDir("/d")
		}, syscall.EIO, "-"},
	}
	for _, s := range steps {
		d.SetFaults(s.fault)
		if err := s.do(); !errors.Is(err, s.err) {
			t.Errorf("%s: got %v, want %v", s.name, err, s.err)
		}
		d.SetFaults(nil)
		if got := content(t, d, "/d/a"); got != s.want {
			t.Errorf("after %s: got %q, want %q", s.name, got, s.want)
		}
	}
	for kind, do := range map[OpKind]func() error{
		OpCreate:      func() error { return second(d.Create("/d/x")) },
		OpOpen:        func() error { return second(d.Open("/d/b")) },
		OpRemove:      func() error { return d.Remove("/d/b") },
		OpList:        func() error { return second(d.List("/d")) },
		OpStat:        func() error { return second(d.Stat("/d/b")) },
		OpLock:        func() error { return second(d.Lock("/d/LOCK")) },
		OpFree:        func() error { return second(d.Free("/d")) },
		OpMkdir:       func() error { return d.MkdirAll("/d/e") },
		OpRead:        func() error { return second(f.ReadAt(make([]byte, 1), 0)) },
		OpTruncate:    func() error { return f.Truncate(1) },
		OpPreallocate: func() error { return f.Preallocate(100) },
	} {
		d.SetFaults(FailNth(kind, 1, Fault{Err: syscall.EMFILE}))
		if err := do(); !errors.Is(err, syscall.EMFILE) || !strings.Contains(err.Error(), kind.String()) {
			t.Errorf("%v: got %v, want EMFILE", kind, err)
		}
		d.SetFaults(nil)
	}
	if got := content(t, d, "/d/b"); got != "ab23ABCD89" {
		t.Errorf("after failed operations: got %q", got)
	}
}

func TestSimSpace(t *testing.T) {
	d := NewSim(1)
	if free, _ := d.Free("."); free < 1<<40 {
		t.Errorf("free space without a limit: got %d", free)
	}
	d.SetCapacity(1000)
	f := create(t, d, "a", strings.Repeat("x", 600))
	g := create(t, d, "b", "")
	if free, _ := d.Free("."); free != 400 {
		t.Errorf("free: got %d, want 400", free)
	}
	if n, err := g.WriteAt(make([]byte, 500), 0); n != 400 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("write: got %d, %v, want 400 and ENOSPC", n, err)
	}
	if err := f.Preallocate(601); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("preallocate: got %v, want ENOSPC", err)
	}
	must(t, g.Truncate(0))
	must(t, f.Preallocate(1000))
	must(t, f.Preallocate(10))
	if got := len(content(t, d, "a")); got != 1000 {
		t.Errorf("length after Preallocate: got %d, want 1000", got)
	}
}

func TestSimDamage(t *testing.T) {
	d := NewSim(1)
	f := create(t, d, "a", strings.Repeat("x", 1300))
	must(t, f.Sync())
	must(t, d.SyncDir("."))
	must(t, d.FlipBit("a", 3, 0))
	must(t, d.ZeroSector("a", 2))
	must(t, d.BadSector("a", 1))
	for name, disk := range map[string]*Sim{"volatile": d, "crashed": d.Crash(d.Ops(), none), "clone": d.Clone()} {
		r, err := disk.OpenWrite("a")
		must(t, err)
		buf := make([]byte, 1300)
		n, err := r.ReadAt(buf, 0)
		if n != 512 || !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: read: got %d, %v, want 512 and EIO", name, n, err)
		}
		if string(buf[:5]) != "xxxyx" {
			t.Errorf("%s: flipped bit: got %q", name, buf[:5])
		}
		if _, err := r.WriteAt(make([]byte, 512), 512); err != nil {
			t.Error(err)
		}
		if n, err := r.ReadAt(buf, 0); n != 1300 || err != nil {
			t.Errorf("%s: read after the bad sector was written: got %d, %v", name, n, err)
		}
		if buf[1023] != 0 || buf[1024] != 0 || buf[1299] != 0 {
			t.Errorf("%s: zeroed sector holds %q", name, buf[1024:])
		}
	}
	for _, err := range []error{d.FlipBit("a", 1300, 0), d.ZeroSector("a", 3), d.BadSector("b", 0)} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("damage outside of a file: got %v", err)
		}
	}
	// Damage to what a crash then loses is lost with it.
	d = NewSim(1)
	create(t, d, "a", "x")
	must(t, d.SyncDir("."))
	must(t, d.FlipBit("a", 0, 1))
	must(t, d.ZeroSector("a", 0))
	if got := content(t, d.Crash(d.Ops(), none), "a"); got != "" {
		t.Errorf("unsynced and damaged: got %q", got)
	}
}

func TestSimKillLeavesThePageCache(t *testing.T) {
	d := NewSim(1)
	f := create(t, d, "a", "x")
	lock, err := d.Lock("LOCK")
	must(t, err)
	if _, err := d.Lock("LOCK"); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "LOCK") {
		t.Errorf("second lock: got %v", err)
	}
	d.Kill()
	for what, err := range map[string]error{
		"read": second(f.ReadAt(nil, 0)), "write": second(f.WriteAt(nil, 0)), "sync": f.Sync(),
		"truncate": f.Truncate(0), "size": second(f.Size()), "unlock": lock.Close(),
	} {
		if !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%s by a killed process: got %v, want fs.ErrClosed", what, err)
		}
	}
	if got := content(t, d, "a"); got != "x" {
		t.Errorf("after the kill: got %q, want x", got)
	}
	if got := content(t, d.Crash(d.Ops(), none), "a"); got != "-" {
		t.Errorf("after kill and power cut: got %q, want none", got)
	}
	again, err := d.Lock("LOCK")
	must(t, err)
	must(t, again.Close())
}

func TestSimRefusals(t *testing.T) {
	d := NewSim(1)
	must(t, d.MkdirAll("/x/y"))
	f := create(t, d, "/x/f", "1")
	if f.Name() != "/x/f" {
		t.Errorf("name: got %s", f.Name())
	}
	r, err := d.Open("/x/f")
	must(t, err)
	must(t, r.Close())
	r2, _ := d.Open("/x/f")
	for what, tt := range map[string]struct{ err, want error }{
		"create over a file":        {second(d.Create("/x/f")), fs.ErrExist},
		"create over a directory":   {second(d.Create("/x/y")), fs.ErrExist},
		"create in no directory":    {second(d.Create("/z/f")), fs.ErrNotExist},
		"open":                      {second(d.Open("/x/g")), fs.ErrNotExist},
		"open for writing":          {second(d.OpenWrite("/x/g")), fs.ErrNotExist},
		"stat":                      {second(d.Stat("/x/g")), fs.ErrNotExist},
		"list":                      {second(d.List("/z")), fs.ErrNotExist},
		"remove":                    {d.Remove("/x/g"), fs.ErrNotExist},
		"rename":                    {d.Rename("/x/g", "/x/h"), fs.ErrNotExist},
		"rename across directories": {d.Rename("/x/f", "/f"), syscall.EXDEV},
		"sync of no directory":      {d.SyncDir("/z"), fs.ErrNotExist},
		"lock in no directory":      {second(d.Lock("/z/LOCK")), fs.ErrNotExist},
		"directory below a file":    {d.MkdirAll("/x/f/g"), syscall.ENOTDIR},
		"second close":              {r.Close(), fs.ErrClosed},
		"write of a read-only file": {second(r2.WriteAt([]byte("x"), 0)), syscall.EBADF},
		"read past the end":         {second(r2.ReadAt(make([]byte, 1), 5)), io.EOF},
	} {
		if !errors.Is(tt.err, tt.want) {
			t.Errorf("%s: got %v, want %v", what, tt.err, tt.want)
		}
	}
	if info, err := d.Stat("/x"); !info.Dir || err != nil {
		t.Errorf("stat of a directory: got %+v, %v", info, err)
	}
	if info, err := d.Stat("/x/f"); info.Size != 1 || err != nil {
		t.Errorf("stat of a file: got %+v, %v", info, err)
	}
	if names, err := d.List("/x"); !slices.Equal(names, []string{"f", "y"}) || err != nil {
		t.Errorf("list: got %q, %v", names, err)
	}
}

func TestSimCompactKeepsCrashPoints(t *testing.T) {
	build := func(compact bool) *Sim {
		d := NewSim(3)
		for _, name := range []string{"a", "b", "c"} {
			f := create(t, d, name, name+"1")
			must(t, f.Sync())
			must(t, d.SyncDir("."))
			must(t, d.Remove(name))
			must(t, d.Rename(create(t, d, name+"x", name+"2").Name(), name))
			if compact {
				d.Compact()
			}
		}
		return d
	}
	plain, compacted := build(false), build(true)
	at := plain.Ops()
	if compacted.Ops() != at {
		t.Fatalf("operations: got %d, want %d", compacted.Ops(), at)
	}
	if got, want := compacted.Op(at-1).String(), plain.Op(at-1).String(); got != want {
		t.Errorf("last operation: got %s, want %s", got, want)
	}
	var got, want []string
	for img := range compacted.Images(at, 16) {
		got = append(got, img.Name+"\n"+img.Disk.Tree())
	}
	for img := range plain.Images(at, 16) {
		want = append(want, img.Name+"\n"+img.Disk.Tree())
	}
	if !slices.Equal(got, want) {
		t.Error("compaction changed what a crash can leave")
	}
}

func TestOpText(t *testing.T) {
	for want, op := range map[string]Op{
		"write a 512+10":     {Kind: OpWrite, Name: "a", Off: 512, Len: 10},
		"preallocate a to 9": {Kind: OpPreallocate, Name: "a", Off: 9},
		"rename a b":         {Kind: OpRename, Name: "a", To: "b"},
		"syncdir d":          {Kind: OpSyncDir, Name: "d"},
	} {
		if got := op.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
