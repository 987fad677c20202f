package quorum

import (
	"cmp"
	"fmt"

	"paddock/wire"
	"paddock/zab"
)

// server is a runner and its machine: what the shell of a server does, in little. It owns the disk, the
// tree (the list that is applied) and the connections.
type server struct {
	w      *world
	id     zab.ServerID
	voter  bool
	member bool // of the view
	disk   disk

	up    bool
	life  int // counts starts and ends: what belongs to an earlier one is dropped
	peer  *zab.Peer
	clock int64 // ms; what its monotonic clock shows at the beginning of the run
	crash int   // the next step ends in front of its nth action; -1: it does not

	pausedUntil int64
	wokeAt      int64    // the end of the last pause
	inbox       []func() // what waits for a paused process

	end     *txn // what is, or is being, logged
	base    *txn // the bytes behind it are at hand
	told    *txn // and the machine knows that they begin here
	purges  int  // since it started
	line    *txn // known to be committed
	applied *txn // in the tree
	served  *txn // the most that was ever shown to a client
	settled *txn // what the disk said was committed when it started

	received *txn // the list of a received snapshot, until it is installed
	kept     *txn // and what was kept behind it

	ends    []*end
	dialing int // names the dial that counts

	leading   uint32  // the epoch in which it serves as the leader; 0: it does not
	serving   uint32  // the epoch in which it serves, as what it may be
	servesAt  int64   // since when
	looksAt   int64   // when it began to look for a leader
	heard     []int64 // when something arrived from each server, last
	leader    *end    // to the leader, while it follows
	next      wire.Zxid
	rests     int // counts the ends of roles
	writes    map[uint64]*call
	syncs     []*call // forwarded, in order
	tokens    map[uint64]*call
	shows     []*call // done but for what has to be applied first
	lastToken uint64
	sequenced int64 // when the last forwarded request comes to its turn

	claims map[claim]bool // all that it has said of its log, in votes

	lastState zab.State
	lastNote  wire.Notification
	actions   []zab.Action
}

func zxid(epoch uint32, counter int) wire.Zxid { return wire.Zxid(uint64(epoch)<<32 | uint64(counter)) }

// start runs a server on what its disk has.
func (s *server) start() {
	if s.up {
		return
	}
	w := s.w
	s.life++
	s.up, s.pausedUntil, s.inbox, s.crash = true, 0, nil, -1
	img := &s.disk.image
	s.base = img.log.at(max(img.floor.n, img.committed.n-w.plan.window))
	s.told, s.purges = s.base, 0
	s.end, s.line, s.applied, s.settled = img.log, img.committed, img.committed, img.committed
	s.received, s.kept, s.ends, s.leader = nil, nil, nil, nil
	s.leading, s.serving, s.lastState, s.lastNote = 0, 0, zab.Looking, wire.Notification{}
	s.looksAt = w.now
	s.forget()
	s.clock = int64(w.dice.IntN(1 << 40))
	r := zab.Recovered{History: zab.NewHistory(s.base.zxid), Committed: img.committed.zxid, Epochs: img.epochs, Trust: img.trust}
	for _, t := range img.log.between(s.base) {
		r.History.Append(t.zxid)
	}
	if img.log != img.committed {
		w.hit(markRecoveredTail)
	}
	w.say(s, "starts: log to %#x, committed %#x, current epoch %d", int64(img.log.zxid), int64(img.committed.zxid), int64(img.epochs.Current))
	s.peer = zab.NewPeer(zab.Config{
		ID: s.id, View: w.view, Seed: w.dice.Uint64(), TickMS: w.plan.tickMS, InitTicks: w.plan.initTicks,
		SyncTicks: w.plan.syncTicks, FinalizeMS: w.plan.finalizeMS, LastCounter: w.plan.last, Defects: w.defects(),
	}, r)
	s.tick()
}

// forget drops every request on its way: its client does not know what became of it.
func (s *server) forget() {
	s.rests++
	s.writes, s.tokens, s.syncs, s.shows = map[uint64]*call{}, map[uint64]*call{}, nil, nil
}

// tick tells the machine that time has passed, again and again.
func (s *server) tick() {
	w, life := s.w, s.life
	if s.pausedUntil <= w.now {
		s.step(zab.Event{Kind: zab.EventTick})
		w.ghost.tick(s)
	}
	if s.life == life {
		w.after(w.plan.beat, func() {
			if s.life == life {
				s.tick()
			}
		})
	}
}

// post runs f in the process of the server: now, or when it goes on, or never.
func (s *server) post(f func()) {
	switch {
	case !s.up:
	case s.pausedUntil > s.w.now || len(s.inbox) > 0:
		s.inbox = append(s.inbox, f)
	default:
		f()
	}
}

// resume works off what has gathered while the process was paused.
func (s *server) resume() {
	life := s.life
	for len(s.inbox) > 0 && s.life == life {
		f := s.inbox[0]
		f()
		if s.life == life {
			s.inbox = s.inbox[1:]
		}
	}
}

// step gives the machine an event and does what it says.
func (s *server) step(ev zab.Event) {
	w := s.w
	if !s.up || w.failure != nil {
		return
	}
	ev.Now = s.clock + w.now/ms
	w.sayEvent(s, &ev)
	life := s.life
	s.actions = s.peer.Step(ev, s.actions[:0])
	for i := range s.actions {
		if s.crash == 0 {
			w.hit(markCrashInMidStep)
			w.crash(s)
		}
		if s.life != life || w.failure != nil {
			return
		}
		if s.crash > 0 {
			s.crash--
		}
		s.do(&s.actions[i])
	}
	w.ghost.stepped(s)
}

// apply brings the tree up to what is committed, as far as it is on the disk.
func (s *server) apply() {
	if !s.up {
		return
	}
	to, durable := s.line, common(s.disk.image.log, s.end)
	if !durable.has(to) {
		s.w.hit(markCommitAhead)
		to = common(durable, to)
	}
	if to.n <= s.applied.n {
		return
	}
	for _, t := range to.between(s.applied) {
		s.w.ghost.deliver(s, t)
		s.applied = t
		if c := s.writes[t.value]; c != nil && s.serving != 0 {
			delete(s.writes, t.value)
			c.answer(s)
		}
	}
	s.show()
}

// show answers the syncs for which enough is applied.
func (s *server) show() {
	for len(s.shows) > 0 && s.applied.n >= s.shows[0].needs {
		c := s.shows[0]
		s.shows = s.shows[1:]
		c.answer(s)
	}
}

// purged lets go of the bytes up to at. The machine hears of it later: much later, since what it wants to be
// sent meanwhile is what a runner may find purged when it comes to read it.
func (s *server) purged(at *txn) {
	if at.n <= s.base.n {
		return
	}
	w, life := s.w, s.life
	w.say(s, "purged up to %#x", int64(at.zxid))
	s.base = at
	w.after(w.dice.around(2*second), func() {
		if s.life == life {
			s.post(func() { s.tell(at) })
		}
	})
}

// tell tells the machine of a purge, unless a snapshot was installed meanwhile.
func (s *server) tell(at *txn) {
	if at.n <= s.told.n {
		return
	}
	s.told = at
	s.purges++
	if !s.w.runnerHas(purgesInSilence) {
		s.step(zab.Event{Kind: zab.EventPurged, Zxid: at.zxid})
	}
}

// propose makes transactions of values and tells the machine, as a sequencer does.
func (s *server) propose(values ...uint64) {
	last := cmp.Or(s.w.plan.last, 0xfffffffe)
	for _, v := range values {
		if s.next.Counter() > last {
			break // the role ends with what was proposed
		}
		if s.next.Counter() == last {
			s.w.hit(markRollover)
		}
		t := s.w.forest.extend(s.end, s.next, v)
		s.w.ghost.proposes(s, t)
		s.next++
		s.end = t
	}
	s.disk.add(job{kind: jobAppend, to: s.end})
	s.step(zab.Event{Kind: zab.EventProposed, Zxid: s.end.zxid})
}

// receive takes a piece of a stream apart.
func (s *server) receive(e *end, it item) {
	if it.snap != nil {
		s.received, s.kept = it.snap, it.snap
		s.step(zab.Event{Kind: zab.EventSnapshotReceived, Link: e.name, Zxid: it.snap.zxid})
		return
	}
	p, n, err := wire.NextPacket(it.bytes, 1<<20)
	if err != nil || n != len(it.bytes) {
		s.w.fail("J-10: a packet of %d cannot be read: %v", e.other.s.id, err)
		return
	}
	s.w.ghost.received(e, &p)
	s.step(zab.Event{Kind: zab.EventPacket, Link: e.name, Packet: p})
}

func (s *server) String() string {
	img := &s.disk.image
	text := fmt.Sprintf("server %d voter %v up %v disk %v %+v committed %v", s.id, s.voter, s.up, img.log, img.epochs, img.committed)
	if s.up {
		text += fmt.Sprintf("; %v vote %+v history %v committed %v durable log %v end %v applied %v leading %d serving %d paused until %d links %d",
			s.peer.State(), s.peer.Vote(), s.peer.History(), s.peer.Committed(), img.log, s.end, s.applied, s.leading, s.serving, s.pausedUntil, len(s.ends))
	}
	return text
}
