package zab

import (
	"fmt"
	"strings"
	"testing"

	"paddock/wire"
)

func reconfiguring(c *Config) { c.Reconfig = true }

// viewText is a configuration of so many servers, and its version.
func viewText(participants, observers int, version wire.Zxid) string {
	return lines(participants, observers) + fmt.Sprintf("version=%x", int64(version))
}

func reconfigOf(z wire.Zxid, text string) []byte {
	head := (&wire.TxnHeader{Zxid: z, Type: wire.OpReconfig}).Append(nil)
	return (&wire.SetDataTxn{Path: []byte("/zookeeper/config"), Data: []byte(text), Version: -1}).Append(head)
}

func tellReconfig(z wire.Zxid, text string) Event {
	return fromLeader(wire.PacketProposal, z, reconfigOf(z, text))
}

func tellActivate(z wire.Zxid, leader int64) Event {
	return fromLeader(wire.PacketCommitAndActivate, z, (&wire.CommitAndActivate{Leader: leader}).Append(nil))
}

func tellConfig(epoch int64, text string) Event {
	return fromLeader(wire.PacketNewLeader, zx(epoch, 0), []byte(text))
}

// serving returns a follower, server 1 of 3, that serves in epoch 2 with configuration 2.0.
func servingPupil(t *testing.T, change ...func(*Config)) *pupil {
	t.Helper()
	s := newPupil(t, Recovered{}, append(change, reconfiguring)...)
	s.do(tellEpoch(2), saved(2, 0), tellDiff(0))
	s.says(s.do(tellConfig(2, viewText(3, 1, zx(2, 0)))), "view 2.0 proposed", "save 2/2")
	s.do(saved(2, 2))
	s.says(s.do(tellUpToDate()), "7: ACK 2.0", "view 2.0", "7: serve 2")
	return s
}

func TestALearnerObeysConfigurations(t *testing.T) {
	z := zx(2, 1)
	for name, c := range map[string]struct {
		text      string // of the configuration
		appointed int64
		said      string // to COMMITANDACTIVATE
		then      State
		next      string // what it says when its log is durable
	}{
		"another server joins":                   {viewText(4, 0, z), 3, "commit 2.1; view 2.1", Following, ""},
		"we are not in it":                       {strings.Replace(viewText(3, 1, z), "server.1=", "server.9=", 1), 3, "commit 2.1; view 2.1", Following, ""},
		"the leader leaves, and 2 leads":         {strings.Replace(viewText(3, 1, z), "server.3=", "server.9=", 1), 2, "commit 2.1; view 2.1; 7: closed; rest", Following, "dial 2"},
		"the leader leaves, and we lead":         {strings.Replace(viewText(3, 1, z), "server.3=", "server.9=", 1), 1, "commit 2.1; view 2.1; 7: closed; rest", Leading, ""},
		"the leader moves, and keeps its office": {strings.Replace(viewText(3, 1, z), "zoo3:2888", "zoo7:2888", 1), 3, "commit 2.1; view 2.1", Following, ""},
		"we become an observer":                  {strings.Replace(viewText(3, 1, z), "zoo1:2888:3888:participant", "zoo1:2888:3888:observer", 1), 3, "commit 2.1; view 2.1; 7: closed; rest", Observing, "dial 3"},
	} {
		t.Run(name, func(t *testing.T) {
			s := servingPupil(t)
			s.says(s.do(tellReconfig(z, c.text)), "append 2.1", "view 2.1 proposed")
			if v := s.p.View(); v.Version != zx(2, 0) {
				t.Fatalf("configuration %v is in force before it is committed", v.Version)
			}
			s.says(s.do(durable(z)), "7: ACK 2.1")
			got := s.do(tellActivate(z, c.appointed))
			if !strings.HasPrefix(got, c.said) || s.p.View().Version != z || s.p.LastSeen() != s.p.View() {
				t.Fatalf("said %q, in force is %v; want %q and %v", got, s.p.View().Version, c.said, z)
			}
			if s.p.State() != c.then || !strings.HasSuffix(got, c.next) {
				t.Errorf("is %v, said %q, want %v and %q", s.p.State(), got, c.then, c.next)
			}
			s.do(Event{Kind: EventResign})
			if s.p.State() != Looking || !s.p.election.looking {
				t.Errorf("is %v when that role is over, want an election", s.p.State())
			}
		})
	}
}

// A leader that serves tells each who comes of what it has proposed. It is not agreed on with UPTODATE.
func TestWhoComesWhileAConfigurationIsProposedWaitsForIt(t *testing.T) {
	z := zx(2, 1)
	join := func(more ...Event) *pupil {
		s := newPupil(t, Recovered{}, reconfiguring)
		s.do(tellEpoch(2), saved(2, 0), tellDiff(0))
		s.do(tellReconfig(z, viewText(4, 0, z)))
		s.do(more...)
		s.do(tellConfig(2, viewText(4, 0, z)), durable(z), saved(2, 2), tellUpToDate())
		return s
	}
	s := join()
	if s.p.View().Version != 0 || s.p.LastSeen().Version != z || s.p.State() != Following {
		t.Fatalf("in force is %v, last seen %v, want nothing new and %v", s.p.View().Version, s.p.LastSeen().Version, z)
	}
	s.says(s.do(tellActivate(z, 3)), "commit 2.1", "view 2.1")

	if s = join(tellCommit(z)); s.p.View().Version != z {
		t.Errorf("in force is %v, want what was committed before UPTODATE", s.p.View().Version)
	}
}

func TestWithoutReconfigEachObeysItsOwnFile(t *testing.T) {
	s := newPupil(t, Recovered{})
	s.do(tellEpoch(2), saved(2, 0), tellDiff(0))
	s.says(s.do(tellConfig(2, viewText(4, 0, zx(2, 0)))), "save 2/2")
	s.do(saved(2, 2))
	s.says(s.do(tellUpToDate()), "7: ACK 2.0", "7: serve 2")
	s.says(s.do(tellReconfig(zx(2, 1), viewText(4, 0, zx(2, 1)))), "append 2.1")
	s.says(s.do(durable(zx(2, 1)), tellActivate(zx(2, 1), 2)), "7: ACK 2.1", "commit 2.1")
	if v := s.p.View(); v.Version != 0 || v.Len() != 4 {
		t.Errorf("in force is configuration %v of %d servers", v.Version, v.Len())
	}
}

func TestAnObserverObeysConfigurations(t *testing.T) {
	z := zx(2, 1)
	s := servingPupil(t, observing)
	promoted := strings.Replace(viewText(3, 1, z), "observer", "participant", 1)
	inform := (&wire.InformAndActivate{Leader: 3, Txn: reconfigOf(z, promoted)}).Append(nil)
	got := s.do(fromLeader(wire.PacketInformAndActivate, z, inform))
	if want := "append 2.1; view 2.1 proposed; commit 2.1; view 2.1; 7: closed; rest"; !strings.HasPrefix(got, want) {
		t.Fatalf("said %q, want %q", got, want)
	}
	s.says(s.do(durable(z)), "dial 3")
	if s.p.State() != Following {
		t.Errorf("is %v, want that it follows, as a voter", s.p.State())
	}
}

// A proposed configuration may come to nothing: the next leader's history does not have it.
func TestALeaderTakesBackAConfigurationThatItNeverSaw(t *testing.T) {
	s := servingPupil(t)
	s.do(tellReconfig(zx(2, 1), viewText(3, 0, zx(2, 1))), durable(zx(2, 1)))
	s.do(lost(7))
	s.connect()
	s.do(tellEpoch(3), saved(3, 2), tellTrunc(0), cut(0))
	s.says(s.do(tellConfig(3, viewText(3, 1, zx(2, 0)))), "view 2.0 proposed", "save 3/3")
	if s.p.LastSeen() != s.p.View() {
		t.Errorf("last seen is %v, in force %v", s.p.LastSeen().Version, s.p.View().Version)
	}
}

// Nobody is appointed with UPTODATE: who has lost its leader by that, or its role, elects.
func TestUpToDateMayEndTheRole(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		ends bool
	}{
		"another server has joined":    {viewText(4, 0, zx(2, 0)), false},
		"the leader is not in it":      {strings.Replace(viewText(3, 1, zx(2, 0)), "server.3=", "server.9=", 1), true},
		"the leader is an observer":    {strings.Replace(viewText(3, 1, zx(2, 0)), "zoo3:2888:3888:participant", "zoo3:2888:3888:observer", 1), true},
		"the leader is somewhere else": {strings.Replace(viewText(3, 1, zx(2, 0)), "zoo3:2888", "zoo7:2888", 1), true},
	} {
		s := newPupil(t, Recovered{}, reconfiguring)
		s.do(tellEpoch(2), saved(2, 0), tellDiff(0), tellConfig(2, c.text), saved(2, 2))
		s.p.Step(tellUpToDate(), nil)
		if ends := s.p.State() == Looking; ends != c.ends || s.p.election.looking != c.ends || s.p.View().Version != zx(2, 0) {
			t.Errorf("%s: is %v with configuration %v, want that the role ends: %v", name, s.p.State(), s.p.View().Version, c.ends)
		}
	}
}

func TestAVoteBringsALaterConfiguration(t *testing.T) {
	hear := func(text string, change ...func(*Config)) (*Peer, []Action) {
		cfg := Config{ID: 1, View: mustView(t, lines(3, 0))}
		for _, f := range change {
			f(&cfg)
		}
		p := NewPeer(cfg, Recovered{})
		p.Step(at(0), nil)
		ev := word(2, Looking, Vote{2, 0, 1, 0})
		ev.Note.Config = []byte(text)
		return p, p.Step(ev, nil)
	}
	p, out := hear(viewText(5, 0, zx(1, 7)), reconfiguring)
	if p.View().Len() != 5 || out[0].Kind != ActionView || p.election.round != 2 {
		t.Errorf("in force are %d servers, round %d, said %+v; want 5 and a new election", p.View().Len(), p.election.round, out[0])
	}
	for name, text := range map[string]string{"garbage": "server.1=", "the same": viewText(3, 0, 0), "nothing": ""} {
		if p, _ := hear(text, reconfiguring); p.View().Version != 0 || p.election.round != 1 {
			t.Errorf("%s: configuration %v in round %d", name, p.View().Version, p.election.round)
		}
	}
	if p, _ := hear(viewText(5, 0, zx(1, 7))); p.View().Len() != 3 {
		t.Error("it was taken without Reconfig")
	}
	if p, _ := hear(viewText(3, 0, zx(1, 7)), reconfiguring); p.View().Version != zx(1, 7) || p.election.round != 1 {
		t.Errorf("the same servers: configuration %v in round %d, want the version and no new election", p.View().Version, p.election.round)
	}
	s := servingPupil(t)
	ev := word(2, Looking, Vote{2, 0, 90, 0})
	ev.Note.Config = []byte(viewText(5, 0, zx(3, 0)))
	if s.do(ev); s.p.View().Version != zx(2, 0) {
		t.Error("it was taken from a vote while a leader is followed")
	}
	ev = word(9, Looking, Vote{9, 0, 90, 0})
	ev.Note.Config = []byte(viewText(5, 0, zx(3, 0)))
	if s.do(lost(7), ev); s.p.View().Version != zx(2, 0) {
		t.Error("it was taken from a stranger")
	}
}

func TestTheFirstLeaderGivesTheConfigurationAVersion(t *testing.T) {
	s, _ := newScript(t, 1, lines(3, 0), fresh, reconfiguring)
	s.do(accepted(2), followerInfo(2, 2, 0), saved(1, 0))
	s.says(s.do(ackEpoch(2, 0, 0)), "view 1.0 proposed", "save 1/1", "2: DIFF 0.0", "2: NEWLEADER 1.0")
	if got, want := string(s.out[3].Packet.Data), viewText(3, 0, zx(1, 0)); !strings.HasSuffix(got, "version=100000000") {
		t.Errorf("NEWLEADER tells of %q, want %q", got, want)
	}
	s.do(saved(1, 1))
	s.says(s.do(ack(2, zx(1, 0))), "view 1.0", "lead 1", "2: UPTODATE -1.4294967295")
}

// The first configuration may have got a version from a leader that came to nothing. It keeps that.
func TestTheFirstVersionIsCompletedToo(t *testing.T) {
	s, _ := newScript(t, 1, lines(3, 0), recovered(NewHistory(0), 1), reconfiguring,
		func(cfg *Config) { cfg.LastSeen = mustView(t, viewText(3, 0, zx(1, 0))) })
	s.do(accepted(2), followerInfo(2, 2, 1), saved(2, 1))
	s.says(s.do(ackEpoch(2, 0, 1)), "save 2/2", "2: DIFF 0.0", "2: NEWLEADER 2.0")
	s.says(s.do(saved(2, 2), ack(2, zx(2, 0))), "view 1.0", "lead 2", "2: UPTODATE -1.4294967295")
}

// What was proposed and is in nobody's history was never agreed on.
func TestALeaderDropsAConfigurationThatNobodyHas(t *testing.T) {
	s, _ := newScript(t, 1, viewText(3, 0, zx(1, 0)), recovered(historyOf(zx(1, 3), zx(1, 4)), 1), reconfiguring,
		func(cfg *Config) { cfg.LastSeen = mustView(t, viewText(3, 1, zx(1, 5))) })
	s.do(accepted(2), followerInfo(2, 2, 1), saved(2, 1))
	s.says(s.do(ackEpoch(2, zx(1, 4), 1)), "view 1.0 proposed", "save 2/2", "2: DIFF 1.4", "2: NEWLEADER 2.0")
	s.says(s.do(saved(2, 2), ack(2, zx(2, 0))), "commit 1.4", "lead 2", "2: UPTODATE -1.4294967295")
	if s.p.View().Len() != 3 || s.p.LastSeen() != s.p.View() {
		t.Errorf("in force are %d servers, last seen %d", s.p.View().Len(), s.p.LastSeen().Len())
	}
}

// A configuration that was proposed and perhaps agreed on is completed by the next leader.
func TestALeaderCompletesAConfiguration(t *testing.T) {
	z := zx(1, 4)
	for name, c := range map[string]struct {
		text, said string
	}{
		"it stays in it": {viewText(3, 0, z), "commit 1.4; view 1.4; lead 2; 2: UPTODATE -1.4294967295"},
		"it leaves":      {strings.Replace(viewText(3, 0, z), "server.1=", "server.4=", 1), "commit 1.4; view 1.4; 2: closed; 3: closed; rest: configuration 0x100000004"},
	} {
		s, _ := newScript(t, 1, lines(3, 0), recovered(historyOf(zx(1, 3), z), 1), reconfiguring, func(cfg *Config) { cfg.LastSeen = mustView(t, c.text) })
		s.do(accepted(2), followerInfo(2, 2, 1), accepted(3), followerInfo(3, 3, 1), saved(2, 1))
		s.do(ackEpoch(2, z, 1), ackEpoch(3, z, 1), saved(2, 2))
		if got := s.do(ack(2, zx(2, 0)), ack(3, zx(2, 0))); !strings.HasPrefix(got, c.said) {
			t.Errorf("%s: said %q, want %q", name, got, c.said)
		}
	}
}
