package server

import (
	"sync"

	"github.com/valyala/bytebufferpool"

	"paddock/auth"
	"paddock/net"
	"paddock/session"
	"paddock/tree"
	"paddock/wire"
	"paddock/zab"
)

// entryKind is the way an entry goes through the pipeline.
type entryKind uint8

const (
	kindWrite   entryKind = iota + 1 // sequenced, logged, applied, answered
	kindRead                         // rides: apply answers it at its place
	kindBack                         // rides: comes back to its loop at its place, and is answered there
	kindReady                        // rides: its reply was made when it was read, and waits its turn
	kindCall                         // a visitor from inside: runs between two transactions
	kindSync                         // the ensemble is asked whether we have all of it; answered by a mark
	kindRefused                      // of a learner: a write that cannot be decoded, answered at its place
)

// entry is one request on its way. Entries of a session keep their order through all stages.
type entry struct {
	kind  entryKind
	flags uint8 // of the record that will answer it
	op    wire.Op
	xid   int32
	conn  znet.ID // who wants the reply; NoConn for requests of our own, and of a learner's clients
	sess  *session.Session
	link  zab.Link         // of the learner that forwarded it, 0 for our own
	asker int64            // the session that it says; sess is looked up by the sequencer
	ids   *auth.Identities // as they were when the request was read
	off   uint32           // body in the batch's bytes
	end   uint32

	// Set by the sequencer, for writes.
	zxid  wire.Zxid // 0: nothing was logged for it
	code  wire.Code
	token uint64 // of a sync, of a leader's client
	txn   []byte // aliases the work's txns

	call func(*tree.Tree) // kindCall
}

// batch is what a loop gathered in one turn: it owns the bytes of its requests.
type batch struct {
	entries  []entry
	bytes    *bytebufferpool.ByteBuffer
	since    int64  // ms on the server's clock
	term     uint64 // of the role in which the requests were read
	syncs    bool   // there is a kindSync in it
	endsWork bool   // a learner's sync is the last of it: it needs its exact place

	parked int  // requests that wait for a leader's answer; apply's
	walked bool // apply has been through it
}

var batches = sync.Pool{New: func() any { return new(batch) }}

func newBatch(since int64, term uint64) *batch {
	b := batches.Get().(*batch)
	b.bytes = bytebufferpool.Get()
	b.since, b.term = since, term
	return b
}

// newBatch returns a batch for requests of our own, or of this turn of a loop.
func (s *Server) newBatch() *batch { return newBatch(s.clock.serverMS(), s.term.Load()) }

// release gives a batch back once all of it is answered. Its owner at that time is the apply stage.
func (b *batch) release() {
	clear(b.entries)
	b.entries = b.entries[:0]
	bytebufferpool.Put(b.bytes)
	*b = batch{entries: b.entries}
	batches.Put(b)
}

// add copies a request's body into the batch.
func (b *batch) add(e entry, body []byte) {
	e.off = uint32(len(b.bytes.B))
	b.bytes.B = append(b.bytes.B, body...)
	e.end = uint32(len(b.bytes.B))
	b.entries = append(b.entries, e)
	b.syncs = b.syncs || e.kind == kindSync
}

func (b *batch) body(e *entry) []byte { return b.bytes.B[e.off:e.end:e.end] }

// cost is what a batch counts against the pipeline's bound, in bytes.
func (b *batch) cost() int {
	const entryCost = 128
	return len(b.bytes.B) + len(b.entries)*entryCost
}
