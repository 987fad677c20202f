package server

import (
	"paddock/net"
	"paddock/session"
	"paddock/wire"
)

// connect takes the first frame of a connection: a ConnectRequest. The order of its checks is that of
// client-protocol.md 2.2; where they say so, the connection is closed without an answer.
func (l *loop) connect(c *znet.Conn, k *client, frame []byte) {
	var q wire.ConnectRequest
	r := wire.NewReader(frame)
	if q.Decode(&r) != nil || !l.s.serving.Load() {
		c.Cut()
		return
	}
	if q.LastZxidSeen > l.s.tree.Applied() {
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
	sess := l.s.table.Lookup(q.SessionID)
	if !session.CheckPassword(q.SessionID, q.Passwd) || sess == nil || !sess.Renew(timeout, l.s.clock.sessionMS()) {
		l.unknownSession(c, k)
		return
	}
	if old := znet.ID(sess.SwapOwner(uint64(c.ID()))); old != znet.NoConn {
		l.s.disconnect(l, old)
	}
	c.Handshaken()
	l.welcome(c, k, sess, timeout)
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
