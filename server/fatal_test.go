package server

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"paddock/tree"
	"paddock/vfs"
	"paddock/wire"
)

var errDisk = errors.New("the disk is gone")

// After the first failed sync nothing is acknowledged any more, by nobody, and the process is told once
// (fsync-once, durable-before-ack). What was acknowledged is there after a restart.
func TestAFailedSyncEndsAcknowledgements(t *testing.T) {
	for _, nth := range []int{1, 2, 7, 20} {
		dir := t.TempDir()
		h := &hookFS{FS: vfs.OS()}
		var fatal atomic.Int32
		told := make(chan error, 10)
		s, err := Start(config(dir, func(c *Config) {
			c.FS = h
			c.OnFatal = func(err error) { fatal.Add(1); told <- err }
		}))
		if err != nil {
			t.Fatal(err)
		}
		setup := open(t, s)
		setup.create("/d", nil)
		const writers = 4
		peers := [writers]*peer{}
		for i := range peers {
			peers[i] = open(t, s)
		}
		var syncs, failedAt atomic.Int64
		h.onSync(func(name string) error {
			if !strings.Contains(name, "log") {
				return nil
			}
			if n := syncs.Add(1); n >= int64(nth) {
				failedAt.CompareAndSwap(0, n)
				return errDisk
			}
			return nil
		})
		acked := [writers]int{}
		var wg sync.WaitGroup
		for i, p := range peers {
			wg.Go(func() {
				p.Timeout = 300 * time.Millisecond
				for n := range 1000 {
					if p.Write(frame(int32(n), wire.OpCreate, createBody(path("/d/%d-%d", i, n), nil, 0))) != nil {
						return
					}
					if r, err := p.ReadReply(); err != nil || r.Err != 0 {
						return
					}
					if failed := failedAt.Load(); failed != 0 && syncs.Load() > failed {
						t.Errorf("sync %d failed, and the log was synced again", failed)
					}
					acked[i]++
				}
			})
		}
		wg.Wait()
		select {
		case err := <-told:
			if !errors.Is(err, errDisk) {
				t.Errorf("OnFatal was told %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("OnFatal was not called")
		}
		// Reads of what is applied may go on until the process ends; writes have no answer.
		stop(t, s)
		if n := fatal.Load(); n != 1 {
			t.Errorf("OnFatal was called %d times, want once", n)
		}
		again := startIn(t, dir)
		p := open(t, again)
		for i := range acked {
			for n := range acked[i] {
				p.ok(wire.OpExists, readBody(path("/d/%d-%d", i, n), false))
			}
		}
	}
}

// Who waits for a place between two transactions when the log fails must not keep the server from
// ending.
func TestCloseAfterAFailureWaitsForNobody(t *testing.T) {
	h := &hookFS{FS: vfs.OS()}
	failed := make(chan struct{})
	s, err := Start(config(t.TempDir(), func(c *Config) {
		c.FS = h
		c.SnapCount = 1 // a snapshot is due after each write: the housekeeper waits too
		c.OnFatal = func(error) { close(failed) }
	}))
	if err != nil {
		t.Fatal(err)
	}
	p := open(t, s)
	h.onSync(func(name string) error {
		if strings.Contains(name, "log") {
			return errDisk
		}
		return nil
	})
	p.send(wire.OpCreate, createBody("/x", nil, 0))
	<-failed
	select {
	case s.checkpoints.due <- struct{}{}:
	default:
	}
	asked := make(chan bool)
	go func() { asked <- s.call(func(*tree.Tree) {}) }()
	eventually(t, "the housekeeper has begun", func() bool { return len(s.checkpoints.due) == 0 })
	stop(t, s)
	select {
	case ok := <-asked:
		if ok {
			t.Error("a call was run after the log had failed")
		}
	case <-time.After(5 * time.Second):
		t.Error("a call still waits after the end")
	}
}

// On a full disk writes are refused and reads go on; with space it all goes on. The disk is the file
// system's word for it.
func TestAFullDiskRefusesWrites(t *testing.T) {
	h := &hookFS{FS: vfs.OS()}
	var free atomic.Int64
	free.Store(1 << 40)
	h.free = free.Load
	s := start(t, func(c *Config) { c.FS, c.MinFreeBytes = h, 1<<20 })
	p := open(t, s)
	p.create("/a", []byte("1"))
	free.Store(1<<20 - 1)
	eventually(t, "the server sees it", func() bool { return s.Status().DiskFull })
	last := s.tree.Load().Applied()
	for op, body := range map[wire.Op][]byte{
		wire.OpSetData: setBody("/a", nil), wire.OpCreate: createBody("/b", nil, 0),
	} {
		if r := p.call(op, body); r.Err != int32(wire.OperationTimeout) {
			t.Errorf("%v: code %d, want %d", op, r.Err, wire.OperationTimeout)
		}
	}
	if data, _ := p.get("/a"); string(data) != "1" {
		t.Errorf("read %q", data)
	}
	if got := s.tree.Load().Applied(); got != last {
		t.Errorf("zxid went from %v to %v: something was logged", last, got)
	}
	free.Store(1<<20 + 1<<18 - 1) // not enough to begin again: it would only go back and forth
	time.Sleep(houseStep * 3 / 2)
	if !s.Status().DiskFull {
		t.Error("writes are taken again at once")
	}
	free.Store(1 << 21)
	eventually(t, "there is space again", func() bool { return !s.Status().DiskFull })
	p.ok(wire.OpSetData, setBody("/a", []byte("2")))
}
