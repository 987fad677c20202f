package server

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"paddock/tree"
	"paddock/vfs"
	"paddock/wire"
)

// syncGate is a disk whose syncs wait while it is shut.
type syncGate struct {
	mu   sync.Mutex
	cond sync.Cond
	shut bool
	met  int // syncs that wait
}

func newSyncGate(h *hookFS) *syncGate {
	g := &syncGate{}
	g.cond.L = &g.mu
	h.onSync(func(string) error {
		g.mu.Lock()
		defer g.mu.Unlock()
		for g.shut {
			g.met++
			g.cond.Wait()
			g.met--
		}
		return nil
	})
	return g
}

func (g *syncGate) set(shut bool) {
	g.mu.Lock()
	g.shut = shut
	g.cond.Broadcast()
	g.mu.Unlock()
}

func (g *syncGate) waiting() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.met > 0
}

// A connection that was not served because the pipeline was full has to be served again when there is
// room, also if nothing of its own was left in the pipeline when that happened.
func TestWhoWasStalledByAFullPipelineIsServedAgain(t *testing.T) {
	h := &hookFS{FS: vfs.OS()}
	gate := newSyncGate(h)
	s := start(t, func(c *Config) { c.FS = h })
	flood, quiet := openOn(t, s, 1), openOn(t, s, 0)
	flood.create("/a", nil)
	gate.set(true)
	defer gate.set(false)
	flood.send(wire.OpSetData, setBody("/a", nil))
	eventually(t, "the log waits for its disk", gate.waiting)

	// The flood fills the pipeline from its loop.
	big := setBody("/a", bytes.Repeat([]byte{'x'}, 512<<10))
	var writing sync.WaitGroup
	sent := maxQueuedBytes/(512<<10) + 24
	writing.Go(func() {
		for i := range sent {
			if flood.Write(frame(int32(i), wire.OpSetData, big)) != nil {
				return
			}
		}
	})
	eventually(t, "the pipeline is full", func() bool { return s.pipe.isFull.Load() })
	quiet.send(wire.OpSetData, setBody("/a", []byte("q")))
	eventually(t, "the quiet one's request is in the pipeline", func() bool {
		i := infoOf(s, quiet)
		return i.Queued == 1 && i.Interest&1 == 0
	})
	// Behind it somebody holds apply up, so that its reply leaves while the pipeline is still full. When
	// there is room at last, nothing of its loop is left on the way.
	eventually(t, "all is sequenced", func() bool {
		s.pipe.mu.Lock()
		defer s.pipe.mu.Unlock()
		return len(s.pipe.intake) == 0 && !s.pipe.sequencing
	})
	release := make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	defer letGo()
	go s.call(func(*tree.Tree) { <-release })
	eventually(t, "the one that holds apply up is in its place", func() bool {
		s.pipe.mu.Lock()
		defer s.pipe.mu.Unlock()
		n := len(s.pipe.toLog)
		return n > 0 && s.pipe.toLog[n-1].batches[0].entries[0].kind == kindCall
	})
	gate.set(false)
	if r := quiet.reply(); r.Err != 0 {
		t.Fatalf("the quiet one's write: code %d", r.Err)
	}
	if !s.pipe.isFull.Load() {
		t.Fatal("the pipeline is not full any more: this test tests nothing")
	}
	letGo()
	for i := range sent + 1 {
		if r, err := flood.ReadReply(); err != nil || r.Err != 0 {
			t.Fatalf("reply %d of the flood: %+v, %v", i, r, err)
		}
	}
	writing.Wait()
	quiet.Timeout = 3 * time.Second
	quiet.send(wire.OpPing, nil)
	if _, err := quiet.ReadReply(); err != nil {
		t.Fatalf("the quiet one is not served any more: its ping got %v", err)
	}
}

func infoOf(s *Server, p *peer) ConnInfo {
	for _, i := range s.Connections() {
		if i.Session == p.Session.SessionID {
			return i
		}
	}
	return ConnInfo{}
}

// Several writers with deep pipelines fill the queue, are parked and come back. They read their
// answers, so nobody has a reason to cut them.
func TestHonestPipeliningWritersAreSlowedAndNotCut(t *testing.T) {
	s := start(t)
	open(t, s).create("/a", nil)
	const writers, each, size = 10, 24, 512 << 10
	body := setBody("/a", bytes.Repeat([]byte{'x'}, size))
	var wg sync.WaitGroup
	for range writers {
		p := open(t, s)
		wg.Go(func() {
			for i := range each {
				if err := p.Write(frame(int32(i), wire.OpSetData, body)); err != nil {
					t.Errorf("write %d: %v", i, err)
					return
				}
			}
		})
		wg.Go(func() {
			for i := range each {
				r, err := p.ReadReply()
				if err != nil || r.Err != 0 || r.Xid != int32(i) {
					t.Errorf("reply %d: %+v, %v", i, r, err)
					return
				}
			}
		})
	}
	wg.Wait()
	st := s.Status()
	t.Logf("parked %d times, cut %d", st.Net.Parked, st.Net.Cut)
	if st.Net.Cut != 0 {
		t.Errorf("%d connections were cut, want none", st.Net.Cut)
	}
}

// One turn of the loop may read thousands of requests, each answered with a megabyte: they must not
// be all answered before the first is sent.
func TestRepliesOfOneTurnAreBounded(t *testing.T) {
	s := start(t)
	p := open(t, s)
	p.create("/big", bytes.Repeat([]byte{'x'}, 1000<<10))
	var burst []byte
	const n = 300
	for i := range n {
		burst = append(burst, frame(int32(i), wire.OpGetData, readBody("/big", false))...)
	}
	if err := p.Write(burst); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the burst is read", func() bool { return s.Status().Received >= 3 })
	most := 0
	onLoops(s, func(l *loop) func() {
		n := 0
		for c := range connsOf(l) {
			n = max(n, c.Unsent())
		}
		return func() { most = max(most, n) }
	})
	if limit := 8 << 20; most > limit {
		t.Errorf("%d bytes wait for a client that does not read, want at most %d", most, limit)
	}
	for i := range n { // and nothing is lost by that
		if r := p.reply(); r.Xid != int32(i) || r.Err != 0 {
			t.Fatalf("reply %d: xid %d, code %d", i, r.Xid, r.Err)
		}
	}
}

// The same for reads that ride behind a write: their answers come from apply.
func TestRidingRepliesAreBounded(t *testing.T) {
	s := start(t)
	p := open(t, s)
	p.create("/big", bytes.Repeat([]byte{'x'}, 1000<<10))
	burst := []byte(frame(0, wire.OpSetData, setBody("/big", bytes.Repeat([]byte{'y'}, 1000<<10))))
	const n = 300
	for i := 1; i < n; i++ {
		burst = append(burst, frame(int32(i), wire.OpGetData, readBody("/big", false))...)
	}
	if err := p.Write(burst); err != nil {
		t.Fatal(err)
	}
	gone := func() bool { return infoOf(s, p).Session == 0 }
	eventually(t, "all is answered, or it is cut", func() bool {
		i := infoOf(s, p)
		return i.Session == 0 || i.Received >= n && i.Queued == 0
	})
	most := 0
	onLoops(s, func(l *loop) func() {
		n := 0
		for c := range connsOf(l) {
			n = max(n, c.Unsent())
		}
		return func() { most = max(most, n) }
	})
	if limit := 70 << 20; most > limit {
		t.Errorf("%d bytes wait for a client that does not read, want at most %d", most, limit)
	}
	if !gone() {
		t.Logf("it lives, with %d bytes waiting", most)
	}
}
