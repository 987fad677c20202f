package snap

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"syscall"
	"testing"

	"paddock/vfs"
	"paddock/wire"
)

// promise is what a caller was told by the time the disk had done that many operations.
type promise struct {
	ops    int
	newest wire.Zxid // written without an error
	kept   int       // snapshots that must be there after a purge
}

// history is a disk on which a server wrote, purged, found damage and wrote again.
type history struct {
	disk     *vfs.Sim
	states   map[wire.Zxid]*state
	promises []promise
}

func (h *history) promise(newest wire.Zxid, kept int) {
	h.promises = append(h.promises, promise{h.disk.Ops(), newest, kept})
}

// at returns what was promised before the disk's first at operations were over.
func (h *history) at(at int) (p promise) {
	for _, q := range h.promises {
		if q.ops <= at {
			p = q
		}
	}
	return p
}

func newHistory(t *testing.T) *history {
	t.Helper()
	h := &history{disk: newDisk(t), states: map[wire.Zxid]*state{}}
	for i := 1; i <= 5; i++ {
		s := shapes(wire.Zxid(i))
		s.records[3].Version = int32(i)
		s.records = s.records[:4+i] // small: each sector is torn
		h.states[s.zxid] = s
	}
	write := func(z wire.Zxid) {
		mustWrite(t, h.disk, h.states[z], int64(z))
	}
	h.promise(0, 0)
	for z := wire.Zxid(1); z <= 4; z++ {
		write(z)
		h.promise(z, 0)
	}
	p, err := Purge(h.disk, dir, Retention{Count: 3, NowMS: 1e9}, tested())
	if err != nil || p.LogThrough != 2 {
		t.Fatalf("purge: %v, %+v", err, p)
	}
	h.promise(4, 3)
	write(5)
	h.promise(5, 4)
	return h
}

// TestEveryCrashLeavesAnOlderOrTheNewSnapshot runs longer with SNAP_SUBSETS=n.
func TestEveryCrashLeavesAnOlderOrTheNewSnapshot(t *testing.T) {
	subsets := 2
	if v := os.Getenv("SNAP_SUBSETS"); v != "" {
		fmt.Sscan(v, &subsets)
	}
	h := newHistory(t)
	images, again := 0, 0
	for at := h.promises[0].ops; at <= h.disk.Ops(); at++ {
		for image := range h.disk.Images(at, subsets) {
			images++
			what := fmt.Sprintf("crash after operation %d, %s", at, image.Name)
			before := image.Disk.Ops()
			h.check(t, what, at, image.Disk)
			for cut := before; cut <= image.Disk.Ops(); cut++ { // and recovery is cut too
				none := image.Disk.Crash(cut, func(vfs.Unit) bool { return false })
				h.check(t, fmt.Sprintf("%s, again after %d", what, cut), at, none)
				again++
			}
		}
	}
	t.Logf("operations=%d images=%d cut again=%d lost=0", h.disk.Ops(), images, again)
}

// check loads what a crash left and holds it against what was promised.
func (h *history) check(t *testing.T, what string, at int, d *vfs.Sim) {
	t.Helper()
	p := h.at(at)
	var got memory
	o := tested()
	o.Workers = 1
	report, err := Load(d, dir, &got, o)
	if p.newest == 0 && errors.Is(err, ErrNone) {
		err = nil // nothing was promised yet
	} else if err == nil {
		if diff := difference(&got.state, h.states[got.zxid]); diff != "" {
			t.Fatalf("%s: %s", what, diff)
		}
	}
	if err != nil || report.Loaded.Zxid < p.newest || len(report.Passed) > 0 {
		t.Fatalf("%s: got %v, loaded %v, passed over %+v; want at least %v",
			what, err, report.Loaded.Zxid, report.Passed, p.newest)
	}
	left := names(t, d)
	for _, name := range left {
		if strings.HasSuffix(name, tmpSuffix) {
			t.Fatalf("%s: left %v", what, left)
		}
	}
	if len(left) < p.kept {
		t.Fatalf("%s: %v, want %d snapshots after purge", what, left, p.kept)
	}
}

// TestACrashWhileQuarantiningLosesNothing cuts a load that sets a file aside.
func TestACrashWhileQuarantiningLosesNothing(t *testing.T) {
	d, states, infos := three(t)
	flip(t, d, infos[2])
	put(t, d, infos[2].Name+tmpSuffix, []byte("half"))
	first := d.Ops()
	if _, err := Load(d, dir, &memory{}, tested()); err != nil {
		t.Fatal(err)
	}
	for at := first; at <= d.Ops(); at++ {
		for image := range d.Images(at, 8) {
			var got memory
			report, err := Load(image.Disk, dir, &got, tested())
			if err != nil || report.Loaded != infos[1] {
				t.Fatalf("after %d, %s: got %v, loaded %v", at, image.Name, err, report.Loaded.Zxid)
			}
			equal(t, &got.state, states[1])
		}
	}
}

// TestEveryFailingOperationCostsTheNewSnapshotAndNoOlder fails each operation of a Write in
// turn, in each way, and crashes afterwards.
func TestEveryFailingOperationCostsTheNewSnapshotAndNoOlder(t *testing.T) {
	old, next := shapes(10), many(20, 30, 100)
	base := newDisk(t)
	mustWrite(t, base, old, 1)
	total := 0
	count := base.Clone()
	count.SetFaults(func(vfs.Op) *vfs.Fault { total++; return nil })
	mustWrite(t, count, next, 2)

	faults := 0
	for n := 1; n <= total; n++ {
		for what, f := range map[string]vfs.Fault{
			"EIO":           {Err: syscall.EIO},
			"ENOSPC":        {Err: syscall.ENOSPC},
			"half a write":  {Err: syscall.ENOSPC, Short: 50},
			"a lost write":  {Drop: true},
			"a stray write": {Shift: 512},
		} {
			d := base.Clone()
			struck := false
			d.SetFaults(nth(n, f, &struck))
			_, err := Write(d, dir, next.rewound(), 2, tested())
			d.SetFaults(nil)
			if struck && err == nil {
				t.Fatalf("operation %d: %s: not noticed", n, what)
			}
			if struck {
				faults++
			}
			after(t, fmt.Sprintf("operation %d: %s", n, what), d, err, old, next)
		}
	}
	t.Logf("operations=%d faults=%d silent=0", total, faults)
}

// nth is a fault of the nth operation of any kind, if that can have it.
func nth(n int, f vfs.Fault, struck *bool) func(vfs.Op) *vfs.Fault {
	return func(op vfs.Op) *vfs.Fault {
		if n--; n != 0 {
			return nil
		}
		if op.Kind != vfs.OpWrite && f.Err == nil {
			return nil
		}
		*struck = true
		return &f
	}
}

// after checks the disk behind a Write that returned err: as it is, and after power cuts.
func after(t *testing.T, what string, d *vfs.Sim, err error, old, next *state) {
	t.Helper()
	for _, name := range names(t, d) {
		if err != nil && name != fileName(old.zxid) && !strings.Contains(err.Error(), "remove what is left") {
			t.Fatalf("%s: failed with %v and left %v", what, err, names(t, d))
		}
	}
	for _, keep := range []bool{false, true} {
		var got memory
		found := d.Crash(d.Ops(), func(vfs.Unit) bool { return keep })
		report, loadErr := Load(found, dir, &got, tested())
		if loadErr != nil {
			t.Fatalf("%s, crash: %v", what, loadErr)
		}
		want := old
		if got.zxid == next.zxid {
			want = next
		}
		equal(t, &got.state, want)
		if err == nil && want != next {
			t.Fatalf("%s: reported written, loaded %v", what, report.Loaded.Zxid)
		}
	}
}

func TestAFullDiskCostsTheNewSnapshotAndNoOlder(t *testing.T) {
	old, next := shapes(10), many(20, 30, 100)
	base := newDisk(t)
	oldInfo := mustWrite(t, base, old, 1)
	roomy := base.Clone()
	need := mustWrite(t, roomy, next, 2).FileBytes
	for room := int64(0); room < need; room += 97 {
		d := base.Clone()
		d.SetCapacity(oldInfo.FileBytes + room)
		_, err := Write(d, dir, next.rewound(), 2, tested())
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("room for %d of %d: got %v, want ENOSPC", room, need, err)
		}
		if left := names(t, d); len(left) != 1 {
			t.Fatalf("room for %d of %d: left %v", room, need, left)
		}
		after(t, fmt.Sprintf("room for %d", room), d, err, old, next)
	}
	d := base.Clone()
	d.SetCapacity(oldInfo.FileBytes + need)
	mustWrite(t, d, next, 2)
}

func TestALeftoverUnderTheTemporaryNameIsReplaced(t *testing.T) {
	d := newDisk(t)
	put(t, d, fileName(10)+tmpSuffix, make([]byte, 100000))
	info := mustWrite(t, d, shapes(10), 1)
	if _, err := Verify(d, path.Join(dir, info.Name), tested()); err != nil {
		t.Error(err)
	}
}
