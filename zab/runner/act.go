package runner

import (
	"errors"
	"fmt"

	"paddock/wire"
	"paddock/zab"
)

// What the machine asks for, one method or call for each action.

// do does one action.
func (r *Runner) do(a *zab.Action) {
	r.worked = r.worked || forStore(a.Kind)
	r.changed = r.changed || forPeople(a.Kind)
	switch a.Kind {
	case zab.ActionNotify:
		if !r.leaving {
			r.election.Send(a.To, a.Note)
		}
	case zab.ActionDial:
		r.dial(a.To)
	case zab.ActionClose:
		r.closeLink(a)
	case zab.ActionSend:
		r.send(a)
	case zab.ActionSaveEpochs:
		r.store.SaveEpochs(a.Epochs)
	case zab.ActionAppend:
		if r.receiving {
			r.store.Keep(a.Zxid, a.Packet.Data)
		} else {
			r.store.Append(a.Zxid, a.Packet.Data)
		}
	case zab.ActionCommit:
		r.store.Commit(a.Zxid)
	case zab.ActionTruncate:
		r.store.Truncate(a.Zxid)
	case zab.ActionSnapshot:
		r.snapshot(a)
	case zab.ActionStream:
		r.queueRange(itemStream, a)
	case zab.ActionPropose:
		r.queueRange(itemPropose, a)
	case zab.ActionInform:
		r.queueRange(itemInform, a)
	case zab.ActionCommits:
		r.queueCommits(a)
	case zab.ActionInstall:
		r.receiving = false
		r.store.Install(a.Zxid)
	case zab.ActionDiscard:
		r.receiving = false
		r.store.Discard()
	case zab.ActionLead:
		r.leads = int64(a.Epoch)
		r.store.Lead(a.Epoch)
	case zab.ActionServe:
		r.serve(a)
	case zab.ActionRest:
		r.rest(a.Text)
	case zab.ActionRequest:
		r.learnerRequest(a)
	case zab.ActionTouch:
		r.store.Touch(a.Link, a.Packet.Data)
	case zab.ActionRevalidate:
		r.revalidate(a)
	case zab.ActionPong:
		r.pong(a)
	case zab.ActionRevalidated:
		r.revalidated(a)
	case zab.ActionSynced:
		r.store.Synced(a.Token)
	case zab.ActionTrust:
		r.trust()
	case zab.ActionView:
		r.newView(a)
	case zab.ActionFatal:
		r.fatal(errors.New(a.Text))
	default:
		panic(fmt.Sprintf("runner: action %d", a.Kind))
	}
}

// forStore says whether an action is a call of the store, which a Flush ends.
func forStore(k zab.ActionKind) bool {
	switch k {
	case zab.ActionNotify, zab.ActionDial, zab.ActionClose, zab.ActionSend, zab.ActionStream, zab.ActionPropose,
		zab.ActionInform, zab.ActionCommits, zab.ActionFatal:
		return false
	}
	return true
}

// forPeople says whether an action begins or ends something that the status shows.
func forPeople(k zab.ActionKind) bool {
	switch k {
	case zab.ActionLead, zab.ActionServe, zab.ActionRest, zab.ActionTrust, zab.ActionView:
		return true
	}
	return false
}

// queued notes that a link has something to write, or cuts it: its queue was full.
func (r *Runner) queued(l *link, ok bool) {
	switch {
	case !ok:
		l.fail(errQueueFull)
	case !l.dirty:
		l.dirty = true
		r.dirty = append(r.dirty, l)
	}
}

// send queues a packet, when all that it depends on is durable.
func (r *Runner) send(a *zab.Action) {
	l := r.links[a.Link]
	if !r.gate(a) || l == nil {
		return // the machine does not know yet that the link is gone
	}
	if a.Text != "" {
		r.log.Warn("a learner joins", "server", int64(l.status.Server), "note", a.Text)
	}
	if a.Packet.Type == wire.PacketDiff || a.Packet.Type == wire.PacketTrunc { // ZooKeeper counts both as one
		r.diffs++
	}
	if a.Packet.Type == wire.PacketUpToDate {
		l.status.Synced = true
		l.patience.Store(r.cfg.syncMS())
		r.once.forget(l.lostKey())
	}
	r.queued(l, l.out.packet(&a.Packet))
}

// encoded is the packets of a range of transactions, as they go to each learner of a kind.
type encoded struct {
	valid    bool // in this turn
	from, to wire.Zxid
	buf      []byte // nil: it is too large, or the store does not have it at hand
}

// queueRange queues transactions: encoded, if the link keeps up and they are not many.
func (r *Runner) queueRange(kind itemKind, a *zab.Action) {
	l := r.links[a.Link]
	if l == nil {
		return
	}
	if kind != itemStream && l.out.eager() {
		if b := r.encode(kind, a.From, a.Zxid); b != nil {
			r.queued(l, l.out.encoded(b))
			return
		}
	}
	r.queued(l, l.out.ranged(kind, a.From, a.Zxid))
}

// encode returns the packets of a range, which it makes once in a turn.
func (r *Runner) encode(kind itemKind, from, to wire.Zxid) []byte {
	e := &r.proposals
	if kind == itemInform {
		e = &r.informs
	}
	if e.valid && e.from == from && e.to == to {
		return e.buf
	}
	buf, last := e.buf[:0], from
	if cap(buf) > keepBytes {
		buf = nil
	}
	err := r.store.Range(from, to, func(z wire.Zxid, txn []byte) bool {
		if !zab.Follows(last, z) {
			return false
		}
		last, buf = z, appendTxn(buf, kind, z, txn)
		return len(buf) < eagerBytes
	})
	*e = encoded{valid: true, from: from, to: to, buf: buf}
	if err != nil || last != to {
		e.buf = nil // the writer of the link may wait for it, or finds what is wrong
	}
	return e.buf
}

// queueCommits queues the COMMITs of a range.
func (r *Runner) queueCommits(a *zab.Action) {
	l := r.links[a.Link]
	if l == nil {
		return
	}
	if !l.out.eager() {
		r.rangeCommits(l, a.From, a.Zxid)
		return
	}
	h := r.peer.History()
	dst, ok := l.out.open()
	if ok {
		for z, more := h.Next(a.From); more && z <= a.Zxid; z, more = h.Next(z) {
			dst = appendCommit(dst, z)
		}
		ok = l.out.shut(dst)
	}
	r.queued(l, ok)
}

// rangeCommits queues them as ranges, one for each epoch.
func (r *Runner) rangeCommits(l *link, from, to wire.Zxid) {
	h := r.peer.History()
	for from < to {
		first, more := h.Next(from)
		if !more || first > to {
			return
		}
		end, _ := h.Floor(min(to, wire.Zxid(first.Epoch()<<32|0xffffffff)))
		r.queued(l, l.out.ranged(itemCommits, first-1, end))
		from = end
	}
}

// snapshot asks the store for a snapshot.
func (r *Runner) snapshot(a *zab.Action) {
	l := r.links[a.Link]
	if l == nil {
		return
	}
	r.log.Info("a learner gets a snapshot", "server", int64(l.status.Server), "note", a.Text)
	r.store.OpenSnapshot(a.Link)
}

// snapshotOpened queues it, and whatever the machine has to say behind it.
func (r *Runner) snapshotOpened(m *letter) {
	l := r.links[m.ev.Link]
	switch {
	case m.err != nil && l != nil:
		l.fail(fmt.Errorf("no snapshot for it: %w", m.err))
		fallthrough
	case m.err != nil || l == nil:
		m.discard()
		return
	}
	ok := l.out.stream(m.ev.Zxid, m.snapshot)
	r.queued(l, ok)
	if !ok {
		m.discard()
		return
	}
	r.step(m.ev)
}

// serve lets clients' writes through to the leader.
func (r *Runner) serve(a *zab.Action) {
	if l := r.links[a.Link]; l != nil {
		l.status.Synced = true
		l.patience.Store(r.cfg.syncMS())
		r.up.Store(&upstream{l, a.Epoch})
	}
	r.store.Serve(a.Epoch)
}

// rest ends a role. The machine has closed its links.
func (r *Runner) rest(why string) {
	r.leads = 0
	r.up.Store(nil)
	r.stopDial()
	r.log.Info("looks for a leader", "why", why)
	r.store.Rest(why)
}

// newView tells the store of a configuration, and goes by it.
func (r *Runner) newView(a *zab.Action) {
	r.log.Info("configuration", "version", a.View.Version.String(), "proposed", a.Proposed, "servers", a.View.Len())
	if v, ok := r.store.(Viewer); ok {
		v.NewView(a.View, !a.Proposed)
	}
	if !a.Proposed {
		r.relisten()
	}
}

// trust tells the store that it is right to be empty.
func (r *Runner) trust() {
	r.log.Info("no server has a history: the ensemble is new")
	if t, ok := r.store.(Truster); ok {
		t.Trust()
	} else {
		r.fatal(errors.New("runner: the store does not know how to begin an ensemble"))
	}
}

// learnerRequest hands a learner's request to the sequencer.
func (r *Runner) learnerRequest(a *zab.Action) {
	rd := wire.NewReader(a.Packet.Data)
	if err := r.request.Decode(&rd); err != nil {
		r.cut(a.Link, err)
		return
	}
	r.store.Request(a.Link, &r.request, a.Packet.AuthInfo)
	r.request = wire.ForwardedRequest{}
}

func (r *Runner) cut(name zab.Link, err error) {
	if l := r.links[name]; l != nil {
		l.fail(err)
	}
}

func (r *Runner) revalidate(a *zab.Action) {
	var q wire.RevalidateRequest
	rd := wire.NewReader(a.Packet.Data)
	if err := q.Decode(&rd); err != nil {
		r.cut(a.Link, err)
		return
	}
	reply := wire.RevalidateReply{SessionID: q.SessionID, Valid: r.store.Revalidate(a.Link, q)}
	r.scratch = reply.Append(r.scratch[:0])
	r.answer(a, r.scratch)
}

// pong answers a PING with the sessions heard of. Where there are none its data is empty, not null.
func (r *Runner) pong(a *zab.Action) {
	if r.scratch == nil {
		r.scratch = make([]byte, 0, 256)
	}
	r.scratch = r.store.Touched(r.scratch[:0])
	r.answer(a, r.scratch)
}

// answer sends a packet back with other data.
func (r *Runner) answer(a *zab.Action, data []byte) {
	if l := r.links[a.Link]; l != nil {
		p := wire.Packet{Type: a.Packet.Type, Zxid: a.Packet.Zxid, Data: data}
		r.queued(l, l.out.packet(&p))
	}
}

func (r *Runner) revalidated(a *zab.Action) {
	var reply wire.RevalidateReply
	rd := wire.NewReader(a.Packet.Data)
	if err := reply.Decode(&rd); err != nil {
		return // the machine has looked at it
	}
	r.store.Revalidated(reply)
}
