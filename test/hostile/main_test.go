package hostile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"paddock/test/harness"
	"paddock/wire"
)

var target *harness.Target

func TestMain(m *testing.M) {
	var err error
	if target, err = harness.Paddock(); err != nil {
		fmt.Println("hostile:", err)
		os.Exit(1)
	}
	code := m.Run()
	harness.Cleanup()
	os.Exit(code)
}

// long reports whether there is time for the larger numbers.
var long = os.Getenv("PADDOCK_LONG") != ""

func pick(short, longer int) int {
	if long {
		return longer
	}
	return short
}

var defaults = harness.Settings{"tickTime": "500", "maxClientCnxns": "0"}

func start(t *testing.T, more harness.Settings) *harness.Server {
	t.Helper()
	return startFrom(t, more, func(string) error { return nil })
}

func startFrom(t *testing.T, more harness.Settings, prepare func(dir string) error) *harness.Server {
	t.Helper()
	s, err := target.StartFrom(defaults.With(more), prepare)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// refused starts a server that has to end by itself, and returns what it said and its exit code.
func refused(t *testing.T, more harness.Settings) (said string, code int) {
	t.Helper()
	s, err := target.Start(defaults.With(more))
	if err == nil {
		s.Close()
		t.Fatal("the server started, and should have refused")
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("the server did not end by itself: %v", err)
	}
	return err.Error(), exit.ExitCode()
}

// wantRefusal checks that the last line of what was said holds all the parts: that is what an operator
// reads first.
func wantRefusal(t *testing.T, said string, code int, parts ...string) {
	t.Helper()
	if code == 0 {
		t.Error("exit code 0, want another")
	}
	lines := strings.Split(strings.TrimSpace(said), "\n")
	last := lines[len(lines)-1]
	t.Logf("exit code %d: %s", code, last)
	for _, p := range parts {
		if !strings.Contains(last, p) {
			t.Errorf("the last line has no %q", p)
		}
	}
}

func wantLog(t *testing.T, s *harness.Server, parts ...string) {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(s.Dir, "server.log"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(log), "\n") {
		if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) }) {
			t.Log(line)
			return
		}
	}
	t.Errorf("no line of the log has all of %q:\n%s", parts, s.LogTail())
}

// descriptors returns how many the server has open.
func descriptors(t *testing.T, s *harness.Server) int {
	t.Helper()
	names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.Pid()))
	if err != nil {
		t.Skipf("descriptors are not counted here: %v", err)
	}
	return len(names)
}

// rss returns the server's resident memory in bytes.
func rss(t *testing.T, s *harness.Server) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Pid()))
	if err != nil {
		t.Skipf("memory is not measured here: %v", err)
	}
	_, after, ok := bytes.Cut(b, []byte("VmRSS:"))
	if !ok {
		return 0 // it has just ended
	}
	kb, err := strconv.Atoi(strings.Fields(string(after))[0])
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}

// memory watches the server's resident memory until it is asked for the most.
func memory(t *testing.T, s *harness.Server) (most func() int) {
	stop, done, top := make(chan struct{}), make(chan struct{}), 0
	go func() {
		defer close(done)
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			top = max(top, rss(t, s))
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
			}
		}
	}()
	most = sync.OnceValue(func() int {
		close(stop)
		<-done
		return top
	})
	t.Cleanup(func() { most() })
	return most
}

func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// cleanUp waits until the server has no more descriptors than before the attack, but for segments of the
// log that were begun meanwhile.
func cleanUp(t *testing.T, s *harness.Server, before int) {
	t.Helper()
	const segments = 2
	eventually(t, 10*time.Second, fmt.Sprintf("no more than %d descriptors are open", before+segments),
		func() bool { return descriptors(t, s) <= before+segments })
}

// connections asks the server how many it has, the one that asks left out.
func connections(t *testing.T, s *harness.Server) int {
	t.Helper()
	text, err := harness.Word(s.Addr, "srvr")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(text, "Connections: ")
	digits, _, _ := strings.Cut(after, "\n")
	n, err := strconv.Atoi(digits)
	if err != nil {
		t.Fatalf("srvr said %q", text)
	}
	return n - 1
}

// client is a session whose failures end the test.
type client struct {
	*harness.Conn
	t   *testing.T
	xid int32
}

func dial(t *testing.T, s *harness.Server) *client {
	t.Helper()
	c, err := harness.Dial(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &client{Conn: c, t: t}
}

func open(t *testing.T, s *harness.Server, timeoutMS int32) *client {
	t.Helper()
	c := dial(t, s)
	if r, err := c.Connect(harness.ConnectRequest{TimeoutMS: timeoutMS, Passwd: make([]byte, 16)}); err != nil || !r.Valid() {
		t.Fatalf("connect: %+v, %v\n%s", r, err, s.LogTail())
	}
	return c
}

// renew takes c's session up again; it reports whether it lives.
func renew(t *testing.T, s *harness.Server, c *client) (*client, bool) {
	t.Helper()
	n := dial(t, s)
	r, err := n.Connect(harness.ConnectRequest{TimeoutMS: c.Session.TimeoutMS, SessionID: c.Session.SessionID, Passwd: c.Session.Passwd})
	if err != nil {
		t.Fatal(err)
	}
	return n, r.Valid()
}

func frame(xid int32, op wire.Op, body harness.Bytes) harness.Bytes {
	return harness.Bytes(nil).Int(xid).Int(int32(op)).Raw(body...).Frame()
}

func (c *client) try(op wire.Op, body harness.Bytes) (harness.Reply, error) {
	c.xid++
	if err := c.Write(frame(c.xid, op, body)); err != nil {
		return harness.Reply{}, err
	}
	r, err := c.ReadReply()
	if err == nil && r.Xid != c.xid && op != wire.OpPing {
		err = fmt.Errorf("reply to xid %d, want %d", r.Xid, c.xid)
	}
	return r, err
}

func (c *client) call(op wire.Op, body harness.Bytes) harness.Reply {
	c.t.Helper()
	r, err := c.try(op, body)
	if err != nil {
		c.t.Fatalf("%v: %v", op, err)
	}
	return r
}

func (c *client) ok(op wire.Op, body harness.Bytes) harness.Reply {
	c.t.Helper()
	r := c.call(op, body)
	if r.Err != 0 {
		c.t.Fatalf("%v: code %d", op, r.Err)
	}
	return r
}

func createBody(path string, data []byte, flags int32) harness.Bytes {
	acl := harness.ACL{Perms: 31, Scheme: "world", ID: "anyone"}
	return harness.Bytes(nil).Str(path).Buf(data).ACLs(acl).Int(flags)
}

func setBody(path string, data []byte) harness.Bytes {
	return harness.Bytes(nil).Str(path).Buf(data).Int(-1)
}

func readBody(path string, watch bool) harness.Bytes {
	return harness.Bytes(nil).Str(path).Bool(watch)
}

// honest is a session that works quietly beside an attack: pings, reads and writes, one at a time.
type honest struct {
	t         *testing.T
	s         *harness.Server
	stop      chan struct{}
	done      chan struct{}
	latencies []time.Duration
	err       error

	elsewhere *honest // does the same on a server that nobody attacks: what it feels is the machine's fault
}

func beHonest(t *testing.T, s *harness.Server) *honest {
	t.Helper()
	h := workQuietly(t, s)
	h.elsewhere = workQuietly(t, start(t, nil))
	return h
}

func workQuietly(t *testing.T, s *harness.Server) *honest {
	t.Helper()
	h := &honest{t: t, s: s, stop: make(chan struct{}), done: make(chan struct{})}
	c := open(t, s, 2000)
	c.ok(wire.OpCreate, createBody("/honest", nil, 0))
	c.ok(wire.OpCreate, createBody("/honest/here", nil, 1))
	go func() {
		defer close(h.done)
		h.err = h.work(c)
	}()
	t.Cleanup(func() { h.end() })
	return h
}

func (h *honest) work(c *client) error {
	for i := 0; ; i++ {
		select {
		case <-h.stop:
			if r, err := c.try(wire.OpExists, readBody("/honest/here", false)); err != nil || r.Err != 0 {
				return fmt.Errorf("its ephemeral: code %d, %w", r.Err, err)
			}
			return nil
		case <-time.After(2 * time.Millisecond): // its own pace, not a wait for anything
		}
		op, body := wire.OpPing, harness.Bytes(nil)
		switch i % 4 {
		case 1:
			op, body = wire.OpGetData, readBody("/honest", false)
		case 3:
			op, body = wire.OpSetData, setBody("/honest", fmt.Append(nil, i))
		}
		began := time.Now()
		if r, err := c.try(op, body); err != nil || r.Err != 0 {
			return fmt.Errorf("%v number %d: code %d, %w", op, i, r.Err, err)
		}
		h.latencies = append(h.latencies, time.Since(began))
	}
}

func (h *honest) end() {
	select {
	case <-h.stop:
	default:
		close(h.stop)
	}
	<-h.done
}

// noticedNothing ends the honest session and checks that it was answered all the time, 99 of 100 times
// within limit, beside what the one elsewhere had to wait: both share cores and disk with the attack and
// with whatever else the machine does.
func (h *honest) noticedNothing(limit time.Duration) {
	h.t.Helper()
	p99, _ := h.result("honest session")
	_, most := h.elsewhere.result("elsewhere")
	if p99 > limit+most {
		h.t.Errorf("the honest session's p99 is %v, want at most %v more than %v, the longest elsewhere", p99, limit, most)
	}
}

// result ends the session and returns its 99th percentile and its longest wait.
func (h *honest) result(name string) (p99, most time.Duration) {
	h.t.Helper()
	h.end()
	if h.err != nil {
		h.t.Fatalf("the %s: %v\n%s", name, h.err, h.s.LogTail())
	}
	slices.Sort(h.latencies)
	n := len(h.latencies)
	if n == 0 {
		h.t.Fatalf("the %s was never answered", name)
	}
	p50, p99, most := h.latencies[n/2], h.latencies[n*99/100], h.latencies[n-1]
	h.t.Logf("%s: %d requests, p50 %v, p99 %v, max %v", name, n, p50, p99, most)
	return p99, most
}
