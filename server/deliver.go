package server

import (
	"encoding/binary"
	"sync"

	"paddock/net"
	"paddock/tree"
	"paddock/wire"
)

// This file is what comes back to a loop: records of its ring, in zxid order, and visitors in its
// inbox. apply.go is the other end of the ring.

// Rung answers the bell: everything in the ring, then the visitors.
func (l *loop) Rung() {
	const everything = wire.Zxid(1<<63 - 1)
	l.drain(everything)
	l.ring.settle()
	l.s.apply.room.made()
	l.inbox.visit()
	l.unstall()
}

// ringReaches reports whether the ring holds a record stamped at most zxid.
func (l *loop) ringReaches(zxid wire.Zxid) bool {
	z, ok := l.ring.peek()
	return ok && z <= zxid
}

// drain delivers what the ring holds up to zxid (event-before-data: whoever places a reply stamped
// zxid calls it first).
func (l *loop) drain(zxid wire.Zxid) {
	var r record
	for l.ringReaches(zxid) {
		l.ring.next(&r)
		l.deliver(&r)
	}
}

func (l *loop) deliver(r *record) {
	if r.kind == recEvent {
		l.notify(r)
		return
	}
	c := l.nl.Conn(r.conn)
	if c == nil || r.flags&flagGone != 0 {
		l.forget(r) // the client is gone, and what it waited for with it
		if c != nil {
			c.Cut()
		}
		return
	}
	k := c.State.(*client)
	switch r.kind {
	case recKick:
		c.Cut()
	case recConnected:
		l.connected(c, k, r)
	case recBack:
		k.unanswered--
		l.answerHere(c, k, r.op, r.xid, r.zxid, r.body)
		l.synced(c, k, r.op)
	case recSetWatches:
		k.unanswered--
		l.settleWatches(c, k, r)
	case recReply:
		k.unanswered--
		l.reply(c, k, r)
	}
}

// reply places a reply that apply has made, and arms its watch.
func (l *loop) reply(c *znet.Conn, k *client, r *record) {
	if r.flags&flagWatch != 0 {
		path := pathOf(r.body[r.split:])
		hash := tree.Hash(path)
		if r.flags&flagArm != 0 {
			l.armFor(c, r.op, path, hash)
		}
		l.watches.Unreserve(hash)
	}
	c.Send(r.body[:r.split])
	l.answered(k, r.op, r.zxid, l.s.clock.serverMS()-r.since, int(r.split))
	if r.flags&flagClose != 0 {
		c.Finish()
	}
}

// settleWatches does with every path of a setWatches what apply has judged at its place.
func (l *loop) settleWatches(c *znet.Conn, k *client, r *record) {
	verdicts, body := r.body[:r.split], r.body[r.split:]
	code := wire.OK
	var q setWatches
	if q.decode(r.op, body) {
		i := 0
		q.each(func(list watchList, path []byte) {
			hash := tree.Hash(path)
			l.settle(c, list, path, hash, verdicts[i])
			l.unreserve(list, hash)
			i++
		})
	} else {
		code = wire.MarshallingError
	}
	c.SetOut(appendReply(c.Out(), r.xid, r.zxid, code))
	l.answered(k, r.op, r.zxid, l.s.clock.serverMS()-r.since, replyHeaderBytes)
}

// forget takes back the filter's bits of a record whose client is gone.
func (l *loop) forget(r *record) {
	switch {
	case r.kind == recBack && r.op == wire.OpAddWatch:
		if path, list, ok := addedWatch(r.body); ok && path != nil {
			l.unreserve(list, tree.Hash(path))
		}
	case r.kind == recReply && r.flags&flagWatch != 0:
		l.watches.Unreserve(tree.Hash(pathOf(r.body[r.split:])))
	case r.kind == recSetWatches:
		var q setWatches
		if q.decode(r.op, r.body[r.split:]) {
			q.each(func(list watchList, path []byte) { l.unreserve(list, tree.Hash(path)) })
		}
	}
}

// notify tells the connections of this loop that watch the node. Who may not read it is not told, but
// its one-shot watch is spent all the same (fact 86); what counts is who the client is now (fact 87).
func (l *loop) notify(r *record) {
	path, acl := r.body[:r.split], wire.ACLVec(r.body[r.split:])
	l.told = l.watches.Trigger(path, tree.Hash(path), r.event, l.told[:0])
	if len(l.told) == 0 {
		return
	}
	l.scratch = appendNotification(l.scratch[:0], r.event, path, r.zxid)
	for _, slot := range l.told {
		c := l.nl.At(slot)
		if c == nil || c.Closed() {
			continue
		}
		if k := c.State.(*client); k.ids.May(acl, wire.PermRead) {
			c.Send(l.scratch)
			k.stats.sent++
			l.counters.sent++
			l.counters.events++
		}
	}
}

// answered counts a reply; ms is how long its request was with us.
func (l *loop) answered(k *client, op wire.Op, zxid wire.Zxid, ms int64, bytes int) {
	k.stats.answered(zxid, ms, l.s.clock.serverMS())
	l.counters.answered(isUpdate(op), ms, bytes)
}

// isUpdate: what readlatency and updatelatency tell apart.
func isUpdate(op wire.Op) bool {
	switch op {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL, wire.OpDelete,
		wire.OpSetData, wire.OpSetACL, wire.OpMulti, wire.OpCloseSession:
		return true
	}
	return false
}

// unstall serves connections again that were paused because the pipeline was full.
func (l *loop) unstall() {
	if len(l.stalled) == 0 || l.s.pipe.isFull.Load() {
		return
	}
	for _, c := range l.stalled {
		if c.Closed() {
			continue
		}
		if k := c.State.(*client); k.stalled {
			k.stalled = false
			l.goOn(c, k)
		}
	}
	clear(l.stalled)
	l.stalled = l.stalled[:0]
}

// synced lets requests behind a sync in again, when it is answered.
func (l *loop) synced(c *znet.Conn, k *client, op wire.Op) {
	if op == wire.OpSync && k.syncing {
		k.syncing = false
		l.goOn(c, k)
	}
}

// goOn serves a connection again, if nothing else holds it.
func (l *loop) goOn(c *znet.Conn, k *client) {
	if !k.stalled && !k.syncing && !k.closing && k.sess != nil {
		c.Resume()
	}
}

// inbox is where others leave what they want done on the loop.
type inbox struct {
	mu     sync.Mutex
	visits []func()
}

// send leaves a visitor; the caller rings the bell.
func (b *inbox) send(f func()) {
	b.mu.Lock()
	b.visits = append(b.visits, f)
	b.mu.Unlock()
}

func (b *inbox) visit() {
	b.mu.Lock()
	visits := b.visits
	b.visits = nil
	b.mu.Unlock()
	for _, f := range visits {
		f()
	}
}

// connected finishes the handshake of a new session.
func (l *loop) connected(c *znet.Conn, k *client, r *record) {
	id := int64(binary.BigEndian.Uint64(r.body))
	sess := l.s.table.Lookup(id)
	if sess == nil {
		c.Cut() // expired already: the disk was slower than its timeout
		return
	}
	k.unanswered--
	l.welcome(c, k, sess, sess.TimeoutMS())
}
