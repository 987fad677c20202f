package sim

import (
	"container/heap"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"paddock/server"
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

	disk        *vfs.Sim
	srv         *server.Driven // nil while it is down
	life        int            // counts starts: what belongs to an earlier one is dropped
	stepping    bool           // a step of the pipeline is on its way
	pausedUntil int64
	crashSoon   bool // the next step that touches the disk is cut short
	sessionMS   int64
	beatAt      int64
	opsAtStep   int // journal of the disk before the last step

	durable       wire.Zxid // checked to be on the disk
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
		seed: seed, dice: d, plan: newPlan(d), opts: o, disk: vfs.NewSim(seed),
		marks: map[string]int{}, sequenced: map[wire.Zxid]contact{}, durableChecks: 0.03,
	}
	if o.Mutant != nil && o.Mutant.plan != nil {
		o.Mutant.plan(&w.plan)
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
	w.start()
	for i := range w.plan.clients {
		w.clients = append(w.clients, newClient(w, i))
	}
	w.after(w.plan.beat, "beat", w.beat)
	w.every(w.plan.crashEvery, "crash", func() {
		if w.dice.chance(w.plan.midway) {
			w.crashSoon = true
			return
		}
		w.crash(w.disk.Ops())
	})
	w.every(w.plan.dropEvery, "drop", w.dropOne)
	w.every(w.plan.pauseEvery, "pause", w.pause)
	w.every(w.plan.vanishEvery, "vanish", w.vanishOne)
	w.every(w.plan.closeEvery, "close", w.closeOne)
	w.every(20*second, "house", w.house)
	w.until(w.plan.length, func() bool { return len(w.history.calls) >= w.plan.calls && w.dice.chance(0.001) })
	w.calm()
}

// until runs events up to a time, or until done says so.
func (w *world) until(t int64, done func() bool) bool {
	for w.failure == nil && len(w.events) > 0 && w.events[0].at <= t {
		e := heap.Pop(&w.events).(event)
		w.now = max(w.now, e.at)
		e.f()
		w.kick()
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
	w.phase, w.crashSoon = phaseCalm, false
	for _, c := range w.clients {
		c.away = 0
		if c.link != nil {
			c.link.slow = 0
		}
	}
	limit := int64(w.plan.maxTimeoutMS)*ms*4 + minute
	settled := func() bool {
		if w.srv == nil {
			return false
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
	if n := w.srv.Sessions(); n != 0 {
		w.fail("S8: %d sessions live %v after their clients fell silent", n, time.Duration(limit)*time.Microsecond)
	}
	if n := w.srv.Ephemerals(); n != 0 {
		w.fail("S9: %d ephemerals are left of sessions that have ended", n)
	}
	w.stop()
	w.start()
	w.collect()
}

func (w *world) wall() time.Time {
	return time.UnixMilli(1_700_000_000_000).Add(time.Duration(w.now) * time.Microsecond)
}

func (w *world) config() server.Config {
	p := &w.plan
	return server.Config{
		Loops: p.loops, ServerID: 1, DataDir: "/data", LogDir: "/data",
		TickMS: p.tickMS, MinSessionMS: p.minTimeoutMS, MaxSessionMS: p.maxTimeoutMS,
		MaxFrameBytes: 1 << 20, HandshakeTimeout: 10 * time.Second, ExtendedTypes: true,
		SegmentBytes: p.segmentBytes, SnapCount: p.snapCount, RetainSnapshots: 2, TxnDigests: p.txnDigests,
		ContainerCheck: time.Second, ContainerPerMinute: 10_000, MinFreeBytes: 1,
		FS: w.disk, Log: slog.New(slog.DiscardHandler),
		OnFatal: func(err error) {
			if strings.Contains(err.Error(), "digest") {
				w.fail("Z14: %v", err)
				return
			}
			w.fail("the server has failed: %v", err)
		},
	}
}

// start starts the server on what the disk has.
func (w *world) start() {
	if m := w.opts.Mutant; m != nil && m.disk != nil {
		m.disk(w)
	}
	if err := w.disk.MkdirAll("/data"); err != nil {
		w.fail("%v", err)
		return
	}
	w.life++
	w.sessionMS, w.beatAt, w.pausedUntil, w.stepping, w.crashSoon = 0, w.now, 0, false, false
	srv, err := server.DriveWith(w.defect(), w.config(), w.wall())
	if err != nil {
		w.fail("the server does not start: %v\n%s", err, w.disk.Tree())
		return
	}
	w.srv = srv
	w.note("server starts, life %d, zxid %v", w.life, srv.Applied())
	for _, s := range w.history.sessions {
		s.contacts = append(s.contacts, w.contact()) // every session has a whole timeout again
	}
	w.collect()
	w.opsAtStep = w.disk.Ops()
}

func (w *world) contact() contact { return contact{w.life, w.sessionMS, w.history.next()} }

func (w *world) defect() server.Defect {
	if w.opts.Mutant == nil {
		return ""
	}
	return w.opts.Mutant.defect
}

// stop ends the server in good order.
func (w *world) stop() {
	for w.srv.Waiting(server.Sequence)+w.srv.Waiting(server.Commit)+w.srv.Waiting(server.Apply) > 0 {
		for st := server.Sequence; st <= server.Apply; st++ {
			w.stage(st)
		}
	}
	w.collect()
	srv := w.srv
	w.srv = nil
	if err := srv.Close(); err != nil {
		w.fail("close: %v", err)
	}
}

// collect reads what the log has that we have not, and compares the state of the server with the model's later.
func (w *world) collect() {
	if w.failure != nil {
		return
	}
	have := wire.Zxid(len(w.log))
	base := w.srv.Base()
	if base > have {
		w.fail("Z11: the log begins after %v, and %v is the last we have seen of it", base, have)
		return
	}
	at := base
	err := w.srv.Replay(base, func(txn []byte) error {
		if at++; at <= have {
			return sameTxn(at, w.log[at-1], txn)
		}
		w.log = append(w.log, append([]byte(nil), txn...))
		return nil
	})
	switch {
	case err != nil:
		w.fail("replay: %v", err)
	case at < have:
		w.fail("Z11: transactions up to %v were committed; the log ends at %v", have, at)
	}
	w.history.digests = append(w.history.digests, digestAt{w.srv.Applied(), w.srv.Digest(), w.srv.Nodes()})
}

// kick sees to it that the server takes its next step, if there is one.
func (w *world) kick() {
	if w.stepping || w.srv == nil || w.failure != nil || !w.runnable() {
		return
	}
	w.stepping = true
	life := w.life
	w.at(max(w.now, w.pausedUntil)+w.dice.around(w.plan.step), "step", func() {
		if life != w.life {
			return
		}
		w.stepping = false
		if w.srv != nil && w.pausedUntil <= w.now {
			w.step()
		}
	})
}

func (w *world) runnable() bool {
	for st := server.Sequence; st <= server.Apply; st++ {
		if w.srv.Waiting(st) > 0 {
			return true
		}
	}
	for i := range w.plan.loops {
		if w.srv.Rung(i) {
			return true
		}
	}
	return false
}

// step runs one stage, or answers one bell: whichever is drawn of those that can.
func (w *world) step() {
	var can []func()
	busy := [...]float64{server.Commit: w.plan.diskBusy, server.Apply: w.plan.applyBusy}
	for st := server.Sequence; st <= server.Apply; st++ {
		if w.srv.Waiting(st) > 0 && !w.dice.chance(busy[st]) {
			can = append(can, func() { w.stage(st) })
		}
	}
	for i := range w.plan.loops {
		if w.srv.Rung(i) {
			can = append(can, func() {
				w.note("loop %d answers its bell", i)
				w.srv.Answer(i)
			})
		}
	}
	if len(can) > 0 {
		can[w.dice.IntN(len(can))]()
	}
}

// stage runs a stage with some of what waits for it.
func (w *world) stage(st server.Stage) {
	n := w.srv.Waiting(st)
	if n == 0 {
		return
	}
	n = 1 + w.dice.IntN(n)
	w.note("stage %d with %d", st, n)
	w.srv.SetTime(w.wall())
	w.disked(func() {
		before := w.srv.Given()
		w.srv.Run(st, n)
		for z := before + 1; z <= w.srv.Given(); z++ {
			w.sequenced[z] = w.contact()
		}
	}, st == server.Commit)
	if w.srv != nil && st == server.Apply && w.srv.CheckpointDue() {
		w.snapshot()
	}
}

// disked does something that writes to the disk and says nothing to anybody; a crash that is due may hit
// in its middle.
func (w *world) disked(f func(), writes bool) {
	before := w.disk.Ops()
	f()
	after := w.disk.Ops()
	if w.crashSoon && writes && after > before && w.failure == nil {
		w.crashSoon = false
		w.marks["crash in mid-step"]++
		w.crash(before + w.dice.IntN(after-before+1))
		return
	}
	if after > 20_000 && w.dice.chance(0.01) {
		w.disk.Compact()
	}
}

// snapshot opens a view now, and writes it later, when there is something else on the way already.
func (w *world) snapshot() {
	write := w.srv.Checkpoint()
	if write == nil {
		return
	}
	w.marks["snapshot"]++
	life := w.life
	w.after(w.dice.around(20*w.plan.step), "snapshot", func() {
		if life != w.life || w.srv == nil {
			return
		}
		w.note("snapshot")
		w.disked(write, true)
		if w.srv == nil || life != w.life {
			return
		}
		w.collect()
		w.note("purge")
		w.disked(w.srv.Purge, true)
	})
}

// house is what the server does now and then.
func (w *world) house() {
	if w.srv == nil || w.pausedUntil > w.now {
		return
	}
	w.note("sweep")
	w.srv.Sweep()
	if w.plan.prepare {
		w.disked(func() {
			for w.srv.Prepare() {
			}
		}, true)
	}
}

// beat is a step of the server's time.
func (w *world) beat() {
	if w.srv != nil && w.pausedUntil <= w.now {
		const longest = 500 // ms: the sessions do not notice a longer pause
		w.sessionMS += min((w.now-w.beatAt)/1000, longest)
		w.beatAt += (w.now - w.beatAt) / 1000 * 1000
		w.disked(func() { w.srv.Beat(w.wall()) }, true)
	}
	w.after(w.plan.beat, "beat", w.beat)
}

// crash ends the process after the disk's first at operations: with the machine, or alone.
func (w *world) crash(at int) {
	if w.srv == nil {
		return
	}
	w.marks["crash"]++
	if w.dice.chance(w.plan.powerCut) {
		kept := []float64{0, 0.5, 1}[w.dice.IntN(3)]
		w.disk = w.disk.Crash(at, func(vfs.Unit) bool { return w.dice.chance(kept) })
		w.note("power cut, %v of what was not synced is kept", kept)
		w.marks["power cut"]++
	} else if at < w.disk.Ops() {
		w.note("kill in the middle of a step")
		w.disk = w.disk.Crash(at, func(vfs.Unit) bool { return true })
	} else {
		w.note("kill")
		w.disk.Kill()
	}
	w.spoil()
	w.srv = nil
	w.life++
	for _, c := range w.clients {
		if c.link != nil {
			c.link.kernel = c.link.kernel[:w.dice.IntN(len(c.link.kernel)+1)]
			c.link.serverEnds()
		}
	}
	w.after(w.dice.around(int64(w.dice.log(float64(ms), float64(3*second)))), "restart", func() {
		w.start()
		if w.phase == phaseFaults && w.dice.chance(0.1) {
			w.crash(w.disk.Ops()) // at once again
		}
	})
}

// spoil gives a mutant its turn with the disk.
func (w *world) spoil() {
	if m := w.opts.Mutant; m != nil && m.spoil != nil {
		m.spoil(w)
	}
}

// checkDurable opens what a power cut now would leave of the disk, with nothing kept that was not synced.
func (w *world) checkDurable(stamp wire.Zxid) {
	image := w.disk.Crash(w.disk.Ops(), func(vfs.Unit) bool { return false })
	w.marks["durable images checked"]++
	cfg := w.config()
	cfg.FS = image
	srv, err := server.Drive(cfg, w.wall())
	if err != nil {
		w.fail("Z12: the server does not start on what is durable: %v", err)
		return
	}
	w.durable = srv.Applied()
	if w.durable < stamp {
		w.fail("Z12: a reply stamped %v has left; what is durable ends at %v", stamp, w.durable)
	}
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

// pause stops the process for a while; bytes for it wait.
func (w *world) pause() {
	if w.srv == nil || w.pausedUntil > w.now {
		return
	}
	w.pausedUntil = w.now + int64(w.dice.log(float64(10*ms), float64(60*second)))
	w.note("the process is stopped for %d ms", (w.pausedUntil-w.now)/1000)
	w.marks["pause"]++
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
