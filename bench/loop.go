package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"paddock/wire"
)

// clock counts nanoseconds since it was made; it never jumps.
type clock struct{ base time.Time }

func (c clock) now() int64 { return int64(time.Since(c.base)) }

// phase is one stretch of load on one loop.
type phase struct {
	source   source
	rec      *recorder
	fan      *fanout   // not nil: watches decide what is sent; there is no source
	rate     *schedule // not nil: open loop
	until    int64     // send nothing due at or after it
	drainFor int64     // ns to wait for answers after that
	left     int64     // requests still to send in the window; unlimited: no such number
	window   int       // requests outstanding on a connection
}

const unlimited = -1

// loop drives its connections from one goroutine.
type loop struct {
	clock clock
	epoll int
	timer int // a timerfd: epoll's own time-outs are in milliseconds
	conns []*conn
	alive int
	in    []byte
	stop  *atomic.Bool
	pings int64 // ns after which an idle connection pings

	// Of the phase that runs.
	*phase
	now        int64
	dry        bool // there is no more to send, though there were time
	turn       int  // open loop: the connection whose turn it is
	closed     bool // open loop: the time was over, and the last of what was due is sent
	dirty      []*conn
	inflight   int   // requests outstanding, and events that are expected
	unanswered int64 // due in the window, and given up
	lost       []error

	progress progress
}

const (
	readBytes = 256 << 10
	timerSlot = -1
)

func newLoop(clk clock, stop *atomic.Bool, sessionTimeout time.Duration) (*loop, error) {
	l := &loop{clock: clk, stop: stop, in: make([]byte, readBytes), pings: int64(sessionTimeout) / 3}
	var err error
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("bench: epoll: %w", err)
	}
	if l.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		unix.Close(l.epoll)
		return nil, fmt.Errorf("bench: timerfd: %w", err)
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: timerSlot}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, l.timer, &ev); err != nil {
		l.close()
		return nil, fmt.Errorf("bench: epoll: %w", err)
	}
	return l, nil
}

// add takes c over.
func (l *loop) add(c *conn) error {
	c.slot = int32(len(l.conns))
	l.conns = append(l.conns, c)
	l.alive++
	return l.watch(c, unix.EPOLL_CTL_ADD)
}

// watch tells epoll what c waits for: input, and room for output where it is blocked.
func (l *loop) watch(c *conn, op int) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: c.slot}
	if c.blocked {
		ev.Events |= unix.EPOLLOUT
	}
	return unix.EpollCtl(l.epoll, op, c.fd, &ev)
}

// close closes what is open. The loop is not running.
func (l *loop) close() {
	for _, c := range l.conns {
		if !c.dead {
			unix.Close(c.fd)
			c.dead = true
		}
	}
	unix.Close(l.timer)
	unix.Close(l.epoll)
}

// run is one phase: it returns when all that was sent is answered, or will not be.
func (l *loop) run(p *phase) error {
	l.phase, l.dry, l.closed, l.inflight, l.unanswered = p, false, false, 0, 0
	l.now = l.clock.now()
	l.begin()
	var events [256]unix.EpollEvent
	housekeeping := l.now
	for !l.done() {
		l.flushDirty()
		n, err := unix.EpollWait(l.epoll, events[:], l.patience())
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("bench: epoll: %w", err)
		}
		l.now = l.clock.now()
		for i := range max(n, 0) {
			if err := l.serve(&events[i]); err != nil {
				return err
			}
		}
		if p.rate != nil {
			l.sendDue()
		}
		if l.now-housekeeping > int64(100*time.Millisecond) {
			housekeeping = l.now
			l.keepAlive()
		}
	}
	l.end()
	return nil
}

// begin sends what a closed loop begins with.
func (l *loop) begin() {
	switch {
	case l.fan != nil:
		l.fan.begin(l)
	case l.rate == nil:
		for _, c := range l.conns {
			l.fill(c)
		}
	default:
		l.sendDue()
	}
}

// sending says whether there may still be something to send.
func (l *loop) sending() bool {
	return !l.dry && l.now < l.until && !l.stop.Load()
}

func (l *loop) done() bool {
	if l.alive == 0 {
		return true
	}
	if l.stop.Load() { // somebody wants the end: answers are still awaited, so that sessions stay usable
		l.until = min(l.until, l.now)
	}
	if l.sending() {
		return false
	}
	return l.inflight == 0 || l.now >= l.until+l.drainFor
}

// end gives up what is not answered. A connection that owes answers is of no use any more: they would
// come in the middle of the next phase.
func (l *loop) end() {
	for _, c := range l.conns {
		if c.outstanding() > 0 {
			l.lose(c, fmt.Errorf("%d requests not answered in time", c.outstanding()))
		}
	}
	if l.fan != nil {
		l.fan.end(l)
	}
	if l.rate == nil {
		return
	}
	for {
		at, ok := l.rate.take(min(l.now, l.until))
		if !ok {
			return
		}
		l.giveUp(at)
	}
}

// giveUp accounts for a request that was due at a time and has no answer: it has waited until now, at
// the least. Leaving it out would make a server look the better the less it answers.
func (l *loop) giveUp(at int64) {
	if l.rec.inWindow(at) {
		l.unanswered++
		record(l.rec.givenUp, l.now-at, 1)
	}
}

// patience is how long epoll may wait, in milliseconds. A request of an open loop that is due earlier
// sets the timer.
func (l *loop) patience() int {
	const longest = 100
	if l.rate == nil || !l.sending() {
		return longest
	}
	at, ok := l.rate.due()
	if !ok {
		return longest
	}
	wait := at - l.clock.now()
	if wait <= 0 {
		if l.hasRoom() {
			return 0
		}
		return longest // an answer will wake us
	}
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(wait)}
	unix.TimerfdSettime(l.timer, 0, &spec, nil)
	return longest
}

// serve handles what epoll said of one descriptor.
func (l *loop) serve(ev *unix.EpollEvent) error {
	if ev.Fd == timerSlot {
		var expirations [8]byte
		unix.Read(l.timer, expirations[:])
		return nil
	}
	c := l.conns[ev.Fd]
	if c.dead {
		return nil
	}
	if ev.Events&unix.EPOLLOUT != 0 {
		l.flush(c)
	}
	if c.dead || ev.Events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) == 0 {
		return nil
	}
	return l.receive(c)
}

var (
	errEnded = errors.New("the server closed the connection")
	errOrder = errors.New("a reply out of order")
)

// receive reads once and handles all frames that are complete. What it returns ends the run: a server
// that breaks the protocol; a connection that is lost is only noted.
func (l *loop) receive(c *conn) error {
	kept := copy(l.in, c.partial)
	n, err := unix.Read(c.fd, l.in[kept:])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return nil
	case err != nil:
		l.lose(c, err)
		return nil
	case n == 0:
		l.lose(c, errEnded)
		return nil
	}
	l.now = l.clock.now()
	rest, err := l.frames(c, l.in[:kept+n])
	if err != nil {
		return err
	}
	l.rec.flush(l.now)
	c.partial = append(c.partial[:0], rest...)
	if len(rest) >= 4 {
		l.growFor(rest)
	}
	if l.fan == nil && l.rate == nil {
		l.fill(c)
	}
	return nil
}

// growFor makes the read buffer larger than the frame that rest begins.
func (l *loop) growFor(rest []byte) {
	if need := 4 + int(binary.BigEndian.Uint32(rest)) + 1; need > len(l.in) {
		l.in = make([]byte, 2*need)
	}
}

// frames handles the complete frames in b and returns the bytes behind them.
func (l *loop) frames(c *conn, b []byte) (rest []byte, err error) {
	var answered, errs, sum, longest int64
	for len(b) >= 4 {
		n := int(binary.BigEndian.Uint32(b))
		if n < wire.ReplyHeaderBytes || n > 1<<30 {
			return nil, fmt.Errorf("bench: %s: a frame of %d bytes", c.target, n)
		}
		if len(b) < 4+n {
			break
		}
		code := wire.Code(binary.BigEndian.Uint32(b[16:]))
		switch x := int32(binary.BigEndian.Uint32(b[4:])); {
		case x == wire.XidNotification:
			if l.fan != nil {
				l.fan.event(l, c)
			}
		case x == wire.XidPing:
		case c.outstanding() == 0 || x != xid(c.head):
			return nil, fmt.Errorf("bench: %s: %w: xid %d, want %d of %d outstanding", c.target, errOrder, x, xid(c.head), c.outstanding())
		default:
			r := c.pop()
			l.inflight--
			l.rec.reply(r.kind, r.at, l.now, code)
			answered++
			sum += l.now - r.at
			longest = max(longest, l.now-r.at)
			if code != wire.OK {
				errs++
			}
			if l.fan != nil {
				l.fan.reply(l)
			}
		}
		b = b[4+n:]
	}
	l.progress.note(answered, errs, sum, longest)
	return b, nil
}

// fill brings a closed loop's connection back to its number of requests outstanding, in one write.
func (l *loop) fill(c *conn) {
	for c.outstanding() < l.window && l.sending() {
		if !l.send(c, l.now) {
			break
		}
	}
	l.flush(c)
}

// send appends the next request to c's output. It says false when there is none left.
func (l *loop) send(c *conn, at int64) bool {
	counts := l.left != unlimited && l.rec.inWindow(at)
	if counts && l.left == 0 {
		l.runDry(at)
		return false
	}
	out, k, ok := l.source.append(c.out, xid(c.tail))
	if !ok {
		l.runDry(at)
		return false
	}
	c.out = out
	l.push(c, k, at)
	if counts {
		l.left--
	}
	return true
}

// runDry ends the phase before its time: nothing is due at or after at.
func (l *loop) runDry(at int64) {
	l.dry = true
	if l.rate != nil {
		l.rate.end = at
	}
}

// push notes a request that was appended to c's output.
func (l *loop) push(c *conn, k kind, at int64) {
	c.push(at, k)
	l.inflight++
}

// sendDue sends what is due by now, each on the next connection that has room.
//
// The turn that finds the time over sends once more: what was due since the turn before is late by the
// length of a turn, and not forgotten. What finds no room then is given up (end).
func (l *loop) sendDue() {
	if l.closed {
		return
	}
	l.closed = l.now >= l.until
	for !l.dry && !l.stop.Load() {
		at, ok := l.rate.due()
		if !ok || at > l.now {
			return
		}
		c := l.nextWithRoom()
		if c == nil {
			return // it stays due: its latency grows until an answer makes room
		}
		if !l.send(c, at) {
			return
		}
		l.rate.taken++
		if l.rec.inWindow(at) {
			record(l.rec.late, l.now-at, 1)
		}
		l.touch(c)
	}
}

// touch notes that c has something to write when the turn ends.
func (l *loop) touch(c *conn) {
	if !c.queued {
		c.queued = true
		l.dirty = append(l.dirty, c)
	}
}

// nextWithRoom goes round the connections.
func (l *loop) nextWithRoom() *conn {
	for range l.conns {
		c := l.conns[l.turn]
		if l.turn++; l.turn == len(l.conns) {
			l.turn = 0
		}
		if !c.dead && c.outstanding() < l.window {
			return c
		}
	}
	return nil
}

func (l *loop) hasRoom() bool {
	for _, c := range l.conns {
		if !c.dead && c.outstanding() < l.window {
			return true
		}
	}
	return false
}

// flushDirty writes what the turn appended: one write for each connection.
func (l *loop) flushDirty() {
	for _, c := range l.dirty {
		c.queued = false
		l.flush(c)
	}
	l.dirty = l.dirty[:0]
}

// flush writes c's output, and asks epoll for room if the socket did not take all of it.
func (l *loop) flush(c *conn) {
	if c.dead || len(c.out) == 0 && !c.blocked {
		return
	}
	if err := c.writeOut(); err != nil {
		l.lose(c, err)
		return
	}
	c.lastWrite = l.now
	if blocked := len(c.out) > 0; blocked != c.blocked {
		c.blocked = blocked
		if err := l.watch(c, unix.EPOLL_CTL_MOD); err != nil {
			l.lose(c, err)
		}
	}
}

// lose gives a connection up. What was outstanding on it stays unanswered.
func (l *loop) lose(c *conn, err error) {
	unix.Close(c.fd) // which takes it out of epoll, too
	c.dead = true
	l.alive--
	if !c.closing {
		l.lost = append(l.lost, fmt.Errorf("bench: %s: %w", c.target, err))
	}
	for c.outstanding() > 0 {
		l.giveUp(c.pop().at)
		l.inflight--
	}
	if l.fan != nil {
		l.dry = true // a watcher less: rounds would never be complete
	}
}

// keepAlive pings for connections that had nothing to say for a while.
func (l *loop) keepAlive() {
	for _, c := range l.conns {
		if c.dead || c.closing || l.now-c.lastWrite < l.pings {
			continue
		}
		c.out = appendControl(c.out, wire.XidPing, wire.OpPing)
		l.flush(c)
	}
}

// appendControl appends a request that is a header and nothing else.
func appendControl(dst []byte, xid int32, op wire.Op) []byte {
	dst, mark := wire.BeginFrame(dst)
	h := wire.RequestHeader{Xid: xid, Op: op}
	return wire.EndFrame(h.Append(dst), mark)
}
