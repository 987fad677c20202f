package server

import (
	"errors"
	"sync"
	"sync/atomic"

	"paddock/auth"
	"paddock/wal"
	"paddock/wire"
	"paddock/zab"
	"paddock/zab/runner"
	"paddock/zab/transport"
)

// This file is the server as the ensemble's protocol sees it: zab/runner drives the protocol's machine and
// calls these methods, all on one goroutine, in the order in which the machine decides. They only move
// things between the pipeline's queues; what takes time is done by the stages, or beside them.

// Agreement is the other end: zab/runner, or a simulator.
type Agreement interface {
	Post(zab.Event)
	Forward(epoch uint32, q *wire.ForwardedRequest, auth wire.AuthVec) bool
	Revalidate(epoch uint32, q wire.RevalidateRequest) bool
	SnapshotOpened(to zab.Link, zxid wire.Zxid, s runner.Snapshot, err error)
	Fail(error)
	Status() runner.Status
	Close()
}

// member is a server as one of an ensemble.
type member struct {
	s     *Server
	agree Agreement

	// Of the goroutine that calls the methods.
	term     uint64
	role     roleKind
	incoming *work  // proposals of this turn
	requests *batch // of learners, in this turn
	who      map[string]*auth.Identities
	arriving *arrival

	view     atomic.Pointer[zab.View] // that is in force
	port     atomic.Pointer[transport.Election]
	recent   recent
	touch    touches
	measures measures

	// Of the clock's goroutine.
	gatheredMS int64 // when the sessions heard of were gathered last
	resigned   int64 // for which stuck write it has resigned
}

var (
	_ runner.Store   = (*member)(nil)
	_ runner.Truster = (*member)(nil)
	_ runner.Viewer  = (*member)(nil)
)

// Append implements runner.Store.
func (m *member) Append(zxid wire.Zxid, txn []byte) {
	if m.incoming != nil && !m.incoming.txns.Accepts(zxid) {
		m.handOver()
	}
	if m.incoming == nil {
		m.incoming = m.s.pipe.newWork(workForeign)
	}
	m.incoming.txns.Add(zxid, txn)
	m.recent.append(zxid, txn)
}

// handOver gives the log what was appended.
func (m *member) handOver() {
	if w := m.incoming; w != nil {
		m.incoming = nil
		w.count()
		m.s.pipe.append(w)
	}
}

// Propose implements runner.Store.
func (m *member) Propose(zxid wire.Zxid) {
	ws := m.s.pipe.madeUpTo(zxid)
	for _, w := range ws { // before the log's owner has them
		m.recent.appendBatch(w.txns)
		m.measures.proposed(w.txns)
	}
	m.s.pipe.propose(len(ws))
}

// Flush implements runner.Store.
func (m *member) Flush() {
	m.handOver()
	m.handRequests()
	m.s.pipe.flush()
}

// Commit implements runner.Store.
func (m *member) Commit(zxid wire.Zxid) {
	m.handOver()
	m.s.wal.NoteCommitted(zxid)
	m.s.pipe.commitTo(zxid)
}

// SaveEpochs implements runner.Store.
func (m *member) SaveEpochs(e zab.Epochs) {
	m.job(func() error {
		record := m.s.epochs.Epochs()
		record.Accepted, record.Current = e.Accepted, e.Current
		if err := m.s.epochs.Save(record); err != nil {
			return err
		}
		m.agree.Post(zab.Event{Kind: zab.EventEpochsSaved, Epochs: e})
		return nil
	})
}

// Trust implements runner.Truster.
func (m *member) Trust() {
	m.job(func() error {
		return m.s.mark(m.s.newFile(), "no server of the ensemble had anything when this one began")
	})
}

// job has f run by the log's owner, behind all that was given to the log.
func (m *member) job(f func() error) {
	m.handOver()
	w := m.s.pipe.newWork(workJob)
	w.job = f
	m.s.pipe.append(w)
}

// Truncate implements runner.Store.
func (m *member) Truncate(zxid wire.Zxid) {
	m.recent.truncate(zxid)
	m.job(func() error {
		if err := m.s.wal.TruncateTo(zxid); err != nil {
			return err
		}
		m.s.pipe.cut(zxid)
		m.agree.Post(zab.Event{Kind: zab.EventTruncated, Zxid: zxid})
		return nil
	})
}

// Range implements runner.Store.
func (m *member) Range(from, to wire.Zxid, yield func(wire.Zxid, []byte) bool) error {
	if m.recent.each(from, to, yield) {
		return nil
	}
	err := m.s.wal.Range(from, to, func(zxid wire.Zxid, txn []byte) error {
		if !yield(zxid, txn) {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

var errEnough = errors.New("enough")

// Lead implements runner.Store.
func (m *member) Lead(epoch uint32) {
	m.takeRole(leading, epoch)
	term, serve := m.term, !m.s.cfg.Ensemble.ClosedToClients
	m.s.pipe.markHere(func() { m.s.begin(term, serve) })
}

// Serve implements runner.Store.
func (m *member) Serve(epoch uint32) {
	m.takeRole(learning, epoch)
	term := m.term
	m.s.pipe.markHere(func() { m.s.begin(term, true) })
}

// Rest implements runner.Store.
func (m *member) Rest(why string) {
	if m.requests != nil {
		m.requests.release()
		m.requests = nil
	}
	m.takeRole(resting, 0)
}

// takeRole ends whatever the server was, and what it owes to clients and learners with it.
func (m *member) takeRole(kind roleKind, epoch uint32) {
	m.handOver()
	s := m.s
	s.serving.Store(false)
	m.role, m.term = kind, s.pipe.takeRole(kind, epoch)
	s.term.Store(m.term)
	s.serving.Store(false) // a mark of the role before may just have opened
	s.asked.clear()
	s.renewals.clear()
	m.touch.clear()
	s.cutClients()
	m.measures.role(kind, s.clock.now())
}

// Request implements runner.Store.
func (m *member) Request(link zab.Link, q *wire.ForwardedRequest, v wire.AuthVec) {
	if m.requests == nil {
		m.requests = newBatch(m.s.clock.serverMS(), m.term)
	}
	e := entry{kind: kindWrite, op: q.Op, xid: q.Cxid, link: link, asker: q.SessionID}
	if q.Op == wire.OpSync {
		e.kind = kindSync
		m.requests.endsWork = true
	} else {
		e.ids = m.identities(v)
	}
	m.requests.add(e, q.Body)
	if m.requests.endsWork || len(m.requests.bytes.B) > maxBatchBytes {
		m.handRequests()
	}
}

func (m *member) handRequests() {
	if b := m.requests; b != nil {
		m.requests = nil
		m.s.pipe.put(b)
	}
}

// identities returns who a learner's client is. Few differ, so they are kept.
func (m *member) identities(v wire.AuthVec) *auth.Identities {
	const most = 1000
	if ids := m.who[string(v)]; ids != nil {
		return ids
	}
	if m.who == nil || len(m.who) >= most {
		m.who = map[string]*auth.Identities{}
	}
	ids := m.s.rules.Forwarded(v)
	m.who[string(v)] = ids
	return ids
}

// Touch implements runner.Store.
func (m *member) Touch(_ zab.Link, v wire.TouchVec) {
	now := m.s.clock.sessionMS()
	for it := v.Iter(); it.Next(); {
		if sess := m.s.table.Lookup(it.SessionID()); sess != nil {
			sess.Touch(now)
		}
	}
}

// Touched implements runner.Store.
func (m *member) Touched(dst []byte) []byte { return m.touch.take(dst) }

// Revalidate implements runner.Store.
func (m *member) Revalidate(link zab.Link, q wire.RevalidateRequest) bool {
	m.measures.count(&m.measures.revalidated)
	sess := m.s.table.Lookup(q.SessionID)
	if sess == nil || !sess.Renew(q.TimeOut, m.s.clock.sessionMS()) {
		return false
	}
	if old := connOf(sess.SwapOwner(ownerLink | uint64(link))); old != 0 {
		m.s.disconnect(nil, old)
	}
	return true
}

// Revalidated implements runner.Store.
func (m *member) Revalidated(reply wire.RevalidateReply) {
	r, ok := m.s.renewals.take(reply.SessionID)
	if !ok {
		return
	}
	m.s.visit(r.l, func() { r.l.revalidated(reply.SessionID, r, reply.Valid) })
}

// Synced implements runner.Store.
func (m *member) Synced(token uint64) {
	a, room := &m.s.apply, &m.s.asked
	if token == 0 {
		if w := room.take(); w != nil {
			m.s.pipe.markHere(func() { a.synced(w) })
		}
		return
	}
	m.s.pipe.markHere(func() {
		a.synced(room.note(token, func(w *waiting) { w.done = true }))
	})
}

// synced answers a sync: all that was committed when it was done is applied.
func (a *applier) synced(w *waiting) {
	if w != nil {
		r := record{kind: recBack, op: wire.OpSync, xid: w.xid, zxid: a.tree.Applied(), conn: w.conn, since: w.since}
		a.push(&r, w.path, nil)
	}
}

// Fatal implements runner.Store.
func (m *member) Fatal(err error) { m.s.fatal(err) }

// sequenced implements stages: the machine hears of what was made, and of the syncs behind it.
func (s *Server) sequenced(last wire.Zxid, syncs []asking) {
	if last != 0 {
		s.agree.Post(zab.Event{Kind: zab.EventProposed, Zxid: last})
	}
	for _, q := range syncs {
		s.agree.Post(zab.Event{Kind: zab.EventSync, Link: q.link, Token: q.token})
	}
}

// forward sends a request to the leader. Where there is none any more, the end of the role follows, which
// drops what waits.
func (s *Server) forward(r role, e *entry, b *batch) {
	q := wire.ForwardedRequest{SessionID: e.sess.ID, Cxid: e.xid, Op: e.op, Body: b.body(e)}
	if e.op == wire.OpCreateSession {
		s.apply.scratch = wire.AppendInt(s.apply.scratch[:0], e.sess.TimeoutMS())
		q.Body = s.apply.scratch
	}
	if e.kind == kindSync {
		s.asked.add(e, b, true)
	}
	s.authScratch = e.ids.AppendAuth(s.authScratch[:0])
	s.agree.Forward(r.epoch, &q, s.authScratch)
}

// leaderElsewhere says whether a leader keeps the sessions, and its epoch.
func (s *Server) leaderElsewhere() (epoch uint32, yes bool) {
	if s.agree == nil {
		return 0, false
	}
	s.pipe.mu.Lock()
	defer s.pipe.mu.Unlock()
	return s.pipe.role.epoch, s.pipe.role.kind == learning
}

// leads says whether what nobody asked for is ours to do: the end of sessions, containers and TTL nodes.
func (s *Server) leads() bool {
	if s.agree == nil {
		return true
	}
	s.pipe.mu.Lock()
	defer s.pipe.mu.Unlock()
	return s.pipe.role.kind == leading && s.pipe.role.open
}

// recent keeps the latest transactions for those who follow.
type recent struct {
	mu     sync.Mutex
	window *wal.Window
}

const (
	recentBytes = 64 << 20
	recentTxns  = 256 << 10
)

func (r *recent) append(zxid wire.Zxid, txn []byte) {
	r.mu.Lock()
	r.window.Append(zxid, txn)
	r.mu.Unlock()
}

func (r *recent) appendBatch(b *wal.Batch) {
	r.mu.Lock()
	r.window.AppendBatch(b)
	r.mu.Unlock()
}

func (r *recent) truncate(zxid wire.Zxid) {
	r.mu.Lock()
	r.window.TruncateTo(zxid)
	r.mu.Unlock()
}

// each calls yield for a range, if all of it is there.
func (r *recent) each(from, to wire.Zxid, yield func(wire.Zxid, []byte) bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.window.Has(from, to) {
		return false
	}
	for zxid, txn := range r.window.Range(from, to) {
		if !yield(zxid, txn) {
			break
		}
	}
	return true
}

// touches is who of our clients was heard of since the leader was told last.
type touches struct {
	mu      sync.Mutex
	vec     []byte
	sinceMS int64
}

// gather adds who was heard of since the last time. The clock's goroutine calls it.
func (t *touches) gather(s *Server) {
	now := s.clock.sessionMS()
	t.mu.Lock()
	defer t.mu.Unlock()
	s.table.Touched(t.sinceMS, func(id int64, timeoutMS int32) {
		t.vec = wire.AppendTouch(t.vec, id, timeoutMS)
	})
	t.sinceMS = now
}

func (t *touches) take(dst []byte) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	dst = append(dst, t.vec...)
	t.vec = t.vec[:0]
	return dst
}

func (t *touches) clear() {
	t.mu.Lock()
	t.vec, t.sinceMS = t.vec[:0], 0
	t.mu.Unlock()
}
