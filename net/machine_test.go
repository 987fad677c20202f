package znet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
)

// A connection without an engine: the machine of conn.go between a transport and a handler that tests
// hold in their hands. Time is the engine's clock, which tests set.

// fakeTransport is a socket whose peer reads as much as room says.
type fakeTransport struct {
	sent     []byte // what the peer got
	buffered []byte // accepted and not sent
	room     int    // bytes the socket still takes; below 0 is no limit
	most     int    // bytes buffered at most
	closed   bool
	fail     error
}

func (f *fakeTransport) Write(b []byte) (int, error) {
	if f.fail != nil {
		return 0, f.fail
	}
	if f.closed {
		return 0, errors.New("closed")
	}
	f.buffered = append(f.buffered, b...)
	f.push()
	f.most = max(f.most, len(f.buffered))
	return len(b), nil
}

// push moves what the socket takes.
func (f *fakeTransport) push() {
	n := len(f.buffered)
	if f.room >= 0 {
		n = min(n, f.room)
		f.room -= n
	}
	f.sent = append(f.sent, f.buffered[:n]...)
	f.buffered = slices.Delete(f.buffered, 0, n)
}

// read has the peer read n bytes more.
func (f *fakeTransport) read(n int) {
	f.room += n
	f.push()
}

func (f *fakeTransport) OutboundBuffered() int { return len(f.buffered) }

func (f *fakeTransport) Close() error {
	f.closed = true
	return nil
}

// recorder is a handler that keeps what it is told. on, where set, reacts to a frame.
type recorder struct {
	heard  int
	frames [][]byte
	words  []string
	closed int
	turns  int
	on     func(c *Conn, frame []byte)
	onTurn func()
}

func (r *recorder) Open(*Conn) {}

func (r *recorder) Frame(c *Conn, frame []byte) {
	r.frames = append(r.frames, bytes.Clone(frame))
	if r.on != nil {
		r.on(c, frame)
	}
}

func (r *recorder) Word(c *Conn, w [4]byte, _ []byte) {
	r.words = append(r.words, string(w[:]))
	c.Send([]byte("I hear " + string(w[:])))
	c.Finish()
}

func (r *recorder) Closed(*Conn) { r.closed++ }
func (r *recorder) Rung()        {}

func (r *recorder) Heard(c *Conn) { r.heard++ }

func (r *recorder) EndTurn() {
	r.turns++
	if r.onTurn != nil {
		r.onTurn()
	}
}

// machine is a loop without gnet.
type machine struct {
	l *Loop
	h *recorder
}

func isWord(w [4]byte) bool { return string(w[:]) == "ruok" || string(w[:]) == "stat" }

func newMachine(cfg Config) *machine {
	cfg.IsWord = isWord
	cfg.setDefaults()
	e := &Engine{cfg: cfg, byAddr: map[netip.Addr]int{}, parked: map[*Conn]int{}}
	h := &recorder{}
	return &machine{&Loop{cfg: &e.cfg, engine: e, handler: h}, h}
}

// connect does what OnOpen does.
func (m *machine) connect() (*Conn, *fakeTransport) {
	f := &fakeTransport{room: -1}
	c := &Conn{loop: m.l, tr: f, remote: netip.MustParseAddrPort("127.0.0.1:9"), phase: phaseWords}
	c.deadline = m.l.now() + int64(m.l.cfg.HandshakeMS)
	m.l.add(c)
	m.l.watch(c)
	m.l.engine.byAddr[c.remote.Addr()]++
	return c, f
}

// feed is one turn with bytes of the peer.
func (m *machine) feed(c *Conn, b []byte) {
	own := bytes.Clone(b) // gnet's buffer is another one's after the turn
	c.receive(own)
	for i := range own {
		own[i] = 0xee
	}
	m.l.endTurn()
}

// later is a turn of the bell at that time.
func (m *machine) later(ms int64) {
	m.l.engine.clock.Store(ms)
	m.l.checkWatched()
	m.l.endTurn()
}

func framed(payload []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(payload))), payload...)
}
