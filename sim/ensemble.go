package sim

import (
	"fmt"
	"time"

	"paddock/server"
	"paddock/vfs"
	"paddock/wal"
	"paddock/wire"
	"paddock/zab"
)

// ensemble is what a plan has beside, where there are several servers.
type ensemble struct {
	voters, observers    int
	initTicks, syncTicks int64
	finalizeMS           int64
	skew                 int64 // ms by which wall clocks differ, at most

	latency  int64   // of the network between them
	tail     float64 // how often it is much more
	snapshot int64   // on the wire

	partEvery, partLength, cutEvery, resignEvery int64 // means; 0 is never
	isolate, split, bridge, oneWay               float64
	halfOpen, lostVotes                          float64
	blank                                        bool    // nobody says that it is right for the disks to be empty
	damages                                      float64 // share of crashes that leave a hole in the log
}

// gather draws what an ensemble needs. Its runs have their full length: clients that have asked all that they
// wanted to stay, and keep their sessions and watches.
func (p *plan) gather(d dice) {
	sometimes := func(share, lo, hi float64) int64 {
		if !d.chance(share) {
			return 0
		}
		return int64(d.log(lo*float64(second), hi*float64(second)))
	}
	p.calls = d.between(300, 3000)
	p.think = int64(d.log(0.1, 1) * float64(p.length) * float64(p.clients) / float64(p.calls))
	p.beat = min(p.beat, int64(p.tickMS)*ms/10)
	p.step = min(p.step, 500)
	p.crashEvery, p.pauseEvery = sometimes(0.7, 2, 200), sometimes(0.4, 3, 200)
	p.dropEvery, p.vanishEvery, p.closeEvery = sometimes(0.7, 0.3, 60), sometimes(0.5, 1, 100), sometimes(0.5, 1, 100)
	tick := float64(p.tickMS) * float64(ms)
	p.ensemble = ensemble{
		voters: []int{1, 3, 3, 3, 3, 3, 3, 4, 5, 5}[d.IntN(10)], observers: []int{0, 0, 0, 1, 2}[d.IntN(5)],
		initTicks: int64(d.between(4, 12)), syncTicks: int64(d.between(2, 6)), finalizeMS: int64(d.between(1, 50)),
		latency: int64(d.log(50, 5e3)), tail: 0.05 * d.Float64() * d.Float64(), snapshot: int64(d.log(1e3, 300e3)),
		partEvery: sometimes(0.6, 1, 60), partLength: int64(d.log(tick/4, 20*tick)), cutEvery: sometimes(0.5, 1, 60),
		resignEvery: sometimes(0.3, 5, 100),
		isolate:     d.Float64(), split: d.Float64(), bridge: d.Float64(), oneWay: d.Float64(), blank: d.chance(0.5),
	}
	e := &p.ensemble
	if d.chance(0.5) {
		e.halfOpen = d.Float64()
	}
	if d.chance(0.3) {
		e.lostVotes = 0.3 * d.Float64()
	}
	if d.chance(0.3) {
		e.damages = 0.5 * d.Float64()
	}
	if d.chance(0.5) {
		e.skew = int64(d.log(10, 10_000))
	}
}

// config is what a server of the ensemble is told.
func (e *ensemble) config(h *host) *server.Ensemble {
	return &server.Ensemble{ID: zab.ServerID(h.number), View: h.view, InitTicks: e.initTicks, SyncTicks: e.syncTicks, MayBeEmpty: !e.blank}
}

// found makes the machines, whose servers are down.
func (w *world) found() {
	e := &w.plan.ensemble
	var members []zab.Member
	for i := range e.voters + e.observers {
		m := zab.Member{ID: zab.ServerID(i + 1), Peers: []zab.PeerAddr{{Host: fmt.Sprintf("s%d", i+1), QuorumPort: 2888, ElectionPort: 3888}}}
		if i >= e.voters {
			m.Role = zab.Observer
		}
		members = append(members, m)
	}
	view, err := zab.NewView(members, nil, nil, 0)
	if err != nil {
		panic(err)
	}
	for i := range members {
		h := &host{w: w, number: i + 1, name: fmt.Sprintf("server %d: ", i+1), view: view, disk: vfs.NewSim(w.seed + uint64(i))}
		if e.skew > 0 {
			h.skew = time.Duration(w.dice.Int64N(2*e.skew)-e.skew) * time.Millisecond
		}
		w.hosts = append(w.hosts, h)
	}
	w.net = newNetwork(w)
}

// between lets things break that only ensembles have.
func (w *world) between() {
	e := &w.plan.ensemble
	w.every(e.partEvery, "partition", w.partition)
	w.every(e.cutEvery, "cut", func() {
		if n := len(w.net.ends); n > 0 {
			w.net.ends[w.dice.IntN(n)].cut()
		}
	})
	w.every(e.resignEvery, "resign", func() {
		if h := w.leader(); h != nil {
			w.marks["resigns"]++
			h.note("resigns")
			h.member.Post(zab.Event{Kind: zab.EventResign})
		}
	})
}

// leader returns who leads in the highest epoch.
func (w *world) leader() (best *host) {
	for _, h := range w.hosts {
		if h.srv != nil && h.member.leads != 0 && (best == nil || h.member.leads > best.member.leads) {
			best = h
		}
	}
	return best
}

// partition keeps some servers from hearing others, for a while.
func (w *world) partition() {
	var pairs [][2]int
	block := func(a, b *host) { pairs = append(pairs, [2]int{a.number, b.number}) }
	both := func(a, b *host) { block(a, b); block(b, a) }
	e := &w.plan.ensemble
	kinds := []float64{e.isolate, e.split, e.bridge, e.oneWay}
	at := w.dice.Float64() * (e.isolate + e.split + e.bridge + e.oneWay)
	kind := 0
	for kind < len(kinds)-1 && at >= kinds[kind] {
		at -= kinds[kind]
		kind++
	}
	one := w.someHost()
	if lead := w.leader(); lead != nil && w.dice.chance(0.5) {
		one = lead
	}
	side, out := w.dice.Uint64(), w.dice.chance(0.5)
	for i, a := range w.hosts {
		switch kind {
		case 0: // one alone
			if a != one {
				both(a, one)
			}
		case 1: // two sides
			for j, b := range w.hosts[:i] {
				if side>>i&1 != side>>j&1 {
					both(a, b)
				}
			}
		case 2: // two who do not hear each other
			if i == int(side%uint64(len(w.hosts))) && a != one {
				both(a, one)
			}
		default: // one direction
			if a != one && side>>i&1 == 1 && out {
				block(one, a)
			} else if a != one && side>>i&1 == 1 {
				block(a, one)
			}
		}
	}
	w.marks[[]string{"isolation", "split", "bridge", "one-way partition"}[kind]]++
	w.note("partition of %v", pairs)
	for _, p := range pairs {
		w.net.blocked[p]++
	}
	w.after(w.dice.around(e.partLength), "heal", func() {
		if w.phase != phaseFaults {
			return // healed already
		}
		for _, p := range pairs {
			w.net.blocked[p]--
		}
		w.note("heals %v", pairs)
		w.net.healed()
	})
}

// heal ends everything that is broken, and says how long it may take until that is felt.
func (w *world) heal() int64 {
	clear(w.net.blocked)
	w.net.healed()
	p, e := &w.plan, &w.plan.ensemble
	p.latency, p.step, p.diskBusy, p.applyBusy = min(p.latency, ms), min(p.step, 50), 0, 0
	e.latency, e.snapshot = min(e.latency, ms), min(e.snapshot, 20*ms)
	for _, h := range w.hosts {
		if h.pausedUntil > w.now {
			h.pausedUntil, h.stepping = w.now, false
		}
	}
	return 3*(4*e.initTicks+3*e.syncTicks)*int64(p.tickMS)*ms + 20*second
}

// quiet is a time in which nothing happens but that clients show that they are there: no session may end, and
// nobody may take another's place.
func (w *world) quiet() {
	if w.failure != nil {
		return
	}
	w.note("quiet")
	expired, leads := w.marks["told expired"], w.marks["leads"]
	sessions := map[*client]*sessionRecord{}
	for _, c := range w.clients {
		if c.session.timeoutMS >= 4*int64(w.plan.tickMS) { // else the ways may add up to more
			sessions[c] = c.session
		}
	}
	w.until(w.now+3*int64(w.plan.maxTimeoutMS)*ms, func() bool { return false })
	for _, c := range w.clients {
		if s := sessions[c]; s != nil && c.session != s {
			w.fail("S8: session %#x has expired, though its client was there (%d others)", uint64(s.id), w.marks["told expired"]-expired-1)
		}
	}
	if w.marks["leads"] != leads && w.failure == nil {
		w.fail("J-14: a leader was deposed though nothing was broken")
	}
}

// agree is the end: all servers have the same.
func (w *world) agree() {
	for range 2 { // the first round brings what is in one log alone
		for _, h := range w.hosts {
			h.compared = 0
			h.collect()
		}
	}
	first := w.hosts[0].srv
	for _, h := range w.hosts {
		if h.srv.Applied() != w.last() || h.srv.Digest() != first.Digest() || h.srv.Nodes() != first.Nodes() {
			w.fail("Z5: %sat %v with digest %#x and %d nodes; %v was committed, and the digest of server 1 is %#x with %d",
				h.name, h.srv.Applied(), h.srv.Digest(), h.srv.Nodes(), w.last(), first.Digest(), first.Nodes())
		}
	}
}

// checkQuorumDurable sees whether a quorum has a transaction on its disks, with nothing kept that was not synced.
func (w *world) checkQuorumDurable(stamp wire.Zxid) {
	var have zab.IDSet
	for _, h := range w.hosts[:w.plan.ensemble.voters] {
		image := h.disk.Crash(h.disk.Ops(), func(vfs.Unit) bool { return false })
		l, err := wal.Open(image, logDir, wal.Options{SegmentBytes: w.plan.segmentBytes, After: 1 << 62})
		if err != nil {
			continue
		}
		if l.Last() >= stamp {
			have.Add(zab.ServerID(h.number))
		}
		_ = l.Close()
	}
	w.marks["durable images checked"]++
	if !w.hosts[0].view.Quorum(have) {
		w.fail("Z12: a reply stamped %v has left; only %v have it on their disks", stamp, have)
	}
	w.durable = max(w.durable, stamp)
}

// hole damages the log of a server that is down: it starts again without it. Never are so many damaged that
// the others are no quorum.
func (h *host) hole() {
	w := h.w
	var whole zab.IDSet
	for _, o := range w.hosts[:w.plan.ensemble.voters] {
		if o != h && !o.damaged {
			whole.Add(zab.ServerID(o.number))
		}
	}
	names, err := h.disk.List(logDir)
	if err != nil || len(names) < 2 || !h.view.Quorum(whole) {
		return
	}
	name := logDir + "/" + names[w.dice.IntN(len(names)-1)] // that the last was there nobody could know
	if h.disk.Remove(name) == nil && h.disk.SyncDir(logDir) == nil {
		h.note("has lost %s", name)
		w.marks["log damaged"]++
		h.damaged = true
	}
}
