package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"paddock/wire"
)

// Run is "paddock bench" with the words behind it: results go to stdout, progress to stderr. It ends
// early, with what it has, when ctx does.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == ceilingWord {
		return runCeiling(ctx, args[1:], stdout, stderr)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	o, helped, err := parse(args, stdout)
	if helped || err != nil {
		return err
	}
	if o.Quiet {
		stderr = io.Discard
	}
	res, err := Measure(ctx, o, stderr)
	if err != nil {
		return err
	}
	if o.JSON {
		err = res.WriteJSON(stdout)
	} else {
		err = res.WriteText(stdout)
	}
	if err == nil && len(res.Lost) > 0 {
		err = fmt.Errorf("bench: %d connections lost, the first: %s", len(res.Lost), res.Lost[0])
	}
	return err
}

// Measure puts the load of o on its targets and returns what came of it. Progress lines go to w. An
// error means that there is no result; lost connections and refused requests are part of one.
func Measure(ctx context.Context, o Options, w io.Writer) (*Result, error) {
	if err := o.normalise(); err != nil {
		return nil, UsageError{fmt.Errorf("bench: %w", err)}
	}
	r := &runner{o: o, clock: clock{time.Now()}, progressTo: w}
	defer context.AfterFunc(ctx, func() { r.stop.Store(true) })()
	defer r.close()
	if err := r.connect(); err != nil {
		return nil, err
	}
	if err := r.setup(); err != nil {
		return nil, fmt.Errorf("bench: setup: %w", err)
	}
	res, err := r.measure()
	if err != nil {
		return nil, err
	}
	if !o.Keep {
		r.stop.Store(false)
		if err := r.cleanup(); err != nil {
			fmt.Fprintf(w, "bench: cleanup: %v\n", err)
		}
	}
	r.closeSessions()
	return res, nil
}

// runner is one run: its loops, and the phases that they go through together.
type runner struct {
	o          Options
	clock      clock
	loops      []*loop
	stop       atomic.Bool
	progressTo io.Writer
	made       uint32 // numbers of nodes below n that may exist end here
}

// Phases besides the measured one.
const (
	setupWindow   = 64 // requests outstanding on each connection
	setupDuration = 30 * time.Minute
	drainDuration = 10 * time.Second
)

// connect opens the connections, some at a time, and deals them out.
func (r *runner) connect() error {
	n, loops := r.o.Conns, r.o.Loops
	if r.o.Op == opWatch { // the first one writes; and one loop knows when all were told
		n, loops = r.o.Watchers+1, 1
	}
	conns, err := r.dialAll(n)
	for i := 0; err == nil && i < loops; i++ {
		var l *loop
		if l, err = newLoop(r.clock, &r.stop, r.o.SessionTimeout); err == nil {
			r.loops = append(r.loops, l)
		}
	}
	for i, c := range conns {
		if c != nil && err == nil {
			err = r.loops[i%loops].add(c)
		}
	}
	return err
}

func (r *runner) dialAll(n int) ([]*conn, error) {
	const atOnce = 16
	conns, errs := make([]*conn, n), make([]error, atOnce)
	var next atomic.Int64
	var wg sync.WaitGroup
	for w := range atOnce {
		wg.Go(func() {
			for errs[w] == nil && !r.stop.Load() {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				target := r.o.Targets[i%len(r.o.Targets)]
				conns[i], errs[w] = dial(target, r.o.SessionTimeout, r.o.Outstanding)
			}
		})
	}
	wg.Wait()
	if r.stop.Load() {
		errs[0] = context.Canceled
	}
	for _, err := range errs {
		if err != nil { // one will do: the others say the same
			return conns, fmt.Errorf("%w (%d connections wanted; does maxClientCnxns allow so many from one address?)", err, n)
		}
	}
	return conns, nil
}

// close closes the sockets, whatever happened.
func (r *runner) close() {
	for _, l := range r.loops {
		l.close()
	}
}

// each runs a phase on every loop and waits for all.
func (r *runner) each(phaseOf func(i int) *phase) error {
	errs := make([]error, len(r.loops))
	var wg sync.WaitGroup
	for i, l := range r.loops {
		p := phaseOf(i)
		if p == nil {
			continue
		}
		wg.Go(func() { errs[i] = l.run(p) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// walk sends t once for each number below n, shared among the loops, and returns how often each code
// came that is not OK. below is that of the walk.
func (r *runner) walk(t template, n, below int) (refused map[wire.Code]int64, err error) {
	start := r.clock.now()
	recs := make([]*recorder, len(r.loops))
	err = r.each(func(i int) *phase {
		recs[i] = newRecorder(start, 1<<62)
		return &phase{
			source: &walk{template: t, ids: ids{uint32(i), uint32(len(r.loops)), uint32(n)}, below: uint32(below)},
			rec:    recs[i], left: unlimited, window: setupWindow,
			until: start + int64(setupDuration), drainFor: int64(drainDuration),
		}
	})
	refused = map[wire.Code]int64{}
	for i, l := range r.loops {
		for code, n := range recs[i].errors {
			if n > 0 {
				refused[wire.Code(-code)] += n
			}
		}
		if err == nil && len(l.lost) > 0 {
			err = l.lost[0]
		}
	}
	if err == nil && r.stop.Load() {
		err = context.Canceled
	}
	return refused, err
}

// create makes nodes 0 to n-1 of a path. What is there already gets the data of this run.
func (r *runner) create(path string, data []byte, n, below int) error {
	refused, err := r.walk(createTemplate(path, data, wire.FlagsPersistent), n, below)
	if err == nil && refused[wire.NodeExists] > 0 && data != nil {
		delete(refused, wire.NodeExists)
		refused, err = r.walk(setTemplate(path, data), n, below)
	}
	delete(refused, wire.NodeExists)
	for code, times := range refused {
		err = errors.Join(err, fmt.Errorf("%s: %v, %d times", path, code, times))
	}
	return err
}

// setup makes the nodes that the run needs.
func (r *runner) setup() error {
	n, data := names{r.o.Root}, value(r.o.ValueBytes)
	shares, _ := r.o.shares()
	for _, dir := range n.dirs() {
		if err := r.create(dir, nil, 1, 0); err != nil {
			return err
		}
	}
	if r.o.Op == opWatch {
		return r.create(n.watched(), data, 1, 0)
	}
	if shares[kindGet]+shares[kindExists]+shares[kindSet]+shares[kindMulti] > 0 {
		if err := r.create(n.key(), data, r.o.Keys, 0); err != nil {
			return err
		}
	}
	if shares[kindChildren] > 0 {
		if err := r.create(n.parent(), data, r.o.Keys, 0); err != nil {
			return err
		}
		if err := r.create(n.child(), data, r.o.Keys*r.o.Children, r.o.Children); err != nil {
			return err
		}
	}
	if shares[kindDelete] > 0 {
		r.made = uint32(r.o.deletable())
		return r.create(n.fresh(), data, int(r.made), 0)
	}
	return nil
}

// cleanup takes away what setup and the run have made. A node that is not there is fine, and one that
// somebody else has put children under stays.
func (r *runner) cleanup() error {
	n := names{r.o.Root}
	shares, _ := r.o.shares()
	remove := func(path string, n, below int) error {
		_, err := r.walk(deleteTemplate(path), n, below)
		return err
	}
	err := remove(n.watched(), 1, 0)
	if err == nil && r.made > 0 {
		err = remove(n.fresh(), int(r.made), 0)
	}
	if err == nil && shares[kindChildren] > 0 {
		err = errors.Join(remove(n.child(), r.o.Keys*r.o.Children, r.o.Children), remove(n.parent(), r.o.Keys, 0))
	}
	if err == nil {
		err = remove(n.key(), r.o.Keys, 0)
	}
	dirs := n.dirs()
	for i := len(dirs) - 1; i >= 0 && err == nil; i-- {
		err = remove(dirs[i], 1, 0)
	}
	return err
}

// measure is the phase that all is about: warm-up and window.
func (r *runner) measure() (*Result, error) {
	start := r.clock.now()
	from := start + int64(r.o.Warmup)
	to := from + int64(r.o.Duration)
	phases := make([]*phase, len(r.loops))
	mixes := make([]*mix, len(r.loops))
	for i, l := range r.loops {
		l.lost = nil
		phases[i] = &phase{
			rec: newRecorder(from, to), until: to, drainFor: int64(drainDuration),
			window: r.o.Outstanding, left: share(r.o.Count, i, len(r.loops)),
		}
		if err := r.load(phases[i], &mixes[i], i, start, to); err != nil {
			return nil, err
		}
	}
	done := make(chan error, 1)
	go func() { done <- r.each(func(i int) *phase { return phases[i] }) }()
	samples, err := r.follow(done, from, to)
	if err != nil {
		return nil, err
	}
	for _, m := range mixes {
		if m != nil {
			r.made = max(r.made, min(m.fresh.next, maxIDs))
		}
	}
	return r.result(from, to, samples), nil
}

// share is the part of loop i in a count of requests; unlimited where there is no count.
func share(count int64, i, loops int) int64 {
	if count == 0 {
		return unlimited
	}
	n := count / int64(loops)
	if int64(i) < count%int64(loops) {
		n++
	}
	return n
}

// load says what loop i sends in the measured phase.
func (r *runner) load(p *phase, m **mix, i int, start, to int64) (err error) {
	if r.o.Op == opWatch {
		p.fan, p.rec.watches = newFanout(&r.o), true
		return nil
	}
	if *m, err = newMix(&r.o, i, len(r.loops)); err != nil {
		return err
	}
	p.source = *m
	if r.o.Rate > 0 {
		s := newSchedule(start, to, r.o.Rate, i, len(r.loops))
		p.rate = &s
	}
	return nil
}

// follow waits for the phase to end, prints a line each second, and samples both ends of the window.
func (r *runner) follow(done <-chan error, from, to int64) (samples [2]sample, err error) {
	begin := time.NewTimer(time.Duration(from - r.clock.now()))
	end := time.NewTimer(time.Duration(to - r.clock.now()))
	second := time.NewTicker(time.Second)
	defer func() { begin.Stop(); end.Stop(); second.Stop() }()
	if samples[0], err = takeSample(r.o.PID); err != nil {
		r.stop.Store(true)
		return samples, errors.Join(err, <-done)
	}
	ended := false
	lines := progressLines{to: r.progressTo, before: r.clock.now(), from: from}
	for {
		select {
		case <-begin.C:
			samples[0], err = takeSample(r.o.PID)
		case <-end.C:
			samples[1], err = takeSample(r.o.PID)
			ended = true
		case <-second.C:
			lines.print(r.clock.now(), r.loops)
		case err := <-done:
			if err == nil && !ended {
				samples[1], err = takeSample(r.o.PID)
			}
			return samples, err
		}
		if err != nil {
			r.stop.Store(true)
			return samples, errors.Join(err, <-done)
		}
	}
}

// result puts the figures together. A run that ended before its window did ended with its last answer.
func (r *runner) result(from, to int64, samples [2]sample) *Result {
	last := from
	early := false
	for _, l := range r.loops {
		last = max(last, l.rec.last)
		early = early || l.dry || l.alive == 0 || r.stop.Load()
	}
	if early {
		to = min(to, max(last, from+1))
	}
	res := &Result{Load: r.o.describe(), Targets: r.o.Targets, Seconds: float64(to-from) / 1e9}
	res.collect(r.loops)
	res.PerSecond = float64(res.Ops) / res.Seconds
	res.Generator = newUsage(samples[0].own, samples[1].own, res.Ops, res.Seconds)
	if len(r.o.PID) > 0 {
		u := newUsage(samples[0].servers, samples[1].servers, res.Ops, res.Seconds)
		res.Server = &u
	}
	return res
}

// describe says the load in a line.
func (o *Options) describe() string {
	if o.Op == opWatch {
		how := "persistent"
		if o.Rearm {
			how = "one-time"
		}
		return fmt.Sprintf("watch, %d watchers of one node (%s), %d B", o.Watchers, how, o.ValueBytes)
	}
	s := fmt.Sprintf("%s, %d×%d, %d B, %d keys", o.Op, o.Conns, o.Outstanding, o.ValueBytes, o.Keys)
	if o.Op == opMixed {
		s = fmt.Sprintf("%s (%.0f %% reads)", s, 100*o.ReadShare)
	}
	if o.Rate > 0 {
		s = fmt.Sprintf("%s, open loop at %s /s", s, thousands(o.Rate))
	}
	return s
}

// closeSessions ends the sessions, so that the server need not expire them, and gives it a moment to.
func (r *runner) closeSessions() {
	r.each(func(i int) *phase {
		l := r.loops[i]
		for _, c := range l.conns {
			c.closing = true
		}
		bye := newTemplate(kindArm, wire.OpCloseSession, func(dst []byte) []byte { return dst })
		return &phase{ // the window is filled once before any answer comes: one for each connection
			source: &walk{template: bye, ids: ids{0, 1, uint32(l.alive)}}, rec: newRecorder(0, 0), left: unlimited,
			window: 1, until: r.clock.now() + int64(time.Second), drainFor: int64(time.Second),
		}
	})
}

// progressLines prints what happened since the line before.
type progressLines struct {
	to           io.Writer
	from, before int64
	answered     int64
	errors       int64
	latencySum   int64
}

func (p *progressLines) print(now int64, loops []*loop) {
	var answered, errs, sum, longest int64
	for _, l := range loops {
		answered += l.progress.answered.Load()
		errs += l.progress.errors.Load()
		sum += l.progress.latencySum.Load()
		longest = max(longest, l.progress.latencyMax.Swap(0))
	}
	n := answered - p.answered
	when := "warm-up"
	if p.before >= p.from {
		when = fmt.Sprintf("%6.1fs", float64(now-p.from)/1e9)
	}
	fmt.Fprintf(p.to, "%7s  %11s /s  mean %s  max %s  errors %d\n", when, thousands(float64(n)/(float64(now-p.before)/1e9)),
		duration(float64(sum-p.latencySum)/1e3/float64(max(n, 1))), duration(float64(longest)/1e3), errs-p.errors)
	p.before, p.answered, p.errors, p.latencySum = now, answered, errs, sum
}
