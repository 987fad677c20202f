package zab

// A server without trust in its disk is left out wherever histories are compared. Its votes say that its last
// zxid is -1, which neither we nor Java's servers count; it elects nobody, and learns from FOLLOWING and
// LEADING votes who leads. In discovery it says nothing of its history, and asks for a snapshot
// (learner.ackEpoch): so it is in no quorum that a leader's history is taken from. Its promises are kept, and
// the ack of NEWLEADER counts, for then it has the leader's history on its disk, and trust in it.
//
// If a majority is without trust there is no leader, and an operator has to know.

// newEnsembleMS is for how long the last word of each server has to be that it has nothing. A word may be
// old, as the election port repeats the last one to whoever connects; but who has a leader answers our
// proposal, which is repeated within that time.
const newEnsembleMS = lastResendMS + 500

// Trust returns how far the peer relies on its disk.
func (p *Peer) Trust() Trust { return p.trust }

// census is what an empty server has heard of the others.
type census struct {
	blank IDSet // whose last word was that it has no history
	since int64 // all of them say so
	all   bool
}

// count takes the word of a voter.
func (c *census) count(e *election, from ServerID, b ballot) {
	if b.state == Looking && b.Zxid <= 0 {
		c.blank.Add(from)
	} else {
		c.blank.Remove(from)
	}
	c.look(e)
}

// look sees whether it is everybody.
func (c *census) look(e *election) {
	p := e.peer
	c.blank.Add(p.cfg.ID)
	if all := e.all(c.blank); all != c.all {
		c.all, c.since = all, p.now
	}
}

// found says whether the ensemble is new: nobody has a history, and it is right that we have none either.
func (e *election) found() bool {
	p := e.peer
	return e.looking && p.trust == Empty && p.view.Voter(p.cfg.ID) && e.census.all && p.now-e.census.since >= newEnsembleMS
}

// begin begins a new ensemble: from here on we are a server with an empty history.
func (e *election) begin(out []Action) []Action {
	e.peer.trust = Trusted
	e.initial = e.own()
	return e.propose(e.initial, append(out, Action{Kind: ActionTrust}))
}
