package transport

import (
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"paddock/wire"
)

// conn is the connection to a peer, after the greeting. It has a reader and a writer; when one ends, both do.
type conn struct {
	p     *peer
	s     net.Conn
	wakes chan struct{} // has one element when there may be something to write
	gone  chan struct{}
	once  sync.Once
}

func newConn(p *peer, s net.Conn) *conn {
	c := &conn{p: p, s: s, wakes: make(chan struct{}, 1), gone: make(chan struct{})}
	c.wake()
	return c
}

func (c *conn) wake() {
	select {
	case c.wakes <- struct{}{}:
	default:
	}
}

func (c *conn) close() {
	c.once.Do(func() {
		close(c.gone)
		c.s.Close()
	})
}

// end closes the connection and tells the peer.
func (c *conn) end() {
	c.close()
	c.p.e.mu.Lock()
	defer c.p.e.mu.Unlock()
	c.p.lost(c)
}

// write sends the pending vote whenever there is one.
func (c *conn) write() {
	defer c.end()
	for {
		select {
		case <-c.gone:
			return
		case <-c.wakes:
		}
		frame := c.next()
		if frame == nil {
			continue
		}
		if err := c.s.SetWriteDeadline(time.Now().Add(c.p.e.cfg.DialTimeout)); err != nil {
			return
		}
		if _, err := c.s.Write(frame); err != nil {
			return
		}
	}
}

// next takes the pending vote; it stays the last one that was sent also if this fails.
func (c *conn) next() []byte {
	p := c.p
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	if p.conn != c || p.pending == nil {
		return nil // a vote is for the connection that has taken our place
	}
	p.last, p.pending = p.pending, nil
	return p.last
}

// read hands on what arrives. buf has what came with the greeting.
func (c *conn) read(buf []byte) {
	defer c.end()
	const room, kept = 4 << 10, 64 << 10
	for {
		payload, n, err := wire.NextMessage(buf)
		if err != nil {
			c.complain(err)
			return
		}
		if n > 0 {
			c.receive(payload)
			buf = buf[n:]
			continue
		}
		if len(buf) == 0 && cap(buf) > kept {
			buf = nil
		}
		// It grows as bytes arrive, not as a length promises. What has been handed on is left behind.
		buf = slices.Grow(buf, room)
		m, err := c.s.Read(buf[len(buf):cap(buf)])
		if buf = buf[:len(buf)+m]; m == 0 && err != nil {
			return
		}
	}
}

// receive hands on one vote. What is none is dropped; the frames behind it can still be told apart.
func (c *conn) receive(payload []byte) {
	var note wire.Notification
	r := wire.NewReader(payload)
	if err := note.Decode(&r); err != nil {
		c.complain(err)
		return
	}
	select {
	case <-c.gone: // whoever has taken our place may have brought a later vote
		return
	default:
	}
	note.Config = slices.Clone(note.Config) // whoever keeps it does not keep the buffer
	c.p.e.cfg.Receive(c.p.id, note)
}

func (c *conn) complain(err error) {
	c.p.e.complain(fmt.Sprintf("server %d", c.p.id), "election port: data that cannot be", err)
}
