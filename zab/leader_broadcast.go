package zab

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"paddock/wire"
)

// Broadcast: proposals go out in ranges, acks come in, and what a quorum has on its disks is committed, in
// order. Beside that: who is still there, and syncs.

// lastCounter is the last that an epoch proposes. The next but one would run into the bits of the epoch.
const lastCounter = math.MaxUint32 - 1

// lastCounter returns the last counter of our epochs.
func (l *leader) lastCounter() int64 { return cmp.Or(l.p.cfg.LastCounter, lastCounter) }

// propose sends what our sequencer has made, up to z. Our own log gets it without us.
func (l *leader) propose(z wire.Zxid, out []Action) []Action {
	h := &l.p.history
	from := h.Last()
	if l.phase != broadcasting || z.Epoch() != int64(l.epoch) || z <= from || z.Counter() > l.lastCounter() {
		panic(fmt.Sprintf("zab: proposals up to %v after %v, leading epoch %d", z, from, l.epoch))
	}
	for next := max(from+1, l.at(1)); next <= z; next++ {
		h.Append(next)
	}
	for _, f := range l.handlers {
		if f.forwarding && !f.observer {
			f.late.sent(z, l.p.now, f.stage == caughtUp)
			out = append(out, Action{Kind: ActionPropose, Link: f.link, From: from, Zxid: z})
		}
	}
	out = l.advance(out) // alone, our own log may have it already
	if z.Counter() == l.lastCounter() {
		l.p.quit("epoch %d is used up", l.epoch)
	}
	return out
}

// hear takes a packet of a learner that has caught up.
func (l *leader) hear(h *handler, p *wire.Packet, out []Action) []Action {
	serves := l.phase == broadcasting
	if serves {
		h.deadline = l.p.now + l.syncLimit()
	}
	switch p.Type {
	case wire.PacketAck:
		return l.ack(h, p.Zxid, out)
	case wire.PacketPing:
		return l.pong(h, p, out)
	case wire.PacketRequest:
		var q wire.ForwardedRequest
		if r := wire.NewReader(p.Data); serves && q.Decode(&r) == nil {
			return append(out, Action{Kind: ActionRequest, Link: h.link, Packet: *p})
		}
	case wire.PacketRevalidate:
		var q wire.RevalidateRequest
		if r := wire.NewReader(p.Data); serves && q.Decode(&r) == nil {
			return append(out, Action{Kind: ActionRevalidate, Link: h.link, Packet: *p})
		}
	default:
		if p.Type > wire.PacketInformAndActivate {
			return out // of a later release, perhaps: Java's leaders pass over it too
		}
	}
	return l.refuse(h, out, "server %d: %v of %d bytes out of turn, or garbled", h.id, p.Type, len(p.Data))
}

// ack hears that a learner has a proposal on its disk, and with it all before. The ack of the epoch itself
// is that of UPTODATE.
func (l *leader) ack(h *handler, z wire.Zxid, out []Action) []Action {
	if z == l.at(0) {
		h.upToDate = h.upToDate || l.phase == broadcasting
		return l.confirm(out)
	}
	if !h.take(z, l) {
		return out
	}
	return l.advance(out)
}

// take remembers what a learner has acknowledged, and reports whether that is new. What we have not
// proposed it cannot have; what is committed needs nobody, and all of earlier epochs is, when acks count.
func (h *handler) take(z wire.Zxid, l *leader) bool {
	if l.p.is(OldAcksCount) {
		z = l.at(z.Counter())
	}
	if h.observer || z.Counter() == 0 || z.Epoch() != int64(l.epoch) || z > l.p.history.Last() || z <= h.acked {
		return false
	}
	h.acked = z
	h.late.acked(z)
	return true
}

// advance commits what has a quorum, and answers the syncs that waited for it. A sync has its place between
// two transactions, and SYNC leaves between their COMMITs: Java's learners match what comes back with what
// they forwarded by its order alone.
func (l *leader) advance(out []Action) []Action {
	if l.phase != broadcasting {
		return out
	}
	to := l.reached()
	for l.syncs.waits() && l.syncs.first().after < to {
		// What was proposed behind the sync has a quorum, and that quorum followed us when it logged it.
		out = l.release(l.syncs.first().after, out)
		out = l.answer(out)
	}
	return l.confirm(l.release(to, out))
}

// reached returns the last zxid that a quorum has on its disks: of each view, since all that is outstanding
// was proposed under both. It is one that somebody has acknowledged, so only those are tried.
func (l *leader) reached() wire.Zxid {
	p := l.p
	own := min(p.durable, p.history.Last()) // news of the disk may come before those of the sequencer
	if p.is(CountsItselfEarly) {
		own = p.history.Last()
	}
	l.marks = append(l.marks[:0], own)
	for _, h := range l.handlers {
		if h.acked > p.committed {
			l.marks = append(l.marks, h.acked)
		}
	}
	slices.Sort(l.marks)
	for i := len(l.marks) - 1; i >= 0 && l.marks[i] > p.committed; i-- {
		if l.has(l.marks[i], own) {
			return l.marks[i]
		}
	}
	return p.committed
}

// has says whether a quorum has z on its disks.
func (l *leader) has(z, own wire.Zxid) bool {
	l.count.Clear()
	if own >= z {
		l.count.Add(l.p.cfg.ID)
	}
	for _, h := range l.handlers {
		if h.stage != caughtUp || h.acked < z {
			continue
		}
		l.add(&l.count, h)
		if h.voter && l.p.is(VoterCountedTwice) {
			l.addAnother(&l.count)
		}
	}
	return l.p.quorum(&l.count)
}

// release commits up to z, here and at all learners.
func (l *leader) release(z wire.Zxid, out []Action) []Action {
	from := l.p.committed
	if z <= from {
		return out
	}
	out = l.p.commit(z, out)
	if l.p.is(CommitsOutOfOrder) {
		from = max(from, z-1)
	}
	for _, h := range l.handlers {
		switch {
		case !h.forwarding:
		case h.observer:
			out = append(out, Action{Kind: ActionInform, Link: h.link, From: from, Zxid: z})
		default:
			out = append(out, Action{Kind: ActionCommits, Link: h.link, From: from, Zxid: z})
		}
	}
	return out
}

// tick looks at the time.
func (l *leader) tick(out []Action) []Action {
	now := l.p.now
	if l.deadline != 0 && now >= l.deadline {
		l.p.quit("it waited too long for %v", l.phase)
		return out
	}
	before := len(l.handlers)
	for i := 0; i < len(l.handlers); {
		h := l.handlers[i]
		switch {
		case h.deadline != 0 && now >= h.deadline:
			out = l.refuse(h, out, "server %d was silent for too long", h.id)
		case h.late.since(now) > l.syncLimit():
			out = l.refuse(h, out, "server %d has not logged %v in time", h.id, h.late.first)
		default:
			i++
		}
	}
	if len(l.handlers) < before { // do not serve one tick more, after a pause of our own perhaps
		l.checkQuorum()
	}
	if now < l.nextBeat {
		return out
	}
	l.nextBeat = now + l.beat()
	for _, h := range l.handlers {
		if h.stage == caughtUp {
			out = l.ping(h, out)
		}
	}
	if l.evenBeats = !l.evenBeats; !l.evenBeats {
		l.checkQuorum()
	}
	return out
}

// checkQuorum steps down when a quorum does not follow us any more: those who are silent have lost their
// links by now.
func (l *leader) checkQuorum() {
	if l.phase != broadcasting {
		return
	}
	l.count.Clear()
	l.count.Add(l.p.cfg.ID)
	for _, h := range l.handlers {
		if h.stage == caughtUp {
			l.add(&l.count, h)
		}
	}
	if !l.p.quorum(&l.count) {
		l.p.quit("it has lost its quorum: only %v are left", l.count)
	}
}

// ping asks a learner whether it is there. Before UPTODATE Java's learners do not answer, so those do not
// count.
func (l *leader) ping(h *handler, out []Action) []Action {
	if l.phase == broadcasting {
		h.pings++
	}
	last := max(l.p.history.Last(), l.at(0))
	return append(out, Action{Kind: ActionSend, Link: h.link, Packet: wire.Packet{Type: wire.PacketPing, Zxid: last}})
}

// pong takes the answer: the sessions that the learner has heard of. Until it has acknowledged UPTODATE it
// answers, if at all, what was asked before.
func (l *leader) pong(h *handler, p *wire.Packet, out []Action) []Action {
	var touched wire.TouchVec
	if r := wire.NewReader(p.Data); touched.Decode(&r) != nil {
		return l.refuse(h, out, "server %d: a PING with %d bytes of sessions", h.id, len(p.Data))
	}
	if touched.Len() > 0 && l.phase == broadcasting {
		out = append(out, Action{Kind: ActionTouch, Link: h.link, Packet: *p})
	}
	if !h.upToDate {
		return out
	}
	h.pongs = min(h.pongs+1, h.pings)
	return l.confirm(out)
}

// lag times a proposal that a learner has not acknowledged: one, and when that is done the latest that was
// sent meanwhile.
type lag struct {
	first, latest     wire.Zxid // 0: none
	firstAt, latestAt int64
}

func (g *lag) sent(z wire.Zxid, now int64, counts bool) {
	switch {
	case !counts: // the ack of NEWLEADER comes first, and has its own deadline
	case g.first == 0:
		g.first, g.firstAt = z, now
	default:
		g.latest, g.latestAt = z, now
	}
}

func (g *lag) acked(z wire.Zxid) {
	if z < g.first {
		return
	}
	*g = lag{first: g.latest, firstAt: g.latestAt}
	if z >= g.first {
		*g = lag{}
	}
}

// since returns for how long the timed proposal has been on its way.
func (g *lag) since(now int64) int64 {
	if g.first == 0 {
		return 0
	}
	return now - g.firstAt
}
