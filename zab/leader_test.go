package zab

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"paddock/wire"
)

// script drives a peer that leads, and writes down what it says: one short line an action. Server 1 to n
// come over links 1 to n, unless a test says otherwise.
type script struct {
	t   testing.TB
	p   *Peer
	out []Action
}

const (
	testTick = 100
	testInit = 10 // ticks
	testSync = 5
)

// newScript returns a leader that has just been elected, and what it says first.
func newScript(t testing.TB, id ServerID, view string, r Recovered, change ...func(*Config)) (*script, string) {
	t.Helper()
	cfg := Config{ID: id, View: mustView(t, view), TickMS: testTick, InitTicks: testInit, SyncTicks: testSync}
	for _, f := range change {
		f(&cfg)
	}
	s := elected(cfg, r)
	s.t = t
	return s, s.said()
}

func elected(cfg Config, r Recovered) *script {
	p := NewPeer(cfg, r)
	p.state, p.draining, p.leader = Leading, false, newLeader(p)
	return &script{p: p, out: p.leader.start(nil)}
}

// do steps events, and returns what was said to them.
func (s *script) do(events ...Event) string {
	s.out = s.out[:0]
	for _, ev := range events {
		ev.Now = max(ev.Now, s.p.now)
		s.out = s.p.Step(ev, s.out)
	}
	return s.said()
}

// says fails the test unless all that was said to an event is this.
func (s *script) says(got string, want ...string) {
	s.t.Helper()
	if w := strings.Join(want, "; "); got != w {
		s.t.Fatalf("the leader said\n\t%s\nwant\n\t%s", got, w)
	}
}

// resigned fails the test unless the role has ended, for a reason.
func (s *script) resigned(got, why string) {
	s.t.Helper()
	if s.p.State() == Leading || !strings.Contains(got, "rest: ") || !strings.Contains(got, why) {
		s.t.Fatalf("the leader said\n\t%s\nwant that it rests, because %q", got, why)
	}
}

func (s *script) said() string {
	var words []string
	for i := range s.out {
		if a := &s.out[i]; a.Kind != ActionNotify {
			words = append(words, spell(a))
		}
	}
	return strings.Join(words, "; ")
}

// short prints a zxid as epoch.counter.
func short(z wire.Zxid) string { return fmt.Sprintf("%d.%d", int32(z.Epoch()), z.Counter()) }

func spell(a *Action) string {
	span := func(what string) string {
		return fmt.Sprintf("%d: %s (%s, %s]", a.Link, what, short(a.From), short(a.Zxid))
	}
	switch a.Kind {
	case ActionSend:
		return fmt.Sprintf("%d: %v %s", a.Link, a.Packet.Type, short(a.Packet.Zxid))
	case ActionClose:
		return fmt.Sprintf("%d: closed", a.Link)
	case ActionSaveEpochs:
		return fmt.Sprintf("save %d/%d", a.Epochs.Accepted, a.Epochs.Current)
	case ActionCommit:
		return "commit " + short(a.Zxid)
	case ActionSnapshot:
		return fmt.Sprintf("%d: snapshot", a.Link)
	case ActionStream:
		return span("stream")
	case ActionPropose:
		return span("propose")
	case ActionCommits:
		return span("commit")
	case ActionInform:
		return span("inform")
	case ActionLead:
		return fmt.Sprintf("lead %d", a.Epoch)
	case ActionRest:
		return "rest: " + a.Text
	case ActionRequest:
		return fmt.Sprintf("request of %d", a.Link)
	case ActionTouch:
		return fmt.Sprintf("touch of %d", a.Link)
	case ActionRevalidate:
		return fmt.Sprintf("revalidate of %d", a.Link)
	case ActionView:
		if a.Proposed {
			return "view " + short(a.View.Version) + " proposed"
		}
		return "view " + short(a.View.Version)
	case ActionSynced:
		return fmt.Sprintf("synced %d", a.Token)
	}
	return fmt.Sprintf("action %d", a.Kind)
}

// What learners say, and what else happens to a leader.

func accepted(link Link) Event { return Event{Kind: EventAccepted, Link: link} }
func lost(link Link) Event     { return Event{Kind: EventLost, Link: link} }
func saved(accepted, current uint32) Event {
	return Event{Kind: EventEpochsSaved, Epochs: Epochs{accepted, current}}
}
func durable(z wire.Zxid) Event  { return Event{Kind: EventDurable, Zxid: z} }
func purged(z wire.Zxid) Event   { return Event{Kind: EventPurged, Zxid: z} }
func proposed(z wire.Zxid) Event { return Event{Kind: EventProposed, Zxid: z} }
func opened(link Link, z wire.Zxid) Event {
	return Event{Kind: EventSnapshotOpened, Link: link, Zxid: z}
}
func at(now int64) Event { return Event{Kind: EventTick, Now: now} }

func packet(link Link, typ wire.PacketType, z wire.Zxid, data []byte) Event {
	return Event{Kind: EventPacket, Link: link, Packet: wire.Packet{Type: typ, Zxid: z, Data: data}}
}

func learnerInfo(id ServerID) []byte {
	return (&wire.LearnerInfo{ServerID: int64(id), ProtocolVersion: wire.ProtocolVersion}).Append(nil)
}

func followerInfo(link Link, id ServerID, accepted int64) Event {
	return packet(link, wire.PacketFollowerInfo, zx(accepted, 0), learnerInfo(id))
}

func observerInfo(link Link, id ServerID, accepted int64) Event {
	return packet(link, wire.PacketObserverInfo, zx(accepted, 0), learnerInfo(id))
}

func ackEpoch(link Link, last wire.Zxid, current int32) Event {
	return packet(link, wire.PacketAckEpoch, last, (&wire.AckEpoch{Epoch: current}).Append(nil))
}

func ack(link Link, z wire.Zxid) Event { return packet(link, wire.PacketAck, z, nil) }
func pong(link Link) Event             { return packet(link, wire.PacketPing, 0, []byte{}) }

func request(link Link, op wire.Op) Event {
	return packet(link, wire.PacketRequest, -1, (&wire.ForwardedRequest{SessionID: 1, Op: op}).Append(nil))
}

func syncOf(link Link, token uint64) Event { return Event{Kind: EventSync, Link: link, Token: token} }

// lead brings a leader whose history everybody has to the broadcast phase of its next epoch: server 1 leads,
// and just enough of the servers from 2 on follow, over links of the same number.
func lead(t testing.TB, view string, r Recovered, change ...func(*Config)) *script {
	t.Helper()
	s, _ := newScript(t, 1, view, r, change...)
	e := r.Epochs.Accepted + 1
	followers := Link(len(s.p.cfg.View.Voters()) / 2)
	for link := Link(2); link <= followers+1; link++ {
		s.do(accepted(link), followerInfo(link, ServerID(link), int64(r.Epochs.Accepted)))
	}
	s.do(saved(e, r.Epochs.Current))
	for link := Link(2); link <= followers+1; link++ {
		s.do(ackEpoch(link, r.History.Last(), int32(r.Epochs.Current)))
	}
	for link := Link(2); link <= followers+1; link++ {
		s.do(ack(link, zx(int64(e), 0)))
	}
	s.do(saved(e, e))
	for link := Link(2); link <= followers+1; link++ {
		s.do(ack(link, zx(int64(e), 0)))
	}
	if s.p.leader == nil || s.p.leader.phase != broadcasting {
		t.Fatalf("the leader said %s, and is not established", s.said())
	}
	return s
}

// join brings one more follower as far, which has all that is committed.
func (s *script) join(link Link, id ServerID) string {
	s.t.Helper()
	said := s.do(accepted(link), followerInfo(link, id, 0), ackEpoch(link, s.p.committed, 0))
	e := zx(int64(s.p.leader.epoch), 0)
	return said + "; " + s.do(ack(link, e), ack(link, e))
}

// fresh is a server without any history.
var fresh = Recovered{History: NewHistory(0)}

func recovered(h History, epoch uint32) Recovered {
	return Recovered{History: h, Committed: h.Base(), Epochs: Epochs{epoch, epoch}}
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestJoinAsCaptured is the join of a follower that was captured between two of Java's servers. What the
// follower says goes in, and what we say has to be the same bytes.
func TestJoinAsCaptured(t *testing.T) {
	s, said := newScript(t, 2, lines(3, 0), fresh)
	s.says(said, "")
	text := s.p.cfg.View.Text()
	config := fmt.Sprintf("%08x%x", len(text), text)
	s.do(accepted(1))
	for _, line := range []struct{ says, before, packet string }{
		{"f", "", "0000000b 0000000000000000 00000014 0000000000000001 00010000 0000000000000000 ffffffff"},
		{"L", "epochs", "00000011 0000000100000000 00000004 00010000 ffffffff"},
		{"f", "", "00000012 0000000000000000 00000004 00000000 ffffffff"},
		{"L", "", "0000000d 0000000000000000 ffffffff ffffffff"},
		{"L", "", "0000000a 0000000100000000 " + config + " ffffffff"},
		{"f", "", "00000003 0000000100000000 ffffffff ffffffff"},
		{"L", "epochs", "0000000c ffffffffffffffff ffffffff ffffffff"},
		{"f", "", "00000003 0000000100000000 ffffffff ffffffff"},
		{"L", "tick", "00000005 0000000100000000 ffffffff ffffffff"},
		{"f", "", "00000005 0000000100000000 00000000 ffffffff"},
	} {
		switch line.before {
		case "epochs":
			s.do(Event{Kind: EventEpochsSaved, Epochs: s.p.saving})
		case "tick":
			s.do(at(testTick / 2))
		}
		if line.says == "f" {
			var p wire.Packet
			r := wire.NewReader(unhex(t, line.packet))
			if err := p.Decode(&r); err != nil {
				t.Fatal(err)
			}
			s.do(Event{Kind: EventPacket, Link: 1, Packet: p})
			continue
		}
		var got []byte
		for i, a := range s.out {
			if a.Kind == ActionSend {
				got = a.Packet.Append(nil)
				s.out = s.out[i+1:]
				break
			}
		}
		if want := unhex(t, line.packet); !bytes.Equal(got, want) {
			t.Fatalf("the leader sent\n%x, want\n%x", got, want)
		}
	}
	if got := s.p.Vote().PeerEpoch; got != 1 {
		t.Errorf("the vote says epoch %d, want 1", got)
	}
}

func TestDiscovery(t *testing.T) {
	s, said := newScript(t, 1, lines(5, 1), recovered(historyOf(0, upTo(3, 2)...), 3))
	s.says(said, "")
	s.says(s.do(accepted(2), followerInfo(2, 2, 4)), "")
	s.says(s.do(accepted(6), observerInfo(6, 6, 7)), "") // it does not count, but its promise does
	s.says(s.do(accepted(8), followerInfo(8, 8, 2)), "") // nor does a server that is not in the view
	s.says(s.do(accepted(3), followerInfo(3, 3, 3)), "save 8/3")
	s.says(s.do(accepted(4), followerInfo(4, 4, 3)), "") // the record is not durable yet
	s.says(s.do(saved(8, 3)), "2: LEADERINFO 8.0", "6: LEADERINFO 8.0", "8: LEADERINFO 8.0", "3: LEADERINFO 8.0", "4: LEADERINFO 8.0")
	for i := range s.out {
		if got, want := s.out[i].Need, (Epochs{Accepted: 8}); got != want {
			t.Errorf("LEADERINFO needs %+v, want %+v", got, want)
		}
	}
	s.says(s.do(accepted(5), followerInfo(5, 5, 9)), "5: LEADERINFO 8.0") // the epoch is fixed; it will not follow
	s.says(s.do(ackEpoch(2, zx(3, 2), -1)), "")                           // it had accepted epoch 8 before
	s.says(s.do(ackEpoch(6, zx(3, 2), 3)), "")
	s.says(s.do(ackEpoch(8, zx(3, 2), 3)), "")
	s.says(s.do(ackEpoch(3, zx(3, 2), 3)), "")
	s.says(s.do(ackEpoch(4, zx(3, 1), 2)), "save 8/8",
		"2: DIFF 3.2", "2: NEWLEADER 8.0", "6: DIFF 3.2", "6: NEWLEADER 8.0", "8: DIFF 3.2", "8: NEWLEADER 8.0",
		"3: DIFF 3.2", "3: NEWLEADER 8.0", "4: DIFF 3.2", "4: stream (3.1, 3.2]", "4: NEWLEADER 8.0")
	s.says(s.do(ack(2, zx(8, 0)), ack(6, zx(8, 0)), ack(8, zx(8, 0))), "")
	s.says(s.do(saved(8, 8)), "") // servers 1 and 2
	s.says(s.do(ack(4, zx(8, 0))), "commit 3.2", "lead 8",
		"2: UPTODATE -1.4294967295", "6: UPTODATE -1.4294967295", "8: UPTODATE -1.4294967295", "4: UPTODATE -1.4294967295")
	s.says(s.do(ack(3, zx(8, 0))), "3: UPTODATE -1.4294967295")
}

func TestAloneItLeadsByItself(t *testing.T) {
	s, said := newScript(t, 1, lines(1, 1), recovered(historyOf(0, upTo(2, 2)...), 2))
	s.says(said, "save 3/2")
	s.says(s.do(saved(3, 2)), "save 3/3")
	s.says(s.do(saved(3, 3)), "commit 2.2", "lead 3")
	s.says(s.do(proposed(zx(3, 4))), "")
	s.says(s.do(durable(zx(3, 3))), "commit 3.3")
	s.says(s.do(syncOf(0, 5)), "")
	s.says(s.do(durable(zx(3, 4))), "commit 3.4", "synced 5")
}

func TestWhoIsRefused(t *testing.T) {
	info := func(f func(*wire.LearnerInfo)) Event {
		q := wire.LearnerInfo{ServerID: 3, ProtocolVersion: wire.ProtocolVersion}
		f(&q)
		return packet(9, wire.PacketFollowerInfo, 0, q.Append(nil))
	}
	for _, c := range []struct {
		name string
		ev   Event
	}{
		{"it has our own id", followerInfo(9, 1, 0)},
		{"its protocol is older than ZAB 1.0", info(func(q *wire.LearnerInfo) { q.ProtocolVersion = 1 })},
		{"it says no protocol version", packet(9, wire.PacketFollowerInfo, 0, learnerInfo(3)[:8])},
		{"its info is cut short", packet(9, wire.PacketFollowerInfo, 0, learnerInfo(3)[:7])},
		{"it says nothing, and not null", packet(9, wire.PacketFollowerInfo, 0, []byte{})},
		{"it knows a later configuration", info(func(q *wire.LearnerInfo) { q.ConfigVersion = 1 })},
		{"there is no epoch after its", followerInfo(9, 3, 1<<31-1)},
		{"its epoch is beyond all", followerInfo(9, 3, 1<<32-1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := newScript(t, 1, lines(3, 0), fresh)
			s.says(s.do(accepted(2), accepted(9), c.ev), "9: closed")
			s.says(s.do(c.ev), "") // what was on its way
			s.says(s.do(followerInfo(2, 2, 0)), "save 1/0")
		})
	}
}

func TestAVoterThatOnlyObservesDoesNotCount(t *testing.T) {
	s, _ := newScript(t, 1, lines(3, 0), fresh)
	s.says(s.do(accepted(2), observerInfo(2, 2, 0)), "")
	s.says(s.do(accepted(3), followerInfo(3, 3, 0)), "save 1/0")
}

func TestOnlyOurOwnRecordCounts(t *testing.T) {
	s, _ := newScript(t, 1, lines(3, 0), recovered(NewHistory(0), 3))
	s.says(s.do(accepted(2), followerInfo(2, 2, 3), saved(3, 3)), "save 4/3")
	s.says(s.do(saved(4, 3)), "2: LEADERINFO 4.0")
}

func TestALearnerWithoutIDLearns(t *testing.T) {
	s := lead(t, lines(3, 0), fresh)
	for link := Link(7); link < 9; link++ {
		s.says(s.do(accepted(link), packet(link, wire.PacketObserverInfo, 0, nil)), fmt.Sprintf("%d: LEADERINFO 1.0", link))
	}
	if h := s.p.leader.handlers; h[1].id != -1 || h[2].id != -2 || h[1].voter {
		t.Errorf("ids %d and %d, voter %v, want -1 and -2, no voter", h[1].id, h[2].id, h[1].voter)
	}
}

func TestALearnerThatIsAheadIsRefusedInDiscovery(t *testing.T) {
	for _, c := range []struct {
		name    string
		last    wire.Zxid
		current int32
		refused bool
	}{
		{"a later epoch, a shorter history", zx(1, 1), 4, true},
		{"our epoch, a longer history", zx(3, 3), 3, true},
		{"our epoch, our history", zx(3, 2), 3, false},
		{"an earlier epoch, a longer history", zx(3, 3), 2, false},
		{"it had accepted the epoch, whatever its history", zx(9, 9), -1, false},
		{"an epoch that cannot be", zx(3, 2), -2, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, id := range []ServerID{3, 9} { // a voter, and nobody
				s, _ := newScript(t, 1, lines(3, 0), recovered(historyOf(0, upTo(3, 2)...), 3))
				s.do(accepted(2), followerInfo(2, 2, 3), saved(4, 3), accepted(3), followerInfo(3, id, 3))
				got := s.do(ackEpoch(3, c.last, c.current))
				if refused := got == "3: closed"; refused != c.refused {
					t.Errorf("server %d: %q, want refused %v", id, got, c.refused)
				}
				if ok := strings.HasPrefix(s.do(ackEpoch(2, zx(3, 2), 3)), "save 4/4") || !c.refused && c.current != -1; !ok {
					t.Errorf("server %d: discovery did not go on: %s", id, s.said())
				}
			}
		})
	}
}

// A server that was about to lead epoch 4 and never got a quorum comes late. It must be able to join: what
// it has beyond us came to nothing.
func TestALearnerAheadJoinsOnceAQuorumFollows(t *testing.T) {
	s := lead(t, lines(3, 0), recovered(historyOf(0, upTo(3, 2)...), 3))
	s.says(s.do(accepted(3), followerInfo(3, 3, 4)), "3: LEADERINFO 4.0")
	s.says(s.do(ackEpoch(3, zx(3, 5), 4)), "3: TRUNC 3.2", "3: NEWLEADER 4.0")
	if s.out[0].Text == "" {
		t.Error("nobody is told that a server came from an epoch that our quorum did not know")
	}
	s.says(s.do(ack(3, zx(4, 0))), "3: UPTODATE -1.4294967295")
}

func TestALearnerWithTransactionsOfOurEpochThatWeNeverMade(t *testing.T) {
	s := lead(t, lines(3, 0), fresh)
	s.do(proposed(zx(1, 2)), accepted(3), followerInfo(3, 3, 1))
	s.says(s.do(ackEpoch(3, zx(1, 3), -1)), "3: closed")
}

func TestAVoterThatPromisedMoreThanWeCanOffer(t *testing.T) {
	s := lead(t, lines(3, 1), fresh)
	s.says(s.do(accepted(4), observerInfo(4, 4, 9)), "4: LEADERINFO 1.0") // its own affair
	s.resigned(s.do(accepted(3), followerInfo(3, 3, 9)), "epoch 9")
}

func TestTheLastEpoch(t *testing.T) {
	_, said := newScript(t, 1, lines(1, 0), recovered(NewHistory(0), 1<<31-3))
	if want := "save 2147483646/2147483645"; said != want {
		t.Errorf("the leader said %q, want %q", said, want)
	}
	s, _ := newScript(t, 1, lines(3, 0), fresh)
	s.resigned(s.do(accepted(2), followerInfo(2, 2, 1<<31-2)), "after which there is none")
}

func TestAServerHasOneLink(t *testing.T) {
	s := lead(t, lines(3, 1), fresh)
	s.join(3, 3)
	s.says(s.do(accepted(4), followerInfo(4, 3, 1)), "3: closed", "4: LEADERINFO 1.0")
	s.says(s.do(lost(3), pong(3), opened(3, 0)), "") // it is forgotten
	s.says(s.do(ackEpoch(4, 0, -1)), "4: DIFF 0.0", "4: NEWLEADER 1.0")
}

func TestWhatIsOutOfTurnClosesItsLinkOnly(t *testing.T) {
	// everything a learner may say, by when it may say it
	turn := map[wire.PacketType]string{
		wire.PacketFollowerInfo: "arrived", wire.PacketObserverInfo: "arrived",
		wire.PacketAckEpoch: "offered", wire.PacketAck: "filling serving early",
		wire.PacketPing: "serving early", wire.PacketRequest: "serving", wire.PacketRevalidate: "serving",
	}
	stages := []struct {
		name string
		do   []Event // with link 3, to bring it there
		late bool    // the leader serves already
	}{
		{"arrived", nil, false},
		{"waiting", []Event{followerInfo(3, 3, 0)}, false},
		{"offered", []Event{followerInfo(3, 3, 0), saved(1, 0)}, false},
		{"agreed", []Event{followerInfo(3, 3, 0), saved(1, 0), ackEpoch(3, 0, -1)}, false},
		{"filling", []Event{followerInfo(3, 3, 0), saved(1, 0), ackEpoch(3, 0, 0)}, false},
		{"early", []Event{followerInfo(3, 3, 0), saved(1, 0), ackEpoch(3, 0, 0), ack(3, zx(1, 0))}, false},
		{"arrived", nil, true},
		{"offered", []Event{followerInfo(3, 3, 0)}, true},
		{"agreed", []Event{followerInfo(3, 3, 0), ackEpoch(3, -1, -1)}, true}, // until the snapshot is open
		{"filling", []Event{followerInfo(3, 3, 0), ackEpoch(3, 0, 0)}, true},
		{"serving", []Event{followerInfo(3, 3, 0), ackEpoch(3, 0, 0), ack(3, zx(1, 0))}, true},
	}
	data := map[wire.PacketType][]byte{
		wire.PacketFollowerInfo: learnerInfo(3), wire.PacketObserverInfo: learnerInfo(3),
		wire.PacketAckEpoch: {0, 0, 0, 0}, wire.PacketRequest: make([]byte, 16), wire.PacketRevalidate: make([]byte, 12),
	}
	for _, stage := range stages {
		for typ := wire.PacketType(-1); typ <= 21; typ++ {
			var s *script
			if stage.late {
				s = lead(t, lines(3, 0), fresh)
			} else {
				s, _ = newScript(t, 1, lines(3, 0), fresh)
			}
			s.do(append([]Event{accepted(3)}, stage.do...)...)
			if h := s.p.leader.handler(3); h == nil {
				t.Fatalf("%s: link 3 is gone", stage.name)
			}
			z := wire.Zxid(0)
			if typ == wire.PacketAck {
				z = zx(1, 0)
			}
			got := s.do(packet(3, typ, z, data[typ]))
			serving := stage.name == "serving" || stage.name == "early"
			allowed := slices.Contains(strings.Fields(turn[typ]), stage.name) || serving && typ > 19
			if closed := got == "3: closed"; closed == allowed {
				t.Errorf("%s, late %v: %v: the leader said %q, want closed %v", stage.name, stage.late, typ, got, !allowed)
			}
			if s.p.State() != Leading {
				t.Errorf("%s: %v ended the role", stage.name, typ)
			}
		}
	}
}

func TestWhatIsGarbledClosesItsLinkOnly(t *testing.T) {
	for _, c := range []struct {
		name string
		ev   Event
		want string
	}{
		{"a request without an opcode", packet(2, wire.PacketRequest, -1, make([]byte, 15)), "2: closed"},
		{"a request of nothing", packet(2, wire.PacketRequest, -1, nil), "2: closed"},
		{"a session without a timeout", packet(2, wire.PacketRevalidate, -1, make([]byte, 11)), "2: closed"},
		{"touched sessions and a half", packet(2, wire.PacketPing, 0, make([]byte, 18)), "2: closed"},
		{"a PING of null", packet(2, wire.PacketPing, 0, nil), ""},
		{"touched sessions", packet(2, wire.PacketPing, 0, make([]byte, 24)), "touch of 2"},
		{"a request", request(2, wire.OpCreate), "request of 2"},
		{"a sync", request(2, wire.OpSync), "request of 2"},
		{"a session", packet(2, wire.PacketRevalidate, -1, make([]byte, 12)), "revalidate of 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := lead(t, lines(3, 0), fresh)
			s.join(3, 3)
			s.says(s.do(c.ev), c.want)
			s.says(s.do(pong(3)), "")
			if s.p.State() != Leading {
				t.Error("it ended the role")
			}
		})
	}
}

func TestEachWaitEnds(t *testing.T) {
	limit := int64(testInit * testTick)
	for _, c := range []struct {
		name string
		do   []Event // the last at time 50, and with it a new wait begins
		why  string
	}{
		{"nobody comes", nil, "a quorum to connect"},
		{"our disk is stuck", []Event{accepted(2), at(50), followerInfo(2, 2, 0)}, "its own disk"},
		{"nobody accepts the epoch", []Event{accepted(2), followerInfo(2, 2, 0), at(50), saved(1, 0)}, "accept the epoch"},
		{"nobody acknowledges NEWLEADER", []Event{accepted(2), followerInfo(2, 2, 0), saved(1, 0), at(50), ackEpoch(2, 0, 0)}, "have its history"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := newScript(t, 1, lines(3, 0), fresh)
			s.do(c.do...)
			deadline := s.p.now + limit
			s.do(at(deadline - 1))
			if s.p.State() != Leading {
				t.Fatalf("it gave up too early: %s", s.said())
			}
			s.resigned(s.do(at(deadline)), c.why)
		})
	}
}

func TestEveryPacketThatWeWaitForIsDue(t *testing.T) {
	limit := int64(testInit * testTick)
	for _, c := range []struct {
		name string
		do   []Event
	}{
		{"a link that says nothing", []Event{accepted(3)}},
		{"no ACKEPOCH", []Event{accepted(3), followerInfo(3, 3, 0)}},
		{"no ack of NEWLEADER", []Event{accepted(3), followerInfo(3, 3, 0), ackEpoch(3, 0, 0)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := lead(t, lines(3, 0), fresh)
			s.do(c.do...)
			now := s.p.now
			s.do(at(now+limit/3), pong(2), at(now+2*limit/3), pong(2), at(now+limit-1), pong(2))
			if s.p.leader == nil || s.p.leader.handler(3) == nil {
				t.Fatalf("it gave up too early: %s", s.said())
			}
			if got := s.do(at(now + limit)); !strings.Contains(got, "3: closed") {
				t.Errorf("the leader said %q, want that it closes link 3", got)
			}
		})
	}
}

func TestNobodyIsLateWhoWaitsForUs(t *testing.T) {
	limit := int64(testInit * testTick)
	here := func(t *testing.T, s *script) {
		t.Helper()
		if s.p.leader == nil || s.p.leader.handler(2) == nil {
			t.Fatalf("link 2 is gone: %s", s.said())
		}
	}
	t.Run("for an epoch", func(t *testing.T) {
		s, _ := newScript(t, 1, lines(5, 0), fresh)
		s.do(accepted(2), followerInfo(2, 2, 0), at(limit-1), accepted(3), followerInfo(3, 3, 0), at(limit+1))
		here(t, s)
	})
	t.Run("for a quorum to agree", func(t *testing.T) {
		s, _ := newScript(t, 1, lines(5, 0), fresh)
		s.do(accepted(2), followerInfo(2, 2, 0), accepted(3), followerInfo(3, 3, 0))
		s.do(at(limit-1), saved(1, 0), ackEpoch(2, 0, 0), at(2*limit-2))
		here(t, s)
	})
	t.Run("for UPTODATE", func(t *testing.T) {
		s, _ := newScript(t, 1, lines(5, 0), fresh)
		s.do(accepted(2), followerInfo(2, 2, 0), accepted(3), followerInfo(3, 3, 0), saved(1, 0), ackEpoch(2, 0, 0), ackEpoch(3, 0, 0))
		s.do(ack(2, zx(1, 0)), pong(2), at(limit-1))
		here(t, s)
	})
	t.Run("for a snapshot to be opened", func(t *testing.T) {
		s := lead(t, lines(5, 0), recovered(NewHistory(zx(4, 4)), 4))
		s.join(4, 4)
		s.do(lost(2), accepted(2), followerInfo(2, 2, 0), ackEpoch(2, 0, 0))
		for s.p.now < 2*limit {
			s.do(at(s.p.now+testTick), pong(3), pong(4))
		}
		here(t, s)
	})
}

func TestALongSnapshotIsNotLate(t *testing.T) {
	s := lead(t, lines(3, 0), recovered(NewHistory(zx(4, 4)), 4))
	s.says(s.do(accepted(3), followerInfo(3, 3, 0), ackEpoch(3, 0, 0)), "3: LEADERINFO 5.0", "3: snapshot")
	s.do(opened(3, zx(4, 4)))
	for range 50 {
		now := s.p.now + testTick
		s.do(at(now), pong(2), Event{Kind: EventProgress, Link: 3})
	}
	if s.p.leader.handler(3) == nil {
		t.Error("link 3 was closed while its snapshot was on its way")
	}
}

func TestResigning(t *testing.T) {
	s := lead(t, lines(3, 0), fresh)
	s.join(3, 3)
	s.resigned(s.do(Event{Kind: EventResign}), "2: closed; 3: closed; rest: it was asked to")
	s.says(s.do(accepted(7)), "7: closed")
}
