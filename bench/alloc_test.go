package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"paddock/server"
	"paddock/vfs"
	"paddock/wire"
)

// startServer runs a server in this process, on loopback, with its data in dir.
func startServer(t *testing.T, dir string) (addr string) {
	t.Helper()
	s, err := server.Start(server.Config{
		Listen: []string{"127.0.0.1:0"}, Loops: 1, ServerID: 1, DataDir: dir, LogDir: dir,
		TickMS: 2000, MinSessionMS: 4000, MaxSessionMS: 60_000,
		MaxFrameBytes: 1 << 20, HandshakeTimeout: 10 * time.Second,
		SegmentBytes: 32 << 20, SnapCount: 1 << 30, SnapBytes: 1 << 40, RetainSnapshots: 3,
		FS: vfs.OS(), Log: slog.New(slog.DiscardHandler), OnFatal: func(err error) { t.Errorf("fatal: %v", err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		end, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Close(end); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s.Addrs()[0]
}

// rawClient sends windows of requests and reads the answers, without allocating and without the
// generator's own code: what is counted is then the server's.
type rawClient struct {
	tcp net.Conn
	out []byte
	in  []byte
	xid int32
}

func dialRaw(t *testing.T, addr string) *rawClient {
	t.Helper()
	tcp, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tcp.Close() })
	tcp.SetDeadline(time.Now().Add(time.Minute)) // a server that does not answer fails the test
	if err := handshake(tcp, 30*time.Second); err != nil {
		t.Fatal(err)
	}
	return &rawClient{tcp: tcp, out: make([]byte, 0, 64<<10), in: make([]byte, 64<<10), xid: 1}
}

// window sends n requests of t in one write and waits for their answers. next numbers the nodes; ping
// sends pings instead.
func (c *rawClient) window(tmpl *template, n int, next *uint32, keys uint32) error {
	c.out = c.out[:0]
	for range n {
		if tmpl == nil {
			c.out = appendControl(c.out, wire.XidPing, wire.OpPing)
			continue
		}
		var start int
		c.out, start = tmpl.append(c.out, c.xid)
		c.xid++
		for _, at := range tmpl.holes {
			putDigits(c.out[start+at:], *next%keys)
		}
		*next++
	}
	if _, err := c.tcp.Write(c.out); err != nil {
		return err
	}
	return c.answers(n)
}

func (c *rawClient) answers(n int) error {
	have := 0
	for n > 0 {
		got, err := c.tcp.Read(c.in[have:])
		if err != nil {
			return err
		}
		b := c.in[:have+got]
		for len(b) >= 4 && len(b) >= 4+int(binary.BigEndian.Uint32(b)) {
			if code := wire.Code(binary.BigEndian.Uint32(b[16:])); code != wire.OK {
				return fmt.Errorf("answered with %w", code)
			}
			b = b[4+binary.BigEndian.Uint32(b):]
			n--
		}
		have = copy(c.in, b)
	}
	return nil
}

// TestServerAllocatesNothingPerRequest: in steady state a request costs the collected heap nothing, from
// socket to socket. All allocations of the process are counted, whichever goroutine makes them.
func TestServerAllocatesNothingPerRequest(t *testing.T) {
	if raceDetector || invariants {
		t.Skip("the race detector and the costly checks allocate on their own account")
	}
	const keys = 1000
	dir := t.TempDir()
	addr := startServer(t, dir)
	makeNodes(t, addr, keys)
	awaitNextSegment(t, dir)
	o := DefaultOptions(addr)
	templates := o.templates()
	var fresh uint32 // of create: numbers are never used twice
	for _, tc := range []struct {
		name string
		tmpl *template
		keys uint32
	}{
		{"ping", nil, keys},
		{"exists", &templates[kindExists], keys},
		{"getData", &templates[kindGet], keys},
		{"getChildren of ten", &templates[kindChildren], keys},
		{"setData", &templates[kindSet], keys},
		{"create", &templates[kindCreate], maxIDs},
	} {
		for _, depth := range []struct {
			name            string
			window, windows int
		}{{"64 outstanding", 64, 300}, {"one at a time", 1, 1500}} {
			t.Run(tc.name+", "+depth.name, func(t *testing.T) {
				c := dialRaw(t, addr)
				start := time.Now()
				perOp := allocationsPerOp(t, depth.windows, depth.window, func() error {
					return c.window(tc.tmpl, depth.window, &fresh, tc.keys)
				})
				// What is no request's: the runtime itself, and what the server does once a second whether
				// or not anybody asks (the disk's free space, the next segment). On a slow disk few operations
				// share a second.
				const noise, aSecond = 0.01, 20
				allowed := noise + aSecond*time.Since(start).Seconds()/float64(depth.windows*depth.window)
				if perOp > allowed {
					t.Errorf("got %.4f allocations per operation, want 0 (%.4f are not the requests')", perOp, allowed)
				}
			})
		}
	}
}

// awaitNextSegment waits until the log has zeroed its second segment: that is housekeeping, it costs some
// hundred allocations for each segment, and this test does not log enough to need a third one.
func awaitNextSegment(t *testing.T, dir string) {
	t.Helper()
	ticks, late := time.NewTicker(20*time.Millisecond), time.NewTimer(20*time.Second)
	defer func() { ticks.Stop(); late.Stop() }()
	for {
		segments, err := filepath.Glob(filepath.Join(dir, "paddock", "log", "*.wal"))
		if err != nil {
			t.Fatal(err)
		}
		if len(segments) > 1 {
			return
		}
		select {
		case <-ticks.C:
		case <-late.C:
			t.Fatalf("the log has prepared no segment behind %v", segments)
		}
	}
}

// makeNodes leaves keys, and as many parents with ten children each, where templates look for them.
func makeNodes(t *testing.T, addr string, keys int) {
	t.Helper()
	for _, k := range []kind{kindGet, kindChildren} {
		o := DefaultOptions(addr)
		o.Op, o.Keys, o.Conns, o.Warmup, o.Count, o.Keep = kindNames[k], keys, 1, 0, 1, true
		if _, err := Measure(t.Context(), o, io.Discard); err != nil {
			t.Fatal(err)
		}
	}
}

// allocationsPerOp counts what the whole process allocates in n calls of f, each of ops operations, after
// a third as many that are not counted.
func allocationsPerOp(t *testing.T, n, ops int, f func() error) float64 {
	t.Helper()
	var before, after runtime.MemStats
	for i := -n / 3; i < n; i++ {
		if i == 0 {
			runtime.ReadMemStats(&before)
		}
		if err := f(); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	perOp := float64(after.Mallocs-before.Mallocs) / float64(n*ops)
	t.Logf("%.5f allocations, %.2f bytes per operation", perOp, float64(after.TotalAlloc-before.TotalAlloc)/float64(n*ops))
	return perOp
}

// sink keeps what the control allocates from being optimised away.
var sink []byte

// TestAllocationsAreSeen is the control: one allocation in ten operations, on another goroutine, shows.
func TestAllocationsAreSeen(t *testing.T) {
	work, done := make(chan int), make(chan struct{})
	go func() {
		for i := range work {
			if i%10 == 0 {
				sink = make([]byte, 24)
			}
			done <- struct{}{}
		}
	}()
	defer close(work)
	i := 0
	got := allocationsPerOp(t, 10_000, 1, func() error {
		i++
		work <- i
		<-done
		return nil
	})
	if got < 0.09 || got > 0.11 {
		t.Errorf("got %.3f allocations per operation, want 0.1", got)
	}
}
