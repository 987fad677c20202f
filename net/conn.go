package znet

import (
	"encoding/binary"
	"net/netip"
)

// ID names a connection: loop, generation and slot. A name is never reused for another connection
// while somebody may still hold it: 24 bits of generation make a stale name miss.
type ID uint64

// NoConn is the name of no connection.
const NoConn ID = 0

func makeID(loop int, gen uint32, slot uint32) ID {
	return ID(loop+1)<<56 | ID(gen&0xffffff)<<32 | ID(slot)
}

// Loop returns the index of the loop that owns the connection, -1 for NoConn.
func (id ID) Loop() int { return int(id>>56) - 1 }

// Slot returns the connection's place in its loop's table; it is unique among living connections.
func (id ID) Slot() uint32 { return uint32(id) }

// Transport is the socket below a Conn. gnet's connection is one; a test's pipe is another.
type Transport interface {
	// Write sends b or buffers what the socket does not take; b may be reused afterwards.
	Write(b []byte) (int, error)
	// OutboundBuffered returns the number of bytes that Write accepted and the socket did not.
	OutboundBuffered() int
	// Close closes the socket after a last attempt to send what is buffered.
	Close() error
}

// phase is what a connection is good for.
type phase uint8

const (
	phaseWords  phase = iota // fresh: the first four bytes may be a four-letter word
	phaseFrames              // the handshake is done: frames only
	phaseDrain               // everything was said: input is thrown away until the peer closes
	phaseClosed
)

// Conn is one client connection. All of it is owned by its loop.
type Conn struct {
	// State belongs to the handler.
	State any

	loop   *Loop
	tr     Transport
	id     ID
	remote netip.AddrPort

	phase    phase
	paused   bool // the handler wants no more frames for now
	choked   bool // too much unsent: not served until the peer reads
	parked   bool // the descriptor has left the loop
	dirty    bool // on the loop's list of connections to flush
	resuming bool // on the loop's list of connections to serve again
	watched  bool // on the loop's list of connections to check now and then
	lingers  bool // say goodbye properly: half-close, drain, then close
	halved   bool // our half is closed

	in       []byte // received and not served yet; nil when there is none
	out      []byte // replies of this turn; nil when there are none
	mark     int    // where the frame begun by Begin starts in out
	deadline int64  // ms on the engine's clock; 0 = none
	owed     int    // of unsent, what counts against the limit for all
	drained  int    // bytes thrown away in phaseDrain
}

// ID returns the connection's name.
func (c *Conn) ID() ID { return c.id }

// Remote returns the peer's address.
func (c *Conn) Remote() netip.AddrPort { return c.remote }

// Handshaken tells the connection that the handshake is done: what follows is frames only, and the
// handshake's time limit no longer applies.
func (c *Conn) Handshaken() {
	if c.phase == phaseWords {
		c.phase = phaseFrames
		c.deadline = 0
	}
}

// Closed reports whether the connection is gone or going: nothing more can be sent.
func (c *Conn) Closed() bool { return c.phase >= phaseDrain }

// Pause stops the serving of frames until Resume; bytes received meanwhile wait, up to the limit.
func (c *Conn) Pause() { c.paused = true }

// Resume lets frames flow again. What waited is served before the turn ends.
func (c *Conn) Resume() {
	c.paused = false
	c.serveAgain()
}

func (c *Conn) serveAgain() {
	if c.phase >= phaseDrain || c.resuming || len(c.in) == 0 && !c.parked {
		return
	}
	c.resuming = true
	c.loop.resume = append(c.loop.resume, c)
}

// Out returns the buffer of this turn's replies, to be appended to and given back with SetOut.
// Between the two nothing else may be called on the connection.
func (c *Conn) Out() []byte {
	if c.out == nil {
		c.out = c.loop.buffers.get()
	}
	return c.out
}

// SetOut takes back the buffer of Out with what was appended to it. It is sent at the end of the turn,
// or now if it is much: one turn may hold thousands of requests, each answered with a megabyte. So the
// connection may be choked or cut when SetOut returns.
func (c *Conn) SetOut(b []byte) {
	c.out = b
	if !c.dirty && len(b) > 0 {
		c.dirty = true
		c.loop.dirty = append(c.loop.dirty, c)
	}
	if len(b) > c.loop.cfg.OutPauseBytes {
		c.write()
	}
}

// Send appends b to this turn's replies; b is copied.
func (c *Conn) Send(b []byte) {
	if c.phase < phaseDrain {
		c.SetOut(append(c.Out(), b...))
	}
}

// Finish serves nothing more, sends what is waiting, and closes the connection in a way that does not
// lose it: a socket closed over unread input resets, and the peer may never see our last words. So our
// half is closed first, and input is thrown away until the peer closes, a second has passed, or it has
// sent more than anybody would.
func (c *Conn) Finish() {
	if c.phase >= phaseDrain {
		return
	}
	c.phase = phaseDrain
	c.lingers = true
	c.deadline = c.loop.now() + lingerMS
	c.loop.watch(c)
	c.releaseIn()
	if !c.dirty {
		c.dirty = true
		c.loop.dirty = append(c.loop.dirty, c)
	}
}

// Cut closes the connection now. What is waiting to be sent is sent if the socket takes it at once.
func (c *Conn) Cut() {
	if c.phase == phaseClosed {
		return
	}
	c.loop.cut(c)
}

// Unsent returns the bytes that wait for the peer to read.
func (c *Conn) Unsent() int {
	if c.tr == nil {
		return len(c.out)
	}
	return len(c.out) + c.tr.OutboundBuffered()
}

// Queued reports whether the connection is kept from being served, and Interest the operations the
// connection waits for as ZooKeeper prints them: 1 read, 4 write, 5 both, 0 none.
func (c *Conn) Interest() int {
	ops := 0
	if !c.paused && !c.choked && !c.parked {
		ops |= 1
	}
	if c.tr != nil && c.tr.OutboundBuffered() > 0 {
		ops |= 4
	}
	return ops
}

// receive takes bytes from the socket. b is valid until it returns.
func (c *Conn) receive(b []byte) {
	if c.phase >= phaseDrain {
		c.discard(len(b))
		return
	}
	if len(c.in) == 0 {
		if c.paused || c.choked {
			c.loop.handler.Heard(c)
		}
		rest := c.serve(b)
		c.keep(rest)
		return
	}
	c.in = append(c.in, b...)
	if c.paused || c.choked {
		c.loop.handler.Heard(c)
	}
	c.serveKept()
}

// serveKept serves what waits in c.in.
func (c *Conn) serveKept() {
	kept := c.in
	rest := c.serve(kept)
	if c.phase >= phaseDrain {
		return
	}
	if len(rest) == 0 {
		c.releaseIn()
		return
	}
	if len(rest) != len(kept) {
		n := copy(kept, rest)
		c.in = kept[:n]
	}
	c.overfull()
}

// keep copies what could not be served yet into a buffer of the connection's own.
func (c *Conn) keep(rest []byte) {
	if len(rest) == 0 || c.phase >= phaseDrain {
		return
	}
	if c.in == nil {
		c.in = c.loop.buffers.get()
	}
	c.in = append(c.in, rest...)
	c.overfull()
}

// overfull bounds what waits: one frame may be as long as frames may be, but a connection that is not
// being served and goes on sending is parked, and if it does not read either it is cut.
func (c *Conn) overfull() {
	l := c.loop
	if c.parked || len(c.in) <= l.cfg.InParkBytes || !(c.paused || c.choked) {
		return // a parked one sends nothing more, so it may be as slow as it likes
	}
	c.write() // the replies of this turn say nothing about a peer that does not read
	if c.phase >= phaseDrain {
		return
	}
	if c.Unsent() > 0 {
		l.stats.Cut++
		c.Cut()
		return
	}
	l.park(c)
}

func (c *Conn) releaseIn() {
	if c.in != nil {
		c.loop.buffers.put(c.in)
		c.in = nil
	}
}

// serve hands over complete frames, and returns what is left of b.
func (c *Conn) serve(b []byte) []byte {
	l := c.loop
	for c.phase < phaseDrain && !c.paused && !c.choked {
		if len(b) < 4 {
			return b
		}
		if c.phase == phaseWords && l.cfg.IsWord([4]byte(b)) {
			c.word([4]byte(b), b[4:])
			return nil
		}
		n := int(int32(binary.BigEndian.Uint32(b)))
		limit := l.cfg.MaxFrameBytes
		if c.phase == phaseWords {
			limit = min(limit, maxHandshakeBytes)
		}
		if n < 0 || n > limit {
			l.stats.BadFrames++
			c.Cut()
			return nil
		}
		if len(b) < 4+n {
			return b
		}
		l.handler.Frame(c, b[4:4+n:4+n])
		b = b[4+n:]
	}
	if c.phase >= phaseDrain {
		return nil
	}
	return b
}

func (c *Conn) word(w [4]byte, rest []byte) {
	c.deadline = 0
	c.paused = true
	c.loop.handler.Word(c, w, rest)
}

func (c *Conn) discard(n int) {
	c.drained += n
	if c.drained > maxDrainBytes {
		c.Cut()
	}
}

// flush sends this turn's replies with one write.
func (c *Conn) flush() {
	c.dirty = false
	c.write()
}

// write hands the replies to the transport, and judges the peer by what the socket did not take.
func (c *Conn) write() {
	if c.phase == phaseClosed || c.tr == nil {
		return
	}
	if out := c.out; len(out) > 0 {
		c.out = nil
		_, err := c.tr.Write(out) // copies what the socket does not take
		c.loop.buffers.put(out)
		if err != nil || c.phase == phaseClosed {
			return // the transport has closed itself, and told us
		}
	}
	unsent := c.tr.OutboundBuffered()
	inAll := c.owe(unsent)
	switch {
	case unsent > c.loop.cfg.OutCutBytes,
		unsent > c.loop.cfg.OutPauseBytes && inAll > int64(c.loop.cfg.OutTotalBytes):
		c.loop.stats.Cut++
		c.Cut()
	case c.lingers:
		c.halve(unsent)
	case unsent > c.loop.cfg.OutPauseBytes && !c.choked:
		c.choked = true
		c.loop.watch(c)
	case unsent > 0 && c.parked:
		c.loop.watch(c)
	}
}

// owe counts what a choked connection has not read, and returns what all of them together have not:
// many who read nothing must not add up to more memory than there is.
func (c *Conn) owe(unsent int) (inAll int64) {
	if unsent <= c.loop.cfg.OutPauseBytes {
		unsent = 0
	}
	more := int64(unsent - c.owed)
	c.owed = unsent
	if more == 0 {
		return c.loop.engine.owed.Load()
	}
	return c.loop.engine.owed.Add(more)
}

// halve closes our half once everything is sent.
func (c *Conn) halve(unsent int) {
	if unsent > 0 || c.halved {
		return
	}
	c.halved = true
	c.loop.shutdownWrite(c)
}

// check is called now and then for a connection that waits for time to pass or for its peer to read.
// It reports whether it has to be called again.
func (c *Conn) check(now int64) bool {
	if c.phase == phaseClosed {
		return false
	}
	if c.deadline != 0 && now >= c.deadline {
		if c.phase == phaseWords {
			c.loop.stats.HandshakeTimeouts++
		}
		c.Cut()
		return false
	}
	if c.lingers {
		c.halve(c.Unsent())
		return c.phase != phaseClosed
	}
	slow := c.pushParked()
	if c.tr != nil {
		c.owe(c.tr.OutboundBuffered())
	}
	if c.choked && c.tr != nil && c.tr.OutboundBuffered() <= c.loop.cfg.OutPauseBytes/2 {
		c.choked = false
		c.serveAgain()
	}
	return c.choked || slow || c.deadline != 0
}

// pushParked sends what waits on a parked connection, which no poller watches, and reports whether some
// of it still does.
func (c *Conn) pushParked() bool {
	p, ok := c.tr.(*parkedSocket)
	if !ok {
		return false
	}
	p.push()
	return len(p.unsent) > 0 && !p.returning
}
