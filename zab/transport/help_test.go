package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"paddock/wire"
	"paddock/zab"
)

// patience is how long a test waits for what has to happen; it is never waited for in a test that passes.
const patience = 10 * time.Second

// station is the port under test among servers that the test plays.
type station struct {
	*Election
	t        *testing.T
	own      net.Listener
	others   map[zab.ServerID]net.Listener
	received chan received
	log      *logBuffer
}

type received struct {
	from zab.ServerID
	note wire.Notification
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logBuffer) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func addrOf(l net.Listener) zab.Addr {
	return zab.Addr{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port}
}

// viewOf is the ensemble whose servers have these election addresses.
func viewOf(t *testing.T, addrs map[zab.ServerID]zab.Addr) *zab.View {
	t.Helper()
	var members []zab.Member
	for id, a := range addrs {
		members = append(members, zab.Member{ID: id, Peers: []zab.PeerAddr{{Host: a.Host, QuorumPort: int(id) + 1, ElectionPort: a.Port}}})
	}
	v, err := zab.NewView(members, nil, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// newStation opens the port of server id, beside others.
func newStation(t *testing.T, id zab.ServerID, change func(*Config), others ...zab.ServerID) *station {
	t.Helper()
	s := &station{t: t, own: listen(t), others: map[zab.ServerID]net.Listener{}, received: make(chan received, 1000), log: &logBuffer{}}
	addrs := map[zab.ServerID]zab.Addr{id: addrOf(s.own)}
	for _, other := range others {
		s.others[other] = listen(t)
		addrs[other] = addrOf(s.others[other])
	}
	cfg := Config{
		ID: id, Addrs: []zab.Addr{addrOf(s.own)}, View: viewOf(t, addrs),
		Receive: func(from zab.ServerID, note wire.Notification) { s.received <- received{from, note} },
		Log:     slog.New(slog.NewTextHandler(s.log, nil)),
		Listen:  func(context.Context, string, string) (net.Listener, error) { return s.own, nil },
	}
	if change != nil {
		change(&cfg)
	}
	e, err := Listen(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.Election = e
	t.Cleanup(e.Close)
	return s
}

// line is a raw connection to or from the port under test.
type line struct {
	net.Conn
	t *testing.T
}

func newLine(t *testing.T, c net.Conn) *line {
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &line{c, t}
}

// call opens a connection to the port.
func (s *station) call() *line {
	s.t.Helper()
	c, err := net.Dial("tcp", s.own.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	return newLine(s.t, c)
}

// called takes the next connection that the port has opened.
func called(t *testing.T, l net.Listener) *line {
	t.Helper()
	if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return newLine(t, c)
}

func (s *station) called(by zab.ServerID) *line {
	s.t.Helper()
	return called(s.t, s.others[by])
}

func (l *line) say(b []byte) *line {
	l.t.Helper()
	if _, err := l.Write(b); err != nil {
		l.t.Fatal(err)
	}
	return l
}

// hears fails unless these bytes come next, with one read: Java's reader depends on that for a greeting.
func (l *line) hears(want []byte) {
	l.t.Helper()
	b := make([]byte, len(want))
	if n, err := l.Read(b); err != nil || !bytes.Equal(b[:n], want) {
		l.t.Fatalf("heard %x, %v, want %x", b[:n], err, want)
	}
}

// vote returns the next vote on the line.
func (l *line) vote() wire.Notification {
	l.t.Helper()
	var head [4]byte
	if _, err := io.ReadFull(l, head[:]); err != nil {
		l.t.Fatalf("no vote: %v", err)
	}
	b := make([]byte, int(head[2])<<8|int(head[3]))
	if _, err := io.ReadFull(l, b); err != nil {
		l.t.Fatal(err)
	}
	var n wire.Notification
	r := wire.NewReader(b)
	if err := n.Decode(&r); err != nil {
		l.t.Fatal(err)
	}
	return n
}

func (l *line) hearsVote(round int64) {
	l.t.Helper()
	if n := l.vote(); n.Round != round {
		l.t.Fatalf("vote of round %d, want %d", n.Round, round)
	}
}

// ends fails unless the connection is closed by the other side, with nothing said before.
func (l *line) ends() {
	l.t.Helper()
	b := make([]byte, 64)
	if n, err := l.Read(b); n > 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		l.t.Fatalf("heard %x, %v, want the end", b[:n], err)
	}
}

func (s *station) gets(from zab.ServerID, round int64) {
	s.t.Helper()
	if r := s.next(); r.from != from || r.note.Round != round {
		s.t.Fatalf("received a vote of round %d from %d, want %d from %d", r.note.Round, r.from, round, from)
	}
}

func (s *station) next() received {
	s.t.Helper()
	select {
	case r := <-s.received:
		return r
	case <-time.After(patience):
		s.t.Fatal("nothing received")
		return received{}
	}
}

// ballot is a vote that tests tell by its round.
func ballot(round int64) wire.Notification {
	return wire.Notification{Leader: 1, Round: round, Config: []byte("version=0")}
}

func frame(round int64) []byte {
	n := ballot(round)
	b, mark := wire.BeginFrame(nil)
	return wire.EndFrame(n.Append(b), mark)
}

func greeting(version int64, id zab.ServerID, addrs ...zab.Addr) []byte {
	g := wire.Greeting{Version: version, ServerID: int64(id)}
	for _, a := range addrs {
		g.Addrs = wire.AppendAddr(g.Addrs, a.Host, uint16(a.Port))
	}
	return g.Append(nil)
}

func hello(id zab.ServerID, addrs ...zab.Addr) []byte {
	if len(addrs) == 0 {
		addrs = []zab.Addr{{Host: "127.0.0.1", Port: 1}}
	}
	return greeting(wire.GreetingV1, id, addrs...)
}

func (s *station) hello() []byte { return hello(s.cfg.ID, addrOf(s.own)) }

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never came to be that %s", what)
		}
	}
}

func (s *station) connected(id zab.ServerID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peers[id] != nil && s.peers[id].conn != nil
}

func (s *station) String() string { return fmt.Sprint("server ", s.cfg.ID) }
