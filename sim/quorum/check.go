package quorum

import (
	"paddock/wire"
	"paddock/zab"
)

// talk is what one side of a connection has said, and what it has heard.
type talk struct {
	epoch     uint32    // of LEADERINFO, on both sides
	reported  wire.Zxid // by ACKEPOCH, on the leader's
	at        wire.Zxid // where the learner's log ends when it has all that the leader has sent
	how       wire.PacketType
	sent      int         // transactions, so far
	open      []wire.Zxid // proposals that were sent, and whose COMMIT was not
	newLeader bool
	upToDate  bool
	acked     bool      // NEWLEADER, on the learner's side
	lastAck   wire.Zxid // of a proposal
}

// claim is what a server says of its own log in a vote.
type claim struct {
	zxid  wire.Zxid
	epoch int64
}

// notified looks at a vote: what a server says of its own log is what its disk has. Where it lost
// something since it said so (TRUNC), others may still propose it for that, in the same round, and it agrees; discovery will not.
func (g *ghost) notified(s *server, a *zab.Action) {
	n, img := &a.Note, &s.disk.image
	if n.Zxid == -1 && s.peer.Trust() != zab.Trusted {
		return
	}
	said := claim{n.Zxid, n.PeerEpoch}
	switch {
	case zab.State(n.State) != zab.Looking || n.Leader != int64(s.id):
	case said == claim{img.log.zxid, int64(img.epochs.Current)}:
		s.claims[said] = true
	case !s.claims[said]:
		g.w.fail("Z12: server %d votes for itself with %v of epoch %d, and its disk has %v and %+v", s.id, n.Zxid, n.PeerEpoch, img.log, img.epochs)
	}
	before := s.lastNote
	s.lastNote = *n
	if zab.State(n.State) != zab.Looking || zab.State(before.State) != zab.Looking || n.Leader == before.Leader || before.Leader == 0 || n.Leader == int64(s.id) {
		return
	}
	switch {
	case n.PeerEpoch > before.PeerEpoch:
		g.w.hit(markVoteByEpoch)
	case n.PeerEpoch == before.PeerEpoch && n.Zxid > before.Zxid:
		g.w.hit(markVoteByZxid)
	case n.PeerEpoch == before.PeerEpoch && n.Zxid == before.Zxid && n.Leader > before.Leader:
		g.w.hit(markVoteByID)
	}
}

// gates looks at what a packet depends on.
func (g *ghost) gates(s *server, a *zab.Action) {
	img := &s.disk.image
	if !img.log.has(s.end.floor(a.After)) || s.end.zxid < a.After {
		g.w.fail("Z12: server %d sends %v %v, which needs the log up to %v; its disk has %v", s.id, a.Packet.Type, a.Packet.Zxid, a.After, img.log)
	}
	if img.epochs.Accepted < a.Need.Accepted || img.epochs.Current < a.Need.Current {
		g.w.fail("Z12: server %d sends %v %v, which needs %+v; its disk has %+v", s.id, a.Packet.Type, a.Packet.Zxid, a.Need, img.epochs)
	}
}

// sends looks at a packet that leaves.
func (g *ghost) sends(e *end, p *wire.Packet) {
	if e == e.conn.ends[0] {
		g.learnerSends(e, p)
	} else {
		g.leaderSends(e, p)
	}
}

func (g *ghost) leaderSends(e *end, p *wire.Packet) {
	s, t := e.s, &e.talk
	switch p.Type {
	case wire.PacketLeaderInfo:
		t.epoch = uint32(p.Zxid.Epoch())
		if s.disk.image.epochs.Accepted < t.epoch {
			g.w.fail("Z12: server %d proposes epoch %d, and its disk has %+v", s.id, t.epoch, s.disk.image.epochs)
		}
	case wire.PacketDiff, wire.PacketTrunc, wire.PacketSnap:
		g.synchronizes(e, p)
	case wire.PacketProposal, wire.PacketInform:
		g.offers(e, p)
	case wire.PacketCommit:
		if len(t.open) == 0 || t.open[0] != p.Zxid {
			g.w.fail("Z13: server %d commits %v at %d, where %v are open", s.id, p.Zxid, e.other.s.id, t.open)
			return
		}
		t.open = t.open[1:]
		if t.newLeader && !t.upToDate {
			g.w.hit(markCommitBeforeUpToDate)
		}
		if t.upToDate {
			g.tells(s, p.Zxid)
		}
	case wire.PacketNewLeader:
		if uint32(p.Zxid.Epoch()) != t.epoch || p.Zxid.Counter() != 0 {
			g.w.fail("I-10: server %d sends NEWLEADER %v in epoch %d", s.id, p.Zxid, t.epoch)
		}
		t.newLeader = true
		g.countSync(t)
	case wire.PacketUpToDate:
		t.upToDate = true
		if !g.established(t.epoch) || g.leaders[t.epoch] != s.id {
			g.w.fail("Z10: server %d says that %d is up to date in epoch %d, and no quorum has its history", s.id, e.other.s.id, t.epoch)
		}
	}
}

// tells looks at a commit that a leader tells of, once it is established.
func (g *ghost) tells(s *server, z wire.Zxid) {
	if t := g.proposed[z]; t == nil || !g.chosen.has(t) {
		g.w.fail("Z11: server %d tells of the commit of %v; committed is %v", s.id, z, g.chosen)
	}
}

// synchronizes looks at the packet that says where a synchronization begins.
func (g *ghost) synchronizes(e *end, p *wire.Packet) {
	t := &e.talk
	if t.how != 0 {
		g.w.fail("I-10: server %d sends %v to %d after %v", e.s.id, p.Type, e.other.s.id, t.how)
	}
	t.how, t.at = p.Type, p.Zxid
	switch {
	case p.Type == wire.PacketDiff:
		t.at = t.reported
		if t.at.Counter() != 0 && e.s.end.find(t.at) == nil {
			g.w.fail("I-10: server %d sends DIFF to %d, which has %v, and it has not", e.s.id, e.other.s.id, t.at)
		}
	case p.Type == wire.PacketTrunc:
		g.w.hit(markTrunc)
	case t.reported.Epoch() > int64(t.epoch):
		g.w.hit(markForcedSnap)
	case e.s.purges > 0 && t.reported < e.s.told.zxid && e.s.end.find(t.reported) != nil:
		g.w.hit(markSnapBehindPurge)
	}
	if p.Type != wire.PacketSnap && e.s.end.find(p.Zxid) == nil && p.Zxid != t.reported {
		g.w.fail("I-10: server %d sends %v %v, which it does not have", e.s.id, p.Type, p.Zxid)
	}
}

// countSync marks what a synchronization consisted of.
func (g *ghost) countSync(t *talk) {
	switch {
	case t.how == wire.PacketDiff && t.sent > 0:
		g.w.hit(markDiff)
	case t.how == wire.PacketDiff:
		g.w.hit(markDiffEmpty)
	case t.how == wire.PacketTrunc && t.sent > 0:
		g.w.hit(markTruncThenProposals)
	}
	if len(t.open) > 0 {
		g.w.hit(markProposalBeforeNewLeader)
	}
}

// offers looks at a transaction on its way to a learner: the one behind what it was sent before.
func (g *ghost) offers(e *end, p *wire.Packet) {
	t := &e.talk
	if t.how == 0 {
		g.w.fail("I-10: server %d sends %v %v to %d before it is synchronized", e.s.id, p.Type, p.Zxid, e.other.s.id)
	}
	if !zab.Follows(t.at, p.Zxid) && g.w.plan.holes == 0 {
		g.w.fail("Z7: server %d sends %v %v to %d behind %v", e.s.id, p.Type, p.Zxid, e.other.s.id, t.at)
	}
	t.at = p.Zxid
	t.sent++
	if t.newLeader && !t.upToDate {
		g.w.hit(markProposalBeforeUpToDate)
	}
	if p.Type == wire.PacketInform {
		if t.upToDate {
			g.tells(e.s, p.Zxid)
		}
		return
	}
	t.open = append(t.open, p.Zxid)
}

func (g *ghost) learnerSends(e *end, p *wire.Packet) {
	s, t, img := e.s, &e.talk, &e.s.disk.image
	switch p.Type {
	case wire.PacketFollowerInfo, wire.PacketObserverInfo:
		if p.Zxid.Epoch() > int64(img.epochs.Accepted) {
			g.w.fail("Z12: server %d claims to have accepted epoch %d, and its disk has %+v", s.id, p.Zxid.Epoch(), img.epochs)
		}
	case wire.PacketAckEpoch:
		g.acksEpoch(e, p)
	case wire.PacketAck:
		if p.Zxid.Counter() == 0 {
			g.acksNewLeader(e, p)
			return
		}
		g.acks(e, p)
	default:
		if !t.acked && p.Type != wire.PacketPing {
			g.w.fail("I-10: server %d sends %v before it has acknowledged NEWLEADER", s.id, p.Type)
		}
	}
}

func (g *ghost) acksEpoch(e *end, p *wire.Packet) {
	s, t, img := e.s, &e.talk, &e.s.disk.image
	var ack wire.AckEpoch
	r := wire.NewReader(p.Data)
	if err := ack.Decode(&r); err != nil {
		g.w.fail("J-10: ACKEPOCH of %d: %v", s.id, err)
	}
	if img.epochs.Accepted > t.epoch {
		g.w.fail("Z2: server %d acknowledges epoch %d, and has promised not to: %+v", s.id, t.epoch, img.epochs)
	}
	if img.epochs.Accepted < t.epoch {
		g.w.fail("Z12: server %d acknowledges epoch %d, and its disk has %+v", s.id, t.epoch, img.epochs)
	}
	if ack.Epoch != -1 && uint32(ack.Epoch) != img.epochs.Current {
		g.w.fail("Z12: server %d claims to be in epoch %d, and its disk has %+v", s.id, ack.Epoch, img.epochs)
	}
	forced := p.Zxid.Counter() == 0 && p.Zxid.Epoch() > int64(t.epoch)
	if p.Zxid != img.log.zxid && !forced {
		g.w.fail("Z12: server %d claims to have %v, and its disk has %v", s.id, p.Zxid, img.log)
	}
}

func (g *ghost) acksNewLeader(e *end, p *wire.Packet) {
	s, t, img := e.s, &e.talk, &e.s.disk.image
	epoch := uint32(p.Zxid.Epoch())
	if epoch != t.epoch {
		g.w.fail("Z13: server %d acknowledges %v in epoch %d", s.id, p.Zxid, t.epoch)
	}
	t.acked = true
	if img.epochs.Current != epoch {
		g.w.fail("Z12: server %d acknowledges NEWLEADER of epoch %d, and its disk has %+v", s.id, epoch, img.epochs)
	}
	g.vouches(s, epoch)
}

func (g *ghost) acks(e *end, p *wire.Packet) {
	s, t, img := e.s, &e.talk, &e.s.disk.image
	switch known := img.log.find(p.Zxid); {
	case !t.acked:
		g.w.fail("Z13: server %d acknowledges %v before NEWLEADER", s.id, p.Zxid)
	case p.Zxid.Epoch() != int64(t.epoch):
		g.w.fail("Z13: server %d acknowledges %v in epoch %d", s.id, p.Zxid, t.epoch)
	case p.Zxid <= t.lastAck:
		g.w.fail("Z13: server %d acknowledges %v after %v", s.id, p.Zxid, t.lastAck)
	case known == nil || known != g.proposed[p.Zxid]:
		g.w.fail("Z12: server %d acknowledges %v, and its disk has %v", s.id, p.Zxid, img.log)
	}
	t.lastAck = p.Zxid
}

// received remembers what a side has heard.
func (g *ghost) received(e *end, p *wire.Packet) {
	switch p.Type {
	case wire.PacketLeaderInfo:
		e.talk.epoch = uint32(p.Zxid.Epoch())
	case wire.PacketAckEpoch:
		e.talk.reported = p.Zxid
	}
}
