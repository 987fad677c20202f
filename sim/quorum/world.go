package quorum

import (
	"container/heap"
	"fmt"
	"runtime/debug"

	"paddock/zab"
)

// world is one run.
type world struct {
	seed uint64
	dice dice
	plan plan
	opts Options

	now    int64 // µs of virtual time
	events events
	ties   uint64
	calm   bool  // nothing breaks any more
	calmAt int64 // since then
	vacant int64 // for how long nobody led, before

	view    *zab.View
	servers []*server // by id
	net     network
	forest  forest
	ghost   ghost
	clients clients

	lastLink zab.Link
	marks    [numMarks]int
	hash     uint64
	ring     []line
	ringAt   int
	crashes  int
	failure  error
}

// event is something that will happen.
type event struct {
	at  int64
	tie uint64
	f   func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].tie < e[j].tie
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	old[len(old)-1] = event{}
	*e = old[:len(old)-1]
	return x
}

// after runs f at a later time; who goes first at one time is drawn.
func (w *world) after(d int64, f func()) {
	w.ties++
	tie := w.dice.Uint64()<<24 | w.ties&(1<<24-1)
	heap.Push(&w.events, event{w.now + d, tie, f})
}

// every runs f now and then while things may break, with that mean time between; 0 is never.
func (w *world) every(mean int64, f func()) {
	if mean == 0 {
		return
	}
	w.after(w.dice.around(mean), func() {
		if !w.calm {
			f()
			w.every(mean, f)
		}
	})
}

// fail ends the run: a promise was broken.
func (w *world) fail(format string, args ...any) {
	if w.failure == nil {
		w.failure = fmt.Errorf(format, args...)
		w.say(nil, "FAILED")
	}
}

func newWorld(seed uint64, o Options) *world {
	d := newDice(seed)
	w := &world{seed: seed, dice: d, plan: newPlan(d), opts: o, forest: newForest()}
	if o.Mutant != nil && o.Mutant.plan != nil {
		o.Mutant.plan(&w.plan)
	}
	w.build()
	return w
}

// build makes the servers, which are down.
func (w *world) build() {
	n := w.plan.voters + w.plan.observers
	ids := w.dice.Perm(n + w.plan.strangers)
	var members []zab.Member
	for i := range n {
		m := zab.Member{ID: zab.ServerID(ids[i] + 1), Peers: []zab.PeerAddr{{Host: fmt.Sprintf("s%d", ids[i]+1), QuorumPort: 2888, ElectionPort: 3888}}}
		if i >= w.plan.voters {
			m.Role = zab.Observer
		}
		members = append(members, m)
	}
	view, err := zab.NewView(members, w.groups(members[:w.plan.voters]), nil, 0)
	if err != nil {
		panic(err)
	}
	w.view = view
	start := w.forest.root
	epochs := zab.Epochs{Accepted: w.plan.epoch, Current: w.plan.epoch}
	before := 0
	if w.plan.high {
		before = 0xfffffffe - w.plan.history
	}
	for i := range w.plan.history {
		start = w.forest.extend(start, zxid(w.plan.epoch, before+i+1), uint64(i+1)<<32)
	}
	floor := w.forest.root
	if w.plan.high {
		floor = start.at(1) // what is before it was purged
	}
	w.ghost.init(w, start, w.plan.epoch)
	for i := range n + w.plan.strangers {
		s := &server{w: w, id: zab.ServerID(i + 1), voter: view.Voter(zab.ServerID(i + 1)), member: view.Member(zab.ServerID(i+1)) != nil}
		s.claims = map[claim]bool{}
		s.heard = make([]int64, n+w.plan.strangers+1)
		s.disk = disk{s: s, image: image{log: start, floor: floor, committed: start, epochs: epochs}}
		if w.plan.blank {
			s.disk.image.trust = zab.Empty
		}
		w.servers = append(w.servers, s)
	}
	for _, s := range w.servers {
		w.ghost.durable(s)
	}
	w.net.init(w)
}

// groups puts the voters into two or three groups, where the plan wants that.
func (w *world) groups(voters []zab.Member) []zab.Group {
	if !w.plan.groups {
		return nil
	}
	groups := make([]zab.Group, w.dice.between(2, min(3, len(voters))))
	for i, m := range voters {
		g := &groups[i%len(groups)]
		g.ID, g.Members = int64(i%len(groups)+1), append(g.Members, m.ID)
	}
	return groups
}

// run is the whole of it.
func (w *world) run() {
	defer func() {
		if p := recover(); p != nil {
			w.fail("panic: %v\n%s", p, debug.Stack())
		}
	}()
	for _, s := range w.servers {
		w.after(w.dice.around(w.plan.tickMS*ms), s.start)
	}
	w.faults()
	w.clients.start(w)
	w.until(w.plan.length, func() bool { return false })
	w.settle()
}

// until runs events up to a time, or until done says so.
func (w *world) until(t int64, done func() bool) bool {
	for w.failure == nil && len(w.events) > 0 && w.events[0].at <= t {
		e := heap.Pop(&w.events).(event)
		if !w.calm && e.at > w.now && w.leading() == nil {
			w.vacant += e.at - w.now
		}
		w.now = max(w.now, e.at)
		e.f()
		if done() {
			return true
		}
	}
	w.now = max(w.now, t)
	return false
}

// bound is how long it may take, when nothing breaks any more, until all who live are one ensemble: the
// limits that may still run from before, a few elections in a row, and the synchronization of all.
func (w *world) bound() int64 {
	p := &w.plan
	limits := (4*p.initTicks + 3*p.syncTicks) * p.tickMS * ms
	return 3*limits + 20*second
}

// settle is the second phase.
func (w *world) settle() {
	if w.failure != nil {
		return
	}
	w.say(nil, "calm")
	w.calm, w.calmAt = true, w.now
	w.heal()
	w.reviveQuorum()
	limit := w.now + w.bound()
	if !w.until(limit, w.settled) && w.failure == nil {
		w.fail("J-14: within %d ms of calm there is no ensemble", w.bound()/ms)
	}
	if w.failure == nil {
		w.ghost.end()
	}
}

// settled says whether all who live are one ensemble, with one list, and whether a last write has got
// through.
func (w *world) settled() bool {
	if !w.dice.chance(0.05) {
		return false
	}
	lead := w.leading()
	if lead == nil || lead.applied != lead.end {
		return false
	}
	for _, s := range w.servers {
		if s.up && (s.serving == 0 || s.applied != lead.applied || s.disk.image.log != lead.end) {
			return false
		}
	}
	return w.clients.lastWrite(lead)
}

// leading returns who serves as the leader of the highest epoch.
func (w *world) leading() *server {
	var best *server
	for _, s := range w.servers {
		if s.up && s.leading != 0 && (best == nil || s.leading > best.leading) {
			best = s
		}
	}
	return best
}

func (w *world) states() string {
	text := ""
	for _, s := range w.servers {
		text += "\n" + s.String()
	}
	return text
}
