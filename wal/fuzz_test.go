package wal

import (
	"encoding/binary"
	"errors"
	"runtime"
	"testing"

	"github.com/cespare/xxhash/v2"

	"paddock/vfs"
)

func resumSegment(b []byte) {
	binary.BigEndian.PutUint64(b[sectorSize-8:], xxhash.Sum64(b[:sectorSize-8]))
}

// FuzzSegment opens a log whose only segment is the input. With repair, sums are made right first,
// so that what is behind them is reached: bit 0 the segment's header, bit 1 the batches' headers,
// bit 2 the index. Nothing panics, memory stays in proportion, what is refused is refused by name,
// and what is accepted is the same when it is opened again.
func FuzzSegment(f *testing.F) {
	for _, sealed := range []bool{true, false} {
		d, m := vfs.NewSim(1), newModel()
		l := mustOpen(f, d, small())
		for _, s := range []step{commits(1, 20), commits(3, 200), commits(1, 600)} {
			must(f, s.do(l, m))
		}
		if sealed {
			must(f, l.Close())
		}
		seed := fileBytes(f, d, dir+"/"+segmentName(1))
		for repair := range byte(8) {
			f.Add(seed, repair)
		}
		f.Add(seed[:minSegment-1], byte(1))
		f.Add(append(seed, make([]byte, sectorSize)...), byte(1))
		f.Add(append(seed, make([]byte, 101)...), byte(1))
	}
	f.Fuzz(func(t *testing.T, data []byte, repair byte) {
		if len(data) > 1<<20 {
			return
		}
		repairSums(data, repair)
		d := vfs.NewSim(1)
		must(t, d.MkdirAll(dir))
		file, err := d.Create(dir + "/" + segmentName(1))
		must(t, err)
		if len(data) > 0 {
			if _, err := file.WriteAt(data, 0); err != nil {
				t.Fatal(err)
			}
		}
		checkMemory(t, d, int64(len(data)))
		l, err := Open(d, dir, small())
		if err != nil {
			var damage *DamageError
			var version *VersionError
			if !errors.As(err, &damage) && !errors.As(err, &version) {
				t.Fatalf("refused without a name: %v", err)
			}
			return
		}
		first := contents(t, l)
		last := l.Last()
		must(t, l.Close())
		l = mustOpen(t, d, small())
		if got := contents(t, l); got != first || l.Last() != last {
			t.Errorf("second open: got %q, last %s; want %q, last %s", got, l.Last(), first, last)
		}
		must(t, l.Close())
	})
}

func contents(t *testing.T, l *Log) string {
	t.Helper()
	var all []byte
	must(t, l.Replay(l.Base(), func(txn []byte) error {
		all = append(append(all, txn...), 0)
		return nil
	}))
	return string(all)
}

// checkMemory reads the segment and checks that this allocates no more than 4 times its size and
// 64 KiB.
func checkMemory(t *testing.T, d *vfs.Sim, size int64) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	rc := &recovery{fs: d, dir: dir, ids: []uint64{1}}
	_ = rc.run() // Open says what is wrong
	runtime.ReadMemStats(&after)
	if got, limit := int64(after.TotalAlloc-before.TotalAlloc), 4*size+64<<10; got > limit {
		t.Errorf("recovery of %d bytes allocated %d, want at most %d", size, got, limit)
	}
}

// repairSums makes checksums right, as FuzzSegment says.
func repairSums(data []byte, repair byte) {
	if len(data) < minSegment {
		return
	}
	be := binary.BigEndian
	if repair&1 != 0 {
		be.PutUint64(data[24:], uint64(len(data)))
		resumSegment(data)
	}
	for off := sectorSize; off+sectorSize <= len(data); off += sectorSize {
		if b := data[off:]; repair&2 != 0 && be.Uint32(b) == batchMagic {
			be.PutUint64(b[120:], xxhash.Sum64(b[:hashedBytes]))
		} else if repair&4 != 0 && off < 3*sectorSize {
			for e := b[:sectorSize]; len(e) > 0; e = e[entrySize:] {
				be.PutUint64(e[56:], xxhash.Sum64(e[:entrySize-8]))
			}
		}
	}
}
