package zab

import (
	"math"
	"strings"
	"testing"

	"paddock/wire"
)

func TestCommitsNeedAQuorum(t *testing.T) {
	begin := func(t *testing.T, change ...func(*Config)) *script {
		s := lead(t, lines(3, 1), fresh, change...)
		s.join(3, 3)
		s.do(accepted(4), observerInfo(4, 4, 0), ackEpoch(4, 0, 0), ack(4, zx(1, 0)), ack(4, zx(1, 0)))
		s.do(accepted(9), followerInfo(9, 9, 0), ackEpoch(9, 0, 0), ack(9, zx(1, 0)), ack(9, zx(1, 0)))
		s.says(s.do(proposed(zx(1, 3))), "2: propose (0.0, 1.3]", "3: propose (0.0, 1.3]", "9: propose (0.0, 1.3]")
		return s
	}
	committed := func(from, to wire.Zxid) []string {
		span := "(" + short(from) + ", " + short(to) + "]"
		return []string{"commit " + short(to), "2: commit " + span, "3: commit " + span, "4: inform " + span, "9: commit " + span}
	}
	t.Run("our own log is one of two", func(t *testing.T) {
		s := begin(t)
		s.says(s.do(durable(zx(1, 2))), "")
		s.says(s.do(ack(2, zx(1, 1))), committed(0, zx(1, 1))...)
		s.says(s.do(ack(2, zx(1, 3))), committed(zx(1, 1), zx(1, 2))...)
		s.says(s.do(durable(zx(1, 3))), committed(zx(1, 2), zx(1, 3))...)
	})
	t.Run("two followers are enough, before our own log", func(t *testing.T) {
		s := begin(t)
		s.says(s.do(ack(3, zx(1, 2))), "")
		s.says(s.do(ack(2, zx(1, 3))), committed(0, zx(1, 2))...)
	})
	t.Run("nobody counts who has no vote", func(t *testing.T) {
		s := begin(t)
		s.says(s.do(durable(zx(1, 3)), ack(4, zx(1, 3)), ack(9, zx(1, 3))), "")
	})
	t.Run("nobody counts twice", func(t *testing.T) {
		s := begin(t)
		s.says(s.do(ack(2, zx(1, 1)), ack(2, zx(1, 1)), ack(2, zx(1, 3))), "")
	})
	t.Run("what was never proposed is not remembered", func(t *testing.T) {
		s := begin(t)
		s.says(s.do(ack(2, zx(1, 4)), ack(2, zx(2, 1)), ack(2, math.MaxInt64), ack(2, -1), ack(2, zx(0, 9))), "")
		s.do(proposed(zx(1, 9)))
		s.says(s.do(durable(zx(1, 9))), "")
	})
	t.Run("the ack of the epoch is not that of a proposal", func(t *testing.T) {
		s := begin(t)
		s.says(s.do(durable(zx(1, 3)), ack(2, zx(1, 0)), ack(2, zx(2, 0)), ack(2, 0)), "")
	})
	t.Run("an earlier ack takes nothing back", func(t *testing.T) {
		s := begin(t)
		s.says(s.do(ack(2, zx(1, 3)), ack(2, zx(1, 1))), "")
		s.says(s.do(durable(zx(1, 3))), committed(0, zx(1, 3))...)
	})
	t.Run("what is committed already is ignored", func(t *testing.T) {
		s := begin(t)
		s.do(durable(zx(1, 3)), ack(2, zx(1, 3)))
		s.says(s.do(ack(2, zx(1, 3)), ack(3, zx(1, 1)), ack(3, zx(1, 2)), ack(3, zx(1, 3))), "")
	})
	t.Run("both views count", func(t *testing.T) {
		s := begin(t, func(c *Config) { c.LastSeen = mustView(t, lines(2, 0)+"version=1") })
		s.says(s.do(durable(zx(1, 3)), ack(3, zx(1, 3))), "")
		s.says(s.do(ack(2, zx(1, 3))), committed(0, zx(1, 3))...)
	})
	t.Run("an ack ends with its link", func(t *testing.T) {
		// server 2 has logged 1.3 and comes back: it has to drop it first, and gets it again
		s := begin(t)
		s.do(ack(2, zx(1, 1)), ack(3, zx(1, 1)))
		s.says(s.do(ack(2, zx(1, 3)), lost(2)), "")
		s.says(s.do(accepted(5), followerInfo(5, 2, 1), ackEpoch(5, zx(1, 3), -1)),
			"5: LEADERINFO 1.0", "5: TRUNC 1.1", "5: propose (1.1, 1.3]", "5: NEWLEADER 1.0")
		s.says(s.do(durable(zx(1, 3))), "") // or we alone would have it
		s.says(s.do(ack(5, zx(1, 0))), "5: UPTODATE -1.4294967295")
		if got := s.do(ack(5, zx(1, 3))); !strings.HasPrefix(got, "commit 1.3") {
			t.Errorf("the leader said %q", got)
		}
	})
	t.Run("an ack that overtakes NEWLEADER's counts from there on", func(t *testing.T) {
		s := begin(t)
		s.do(lost(2), accepted(5), followerInfo(5, 2, 1), ackEpoch(5, 0, -1), durable(zx(1, 3)))
		s.says(s.do(ack(5, zx(1, 3)), durable(zx(1, 3))), "")
		if got := s.do(ack(5, zx(1, 0))); !strings.HasPrefix(got, "5: UPTODATE -1.4294967295; commit 1.3") {
			t.Errorf("the leader said %q", got)
		}
	})
}

func TestOurDiskMayBeFasterThanItsNews(t *testing.T) {
	s, _ := newScript(t, 1, lines(1, 0), fresh)
	s.do(saved(1, 0), saved(1, 1))
	s.says(s.do(durable(zx(1, 2))), "")
	s.says(s.do(proposed(zx(1, 2))), "commit 1.2")
}

func TestHierarchicalQuorumsCommit(t *testing.T) {
	s := lead(t, lines(4, 0)+"group.1=1:2\ngroup.2=3:4\nweight.3=0\nweight.4=0\n", fresh)
	s.do(proposed(zx(1, 1)))
	s.says(s.do(durable(zx(1, 1))), "")
	s.says(s.do(ack(2, zx(1, 1))), "commit 1.1", "2: commit (0.0, 1.1]", "3: commit (0.0, 1.1]")
}

func TestProposingWhatCannotBeIsABug(t *testing.T) {
	for name, z := range map[string]wire.Zxid{
		"nothing new": zx(1, 2), "another epoch": zx(2, 1), "an earlier epoch": zx(0, 3), "the counter that ends an epoch": zx(1, math.MaxUint32),
	} {
		t.Run(name, func(t *testing.T) {
			s := lead(t, lines(3, 0), fresh)
			s.do(proposed(zx(1, 2)))
			defer func() {
				if recover() == nil {
					t.Errorf("%s was proposed behind 1.2", short(z))
				}
			}()
			s.do(proposed(z))
		})
	}
}

func TestTheCounterOfAnEpochEnds(t *testing.T) {
	s := lead(t, lines(3, 0), fresh)
	s.p.history = historyOf(zx(1, math.MaxUint32-4)) // as if all of that had been proposed
	s.p.committed, s.p.durable = s.p.history.Last(), s.p.history.Last()
	s.says(s.do(proposed(zx(1, math.MaxUint32-2))), "2: propose (1.4294967291, 1.4294967293]")
	got := s.do(proposed(zx(1, math.MaxUint32-1)))
	if !strings.HasPrefix(got, "2: propose (1.4294967293, 1.4294967294]; 2: closed") {
		t.Errorf("the leader said %q, want that the last is proposed", got)
	}
	s.resigned(got, "used up")
}

func TestPings(t *testing.T) {
	s, _ := newScript(t, 1, lines(3, 1), fresh)
	s.do(accepted(2), followerInfo(2, 2, 0), accepted(3), followerInfo(3, 3, 0), saved(1, 0), ackEpoch(2, 0, 0), ackEpoch(3, 0, 0))
	s.says(s.do(at(testTick)), "") // nobody has acknowledged NEWLEADER
	s.do(ack(2, zx(1, 0)))
	s.says(s.do(at(testTick+testTick/2-1)), "")
	s.says(s.do(at(testTick+testTick/2)), "2: PING 1.0") // it waits for UPTODATE, and must not give up
	s.do(saved(1, 1), proposed(zx(1, 7)))
	s.says(s.do(at(2*testTick)), "2: PING 1.7")
}

func TestTheSilentAreLeftBehind(t *testing.T) {
	limit := int64(testSync * testTick)
	t.Run("a follower, and what it says puts it off", func(t *testing.T) {
		s := lead(t, lines(3, 1), fresh)
		s.join(3, 3)
		for now := int64(50); now < 3*limit; now += 50 {
			s.do(at(now), pong(2))
			if now < limit {
				s.do([]Event{pong(3), ack(3, zx(1, 0)), request(3, wire.OpCreate), packet(3, wire.PacketRevalidate, 0, make([]byte, 12))}[now/50%4])
			}
			heard := limit - 50
			if gone := s.p.leader.handler(3) == nil; gone != (now >= heard+limit) {
				t.Fatalf("at %d server 3 is gone: %v, and was heard of at %d", now, gone, heard)
			}
		}
	})
	t.Run("without a quorum we step down", func(t *testing.T) {
		s := lead(t, lines(3, 1), fresh)
		s.do(accepted(4), observerInfo(4, 4, 0), ackEpoch(4, 0, 0), ack(4, zx(1, 0)))
		now := int64(0)
		var got string
		for ; s.p.State() == Leading && now < 3*limit; now += 10 {
			got = s.do(at(now), pong(4)) // an observer does not count
		}
		s.resigned(got, "it has lost its quorum: only {1} are left")
		if now < limit || now > limit+testTick+20 {
			t.Errorf("it stepped down after %d ms, want %d to %d", now, limit, limit+testTick)
		}
	})
	t.Run("after a pause of our own we do not serve for one tick more", func(t *testing.T) {
		s := lead(t, lines(3, 0), fresh)
		s.do(at(60)) // the next check is due at 100
		s.p.leader.nextBeat = math.MaxInt64
		s.resigned(s.do(at(limit)), "it has lost its quorum")
	})
	t.Run("a lost link counts at the next check", func(t *testing.T) {
		s := lead(t, lines(3, 0), fresh)
		s.do(lost(2))
		for s.p.State() == Leading && s.p.now <= 2*testTick {
			s.do(at(s.p.now + 10))
		}
		if s.p.State() == Leading {
			t.Error("it still leads")
		}
	})
	t.Run("alone we have a quorum", func(t *testing.T) {
		s, _ := newScript(t, 1, lines(1, 0), fresh)
		s.do(saved(1, 0), saved(1, 1))
		for now := int64(0); now < 5*limit; now += 50 {
			s.do(at(now))
		}
		if s.p.State() != Leading {
			t.Error("it stepped down")
		}
	})
}

func TestAProposalMustBeLoggedInTime(t *testing.T) {
	limit := int64(testSync * testTick)
	run := func(s *script, until int64, each ...Event) (closedAt int64) {
		for now := s.p.now + 50; now <= until; now += 50 {
			s.do(append([]Event{pong(2), pong(3)}, each...)...)
			if strings.Contains(s.do(at(now)), "3: closed") {
				return now
			}
		}
		return 0
	}
	begin := func(t *testing.T) *script {
		s := lead(t, lines(3, 0), fresh)
		s.join(3, 3)
		s.do(at(50), proposed(zx(1, 1)), ack(2, zx(1, 1)), durable(zx(1, 1)))
		return s
	}
	t.Run("one that never is", func(t *testing.T) {
		s := begin(t)
		if got, want := run(s, 3*limit), 50+limit+50; got != want {
			t.Errorf("link 3 was closed at %d, want %d", got, want)
		}
	})
	t.Run("one that is, and then nothing is due", func(t *testing.T) {
		s := begin(t)
		s.do(ack(3, zx(1, 1)))
		if got := run(s, 3*limit); got != 0 {
			t.Errorf("link 3 was closed at %d", got)
		}
	})
	t.Run("the latest is timed when the first is logged", func(t *testing.T) {
		s := begin(t)
		s.do(at(100), proposed(zx(1, 2)), at(200), proposed(zx(1, 3)), ack(2, zx(1, 3)), durable(zx(1, 3)))
		s.do(at(300), ack(3, zx(1, 1)))
		if got, want := run(s, 3*limit), 200+limit+50; got != want {
			t.Errorf("link 3 was closed at %d, want %d", got, want)
		}
	})
	t.Run("not while it still has to acknowledge NEWLEADER", func(t *testing.T) {
		s := lead(t, lines(3, 0), fresh)
		s.do(accepted(3), followerInfo(3, 3, 0), ackEpoch(3, 0, 0), proposed(zx(1, 1)), ack(2, zx(1, 1)), durable(zx(1, 1)))
		for s.p.now < limit+100 {
			s.do(at(s.p.now+50), pong(2))
		}
		if s.p.leader.handler(3) == nil {
			t.Error("link 3 was closed")
		}
	})
	t.Run("all at once", func(t *testing.T) {
		s := begin(t)
		s.do(at(100), proposed(zx(1, 2)), ack(2, zx(1, 2)), durable(zx(1, 2)), ack(3, zx(1, 2)))
		if got := run(s, 3*limit); got != 0 {
			t.Errorf("link 3 was closed at %d", got)
		}
	})
}

func TestSyncsAreConfirmed(t *testing.T) {
	begin := func(t *testing.T) *script {
		s := lead(t, lines(5, 1), fresh)
		s.do(accepted(6), observerInfo(6, 6, 0), ackEpoch(6, 0, 0), ack(6, zx(1, 0)), ack(6, zx(1, 0)))
		return s
	}
	pings := []string{"2: PING 1.0", "3: PING 1.0"}
	t.Run("by answers to PINGs", func(t *testing.T) {
		s := begin(t)
		s.says(s.do(syncOf(0, 7)), pings...)
		s.says(s.do(pong(6), pong(6), pong(2), pong(2)), "")
		s.says(s.do(pong(3)), "synced 7")
	})
	t.Run("not by answers to earlier PINGs", func(t *testing.T) {
		s := begin(t)
		s.says(s.do(at(testTick/2)), "2: PING 1.0", "3: PING 1.0", "6: PING 1.0")
		s.says(s.do(syncOf(0, 7)), pings...)
		s.says(s.do(pong(2), pong(3)), "")
		s.says(s.do(pong(2), pong(3)), "synced 7")
	})
	t.Run("not by more answers than questions", func(t *testing.T) {
		s := begin(t)
		s.do(pong(2), pong(3), pong(2), pong(3))
		s.says(s.do(syncOf(0, 7)), pings...)
		s.says(s.do(pong(2), pong(3)), "synced 7")
	})
	t.Run("by acks of what was proposed later", func(t *testing.T) {
		s := begin(t)
		s.do(proposed(zx(1, 1)), durable(zx(1, 1)), ack(2, zx(1, 1)), ack(3, zx(1, 1)))
		s.do(syncOf(0, 7))
		s.do(proposed(zx(1, 2)))
		s.says(s.do(ack(2, zx(1, 1)), ack(2, zx(1, 2))), "")
		s.says(s.do(ack(3, zx(1, 2))), "synced 7") // our own log is not needed for that
	})
	t.Run("and wait for what was proposed before", func(t *testing.T) {
		s := begin(t)
		s.do(proposed(zx(1, 2)), syncOf(0, 7))
		s.says(s.do(pong(2), pong(3)), "")
		s.says(s.do(ack(2, zx(1, 1)), ack(3, zx(1, 1)), durable(zx(1, 1))), "commit 1.1", "2: commit (0.0, 1.1]", "3: commit (0.0, 1.1]", "6: inform (0.0, 1.1]")
		s.says(s.do(ack(2, zx(1, 2)), ack(3, zx(1, 2)), durable(zx(1, 2))), "commit 1.2", "2: commit (1.1, 1.2]", "3: commit (1.1, 1.2]", "6: inform (1.1, 1.2]", "synced 7")
	})
	t.Run("and come back between two commits", func(t *testing.T) {
		s := begin(t)
		s.says(s.do(request(3, wire.OpSync)), "request of 3")
		s.do(proposed(zx(1, 2)), syncOf(3, 0), proposed(zx(1, 5)))
		s.do(ack(2, zx(1, 5)), durable(zx(1, 5)))
		s.says(s.do(ack(3, zx(1, 4))),
			"commit 1.2", "2: commit (0.0, 1.2]", "3: commit (0.0, 1.2]", "6: inform (0.0, 1.2]", "3: SYNC 0.0",
			"commit 1.4", "2: commit (1.2, 1.4]", "3: commit (1.2, 1.4]", "6: inform (1.2, 1.4]")
	})
	t.Run("several share a round, and those that come later share the next", func(t *testing.T) {
		s := begin(t)
		s.says(s.do(syncOf(0, 1)), pings...)
		s.says(s.do(syncOf(0, 2), syncOf(3, 0), syncOf(0, 4)), "")
		s.says(s.do(pong(2), pong(3)), append([]string{"synced 1"}, pings...)...)
		s.says(s.do(pong(2), pong(3)), "synced 2", "3: SYNC 0.0", "synced 4")
	})
	t.Run("not for a link that is gone", func(t *testing.T) {
		s := begin(t)
		s.do(syncOf(0, 1), syncOf(6, 0), syncOf(0, 2))
		s.do(lost(6), pong(2))
		s.says(s.do(pong(3)), append([]string{"synced 1"}, pings...)...)
		s.says(s.do(pong(2), pong(3)), "synced 2")
		s.says(s.do(syncOf(6, 0)), "")
	})
	t.Run("by one that joins meanwhile", func(t *testing.T) {
		s := begin(t)
		s.do(syncOf(0, 7), pong(2))
		s.says(s.do(accepted(4), followerInfo(4, 4, 0), ackEpoch(4, 0, 0), ack(4, zx(1, 0))),
			"4: LEADERINFO 1.0", "4: DIFF 0.0", "4: NEWLEADER 1.0", "4: UPTODATE -1.4294967295")
		s.says(s.do(ack(4, zx(1, 0))), "synced 7")
	})
	t.Run("not by what a learner answers before it is up to date", func(t *testing.T) {
		s := begin(t)
		s.do(accepted(4), followerInfo(4, 4, 0), ackEpoch(4, 0, 0), ack(4, zx(1, 0)), syncOf(0, 7), pong(2))
		s.says(s.do(pong(4)), "") // to a PING of before UPTODATE, for all we know
		s.says(s.do(ack(4, zx(1, 0))), "")
		s.says(s.do(pong(4)), "synced 7")
	})
	t.Run("never by a leader that was deposed", func(t *testing.T) {
		s := begin(t)
		s.do(syncOf(0, 7), syncOf(3, 0))
		for s.p.State() == Leading && s.p.now < 10000 {
			if got := s.do(at(s.p.now+10), pong(2), pong(6)); strings.Contains(got, "synced") || strings.Contains(got, "SYNC") {
				t.Fatalf("the leader said %q, and only servers 1 and 2 of five are left", got)
			}
		}
		if s.p.State() == Leading {
			t.Error("it still leads")
		}
	})
	t.Run("not by what was said before we led", func(t *testing.T) {
		s, _ := newScript(t, 1, lines(3, 0), fresh)
		s.do(accepted(2), followerInfo(2, 2, 0), saved(1, 0), ackEpoch(2, 0, 0), ack(2, zx(1, 0)), ack(2, zx(1, 0)))
		s.do(at(testTick/2), saved(1, 1)) // with a PING before UPTODATE, which may be answered or not
		s.says(s.do(syncOf(0, 7)), "2: PING 1.0")
		s.says(s.do(pong(2)), "")
		s.says(s.do(ack(2, zx(1, 0))), "")
		s.says(s.do(pong(2)), "synced 7")
	})
	t.Run("and a round that nobody waits for any more keeps nobody waiting", func(t *testing.T) {
		s := lead(t, lines(3, 0), fresh)
		s.do(proposed(zx(1, 1)))
		s.says(s.do(syncOf(0, 1)), "2: PING 1.1")
		s.do(syncOf(0, 2), proposed(zx(1, 2))) // the second waits for the next round
		s.do(pong(2))                          // which begins here
		if got := s.do(durable(zx(1, 2)), ack(2, zx(1, 2))); !strings.Contains(got, "synced 1; synced 2") {
			t.Fatalf("the leader said %q", got)
		}
	})
	t.Run("not when we do not lead", func(t *testing.T) {
		s, _ := newScript(t, 1, lines(3, 0), fresh)
		s.says(s.do(syncOf(0, 1)), "")
	})
}

func TestManySyncsKeepTheirOrder(t *testing.T) {
	s := lead(t, lines(3, 0), fresh)
	next := uint64(1)
	for token := uint64(1); token <= 1000; token++ {
		s.do(syncOf(0, token))
		if token%7 != 0 {
			continue
		}
		for range 2 {
			s.do(pong(2))
			for _, a := range s.out {
				if a.Kind == ActionSynced {
					if a.Token != next {
						t.Fatalf("sync %d is answered, want %d", a.Token, next)
					}
					next++
				}
			}
		}
	}
	if n := len(s.p.leader.syncs.queue); next < 990 || n > 100 {
		t.Errorf("%d of 1000 syncs are answered, and %d are kept", next-1, n)
	}
}

// The way of a write must not make garbage, however much is outstanding.
func TestBroadcastDoesNotAllocate(t *testing.T) {
	s := lead(t, lines(5, 1), fresh)
	s.join(4, 4)
	s.join(5, 5)
	s.do(accepted(6), observerInfo(6, 6, 0), ackEpoch(6, 0, 0), ack(6, zx(1, 0)), ack(6, zx(1, 0)))
	const outstanding = 5000
	z := zx(1, outstanding)
	out := make([]Action, 0, 64)
	out = s.p.Step(proposed(z), out[:0])
	commits := 0
	turn := func() {
		z += 10
		out = s.p.Step(proposed(z), out[:0])
		out = s.p.Step(Event{Kind: EventSync, Token: 1}, out[:0])
		for link := Link(2); link <= 5; link++ {
			ev := ack(link, z-outstanding)
			out = s.p.Step(ev, out[:0])
		}
		out = s.p.Step(durable(z-outstanding), out[:0])
		for _, a := range out {
			if a.Kind == ActionCommit {
				commits++
			}
		}
		out = s.p.Step(pong(2), out[:0])
		out = s.p.Step(pong(3), out[:0])
		out = s.p.Step(at(s.p.now), out[:0])
	}
	for range 1000 {
		turn()
	}
	if n := testing.AllocsPerRun(1000, turn); n != 0 {
		t.Errorf("a turn of ten proposals: %v allocations, want 0", n)
	}
	if s.p.committed != z-outstanding {
		t.Errorf("committed up to %v, want %v", s.p.committed, z-outstanding)
	}
}

func BenchmarkBroadcast(b *testing.B) {
	s := lead(b, lines(5, 0), fresh)
	for link := Link(4); link <= 5; link++ {
		s.join(link, ServerID(link))
	}
	z := zx(1, 0)
	out := make([]Action, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		z++
		out = s.p.Step(proposed(z), out[:0])
		out = s.p.Step(durable(z), out[:0])
		for link := Link(2); link <= 5; link++ {
			out = s.p.Step(ack(link, z), out[:0])
		}
	}
}
