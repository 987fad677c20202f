package server

import (
	"sync"
	"sync/atomic"

	"paddock/net"
	"paddock/session"
	"paddock/tree"
	"paddock/wire"
)

// trees is where the state is found. There is another one when a leader's snapshot was installed.
type trees struct{ atomic.Pointer[tree.Tree] }

// roleKind is what a server does with requests.
type roleKind uint8

const (
	alone    roleKind = iota // sequences; what is durable is committed
	resting                  // nobody is served
	leading                  // sequences; a quorum commits
	learning                 // the leader sequences: writes are forwarded
)

// role is what a server is at the moment. Each has a term, a number that is never used again: what began in
// one term ends with it, for only its clients, whom the end of the role cuts, could have told them apart.
type role struct {
	kind  roleKind
	term  uint64
	epoch uint32 // of the leader
	open  bool   // all that was committed when the role began is applied, and clients are served
}

func (r role) sequences() bool { return r.kind == alone || r.kind == leading }

// takeRole begins a role. What was decided for an earlier one and is not in the log is dropped; what is
// there stays, without its requests: the ensemble decides about it.
func (p *pipeline) takeRole(kind roleKind, epoch uint32) (term uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.role = role{kind: kind, term: p.role.term + 1, epoch: epoch}
	for _, w := range p.made {
		p.unmake(w)
	}
	p.made = nil
	for _, w := range p.toLog {
		if w.kind == workOwn {
			p.strip(w)
		}
	}
	for _, w := range p.logged {
		if w.kind == workOwn {
			p.strip(w)
		}
	}
	p.marks = nil
	p.toApply = append(p.toApply, step{call: func() {}}) // what is parked is dropped now, not when the next request comes
	p.release()
	p.wake()
	return p.role.term
}

// strip parts the transactions of a work, which stay in the log, from its requests, which nobody answers.
func (p *pipeline) strip(w *work) {
	w.kind = workForeign
	if len(w.batches) == 0 {
		return
	}
	d := p.takeSpare()
	d.kind, d.term = workAsked, w.term
	d.batches = append(d.batches, w.batches...)
	clear(w.batches)
	w.batches = w.batches[:0]
	p.toApply = append(p.toApply, step{w: d, last: true})
}

// open says that the role of a term serves; false if it is over. serve is called under the lock, so that the
// end of the role cannot come between.
func (p *pipeline) open(term uint64, serve func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.role.term != term {
		return false
	}
	p.role.open = true
	serve()
	p.wake()
	return true
}

// markHere has f called at the apply stage when all that is committed by now is applied. The end of the role
// forgets it.
func (p *pipeline) markHere(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.marks = append(p.marks, mark{zxid: p.committed, call: f})
	p.release()
	p.wake()
}

// madeUpTo returns what was made up to zxid. Only takeRole and propose take it away, and who calls them calls
// this, too.
func (p *pipeline) madeUpTo(zxid wire.Zxid) []*work {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for n < len(p.made) && p.made[n].txns.Last() <= zxid {
		n++
	}
	return p.made[:n:n]
}

// propose moves the first n works that were made to the log, and those behind them that have nothing to be
// proposed.
func (p *pipeline) propose(n int) {
	p.mu.Lock()
	for n < len(p.made) && p.made[n].txns.Len() == 0 {
		n++
	}
	p.toLog = append(p.toLog, p.made[:n]...)
	p.made = p.made[n:]
	p.mu.Unlock()
}

// append gives a work to the log's owner.
func (p *pipeline) append(w *work) {
	p.mu.Lock()
	p.toLog = append(p.toLog, w)
	p.wake()
	p.mu.Unlock()
}

// newWork returns an empty work for transactions of a leader.
func (p *pipeline) newWork(kind workKind) *work {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.takeSpare()
	w.kind, w.term = kind, p.role.term
	return w
}

// flush wakes a worker for what propose has moved.
func (p *pipeline) flush() {
	p.mu.Lock()
	p.wake()
	p.mu.Unlock()
}

// commitTo says that all up to zxid is committed.
func (p *pipeline) commitTo(zxid wire.Zxid) {
	p.mu.Lock()
	p.committed = max(p.committed, zxid)
	p.release()
	p.wake()
	p.mu.Unlock()
}

// cut drops the transactions behind zxid, none of which is committed. The log's owner calls it.
func (p *pipeline) cut(zxid wire.Zxid) {
	p.mu.Lock()
	defer p.mu.Unlock()
	keep := p.logged[:0]
	for _, w := range p.logged {
		if w.txns.Last() > zxid {
			w = p.shorten(w, zxid)
		}
		if w != nil {
			keep = append(keep, w)
		}
	}
	clear(p.logged[len(keep):])
	p.logged = keep
}

// shorten returns what a work has up to zxid, or nil. The work itself may be in the hands of apply.
func (p *pipeline) shorten(w *work, zxid wire.Zxid) *work {
	if w.txns.First() > zxid {
		return nil
	}
	s := p.takeSpare()
	s.kind, s.term, s.applied = w.kind, w.term, p.released
	for z, txn := range w.txns.Txns() {
		if z <= zxid {
			s.txns.Add(z, txn)
		}
	}
	s.count()
	return s
}

func (w *work) count() { w.logged, w.loggedBytes = int64(w.txns.Len()), w.txns.Size() }

// replace puts another state and log in the place of what was there: all before is void, all up to zxid is in
// the state, and tail is durable behind it. adopt is called at the apply stage before anything of tail is.
func (p *pipeline) replace(zxid wire.Zxid, tail []*work, adopt func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.logged = append(p.logged[:0:0], tail...)
	p.marks = nil
	p.committed, p.released = zxid, zxid
	steps := p.toApply[:0:0]
	for _, st := range p.toApply { // requests and calls stay; transactions belong to the state that is gone
		if st.w == nil || st.w.kind == workAsked {
			steps = append(steps, st)
		}
	}
	p.toApply = append(steps, step{call: adopt})
	p.wake()
}

// beginAt sets where an ensemble's server begins: state and log as they were found.
func (p *pipeline) beginAt(applied wire.Zxid, tail []*work) {
	p.role = role{kind: resting, term: 1}
	p.committed, p.released, p.logged = applied, applied, tail
}

// cutClients ends the connections of all who have, or ask for, a session.
func (s *Server) cutClients() {
	for _, l := range s.loops {
		if !l.nl.Hung() {
			continue
		}
		s.visit(l, func() {
			l.nl.Each(func(c *znet.Conn) {
				if k := c.State.(*client); k.term != 0 && k.term != s.term.Load() {
					c.Cut()
				}
			})
		})
	}
}

// begin is the mark at which a new role serves: the state is what was committed when it began. Sessions begin
// anew, with a whole timeout each: who was connected to us, or to another leader, comes back.
func (s *Server) begin(term uint64, serve bool) {
	s.resetSessions()
	s.showConfig()
	if s.pipe.open(term, func() { s.serving.Store(serve) }) {
		s.member.measures.begun(s.clock.now())
		s.log.Info("serves", "clients", serve, "zxid", s.tree.Load().Applied().String(), "sessions", s.table.Len())
	}
}

// showConfig has clients find the configuration that is in force.
func (s *Server) showConfig() {
	v := s.member.view.Load()
	s.apply.tree.SetConfig(v.Text(), v.Version, s.clock.wallMS())
}

// resetSessions makes the table hold what the tree has.
func (s *Server) resetSessions() {
	var all []session.Entry
	for _, sess := range s.tree.Load().Sessions(nil) {
		all = append(all, session.Entry{ID: sess.ID, TimeoutMS: sess.TimeoutMS})
	}
	s.table.Reset(all, s.clock.sessionMS())
}

// waiting is a sync that is on its way through the ensemble.
type waiting struct {
	token uint64 // of a leader's client; 0: it was forwarded
	conn  znet.ID
	xid   int32
	since int64
	path  []byte // the request's body

	passed, done bool // of a leader's: apply has come to its place; the ensemble has answered
}

// syncRoom keeps them, in the order in which they left.
type syncRoom struct {
	mu    sync.Mutex
	all   []*waiting
	token uint64
}

// add keeps a sync and returns its token.
func (r *syncRoom) add(e *entry, b *batch, forwarded bool) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := &waiting{conn: e.conn, xid: e.xid, since: b.since, path: append([]byte(nil), b.body(e)...)}
	if !forwarded {
		r.token++
		w.token = r.token
	}
	r.all = append(r.all, w)
	return w.token
}

// take returns the oldest sync that was forwarded.
func (r *syncRoom) take() *waiting {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.remove(0)
}

// note says that a leader's sync has passed apply, or is done, and returns it when it is both.
func (r *syncRoom) note(token uint64, f func(*waiting)) *waiting {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.all {
		if w.token != token {
			continue
		}
		if f(w); w.passed && w.done {
			return r.remove(token)
		}
	}
	return nil
}

func (r *syncRoom) remove(token uint64) *waiting {
	for i, w := range r.all {
		if w.token == token {
			r.all = append(r.all[:i], r.all[i+1:]...)
			return w
		}
	}
	return nil
}

func (r *syncRoom) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.all)
}

func (r *syncRoom) clear() {
	r.mu.Lock()
	r.all = nil
	r.mu.Unlock()
}
