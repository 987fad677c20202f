package sim

import (
	"strings"

	"paddock/server"
	"paddock/vfs"
	"paddock/wal"
	"paddock/zab"
)

// Mutant is a bug that a server of this protocol has had, built in again for one run. Those of the server's
// own code are in server/defects.go; the others are made of what is around it.
type Mutant struct {
	Name   string
	Breaks string // how the messages of the promises it breaks begin, separated by spaces
	Seeds  int    // it must be found within so many

	defect server.Defect
	disk   func(*host) // before each start
	spoil  func(*host) // after each crash
	plan   func(*plan)

	ensemble bool         // it is one of an ensemble
	defects  []zab.Defect // of its machines
}

// Mutants are all of them.
var Mutants = []Mutant{
	{defect: server.AckBeforeSync, Breaks: "Z11 Z12 Z4", Seeds: 20},
	{defect: server.EventAfterData, Breaks: "W2 S3", Seeds: 50},
	{defect: server.WatchArmedLate, Breaks: "W2 W3", Seeds: 200},
	{defect: server.CloseLeavesEphemeral, Breaks: "S9 Z14", Seeds: 200},
	{defect: server.WriteAfterClose, Breaks: "S2 S9", Seeds: 50, plan: expiryUnderLoad},
	{defect: server.OverlayForgotten, Breaks: "S2 S9 Z14 panic", Seeds: 20},
	{defect: server.ExpiryWhileStopped, Breaks: "S8", Seeds: 50},
	{defect: server.SessionsForgotten, Breaks: "S8 S9", Seeds: 50},
	{ensemble: true, defect: server.TouchesKept, Breaks: "S8", Seeds: 20},
	{ensemble: true, defect: server.SyncAtOnce, Breaks: "S5 connection", Seeds: 30},
	{ensemble: true, defect: server.OwnerUnknown, Breaks: "S7 S1", Seeds: 100},
	{ensemble: true, defect: server.ReadsOvertake, Breaks: "S1 connection", Seeds: 20},
	{ensemble: true, defects: []zab.Defect{zab.AckUnsynced}, Breaks: "Z12 Z11 Z4 the", Seeds: 20},
	{ensemble: true, defects: []zab.Defect{zab.DiffHole}, Breaks: "Z4 Z11 Z5 Z14 the", Seeds: 20},
	{Name: "believes a disk that does not sync", Breaks: "Z11 Z12 Z4", Seeds: 20, disk: dropSyncs},
	{Name: "cuts the end of the log off when it restarts", Breaks: "Z11 Z4 S4 S8 S9", Seeds: 20, spoil: cutTail, plan: noSnapshots},
	{Name: "restarts without its newest segment of the log", Breaks: "Z11 Z4 S4 S8 S9 the", Seeds: 20, spoil: loseSegment, plan: noSnapshots},
}

func init() {
	for i := range Mutants {
		if Mutants[i].Name == "" {
			Mutants[i].Name = string(Mutants[i].defect)
		}
		if Mutants[i].Name == "" {
			Mutants[i].Name = string(Mutants[i].defects[0])
		}
	}
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

// expiryUnderLoad makes what is rare frequent: clients that come back when their sessions end.
func expiryUnderLoad(p *plan) {
	p.think, p.latency, p.step, p.vanishEvery, p.tickMS = ms, ms, 20*ms, 300*ms, 100
	p.minTimeoutMS, p.maxTimeoutMS, p.crashEvery, p.dropEvery = 200, 1000, 0, 0
	p.diskBusy, p.applyBusy, p.calls = 0.8, 0.8, 3000
}

// noSnapshots leaves the log alone, whose end a snapshot would have missed at once.
func noSnapshots(p *plan) { p.snapCount = 1 << 30 }

const logDir = "/data/paddock/log"

func dropSyncs(h *host) {
	h.disk.SetFaults(func(op vfs.Op) *vfs.Fault {
		if op.Kind == vfs.OpSync && strings.HasPrefix(op.Name, logDir) {
			return &vfs.Fault{Drop: true}
		}
		return nil
	})
}

// cutTail does what a recovery does that takes the last transaction for a torn one.
func cutTail(h *host) {
	l, err := wal.Open(h.disk, logDir, wal.Options{SegmentBytes: h.w.plan.segmentBytes, After: 1 << 62})
	if err != nil {
		return
	}
	if l.Last() > l.Base() {
		_ = l.TruncateTo(l.Last() - 1)
	}
	_ = l.Close()
}

// loseSegment does what a missing sync of a directory does.
func loseSegment(h *host) {
	names, err := h.disk.List(logDir)
	if err == nil && len(names) > 1 {
		_ = h.disk.Remove(logDir + "/" + names[len(names)-1])
	}
}
