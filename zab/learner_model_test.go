package zab

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"paddock/wire"
)

// academy is a learner among leaders that do all that a leader may: they come and go, keep or drop what is
// not committed, choose any way to synchronize that is right, and talk at their own pace, while the
// learner's disk works at its own. Lists are whole histories: what a snapshot shows is the beginning of one.
type academy struct {
	t        *rapid.T
	p        *Peer
	observer bool

	// The leader.
	epoch       int64
	hist        []wire.Zxid
	established bool
	chosen      int // so much of hist is committed, for all time

	// Its handler.
	link       Link
	connected  bool
	said       []Event // on its way to the learner
	registered bool    // the learner gets what is proposed and committed
	settled    int     // so much of hist came with the synchronization, as committed
	acked      bool    // NEWLEADER
	upToDate   bool
	lastAck    wire.Zxid
	holed      bool // it has left something out

	// The learner's disk.
	end      []wire.Zxid // what is, or is being, logged
	disk     []wire.Zxid // what is durable
	jobs     []diskJob
	saves    []Epochs
	saved    Epochs
	received []wire.Zxid // nil: none
	line     int         // so much is applied
	dialled  bool
	leaving  bool // the learner may end its role, for the link is gone
}

type diskJob struct {
	kind ActionKind
	zxid wire.Zxid
	list []wire.Zxid // afterwards
}

func newAcademy(t *rapid.T, tb testing.TB) *academy {
	a := &academy{t: t, epoch: 2, observer: rapid.Bool().Draw(t, "observer")}
	cfg := Config{ID: 1, View: mustView(tb, lines(3, 1)), TickMS: testTick, InitTicks: testInit, SyncTicks: testSync}
	if a.observer {
		cfg.ID = 4
	}
	a.p = NewPeer(cfg, Recovered{})
	a.hist = slices.Clone(upTo(1, rapid.Int64Range(0, 5).Draw(t, "before us")))
	a.chosen = rapid.IntRange(0, len(a.hist)).Draw(t, "committed before us")
	a.established = a.chosen == len(a.hist)
	a.do(at(0))
	return a
}

// do steps the learner, and does what it asks for.
func (a *academy) do(ev Event) {
	before := a.p.State()
	for _, act := range a.p.Step(ev, nil) {
		a.act(&act)
	}
	if before != Looking && a.p.State() == Looking {
		if !a.leaving && !a.holed {
			a.t.Fatalf("the learner leaves a leader that has done nothing wrong")
		}
		a.connected, a.said = false, nil
	}
}

func (a *academy) act(act *Action) {
	switch act.Kind {
	case ActionNotify, ActionClose, ActionRest:
	case ActionDial:
		a.dialled = true
	case ActionSend:
		a.hear(act)
	case ActionSaveEpochs:
		a.saves = append(a.saves, act.Epochs)
	case ActionAppend:
		if a.received != nil {
			a.received = append(a.received, act.Zxid)
			return
		}
		a.end = append(slices.Clone(a.end), act.Zxid)
		a.jobs = append(a.jobs, diskJob{ActionAppend, act.Zxid, a.end})
	case ActionTruncate:
		a.end = slices.Clone(a.end[:a.index(a.end, act.Zxid)])
		a.jobs = append(a.jobs, diskJob{ActionTruncate, act.Zxid, a.end})
	case ActionInstall:
		if n := a.index(a.received, act.Zxid); n > a.chosen {
			a.t.Fatalf("installs %v, and of the history up to %v is committed", act.Zxid, a.hist[:a.chosen])
		} else if a.established && a.settled > 0 && a.hist[a.settled-1].Epoch() == a.epoch && n < a.settled {
			a.t.Fatalf("installs %v, and the stream may show %v", act.Zxid, a.hist[:a.settled])
		}
		a.end, a.received = a.received, nil
		a.jobs = append(a.jobs, diskJob{ActionInstall, act.Zxid, a.end})
	case ActionDiscard:
		a.received = nil
	case ActionCommit:
		a.commit(act.Zxid)
	case ActionServe:
		if !a.upToDate {
			a.t.Fatalf("serves before UPTODATE")
		}
	default:
		a.t.Fatalf("action %d", act.Kind)
	}
}

// index returns how long a list is up to z, which it has to have.
func (a *academy) index(list []wire.Zxid, z wire.Zxid) int {
	if z == 0 {
		return 0
	}
	i := slices.Index(list, z)
	if i < 0 {
		a.t.Fatalf("%v is not in %v", z, list)
	}
	return i + 1
}

func (a *academy) commit(z wire.Zxid) {
	n := a.index(a.end, z)
	if n <= a.line || n > a.chosen || !slices.Equal(a.end[:n], a.hist[:n]) {
		a.t.Fatalf("commits %v after %d transactions; committed is %v", a.end[:n], a.line, a.hist[:a.chosen])
	}
	a.line = n
}

// hear is the leader's side of what a learner says, and that it is true.
func (a *academy) hear(act *Action) {
	p := &act.Packet
	if act.After > 0 && !slices.Contains(a.disk, act.After) && len(a.disk) > 0 || !a.saved.covers(act.Need) {
		a.t.Fatalf("%v %v needs %v and %+v; on the disk: %v and %+v", p.Type, p.Zxid, act.After, act.Need, a.disk, a.saved)
	}
	switch p.Type {
	case wire.PacketFollowerInfo, wire.PacketObserverInfo:
		if p.Zxid.Epoch() != int64(a.saved.Accepted) || (p.Type == wire.PacketObserverInfo) != a.observer {
			a.t.Fatalf("%v %v, and the disk has %+v", p.Type, p.Zxid, a.saved)
		}
		a.tell(tellEpoch(a.epoch))
	case wire.PacketAckEpoch:
		if int64(a.saved.Accepted) != a.epoch {
			a.t.Fatalf("acknowledges epoch %d, and the disk has %+v", a.epoch, a.saved)
		}
		a.synchronize(p.Zxid)
	case wire.PacketAck:
		a.ack(p.Zxid)
	default:
		a.t.Fatalf("a learner sends %v", p.Type)
	}
}

func (a *academy) ack(z wire.Zxid) {
	if z == zx(a.epoch, 0) {
		if !a.hasHistory() || int64(a.saved.Current) != a.epoch {
			a.t.Fatalf("acknowledges epoch %d with %v and %+v on its disk; the leader has %v", a.epoch, a.disk, a.saved, a.hist)
		}
		if !a.acked {
			a.acked = true
			a.welcome()
		}
		return
	}
	n := a.index(a.disk, z)
	if !a.upToDate || a.observer || z <= a.lastAck || !slices.Equal(a.disk[:n], a.hist[:n]) {
		a.t.Fatalf("acknowledges %v after %v with %v on its disk; the leader has %v", z, a.lastAck, a.disk, a.hist)
	}
	a.lastAck = z
}

// hasHistory says whether the learner's disk has what was committed in its synchronization, and nothing that
// its leader does not have.
func (a *academy) hasHistory() bool {
	n := len(a.disk)
	return a.settled <= n && n <= len(a.hist) && slices.Equal(a.disk, a.hist[:n])
}

// tell queues a packet for the learner.
func (a *academy) tell(ev Event) {
	ev.Link = a.link
	a.said = append(a.said, ev)
}

// synchronize chooses a way, and sends what the learner lacks.
func (a *academy) synchronize(last wire.Zxid) {
	a.settled = len(a.hist)
	if a.established {
		a.settled = a.chosen
	}
	same := 0 // so much of it is the learner's history too
	for same < min(len(a.end), a.settled) && a.end[same] == a.hist[same] {
		same++
	}
	from, point := same, wire.Zxid(0)
	if same > 0 {
		point = a.hist[same-1]
	}
	snap := last.Epoch() > a.epoch || same < len(a.end) && !a.p.history.Has(point) || rapid.IntRange(0, 7).Draw(a.t, "snap") == 7
	switch {
	case snap:
		from = a.snap()
	case same < len(a.end):
		a.tell(tellTrunc(point))
	default:
		a.tell(tellDiff(zx(a.epoch, 0)))
	}
	hole := -1
	if n := a.settled - from - 1; n > 0 && rapid.IntRange(0, 9).Draw(a.t, "hole") == 9 {
		if i := from + rapid.IntRange(0, n-1).Draw(a.t, "left out"); a.hist[i+1].Counter() != 1 {
			hole, a.holed = i, true
		}
	}
	for i, z := range a.hist[from:a.settled] {
		if from+i != hole {
			a.committed(z)
		}
	}
	if !a.observer {
		for _, z := range a.hist[a.settled:] {
			a.tell(tellPropose(z))
		}
	}
	a.tell(tellNewLeader(a.epoch))
	a.registered = true
}

// committed sends a transaction of the synchronization.
func (a *academy) committed(z wire.Zxid) {
	if a.observer && rapid.Bool().Draw(a.t, "by INFORM") {
		a.tell(tellInform(z))
		return
	}
	a.tell(tellPropose(z))
	a.tell(tellCommit(z))
}

// snap sends a snapshot: of what the leader knows to be committed, and while it serves perhaps with a part of
// what is sent again behind it. It returns where that begins.
func (a *academy) snap() int {
	n := rapid.IntRange(0, a.chosen).Draw(a.t, "snapshot of")
	z := wire.Zxid(0)
	if n > 0 {
		z = a.hist[n-1]
	}
	a.tell(tellSnap(z))
	a.tell(streamed(z))
	if a.established {
		return rapid.IntRange(0, n).Draw(a.t, "again from")
	}
	return n
}

// welcome lets the learner serve, if the leader does.
func (a *academy) welcome() {
	if a.established && a.acked && !a.upToDate {
		a.upToDate = true
		a.tell(tellUpToDate())
	}
}

// What leaders, the disk and the network do.

func (a *academy) speak() {
	if len(a.said) == 0 {
		a.t.Skip()
	}
	ev := a.said[0]
	a.said = a.said[1:]
	if ev.Kind == EventSnapshotReceived {
		n := a.index(a.hist, ev.Zxid)
		a.received = append(make([]wire.Zxid, 0, n), a.hist[:n]...)
	}
	a.do(ev)
}

func (a *academy) establish() {
	if a.established {
		a.t.Skip()
	}
	a.established, a.chosen = true, len(a.hist)
	a.welcome()
}

func (a *academy) propose() {
	if !a.established {
		a.t.Skip()
	}
	z := zx(a.epoch, 1)
	if n := len(a.hist); n > 0 && a.hist[n-1].Epoch() == a.epoch {
		z = a.hist[n-1] + 1
	}
	a.hist = append(slices.Clone(a.hist), z)
	if a.registered && !a.observer {
		a.tell(tellPropose(z))
	}
}

func (a *academy) decide() {
	if !a.established || a.chosen == len(a.hist) {
		a.t.Skip()
	}
	z := a.hist[a.chosen]
	a.chosen++
	switch {
	case !a.registered:
	case a.observer:
		a.tell(tellInform(z))
	default:
		a.tell(tellCommit(z))
	}
}

func (a *academy) write() {
	if len(a.jobs) == 0 {
		a.t.Skip()
	}
	j := a.jobs[0]
	a.jobs = a.jobs[1:]
	a.disk = j.list
	switch j.kind {
	case ActionAppend:
		a.do(durable(j.zxid))
	case ActionTruncate:
		a.do(cut(j.zxid))
	case ActionInstall:
		a.line = a.index(j.list, j.zxid)
		a.do(inPlace(j.zxid))
		if last := j.list; len(last) > a.line {
			a.do(durable(last[len(last)-1]))
		}
	}
}

func (a *academy) save() {
	if len(a.saves) == 0 {
		a.t.Skip()
	}
	a.saved, a.saves = a.saves[0], a.saves[1:]
	if int64(a.saved.Current) == a.epoch && !a.hasHistory() {
		a.t.Fatalf("is in epoch %d with %v on its disk; the leader has %v", a.epoch, a.disk, a.hist)
	}
	a.do(Event{Kind: EventEpochsSaved, Epochs: a.saved})
}

// hangUp breaks the link; what is on its way is lost, and what is being written is not. Perhaps another
// leader comes, with all that is committed and some of the rest.
func (a *academy) hangUp() {
	if a.connected {
		a.leaving = true
		a.do(Event{Kind: EventLost, Link: a.link})
	}
	a.connected, a.said, a.dialled = false, nil, a.p.State() != Looking
	if rapid.IntRange(0, 2).Draw(a.t, "another leader") > 0 {
		a.epoch++
		a.hist = slices.Clone(a.hist[:rapid.IntRange(a.chosen, len(a.hist)).Draw(a.t, "kept")])
		a.established = false
	}
}

// come lets the learner find the leader, when the disk is done with what the last role has left.
func (a *academy) come() {
	if a.p.State() != Looking || a.p.draining {
		a.t.Skip()
	}
	note := wire.Notification{Leader: 3, Round: a.epoch, PeerEpoch: a.epoch, Version: wire.NotificationVersion}
	for id, state := range []State{2: Following, 3: Leading} {
		if id < 2 {
			continue
		}
		note.State = int32(state)
		a.do(Event{Kind: EventNotification, From: ServerID(id), Note: note})
	}
}

func (a *academy) dial() {
	if !a.dialled {
		a.t.Skip()
	}
	a.link++
	a.dialled, a.connected = false, true
	a.registered, a.acked, a.upToDate, a.lastAck, a.holed, a.leaving = false, false, false, 0, false, false
	a.received = nil
	a.do(Event{Kind: EventDialed, Link: a.link})
}

// check compares what the learner thinks with what its disk has been told.
func (a *academy) check(*rapid.T) {
	p := a.p
	if n := a.index(a.hist, p.committed); n > a.chosen || p.committed > p.history.Last() {
		a.t.Fatalf("%v is committed, of %v; the leader has committed %v", p.committed, &p.history, a.hist[:a.chosen])
	}
	if len(a.jobs) > 0 {
		return
	}
	behind := a.end[a.index(a.end, p.history.Base()):]
	for z, ok := p.history.Next(p.history.Base()); ok; z, ok = p.history.Next(z) {
		if len(behind) == 0 || behind[0] != z {
			a.t.Fatalf("history %v, and the log is %v", &p.history, a.end)
		}
		behind = behind[1:]
	}
	if len(behind) > 0 {
		a.t.Fatalf("history %v, and the log is %v", &p.history, a.end)
	}
}

// settleDown lets everybody come to an end, and then the learner has all that the leader has.
func (a *academy) settleDown() {
	if !a.established {
		a.establish()
	}
	for range 10_000 {
		switch {
		case len(a.jobs) > 0:
			a.write()
		case len(a.saves) > 0:
			a.save()
		case len(a.said) > 0:
			a.speak()
		case a.dialled:
			a.dial()
		case a.p.State() == Looking:
			a.come()
		case a.chosen < len(a.hist):
			a.decide()
		case a.upToDate:
			a.finish()
			return
		default:
			a.t.Fatalf("nothing is left to do, and the learner does not serve")
		}
		a.check(a.t)
	}
	a.t.Fatalf("no end")
}

func (a *academy) finish() {
	if !slices.Equal(a.disk, a.hist) || a.line != len(a.hist) && a.p.committed != a.hist[len(a.hist)-1] {
		a.t.Fatalf("on the disk is %v, committed up to %v; the leader has %v", a.disk, a.p.committed, a.hist)
	}
	if outstanding := a.hist[a.settled:]; !a.observer && len(outstanding) > 0 && a.lastAck != outstanding[len(outstanding)-1] {
		a.t.Fatalf("acknowledged up to %v, and %v were outstanding", a.lastAck, outstanding)
	}
}

// TestALearnerAmongLegalLeaders: its history follows the leader's, what it has committed is committed, its
// acks are in order and never above what is durable, no leader that does right is left, and in the end it
// has everything.
func TestALearnerAmongLegalLeaders(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a := newAcademy(rt, t)
		quietly := func(f func()) func(*rapid.T) { return func(*rapid.T) { f() } }
		seldom := func(one int, f func()) func(*rapid.T) {
			return func(*rapid.T) {
				if rapid.IntRange(1, one).Draw(rt, "one in") == one {
					f()
				}
			}
		}
		actions := map[string]func(*rapid.T){
			"":             a.check,
			"come":         quietly(a.come),
			"dial":         quietly(a.dial),
			"speak":        quietly(a.speak),
			"speak more":   quietly(a.speak),
			"speak on":     quietly(a.speak),
			"write":        quietly(a.write),
			"write more":   quietly(a.write),
			"save":         quietly(a.save),
			"propose":      quietly(a.propose),
			"propose more": quietly(a.propose),
			"decide":       seldom(2, a.decide),
			"establish":    seldom(6, a.establish),
		}
		for range 5 {
			rt.Repeat(actions)
			rt.Repeat(actions)
			a.hangUp()
		}
		a.settleDown()
	})
}
