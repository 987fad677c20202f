package wal

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cespare/xxhash/v2"

	"paddock/vfs"
)

const epochDir = "/data"

func epochName(i int) string { return epochDir + "/" + epochNames[i] }

func mustOpenEpochs(t testing.TB, fsys vfs.FS) (*EpochFile, Epochs) {
	t.Helper()
	f, e, err := OpenEpochs(fsys, epochDir)
	must(t, err)
	return f, e
}

func ofServer3(accepted, current uint32) Epochs {
	return Epochs{Accepted: accepted, Current: current, ServerID: 3, ClusterID: 0xC1}
}

// promises returns what a server saves over three elections.
func promises() []Epochs {
	return []Epochs{
		ofServer3(1, 0), ofServer3(1, 1), ofServer3(2, 1), ofServer3(2, 2), ofServer3(7, 2), ofServer3(9, 9),
	}
}

func savedEpochs(t testing.TB, n int) *vfs.Sim {
	t.Helper()
	d := vfs.NewSim(1)
	f, _ := mustOpenEpochs(t, d)
	for _, e := range promises()[:n] {
		must(t, f.Save(e))
	}
	return d
}

func TestEpochsThatWereSavedAreReadBack(t *testing.T) {
	d := vfs.NewSim(1)
	f, e := mustOpenEpochs(t, d)
	if e != (Epochs{}) {
		t.Fatalf("in an empty directory: got %+v, want the zero record", e)
	}
	for i, want := range promises() {
		must(t, f.Save(want))
		want.Generation = uint64(i + 1)
		f, e = mustOpenEpochs(t, d)
		if e != want || f.Epochs() != want || f.Repaired() != nil {
			t.Errorf("got %+v and %+v, repaired %v; want %+v", e, f.Epochs(), f.Repaired(), want)
		}
	}
}

func TestASaveOfWhatIsSavedDoesNotTouchTheDisk(t *testing.T) {
	d := savedEpochs(t, 2)
	f, e := mustOpenEpochs(t, d)
	ops := d.Ops()
	must(t, f.Save(e))
	if d.Ops() != ops {
		t.Errorf("%d operations, want none", d.Ops()-ops)
	}
}

func TestEpochsNeverGoBack(t *testing.T) {
	for _, c := range []struct {
		name string
		next Epochs
	}{
		{"a lower accepted epoch", Epochs{Accepted: 6, Current: 2, ServerID: 3, ClusterID: 0xC1}},
		{"a lower current epoch", Epochs{Accepted: 8, Current: 1, ServerID: 3, ClusterID: 0xC1}},
		{"a current epoch above the accepted one", Epochs{Accepted: 8, Current: 9, ServerID: 3, ClusterID: 0xC1}},
		{"another server", Epochs{Accepted: 8, Current: 2, ServerID: 4, ClusterID: 0xC1}},
		{"no server", Epochs{Accepted: 8, Current: 2, ClusterID: 0xC1}},
		{"another cluster", Epochs{Accepted: 8, Current: 2, ServerID: 3, ClusterID: 0xC2}},
	} {
		d := savedEpochs(t, 5)
		f, want := mustOpenEpochs(t, d)
		ops := d.Ops()
		if err := f.Save(c.next); !errors.Is(err, ErrEpochsBack) || d.Ops() != ops {
			t.Errorf("%s: got %v after %d operations, want ErrEpochsBack after none", c.name, err, d.Ops()-ops)
		}
		if _, got := mustOpenEpochs(t, d); got != want || f.Epochs() != want {
			t.Errorf("%s: the record is %+v now, want %+v", c.name, got, want)
		}
		if err := f.Save(ofServer3(8, 8)); err != nil {
			t.Errorf("%s: then a good one: %v", c.name, err)
		}
	}
}

// The bytes of version 1 stay readable. testdata/epochs-v1.hex dumps one sector.
func TestEpochsGolden(t *testing.T) {
	const file = "testdata/epochs-v1.hex"
	e := Epochs{Accepted: 0x01020304, Current: 0x01020303, Generation: 5, ServerID: 0x11223344, ClusterID: 0xA1A2A3A4A5A6A7A8}
	var b [sectorSize]byte
	e.encode(b[:])
	if *rewrite {
		must(t, os.WriteFile(file, []byte(hex.Dump(b[:])), 0o644))
	}
	want, err := os.ReadFile(file)
	must(t, err)
	if got := hex.Dump(b[:]); got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got, err := decodeEpochs(b[:], ""); got != e || err != nil {
		t.Errorf("decoded: got %+v, %v, want %+v", got, err, e)
	}
}

// checkEpochs opens what a crash left and checks that it holds one of want; then, that what was
// opened survives a power cut that keeps nothing else, the loss of either copy, and goes on.
func checkEpochs(t *testing.T, name string, d *vfs.Sim, want []Epochs, deep bool) (got Epochs) {
	t.Helper()
	f, got, err := OpenEpochs(d, epochDir)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if !slices.Contains(want, got) {
		t.Fatalf("%s: got %+v, want one of %+v", name, got, want)
	}
	if !deep || got.Generation == 0 {
		return got
	}
	for i := range epochNames {
		c := d.Crash(d.Ops(), func(vfs.Unit) bool { return false })
		must(t, c.ZeroSector(epochName(i), 0))
		checkEpochs(t, fmt.Sprintf("%s; then without copy %d", name, i+1), c, []Epochs{got}, false)
	}
	next := ofServer3(got.Accepted+1, got.Accepted+1)
	must(t, f.Save(next))
	next.Generation = got.Generation + 1
	c := d.Crash(d.Ops(), func(vfs.Unit) bool { return false })
	checkEpochs(t, name+"; then saved once more", c, []Epochs{next}, false)
	return got
}

// TestEpochsEveryCrashPoint cuts a run of Saves after each operation of the disk, with every image
// of what was not synced, and the recovery from that in the same way. A promise that Save or Open
// returned is never lost; one on its way is there or not.
func TestEpochsEveryCrashPoint(t *testing.T) {
	d := vfs.NewSim(1)
	f, e := mustOpenEpochs(t, d)
	states, at := []Epochs{e}, []int{d.Ops()}
	for i, e := range promises() {
		if i == 3 { // a restart on the way: its writes are cut too
			f, _ = mustOpenEpochs(t, d)
		}
		must(t, f.Save(e))
		states, at = append(states, f.Epochs()), append(at, d.Ops())
	}
	images, again := 0, 0
	for op := 0; op <= d.Ops(); op++ {
		i := 0
		for i+1 < len(at) && at[i+1] <= op {
			i++
		}
		want := states[i:min(i+2, len(states))]
		if at[i] == op {
			want = want[:1] // nothing is on its way
		}
		for img := range d.Images(op, 8) {
			images++
			name := fmt.Sprintf("crash after op %d, %s", op, img.Name)
			work := img.Disk.Clone()
			got := checkEpochs(t, name, work, want, true)

			_, _ = mustOpenEpochs(t, img.Disk)
			for cut := 0; cut <= img.Disk.Ops(); cut++ {
				want := want
				if cut == img.Disk.Ops() {
					want = []Epochs{got}
				}
				for img2 := range img.Disk.Images(cut, 2) {
					again++
					name := fmt.Sprintf("%s; then crash of the recovery after op %d, %s", name, cut, img2.Name)
					checkEpochs(t, name, img2.Disk, want, false)
				}
			}
		}
	}
	t.Logf("crash points %d, images %d, images of recovery %d, promises lost 0", d.Ops()+1, images, again)
}

// TestEpochsEveryBit flips every bit of each copy, and of both at once, and damages each as a
// whole. With one good copy the record is right and both are good again; with none it is refused by name.
func TestEpochsEveryBit(t *testing.T) {
	clean := savedEpochs(t, 4)
	_, want := mustOpenEpochs(t, clean)
	good := fileBytes(t, clean, epochName(0))
	type damage struct {
		name string
		do   func(d *vfs.Sim, i int) error
	}
	damages := []damage{
		{"zeroed", func(d *vfs.Sim, i int) error { return d.ZeroSector(epochName(i), 0) }},
		{"unreadable", func(d *vfs.Sim, i int) error { return d.BadSector(epochName(i), 0) }},
		{"cut short", func(d *vfs.Sim, i int) error { return resize(d, epochName(i), 100) }},
		{"emptied", func(d *vfs.Sim, i int) error { return resize(d, epochName(i), 0) }},
		{"too long", func(d *vfs.Sim, i int) error { return resize(d, epochName(i), 2*sectorSize) }},
	}
	for bit := range uint(sectorSize * 8) {
		damages = append(damages, damage{fmt.Sprintf("bit %d flipped", bit), func(d *vfs.Sim, i int) error {
			return d.FlipBit(epochName(i), int64(bit/8), bit%8)
		}})
	}
	removed := damage{"removed", func(d *vfs.Sim, i int) error { return d.Remove(epochName(i)) }}
	for n, x := range append(damages, removed) {
		for i := range epochNames {
			d := clean.Clone()
			must(t, x.do(d, i))
			f, got, err := OpenEpochs(d, epochDir)
			if err != nil || got != want {
				t.Fatalf("copy %d %s: got %+v, %v, want %+v", i+1, x.name, got, err, want)
			}
			if f.Repaired() == nil || !strings.Contains(f.Repaired().Error(), epochNames[i]) {
				t.Errorf("copy %d %s: repaired %v, want its name", i+1, x.name, f.Repaired())
			}
			for j := range epochNames {
				if got := fileBytes(t, d, epochName(j)); !bytes.Equal(got, good) {
					t.Errorf("copy %d %s: copy %d was not repaired", i+1, x.name, j+1)
				}
			}
		}
		if n == len(damages) {
			break // both removed is a new server
		}
		d := clean.Clone()
		must(t, x.do(d, 0))
		must(t, damages[(n*7+3)%len(damages)].do(d, 1))
		refusedAsLost(t, "both "+x.name, d)
		d = clean.Clone()
		must(t, x.do(d, 0))
		must(t, removed.do(d, 1))
		refusedAsLost(t, x.name+" and removed", d)
	}
}

func refusedAsLost(t *testing.T, name string, d *vfs.Sim) {
	t.Helper()
	before := d.Tree()
	_, _, err := OpenEpochs(d, epochDir)
	var lost *EpochsLostError
	if !errors.Is(err, ErrEpochsLost) || !errors.As(err, &lost) || lost.Dir != epochDir {
		t.Fatalf("%s: got %v, want an EpochsLostError", name, err)
	}
	for _, say := range []string{"must not join under its id", "reconfiguration", epochDir, epochNames[0], epochNames[1]} {
		if !strings.Contains(err.Error(), say) {
			t.Fatalf("%s: the error does not say %q: %v", name, say, err)
		}
	}
	if after := d.Tree(); after != before {
		t.Fatalf("%s: the refusal changed the directory to\n%s", name, after)
	}
}

func resize(d *vfs.Sim, name string, size int64) error {
	f, err := d.OpenWrite(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Truncate(size)
}

func resumEpochs(b []byte) {
	binary.BigEndian.PutUint64(b[sectorSize-8:], xxhash.Sum64(b[:sectorSize-8]))
}

// editEpochs changes a copy and makes its checksum right.
func editEpochs(t *testing.T, d *vfs.Sim, i int, change func(b []byte)) {
	t.Helper()
	b := fileBytes(t, d, epochName(i))
	change(b)
	resumEpochs(b)
	f, err := d.OpenWrite(epochName(i))
	must(t, err)
	defer f.Close()
	_, err = f.WriteAt(b, 0)
	must(t, err)
}

func TestEpochsOfALaterVersionAreRefusedUnchanged(t *testing.T) {
	d := savedEpochs(t, 3)
	editEpochs(t, d, 1, func(b []byte) { b[11] = 2 })
	before := fileBytes(t, d, epochName(0))
	var version *VersionError
	if _, _, err := OpenEpochs(d, epochDir); !errors.As(err, &version) || version.Version != 2 || version.File != epochName(1) {
		t.Errorf("got %v, want a VersionError of version 2", err)
	}
	if !bytes.Equal(before, fileBytes(t, d, epochName(0))) {
		t.Error("the other copy was written")
	}
}

func TestTheHigherGenerationCounts(t *testing.T) {
	for i := range epochNames {
		d := savedEpochs(t, 4)
		_, want := mustOpenEpochs(t, d)
		old := fileBytes(t, savedEpochs(t, 2), epochName(0))
		editEpochs(t, d, i, func(b []byte) { copy(b, old) }) // a write that the disk lost
		if _, got := mustOpenEpochs(t, d); got != want {
			t.Errorf("copy %d is old: got %+v, want %+v", i+1, got, want)
		}
		if !bytes.Equal(fileBytes(t, d, epochName(0)), fileBytes(t, d, epochName(1))) {
			t.Errorf("copy %d is old: it stays", i+1)
		}
	}
}

func TestTwoRecordsOfOneGenerationAreRefused(t *testing.T) {
	d := savedEpochs(t, 3)
	editEpochs(t, d, 1, func(b []byte) { b[15]++ })
	refusedAsLost(t, "copies that differ", d)
}

// A failure of the disk in any operation of Save, Open or the repair is final; what was acknowledged
// before is there after a restart, and what is read then stays, whatever the page cache had.
func TestEpochsEveryFault(t *testing.T) {
	fatal := []vfs.OpKind{vfs.OpCreate, vfs.OpOpen, vfs.OpWrite, vfs.OpSync, vfs.OpRename, vfs.OpSyncDir}
	faults := 0
	for _, kind := range fatal {
		for nth := 1; ; nth++ {
			for _, short := range []int{0, 100} {
				d := vfs.NewSim(1)
				hit := false
				inner := vfs.FailNth(kind, nth, vfs.Fault{Err: syscall.EIO, Short: short})
				d.SetFaults(func(op vfs.Op) *vfs.Fault {
					f := inner(op)
					hit = hit || f != nil
					return f
				})
				acked, tried, err := saveAll(d)
				if !hit {
					if err != nil {
						t.Fatalf("without a fault: %v", err)
					}
					goto next
				}
				faults++
				name := fmt.Sprintf("%s %d failed, short %d", kind, nth, short)
				if !errors.Is(err, syscall.EIO) {
					t.Fatalf("%s: got %v, want EIO", name, err)
				}
				d.SetFaults(nil)
				d.Kill()
				checkEpochs(t, name, d, []Epochs{acked, tried}, true)
			}
		}
	next:
	}
	t.Logf("%d faults", faults)
}

// saveAll saves all promises with a restart between, and returns the last record that was
// acknowledged and the one that was on its way.
func saveAll(d *vfs.Sim) (acked, tried Epochs, err error) {
	var f *EpochFile
	for i, e := range promises() {
		if i%3 == 0 {
			if f, _, err = OpenEpochs(d, epochDir); err != nil {
				return acked, acked, err
			}
		}
		e.Generation = uint64(i + 1)
		if err := f.Save(e); err != nil {
			again := f.Save(e)
			if again != err {
				return acked, e, fmt.Errorf("%v, and after it %v", err, again)
			}
			return acked, e, err
		}
		acked = e
	}
	return acked, acked, nil
}

func TestAFullDiskDoesNotKeepEpochsFromBeingReadAndSaved(t *testing.T) {
	d := savedEpochs(t, 2)
	d.SetCapacity(1)
	f, _ := mustOpenEpochs(t, d)
	must(t, f.Save(ofServer3(5, 5)))
	if _, got := mustOpenEpochs(t, d); got.Accepted != 5 {
		t.Errorf("got %+v, want epoch 5", got)
	}
}

// FuzzEpochs opens a directory with two arbitrary copies; with repair their checksums are made right.
// Nothing panics, what is refused is refused by name, and what is accepted is one of the two,
// unchanged, and the same when it is opened again.
func FuzzEpochs(f *testing.F) {
	d := savedEpochs(f, 4)
	good := fileBytes(f, d, epochName(0))
	older := fileBytes(f, savedEpochs(f, 3), epochName(0))
	f.Add(good, good, byte(0))
	f.Add(good, older, byte(3))
	f.Add(older, good[:100], byte(0))
	f.Add([]byte{}, good, byte(0))
	f.Add(make([]byte, sectorSize), make([]byte, sectorSize), byte(3))
	f.Fuzz(func(t *testing.T, a, b []byte, repair byte) {
		d := vfs.NewSim(1)
		must(t, d.MkdirAll(epochDir))
		for i, data := range [][]byte{a, b} {
			if len(data) == sectorSize && repair>>i&1 == 1 {
				resumEpochs(data)
			}
			file, err := d.Create(epochName(i))
			must(t, err)
			if len(data) > 0 {
				_, err = file.WriteAt(data, 0)
				must(t, err)
			}
			must(t, file.Close())
		}
		_, e, err := OpenEpochs(d, epochDir)
		if err != nil {
			var version *VersionError
			if !errors.Is(err, ErrEpochsLost) && !errors.As(err, &version) {
				t.Fatalf("refused without a name: %v", err)
			}
			return
		}
		var want [sectorSize]byte
		e.encode(want[:])
		if !bytes.Equal(a, want[:]) && !bytes.Equal(b, want[:]) {
			t.Fatalf("%+v is in neither copy", e)
		}
		if _, again := mustOpenEpochs(t, d); again != e {
			t.Fatalf("second open: got %+v, want %+v", again, e)
		}
	})
}
