package runner

import (
	"errors"
	"fmt"
	"slices"

	"paddock/wire"
	"paddock/zab"
)

// What links have to say to the loop.

// accepted takes in somebody who has connected and said something. A learner is often sooner with its vote
// than we are: while we look it is made to wait a moment, rather than to come again.
func (r *Runner) accepted(m *letter) {
	l := m.link
	r.identify(l, m.in)
	switch s := r.peer.State(); {
	case l.over(): // and its EventLost was here already, perhaps
		l.giveBack(m.in)
	case s == zab.Leading:
		r.begins(l, m.in)
	case s == zab.Looking:
		r.parked = append(r.parked, parked{l, m.in, r.clock + r.cfg.HoldMS})
	default:
		l.end()
		l.giveBack(m.in)
	}
}

// begins tells the machine of an accepted link.
func (r *Runner) begins(l *link, in *inbound) {
	r.links[l.name] = l
	r.step(zab.Event{Kind: zab.EventAccepted, Link: l.name})
	r.packets(l, in)
}

// settleParked lets those in who have waited for us to lead, and sends away those who did so in vain.
func (r *Runner) settleParked() {
	if len(r.parked) == 0 {
		return
	}
	waiting := r.parked
	r.parked = nil
	for _, p := range waiting {
		switch {
		case r.stopped:
		case r.peer.State() == zab.Leading:
			r.begins(p.link, p.in)
		case r.peer.State() == zab.Looking && r.clock < p.until && !p.link.over():
			r.parked = append(r.parked, p)
		default:
			p.link.end()
			p.link.giveBack(p.in)
		}
	}
}

// identify notes, for people, who is at the other end.
func (r *Runner) identify(l *link, in *inbound) {
	p := &in.packets[0]
	if p.Type != wire.PacketFollowerInfo && p.Type != wire.PacketObserverInfo {
		return
	}
	var info wire.LearnerInfo
	if rd := wire.NewReader(p.Data); info.Decode(&rd) == nil {
		l.status.Server = zab.ServerID(info.ServerID)
	}
	l.status.Observer = p.Type == wire.PacketObserverInfo
}

// packets steps the machine with what a link has read, and gives the buffer back.
func (r *Runner) packets(l *link, in *inbound) {
	for i := range in.packets {
		if r.stopped || r.links[l.name] != l {
			break // closed, by us or by what it said
		}
		p := &in.packets[i]
		if p.Type == wire.PacketAck {
			l.status.Acked = max(l.status.Acked, p.Zxid)
		}
		r.step(zab.Event{Kind: zab.EventPacket, Link: l.name, Packet: *p})
		if p.Type == wire.PacketSnap && l.dialed {
			r.receive(l, p.Zxid)
		}
	}
	l.giveBack(in)
}

// receive lets the reader of a link go on with the stream that follows a SNAP, if the machine wants it.
func (r *Runner) receive(l *link, zxid wire.Zxid) {
	if r.stopped || r.links[l.name] != l {
		return
	}
	r.receiving, r.worked = true, true
	l.receiver <- r.store.Receive(l.name, zxid) // never waits: the reader stops at each SNAP for this
}

// dialed tells the machine what became of the dial that it asked for last.
func (r *Runner) dialed(m *letter) {
	if m.dial != r.dials {
		m.discard()
		return
	}
	who := r.dialing
	r.stopDial()
	if m.err != nil {
		r.once.warn(r.log, who, "cannot connect to the leader", "server", who, "err", m.err)
		r.step(m.ev)
		return
	}
	r.once.forget(who)
	l := r.newLink(m.conn, true)
	if err := r.opened(l, r.cfg.MaxLinks); err != nil {
		m.conn.Close()
		r.step(zab.Event{Kind: zab.EventDialFailed})
		return
	}
	l.status.Server = r.peer.Vote().Leader
	r.links[l.name] = l
	r.step(zab.Event{Kind: zab.EventDialed, Link: l.name})
}

// lost tells the machine of a link that ended by itself.
func (r *Runner) lost(m *letter) {
	l := m.link
	if r.links[l.name] != l {
		r.parked = slices.DeleteFunc(r.parked, func(p parked) bool { return p.link == l })
		return
	}
	delete(r.links, l.name)
	if !errors.Is(m.err, errClosed) {
		r.once.warn(r.log, l.lostKey(), "a link is gone", "server", int64(l.status.Server), "remote", l.status.Remote, "err", m.err)
	}
	r.step(m.ev)
}

// closeLink closes a link as the machine wants it. Its goroutines end by themselves.
func (r *Runner) closeLink(a *zab.Action) {
	l := r.links[a.Link]
	if l == nil {
		return
	}
	delete(r.links, a.Link)
	if a.Text != "" {
		r.once.info(r.log, "closed "+a.Text, "closes a link", "server", int64(l.status.Server), "remote", l.status.Remote, "why", a.Text)
	}
	l.end()
}

// lostKey names what is said once of a server until it is in order again.
func (l *link) lostKey() string { return fmt.Sprintf("lost %d", l.status.Server) }
