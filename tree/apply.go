package tree

import (
	"fmt"
	"math/bits"

	"paddock/wire"
)

// A Sink takes the events of a transaction, in the order of client-protocol.md 6.3. It is called
// with the shards locked, before Applied moves: it must not block and must not call the tree. path
// and acl are valid during the call (acl is immutable: it may be kept). hash is Hash(path).
//
// A delete is one EventNodeDeleted: whoever delivers it looks into the data watches and then into
// the child watches.
type Sink interface {
	Event(typ wire.EventType, path []byte, hash uint64, acl wire.ACLVec, zxid wire.Zxid)
}

// A Result is what a transaction did: what its reply needs. Apply overwrites it and reuses its
// memory; paths alias the transaction's bytes.
type Result struct {
	wire.TxnHeader
	OpResult            // Op is the transaction's type; Code is OK but for an error transaction
	Ops      []OpResult // of a multi

	// Digest is the one the transaction carries, if HasDigest. Mismatch says that it is not the
	// tree's.
	Digest              uint64
	HasDigest, Mismatch bool
}

// An OpResult is the result of one operation.
type OpResult struct {
	Op   wire.Op
	Code wire.Code
	Path []byte    // create, delete, setData, setACL
	Stat wire.Stat // as clients see it, right after this operation: create, setData, setACL
}

// scratch is memory that Apply reuses.
type scratch struct {
	reader wire.Reader
	again  wire.Reader // a multi is walked twice
	change change
	result Result
	stats  []byte // a quota's new text
}

// A noSink is for replay, when nobody watches.
type noSink struct{}

func (noSink) Event(wire.EventType, []byte, uint64, wire.ACLVec, wire.Zxid) {}

// Apply applies a transaction: TxnHeader || body, and perhaps TxnDigest. It decodes it, locks all
// shards it touches, in ascending order, changes them, tells sink, moves Applied, and unlocks:
// whoever reads under a shard's lock sees all of the transaction or nothing (exact-read,
// multi-atomic). sink and res may be nil.
//
// One owner at a time calls it, in zxid order. Apply keeps nothing of txn. It cannot fail
// (apply-total): a transaction that does not fit the state is a bug, here or in the leader that sent
// it, or a log that is not ours. It panics with a *Misfit, and the tree must not be used any more:
// the shards stay locked, so that nobody sees half of it. None of the tolerances that ZooKeeper has
// for replay over a fuzzy snapshot applies to our own log; see Options.Fuzzy for Java's.
func (t *Tree) Apply(txn []byte, sink Sink, res *Result) {
	if sink == nil {
		sink = noSink{}
	}
	if res == nil {
		res = &t.apply.result
	}
	r := &t.apply.reader
	*r = wire.NewReader(txn)
	h := &res.TxnHeader
	if err := h.Decode(r); err != nil {
		panic(&Misfit{After: t.Applied(), Why: fmt.Sprintf("header of %d bytes: %v", len(txn), err)})
	}
	a := applying{t: t, h: h, sink: sink}
	if h.Zxid <= t.Applied() {
		a.bug(h.Type, nil, "it was applied already")
	}
	res.OpResult = OpResult{Op: h.Type}
	res.Ops = res.Ops[:0]
	res.HasDigest, res.Mismatch, res.Digest = false, false, 0
	switch h.Type {
	case wire.OpMulti:
		a.multi(r, res)
	case wire.OpCreateSession:
		a.createSession(r)
	case wire.OpCloseSession:
		a.closeSession(r)
	case wire.OpError:
		a.fail(r, res)
	default:
		a.single(r, res)
	}
	a.checkDigest(r, res)
	t.keepDigest(h.Zxid)
	t.publish(h.Zxid)
	t.unlock(a.locked)
}

// applying is a transaction on its way into the tree.
type applying struct {
	t      *Tree
	h      *wire.TxnHeader
	sink   Sink
	locked uint64 // a bit for each shard
}

// lock locks the shards of set, in ascending order. It is called once in a transaction.
func (t *Tree) lock(set uint64) {
	for s := set; s != 0; s &= s - 1 {
		t.shards[bits.TrailingZeros64(s)].mu.Lock()
	}
}

func (t *Tree) unlock(set uint64) {
	for s := set; s != 0; s &= s - 1 {
		t.shards[bits.TrailingZeros64(s)].mu.Unlock()
	}
}

func (a *applying) lock(set uint64) {
	a.locked = set
	a.t.lock(set)
}

// Misfit is what Apply panics with where a transaction does not fit the state, or makes no sense:
// all that its bytes can do to Apply. Whoever applies what another server has sent recovers it, says
// so, and stops.
type Misfit struct {
	Zxid    wire.Zxid // of the transaction, 0 if its header cannot be read
	After   wire.Zxid // the last one that was applied
	Session int64
	Type    wire.Op
	Op      wire.Op // Type, or of a multi the operation
	Path    string
	Why     string
}

func (m *Misfit) Error() string {
	return fmt.Sprintf("tree: zxid %v session %#x %v of %v %q after %v: %s",
		m.Zxid, uint64(m.Session), m.Op, m.Type, m.Path, m.After, m.Why)
}

// bug stops the server: the transaction does not fit the state.
func (a *applying) bug(op wire.Op, path []byte, why string) {
	panic(&Misfit{
		Zxid: a.h.Zxid, After: a.t.Applied(), Session: a.h.ClientID,
		Type: a.h.Type, Op: op, Path: string(path), Why: why,
	})
}

func (a *applying) decoded(r *wire.Reader) {
	if err := r.Err(); err != nil {
		a.bug(a.h.Type, nil, "body: "+err.Error())
	}
}

func (a *applying) single(r *wire.Reader, res *Result) {
	c := &a.t.apply.change
	if !c.decode(a.h.Type, a.h.ClientID, r) {
		a.bug(a.h.Type, nil, "no such type")
	}
	a.decoded(r)
	a.lock(a.t.lockSet(c))
	a.do(c, &res.OpResult)
}

func (a *applying) fail(r *wire.Reader, res *Result) {
	var x wire.ErrorTxn
	x.Decode(r)
	a.decoded(r)
	res.Code = x.Err
}

func (a *applying) createSession(r *wire.Reader) {
	var x wire.CreateSessionTxn
	x.Decode(r)
	a.decoded(r)
	a.t.putSession(a.h.ClientID, x.TimeOut)
}

// closeSession deletes the ephemerals that the transaction lists, and any other of the session, and
// then the session: all at one zxid.
func (a *applying) closeSession(r *wire.Reader) {
	var x wire.CloseSessionTxn
	x.Decode(r)
	a.decoded(r)
	set := uint64(0)
	c := &a.t.apply.change
	for it := x.Paths.Iter(); it.Next(); {
		c.delete(it.Value())
		set |= a.t.lockSet(c)
	}
	a.t.Ephemerals(a.h.ClientID, func(path []byte) bool {
		c.delete(path)
		set |= a.t.lockSet(c)
		return true
	})
	a.lock(set)
	for it := x.Paths.Iter(); it.Next(); {
		a.deletePath(it.Value())
	}
	var buf [256]byte
	for path := buf[:0]; ; {
		first := a.t.owners[a.h.ClientID].first
		if first == 0 {
			break
		}
		path = a.t.appendPath(path[:0], a.t.owned.At(first).node)
		a.deletePath(path)
	}
	a.t.dropSession(a.h.ClientID)
}

func (a *applying) deletePath(path []byte) {
	c := &a.t.apply.change
	c.delete(path)
	a.t.hash(c)
	a.delete(c)
}

// checkDigest compares what is left of the transaction: 12 bytes of digest, or nothing.
func (a *applying) checkDigest(r *wire.Reader, res *Result) {
	const digestBytes = 12
	if r.Len() < digestBytes {
		return
	}
	var x wire.TxnDigest
	x.Decode(r)
	if x.Version == wire.DigestVersion && !a.t.opts.NoDigest && !a.t.fuzzy {
		res.HasDigest, res.Digest, res.Mismatch = true, uint64(x.Digest), uint64(x.Digest) != a.t.sum.digest
	}
}
