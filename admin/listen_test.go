package admin

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"
)

// started runs an Admin on free ports until the end of the test.
func started(t *testing.T, cfg Config) *Admin {
	t.Helper()
	a := New(cfg, busyServer())
	a.Start()
	t.Cleanup(func() { a.Close(t.Context()) })
	return a
}

func fetch(t *testing.T, addr, path string) (int, string) {
	t.Helper()
	c := http.Client{Timeout: 5 * time.Second}
	r, err := c.Get("http://" + addr + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	c.CloseIdleConnections()
	return r.StatusCode, string(b)
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func TestPortsAreServed(t *testing.T) {
	a := started(t, Config{Enabled: true, MetricsEnabled: true, MetricsPort: freePort(t)})
	for _, addr := range []string{a.Addr(), a.MetricsAddr()} {
		host, _, err := net.SplitHostPort(addr)
		if err != nil || host != "127.0.0.1" {
			t.Errorf("bound %q, want loopback where no address is given", addr)
		}
		if status, _ := fetch(t, addr, "/metrics"); status != 200 {
			t.Errorf("%s/metrics answered %d", addr, status)
		}
	}
	if status, _ := fetch(t, a.MetricsAddr(), "/commands/ruok"); status != 404 {
		t.Errorf("the metrics port answers commands: %d", status)
	}
	a.Close(t.Context())
	a.Close(t.Context()) // a second one does nothing
	if c, err := net.Dial("tcp", a.Addr()); err == nil {
		c.Close()
		t.Error("the port is open after Close")
	}
}

func TestNothingIsBoundUnasked(t *testing.T) {
	a := started(t, Config{MetricsEnabled: true, MetricsPort: -1})
	if a.Addr() != "" || a.MetricsAddr() != "" {
		t.Errorf("bound %q and %q", a.Addr(), a.MetricsAddr())
	}
}

func TestATakenPortIsWaitedFor(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	said := make(messages, 8)
	a := New(Config{Enabled: true, Port: l.Addr().(*net.TCPAddr).Port, Log: slog.New(said)}, busyServer())
	a.retry = time.Millisecond
	a.Start()
	defer a.Close(t.Context())
	if got := <-said; a.Addr() != "" || got != "WARN admin server: cannot listen; will try again" {
		t.Fatalf("bound %q, logged %q", a.Addr(), got)
	}
	l.Close()
	if got := <-said; got != "INFO admin server: listening" {
		t.Fatalf("logged %q", got)
	}
	if status, _ := fetch(t, a.Addr(), "/livez"); status != 200 {
		t.Errorf("answered %d", status)
	}
}

// messages is a log whose lines a test waits for.
type messages chan string

func (m messages) Enabled(context.Context, slog.Level) bool { return true }
func (m messages) WithAttrs([]slog.Attr) slog.Handler       { return m }
func (m messages) WithGroup(string) slog.Handler            { return m }
func (m messages) Handle(_ context.Context, r slog.Record) error {
	m <- r.Level.String() + " " + r.Message
	return nil
}

func TestCloseEndsTheWaitForAPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a := New(Config{Enabled: true, Port: l.Addr().(*net.TCPAddr).Port}, busyServer())
	a.Start()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	a.Close(ctx)
	if ctx.Err() != nil {
		t.Error("Close waited for the port")
	}
}

// TestConnectionsAreLimited: one more than the limit is closed; when one has gone, the next is served.
func TestConnectionsAreLimited(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &limitedListener{Listener: inner, free: make(chan struct{}, 1)}
	defer l.Close()
	accepted := make(chan net.Conn)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	dial()
	first := <-accepted
	refused := dial()
	if _, err := refused.Read(make([]byte, 1)); err == nil {
		t.Error("a second connection was taken")
	}
	first.Close()
	first.Close() // gives back one place, not two
	dial()
	(<-accepted).Close()
	if len(l.free) != 0 {
		t.Errorf("%d places taken, want none", len(l.free))
	}
}
