package server

import (
	"fmt"
	"sync"

	"paddock/net"
	"paddock/session"
	"paddock/tree"
	"paddock/wire"
)

// applier is the last stage: it applies what is durable, in zxid order, and answers. The pipeline calls
// apply, one owner at a time; the loops (deliver.go) are next.
//
// The order in which a transaction becomes visible: its changes and its events under the shards' locks,
// then Applied, then its reply. So whoever reads a node at z finds the events up to z in its ring.
type applier struct {
	tree   *tree.Tree
	table  *session.Table
	filter watchFilter
	read   reader
	rings  []*ring
	ring   func(loop int) // rings a loop's bell

	term      uint64 // of the role that it works for
	parked    map[int64]*parking
	answered  []*batch // were parked in, and are answered now
	forward   func(r role, e *entry, b *batch)
	sessionMS func() int64
	asked     *syncRoom

	res     tree.Result
	scratch []byte
	room    room
	noted   struct {
		mu     sync.Mutex
		zxid   wire.Zxid
		digest uint64
	}
}

// watchFilter is the part of watch.Filter that apply asks: which loops watch there.
type watchFilter interface {
	Mask(hash uint64) uint64
	RecursiveMask(hash uint64) uint64
	AnyRecursive() bool
}

// room makes apply wait while a loop is behind, before it takes any lock (bounded).
type room struct {
	mu   sync.Mutex
	cond sync.Cond
	wait bool
}

// ringLimit is how far a loop may be behind before apply waits for it.
const ringLimit = 16 << 20

// apply does one work: everything the sequencer took in one run. An error is a tree that is not the one
// that the transaction was made for: whoever asked for it, and all after him, hear nothing.
func (a *applier) apply(w *work) error {
	for _, b := range w.batches {
		for i := range b.entries {
			e := &b.entries[i]
			a.waitForRoom()
			switch {
			case e.kind == kindCall:
				e.call(a.tree)
			case b.term != w.term:
				a.drop(e, b)
			case e.kind == kindWrite:
				if err := a.write(e, b); err != nil {
					return err
				}
			default:
				a.serve(e, b)
			}
		}
	}
	return nil
}

// serve answers a request that changes nothing, at its place.
func (a *applier) serve(e *entry, b *batch) {
	switch e.kind {
	case kindRead:
		a.ride(e, b)
	case kindBack:
		r := a.record(recBack, e, b, a.tree.Applied())
		a.push(&r, b.body(e), nil)
	case kindReady:
		a.ready(e, b)
	case kindRefused:
		a.answer(e, b, a.tree.Applied(), e.code)
	case kindSync: // answered when the ensemble has, too
		if e.link == 0 {
			a.synced(a.asked.note(e.token, func(w *waiting) { w.passed = true }))
		}
	}
}

func (a *applier) record(kind recordKind, e *entry, b *batch, zxid wire.Zxid) record {
	return record{kind: kind, flags: e.flags, op: e.op, xid: e.xid, zxid: zxid, conn: e.conn, since: b.since}
}

// push sends a record to the loop of its connection; a request of our own has none.
func (a *applier) push(r *record, x, y []byte) {
	if l := r.conn.Loop(); l >= 0 {
		a.rings[l].push(r, x, y)
	}
}

// write applies a transaction and answers the request that it came from.
func (a *applier) write(e *entry, b *batch) error {
	zxid := e.zxid
	if zxid == 0 { // nothing was logged for it
		zxid = a.tree.Applied()
	} else if err := a.change(e.txn); err != nil {
		return err
	}
	switch e.op {
	case wire.OpCreateSession:
		a.connected(e, b, zxid)
		return nil
	case wire.OpCloseSession:
		if e.code == wire.OK {
			a.table.Remove(e.sess.ID)
		}
		if e.flags&flagClose == 0 { // expired, or closed elsewhere: nobody here asked, nobody is told
			if e.code == wire.OK || e.link == 0 && e.code != wire.OperationTimeout { // else the disk is full: it lives on
				a.kick(e.sess, zxid)
			}
			return nil
		}
	}
	if e.conn != znet.NoConn {
		a.answer(e, b, zxid, e.code)
	}
	return nil
}

// change applies one transaction.
func (a *applier) change(txn []byte) error {
	a.tree.Apply(txn, a, &a.res)
	if a.res.Mismatch {
		return fmt.Errorf("server: the tree's digest after zxid %v is %#x, the transaction says %#x: the state has diverged "+
			"(digest.enabled=false goes on regardless)", a.res.Zxid, a.tree.Digest(), a.res.Digest)
	}
	return nil
}

// answer replies to a write.
func (a *applier) answer(e *entry, b *batch, zxid wire.Zxid, code wire.Code) {
	if code == wire.SessionMoved { // no client is told: its connection just ends (facts 16, 17)
		r := a.record(recKick, e, b, zxid)
		a.push(&r, nil, nil)
		return
	}
	out := beginReply(a.scratch[:0], e.xid)
	if code == wire.OK {
		out = appendWriteBody(out, e.op, &a.res)
	}
	a.scratch = endReply(out, 0, zxid, code)
	r := a.record(recReply, e, b, zxid)
	a.push(&r, a.scratch, nil)
}

// kick closes the connection that a session has here, if it has one.
func (a *applier) kick(sess *session.Session, zxid wire.Zxid) {
	r := record{kind: recKick, zxid: zxid, conn: connOf(sess.Owner())}
	a.push(&r, nil, nil)
}

// connected lets a session begin: its client may use it from now on.
func (a *applier) connected(e *entry, b *batch, zxid wire.Zxid) {
	if e.code != wire.OK {
		a.table.Remove(e.sess.ID)
		r := a.record(recKick, e, b, zxid)
		a.push(&r, nil, nil)
		return
	}
	r := a.record(recConnected, e, b, zxid)
	a.push(&r, wire.AppendLong(a.scratch[:0], e.sess.ID), nil)
}

// ride answers a read at its place behind the writes of its session.
func (a *applier) ride(e *entry, b *batch) {
	body := b.body(e)
	if e.op == wire.OpSetWatches || e.op == wire.OpSetWatches2 {
		a.rideSetWatches(e, b, body)
		return
	}
	var (
		armed armFlag
		zxid  wire.Zxid
		code  wire.Code
	)
	out := beginReply(a.scratch[:0], e.xid)
	switch e.op {
	case wire.OpMultiRead:
		out, zxid, code = a.read.multiRead(out, body, e.ids)
	case wire.OpGetEphemerals:
		out, zxid, code = a.read.ephemerals(out, body, e.sess.ID)
	case wire.OpGetAllChildrenNumber:
		out, zxid, code = a.read.countDescendants(out, body, e.ids)
	default:
		out, zxid, code = a.read.answer(out, e.op, body, e.ids, &armed)
	}
	if code != wire.OK {
		out = out[:replyHeaderBytes]
	}
	a.scratch = endReply(out, 0, zxid, code)
	r := a.record(recReply, e, b, zxid)
	if armed {
		r.flags |= flagArm
	}
	if r.flags&flagWatch == 0 {
		body = nil // nobody looks at it
	}
	a.push(&r, a.scratch, body)
}

// rideSetWatches judges every path at this place; the loop sends the events and arms the rest.
func (a *applier) rideSetWatches(e *entry, b *batch, body []byte) {
	var q setWatches
	zxid := a.tree.Applied()
	verdicts := a.scratch[:0]
	if q.decode(e.op, body) {
		q.each(func(list watchList, path []byte) {
			v, _ := a.read.judge(list, path, q.since)
			verdicts = append(verdicts, v)
		})
	}
	a.scratch = verdicts
	r := a.record(recSetWatches, e, b, zxid)
	a.push(&r, verdicts, body)
}

// ready sends a reply that only waited its turn. Those that carry a zxid of their own keep it.
func (a *applier) ready(e *entry, b *batch) {
	a.scratch = append(a.scratch[:0], b.body(e)...)
	zxid := a.tree.Applied()
	if e.flags&flagStamp != 0 {
		endReply(a.scratch, 0, zxid, e.code)
	}
	r := a.record(recReply, e, b, zxid)
	a.push(&r, a.scratch, nil)
}

// flagStamp: the zxid of a ready reply is the one at its place. (Of entries only.)
const flagStamp uint8 = 1 << 7

// armFlag notes that a read armed.
type armFlag bool

// Arm implements tree.Arm. The loop has set the filter's bit before the request left.
func (f *armFlag) Arm(uint64) { *f = true }

// Event implements tree.Sink: it tells the loops that watch the path, or an ancestor recursively. It
// is called under the locks of the shards that change.
func (a *applier) Event(typ wire.EventType, path []byte, hash uint64, acl wire.ACLVec, zxid wire.Zxid) {
	mask := a.filter.Mask(hash)
	if typ != wire.EventNodeChildrenChanged && a.filter.AnyRecursive() {
		mask |= a.recursiveMask(path, hash)
	}
	if mask == 0 {
		return
	}
	r := record{kind: recEvent, event: typ, zxid: zxid}
	for i := 0; mask != 0; i, mask = i+1, mask>>1 {
		if mask&1 != 0 {
			a.rings[i].push(&r, path, acl)
		}
	}
}

// recursiveMask is the loops that have a recursive watch on the path or on any of its ancestors.
func (a *applier) recursiveMask(path []byte, hash uint64) uint64 {
	mask := a.filter.RecursiveMask(hash)
	for i := len(path) - 1; i > 0; i-- {
		if path[i] == '/' {
			mask |= a.filter.RecursiveMask(tree.Hash(path[:i]))
		}
	}
	return mask | a.filter.RecursiveMask(tree.Hash(rootPath))
}

// ringBells wakes the loops that were sent something.
func (a *applier) ringBells() {
	for i, q := range a.rings {
		if q.wrote {
			q.wrote = false
			a.ring(i)
		}
	}
}

// waitForRoom waits until no loop is too far behind.
func (a *applier) waitForRoom() {
	for _, q := range a.rings {
		if q.queued.Load() > ringLimit {
			a.ringBells()
			a.room.await(func() bool { return q.queued.Load() <= ringLimit/2 })
		}
	}
}

func (r *room) await(ok func() bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.wait = true; !ok(); {
		r.cond.Wait()
	}
	r.wait = false
}

// made is called by a loop that has taken records.
func (r *room) made() {
	r.mu.Lock()
	if r.wait {
		r.cond.Broadcast()
	}
	r.mu.Unlock()
}

// checkpoint returns a zxid and the tree's digest there, as apply last noted them: the log keeps the pair, and
// a replay compares. Anybody may ask.
func (a *applier) checkpoint() (wire.Zxid, uint64) {
	a.noted.mu.Lock()
	defer a.noted.mu.Unlock()
	return a.noted.zxid, a.noted.digest
}

// note keeps the digest as it is now; apply's owner calls it between two transactions.
func (a *applier) note() {
	a.noted.mu.Lock()
	a.noted.zxid, a.noted.digest = a.tree.Applied(), a.tree.Digest()
	a.noted.mu.Unlock()
}
