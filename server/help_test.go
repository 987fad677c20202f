package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"paddock/net"
	"paddock/test/harness"
	"paddock/vfs"
	"paddock/wire"
)

// config is a server for tests on a port of its own: small segments, two loops, a quiet log.
func config(dir string, change ...func(*Config)) Config {
	c := Config{
		Listen: []string{"127.0.0.1:0"}, Loops: 2, ServerID: 1,
		DataDir: dir, LogDir: dir,
		TickMS: 2000, MinSessionMS: 4000, MaxSessionMS: 40_000,
		MaxFrameBytes: 0xfffff, HandshakeTimeout: 10 * time.Second,
		SegmentBytes: 1 << 20, RetainSnapshots: 3, MinFreeBytes: 1,
		FS: vfs.OS(), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	for _, f := range change {
		f(&c)
	}
	return c
}

// start runs a server that ends with the test.
func start(t *testing.T, change ...func(*Config)) *Server {
	t.Helper()
	return startIn(t, t.TempDir(), change...)
}

func startIn(t *testing.T, dir string, change ...func(*Config)) *Server {
	t.Helper()
	s, err := Start(config(dir, change...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

// stop closes a server; one that does not end is a failure that says so, not a test that hangs.
func stop(t *testing.T, s *Server) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- s.Close(context.Background()) }()
	select {
	case err := <-done:
		if err != nil && s.pipe.failed == nil {
			t.Errorf("close: %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the server does not end")
	}
}

// peer is a session of a test. Failures end the test that has it.
type peer struct {
	*harness.Conn
	t    *testing.T
	addr string
	xid  int32
}

func dial(t *testing.T, s *Server) *peer {
	t.Helper()
	c, err := harness.Dial(s.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	c.Timeout = 20 * time.Second
	return &peer{Conn: c, t: t, addr: s.Addrs()[0]}
}

// open begins a session of 30 s.
func open(t *testing.T, s *Server) *peer {
	t.Helper()
	p := dial(t, s)
	p.connect(harness.ConnectRequest{TimeoutMS: 30_000, Passwd: make([]byte, 16)})
	return p
}

// openOn begins sessions until one is on the wanted loop.
func openOn(t *testing.T, s *Server, loop int) *peer {
	t.Helper()
	for range 100 {
		if p := open(t, s); p.loop(s) == loop {
			return p
		}
	}
	t.Fatalf("no connection came to loop %d", loop)
	return nil
}

func (p *peer) loop(s *Server) int {
	return znet.ID(s.table.Lookup(p.Session.SessionID).Owner()).Loop()
}

func (p *peer) connect(q harness.ConnectRequest) {
	p.t.Helper()
	if r, err := p.Connect(q); err != nil || !r.Valid() {
		p.t.Fatalf("connect: %+v, %v", r, err)
	}
}

// renewal is what takes the session up again.
func (p *peer) renewal() harness.ConnectRequest {
	return harness.ConnectRequest{TimeoutMS: 30_000, SessionID: p.Session.SessionID, Passwd: p.Session.Passwd}
}

func frame(xid int32, op wire.Op, body harness.Bytes) harness.Bytes {
	return harness.Bytes(nil).Int(xid).Int(int32(op)).Raw(body...).Frame()
}

// send sends a request and returns its xid.
func (p *peer) send(op wire.Op, body harness.Bytes) int32 {
	p.t.Helper()
	p.xid++
	if err := p.Write(frame(p.xid, op, body)); err != nil {
		p.t.Fatalf("%v: %v", op, err)
	}
	return p.xid
}

func (p *peer) reply() harness.Reply {
	p.t.Helper()
	r, err := p.ReadReply()
	if err != nil {
		p.t.Fatalf("reply: %v", err)
	}
	return r
}

// call sends one request and waits for its reply.
func (p *peer) call(op wire.Op, body harness.Bytes) harness.Reply {
	p.t.Helper()
	xid := p.send(op, body)
	r := p.reply()
	if op == wire.OpPing {
		xid = harness.XidPing
	}
	if r.Xid != xid {
		p.t.Fatalf("%v: reply to xid %d, want %d", op, r.Xid, xid)
	}
	return r
}

// ok is call for a request that has to succeed.
func (p *peer) ok(op wire.Op, body harness.Bytes) harness.Reply {
	p.t.Helper()
	r := p.call(op, body)
	if r.Err != 0 {
		p.t.Fatalf("%v %x: code %d", op, []byte(body), r.Err)
	}
	return r
}

func (p *peer) create(path string, data []byte) {
	p.t.Helper()
	p.ok(wire.OpCreate, createBody(path, data, 0))
}

func (p *peer) get(path string) (data []byte, r harness.Reply) {
	p.t.Helper()
	r = p.ok(wire.OpGetData, readBody(path, false))
	return harness.FieldsOf(r.Body).Buf(), r
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

// hookFS is a file system whose syncs and free space a test decides.
type hookFS struct {
	vfs.FS
	mu   sync.Mutex
	sync func(name string) error // before each Sync of a file; nil is none
	free func() int64            // nil asks the real one
}

func (h *hookFS) onSync(f func(name string) error) {
	h.mu.Lock()
	h.sync = f
	h.mu.Unlock()
}

func (h *hookFS) hooked(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return hookFile{f, h}, nil
}

func (h *hookFS) Create(name string) (vfs.File, error)    { return h.hooked(h.FS.Create(name)) }
func (h *hookFS) OpenWrite(name string) (vfs.File, error) { return h.hooked(h.FS.OpenWrite(name)) }

func (h *hookFS) Free(dir string) (int64, error) {
	h.mu.Lock()
	free := h.free
	h.mu.Unlock()
	if free == nil {
		return h.FS.Free(dir)
	}
	return free(), nil
}

type hookFile struct {
	vfs.File
	h *hookFS
}

func (f hookFile) Sync() error {
	f.h.mu.Lock()
	hook := f.h.sync
	f.h.mu.Unlock()
	if hook != nil {
		if err := hook(f.Name()); err != nil {
			return err
		}
	}
	return f.File.Sync()
}

// eventually waits until ok; what says what for. There is no event to wait on where it is used.
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

func path(format string, a ...any) string { return fmt.Sprintf(format, a...) }
