package transport

import (
	"context"
	"errors"
	"net"
	"slices"
	"time"

	"paddock/zab"
)

// peer is a server that we talk to, or want to. Guarded by e.mu.
type peer struct {
	e  *Election
	id zab.ServerID

	pending []byte // the frame to be sent next
	last    []byte // the one that was sent last
	conn    *conn

	dialing bool
	addrs   []zab.Addr    // where
	hurry   chan struct{} // ends the pause before it
	dialed  time.Time     // when the last dial ended
	pause   time.Duration // from then to the next
	knock   time.Time     // when a knock last ended a pause
	back    bool          // it has knocked since the dial began
	failing bool          // the last dial failed, which was logged when it began
}

// dial connects to the peer, from a goroutine of its own, when the pause after the last dial is over.
// While another dial is on its way it does nothing. e.mu is held.
func (p *peer) dial(addrs []zab.Addr) {
	if p.e.closed || len(addrs) == 0 {
		return
	}
	p.addrs = addrs
	if p.dialing {
		return
	}
	p.dialing, p.hurry = true, make(chan struct{}, 1)
	hurry, wait := p.hurry, time.Until(p.dialed.Add(p.pause))
	p.e.tasks.Go(func() {
		if wait > 0 {
			p.rest(hurry, wait)
		}
		p.connect()
		p.e.mu.Lock()
		defer p.e.mu.Unlock()
		p.dialing, p.dialed = false, time.Now()
		p.pause = min(max(2*p.pause, minPause), maxPause)
		if p.back && p.conn == nil {
			p.dial(p.addrs)
		}
		p.forget()
	})
}

// rest waits for the end of a pause.
func (p *peer) rest(hurry chan struct{}, wait time.Duration) {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-hurry:
	case <-p.e.ctx.Done():
	}
}

// wanted returns where to dial; nowhere, if there is a connection by now, which a knock would end.
func (p *peer) wanted() []zab.Addr {
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	if p.conn != nil || p.e.closed {
		return nil
	}
	p.back = false
	return p.addrs
}

// connect dials and greets. A connection to a greater server is only a knock.
func (p *peer) connect() {
	addrs := p.wanted()
	if len(addrs) == 0 {
		return
	}
	s, err := p.e.dialAny(addrs)
	if err != nil {
		p.failed(err)
		return
	}
	if !p.e.own(s) {
		return
	}
	kept := false
	defer func() { p.e.disown(s, kept) }()
	tune(s)
	// In one write: Java reads the addresses with one read, and gives up where that is short.
	if err := s.SetWriteDeadline(time.Now().Add(p.e.cfg.DialTimeout)); err != nil {
		return
	}
	if _, err := s.Write(p.e.greeting); err != nil || p.id > p.e.cfg.ID {
		return
	}
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	if !p.e.closed {
		p.keep(s, nil)
		kept = true
	}
}

// failed logs the first of a row of failures.
func (p *peer) failed(err error) {
	p.e.mu.Lock()
	first := !p.failing && !p.e.closed
	p.failing = true
	p.e.mu.Unlock()
	if first {
		p.e.log.Warn("election port: cannot connect, and go on trying", "server", int64(p.id), "err", err)
	}
}

// dialAny tries all addresses, each a little after the one before it or when that has failed, and
// returns the first connection.
func (e *Election) dialAny(addrs []zab.Addr) (net.Conn, error) {
	const stagger = 250 * time.Millisecond
	type result struct {
		s   net.Conn
		err error
	}
	ctx, cancel := context.WithTimeout(e.ctx, e.cfg.DialTimeout)
	defer cancel()
	results := make(chan result)
	next, running := 0, 0
	start := func() {
		addr := addrs[next].String()
		next++
		running++
		e.tasks.Go(func() {
			s, err := e.cfg.Dial(ctx, "tcp", addr)
			select {
			case results <- result{s, err}:
			case <-ctx.Done():
				if err == nil {
					s.Close() // another was faster
				}
			}
		})
	}
	later := time.NewTicker(stagger)
	defer later.Stop()
	var errs []error
	for start(); running > 0; {
		select {
		case r := <-results:
			if r.err == nil {
				return r.s, nil
			}
			running--
			errs = append(errs, r.err)
		case <-later.C:
		case <-ctx.Done():
			return nil, errors.Join(append(errs, ctx.Err())...)
		}
		if next < len(addrs) {
			start()
		}
	}
	return nil, errors.Join(errs...)
}

// knocked calls a smaller server back, at the addresses that it has told and at those that we know. It
// thinks that there is no connection, so what we have is none. e.mu is held.
func (p *peer) knocked(addrs []zab.Addr) {
	if p.conn != nil {
		p.conn.close()
		p.conn = nil
	}
	for _, a := range p.e.configured(p.id) {
		if !slices.Contains(addrs, a) {
			addrs = append(addrs, a)
		}
	}
	if now := time.Now(); now.Sub(p.knock) >= maxPause { // it is there now; but it must not make us run
		p.knock, p.pause = now, 0
		if p.dialing {
			select {
			case p.hurry <- struct{}{}:
			default:
			}
		}
	}
	p.back = true
	p.dial(addrs)
	p.forget()
}

// keep makes s the connection to the peer. rest is what has been read from it already. e.mu is held.
func (p *peer) keep(s net.Conn, rest []byte) {
	if p.conn != nil {
		p.conn.close()
	}
	p.pause, p.failing, p.back = 0, false, false
	if p.pending == nil {
		p.pending = p.last
	}
	c := newConn(p, s)
	p.conn = c
	p.e.tasks.Go(func() { c.read(rest) })
	p.e.tasks.Go(c.write)
	p.e.log.Debug("election port: connected", "server", int64(p.id), "addr", s.RemoteAddr())
}

// lost ends a connection, unless another has taken its place. e.mu is held.
func (p *peer) lost(c *conn) {
	if p.conn == c {
		p.conn = nil
		p.forget()
	}
}

// forget drops a peer that is in no view and has no connection: anybody can claim to be a server. e.mu is held.
func (p *peer) forget() {
	if p.conn == nil && !p.dialing && len(p.e.configured(p.id)) == 0 && p.e.peers[p.id] == p {
		delete(p.e.peers, p.id)
	}
}
