package zab

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"paddock/wire"
)

// pupil drives a peer that follows, plays its disk, and writes down what it says. Whatever it sends is held
// against what the disk has at that time.
type pupil struct {
	t   testing.TB
	p   *Peer
	out []Action

	epoch uint32    // that it was offered
	log   wire.Zxid // durable up to here
	saved Epochs    // durable
}

// newPupil returns server 1, or an observer, that has just connected to leader 3 over link 7.
func newPupil(t testing.TB, r Recovered, change ...func(*Config)) *pupil {
	t.Helper()
	cfg := Config{ID: 1, View: mustView(t, lines(3, 1)), TickMS: testTick, InitTicks: testInit, SyncTicks: testSync}
	for _, f := range change {
		f(&cfg)
	}
	s := &pupil{t: t, p: NewPeer(cfg, r), log: r.History.Last(), saved: r.Epochs}
	s.says(s.do(at(0)), "")
	s.connect()
	return s
}

func observing(c *Config) { c.ID = 4 }

// elect tells it that server 3 leads, and 2 follows.
func (s *pupil) elect() string {
	vote := func(from ServerID, state State) Event {
		return Event{Kind: EventNotification, From: from, Note: wire.Notification{
			State: int32(state), Leader: 3, Round: 77, PeerEpoch: int64(s.saved.Accepted), Version: wire.NotificationVersion,
		}}
	}
	return s.do(vote(2, Following), vote(3, Leading))
}

// connect makes it follow server 3.
func (s *pupil) connect() {
	s.t.Helper()
	if s.p.State() != Looking || s.p.draining {
		s.t.Fatalf("the learner is %v, and still writes: %v", s.p.State(), s.p.draining)
	}
	s.says(s.elect(), "dial 3")
	want := "7: FOLLOWERINFO " + short(epochZxid(s.saved.Accepted))
	if s.p.State() == Observing {
		want = "7: OBSERVERINFO " + short(epochZxid(s.saved.Accepted))
	}
	s.says(s.do(Event{Kind: EventDialed, Link: 7}), want)
}

// do steps events, checks what it sends, and returns what it says.
func (s *pupil) do(events ...Event) string {
	s.t.Helper()
	s.out = s.out[:0]
	for _, ev := range events {
		ev.Now = max(ev.Now, s.p.now)
		switch ev.Kind {
		case EventDurable:
			s.log = max(s.log, ev.Zxid)
		case EventTruncated, EventInstalled:
			s.log = ev.Zxid
		case EventEpochsSaved:
			s.saved = ev.Epochs
		case EventPacket:
			if ev.Packet.Type == wire.PacketLeaderInfo {
				s.epoch = uint32(ev.Packet.Zxid.Epoch())
			}
		}
		n := len(s.out)
		s.out = s.p.Step(ev, s.out)
		for i := range s.out[n:] {
			s.gate(&s.out[n+i])
		}
	}
	return s.said()
}

// gate fails the test if something is sent before what it vouches for is on the disk, or if it does not say
// what that is.
func (s *pupil) gate(a *Action) {
	s.t.Helper()
	if a.Kind == ActionNotify && s.p.State() == Looking {
		log := s.log
		if s.p.Trust() != Trusted {
			log = -1
		}
		if a.Note.Leader == int64(s.p.cfg.ID) && (a.Note.Zxid != log || a.Note.PeerEpoch != int64(s.saved.Current)) {
			s.t.Fatalf("votes %v of epoch %d; on the disk: %v and %+v", a.Note.Zxid, a.Note.PeerEpoch, s.log, s.saved)
		}
		return
	}
	if a.Kind != ActionSend {
		return
	}
	var after wire.Zxid
	var need Epochs
	switch p := &a.Packet; p.Type {
	case wire.PacketFollowerInfo, wire.PacketObserverInfo:
		need.Accepted = uint32(p.Zxid.Epoch())
	case wire.PacketAckEpoch:
		need.Accepted = s.epoch
		if p.Zxid.Epoch() <= int64(s.epoch) {
			after = p.Zxid
		}
	case wire.PacketAck:
		if after = p.Zxid; p.Zxid.Counter() == 0 {
			after, need = s.p.learner.settle, Epochs{s.epoch, s.epoch}
		}
	default:
		s.t.Fatalf("a learner sends %v", p.Type)
	}
	if a.After < after || !a.Need.covers(need) {
		s.t.Fatalf("%v %v says that it needs %v and %+v, want %v and %+v", a.Packet.Type, a.Packet.Zxid, a.After, a.Need, after, need)
	}
	if a.After > s.log || !s.saved.covers(a.Need) {
		s.t.Fatalf("%v %v needs %v and %+v; on the disk: %v and %+v", a.Packet.Type, a.Packet.Zxid, a.After, a.Need, s.log, s.saved)
	}
}

func (s *pupil) said() string {
	var words []string
	for i := range s.out {
		if a := &s.out[i]; a.Kind != ActionNotify {
			words = append(words, spellLearner(a))
		}
	}
	return strings.Join(words, "; ")
}

func (s *pupil) says(got string, want ...string) {
	s.t.Helper()
	if w := strings.Join(want, "; "); got != w {
		s.t.Fatalf("the learner said\n\t%s\nwant\n\t%s", got, w)
	}
}

// left fails the test unless the role has ended, for a reason.
func (s *pupil) left(got, why string) {
	s.t.Helper()
	if s.p.State() != Looking || !strings.Contains(got, "rest: ") || !strings.Contains(got, why) {
		s.t.Fatalf("the learner said\n\t%s\nwant that it rests, because %q", got, why)
	}
}

func spellLearner(a *Action) string {
	switch a.Kind {
	case ActionDial:
		return fmt.Sprintf("dial %d", a.To)
	case ActionAppend:
		return "append " + short(a.Zxid)
	case ActionTruncate:
		return "truncate " + short(a.Zxid)
	case ActionInstall:
		return "install " + short(a.Zxid)
	case ActionDiscard:
		return "discard"
	case ActionServe:
		return fmt.Sprintf("%d: serve %d", a.Link, a.Epoch)
	case ActionPong:
		return fmt.Sprintf("%d: pong", a.Link)
	case ActionRevalidated:
		return "revalidated"
	case ActionSynced:
		return "synced"
	}
	return spell(a)
}

// What the leader says, over link 7, and what the disk does.

func tellEpoch(e int64) Event {
	return fromLeader(wire.PacketLeaderInfo, zx(e, 0), (&wire.LeaderInfo{ProtocolVersion: wire.ProtocolVersion}).Append(nil))
}
func tellDiff(z wire.Zxid) Event   { return fromLeader(wire.PacketDiff, z, nil) }
func tellTrunc(z wire.Zxid) Event  { return fromLeader(wire.PacketTrunc, z, nil) }
func tellSnap(z wire.Zxid) Event   { return fromLeader(wire.PacketSnap, z, nil) }
func tellCommit(z wire.Zxid) Event { return fromLeader(wire.PacketCommit, z, nil) }
func tellNewLeader(e int64) Event {
	return fromLeader(wire.PacketNewLeader, zx(e, 0), []byte("version=0"))
}
func tellUpToDate() Event           { return fromLeader(wire.PacketUpToDate, -1, nil) }
func tellPropose(z wire.Zxid) Event { return fromLeader(wire.PacketProposal, z, headOf(z)) }
func tellInform(z wire.Zxid) Event  { return fromLeader(wire.PacketInform, z, headOf(z)) }
func headOf(z wire.Zxid) []byte     { return (&wire.TxnHeader{Zxid: z, Type: wire.OpError}).Append(nil) }

func streamed(z wire.Zxid) Event { return Event{Kind: EventSnapshotReceived, Link: 7, Zxid: z} }
func cut(z wire.Zxid) Event      { return Event{Kind: EventTruncated, Zxid: z} }
func inPlace(z wire.Zxid) Event  { return Event{Kind: EventInstalled, Zxid: z} }

// all returns events as a list.
func all(events ...Event) []Event { return events }

// and returns a list with more events behind it.
func and(list []Event, more ...Event) []Event { return slices.Concat(list, more) }

// turn is one step of a conversation: what happens, and what the learner says to it.
type turn struct {
	what []Event
	want string
}

func (s *pupil) talk(turns []turn) {
	s.t.Helper()
	for i, turn := range turns {
		if got := s.do(turn.what...); got != turn.want {
			s.t.Fatalf("turn %d: the learner said\n\t%s\nwant\n\t%s", i+1, got, turn.want)
		}
	}
}

// TestWaysToSynchronize is the table of special cases of the leader's choice, from the other side.
func TestWaysToSynchronize(t *testing.T) {
	middle := historyOf(0, upTo(1, 3)...)
	long := historyOf(0, append(upTo(1, 5), zx(2, 1))...)
	tests := []struct {
		name   string
		r      Recovered
		change func(*Config)
		turns  []turn
		want   string // history
	}{
		{
			name: "a fresh learner gets SNAP", r: fresh,
			turns: []turn{
				{all(tellEpoch(2)), "save 2/0"},
				{all(saved(2, 0)), "7: ACKEPOCH 0.0"},
				{all(tellSnap(zx(1, 5)), streamed(zx(1, 5))), ""},
				{all(tellNewLeader(2)), "install 1.5"},
				{all(inPlace(zx(1, 5))), "save 2/2"},
				{all(saved(2, 2)), "7: ACK 2.0"},
				{all(tellUpToDate()), "7: ACK 2.0; 7: serve 2"},
			},
			want: "(0x100000005)",
		},
		{
			name: "one that was synchronized in this epoch and got nothing since then gets SNAP", r: recovered(NewHistory(zx(2, 0)), 2),
			turns: []turn{
				{all(tellEpoch(2)), "7: ACKEPOCH 2.0"},
				{all(tellSnap(zx(2, 4)), streamed(zx(2, 4)), tellNewLeader(2)), "install 2.4"},
				{all(inPlace(zx(2, 4))), "7: ACK 2.0"},
				{all(tellUpToDate()), "7: ACK 2.0; 7: serve 2"},
			},
			want: "(0x200000004)",
		},
		{
			name: "or DIFF, where there is nothing", r: recovered(NewHistory(zx(2, 0)), 2),
			turns: []turn{
				{all(tellEpoch(2)), "7: ACKEPOCH 2.0"},
				{all(tellDiff(zx(2, 0))), ""},
				{all(tellNewLeader(2)), "7: ACK 2.0"},
				{all(tellUpToDate()), "7: ACK 2.0; 7: serve 2"},
				{all(tellPropose(zx(2, 1))), "append 2.1"},
			},
			want: "(0x200000000 0x200000001..0x200000001)",
		},
		{
			name: "one that is ahead within the epoch gets TRUNC", r: recovered(middle.Clone(), 1),
			turns: []turn{
				{all(tellEpoch(1)), "7: ACKEPOCH 1.3"},
				{all(tellTrunc(zx(1, 2))), "truncate 1.2"},
				{all(tellPropose(zx(1, 3)), tellCommit(zx(1, 3)), tellNewLeader(1)), ""},
				{all(cut(zx(1, 2))), "append 1.3"},
				{all(durable(zx(1, 3))), "7: ACK 1.0"},
				{all(tellUpToDate()), "commit 1.3; 7: ACK 1.0; 7: serve 1"},
			},
			want: "(0x0 0x100000001..0x100000003)",
		},
		{
			name: "one with what a later epoch never committed gets TRUNC", r: recovered(long.Clone(), 2),
			turns: []turn{
				{all(tellEpoch(3)), "save 3/2"},
				{all(saved(3, 2)), "7: ACKEPOCH 2.1"},
				{all(tellTrunc(zx(1, 5))), "truncate 1.5"},
				{all(cut(zx(1, 5))), ""},
				{all(tellNewLeader(3)), "save 3/3"},
				{all(saved(3, 3)), "7: ACK 3.0"},
				{all(tellUpToDate()), "commit 1.5; 7: ACK 3.0; 7: serve 3"},
			},
			want: "(0x0 0x100000001..0x100000005)",
		},
		{
			name: "one in the middle gets DIFF and proposals", r: recovered(middle.Clone(), 1),
			turns: []turn{
				{all(tellEpoch(3)), "save 3/1"},
				{all(saved(3, 1)), "7: ACKEPOCH 1.3"},
				{all(tellDiff(zx(2, 1)), tellPropose(zx(1, 4)), tellCommit(zx(1, 4))), "append 1.4"},
				{all(tellPropose(zx(2, 1)), tellCommit(zx(2, 1))), "append 2.1"},
				{all(tellNewLeader(3)), ""},
				{all(durable(zx(1, 4))), ""},
				{all(durable(zx(2, 1))), "save 3/3"},
				{all(saved(3, 3)), "7: ACK 3.0"},
				{all(tellUpToDate()), "commit 2.1; 7: ACK 3.0; 7: serve 3"},
			},
			want: "(0x0 0x100000001..0x100000004 0x200000001..0x200000001)",
		},
		{
			name: "the leader was just elected and has no more than we", r: recovered(middle.Clone(), 1),
			turns: []turn{
				{all(tellEpoch(2)), "save 2/1"},
				{all(saved(2, 1)), "7: ACKEPOCH 1.3"},
				{all(tellDiff(zx(1, 3)), tellNewLeader(2)), "save 2/2"},
				{all(saved(2, 2)), "7: ACK 2.0"},
				{all(tellUpToDate()), "commit 1.3; 7: ACK 2.0; 7: serve 2"},
				{all(tellPropose(zx(2, 1))), "append 2.1"},
			},
			want: "(0x0 0x100000001..0x100000003 0x200000001..0x200000001)",
		},
		{
			name: "what is outstanding comes before NEWLEADER, and is acknowledged after UPTODATE", r: recovered(middle.Clone(), 2),
			turns: []turn{
				{all(tellEpoch(2)), "7: ACKEPOCH 1.3"},
				{all(tellDiff(zx(2, 1)), tellPropose(zx(2, 1)), tellCommit(zx(2, 1))), "append 2.1"},
				{all(tellPropose(zx(2, 2)), tellNewLeader(2), tellPropose(zx(2, 3))), "append 2.2; append 2.3"},
				{all(durable(zx(2, 1))), ""},
				{all(durable(zx(2, 2))), "7: ACK 2.0"},
				{all(durable(zx(2, 3))), ""},
				{all(tellUpToDate()), "commit 2.1; 7: ACK 2.0; 7: serve 2; 7: ACK 2.2; 7: ACK 2.3"},
				{all(tellCommit(zx(2, 2)), tellCommit(zx(2, 3))), "commit 2.2; commit 2.3"},
			},
			want: "(0x0 0x100000001..0x100000003 0x200000001..0x200000003)",
		},
		{
			name: "a COMMIT comes between NEWLEADER and UPTODATE (B-21)", r: recovered(middle.Clone(), 2),
			turns: []turn{
				{all(tellEpoch(2)), "7: ACKEPOCH 1.3"},
				{all(tellDiff(zx(2, 1)), tellPropose(zx(2, 1)), tellCommit(zx(2, 1)), tellPropose(zx(2, 2))), "append 2.1; append 2.2"},
				{all(tellNewLeader(2), tellCommit(zx(2, 2))), ""},
				{all(durable(zx(2, 2))), "7: ACK 2.0"},
				{all(tellPropose(zx(2, 3)), tellCommit(zx(2, 3))), "append 2.3"},
				{all(tellUpToDate()), "commit 2.3; 7: ACK 2.0; 7: serve 2; 7: ACK 2.2"},
				{all(durable(zx(2, 3))), "7: ACK 2.3"},
			},
			want: "(0x0 0x100000001..0x100000003 0x200000001..0x200000003)",
		},
		{
			name: "the snapshot of a Java leader that serves is installed with what it has committed (B-03)", r: fresh,
			turns: []turn{
				{all(tellEpoch(2)), "save 2/0"},
				{all(saved(2, 0)), "7: ACKEPOCH 0.0"},
				{all(tellSnap(zx(2, 5)), streamed(zx(2, 5))), ""},
				{all(tellPropose(zx(2, 5)), tellCommit(zx(2, 5))), ""}, // the stream has it
				{all(tellPropose(zx(2, 6)), tellCommit(zx(2, 6)), tellPropose(zx(2, 7))), "append 2.6; append 2.7"},
				{all(tellNewLeader(2)), "install 2.6"},
				{all(tellPropose(zx(2, 8)), tellCommit(zx(2, 7))), "append 2.8"}, // behind what is installed
				{all(inPlace(zx(2, 6))), ""},
				{all(durable(zx(2, 7))), "save 2/2"},
				{all(saved(2, 2)), "7: ACK 2.0"},
				{all(durable(zx(2, 8)), tellUpToDate()), "commit 2.7; 7: ACK 2.0; 7: serve 2; 7: ACK 2.7; 7: ACK 2.8"},
			},
			want: "(0x200000006 0x200000007..0x200000008)",
		},
		{
			name: "an observer gets both PROPOSAL with COMMIT and INFORM (B-23)", r: recovered(middle.Clone(), 2), change: observing,
			turns: []turn{
				{all(tellEpoch(2)), "7: ACKEPOCH 1.3"},
				{all(tellDiff(zx(2, 1)), tellPropose(zx(2, 1)), tellCommit(zx(2, 1))), "append 2.1"},
				{all(tellInform(zx(2, 2)), tellPropose(zx(2, 3))), "append 2.2; append 2.3"},
				{all(tellNewLeader(2)), ""},
				{all(durable(zx(2, 3))), "7: ACK 2.0"},
				{all(tellInform(zx(2, 3)), tellUpToDate()), "commit 2.3; 7: ACK 2.0; 7: serve 2"},
				{all(tellInform(zx(2, 4)), durable(zx(2, 4))), "append 2.4; commit 2.4"},
			},
			want: "(0x0 0x100000001..0x100000003 0x200000001..0x200000004)",
		},
		{
			name: "an observer in SNAP", r: fresh, change: observing,
			turns: []turn{
				{all(tellEpoch(2)), "save 2/0"},
				{all(saved(2, 0)), "7: ACKEPOCH 0.0"},
				{all(tellSnap(zx(1, 5)), streamed(zx(1, 5)), tellInform(zx(1, 5)), tellInform(zx(2, 1))), "append 2.1"},
				{all(tellNewLeader(2)), "install 2.1"},
				{all(inPlace(zx(2, 1))), "save 2/2"},
				{all(saved(2, 2), tellUpToDate()), "7: ACK 2.0; 7: ACK 2.0; 7: serve 2"},
			},
			want: "(0x200000001)",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			change := tt.change
			if change == nil {
				change = func(*Config) {}
			}
			s := newPupil(t, tt.r, change)
			s.talk(tt.turns)
			if got := s.p.History().String(); got != tt.want {
				t.Errorf("history %s, want %s", got, tt.want)
			}
		})
	}
}

// TestAFollowerJoinsAsCaptured is the join that was captured between two of Java's servers, a rejoin, and a
// write. What the leader said goes in, and what we say has to be the same bytes.
func TestAFollowerJoinsAsCaptured(t *testing.T) {
	config := strings.Repeat("63", 242)
	s := newPupil(t, fresh)
	hear := func(text string) string {
		t.Helper()
		p, n, err := wire.NextPacket(unhex(t, text), 1<<20)
		if err != nil || n == 0 {
			t.Fatalf("%s: %d bytes, %v", text, n, err)
		}
		return s.do(Event{Kind: EventPacket, Link: 7, Packet: p})
	}
	sent := func(want string) {
		t.Helper()
		var got []byte
		for i := range s.out {
			if s.out[i].Kind == ActionSend {
				got = s.out[i].Packet.Append(got)
			}
		}
		if !bytes.Equal(got, unhex(t, want)) {
			t.Errorf("sent\n\t%x\nwant\n\t%s", got, strings.ReplaceAll(want, " ", ""))
		}
	}
	sent("0000000b 0000000000000000 00000014 0000000000000001 00010000 0000000000000000 ffffffff")
	hear("00000011 0000000100000000 00000004 00010000 ffffffff")
	s.do(saved(1, 0))
	sent("00000012 0000000000000000 00000004 00000000 ffffffff")
	hear("0000000d 0000000000000000 ffffffff ffffffff")
	hear("0000000a 0000000100000000 000000f2 " + config + " ffffffff")
	s.do(saved(1, 1))
	sent("00000003 0000000100000000 ffffffff ffffffff")
	hear("0000000c ffffffffffffffff ffffffff ffffffff")
	sent("00000003 0000000100000000 ffffffff ffffffff")

	s.says(hear("00000005 0000000100000000 ffffffff ffffffff"), "7: pong")
	s.says(hear("00000007 0000000000000000 ffffffff ffffffff"), "synced")
	s.says(hear("00000006 ffffffffffffffff 00000009 0400000fd9a2000001 ffffffff"), "revalidated")
	hear("00000002 0000000100000001 00000030 0100000faf270000 00000000 0000000100000001 000001a20570a1f7 fffffff6" +
		"00001f40 00000002 0000000051c6d660 ffffffff")
	s.says(s.said(), "append 1.1")
	txn := "0100000faf270000 00000001 0000000100000002 000001a20570a209 00000001 00000002 2f61 00000005 68656c6c6f" +
		"00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65 00 00000001 00000002 00000001e6866c1d"
	s.says(hear("00000002 0000000100000002 0000005b "+txn+" ffffffff"), "append 1.2")
	if got := s.out[0].Packet.Data; !bytes.Equal(got, unhex(t, txn)) {
		t.Errorf("logs %x, want %s", got, txn)
	}
	s.do(durable(zx(1, 1)))
	sent("00000003 0000000100000001 ffffffff ffffffff")
	s.do(durable(zx(1, 2)))
	sent("00000003 0000000100000002 ffffffff ffffffff")
	s.says(hear("00000004 0000000100000001 ffffffff ffffffff"), "commit 1.1")
	s.says(hear("00000004 0000000100000002 ffffffff ffffffff"), "commit 1.2")

	s = newPupil(t, recovered(historyOf(0, upTo(1, 15)...), 1))
	hear("00000011 0000000100000000 00000004 00010000 ffffffff")
	sent("00000012 000000010000000f 00000004 ffffffff ffffffff")
}

// TestNothingIsSaidBeforeItIsDurable leads up to each packet that vouches for the disk. It leaves when what
// it vouches for is done, and not before, whatever else happens.
func TestNothingIsSaidBeforeItIsDurable(t *testing.T) {
	inMiddle := func() Recovered { return recovered(historyOf(0, upTo(1, 3)...), 1) }
	joining := all(tellEpoch(2), saved(2, 1))
	tests := []struct {
		name   string
		before []Event
		done   Event
		want   string // what is said then
	}{
		{"the promise, before ACKEPOCH", all(tellEpoch(2)), saved(2, 1), "7: ACKEPOCH 1.3"},
		{"the log, before the epoch (B-02)",
			and(joining, tellDiff(0), tellPropose(zx(1, 4)), tellCommit(zx(1, 4)), tellNewLeader(2)), durable(zx(1, 4)), "save 2/2"},
		{"the epoch, before the ACK of NEWLEADER",
			and(joining, tellDiff(0), tellPropose(zx(1, 4)), tellNewLeader(2), durable(zx(1, 4))), saved(2, 2), "7: ACK 2.0"},
		{"what is proposed and not committed, too (B-01)",
			and(joining, tellDiff(0), tellPropose(zx(1, 4)), tellNewLeader(2)), durable(zx(1, 4)), "save 2/2"},
		{"the truncation, before the epoch",
			and(joining, tellTrunc(zx(1, 2)), tellNewLeader(2)), cut(zx(1, 2)), "save 2/2"},
		{"the log behind a truncation",
			and(joining, tellTrunc(zx(1, 2)), tellPropose(zx(1, 3)), tellNewLeader(2), cut(zx(1, 2))), durable(zx(1, 3)), "save 2/2"},
		{"the snapshot, before the epoch (B-13)",
			and(joining, tellSnap(zx(1, 9)), streamed(zx(1, 9)), tellNewLeader(2)), inPlace(zx(1, 9)), "save 2/2"},
		{"the log behind a snapshot",
			and(joining, tellSnap(zx(1, 9)), streamed(zx(1, 9)), tellPropose(zx(1, 10)), tellNewLeader(2), inPlace(zx(1, 9))), durable(zx(1, 10)), "save 2/2"},
		{"a proposal, before its ACK",
			and(joining, tellDiff(0), tellNewLeader(2), saved(2, 2), tellUpToDate(), tellPropose(zx(2, 1))), durable(zx(2, 1)), "7: ACK 2.1"},
		{"a proposal, before its ACK, although it is committed",
			and(joining, tellDiff(0), tellNewLeader(2), saved(2, 2), tellUpToDate(), tellPropose(zx(2, 1)), tellCommit(zx(2, 1))), durable(zx(2, 1)), "7: ACK 2.1"},
		{"UPTODATE, before the ACK of a proposal (B-22)",
			and(joining, tellDiff(0), tellNewLeader(2), tellPropose(zx(2, 1)), durable(zx(2, 1)), saved(2, 2)), tellUpToDate(),
			"commit 1.3; 7: ACK 2.0; 7: serve 2; 7: ACK 2.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newPupil(t, inMiddle())
			s.do(tt.before...)
			s.says(s.do(at(50), durable(s.log), Event{Kind: EventEpochsSaved, Epochs: s.saved}, at(60)), "")
			if stage := s.p.learner.stage; stage > receiving && stage < serving {
				s.says(s.do(fromLeader(wire.PacketPing, zx(2, 0), nil)), "")
			}
			s.says(s.do(tt.done), tt.want)
		})
	}
}

// TestAVoteWaitsForTheDisk ends the role in the midst of a write: the next vote tells of what the disk has
// when that is done.
func TestAVoteWaitsForTheDisk(t *testing.T) {
	tests := []struct {
		name   string
		before []Event
		done   Event
		want   wire.Zxid
	}{
		{"a promise", all(tellEpoch(2)), saved(2, 1), zx(1, 3)},
		{"a proposal", all(tellEpoch(2), saved(2, 1), tellDiff(0), tellPropose(zx(1, 4))), durable(zx(1, 4)), zx(1, 4)},
		{"a truncation", all(tellEpoch(2), saved(2, 1), tellTrunc(zx(1, 2))), cut(zx(1, 2)), zx(1, 2)},
		{"a truncation with a proposal behind it", all(tellEpoch(2), saved(2, 1), tellTrunc(zx(1, 2)), tellPropose(zx(1, 3))), cut(zx(1, 2)), zx(1, 2)},
		{"a snapshot", all(tellEpoch(2), saved(2, 1), tellSnap(zx(1, 9)), streamed(zx(1, 9)), tellNewLeader(2)), inPlace(zx(1, 9)), zx(1, 9)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newPupil(t, recovered(historyOf(0, upTo(1, 3)...), 1))
			s.do(tt.before...)
			s.left(s.do(lost(7)), "lost")
			s.do(at(10))
			for i := range s.out {
				if s.out[i].Kind == ActionNotify {
					t.Fatalf("votes %v while it writes", s.out[i].Note.Zxid)
				}
			}
			s.do(tt.done)
			if got := said(t, s.out, 2).Zxid; got != tt.want {
				t.Errorf("votes %v, want %v", got, tt.want)
			}
		})
	}
}

// TestInterruptedSynchronization: what a synchronization that did not end has brought is the log's, or
// nobody's (B-04, B-05).
func TestInterruptedSynchronization(t *testing.T) {
	tests := []struct {
		name   string
		before []Event
		want   string // how the role ends
		disk   []Event
		report string // by the next ACKEPOCH
	}{
		{"the zxid of a DIFF is nothing (B-06)", all(tellDiff(zx(1, 9))), "", nil, "1.3"},
		{"what came behind a DIFF is logged", all(tellDiff(zx(1, 9)), tellPropose(zx(1, 4))), "", all(durable(zx(1, 4))), "1.4"},
		{"a SNAP whose stream did not end is dropped", all(tellSnap(zx(1, 9))), "discard; ", nil, "1.3"},
		{"so is one whose NEWLEADER did not come", all(tellSnap(zx(1, 9)), streamed(zx(1, 9))), "discard; ", nil, "1.3"},
		{"and what was kept behind it",
			all(tellSnap(zx(1, 9)), streamed(zx(1, 9)), tellPropose(zx(1, 10)), tellCommit(zx(1, 10))), "discard; ", nil, "1.3"},
		{"a snapshot that is being installed will be ours",
			all(tellSnap(zx(1, 9)), streamed(zx(1, 9)), tellPropose(zx(1, 10)), tellNewLeader(2)), "", all(inPlace(zx(1, 9)), durable(zx(1, 10))), "1.10"},
		{"a TRUNC on its way is done", all(tellTrunc(zx(1, 2)), tellPropose(zx(1, 3)), tellCommit(zx(1, 3))), "", all(cut(zx(1, 2))), "1.2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newPupil(t, recovered(historyOf(0, upTo(1, 3)...), 1))
			s.do(tellEpoch(2), saved(2, 1))
			s.do(tt.before...)
			s.says(s.do(lost(7)), tt.want+"rest: the link to server 3 is lost")
			s.do(tt.disk...)
			if got := s.p.Committed(); got != s.p.History().Base() {
				t.Errorf("%v committed, and no UPTODATE has come", got)
			}
			s.connect()
			s.says(s.do(tellEpoch(2)), "7: ACKEPOCH "+tt.report)
		})
	}
}

// TestAHoleIsRefused is the rule of the first proposal, and of those behind it. Who breaks it is left, and
// the next time it is asked for a snapshot, which it then has to send.
func TestAHoleIsRefused(t *testing.T) {
	diff := all(tellDiff(zx(2, 9)))
	trunc := all(tellTrunc(zx(1, 2)), cut(zx(1, 2)))
	snap := all(tellSnap(zx(1, 9)), streamed(zx(1, 9)))
	tests := []struct {
		name string
		how  []Event
		then []Event
		ok   bool
	}{
		{"DIFF: the next", diff, all(tellPropose(zx(1, 4))), true},
		{"DIFF: the first of a later epoch", diff, all(tellPropose(zx(2, 1))), true},
		{"DIFF: one is left out", diff, all(tellPropose(zx(1, 5))), false},
		{"DIFF: not the first of a later epoch", diff, all(tellPropose(zx(2, 2))), false},
		{"DIFF: one that we have", diff, all(tellPropose(zx(1, 3))), false},
		{"DIFF: one of an earlier epoch", diff, all(tellPropose(zx(0, 1))), false},
		{"DIFF: by INFORM", diff, all(tellInform(zx(1, 5))), false},
		{"DIFF: an INFORM of what is committed", diff, all(tellInform(zx(1, 3))), false},
		{"DIFF: a hole later on", diff, all(tellPropose(zx(1, 4)), tellCommit(zx(1, 4)), tellPropose(zx(1, 6))), false},
		{"DIFF: the same again", diff, all(tellPropose(zx(1, 4)), tellPropose(zx(1, 4))), false},
		{"DIFF: the beginning of an epoch is no transaction", diff, all(tellPropose(zx(2, 0))), false},
		{"TRUNC: the next", trunc, all(tellPropose(zx(1, 3))), true},
		{"TRUNC: one is left out", trunc, all(tellPropose(zx(1, 4))), false},
		{"TRUNC: to where we have never been", nil, all(tellTrunc(zx(1, 4))), false},
		{"TRUNC: to the beginning of an epoch", nil, all(tellTrunc(zx(1, 0))), false},
		{"SNAP: the next", snap, all(tellPropose(zx(1, 10))), true},
		{"SNAP: one that the snapshot has", snap, all(tellPropose(zx(1, 4)), tellCommit(zx(1, 4))), true},
		{"SNAP: from there on", snap, all(tellPropose(zx(1, 9)), tellPropose(zx(1, 10))), true},
		{"SNAP: the first of a later epoch", snap, all(tellPropose(zx(2, 1))), true},
		{"SNAP: one is left out", snap, all(tellPropose(zx(1, 11))), false},
		{"SNAP: a hole later on", snap, all(tellPropose(zx(1, 10)), tellPropose(zx(1, 12))), false},
		{"COMMIT: the next", diff, all(tellPropose(zx(1, 4)), tellPropose(zx(1, 5)), tellCommit(zx(1, 4))), true},
		{"COMMIT: not the next", diff, all(tellPropose(zx(1, 4)), tellPropose(zx(1, 5)), tellCommit(zx(1, 5))), false},
		{"COMMIT: of nothing", diff, all(tellCommit(zx(1, 4))), false},
		{"COMMIT: of what is committed", diff, all(tellCommit(zx(1, 3))), false},
		{"COMMIT: twice", diff, all(tellPropose(zx(1, 4)), tellCommit(zx(1, 4)), tellCommit(zx(1, 4))), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newPupil(t, recovered(historyOf(0, upTo(1, 3)...), 1))
			s.do(tellEpoch(2), saved(2, 1))
			s.do(tt.how...)
			got := s.do(tt.then...)
			if tt.ok {
				if s.p.State() != Following {
					t.Fatalf("the learner said %s, want that it follows", got)
				}
				return
			}
			s.left(got, "server 3")
			s.do(durable(s.p.History().Last()))
			s.connect()
			s.says(s.do(tellEpoch(2)), "7: ACKEPOCH 3.0")
			answer := tellDiff(zx(1, 3))
			if len(tt.how)%2 == 0 {
				answer = tellTrunc(zx(1, 2))
			}
			s.left(s.do(answer), "out of turn")
			s.connect()
			s.do(tellEpoch(2)) // it may be needed for a quorum: the truth again
			s.says(s.said(), "7: ACKEPOCH "+short(s.p.History().Last()))
		})
	}
}

// TestWhatIsKnownToBeCommittedIsKept: a leader that lacks it has lost it, or is not where we are, and no
// snapshot of it will do.
func TestWhatIsKnownToBeCommittedIsKept(t *testing.T) {
	known := func() Recovered {
		return Recovered{History: historyOf(0, upTo(1, 5)...), Committed: zx(1, 3), Epochs: Epochs{1, 1}}
	}
	tests := []struct {
		name string
		what []Event
		want string // "" is a refusal
	}{
		{"TRUNC up to it", all(tellTrunc(zx(1, 3))), "truncate 1.3"},
		{"TRUNC of it", all(tellTrunc(zx(1, 2))), ""},
		{"an older snapshot with the rest behind it", all(tellSnap(zx(1, 2)), streamed(zx(1, 2)),
			tellPropose(zx(1, 3)), tellCommit(zx(1, 3)), tellPropose(zx(1, 4)), tellCommit(zx(1, 4)), tellNewLeader(2)),
			"append 1.3; append 1.4; install 1.3"},
		{"an older snapshot", all(tellSnap(zx(1, 2)), streamed(zx(1, 2)), tellNewLeader(2)), ""},
		{"an older snapshot with another rest", all(tellSnap(zx(1, 2)), streamed(zx(1, 2)),
			tellPropose(zx(2, 1)), tellCommit(zx(2, 1)), tellNewLeader(2)), ""},
		{"one that is proposed and not committed", all(tellSnap(zx(1, 2)), streamed(zx(1, 2)), tellPropose(zx(1, 3)), tellNewLeader(2)), ""},
		{"a newer snapshot", all(tellSnap(zx(1, 4)), streamed(zx(1, 4)), tellNewLeader(2)), "install 1.4"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newPupil(t, known())
			s.do(tellEpoch(2), saved(2, 1))
			got := s.do(tt.what...)
			if tt.want != "" {
				s.says(got, tt.want)
				return
			}
			s.left(got, "committed")
			if s.p.Committed() != zx(1, 3) || s.p.History().Last() != zx(1, 5) {
				t.Errorf("committed %v of %v", s.p.Committed(), s.p.History())
			}
		})
	}
}
