package server

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"paddock/test/harness"
	"paddock/wire"
	"paddock/zab"
)

// group is an ensemble in one process, with real sockets and files.
type group struct {
	t      *testing.T
	view   *zab.View
	dirs   []string
	all    []*Server // nil: stopped
	change func(*Config)
}

// newGroup returns an ensemble of which the last observers only observe. Nobody runs yet.
func newGroup(t *testing.T, n, observers int) *group {
	t.Helper()
	g := &group{t: t, all: make([]*Server, n)}
	var text strings.Builder
	ports := freePorts(t, 2*n)
	for i := range n {
		role := "participant"
		if i >= n-observers {
			role = "observer"
		}
		fmt.Fprintf(&text, "server.%d=127.0.0.1:%d:%d:%s\n", i+1, ports[2*i], ports[2*i+1], role)
		g.dirs = append(g.dirs, t.TempDir())
	}
	view, err := zab.ParseView([]byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	g.view = view
	t.Cleanup(func() {
		for i := range g.all {
			g.stop(i)
		}
	})
	return g
}

// freePorts returns ports that nobody listens on.
func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

func (g *group) start(members ...int) {
	g.t.Helper()
	for _, i := range members {
		c := config(g.dirs[i], func(c *Config) {
			c.TickMS, c.ServerID = 500, uint8(i+1)
			c.MinSessionMS, c.MaxSessionMS = 1000, 40_000
			c.Ensemble = &Ensemble{ID: zab.ServerID(i + 1), View: g.view, InitTicks: 10, SyncTicks: 5, MayBeEmpty: true}
			if testing.Verbose() && os.Getenv("PADDOCK_LOG") != "" {
				c.Log = slog.New(slog.NewTextHandler(os.Stderr, nil)).With("server", i+1)
			}
			if g.change != nil {
				g.change(c)
			}
		})
		s, err := Start(c)
		if err != nil {
			g.t.Fatal(err)
		}
		g.all[i] = s
	}
}

func (g *group) stop(i int) {
	if s := g.all[i]; s != nil {
		g.all[i] = nil
		stop(g.t, s)
	}
}

// leader waits until one leads, and returns its number.
func (g *group) leader() int {
	g.t.Helper()
	found := -1
	eventually(g.t, "somebody leads", func() bool {
		found = slices.IndexFunc(g.all, func(s *Server) bool {
			if s == nil {
				return false
			}
			st, _ := s.Ensemble()
			return st.State == zab.Leading && st.Serving
		})
		return found >= 0
	})
	return found
}

// serve waits until all who run serve.
func (g *group) serve() {
	g.t.Helper()
	for i, s := range g.all {
		if s != nil {
			eventually(g.t, fmt.Sprintf("server %d serves", i+1), s.serving.Load)
		}
	}
}

// follower returns one that serves and does not lead.
func (g *group) follower() int {
	g.t.Helper()
	g.serve()
	leader := g.leader()
	for i, s := range g.all {
		if s != nil && i != leader {
			return i
		}
	}
	g.t.Fatal("nobody follows")
	return -1
}

// agree waits until all have the same state.
func (g *group) agree() {
	g.t.Helper()
	eventually(g.t, "all have the same state", func() bool {
		var first *Server
		for _, s := range g.all {
			switch {
			case s == nil:
			case first == nil:
				first = s
			case s.tree.Load().Applied() != first.tree.Load().Applied():
				return false
			case s.tree.Load().Digest() != first.tree.Load().Digest():
				g.t.Fatalf("digests %#x and %#x at %v", s.tree.Load().Digest(), first.tree.Load().Digest(), first.tree.Load().Applied())
			}
		}
		return true
	})
}

func TestAnEnsembleServesOnEveryRole(t *testing.T) {
	g := newGroup(t, 4, 1)
	g.start(0, 1, 2, 3)
	g.serve()
	var peers []*peer
	for i, s := range g.all {
		p := open(t, s)
		peers = append(peers, p)
		p.create(path("/n%d", i), []byte("x"))
		for n := range 20 { // a pipeline: writes, and reads that ride behind them
			p.send(wire.OpSetData, setBody(path("/n%d", i), fmt.Append(nil, n)))
			p.send(wire.OpGetData, readBody(path("/n%d", i), false))
			p.send(wire.OpSync, harness.Bytes(nil).Str("/"))
		}
		for n := range 20 {
			if r := p.reply(); r.Err != 0 {
				t.Fatalf("server %d: setData: code %d", i+1, r.Err)
			}
			r := p.reply()
			if got := harness.FieldsOf(r.Body).Str(); got != fmt.Sprint(n) {
				t.Fatalf("server %d: read %q behind the write of %d", i+1, got, n)
			}
			if r := p.reply(); r.Err != 0 || harness.FieldsOf(r.Body).Str() != "/" {
				t.Fatalf("server %d: sync: %+v", i+1, r)
			}
		}
	}
	for i, p := range peers { // after a sync everybody sees everything
		p.ok(wire.OpSync, harness.Bytes(nil).Str("/"))
		for k := range peers {
			if data, _ := p.get(path("/n%d", k)); string(data) != "19" {
				t.Errorf("server %d reads %q of server %d's node", i+1, data, k+1)
			}
		}
	}
	g.agree()
}

func TestErrorsAndMultisComeBackThroughAFollower(t *testing.T) {
	g := newGroup(t, 3, 0)
	g.start(0, 1, 2)
	p := open(t, g.all[g.follower()])
	p.create("/a", nil)
	for _, tt := range []struct {
		name string
		op   wire.Op
		body harness.Bytes
		want wire.Code
	}{
		{"a node that is there", wire.OpCreate, createBody("/a", nil, 0), wire.NodeExists},
		{"a node that is not", wire.OpSetData, setBody("/b", nil), wire.NoNode},
		{"a version that is not", wire.OpDelete, harness.Bytes(nil).Str("/a").Int(7), wire.BadVersion},
		{"a request that ends too early", wire.OpDelete, harness.Bytes(nil).Str("/a"), wire.MarshallingError},
		{"a path that is none", wire.OpCreate, createBody("a", nil, 0), wire.BadArguments},
		{"what is to be deleted, at last", wire.OpDelete, harness.Bytes(nil).Str("/a").Int(-1), wire.OK},
	} {
		if r := p.call(tt.op, tt.body); wire.Code(r.Err) != tt.want {
			t.Errorf("%s: code %v, want %v", tt.name, wire.Code(r.Err), tt.want)
		}
	}
}

func TestSessionsLiveAcrossServers(t *testing.T) {
	g := newGroup(t, 3, 0)
	g.start(0, 1, 2)
	at := g.follower()
	owner, watcher := open(t, g.all[at]), open(t, g.all[g.leader()])
	owner.ok(wire.OpCreate, createBody("/e", nil, 1))
	watcher.ok(wire.OpSync, harness.Bytes(nil).Str("/"))
	if r := watcher.call(wire.OpExists, readBody("/e", true)); r.Err != 0 {
		t.Fatalf("the ephemeral is not there: code %d", r.Err)
	}
	owner.Close()
	again := dial(t, g.all[g.leader()]) // and back on every other server
	again.connect(owner.renewal())
	for i := range g.all {
		p := dial(t, g.all[i])
		p.connect(owner.renewal())
		p.ok(wire.OpSetData, setBody("/e", fmt.Append(nil, i)))
		again = p
	}
	again.ok(wire.OpCloseSession, nil)
	if ev, err := watcher.ReadEvent(); err != nil || ev.Type != int32(wire.EventNodeDataChanged) {
		t.Fatalf("event %+v, %v", ev, err)
	}
	eventually(t, "the ephemeral goes with its session, everywhere", func() bool {
		for _, s := range g.all {
			if s.tree.Load().EphemeralCount() != 0 || s.table.Lookup(owner.Session.SessionID) != nil {
				return false
			}
		}
		return true
	})
}

func TestTheLeaderExpiresSessionsOfAll(t *testing.T) {
	g := newGroup(t, 3, 0)
	g.start(0, 1, 2)
	at := g.follower()
	silent := dial(t, g.all[at])
	silent.connect(harness.ConnectRequest{TimeoutMS: 1500, Passwd: make([]byte, 16)})
	silent.ok(wire.OpCreate, createBody("/silent", nil, 1))
	alive := dial(t, g.all[at])
	alive.connect(harness.ConnectRequest{TimeoutMS: 1500, Passwd: make([]byte, 16)})
	alive.ok(wire.OpCreate, createBody("/alive", nil, 1))
	eventually(t, "the silent one's node is gone", func() bool {
		alive.ok(wire.OpPing, nil)
		time.Sleep(10 * time.Millisecond)
		return alive.call(wire.OpExists, readBody("/silent", false)).Err == int32(wire.NoNode)
	})
	alive.ok(wire.OpExists, readBody("/alive", false))
	if err := silent.AwaitClose(10 * time.Second); err != nil {
		t.Error(err)
	}
}

func TestWritesGoOnBehindAnotherLeader(t *testing.T) {
	g := newGroup(t, 3, 0)
	g.start(0, 1, 2)
	for round := range 3 {
		leader := g.leader()
		g.serve()
		p := open(t, g.all[g.follower()])
		p.create(path("/round%d", round), nil)
		began := time.Now()
		g.stop(leader)
		g.leader()
		t.Logf("round %d: server %d was the leader; %v", round, leader+1, time.Since(began))
		q := open(t, g.all[g.follower()])
		q.connectedCheck(path("/round%d", round))
		q.create(path("/after%d", round), nil)
		g.start(leader)
		g.serve()
		g.agree()
	}
}

func (p *peer) connectedCheck(node string) {
	p.t.Helper()
	p.ok(wire.OpSync, harness.Bytes(nil).Str("/"))
	p.ok(wire.OpExists, readBody(node, false))
}

func TestAServerThatLostItsDirectoryGetsASnapshot(t *testing.T) {
	g := newGroup(t, 3, 0)
	g.change = func(c *Config) { c.SnapCount = 100 }
	g.start(0, 1, 2)
	at := g.follower()
	p := open(t, g.all[g.leader()])
	p.create("/d", nil)
	for i := range 300 {
		p.create(path("/d/n%d", i), []byte(strings.Repeat("x", i)))
	}
	g.agree()
	g.stop(at)
	g.dirs[at] = t.TempDir()
	for i := range 50 {
		p.create(path("/d/m%d", i), nil)
	}
	g.start(at)
	g.serve()
	g.agree()
	q := open(t, g.all[at])
	q.ok(wire.OpExists, readBody("/d/m49", false))
	q.create("/d/own", nil)
	g.stop(at)
	g.start(at)
	g.serve()
	g.agree()
	open(t, g.all[at]).ok(wire.OpExists, readBody("/d/own", false))
}

func TestALearnerBelowTheLogGetsASnapshot(t *testing.T) {
	g := newGroup(t, 3, 0)
	g.change = func(c *Config) { c.SegmentBytes, c.SnapCount = 64<<10, 200 }
	g.start(0, 1, 2)
	at := g.follower()
	p := open(t, g.all[g.leader()])
	p.create("/d", nil)
	g.agree()
	g.stop(at)
	for i := range 3000 {
		p.create(path("/d/n%d", i), []byte(strings.Repeat("x", 100)))
	}
	eventually(t, "the leader's log no longer begins at the beginning", func() bool {
		return g.all[g.leader()].wal.Base() > 0
	})
	p.ok(wire.OpCreate, createBody("/d/e", nil, 1))
	g.start(at)
	g.serve()
	g.agree()
	q := open(t, g.all[at])
	q.ok(wire.OpExists, readBody("/d/n2999", false))
	q.create("/d/own", nil)
	p.ok(wire.OpCloseSession, nil)
	eventually(t, "an ephemeral of the snapshot ends with its session", func() bool {
		return g.all[at].tree.Load().EphemeralCount() == 0
	})
	g.stop(at)
	g.start(at)
	g.serve()
	g.agree()
}

func TestClientsFindTheConfiguration(t *testing.T) {
	g := newGroup(t, 3, 1)
	g.start(0, 1, 2)
	g.serve()
	for i, s := range g.all {
		data, r := open(t, s).get("/zookeeper/config")
		if string(data) != string(g.view.Text()) {
			t.Errorf("server %d shows %q, want %q", i+1, data, g.view.Text())
		}
		f := harness.FieldsOf(r.Body)
		f.Buf()
		if st := f.Stat(); st.Version != -1 {
			t.Errorf("server %d: version %d, want -1", i+1, st.Version)
		}
	}
}
