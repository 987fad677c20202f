package zab

import (
	"bytes"

	"paddock/wire"
)

// Reconfiguration, as a learner sees it and as a new leader completes it. A configuration is a transaction: it
// is proposed, which makes it the last seen, and from then on every quorum has to be one of both; and it is
// agreed on with COMMITANDACTIVATE or INFORMANDACTIVATE, or with the UPTODATE of a leader whose NEWLEADER told
// of it. Its version is its zxid, and the later version wins. Without Config.Reconfig none of that happens, and
// each server obeys its own file.
//
// Source: QuorumPeer.processReconfig, Learner.syncWithLeader, Leader.lead; ZooKeeper 3.5 to 3.10.

// noLeader: nobody is appointed to lead a configuration. Java's servers spell it null; ids are not below 0.
const noLeader ServerID = -1

// View returns the configuration that is in force.
func (p *Peer) View() *View { return p.view }

// LastSeen returns the one that was proposed last; that in force, where none is outstanding.
func (p *Peer) LastSeen() *View { return p.lastSeen }

// propose hears of a configuration that may come into force.
func (p *Peer) proposeView(v *View, out []Action) []Action {
	if !p.cfg.Reconfig || v.Version == p.lastSeen.Version || v.Version < p.view.Version {
		return out
	}
	p.lastSeen = v
	if v.Version == p.view.Version {
		p.lastSeen = p.view // what we had seen came to nothing
	}
	return append(out, Action{Kind: ActionView, View: p.lastSeen, Proposed: true})
}

// viewIn hears of a transaction that may be a reconfiguration. One that cannot be read is left to the leader:
// it has the same bytes.
func (p *Peer) viewIn(h *wire.TxnHeader, r wire.Reader, out []Action) []Action {
	if !p.cfg.Reconfig || h.Type != wire.OpReconfig {
		return out
	}
	var set wire.SetDataTxn
	if set.Decode(&r) != nil {
		return out
	}
	if v, err := ParseView(set.Data); err == nil {
		return p.proposeView(v, out)
	}
	return out
}

// activate brings a configuration into force, and says whether it changes what we have to do: our role, or
// whom we follow.
func (p *Peer) activate(v *View, appointed ServerID, out []Action) (_ []Action, major bool) {
	if !p.cfg.Reconfig || v.Version <= p.view.Version {
		return out, false
	}
	before := p.view
	p.view = v
	if p.lastSeen.Version <= v.Version {
		p.lastSeen = v
	}
	out = append(out, Action{Kind: ActionView, View: v})
	if p.lastSeen != v {
		out = append(out, Action{Kind: ActionView, View: p.lastSeen, Proposed: true})
	}
	leader := p.election.current.Leader
	switch {
	case appointed != noLeader:
		major = appointed != leader
	default:
		was, is := before.Member(leader), v.Member(leader)
		major = was == nil || is == nil || is.Role == Observer || !samePlace(was, is)
	}
	return out, major || before.observes(p.cfg.ID) != v.observes(p.cfg.ID)
}

// samePlace says whether a server is reached at the same addresses in two configurations.
func samePlace(a, b *Member) bool {
	x, y := *a, *b
	x.Role, x.Client, x.SecureClient = y.Role, y.Client, y.SecureClient
	return x.same(&y)
}

// observes says whether a server is an observer. One that is not listed may go on as it is: nobody counts it.
func (v *View) observes(id ServerID) bool {
	m := v.Member(id)
	return m != nil && m.Role == Observer
}

// appoint makes a vote the result of the next election: there is none, for the configuration says who leads.
func (p *Peer) appoint(leader ServerID, z wire.Zxid) {
	if p.voter(leader) {
		p.appointed, p.hasAppointed = Vote{Leader: leader, Zxid: z, Round: -1, PeerEpoch: -1}, true
	}
}

// gossip hears of the sender's configuration. Who looks for a leader with an old one may never find it.
func (p *Peer) gossip(ev *Event, out []Action) []Action {
	if !p.cfg.Reconfig || p.state != Looking || bytes.Equal(ev.Note.Config, p.view.Text()) || len(ev.Note.Config) == 0 {
		return out
	}
	v, err := ParseView(ev.Note.Config)
	if err != nil || v.Version <= p.view.Version || !v.Voter(ev.From) && !p.voter(ev.From) {
		return out
	}
	same := v.Same(p.view)
	out, _ = p.activate(v, noLeader, out)
	if !same && p.election.looking {
		out = p.election.start(out)
	}
	return out
}
