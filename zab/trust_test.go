package zab

import (
	"bytes"
	"testing"

	"paddock/wire"
)

// newUntrusted returns server 1, which looks with what a damaged disk has left, or nothing.
func newUntrusted(t testing.TB, view string, r Recovered) *elector {
	t.Helper()
	p := NewPeer(Config{ID: 1, View: mustView(t, view)}, r)
	return &elector{&p.election, t}
}

var damagedDisk = Recovered{History: historyOf(0, zx(1, 1), zx(1, 2)), Committed: zx(1, 1), Epochs: Epochs{4, 1}, Trust: Damaged}

func TestAVoteWithoutTrustSaysThatThereIsNothing(t *testing.T) {
	e := newUntrusted(t, lines(3, 0), damagedDisk)
	if n := said(t, e.look(), 2); n.Leader != 1 || n.Zxid != -1 || n.PeerEpoch != 1 {
		t.Errorf("votes for %d with %v of epoch %d, want itself with -1 of 1", n.Leader, n.Zxid, n.PeerEpoch)
	}
	e.hears(2, Looking, Vote{1, zx(1, 2), 1, 1}) // what it said before it was damaged
	e.hears(3, Looking, Vote{1, zx(1, 2), 1, 1})
	e.at(10_000)
	e.mustGoOn()
	e.hears(2, Following, Vote{3, zx(1, 2), 1, 1})
	e.hears(3, Leading, Vote{3, zx(1, 2), 1, 1})
	e.mustDecide(3)
}

func TestAnEnsembleIsNewWhenNobodyHasAHistory(t *testing.T) {
	nothing, zero := Vote{2, -1, 1, 0}, Vote{2, 0, 1, 0}
	type word struct {
		at    int64
		from  ServerID
		state State
		vote  Vote
	}
	for name, c := range map[string]struct {
		trust Trust
		words []word
		at    int64 // when it begins; 0: never
	}{
		"all say -1":                                   {Empty, []word{{0, 2, Looking, nothing}, {100, 3, Looking, Vote{3, -1, 1, 0}}}, 100 + newEnsembleMS},
		"one may be empty by right":                    {Empty, []word{{0, 2, Looking, zero}, {0, 3, Looking, Vote{3, -1, 1, 0}}}, newEnsembleMS},
		"one is not heard":                             {Empty, []word{{0, 2, Looking, nothing}}, 0},
		"one has a history":                            {Empty, []word{{0, 2, Looking, nothing}, {0, 3, Looking, Vote{3, zx(1, 1), 1, 1}}}, 0},
		"one has a leader":                             {Empty, []word{{0, 2, Looking, nothing}, {0, 3, Following, Vote{2, 0, 1, 0}}}, 0},
		"one corrects an old word in time":             {Empty, []word{{0, 2, Looking, nothing}, {0, 3, Looking, zero}, {newEnsembleMS - 1, 3, Leading, Vote{3, 0, 1, 0}}}, 0},
		"an observer does not count":                   {Empty, []word{{0, 2, Looking, nothing}, {0, 4, Looking, zero}}, 0},
		"what a damaged server has lost was a history": {Damaged, []word{{0, 2, Looking, nothing}, {0, 3, Looking, nothing}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			e := newUntrusted(t, lines(3, 1), Recovered{Trust: c.trust})
			e.look()
			for _, w := range c.words {
				e.peer.now = w.at
				e.hears(w.from, w.state, w.vote)
			}
			began := int64(0)
			for now := int64(1); now < 5*newEnsembleMS; now++ {
				for _, a := range e.at(now) {
					if a.Kind == ActionTrust && began == 0 {
						began = now
					} else if a.Kind == ActionTrust {
						t.Fatalf("begins at %d, and again at %d", began, now)
					}
				}
			}
			if want := map[bool]Trust{true: Trusted, false: c.trust}[c.at > 0]; began != c.at || e.peer.Trust() != want {
				t.Errorf("begins at %d with trust %d, want %d and %d", began, e.peer.Trust(), c.at, want)
			}
		})
	}
}

func TestWhoBeginsAnEnsembleVotes(t *testing.T) {
	e := newUntrusted(t, lines(3, 0), Recovered{Trust: Empty})
	e.look()
	e.hears(2, Looking, Vote{2, -1, 1, 0})
	e.hears(3, Looking, Vote{3, -1, 1, 0})
	out := e.at(newEnsembleMS)
	if n := said(t, out[1:], 2); out[0].Kind != ActionTrust || n.Zxid != 0 || n.Leader != 1 {
		t.Fatalf("said %+v, want that it trusts its disk, and then its vote", out)
	}
	e.hears(2, Looking, Vote{3, 0, 1, 0})
	e.hears(3, Looking, Vote{3, 0, 1, 0})
	e.mustDecide(3)
}

// Whoever leads must learn nothing from what is left, each time, until the snapshot is on the disk.
func TestWithoutTrustASnapshotIsAskedForEachTime(t *testing.T) {
	s := newPupil(t, damagedDisk)
	for _, epoch := range []int64{5, 6} {
		s.do(tellEpoch(epoch))
		s.do(saved(uint32(epoch), 1))
		want := (&wire.AckEpoch{Epoch: -1}).Append(nil)
		if a := s.out[0]; a.Packet.Zxid != zx(epoch+1, 0) || !bytes.Equal(a.Packet.Data, want) {
			t.Fatalf("ACKEPOCH %v %x, want %v %x", a.Packet.Zxid, a.Packet.Data, zx(epoch+1, 0), want)
		}
		s.left(s.do(tellDiff(zx(1, 2))), "DIFF")
		s.connect()
	}
	s.do(tellEpoch(7), saved(7, 1), tellSnap(zx(1, 2)), streamed(zx(1, 2)))
	s.says(s.do(tellNewLeader(7)), "install 1.2")
	if s.p.Trust() != Damaged {
		t.Error("it trusts a snapshot that is not on the disk")
	}
	s.says(s.do(inPlace(zx(1, 2))), "save 7/7")
	if s.p.Trust() != Trusted {
		t.Error("it does not trust what was installed")
	}
	s.says(s.do(saved(7, 7)), "7: ACK 7.0")
	s.do(Event{Kind: EventResign})
	if v := s.p.Vote(); v.Zxid != zx(1, 2) || v.PeerEpoch != 7 {
		t.Errorf("votes with %v of epoch %d, want %v of 7", v.Zxid, v.PeerEpoch, zx(1, 2))
	}
}

// What a server without trust says in discovery is no promise to follow, and no reason not to lead.
func TestALeaderCountsNobodyWithoutTrust(t *testing.T) {
	s, _ := newScript(t, 1, lines(3, 0), recovered(historyOf(0, zx(1, 1)), 1))
	s.do(accepted(2), followerInfo(2, 2, 1), saved(2, 1))
	s.says(s.do(ackEpoch(2, zx(3, 0), -1)), "")
	s.do(accepted(3), followerInfo(3, 3, 1))
	s.says(s.do(ackEpoch(3, zx(1, 1), 1)), "save 2/2", "2: snapshot", "3: DIFF 1.1", "3: NEWLEADER 2.0")
	s.do(saved(2, 2), opened(2, 0))
	s.says(s.do(ack(2, zx(2, 0))), "commit 1.1", "lead 2", "2: UPTODATE -1.4294967295") // it has all of it now
}
