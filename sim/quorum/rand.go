package quorum

import (
	"math"
	"math/rand/v2"
)

// dice is the one source of chance of a run.
type dice struct{ *rand.Rand }

func newDice(seed uint64) dice { return dice{rand.New(rand.NewPCG(seed, 0x71756f72))} }

// chance is true that often.
func (d dice) chance(p float64) bool { return d.Float64() < p }

// between is uniform, both ends included.
func (d dice) between(lo, hi int) int { return lo + d.IntN(hi-lo+1) }

// log is uniform in the logarithm: as often between 1 and 10 as between 10 and 100.
func (d dice) log(lo, hi float64) float64 {
	return math.Exp(math.Log(lo) + d.Float64()*(math.Log(hi)-math.Log(lo)))
}

// around is a time with that mean and a long tail, at least 1.
func (d dice) around(mean int64) int64 { return 1 + int64(d.ExpFloat64()*float64(mean)) }
