package zab

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"paddock/wire"
)

// elector is an election without the rest of a peer: the test plays the role that follows it.
type elector struct {
	*election
	t testing.TB
}

// newElector returns server id of a view, with a history that ends at last, before it looks.
func newElector(t testing.TB, id ServerID, view string, last wire.Zxid, epoch uint32) *elector {
	t.Helper()
	p := NewPeer(Config{ID: id, View: mustView(t, view)},
		Recovered{History: NewHistory(last), Committed: min(last, 0), Epochs: Epochs{Accepted: epoch, Current: epoch}})
	return &elector{&p.election, t}
}

func (e *elector) look() []Action {
	e.peer.state, e.peer.draining = Looking, false
	return e.start(nil)
}

func (e *elector) hears(from ServerID, state State, v Vote) []Action {
	return e.hearsNote(from, wire.Notification{State: int32(state), Leader: int64(v.Leader), Zxid: v.Zxid,
		Round: v.Round, PeerEpoch: v.PeerEpoch, Version: 2})
}

func (e *elector) hearsNote(from ServerID, n wire.Notification) []Action {
	return e.receive(&Event{Kind: EventNotification, Now: e.peer.now, From: from, Note: n}, nil)
}

func (e *elector) at(now int64) []Action {
	e.peer.now = now
	return e.tick(nil)
}

// mustDecide takes the role that was decided on.
func (e *elector) mustDecide(want ServerID) {
	e.t.Helper()
	v, ok := e.decided()
	if !ok || v.Leader != want {
		e.t.Fatalf("server %d decided %+v, %v, want leader %d", e.peer.cfg.ID, v, ok, want)
	}
	e.act(v)
}

func (e *elector) act(v Vote) {
	e.peer.state = Following
	switch {
	case v.Leader == e.peer.cfg.ID:
		e.peer.state = Leading
	case !e.peer.cfg.View.Voter(e.peer.cfg.ID):
		e.peer.state = Observing
	}
}

func (e *elector) mustGoOn() {
	e.t.Helper()
	if v, ok := e.decided(); ok {
		e.t.Fatalf("server %d decided %+v, want that it goes on looking", e.peer.cfg.ID, v)
	}
}

// said returns what went to one server, and fails unless it is one notification.
func said(t testing.TB, out []Action, to ServerID) wire.Notification {
	t.Helper()
	var notes []wire.Notification
	for _, a := range out {
		if a.Kind != ActionNotify {
			t.Fatalf("action %d from an election", a.Kind)
		}
		if a.To == to {
			notes = append(notes, a.Note)
		}
	}
	if len(notes) != 1 {
		t.Fatalf("%d notifications to server %d, want 1", len(notes), to)
	}
	return notes[0]
}

func voteIn(n wire.Notification) Vote {
	return Vote{ServerID(n.Leader), n.Zxid, n.Round, n.PeerEpoch}
}

func zx(epoch, counter int64) wire.Zxid { return wire.Zxid(epoch<<32 | counter) }

func TestVoteOrder(t *testing.T) {
	tests := []struct {
		name string
		v, o Vote
		want bool
	}{
		{"a later epoch beats a longer history", Vote{1, zx(1, 1), 1, 2}, Vote{3, zx(1, 9), 1, 1}, true},
		{"within an epoch the longer history wins", Vote{1, zx(1, 2), 1, 1}, Vote{3, zx(1, 1), 1, 1}, true},
		{"with one history the greater id wins", Vote{3, zx(1, 1), 1, 1}, Vote{2, zx(1, 1), 1, 1}, true},
		{"a smaller id loses", Vote{2, zx(1, 1), 1, 1}, Vote{3, zx(1, 1), 1, 1}, false},
		{"nothing beats its like", Vote{2, zx(1, 1), 1, 1}, Vote{2, zx(1, 1), 1, 1}, false},
		{"the round does not count", Vote{2, zx(1, 1), 9, 1}, Vote{3, zx(1, 1), 1, 1}, false},
		{"everybody beats nobody", Vote{1, 0, 1, 0}, Vote{nobody, nobody, 1, nobody}, true},
		{"a server of weight 0 beats nobody", Vote{4, zx(9, 9), 1, 9}, Vote{1, 0, 1, 0}, false},
		{"not even nobody", Vote{4, zx(9, 9), 1, 9}, Vote{nobody, nobody, 1, nobody}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newElector(t, 1, lines(4, 0)+"group.1=1:2:3:4\nweight.4=0\n", 0, 0)
			if got := e.beats(tt.v, tt.o); got != tt.want {
				t.Errorf("%+v beats %+v: %v, want %v", tt.v, tt.o, got, tt.want)
			}
		})
	}
}

// TestVoteOrderIsTotal: of two different votes exactly one beats the other, and no three go in a circle.
func TestVoteOrderIsTotal(t *testing.T) {
	small := rapid.Custom(func(t *rapid.T) Vote {
		return Vote{
			Leader: ServerID(rapid.Int64Range(-1, 2).Draw(t, "leader")), Zxid: wire.Zxid(rapid.Int64Range(-1, 2).Draw(t, "zxid")),
			Round: rapid.Int64Range(0, 3).Draw(t, "round"), PeerEpoch: rapid.Int64Range(-1, 2).Draw(t, "epoch"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := small.Draw(t, "a"), small.Draw(t, "b"), small.Draw(t, "c")
		alike := a.Leader == b.Leader && a.Zxid == b.Zxid && a.PeerEpoch == b.PeerEpoch
		if a.beats(b) && b.beats(a) || (a.beats(b) || b.beats(a)) == alike {
			t.Fatalf("%+v and %+v: %v, %v", a, b, a.beats(b), b.beats(a))
		}
		if a.beats(b) && b.beats(c) && !a.beats(c) {
			t.Fatalf("%+v beats %+v beats %+v, but not the first the last", a, b, c)
		}
	})
}

func TestALoneVoterElectsItself(t *testing.T) {
	e := newElector(t, 1, lines(1, 1), zx(4, 7), 4)
	if out := e.look(); len(out) != 0 {
		t.Errorf("it says %v", out)
	}
	e.mustDecide(1)
	if got, want := e.vote(), (Vote{1, zx(4, 7), 1, 4}); got != want {
		t.Errorf("vote %+v, want %+v", got, want)
	}
	e.mustGoOn() // it is said once
}

func TestAnElectionBeginsWithOneself(t *testing.T) {
	e := newElector(t, 2, lines(3, 2), zx(3, 5), 4)
	out := e.look()
	if len(out) != 2 {
		t.Fatalf("%d notifications, want one to each other voter", len(out))
	}
	for _, id := range []ServerID{1, 3} {
		n := said(t, out, id)
		if got, want := voteIn(n), (Vote{2, zx(3, 5), 1, 4}); got != want || n.State != 0 || n.Version != 2 {
			t.Errorf("to %d: %+v", id, n)
		}
		if string(n.Config) != e.peer.cfg.View.String() {
			t.Errorf("to %d: config %q", id, n.Config)
		}
	}
	e.mustGoOn()
}

func TestAVoterFollowsTheBetterVoteAndAQuorumDecides(t *testing.T) {
	e := newElector(t, 1, lines(3, 0), 0, 0)
	e.look()
	out := e.hears(3, Looking, Vote{3, 0, 1, 0})
	if got := voteIn(said(t, out, 2)).Leader; got != 3 {
		t.Errorf("it proposes %d, want 3", got)
	}
	e.mustGoOn() // 1 and 3 are a quorum, but 2 may know better
	e.at(defaultFinalizeMS - 1)
	e.mustGoOn()
	e.at(defaultFinalizeMS)
	e.mustDecide(3)
}

func TestNoWaitWhenAllVotersAgree(t *testing.T) {
	e := newElector(t, 3, lines(3, 0), 0, 0)
	e.look()
	e.hears(1, Looking, Vote{3, 0, 1, 0})
	e.mustGoOn()
	e.hears(2, Looking, Vote{3, 0, 1, 0})
	e.mustDecide(3)
}

func TestABetterVoteEndsTheWait(t *testing.T) {
	e := newElector(t, 1, lines(5, 0), 0, 0)
	e.look()
	e.hears(2, Looking, Vote{3, 0, 1, 0})
	e.hears(3, Looking, Vote{3, 0, 1, 0})
	if !e.settling {
		t.Fatal("three of five agree, and it does not wait for better votes")
	}
	out := e.at(10)
	out = append(out, e.hears(4, Looking, Vote{4, zx(0, 1), 1, 0})...)
	if got := voteIn(said(t, out, 5)).Leader; got != 4 {
		t.Errorf("it proposes %d, want 4", got)
	}
	e.at(1000)
	e.mustGoOn()
	e.hears(2, Looking, Vote{4, zx(0, 1), 1, 0})
	e.at(1010)
	e.mustGoOn() // the wait begins anew with the new proposal
	e.at(1020)
	e.mustDecide(4)
}

func TestTheWaitBeginsAnewWithABetterVoteThatHasAQuorumAtOnce(t *testing.T) {
	e := newElector(t, 1, lines(3, 0), 0, 0)
	e.look()
	e.hears(2, Looking, Vote{2, 0, 1, 0})
	e.at(15)
	e.hears(3, Looking, Vote{3, 0, 1, 0})
	e.at(20)
	e.mustGoOn()
	e.at(35)
	e.mustDecide(3)
}

func TestVotesAfterTheDecisionChangeNothing(t *testing.T) {
	e := newElector(t, 1, lines(3, 0), 0, 0)
	e.look()
	e.hears(2, Looking, Vote{3, 0, 1, 0})
	e.hears(3, Looking, Vote{3, 0, 1, 0})
	e.mustDecide(3)
	want := e.vote()
	e.hears(2, Looking, Vote{2, zx(1, 1), 5, 1})
	e.hears(3, Leading, Vote{3, 0, 5, 7})
	e.hears(2, Following, Vote{3, 0, 5, 7})
	e.at(1000)
	e.mustGoOn()
	if e.vote() != want || e.round != 1 {
		t.Errorf("vote %+v in round %d, want %+v", e.vote(), e.round, want)
	}
}

// TestVotesOfAnotherElectionAreNotCounted: B-60.
func TestVotesOfAnotherElectionAreNotCounted(t *testing.T) {
	t.Run("that of our last one", func(t *testing.T) {
		e := newElector(t, 1, lines(3, 0), 0, 0)
		e.look()
		e.hears(2, Following, Vote{3, 0, 1, 4})
		e.look()
		e.hears(3, Leading, Vote{3, 0, 2, 5})
		e.hears(3, Leading, Vote{3, 0, 2, 4})
		e.mustGoOn()
	})
	t.Run("that of an earlier round, told by a follower", func(t *testing.T) {
		e := newElector(t, 1, lines(3, 0), 0, 0)
		e.look()
		e.hears(2, Following, Vote{3, 0, 1, 4})
		e.hears(2, Looking, Vote{2, 0, 2, 4})
		e.hears(3, Leading, Vote{3, 0, 2, 5})
		e.mustGoOn()

		five := newElector(t, 1, lines(5, 0), 0, 0)
		five.look()
		five.hears(2, Following, Vote{3, 0, 1, 4})
		five.hears(4, Looking, Vote{4, 0, 2, 4})
		five.hears(5, Following, Vote{3, 0, 2, 5})
		five.hears(3, Leading, Vote{3, 0, 2, 5})
		five.mustGoOn()
	})
	t.Run("that for the history that our candidate does not have", func(t *testing.T) {
		e := newElector(t, 3, lines(3, 0), 0, 0)
		e.look()
		e.hears(1, Following, Vote{3, 7, 1, 0})
		e.at(150)
		e.mustGoOn()
	})
	t.Run("but a vote of our round helps to know a leader of another", func(t *testing.T) {
		e := newElector(t, 1, lines(3, 0), 0, 0)
		e.look()
		e.hears(2, Following, Vote{3, 0, 1, 5})
		e.hears(3, Leading, Vote{3, 0, 7, 5})
		e.mustDecide(3)
	})
}

func TestAVoterThatChangesItsMindEndsTheWait(t *testing.T) {
	e := newElector(t, 3, lines(5, 0), 0, 0)
	e.look()
	e.hears(1, Looking, Vote{3, 0, 1, 0})
	e.hears(2, Looking, Vote{3, 0, 1, 0})
	e.hears(2, Following, Vote{5, 0, 1, 0})
	e.at(100)
	e.mustGoOn()
}

func TestRounds(t *testing.T) {
	t.Run("a later round is joined, and what was heard before is void", func(t *testing.T) {
		e := newElector(t, 3, lines(5, 0), 0, 0)
		e.look()
		e.hears(1, Looking, Vote{3, 0, 1, 0})
		out := e.hears(2, Looking, Vote{2, 0, 7, 0})
		if got, want := voteIn(said(t, out, 1)), (Vote{3, 0, 7, 0}); got != want {
			t.Errorf("it proposes %+v, want %+v: itself, for 2 is no better", got, want)
		}
		e.hears(2, Looking, Vote{3, 0, 7, 0})
		e.at(100)
		e.mustGoOn() // 1 voted in round 1
	})
	t.Run("in a later round we propose what we have, not what we had heard of", func(t *testing.T) {
		e := newElector(t, 2, lines(5, 0), 0, 0)
		e.look()
		e.hears(4, Looking, Vote{4, zx(1, 1), 1, 1})
		out := e.hears(1, Looking, Vote{1, 0, 2, 0})
		if got, want := voteIn(said(t, out, 5)), (Vote{2, 0, 2, 0}); got != want {
			t.Errorf("it proposes %+v, want %+v", got, want)
		}
	})
	t.Run("an earlier round is answered and does not count", func(t *testing.T) {
		e := newElector(t, 1, lines(3, 0), 0, 0)
		e.round = 4
		e.look()
		out := e.hears(3, Looking, Vote{3, zx(1, 1), 2, 1})
		if got, want := voteIn(said(t, out, 3)), (Vote{1, 0, 5, 0}); got != want || len(out) != 1 {
			t.Errorf("answer %+v, want %+v", got, want)
		}
		e.at(100)
		e.mustGoOn()
	})
	t.Run("the next election is in the next round", func(t *testing.T) {
		e := newElector(t, 1, lines(1, 0), 0, 0)
		e.look()
		e.look()
		if e.vote().Round != 2 {
			t.Errorf("round %d, want 2", e.vote().Round)
		}
	})
	t.Run("a round that would overflow is not taken over", func(t *testing.T) {
		e := newElector(t, 1, lines(3, 0), 0, 0)
		e.look()
		e.hears(2, Looking, Vote{2, 0, math.MaxInt64, 0})
		e.hears(2, Following, Vote{3, 0, math.MaxInt64, 0})
		e.hears(3, Leading, Vote{3, 0, math.MaxInt64, 0})
		e.mustGoOn()
		if e.round != 1 {
			t.Errorf("round %d", e.round)
		}
	})
}

func TestWhoIsNotHeard(t *testing.T) {
	tests := []struct {
		name  string
		view  string
		from  ServerID
		state State
		vote  Vote
	}{
		{"an observer that votes", lines(2, 2), 3, Looking, Vote{1, 0, 1, 0}},
		{"an observer that knows of a better vote", lines(2, 2), 3, Looking, Vote{2, zx(9, 9), 1, 9}},
		{"an observer that says it follows", lines(2, 2), 3, Following, Vote{1, 0, 1, 0}},
		{"a stranger", lines(2, 0), 99, Looking, Vote{1, 0, 1, 0}},
		{"ourselves from the network", lines(2, 0), 1, Looking, Vote{2, zx(9, 9), 1, 9}},
		{"a voter for an observer", lines(2, 2), 2, Looking, Vote{4, zx(9, 9), 1, 9}},
		{"a voter for a stranger", lines(2, 0), 2, Looking, Vote{99, zx(9, 9), 1, 9}},
		{"a server that has lost its data", lines(2, 0), 2, Looking, Vote{2, -1, 1, 9}},
		{"a state that there is not", lines(2, 0), 2, State(7), Vote{1, 0, 1, 0}},
		{"a server that observes", lines(2, 0), 2, Observing, Vote{1, 0, 1, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newElector(t, 1, tt.view, 0, 0)
			e.look()
			before := e.proposal
			e.hears(tt.from, tt.state, tt.vote)
			if e.proposal != before || e.settling {
				t.Errorf("proposal %+v, settling %v: it was heard", e.proposal, e.settling)
			}
			e.at(150)
			e.mustGoOn()
		})
	}
}

func TestAServerThatLostItsDataNeitherElectsNorLeads(t *testing.T) {
	e := newElector(t, 1, lines(3, 0), -1, 0)
	e.look()
	e.hears(2, Looking, Vote{3, 0, 1, 0})
	e.hears(3, Looking, Vote{3, 0, 1, 0})
	e.at(150)
	e.mustGoOn()
	e.hears(2, Following, Vote{1, -1, 1, 0})
	e.hears(3, Following, Vote{1, -1, 1, 0})
	e.mustGoOn()
	e.hears(2, Following, Vote{3, 0, 1, 0})
	e.hears(3, Leading, Vote{3, 0, 1, 0})
	e.mustDecide(3) // it may follow
}

func TestAServerOfWeightZeroIsNeverElected(t *testing.T) {
	view := lines(3, 0) + "group.1=1:2:3\nweight.3=0\n"
	one, three := newElector(t, 1, view, 0, 0), newElector(t, 3, view, zx(5, 5), 5)
	one.look()
	three.look()
	one.hears(3, Looking, Vote{3, zx(5, 5), 1, 5})
	if one.proposal.Leader != 1 {
		t.Errorf("server 1 proposes %d", one.proposal.Leader)
	}
	three.hears(1, Looking, Vote{2, 0, 1, 0})
	three.hears(2, Looking, Vote{2, 0, 1, 0})
	three.at(150)
	three.mustGoOn() // it stays with itself, and nobody needs its vote
	three.hears(1, Following, Vote{2, 0, 1, 0})
	three.hears(2, Leading, Vote{2, 0, 1, 0})
	three.mustDecide(2)
}

// TestALateJoinerRecognisesTheLeader: B-40.
func TestALateJoinerRecognisesTheLeader(t *testing.T) {
	t.Run("members tell rounds and zxids of different elections", func(t *testing.T) {
		e := newElector(t, 1, lines(3, 0), zx(2, 2), 2)
		e.look()
		e.hears(2, Following, Vote{3, zx(4, 4), 9, 5})
		e.mustGoOn()
		e.hears(3, Leading, Vote{3, zx(4, 1), 2, 5})
		e.mustDecide(3)
		if e.round != 2 {
			t.Errorf("round %d, want that of the vote it decided on", e.round)
		}
	})
	t.Run("a member that does not know the epoch yet is of no use in another round", func(t *testing.T) {
		e := newElector(t, 1, lines(3, 0), 0, 0)
		e.look()
		e.hears(2, Following, Vote{3, 0, 9, 4})
		e.hears(3, Leading, Vote{3, 0, 9, 5})
		e.mustGoOn()
		e.hears(2, Following, Vote{3, 0, 9, 5})
		e.mustDecide(3)
	})
	t.Run("and counts in our round", func(t *testing.T) {
		e := newElector(t, 1, lines(3, 0), 0, 0)
		e.look()
		e.hears(2, Following, Vote{3, 0, 1, 4})
		e.hears(3, Leading, Vote{3, 0, 1, 5})
		e.mustDecide(3)
	})
	t.Run("members of the oldest version tell no epoch", func(t *testing.T) {
		e := newElector(t, 1, lines(5, 0), 0, 0)
		e.look()
		e.hears(2, Following, Vote{3, 0, 9, 5})
		e.hears(3, Leading, Vote{3, 0, 9, 5})
		e.hearsNote(4, wire.Notification{State: 1, Leader: 3, Zxid: 0, Round: 9})
		e.mustDecide(3)
	})
	t.Run("after the new epoch all members say the same of it", func(t *testing.T) {
		e := newElector(t, 1, lines(3, 0), 0, 0)
		e.look()
		e.hears(2, Following, Vote{3, 7, 4, 5})
		e.hears(3, Leading, Vote{3, 7, 4, 5})
		e.mustDecide(3)
		e.established(6)
		n := said(t, e.hears(2, Looking, Vote{2, 7, 1, 5}), 2)
		if got, want := voteIn(n), (Vote{3, 7, 4, 6}); got != want || State(n.State) != Following {
			t.Errorf("answer %+v, state %v, want %+v", got, State(n.State), want)
		}
	})
}

// TestADeadLeaderIsNotElected: B-41. Those that have not noticed still follow it.
func TestADeadLeaderIsNotElected(t *testing.T) {
	e := newElector(t, 1, lines(5, 0), 0, 0)
	e.look()
	for _, round := range []int64{1, 8} {
		for _, id := range []ServerID{2, 3, 4} {
			e.hears(id, Following, Vote{5, 0, round, 1})
		}
	}
	e.at(150)
	e.mustGoOn()

	// Nor when it follows another.
	e.hears(5, Following, Vote{4, 0, 8, 1})
	e.hears(2, Following, Vote{5, 0, 8, 1})
	e.mustGoOn()

	// Nor when it led a moment ago, and looks again itself.
	e.hears(2, Looking, Vote{2, 0, 1, 0})
	e.hears(3, Looking, Vote{3, 0, 1, 0})
	e.hears(5, Leading, Vote{5, 0, 8, 1})
	e.mustGoOn()
	e.hears(5, Looking, Vote{5, 0, 1, 0})
	e.hears(2, Following, Vote{5, 0, 8, 1})
	e.hears(3, Following, Vote{5, 0, 8, 1})
	e.at(150)
	e.mustGoOn()
}

func TestOthersMayKnowFirstThatWeWereElected(t *testing.T) {
	e := newElector(t, 3, lines(3, 0), 0, 0)
	e.look()
	e.hears(1, Following, Vote{3, 0, 1, 0})
	e.at(100)
	e.mustDecide(3)

	old := newElector(t, 3, lines(3, 0), 0, 0)
	old.look()
	old.hears(1, Following, Vote{3, 0, 9, 1}) // of a leadership that we have lost
	old.hears(2, Following, Vote{3, 0, 9, 1})
	old.at(100)
	old.mustGoOn()
}

// TestObservers: B-42 from their own side.
func TestAnObserverVotesForNobodyAndFollowsAQuorum(t *testing.T) {
	e := newElector(t, 4, lines(3, 1), zx(9, 9), 9)
	out := e.look()
	n := said(t, out, 2)
	if got, want := voteIn(n), (Vote{math.MinInt64, math.MinInt64, 1, math.MinInt64}); got != want || len(out) != 3 {
		t.Errorf("it says %+v to %d servers, want %+v to 3", got, len(out), want)
	}
	e.hears(1, Looking, Vote{3, 0, 1, 0})
	e.hears(2, Looking, Vote{3, 0, 1, 0})
	e.hears(3, Looking, Vote{3, 0, 1, 0})
	e.at(150)
	e.mustGoOn() // votes are for voters
	e.hears(3, Leading, Vote{3, 0, 1, 0})
	e.mustGoOn()
	e.hears(1, Following, Vote{3, 0, 1, 0})
	e.mustDecide(3)
	if e.peer.state != Observing {
		t.Errorf("it is %v", e.peer.state)
	}
}

func TestAnswers(t *testing.T) {
	decided := func(t *testing.T) *elector {
		e := newElector(t, 1, lines(3, 1), 0, 0)
		e.look()
		e.hears(2, Looking, Vote{3, 5, 6, 0})
		e.hears(3, Looking, Vote{3, 5, 6, 0})
		e.mustDecide(3)
		return e
	}
	t.Run("a voter that looks is told whom we follow", func(t *testing.T) {
		n := said(t, decided(t).hears(2, Looking, Vote{2, 0, 1, 0}), 2)
		if got, want := voteIn(n), (Vote{3, 5, 6, 0}); got != want || State(n.State) != Following {
			t.Errorf("%+v, %v, want %+v", got, State(n.State), want)
		}
	})
	t.Run("so is an observer", func(t *testing.T) {
		n := said(t, decided(t).hears(4, Looking, Vote{nobody, nobody, 1, nobody}), 4)
		if got, want := voteIn(n), (Vote{3, 5, 6, 0}); got != want || State(n.State) != Following {
			t.Errorf("%+v, %v, want %+v", got, State(n.State), want)
		}
	})
	t.Run("and a server that nobody has told us of", func(t *testing.T) {
		if out := decided(t).hears(-1, Looking, Vote{nobody, nobody, 1, nobody}); len(out) != 1 {
			t.Errorf("%d answers", len(out))
		}
	})
	t.Run("who has a leader is told nothing", func(t *testing.T) {
		e := decided(t)
		for _, from := range []ServerID{2, 4, 99} {
			if out := e.hears(from, Following, Vote{2, 0, 1, 0}); len(out) != 0 {
				t.Errorf("server %d is told %+v", from, out)
			}
		}
	})
	t.Run("while we look, an observer is told our proposal", func(t *testing.T) {
		e := newElector(t, 1, lines(3, 1), 0, 0)
		e.look()
		n := said(t, e.hears(4, Looking, Vote{nobody, nobody, 1, nobody}), 4)
		if got, want := voteIn(n), (Vote{1, 0, 1, 0}); got != want || State(n.State) != Looking {
			t.Errorf("%+v, %v, want %+v", got, State(n.State), want)
		}
	})
	t.Run("a voter of our round that begins with less is told once what it may have missed", func(t *testing.T) {
		e := newElector(t, 2, lines(3, 0), 5, 0)
		e.look()
		n := said(t, e.hears(1, Looking, Vote{1, 0, 1, 0}), 1)
		if got, want := voteIn(n), (Vote{2, 5, 1, 0}); got != want {
			t.Errorf("it is told %+v, want %+v", got, want)
		}
		if out := e.hears(1, Looking, Vote{1, 1, 1, 0}); len(out) != 0 {
			t.Errorf("it has looked for a while, and is told %+v", out)
		}
	})
	t.Run("a voter of our round that agrees is told nothing", func(t *testing.T) {
		e := newElector(t, 2, lines(5, 0), 0, 0)
		e.look()
		if out := e.hears(1, Looking, Vote{2, 0, 1, 0}); len(out) != 0 {
			t.Errorf("it is told %+v", out)
		}
	})
	t.Run("who repeats itself at once is answered once", func(t *testing.T) {
		e := decided(t)
		for i := range 3 {
			if out := e.hears(2, Looking, Vote{2, 0, 1, 0}); (len(out) == 1) != (i == 0) {
				t.Errorf("time %d: %d answers", i, len(out))
			}
		}
		if out := e.hears(2, Looking, Vote{2, 0, 2, 0}); len(out) != 1 {
			t.Errorf("another vote: %d answers", len(out))
		}
		e.peer.now += firstResendMS
		if out := e.hears(2, Looking, Vote{2, 0, 2, 0}); len(out) != 1 {
			t.Errorf("the same later: %d answers", len(out))
		}
		e.established(9)
		if out := e.hears(2, Looking, Vote{2, 0, 2, 0}); len(out) != 1 {
			t.Errorf("the same, with something new to say: %d answers", len(out))
		}
	})
	t.Run("ids from the network do not fill the memory", func(t *testing.T) {
		e := decided(t)
		for id := range ServerID(3 * maxAnswered) {
			e.hears(id+1000, Looking, Vote{nobody, nobody, 1, nobody})
		}
		if n := len(e.answered); n > maxAnswered {
			t.Errorf("%d answers kept, want at most %d", n, maxAnswered)
		}
	})
}

// TestTwoServersThatDoNotKnowEachOtherFallSilent: each holds the other for no voter, and itself for one.
func TestTwoServersThatDoNotKnowEachOtherFallSilent(t *testing.T) {
	a := newElector(t, 1, "server.1=a:1:2\nserver.3=c:1:2\n", 0, 0)
	b := newElector(t, 2, "server.2=b:1:2\nserver.3=c:1:2\n", 0, 0)
	b.round = 7
	a.look()
	b.look()
	out := b.hears(1, Looking, voteIn(a.note(a.vote())))
	said, to, from := 0, a, ServerID(2)
	for len(out) > 0 && said < 100 {
		said++
		out = to.hearsNote(from, out[0].Note)
		if to == a {
			to, from = b, 1
		} else {
			to, from = a, 2
		}
	}
	if said > 4 {
		t.Errorf("%d messages", said)
	}
}

func TestSilenceIsBrokenWithGrowingPauses(t *testing.T) {
	e := newElector(t, 1, lines(3, 0), 0, 0)
	e.look()
	var at []int64
	for now := int64(0); now < 5000; now += 50 {
		if out := e.at(now); len(out) > 0 {
			said(t, out, 2)
			said(t, out, 3)
			at = append(at, now)
		}
	}
	if want := []int64{200, 600, 1400, 2400, 3400, 4400}; !slices.Equal(at, want) {
		t.Errorf("sent again at %v, want %v", at, want)
	}
}

func TestWhatComesBetweenTwoElectionsIsNotLost(t *testing.T) {
	e := newElector(t, 1, lines(3, 1), 0, 0)
	for _, v := range []Vote{{2, 0, 3, 0}, {3, 0, 3, 0}} { // before it looks; the last one counts
		if out := e.hears(2, Looking, v); len(out) != 0 {
			t.Errorf("it says %+v, and does not know its own history yet", out)
		}
	}
	e.hears(3, Looking, Vote{3, 0, 3, 0})
	e.hears(4, Looking, Vote{nobody, nobody, 3, nobody})
	if len(e.early) != 2 {
		t.Errorf("%d votes are kept, want one of each voter", len(e.early))
	}
	e.look()
	e.mustDecide(3)
	if len(e.early) != 0 {
		t.Error("they are kept for the next election, too")
	}
}

// TestAVoteOfTwoViews: while a reconfiguration is on its way a leader needs a quorum of both.
func TestAVoteOfTwoViews(t *testing.T) {
	p := NewPeer(Config{ID: 1, View: mustView(t, lines(3, 0)), LastSeen: mustView(t, lines(5, 0)+"version=5\n")}, Recovered{})
	e := &elector{&p.election, t}
	if out := e.look(); len(out) != 4 {
		t.Errorf("%d are told, want all voters of both", len(out))
	}
	e.hears(2, Looking, Vote{3, 0, 1, 0})
	e.at(150)
	e.mustGoOn() // 1 and 2: of the old one
	e.hears(5, Looking, Vote{3, 0, 1, 0})
	e.at(180)
	e.mustDecide(3)
}

// electorate is a network of elections. Of each server to each other there is one letter on its way at
// most: a later one replaces it, as on the election port.
type electorate struct {
	t       *rapid.T
	now     int64
	servers map[ServerID]*elector
	ids     []ServerID
	letters []letter
}

type letter struct {
	from, to ServerID
	note     wire.Notification
}

func newElectorate(t *rapid.T, tb testing.TB, voters, observers int) *electorate {
	w := &electorate{t: t, servers: map[ServerID]*elector{}}
	for i := 1; i <= voters+observers; i++ {
		epoch := rapid.Int64Range(0, 2).Draw(t, fmt.Sprint("epoch of ", i))
		last := rapid.Int64Range(0, 2).Draw(t, fmt.Sprint("last of ", i))
		w.ids = append(w.ids, ServerID(i))
		w.servers[ServerID(i)] = newElector(tb, ServerID(i), lines(voters, observers), zx(epoch, last), uint32(epoch))
	}
	return w
}

func (w *electorate) post(from ServerID, out []Action) {
	for _, a := range out {
		w.letters = slices.DeleteFunc(w.letters, func(l letter) bool { return l.from == from && l.to == a.To })
		w.letters = append(w.letters, letter{from, a.To, a.Note})
	}
}

func (w *electorate) look(id ServerID) {
	w.servers[id].peer.now = w.now
	w.post(id, w.servers[id].look())
	w.role(id)
}

func (w *electorate) role(id ServerID) {
	if v, ok := w.servers[id].decided(); ok {
		w.servers[id].act(v)
	}
}

// deliver delivers one letter, any, or loses it.
func (w *electorate) deliver(lose bool) {
	i := rapid.IntRange(0, len(w.letters)-1).Draw(w.t, "letter")
	l := w.letters[i]
	w.letters = slices.Delete(w.letters, i, i+1)
	if to := w.servers[l.to]; to != nil && !lose {
		to.peer.now = w.now
		w.post(l.to, to.hearsNote(l.from, l.note))
		w.role(l.to)
	}
}

func (w *electorate) wait(ms int64) {
	w.now += ms
	for _, id := range w.ids {
		if e := w.servers[id]; e.peer.state == Looking {
			w.post(id, e.at(w.now))
			w.role(id)
		}
	}
}

// over says whether all have a role, and one leader.
func (w *electorate) over() bool {
	for _, id := range w.ids {
		e := w.servers[id]
		if e.looking || e.vote().Leader != w.servers[w.ids[0]].vote().Leader {
			return false
		}
	}
	return true
}

// giveUp plays what becomes of roles that do not fit: who follows a server that does not lead, and who
// leads without a quorum, looks again.
func (w *electorate) giveUp() {
	for _, id := range w.ids {
		e := w.servers[id]
		leader := w.servers[e.vote().Leader]
		switch e.peer.state {
		case Following, Observing:
			if leader.peer.state != Leading {
				w.look(id)
			}
		case Leading:
			var followers IDSet
			for _, f := range w.ids {
				if v := w.servers[f]; v.peer.state != Looking && v.vote().Leader == id {
					followers.Add(f)
				}
			}
			if !e.peer.quorum(&followers) {
				w.look(id)
			}
		}
	}
}

// TestTheBestServerIsElected: while the network is faster than the wait for better votes, all decide on
// the best (epoch, zxid, id), in whatever order letters arrive and servers start.
func TestTheBestServerIsElected(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		voters := rapid.SampledFrom([]int{1, 2, 3, 5}).Draw(rt, "voters")
		w := newElectorate(rt, t, voters, rapid.IntRange(0, 2).Draw(rt, "observers"))
		for _, id := range rapid.Permutation(w.ids).Draw(rt, "order") {
			w.servers[id].round = rapid.Int64Range(0, 3).Draw(rt, "round")
			w.look(id)
			for range rapid.IntRange(0, 3).Draw(rt, "letters before the next starts") {
				if len(w.letters) > 0 {
					w.deliver(false)
				}
			}
		}
		for !w.over() && w.now < 10_000 {
			if len(w.letters) > 0 {
				w.deliver(false)
			} else {
				w.wait(10)
			}
		}
		best := w.servers[1].own()
		for id := ServerID(2); id <= ServerID(voters); id++ {
			if v := w.servers[id].own(); v.beats(best) {
				best = v
			}
		}
		for _, id := range w.ids {
			if got := w.servers[id].vote(); w.servers[id].looking || got.Leader != best.Leader {
				rt.Fatalf("server %d: %+v, looking %v, want leader %d", id, got, w.servers[id].looking, best.Leader)
			}
		}
	})
}

// TestAnElectionEndsWhateverIsLost: letters are lost for a while, and late; when that is over, all come to
// follow one leader, which is as good as each of a quorum.
func TestAnElectionEndsWhateverIsLost(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		voters := rapid.SampledFrom([]int{3, 5}).Draw(rt, "voters")
		w := newElectorate(rt, t, voters, rapid.IntRange(0, 1).Draw(rt, "observers"))
		for _, id := range w.ids {
			w.look(id)
		}
		for range rapid.IntRange(0, 100).Draw(rt, "bad steps") {
			switch step := rapid.IntRange(0, 9).Draw(rt, "step"); {
			case step < 5 && len(w.letters) > 0:
				w.deliver(step == 0)
			case step < 9:
				w.wait(rapid.Int64Range(1, 100).Draw(rt, "ms"))
			default:
				w.giveUp()
			}
		}
		for end := w.now + 60_000; !w.over() && w.now < end; {
			switch {
			case len(w.letters) > 0:
				w.deliver(false)
			default:
				w.wait(10)
				if w.now%500 < 10 {
					w.giveUp()
				}
			}
		}
		if !w.over() {
			for _, id := range w.ids {
				rt.Errorf("server %d: %v, %+v", id, w.servers[id].peer.state, w.servers[id].vote())
			}
			return
		}
		leader := w.servers[w.servers[1].vote().Leader]
		var reached IDSet
		for _, id := range w.ids {
			if !w.servers[id].own().beats(leader.own()) {
				reached.Add(id)
			}
		}
		if !leader.peer.quorum(&reached) {
			rt.Errorf("leader %d is as good as %v only", leader.peer.cfg.ID, reached)
		}
	})
}
