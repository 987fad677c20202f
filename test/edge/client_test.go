package edge

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"paddock/test/harness"
	"paddock/wire"
)

// client is a connection whose failures end the case.
type client struct {
	*harness.Conn
	t   *testing.T
	at  *instance
	xid int32
}

// dial opens a connection that has said nothing yet.
func (s *server) dial(t *testing.T) *client {
	t.Helper()
	conn, err := harness.Dial(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return &client{Conn: conn, t: t, at: s.instance, xid: rand.Int32N(1 << 20)}
}

// open begins a session of 20 s (or the server's maximum) and ends it with the case, so that no expiry
// disturbs another.
func (s *server) open(t *testing.T) *client {
	t.Helper()
	return s.openFor(t, 20*time.Second)
}

func (s *server) openFor(t *testing.T, timeout time.Duration) *client {
	t.Helper()
	c := s.dial(t)
	c.connect(harness.ConnectRequest{TimeoutMS: int32(timeout.Milliseconds()), Passwd: noPasswd})
	if !c.Session.Valid() {
		t.Fatalf("new session refused: %+v", c.Session)
	}
	c.closeAtEnd()
	return c
}

var noPasswd = make([]byte, 16)

// closeAtEnd closes the session when the case is over, if the connection still stands then.
func (c *client) closeAtEnd() {
	c.t.Cleanup(func() {
		if c.Write(request(1, wire.OpCloseSession, nil)) != nil {
			return
		}
		for { // until the server has closed the connection: then the session is gone
			if _, err := c.ReadFrame(); err != nil {
				return
			}
		}
	})
}

// renewal is what a client says to take the session up again.
func (c *client) renewal() harness.ConnectRequest {
	return harness.ConnectRequest{TimeoutMS: c.Session.TimeoutMS, SessionID: c.Session.SessionID, Passwd: c.Session.Passwd}
}

// renew takes c's session up on a new connection.
func (s *server) renew(c *client) *client {
	c.t.Helper()
	n := s.dial(c.t)
	n.connect(c.renewal())
	if n.Session.SessionID != c.Session.SessionID {
		c.t.Fatalf("renewal of session %#x got %+v", c.Session.SessionID, n.Session)
	}
	n.closeAtEnd()
	return n
}

func (c *client) connect(q harness.ConnectRequest) harness.ConnectReply {
	c.t.Helper()
	r, err := c.Connect(q)
	if err != nil {
		c.t.Fatalf("connect: %v", err)
	}
	return r
}

func request(xid int32, op wire.Op, body harness.Bytes) harness.Bytes {
	return harness.Bytes(nil).Int(xid).Int(int32(op)).Raw(body...).Frame()
}

func (c *client) write(b []byte) {
	c.t.Helper()
	if err := c.Write(b); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// send sends a request and returns its xid.
func (c *client) send(op wire.Op, body harness.Bytes) int32 {
	c.t.Helper()
	c.xid++
	c.write(request(c.xid, op, body))
	return c.xid
}

func (c *client) reply() harness.Reply {
	c.t.Helper()
	r, err := c.ReadReply()
	if err != nil {
		c.t.Fatalf("reply: %v", err)
	}
	return r
}

func (c *client) do(op wire.Op, body harness.Bytes) harness.Reply {
	c.t.Helper()
	xid := c.send(op, body)
	r := c.reply()
	if r.Xid != xid {
		c.t.Fatalf("%v: reply has xid %d, want %d", op, r.Xid, xid)
	}
	return r
}

// want does a request that must end with code; an error must have no body.
func (c *client) want(code wire.Code, op wire.Op, body harness.Bytes) harness.Reply {
	c.t.Helper()
	r := c.do(op, body)
	if wire.Code(r.Err) != code {
		c.t.Fatalf("%v %q: got %v, want %v", op, []byte(body), wire.Code(r.Err), code)
	}
	if r.Err != 0 && len(r.Body) != 0 {
		c.t.Errorf("%v: error %v has a body %x", op, wire.Code(r.Err), r.Body)
	}
	return r
}

// ok does a request that must succeed, and returns its answer's fields.
func (c *client) ok(op wire.Op, body harness.Bytes) *harness.Fields {
	c.t.Helper()
	return harness.FieldsOf(c.want(wire.OK, op, body).Body)
}

// ping returns the last zxid that the server has applied.
func (c *client) ping() int64 {
	c.t.Helper()
	c.write(request(harness.XidPing, wire.OpPing, nil))
	r := c.reply()
	if r.Xid != harness.XidPing || r.Err != 0 {
		c.t.Fatalf("ping: got %+v", r)
	}
	return r.Zxid
}

// settle returns the events that were under way: whatever happened before the ping is told before its
// reply.
func (c *client) settle() []string {
	c.t.Helper()
	c.ping()
	return names(c.TakeEvents())
}

// wantEvents checks that exactly these events arrive, written as "NodeCreated /a".
func (c *client) wantEvents(want ...string) {
	c.t.Helper()
	if got := c.settle(); strings.Join(got, "; ") != strings.Join(want, "; ") {
		c.t.Fatalf("events: got %q, want %q", got, want)
	}
}

func names(events []harness.Event) (all []string) {
	for _, e := range events {
		all = append(all, fmt.Sprintf("%v %s", eventName(e.Type), e.Path))
	}
	return all
}

func eventName(typ int32) string {
	switch typ {
	case 1:
		return "created"
	case 2:
		return "deleted"
	case 3:
		return "changed"
	case 4:
		return "children"
	}
	return fmt.Sprintf("event(%d)", typ)
}

// wantClosed checks that the server closes the connection and says nothing more.
func (c *client) wantClosed() {
	c.t.Helper()
	if err := c.AwaitClose(5 * time.Second); err != nil {
		c.t.Fatal(err)
	}
}

// root creates a node for the case to work below, named for its number.
func (c *client) root() string {
	c.t.Helper()
	_, name, _ := strings.Cut(c.t.Name(), "/")
	return c.create("/f" + name[:3])
}

// Bodies of requests.

var openACL = harness.ACL{Perms: 31, Scheme: "world", ID: "anyone"}

func perms(p int32) harness.ACL { return harness.ACL{Perms: p, Scheme: "world", ID: "anyone"} }

func fields() harness.Bytes { return nil }

func path(p string) harness.Bytes { return fields().Str(p) }

// watched is the body of the reads that can set a watch; unwatched sets none.
func watched(p string) harness.Bytes   { return path(p).Bool(true) }
func unwatched(p string) harness.Bytes { return path(p).Bool(false) }

func creation(p, data string, flags int32, acl ...harness.ACL) harness.Bytes {
	if acl == nil {
		acl = []harness.ACL{openACL}
	}
	return path(p).Str(data).ACLs(acl...).Int(flags)
}

func ttlCreation(p string, flags int32, ttl int64) harness.Bytes {
	return creation(p, "", flags).Long(ttl)
}

func update(p, data string, version int32) harness.Bytes { return path(p).Str(data).Int(version) }

func versioned(p string, version int32) harness.Bytes { return path(p).Int(version) }

func aclUpdate(p string, version int32, acl ...harness.ACL) harness.Bytes {
	return path(p).ACLs(acl...).Int(version)
}

// Flags of create.
const (
	persistent = iota
	ephemeral
	sequential
	ephemeralSequential
	container
	withTTL
	sequentialWithTTL
)

// Requests that must succeed.

func (c *client) create(p string) string {
	c.t.Helper()
	return c.createAs(p, "", persistent)
}

func (c *client) createAs(p, data string, flags int32, acl ...harness.ACL) string {
	c.t.Helper()
	f := c.ok(wire.OpCreate, creation(p, data, flags, acl...))
	made := f.Str()
	if f.Err() != nil {
		c.t.Fatalf("create %s: %v", p, f.Err())
	}
	return made
}

func (c *client) delete(p string) harness.Reply {
	c.t.Helper()
	return c.want(wire.OK, wire.OpDelete, versioned(p, -1))
}

func (c *client) set(p, data string) harness.Stat {
	c.t.Helper()
	return c.ok(wire.OpSetData, update(p, data, -1)).Stat()
}

func (c *client) setACL(p string, acl ...harness.ACL) harness.Stat {
	c.t.Helper()
	return c.ok(wire.OpSetACL, aclUpdate(p, -1, acl...)).Stat()
}

func (c *client) stat(p string) harness.Stat {
	c.t.Helper()
	return c.ok(wire.OpExists, unwatched(p)).Stat()
}

func (c *client) get(p string) (data []byte, stat harness.Stat) {
	c.t.Helper()
	f := c.ok(wire.OpGetData, unwatched(p))
	data, stat = f.Buf(), f.Stat()
	if f.Err() != nil {
		c.t.Fatalf("getData %s: %v", p, f.Err())
	}
	return data, stat
}

func (c *client) acl(p string) []harness.ACL {
	c.t.Helper()
	f := c.ok(wire.OpGetACL, path(p))
	acl := f.ACLs()
	f.Stat()
	if f.Err() != nil {
		c.t.Fatalf("getACL %s: %v", p, f.Err())
	}
	return acl
}

// watch sets a watch by a read that must succeed.
func (c *client) watch(op wire.Op, p string) {
	c.t.Helper()
	c.want(wire.OK, op, watched(p))
}

func (c *client) addWatch(p string, mode int32) {
	c.t.Helper()
	r := c.want(wire.OK, wire.OpAddWatch, versioned(p, mode))
	if !reflect.DeepEqual(r.Body, []byte{0, 0, 0, 0}) {
		c.t.Errorf("addWatch: body %x, want four zero bytes", r.Body)
	}
}

const (
	modePersistent = 0
	modeRecursive  = 1
)

// auth adds an identity, which must succeed.
func (c *client) auth(scheme, data string) {
	c.t.Helper()
	c.write(request(harness.XidAuth, wire.OpAuth, fields().Int(0).Str(scheme).Str(data)))
	r := c.reply()
	if r.Xid != harness.XidAuth || r.Err != 0 || r.Zxid != 0 {
		c.t.Fatalf("auth %s %s: got %+v", scheme, data, r)
	}
}

// equal reports a difference between what was got and what is wanted.
func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
