package server

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"paddock/wire"
)

// The same on a real file system, which is really full: somebody else takes all its space, and gives it
// back.
func TestARealDiskFillsUp(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("paddock-test", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("no file system of our own here: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, 0) })
	s := startIn(t, dir, func(c *Config) { c.SegmentBytes = 256 << 10 })
	p, reader := open(t, s), open(t, s)
	p.create("/a", []byte("first"))

	ballast := filepath.Join(dir, "ballast")
	f, err := os.Create(ballast)
	must(t, err)
	for block := make([]byte, 64<<10); err == nil; {
		if _, err = f.Write(block); err != nil && len(block) > 1 {
			block, err = block[:len(block)/2], nil
		}
	}
	f.Close()
	data := bytes.Repeat([]byte{'x'}, 10<<10)
	for range 60 { // 600 KiB into what is at most two segments of 256 KiB
		p.send(wire.OpSetData, setBody("/a", data))
	}
	eventually(t, "the log has no room", s.noRoom.Load)
	if got, _ := reader.get("/a"); len(got) == 0 {
		t.Error("a read found nothing")
	}
	must(t, os.Remove(ballast))
	taken := 0
	for i := range 60 {
		switch r := p.reply(); wire.Code(r.Err) {
		case wire.OK:
			taken++
		case wire.OperationTimeout:
		default:
			t.Fatalf("write %d: code %d", i, r.Err)
		}
	}
	if taken == 0 {
		t.Error("no write was taken: those on their way have to be")
	}
	t.Logf("taken %d of 60", taken)
	eventually(t, "writes are taken again", func() bool {
		return p.call(wire.OpSetData, setBody("/a", []byte("last"))).Err == 0
	})
	stop(t, s)
	if got, _ := open(t, startIn(t, dir)).get("/a"); string(got) != "last" {
		t.Errorf("after a restart: %q", got)
	}
}
