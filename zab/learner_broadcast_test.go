package zab

import (
	"slices"
	"testing"

	"paddock/wire"
)

// served is a learner that serves in epoch 2, behind three transactions of epoch 1.
func served(t testing.TB, change ...func(*Config)) *pupil {
	t.Helper()
	s := newPupil(t, recovered(historyOf(0, upTo(1, 3)...), 1), change...)
	s.do(tellEpoch(2), saved(2, 1), tellDiff(zx(1, 3)), tellNewLeader(2), saved(2, 2))
	s.says(s.do(tellUpToDate()), "commit 1.3; 7: ACK 2.0; 7: serve 2")
	if got := s.p.Vote().PeerEpoch; got != 2 {
		t.Fatalf("the vote is for epoch %d, want that of the leader, 2", got)
	}
	return s
}

func TestAFollowerAcknowledgesEachProposalInOrder(t *testing.T) {
	s := served(t)
	s.talk([]turn{
		{all(tellPropose(zx(2, 1)), tellPropose(zx(2, 2)), tellPropose(zx(2, 3))), "append 2.1; append 2.2; append 2.3"},
		{all(durable(zx(2, 2))), "7: ACK 2.1; 7: ACK 2.2"},
		{all(durable(zx(2, 2))), ""},
		{all(tellCommit(zx(2, 1))), "commit 2.1"},
		{all(tellCommit(zx(2, 2)), tellCommit(zx(2, 3))), "commit 2.2; commit 2.3"}, // ahead of our disk: the quorum is others
		{all(durable(zx(2, 3))), "7: ACK 2.3"},
	})
}

func TestAnObserverAcknowledgesNothing(t *testing.T) {
	s := served(t, observing)
	s.talk([]turn{
		{all(tellInform(zx(2, 1)), tellInform(zx(2, 2))), "append 2.1; commit 2.1; append 2.2; commit 2.2"},
		{all(durable(zx(2, 2))), ""},
		{all(tellPropose(zx(2, 3)), durable(zx(2, 3)), tellCommit(zx(2, 3))), "append 2.3; commit 2.3"},
		{all(fromLeader(wire.PacketPing, zx(2, 3), nil)), "7: pong"},
	})
}

func TestAReconfigurationIsCommittedLikeAnyTransaction(t *testing.T) {
	s := served(t)
	activate := (&wire.CommitAndActivate{Leader: 3}).Append(nil)
	s.says(s.do(tellPropose(zx(2, 1)), fromLeader(wire.PacketCommitAndActivate, zx(2, 1), activate)), "append 2.1; commit 2.1")

	s = served(t, observing)
	inform := (&wire.InformAndActivate{Leader: 3, Txn: headOf(zx(2, 1))}).Append(nil)
	s.says(s.do(fromLeader(wire.PacketInformAndActivate, zx(2, 1), inform)), "append 2.1; commit 2.1")
	if got := s.out[0].Packet.Data; !slices.Equal(got, headOf(zx(2, 1))) {
		t.Errorf("logs %x, want the transaction alone, %x", got, headOf(zx(2, 1)))
	}
}

func TestALearnerPassesOverPacketsOfLaterReleases(t *testing.T) {
	s := served(t)
	s.says(s.do(fromLeader(99, zx(2, 0), []byte("?"))), "")
	s.says(s.do(tellPropose(zx(2, 1))), "append 2.1")
}

// TestWhatBreaksBroadcast: a leader that commits what is not next, or leaves something out, is left.
func TestWhatBreaksBroadcast(t *testing.T) {
	two := all(tellPropose(zx(2, 1)), tellPropose(zx(2, 2)))
	tests := []struct {
		name   string
		before []Event
		then   Event
		force  bool
	}{
		{"a COMMIT of the second", two, tellCommit(zx(2, 2)), true},
		{"a COMMIT of nothing", nil, tellCommit(zx(2, 1)), true},
		{"a COMMIT of what is committed", nil, tellCommit(zx(1, 3)), true},
		{"a proposal with a hole in front", two, tellPropose(zx(2, 4)), true},
		{"a proposal again", two, tellPropose(zx(2, 2)), true},
		{"an INFORM with a hole in front", nil, tellInform(zx(2, 2)), true},
		{"DIFF", nil, tellDiff(zx(2, 0)), false},
		{"TRUNC", nil, tellTrunc(zx(1, 2)), false},
		{"SNAP", nil, tellSnap(zx(2, 0)), false},
		{"LEADERINFO", nil, tellEpoch(2), false},
		{"NEWLEADER", nil, tellNewLeader(2), false},
		{"UPTODATE", nil, tellUpToDate(), false},
		{"what learners say", nil, fromLeader(wire.PacketAck, zx(2, 0), nil), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := served(t)
			s.do(tt.before...)
			s.left(s.do(tt.then), "server 3")
			if s.p.forceSnap != tt.force {
				t.Errorf("forces a snapshot: %v, want %v", s.p.forceSnap, tt.force)
			}
		})
	}
}

// TestAPacketOutOfTurnOrGarbled ends the role, and nothing else comes of it.
func TestAPacketOutOfTurnOrGarbled(t *testing.T) {
	offered := all(tellEpoch(2), saved(2, 1))
	filled := and(offered, tellDiff(zx(1, 3)))
	joined := and(filled, tellNewLeader(2), saved(2, 2))
	serves := and(joined, tellUpToDate())
	info := (&wire.LeaderInfo{ProtocolVersion: wire.ProtocolVersion}).Append(nil)
	tests := []struct {
		name   string
		before []Event
		then   Event
	}{
		{"LEADERINFO without its version", nil, fromLeader(wire.PacketLeaderInfo, zx(2, 0), nil)},
		{"LEADERINFO with half a version", nil, fromLeader(wire.PacketLeaderInfo, zx(2, 0), info[:2])},
		{"LEADERINFO of epoch 0", nil, fromLeader(wire.PacketLeaderInfo, zx(0, 0), info)},
		{"LEADERINFO of an epoch below 0", nil, fromLeader(wire.PacketLeaderInfo, zx(-2, 0), info)},
		{"LEADERINFO of an epoch with none behind it", nil, fromLeader(wire.PacketLeaderInfo, zx(1<<31-1, 0), info)},
		{"LEADERINFO of an epoch that we may not follow", nil, tellEpoch(0)},
		{"LEADERINFO again", all(tellEpoch(2)), tellEpoch(2)},
		{"NEWLEADER of a server before ZAB 1.0", nil, tellNewLeader(2)},
		{"a proposal before LEADERINFO", nil, tellPropose(zx(1, 4))},
		{"DIFF before our promise is durable", all(tellEpoch(2)), tellDiff(zx(1, 3))},
		{"a proposal before DIFF", offered, tellPropose(zx(1, 4))},
		{"NEWLEADER before DIFF", offered, tellNewLeader(2)},
		{"DIFF again", filled, tellDiff(zx(1, 3))},
		{"a proposal while a stream is to come", and(offered, tellSnap(zx(1, 9))), tellPropose(zx(1, 4))},
		{"a proposal without a transaction", filled, fromLeader(wire.PacketProposal, zx(1, 4), nil)},
		{"a proposal with half a header", filled, fromLeader(wire.PacketProposal, zx(1, 4), headOf(zx(1, 4))[:20])},
		{"a proposal with another transaction", filled, fromLeader(wire.PacketProposal, zx(1, 4), headOf(zx(1, 5)))},
		{"an INFORM without a transaction", filled, fromLeader(wire.PacketInform, zx(1, 4), nil)},
		{"an INFORMANDACTIVATE without a leader", filled, fromLeader(wire.PacketInformAndActivate, zx(1, 4), []byte{1})},
		{"an INFORMANDACTIVATE without a transaction", filled, fromLeader(wire.PacketInformAndActivate, zx(1, 4), make([]byte, 8))},
		{"a COMMITANDACTIVATE without a leader", and(filled, tellPropose(zx(1, 4)), durable(zx(1, 4))), fromLeader(wire.PacketCommitAndActivate, zx(1, 4), nil)},
		{"NEWLEADER of another epoch", filled, tellNewLeader(3)},
		{"UPTODATE before NEWLEADER", filled, tellUpToDate()},
		{"UPTODATE before our ACK", and(filled, tellNewLeader(2)), tellUpToDate()},
		{"NEWLEADER again", joined, tellNewLeader(2)},
		{"a REVALIDATE without an answer", serves, fromLeader(wire.PacketRevalidate, -1, make([]byte, 8))},
		{"a packet of type 0", serves, fromLeader(0, 0, nil)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := recovered(historyOf(0, upTo(1, 3)...), 1)
			s := newPupil(t, r)
			s.do(tt.before...)
			got := s.do(tt.then)
			s.left(got, "7: closed")
			if s.p.forceSnap {
				t.Errorf("asks for a snapshot the next time, and nothing is wrong with the history")
			}
			for i := range s.out {
				switch a := &s.out[i]; a.Kind {
				case ActionClose, ActionRest, ActionNotify, ActionDiscard:
				default:
					t.Errorf("the learner said %s", got)
				}
			}
		})
	}
}

func TestALeaderOfAnEpochBelowOurPromiseIsNotFollowed(t *testing.T) {
	r := recovered(historyOf(0, upTo(1, 3)...), 1)
	r.Epochs.Accepted = 5
	s := newPupil(t, r)
	s.left(s.do(tellEpoch(4)), "promised 5")
	s.connect()
	s.says(s.do(tellEpoch(5)), "7: ACKEPOCH 1.3")
	var ack wire.AckEpoch
	if r := wire.NewReader(s.out[0].Packet.Data); ack.Decode(&r) != nil || ack.Epoch != -1 {
		t.Errorf("acknowledges an epoch that it has promised before with %d, want -1", ack.Epoch)
	}
	// The epoch that it says is the last one whose history it has, not the promise.
	s.left(s.do(lost(7)), "lost")
	s.connect()
	s.do(tellEpoch(6), saved(6, 1))
	if r := wire.NewReader(s.out[len(s.out)-1].Packet.Data); ack.Decode(&r) != nil || ack.Epoch != 1 {
		t.Errorf("says that its history is of epoch %d, want 1", ack.Epoch)
	}
}

// TestALearnersPatience: what it waits for, and how long. A tick is 100 ms, initLimit 10 of them, syncLimit 5.
func TestALearnersPatience(t *testing.T) {
	offered := all(tellEpoch(2), saved(2, 1))
	filled := and(offered, tellDiff(zx(1, 3)))
	joined := and(filled, tellNewLeader(2), saved(2, 2))
	tests := []struct {
		name   string
		before []Event
		limit  int64 // 0: none
	}{
		{"for LEADERINFO", nil, 1000},
		{"for DIFF", offered, 1000},
		{"for a stream", and(offered, tellSnap(zx(1, 9))), 1000},
		{"for NEWLEADER", filled, 1000},
		{"for UPTODATE", joined, 500},
		{"for the next packet", and(joined, tellUpToDate()), 500},
		{"not for its own promise", all(tellEpoch(2)), 0},
		{"not for its own log", and(filled, tellPropose(zx(1, 4)), tellNewLeader(2)), 0},
		{"not for its own epoch", and(filled, tellNewLeader(2)), 0},
		{"not for its own truncation", and(offered, tellTrunc(zx(1, 2))), 0},
		{"not for its own snapshot", and(offered, tellSnap(zx(1, 9)), streamed(zx(1, 9)), tellNewLeader(2)), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newPupil(t, recovered(historyOf(0, upTo(1, 3)...), 1))
			s.do(at(300))
			s.do(tt.before...)
			if len(tt.before) == 0 {
				s.p.now = 0 // it has waited since it connected
			}
			from := s.p.now
			if tt.limit == 0 {
				s.says(s.do(at(from+1_000_000)), "")
				return
			}
			s.says(s.do(at(from+tt.limit-1)), "")
			s.left(s.do(at(from+tt.limit)), "silent")
		})
	}
}

func TestEachPacketGivesTheLeaderTime(t *testing.T) {
	s := served(t)
	for now := int64(400); now < 4000; now += 400 {
		ping := fromLeader(wire.PacketPing, zx(2, 0), nil)
		ping.Now = now
		s.says(s.do(ping, at(now+99)), "7: pong")
	}
}

func TestAStreamThatMovesHasTime(t *testing.T) {
	s := newPupil(t, fresh)
	s.do(tellEpoch(2), saved(2, 0), tellSnap(zx(1, 9)))
	for now := int64(900); now < 9000; now += 900 {
		s.says(s.do(Event{Kind: EventProgress, Link: 7, Now: now}, at(now+99)), "")
	}
	s.says(s.do(streamed(zx(1, 9)), tellNewLeader(2)), "install 1.9")

	s = newPupil(t, fresh) // and behind the stream its full time again
	s.do(tellEpoch(2), saved(2, 0), tellSnap(zx(1, 9)), at(900), streamed(zx(1, 9)))
	s.says(s.do(at(1899)), "")
	s.left(s.do(at(1900)), "silent")
}

func TestAStreamThatNobodyAskedForIsNothing(t *testing.T) {
	s := served(t)
	s.says(s.do(streamed(zx(2, 9)), tellPropose(zx(2, 1)), durable(zx(2, 1))), "append 2.1; 7: ACK 2.1")
}

func TestAfterOurDiskTheLeaderHasItsFullTime(t *testing.T) {
	s := newPupil(t, recovered(historyOf(0, upTo(1, 3)...), 1))
	s.do(tellEpoch(2), at(5000))
	s.says(s.do(saved(2, 1)), "7: ACKEPOCH 1.3")
	s.says(s.do(at(5999)), "")
	s.left(s.do(at(6000)), "silent")

	s = newPupil(t, recovered(historyOf(0, upTo(1, 3)...), 1))
	s.do(tellEpoch(2), saved(2, 1), tellTrunc(zx(1, 2)), at(5000), cut(zx(1, 2)))
	s.says(s.do(at(5999)), "")
	s.left(s.do(at(6000)), "silent")
}

func TestAnEpochThatIsNoneIsNotFollowed(t *testing.T) {
	s := newPupil(t, fresh)
	s.left(s.do(tellEpoch(0)), "LEADERINFO")
}

func TestDialling(t *testing.T) {
	dial := func(change func(*Config)) *pupil {
		cfg := Config{ID: 1, View: mustView(t, lines(3, 0)), TickMS: testTick, InitTicks: testInit, SyncTicks: testSync}
		change(&cfg)
		s := &pupil{t: t, p: NewPeer(cfg, fresh)}
		s.do(at(0))
		s.says(s.elect(), "dial 3")
		return s
	}
	failed := func(now int64) Event { return Event{Kind: EventDialFailed, Now: now} }

	s := dial(func(*Config) {})
	s.says(s.do(failed(10), at(109)), "")
	s.says(s.do(at(110)), "dial 3")
	s.says(s.do(at(500)), "") // one dial at a time
	s.says(s.do(failed(600), at(999)), "dial 3")
	s.left(s.do(at(1000)), "cannot be reached")

	s = dial(func(c *Config) { c.ConnectTicks = 3 })
	s.says(s.do(at(299)), "")
	s.left(s.do(at(300)), "cannot be reached")

	s = dial(func(*Config) {})
	s.says(s.do(at(500), Event{Kind: EventDialed, Link: 7}), "7: FOLLOWERINFO 0.0")
	s.says(s.do(lost(7), at(599)), "")
	s.says(s.do(at(600)), "dial 3")
	s.says(s.do(Event{Kind: EventDialed, Link: 8, Now: 900}, at(1899)), "8: FOLLOWERINFO 0.0")
	s.left(s.do(at(1900)), "silent")

	s = dial(func(*Config) {})
	s.says(s.do(accepted(9)), "9: closed")
	s.says(s.do(Event{Kind: EventDialed, Link: 7}), "7: FOLLOWERINFO 0.0")
	s.says(s.do(Event{Kind: EventDialed, Link: 8}), "8: closed")
	s.says(s.do(packet(6, wire.PacketUpToDate, -1, nil), lost(6)), "") // of an earlier role
	s.left(s.do(Event{Kind: EventResign}), "asked")
}

// What arrives while the log is cut is copied: a packet is valid during Step only.
func TestWhatIsHeldIsCopied(t *testing.T) {
	s := newPupil(t, recovered(historyOf(0, upTo(1, 3)...), 1))
	s.do(tellEpoch(2), saved(2, 1), tellTrunc(zx(1, 2)))
	ev := tellPropose(zx(1, 3))
	s.do(ev)
	clear(ev.Packet.Data)
	s.says(s.do(cut(zx(1, 2))), "append 1.3")
	if got := s.out[0].Packet.Data; !slices.Equal(got, headOf(zx(1, 3))) {
		t.Errorf("logs %x, want %x", got, headOf(zx(1, 3)))
	}
}

// A follower takes a proposal, acknowledges and commits it without garbage.
func TestFollowingCostsNoAllocation(t *testing.T) {
	s := served(t)
	data := headOf(zx(2, 1))
	next, out := zx(2, 1), make([]Action, 0, 16)
	n := testing.AllocsPerRun(1000, func() {
		(&wire.TxnHeader{Zxid: next, Type: wire.OpError}).Append(data[:0])
		out = s.p.Step(fromLeader(wire.PacketProposal, next, data), out[:0])
		out = s.p.Step(durable(next), out)
		out = s.p.Step(tellCommit(next), out)
		next++
	})
	if len(out) != 3 || n != 0 {
		t.Errorf("%d actions and %v allocations, want 3 and none", len(out), n)
	}
}
