package znet

import (
	"net/netip"
	"sync/atomic"
)

const (
	// maxHandshakeBytes bounds what somebody can make us keep before he has a session.
	maxHandshakeBytes = 8 << 10
	// A finished connection is drained this long and this far before it is closed.
	lingerMS      = 1000
	clockStepMS   = 50 // between two looks at the clock
	maxDrainBytes = 64 << 10
	// keptBufferBytes is the largest buffer worth keeping for the next connection.
	keptBufferBytes = 64 << 10
	keptBuffers     = 64
)

// Handler is the brain of one loop. All its methods are called on that loop's goroutine.
type Handler interface {
	// Open greets a new connection, before its first bytes are looked at.
	Open(c *Conn)
	// Frame takes one frame without its length. The bytes are valid until it returns.
	Frame(c *Conn, frame []byte)
	// Heard says that bytes came for a connection that is not served now: they wait, but its client lives.
	Heard(c *Conn)
	// Word takes a four-letter word and what came behind it. The connection is paused; the answer
	// ends with Conn.Finish.
	Word(c *Conn, word [4]byte, rest []byte)
	// Closed says that a connection is gone. Its name is dead after this call.
	Closed(c *Conn)
	// Rung answers the bell.
	Rung()
	// EndTurn hands over what the turn gathered. It may resume connections.
	EndTurn()
}

// Stats are one loop's counters, read by others when somebody asks (Loop.Stats).
type Stats struct {
	Opened, Refused, BadFrames, Cut, Parked, HandshakeTimeouts int64
}

// Loop owns connections. Its fields belong to its goroutine, but for those marked shared.
type Loop struct {
	index   int
	cfg     *Config
	handler Handler
	engine  *Engine

	slots   []*Conn  // by slot; nil where free
	gens    []uint32 // by slot; bumped when a slot is given out again
	free    []uint32
	open    int
	dirty   []*Conn // have replies of this turn
	resume  []*Conn // are to be served again before the turn ends
	watched []*Conn // wait for time or for the peer to read
	buffers buffers
	stats   Stats

	waiting   atomic.Bool // shared: the clock rings this loop while it watches connections
	openCount atomic.Int64
	hung      atomic.Bool // shared: the bell hangs, so a ring will be answered
	bell      bell
}

// Index returns the loop's number, 0 up to the number of loops.
func (l *Loop) Index() int { return l.index }

// Conn returns the living connection of that name, or nil.
func (l *Loop) Conn(id ID) *Conn {
	slot := id.Slot()
	if id.Loop() != l.index || int(slot) >= len(l.slots) {
		return nil
	}
	if c := l.slots[slot]; c != nil && c.id == id {
		return c
	}
	return nil
}

// At returns the living connection in a slot, or nil.
func (l *Loop) At(slot uint32) *Conn {
	if int(slot) >= len(l.slots) {
		return nil
	}
	return l.slots[slot]
}

// Each calls f for every connection, in the order of their slots.
func (l *Loop) Each(f func(*Conn)) {
	for _, c := range l.slots {
		if c != nil {
			f(c)
		}
	}
}

// Len returns the number of open connections. Anybody may ask.
func (l *Loop) Len() int { return int(l.openCount.Load()) }

// Stats returns the loop's counters; call it on the loop.
func (l *Loop) Stats() Stats { return l.stats }

// Ring wakes the loop: it will call Handler.Rung soon. Anybody may ring; rings before the answer are one.
func (l *Loop) Ring() { l.bell.ring() }

// Hung reports whether a ring will be answered: a loop gets its bell with its first connection, and
// until then there is nothing on it to ask about.
func (l *Loop) Hung() bool { return l.hung.Load() }

func (l *Loop) now() int64 { return l.engine.now() }

// accept makes a connection of what the engine has admitted; opened is its first turn.
func (l *Loop) accept(tr Transport, remote netip.AddrPort) *Conn {
	c := &Conn{loop: l, tr: tr, remote: remote, phase: phaseWords}
	c.deadline = l.now() + clockStepMS + int64(l.cfg.HandshakeMS) // the clock may be a step behind
	l.add(c)
	l.watch(c)
	return c
}

func (l *Loop) opened(c *Conn) {
	l.handler.Open(c)
	l.endTurn()
}

// received is a turn with bytes of a connection.
func (l *Loop) received(c *Conn, b []byte) {
	if !l.engine.draining.Load() {
		c.receive(b)
	}
	l.endTurn()
}

// rung is a turn of the bell.
func (l *Loop) rung() {
	l.bell.answered()
	l.checkWatched()
	l.handler.Rung()
	l.endTurn()
}

// gone forgets a connection whose transport has ended.
func (l *Loop) gone(c *Conn) {
	if c.phase != phaseClosed {
		c.tr = nil
		l.remove(c)
	}
}

// add gives a new connection its slot and name.
func (l *Loop) add(c *Conn) {
	var slot uint32
	if n := len(l.free); n > 0 {
		slot, l.free = l.free[n-1], l.free[:n-1]
	} else {
		slot = uint32(len(l.slots))
		l.slots = append(l.slots, nil)
		l.gens = append(l.gens, 0)
	}
	l.gens[slot]++
	c.id = makeID(l.index, l.gens[slot], slot)
	l.slots[slot] = c
	l.open++
	l.openCount.Store(int64(l.open))
	l.stats.Opened++
}

// remove forgets a connection that is gone. It is called once for each.
func (l *Loop) remove(c *Conn) {
	if c.phase == phaseClosed {
		return
	}
	c.phase = phaseClosed
	c.owe(0)
	l.handler.Closed(c)
	l.slots[c.id.Slot()] = nil
	l.free = append(l.free, c.id.Slot())
	l.open--
	l.openCount.Store(int64(l.open))
	c.releaseIn()
	if c.out != nil {
		l.buffers.put(c.out)
		c.out = nil
	}
	l.engine.forget(c)
}

// cut closes a connection at once.
func (l *Loop) cut(c *Conn) {
	tr, out := c.tr, c.out
	c.out = nil
	if tr != nil && len(out) > 0 && c.phase != phaseClosed {
		_, _ = tr.Write(out) // what the socket takes at once; its error changes nothing any more
	}
	if out != nil {
		l.buffers.put(out)
	}
	l.remove(c)
	c.tr = nil
	if tr != nil {
		_ = tr.Close()
	}
	if c.parked {
		l.engine.dropParked(c)
	}
}

// watch has a connection checked until it needs no more watching.
func (l *Loop) watch(c *Conn) {
	if c.watched {
		return
	}
	c.watched = true
	l.watched = append(l.watched, c)
	l.waiting.Store(true)
}

// checkWatched looks after connections that wait for time or for their peers.
func (l *Loop) checkWatched() {
	if len(l.watched) == 0 {
		return
	}
	now, before := l.now(), l.watched
	l.watched = l.watched[:0:0]
	for _, c := range before {
		c.watched = false
		if c.check(now) {
			l.watch(c)
		}
	}
	l.waiting.Store(len(l.watched) > 0)
}

// endTurn serves who was resumed, lets the handler hand over its batch, and sends what is to be sent.
func (l *Loop) endTurn() {
	for {
		for len(l.resume) > 0 {
			n := len(l.resume) - 1
			c := l.resume[n]
			l.resume = l.resume[:n]
			c.resuming = false
			l.serveResumed(c)
		}
		l.handler.EndTurn()
		l.flush()
		if len(l.resume) == 0 && len(l.dirty) == 0 {
			return
		}
	}
}

func (l *Loop) serveResumed(c *Conn) {
	if c.phase >= phaseDrain {
		return
	}
	if len(c.in) > 0 {
		c.serveKept()
	}
	if c.parked && !c.paused && len(c.in) < l.cfg.InParkBytes {
		l.engine.unpark(c)
	}
}

func (l *Loop) flush() {
	for i := 0; i < len(l.dirty); i++ { // a flush may cut, and cutting may touch others
		l.dirty[i].flush()
		l.dirty[i] = nil
	}
	l.dirty = l.dirty[:0]
}

// buffers is a loop's free list of byte slices. What grew large goes back to the collector.
type buffers struct{ free [][]byte }

func (p *buffers) get() []byte {
	if n := len(p.free); n > 0 {
		b := p.free[n-1]
		p.free = p.free[:n-1]
		return b
	}
	return make([]byte, 0, 4096)
}

// put takes a buffer that nobody uses any more.
func (p *buffers) put(b []byte) {
	if invariants {
		poison(b[:cap(b)])
	}
	if cap(b) <= keptBufferBytes && len(p.free) < keptBuffers {
		p.free = append(p.free, b[:0])
	}
}

func poison(b []byte) {
	for i := range b {
		b[i] = 0xdb
	}
}
