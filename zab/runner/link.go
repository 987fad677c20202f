package runner

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"paddock/wire"
	"paddock/zab"
)

// link is one connection of the quorum port. It has a reader and a writer, each a goroutine; the first
// error of either, or whoever closes it, ends both.
type link struct {
	name     zab.Link
	conn     net.Conn
	dialed   bool // by us: the leader is at the other end
	r        *Runner
	out      *queue
	patience atomic.Int64 // ms that one write may take

	free     chan *inbound // buffers that nobody uses
	receiver chan Receiver // from the loop, behind a SNAP

	once     sync.Once
	gone     chan struct{} // closed when the link is over
	ends     atomic.Int32  // of its two goroutines, those that have ended
	stranger atomic.Bool   // it was accepted, and has not said anything yet

	// Owned by the loop.
	dirty  bool // something was queued in this turn
	status LinkStatus
}

const (
	inboundBuffers = 2
	inboundBytes   = 32 << 10
	pieceBytes     = 64 << 10 // what is read from a store or a snapshot at once
	writeBytes     = 1 << 20  // what has to be written within one deadline
	progressMS     = 100      // how often the machine hears that a long stream moves
)

// longAgo is a deadline that ends a read or a write that is under way. Unlike Close it never waits.
var longAgo = time.Unix(1, 0)

func (r *Runner) newLink(conn net.Conn, dialed bool) *link {
	l := &link{
		name: zab.Link(r.lastLink.Add(1)), conn: conn, dialed: dialed, r: r, out: newQueue(r.cfg.QueueBytes),
		free: make(chan *inbound, inboundBuffers), receiver: make(chan Receiver, 1), gone: make(chan struct{}),
	}
	for range inboundBuffers {
		l.free <- &inbound{buf: make([]byte, inboundBytes)}
	}
	l.patience.Store(r.cfg.initMS())
	l.status.Remote = conn.RemoteAddr().String()
	return l
}

// end ends the link. It never waits: its goroutines close the connection.
func (l *link) end() {
	l.once.Do(func() {
		close(l.gone)
		l.conn.SetDeadline(longAgo)
	})
}

// over says whether the link has ended.
func (l *link) over() bool {
	select {
	case <-l.gone:
		return true
	default:
		return false
	}
}

// fail ends the link and tells the loop why. Only the first word counts.
func (l *link) fail(err error) {
	first := false
	l.once.Do(func() {
		first = true
		close(l.gone)
		l.conn.SetDeadline(longAgo)
	})
	if first {
		l.r.box.post(letter{ev: zab.Event{Kind: zab.EventLost, Link: l.name}, link: l, err: err})
	}
}

// leave is the end of one of the two goroutines; the second closes the connection.
func (l *link) leave() {
	if l.ends.Add(1) == 2 {
		l.known()
		l.conn.Close()
		l.r.closed(l)
	}
	l.r.tasks.Done()
}

// known ends the time as a stranger, and says whether it was one.
func (l *link) known() bool {
	was := l.stranger.CompareAndSwap(true, false)
	if was {
		l.r.strangers.Add(-1)
	}
	return was
}

// deadline bounds what comes next with set, unless the link is over: then it stays at longAgo.
func (l *link) deadline(set func(time.Time) error, ms int64) bool {
	t := time.Time{}
	if ms > 0 {
		t = time.Now().Add(time.Duration(ms) * time.Millisecond)
	}
	set(t)
	return !l.over()
}

// write is the goroutine that writes to the connection.
func (l *link) write() {
	defer l.leave()
	w := writer{link: l}
	var o outbox
	for {
		select {
		case <-l.gone:
			l.out.end()
			return
		case <-l.out.wake:
		}
		o = l.out.take(o)
		if err := w.all(&o); err != nil {
			l.fail(fmt.Errorf("writing: %w", err))
			o.drop()
		}
	}
}

// writer writes items. What comes from a range goes through its piece.
type writer struct {
	link  *link
	piece []byte
	moved int64 // ms, when the machine last heard that a stream moves
}

func (w *writer) all(o *outbox) error {
	off := 0
	for i := range o.items {
		it := &o.items[i]
		if it.kind == itemBytes {
			if err := w.bytes(o.buf[off : off+it.bytes]); err != nil {
				return err
			}
			off += it.bytes
			w.link.out.written(it.bytes, 0)
			continue
		}
		if err := w.slow(it); err != nil {
			return err
		}
		w.link.out.written(itemCost, 1)
	}
	return nil
}

// bytes writes b, so much at a time that a deadline for each is fair.
func (w *writer) bytes(b []byte) error {
	l := w.link
	for len(b) > 0 {
		n := min(len(b), writeBytes)
		if !l.deadline(l.conn.SetWriteDeadline, l.patience.Load()) {
			return errClosed
		}
		if _, err := l.conn.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func (w *writer) slow(it *item) error {
	switch it.kind {
	case itemSnapshot:
		return w.snapshot(it)
	case itemCommits:
		return w.commits(it.from, it.to)
	}
	for from := it.from; from < it.to; {
		last, err := w.gather(it.kind, from, it.to)
		if err != nil {
			return err
		}
		if err := w.flush(); err != nil {
			return err
		}
		from = last
	}
	return nil
}

// gather fills the piece with the next transactions of a range, at least one.
func (w *writer) gather(kind itemKind, from, to wire.Zxid) (last wire.Zxid, err error) {
	last, hole := from, false
	err = w.link.r.store.Range(from, to, func(z wire.Zxid, txn []byte) bool {
		if hole = !zab.Follows(last, z); hole {
			return false
		}
		last, w.piece = z, appendTxn(w.piece, kind, z, txn)
		return len(w.piece) < pieceBytes
	})
	if err == nil && (hole || last == from) {
		err = fmt.Errorf("transactions (%v, %v] of the store: no way on behind %v", from, to, last)
	}
	return last, err
}

// appendTxn appends the packets of one transaction.
func appendTxn(dst []byte, kind itemKind, z wire.Zxid, txn []byte) []byte {
	p := wire.Packet{Type: wire.PacketProposal, Zxid: z, Data: txn}
	if kind == itemInform {
		p.Type = wire.PacketInform
	}
	dst = p.Append(dst)
	if kind == itemStream {
		dst = appendCommit(dst, z)
	}
	return dst
}

func appendCommit(dst []byte, z wire.Zxid) []byte {
	return (&wire.Packet{Type: wire.PacketCommit, Zxid: z}).Append(dst)
}

func (w *writer) commits(from, to wire.Zxid) error {
	for z := from + 1; z <= to; z++ {
		w.piece = appendCommit(w.piece, z)
		if len(w.piece) < pieceBytes && z < to {
			continue
		}
		if err := w.flush(); err != nil {
			return err
		}
	}
	return nil
}

// flush writes the piece.
func (w *writer) flush() error {
	err := w.bytes(w.piece)
	if cap(w.piece) > keepBytes {
		w.piece = nil
	}
	w.piece = w.piece[:0]
	w.progress()
	return err
}

// progress tells the machine, once in a while, that a stream moves.
func (w *writer) progress() {
	w.moved = w.link.progress(w.moved)
}

// progress posts EventProgress unless that was done a moment ago, and returns when it was done last.
func (l *link) progress(last int64) int64 {
	now := l.r.now()
	if now-last < progressMS {
		return last
	}
	l.r.box.post(letter{ev: zab.Event{Kind: zab.EventProgress, Link: l.name}, link: l})
	return now
}

// snapshot writes a spooled stream, and closes it.
func (w *writer) snapshot(it *item) error {
	s := it.snapshot
	it.snapshot = nil
	defer s.Close()
	buf := make([]byte, pieceBytes)
	for {
		n, err := s.Read(buf)
		if n > 0 {
			if err := w.bytes(buf[:n]); err != nil {
				return err
			}
			w.progress()
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("reading the snapshot: %w", err)
		}
	}
}
