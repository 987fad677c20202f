package server

import (
	"time"

	"paddock/tree"
	"paddock/wal"
	"paddock/watch"
	"paddock/wire"
	"paddock/zab"
	"paddock/zab/runner"
)

// Defect is a bug that servers of this protocol have had. A Driven server can be given one, so that the
// simulator proves that it finds it; nothing of this file runs in any other server.
type Defect string

const (
	// AckBeforeSync: a write is answered when it is on its way to the disk.
	AckBeforeSync Defect = "acknowledges before the sync"
	// EventAfterData: events wait for the loop's bell, and reads do not wait for events.
	EventAfterData Defect = "sends an event after the data"
	// WatchArmedLate: a watch of a read behind writes counts when its reply is sent, not when it is read.
	WatchArmedLate Defect = "arms a watch late"
	// CloseLeavesEphemeral: a session's close does not see the ephemerals on their way.
	CloseLeavesEphemeral Defect = "leaves an ephemeral of a closed session"
	// WriteAfterClose: requests of a session are taken although its close is on its way.
	WriteAfterClose Defect = "takes writes behind a session's close"
	// OverlayForgotten: a request does not see the changes that are on their way.
	OverlayForgotten Defect = "forgets the changes on their way"
	// ExpiryWhileStopped: the sessions' clock runs while the process is stopped.
	ExpiryWhileStopped Defect = "expires sessions while it is stopped"
	// SessionsForgotten: a restart does not bring the sessions back.
	SessionsForgotten Defect = "forgets the sessions when it restarts"

	// Of a member of an ensemble.

	// TouchesKept: a learner does not tell its leader of whom it has heard.
	TouchesKept Defect = "does not tell the leader of living sessions"
	// SyncAtOnce: a learner answers a sync by itself.
	SyncAtOnce Defect = "answers a sync without the leader"
	// OwnerUnknown: the leader takes requests over a connection that has lost its session.
	OwnerUnknown Defect = "takes writes of a session that has moved"
	// ReadsOvertake: a learner answers reads that wait behind a forwarded write.
	ReadsOvertake Defect = "answers reads before the write in front of them"
)

// DriveWith is Drive with a defect; "" is none.
func DriveWith(x Defect, cfg Config, now time.Time) (*Driven, error) {
	d, err := Drive(cfg, now)
	if err != nil {
		return nil, err
	}
	d.give(x)
	return d, nil
}

// DriveMemberWith is DriveMember with a defect.
func DriveMemberWith(x Defect, cfg Config, now time.Time, join func(zab.Recovered, runner.Store) Agreement) (*Driven, error) {
	d, err := DriveMember(cfg, now, join)
	if err != nil {
		return nil, err
	}
	d.give(x)
	return d, nil
}

func (d *Driven) give(x Defect) {
	s := d.s
	switch x {
	case AckBeforeSync:
		s.pipe.stages = &lateSync{Server: s, held: wal.NewBatch(0)}
	case EventAfterData:
		d.delayRings()
	case WatchArmedLate:
		s.apply.filter = armedOnly{s}
	case CloseLeavesEphemeral:
		s.pipe.stages = defective{Server: s, before: s.hideEphemerals}
	case OverlayForgotten:
		s.pipe.stages = defective{Server: s, before: func(*work) { s.seq.over = newOverlay() }}
	case WriteAfterClose:
		s.pipe.stages = defective{Server: s, after: s.reopenSessions}
	case ExpiryWhileStopped:
		d.defectiveBeat = func(now time.Time) {
			s.clock.session.Add(max(0, now.Sub(s.clock.start).Milliseconds()-s.clock.mono.Load()-maxStep.Milliseconds()))
		}
	case SessionsForgotten:
		for _, sess := range s.tree.Load().Sessions(nil) {
			s.table.Remove(sess.ID)
		}
	case TouchesKept:
		s.member.gatheredMS = 1 << 62
	case SyncAtOnce:
		s.agree = hastySync{s.agree, s}
	case OwnerUnknown:
		s.pipe.stages = defective{Server: s, before: s.handOverSessions}
	case ReadsOvertake:
		s.pipe.stages = overtaking{s}
	}
}

// hastySync confirms the syncs of a learner's clients where they are.
type hastySync struct {
	Agreement
	s *Server
}

func (h hastySync) Forward(epoch uint32, q *wire.ForwardedRequest, v wire.AuthVec) bool {
	if q.Op == wire.OpSync {
		h.s.member.Synced(0)
		return true
	}
	return h.Agreement.Forward(epoch, q, v)
}

// handOverSessions gives every session to whoever asks for it.
func (s *Server) handOverSessions(w *work) {
	for _, b := range w.batches {
		for i := range b.entries {
			if e := &b.entries[i]; e.link != 0 {
				if sess := s.table.Lookup(e.asker); sess != nil {
					sess.SwapOwner(ownerLink | uint64(e.link))
				}
			}
		}
	}
}

// overtaking are the stages with reads that were parked answered before each step.
type overtaking struct{ *Server }

func (o overtaking) settle(st *step, r role) ([]*batch, error) {
	a := &o.apply
	for _, q := range a.parked { // order-free: one is as wrong as another
		for len(q.queue) > 1 && q.queue[1].e.kind != kindWrite {
			first := q.queue[0]
			q.queue = q.queue[1:]
			a.serve(q.queue[0].e, q.queue[0].b)
			a.leave(q)
			q.queue = append([]parked{first}, q.queue...)
		}
	}
	return o.Server.settle(st, r)
}

// defective are the stages with something before and after the sequencer.
type defective struct {
	*Server
	before, after func(*work)
}

func (d defective) sequence(w *work) {
	if d.before != nil {
		d.before(w)
	}
	d.Server.sequence(w)
	if d.after != nil {
		d.after(w)
	}
}

// lateSync commits a batch when the next one comes, or when nothing else is to do.
type lateSync struct {
	*Server
	held *wal.Batch
}

func (d *lateSync) commit(ws []*work) error {
	if err := d.sync(); err != nil {
		return err
	}
	for _, w := range ws {
		for zxid, txn := range w.txns.Txns() {
			d.held.Add(zxid, txn)
		}
	}
	d.lastCommitMS.Store(d.clock.serverMS())
	return nil
}

func (d *lateSync) idle(nowMS int64) error {
	if err := d.sync(); err != nil {
		return err
	}
	return d.Server.idle(nowMS)
}

func (d *lateSync) sync() error {
	if d.held.Len() == 0 {
		return nil
	}
	defer d.held.Reset()
	return d.wal.Commit(d.held, 0, 0, 0)
}

// delayRings gives apply rings of its own. What is in them comes to the loops' with the bell.
func (d *Driven) delayRings() {
	var mine []*ring
	for range d.s.loops {
		mine = append(mine, newRing())
	}
	d.s.apply.rings = mine
	d.defectiveAnswer = func(loop int) {
		var r record
		for from := mine[loop]; ; {
			if _, any := from.peek(); !any {
				from.settle()
				return
			}
			from.next(&r)
			d.s.loops[loop].ring.push(&r, r.body[:r.split], r.body[r.split:])
		}
	}
}

// armedOnly is a filter that does not know of the watches of reads that are on their way.
type armedOnly struct{ s *Server }

func (f armedOnly) loopsWith(hash uint64, recursive bool) (mask uint64) {
	for i, l := range f.s.loops {
		l.watches.Each(func(text []byte, _ uint32, _ watch.Kind, mode watch.Mode) {
			if tree.Hash(text) == hash && (mode == watch.Recursive) == recursive {
				mask |= 1 << i
			}
		})
	}
	return mask
}

func (f armedOnly) Mask(hash uint64) uint64 {
	return f.loopsWith(hash, false) | f.loopsWith(hash, true)
}
func (f armedOnly) RecursiveMask(hash uint64) uint64 { return f.loopsWith(hash, true) }
func (f armedOnly) AnyRecursive() bool               { return true }

// hideEphemerals makes what a closing session has on its way anybody's.
func (s *Server) hideEphemerals(w *work) {
	eachClose(w, func(e *entry) {
		for _, g := range []*generation{&s.seq.over.old, &s.seq.over.young} {
			for i := range g.changes {
				if g.changes[i].stat.EphemeralOwner == e.sess.ID {
					g.changes[i].stat.EphemeralOwner = 0
				}
			}
		}
	})
}

// reopenSessions lets sessions live on whose close was sequenced.
func (s *Server) reopenSessions(w *work) {
	eachClose(w, func(e *entry) { e.sess.Reopen(s.clock.sessionMS()) })
}

func eachClose(w *work, f func(*entry)) {
	for _, b := range w.batches {
		for i := range b.entries {
			if e := &b.entries[i]; e.op == wire.OpCloseSession && e.kind == kindWrite {
				f(e)
			}
		}
	}
}
