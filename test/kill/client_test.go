package kill

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"paddock/test/harness"
)

const (
	opCreate  = 1
	opDelete  = 2
	opExists  = 3
	opGetData = 4
	opSetData = 5

	codeNoNode     = -101
	codeBadVersion = -103
)

// client is one session. It outlives the servers it talks to.
type client struct {
	id    int
	addr  string
	clock *atomic.Int64 // one for all: call and return times of the history
	rnd   *rand.Rand
	conn  *harness.Conn
	sess  harness.ConnectReply
	xid   int32
	zxid  int64 // highest seen: it may never be undercut
	next  int   // number of the next node it creates

	history []porcupine.Operation
	created []string // acknowledged, of this cycle
	errs    []error  // promises broken
}

func (c *client) fail(format string, a ...any) {
	c.errs = append(c.errs, fmt.Errorf("client %d: %s", c.id, fmt.Sprintf(format, a...)))
}

// connect begins the session, or takes it up again.
func (c *client) connect() error {
	conn, err := harness.Dial(c.addr)
	if err != nil {
		return err
	}
	q := harness.ConnectRequest{TimeoutMS: 40_000, Passwd: make([]byte, 16)}
	if c.sess.Valid() {
		q.SessionID, q.Passwd, q.LastZxidSeen = c.sess.SessionID, c.sess.Passwd, c.zxid
	}
	r, err := conn.Connect(q)
	if err != nil {
		return err
	}
	if c.sess.Valid() && r.SessionID != c.sess.SessionID {
		return fmt.Errorf("session %#x did not survive: got %+v", c.sess.SessionID, r)
	}
	c.conn, c.sess = conn, r
	return nil
}

// call sends one request and waits for its reply. An error means that nobody knows what became of it.
func (c *client) call(op int32, body harness.Bytes) (harness.Reply, error) {
	c.xid++
	frame := append(harness.Bytes{}.Int(c.xid).Int(op), body...)
	if err := c.conn.Write(frame.Frame()); err != nil {
		return harness.Reply{}, err
	}
	r, err := c.conn.ReadReply()
	if err != nil {
		return r, err
	}
	if r.Xid != c.xid {
		c.fail("reply to xid %d where %d was due", r.Xid, c.xid)
	}
	if r.Zxid < c.zxid {
		c.fail("zxid went back from %#x to %#x", c.zxid, r.Zxid)
	}
	c.zxid = r.Zxid
	return r, nil
}

func createBody(path, data string, flags int32) harness.Bytes {
	acl := harness.ACL{Perms: 31, Scheme: "world", ID: "anyone"}
	return harness.Bytes{}.Str(path).Str(data).ACLs(acl).Int(flags)
}

// load works until the server dies or stop is set.
func (c *client) load(keys []string, stop *atomic.Bool) {
	versions := map[string]int32{}
	for !stop.Load() {
		var err error
		key := keys[c.rnd.IntN(len(keys))]
		switch c.rnd.IntN(6) {
		case 0, 1:
			err = c.create()
		case 2:
			err = c.set(input{kind: opSet, key: key, value: c.unique(), version: -1}, versions)
		case 3, 4:
			err = c.set(input{kind: opSwap, key: key, value: c.unique(), version: versions[key]}, versions)
		case 5:
			err = c.read(key, versions)
		}
		if err != nil {
			c.conn.Close()
			return
		}
	}
}

func (c *client) unique() string {
	c.next++
	return fmt.Sprintf("c%d-%d", c.id, c.next)
}

func (c *client) create() error {
	path := "/ledger/" + c.unique()
	r, err := c.call(opCreate, createBody(path, path, 0))
	if err != nil {
		return err
	}
	if r.Err != 0 {
		c.fail("create %s: code %d", path, r.Err)
		return nil
	}
	c.created = append(c.created, path)
	return nil
}

func (c *client) set(in input, versions map[string]int32) error {
	at := c.clock.Add(1)
	r, err := c.call(opSetData, harness.Bytes{}.Str(in.key).Str(in.value).Int(in.version))
	out := output{}
	switch {
	case err != nil:
		out.unknown = true
	case r.Err == codeBadVersion && in.kind == opSwap:
		out.refused = true
		delete(versions, in.key)
	case r.Err != 0:
		c.fail("set %+v: code %d", in, r.Err)
		return nil
	default:
		f := harness.FieldsOf(r.Body)
		out.version = f.Stat().Version
		versions[in.key] = out.version
	}
	c.note(in, out, at)
	return err
}

func (c *client) read(key string, versions map[string]int32) error {
	at := c.clock.Add(1)
	r, err := c.call(opGetData, harness.Bytes{}.Str(key).Bool(false))
	if err != nil {
		return err // a read without an answer says nothing
	}
	if r.Err != 0 {
		c.fail("read %s: code %d", key, r.Err)
		return nil
	}
	f := harness.FieldsOf(r.Body)
	value := f.Str()
	out := output{value: value, version: f.Stat().Version}
	versions[key] = out.version
	c.note(input{kind: opRead, key: key}, out, at)
	return nil
}

// note enters an operation into the history. One without an answer stays open for ever.
func (c *client) note(in input, out output, at int64) {
	end := c.clock.Add(1)
	if out.unknown {
		end = math.MaxInt64 - 1
	}
	c.history = append(c.history, porcupine.Operation{ClientId: c.id, Input: in, Call: at, Output: out, Return: end})
}

// check runs a history through Porcupine.
func check(history []porcupine.Operation) error {
	switch result, _ := porcupine.CheckOperationsVerbose(znode, history, 60*time.Second); result {
	case porcupine.Ok:
		return nil
	case porcupine.Unknown:
		return fmt.Errorf("the search in a history of %d operations did not end", len(history))
	}
	return fmt.Errorf("a history of %d operations is not linearizable:\n%v", len(history), history)
}
