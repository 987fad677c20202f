package server

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"paddock/net"
	"paddock/wire"
)

// One producer, one consumer, no lock: what is pushed comes out, whole and in order, also across the
// seams of chunks and with records larger than a chunk. The race detector watches.
func TestRingCarriesEverythingInOrder(t *testing.T) {
	q := newRing()
	const n = 50_000
	body := func(i int) (a, b []byte) {
		r := rand.New(rand.NewPCG(7, uint64(i)))
		a, b = make([]byte, r.IntN(60)), make([]byte, r.IntN(200))
		if i%5000 == 4999 {
			b = make([]byte, chunkBytes+r.IntN(chunkBytes))
		}
		for j := range a {
			a[j] = byte(i + j)
		}
		for j := range b {
			b[j] = byte(i - j)
		}
		return a, b
	}
	go func() {
		for i := range n {
			for q.queued.Load() > 4<<20 { // what waitForRoom is for
				continue
			}
			a, b := body(i)
			q.push(&record{
				kind: recReply, flags: uint8(i), event: wire.EventType(i % 5), op: wire.Op(-i), xid: int32(i),
				zxid: wire.Zxid(i), conn: znet.ID(i) << 20, since: int64(i),
			}, a, b)
		}
	}()
	for i := 0; i < n; {
		z, ok := q.peek()
		if !ok {
			continue
		}
		if z != wire.Zxid(i) {
			t.Fatalf("peek at %d: zxid %d", i, z)
		}
		var r record
		q.next(&r)
		a, b := body(i)
		if r.kind != recReply || r.flags != uint8(i) || r.event != wire.EventType(i%5) || r.op != wire.Op(-i) ||
			r.xid != int32(i) || r.zxid != wire.Zxid(i) || r.conn != znet.ID(i)<<20 || r.since != int64(i) {
			t.Fatalf("record %d: %+v", i, r)
		}
		if !bytes.Equal(r.body[:r.split], a) || !bytes.Equal(r.body[r.split:], b) {
			t.Fatalf("record %d has another body", i)
		}
		i++
	}
	if _, ok := q.peek(); ok {
		t.Error("there is one more")
	}
	if got := q.queued.Load(); got != 0 {
		t.Errorf("%d bytes are counted in an empty ring", got)
	}
}
