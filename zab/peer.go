package zab

import (
	"fmt"

	"paddock/wire"
)

// Peer is one server of an ensemble. It looks for a leader, becomes one or follows one, and when that is
// over it looks again. It is owned by whoever steps it.
type Peer struct {
	cfg  Config
	now  int64 // of the event being stepped
	rand uint64

	view     *View // in force
	lastSeen *View // proposed, perhaps; view where none is
	// appointed leads by a configuration, not by an election.
	appointed    Vote
	hasAppointed bool

	state   State
	history History   // what is, or is being, logged
	durable wire.Zxid // up to where it is on the disk
	// committed is up to where the history is known to be committed, and applied or about to be.
	committed wire.Zxid
	epochs    Epochs // on the disk
	saving    Epochs // asked for; equal to epochs when nothing is on its way

	election election
	leader   *leader  // while Leading
	learner  *learner // while Following or Observing

	received History // of a snapshot that was received and what was kept behind it, until it is installed
	diskJobs int     // truncations and installations on their way
	// forceSnap: a leader's history could not be joined to ours; the next one is asked for a snapshot.
	forceSnap bool

	trust    Trust
	unfit    string // why what is on the disk cannot be
	over     string // why the role ends with this step; "" while it goes on
	draining bool   // the role is over, and what it logged is not yet durable
}

// NewPeer returns a peer that has just started. Its first event makes it look for a leader.
func NewPeer(cfg Config, r Recovered) *Peer {
	if r.Committed > r.History.Last() {
		panic(fmt.Sprintf("zab: committed up to %v, but the history ends at %v", r.Committed, r.History.Last()))
	}
	if cfg.LastSeen == nil {
		cfg.LastSeen = cfg.View
	}
	p := &Peer{
		cfg: cfg, view: cfg.View, lastSeen: cfg.LastSeen, rand: cfg.Seed, state: Looking, history: r.History, durable: r.History.Last(),
		committed: r.Committed, epochs: r.Epochs, saving: r.Epochs, draining: true,
	}
	p.unfit = r.unfit()
	if !p.is(HoleVotes) {
		p.trust = r.Trust
	}
	p.election.init(p)
	return p
}

// unfit says why a disk cannot be one that kept its promises; "" where it can. Behind an interrupted DIFF a
// log may have transactions of later epochs than the current one. But nobody logs anything of a leader whose
// epoch it has not promised before, and durably.
func (r *Recovered) unfit() string {
	switch last := r.History.Last(); {
	case r.Epochs.Current > r.Epochs.Accepted:
		return fmt.Sprintf("the current epoch is %d, and only %d was ever accepted: the record of epochs is not ours, or damaged", r.Epochs.Current, r.Epochs.Accepted)
	case last.Epoch() > int64(r.Epochs.Accepted):
		return fmt.Sprintf("the log ends with %v, and only epoch %d was ever accepted: the record of epochs was lost, or is of another log", last, r.Epochs.Accepted)
	}
	return ""
}

// State returns what the peer is busy with.
func (p *Peer) State() State { return p.state }

// History returns what is, or is being, logged. The caller must not change it.
func (p *Peer) History() *History { return &p.history }

// Committed returns up to where the history is known to be committed.
func (p *Peer) Committed() wire.Zxid { return p.committed }

// Epochs returns the promises that are on the disk.
func (p *Peer) Epochs() Epochs { return p.epochs }

// Vote returns the result of the last election, or the proposal of the one that runs.
func (p *Peer) Vote() Vote { return p.election.vote() }

// Step tells the peer of one event and appends to out what its runner has to do, in order.
func (p *Peer) Step(ev Event, out []Action) []Action {
	p.now = ev.Now
	if p.unfit != "" {
		return append(out, Action{Kind: ActionFatal, Text: p.unfit})
	}
	switch ev.Kind {
	case EventDurable:
		p.durable = max(p.durable, ev.Zxid)
	case EventEpochsSaved:
		p.epochs = ev.Epochs
	case EventTruncated:
		p.diskJobs--
		if !p.is(TruncUnsynced) {
			p.history.TruncateTo(ev.Zxid)
			p.durable = ev.Zxid
		}
	case EventInstalled:
		p.diskJobs--
		p.installed(ev.Zxid)
	case EventPurged:
		p.purge(ev.Zxid)
	case EventNotification:
		out = p.gossip(&ev, out)
		out = p.election.receive(&ev, out)
	}
	switch p.state {
	case Looking:
		out = p.look(&ev, out)
	case Leading:
		out = p.leader.step(&ev, out)
	default:
		out = p.learner.step(&ev, out)
	}
	if p.over != "" {
		out = p.leave(out)
	}
	return out
}

// look waits until all that the last role has logged is durable: what a vote claims to have must be what
// the disk has. Then it elects.
func (p *Peer) look(ev *Event, out []Action) []Action {
	if ev.Kind == EventAccepted { // nobody leads here yet: whoever came has to come again
		return append(out, Action{Kind: ActionClose, Link: ev.Link})
	}
	if p.draining {
		if p.durable < p.history.Last() || p.epochs != p.saving || p.diskJobs > 0 {
			return out
		}
		p.draining = false
		if p.hasAppointed {
			p.hasAppointed = false
			p.election.decide(p.appointed)
		} else {
			out = p.election.start(out)
		}
	} else if ev.Kind == EventTick {
		out = p.election.tick(out)
	}
	if v, ok := p.election.decided(); ok {
		return p.take(v, out)
	}
	return out
}

// take takes the role that an election has given us.
func (p *Peer) take(v Vote, out []Action) []Action {
	switch {
	case v.Leader == p.cfg.ID:
		p.state, p.leader = Leading, newLeader(p)
		return p.leader.start(out)
	case p.view.Voter(p.cfg.ID):
		p.state = Following
	default:
		p.state = Observing
	}
	p.learner = newLearner(p, v.Leader)
	return p.learner.start(out)
}

// quit ends the role with this step.
func (p *Peer) quit(format string, args ...any) { p.over = fmt.Sprintf(format, args...) }

// leave ends the role: its links close, nobody is served, and the peer looks again once everything that was
// logged is durable.
func (p *Peer) leave(out []Action) []Action {
	if p.leader != nil {
		out = p.leader.end(out)
	} else {
		out = p.learner.end(out)
	}
	p.leader, p.learner = nil, nil
	out = append(out, Action{Kind: ActionRest, Text: p.over})
	p.state, p.over, p.draining = Looking, "", true
	return p.look(&Event{Kind: EventTick, Now: p.now}, out)
}

// save asks for a record of promises. There is one on its way at a time: whoever saves waits for
// EventEpochsSaved.
func (p *Peer) save(e Epochs, out []Action) []Action {
	if !e.covers(p.saving) {
		panic(fmt.Sprintf("zab: epochs %+v after %+v: promises do not go back", e, p.saving))
	}
	p.saving = e
	return append(out, Action{Kind: ActionSaveEpochs, Epochs: e})
}

// truncate drops our tail behind z, which the history has. It waits for EventTruncated.
func (p *Peer) truncate(z wire.Zxid, out []Action) []Action {
	if z < p.committed || !p.history.Has(z) {
		panic(fmt.Sprintf("zab: truncation to %v of %v, committed up to %v", z, &p.history, p.committed))
	}
	p.diskJobs++
	return append(out, Action{Kind: ActionTruncate, Zxid: z})
}

// install makes the received snapshot and what was kept behind it our history; all up to z is committed.
// It waits for EventInstalled.
func (p *Peer) install(z wire.Zxid, out []Action) []Action {
	if !p.received.Has(z) {
		panic(fmt.Sprintf("zab: installation of %v, received %v", z, &p.received))
	}
	p.diskJobs++
	return append(out, Action{Kind: ActionInstall, Zxid: z})
}

// installed changes over to the received history, which begins at z now.
func (p *Peer) installed(z wire.Zxid) {
	last := p.received.Last()
	p.history.Reset(z)
	for next, ok := p.received.Next(z); ok && next <= last; next, ok = p.received.Next(next) {
		p.history.Append(next)
	}
	p.received.Reset(0)
	p.durable, p.committed = z, z
	p.trust = Trusted
}

// purge hears that the log begins later than it did: who lacks what is gone gets a snapshot.
func (p *Peer) purge(z wire.Zxid) {
	if z > p.committed || z > p.durable {
		panic(fmt.Sprintf("zab: purged up to %v, but only %v is committed and %v durable", z, p.committed, p.durable))
	}
	if at, ok := p.history.Floor(z); ok {
		p.history.PurgeTo(at)
	}
}

// commit moves the line up to which our history is committed.
func (p *Peer) commit(z wire.Zxid, out []Action) []Action {
	if z <= p.committed {
		return out
	}
	if z > p.history.Last() {
		panic(fmt.Sprintf("zab: %v committed, but the history ends at %v", z, p.history.Last()))
	}
	p.committed = z
	return append(out, Action{Kind: ActionCommit, Zxid: z})
}

// quorum says whether a set is a quorum of every configuration that counts.
func (p *Peer) quorum(set *IDSet) bool { return Quorums(*set, p.view, p.lastSeen) }

// voter says whether a server has a vote in any of them.
func (p *Peer) voter(id ServerID) bool { return p.view.Voter(id) || p.lastSeen.Voter(id) }

// draw returns a number below n, from the seed (splitmix64).
func (p *Peer) draw(n int64) int64 {
	p.rand += 0x9e3779b97f4a7c15
	z := p.rand
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return int64((z ^ z>>31) % uint64(n))
}
