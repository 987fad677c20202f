package sim

import (
	"container/heap"
	"fmt"
	"hash/fnv"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"paddock/vfs"
	"paddock/wire"
)

// phase of a run; see the package comment.
type phase int

const (
	phaseFaults phase = iota // anything may break
	phaseCalm                // nothing breaks: everything must come to an end
	phaseEnd                 // the clients are silent: their sessions must end
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
	phase  phase

	hosts []*host
	net   *network // between members of an ensemble; nil for a server alone
	terms int      // counts leaderships

	durable       wire.Zxid // checked to be on the disk, or on those of a quorum
	durableChecks float64
	sequenced     map[wire.Zxid]contact // when a transaction was made, by the session clock
	log           [][]byte              // the witness: every transaction, in order

	clients []*client
	history history
	marks   map[string]int
	hash    uint64
	trace   []string
	failure error
}

// event is something that will happen.
type event struct {
	at   int64
	tie  uint64
	what string
	f    func()
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
	*e = old[:len(old)-1]
	return x
}

func (w *world) at(t int64, what string, f func()) {
	w.ties++
	tie := w.dice.Uint64()<<20 | w.ties&(1<<20-1)
	heap.Push(&w.events, event{t, tie, what, f})
}

func (w *world) after(d int64, what string, f func()) { w.at(w.now+d, what, f) }

// every runs f now and then, with that mean time between; 0 is never.
func (w *world) every(mean int64, what string, f func()) {
	if mean == 0 {
		return
	}
	w.after(w.dice.around(mean), what, func() {
		if w.phase == phaseFaults {
			f()
			w.every(mean, what, f)
		}
	})
}

const traceLines = 80

// note takes down what has happened: for the hash of the run, and the last lines for a failure.
func (w *world) note(format string, args ...any) {
	line := fmt.Sprintf("%10.3fms ", float64(w.now)/1000) + fmt.Sprintf(format, args...)
	h := fnv.New64a()
	_, _ = io.WriteString(h, line)
	w.hash = w.hash*1099511628211 ^ h.Sum64()
	if w.opts.Trace != nil {
		fmt.Fprintln(w.opts.Trace, line)
	}
	if len(w.trace) == 2*traceLines {
		w.trace = append(w.trace[:0], w.trace[traceLines:]...)
	}
	w.trace = append(w.trace, line)
}

// fail ends the run: a promise was broken.
func (w *world) fail(format string, args ...any) {
	if w.failure == nil {
		w.failure = fmt.Errorf(format, args...)
		w.note("FAILED: %v", w.failure)
	}
}

func newWorld(seed uint64, o Options) *world {
	d := newDice(seed)
	w := &world{
		seed: seed, dice: d, plan: newPlan(d), opts: o,
		marks: map[string]int{}, sequenced: map[wire.Zxid]contact{}, durableChecks: 0.03,
	}
	if o.Ensemble {
		w.plan.gather(d)
	}
	if o.Mutant != nil && o.Mutant.plan != nil {
		o.Mutant.plan(&w.plan)
	}
	if o.Ensemble {
		w.found()
	} else {
		w.hosts = []*host{{w: w, number: 1, disk: vfs.NewSim(seed)}}
	}
	return w
}

// run is the whole of it.
func (w *world) run() {
	defer func() {
		if p := recover(); p != nil {
			w.fail("panic: %v\n%s", p, debug.Stack())
		}
	}()
	for _, h := range w.hosts {
		h.start()
	}
	for i := range w.plan.clients {
		w.clients = append(w.clients, newClient(w, i))
	}
	for _, h := range w.hosts {
		w.after(w.plan.beat, "beat", h.beat)
	}
	w.every(w.plan.crashEvery, "crash", func() {
		h := w.someHost()
		if w.dice.chance(w.plan.midway) {
			h.crashSoon = true
			return
		}
		h.crash(h.disk.Ops())
	})
	w.every(w.plan.dropEvery, "drop", w.dropOne)
	w.every(w.plan.pauseEvery, "pause", func() { w.someHost().pause() })
	w.every(w.plan.vanishEvery, "vanish", w.vanishOne)
	w.every(w.plan.closeEvery, "close", w.closeOne)
	w.every(20*second, "house", func() {
		for _, h := range w.hosts {
			h.house()
		}
	})
	if w.net != nil {
		w.between()
	}
	w.until(w.plan.length, func() bool {
		return w.net == nil && len(w.history.calls) >= w.plan.calls && w.dice.chance(0.001)
	})
	w.calm()
}

// until runs events up to a time, or until done says so.
func (w *world) until(t int64, done func() bool) bool {
	for w.failure == nil && len(w.events) > 0 && w.events[0].at <= t {
		e := heap.Pop(&w.events).(event)
		w.now = max(w.now, e.at)
		e.f()
		for _, h := range w.hosts {
			h.kick()
		}
		if done() {
			return true
		}
	}
	w.now = max(w.now, t)
	return false
}

// calm is the second phase.
func (w *world) calm() {
	if w.failure != nil {
		return
	}
	w.note("calm")
	w.phase = phaseCalm
	for _, c := range w.clients {
		c.away = 0
		if c.link != nil {
			c.link.slow = 0
		}
	}
	limit := int64(w.plan.maxTimeoutMS)*ms*4 + minute
	for _, h := range w.hosts {
		h.crashSoon = false
	}
	if w.net != nil {
		limit += w.heal()
	}
	settled := func() bool {
		for _, h := range w.hosts {
			if h.srv == nil || !h.srv.Serving() {
				return false
			}
		}
		for _, c := range w.clients {
			if !c.ready || len(c.waits) > 0 || c.closing {
				return false
			}
		}
		return true
	}
	if !w.until(w.now+limit, settled) && w.failure == nil {
		w.fail("liveness: not all clients are connected and answered %v after the last fault", time.Duration(limit)*time.Microsecond)
		return
	}
	for _, c := range w.clients { // everything that is to be told comes before this
		c.ask(&request{op: wire.OpSync, path: "/last"})
	}
	if !w.until(w.now+limit, settled) && w.failure == nil {
		w.fail("liveness: a sync of all clients is not answered after %v", time.Duration(limit)*time.Microsecond)
		return
	}
	if w.net != nil {
		w.quiet()
	}
	w.silence()
}

// silence waits until the sessions of silent clients have ended.
func (w *world) silence() {
	if w.failure != nil {
		return
	}
	w.note("silence")
	w.phase = phaseEnd
	for _, c := range w.clients {
		if c.link != nil {
			c.drop("the run ends", c.w.dice.chance(0.5))
		}
		c.away = 1 << 62
	}
	// S8: one bucket after the timeout, and the time that the pipeline and a beat take.
	limit := int64(w.plan.maxTimeoutMS+2*w.plan.tickMS)*ms + 10*w.plan.beat + 10*second + 100*w.plan.step
	w.until(w.now+limit, func() bool { return false })
	if w.failure != nil {
		return
	}
	for _, h := range w.hosts {
		if n := h.srv.Sessions(); n != 0 {
			w.fail("S8: %sthere are %d sessions %v after their clients fell silent: %s", h.name, n, time.Duration(limit)*time.Microsecond, h.srv.SessionText())
		}
		if n := h.srv.Ephemerals(); n != 0 {
			w.fail("S9: %s%d ephemerals are left of sessions that have ended", h.name, n)
		}
	}
	if w.net != nil {
		w.agree()
		return
	}
	h := w.hosts[0]
	h.stop()
	h.start()
	h.collect()
}

func (w *world) wall() time.Time {
	return time.UnixMilli(1_700_000_000_000).Add(time.Duration(w.now) * time.Microsecond)
}

// someHost draws one, where there are several.
func (w *world) someHost() *host {
	if len(w.hosts) == 1 {
		return w.hosts[0]
	}
	return w.hosts[w.dice.IntN(len(w.hosts))]
}

func (w *world) someClient() *client { return w.clients[w.dice.IntN(len(w.clients))] }

func (w *world) dropOne() {
	if c := w.someClient(); c.link != nil {
		c.drop("the network fails", w.dice.chance(w.plan.hop))
	}
}

func (w *world) closeOne() {
	if c := w.someClient(); c.link != nil && c.ready && !c.closing {
		if w.dice.chance(0.5) { // it is on its way when the session closes
			c.ask(&request{op: wire.OpCreate, path: w.path(), flags: wire.FlagsEphemeral, perms: wire.PermAll, data: c.value()})
		}
		c.ask(&request{op: wire.OpCloseSession})
	}
}

// vanishOne has a client fall silent, for less or more than its session lives. It may come back over the
// same connection, at the very moment at which its session ends.
func (w *world) vanishOne() {
	c := w.someClient()
	away := w.dice.around(int64(c.wanted) * ms)
	if c.link == nil || w.dice.chance(0.5) {
		away = int64(c.wanted)*ms + w.dice.Int64N(2*int64(w.plan.tickMS)*ms)
		w.note("client %d is silent for %d ms", c.number, away/ms)
	} else {
		c.drop("it vanishes", w.dice.chance(0.5))
	}
	c.away = w.now + away
}

// path is one of a small world: clients have to meet.
func (w *world) path() string {
	if w.dice.chance(0.05) {
		return "/"
	}
	var b strings.Builder
	for range w.dice.between(1, w.plan.depth) {
		fmt.Fprintf(&b, "/%c", 'a'+w.dice.IntN(w.plan.names))
	}
	return b.String()
}
