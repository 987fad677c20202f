package server

import (
	"paddock/net"
	"paddock/wire"
)

// This file is apply where the leader is elsewhere: transactions come from the log alone, and the requests
// of our own clients wait here, session by session, until they come by.
//
//	asked:    write ─▶ parked in its session's queue, and forwarded to the leader
//	          other ─▶ answered here, or parked behind the session's writes
//	foreign:  transaction ─▶ applied; if it is the first write of its session's queue (session and xid say
//	          so) that is answered, and what rides behind it
//
// One goroutine parks, forwards and matches, so no transaction can come before its request is parked.

// parked is a request that waits.
type parked struct {
	b *batch
	e *entry
}

// parking is what a session has waiting, oldest first. The first is a write.
type parking struct{ queue []parked }

// ask takes a work of requests. Those of a role that is over are dropped.
func (a *applier) ask(w *work, r role) {
	for _, b := range w.batches {
		for i := range b.entries {
			e := &b.entries[i]
			a.waitForRoom()
			switch {
			case e.kind == kindCall:
				e.call(a.tree)
			case b.term != r.term || r.kind != learning || e.sess == nil:
				a.drop(e, b)
			default:
				a.askOne(e, b, r)
			}
		}
	}
}

func (a *applier) askOne(e *entry, b *batch, r role) {
	body := b.body(e)
	if e.kind == kindWrite && !decodable(e.op, body) {
		e.kind, e.code = kindRefused, wire.MarshallingError
	}
	q := a.parked[e.sess.ID]
	switch e.kind {
	case kindWrite:
		a.park(e, b, q)
		a.forward(r, e, b)
		return
	case kindSync: // the connection sends nothing behind it
		a.forward(r, e, b)
		return
	}
	if q != nil {
		a.park(e, b, q)
		return
	}
	a.serve(e, b)
}

func (a *applier) park(e *entry, b *batch, q *parking) {
	if q == nil {
		q = new(parking)
		a.parked[e.sess.ID] = q
	}
	q.queue = append(q.queue, parked{b, e})
	b.parked++
}

// leave takes the first of a queue out.
func (a *applier) leave(q *parking) {
	b := q.queue[0].b
	q.queue[0] = parked{}
	q.queue = q.queue[1:]
	if b.parked--; b.parked == 0 && b.walked {
		a.answered = append(a.answered, b)
	}
}

// follow applies the transactions of a work up to a zxid, from where it was left.
func (a *applier) follow(w *work, upTo wire.Zxid) error {
	for zxid, txn := range w.txns.Txns() {
		switch {
		case zxid > upTo:
			return nil
		case zxid <= w.applied:
			continue
		}
		a.waitForRoom()
		if err := a.foreign(txn); err != nil {
			return err
		}
		w.applied = zxid
	}
	return nil
}

// foreign applies one transaction that another server, or an earlier role, has made.
func (a *applier) foreign(txn []byte) error {
	if err := a.change(txn); err != nil {
		return err
	}
	h := a.res.TxnHeader
	q := a.parked[h.ClientID]
	mine := q != nil && q.queue[0].e.made(&h)
	switch h.Type {
	case wire.OpCreateSession:
		body := wire.NewReader(txn[wire.TxnHeaderBytes:])
		a.table.Add(h.ClientID, body.Int(), a.sessionMS())
	case wire.OpCloseSession:
		a.ended(h.ClientID, h.Zxid, mine)
	}
	if mine {
		a.settleFirst(q, &h)
	}
	return nil
}

// made says whether a transaction is what became of a parked request.
func (e *entry) made(h *wire.TxnHeader) bool {
	session := h.Type == wire.OpCreateSession || h.Type == wire.OpCloseSession
	return e.xid == h.Cxid && (h.Type == wire.OpError || !session || h.Type == e.op)
}

// ended is the end of a session: by its client here (mine), by its client elsewhere, or because it expired.
func (a *applier) ended(id int64, zxid wire.Zxid, mine bool) {
	sess := a.table.Lookup(id)
	if sess != nil && !mine {
		a.kick(sess, zxid)
	}
	a.table.Remove(id)
	if q := a.parked[id]; q != nil && !mine {
		for len(q.queue) > 0 {
			a.drop(q.queue[0].e, q.queue[0].b)
			a.leave(q)
		}
		delete(a.parked, id)
	}
}

// settleFirst answers the first of a session's queue, and what rode behind it up to its next write.
func (a *applier) settleFirst(q *parking, h *wire.TxnHeader) {
	id, first := h.ClientID, q.queue[0]
	if first.e.op == wire.OpCreateSession {
		first.e.code = a.res.Code
		a.connected(first.e, first.b, h.Zxid)
	} else {
		a.answer(first.e, first.b, h.Zxid, a.res.Code)
	}
	a.leave(q)
	for len(q.queue) > 0 && q.queue[0].e.kind != kindWrite {
		a.serve(q.queue[0].e, q.queue[0].b)
		a.leave(q)
	}
	if len(q.queue) == 0 {
		delete(a.parked, id)
	}
}

// dropParked forgets what waits for a leader that is none any more.
func (a *applier) dropParked() {
	for id, q := range a.parked { // order-free: their clients are cut
		for len(q.queue) > 0 {
			a.drop(q.queue[0].e, q.queue[0].b)
			a.leave(q)
		}
		delete(a.parked, id)
	}
}

// drop ends a request of a role that is over: nobody knows what became of it, so its connection ends, too.
func (a *applier) drop(e *entry, b *batch) {
	if e.kind == kindWrite && e.op == wire.OpCreateSession && e.sess != nil {
		a.table.Remove(e.sess.ID) // if it was logged, the transaction brings it back
	}
	if e.conn == znet.NoConn {
		return
	}
	kind := recReply
	var body []byte
	switch {
	case e.kind == kindBack:
		kind, body = recBack, b.body(e)
	case e.kind == kindRead && (e.op == wire.OpSetWatches || e.op == wire.OpSetWatches2):
		kind, body = recSetWatches, b.body(e)
	case e.flags&flagWatch != 0:
		body = b.body(e)
	}
	r := a.record(kind, e, b, a.tree.Applied())
	r.flags |= flagGone
	if kind == recBack {
		a.push(&r, body, nil)
		return
	}
	a.push(&r, nil, body)
}
