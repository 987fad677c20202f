package sim

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// PADDOCK_SIM_SEED=n replays one seed, PADDOCK_SIM_SEEDS=n (of ensembles PADDOCK_SIM_ENSEMBLES=n) runs so many (from PADDOCK_SIM_FIRST on), PADDOCK_SIM_TRACE=1 prints every event.

func env(t *testing.T, name string, def uint64) uint64 {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return def
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestSeeds runs the fixed seeds of a server alone, some of them twice: two runs of a seed are the same event
// for event.
func TestSeeds(t *testing.T) {
	s := runSeeds(t, "PADDOCK_SIM_SEEDS", 30, Options{})
	t.Log(s)
}

// TestEnsembles does the same with ensembles, each for ten virtual minutes.
func TestEnsembles(t *testing.T) {
	began := time.Now()
	s := runSeeds(t, "PADDOCK_SIM_ENSEMBLES", 8, Options{Ensemble: true})
	t.Logf("%v, %.0f times as fast as real time", s, float64(s.virtual)/float64(time.Since(began)))
	if s.seeds < 300 {
		return
	}
	for _, branch := range rareBranches {
		if s.marks[branch] == 0 {
			t.Errorf("in %d seeds this has never happened: %s", s.seeds, branch)
		}
	}
}

// rareBranches are what ensembles must come to in 300 seeds.
var rareBranches = []string{
	"DIFF sent", "SNAP installed", "SNAP dropped", "TRUNC done", "bridge", "isolation", "split", "one-way partition",
	"crash in mid-step", "power cut", "pause", "link cut", "resigns", "log damaged", "starts with a damaged disk",
	"starts with an uncommitted tail", "the ensemble is new", "session asked for, it lives true",
	"session asked for, it lives false", "session expired", "session taken up again", "sync forwarded",
	"refused: the session has moved", "told expired", "snapshot", "event of setWatches",
	"container or TTL node removed", "ephemeral removed with its session",
}

// sums of many runs.
type sums struct {
	mu                            sync.Mutex
	first, seeds                  uint64
	calls, txns, crashes, doubled int
	virtual                       time.Duration
	marks                         map[string]int
}

func (s *sums) String() string {
	return fmt.Sprintf("seeds %d to %d (%d of them twice): %d calls, %d transactions, %d crashes, %.2f virtual hours; %s",
		s.first, s.first+s.seeds-1, s.doubled, s.calls, s.txns, s.crashes, s.virtual.Hours(), summary(s.marks))
}

func (s *sums) add(r *Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls, s.txns, s.crashes, s.virtual = s.calls+r.Calls, s.txns+r.Txns, s.crashes+r.Crashes, s.virtual+r.Virtual
	for k, n := range r.Marks { // order-free
		s.marks[k] += n
	}
}

func runSeeds(t *testing.T, count string, def uint64, o Options) *sums {
	t.Helper()
	s := &sums{first: env(t, "PADDOCK_SIM_FIRST", 1), seeds: env(t, count, def), marks: map[string]int{}}
	if seed := env(t, "PADDOCK_SIM_SEED", 0); seed != 0 {
		s.first, s.seeds = seed, 1
	}
	if os.Getenv("PADDOCK_SIM_TRACE") != "" {
		o.Trace = os.Stderr
	}
	var next atomic.Uint64
	next.Store(s.first)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for !t.Failed() {
				seed := next.Add(1) - 1
				if seed >= s.first+s.seeds {
					return
				}
				r := Run(seed, o)
				if r.Err != nil {
					t.Errorf("\n%v", r)
					return
				}
				if seed%20 == 1 {
					s.again(t, seed, o, r.Hash)
				}
				s.add(&r)
			}
		})
	}
	workers.Wait()
	return s
}

func (s *sums) again(t *testing.T, seed uint64, o Options, hash uint64) {
	o.Trace = nil
	if again := Run(seed, o); again.Hash != hash {
		t.Errorf("seed %d: two runs have hashes %016x and %016x: there is chance that is not the seed's", seed, hash, again.Hash)
	}
	s.mu.Lock()
	s.doubled++
	s.mu.Unlock()
}
