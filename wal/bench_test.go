package wal

import (
	"fmt"
	"path/filepath"
	"testing"

	"paddock/vfs"
	"paddock/wire"
)

// BenchmarkAppend is what the disk charges for a write and an fdatasync, in the three kinds
// of file that a log could use. Run it where the data directory will be: TMPDIR=… go test -bench .
func BenchmarkAppend(b *testing.B) {
	const room = 64 << 20
	kinds := []struct {
		name string
		make func(f vfs.File) error
	}{
		{"growing", func(vfs.File) error { return nil }},
		{"reserved", func(f vfs.File) error { return f.Preallocate(room) }},
		{"zeroed", func(f vfs.File) error { return vfs.Zero(f, 0, room) }},
	}
	for _, size := range []int{512, 4096, 65536} {
		for _, kind := range kinds {
			b.Run(fmt.Sprintf("%s/%d", kind.name, size), func(b *testing.B) {
				f, err := vfs.OS().Create(filepath.Join(b.TempDir(), "f"))
				must(b, err)
				defer f.Close()
				must(b, kind.make(f))
				must(b, f.Sync())
				buf := txnBytes(1, 1, size)
				off := int64(0)
				for b.Loop() {
					if off+int64(size) > room {
						off = 0
					}
					_, err := f.WriteAt(buf, off)
					must(b, err)
					must(b, f.Sync())
					off += int64(size)
				}
			})
		}
	}
}

// BenchmarkCommit commits batches of transactions of 150 bytes, in prepared segments.
func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{1, 20, 400} {
		b.Run(fmt.Sprintf("%d txns", n), func(b *testing.B) {
			l, err := Open(vfs.OS(), b.TempDir(), Options{LogID: 7})
			must(b, err)
			defer l.Close()
			prepareAll(b, l)
			txn := txnBytes(1, 1, 150)
			batch, last := NewBatch(64<<10), l.Last()
			b.ReportAllocs()
			for b.Loop() {
				batch.Reset()
				for range n {
					last++
					batch.Add(last, txn)
				}
				must(b, l.Commit(batch, last-1, last-1, 1))
				if l.Stats().Room < 1<<20 {
					b.StopTimer()
					prepareAll(b, l)
					b.StartTimer()
				}
			}
			b.SetBytes(batch.Size())
		})
	}
}

// BenchmarkEncode is Commit's share of the processor: the sums and the header of a batch.
func BenchmarkEncode(b *testing.B) {
	for _, size := range []int{150, 4096, 65536} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			batch := NewBatch(size)
			batch.Add(1, txnBytes(1, 1, size))
			h := header{kind: kindData, sequence: 1, first: 1, last: 1, count: 1}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				h.finish(batch.buf[:batch.end])
			}
		})
	}
}

// BenchmarkReplayFrom reads the last transactions of a segment that is full of small batches: what a
// learner that is a little behind asks for.
func BenchmarkReplayFrom(b *testing.B) {
	const room = 64 << 20
	l, err := Open(memFS{Sim: vfs.NewSim(1), files: map[string]*memFile{}}, dir, Options{LogID: 7, SegmentBytes: room})
	must(b, err)
	defer l.Close()
	batch, last := NewBatch(64<<10), l.Last()
	txn := txnBytes(1, 1, 150)
	for last < 20 || l.Stats().Room > 1<<20 {
		batch.Reset()
		for range 20 {
			last++
			batch.Add(last, txn)
		}
		must(b, l.Commit(batch, last, 0, 0))
	}
	for _, back := range []wire.Zxid{10, 1000, 100000} {
		b.Run(fmt.Sprintf("last %d of %d", back, last), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				must(b, l.Replay(last-back, func([]byte) error { n++; return nil }))
				if n != int(back) {
					b.Fatalf("got %d transactions, want %d", n, back)
				}
			}
		})
	}
}

// BenchmarkCommitWithoutDisk is what Commit costs the processor.
func BenchmarkCommitWithoutDisk(b *testing.B) {
	for _, n := range []int{1, 20} {
		b.Run(fmt.Sprintf("%d txns", n), func(b *testing.B) {
			l, err := Open(memFS{Sim: vfs.NewSim(1), drop: true}, dir, Options{LogID: 7, SegmentBytes: 1 << 30})
			must(b, err)
			defer l.abandon()
			batch, last := NewBatch(64<<10), l.Last()
			txn := txnBytes(1, 1, 150)
			b.ReportAllocs()
			for b.Loop() {
				batch.Reset()
				for range n {
					last++
					batch.Add(last, txn)
				}
				must(b, l.Commit(batch, last-1, last-1, 1))
			}
		})
	}
}

// memFS is a disk without a journal: files are plain memory, or nothing, and a sync does nothing.
type memFS struct {
	*vfs.Sim
	files map[string]*memFile
	drop  bool // writes are not kept
}

type memFile struct {
	vfs.File
	b    []byte
	size int64
	drop bool
}

func (m memFS) Create(name string) (vfs.File, error) {
	f, err := m.Sim.Create(name)
	if err != nil {
		return f, err
	}
	x := &memFile{File: f, drop: m.drop}
	if !m.drop {
		m.files[name] = x
	}
	return x, nil
}

func (m memFS) Rename(from, to string) error {
	if f := m.files[from]; f != nil {
		m.files[to] = f
	}
	return m.Sim.Rename(from, to)
}

func (m memFS) Open(name string) (vfs.File, error) {
	if f := m.files[name]; f != nil {
		return f, nil
	}
	return m.Sim.Open(name)
}

func (f *memFile) Preallocate(size int64) error {
	if f.size = size; !f.drop {
		f.b = make([]byte, size)
	}
	return nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	if !f.drop {
		copy(f.b[off:], p)
	}
	return len(p), nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) { return copy(p, f.b[off:]), nil }
func (f *memFile) Size() (int64, error)                    { return f.size, nil }
func (f *memFile) Sync() error                             { return nil }
func (f *memFile) Close() error                            { return nil }
