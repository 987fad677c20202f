package server

import (
	"sync"

	"paddock/net"
	"paddock/session"
	"paddock/wire"
)

// connect takes the first frame of a connection: a ConnectRequest. The order of its checks is that of
// client-protocol.md 2.2; where they say so, the connection is closed without an answer.
func (l *loop) connect(c *znet.Conn, k *client, frame []byte) {
	var q wire.ConnectRequest
	r := wire.NewReader(frame)
	k.term = l.s.term.Load() // before the look at serving: a role that ends now leaves an old term here
	if q.Decode(&r) != nil || !l.s.serving.Load() {
		c.Cut()
		return
	}
	if q.LastZxidSeen > l.s.tree.Load().Applied() {
		l.s.log.Debug("client has seen a later zxid than ours", "addr", c.Remote(), "zxid", q.LastZxidSeen)
		c.Cut() // it has to find a server that knows as much as it does
		return
	}
	k.readOnly = q.HasReadOnly
	l.counters.connects++
	timeout := session.NegotiateTimeout(q.TimeOut, l.s.cfg.MinSessionMS, l.s.cfg.MaxSessionMS)
	if q.SessionID == 0 {
		l.newSession(c, k, timeout)
		return
	}
	l.renew(c, k, &q, timeout)
}

// newSession asks for a session. The response is sent when it is committed; frames wait until then.
func (l *loop) newSession(c *znet.Conn, k *client, timeout int32) {
	if l.s.full.Load() {
		c.Cut()
		return
	}
	c.Pause()
	c.Handshaken()
	sess := l.s.table.Add(l.s.nextSessionID(), timeout, l.s.clock.sessionMS())
	sess.SetOwner(uint64(c.ID()))
	l.submit(c, k, entry{kind: kindWrite, op: wire.OpCreateSession, sess: sess}, nil)
}

// renew gives a client its session back. The password is checked before anybody is disturbed: knowing
// an id does not let one disconnect its owner, as it does with Apache's server.
func (l *loop) renew(c *znet.Conn, k *client, q *wire.ConnectRequest, timeout int32) {
	if !session.CheckPassword(q.SessionID, q.Passwd) {
		l.unknownSession(c, k)
		return
	}
	if epoch, learns := l.s.leaderElsewhere(); learns {
		l.revalidate(c, epoch, q.SessionID, timeout)
		return
	}
	l.renewHere(c, k, q.SessionID, timeout)
}

// renewHere is renew where this server keeps the sessions.
func (l *loop) renewHere(c *znet.Conn, k *client, id int64, timeout int32) {
	sess := l.s.table.Lookup(id)
	if sess == nil || !sess.Renew(timeout, l.s.clock.sessionMS()) {
		l.unknownSession(c, k)
		return
	}
	l.take(c, k, sess, timeout)
}

// take gives a session to this connection.
func (l *loop) take(c *znet.Conn, k *client, sess *session.Session, timeout int32) {
	if old := connOf(sess.SwapOwner(uint64(c.ID()))); old != znet.NoConn {
		l.s.disconnect(l, old)
	}
	c.Handshaken()
	l.welcome(c, k, sess, timeout)
}

// revalidate asks the leader whether the session lives. Frames wait until it answers.
func (l *loop) revalidate(c *znet.Conn, epoch uint32, id int64, timeout int32) {
	c.Pause()
	c.Handshaken()
	l.s.member.measures.count(&l.s.member.measures.renewed)
	l.s.renewals.add(id, renewal{l: l, conn: c.ID(), timeout: timeout})
	if !l.s.agree.Revalidate(epoch, wire.RevalidateRequest{SessionID: id, TimeOut: timeout}) {
		c.Cut()
	}
}

// revalidated is the leader's answer, back on the loop. A session that the leader knows and we do not yet is
// on its way to us.
func (l *loop) revalidated(id int64, r renewal, valid bool) {
	c := l.nl.Conn(r.conn)
	if c == nil {
		return
	}
	k := c.State.(*client)
	switch {
	case k.term != l.s.term.Load():
		c.Cut()
	case !valid:
		l.unknownSession(c, k)
	default:
		sess := l.s.table.Lookup(id)
		if sess == nil {
			sess = l.s.table.Add(id, r.timeout, l.s.clock.sessionMS())
		}
		if !sess.Renew(r.timeout, l.s.clock.sessionMS()) {
			l.unknownSession(c, k)
			return
		}
		l.take(c, k, sess, r.timeout)
	}
}

// renewal is a connection that waits for the leader's word on its session.
type renewal struct {
	l       *loop
	conn    znet.ID
	timeout int32
}

// renewals keeps them by session; for each the answers come in the order of the questions.
type renewals struct {
	mu  sync.Mutex
	all map[int64][]renewal
}

func (r *renewals) add(id int64, one renewal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[int64][]renewal{}
	}
	r.all[id] = append(r.all[id], one)
}

func (r *renewals) take(id int64) (one renewal, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	waiting := r.all[id]
	if len(waiting) == 0 {
		return one, false
	}
	if len(waiting) == 1 {
		delete(r.all, id)
	} else {
		r.all[id] = waiting[1:]
	}
	return waiting[0], true
}

func (r *renewals) clear() {
	r.mu.Lock()
	r.all = nil
	r.mu.Unlock()
}

// Owners of a session with this bit are links to the servers that forward its requests; others are connections.
const ownerLink = 1 << 63

// connOf returns the connection that an owner is, if it is one.
func connOf(owner uint64) znet.ID {
	if owner&ownerLink != 0 {
		return znet.NoConn
	}
	return znet.ID(owner)
}

// welcome sends the ConnectResponse and opens the gate.
func (l *loop) welcome(c *znet.Conn, k *client, sess *session.Session, timeout int32) {
	k.sess = sess
	k.stats.established(l.s.clock.wallMS())
	passwd := session.Password(sess.ID)
	resp := wire.ConnectResponse{TimeOut: timeout, SessionID: sess.ID, Passwd: passwd[:], HasReadOnly: k.readOnly}
	l.sendConnectResponse(c, k, &resp)
	c.Resume()
}

// unknownSession answers expired, closed, unknown and wrongly claimed sessions all alike.
func (l *loop) unknownSession(c *znet.Conn, k *client) {
	var none [16]byte
	resp := wire.ConnectResponse{Passwd: none[:], HasReadOnly: k.readOnly}
	l.sendConnectResponse(c, k, &resp)
	c.Finish()
}

func (l *loop) sendConnectResponse(c *znet.Conn, k *client, resp *wire.ConnectResponse) {
	out, mark := wire.BeginFrame(c.Out())
	out = wire.EndFrame(resp.Append(out), mark)
	c.SetOut(out)
	k.stats.sent++
	l.counters.sent++
}
