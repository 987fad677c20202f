package zab

import (
	"bytes"
	"math"

	"paddock/wire"
)

// learner is the role of who follows, or observes, a leader: it promises its epoch, makes the leader's
// history its own, and then logs what is proposed and commits what the leader says.
//
//	dialing ──▶ introduced ──LEADERINFO──▶ accepting ──epoch durable, ACKEPOCH──▶ proffered
//	                                                                                │
//	            ┌──────────────────────────── DIFF ─────────────────────────────────┤
//	            ├──────────── cutting ◀────── TRUNC ────────────────────────────────┤
//	            ├─────────── receiving ◀───── SNAP ─────────────────────────────────┘
//	            ▼
//	        replaying ──NEWLEADER──▶ settling, or installing what was received, and then settling
//	                                     │
//	serving ◀──UPTODATE── joined ◀──ACK── adopting (the epoch)
//
// While the disk is busy the leader may go on: what it says is taken in as it comes, but for a log that is
// being cut, where it waits in held.
//
// Source: Learner, Follower, Observer; ZooKeeper 3.9.4 to 3.10. Traps are named after the catalogue of
// quorum-protocol.md 9.3 (B-01 and so on).
type learner struct {
	p      *Peer
	leader ServerID
	link   Link // 0: none yet
	stage  learnerStage

	began     int64
	connectBy int64 // when connecting has to be over
	deadline  int64 // of the connecting, or of the next packet
	redialAt  int64 // 0: a dial is on its way
	epoch     uint32

	forced    bool          // we have asked for a snapshot
	snap      bool          // the history is received, not continued
	committed wire.Zxid     // up to where the leader says that it is
	settle    wire.Zxid     // up to where the log has to be durable before NEWLEADER is acknowledged
	acked     wire.Zxid     // the last proposal that we acknowledged
	config    *View         // of NEWLEADER, in force with UPTODATE; nil: none
	held      []wire.Packet // came while the disk was busy with what is before them
}

type learnerStage uint8

const (
	dialing    learnerStage = iota
	introduced              // waits for LEADERINFO
	accepting               // waits for its own record of the epoch
	proffered               // waits for DIFF, TRUNC or SNAP
	cutting                 // waits for the truncation of its log
	receiving               // waits for the end of the stream
	replaying               // takes transactions until NEWLEADER
	settling                // waits until those are durable
	installing              // waits until the received snapshot is durable
	adopting                // waits for its own record of the current epoch
	joined                  // waits for UPTODATE
	serving
)

const (
	redialMS = 100  // pause before a leader that does not listen yet is dialled again
	dialMS   = 1000 // a dial that fails later than that is the last. Java's servers try five times, 100 ms apart
)

func newLearner(p *Peer, leader ServerID) *learner { return &learner{p: p, leader: leader} }

func (l *learner) start(out []Action) []Action {
	ticks := l.p.cfg.InitTicks
	if l.p.cfg.ConnectTicks > 0 {
		ticks = l.p.cfg.ConnectTicks
	}
	l.began = l.p.now
	l.connectBy = l.p.now + ticks*l.p.cfg.TickMS
	l.deadline = l.connectBy
	return append(out, Action{Kind: ActionDial, To: l.leader})
}

// step takes one event.
func (l *learner) step(ev *Event, out []Action) []Action {
	switch ev.Kind {
	case EventTick:
		return l.tick(out)
	case EventAccepted: // we do not lead
		return append(out, Action{Kind: ActionClose, Link: ev.Link})
	case EventDialed:
		return l.dialed(ev.Link, out)
	case EventNotification:
		if why := l.p.election.vain(); l.stage <= proffered && why != "" {
			l.p.quit("%s", why)
		}
	case EventDialFailed:
		l.dialFailed()
	case EventPacket:
		if ev.Link == l.link {
			return l.packet(&ev.Packet, out)
		}
	case EventProgress:
		if ev.Link == l.link {
			l.wait()
		}
	case EventLost:
		if ev.Link == l.link {
			l.lost()
		}
	case EventEpochsSaved:
		return l.saved(out)
	case EventTruncated:
		if l.stage == cutting {
			return l.release(out)
		}
	case EventSnapshotReceived:
		if ev.Link == l.link {
			return l.received(ev.Zxid, out)
		}
	case EventInstalled:
		return l.installed(out)
	case EventDurable:
		return l.durable(out)
	case EventResign:
		l.p.quit("it was asked to")
	}
	return out
}

// end closes the link. What was received and not installed is nobody's: neither a snapshot without its
// end nor what was applied to it may meet the log that is on the disk (B-04).
func (l *learner) end(out []Action) []Action {
	if l.link != 0 {
		out = append(out, Action{Kind: ActionClose, Link: l.link, Text: "we do not follow any more"})
	}
	switch {
	case !l.snap || l.stage >= installing:
		return out
	case l.p.is(SnapReused) && l.stage >= replaying:
		l.p.history, l.p.durable = l.p.received.Clone(), l.p.received.Last()
		return out
	}
	l.p.received.Reset(0)
	return append(out, Action{Kind: ActionDiscard})
}

func (l *learner) tick(out []Action) []Action {
	switch {
	case l.p.now >= l.deadline && l.stage == dialing:
		l.p.quit("server %d cannot be reached", l.leader)
	case l.p.now >= l.deadline && !l.busy():
		l.p.quit("server %d was silent for too long", l.leader)
	case l.redialAt != 0 && l.p.now >= l.redialAt:
		l.redialAt = 0
		out = append(out, Action{Kind: ActionDial, To: l.leader})
	}
	return out
}

// busy says whether it is we who are waited for: our disk has no deadline here.
func (l *learner) busy() bool {
	switch l.stage {
	case accepting, cutting, settling, installing, adopting:
		return true
	}
	return false
}

// dialFailed tries again, for as long as the leader may need to find out that it was elected. Nobody tells us
// that it is gone.
func (l *learner) dialFailed() {
	switch {
	case l.stage != dialing:
	case l.p.now-l.began >= dialMS:
		l.p.quit("server %d cannot be reached", l.leader)
	default:
		l.redialAt = l.p.now + redialMS
	}
}

// lost ends the role, unless the leader has said nothing yet: it may be about to find out that it was
// elected, and closes what comes earlier. If we voted anew whenever that happens we would keep it from
// finding out.
func (l *learner) lost() {
	l.link = 0
	if l.stage != introduced || l.p.now >= l.connectBy {
		l.p.quit("the link to server %d is lost", l.leader)
		return
	}
	l.stage, l.deadline, l.redialAt = dialing, l.connectBy, l.p.now+redialMS
}

// wait begins the wait for the next packet.
func (l *learner) wait() {
	ticks := l.p.cfg.InitTicks
	if l.stage >= joined {
		ticks = l.p.cfg.SyncTicks
	}
	l.deadline = l.p.now + ticks*l.p.cfg.TickMS
}

func (l *learner) send(p wire.Packet, after wire.Zxid, need Epochs, out []Action) []Action {
	return append(out, Action{Kind: ActionSend, Link: l.link, Packet: p, After: after, Need: need})
}

// fail leaves a leader whose history cannot be joined to ours; the next one is asked for a snapshot.
func (l *learner) fail(format string, args ...any) {
	l.p.forceSnap = true
	l.p.quit(format, args...)
}

// dialed says who we are.
func (l *learner) dialed(link Link, out []Action) []Action {
	if l.stage != dialing {
		return append(out, Action{Kind: ActionClose, Link: link})
	}
	l.link, l.stage = link, introduced
	l.wait()
	info := wire.LearnerInfo{
		ServerID: int64(l.p.cfg.ID), ProtocolVersion: wire.ProtocolVersion, ConfigVersion: l.p.view.Version,
	}
	typ := wire.PacketFollowerInfo
	if l.p.state == Observing {
		typ = wire.PacketObserverInfo
	}
	return l.send(wire.Packet{Type: typ, Zxid: epochZxid(l.p.epochs.Accepted), Data: info.Append(nil)}, 0, l.p.epochs, out)
}

// epochZxid is how an epoch is written where a zxid stands.
func epochZxid(epoch uint32) wire.Zxid { return wire.Zxid(int64(epoch) << 32) }

// packet takes what the leader says, in order.
func (l *learner) packet(p *wire.Packet, out []Action) []Action {
	l.wait()
	switch l.stage {
	case introduced:
		return l.leaderInfo(p, out)
	case proffered:
		return l.offer(p, out)
	case cutting:
		kept := *p
		kept.Data = bytes.Clone(p.Data)
		l.held = append(l.held, kept)
		return out
	case replaying, settling, installing, adopting, joined, serving:
		return l.take(p, out)
	}
	return l.refuse(p, out)
}

// refuse leaves a leader for what it says: out of turn, or garbled.
func (l *learner) refuse(p *wire.Packet, out []Action) []Action {
	l.p.quit("server %d: %v %v of %d bytes, out of turn or garbled", l.leader, p.Type, p.Zxid, len(p.Data))
	return out
}

// release goes on with what was held while the log was cut.
func (l *learner) release(out []Action) []Action {
	l.stage = replaying
	l.wait()
	held := l.held
	l.held = nil
	for i := 0; i < len(held) && l.p.over == ""; i++ {
		out = l.packet(&held[i], out)
	}
	return out
}

// leaderInfo hears the epoch. Our promise to follow nobody of a lower one is durable before it is told.
func (l *learner) leaderInfo(p *wire.Packet, out []Action) []Action {
	var info wire.LeaderInfo
	epoch := p.Zxid.Epoch()
	switch r := wire.NewReader(p.Data); {
	case p.Type == wire.PacketNewLeader:
		l.p.quit("server %d speaks a protocol older than ZAB 1.0", l.leader)
		return out
	case p.Type != wire.PacketLeaderInfo || info.Decode(&r) != nil || epoch <= 0 || epoch >= math.MaxInt32:
		return l.refuse(p, out)
	case epoch < int64(l.p.epochs.Accepted) && !l.p.is(OldEpochFollowed):
		l.p.quit("server %d leads epoch %d, and we have promised %d", l.leader, epoch, l.p.epochs.Accepted)
		return out
	}
	l.epoch = uint32(epoch)
	if l.epoch < l.p.epochs.Accepted { // only where a bug is wanted
		return l.ackEpoch(int32(l.p.epochs.Current), out)
	}
	if l.epoch == l.p.epochs.Accepted {
		return l.ackEpoch(-1, out)
	}
	l.stage = accepting
	out = l.p.save(Epochs{Accepted: l.epoch, Current: l.p.epochs.Current}, out)
	if l.p.is(EpochUnsaved) {
		out = l.ackEpoch(int32(l.p.epochs.Current), out)
	}
	return out
}

// ackEpoch promises the epoch and says what history we have. One that cannot be continued is given as the
// beginning of an epoch that there is not yet: whoever leads answers that with a snapshot. With it goes -1,
// so that a leader that is still in discovery neither counts that for our history nor finds us ahead of it.
// It may need us for its quorum, though: so that is tried once, and then the truth again. Who does not trust
// its disk has no truth to tell.
func (l *learner) ackEpoch(current int32, out []Action) []Action {
	l.stage = proffered
	l.wait()
	last := l.p.history.Last()
	if l.p.forceSnap || l.p.trust != Trusted {
		l.p.forceSnap, l.forced = false, true
		last, current = epochZxid(l.epoch+1), -1
	}
	ack := wire.AckEpoch{Epoch: current}
	need := Epochs{Accepted: l.epoch}
	if l.p.is(EpochUnsaved) || l.p.is(OldEpochFollowed) {
		need = Epochs{}
	}
	return l.send(wire.Packet{Type: wire.PacketAckEpoch, Zxid: last, Data: ack.Append(nil)}, l.p.history.Last(), need, out)
}

// offer hears how we come to have the leader's history.
func (l *learner) offer(p *wire.Packet, out []Action) []Action {
	switch {
	case p.Type == wire.PacketSnap:
		l.stage, l.snap = receiving, true
		return out
	case p.Type == wire.PacketDiff && !l.forced:
		return l.diff(p.Zxid, out)
	case p.Type == wire.PacketTrunc && !l.forced:
		return l.trunc(p.Zxid, out)
	}
	return l.refuse(p, out)
}

// diff begins to continue our history. All of it is the leader's too. The zxid is news, and no more (B-06).
func (l *learner) diff(z wire.Zxid, out []Action) []Action {
	if last := l.p.history.Last(); z > last && l.p.is(DiffAdvances) {
		l.p.history.Reset(z)
		l.p.durable = z
	}
	l.stage, l.committed = replaying, l.p.history.Last()
	return out
}

// trunc drops what the leader does not have. It names a transaction that both have. Java's leaders may name
// another, and its learners then keep what is before that, with a hole behind it.
func (l *learner) trunc(z wire.Zxid, out []Action) []Action {
	switch h := &l.p.history; {
	case z < l.p.committed:
		// Java's leaders do this too, for a moment, while they have committed and not yet applied what we
		// have already.
		l.p.quit("server %d wants us to drop all behind %v, and we know that %v is committed", l.leader, z, l.p.committed)
		return out
	case !h.Has(z):
		l.fail("server %d wants us to drop all behind %v, and we do not have that in %v", l.leader, z, h)
		return out
	}
	l.stage, l.committed = cutting, z
	out = l.p.truncate(z, out)
	if l.p.is(TruncUnsynced) {
		l.p.history.TruncateTo(z)
		l.p.durable = z
		l.stage = replaying
	}
	return out
}

// received begins to replay behind a snapshot, whose stream is whole.
func (l *learner) received(z wire.Zxid, out []Action) []Action {
	if l.stage != receiving {
		return out
	}
	l.p.received.Reset(z)
	l.stage, l.committed = replaying, z
	l.wait()
	return out
}

// tail is the history that grows: what is received, or our own.
func (l *learner) tail() *History {
	if l.snap && l.stage <= installing {
		return &l.p.received
	}
	return &l.p.history
}

// take takes what comes behind DIFF, TRUNC and SNAP.
func (l *learner) take(p *wire.Packet, out []Action) []Action {
	switch p.Type {
	case wire.PacketProposal:
		return l.propose(p, p.Data, out)
	case wire.PacketCommit:
		return l.commit(p.Zxid, out)
	case wire.PacketCommitAndActivate:
		var q wire.CommitAndActivate
		if r := wire.NewReader(p.Data); q.Decode(&r) != nil {
			return l.refuse(p, out)
		}
		return l.activate(p.Zxid, ServerID(q.Leader), l.commit(p.Zxid, out))
	case wire.PacketInform:
		return l.inform(p, p.Data, out)
	case wire.PacketInformAndActivate:
		var q wire.InformAndActivate
		if r := wire.NewReader(p.Data); q.Decode(&r) != nil {
			return l.refuse(p, out)
		}
		return l.activate(p.Zxid, ServerID(q.Leader), l.inform(p, q.Txn, out))
	case wire.PacketNewLeader:
		return l.newLeader(p, out)
	case wire.PacketUpToDate:
		return l.upToDate(p, out)
	case wire.PacketPing, wire.PacketRevalidate, wire.PacketSync:
		return l.answer(p, out)
	}
	if p.Type > wire.PacketInformAndActivate {
		return out // of a later release, perhaps: Java's learners pass over it too
	}
	return l.refuse(p, out)
}

// answer takes what has to do with clients and with being there. Before we serve there are no clients, and
// nothing may overtake the ack of NEWLEADER (B-22).
func (l *learner) answer(p *wire.Packet, out []Action) []Action {
	var q wire.RevalidateReply
	switch r := wire.NewReader(p.Data); {
	case l.stage != serving:
		return out
	case p.Type == wire.PacketPing:
		return append(out, Action{Kind: ActionPong, Link: l.link, Packet: *p})
	case p.Type == wire.PacketSync:
		return append(out, Action{Kind: ActionSynced, Link: l.link})
	case q.Decode(&r) != nil:
		return l.refuse(p, out)
	}
	return append(out, Action{Kind: ActionRevalidated, Link: l.link, Packet: *p})
}

// propose logs a transaction, if it continues what we have. Java's learners do not look, and Java's leaders
// have sent lists with holes (B-07, B-15, B-17, B-18).
func (l *learner) propose(p *wire.Packet, txn []byte, out []Action) []Action {
	h, z := l.tail(), p.Zxid
	var head wire.TxnHeader
	r := wire.NewReader(txn)
	switch {
	case head.Decode(&r) != nil || head.Zxid != z:
		return l.refuse(p, out)
	case l.shown(z):
		return out
	case Follows(h.Last(), z):
	case l.p.is(HoleAccepted) && z > h.Last():
		h.Reset(z - 1)
		l.committed = z - 1
	default:
		l.fail("server %d proposes %v behind %v: there is a hole", l.leader, z, h.Last())
		return out
	}
	h.Append(z)
	out = append(out, Action{Kind: ActionAppend, Zxid: z, Packet: wire.Packet{Data: txn}})
	if l.p.is(AckUnsynced) && l.stage == serving {
		out = l.ack(out)
	}
	return l.p.viewIn(&head, r, out)
}

// activate brings the configuration of a transaction that was committed into force. One that was seen before
// the last start is the last seen still, for its store has kept it.
func (l *learner) activate(z wire.Zxid, appointed ServerID, out []Action) []Action {
	if v := l.p.lastSeen; l.p.over == "" && v.Version == z {
		return l.change(v, appointed, out)
	}
	return out
}

// change brings a configuration into force. The role ends where it is another one then, or the leader is, and
// the one that was appointed is followed without an election.
func (l *learner) change(v *View, appointed ServerID, out []Action) []Action {
	out, major := l.p.activate(v, appointed, out)
	if !major {
		return out
	}
	if appointed != noLeader {
		l.p.appoint(appointed, v.Version)
	}
	l.p.quit("configuration %v makes it another role, or another leader", v.Version)
	return out
}

// shown says whether a received snapshot shows a transaction: its stream is at least as new as its packet
// says, and what is sent behind it may begin earlier.
func (l *learner) shown(z wire.Zxid) bool {
	return (l.snap || l.p.is(DiffAdvances)) && z <= l.tail().Base()
}

// commit hears that a transaction is committed; they come in order. Before UPTODATE that is only noted:
// the leader may not have its quorum yet.
func (l *learner) commit(z wire.Zxid, out []Action) []Action {
	if l.shown(z) {
		return out
	}
	h := l.tail()
	next, ok := h.Next(l.committed)
	if !ok || next != z {
		l.fail("server %d commits %v behind %v, of %v", l.leader, z, l.committed, h)
		return out
	}
	l.committed = z
	if l.stage == serving {
		return l.p.commit(z, out)
	}
	return out
}

// inform is a proposal and its commit in one, for observers. They get both kinds, and from some leaders the
// proposal alone, while it is outstanding, before both (B-23).
func (l *learner) inform(p *wire.Packet, txn []byte, out []Action) []Action {
	if !l.tail().Has(p.Zxid) {
		out = l.propose(p, txn, out)
	}
	if l.p.over != "" {
		return out
	}
	return l.commit(p.Zxid, out)
}

// newLeader hears that the leader's history is complete. It is ours, and acknowledged, when it is on our
// disk, and the epoch behind it (B-01, B-02). Its data is the configuration that the leader has seen last.
func (l *learner) newLeader(p *wire.Packet, out []Action) []Action {
	if l.stage != replaying || p.Zxid != epochZxid(l.epoch) {
		return l.refuse(p, out)
	}
	if v, err := ParseView(p.Data); err == nil && l.p.cfg.Reconfig && len(p.Data) > 0 {
		l.config = v
		out = l.p.proposeView(v, out)
	}
	l.stage, l.settle, l.acked = settling, l.tail().Last(), l.committed
	if l.snap {
		return l.install(out)
	}
	return l.durable(out)
}

// install makes what was received ours. What the leader says of commits behind its snapshot counts from
// UPTODATE on, here as elsewhere: it may never get its quorum, and what is in the tree cannot be truncated.
//
// But the snapshot of a Java leader that serves shows something of what was committed while it was written
// (B-03), and is no state before all of that is applied. Such commits are of its own epoch, in which nobody
// proposes without a quorum; ours shows less than what we know, at times.
func (l *learner) install(out []Action) []Action {
	h := &l.p.received
	at := max(h.Base(), l.p.committed)
	if !h.Has(at) || at > l.committed {
		l.p.quit("server %d does not have %v, which we know to be committed, in %v", l.leader, at, h)
		return out
	}
	if l.committed.Epoch() == int64(l.epoch) {
		at = l.committed
	}
	l.stage = installing
	return l.p.install(at, out)
}

// installed goes on when the received snapshot is our own.
func (l *learner) installed(out []Action) []Action {
	l.stage, l.snap = settling, false
	return l.durable(out)
}

// durable goes on when our log is on the disk: with NEWLEADER, or with the acks of proposals.
func (l *learner) durable(out []Action) []Action {
	switch l.stage {
	case settling:
		if l.settled() || l.p.is(EpochBeforeHistory) {
			return l.adopt(out)
		}
	case adopting:
		return l.saved(out)
	case serving:
		return l.ack(out)
	}
	return out
}

// settled says whether what we had at NEWLEADER is on the disk.
func (l *learner) settled() bool { return l.p.durable >= l.settle || l.p.is(NewLeaderUnsynced) }

// adopt makes the leader's epoch the one that our history is of.
func (l *learner) adopt(out []Action) []Action {
	l.stage = adopting
	if l.p.epochs.Current == l.epoch {
		return l.saved(out)
	}
	return l.p.save(Epochs{Accepted: max(l.epoch, l.p.saving.Accepted), Current: l.epoch}, out)
}

// saved goes on when a promise is on the disk.
func (l *learner) saved(out []Action) []Action {
	switch {
	case l.stage == accepting && l.p.epochs.Accepted == l.epoch:
		return l.ackEpoch(int32(l.p.epochs.Current), out)
	case l.stage == adopting && l.p.epochs.Current == l.epoch && l.settled():
		return l.ackNewLeader(out)
	}
	return out
}

// ackNewLeader is the first that the leader hears after NEWLEADER (B-22).
func (l *learner) ackNewLeader(out []Action) []Action {
	l.stage = joined
	l.wait()
	after := l.settle
	if l.p.is(NewLeaderUnsynced) {
		after = 0
	}
	return l.send(wire.Packet{Type: wire.PacketAck, Zxid: epochZxid(l.epoch)}, after, l.adopted(), out)
}

// adopted is what is in the record once the leader's epoch is ours.
func (l *learner) adopted() Epochs { return Epochs{Accepted: l.epoch, Current: l.epoch} }

// upToDate lets us serve. What the leader's history implies is committed now, and not before.
func (l *learner) upToDate(p *wire.Packet, out []Action) []Action {
	if l.stage != joined {
		return l.refuse(p, out)
	}
	l.stage = serving
	l.p.election.established(l.epoch)
	out = l.p.commit(l.committed, out)
	out = l.send(wire.Packet{Type: wire.PacketAck, Zxid: epochZxid(l.epoch)}, l.settle, l.adopted(), out)
	if v := l.config; v != nil && (v.Version <= l.committed || v.Version.Counter() == 0) {
		// Java's learners do not look: one that comes while a configuration is proposed has it before it is
		// agreed on, and elects by it alone.
		if out = l.change(v, noLeader, out); l.p.over != "" {
			return out
		}
	}
	out = append(out, Action{Kind: ActionServe, Link: l.link, Epoch: l.epoch})
	return l.ack(out)
}

// ack acknowledges what is durable and was not committed at NEWLEADER, one by one, for Java's leaders count
// and time each. Observers have no say.
func (l *learner) ack(out []Action) []Action {
	if l.p.state == Observing {
		return out
	}
	to, unsynced := l.p.durable, l.p.is(AckUnsynced)
	if unsynced {
		to = l.p.history.Last()
	}
	for z, ok := l.p.history.Next(l.acked); ok && z <= to; z, ok = l.p.history.Next(z) {
		after := z
		if unsynced {
			after = 0
		}
		out = l.send(wire.Packet{Type: wire.PacketAck, Zxid: z}, after, Epochs{}, out)
		l.acked = z
	}
	return out
}
