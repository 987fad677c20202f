package quorum

import (
	"cmp"
	"slices"

	"paddock/wire"
	"paddock/zab"
)

// ghost knows what no server knows: all disks at once, and all that ever happened.
type ghost struct {
	w         *world
	proposed  map[wire.Zxid]*txn
	leaders   map[uint32]zab.ServerID // who completed discovery for an epoch
	initial   map[uint32]*txn         // and with which history
	led       map[uint32]bool         // and went on to serve
	ledAt     map[uint32]int64        // when
	epochs    []*acceptance           // ascending
	chosen    *txn                    // the longest list that a leader has committed
	answered  *txn                    // the longest list of which a client was told something
	lastOwner zab.ServerID            // who led last
}

// acceptance is what the voters have accepted under one epoch: the most that was on their disks while both
// of their promises were that epoch.
type acceptance struct {
	epoch  uint32
	by     []*txn // by server
	chosen *txn   // committed by its leader; nil: nothing
}

func (g *ghost) init(w *world, start *txn, epoch uint32) {
	*g = ghost{
		w: w, proposed: map[wire.Zxid]*txn{}, leaders: map[uint32]zab.ServerID{}, initial: map[uint32]*txn{},
		led: map[uint32]bool{}, ledAt: map[uint32]int64{}, chosen: start, answered: w.forest.root,
	}
	for _, t := range start.between(w.forest.root) {
		g.proposed[t.zxid] = t
	}
}

func (g *ghost) acceptance(epoch uint32) *acceptance {
	i, found := slices.BinarySearchFunc(g.epochs, epoch, func(a *acceptance, e uint32) int { return cmp.Compare(a.epoch, e) })
	if !found {
		g.epochs = slices.Insert(g.epochs, i, &acceptance{epoch: epoch, by: make([]*txn, len(g.w.servers)+1)})
	}
	return g.epochs[i]
}

// quorum says whether the voters of which in is true are one.
func (g *ghost) quorum(in func(*server) bool) bool {
	var set zab.IDSet
	for _, s := range g.w.servers {
		if s.voter && in(s) {
			set.Add(s.id)
		}
	}
	return g.w.view.Quorum(set)
}

// durable looks at an image that has changed: what it accepts.
func (g *ghost) durable(s *server) {
	img := &s.disk.image
	if !s.voter || img.epochs.Accepted != img.epochs.Current {
		return
	}
	a := g.acceptance(img.epochs.Current)
	switch before := a.by[s.id]; {
	case before == nil || img.log.has(before):
		a.by[s.id] = img.log
	case before.has(img.log): // a log that shrinks: shrunk has looked at it
	default:
		g.w.fail("Z4: in epoch %d server %d has accepted %v and then %v, which does not contain it", a.epoch, s.id, before, img.log)
	}
}

// choose notes that the leader of an epoch has committed: what it says now, all later leaders have to have.
// Until then even what a quorum has on its disks may be dropped: by this leader, which may send TRUNC to a
// learner that comes again, and forgets what that learner had acknowledged.
// What a disk had before it was damaged counts: its server is in no quorum that could go on without it.
func (g *ghost) choose(epoch uint32, t *txn) {
	if !g.quorum(func(s *server) bool {
		lost := s.disk.image.lost
		return s.disk.image.log.has(t) || lost != nil && lost.has(t)
	}) {
		g.w.fail("Z11: the leader of epoch %d commits %v, and no quorum has it on its disks", epoch, t)
	}
	g.acceptance(epoch).chosen = t
	switch {
	case t.has(g.chosen):
		g.chosen = t
	case !g.chosen.has(t):
		g.w.fail("Z5: the leader of epoch %d commits %v, but %v was committed before and is not in it", epoch, t, g.chosen)
	}
	for e, initial := range g.initial { // order-free: any of them is a failure
		if e > epoch && !initial.has(t) {
			g.w.fail("Z10: the leader of epoch %d began with %v, without %v, which was committed in epoch %d", e, initial, t, epoch)
		}
	}
}

// shrunk looks at an image of which something was taken away: every quorum still has what is chosen.
func (g *ghost) shrunk(s *server, before *txn) {
	if s.disk.image.log.has(before) || !s.voter {
		return
	}
	if g.quorum(func(s *server) bool { return !s.disk.image.log.has(g.chosen) && s.disk.image.trust == zab.Trusted }) {
		g.w.fail("Z11: server %d went from %v to %v, and now a quorum is without %v, which was committed", s.id, before, s.disk.image.log, g.chosen)
	}
}

// trusts looks at a server that takes its empty disk for right: it has not lost what others rely on.
func (g *ghost) trusts(s *server) {
	g.w.hit(markNewEnsemble)
	if lost := s.disk.image.lost; lost != nil && common(lost, g.chosen).n > 0 {
		g.w.fail("Z11: server %d trusts its empty disk, which has lost %v, and %v is committed", s.id, lost, g.chosen)
	}
}

// saved looks at a record of promises that has become durable.
func (g *ghost) saved(s *server, before zab.Epochs) {
	e := s.disk.image.epochs
	if e.Accepted < before.Accepted || e.Current < before.Current || e.Current > e.Accepted {
		g.w.fail("Z2: server %d promised %+v after %+v", s.id, e, before)
	}
	if e.Current != before.Current {
		g.vouches(s, e.Current)
	}
}

// vouches checks that the durable log of a server is the history of the leader of an epoch, up to
// something.
func (g *ghost) vouches(s *server, epoch uint32) {
	initial, log := g.initial[epoch], s.disk.image.log
	switch {
	case initial == nil:
		g.w.fail("Z2: server %d is in epoch %d, for which nobody completed discovery", s.id, epoch)
	case !log.has(initial):
		g.w.fail("Z12: server %d is in epoch %d with %v on its disk, but the epoch begins with %v", s.id, epoch, log, initial)
	case log != initial && log.at(initial.n+1).zxid.Epoch() != int64(epoch):
		g.w.fail("Z12: server %d is in epoch %d with %v on its disk, of which %v is not in that epoch's history", s.id, epoch, log, log.at(initial.n+1))
	}
}

// promises looks at what a machine wants to promise: a leader that has its epoch has its history.
func (g *ghost) promises(s *server, e zab.Epochs) {
	if s.peer.State() != zab.Leading && s.lastState != zab.Leading || e.Current == s.disk.image.epochs.Current {
		return
	}
	if id, ok := g.leaders[e.Current]; ok && id != s.id || ok && g.initial[e.Current] != s.end {
		g.w.fail("Z1: servers %d and %d both completed discovery for epoch %d", id, s.id, e.Current)
		return
	}
	if g.lastOwner == s.id {
		g.w.hit(markSameLeaderAgain)
	}
	g.lastOwner = s.id
	g.leaders[e.Current], g.initial[e.Current] = s.id, s.end
	for _, a := range g.epochs {
		if a.epoch < e.Current && a.chosen != nil && !s.end.has(a.chosen) {
			g.w.fail("Z10: server %d completed discovery for epoch %d with %v, without %v, which was committed in epoch %d", s.id, e.Current, s.end, a.chosen, a.epoch)
		}
	}
}

// established says whether a quorum has accepted what an epoch began with.
func (g *ghost) established(epoch uint32) bool {
	a, initial := g.acceptance(epoch), g.initial[epoch]
	return initial != nil && g.quorum(func(s *server) bool { return a.by[s.id] != nil && a.by[s.id].has(initial) })
}

// proposes looks at a transaction that a sequencer has made.
func (g *ghost) proposes(s *server, t *txn) {
	epoch := uint32(t.zxid.Epoch())
	switch {
	case g.leaders[epoch] != s.id || s.leading != epoch:
		g.w.fail("Z6: server %d proposes %v, and does not lead", s.id, t)
	case g.proposed[t.zxid] != nil:
		g.w.fail("Z6: server %d proposes %v a second time", s.id, t)
	case !zab.Follows(t.prev.zxid, t.zxid):
		g.w.fail("Z3: server %d proposes %v after %v", s.id, t, t.prev)
	}
	g.proposed[t.zxid] = t
}

// logs looks at a transaction that a learner logs, or keeps behind a snapshot.
func (g *ghost) logs(s *server, t *txn) {
	switch p := g.proposed[t.zxid]; {
	case p == nil:
		g.w.fail("Z6: server %d logs %v, which nobody proposed", s.id, t)
	case p != t && !zab.Follows(t.prev.zxid, t.zxid):
		g.w.fail("Z3: server %d logs %v after %v", s.id, t, t.prev)
	case p != t:
		g.w.fail("Z4: server %d logs %v with value %d after %v, but it was proposed with value %d after %v", s.id, t, t.value, t.prev, p.value, p.prev)
	}
}

// commits looks at a machine that knows of a commit: a leader decides it, all others hear of it.
func (g *ghost) commits(s *server, t *txn) {
	if s.peer.State() == zab.Leading || s.lastState == zab.Leading {
		g.choose(s.disk.image.epochs.Current, t)
		return
	}
	if !g.chosen.has(t) {
		g.w.fail("Z11: server %d takes %v for committed, but that is %v", s.id, t, g.chosen)
	}
}

// deliver looks at a transaction on its way into a tree.
func (g *ghost) deliver(s *server, t *txn) {
	switch {
	case !g.chosen.has(t):
		g.w.fail("Z5: server %d applies %v, which is not in what is committed, %v", s.id, t, g.chosen)
	case t.prev != s.applied:
		g.w.fail("Z5: server %d applies %v after %v", s.id, t, s.applied)
	case !s.disk.image.log.has(t):
		g.w.fail("J-5: server %d applies %v, and its disk has %v", s.id, t, s.disk.image.log)
	}
	if s.serving != 0 && t.n > s.served.count() {
		s.served = t
	}
}

func (t *txn) count() int {
	if t == nil {
		return 0
	}
	return t.n
}

// installs looks at a tree that has taken the place of another: only what is committed is in it.
func (g *ghost) installs(s *server) {
	if !g.chosen.has(s.applied) {
		g.w.fail("Z5: server %d installs %v, which is not in what is committed, %v", s.id, s.applied, g.chosen)
	}
}

// leads looks at a leader that begins to serve.
func (g *ghost) leads(s *server) {
	switch {
	case g.leaders[s.leading] != s.id:
		g.w.fail("Z1: server %d leads epoch %d, for which %d completed discovery", s.id, s.leading, g.leaders[s.leading])
	case !g.established(s.leading):
		g.w.fail("Z10: server %d leads epoch %d, and no quorum has its history %v", s.id, s.leading, g.initial[s.leading])
	}
	g.led[s.leading], g.ledAt[s.leading] = true, g.w.now
	g.w.hit(markElected)
	if g.initial[s.leading] != s.settled && g.initial[s.leading].n > s.settled.n {
		g.w.hit(markUncommittedTailLeads)
	}
	g.serves(s)
}

// serves looks at a server that begins to serve: no client sees its state go back.
func (g *ghost) serves(s *server) {
	switch {
	case s.served != nil && !s.applied.has(s.served):
		g.w.fail("Z8: server %d serves with %v, and has shown %v before", s.id, s.applied, s.served)
	case !g.led[s.serving]:
		g.w.fail("Z15: server %d serves in epoch %d, whose leader does not", s.id, s.serving)
	case !s.applied.has(g.initial[s.serving]):
		g.w.fail("Z9: server %d serves in epoch %d with %v, without its beginning %v", s.id, s.serving, s.applied, g.initial[s.serving])
	}
	s.served, s.servesAt = s.applied, g.w.now
	if g.ledAt[s.serving] < s.looksAt {
		g.w.hit(markLateJoiner)
	}
	if !s.voter && s.leading == 0 {
		if s.member {
			g.w.hit(markObserverServed)
		} else {
			g.w.hit(markNonVoter)
		}
	}
}

// rests looks at the end of a role.
func (g *ghost) rests(s *server) {
	if s.lastState == zab.Leading {
		current := s.disk.image.epochs.Current
		switch {
		case s.leading != 0 && s.end != s.line:
			g.w.hit(markLeaderLosesQuorumOutstanding)
		case s.leading == 0 && g.leaders[current] == s.id && !g.led[current]:
			g.w.hit(markEpochNeverAcked)
		}
	}
}

// stepped looks at a machine after each step.
func (g *ghost) stepped(s *server) {
	if state := s.peer.State(); state != s.lastState {
		s.w.say(s, "is "+state.String())
		s.lastState = state
		if state == zab.Looking {
			s.looksAt = s.w.now
		}
	}
}

// tick looks at how long a server that serves has heard nothing.
func (g *ghost) tick(s *server) {
	if !s.up || s.serving == 0 || g.w.failure != nil {
		return
	}
	p := &g.w.plan
	silence := (p.syncTicks+3)*p.tickMS*ms + 2*p.beat
	limit := g.w.now - silence
	if s.servesAt >= limit || g.w.now-s.wokeAt <= 2*p.tickMS*ms+2*p.beat {
		return // not for long enough: a paused process cannot know how long it was paused
	}
	if s.leading == 0 {
		if s.leader != nil && s.heard[s.leader.other.s.id] < limit {
			g.w.fail("Z15: server %d still serves, and has heard nothing of its leader for %d ms", s.id, silence/ms)
		}
		return
	}
	if lead := g.w.leading(); lead != s && lead != nil {
		g.w.hit(markStaleLeader)
	}
	heard := func(v *server) bool { return v == s || s.heard[v.id] >= limit }
	if !g.quorum(heard) {
		g.w.fail("Z15: server %d still leads epoch %d, and has heard nothing of a quorum for %d ms", s.id, s.leading, silence/ms)
	}
}

// end is the last look, when all who live are one ensemble.
func (g *ghost) end() {
	for _, s := range g.w.servers {
		if s.up && (!s.applied.has(g.chosen) || !s.applied.has(g.answered)) {
			g.w.fail("Z11: at the end server %d has %v, without %v", s.id, s.applied, g.chosen)
		}
	}
}
