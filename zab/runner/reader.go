package runner

import (
	"errors"
	"fmt"

	"paddock/wire"
	"paddock/zab"
)

// inbound is bytes of a link with the packets that were found in them. It goes from the reader to the
// loop and back: the reader owns it while it fills it, the loop from the letter until giveBack.
type inbound struct {
	buf     []byte
	n       int           // bytes that were read
	used    int           // of them, up to the end of the last packet in packets
	packets []wire.Packet // alias buf
}

const maxInboundKept = 256 << 10 // a larger buffer is replaced when it is empty

// scan takes the whole packets apart. From a leader come transactions, which are looked at here, beside the
// loop; and it stops behind a SNAP, which raw bytes follow, and says so.
func (in *inbound) scan(s *wire.PacketScanner, fromLeader bool) (snap bool, err error) {
	for in.used < in.n {
		p, n, err := s.Next(in.buf[in.used:in.n])
		if err != nil {
			return false, err
		}
		if n == 0 {
			return false, nil
		}
		if fromLeader {
			if err := verify(&p); err != nil {
				return false, err
			}
		}
		in.used += n
		in.packets = append(in.packets, p)
		if fromLeader && p.Type == wire.PacketSnap {
			return true, nil
		}
	}
	return false, nil
}

var errOtherZxid = errors.New("its transaction has another zxid")

// verify looks at the transaction that a packet carries. Whoever logs it relies on its form, and what a log
// cannot read back is worse than a leader that is left.
func verify(p *wire.Packet) error {
	txn := p.Data
	switch p.Type {
	case wire.PacketProposal, wire.PacketInform:
	case wire.PacketInformAndActivate:
		var q wire.InformAndActivate
		if r := wire.NewReader(p.Data); q.Decode(&r) != nil {
			return fmt.Errorf("%v %v: %w", p.Type, p.Zxid, r.Err())
		}
		txn = q.Txn
	default:
		return nil
	}
	h, _, _, _, err := wire.SplitTxn(txn)
	if err == nil && h.Zxid != p.Zxid {
		err = errOtherZxid
	}
	if err != nil {
		return fmt.Errorf("%v %v of %d bytes: %w", p.Type, p.Zxid, len(p.Data), err)
	}
	return nil
}

// begin empties in for bytes that begin with tail. tail may alias it.
func (in *inbound) begin(tail []byte) {
	if len(in.buf) > maxInboundKept && len(tail) <= inboundBytes || len(in.buf) < len(tail) {
		in.buf = make([]byte, max(inboundBytes, len(tail)))
	}
	in.n = copy(in.buf, tail)
	in.used = 0
	clear(in.packets)
	in.packets = in.packets[:0]
}

// room makes sure that something can be read: a packet that is larger than the buffer doubles it. The
// scanner has looked at the lengths that it claims.
func (in *inbound) room() {
	if in.n < len(in.buf) {
		return
	}
	buf := make([]byte, 2*len(in.buf))
	copy(buf, in.buf)
	in.buf = buf
}

// giveBack returns buffers to the reader, when the loop is done with them.
func (l *link) giveBack(in *inbound) {
	if invariants {
		for i := range in.buf[:in.used] {
			in.buf[i] = 0xDD // whoever kept a packet reads this
		}
	}
	l.free <- in // never waits: there are as many places as buffers
}

// read is the goroutine that reads from the connection.
func (l *link) read() {
	defer l.leave()
	l.fail(fmt.Errorf("reading: %w", l.receive()))
}

// receive reads packets, and streams behind a SNAP, until there is an error.
func (l *link) receive() error {
	scanner := wire.PacketScanner{MaxData: l.r.cfg.MaxPacketBytes}
	in := <-l.free
	if !l.dialed && !l.deadline(l.conn.SetReadDeadline, l.r.cfg.HandshakeMS) {
		return errClosed
	}
	for {
		snap, err := in.scan(&scanner, l.dialed)
		if len(in.packets) > 0 {
			full, kind := in, zab.EventPacket
			if l.known() {
				kind = zab.EventAccepted
				if !l.deadline(l.conn.SetReadDeadline, 0) {
					return errClosed
				}
			}
			zxid := in.packets[len(in.packets)-1].Zxid
			l.r.box.post(letter{ev: zab.Event{Kind: kind, Link: l.name}, link: l, in: full})
			if in, err = l.nextBuffer(full, err); err != nil {
				return err
			}
			if snap {
				if err := l.feed(in, zxid); err != nil {
					return err
				}
				continue
			}
		}
		if err != nil {
			return err
		}
		in.room()
		n, err := l.conn.Read(in.buf[in.n:])
		in.n += n
		if err != nil && n == 0 {
			return err
		}
	}
}

// nextBuffer waits for a buffer, and begins it with what is behind the packets of the full one. That is in
// nobody's way: the loop reads the packets only, and a buffer that is free is nobody's.
func (l *link) nextBuffer(full *inbound, failed error) (*inbound, error) {
	tail := full.buf[full.used:full.n]
	select {
	case <-l.gone:
		return nil, errClosed
	case in := <-l.free:
		in.begin(tail)
		return in, failed
	}
}

var errRefused = errors.New("runner: a snapshot that nobody asked for")

// feed gives the stream behind a SNAP to the store's receiver: what is in the buffer, and then what
// comes. What is behind the stream stays in the buffer.
func (l *link) feed(in *inbound, zxid wire.Zxid) error {
	var to Receiver
	select {
	case <-l.gone:
		return errClosed
	case to = <-l.receiver:
	}
	if to == nil {
		return errRefused
	}
	moved := int64(0)
	for {
		n, err := to.Feed(in.buf[:in.n])
		if err != nil {
			return fmt.Errorf("the snapshot of %v: %w", zxid, err)
		}
		if to.Done() {
			in.begin(in.buf[n:in.n])
			break
		}
		if n < in.n {
			return fmt.Errorf("the snapshot of %v: the receiver took %d of %d bytes and is not done", zxid, n, in.n)
		}
		moved = l.progress(moved)
		if in.n, err = l.conn.Read(in.buf); err != nil && in.n == 0 {
			return err
		}
	}
	l.r.box.post(letter{ev: zab.Event{Kind: zab.EventSnapshotReceived, Link: l.name, Zxid: zxid}, link: l})
	return nil
}
