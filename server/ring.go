package server

import (
	"encoding/binary"
	"sync/atomic"

	"paddock/net"
	"paddock/wire"
)

// recordKind is what a record in a ring tells a loop.
type recordKind uint8

const (
	recEvent      recordKind = iota + 1 // a node changed: tell who watches it. body: path, ACL
	recReply                            // body: a whole reply frame, then (if it armed) the request
	recBack                             // body: a request that touches its connection only: answer it now
	recSetWatches                       // body: verdicts, one byte a path, then the request
	recConnected                        // the session exists: finish the handshake. body: its id
	recKick                             // the session is over: close the connection
)

// Flags of a record.
const (
	flagClose uint8 = 1 << iota // after this reply the connection is finished
	flagArm                     // the read armed its watch
	flagWatch                   // the read wanted a watch: its reservation ends here
	flagGone                    // the role is over in which it was asked: nothing is answered, the connection is cut
)

// record is one message from apply to a loop. Records of one ring are in zxid order.
type record struct {
	kind  recordKind
	flags uint8
	event wire.EventType
	op    wire.Op
	xid   int32
	zxid  wire.Zxid
	conn  znet.ID
	since int64  // ms on the server's clock when the request was read
	split uint32 // where the second part of body starts
	body  []byte // aliases the ring: valid until the next call of next
}

const (
	recordHeader = 48
	chunkBytes   = 256 << 10
)

// chunk is a piece of a ring. The producer appends and publishes tail; the consumer follows.
type chunk struct {
	buf  []byte
	tail atomic.Int64
	next atomic.Pointer[chunk]
}

// ring carries records from the one producer (whoever owns the apply stage) to the one consumer (a
// loop), without a lock. It grows by chunks; its producer looks at queued before it starts a
// transaction, and waits while there is too much (bounded).
type ring struct {
	head   *chunk // consumer's
	pos    int64  // consumer's: read up to here in head
	taken  int64  // consumer's: bytes taken and not yet subtracted from queued
	tailC  *chunk // producer's
	wrote  bool   // producer's: something was pushed since the last bell
	spare  atomic.Pointer[chunk]
	queued atomic.Int64
}

func newRing() *ring {
	c := &chunk{buf: make([]byte, chunkBytes)}
	return &ring{head: c, tailC: c}
}

// push appends a record whose body is a followed by b. Producer only.
func (q *ring) push(r *record, a, b []byte) {
	n := recordHeader + len(a) + len(b)
	c := q.tailC
	at := int(c.tail.Load())
	if at+n > len(c.buf) {
		c = q.grow(n)
		at = 0
	}
	p := c.buf[at : at+n]
	le := binary.LittleEndian
	le.PutUint32(p, uint32(n))
	p[4], p[5], p[6] = byte(r.kind), r.flags, byte(r.event)
	le.PutUint32(p[8:], uint32(r.op))
	le.PutUint32(p[12:], uint32(r.xid))
	le.PutUint64(p[16:], uint64(r.zxid))
	le.PutUint64(p[24:], uint64(r.conn))
	le.PutUint64(p[32:], uint64(r.since))
	le.PutUint32(p[40:], uint32(len(a)))
	copy(p[recordHeader:], a)
	copy(p[recordHeader+len(a):], b)
	q.queued.Add(int64(n))
	q.wrote = true
	c.tail.Store(int64(at + n))
}

func (q *ring) grow(n int) *chunk {
	c := q.spare.Swap(nil)
	if c == nil || len(c.buf) < n {
		c = &chunk{buf: make([]byte, max(n, chunkBytes))}
	}
	c.tail.Store(0)
	c.next.Store(nil)
	q.tailC.next.Store(c)
	q.tailC = c
	return c
}

// peek reads the next record's zxid, if there is a record. Consumer only.
func (q *ring) peek() (wire.Zxid, bool) {
	for q.pos == q.head.tail.Load() {
		next := q.head.next.Load()
		if next == nil {
			q.settle()
			return 0, false
		}
		// The producer published next after its last record here: look once more before leaving.
		if q.pos != q.head.tail.Load() {
			break
		}
		if len(q.head.buf) == chunkBytes {
			q.spare.Store(q.head)
		}
		q.head, q.pos = next, 0
	}
	return wire.Zxid(binary.LittleEndian.Uint64(q.head.buf[q.pos+16:])), true
}

// next takes the record that peek has found. Consumer only.
func (q *ring) next(r *record) {
	p := q.head.buf[q.pos:]
	le := binary.LittleEndian
	n := le.Uint32(p)
	*r = record{
		kind: recordKind(p[4]), flags: p[5], event: wire.EventType(p[6]),
		op: wire.Op(int32(le.Uint32(p[8:]))), xid: int32(le.Uint32(p[12:])),
		zxid: wire.Zxid(le.Uint64(p[16:])), conn: znet.ID(le.Uint64(p[24:])),
		since: int64(le.Uint64(p[32:])), split: le.Uint32(p[40:]),
		body: p[recordHeader:n:n],
	}
	q.pos += int64(n)
	q.taken += int64(n)
	if q.taken >= chunkBytes {
		q.settle()
	}
}

// settle gives back the room of what was taken.
func (q *ring) settle() {
	if q.taken > 0 {
		q.queued.Add(-q.taken)
		q.taken = 0
	}
}
