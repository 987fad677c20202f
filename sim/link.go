package sim

import (
	"encoding/binary"
	"errors"
	"net/netip"

	znet "paddock/net"
	"paddock/wire"
)

// link is a connection through a network that keeps the order of bytes and nothing else: it cuts them
// anywhere, is slow, and breaks. It is the znet.Transport of the server's end.
//
//	client ─▶ up ─(latency)─▶ znet.Conn ─▶ Write ─▶ kernel, at most socketBytes ─(latency)─▶ client
//	                                         └──▶ held: what the socket does not take
type link struct {
	w      *world
	h      *host
	conn   *znet.Conn // nil until the server has accepted, and after its end
	client *client    // nil once the client has left
	record *connRecord
	life   int

	up      []byte // on its way to the server
	sent    int    // bytes the client has sent, ever
	taken   int    // bytes the server was given, ever
	hello   int    // where the handshake ends; 0 when the server has it
	pending int    // the first of record.calls that the server does not have whole

	kernel []byte // on its way to the client
	held   []byte
	slow   int64 // mean time between two reads of the client

	clientGone  bool // the client's end is closed
	serverGone  bool // the server's end is closed; the client may still read what is in kernel
	upRunning   bool
	downRunning bool
	greeted     bool // the server has answered the handshake
}

var errGone = errors.New("sim: connection reset")

// Write implements znet.Transport: b has left the server, so everything it says must be durable.
func (l *link) Write(b []byte) (int, error) {
	if l.serverGone || l.life != l.h.life {
		return 0, errGone
	}
	l.w.left(l, b)
	l.held = append(l.held, b...)
	l.flow()
	return len(b), nil
}

// flow moves what the socket takes.
func (l *link) flow() {
	n := min(len(l.held), max(0, l.w.plan.socketBytes-len(l.kernel)))
	if n == 0 {
		return
	}
	l.kernel = append(l.kernel, l.held[:n]...)
	l.held = append(l.held[:0], l.held[n:]...)
	l.runDown()
}

// OutboundBuffered implements znet.Transport.
func (l *link) OutboundBuffered() int { return len(l.held) }

// Close implements znet.Transport.
func (l *link) Close() error {
	l.serverEnds()
	return nil
}

// ShutdownWrite closes the server's half.
func (l *link) ShutdownWrite() error {
	l.serverGone = true
	l.runDown()
	return nil
}

// serverEnds is the server's end closing, or its process dying.
func (l *link) serverEnds() {
	l.serverGone = true
	l.conn = nil
	l.held = nil
	if l.record.endedAt == 0 {
		l.record.endedAt = l.w.history.next()
	}
	l.runDown()
}

// send is the client writing.
func (l *link) send(b []byte) {
	l.up = append(l.up, b...)
	l.sent += len(b)
	l.runUp()
}

func (l *link) runUp() {
	if l.upRunning || len(l.up) == 0 && !l.clientGone {
		return
	}
	l.upRunning = true
	l.w.after(l.w.dice.around(l.w.plan.latency), "up", l.arrive)
}

// arrive hands some of what is on its way to the server.
func (l *link) arrive() {
	w := l.w
	l.upRunning = false
	if l.conn == nil || l.life != l.h.life {
		return
	}
	if l.h.pausedUntil > w.now {
		l.upRunning = true
		w.at(l.h.pausedUntil+w.dice.around(ms), "up", l.arrive)
		return
	}
	if len(l.up) == 0 {
		c := l.conn
		l.conn, l.serverGone = nil, true
		w.note("connection %d: the server sees its end", l.record.number)
		l.record.endedAt = w.history.next()
		l.h.srv.Closed(c)
		return
	}
	n := w.dice.split(len(l.up))
	b := append([]byte(nil), l.up[:n]...)
	l.up = append(l.up[:0], l.up[n:]...)
	l.taken += n
	l.delivered()
	w.note("connection %d: the server takes %d bytes", l.record.number, n)
	l.h.srv.Receive(l.conn, b)
	for i := range b {
		b[i] = 0xee // the buffer is another one's after the turn
	}
	l.runUp()
}

// delivered notes which requests the server has whole.
func (l *link) delivered() {
	if l.hello > 0 && l.taken >= l.hello {
		l.hello = 0
		l.record.helloAt = l.w.history.next()
		l.contact(l.record.session)
	}
	calls := l.record.calls
	for l.pending < len(calls) && calls[l.pending].end <= l.taken {
		c := calls[l.pending]
		c.delivered = l.w.history.next()
		l.contact(c.session)
		l.pending++
	}
}

// contact notes that a server has heard of a session, if it is the one that keeps it.
func (l *link) contact(s *sessionRecord) {
	if l.h.keepsSessions() && l.h.srv.Serving() {
		s.contacts = append(s.contacts, l.h.contact())
	}
}

func (l *link) runDown() {
	if l.downRunning || len(l.kernel) == 0 && !l.serverGone || l.clientGone {
		return
	}
	l.downRunning = true
	l.w.after(l.w.dice.around(l.w.plan.latency+l.slow), "down", l.read)
}

// read is the client reading.
func (l *link) read() {
	l.downRunning = false
	if l.clientGone {
		return
	}
	if len(l.kernel) == 0 {
		l.client.lost(l, "the server has closed")
		return
	}
	n := l.w.dice.split(len(l.kernel))
	b := append([]byte(nil), l.kernel[:n]...)
	l.kernel = append(l.kernel[:0], l.kernel[n:]...)
	l.flow()
	l.client.receive(l, b)
	l.runDown()
}

// leave is the client closing its end; quietly means that the server is not told for a long time.
func (l *link) leave(quietly bool) {
	l.clientGone, l.client, l.kernel = true, nil, nil
	if l.w.dice.chance(0.5) {
		l.up = l.up[:l.w.dice.IntN(len(l.up)+1)] // lost with the connection
	}
	l.held = nil
	if quietly {
		l.w.after(l.w.dice.around(5*second), "half-open ends", l.runUp)
		return
	}
	l.runUp()
}

// each calls f for every frame in b, which holds whole ones: the server writes no others.
func eachFrame(b []byte, f func(frame []byte)) {
	for len(b) >= 4 {
		n := int(binary.BigEndian.Uint32(b))
		f(b[4 : 4+n])
		b = b[4+n:]
	}
}

// left looks at what leaves the server: the first frame gives a session to this connection, and no frame
// may say more than what is durable.
func (w *world) left(l *link, b []byte) {
	var stamp wire.Zxid
	eachFrame(b, func(frame []byte) {
		if !l.greeted {
			l.greeted = true
			w.moved(l, frame)
			return
		}
		r := wire.NewReader(frame)
		r.Int()
		stamp = max(stamp, r.Zxid())
	})
	if stamp > w.durable && w.dice.chance(w.durableChecks) {
		l.h.checkDurable(stamp)
	}
}

// moved notes that the server gave a session to this connection: the others have lost it, here if the leader is
// elsewhere, for that has decided about the rest.
func (w *world) moved(l *link, frame []byte) {
	var p wire.ConnectResponse
	r := wire.NewReader(frame)
	if p.Decode(&r) != nil || p.SessionID == 0 {
		return
	}
	l.record.owner = true
	at := w.history.next()
	for _, s := range w.history.withID(p.SessionID) {
		s.moved(at, l.h.contact().term, l.record, func(c *connRecord) bool { return c != l.record && (c.host == l.h || l.h.keepsSessions()) })
	}
}

func addrOf(client int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(client + 1)}), 40000)
}
