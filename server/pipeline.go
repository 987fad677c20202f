package server

import (
	"sync"
	"sync/atomic"

	"paddock/wal"
	"paddock/wire"
	"paddock/zab"
)

// pipeline is how the stages of the write path share their goroutines.
//
//	loops ─▶ intake ─▶ sequence ─▶ toLog ─▶ log ─▶ logged ─▶ toApply ─▶ apply ─▶ rings, bells
//	                      └▶ made ──┘                  └ committed
//
// A stage has one owner at a time, and whoever is free runs whatever is ready: a lone write wakes one
// worker, which carries it through all of them; under load each stage has its own worker and takes all
// that gathered while it was busy. Nothing waits for a batch to become larger.
//
// A server alone goes straight through: what is durable is committed. In an ensemble a leader's works wait
// in made until they are proposed, and everybody's in logged until a quorum has them; a learner's requests
// go from the intake to apply, and the works of the log come from its leader (role.go, agree.go).
//
// Queues keep the order of the intake, so a session's requests stay in order through all stages.
type pipeline struct {
	mu   sync.Mutex
	cond sync.Cond

	intake  []*batch
	made    []*work // a leader's: sequenced, and not proposed yet
	toLog   []*work
	logged  []*work // durable, and not, or not wholly, given to apply
	marks   []mark  // by zxid
	toApply []step
	spare   []*work // done, to be used again

	role      role
	committed wire.Zxid // what is durable up to here may be applied
	released  wire.Zxid // up to here it was given to apply

	sequencing, logging, applying bool
	idle                          int // workers that wait
	queuedBytes                   int // of batches that are not answered: bounded
	requests                      int64
	closing                       bool
	failed                        error // the log failed, or the state diverged: nothing more is acknowledged (fsync-once)

	isFull atomic.Bool // over the bound: loops hold back
	stages stages
	done   sync.WaitGroup
	ended  chan struct{} // closed when the last worker is gone
}

// stages are the decisions; the pipeline only brings them their work. Each returns before it is called
// again.
type stages interface {
	sequence(w *work)                          // turns w's requests into transactions
	sequenced(last wire.Zxid, syncs []asking)  // of a leader: what was made up to last waits to be proposed, and syncs behind it
	commit(ws []*work) error                   // makes all of them durable with one sync
	settle(st *step, r role) ([]*batch, error) // applies, answers, rings; returns what was parked and is answered now
	roomAgain()                                // the pipeline was full, and is not any more
	idle(nowMS int64) error                    // the log is free, and nothing waits for it
	fatal(err error)                           // the log failed, or the state diverged
}

// workKind says what a work is made of.
type workKind uint8

const (
	workOwn     workKind = iota // requests, and the transactions that the sequencer made of them
	workForeign                 // transactions alone: a leader's, or those of a role that is over
	workAsked                   // requests alone: for a leader elsewhere, or for nobody
	workJob                     // something for the owner of the log
)

// work is what goes through the stages together.
type work struct {
	kind    workKind
	term    uint64 // of the role in which it began
	epoch   uint32 // of that role
	batches []*batch
	txns    *wal.Batch // the transactions, encoded once, in the order of the entries
	job     func() error
	applied wire.Zxid // of a foreign work that is applied in parts: up to here

	logged, loggedBytes int64 // what txns holds
}

// step is what the apply stage is given: a work, or a part of a foreign one, or something to call.
type step struct {
	w    *work
	upTo wire.Zxid
	last bool // nothing more of w comes
	call func()
}

// mark is something to do when apply has come to a zxid.
type mark struct {
	zxid wire.Zxid
	call func()
}

const (
	workers = 3 // one for each stage
	// maxQueuedBytes is where loops stop serving connections that write.
	maxQueuedBytes = 16 << 20
	keptWorks      = 8
	// endless is the committed position of a server that needs nobody's consent.
	endless = wire.Zxid(1<<63 - 1)
)

func newPipeline(s stages) *pipeline {
	p := &pipeline{stages: s, committed: endless, ended: make(chan struct{})}
	p.cond.L = &p.mu
	return p
}

func (p *pipeline) start() {
	for range workers {
		p.done.Add(1)
		go func() {
			defer p.done.Done()
			p.run()
		}()
	}
	go func() {
		p.done.Wait()
		close(p.ended)
	}()
}

// put hands a batch to the sequencer. It never waits: loops look at isFull and stop serving whoever
// writes. Loops call it, and whoever submits requests of our own.
func (p *pipeline) put(b *batch) {
	p.mu.Lock()
	p.intake = append(p.intake, b)
	p.queuedBytes += b.cost()
	p.requests += int64(len(b.entries))
	if p.queuedBytes > maxQueuedBytes {
		p.isFull.Store(true)
	}
	wake := p.idle > 0 && p.maySequence()
	p.mu.Unlock()
	if wake {
		p.cond.Signal()
	}
}

// seal gives an idle log the chance to seal itself. One goroutine calls it, now and then.
func (p *pipeline) seal(nowMS int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.logging || len(p.toLog) > 0 || p.failed != nil {
		return
	}
	p.logging = true
	p.unlock()
	err := p.stages.idle(nowMS)
	p.mu.Lock()
	p.logging = false
	if err != nil {
		p.fail(err)
	}
	if len(p.toLog) > 0 && p.idle > 0 {
		p.cond.Signal()
	}
}

func (p *pipeline) fail(err error) {
	p.failed = err
	p.cond.Broadcast()
	p.stages.fatal(err)
}

// run is a worker: it runs whatever stage is ready and free, the log first because it waits most.
func (p *pipeline) run() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.failed != nil:
			return
		case len(p.toLog) > 0 && !p.logging:
			p.runLog()
		case len(p.toApply) > 0 && !p.applying:
			p.runApply()
		case p.maySequence():
			p.runSequence()
		case p.closing && p.empty():
			p.cond.Broadcast()
			return
		default:
			p.idle++
			p.cond.Wait()
			p.idle--
		}
	}
}

// maySequence: a new leader's sequencer begins when all that was before is applied.
func (p *pipeline) maySequence() bool {
	return len(p.intake) > 0 && !p.sequencing && (p.role.kind != leading || p.role.open)
}

// empty: what is durable and never was committed stays behind, for the next start.
func (p *pipeline) empty() bool {
	return len(p.intake)+len(p.toLog)+len(p.toApply) == 0 && !p.sequencing && !p.logging && !p.applying
}

// unlock lets the others at the queues while a stage runs, and wakes one of them if there is more to do.
func (p *pipeline) unlock() {
	wake := p.idle > 0 && p.more()
	p.mu.Unlock()
	if wake {
		p.cond.Signal()
	}
}

func (p *pipeline) more() bool {
	return len(p.toLog) > 0 && !p.logging || len(p.toApply) > 0 && !p.applying || p.maySequence()
}

// wake has a worker look, after a queue was filled from outside.
func (p *pipeline) wake() {
	if p.idle > 0 && p.more() {
		p.cond.Signal()
	}
}

func (p *pipeline) runSequence() {
	w := p.takeSpare()
	w.term, w.epoch = p.role.term, p.role.epoch
	p.takeIntake(w)
	if !p.role.sequences() {
		w.kind = workAsked
		p.toApply = append(p.toApply, step{w: w, last: true})
		return
	}
	w.kind = workOwn
	p.sequencing = true
	p.unlock()
	p.stages.sequence(w)
	p.mu.Lock()
	switch {
	case w.term != p.role.term: // nobody will hear of it
		p.unmake(w)
	case p.role.kind == alone:
		p.toLog = append(p.toLog, w)
	default:
		p.hold(w)
	}
	p.sequencing = false
}

// hold keeps a leader's work until it is proposed. What has nothing to be proposed only keeps its place.
func (p *pipeline) hold(w *work) {
	last, syncs := w.txns.Last(), w.syncs()
	if last == 0 && len(p.made) == 0 {
		p.toLog = append(p.toLog, w)
	} else {
		p.made = append(p.made, w)
	}
	p.unlock()
	p.stages.sequenced(last, syncs) // w may be on its way already
	p.mu.Lock()
}

// takeIntake moves what waits for the sequencer into w, up to a batch that has to be the last of its work.
func (p *pipeline) takeIntake(w *work) {
	n := 0
	for n < len(p.intake) {
		n++
		if p.intake[n-1].endsWork {
			break
		}
	}
	w.batches = append(w.batches, p.intake[:n]...)
	rest := copy(p.intake, p.intake[n:])
	clear(p.intake[rest:])
	p.intake = p.intake[:rest]
}

// unmake forgets what the sequencer has made of a work. Its requests go to apply, which drops them.
func (p *pipeline) unmake(w *work) {
	w.kind = workAsked
	w.txns.Reset()
	p.toApply = append(p.toApply, step{w: w, last: true})
}

// asking is a sync that the ensemble is asked.
type asking struct {
	link  zab.Link // of the learner whose client asks
	token uint64   // of ours
}

// syncs returns the syncs of a work, which the sequencer has given their tokens.
func (w *work) syncs() (all []asking) {
	for _, b := range w.batches {
		if !b.syncs || b.term != w.term {
			continue
		}
		for i := range b.entries {
			if e := &b.entries[i]; e.kind == kindSync {
				all = append(all, asking{e.link, e.token})
			}
		}
	}
	return all
}

func (p *pipeline) runLog() {
	ws := p.takeToLog()
	p.logging = true
	p.unlock()
	var err error
	if ws[0].kind == workJob {
		err = ws[0].job()
	} else {
		err = p.stages.commit(ws)
	}
	p.mu.Lock()
	p.logging = false
	switch {
	case err != nil:
		p.fail(err)
		return
	case ws[0].kind == workJob:
		ws[0].job = nil
		p.giveBack(ws[0])
	default:
		p.durable(ws)
	}
	if p.toLog == nil {
		clear(ws)
		p.toLog = ws[:0]
	}
}

// takeToLog takes what can be committed together: a job stands alone.
func (p *pipeline) takeToLog() []*work {
	n := 0
	for n < len(p.toLog) && p.toLog[n].kind != workJob {
		n++
	}
	n = max(n, 1)
	if n == len(p.toLog) {
		ws := p.toLog
		p.toLog = nil
		return ws
	}
	ws := append([]*work(nil), p.toLog[:n]...)
	rest := copy(p.toLog, p.toLog[n:])
	clear(p.toLog[rest:])
	p.toLog = p.toLog[:rest]
	return ws
}

// durable has works wait for the consent of a quorum.
func (p *pipeline) durable(ws []*work) {
	for _, w := range ws {
		if w.kind == workOwn && w.term != p.role.term {
			p.strip(w)
		}
	}
	p.logged = append(p.logged, ws...)
	p.release()
}

// release gives to apply what is durable and committed. Own works go as a whole: their replies do.
func (p *pipeline) release() {
	n := 0
	for n < len(p.logged) && p.logged[n].txns.Last() <= p.committed {
		w := p.logged[n]
		p.released = max(p.released, w.txns.Last())
		p.toApply = append(p.toApply, step{w: w, upTo: w.txns.Last(), last: true})
		n++
	}
	rest := copy(p.logged, p.logged[n:])
	clear(p.logged[rest:])
	p.logged = p.logged[:rest]
	if rest > 0 && p.logged[0].kind == workForeign && p.logged[0].txns.First() <= p.committed && p.released < p.committed {
		p.released = p.committed
		p.toApply = append(p.toApply, step{w: p.logged[0], upTo: p.committed})
	}
	n = 0
	for n < len(p.marks) && p.marks[n].zxid <= p.released {
		p.toApply = append(p.toApply, step{call: p.marks[n].call})
		n++
	}
	rest = copy(p.marks, p.marks[n:])
	clear(p.marks[rest:])
	p.marks = p.marks[:rest]
}

func (p *pipeline) runApply() {
	steps := p.toApply
	p.toApply = nil
	p.applying = true
	r := p.role
	p.unlock()
	var (
		err      error
		answered []*batch
	)
	for i := 0; i < len(steps) && err == nil; i++ {
		var some []*batch
		some, err = p.stages.settle(&steps[i], r)
		answered = append(answered, some...)
	}
	p.mu.Lock()
	p.applying = false
	if err != nil {
		p.fail(err)
		return
	}
	for i := range steps {
		if steps[i].last {
			p.giveBack(steps[i].w)
		}
	}
	for _, b := range answered {
		p.forget(b)
	}
	if p.queuedBytes <= maxQueuedBytes/2 && p.isFull.Swap(false) {
		p.stages.roomAgain()
	}
	if p.toApply == nil {
		clear(steps)
		p.toApply = steps[:0]
	}
}

// outstanding returns the requests that are on their way.
func (p *pipeline) outstanding() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests
}

func (p *pipeline) takeSpare() *work {
	if n := len(p.spare); n > 0 {
		w := p.spare[n-1]
		p.spare = p.spare[:n-1]
		return w
	}
	return &work{txns: wal.NewBatch(64 << 10)}
}

// giveBack releases what a work held, but for batches with requests that are parked.
func (p *pipeline) giveBack(w *work) {
	for _, b := range w.batches {
		b.walked = true
		if b.parked == 0 {
			p.forget(b)
		}
	}
	clear(w.batches)
	w.batches = w.batches[:0]
	w.applied, w.logged, w.loggedBytes = 0, 0, 0
	if len(p.spare) < keptWorks {
		w.txns.Reset()
		p.spare = append(p.spare, w)
	}
}

// forget lets go of a batch of which every request is answered.
func (p *pipeline) forget(b *batch) {
	p.queuedBytes -= b.cost()
	p.requests -= int64(len(b.entries))
	b.release()
}

// close waits until everything that was put is settled, and ends the workers.
func (p *pipeline) close() error {
	p.mu.Lock()
	p.closing = true
	p.cond.Broadcast()
	p.mu.Unlock()
	<-p.ended
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed
}
