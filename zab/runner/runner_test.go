package runner

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"paddock/wire"
	"paddock/zab"
	"paddock/zab/transport"
)

// ensemble is runners in one process, over loopback.
type ensemble struct {
	t    testing.TB
	view *zab.View
	log  *slog.Logger
	tune func(*Config)
	tcp  bool // votes, too, go over sockets

	mu      sync.Mutex // guards members' runners for the votes
	members map[zab.ServerID]*member
}

// member is a server of an ensemble, and what its disk has while it is down.
type member struct {
	e      *ensemble
	id     zab.ServerID
	store  *memStore
	runner *Runner // nil: it is down
}

func freePorts(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
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

// testView returns a view of n participants, ids from 1, on free ports, and observers behind them.
func testView(t testing.TB, n, observers int) *zab.View {
	t.Helper()
	var members []zab.Member
	ports := freePorts(t, 2*(n+observers))
	for i := range n + observers {
		m := zab.Member{ID: zab.ServerID(i + 1), Peers: []zab.PeerAddr{{Host: "127.0.0.1", QuorumPort: ports[2*i], ElectionPort: ports[2*i+1]}}}
		if i >= n {
			m.Role = zab.Observer
		}
		members = append(members, m)
	}
	v, err := zab.NewView(members, nil, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func testLog() *slog.Logger {
	if os.Getenv("RUNNER_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.NewTextHandler(io.Discard, nil))
}

func newEnsemble(t testing.TB, voters, observers int) *ensemble {
	e := &ensemble{t: t, view: testView(t, voters, observers), log: testLog(), members: map[zab.ServerID]*member{}}
	for _, m := range e.view.Members() {
		e.members[m.ID] = &member{e: e, id: m.ID}
	}
	goroutines := runtime.NumGoroutine()
	t.Cleanup(func() {
		for _, m := range e.members {
			m.stop()
		}
		noMoreThan(t, goroutines)
	})
	return e
}

// noMoreThan waits for goroutines that have returned and are not gone yet.
func noMoreThan(t testing.TB, n int) {
	t.Helper()
	for range 1000 {
		if runtime.NumGoroutine() <= n {
			return
		}
		runtime.Gosched()
		time.Sleep(time.Millisecond)
	}
	var b strings.Builder
	pprof.Lookup("goroutine").WriteTo(&b, 1)
	t.Errorf("%d goroutines are left, %d were there before:\n%s", runtime.NumGoroutine(), n, b.String())
}

// votes is the election port of one member.
type votes struct {
	e    *ensemble
	from zab.ServerID
}

func (v votes) Send(to zab.ServerID, note wire.Notification) {
	v.e.mu.Lock()
	defer v.e.mu.Unlock()
	if m := v.e.members[to]; m != nil && m.runner != nil {
		m.runner.Notified(v.from, note)
	}
}

func (v votes) Close() {}

func (e *ensemble) start(ids ...zab.ServerID) {
	e.t.Helper()
	if len(ids) == 0 {
		for id := range e.members {
			ids = append(ids, id)
		}
	}
	for _, id := range ids {
		e.members[id].start()
	}
}

func (m *member) start() {
	e := m.e
	e.t.Helper()
	m.store = newMemStore(e.t, m.store)
	cfg := Config{Log: e.log.With("me", int64(m.id)), Peer: zab.Config{
		ID: m.id, View: e.view, Seed: uint64(m.id), TickMS: 100, InitTicks: 50, SyncTicks: 20,
	}}
	if e.tune != nil {
		e.tune(&cfg)
	}
	r := New(cfg, m.store.recovered(), m.store)
	m.store.r = r
	e.mu.Lock()
	m.runner = r
	e.mu.Unlock()
	port := Election(votes{e, m.id})
	if e.tcp {
		port = m.listen()
	}
	if err := r.Start(port); err != nil {
		e.t.Fatal(err)
	}
}

// listen opens a real election port.
func (m *member) listen() Election {
	m.e.t.Helper()
	port, err := transport.Listen(m.e.t.Context(), transport.Config{
		ID: m.id, Addrs: []zab.Addr{m.e.view.Member(m.id).Peers[0].Election()}, View: m.e.view,
		Receive: m.runner.Notified, Log: m.e.log,
	})
	if err != nil {
		m.e.t.Fatal(err)
	}
	return port
}

// stop ends a server without a good-bye to its disk.
func (m *member) stop() {
	m.e.mu.Lock()
	r := m.runner
	m.runner = nil
	m.e.mu.Unlock()
	if r == nil {
		return
	}
	m.store.stop()
	r.Close()
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	if m.store.failure != nil {
		m.e.t.Errorf("server %d: %v", m.id, m.store.failure)
	}
}

// leader waits for a leader that all who are up follow.
func (e *ensemble) leader() *member {
	e.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		var leads *member
		epochs := map[uint32]bool{}
		for _, m := range e.members {
			if m.runner == nil {
				continue
			}
			m.store.mu.Lock()
			epochs[m.store.serving] = true
			if m.store.leading != 0 {
				leads = m
			}
			m.store.mu.Unlock()
		}
		if leads != nil && len(epochs) == 1 {
			return leads
		}
		time.Sleep(time.Millisecond)
	}
	for _, m := range e.members {
		if m.runner != nil {
			e.t.Logf("server %d: %+v", m.id, m.runner.Status())
		}
	}
	e.t.Fatal("there is no leader")
	return nil
}

// agree waits until all who are up have n values, the same.
func (e *ensemble) agree(n int) {
	e.t.Helper()
	var first []uint64
	for _, m := range e.members {
		if m.runner == nil {
			continue
		}
		m.store.await(fmt.Sprintf("%d values", n), func() bool { return len(m.store.tree.values) >= n })
		m.store.mu.Lock()
		values := slices.Clone(m.store.tree.values)
		m.store.mu.Unlock()
		if len(values) != n {
			e.t.Fatalf("server %d applied %d values, want %d", m.id, len(values), n)
		}
		if first == nil {
			first = values
		}
		if !slices.Equal(values, first) {
			e.t.Fatalf("server %d applied other values, or in another order", m.id)
		}
	}
	if slices.Sort(first); len(slices.Compact(first)) != n {
		e.t.Fatalf("some value was applied twice")
	}
}

func TestAllWritesArriveEverywhereInOneOrder(t *testing.T) {
	for _, size := range []struct {
		voters, observers int
		tcp               bool
	}{{1, 0, false}, {3, 0, false}, {3, 0, true}, {5, 1, false}} {
		t.Run(fmt.Sprintf("%d voters and %d observers, votes by TCP %v", size.voters, size.observers, size.tcp), func(t *testing.T) {
			e := newEnsemble(t, size.voters, size.observers)
			e.tcp = size.tcp
			e.start()
			e.leader()
			const writes = 10_000
			var clients sync.WaitGroup
			for i, m := range e.members {
				clients.Go(func() {
					for n := range writes {
						if zab.ServerID(n%len(e.members)+1) == i && !m.store.write(uint64(n)) {
							t.Errorf("server %d does not serve", i)
							return
						}
					}
				})
			}
			clients.Wait()
			e.agree(writes)
		})
	}
}
