package zab

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"paddock/wire"
)

// TestChoosingDiffTruncOrSnap is the table of what a learner is sent, row by row, and the cases that were
// observed between Java's servers.
func TestChoosingDiffTruncOrSnap(t *testing.T) {
	// the log begins behind 2.7; in epoch 4 nothing was proposed
	log := historyOf(zx(2, 7), append(append(upTo(3, 5), upTo(5, 4)...), upTo(6, 3)...)...)
	whole := historyOf(0, append(upTo(1, 4), upTo(2, 3)...)...)
	for _, c := range []struct {
		name  string
		h     History
		d     wire.Zxid // 0: all of the history
		epoch uint32
		last  wire.Zxid
		want  string
	}{
		{"it has all", log, 0, 7, zx(6, 3), "DIFF 6.3"},
		{"both have nothing", NewHistory(0), 0, 1, 0, "DIFF 0.0"},
		{"the middle of an epoch", log, 0, 7, zx(3, 2), "DIFF 6.3 (3.2, 6.3]"},
		{"the end of an epoch", log, 0, 7, zx(3, 5), "DIFF 6.3 (3.5, 6.3]"},
		{"where our log begins", log, 0, 7, zx(2, 7), "DIFF 6.3 (2.7, 6.3]"},
		{"before our log begins", log, 0, 7, zx(2, 6), "SNAP"},
		{"nothing, and our log does not begin there", log, 0, 7, 0, "SNAP"},
		{"nothing, and our log begins there", whole, 0, 3, 0, "DIFF 2.3 (0.0, 2.3]"},
		{"no snapshot and no log at all", whole, 0, 3, -1, "SNAP"},
		{"another tail of an epoch that is past", log, 0, 7, zx(3, 6), "SNAP"},
		{"an epoch of which we have nothing", log, 0, 7, zx(4, 1), "SNAP"},
		{"an epoch without transactions, which was established", log, 0, 7, zx(4, 0), "DIFF 6.3 (3.5, 6.3]"},
		{"the beginning of an epoch that we have", log, 0, 7, zx(6, 0), "DIFF 6.3 (5.4, 6.3]"},
		{"the beginning of the epoch in which our log begins", log, 0, 7, zx(2, 0), "SNAP"},
		{"uncommitted transactions of our last epoch", log, 0, 7, zx(6, 8), "TRUNC 6.3"},
		{"uncommitted transactions of an epoch that we only know the beginning of", historyOf(zx(6, 0)), 0, 7, zx(6, 8), "SNAP"},
		{"a later epoch that came to nothing", log, 0, 8, zx(7, 2), "SNAP"},
		{"the beginning of a later epoch", log, 0, 8, zx(7, 0), "SNAP"},
		{"it forces a SNAP", log, 0, 7, zx(8, 0), "SNAP"},
		{"the beginning of our own epoch, when we have proposed", log, zx(6, 2), 6, zx(6, 0), "DIFF 6.2 (5.4, 6.2]"},
		{"the beginning of our own epoch, of which nothing is committed", log, zx(5, 4), 6, zx(6, 0), "SNAP"},
		{"it has some of what is outstanding", log, zx(6, 1), 6, zx(6, 2), "TRUNC 6.1"},
		{"it has some of what is outstanding, and nothing of ours is committed", log, zx(5, 4), 6, zx(6, 2), "TRUNC 5.4"},
		{"it has all that is committed", log, zx(6, 1), 6, zx(6, 1), "DIFF 6.1"},
		{"it has less than is committed", log, zx(6, 1), 6, zx(5, 3), "DIFF 6.1 (5.3, 6.1]"},
	} {
		if c.d == 0 {
			c.d = c.h.Last()
		}
		l := &leader{p: &Peer{history: c.h}, epoch: c.epoch}
		d := l.decide(c.last, c.d)
		got := fmt.Sprintf("%v %s", d.method, short(d.zxid))
		if d.method == wire.PacketSnap {
			got = "SNAP"
		} else if d.from != c.d {
			got += fmt.Sprintf(" (%s, %s]", short(d.from), short(c.d))
		}
		if got != c.want {
			t.Errorf("%s: a learner at %s gets %s, want %s", c.name, short(c.last), got, c.want)
		}
		l.p.cfg.SnapForTrunc = true
		if d := l.decide(c.last, c.d); d.method == wire.PacketTrunc {
			t.Errorf("%s: TRUNC, though that is switched off", c.name)
		}
	}
}

func TestALearnerJoinsWhileProposalsAreOutstanding(t *testing.T) {
	s := lead(t, lines(3, 1), recovered(historyOf(zx(1, 3), zx(1, 4)), 1))
	s.do(proposed(zx(2, 5)), durable(zx(2, 5)))
	s.says(s.do(ack(2, zx(2, 2))), "commit 2.2", "2: commit (1.4, 2.2]")
	s.do(accepted(3), followerInfo(3, 3, 1), accepted(4), observerInfo(4, 4, 1))
	s.says(s.do(ackEpoch(3, zx(1, 4), 1)), "3: DIFF 2.2", "3: stream (1.4, 2.2]", "3: propose (2.2, 2.5]", "3: NEWLEADER 2.0")
	s.says(s.do(ackEpoch(4, zx(1, 4), 1)), "4: DIFF 2.2", "4: stream (1.4, 2.2]", "4: NEWLEADER 2.0")
	s.says(s.do(proposed(zx(2, 6))), "2: propose (2.5, 2.6]", "3: propose (2.5, 2.6]")
	s.says(s.do(ack(2, zx(2, 4))), "commit 2.4", "2: commit (2.2, 2.4]", "3: commit (2.2, 2.4]", "4: inform (2.2, 2.4]")
	s.says(s.do(lost(3), accepted(5), followerInfo(5, 3, 2), ackEpoch(5, zx(2, 6), -1)),
		"5: LEADERINFO 2.0", "5: TRUNC 2.4", "5: propose (2.4, 2.6]", "5: NEWLEADER 2.0")
}

func TestASnapshotMayBeOfAnyMoment(t *testing.T) {
	s := lead(t, lines(3, 1), recovered(historyOf(zx(1, 3), zx(1, 4)), 1))
	s.do(proposed(zx(2, 2)), durable(zx(2, 2)), ack(2, zx(2, 1)))
	s.do(accepted(3), followerInfo(3, 3, 0), accepted(4), observerInfo(4, 4, 0))
	s.says(s.do(ackEpoch(3, 0, 0)), "3: snapshot")
	s.says(s.do(ackEpoch(4, 0, 0)), "4: snapshot")
	s.says(s.do(proposed(zx(2, 4))), "2: propose (2.2, 2.4]") // the snapshot is not open yet
	s.says(s.do(ack(2, zx(2, 3)), durable(zx(2, 4))), "commit 2.2", "2: commit (2.1, 2.2]", "commit 2.3", "2: commit (2.2, 2.3]")
	s.says(s.do(opened(3, zx(1, 4))), "3: stream (1.4, 2.3]", "3: propose (2.3, 2.4]", "3: NEWLEADER 2.0")
	s.says(s.do(opened(4, zx(2, 3))), "4: NEWLEADER 2.0")
	s.says(s.do(ack(2, zx(2, 4))), "commit 2.4", "2: commit (2.3, 2.4]", "3: commit (2.3, 2.4]", "4: inform (2.3, 2.4]")
}

func TestASnapshotOfALeaderThatDoesNotServeYet(t *testing.T) {
	s, _ := newScript(t, 1, lines(3, 0), recovered(historyOf(zx(1, 3), zx(1, 4), zx(1, 5)), 1))
	s.do(accepted(2), followerInfo(2, 2, 1), saved(2, 1))
	s.says(s.do(ackEpoch(2, 0, 0)), "save 2/2", "2: snapshot")
	// its own tail, which is not committed and will be when it serves
	s.says(s.do(opened(2, zx(1, 3))), "2: stream (1.3, 1.5]", "2: NEWLEADER 2.0")
	s.says(s.do(ack(2, zx(2, 0)), saved(2, 2)), "commit 1.5", "lead 2", "2: UPTODATE -1.4294967295")
}

// What a learner lacks may be purged before it comes, and what follows its snapshot while that is written.
func TestALearnerBehindThePurgedLogGetsASnapshot(t *testing.T) {
	s := lead(t, lines(3, 0), recovered(historyOf(zx(1, 3), zx(1, 4), zx(1, 5)), 1))
	s.do(proposed(zx(2, 4)), durable(zx(2, 4)), ack(2, zx(2, 3)))
	s.says(s.do(purged(zx(2, 1))), "")
	s.do(accepted(3), followerInfo(3, 3, 1))
	s.says(s.do(ackEpoch(3, zx(1, 5), 1)), "3: snapshot")
	s.do(purged(zx(2, 2)))
	s.says(s.do(opened(3, zx(2, 1))), "3: closed")
	s.do(accepted(4), followerInfo(4, 3, 2))
	s.says(s.do(ackEpoch(4, zx(2, 2), -1)), "4: DIFF 2.3", "4: stream (2.2, 2.3]", "4: propose (2.3, 2.4]", "4: NEWLEADER 2.0")
}

func TestPurgingWhatIsStillNeededIsABug(t *testing.T) {
	for name, events := range map[string][]Event{
		"not committed": {durable(zx(2, 2))},
		"not durable":   {ack(2, zx(2, 2)), ack(3, zx(2, 2))},
	} {
		s := lead(t, lines(3, 0), recovered(historyOf(zx(1, 3), zx(1, 4)), 1))
		s.do(accepted(3), followerInfo(3, 3, 1), ackEpoch(3, zx(1, 4), 1), ack(3, zx(2, 0)), proposed(zx(2, 2)))
		s.do(events...)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: it went on", name)
				}
			}()
			s.do(purged(zx(2, 1)))
		}()
	}
}

func TestASnapshotOfWhatIsNotCommittedIsABug(t *testing.T) {
	s := lead(t, lines(3, 0), recovered(historyOf(zx(1, 3), zx(1, 4)), 1))
	s.do(proposed(zx(2, 2)), accepted(3), followerInfo(3, 3, 0), ackEpoch(3, 0, 0))
	defer func() {
		if recover() == nil {
			t.Error("it went on")
		}
	}()
	s.do(opened(3, zx(2, 1)))
}

func TestNewLeaderNeedsAQuorumOfAcks(t *testing.T) {
	begin := func(t *testing.T, change ...func(*Config)) *script {
		s, _ := newScript(t, 1, lines(5, 1), recovered(historyOf(0, upTo(3, 2)...), 3), change...)
		for id := ServerID(2); id <= 7; id++ {
			info := followerInfo(Link(id), id, 3)
			if id == 6 {
				info = observerInfo(6, 6, 3)
			}
			s.do(accepted(Link(id)), info)
		}
		s.do(saved(4, 3))
		for link := Link(2); link <= 7; link++ {
			s.do(ackEpoch(link, zx(3, 2), 3))
		}
		return s
	}
	t.Run("observers and strangers do not count", func(t *testing.T) {
		s := begin(t)
		s.says(s.do(saved(4, 4), ack(2, zx(4, 0)), ack(6, zx(4, 0)), ack(7, zx(4, 0))), "")
	})
	t.Run("a second ack does not count", func(t *testing.T) {
		s := begin(t)
		s.says(s.do(saved(4, 4), ack(2, zx(4, 0)), ack(2, zx(4, 0))), "")
	})
	t.Run("our own vote waits for our disk", func(t *testing.T) {
		s := begin(t)
		s.says(s.do(ack(2, zx(4, 0)), ack(3, zx(4, 0))), "")
		if got := s.do(saved(4, 4)); !strings.HasPrefix(got, "commit 3.2; lead 4") {
			t.Errorf("the leader said %q", got)
		}
	})
	t.Run("nothing goes to clients before our own epoch is durable", func(t *testing.T) {
		s := begin(t)
		s.says(s.do(ack(2, zx(4, 0)), ack(3, zx(4, 0)), ack(4, zx(4, 0))), "")
	})
	t.Run("an ack of another epoch does not count, and closes the link", func(t *testing.T) {
		for _, z := range []wire.Zxid{zx(3, 0), zx(5, 0), zx(4, 1), 0, -1} {
			s := begin(t)
			s.says(s.do(saved(4, 4), ack(2, zx(4, 0)), ack(3, z)), "3: closed")
		}
	})
	t.Run("an ack of a transaction may overtake it, and does not count", func(t *testing.T) {
		s := begin(t)
		s.says(s.do(saved(4, 4), ack(2, zx(4, 0)), ack(3, zx(3, 2))), "")
		if got := s.do(ack(3, zx(4, 0))); !strings.HasPrefix(got, "commit 3.2; lead 4") {
			t.Errorf("the leader said %q", got)
		}
	})
	t.Run("both views count", func(t *testing.T) {
		s := begin(t, func(c *Config) { c.LastSeen = mustView(t, lines(2, 0)+"version=1") })
		s.says(s.do(saved(4, 4), ack(3, zx(4, 0)), ack(4, zx(4, 0))), "")
		if got := s.do(ack(2, zx(4, 0))); !strings.HasPrefix(got, "commit 3.2; lead 4") {
			t.Errorf("the leader said %q", got)
		}
	})
	t.Run("a learner that has acknowledged and is gone counts", func(t *testing.T) {
		s := begin(t) // its disk has the epoch and the history, whatever became of the link
		s.do(saved(4, 4), ack(2, zx(4, 0)), lost(2))
		if got := s.do(ack(3, zx(4, 0))); !strings.HasPrefix(got, "commit 3.2; lead 4") {
			t.Errorf("the leader said %q", got)
		}
	})
}

// model is a leader and its learners, each of which does what packets say to a plain list of zxids.
type model struct {
	*rapid.T
	s         *script
	full      []wire.Zxid // all that the leader has, also before its base
	committed int         // as many of full
	durable   int
	learners  []*modelLearner
	lastLink  Link
	leads     bool
}

// modelLearner is one learner. Its log outlives its links.
type modelLearner struct {
	id       ServerID
	observer bool
	voter    bool
	accepted int64
	current  int64
	log      []wire.Zxid
	kept     int // as many are on its disk

	link      Link // 0: none
	stage     string
	opening   bool
	committed int // as many of its log, by what it was told over this link
	upToDate  bool
}

func newModel(t *rapid.T) *model {
	m := &model{T: t}
	epoch := rapid.Int64Range(1, 4).Draw(t, "last epoch")
	for e := int64(1); e <= epoch; e++ {
		m.full = append(m.full, upTo(e, rapid.Int64Range(0, 3).Draw(t, "transactions"))...)
	}
	m.full = append([]wire.Zxid{0}, m.full...)
	base := rapid.IntRange(0, len(m.full)-1).Draw(t, "base")
	m.committed, m.durable = rapid.IntRange(base, len(m.full)-1).Draw(t, "committed")+1, len(m.full)
	voters, observers := rapid.SampledFrom([]int{1, 2, 3, 3, 5}).Draw(t, "voters"), rapid.IntRange(0, 1).Draw(t, "observers")
	r := Recovered{
		History: historyOf(m.full[base], m.full[base+1:]...), Committed: m.full[m.committed-1],
		Epochs: Epochs{uint32(epoch) + 1, uint32(epoch) + 1},
	}
	for id := 2; id <= voters+observers+1; id++ {
		v := &modelLearner{id: ServerID(id), observer: id == voters+1 && observers == 1, voter: id <= voters, accepted: epoch}
		v.log = append(v.log, m.full[:rapid.IntRange(1, len(m.full)).Draw(t, "log")]...)
		if rapid.Bool().Draw(t, "with another tail") && v.log[len(v.log)-1] > 0 {
			v.tail(m.full, rapid.IntRange(1, 3).Draw(t, "tail"))
		}
		v.kept, v.current = len(v.log), max(v.log[len(v.log)-1].Epoch(), rapid.Int64Range(0, epoch).Draw(t, "current"))
		m.learners = append(m.learners, v)
	}
	view, err := ParseView([]byte(lines(voters, observers)))
	if err != nil {
		t.Fatal(err)
	}
	m.s = elected(Config{ID: 1, View: view, TickMS: testTick, InitTicks: testInit, SyncTicks: testSync}, r)
	m.follow()
	return m
}

// tail adds transactions that the leader does not have: those that its leader made in the epoch of its last.
func (v *modelLearner) tail(full []wire.Zxid, n int) {
	last := v.log[len(v.log)-1]
	for _, z := range full {
		if z.Epoch() == last.Epoch() && z > last {
			return // the leader knows how that epoch went on
		}
	}
	for i := range n {
		v.log = append(v.log, last+wire.Zxid(i+1))
	}
}

func (m *model) index(z wire.Zxid) int {
	for i, have := range m.full {
		if have == z {
			return i
		}
	}
	m.Fatalf("the leader does not have %s", short(z))
	return 0
}

func (m *model) do(ev Event) {
	m.s.out = m.s.p.Step(ev, m.s.out[:0])
	m.follow()
}

// follow does what the leader has said.
func (m *model) follow() {
	for _, a := range m.s.out {
		switch a.Kind {
		case ActionCommit:
			m.commit(a.Zxid)
		case ActionLead:
			m.leads = true
		case ActionRest:
			m.Fatalf("the leader rests: %s", a.Text)
		default:
			if v := m.at(a.Link); v != nil && a.Link != 0 {
				m.learn(v, &a)
			}
		}
	}
	m.check()
}

func (m *model) at(link Link) *modelLearner {
	for _, v := range m.learners {
		if v.link == link {
			return v
		}
	}
	return nil
}

// commit checks that a quorum has it: on its disk, now.
func (m *model) commit(z wire.Zxid) {
	i := m.index(z)
	var set IDSet
	if m.durable > i {
		set.Add(1)
	}
	for _, v := range m.learners {
		if v.voter && v.kept > i && v.log[i] == z {
			set.Add(v.id)
		}
	}
	if !m.s.p.quorum(&set) {
		m.Fatalf("%s is committed, and only %v have it", short(z), set)
	}
	m.committed = i + 1
}

// learn does what a learner does with what it gets.
func (m *model) learn(v *modelLearner, a *Action) {
	span := func() []wire.Zxid { return m.full[m.index(a.From)+1 : m.index(a.Zxid)+1] }
	add := func() {
		for _, z := range span() {
			if !Follows(v.log[len(v.log)-1], z) {
				m.Fatalf("server %d at %s gets %s", v.id, short(v.log[len(v.log)-1]), short(z))
			}
			v.log = append(v.log, z)
		}
	}
	told := func() {
		for _, z := range span() {
			if v.committed >= len(v.log) || v.log[v.committed] != z {
				m.Fatalf("server %d is told of the commit of %s, at %d of %v", v.id, short(z), v.committed, v.log)
			}
			v.committed++
		}
	}
	switch a.Kind {
	case ActionClose:
		v.link, v.opening = 0, false
	case ActionSnapshot:
		v.opening = true
	case ActionStream:
		add()
		told()
	case ActionPropose:
		add()
	case ActionCommits:
		told()
	case ActionInform:
		add()
		told()
	case ActionSend:
		m.hear(v, &a.Packet)
	}
}

func (m *model) hear(v *modelLearner, p *wire.Packet) {
	switch p.Type {
	case wire.PacketLeaderInfo:
		v.stage = "offered"
	case wire.PacketDiff:
		v.committed = len(v.log)
	case wire.PacketTrunc:
		i := m.index(p.Zxid)
		if i >= len(v.log) || v.log[i] != p.Zxid {
			m.Fatalf("server %d with %v is to truncate to %s", v.id, v.log, short(p.Zxid))
		}
		v.log = append([]wire.Zxid(nil), v.log[:i+1]...)
		v.kept, v.committed = min(v.kept, i+1), i+1
	case wire.PacketNewLeader:
		v.stage = "filling"
	case wire.PacketUpToDate:
		v.stage = "serving"
	}
}

// check compares the list of each learner that gets everything with that of the leader.
func (m *model) check() {
	committed := m.committed
	if !m.leads {
		committed = len(m.full)
	}
	for _, v := range m.learners {
		if v.link == 0 || v.stage != "filling" && v.stage != "acked" && v.stage != "serving" {
			continue
		}
		want := m.full
		if v.observer {
			want = m.full[:committed]
		}
		if fmt.Sprint(v.log) != fmt.Sprint(want) {
			m.Fatalf("server %d has\n%v, the leader\n%v, of which %d are committed", v.id, v.log, m.full, m.committed)
		}
		if v.committed != committed {
			m.Fatalf("server %d takes %d for committed, want %d", v.id, v.committed, committed)
		}
	}
}

// move lets a learner do one of the things that it may do.
func (m *model) move(v *modelLearner) {
	if v.link == 0 {
		m.lastLink++
		v.link, v.stage, v.upToDate = m.lastLink, "arrived", false
		m.do(accepted(v.link))
		return
	}
	if rapid.IntRange(0, 11).Draw(m.T, "lost") == 0 {
		link := v.link
		v.lose(rapid.IntRange(0, len(v.log)-v.kept).Draw(m.T, "also kept"))
		m.do(lost(link))
		return
	}
	epoch := int64(m.s.p.leader.epoch)
	switch v.stage {
	case "arrived":
		v.stage = "waiting"
		if v.observer {
			m.do(observerInfo(v.link, v.id, v.accepted))
		} else {
			m.do(followerInfo(v.link, v.id, v.accepted))
		}
	case "offered":
		v.stage = "agreed"
		current := int32(v.current)
		if v.accepted == epoch {
			current = -1
		}
		v.accepted = epoch
		m.do(ackEpoch(v.link, v.log[len(v.log)-1], current))
	case "agreed":
		if v.opening {
			m.open(v)
		}
	case "filling":
		v.kept, v.current, v.stage = len(v.log), epoch, "acked"
		m.do(ack(v.link, zx(epoch, 0)))
	case "acked":
	case "serving":
		if !v.upToDate {
			v.upToDate = true
			m.do(ack(v.link, zx(epoch, 0)))
			return
		}
		v.kept = rapid.IntRange(v.kept, len(v.log)).Draw(m.T, "durable")
		m.do(ack(v.link, v.log[v.kept-1]))
	}
}

// lose ends the link of a learner: what is on its disk stays, and perhaps more.
func (v *modelLearner) lose(more int) {
	v.kept += more
	v.log = v.log[:v.kept]
	v.link, v.opening = 0, false
}

// open opens a snapshot of any moment since it was asked for, or a little before.
func (m *model) open(v *modelLearner) {
	base := m.index(m.s.p.history.Base())
	i := rapid.IntRange(base, m.committed-1).Draw(m.T, "snapshot of")
	v.opening = false
	v.log = append([]wire.Zxid(nil), m.full[:i+1]...)
	v.kept, v.committed = 1, i+1 // it counts as nothing until NEWLEADER
	m.do(opened(v.link, m.full[i]))
}

// TestEveryLearnerHasEveryTransactionOnce lets learners come and go at any moment, with any history that
// they may have, and looks at their logs after every step.
func TestEveryLearnerHasEveryTransactionOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		for range rapid.IntRange(10, 80).Draw(t, "steps") {
			p := m.s.p
			switch n := rapid.IntRange(0, len(m.learners)+3).Draw(t, "who"); {
			case n < len(m.learners):
				m.move(m.learners[n])
			case n == len(m.learners) && p.saving != p.epochs:
				m.do(Event{Kind: EventEpochsSaved, Epochs: p.saving})
			case n == len(m.learners)+1 && m.leads:
				first := max(p.history.Last()+1, p.leader.at(1))
				for range rapid.IntRange(1, 3).Draw(t, "proposals") {
					m.full = append(m.full, first)
					first++
				}
				m.do(proposed(first - 1))
			case n == len(m.learners)+2 && m.durable < len(m.full):
				m.durable = rapid.IntRange(m.durable, len(m.full)).Draw(t, "durable here")
				m.do(durable(m.full[m.durable-1]))
			case n == len(m.learners)+3:
				m.do(purged(m.full[rapid.IntRange(0, min(m.committed, m.durable)-1).Draw(t, "purged")]))
			}
		}
	})
}
