package differential

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"paddock/test/harness"
	"paddock/wire"
)

// transcript is what a run was told, step by step, renamed so that two servers can be compared. Its
// last entries are the events still under way at the end and the tree that is left.
type transcript [][]string

// run is one stream on one server. Owned by one goroutine.
type run struct {
	rename
	srv   *harness.Server
	admin *harness.Conn // a super user, for the node below which the stream works
	slots [slots]slot
	told  []string // what this step has been told so far

	before map[string]int // counts at the stream's start
	quotas bool           // the stream works on quotas
}

// slot is one session of a stream, with or without a connection.
type slot struct {
	conn     *harness.Conn // nil without
	session  harness.ConnectReply
	lastZxid int64 // the highest in a reply
	xid      int32
}

// play runs stream on srv below a node named root. An error is a failure of the run, not of the server.
func play(srv *harness.Server, root string, stream []step) (transcript, error) {
	r := &run{srv: srv, rename: rename{root: root, sessions: map[int64]int{}, closes: map[int64]bool{}}}
	for _, s := range stream {
		for _, q := range s.reqs {
			r.quotas = r.quotas || q.onQuota()
		}
	}
	defer r.close()
	if err := r.begin(); err != nil {
		return nil, fmt.Errorf("differential: %s: begin %s: %w", srv.Target.Name, root, err)
	}
	var all transcript
	for i, s := range stream {
		r.told = nil
		if err := r.step(s); err != nil {
			return all, fmt.Errorf("differential: %s: step %d (%v): %w", srv.Target.Name, i, s, err)
		}
		all = append(all, r.told)
	}
	end, err := r.end()
	return append(all, end...), err
}

func (r *run) close() {
	for i := range r.slots {
		if c := r.slots[i].conn; c != nil {
			c.Close()
		}
	}
	if r.admin != nil {
		r.admin.Close()
	}
}

func (r *run) begin() (err error) {
	if err := r.openAdmin(harness.ConnectRequest{TimeoutMS: 60000, Passwd: make([]byte, 16)}); err != nil {
		return err
	}
	made, err := call(r.admin, wire.OpCreate, harness.Bytes(nil).Str(r.root).Str("").ACLs(open).Int(0))
	if err != nil {
		return err
	}
	r.base = made.Zxid
	if r.before, err = r.counts(); err != nil {
		return err
	}
	for i := range r.slots {
		if err := r.fresh(&r.slots[i]); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) openAdmin(q harness.ConnectRequest) (err error) {
	if r.admin, err = harness.Dial(r.srv.Addr); err != nil {
		return err
	}
	if _, err = r.admin.Connect(q); err != nil {
		return err
	}
	_, err = call(r.admin, wire.OpAuth, harness.Bytes(nil).Int(0).Str("digest").Str(superAuth))
	return err
}

// restart kills the server and starts it again. All connections are lost, the sessions are not.
func (r *run) restart() error {
	r.quotas = true // Apache recounts the data of all streams at its start: see differences, data-size
	r.srv.Kill()
	for i := range r.slots {
		r.slots[i].drop()
	}
	r.admin.Close()
	if err := r.srv.Restart(); err != nil {
		return err
	}
	s := r.admin.Session
	return r.openAdmin(harness.ConnectRequest{TimeoutMS: 60000, SessionID: s.SessionID, Passwd: s.Passwd})
}

// call does a request that must succeed.
func call(c *harness.Conn, op wire.Op, body harness.Bytes) (harness.Reply, error) {
	if err := c.Write(harness.Bytes(nil).Int(1).Int(int32(op)).Raw(body...).Frame()); err != nil {
		return harness.Reply{}, err
	}
	reply, err := c.ReadReply()
	if err == nil && reply.Err != 0 {
		err = fmt.Errorf("%v: %v", op, wire.Code(reply.Err))
	}
	return reply, err
}

func (r *run) tell(format string, args ...any) { r.told = append(r.told, fmt.Sprintf(format, args...)) }

func (r *run) step(s step) error {
	sl := &r.slots[s.slot]
	switch s.action {
	case hello:
		return r.hello(s.raw)
	case restart:
		return r.restart()
	}
	if sl.conn == nil && s.action != drop && s.action != badRenew && s.action != aheadOf {
		if err := r.connect(sl, sl.renewal()); err != nil {
			return err
		}
		if sl.conn == nil {
			if err := r.fresh(sl); err != nil {
				return err
			}
		}
	}
	if s.overtakes() && sl.conn != nil {
		if err := r.ask(sl, []req{{op: wire.OpPing}}, nil); err != nil || sl.conn == nil {
			return err
		}
	}
	switch s.action {
	case ask:
		return r.ask(sl, s.reqs, nil)
	case burst:
		return r.ask(sl, s.reqs, nil)
	case garble:
		return r.ask(sl, s.reqs, s.change.apply)
	case closeSess:
		return r.ask(sl, []req{{op: wire.OpCloseSession}}, nil)
	case frame:
		if err := sl.conn.Write(s.raw); err != nil {
			return r.lost(sl, err)
		}
		return r.awaitClose(sl)
	case drop:
		sl.drop()
		return nil
	case renew:
		return r.takeOver(sl)
	case badRenew:
		sl.drop()
		q := sl.renewal()
		q.Passwd = make([]byte, 16)
		return r.connect(sl, q)
	case aheadOf:
		sl.drop()
		q := sl.renewal()
		q.LastZxidSeen = sl.lastZxid + 1<<40
		return r.connect(sl, q)
	}
	return fmt.Errorf("differential: no such action %d", s.action)
}

// overtakes reports whether the answer to s may overtake events of other sessions' writes, which is so
// where it shows no state: zxid 0 or -1, or no answer but the end. Before such a step what is under way is
// called in by a ping.
func (s step) overtakes() bool {
	switch s.action {
	case frame, garble, renew:
		return true
	case ask:
		return hasty(s.reqs[0].op) && s.reqs[0].op != wire.OpSetACL
	}
	return false
}

// ask sends requests in one write and reads a reply to each.
func (r *run) ask(sl *slot, reqs []req, change func(harness.Bytes) harness.Bytes) error {
	var out harness.Bytes
	for _, q := range reqs {
		body := q.body(r.root, sl.lastZxid)
		if change != nil {
			body = change(body)
		}
		xid := sl.xid
		sl.xid++
		switch q.op {
		case wire.OpPing:
			xid = harness.XidPing
		case wire.OpSetWatches:
			xid = harness.XidSetWatches
		}
		out = append(out, harness.Bytes(nil).Int(xid).Int(int32(q.op)).Raw(body...).Frame()...)
	}
	if err := sl.conn.Write(out); err != nil {
		return r.lost(sl, err)
	}
	for _, q := range reqs {
		reply, err := sl.conn.ReadReply()
		if err != nil {
			return r.lost(sl, err)
		}
		sl.lastZxid = max(sl.lastZxid, reply.Zxid)
		if q.op == wire.OpCloseSession {
			r.closes[reply.Zxid] = true
		}
		r.tellEvents(sl)
		r.told = append(r.told, r.reply(q.op, reply))
		if closes(q.op, reply) {
			return r.awaitClose(sl)
		}
	}
	return nil
}

// closes reports whether the server closes the connection behind this reply. Where it does without
// being expected to, the next step finds out.
func closes(op wire.Op, reply harness.Reply) bool {
	code := wire.Code(reply.Err)
	return op == wire.OpCloseSession && code == wire.OK || code == wire.AuthFailed || code == wire.Unimplemented && reply.Zxid == -1
}

func (r *run) tellEvents(sl *slot) {
	r.told = append(r.told, r.events(sl.conn.TakeEvents())...)
}

// lost tells that the connection is gone.
func (r *run) lost(sl *slot, err error) error {
	r.tellEvents(sl)
	if !errors.Is(err, harness.ErrClosed) && !broken(err) {
		return err
	}
	r.tell("closed")
	sl.drop()
	return nil
}

func (r *run) awaitClose(sl *slot) error {
	for {
		reply, event, err := sl.conn.Next()
		switch {
		case err != nil:
			return r.lost(sl, err)
		case event != nil:
			r.told = append(r.told, r.events([]harness.Event{*event})...)
		default:
			r.tell("instead of closing: %+v", *reply)
		}
	}
}

func (sl *slot) drop() {
	if sl.conn != nil {
		sl.conn.Close()
		sl.conn = nil
	}
}

func (sl *slot) renewal() harness.ConnectRequest {
	return harness.ConnectRequest{
		LastZxidSeen: sl.lastZxid, TimeoutMS: 40000, SessionID: sl.session.SessionID, Passwd: sl.session.Passwd,
	}
}

// fresh begins a new session on the slot.
func (r *run) fresh(sl *slot) error {
	*sl = slot{lastZxid: sl.lastZxid, xid: 1}
	if err := r.connect(sl, harness.ConnectRequest{TimeoutMS: 40000, Passwd: make([]byte, 16)}); err != nil {
		return err
	}
	if sl.conn == nil {
		return errors.New("a new session was refused")
	}
	return nil
}

// connect dials, says q and tells the answer. The slot has a connection afterwards if the session lives.
func (r *run) connect(sl *slot, q harness.ConnectRequest) error {
	c, err := harness.Dial(r.srv.Addr)
	if err != nil {
		return err
	}
	reply, err := c.Connect(q)
	if err != nil {
		c.Close()
		if errors.Is(err, harness.ErrClosed) || broken(err) {
			r.tell("connect: closed")
			return nil
		}
		return err
	}
	r.told = append(r.told, r.connected(reply))
	if !reply.Valid() {
		defer c.Close()
		return c.AwaitClose(5 * time.Second)
	}
	sl.conn, sl.session = c, reply
	return nil
}

// takeOver renews the session while its old connection stands, which the server then closes.
func (r *run) takeOver(sl *slot) error {
	old := *sl
	defer old.drop()
	if err := r.connect(sl, sl.renewal()); err != nil {
		return err
	}
	return r.awaitClose(&old)
}

// hello sends a connect request on a connection of its own. A session that comes of it is closed.
func (r *run) hello(payload []byte) error {
	c, err := harness.Dial(r.srv.Addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Write(harness.Bytes(payload).Frame()); err != nil {
		return err
	}
	reply, err := c.ReadConnect()
	if errors.Is(err, harness.ErrClosed) {
		r.tell("connect: closed")
		return nil
	}
	if err != nil {
		return err
	}
	r.told = append(r.told, r.connected(reply))
	if reply.Valid() {
		if _, err := call(c, wire.OpCloseSession, nil); err != nil {
			return err
		}
	}
	return c.AwaitClose(5 * time.Second)
}

// end tells the events still under way, the whole tree, and closes the sessions, so that none expires
// into a later stream.
func (r *run) end() (transcript, error) {
	var all transcript
	for i := range r.slots {
		r.told = nil
		if sl := &r.slots[i]; sl.conn != nil {
			if err := r.ask(sl, []req{{op: wire.OpPing}}, nil); err != nil {
				return all, err
			}
		}
		all = append(all, r.told)
	}
	for _, top := range []string{r.root, "/zookeeper/quota" + r.root} {
		tree, err := r.dump(top)
		if err != nil {
			return all, err
		}
		all = append(all, tree)
	}
	counts, err := r.grown()
	if err != nil {
		return all, err
	}
	all = append(all, counts)
	for i := range r.slots {
		r.told = nil
		if err := r.step(step{slot: i, action: closeSess}); err != nil {
			return all, err
		}
		all = append(all, r.told)
	}
	if _, err := call(r.admin, wire.OpCloseSession, nil); err != nil {
		return all, err
	}
	return all, r.admin.AwaitClose(5 * time.Second)
}

// counts returns what the server says of itself that must be the same in any server.
func (r *run) counts() (map[string]int, error) {
	text, err := harness.Word(r.srv.Addr, "mntr")
	if err != nil {
		return nil, err
	}
	all := make(map[string]int)
	for _, line := range strings.Split(text, "\n") {
		key, value, _ := strings.Cut(line, "\t")
		switch key {
		case "zk_znode_count", "zk_ephemerals_count", "zk_approximate_data_size":
			if all[key], err = strconv.Atoi(value); err != nil {
				return nil, fmt.Errorf("mntr: %s: %w", key, err)
			}
		}
	}
	return all, nil
}

// grown tells by how much the counts have grown since the stream began: what earlier streams left must
// not be taken for this one's.
func (r *run) grown() ([]string, error) {
	now, err := r.counts()
	var lines []string
	for key, n := range now {
		if key == "zk_approximate_data_size" && r.quotas {
			continue // see differences, data-size
		}
		lines = append(lines, fmt.Sprintf("%s %+d", key, n-r.before[key]))
	}
	return sorted(lines), err
}

// dump returns all that is below and at path, as the super user sees it.
func (r *run) dump(path string) ([]string, error) {
	body := harness.Bytes(nil).Str(path)
	var lines []string
	for _, op := range []wire.Op{wire.OpGetData, wire.OpGetACL, wire.OpGetChildren} {
		b := append(harness.Bytes(nil), body...)
		if op != wire.OpGetACL {
			b = b.Bool(false)
		}
		reply, err := call(r.admin, op, b)
		if err != nil && op == wire.OpGetData && reply.Err == int32(wire.NoNode) {
			return []string{path + " is missing"}, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		lines = append(lines, path+" "+r.reply(op, reply))
		if op != wire.OpGetChildren {
			continue
		}
		for _, name := range sorted(harness.FieldsOf(reply.Body).Strs()) {
			below, err := r.dump(path + "/" + name)
			if err != nil {
				return nil, err
			}
			lines = append(lines, below...)
		}
	}
	return lines, nil
}
