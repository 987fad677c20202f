package sim

import (
	"os"
	"strconv"
	"testing"
	"time"
)

// PADDOCK_SIM_SEED=n replays one seed, PADDOCK_SIM_SEEDS=n runs so many (from PADDOCK_SIM_FIRST on), PADDOCK_SIM_TRACE=1 prints every event.

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

func options(t *testing.T) Options {
	t.Helper()
	if os.Getenv("PADDOCK_SIM_TRACE") != "" {
		return Options{Trace: os.Stderr}
	}
	return Options{}
}

// TestSeeds runs the fixed seeds, some of them twice: two runs of a seed are the same event for event.
func TestSeeds(t *testing.T) {
	firstSeed, n := env(t, "PADDOCK_SIM_FIRST", 1), env(t, "PADDOCK_SIM_SEEDS", 30)
	if seed := env(t, "PADDOCK_SIM_SEED", 0); seed != 0 {
		firstSeed, n = seed, 1
	}
	var calls, txns, crashes int
	var virtual time.Duration
	marks := map[string]int{}
	for seed := firstSeed; seed < firstSeed+n; seed++ {
		r := Run(seed, options(t))
		if r.Err != nil {
			t.Fatalf("\n%v", r)
		}
		if seed%10 == 1 {
			if again := Run(seed, Options{}); again.Hash != r.Hash {
				t.Fatalf("seed %d: two runs have hashes %016x and %016x: there is chance that is not the seed's", seed, r.Hash, again.Hash)
			}
		}
		calls, txns, crashes, virtual = calls+r.Calls, txns+r.Txns, crashes+r.Crashes, virtual+r.Virtual
		for k, c := range r.Marks {
			marks[k] += c
		}
	}
	t.Logf("seeds %d to %d: %d calls, %d transactions, %d crashes, %.2f virtual hours", firstSeed, firstSeed+n-1, calls, txns, crashes, virtual.Hours())
	t.Log(summary(marks))
}
