package server

import (
	"sync"
	"sync/atomic"

	"paddock/wal"
)

// pipeline is how the three stages of the write path share their goroutines.
//
//	loops ─▶ intake ─▶ sequence ─▶ toLog ─▶ log ─▶ toApply ─▶ apply ─▶ rings, bells
//
// A stage has one owner at a time, and whoever is free runs whatever is ready: a lone write wakes one
// worker, which carries it through all three; under load each stage has its own worker and takes all
// that gathered while it was busy. Nothing waits for a batch to become larger.
//
// Queues keep the order of the intake, so a session's requests stay in order through all stages.
type pipeline struct {
	mu   sync.Mutex
	cond sync.Cond

	intake  []*batch
	toLog   []*work
	toApply []*work
	spare   []*work // done, to be used again

	sequencing, logging, applying bool
	idle                          int // workers that wait
	queuedBytes                   int // in intake and works: bounded
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
	sequence(w *work)        // turns w's requests into transactions
	commit(ws []*work) error // makes all of them durable with one sync
	settle(w *work) error    // applies, answers, rings
	roomAgain()              // the pipeline was full, and is not any more
	idle(nowMS int64) error  // the log is free, and nothing waits for it
	fatal(err error)         // the log failed, or the state diverged
}

// work is what one run of the sequencer took, and what became of it.
type work struct {
	batches []*batch
	txns    *wal.Batch // the transactions, encoded once, in the order of the entries
	bytes   int        // of the batches, for the bound

	// What the sequencer put into txns; commit may put others behind it.
	logged, loggedBytes int64
}

const (
	workers = 3 // one for each stage
	// maxQueuedBytes is where loops stop serving connections that write.
	maxQueuedBytes = 16 << 20
	keptWorks      = 8
)

func newPipeline(s stages) *pipeline {
	p := &pipeline{stages: s, ended: make(chan struct{})}
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
	wake := p.idle > 0 && !p.sequencing
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
		case len(p.intake) > 0 && !p.sequencing:
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

func (p *pipeline) empty() bool {
	return len(p.intake)+len(p.toLog)+len(p.toApply) == 0 && !p.sequencing && !p.logging && !p.applying
}

// unlock lets the others at the queues while a stage runs, and wakes one of them if there is more to do.
func (p *pipeline) unlock() {
	more := len(p.toLog) > 0 && !p.logging ||
		len(p.toApply) > 0 && !p.applying ||
		len(p.intake) > 0 && !p.sequencing
	wake := more && p.idle > 0
	p.mu.Unlock()
	if wake {
		p.cond.Signal()
	}
}

func (p *pipeline) runSequence() {
	w := p.takeSpare()
	w.batches = append(w.batches, p.intake...)
	clear(p.intake)
	p.intake = p.intake[:0]
	for _, b := range w.batches {
		w.bytes += b.cost()
	}
	p.sequencing = true
	p.unlock()
	p.stages.sequence(w)
	p.mu.Lock()
	p.sequencing = false
	p.toLog = append(p.toLog, w)
}

func (p *pipeline) runLog() {
	ws := p.toLog
	p.toLog = nil
	p.logging = true
	p.unlock()
	err := p.stages.commit(ws)
	p.mu.Lock()
	p.logging = false
	if err != nil {
		p.fail(err)
		return
	}
	p.toApply = append(p.toApply, ws...)
	if p.toLog == nil {
		clear(ws)
		p.toLog = ws[:0]
	}
}

func (p *pipeline) runApply() {
	ws := p.toApply
	p.toApply = nil
	p.applying = true
	p.unlock()
	var err error
	for i := 0; i < len(ws) && err == nil; i++ {
		err = p.stages.settle(ws[i])
	}
	p.mu.Lock()
	p.applying = false
	if err != nil {
		p.fail(err)
		return
	}
	for _, w := range ws {
		p.queuedBytes -= w.bytes
		p.giveBack(w)
	}
	if p.queuedBytes <= maxQueuedBytes/2 && p.isFull.Swap(false) {
		p.stages.roomAgain()
	}
	if p.toApply == nil {
		clear(ws)
		p.toApply = ws[:0]
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

// giveBack releases what a work held.
func (p *pipeline) giveBack(w *work) {
	for _, b := range w.batches {
		p.requests -= int64(len(b.entries))
		b.release()
	}
	clear(w.batches)
	w.batches, w.bytes = w.batches[:0], 0
	if len(p.spare) < keptWorks {
		w.txns.Reset()
		p.spare = append(p.spare, w)
	}
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
