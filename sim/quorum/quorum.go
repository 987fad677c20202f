package quorum

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
}

// Report is what a run was.
type Report struct {
	Seed    uint64
	Hash    uint64 // of all events: equal for equal seeds
	Txns    int    // chosen
	Epochs  int    // that had a leader
	Crashes int
	Virtual time.Duration
	Vacant  time.Duration // in which nobody led, while things broke
	Settled time.Duration // from then on until all were one ensemble
	Marks   [numMarks]int
	Err     error // the promise that was broken
	Trace   []string
}

// Run runs a seed.
func Run(seed uint64, o Options) Report {
	w := newWorld(seed, o)
	w.run()
	r := Report{
		Seed: seed, Hash: w.hash, Txns: w.ghost.chosen.n, Epochs: len(w.ghost.led), Crashes: w.crashes,
		Virtual: time.Duration(w.now) * time.Microsecond, Vacant: time.Duration(w.vacant) * time.Microsecond,
		Settled: time.Duration(w.now-w.calmAt) * time.Microsecond, Marks: w.marks, Err: w.failure,
	}
	if r.Err != nil {
		r.Trace = append(w.tail(), w.states())
	}
	return r
}

// String says what went wrong, what happened before it, and how to see it again.
func (r Report) String() string {
	if r.Err == nil {
		return fmt.Sprintf("seed %d: %d transactions, %d epochs, %d crashes, %v, hash %016x", r.Seed, r.Txns, r.Epochs, r.Crashes, r.Virtual, r.Hash)
	}
	return fmt.Sprintf("%s\nseed %d: %v\nreplay: make sim SEED=%d", strings.Join(r.Trace, "\n"), r.Seed, r.Err, r.Seed)
}
