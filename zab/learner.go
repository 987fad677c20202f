package zab

import (
	"bytes"

	"paddock/wire"
)

// learner is the role of who follows, or observes, a leader: it promises its epoch, makes the leader's
// history its own, and then logs what is proposed and commits what the leader says.
//
//	dialing ──▶ introduced ─LEADERINFO▶ promising ─ACKEPOCH▶ offered ─DIFF──────────────┬──▶ filling ─NEWLEADER─┐
//	                                                           ├─TRUNC▶ cutting ────────┤                      │
//	                                                           └─SNAP─▶ receiving ──────┘                      ▼
//	serving ◀─UPTODATE─ joined ◀─ACK── adopting (epoch) ◀──── installing (a received snapshot) ◀───── settling (log)
//
// Source: Learner, Follower, Observer; ZooKeeper 3.9.4 to 3.10. Traps are named after the catalogue of
// quorum-protocol.md 9.3 (B-01 and so on).
type learner struct {
	p      *Peer
	leader ServerID
	link   Link // 0: none yet
	stage  learnerStage

	connectBy int64 // when connecting has to be over
	deadline  int64 // of the connecting, or of the next packet
	redialAt  int64 // 0: a dial is on its way
	epoch     uint32

	forced    bool          // we have asked for a snapshot
	snap      bool          // the history is received, not continued
	committed wire.Zxid     // up to where the leader says that it is
	settle    wire.Zxid     // up to where the log has to be durable before NEWLEADER is acknowledged
	acked     wire.Zxid     // the last proposal that we acknowledged
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

// redialMS is the pause before a leader that does not listen yet is dialled again.
const redialMS = 100

func newLearner(p *Peer, leader ServerID) *learner { return &learner{p: p, leader: leader} }

func (l *learner) start(out []Action) []Action {
	ticks := l.p.cfg.InitTicks
	if l.p.cfg.ConnectTicks > 0 {
		ticks = l.p.cfg.ConnectTicks
	}
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
	case EventDialFailed:
		l.redialAt = l.p.now + redialMS
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
		return l.release(replaying, out)
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
	if l.snap && l.stage < installing {
		l.p.received.Reset(0)
		out = append(out, Action{Kind: ActionDiscard})
	}
	return out
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
	if l.stage != dialing || l.link != 0 {
		return append(out, Action{Kind: ActionClose, Link: link})
	}
	l.link, l.stage = link, introduced
	l.wait()
	info := wire.LearnerInfo{
		ServerID: int64(l.p.cfg.ID), ProtocolVersion: wire.ProtocolVersion, ConfigVersion: l.p.cfg.View.Version,
	}
	typ := wire.PacketFollowerInfo
	if l.p.state == Observing {
		typ = wire.PacketObserverInfo
	}
	return l.send(wire.Packet{Type: typ, Zxid: epochZxid(l.p.epochs.Accepted), Data: info.Append(nil)}, 0, l.p.epochs, out)
}

// epochZxid is how an epoch is written where a zxid stands.
func epochZxid(epoch uint32) wire.Zxid { return wire.Zxid(int64(epoch) << 32) }

// packet takes what the leader says, in order: while the disk is busy with what came before, it is kept.
func (l *learner) packet(p *wire.Packet, out []Action) []Action {
	l.wait()
	if l.stage == cutting || l.stage == installing {
		kept := *p
		kept.Data = bytes.Clone(p.Data)
		l.held = append(l.held, kept)
		return out
	}
	switch l.stage {
	case introduced:
		return l.leaderInfo(p, out)
	case proffered:
		return l.offer(p, out)
	case replaying, settling, adopting, joined, serving:
		return l.take(p, out)
	}
	l.p.quit("server %d: %v out of turn", l.leader, p.Type)
	return out
}

// release goes on with what was kept while the disk was busy.
func (l *learner) release(next learnerStage, out []Action) []Action {
	l.stage = next
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
	epoch := p.Zxid.Epoch()
	switch {
	case p.Type == wire.PacketNewLeader:
		l.p.quit("server %d speaks a protocol older than ZAB 1.0", l.leader)
		return out
	case p.Type != wire.PacketLeaderInfo || epoch <= 0 || epoch > int64(^uint32(0)>>1):
		l.p.quit("server %d: %v %v, want LEADERINFO", l.leader, p.Type, p.Zxid)
		return out
	case epoch < int64(l.p.epochs.Accepted) && !l.p.is(OldEpochFollowed):
		l.p.quit("server %d leads epoch %d, and we have promised %d", l.leader, epoch, l.p.epochs.Accepted)
		return out
	}
	l.epoch = uint32(epoch)
	if l.epoch <= l.p.epochs.Accepted {
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
// It may need us for its quorum, though: so that is tried once, and then the truth again.
func (l *learner) ackEpoch(current int32, out []Action) []Action {
	l.stage = proffered
	l.wait()
	last := l.p.history.Last()
	if l.p.forceSnap {
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

// offer hears how we come to have the leader's history. The zxid of a DIFF is news, and no more (B-06).
func (l *learner) offer(p *wire.Packet, out []Action) []Action {
	last := l.p.history.Last()
	switch {
	case p.Type == wire.PacketDiff && !l.forced:
		l.stage = replaying
		l.committed, l.acked = last, last
		return out
	case p.Type == wire.PacketTrunc && !l.forced:
		z := p.Zxid
		if !l.p.history.Has(z) || z < l.p.committed {
			l.fail("server %d wants us to drop all behind %v; we have %v, committed up to %v", l.leader, z, &l.p.history, l.p.committed)
			return out
		}
		l.committed, l.acked = z, z
		l.stage = cutting
		return l.p.truncate(z, out)
	case p.Type == wire.PacketSnap:
		l.stage, l.snap = receiving, true
		return out
	}
	l.p.quit("server %d: %v %v, want to be synchronized", l.leader, p.Type, p.Zxid)
	return out
}

// received begins to replay behind a snapshot, whose stream is whole.
func (l *learner) received(z wire.Zxid, out []Action) []Action {
	if l.stage != receiving {
		return out
	}
	l.p.received.Reset(z)
	l.committed, l.acked = z, z
	l.stage = replaying
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
		return l.propose(p.Zxid, p.Data, out)
	case wire.PacketCommit, wire.PacketCommitAndActivate:
		return l.commit(p.Zxid, out)
	case wire.PacketInform:
		return l.inform(p.Zxid, p.Data, out)
	case wire.PacketInformAndActivate:
		var q wire.InformAndActivate
		if r := wire.NewReader(p.Data); q.Decode(&r) != nil {
			l.p.quit("server %d: an INFORMANDACTIVATE that cannot be read", l.leader)
			return out
		}
		return l.inform(p.Zxid, q.Txn, out)
	case wire.PacketNewLeader:
		return l.newLeader(p.Zxid, out)
	case wire.PacketUpToDate:
		return l.upToDate(out)
	}
	if l.stage != serving {
		return out // a PING is answered when we serve (B-22: nothing overtakes the ack of NEWLEADER)
	}
	switch p.Type {
	case wire.PacketPing:
		return append(out, Action{Kind: ActionPong, Link: l.link, Packet: *p})
	case wire.PacketRevalidate:
		return append(out, Action{Kind: ActionRevalidated, Link: l.link, Packet: *p})
	case wire.PacketSync:
		return append(out, Action{Kind: ActionSynced, Link: l.link})
	}
	return out // of a later release, perhaps
}

// propose logs a transaction, if it continues what we have. Java's learners do not look, and Java's leaders
// have sent lists with holes (B-07, B-15, B-17, B-18).
func (l *learner) propose(z wire.Zxid, txn []byte, out []Action) []Action {
	h := l.tail()
	var head wire.TxnHeader
	r := wire.NewReader(txn)
	switch {
	case head.Decode(&r) != nil || head.Zxid != z:
		l.p.quit("server %d: proposal %v has a transaction that cannot be read, or another's", l.leader, z)
		return out
	case l.snap && z <= h.Base():
		return out // a snapshot is at least as new as the packet before it says
	case !Follows(h.Last(), z) && !(l.p.is(HoleAccepted) && z > h.Last()):
		l.fail("server %d proposes %v behind %v: there is a hole", l.leader, z, h.Last())
		return out
	}
	if l.p.is(HoleAccepted) && !Follows(h.Last(), z) {
		h.Reset(z - 1)
	}
	h.Append(z)
	return append(out, Action{Kind: ActionAppend, Zxid: z, Packet: wire.Packet{Data: txn}})
}

// commit hears that a transaction is committed; they come in order. Before UPTODATE that is only noted:
// the leader may not have its quorum yet.
func (l *learner) commit(z wire.Zxid, out []Action) []Action {
	h := l.tail()
	if l.snap && z <= h.Base() && l.stage < joined {
		return out
	}
	next, ok := h.Next(l.committed)
	if !ok || next != z {
		l.fail("server %d commits %v, and the next is %v (of %v)", l.leader, z, next, h)
		return out
	}
	l.committed = z
	if l.stage == serving {
		return l.p.commit(z, out)
	}
	return out
}

// inform is a proposal and its commit in one: for observers (B-23: they get both kinds).
func (l *learner) inform(z wire.Zxid, txn []byte, out []Action) []Action {
	if out = l.propose(z, txn, out); l.p.over != "" {
		return out
	}
	return l.commit(z, out)
}

// newLeader hears that the leader's history is complete. It is ours, and acknowledged, when it is on our
// disk, and the epoch behind it (B-01, B-02).
func (l *learner) newLeader(z wire.Zxid, out []Action) []Action {
	if l.stage != replaying || z != epochZxid(l.epoch) {
		l.p.quit("server %d: NEWLEADER %v, want that of epoch %d, once", l.leader, z, l.epoch)
		return out
	}
	l.stage, l.settle = settling, l.tail().Last()
	if l.snap {
		return l.install(out)
	}
	return l.durable(out)
}

// install makes what was received ours. The snapshot shows what its leader knew to be committed, which may
// be less than we know. What it says of commits behind that counts from UPTODATE on, here as elsewhere: it
// may never get its quorum, and what is in the tree cannot be truncated.
func (l *learner) install(out []Action) []Action {
	h := &l.p.received
	at := max(h.Base(), l.p.committed)
	if !h.Has(at) {
		l.p.quit("server %d does not have %v, which we know to be committed, in %v", l.leader, at, h)
		return out
	}
	l.stage = installing
	return l.p.install(at, out)
}

// installed goes on when the received snapshot is our own.
func (l *learner) installed(out []Action) []Action {
	if l.stage != installing {
		return out
	}
	l.snap = false
	l.acked = l.p.committed
	l.stage = settling
	out = l.durable(out)
	if l.stage == settling || l.stage == adopting || l.stage == joined {
		out = l.release(l.stage, out)
	}
	return out
}

// durable goes on when our log is on the disk: with NEWLEADER, or with the acks of proposals.
func (l *learner) durable(out []Action) []Action {
	switch l.stage {
	case settling:
		if l.p.durable < l.settle && !l.p.is(NewLeaderUnsynced) && !l.p.is(EpochBeforeHistory) {
			return out
		}
		return l.adopt(out)
	case serving:
		return l.ack(out)
	}
	return out
}

// adopt makes the leader's epoch the one that our history is of.
func (l *learner) adopt(out []Action) []Action {
	if l.p.epochs.Current == l.epoch {
		return l.ackNewLeader(out)
	}
	l.stage = adopting
	return l.p.save(Epochs{Accepted: max(l.epoch, l.p.saving.Accepted), Current: l.epoch}, out)
}

// saved goes on when a promise is on the disk.
func (l *learner) saved(out []Action) []Action {
	switch {
	case l.stage == accepting && l.p.epochs.Accepted == l.epoch:
		return l.ackEpoch(int32(l.p.epochs.Current), out)
	case l.stage == adopting && l.p.epochs.Current == l.epoch:
		return l.ackNewLeader(out)
	}
	return out
}

// ackNewLeader is the first that the leader hears after NEWLEADER (B-22).
func (l *learner) ackNewLeader(out []Action) []Action {
	l.stage = joined
	l.wait()
	after, need := l.settle, Epochs{Accepted: l.epoch, Current: l.epoch}
	if l.p.is(NewLeaderUnsynced) || l.p.is(EpochBeforeHistory) {
		after = 0
	}
	return l.send(wire.Packet{Type: wire.PacketAck, Zxid: epochZxid(l.epoch)}, after, need, out)
}

// upToDate lets us serve. What the leader's history implies is committed now, and not before.
func (l *learner) upToDate(out []Action) []Action {
	if l.stage != joined {
		l.p.quit("server %d: UPTODATE out of turn", l.leader)
		return out
	}
	l.stage = serving
	l.wait()
	l.p.election.established(l.epoch)
	out = l.p.commit(l.committed, out)
	out = l.send(wire.Packet{Type: wire.PacketAck, Zxid: epochZxid(l.epoch)}, 0, Epochs{Current: l.epoch}, out)
	out = append(out, Action{Kind: ActionServe, Link: l.link, Epoch: l.epoch})
	l.acked = max(l.acked, l.committed)
	return l.ack(out)
}

// ack acknowledges what is durable, one by one, for Java's leaders count each. Observers have no say.
func (l *learner) ack(out []Action) []Action {
	if l.p.state == Observing {
		return out
	}
	to := l.p.durable
	for z, ok := l.p.history.Next(l.acked); ok && z <= to; z, ok = l.p.history.Next(z) {
		out = l.send(wire.Packet{Type: wire.PacketAck, Zxid: z}, z, Epochs{}, out)
		l.acked = z
	}
	return out
}
