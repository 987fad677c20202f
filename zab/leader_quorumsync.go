package zab

import "paddock/wire"

// A sync is answered when everything that was proposed before it is committed and a quorum has said, after
// it was asked, that it still follows us. Else a leader that was deposed and does not know it yet would
// confirm what is long out of date (Java's does). That word is the answer to a PING or the ack of a proposal
// that were sent later than the sync came. Syncs wait for it together, in rounds.

// pendingSync waits for an answer.
type pendingSync struct {
	link  Link   // of the learner that forwarded it; 0: a client of ours
	token uint64 // of a client of ours
	after wire.Zxid
	round uint64 // this one, or a later, confirms it
}

// syncQueue is the syncs that wait, in order, and the round that runs for the first of them.
type syncQueue struct {
	queue     []pendingSync
	head      int
	round     uint64 // the last that has begun
	confirmed uint64 // the last that a quorum has confirmed
	last      wire.Zxid
}

func (q *syncQueue) waits() bool         { return q.head < len(q.queue) }
func (q *syncQueue) first() *pendingSync { return &q.queue[q.head] }

func (q *syncQueue) push(s pendingSync) {
	if q.head > 0 && q.head*2 >= len(q.queue) { // what was answered is half of it
		n := copy(q.queue, q.queue[q.head:])
		q.queue, q.head = q.queue[:n], 0
	}
	q.queue = append(q.queue, s)
}

// sync takes a sync that stands behind all that is proposed.
func (l *leader) sync(s pendingSync, out []Action) []Action {
	if l.phase != broadcasting || s.link != 0 && l.handler(s.link) == nil {
		return out // the role, or the link, has ended while it was on its way
	}
	s.after, s.round = l.p.history.Last(), l.syncs.round+1
	l.syncs.push(s)
	return l.confirm(out)
}

// confirm answers the syncs that may be answered, and begins a round for those that have none.
func (l *leader) confirm(out []Action) []Action {
	q := &l.syncs
	for {
		if q.confirmed < q.round && l.followed() {
			q.confirmed = q.round
		}
		switch {
		case !q.waits():
			return out
		case q.first().round <= q.confirmed && q.first().after <= l.p.committed:
			out = l.answer(out)
		case q.needsRound():
			out = l.startRound(out)
		default:
			return out
		}
	}
}

// needsRound says whether somebody waits for a round that has not begun, and none runs.
func (q *syncQueue) needsRound() bool {
	return q.confirmed == q.round && q.queue[len(q.queue)-1].round > q.round
}

// startRound asks all who have a vote. Who becomes up to date later says enough with that.
func (l *leader) startRound(out []Action) []Action {
	l.syncs.round++
	l.syncs.last = l.p.history.Last()
	for _, h := range l.handlers {
		if h.voter && h.stage == caughtUp {
			out = l.ping(h, out)
			h.want = h.pings
		}
	}
	return out
}

// followed says whether a quorum has followed us since the round began.
func (l *leader) followed() bool {
	l.count.Clear()
	l.count.Add(l.p.cfg.ID)
	for _, h := range l.handlers {
		if h.upToDate && (h.pongs >= h.want || h.acked > l.syncs.last) {
			l.add(&l.count, h)
		}
	}
	return l.p.quorum(&l.count) || l.p.is(SyncWithoutQuorum)
}

// answer answers the first sync.
func (l *leader) answer(out []Action) []Action {
	q := &l.syncs
	s := *q.first()
	q.head++
	if s.link == 0 {
		return append(out, Action{Kind: ActionSynced, Token: s.token})
	}
	if l.handler(s.link) == nil {
		return out
	}
	return append(out, Action{Kind: ActionSend, Link: s.link, Packet: wire.Packet{Type: wire.PacketSync}})
}
