package quorum

import (
	"fmt"
	"os"
	"strconv"
	"strings"
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

func options() Options {
	if os.Getenv("PADDOCK_SIM_TRACE") != "" {
		return Options{Trace: os.Stderr}
	}
	return Options{}
}

const fixedSeeds = 100

// TestSeeds runs the fixed seeds, some of them twice: two runs of a seed are the same event for event.
// All rare branches have to be seen.
func TestSeeds(t *testing.T) {
	firstSeed, n := env(t, "PADDOCK_SIM_FIRST", 1), env(t, "PADDOCK_SIM_SEEDS", fixedSeeds)
	if seed := env(t, "PADDOCK_SIM_SEED", 0); seed != 0 {
		firstSeed, n = seed, 1
	}
	var txns, epochs, crashes int
	var virtual, vacant, settled time.Duration
	var marks [numMarks]int
	began := time.Now()
	for seed := firstSeed; seed < firstSeed+n; seed++ {
		r := Run(seed, options())
		if r.Err != nil {
			t.Fatalf("\n%v", r)
		}
		if seed%20 == 1 {
			if again := Run(seed, Options{}); again.Hash != r.Hash {
				t.Fatalf("seed %d: two runs have hashes %016x and %016x: there is chance that is not the seed's", seed, r.Hash, again.Hash)
			}
		}
		txns, epochs, crashes, virtual = txns+r.Txns, epochs+r.Epochs, crashes+r.Crashes, virtual+r.Virtual
		vacant, settled = vacant+r.Vacant, settled+r.Settled
		for m, c := range r.Marks {
			marks[m] += c
		}
	}
	t.Logf("seeds %d to %d: %d transactions, %d leaders, %d crashes, %.2f virtual hours, %.0f times as fast as time",
		firstSeed, firstSeed+n-1, txns, epochs, crashes, virtual.Hours(), virtual.Seconds()/time.Since(began).Seconds())
	t.Logf("nobody led for %.1f %% of the time; without faults an ensemble took %v", 100*vacant.Seconds()/(virtual-settled).Seconds(), (settled / time.Duration(n)).Round(time.Millisecond))
	t.Log(table(marks))
	for m, c := range marks {
		if c == 0 && n >= fixedSeeds {
			t.Errorf("never happened: %v", mark(m))
		}
	}
}

func table(marks [numMarks]int) string {
	var b strings.Builder
	b.WriteString("what happened, and how often:\n")
	for m, c := range marks {
		fmt.Fprintf(&b, "%8d %v\n", c, mark(m))
	}
	return b.String()
}

func TestListsAreEqualWhereTheyAreOnePointer(t *testing.T) {
	f := newForest()
	long := f.root
	var all []*txn
	for i := range 300 {
		long = f.extend(long, zxid(1, i+1), uint64(i))
		all = append(all, long)
	}
	again := f.root
	for i := range 300 {
		again = f.extend(again, zxid(1, i+1), uint64(i))
	}
	if again != long {
		t.Error("one list, made twice, is two pointers")
	}
	for i, x := range all {
		if got := long.at(i + 1); got != x {
			t.Fatalf("the first %d: got %v, want %v", i+1, got, x)
		}
		if got := long.find(zxid(1, i+1)); got != x {
			t.Fatalf("find %v: got %v", x.zxid, got)
		}
	}
	other := f.extend(all[99], zxid(2, 1), 0)
	if got := common(other, long); got != all[99] {
		t.Errorf("common: got %v, want %v", got, all[99])
	}
	if got := other.floor(zxid(1, 500)); got != all[99] {
		t.Errorf("floor: got %v, want %v", got, all[99])
	}
	if long.has(other) || !long.has(all[99]) {
		t.Error("has is wrong")
	}
	if got := len(other.between(all[90])); got != 10 {
		t.Errorf("between: got %d transactions, want 10", got)
	}
}
