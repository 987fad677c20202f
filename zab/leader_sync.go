package zab

import (
	"fmt"

	"paddock/wire"
)

// Synchronization: what a learner lacks, or has too much, is decided by arithmetic on zxids; then it gets
// what is outstanding, NEWLEADER, and from there on everything.
//
//	DIFF, TRUNC or SNAP ─▶ committed transactions ─▶ outstanding proposals ─▶ NEWLEADER ─▶ … ─▶ UPTODATE
//
// All of that but the opening of a snapshot happens in one step, and with it the learner is registered for
// what comes later: nothing can be proposed or committed in between.

// decision is how a learner comes to have our history: what it has up to From is ours too, or becomes so.
type decision struct {
	method wire.PacketType // DIFF, TRUNC or SNAP
	zxid   wire.Zxid       // in that packet
	from   wire.Zxid       // it gets what comes behind this
}

// decide chooses for a learner whose history ends with last. All of ours up to d is, or will be, committed.
//
// A zxid with the counter 0 stands for everything before its epoch: Java's servers report that when they
// have seen nothing of it. If it is above d it is a way to ask for a SNAP.
//
// TRUNC only goes where the learner is sure to have been: to a transaction of the epoch that its history
// ends in, for one leader made all of that, or of what it got in ours. Java's leaders send it across epochs
// and to the beginning of one, and its learners, where they do not have d, keep the first behind it.
func (l *leader) decide(last, d wire.Zxid) decision {
	h := &l.p.history
	switch {
	case last == d:
		return decision{wire.PacketDiff, d, d}
	case last > d && last.Counter() != 0 && d.Counter() != 0 && (last.Epoch() == d.Epoch() || last.Epoch() == int64(l.epoch)):
		if l.p.is(DiffForTrunc) {
			return decision{wire.PacketDiff, d, d}
		}
		if !l.p.cfg.SnapForTrunc {
			return decision{wire.PacketTrunc, d, d}
		}
	case last < d && (h.Has(last) || last >= h.Base() && last.Counter() == 0):
		from, _ := h.Floor(last)
		return decision{wire.PacketDiff, d, from}
	}
	return decision{method: wire.PacketSnap}
}

// settled returns up to where our history counts as committed for a learner that joins: all of it, before
// we serve, because it will be when we do.
func (l *leader) settled() wire.Zxid {
	if l.phase == broadcasting {
		return l.p.committed
	}
	return l.p.history.Last()
}

// synchronize begins to give a learner our history.
func (l *leader) synchronize(h *handler, out []Action) []Action {
	d := l.decide(h.last, l.settled())
	if d.method == wire.PacketSnap {
		h.stage = opening
		return append(out, Action{Kind: ActionSnapshot, Link: h.link, Text: h.alarm})
	}
	out = append(out, Action{
		Kind: ActionSend, Link: h.link, Text: h.alarm, Packet: wire.Packet{Type: d.method, Zxid: d.zxid},
	})
	return l.fill(h, d.from, out)
}

// snapshotOpened goes on behind a snapshot that shows the state after z. What follows it may have been purged
// while it was written.
func (l *leader) snapshotOpened(h *handler, z wire.Zxid, out []Action) []Action {
	if h.stage == opening && z < l.p.history.Base() {
		return l.refuse(h, out, "its snapshot shows %v, and the log begins behind %v by now", z, l.p.history.Base())
	}
	if h.stage != opening || !l.p.history.Has(z) || z > l.p.committed {
		panic(fmt.Sprintf("zab: a snapshot of %v, but of %v up to %v is committed", z, &l.p.history, l.p.committed))
	}
	return l.fill(h, z, out)
}

// fill sends what is behind from, and NEWLEADER, and registers the learner for what comes later. An observer
// gets nothing that is not committed.
func (l *leader) fill(h *handler, from wire.Zxid, out []Action) []Action {
	to, last := l.settled(), l.p.history.Last()
	if next, ok := l.p.history.Next(from); ok && l.p.is(DiffHole) {
		from = min(next, to)
	}
	if from < to {
		out = append(out, Action{Kind: ActionStream, Link: h.link, From: from, Zxid: to})
	}
	if to < last && !h.observer {
		out = append(out, Action{Kind: ActionPropose, Link: h.link, From: to, Zxid: last})
	}
	h.stage, h.deadline, h.forwarding = filling, l.p.now+l.initLimit(), true
	return append(out, Action{
		Kind: ActionSend, Link: h.link,
		Packet: wire.Packet{Type: wire.PacketNewLeader, Zxid: l.at(0), Data: l.p.lastSeen.Text()},
	})
}

// progress puts the deadline of a learner off while our bytes move: a snapshot may take longer than
// initLimit.
func (l *leader) progress(link Link) {
	if h := l.handler(link); h != nil && h.stage == filling {
		h.deadline = l.p.now + l.initLimit()
	}
}

// ackNewLeader hears that a learner has our history on its disk. Java's learners of some releases may
// acknowledge a proposal first, with another thread: that stands, and NEWLEADER is still to come.
func (l *leader) ackNewLeader(h *handler, p *wire.Packet, out []Action) []Action {
	if p.Zxid != l.at(0) && !l.p.is(OldAcksCount) {
		if p.Zxid.Counter() == 0 || !l.p.history.Has(p.Zxid) {
			return l.refuse(h, out, "server %d acknowledges %v for NEWLEADER %v", h.id, p.Zxid, l.at(0))
		}
		h.take(p.Zxid, l)
		return out
	}
	h.stage, h.deadline = caughtUp, 0 // before we serve there is only the deadline of the phase
	if l.phase == broadcasting {
		return l.advance(l.welcome(h, out))
	}
	l.add(&l.synced, h)
	return l.establish(out)
}

// establish begins to serve, when a quorum has our history and epoch on its disks, we among them. With
// that all of it is committed.
func (l *leader) establish(out []Action) []Action {
	p := l.p
	if l.phase != synchronizing || (!p.quorum(&l.synced) || p.epochs.Current != l.epoch) && !p.is(ServesEarly) {
		return out
	}
	l.phase, l.deadline = broadcasting, 0
	p.election.established(l.epoch)
	out = p.commit(p.history.Last(), out)
	if out, _ = p.activate(p.lastSeen, noLeader, out); !p.view.Voter(p.cfg.ID) {
		p.quit("configuration %v is in force, and it has no vote there", p.view.Version)
		return out
	}
	out = append(out, Action{Kind: ActionLead, Epoch: l.epoch})
	for _, h := range l.handlers {
		if h.stage == caughtUp {
			out = l.welcome(h, out)
		}
	}
	return out
}

// welcome lets a learner serve.
func (l *leader) welcome(h *handler, out []Action) []Action {
	h.deadline = l.p.now + l.syncLimit()
	return append(out, Action{
		Kind: ActionSend, Link: h.link, Need: Epochs{l.epoch, l.epoch},
		Packet: wire.Packet{Type: wire.PacketUpToDate, Zxid: -1},
	})
}
