package runner

import (
	"errors"
	"sync"

	"paddock/wire"
)

// itemKind says what stands at one place of a queue.
type itemKind uint8

const (
	itemBytes    itemKind = iota // packets, encoded
	itemStream                   // PROPOSAL and COMMIT for each transaction of a range
	itemPropose                  // PROPOSAL
	itemInform                   // INFORM
	itemCommits                  // COMMIT; the range is of one epoch
	itemSnapshot                 // the raw stream behind a SNAP
)

// item is the next thing to write to a link. Only packets take memory; a range is read from the store
// when it is its turn, and a snapshot from its file.
type item struct {
	kind     itemKind
	bytes    int       // itemBytes: of outbox.buf
	from, to wire.Zxid // ranges: (from, to]
	snapshot Snapshot
}

const (
	itemCost   = 64        // what an item that is not bytes counts for in the bound of a queue
	eagerBytes = 256 << 10 // where this much waits, transactions are queued as ranges
	keepBytes  = 1 << 20   // a larger buffer is not kept when it is empty
)

// outbox is a run of items, and the bytes of those that have some, in order.
type outbox struct {
	items []item
	buf   []byte
}

// reset empties o for the next items.
func (o *outbox) reset() {
	clear(o.items)
	o.items = o.items[:0]
	if cap(o.buf) > keepBytes {
		o.buf = nil
	}
	o.buf = o.buf[:0]
}

var (
	errQueueFull = errors.New("runner: the other side does not read: its queue is full")
	errClosed    = errors.New("runner: closed")
)

// queue is what waits for the writer of a link. Anybody may add to it and nobody waits for it: whoever
// makes it longer than its bound ends it.
type queue struct {
	limit int           // bytes
	wake  chan struct{} // one place

	mu   sync.Mutex
	next outbox
	size int  // cost of all that is here, or with the writer
	slow int  // items that are not bytes, here or with the writer
	over bool // nothing is taken any more
}

func newQueue(limit int) *queue { return &queue{limit: limit, wake: make(chan struct{}, 1)} }

// open returns the buffer to append packets to, and shut takes it back; between them the queue is locked.
// ok is false, and the queue is not locked, when it is over.
func (q *queue) open() (dst []byte, ok bool) {
	q.mu.Lock()
	if q.over {
		q.mu.Unlock()
		return nil, false
	}
	return q.next.buf, true
}

// shut returns false when that was too much. Then the queue is over.
func (q *queue) shut(dst []byte) bool {
	defer q.mu.Unlock()
	n := len(dst) - len(q.next.buf)
	q.next.buf = dst
	return q.grow(n)
}

// packet appends one packet.
func (q *queue) packet(p *wire.Packet) bool {
	dst, ok := q.open()
	return ok && q.shut(p.Append(dst))
}

// encoded appends packets that are encoded already.
func (q *queue) encoded(b []byte) bool {
	dst, ok := q.open()
	return ok && q.shut(append(dst, b...))
}

// grow counts n bytes more at the end of the buffer. mu is held.
func (q *queue) grow(n int) bool {
	if last := len(q.next.items) - 1; last >= 0 && q.next.items[last].kind == itemBytes {
		q.next.items[last].bytes += n
	} else {
		q.next.items = append(q.next.items, item{kind: itemBytes, bytes: n})
	}
	return q.count(n)
}

// ranged appends a range; it becomes one with the range before, where they are one.
func (q *queue) ranged(kind itemKind, from, to wire.Zxid) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.over {
		return false
	}
	if last := len(q.next.items) - 1; last >= 0 {
		it := &q.next.items[last]
		sameEpoch := kind != itemCommits || it.to.Epoch() == to.Epoch()
		if it.kind == kind && it.to == from && sameEpoch {
			it.to = to
			return true
		}
	}
	q.next.items = append(q.next.items, item{kind: kind, from: from, to: to})
	q.slow++
	return q.count(itemCost)
}

// stream appends a snapshot behind its SNAP. Where it returns false the snapshot stays with the caller.
func (q *queue) stream(zxid wire.Zxid, s Snapshot) bool {
	if !q.packet(&wire.Packet{Type: wire.PacketSnap, Zxid: zxid}) {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.over {
		return false
	}
	q.next.items = append(q.next.items, item{kind: itemSnapshot, snapshot: s})
	q.slow++
	q.count(itemCost)
	return true
}

func (q *queue) count(n int) bool {
	q.size += n
	if q.size > q.limit {
		q.over = true
	}
	return !q.over
}

// eager says whether transactions are to be encoded at once: the writer keeps up.
func (q *queue) eager() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.slow == 0 && q.size < eagerBytes
}

// bytes returns what waits, or is being written.
func (q *queue) bytes() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.size
}

// ring wakes the writer.
func (q *queue) ring() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take exchanges what waits for an outbox that is written. size and slow are as after done.
func (q *queue) take(spare outbox) outbox {
	spare.reset()
	q.mu.Lock()
	defer q.mu.Unlock()
	full := q.next
	q.next = spare
	return full
}

// written says that some of what was taken is with the kernel now.
func (q *queue) written(cost, slow int) {
	q.mu.Lock()
	q.size -= cost
	q.slow -= slow
	q.mu.Unlock()
}

// end drops what waits and takes nothing more. Only the writer calls it, when it ends.
func (q *queue) end() {
	q.mu.Lock()
	q.over = true
	left := q.next
	q.next = outbox{}
	q.mu.Unlock()
	left.drop()
}

// drop closes the snapshots that are in it.
func (o *outbox) drop() {
	for i := range o.items {
		if s := o.items[i].snapshot; s != nil {
			s.Close()
		}
	}
}
