package sim

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"paddock/session"
	"paddock/wire"
)

// client is a seeded client of the raw protocol. It follows the rules that real ones follow: it comes
// back with the zxid it has seen and its password, registers its watches again, pings at a third of its
// timeout, gives a silent server up after two thirds, and never uses an expired session again. It ends
// the run when an answer is not one that the protocol allows.
type client struct {
	w      *world
	number int

	session *sessionRecord // nil: it needs a new one
	link    *link
	ready   bool // the handshake is done
	in      []byte
	xid     int32
	seen    wire.Zxid
	waits   []*call // unanswered, oldest first
	heard   int64
	spoke   int64
	away    int64 // it is not there until then
	closing bool
	values  int // written so far: each is written once
	wanted  int32

	// What it watches, for the next connection.
	watches [5]map[string]bool // data, exist, child, persistent, recursive
}

func newClient(w *world, number int) *client {
	c := &client{w: w, number: number}
	c.forgetWatches()
	c.wanted = int32(w.dice.between(int(w.plan.minTimeoutMS), int(w.plan.maxTimeoutMS)))
	w.after(w.dice.around(100*ms), "client", c.act)
	w.after(w.dice.around(100*ms), "heart", c.beat)
	return c
}

func (c *client) forgetWatches() {
	for i := range c.watches {
		c.watches[i] = map[string]bool{}
	}
}

// act is what a client does when it has thought long enough.
func (c *client) act() {
	w := c.w
	switch {
	case c.away > w.now, w.phase == phaseEnd:
	case c.link == nil:
		c.dial()
	case c.ready && !c.closing:
		for c.want() {
			c.ask(c.draw())
			if w.dice.chance(0.3) {
				break
			}
		}
	}
	think := w.plan.think
	if c.link == nil {
		think = min(think, 200*ms)
	}
	w.after(w.dice.around(think), "client", c.act)
}

// want says whether it has a question: not too many at once, and in the first phase only.
func (c *client) want() bool {
	return c.w.phase == phaseFaults && len(c.waits) < c.w.plan.pipe && len(c.w.history.calls) < c.w.plan.calls && !c.closing
}

// beat is its clock: it pings, and gives up a server that is silent.
func (c *client) beat() {
	w := c.w
	timeout := int64(c.wanted) * ms
	if c.session != nil && c.session.timeoutMS > 0 {
		timeout = c.session.timeoutMS * ms
	}
	w.after(timeout/10+w.dice.around(ms), "heart", c.beat)
	if c.link == nil || c.away > w.now {
		return
	}
	if w.now-c.heard > timeout*2/3 && (len(c.waits) > 0 || !c.ready) {
		c.drop("the server is silent", false)
		return
	}
	if c.ready && !c.closing && w.now-c.spoke > timeout/3 {
		c.ask(&request{op: wire.OpPing})
	}
}

func (c *client) dial() {
	w := c.w
	h := w.someHost()
	if h.srv == nil || h.pausedUntil > w.now {
		return
	}
	if c.session == nil {
		c.session = &sessionRecord{client: c.number}
		w.history.sessions = append(w.history.sessions, c.session)
		c.xid = 0
		c.forgetWatches()
	}
	r := &connRecord{number: len(w.history.conns), session: c.session, host: h}
	w.history.conns = append(w.history.conns, r)
	c.session.conns = append(c.session.conns, r)
	l := &link{w: w, h: h, client: c, record: r, life: h.life}
	if w.dice.chance(w.plan.slowReader) && w.phase == phaseFaults {
		l.slow = int64(w.dice.log(float64(ms), float64(second)))
	}
	c.link, c.ready, c.in, c.heard, c.spoke, c.closing = l, false, nil, w.now, w.now, false
	loop := w.dice.IntN(w.plan.loops)
	l.conn = h.srv.Open(loop, l, addrOf(c.number))
	if l.conn == nil {
		w.fail("connection %d was refused", r.number)
		return
	}
	h.note("client %d: connection %d to loop %d, session %#x, seen %v", c.number, r.number, loop, uint64(c.session.id), c.seen)
	c.greet(l)
}

func (c *client) greet(l *link) {
	passwd := session.Password(c.session.id)
	q := wire.ConnectRequest{LastZxidSeen: c.seen, TimeOut: c.wanted, SessionID: c.session.id, Passwd: passwd[:], HasReadOnly: c.w.dice.chance(0.8)}
	if c.session.id == 0 {
		q.Passwd = make([]byte, 16)
	} else if c.w.dice.chance(0.02) {
		q.Passwd = []byte("0123456789abcdef") // it is told that the session has expired, and nobody is disturbed
		c.session = &sessionRecord{client: c.number}
		c.w.history.sessions = append(c.w.history.sessions, c.session)
		l.record.session = c.session
		c.forgetWatches()
	}
	out, mark := wire.BeginFrame(nil)
	out = wire.EndFrame(q.Append(out), mark)
	l.hello = len(out)
	l.send(out)
}

// ask sends a request.
func (c *client) ask(q *request) *call {
	w := c.w
	a := &call{request: *q, session: c.session, conn: c.link.record, asked: w.history.next(), seenThen: w.history.seen}
	switch q.op {
	case wire.OpPing:
		a.xid = wire.XidPing
	case wire.OpSetWatches, wire.OpSetWatches2:
		a.xid = wire.XidSetWatches
	default:
		c.xid++
		a.xid = c.xid
	}
	h := wire.RequestHeader{Xid: a.xid, Op: q.op}
	out, mark := wire.BeginFrame(nil)
	out = wire.EndFrame(q.append(h.Append(out)), mark)
	a.end = c.link.sent + len(out)
	c.waits = append(c.waits, a)
	c.link.record.calls = append(c.link.record.calls, a)
	w.history.calls = append(w.history.calls, a)
	w.note("client %d asks xid %d: %v", c.number, a.xid, q)
	c.spoke = w.now
	c.link.send(out)
	c.closing = q.op == wire.OpCloseSession
	return a
}

// receive takes bytes from the server.
func (c *client) receive(l *link, b []byte) {
	if c.link != l {
		return
	}
	c.heard = c.w.now
	c.in = append(c.in, b...)
	for len(c.in) >= 4 && c.link == l {
		n := int(binary.BigEndian.Uint32(c.in))
		if len(c.in) < 4+n {
			return
		}
		frame := c.in[4 : 4+n]
		c.in = c.in[4+n:]
		if !c.ready {
			c.connected(frame)
		} else if err := c.message(l, frame); err != nil {
			c.w.fail("connection %d: %v", l.record.number, err)
			return
		}
	}
}

func (c *client) connected(frame []byte) {
	w := c.w
	var p wire.ConnectResponse
	r := wire.NewReader(frame)
	if p.Decode(&r) != nil {
		w.fail("a ConnectResponse that does not decode: %x", frame)
		return
	}
	if p.SessionID == 0 {
		w.note("client %d: session %#x has expired", c.number, uint64(c.session.id))
		w.marks["told expired"]++
		c.session.expired = true
		c.drop("expired", false)
		c.session = nil
		return
	}
	s := c.session
	if s.id != 0 && s.id != p.SessionID {
		w.fail("session %#x came back as %#x", uint64(s.id), uint64(p.SessionID))
		return
	}
	if s.id != 0 {
		w.marks["session taken up again"]++
	}
	s.id, s.timeoutMS = p.SessionID, int64(p.TimeOut)
	c.ready = true
	w.note("client %d: session %#x, timeout %d", c.number, uint64(s.id), p.TimeOut)
	c.watchAgain()
}

// watchAgain registers the watches of the last connection with this one.
func (c *client) watchAgain() {
	q := &request{op: wire.OpSetWatches, since: c.seen}
	any := false
	for i, paths := range c.watches {
		q.lists[i] = slices.Sorted(maps.Keys(paths))
		any = any || len(paths) > 0
		if i >= 3 && len(paths) > 0 {
			q.op = wire.OpSetWatches2
		}
	}
	if any {
		c.ask(q)
		for i := range 3 { // one-shot: registered or told, by its reply
			clear(c.watches[i])
		}
	}
}

// message takes a reply or an event.
func (c *client) message(l *link, frame []byte) error {
	w := c.w
	r := wire.NewReader(frame)
	var h wire.ReplyHeader
	h.Decode(&r)
	if r.Err() != nil {
		return fmt.Errorf("a reply of %d bytes", len(frame))
	}
	if h.Xid == wire.XidNotification {
		var e wire.WatcherEvent
		if e.Decode(&r) != nil || e.State != wire.StateSyncConnected || r.Len() != 0 {
			return fmt.Errorf("an event that does not decode: %x", frame)
		}
		ev := change{zxid: h.Zxid, typ: e.Type, path: string(e.Path)}
		l.record.items = append(l.record.items, item{event: ev})
		w.note("client %d is told %v", c.number, ev)
		w.marks["event"]++
		c.told(ev)
		return nil
	}
	if len(c.waits) == 0 || c.waits[0].xid != h.Xid {
		return fmt.Errorf("S1: reply to xid %d; the oldest unanswered is %v", h.Xid, first(c.waits))
	}
	a := c.waits[0]
	c.waits = c.waits[1:]
	res, err := decodeResult(&a.request, h.Err, r.Rest())
	if err != nil {
		return fmt.Errorf("%v: %w", a, err)
	}
	a.answered, a.zxid, a.result = true, h.Zxid, res
	if a.op != wire.OpPing {
		c.seen = max(c.seen, h.Zxid)
	}
	w.history.seen = max(w.history.seen, h.Zxid)
	w.history.next()
	l.record.items = append(l.record.items, item{call: a})
	w.note("client %d is answered xid %d: %v at %v", c.number, h.Xid, &res, h.Zxid)
	c.registered(a)
	if a.op == wire.OpCloseSession && h.Err == wire.OK {
		c.drop("closed", false)
		c.session = nil
	}
	return nil
}

func first(calls []*call) any {
	if len(calls) == 0 {
		return "none"
	}
	return calls[0]
}

// registered notes what a reply says about watches.
func (c *client) registered(a *call) {
	switch {
	case a.op == wire.OpSetWatches || a.op == wire.OpSetWatches2:
		for i, paths := range a.lists {
			for _, p := range paths {
				c.watches[i][p] = true
			}
		}
	case a.op == wire.OpAddWatch && a.result.code == wire.OK:
		c.watches[3+a.mode][a.path] = true
	case a.op == wire.OpRemoveWatches && a.result.code == wire.OK:
		for i := range c.watches {
			delete(c.watches[i], a.path) // some too many: it is only told less
		}
	case !a.watch:
	case a.result.code == wire.NoNode && a.op == wire.OpExists:
		c.watches[1][a.path] = true
	case a.result.code != wire.OK:
	case a.op == wire.OpGetChildren || a.op == wire.OpGetChildren2:
		c.watches[2][a.path] = true
	default:
		c.watches[0][a.path] = true
	}
}

// told forgets the one-shot watches that an event spends.
func (c *client) told(e change) {
	if e.typ != wire.EventNodeChildrenChanged {
		delete(c.watches[0], e.path)
		delete(c.watches[1], e.path)
	}
	if e.typ == wire.EventNodeChildrenChanged || e.typ == wire.EventNodeDeleted {
		delete(c.watches[2], e.path)
	}
}

// lost is the end of a connection that came from elsewhere.
func (c *client) lost(l *link, why string) {
	if c.link == l {
		c.drop(why, false)
	}
}

// drop ends the connection; what was unanswered will never be known.
func (c *client) drop(why string, quietly bool) {
	l := c.link
	c.w.note("client %d leaves connection %d: %s", c.number, l.record.number, why)
	if n := len(c.waits); n > 0 {
		c.w.marks["requests whose end nobody knows"] += n
	}
	c.link, c.ready, c.waits, c.in, c.closing = nil, false, nil, nil, false
	l.leave(quietly)
}

// draw thinks of a request.
func (c *client) draw() *request {
	w := c.w
	op := w.plan.ops[w.dice.IntN(len(w.plan.ops))]
	return c.request(op)
}

func (c *client) request(op wire.Op) *request {
	d, w := c.w.dice, c.w
	q := &request{op: op, path: w.path(), version: -1, perms: wire.PermAll}
	if d.chance(0.3) {
		q.version = int32(d.IntN(4))
	}
	if w.plan.perms && d.chance(0.2) {
		q.perms = int32(d.IntN(32))
	}
	switch op {
	case wire.OpCreate, wire.OpCreate2:
		q.flags = int32(d.IntN(4))
		q.data = c.value()
	case wire.OpCreateContainer:
		q.flags = wire.FlagsContainer
		q.data = c.value()
	case wire.OpCreateTTL:
		q.flags, q.ttl = wire.FlagsTTL, int64(d.log(10, 60_000))
		if d.chance(0.3) {
			q.flags = wire.FlagsSequentialTTL
		}
		q.data = c.value()
	case wire.OpSetData:
		q.data = c.value()
	case wire.OpMulti:
		kinds := []wire.Op{wire.OpCreate, wire.OpCreate2, wire.OpDelete, wire.OpSetData, wire.OpCheck, wire.OpSetData}
		for range d.IntN(6) {
			q.parts = append(q.parts, *c.request(kinds[d.IntN(len(kinds))]))
		}
		q.path = ""
	case wire.OpMultiRead:
		for range d.IntN(4) {
			q.parts = append(q.parts, request{op: []wire.Op{wire.OpGetData, wire.OpGetChildren}[d.IntN(2)], path: w.path()})
		}
		q.path = ""
	case wire.OpExists, wire.OpGetData, wire.OpGetChildren, wire.OpGetChildren2:
		q.watch = d.chance(0.4)
	case wire.OpGetEphemerals:
		q.path = "/"
	case wire.OpAddWatch:
		q.mode = int32(d.IntN(2))
	case wire.OpRemoveWatches, wire.OpCheckWatches:
		q.mode = int32(d.between(1, 5))
	}
	return q
}

// value is one that was never written before.
func (c *client) value() []byte {
	if c.w.dice.chance(0.05) {
		return nil
	}
	c.values++
	v := fmt.Appendf(nil, "%d.%d.", c.number, c.values)
	if c.w.dice.chance(0.05) {
		v = append(v, bytes.Repeat([]byte{'x'}, c.w.dice.IntN(3000))...)
	}
	return v
}
