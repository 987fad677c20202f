package sim

import "paddock/wire"

// Times are in µs of virtual time, where no unit is said.
const (
	ms     = int64(1000)
	second = 1000 * ms
	minute = 60 * second
)

// plan is what a seed has drawn before the run: each kind of fault and of operation is on or off by a coin, and
// rates are drawn over orders of magnitude, so that some runs are nothing but crashes, some all creates.
type plan struct {
	clients, loops int
	calls          int   // that the clients make in the first phase, at most
	length         int64 // of the first phase, at most

	think, latency, step, beat int64 // means, but for beat

	tickMS, minTimeoutMS, maxTimeoutMS int32
	segmentBytes                       int64
	snapCount                          int

	ops   []wire.Op // as often as they are to be drawn
	names int       // distinct names of a directory
	depth int       // of paths
	perms bool      // some nodes have few permissions
	pipe  int       // requests of a client in flight, at most
	quick bool      // replies are acted upon at once

	crashEvery, dropEvery, pauseEvery, vanishEvery, closeEvery int64 // means; 0 is never
	powerCut                                                   float64
	midway                                                     float64 // share of crashes that hit in the middle of a stage
	diskBusy, applyBusy                                        float64 // share of the steps that find the stage busy
	hop                                                        float64 // share of drops that leave the server's end open
	slowReader                                                 float64
	socketBytes                                                int
	prepare                                                    bool
	txnDigests                                                 bool

	ensemble ensemble // of several servers
}

var everyOp = []struct {
	op     wire.Op
	weight int
}{
	{wire.OpCreate, 6}, {wire.OpCreate2, 3}, {wire.OpDelete, 5}, {wire.OpSetData, 8}, {wire.OpMulti, 5}, {wire.OpSetACL, 1},
	{wire.OpCreateContainer, 1}, {wire.OpCreateTTL, 1},
	{wire.OpExists, 6}, {wire.OpGetData, 8}, {wire.OpGetChildren, 3}, {wire.OpGetChildren2, 3}, {wire.OpGetACL, 1},
	{wire.OpMultiRead, 1}, {wire.OpGetEphemerals, 1}, {wire.OpGetAllChildrenNumber, 1},
	{wire.OpSync, 2}, {wire.OpPing, 1}, {wire.OpAddWatch, 2}, {wire.OpRemoveWatches, 1}, {wire.OpCheckWatches, 1},
}

func newPlan(d dice) plan {
	p := plan{
		clients: d.between(1, 8), loops: d.between(1, 3),
		calls: d.between(300, 1500), length: 10 * minute,
		think: int64(d.log(200, 2e6)), latency: int64(d.log(50, 20e3)), step: int64(d.log(5, 5e3)),
		beat:         int64(d.between(10, 50)) * ms,
		tickMS:       int32(d.between(1, 10) * 100),
		segmentBytes: 4096 << d.IntN(5), snapCount: int(d.log(5, 500)),
		names: d.between(2, 6), depth: d.between(1, 3), perms: d.chance(0.3),
		pipe: d.between(1, 16), quick: d.chance(0.5),
		powerCut: d.Float64(), midway: d.Float64(), hop: d.Float64(),
		socketBytes: int(d.log(100, 1e6)), prepare: d.chance(0.5),
	}
	p.minTimeoutMS, p.maxTimeoutMS = 2*p.tickMS, 20*p.tickMS
	sometimes := func(share, lo, hi float64) int64 {
		if !d.chance(share) {
			return 0
		}
		return int64(d.log(lo, hi))
	}
	s := float64(second)
	p.crashEvery = sometimes(0.7, 0.2*s, 200*s)
	p.dropEvery = sometimes(0.7, 0.05*s, 60*s)
	p.pauseEvery = sometimes(0.3, 1*s, 100*s)
	p.vanishEvery = sometimes(0.5, 0.5*s, 100*s)
	p.closeEvery = sometimes(0.5, 0.5*s, 100*s)
	if d.chance(0.3) {
		p.slowReader = d.Float64()
	}
	if d.chance(0.4) {
		p.diskBusy, p.applyBusy = 0.95*d.Float64(), 0.95*d.Float64()
	}
	for _, o := range everyOp {
		if d.chance(0.75) {
			for range o.weight * d.between(1, 4) {
				p.ops = append(p.ops, o.op)
			}
		}
	}
	if len(p.ops) == 0 {
		p.ops = []wire.Op{wire.OpCreate, wire.OpGetData}
	}
	p.txnDigests = d.chance(0.5)
	return p
}
