package wal

import (
	"fmt"
	"path/filepath"
	"testing"

	"paddock/vfs"
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
