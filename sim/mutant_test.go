package sim

import (
	"os"
	"strings"
	"testing"
)

// Every mutant is found, by a promise that it breaks, within its seeds. PADDOCK_SIM_SEEDS and a fixed
// seed are for TestSeeds alone.
func TestMutantsAreFound(t *testing.T) {
	if os.Getenv("PADDOCK_SIM_SEED") != "" {
		t.Skip("one seed is replayed")
	}
	for i := range Mutants {
		m := &Mutants[i]
		t.Run(strings.ReplaceAll(m.Name, " ", "_"), func(t *testing.T) {
			for seed := uint64(1); seed <= uint64(m.Seeds); seed++ {
				r := Run(seed, Options{Mutant: m, Ensemble: m.ensemble})
				if r.Err == nil {
					continue
				}
				line, _, _ := strings.Cut(r.Err.Error(), "\n")
				if !m.breaks(r.Err) {
					t.Fatalf("seed %d: found by another promise than %s: %v", seed, m.Breaks, line)
				}
				t.Logf("found by seed %d: %.160s", seed, line)
				return
			}
			t.Errorf("not found by %d seeds", m.Seeds)
		})
	}
}
