package quorum

// Times are in µs of virtual time, where no unit is said.
const (
	ms     = int64(1000)
	second = 1000 * ms
	minute = 60 * second
)

// plan is what a seed has drawn before the run: each kind of fault is on or off by a coin, and rates are
// drawn over orders of magnitude, so that some runs are only crashes, some only one-way partitions.
type plan struct {
	voters, observers, strangers int  // strangers follow without being in the view
	groups                       bool // hierarchical quorums
	length                       int64
	writes                       int // that clients make, at most

	tickMS, initTicks, syncTicks, finalizeMS int64
	beat                                     int64 // between two ticks of a machine

	last    int64  // counter of an epoch; 0 is what it really is
	high    bool   // the counters of the beginning are the last of their epoch
	history int    // transactions that everybody has at the beginning
	epoch   uint32 // theirs
	window  int    // of a restarted server: how much of its log it has at hand

	latency  int64   // of the network
	tail     float64 // how often it is much more
	sync     int64   // of the disk
	slow     float64 // how often it is much more
	snapshot int64   // until a snapshot is open, and on the wire
	sequence int64   // until a forwarded request is sequenced
	splitLog float64 // how often a record is synced alone
	writeGap int64   // between writes
	syncGap  int64   // between syncs of clients; 0 is none
	burst    int     // writes at once
	anywhere float64 // share of clients that ask any server, not the leader

	crashEvery, pauseEvery, partEvery, cutEvery, stuckEvery, snapEvery int64   // means; 0 is never
	purges                                                             float64 // how often a snapshot of its own lets a server forget the log before it

	blank   bool    // the disks are empty at the beginning, and nobody says that this is right
	damages float64 // share of crashes that leave a hole in the log

	powerCut, midStep, midJob, staysDown, atOnce   float64
	isolate, split, bridge, oneWay, flap           float64 // weights of partitions
	partLength, downLength, pauseLength, stuckTime int64
	halfOpen, hangs, refuses, lostVotes, holes     float64
}

func newPlan(d dice) plan {
	p := plan{
		voters: []int{1, 2, 3, 3, 3, 3, 4, 5, 5, 5}[d.IntN(10)], observers: []int{0, 0, 0, 1, 2}[d.IntN(5)],
		length: int64(d.between(30, 120)) * second, writes: int(d.log(20, 3000)),
		tickMS: int64(d.between(1, 10)) * 50, initTicks: int64(d.between(4, 12)), syncTicks: int64(d.between(2, 6)),
		epoch:   []uint32{0, 0, 1, 5, 1 << 30}[d.IntN(5)],
		window:  []int{0, 0, 1, 3, int(d.log(1, 300))}[d.IntN(5)],
		latency: int64(d.log(50, 10e3)), tail: 0.1 * d.Float64() * d.Float64(),
		sync: int64(d.log(50, 50e3)), slow: 0.1 * d.Float64() * d.Float64(),
		snapshot: int64(d.log(1e3, 300e3)), sequence: int64(d.log(10, 5e3)), splitLog: d.Float64() * d.Float64(),
		burst: int(d.log(1, 20)), anywhere: d.Float64(),
		powerCut: d.Float64(), midStep: d.Float64(), staysDown: 0.05 * d.Float64(), atOnce: 0.2 * d.Float64(),
		isolate: d.Float64(), split: d.Float64(), bridge: d.Float64(), oneWay: d.Float64(), flap: 0.3 * d.Float64(),
	}
	if d.chance(0.1) {
		p.strangers = 1
	}
	if p.voters+p.observers > 7 {
		p.observers = 7 - p.voters
	}
	p.groups = p.voters >= 4 && d.chance(0.2)
	p.beat = min(int64(d.between(10, 50))*ms, p.tickMS*ms/4)
	if d.chance(0.5) {
		p.finalizeMS = int64(d.between(1, 200))
	}
	if p.epoch > 0 {
		p.history = d.between(1, 10)
	}
	s := float64(second)
	sometimes := func(share, lo, hi float64) int64 {
		if !d.chance(share) {
			return 0
		}
		return int64(d.log(lo*s, hi*s))
	}
	p.writeGap = max(ms, int64(d.log(0.1, 1)*float64(p.length)*float64(1+p.burst)/2/float64(p.writes)))
	p.syncGap = sometimes(0.7, 0.01, 2)
	p.crashEvery = sometimes(0.7, 0.3, 30)
	p.pauseEvery = sometimes(0.3, 1, 30)
	p.partEvery = sometimes(0.6, 0.5, 30)
	p.cutEvery = sometimes(0.5, 0.2, 30)
	p.stuckEvery = sometimes(0.3, 1, 30)
	p.snapEvery = sometimes(0.7, 0.2, 30)
	tick := float64(p.tickMS * ms)
	p.partLength = int64(d.log(tick/4, 20*tick))
	p.downLength = int64(d.log(1e3, 100*tick))
	p.pauseLength = int64(d.log(tick/4, 20*tick))
	p.stuckTime = int64(d.log(tick/4, 20*tick))
	if d.chance(0.5) {
		p.halfOpen = d.Float64()
	}
	if d.chance(0.4) {
		p.hangs, p.refuses = 0.3*d.Float64(), 0.3*d.Float64()
	}
	if d.chance(0.4) {
		p.lostVotes = 0.3 * d.Float64()
	}
	if d.chance(0.2) {
		p.midJob = 0.01 * d.Float64()
	}
	if d.chance(0.2) {
		p.holes = 0.1 * d.Float64()
	}
	if d.chance(0.15) {
		p.last = int64(d.log(30, 300)) // enough for the last writes of the second phase
	}
	p.high = p.epoch > 0 && d.chance(0.2)
	p.blank = p.epoch == 0 && d.chance(0.5)
	if d.chance(0.3) {
		p.damages = 0.5 * d.Float64()
	}
	if d.chance(0.5) {
		p.purges = d.Float64()
	}
	return p
}
