package server

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"paddock/vfs"
	"paddock/wal"
	"paddock/wire"
)

// limit leaves a disk so many bytes.
func limit(t *testing.T, d *vfs.Sim, bytes int64) {
	t.Helper()
	const large = 1 << 40
	d.SetCapacity(large)
	free, err := d.Free("/data")
	if err != nil {
		t.Fatal(err)
	}
	d.SetCapacity(large - free + bytes)
}

// simulated is a server on a disk in memory, in which MinFreeBytes says nothing: only the log's own word
// counts.
func simulated(d *vfs.Sim, change ...func(*Config)) func(*Config) {
	return func(c *Config) {
		c.FS, c.DataDir, c.LogDir, c.SegmentBytes = d, "/data", "/data", 16<<10
		for _, f := range change {
			f(c)
		}
	}
}

// While the next segment does not fit, writes are refused: those before it have room in the segments that
// are there. When there is space, writes go on, and all that was acknowledged is there.
func TestWritesAreRefusedWhileTheNextSegmentDoesNotFit(t *testing.T) {
	d := vfs.NewSim(1)
	r := newDriver(t, d, nil)
	sess := r.session()
	must(t, r.write(sess, wire.OpCreate, createBody("/a", nil, 0)))
	limit(t, d, 20<<10) // one more segment
	data := bytes.Repeat([]byte{'x'}, 700)
	taken, refused := 0, 0
	for refused < 3 && taken < 100 {
		switch code := r.do(sess, wire.OpSetData, setBody("/a", data)); code {
		case wire.OK:
			taken++
		case wire.OperationTimeout:
			refused++
		default:
			t.Fatalf("write %d: %v", taken, code)
		}
		r.keepHouse()
	}
	if taken < 4 || refused < 3 {
		t.Errorf("%d writes were taken before writes were refused %d times: the disk has room for some", taken, refused)
	}
	if code := r.do(sess, wire.OpCloseSession, nil); code != wire.OperationTimeout || sess.Closing() {
		t.Errorf("the end of a session: %v, closing %v; want it refused, and the session to live", code, sess.Closing())
	}
	applied := r.d.Applied()
	limit(t, d, 1<<20)
	r.keepHouse()
	must(t, r.write(sess, wire.OpSetData, setBody("/a", []byte("y"))))
	if r.d.Applied() != applied+1 {
		t.Errorf("zxid %v after %v: a refused write took one", r.d.Applied(), applied)
	}
	digest := r.d.Digest()
	r.close()
	again := newDriver(t, d.Clone(), nil)
	if again.d.Applied() != applied+1 || again.d.Digest() != digest {
		t.Errorf("after a restart: zxid %v, digest %#x; want %v, %#x", again.d.Applied(), again.d.Digest(), applied+1, digest)
	}
}

// A disk that fills up faster than anybody looks does not end the server: what is on its way waits, and is
// answered when there is space.
func TestACommitWaitsForSpace(t *testing.T) {
	d := vfs.NewSim(1)
	fatal := make(chan error, 1)
	s := start(t, simulated(d), func(c *Config) { c.OnFatal = func(err error) { fatal <- err } })
	reader, writer := open(t, s), open(t, s)
	writer.create("/a", []byte("first"))
	limit(t, d, 0)
	big := bytes.Repeat([]byte{'x'}, 12<<10)
	for range 4 { // more than two segments, should one be prepared
		writer.send(wire.OpSetData, setBody("/a", big))
	}
	eventually(t, "the log has no room", s.noRoom.Load)
	if data, _ := reader.get("/a"); len(data) == 0 {
		t.Error("a read found nothing")
	}
	eventually(t, "operators see it", func() bool { return s.Status().DiskFull })
	d.SetCapacity(0)
	refused := 0
	for i := range 4 {
		switch r := writer.reply(); {
		case r.Err == int32(wire.OperationTimeout) && i > 0:
			refused++
		case r.Err != 0:
			t.Errorf("write %d: code %d", i, r.Err)
		}
	}
	t.Logf("refused %d of 4", refused)
	eventually(t, "writes are taken again", func() bool {
		return writer.call(wire.OpSetData, setBody("/a", []byte("last"))).Err == 0
	})
	select {
	case err := <-fatal:
		t.Errorf("the server failed: %v", err)
	default:
	}
}

// The server can be stopped while a commit waits. What waited was never acknowledged, and what was is there.
func TestAServerThatWaitsForSpaceEnds(t *testing.T) {
	d := vfs.NewSim(1)
	s, err := Start(config("", simulated(d)))
	if err != nil {
		t.Fatal(err)
	}
	p := open(t, s)
	p.create("/a", []byte("first"))
	limit(t, d, 0)
	for range 4 {
		p.send(wire.OpSetData, setBody("/a", bytes.Repeat([]byte{'x'}, 12<<10)))
	}
	eventually(t, "the log has no room", s.noRoom.Load)
	done := make(chan error, 1)
	go func() { done <- s.Close(context.Background()) }()
	select {
	case err := <-done:
		if !errors.Is(err, wal.ErrNoSpace) {
			t.Errorf("close: %v, want ErrNoSpace", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the server does not end")
	}
	disk := d.Clone()
	disk.SetCapacity(0)
	again := start(t, simulated(disk))
	if data, _ := open(t, again).get("/a"); len(data) == 0 {
		t.Error("the acknowledged write is lost")
	}
}

// A disk that is full already is known before the first connection.
func TestAFullDiskIsKnownFromTheStart(t *testing.T) {
	if s := start(t, func(c *Config) { c.MinFreeBytes = 1 << 60 }); !s.full.Load() {
		t.Error("writes are taken at first")
	}
}
