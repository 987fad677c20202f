package quorum

import (
	"strings"

	"paddock/zab"
)

// Mutant is a bug that a server of this protocol has had, built in again for one run. Those of the machine
// are in zab/defects.go; the others are bugs of its runner.
type Mutant struct {
	Name   string
	Breaks string // how the messages of the promises it breaks begin, separated by spaces
	Seeds  int    // it must be found within so many

	defects []zab.Defect
	plan    func(*plan)
	runner  runnerBug
}

// Mutants are all of them. A bug that the machine itself notices panics: that counts, for a server that
// stops has told nobody a lie.
var Mutants = []Mutant{
	{defects: []zab.Defect{zab.CommittedInVote}, Breaks: "Z12", Seeds: 20},
	{defects: []zab.Defect{zab.ShorterWins}, Breaks: "Z10 Z11", Seeds: 200},
	{defects: []zab.Defect{zab.EarlierEpochWins}, Breaks: "Z10 Z11", Seeds: 1000},
	{defects: []zab.Defect{zab.EpochUnsynced}, Breaks: "Z12", Seeds: 20},
	{defects: []zab.Defect{zab.CountsItselfEarly}, Breaks: "Z11", Seeds: 50},
	{defects: []zab.Defect{zab.VoterCountedTwice}, Breaks: "Z10 Z11", Seeds: 100},
	{defects: []zab.Defect{zab.ObserverCounted}, Breaks: "Z10 Z11", Seeds: 100},
	{defects: []zab.Defect{zab.CommitsOutOfOrder}, Breaks: "Z11 Z13", Seeds: 200},
	{defects: []zab.Defect{zab.ServesEarly}, Breaks: "Z10", Seeds: 20},
	{defects: []zab.Defect{zab.AheadAccepted}, Breaks: "Z10 Z11 J-10", Seeds: 1000},
	{defects: []zab.Defect{zab.DiffForTrunc}, Breaks: "I-10 Z4", Seeds: 100},
	{defects: []zab.Defect{zab.DiffHole}, Breaks: "Z7", Seeds: 50},
	{defects: []zab.Defect{zab.SyncWithoutQuorum}, Breaks: "S5", Seeds: 1000},
	{defects: []zab.Defect{zab.NewLeaderUnsynced}, Breaks: "Z12", Seeds: 50},
	{defects: []zab.Defect{zab.EpochBeforeHistory}, Breaks: "Z12", Seeds: 50},
	{defects: []zab.Defect{zab.EpochUnsaved}, Breaks: "Z12", Seeds: 20},
	{defects: []zab.Defect{zab.AckUnsynced}, Breaks: "Z12", Seeds: 20},
	{defects: []zab.Defect{zab.TruncUnsynced}, Breaks: "Z12 Z11 panic", Seeds: 100},
	{defects: []zab.Defect{zab.DiffAdvances}, Breaks: "Z12", Seeds: 200},
	{defects: []zab.Defect{zab.SnapReused}, Breaks: "Z12 Z11 Z4", Seeds: 200},
	{defects: []zab.Defect{zab.OldEpochFollowed}, Breaks: "Z2 Z12 panic", Seeds: 500},
	{Name: "installs a snapshot, and then logs what was kept behind it", runner: installInSteps, Breaks: "Z11", Seeds: 2000},
}

func init() {
	for i := range Mutants {
		if Mutants[i].Name == "" {
			Mutants[i].Name = string(Mutants[i].defects[0])
		}
	}
}

type runnerBug int

const (
	noBug          runnerBug = iota
	installInSteps           // a crash may find the snapshot, and not what was kept behind it
)

func (w *world) runnerHas(b runnerBug) bool { return w.opts.Mutant != nil && w.opts.Mutant.runner == b }

func (w *world) defects() []zab.Defect {
	if w.opts.Mutant == nil {
		return nil
	}
	return w.opts.Mutant.defects
}

// breaks says whether an error is one that the mutant is to be found by.
func (m *Mutant) breaks(err error) bool {
	for _, name := range strings.Fields(m.Breaks) {
		if strings.HasPrefix(err.Error(), name) {
			return true
		}
	}
	return false
}
