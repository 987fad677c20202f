package zab

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"paddock/wire"
)

// Vote is whom a server wants to lead, or follows, and why.
type Vote struct {
	Leader    ServerID
	Zxid      wire.Zxid // the last of that server's history
	Round     int64     // the clock of elections, at the one that this vote is of
	PeerEpoch int64     // that server's current epoch; after the election the leader's new one
}

// beats is the order of votes: the later epoch, then the longer history, then the greater id.
func (v Vote) beats(o Vote) bool {
	return cmp.Or(cmp.Compare(v.PeerEpoch, o.PeerEpoch), cmp.Compare(v.Zxid, o.Zxid), cmp.Compare(v.Leader, o.Leader)) > 0
}

// nobody is what a server proposes that has no vote.
const nobody = math.MinInt64

// lastRound bounds what rounds we take from others, so that adding to one never overflows.
const lastRound = 1 << 62

// Times of an election, in milliseconds.
const (
	firstResendMS     = 200  // silence after which the proposal is sent again; doubles
	lastResendMS      = 1000 // up to this. Java's minute keeps an ensemble down that lost one message
	defaultFinalizeMS = 20
	sameAnswerMS      = 100 // one vote is answered in the same way once in so long
)

// maxAnswered bounds the memory of what was answered to whom: the ids come from the network.
const maxAnswered = 1000

// election is fast leader election. Each server proposes itself, tells all voters, and takes over what
// beats its own proposal, until a quorum proposes the same. Who comes late learns from those that have a
// leader already.
//
//	start ──▶ looking ──quorum for our proposal──▶ settling ──FinalizeMS, or all voters agree──▶ decided
//	            │  ▲                                  │                                            ▲
//	            │  └────────── a better vote ─────────┘                                            │
//	            └── a quorum follows a leader, and it says itself that it leads ───────────────────┘
//
// Rounds keep votes of different elections apart: who hears of a later round joins it, and who is told of
// an earlier one answers with its own. Nothing here is durable, and safety does not depend on it: what a
// leader may do is decided in discovery. Source: FastLeaderElection, ZooKeeper 3.9.
type election struct {
	peer  *Peer
	round int64

	looking  bool // from start until decided
	initial  Vote
	proposal Vote
	current  Vote // what the last election decided
	fresh    bool // and decided has not said so

	votes   ballots      // of this round; ours is among them
	outside ballots      // of those who have a leader, of any round
	early   []ballotFrom // what arrived between two elections
	gone    IDSet        // who does not share what the last election decided, by its last word since then
	census  census

	resendMS   int64
	resendAt   int64
	settling   bool // a quorum agrees with our proposal
	finalizeAt int64

	answered map[ServerID]answer
	agreeing IDSet // scratch of quorumOf
}

// answer is what we said last to a server, and to what.
type answer struct {
	heard, said ballot
	at          int64
}

func (e *election) init(p *Peer) {
	e.peer = p
	e.answered = make(map[ServerID]answer)
	e.initial = e.own()
	e.current = e.initial
}

// own is the vote that we begin with: ourselves, or nobody where we have no vote. The zxid -1 is that of who
// does not trust its disk.
func (e *election) own() Vote {
	p := e.peer
	if !p.view.Voter(p.cfg.ID) {
		return Vote{nobody, nobody, e.round, nobody}
	}
	last := p.history.Last()
	if p.is(CommittedInVote) {
		last = p.committed
	}
	if p.trust != Trusted {
		last = -1
	}
	return Vote{p.cfg.ID, last, e.round, int64(p.epochs.Current)}
}

// mute says whether we only listen: observers do, and a server without trust in its disk.
func (e *election) mute() bool {
	return e.initial.Leader == nobody && !e.peer.is(ObserverVoteHeard) || e.initial.Zxid == -1
}

// vote returns the current vote, or the proposal while we look.
func (e *election) vote() Vote {
	if e.looking {
		return e.proposal
	}
	return e.current
}

// decided returns the result of the election, once.
func (e *election) decided() (Vote, bool) {
	fresh := e.fresh
	e.fresh = false
	return e.current, fresh
}

// established puts the epoch of the leadership into the current vote: all who follow one leader have to
// say the same of it, whenever they joined.
func (e *election) established(epoch uint32) { e.current.PeerEpoch = int64(epoch) }

// start begins to look. What the history ends with is durable.
func (e *election) start(out []Action) []Action {
	e.round++
	e.looking, e.fresh = true, false
	e.initial = e.own()
	e.votes.clear()
	e.outside.clear()
	e.census = census{}
	e.census.look(e)
	e.resendMS = firstResendMS
	out = e.propose(e.initial, out)
	e.settle()
	for i := 0; i < len(e.early) && e.looking; i++ {
		out = e.take(e.early[i].from, e.early[i].ballot, out)
	}
	e.early = e.early[:0]
	return out
}

// tick looks at the time: it ends the wait for a better vote, and repeats what may have been lost.
func (e *election) tick(out []Action) []Action {
	now := e.peer.now
	switch {
	case !e.looking:
	case e.found():
		out = e.begin(out)
		e.settle()
	case e.settling && now >= e.finalizeAt:
		e.decide(e.proposal)
	case now >= e.resendAt:
		e.resendMS = min(2*e.resendMS, lastResendMS)
		out = e.send(out)
	}
	return out
}

// receive takes a vote, in every state.
func (e *election) receive(ev *Event, out []Action) []Action {
	b := ballotOf(&ev.Note)
	if !b.plausible() || ev.From == e.peer.cfg.ID {
		return out
	}
	if e.peer.state == Looking && !e.looking {
		e.keep(ev.From, b)
		return out
	}
	return e.take(ev.From, b, out)
}

// keep remembers the last vote of each voter while the previous role ends: its sender repeats it only
// after some time.
func (e *election) keep(from ServerID, b ballot) {
	if !e.peer.voter(from) {
		return
	}
	i := slices.IndexFunc(e.early, func(n ballotFrom) bool { return n.from == from })
	if i >= 0 {
		e.early = slices.Delete(e.early, i, i+1)
	}
	e.early = append(e.early, ballotFrom{from, b})
}

// take answers a vote and, while we look, counts it.
func (e *election) take(from ServerID, b ballot, out []Action) []Action {
	voter := e.peer.voter(from)
	if b.state == Looking && (!e.looking || !voter || b.Round < e.round || e.missed(from, b)) {
		out = e.answer(from, b, out)
	}
	if e.looking && voter {
		e.census.count(e, from, b)
	}
	if !e.looking && voter {
		e.follow(from, b)
	}
	switch heard := voter || e.peer.is(ObserverVoteHeard); {
	case !e.looking || !heard || !e.peer.voter(b.Leader):
	case b.state == Looking:
		out = e.hear(from, b, out)
	case b.state == Following || b.state == Leading:
		out = e.join(from, b, out)
	}
	return out
}

// follow notes whether a voter, by its last word, may still go with what was decided. Who looks in a later
// round does not, nor who prefers another in this one, nor who has another leader.
func (e *election) follow(from ServerID, b ballot) {
	apart := b.Leader != e.current.Leader
	if b.state == Looking {
		apart = b.Round > e.current.Round || b.Round == e.current.Round && apart && e.beats(b.Vote, e.current)
	}
	if apart {
		e.gone.Add(from)
	} else {
		e.gone.Remove(from)
	}
}

// vain says why it is no use to wait until the leader that was decided on is one; "" while it may become one.
// Only what has been heard since counts, so that is no proof: but who is wrong loses a moment, and who waits
// loses initLimit.
func (e *election) vain() string {
	if e.gone.Has(e.current.Leader) {
		return fmt.Sprintf("server %d does not lead", e.current.Leader)
	}
	e.agreeing.Clear()
	for _, v := range []*View{e.peer.view, e.peer.lastSeen} {
		for _, id := range v.Voters() {
			if !e.gone.Has(id) {
				e.agreeing.Add(id)
			}
		}
	}
	if !e.quorum(e.agreeing) {
		return fmt.Sprintf("servers %v do not want server %d to lead", e.gone, e.current.Leader)
	}
	return ""
}

// missed says whether the sender of a vote does not seem to know ours, which beats it. The first vote that
// we hear from it in this round tells that it looks; ours may have come before, while it still followed a
// leader that we lost a moment earlier. (Java's servers then wait until somebody repeats himself.)
func (e *election) missed(from ServerID, b ballot) bool {
	_, heard := e.votes.get(from)
	return !heard && b.Round == e.round && e.beats(e.proposal, b.Vote)
}

// answer tells a server that looks what we know. One that repeats itself at once hears it once: two
// servers that do not agree on who is a voter would else answer each other for ever.
func (e *election) answer(to ServerID, heard ballot, out []Action) []Action {
	said := ballot{Vote: e.vote(), state: e.peer.state}
	last, known := e.answered[to]
	if known && last.heard == heard && last.said == said && e.peer.now-last.at < sameAnswerMS {
		return out
	}
	if !known && len(e.answered) >= maxAnswered {
		clear(e.answered)
	}
	e.answered[to] = answer{heard, said, e.peer.now}
	return append(out, Action{Kind: ActionNotify, To: to, Note: e.note(said.Vote)})
}

// hear counts the vote of a voter that looks.
func (e *election) hear(from ServerID, b ballot, out []Action) []Action {
	e.outside.remove(from) // it has no leader any more
	if e.mute() || b.Zxid == -1 {
		return out
	}
	switch {
	case b.Round > e.round:
		e.round = b.Round
		e.votes.clear()
		better := e.initial
		if e.beats(b.Vote, e.initial) {
			better = b.Vote
		}
		out = e.propose(better, out)
	case b.Round < e.round:
		return out // take has answered
	case e.beats(b.Vote, e.proposal):
		out = e.propose(b.Vote, out)
	}
	e.votes.put(from, b)
	e.settle()
	return out
}

// beats is the order of votes, and that a server of weight 0 never leads.
func (e *election) beats(v, o Vote) bool {
	switch {
	case e.peer.view.Weight(v.Leader) == 0:
		return false
	case e.peer.is(ShorterWins) && v.PeerEpoch == o.PeerEpoch && v.Zxid != o.Zxid:
		return v.Zxid < o.Zxid
	case e.peer.is(EarlierEpochWins):
		v.PeerEpoch, o.PeerEpoch = 0, 0
	}
	return v.beats(o)
}

// propose makes v our proposal and tells all voters.
func (e *election) propose(v Vote, out []Action) []Action {
	v.Round = e.round
	e.proposal, e.settling = v, false
	if !e.mute() {
		e.votes.put(e.peer.cfg.ID, ballot{Vote: v, state: Looking})
	}
	return e.send(out)
}

// send tells all voters what we propose, and again if nothing comes of it.
func (e *election) send(out []Action) []Action {
	p := e.peer
	e.resendAt = p.now + e.resendMS
	note := e.note(e.proposal)
	for _, id := range p.view.Voters() {
		if id != p.cfg.ID {
			out = append(out, Action{Kind: ActionNotify, To: id, Note: note})
		}
	}
	for _, id := range p.lastSeen.Voters() {
		if id != p.cfg.ID && !p.view.Voter(id) {
			out = append(out, Action{Kind: ActionNotify, To: id, Note: note})
		}
	}
	return out
}

func (e *election) note(v Vote) wire.Notification {
	return wire.Notification{
		State: int32(e.peer.state), Leader: int64(v.Leader), Zxid: v.Zxid, Round: v.Round, PeerEpoch: v.PeerEpoch,
		Version: wire.NotificationVersion, Config: e.peer.view.Text(),
	}
}

// settle sees whether a quorum agrees with our proposal. Then a better vote may still come from those
// that have not been heard, for a while.
func (e *election) settle() {
	set := e.agree(&e.votes, ballot{Vote: e.proposal, state: Looking})
	switch {
	case !e.quorum(set):
		e.settling = false
	case e.all(set):
		e.decide(e.proposal)
	case !e.settling:
		e.settling = true
		e.finalizeAt = e.peer.now + cmp.Or(e.peer.cfg.FinalizeMS, defaultFinalizeMS)
	}
}

// all says whether every voter is in the set.
func (e *election) all(set IDSet) bool {
	for _, v := range []*View{e.peer.view, e.peer.lastSeen} {
		for _, id := range v.Voters() {
			if !set.Has(id) {
				return false
			}
		}
	}
	return true
}

// join counts the vote of a voter that has a leader. A quorum for a leader that says itself that it leads
// is enough, in whatever round they elected it.
func (e *election) join(from ServerID, b ballot, out []Action) []Action {
	if b.Round == e.round {
		// Kept as of version 0, as Java does: so votes of one round agree where they have one leader,
		// also while its new epoch is known to some of its followers and not to others.
		e.votes.put(from, ballot{Vote: b.Vote, state: b.state})
		if e.quorum(e.agree(&e.votes, b)) && e.leads(&e.votes, b.Vote) {
			e.decide(b.Vote)
			return out
		}
	}
	e.outside.put(from, b)
	if e.quorum(e.agree(&e.outside, b)) && e.leads(&e.outside, b.Vote) {
		e.round = b.Round
		e.decide(b.Vote)
		return out
	}
	e.settle()
	return out
}

// leads says whether the leader of a vote leads by its own account: those that follow a server which has
// died must not elect it again. Others may know before us that we were elected, but only in this round.
func (e *election) leads(box *ballots, v Vote) bool {
	if v.Leader == e.peer.cfg.ID {
		return v.Round == e.round && !e.mute()
	}
	b, ok := box.get(v.Leader)
	return ok && b.state == Leading
}

func (e *election) decide(v Vote) {
	e.looking, e.settling = false, false
	e.current, e.fresh = v, true
	e.gone.Clear()
}

// agree returns who has cast a ballot that is the same as b. The set is valid until the next call.
func (e *election) agree(box *ballots, b ballot) IDSet {
	e.agreeing.Clear()
	for i := range box.cast {
		if box.cast[i].same(b) {
			e.agreeing.Add(box.cast[i].from)
		}
	}
	return e.agreeing
}

func (e *election) quorum(set IDSet) bool {
	if e.peer.is(ObserverVoteHeard) {
		return set.Len() > len(e.peer.view.Voters())/2
	}
	return e.peer.quorum(&set)
}

// ballot is a vote, and what its sender was doing when it cast it.
type ballot struct {
	Vote
	state   State
	version int32 // of the notification
}

func ballotOf(n *wire.Notification) ballot {
	return ballot{Vote{ServerID(n.Leader), n.Zxid, n.Round, n.PeerEpoch}, State(n.State), n.Version}
}

// plausible says whether anybody could have meant it.
func (b ballot) plausible() bool {
	return b.state >= Looking && b.state <= Observing && b.Round <= lastRound
}

// same says whether two ballots are for the same. Those of servers that look are so when all is equal.
// Those of others tell the zxid and the round of their own election, which may differ for one leader, so
// that the leader and its epoch count; and the leader alone where one of them is of the old version.
func (b ballot) same(o ballot) bool {
	switch {
	case b.state == Looking || o.state == Looking:
		return b.Vote == o.Vote
	case (b.version > 0) != (o.version > 0):
		return b.Leader == o.Leader
	}
	return b.Leader == o.Leader && b.PeerEpoch == o.PeerEpoch
}

// ballotFrom is a ballot and who cast it.
type ballotFrom struct {
	from ServerID
	ballot
}

// ballots are the last ones of some voters, by their ids.
type ballots struct{ cast []ballotFrom }

func (s *ballots) find(from ServerID) (int, bool) {
	return slices.BinarySearchFunc(s.cast, from, func(c ballotFrom, id ServerID) int { return cmp.Compare(c.from, id) })
}

func (s *ballots) get(from ServerID) (ballot, bool) {
	i, found := s.find(from)
	if !found {
		return ballot{}, false
	}
	return s.cast[i].ballot, true
}

func (s *ballots) put(from ServerID, b ballot) {
	i, found := s.find(from)
	if !found {
		s.cast = slices.Insert(s.cast, i, ballotFrom{from: from})
	}
	s.cast[i].ballot = b
}

func (s *ballots) remove(from ServerID) {
	if i, found := s.find(from); found {
		s.cast = slices.Delete(s.cast, i, i+1)
	}
}

func (s *ballots) clear() { s.cast = s.cast[:0] }
