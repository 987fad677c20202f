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

// Mutants are all of them. A bug that the machine itself notices panics: that does not count here.
//
// A wrong election alone breaks nothing but liveness (J-14): discovery refuses to follow who is behind. So
// it is there a second time, with a leader that refuses nobody.
var Mutants = []Mutant{
	{defects: []zab.Defect{zab.CommittedInVote}, Breaks: "Z12", Seeds: 20},
	{defects: []zab.Defect{zab.ShorterWins}, Breaks: "J-14", Seeds: 50},
	{defects: []zab.Defect{zab.EarlierEpochWins}, Breaks: "J-14", Seeds: 400},
	{defects: []zab.Defect{zab.AheadAccepted, zab.ShorterWins}, Breaks: "Z10 Z12 I-10", Seeds: 50},
	{defects: []zab.Defect{zab.EpochUnsynced}, Breaks: "Z12", Seeds: 20},
	{defects: []zab.Defect{zab.CountsItselfEarly}, Breaks: "Z11", Seeds: 20},
	{defects: []zab.Defect{zab.VoterCountedTwice}, Breaks: "Z10 Z11", Seeds: 20},
	{defects: []zab.Defect{zab.ObserverCounted}, Breaks: "Z10 Z11 Z15", Seeds: 20},
	{defects: []zab.Defect{zab.CommitsOutOfOrder}, Breaks: "Z7 Z13", Seeds: 20},
	{defects: []zab.Defect{zab.ServesEarly}, Breaks: "Z10", Seeds: 20},
	{defects: []zab.Defect{zab.DiffForTrunc}, Breaks: "Z7 I-10", Seeds: 50},
	{defects: []zab.Defect{zab.DiffHole}, Breaks: "Z7", Seeds: 20},
	{defects: []zab.Defect{zab.HoleAccepted}, Breaks: "Z3 Z4", Seeds: 50, plan: holes},
	{defects: []zab.Defect{zab.SyncWithoutQuorum}, Breaks: "S5", Seeds: 100, plan: deposed},
	{defects: []zab.Defect{zab.NewLeaderUnsynced}, Breaks: "Z12", Seeds: 20},
	{defects: []zab.Defect{zab.EpochBeforeHistory}, Breaks: "Z12", Seeds: 20},
	{defects: []zab.Defect{zab.EpochUnsaved}, Breaks: "Z12", Seeds: 20},
	{defects: []zab.Defect{zab.AckUnsynced}, Breaks: "Z12", Seeds: 20},
	{defects: []zab.Defect{zab.TruncUnsynced}, Breaks: "Z12", Seeds: 100},
	{defects: []zab.Defect{zab.DiffAdvances}, Breaks: "Z12", Seeds: 50},
	{defects: []zab.Defect{zab.SnapReused}, Breaks: "Z12", Seeds: 200},
	{Name: "installs a snapshot, and then logs what was kept behind it", runner: installInSteps, Breaks: "Z11 Z10", Seeds: 1000, plan: snapshots},
	{defects: []zab.Defect{zab.HoleVotes}, Breaks: "Z10 Z11 Z5", Seeds: 200, plan: damaged},
	{Name: "purges its log and does not tell the machine", runner: purgesInSilence, Breaks: "J-7", Seeds: 100, plan: purging},
}

// holes makes what is rare frequent: streams with holes.
func holes(p *plan) { p.holes = 0.1 }

// deposed makes frequent: leaders that wake up with their clients, long after another took their place.
func deposed(p *plan) {
	p.voters, p.crashEvery, p.partEvery, p.cutEvery, p.pauseEvery, p.pauseLength = 3, 0, 0, 0, second, 3*second
	p.tickMS, p.beat, p.syncTicks, p.syncGap, p.writeGap, p.writes = 200, 50*ms, 4, 5*ms, 10*ms, 3000
	p.anywhere, p.length = 1, 60*second
}

// snapshots makes frequent: learners that force one, and crashes while they install it.
func snapshots(p *plan) {
	p.voters, p.observers, p.strangers, p.window, p.holes, p.midJob, p.crashEvery = 3, 0, 0, 300, 0.5, 0.15, second
	p.downLength, p.sync, p.writeGap, p.writes, p.burst, p.splitLog, p.purges = 2*second, 5*ms, 10*ms, 3000, 3, 0.5, 0
	p.damages, p.blank, p.length, p.anywhere = 0, false, 300*second, 1
	p.partEvery, p.last, p.high = 0, 0, false
}

// purging makes frequent: logs that begin behind what a learner has.
func purging(p *plan) { p.purges, p.snapEvery, p.crashEvery, p.writes = 1, second/2, 2*second, 2000 }

// damaged makes frequent: disks with holes.
func damaged(p *plan) { p.damages, p.crashEvery, p.blank = 0.5, second, false }

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
	purgesInSilence
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
