package zab

import (
	"fmt"
	"math"
	"slices"

	"paddock/wire"
)

// leader is the role of who has won an election: it finds an epoch that nobody has used, gives its history
// to a quorum, and only then serves, proposes and commits.
//
//	connecting ──FOLLOWERINFO of a quorum──▶ promising ──epoch durable──▶ asking ──ACKEPOCH of a quorum──┐
//	                                                                                                     ▼
//	broadcasting ◀──── ACK of NEWLEADER by a quorum, and our own epochs durable ──── synchronizing ◀─────┘
//
// A learner goes through its own part of that at any time (handler). What is in which file: discovery is
// here, synchronization in leader_sync.go, and what comes behind it in leader_broadcast.go.
//
// Source: Leader, LearnerHandler; ZooKeeper 3.6 to 3.10.
type leader struct {
	p     *Peer
	phase phase

	epoch     uint32    // that we lead in; 0 until a quorum has told what it has accepted
	highest   uint32    // accepted epoch of all who have come so far
	own       Epochs    // our promises when we began
	initial   wire.Zxid // and our history: who was ahead of both, we must not lead
	connected IDSet     // whose accepted epoch we know
	promised  IDSet     // who follows nobody of an epoch below ours, and is not ahead of us
	synced    IDSet     // who has our whole initial history

	handlers []*handler // in the order in which they came
	unnamed  ServerID   // last id given to a learner that has none

	deadline  int64 // of the wait of this phase
	nextBeat  int64
	evenBeats bool

	syncs syncQueue
	count IDSet       // scratch of quorums
	marks []wire.Zxid // scratch of reached
}

// phase is what a leader waits for.
type phase uint8

const (
	connecting    phase = iota // FOLLOWERINFO of a quorum
	promising                  // our own record of the new epoch
	asking                     // ACKEPOCH of a quorum
	synchronizing              // ACK of NEWLEADER of a quorum
	broadcasting
)

func (f phase) String() string {
	return [...]string{"a quorum to connect", "its own disk", "a quorum to accept the epoch", "a quorum to have its history", "nothing"}[f]
}

// handler is a learner that is connected to us, and how far it has come. A server has one at most. What it
// has acknowledged ends with its connection: a learner that comes back may have to drop what it had logged
// (TRUNC), and until it has that again its old ack must not count. (Java's leaders keep it.)
type handler struct {
	link     Link
	id       ServerID
	stage    stage
	observer bool
	voter    bool // counts in quorums; others may follow, and do not

	last  wire.Zxid // of its history, as it said
	alarm string    // for an operator, with the beginning of its synchronization

	deadline int64 // of the packet that we wait for; 0: none is due

	forwarding bool      // it gets what is proposed, or is an observer and gets what is committed
	acked      wire.Zxid // the last proposal that it has on its disk
	late       lag

	upToDate bool  // it has said that it serves: from here on it answers each PING
	pings    int64 // that it will answer
	pongs    int64 // that it has answered
	want     int64 // it confirms the round of syncs with this answer
}

// stage is what a learner has to do next. Whatever else it sends closes its link.
type stage uint8

const (
	arrived stage = iota // it has to say who it is
	waiting              // nothing: we have no epoch yet
	offered              // ACKEPOCH
	agreed               // nothing: a quorum has to agree first
	opening              // nothing: its snapshot is being opened
	filling              // ACK of NEWLEADER
	caughtUp
)

func newLeader(p *Peer) *leader {
	return &leader{p: p, own: p.epochs, initial: p.history.Last(), highest: p.epochs.Accepted}
}

func (l *leader) start(out []Action) []Action {
	l.wait(connecting)
	l.nextBeat = l.p.now + l.beat()
	l.connected.Add(l.p.cfg.ID)
	return l.chooseEpoch(out)
}

// step takes one event.
func (l *leader) step(ev *Event, out []Action) []Action {
	switch ev.Kind {
	case EventTick:
		return l.tick(out)
	case EventNotification:
		if why := l.p.election.vain(); l.phase < broadcasting && why != "" {
			l.p.quit("%s", why)
		}
	case EventAccepted:
		l.accept(ev.Link)
	case EventPacket:
		if h := l.handler(ev.Link); h != nil {
			return l.packet(h, &ev.Packet, out)
		}
	case EventLost:
		l.drop(ev.Link)
	case EventEpochsSaved:
		return l.saved(out)
	case EventSnapshotOpened:
		if h := l.handler(ev.Link); h != nil {
			return l.snapshotOpened(h, ev.Zxid, out)
		}
	case EventProgress:
		l.progress(ev.Link)
	case EventProposed:
		return l.propose(ev.Zxid, out)
	case EventDurable:
		return l.advance(out)
	case EventSync:
		return l.sync(pendingSync{link: ev.Link, token: ev.Token}, out)
	case EventResign:
		l.p.quit("it was asked to")
	}
	return out
}

// end closes all links.
func (l *leader) end(out []Action) []Action {
	for _, h := range l.handlers {
		out = append(out, Action{Kind: ActionClose, Link: h.link, Text: "we do not lead any more"})
	}
	l.handlers = nil
	return out
}

// wait begins a phase, which has to be over within initLimit.
func (l *leader) wait(f phase) { l.phase, l.deadline = f, l.p.now+l.initLimit() }

func (l *leader) initLimit() int64 { return l.p.cfg.InitTicks * l.p.cfg.TickMS }
func (l *leader) syncLimit() int64 { return l.p.cfg.SyncTicks * l.p.cfg.TickMS }
func (l *leader) beat() int64      { return max(1, l.p.cfg.TickMS/2) }

// at returns a zxid of our epoch.
func (l *leader) at(counter int64) wire.Zxid { return wire.Zxid(int64(l.epoch)<<32 | counter) }

// accept begins with a learner.
func (l *leader) accept(link Link) {
	l.handlers = append(l.handlers, &handler{link: link, deadline: l.p.now + l.initLimit()})
}

func (l *leader) handler(link Link) *handler {
	for _, h := range l.handlers {
		if h.link == link {
			return h
		}
	}
	return nil // we have closed it, and this was on its way
}

func (l *leader) handlerOf(id ServerID) *handler {
	for _, h := range l.handlers {
		if h.stage > arrived && h.id == id {
			return h
		}
	}
	return nil
}

// drop forgets a learner, and all that it has acknowledged and not told us durably.
func (l *leader) drop(link Link) {
	l.handlers = slices.DeleteFunc(l.handlers, func(h *handler) bool { return h.link == link })
}

// refuse closes the link of a learner, and of nobody else.
func (l *leader) refuse(h *handler, out []Action, format string, args ...any) []Action {
	l.drop(h.link)
	return append(out, Action{Kind: ActionClose, Link: h.link, Text: fmt.Sprintf(format, args...)})
}

// packet takes what a learner says. What it says out of turn, or garbled, ends its link.
func (l *leader) packet(h *handler, p *wire.Packet, out []Action) []Action {
	if h.stage == caughtUp {
		return l.hear(h, p, out)
	}
	switch {
	case h.stage == arrived && (p.Type == wire.PacketFollowerInfo || p.Type == wire.PacketObserverInfo):
		return l.learnerInfo(h, p, out)
	case h.stage == offered && p.Type == wire.PacketAckEpoch:
		return l.ackEpoch(h, p, out)
	case h.stage == filling && p.Type == wire.PacketAck:
		return l.ackNewLeader(h, p, out)
	}
	return l.refuse(h, out, "%v out of turn", p.Type)
}

// learnerInfo hears who a learner is, and what epoch it has accepted.
func (l *leader) learnerInfo(h *handler, p *wire.Packet, out []Action) []Action {
	var info wire.LearnerInfo
	switch r := wire.NewReader(p.Data); {
	case p.Data == nil: // it has no id: it may learn, and is nobody
		info = wire.LearnerInfo{ServerID: int64(l.nameless()), ProtocolVersion: wire.ProtocolVersion}
	case info.Decode(&r) != nil:
		return l.refuse(h, out, "a %v of %d bytes", p.Type, len(p.Data))
	}
	h.id, h.observer = ServerID(info.ServerID), p.Type == wire.PacketObserverInfo
	accepted := p.Zxid.Epoch()
	switch {
	case h.id == l.p.cfg.ID:
		return l.refuse(h, out, "it has our own id, %d", h.id)
	case info.ProtocolVersion < wire.ProtocolVersion:
		return l.refuse(h, out, "protocol version %#x: older than ZAB 1.0", info.ProtocolVersion)
	case info.ConfigVersion > l.p.view.Version:
		return l.refuse(h, out, "server %d knows configuration %v, and we only %v", h.id, info.ConfigVersion, l.p.view.Version)
	case accepted >= math.MaxInt32:
		return l.refuse(h, out, "server %d has accepted epoch %d, after which there is none", h.id, accepted)
	}
	if old := l.handlerOf(h.id); old != nil {
		out = l.refuse(old, out, "server %d has come again", h.id)
	}
	l.p.election.gone.Remove(h.id)
	h.stage, h.deadline, h.voter = waiting, 0, !h.observer && l.p.voter(h.id)
	return l.meet(h, uint32(accepted), out)
}

// nameless returns an id for a learner that has none.
func (l *leader) nameless() ServerID {
	for l.unnamed--; l.handlerOf(l.unnamed) != nil; l.unnamed-- {
	}
	return l.unnamed
}

// meet takes a learner into account for the epoch, or offers it the one that is chosen.
func (l *leader) meet(h *handler, accepted uint32, out []Action) []Action {
	if l.phase == connecting {
		l.highest = max(l.highest, accepted)
		l.add(&l.connected, h)
		return l.chooseEpoch(out)
	}
	if l.phase == broadcasting && h.voter && accepted > l.epoch {
		// It has promised more than we can offer, to a leader that came to nothing, and can follow nobody
		// before there is a later epoch. Going on without it would cost the ensemble a server for good.
		l.p.quit("server %d has accepted epoch %d, and ours is %d", h.id, accepted, l.epoch)
		return out
	}
	if l.phase > promising {
		out = l.offer(h, out)
	}
	return out
}

// add counts a learner, if it has a vote.
func (l *leader) add(set *IDSet, h *handler) {
	if h.voter {
		set.Add(h.id)
	} else if l.p.is(ObserverCounted) {
		l.addAnother(set)
	}
}

// addAnother counts somebody who has not been heard of: a defect.
func (l *leader) addAnother(set *IDSet) {
	for _, id := range l.p.view.Voters() {
		if set.Add(id) {
			return
		}
	}
}

// chooseEpoch takes an epoch that is above all that a quorum has accepted: no leader of a lower one can get
// a quorum any more, once they accept ours.
func (l *leader) chooseEpoch(out []Action) []Action {
	if !l.p.quorum(&l.connected) {
		return out
	}
	if l.highest >= math.MaxInt32-1 {
		l.p.quit("epoch %d has been accepted, after which there is none", l.highest)
		return out
	}
	l.epoch = l.highest + 1
	l.wait(promising)
	out = l.p.save(Epochs{Accepted: l.epoch, Current: l.p.epochs.Current}, out)
	if l.p.is(EpochUnsynced) {
		out = l.ask(out)
	}
	return out
}

// saved goes on when our own record is durable: only then may anybody hear of the epoch, and only then do
// we count ourselves.
func (l *leader) saved(out []Action) []Action {
	if l.phase == promising && l.p.epochs.Accepted == l.epoch {
		out = l.ask(out)
	}
	if l.phase == synchronizing && l.p.epochs.Current == l.epoch {
		l.synced.Add(l.p.cfg.ID)
		out = l.establish(out)
	}
	return out
}

// ask offers the epoch to all who have come.
func (l *leader) ask(out []Action) []Action {
	l.wait(asking)
	for _, h := range l.handlers {
		if h.stage == waiting {
			out = l.offer(h, out)
		}
	}
	l.promised.Add(l.p.cfg.ID)
	return l.agree(out)
}

func (l *leader) offer(h *handler, out []Action) []Action {
	h.stage, h.deadline = offered, l.p.now+l.initLimit()
	info := wire.LeaderInfo{ProtocolVersion: wire.ProtocolVersion}
	return append(out, Action{
		Kind: ActionSend, Link: h.link, Need: Epochs{Accepted: l.epoch},
		Packet: wire.Packet{Type: wire.PacketLeaderInfo, Zxid: l.at(0), Data: info.Append(nil)},
	})
}

// ackEpoch hears what history a learner has. One that says -1 has accepted this epoch before, and may have
// done so for another: it does not count.
func (l *leader) ackEpoch(h *handler, p *wire.Packet, out []Action) []Action {
	var ack wire.AckEpoch
	if r := wire.NewReader(p.Data); ack.Decode(&r) != nil || ack.Epoch < -1 {
		return l.refuse(h, out, "server %d: an ACKEPOCH that cannot be read", h.id)
	}
	h.stage, h.deadline, h.last = agreed, 0, p.Zxid
	if h.last.Counter() != 0 && h.last.Epoch() == int64(l.epoch) && h.last > l.p.history.Last() {
		return l.refuse(h, out, "server %d has %v of our epoch, which we never proposed", h.id, h.last)
	}
	if l.phase == asking {
		return l.judge(h, ack.Epoch, out)
	}
	if ack.Epoch > int32(l.own.Current) {
		// Somebody tried to lead in that epoch and never got a quorum, or our quorum would have known. (Or
		// the disks of a quorum were lost; that is for an operator to know.)
		h.alarm = fmt.Sprintf("server %d comes from epoch %d, of which our quorum knew nothing: it went up to %d", h.id, ack.Epoch, l.own.Current)
	}
	return l.synchronize(h, out)
}

// judge decides during discovery whether a learner may follow us: not with a later or longer history than
// ours, which may have been committed. Once a quorum is behind us that can no longer be, and such a learner
// has what came to nothing.
func (l *leader) judge(h *handler, current int32, out []Action) []Action {
	ahead := current > int32(l.own.Current) || current == int32(l.own.Current) && h.last > l.initial
	if ahead && !l.p.is(AheadAccepted) {
		return l.refuse(h, out, "server %d is ahead of us: epoch %d, %v", h.id, current, h.last)
	}
	if current != -1 && h.last != -1 {
		l.add(&l.promised, h)
	}
	return l.agree(out)
}

// configure settles which configuration NEWLEADER tells of. The first that is agreed on takes precedence over
// those of servers that come later. One that was proposed is completed with the history that it is part of;
// where it is in none that a quorum of both configurations has brought, nobody has agreed on it.
func (l *leader) configure(out []Action) []Action {
	p := l.p
	switch v := p.lastSeen.Version; {
	case p.view.Version == 0 && v == 0:
		return p.proposeView(p.view.WithVersion(l.at(0)), out)
	case v.Counter() != 0 && v > p.history.Base() && !p.history.Has(v):
		return p.proposeView(p.view, out)
	}
	return out
}

// agree ends discovery when a quorum has promised to follow us and nobody before us.
func (l *leader) agree(out []Action) []Action {
	if !l.p.quorum(&l.promised) {
		return out
	}
	l.wait(synchronizing)
	out = l.configure(out)
	out = l.p.save(Epochs{Accepted: l.epoch, Current: l.epoch}, out)
	for _, h := range l.handlers {
		if h.stage == agreed {
			out = l.synchronize(h, out)
		}
	}
	return out
}
