package zab

import (
	"strings"
	"testing"

	"paddock/wire"
)

func word(from ServerID, state State, v Vote) Event {
	return Event{Kind: EventNotification, From: from, Note: wire.Notification{
		State: int32(state), Leader: int64(v.Leader), Zxid: v.Zxid, Round: v.Round, PeerEpoch: v.PeerEpoch, Version: wire.NotificationVersion,
	}}
}

// A server that nobody wants for a leader any more need not wait until its time is over.
func TestWhoWaitsInVainForAQuorumGivesUp(t *testing.T) {
	for name, c := range map[string]struct {
		words []Event
		why   string // "" waits
	}{
		"one of two others looks again":        {[]Event{word(2, Looking, Vote{2, 0, 8, 0})}, ""},
		"both others look again":               {[]Event{word(2, Looking, Vote{2, 0, 8, 0}), word(3, Looking, Vote{3, 0, 8, 0})}, "{2 3}"},
		"both have another leader":             {[]Event{word(2, Leading, Vote{2, 0, 3, 1}), word(3, Following, Vote{2, 0, 3, 1})}, "{2 3}"},
		"both prefer another in this round":    {[]Event{word(2, Looking, Vote{2, 5, 7, 0}), word(3, Looking, Vote{2, 5, 7, 0})}, "{2 3}"},
		"both are late with less in the round": {[]Event{word(2, Looking, Vote{2, -5, 7, 0}), word(3, Looking, Vote{2, -5, 7, 0})}, ""},
		"both look in an earlier round":        {[]Event{word(2, Looking, Vote{2, 5, 6, 0}), word(3, Looking, Vote{2, 5, 6, 0})}, ""},
		"one comes back":                       {[]Event{word(2, Looking, Vote{2, 0, 8, 0}), word(2, Following, Vote{1, 0, 7, 0}), word(3, Looking, Vote{3, 0, 8, 0})}, ""},
		"one connects after it had looked":     {[]Event{word(2, Looking, Vote{2, 0, 8, 0}), accepted(2), followerInfo(2, 2, 0), word(3, Looking, Vote{3, 0, 8, 0})}, ""},
		"observers do not count":               {[]Event{word(2, Looking, Vote{2, 0, 8, 0}), word(4, Looking, Vote{nobody, nobody, 8, nobody})}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := newScript(t, 1, lines(3, 1), fresh)
			s.p.election.round, s.p.election.looking = 7, false
			s.p.election.decide(Vote{1, 0, 7, 0})
			got := s.do(c.words...)
			if waits := s.p.State() == Leading; waits != (c.why == "") || !strings.Contains(got, c.why) {
				t.Errorf("waits: %v, said %q, want that it is because of %q", waits, got, c.why)
			}
		})
	}
}

func TestWhatWasHeardBeforeAnElectionDoesNotCountAfterIt(t *testing.T) {
	s := newPupil(t, Recovered{})
	s.left(s.do(word(3, Looking, Vote{3, 0, 78, 0})), "server 3 does not lead")
	s.connect()
	s.says(s.do(word(2, Looking, Vote{3, 0, 78, 0})), "") // of another server
	if s.p.State() != Following {
		t.Error("it leaves its leader for what that said before it was elected")
	}
}

func TestALeaderThatServesDoesNotListenToRumours(t *testing.T) {
	s := lead(t, lines(3, 0), fresh)
	s.p.election.decide(Vote{1, 0, 7, 0})
	s.do(word(2, Looking, Vote{2, 0, 8, 0}), word(3, Looking, Vote{3, 0, 8, 0}))
	if s.p.State() != Leading {
		t.Error("it has given up")
	}
}

func TestALearnerLeavesWhoDoesNotLead(t *testing.T) {
	again := word(3, Looking, Vote{3, 0, 78, 0})
	s := newPupil(t, Recovered{})
	s.do(word(3, Looking, Vote{3, 0, 77, 0})) // it does not know yet that it was elected
	s.left(s.do(again), "server 3 does not lead")

	s = newPupil(t, Recovered{})
	s.left(s.do(word(3, Following, Vote{2, 0, 77, 0})), "server 3 does not lead")

	s = newPupil(t, Recovered{})
	s.do(tellEpoch(1), saved(1, 0), tellDiff(0))
	s.do(again) // an old word: it speaks to us
	if s.p.State() != Following {
		t.Error("it has left a leader that synchronizes it")
	}
}

func TestADialThatFailsLateIsTheLast(t *testing.T) {
	s := newPupil(t, Recovered{}, func(c *Config) { c.InitTicks = 100 })
	s.do(lost(7))
	for now := int64(0); now < dialMS; now += redialMS {
		s.says(s.do(at(now+redialMS-1)), "")
		s.says(s.do(at(now+redialMS)), "dial 3")
		if now+redialMS < dialMS {
			s.says(s.do(Event{Kind: EventDialFailed}), "")
		}
	}
	s.left(s.do(Event{Kind: EventDialFailed}), "cannot be reached")
}
