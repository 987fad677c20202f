package znet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// echo is a handler over real sockets: it sends every frame back, and does what tests leave for it.
type echo struct {
	l      *Loop
	mu     sync.Mutex
	visits []func()
	opened atomic.Int64
	closed atomic.Int64
	frames atomic.Int64
	rung   atomic.Int64
	hold   atomic.Bool // frames are taken and not served: the connection is paused
	terse  atomic.Bool // only the first four bytes are sent back
}

func (h *echo) Open(*Conn)   { h.opened.Add(1) }
func (h *echo) Closed(*Conn) { h.closed.Add(1) }
func (h *echo) EndTurn()     {}
func (h *echo) Heard(*Conn)  {}

func (h *echo) Frame(c *Conn, frame []byte) {
	c.Handshaken()
	h.frames.Add(1)
	if h.terse.Load() {
		frame = frame[:4]
	}
	c.Send(framed(frame))
	if h.hold.Load() {
		c.Pause()
	}
}

func (h *echo) Word(c *Conn, w [4]byte, _ []byte) {
	c.Send([]byte("I hear " + string(w[:])))
	c.Finish()
}

func (h *echo) Rung() {
	h.rung.Add(1)
	h.mu.Lock()
	visits := h.visits
	h.visits = nil
	h.mu.Unlock()
	for _, f := range visits {
		f()
	}
}

// visit runs f on the loop and waits for it.
func (h *echo) visit(f func()) {
	done := make(chan struct{})
	h.mu.Lock()
	h.visits = append(h.visits, func() { f(); close(done) })
	h.mu.Unlock()
	h.l.Ring()
	<-done
}

type testEngine struct {
	*Engine
	t  *testing.T
	hs []*echo
}

func startEngine(t *testing.T, change ...func(*Config)) *testEngine {
	t.Helper()
	e := &testEngine{t: t}
	cfg := Config{
		Listen: []string{"127.0.0.1:0"}, Loops: 2, IsWord: isWord,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		NewHandler: func(l *Loop) Handler {
			h := &echo{l: l}
			e.hs = append(e.hs, h)
			return h
		},
	}
	for _, f := range change {
		f(&cfg)
	}
	engine, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	e.Engine = engine
	t.Cleanup(func() {
		if err := engine.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return e
}

func (e *testEngine) sum(count func(h *echo) int64) (n int64) {
	for _, h := range e.hs {
		n += count(h)
	}
	return n
}

func (e *testEngine) open() int64 {
	return e.sum(func(h *echo) int64 { return h.opened.Load() - h.closed.Load() })
}

func (e *testEngine) stats() (sum Stats) {
	for _, h := range e.hs {
		if h.l.Hung() {
			h.visit(func() {
				s := h.l.Stats()
				sum.Parked += s.Parked
				sum.Cut += s.Cut
				sum.Refused += s.Refused
			})
		}
	}
	return sum
}

func (e *testEngine) dial() *net.TCPConn { return dialTo(e.t, e.Addrs()[0].String()) }

func dialTo(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

func readFrame(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err := io.ReadFull(r, b)
	return b, err
}

func wantEcho(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := c.Write(framed([]byte(text))); err != nil {
		t.Fatal(err)
	}
	if b, err := readFrame(c); err != nil || string(b) != text {
		t.Fatalf("got %q, %v; want %q", b, err, text)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestEveryListenerServes(t *testing.T) {
	listen := []string{"127.0.0.1:0", "127.0.0.2:0"}
	if l, err := net.Listen("tcp", "[::1]:0"); err == nil {
		l.Close()
		listen = append(listen, "[::1]:0")
	} else {
		t.Logf("no IPv6 here, not tested: %v", err)
	}
	e := startEngine(t, func(c *Config) { c.Listen = listen })
	if len(e.Addrs()) != len(listen) {
		t.Fatalf("%d addresses, want %d", len(e.Addrs()), len(listen))
	}
	seen := map[string]bool{}
	for _, a := range e.Addrs() {
		if seen[a.String()] {
			t.Errorf("%v is there twice", a)
		}
		seen[a.String()] = true
		for i := range 4 { // more than there are loops
			wantEcho(t, dialTo(t, a.String()), fmt.Sprintf("%v %d", a, i))
		}
	}
}

// An empty host is every address, of both families; an IPv4 peer is known by its IPv4 address.
func TestAnEmptyHostIsEveryAddress(t *testing.T) {
	e := startEngine(t, func(c *Config) { c.Listen, c.Loops = []string{":0"}, 1 })
	port := e.Addrs()[0].Port()
	wantEcho(t, dialTo(t, fmt.Sprintf("127.0.0.1:%d", port)), "four")
	e.hs[0].visit(func() {
		e.hs[0].l.Each(func(c *Conn) {
			if a := c.Remote().Addr(); !a.Is4() {
				t.Errorf("an IPv4 peer is known as %v", a)
			}
		})
	})
	if c, err := net.Dial("tcp", fmt.Sprintf("[::1]:%d", port)); err == nil {
		defer c.Close()
		wantEcho(t, c, "six")
	}
}

func TestAnAddressInUseIsNamed(t *testing.T) {
	e := startEngine(t)
	addr := e.Addrs()[0].String()
	_, err := Start(Config{
		Listen: []string{"127.0.0.1:0", addr}, IsWord: isWord, Log: slog.New(slog.DiscardHandler),
		NewHandler: func(l *Loop) Handler { return &echo{l: l} },
	})
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), addr) {
		t.Errorf("got %v, want one that names %s", err, addr)
	}
}

// Rings from anywhere are all answered, and many of them cost one turn.
func TestBell(t *testing.T) {
	e := startEngine(t, func(c *Config) { c.Loops = 1 })
	h := e.hs[0]
	h.l.Ring() // before it hangs: it is answered when it does
	c := e.dial()
	wantEcho(t, c, "hello")
	eventually(t, "the ring before the bell hung", func() bool { return h.rung.Load() > 0 })
	const ringers, visits = 4, 2000
	var wg sync.WaitGroup
	count := 0 // the loop's
	for range ringers {
		wg.Go(func() {
			for range visits {
				h.visit(func() { count++ })
			}
		})
	}
	wg.Wait()
	h.visit(func() {
		if count != ringers*visits {
			t.Errorf("%d visits, want %d", count, ringers*visits)
		}
	})
	wantEcho(t, c, "still here")
}

func TestConnectionLimits(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Config)
	}{
		{"per address", func(c *Config) { c.MaxPerAddress = 5 }},
		{"in all", func(c *Config) { c.MaxConnections = 5 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := startEngine(t, tc.change)
			var conns []*net.TCPConn
			for i := range 5 {
				c := e.dial()
				wantEcho(t, c, fmt.Sprint("at the limit ", i))
				conns = append(conns, c)
			}
			if b, err := io.ReadAll(e.dial()); len(b) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
				t.Fatalf("one over the limit got %q, %v; want the end", b, err)
			}
			wantEcho(t, conns[0], "undisturbed")
			conns[0].Close()
			eventually(t, "the place is free again", func() bool { return e.open() == 4 })
			wantEcho(t, e.dial(), "in its place")
			if got := e.stats().Refused; got != 1 {
				t.Errorf("%d refused, want 1", got)
			}
		})
	}
}

// A connection that sends and is not served is parked: the kernel slows it down. When it is served
// again, not a byte is missing.
func TestParkingLosesNothing(t *testing.T) {
	e := startEngine(t, func(c *Config) { c.MaxFrameBytes, c.InParkBytes = 100_000, 200_000 })
	const peers, n = 6, 300
	body := bytes.Repeat([]byte("0123456789"), 5000)
	var working sync.WaitGroup
	var conns []net.Conn
	for range peers {
		c := e.dial()
		wantEcho(t, c, "hello")
		conns = append(conns, c)
	}
	for _, h := range e.hs {
		h.hold.Store(true)
	}
	for i, c := range conns {
		working.Go(func() {
			for j := range n {
				if _, err := c.Write(framed(fmt.Append(nil, i, " ", j, " ", string(body)))); err != nil {
					t.Errorf("peer %d, write %d: %v", i, j, err)
					return
				}
			}
		})
		working.Go(func() {
			for j := range n {
				b, err := readFrame(c)
				if want := fmt.Sprint(i, " ", j, " "); err != nil || !strings.HasPrefix(string(b), want) || len(b) != len(want)+len(body) {
					t.Errorf("peer %d, frame %d: %d bytes, %v", i, j, len(b), err)
					return
				}
			}
		})
	}
	eventually(t, "all are parked", func() bool { return e.stats().Parked >= peers })
	stop := make(chan struct{})
	var resuming sync.WaitGroup
	resuming.Go(func() { // frame by frame, with the parking that goes with it
		for {
			select {
			case <-stop:
				return
			default:
				for _, h := range e.hs {
					h.visit(func() { h.l.Each((*Conn).Resume) })
				}
			}
		}
	})
	working.Wait()
	close(stop)
	resuming.Wait()
	st := e.stats()
	t.Logf("parked %d times", st.Parked)
	if st.Cut != 0 {
		t.Errorf("%d cut, want none", st.Cut)
	}
}

// What is sent to a parked connection arrives, more than its socket takes too, and it comes back.
func TestAParkedConnectionThatIsSentMuchComesBack(t *testing.T) {
	e := startEngine(t, func(c *Config) { c.Loops, c.MaxFrameBytes, c.InParkBytes = 1, 100_000, 200_000 })
	h, c := e.hs[0], e.dial()
	wantEcho(t, c, "hello")
	h.hold.Store(true)
	const n = 100
	var writing sync.WaitGroup
	writing.Go(func() {
		for range n {
			if _, err := c.Write(framed(make([]byte, 90_000))); err != nil {
				t.Error(err)
				return
			}
		}
	})
	defer writing.Wait()
	eventually(t, "it is parked", func() bool { return e.stats().Parked > 0 })
	const sent = 16 << 20
	h.visit(func() {
		h.l.Each(func(c *Conn) {
			for range sent >> 20 {
				c.Send(make([]byte, 1<<20))
			}
		})
	})
	if _, err := io.CopyN(io.Discard, c, 4+90_000+sent); err != nil {
		t.Fatalf("what was sent to it: %v", err)
	}
	h.hold.Store(false)
	h.terse.Store(true) // replies as large as the requests would be too much both ways
	h.visit(func() { h.l.Each((*Conn).Resume) })
	for i := 1; i < n; i++ {
		if _, err := readFrame(c); err != nil {
			t.Fatalf("frame %d: %v", i, err)
		}
	}
}

// The end of the engine closes everything: served, paused, parked, half greeted.
func TestStopWithOpenConnections(t *testing.T) {
	before := descriptors(t)
	e := startEngine(t, func(c *Config) { c.MaxFrameBytes, c.InParkBytes = 100_000, 200_000 })
	idle, greeted := e.dial(), e.dial()
	wantEcho(t, idle, "hello")
	if _, err := greeted.Write([]byte{0, 0}); err != nil {
		t.Fatal(err)
	}
	parked := e.dial()
	wantEcho(t, parked, "hello")
	for _, h := range e.hs {
		h.hold.Store(true)
	}
	go func() {
		for {
			if _, err := parked.Write(framed(make([]byte, 90_000))); err != nil {
				return
			}
		}
	}()
	eventually(t, "one is parked", func() bool { return e.stats().Parked > 0 })
	if err := e.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := e.Stop(); err != nil {
		t.Errorf("the second stop: %v", err)
	}
	for name, c := range map[string]net.Conn{"idle": idle, "half greeted": greeted, "parked": parked} {
		if _, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: %v, want the end", name, err)
		}
		c.Close()
	}
	eventually(t, "no descriptor is left", func() bool { return descriptors(t) <= before })
}

func descriptors(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc here")
	}
	n := 0
	for _, e := range names {
		to, _ := os.Readlink("/proc/self/fd/" + e.Name())
		if strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

// Peers that come and go while others are served leave nothing.
func TestComingAndGoing(t *testing.T) {
	e := startEngine(t)
	honest := e.dial()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 100 {
				c, err := net.Dial("tcp", e.Addrs()[0].String())
				if err != nil {
					t.Error(err)
					return
				}
				switch (g + i) % 4 {
				case 0: // says nothing
				case 1:
					_, _ = c.Write([]byte{0, 0, 0, 9, 1})
				case 2:
					_, _ = c.Write(bytes.Repeat(framed([]byte("x")), 1000))
				case 3:
					_ = c.(*net.TCPConn).SetLinger(0) // a reset
					_, _ = c.Write(framed(make([]byte, 10_000)))
				}
				c.Close()
			}
		})
	}
	for i := range 100 {
		wantEcho(t, honest, fmt.Sprint("undisturbed ", i))
	}
	wg.Wait()
	eventually(t, "all but one are gone", func() bool { return e.open() == 1 && e.counted() == 1 })
}

func (e *testEngine) counted() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.total
}
