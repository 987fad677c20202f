package server

import (
	"sync"

	"github.com/valyala/bytebufferpool"

	"paddock/auth"
	"paddock/net"
	"paddock/session"
	"paddock/tree"
	"paddock/wire"
)

// entryKind is the way an entry goes through the pipeline.
type entryKind uint8

const (
	kindWrite entryKind = iota + 1 // sequenced, logged, applied, answered
	kindRead                       // rides: apply answers it at its place
	kindBack                       // rides: comes back to its loop at its place, and is answered there
	kindReady                      // rides: its reply was made when it was read, and waits its turn
	kindCall                       // a visitor from inside: runs between two transactions
)

// entry is one request on its way. Entries of a session keep their order through all stages.
type entry struct {
	kind  entryKind
	flags uint8 // of the record that will answer it
	op    wire.Op
	xid   int32
	conn  znet.ID // who wants the reply; NoConn for requests of our own
	sess  *session.Session
	ids   *auth.Identities // as they were when the request was read
	off   uint32           // body in the batch's bytes
	end   uint32

	// Set by the sequencer, for writes.
	zxid wire.Zxid // 0: nothing was logged for it
	code wire.Code
	txn  []byte // aliases the work's txns

	call func(*tree.Tree) // kindCall
}

// batch is what a loop gathered in one turn: it owns the bytes of its requests.
type batch struct {
	entries []entry
	bytes   *bytebufferpool.ByteBuffer
	since   int64 // ms on the server's clock
}

var batches = sync.Pool{New: func() any { return new(batch) }}

func newBatch(since int64) *batch {
	b := batches.Get().(*batch)
	b.bytes = bytebufferpool.Get()
	b.since = since
	return b
}

// release gives a batch back once all of it is answered. Its owner at that time is the apply stage.
func (b *batch) release() {
	clear(b.entries)
	b.entries = b.entries[:0]
	bytebufferpool.Put(b.bytes)
	b.bytes = nil
	batches.Put(b)
}

// add copies a request's body into the batch.
func (b *batch) add(e entry, body []byte) {
	e.off = uint32(len(b.bytes.B))
	b.bytes.B = append(b.bytes.B, body...)
	e.end = uint32(len(b.bytes.B))
	b.entries = append(b.entries, e)
}

func (b *batch) body(e *entry) []byte { return b.bytes.B[e.off:e.end:e.end] }

// cost is what a batch counts against the pipeline's bound, in bytes.
func (b *batch) cost() int {
	const entryCost = 128
	return len(b.bytes.B) + len(b.entries)*entryCost
}
