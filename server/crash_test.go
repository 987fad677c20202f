package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paddock/vfs"
	"paddock/wire"
)

// long says whether the larger counts were asked for: PADDOCK_LONG=1.
var long = os.Getenv("PADDOCK_LONG") != ""

// TestEveryCrashPoint cuts the script after each operation on the disk, and what a start does then after
// each of its operations, with images of what was not synced: none, all, each prefix, each loss alone, each
// tear, random subsets. The server has to start by itself. Everything acknowledged is there, nothing half, every
// znode, session and digest is what it was at that zxid, and zxids continue.
func TestEveryCrashPoint(t *testing.T) {
	subsets, share, every := 2, 40, 3 // one image in so many has its recovery cut, and one goes on, too
	if long {
		subsets, share, every = 64, 8, 1
	}
	p := newPlay(t)
	p.all()
	images, again, inFlight := 0, 0, 0
	for at := 0; at <= p.disk.Ops(); at++ {
		allowed := p.around(at)
		for img := range p.disk.Images(at, subsets) {
			images++
			name := fmt.Sprintf("crash after operation %d, in %s, %s", at, allowed[0].step, img.Name)
			r, m := recovered(t, name, img.Disk, allowed)
			if m.zxid > allowed[0].zxid {
				inFlight++
			}
			if images%share == 0 {
				again += cutRecovery(t, name, img.Disk, m)
			}
			if images%every == 0 {
				goesOn(t, name, r, img.Disk)
			}
		}
	}
	t.Logf("crash points %d, images %d, images of recovery %d, with the write on its way %d, lost 0",
		p.disk.Ops()+1, images, again, inFlight)
	if inFlight == 0 || again < images/10 || p.d.s.wal.Base() == 0 {
		t.Errorf("the script does not do what it is for: the log begins after %v", p.d.s.wal.Base())
	}
}

// recovered starts a server on what a crash left, and says which of the allowed moments it came back to.
func recovered(t *testing.T, name string, d *vfs.Sim, allowed []moment) (*driver, moment) {
	t.Helper()
	r, err := drive(t, d, nil)
	if err != nil {
		t.Fatalf("%s: the server does not start: %v", name, err)
	}
	got := stateOf(t, r.d.s.tree.Load())
	for _, m := range allowed {
		if got == m.state {
			if r.d.Given() != m.zxid || r.d.s.wal.Last() != m.zxid || r.d.Sessions() != r.d.s.tree.Load().SessionCount() {
				t.Fatalf("%s: zxids continue after %v, the log after %v, the state is of %v", name, r.d.Given(), r.d.s.wal.Last(), m.zxid)
			}
			return r, m
		}
	}
	t.Fatalf("%s: came back as\n%s\nwant\n%s\nor\n%s", name, got, allowed[0].state, allowed[len(allowed)-1].state)
	return nil, moment{}
}

// cutRecovery crashes the disk in the start that it has just been through. Once the server has started,
// what it showed must stay.
func cutRecovery(t *testing.T, name string, d *vfs.Sim, m moment) int {
	t.Helper()
	n := 0
	for at := 0; at <= d.Ops(); at++ {
		for img := range d.Images(at, 1) {
			n++
			recovered(t, fmt.Sprintf("%s; then crash of the start after operation %d, %s", name, at, img.Name), img.Disk, []moment{m})
		}
	}
	return n
}

// goesOn writes to a server that was recovered, and restarts it once more.
func goesOn(t *testing.T, name string, r *driver, d *vfs.Sim) {
	t.Helper()
	before := r.d.Applied()
	sess := r.session()
	must(t, r.write(sess, wire.OpCreate, createBody("/after", []byte("all"), 1)))
	if r.d.Applied() != before+2 {
		t.Fatalf("%s: two writes led from zxid %v to %v", name, before, r.d.Applied())
	}
	m := moment{zxid: r.d.Applied(), state: stateOf(t, r.d.s.tree.Load())}
	r.close()
	recovered(t, name+"; then two writes and a restart", d, []moment{m})
}

// TestEveryBitOfLogAndSnapshot flips each bit (one in so many, unless PADDOCK_LONG is set), and zeroes and
// makes unreadable each sector, of the log and of the newest snapshot. The server starts with the right data,
// or refuses by name.
func TestEveryBitOfLogAndSnapshot(t *testing.T) {
	stride := 211
	if long {
		stride = 3
	}
	p := newPlay(t)
	p.all()
	want := p.moments[len(p.moments)-1]
	p.close()
	disk := p.disk.Clone()
	counts := map[string]int{}
	var flips int
	for _, file := range filesToDamage(t, disk) {
		size := fileSize(t, disk, file)
		kind := filepath.Ext(file)
		for bit := flips % stride; bit < int(size)*8; bit += stride {
			flips++
			d := disk.Clone()
			must(t, d.FlipBit(file, int64(bit/8), uint(bit%8)))
			counts[kind+" flipped, "+outcome(t, fmt.Sprintf("bit %d of %s", bit, file), d, want)]++
		}
		for s := range size / vfs.SectorSize {
			d := disk.Clone()
			must(t, d.ZeroSector(file, s))
			counts[kind+" zeroed, "+outcome(t, fmt.Sprintf("sector %d of %s zeroed", s, file), d, want)]++
			d = disk.Clone()
			must(t, d.BadSector(file, s))
			counts[kind+" unreadable, "+outcome(t, fmt.Sprintf("sector %d of %s unreadable", s, file), d, want)]++
		}
	}
	t.Logf("flips %d, outcomes %v, silent 0", flips, counts)
	for _, kind := range []string{".wal flipped, right", ".wal flipped, refused", ".snap flipped, right"} {
		if counts[kind] == 0 {
			t.Errorf("no damage came out as %q", kind)
		}
	}
	for _, kind := range []string{".snap flipped, refused", ".snap zeroed, refused", ".snap unreadable, refused"} {
		if counts[kind] != 0 {
			t.Errorf("%s: %d times; the older snapshots and the log make up for it", kind, counts[kind])
		}
	}
}

// outcome starts a server on a damaged disk. What it says is right, or it is a refusal that names the file and
// what to do.
func outcome(t *testing.T, what string, d *vfs.Sim, want moment) string {
	t.Helper()
	r, err := drive(t, d, nil)
	if err == nil {
		if got := stateOf(t, r.d.s.tree.Load()); got != want.state {
			t.Errorf("%s: silently came back as\n%s\nwant\n%s", what, got, want.state)
			return "wrong"
		}
		return "right"
	}
	text := err.Error()
	if !strings.Contains(text, "/data/paddock/log/") || !strings.Contains(text, "paddock log accept-loss --dir /data/paddock/log") {
		t.Errorf("%s: the refusal does not say what to do: %s", what, text)
	}
	return "refused"
}

func filesToDamage(t *testing.T, d *vfs.Sim) (files []string) {
	t.Helper()
	logs, err := d.List("/data/paddock/log")
	must(t, err)
	for _, n := range logs {
		if filepath.Ext(n) == ".wal" {
			files = append(files, "/data/paddock/log/"+n)
		}
	}
	snaps, err := d.List("/data/paddock/snap")
	must(t, err)
	return append(files, "/data/paddock/snap/"+snaps[len(snaps)-1])
}

func fileSize(t *testing.T, d *vfs.Sim, name string) int64 {
	t.Helper()
	i, err := d.Stat(name)
	must(t, err)
	return i.Size
}
