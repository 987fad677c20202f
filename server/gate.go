package server

import (
	"bytes"

	"paddock/auth"
	"paddock/net"
	"paddock/session"
	"paddock/tree"
	"paddock/watch"
	"paddock/wire"
)

// loop is the brain of one event loop: the first stage of a request's way. It runs on that loop's
// goroutine, and nothing in it is shared but where it says so.
//
//	frame ─▶ gate ─▶ read: answered here (readHere)
//	              ─▶ write: into the batch of this turn (submit), to the sequencer
//	              ─▶ behind an unanswered write of its session: rides through the same pipeline
//
// What comes back from apply comes through the ring: deliver.go.
type loop struct {
	s       *Server
	nl      *znet.Loop
	ring    *ring
	watches *watch.Table
	read    reader
	arm     armer

	out      *batch // gathered in this turn; nil when empty
	stalled  []*znet.Conn
	scratch  []byte
	told     []uint32
	inbox    inbox
	counters counters
}

// client is what a loop knows of a connection.
type client struct {
	sess       *session.Session // nil until the handshake is done
	ids        *auth.Identities
	unanswered int    // requests in the pipeline: while there are any, what follows rides
	readOnly   bool   // the ConnectRequest had the byte: the response has it too
	stalled    bool   // paused because the pipeline is full
	syncing    bool   // paused until the ensemble has answered a sync
	closing    bool   // a closeSession is on its way: what follows is dropped
	term       uint64 // of the server's role when it came
	stats      clientStats
}

// Open greets a connection.
func (l *loop) Open(c *znet.Conn) {
	c.State = &client{ids: l.s.rules.Connect(c.Remote().Addr())}
}

// Closed forgets a connection: its watches die with it, its session does not.
func (l *loop) Closed(c *znet.Conn) {
	k := c.State.(*client)
	l.watches.RemoveConn(c.ID().Slot())
	if k.sess != nil {
		k.sess.Disown(uint64(c.ID()))
	}
}

// Heard takes bytes that wait behind a sync, or for a client that reads slowly, for a sign of life: a session
// must not end because we do not look at its pings.
func (l *loop) Heard(c *znet.Conn) {
	if k := c.State.(*client); k.sess != nil && !k.sess.Closing() {
		k.sess.Touch(l.s.clock.sessionMS())
	}
}

// Frame is the gate: it decides which way a request goes. The order of its checks is that of
// client-protocol.md 3.6, C1 to C7.
func (l *loop) Frame(c *znet.Conn, frame []byte) {
	k := c.State.(*client)
	k.stats.received++
	l.counters.received++
	l.counters.bytes += int64(len(frame)) + 4
	if k.sess == nil {
		l.connect(c, k, frame)
		return
	}
	if k.term != l.s.term.Load() {
		c.Cut() // what it asked before may be lost: nothing may follow that
		return
	}
	if len(frame) < 8 {
		c.Cut()
		return
	}
	r := wire.NewReader(frame)
	xid, op := r.Int(), wire.Op(r.Int())
	body := frame[8:]
	switch op {
	case wire.OpAuth:
		l.authenticate(c, k, xid, body)
		return
	case wire.OpSASL:
		l.sasl(c, k, xid, body)
		return
	}
	if !l.s.rules.Admitted(k.ids) {
		l.refuse(c, k, op, replyXid(op, xid), 0, wire.SessionClosedRequireSaslAuth)
		return
	}
	if k.closing {
		return
	}
	if k.sess.Closing() { // ended, and not through this connection: nothing will be answered
		c.Cut()
		return
	}
	k.sess.Touch(l.s.clock.sessionMS())
	k.stats.note(xid, op)
	l.route(c, k, op, replyXid(op, xid), body)
}

// replyXid is the xid of the reply: a ping is answered with its own, whatever the client sent.
func replyXid(op wire.Op, xid int32) int32 {
	if op == wire.OpPing {
		return -2
	}
	return xid
}

// route sends a request its way: the one table of operations.
func (l *loop) route(c *znet.Conn, k *client, op wire.Op, xid int32, body []byte) {
	switch op {
	case wire.OpExists, wire.OpGetData, wire.OpGetChildren, wire.OpGetChildren2, wire.OpGetACL:
		if k.unanswered == 0 {
			l.readHere(c, k, op, xid, body)
			return
		}
		l.rideRead(c, k, op, xid, body)
	case wire.OpGetAllChildrenNumber, wire.OpGetEphemerals, wire.OpMultiRead:
		// They look at many nodes: apply answers them, where the state stands still.
		l.submit(c, k, entry{kind: kindRead, op: op, xid: xid}, body)
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL, wire.OpDelete,
		wire.OpSetData, wire.OpSetACL, wire.OpMulti, wire.OpReconfig:
		l.submit(c, k, entry{kind: kindWrite, op: op, xid: xid}, body)
	case wire.OpAddWatch:
		l.addWatchInTurn(c, k, xid, body)
	case wire.OpPing, wire.OpRemoveWatches, wire.OpCheckWatches, wire.OpSync:
		if op == wire.OpSync && l.s.agree != nil {
			l.syncWithAll(c, k, xid, body)
			return
		}
		if k.unanswered == 0 {
			zxid := l.s.tree.Load().Applied()
			l.drain(zxid)
			l.answerHere(c, k, op, xid, zxid, body)
			return
		}
		l.submit(c, k, entry{kind: kindBack, op: op, xid: xid}, body)
	case wire.OpSetWatches, wire.OpSetWatches2:
		var q setWatches
		if k.unanswered == 0 && !(q.decode(op, body) && q.lists[listRecursive].Len() > 0) {
			l.setWatchesHere(c, k, op, xid, body)
			return
		}
		l.rideSetWatches(c, k, op, xid, body)
	case wire.OpWhoAmI:
		l.whoAmI(c, k, xid)
	case wire.OpCloseSession:
		k.closing = true
		c.Pause()
		l.submit(c, k, entry{kind: kindWrite, op: op, xid: xid, flags: flagClose}, nil)
	default:
		// Also the operations that are meant for servers only: createSession, deleteContainer, a
		// check outside a multi.
		l.refuse(c, k, op, xid, -1, wire.Unimplemented)
	}
}

// syncWithAll asks the ensemble. What the client sends meanwhile waits: it has asked to see what there is.
func (l *loop) syncWithAll(c *znet.Conn, k *client, xid int32, body []byte) {
	k.syncing = true
	c.Pause()
	l.submit(c, k, entry{kind: kindSync, op: wire.OpSync, xid: xid}, body)
}

// submit adds a request to this turn's batch. The session's requests from now on ride behind it.
func (l *loop) submit(c *znet.Conn, k *client, e entry, body []byte) {
	if l.out != nil && l.out.term != k.term {
		l.handOver()
	}
	if l.out == nil {
		l.out = newBatch(l.s.clock.serverMS(), k.term)
	}
	e.conn, e.ids = c.ID(), k.ids
	if k.sess != nil {
		e.sess = k.sess
	}
	l.out.add(e, body)
	k.unanswered++
	if len(l.out.bytes.B) > maxBatchBytes {
		l.handOver()
	}
	if l.s.pipe.isFull.Load() && !k.stalled {
		k.stalled = true
		c.Pause()
		l.stalled = append(l.stalled, c)
	}
}

// maxBatchBytes is when a batch is handed over before its turn ends.
const maxBatchBytes = 1 << 20

// EndTurn hands over what the turn gathered.
func (l *loop) EndTurn() { l.handOver() }

func (l *loop) handOver() {
	if l.out != nil {
		b := l.out
		l.out = nil
		l.s.pipe.put(b)
	}
}

// armer sets the filter's bit while a read holds the shard's lock; the watch itself is entered when
// the events up to the read's zxid are delivered.
type armer struct {
	watches *watch.Table
	hash    uint64
	armed   bool
}

// Arm implements tree.Arm.
func (a *armer) Arm(hash uint64) {
	a.watches.Reserve(hash)
	a.hash, a.armed = hash, true
}

// readHere answers a read on the spot: under the shard's lock the reply is copied out and the watch's
// bit set; then the events up to that zxid are delivered; then the watch is armed and the reply placed.
func (l *loop) readHere(c *znet.Conn, k *client, op wire.Op, xid int32, body []byte) {
	out := c.Out()
	mark := len(out)
	l.arm.armed = false
	out, zxid, code := l.read.answer(beginReply(out, xid), op, body, k.ids, &l.arm)
	out = endReply(out, mark, zxid, code)
	bytes := len(out) - mark
	if l.ringReaches(zxid) {
		// Events come first: take the reply back out, deliver, and put it behind them.
		l.scratch = append(l.scratch[:0], out[mark:]...)
		armed, hash := l.arm.armed, l.arm.hash
		c.SetOut(out[:mark])
		reply := l.scratch
		l.scratch = nil
		l.drain(zxid)
		c.Send(reply)
		l.scratch = reply
		l.arm.armed, l.arm.hash = armed, hash
	} else {
		c.SetOut(out)
	}
	if l.arm.armed {
		l.armFor(c, op, pathOf(body), l.arm.hash)
		l.watches.Unreserve(l.arm.hash)
	}
	l.answered(k, op, zxid, 0, bytes)
}

// pathOf returns the path of a request that begins with one.
func pathOf(body []byte) []byte {
	r := wire.NewReader(body)
	return r.String()
}

// armFor enters the watch that a read asked for.
func (l *loop) armFor(c *znet.Conn, op wire.Op, path []byte, hash uint64) {
	if c.Closed() {
		return
	}
	kind := watch.Data
	if op == wire.OpGetChildren || op == wire.OpGetChildren2 {
		kind = watch.Child
	}
	l.watches.Arm(path, hash, c.ID().Slot(), kind, watch.Standard)
}

// rideRead sends a read behind the session's writes. If it wants a watch, the filter's bit is set
// before it leaves, so that no event between its answer and our arming is missed.
func (l *loop) rideRead(c *znet.Conn, k *client, op wire.Op, xid int32, body []byte) {
	e := entry{kind: kindRead, op: op, xid: xid}
	r := wire.NewReader(body)
	path := r.String()
	if op != wire.OpGetACL && r.Bool() && r.Err() == nil && path != nil {
		e.flags = flagWatch
		l.watches.Reserve(tree.Hash(path))
	}
	l.submit(c, k, e, body)
}

// answerHere answers what touches only the connection, stamped zxid; events up to it were delivered.
func (l *loop) answerHere(c *znet.Conn, k *client, op wire.Op, xid int32, zxid wire.Zxid, body []byte) {
	code := wire.OK
	out := c.Out()
	mark := len(out)
	out = beginReply(out, xid)
	slot := c.ID().Slot()
	switch op {
	case wire.OpSync:
		in := wire.NewReader(body)
		path := in.String()
		if in.Err() != nil {
			code = wire.MarshallingError
			break
		}
		out = appendEcho(out, path)
	case wire.OpAddWatch:
		if code = l.addWatch(slot, body); code == wire.OK {
			out = wire.AppendInt(out, 0)
		}
	case wire.OpRemoveWatches, wire.OpCheckWatches:
		code = l.checkOrRemove(slot, op, body)
	}
	out = endReply(out, mark, zxid, code)
	c.SetOut(out)
	l.answered(k, op, zxid, 0, len(out)-mark)
}

// appendEcho appends a path as Java would write back what it read; null stays null.
func appendEcho(dst, path []byte) []byte {
	if path == nil {
		return wire.AppendString(dst, nil)
	}
	at := len(dst)
	dst = wire.AppendJavaString(wire.AppendInt(dst, 0), path)
	wire.AppendInt(dst[:at], int32(len(dst)-at-4))
	return dst
}

// addWatch enters a persistent watch. The reservation of its bit ends here.
func (l *loop) addWatch(slot uint32, body []byte) wire.Code {
	path, list, ok := addedWatch(body)
	if !ok {
		return wire.MarshallingError
	}
	if path != nil { // null is accepted and never fired: no node has this name
		hash := tree.Hash(path)
		l.armList(list, path, hash, slot)
		l.unreserve(list, hash)
	}
	return wire.OK
}

// addWatchInTurn sets the filter's bit and takes a zxid such that every later event finds the bit. For a
// persistent watch the lock of the path's shard sees to that. A recursive watch hears of nodes in all
// shards: it rides, and takes its place between two transactions.
func (l *loop) addWatchInTurn(c *znet.Conn, k *client, xid int32, body []byte) {
	path, list, ok := addedWatch(body)
	known := ok && path != nil
	if known {
		l.reserve(list, tree.Hash(path))
	}
	if k.unanswered > 0 || known && list == listRecursive {
		l.submit(c, k, entry{kind: kindBack, op: wire.OpAddWatch, xid: xid}, body)
		return
	}
	zxid := l.s.tree.Load().Applied()
	if known {
		zxid = l.s.tree.Load().Peek(path, nil).Applied
	}
	l.drain(zxid)
	l.answerHere(c, k, wire.OpAddWatch, xid, zxid, body)
}

// addedWatch decodes an addWatch: its two modes are the last two lists of setWatches2.
func addedWatch(body []byte) (path []byte, list watchList, ok bool) {
	in := wire.NewReader(body)
	path, mode := in.String(), in.Int()
	return path, listPersistent + watchList(mode), in.Err() == nil && (mode == 0 || mode == 1)
}

// reserve sets the filter's bit for a watch that is on its way, and unreserve takes it back.
func (l *loop) reserve(list watchList, hash uint64) {
	if list == listRecursive {
		l.watches.ReserveRecursive(hash)
		return
	}
	l.watches.Reserve(hash)
}

func (l *loop) unreserve(list watchList, hash uint64) {
	if list == listRecursive {
		l.watches.UnreserveRecursive(hash)
		return
	}
	l.watches.Unreserve(hash)
}

func (l *loop) checkOrRemove(slot uint32, op wire.Op, body []byte) wire.Code {
	in := wire.NewReader(body)
	path, typ := in.String(), in.Int()
	if in.Err() != nil || !watch.KnownType(typ) {
		return wire.MarshallingError
	}
	found := false
	if op == wire.OpCheckWatches {
		found = l.watches.Check(slot, path, tree.Hash(path), typ)
	} else {
		found = l.watches.Remove(slot, path, tree.Hash(path), typ)
	}
	if !found {
		return wire.NoWatcher
	}
	return wire.OK
}

// setWatchesHere judges path by path; before each is armed, the events up to that look are delivered.
func (l *loop) setWatchesHere(c *znet.Conn, k *client, op wire.Op, xid int32, body []byte) {
	var q setWatches
	zxid := l.s.tree.Load().Applied()
	if !q.decode(op, body) {
		l.drain(zxid)
		c.Send(appendReply(nil, xid, zxid, wire.MarshallingError))
		return
	}
	q.each(func(list watchList, path []byte) {
		hash := tree.Hash(path)
		l.reserve(list, hash)
		v, at := l.read.judge(list, path, q.since)
		l.drain(at)
		zxid = max(zxid, at)
		l.settle(c, list, path, hash, v)
		l.unreserve(list, hash)
	})
	l.drain(zxid)
	c.SetOut(appendReply(c.Out(), xid, zxid, wire.OK))
	l.answered(k, op, zxid, 0, replyHeaderBytes)
}

// settle does what the verdict says with one path of a setWatches.
func (l *loop) settle(c *znet.Conn, list watchList, path []byte, hash uint64, v verdict) {
	if c.Closed() {
		return
	}
	slot := c.ID().Slot()
	if v != verdictArm {
		// The path is the client's own spelling, which Java reads and writes again.
		l.scratch = wire.AppendJavaString(l.scratch[:0], path)
		c.SetOut(appendNotification(c.Out(), wire.EventType(v), l.scratch, -1))
		return
	}
	l.armList(list, path, hash, slot)
}

// armList enters a watch of the kind that the list of setWatches2 stands for.
func (l *loop) armList(list watchList, path []byte, hash uint64, slot uint32) {
	switch list {
	case listData, listExist:
		l.watches.Arm(path, hash, slot, watch.Data, watch.Standard)
	case listChild:
		l.watches.Arm(path, hash, slot, watch.Child, watch.Standard)
	case listPersistent:
		l.watches.Arm(path, hash, slot, watch.Data, watch.Persistent)
		l.watches.Arm(path, hash, slot, watch.Child, watch.Persistent)
	case listRecursive:
		l.watches.Arm(path, hash, slot, watch.Data, watch.Recursive)
	}
}

func (l *loop) rideSetWatches(c *znet.Conn, k *client, op wire.Op, xid int32, body []byte) {
	var q setWatches
	if q.decode(op, body) {
		q.each(func(list watchList, path []byte) { l.reserve(list, tree.Hash(path)) })
	}
	l.submit(c, k, entry{kind: kindRead, op: op, xid: xid}, body)
}

// whoAmI is answered with the identities of this moment, whenever the reply leaves.
func (l *loop) whoAmI(c *znet.Conn, k *client, xid int32) {
	zxid := l.s.tree.Load().Applied()
	out := l.s.rules.AppendWhoAmI(beginReply(l.scratch[:0], xid), k.ids)
	l.scratch = endReply(out, 0, zxid, wire.OK)
	if k.unanswered > 0 {
		l.submit(c, k, entry{kind: kindReady, op: wire.OpWhoAmI, xid: xid, flags: flagStamp}, l.scratch)
		return
	}
	reply := l.scratch
	l.scratch = nil
	l.drain(zxid)
	l.scratch = reply
	c.Send(reply)
	l.answered(k, wire.OpWhoAmI, zxid, 0, len(reply))
}

// authenticate adds an identity. It takes effect with the next request that is read; its reply keeps
// its place among the others (kazoo pairs it with the oldest request it waits for).
func (l *loop) authenticate(c *znet.Conn, k *client, xid int32, body []byte) {
	in := wire.NewReader(body)
	in.Int()
	scheme, data := in.String(), in.Buffer()
	if in.Err() != nil {
		c.Cut()
		return
	}
	ids, code := l.s.rules.Authenticate(k.ids, scheme, data)
	if code != wire.OK {
		l.counters.authFailed++
		l.refuse(c, k, wire.OpAuth, xid, 0, code)
		return
	}
	k.ids = ids
	l.inTurn(c, k, wire.OpAuth, appendReply(l.scratch[:0], xid, 0, wire.OK), 0)
}

// sasl answers as a server on which SASL is not set up: no error, no token, and the client goes on
// without. A null token ends the connection.
func (l *loop) sasl(c *znet.Conn, k *client, xid int32, body []byte) {
	in := wire.NewReader(body)
	if token := in.Buffer(); token == nil {
		c.Cut()
		return
	}
	out := wire.AppendBuffer(beginReply(l.scratch[:0], xid), nil)
	l.inTurn(c, k, wire.OpSASL, endReply(out, 0, 0, wire.OK), 0)
}

// refuse answers with an error and finishes the connection; the session lives on.
func (l *loop) refuse(c *znet.Conn, k *client, op wire.Op, xid int32, zxid wire.Zxid, code wire.Code) {
	c.Pause()
	k.closing = true
	l.inTurn(c, k, op, appendReply(l.scratch[:0], xid, zxid, code), flagClose)
}

// inTurn sends a reply that is ready after those of the requests before it. reply is l.scratch.
func (l *loop) inTurn(c *znet.Conn, k *client, op wire.Op, reply []byte, flags uint8) {
	l.scratch = reply
	if k.unanswered > 0 {
		l.submit(c, k, entry{kind: kindReady, op: op, flags: flags}, reply)
		return
	}
	c.Send(reply)
	k.stats.sent++
	l.counters.sent++
	if flags&flagClose != 0 {
		c.Finish()
	}
}

// Word gives a four-letter word to whoever answers them, off the loop.
func (l *loop) Word(c *znet.Conn, w [4]byte, rest []byte) {
	k := c.State.(*client)
	k.stats.received++ // a word counts as a packet each way, as in ZooKeeper
	l.counters.received++
	if !l.s.words.ask(l, c.ID(), w, bytes.Clone(rest)) {
		c.Cut() // too many at once
	}
}
