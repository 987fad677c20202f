package sim

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Options of a run.
type Options struct {
	Trace  io.Writer // every event, if it is not nil
	Mutant *Mutant   // a bug to be found

	Ensemble bool // of several servers; else one alone
}

// Report is what a run was.
type Report struct {
	Seed    uint64
	Hash    uint64 // of all events: equal for equal seeds
	Calls   int
	Txns    int
	Crashes int
	Virtual time.Duration
	Marks   map[string]int // how often things happened that are worth counting
	Err     error          // the promise that was broken
	Trace   []string       // the last events
}

// Run runs a seed.
func Run(seed uint64, o Options) Report {
	w := newWorld(seed, o)
	w.run()
	err := w.failure
	if err == nil {
		err = w.check()
	}
	return Report{
		Seed: seed, Hash: w.hash, Calls: len(w.history.calls), Txns: len(w.log), Crashes: w.marks["crash"],
		Virtual: time.Duration(w.now) * time.Microsecond, Marks: w.marks, Err: err,
		Trace: w.trace[max(0, len(w.trace)-traceLines):],
	}
}

// String says what went wrong, what happened before it, and how to see it again.
func (r Report) String() string {
	if r.Err == nil {
		return fmt.Sprintf("seed %d: %d calls, %d transactions, %d crashes, %v, hash %016x", r.Seed, r.Calls, r.Txns, r.Crashes, r.Virtual, r.Hash)
	}
	return fmt.Sprintf("%s\nseed %d: %v\nreplay: make sim SEED=%d", strings.Join(r.Trace, "\n"), r.Seed, r.Err, r.Seed)
}
