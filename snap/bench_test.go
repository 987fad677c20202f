package snap

import (
	"fmt"
	"os"
	"path"
	"runtime"
	"testing"
	"time"

	"paddock/vfs"
	"paddock/wire"
)

// BenchmarkWrite writes 1,000,000 nodes of 100 bytes to the machine's disk: encode, compress,
// sync, read back, rename. Half of each value is random.
func BenchmarkWrite(b *testing.B) {
	s := many(1, 1_000_000, 100)
	s.batch, s.digest = 256, s.Digest()
	dir := b.TempDir()
	var info Info
	for n := 0; b.Loop(); n++ {
		s.zxid, s.at = wire.Zxid(n+1), 0
		var err error
		if info, err = Write(vfs.OS(), dir, s, 1, Options{}); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		os.Remove(path.Join(dir, info.Name))
		b.StartTimer()
	}
	report(b, info)
}

// BenchmarkLoad loads such a file, into a sink that keeps nothing, with 1 and with all cores.
func BenchmarkLoad(b *testing.B) {
	s := many(1, 1_000_000, 100)
	s.batch, s.digest = 256, s.Digest()
	dir := b.TempDir()
	info, err := Write(vfs.OS(), dir, s, 1, Options{})
	if err != nil {
		b.Fatal(err)
	}
	*s = state{}
	runtime.GC()
	for _, workers := range []int{1, runtime.GOMAXPROCS(0)} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			for b.Loop() {
				if _, err := Load(vfs.OS(), dir, nowhere{}, Options{Workers: workers}); err != nil {
					b.Fatal(err)
				}
			}
			report(b, info)
		})
	}
}

type nowhere struct{ discard }

func (n nowhere) Begin(Info) (Sink, error) { return n, nil }
func (nowhere) Finish(Info) error          { return nil }

func report(b *testing.B, info Info) {
	b.SetBytes(info.RawBytes)
	perOp := b.Elapsed() / time.Duration(b.N)
	b.ReportMetric(perOp.Seconds(), "s/snapshot")
	b.ReportMetric(float64(info.Nodes)/perOp.Seconds()/1e6, "Mnodes/s")
	b.ReportMetric(float64(info.RawBytes)/float64(info.FileBytes), "ratio")
	b.ReportMetric(float64(info.FileBytes)/1e6, "fileMB")
}
