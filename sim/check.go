package sim

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
	"strings"

	"paddock/wire"
	"paddock/zab"
)

// The promises, as testing.md of the design calls them and as messages name them:
//
//	S1   a session's writes take effect in the order sent, its replies come in that order; after one of a
//	     connection is dropped, no later one of it succeeds
//	S2   writes are linearizable: what was answered before comes before, and each answer is the model's
//	S3   what a session sees never goes back, across connections too
//	S4   a reply stamped z shows the state after exactly z, and, of a server alone, nothing older than anybody saw
//	     before it was asked
//	S5   so does sync
//	S7   once a session has moved, what its old connection sends does not commit
//	S8   a session is not expired before its time, and soon after; who is told "expired" finds its close in the log
//	S9   ephemerals go with their session, in the transaction that closes it
//	W1-6 see watches.go
//	Z4   one zxid, one transaction, whatever crashes
//	Z6   a transaction is asked for, and is made once
//	Z11  what was committed stays
//	Z12  what a reply says is durable when it leaves (world.checkDurable)
//	Z14  the state's digest is the model's
//
// The witness is the log: all transactions, in order.

// digestAt is what a server said of its state.
type digestAt struct {
	zxid   wire.Zxid
	digest uint64
	nodes  int64
}

type checker struct {
	w       *world
	m       *model
	asked   map[askedBy]*call
	made    map[askedBy]wire.Zxid
	reads   map[wire.Zxid][]*call
	digests map[wire.Zxid][]digestAt
	last    map[int64]*call // of each session: the last write in the log
	closed  map[int64]wire.Zxid
	events  []change
	catchUp map[*call]caughtUp
	ids     map[int64]*sessionRecord
	born    map[int64]contact // when a session was made
}

// askedBy names a request as transactions do.
type askedBy struct {
	session int64
	xid     int32
}

type caughtUp struct {
	events []change
	armed  [5][]string
}

// check compares the history with the log. The first broken promise is the result.
func (w *world) check() error {
	c := &checker{
		w: w, m: newModel(), asked: map[askedBy]*call{}, made: map[askedBy]wire.Zxid{}, reads: map[wire.Zxid][]*call{},
		digests: map[wire.Zxid][]digestAt{}, last: map[int64]*call{}, closed: map[int64]wire.Zxid{},
		catchUp: map[*call]caughtUp{}, ids: map[int64]*sessionRecord{}, born: map[int64]contact{},
	}
	c.index()
	for _, txn := range w.log {
		if err := c.transaction(zxidOf(txn), txn); err != nil {
			return err
		}
	}
	for _, f := range []func() error{c.answers, c.connections, c.sessions, c.watches} {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) index() {
	for _, s := range c.w.history.sessions {
		if s.id != 0 {
			c.ids[s.id] = s
		}
	}
	for _, a := range c.w.history.calls {
		if a.isWrite() {
			c.asked[askedBy{a.session.id, a.xid}] = a
		} else if a.answered {
			c.reads[a.zxid] = append(c.reads[a.zxid], a)
		}
	}
	for _, d := range c.w.history.digests {
		c.digests[d.zxid] = append(c.digests[d.zxid], d)
	}
}

// transaction makes transaction zxid in the model, and looks at who was answered with it.
func (c *checker) transaction(zxid wire.Zxid, txn []byte) error {
	var h wire.TxnHeader
	r := wire.NewReader(txn)
	h.Decode(&r)
	if !zab.Follows(c.m.zxid, zxid) {
		return fmt.Errorf("Z4: the log has %v behind %v", zxid, c.m.zxid)
	}
	c.m.begin(zxid)
	var err error
	switch {
	case h.Type == wire.OpCreateSession:
		c.m.sessions[h.ClientID] = true
		c.born[h.ClientID] = c.w.sequenced[zxid]
	case h.Cxid != 0:
		err = c.requested(&h, r)
	case h.Type == wire.OpCloseSession:
		err = c.expired(&h, r)
	default:
		err = c.internal(&h, r)
	}
	if err != nil {
		return err
	}
	c.events = append(c.events, c.m.events...)
	for _, a := range c.reads[zxid] {
		if err := c.read(a); err != nil {
			return err
		}
	}
	return c.compare(zxid)
}

func (c *checker) compare(zxid wire.Zxid) error {
	for _, d := range c.digests[zxid] {
		if want := c.m.digest(); d.digest != want || d.nodes != int64(len(c.m.nodes)) {
			return fmt.Errorf("Z14: at %v the server's state has digest %#x and %d nodes, the model's %#x and %d",
				zxid, d.digest, d.nodes, want, len(c.m.nodes))
		}
	}
	return nil
}

// requested is a transaction that a client has asked for.
func (c *checker) requested(h *wire.TxnHeader, r wire.Reader) error {
	by := askedBy{h.ClientID, h.Cxid}
	a := c.asked[by]
	if a == nil {
		return fmt.Errorf("Z6: nobody asked for transaction %v: session %#x xid %d %v", h.Zxid, uint64(h.ClientID), h.Cxid, h.Type)
	}
	if before, twice := c.made[by]; twice {
		return fmt.Errorf("Z6: made twice, at %v and %v: %v", before, h.Zxid, a)
	}
	c.made[by] = h.Zxid
	if h.Zxid <= a.seenThen {
		return fmt.Errorf("S2: transaction %v was asked for after %v was seen: %v", h.Zxid, a.seenThen, a)
	}
	if a.delivered == 0 {
		return fmt.Errorf("Z6: transaction %v is of a request that has not arrived: %v", h.Zxid, a)
	}
	want, err := c.effect(a, h, r)
	if err != nil {
		return err
	}
	if want.code != wire.SessionMoved && want.code != wire.SessionExpired { // an old connection's come when they come
		if l := c.last[h.ClientID]; l != nil && l.asked > a.asked {
			return fmt.Errorf("S1: transaction %v is of a request sent before that of the one before it: %v; %v", h.Zxid, a, l)
		}
		c.last[h.ClientID] = a
	}
	if a.conn.movedAt != 0 && a.delivered > a.conn.movedAt && !a.conn.hasAgain(c.w.sequenced[h.Zxid]) && want.code != wire.SessionMoved {
		return fmt.Errorf("S7: transaction %v came over a connection that had lost its session: %v", h.Zxid, a)
	}
	if a.answered && a.zxid != h.Zxid {
		return fmt.Errorf("S2: its transaction is %v: %v", h.Zxid, a)
	}
	if got := a.result.String(); a.answered && got != want.String() {
		return fmt.Errorf("S2: %v\nwant %v", a, &want)
	}
	return nil
}

// effect makes the changes of a request, and says what it is to be answered.
func (c *checker) effect(a *call, h *wire.TxnHeader, r wire.Reader) (result, error) {
	logged := wire.OK
	if h.Type == wire.OpError {
		var e wire.ErrorTxn
		e.Decode(&r)
		logged = e.Err
	}
	if logged == wire.SessionExpired && c.m.sessions[h.ClientID] {
		if !c.overdue(h) {
			return result{}, fmt.Errorf("S8: transaction %v says that the session has expired, before its time: %v", h.Zxid, a)
		}
		c.w.marks["refused while its session expires"]++
		return result{code: logged}, nil
	}
	if logged == wire.SessionMoved {
		if !c.mayHaveMoved(a, c.w.sequenced[h.Zxid].seq) {
			return result{}, fmt.Errorf("S7: transaction %v says that the session has moved, which it had not: %v", h.Zxid, a)
		}
		c.w.marks["refused: the session has moved"]++
		return result{code: logged}, nil
	}
	var want result
	if a.op == wire.OpCloseSession && logged == wire.OK {
		return result{}, c.closes(h, r)
	} else if a.op == wire.OpCloseSession {
		want.code = wire.SessionExpired // it would have been OK, were the session alive
	} else {
		want = c.m.write(&a.request, h.ClientID, h.Time)
	}
	if want.code != logged {
		return want, fmt.Errorf("S2: transaction %v has code %v, want %v: %v", h.Zxid, logged, want.code, a)
	}
	if want.code != wire.OK {
		c.w.marks["write refused"]++
	}
	return want, nil
}

// mayHaveMoved says whether a session was another connection's at a time. In an ensemble its leader decides that
// a while before the new server says so, which may never come to it.
func (c *checker) mayHaveMoved(a *call, at int64) bool {
	if c.w.net == nil {
		return a.conn.movedAt != 0 && at >= a.conn.movedAt
	}
	return slices.ContainsFunc(a.session.conns, func(o *connRecord) bool { return o != a.conn && o.helloAt != 0 && o.helloAt <= at })
}

// closes is the end of a session: exactly its ephemerals go with it.
func (c *checker) closes(h *wire.TxnHeader, r wire.Reader) error {
	var t wire.CloseSessionTxn
	t.Decode(&r)
	if !c.m.sessions[h.ClientID] {
		return fmt.Errorf("S9: transaction %v closes session %#x, which is closed", h.Zxid, uint64(h.ClientID))
	}
	got := []string{}
	for it := t.Paths.Iter(); it.Next(); {
		got = append(got, string(it.Value()))
	}
	sorted := slices.Sorted(slices.Values(got))
	if want := c.m.ephemerals(h.ClientID); !slices.Equal(sorted, want) {
		return fmt.Errorf("S9: transaction %v closes session %#x with %v, want %v", h.Zxid, uint64(h.ClientID), sorted, want)
	}
	for _, path := range got {
		c.m.remove(path)
		c.w.marks["ephemeral removed with its session"]++
	}
	delete(c.m.sessions, h.ClientID)
	c.closed[h.ClientID] = h.Zxid
	return nil
}

// expired is the end of a session that its client did not ask for.
func (c *checker) expired(h *wire.TxnHeader, r wire.Reader) error {
	if !c.overdue(h) {
		return fmt.Errorf("S8: session %#x was expired at %v before its time: %s", uint64(h.ClientID), h.Zxid, c.heardOf(h))
	}
	c.w.marks["session expired"]++
	return c.closes(h, r)
}

// overdue says whether the server had not heard of the session for its timeout, at some time before it made
// the transaction. Time is that of the sessions: it stands still while the process is stopped.
func (c *checker) overdue(h *wire.TxnHeader) bool {
	s, at := c.ids[h.ClientID], c.w.sequenced[h.Zxid]
	if s == nil {
		return true // its client never heard of it
	}
	before := int64(-1)
	all := append(slices.Clone(s.contacts), at)
	if c.w.net != nil {
		all = slices.Insert(all, 0, c.born[h.ClientID])
	}
	for _, k := range all {
		if k.term != at.term || k.clockMS > at.clockMS {
			continue
		}
		if before >= 0 && k.clockMS-before >= s.timeoutMS {
			return true
		}
		before = k.clockMS
	}
	return false
}

// heardOf says when the server had heard of a session.
func (c *checker) heardOf(h *wire.TxnHeader) string {
	at := c.w.sequenced[h.Zxid]
	text := fmt.Sprintf("made at %d ms of term %d, timeout %d, heard of", at.clockMS, at.term, c.ids[h.ClientID].timeoutMS)
	for _, k := range c.ids[h.ClientID].contacts {
		if k.term == at.term {
			text += fmt.Sprintf(" %d", k.clockMS)
		}
	}
	return text
}

// internal is a transaction of the server itself: the end of a container or TTL node.
func (c *checker) internal(h *wire.TxnHeader, r wire.Reader) error {
	if h.Type == wire.OpError {
		return nil // it came too late: no harm done. What it was about is not in the log
	}
	if h.Type != wire.OpDeleteContainer {
		return fmt.Errorf("Z6: nobody asked for transaction %v: %v", h.Zxid, h.Type)
	}
	var t wire.DeleteTxn
	t.Decode(&r)
	if code := c.m.outlived(string(t.Path), h.Time); code != wire.OK {
		return fmt.Errorf("transaction %v removes %s: %v", h.Zxid, t.Path, code)
	}
	c.m.remove(string(t.Path))
	c.w.marks["container or TTL node removed"]++
	return nil
}

// read compares the answer to a read with the state at its zxid.
func (c *checker) read(a *call) error {
	switch a.op {
	case wire.OpRemoveWatches, wire.OpCheckWatches:
		return nil // watches.go
	case wire.OpSetWatches, wire.OpSetWatches2:
		events, armed := c.m.catchUp(&a.request)
		c.catchUp[a] = caughtUp{events, armed}
	}
	want := c.m.read(&a.request, a.session.id)
	if got := a.result.String(); got != want.String() {
		return fmt.Errorf("S4: %v\nwant %v", a, &want)
	}
	if a.zxid < a.seenThen && (c.w.net == nil || a.op == wire.OpSync) {
		rule := "S4"
		if a.op == wire.OpSync {
			rule = "S5"
		}
		return fmt.Errorf("%s: %v was seen before it was asked: %v", rule, a.seenThen, a)
	}
	c.w.marks["read checked"]++
	return nil
}

// answers looks for answers that say what never happened.
func (c *checker) answers() error {
	for _, a := range c.w.history.calls {
		if !a.answered {
			continue
		}
		if a.zxid > c.m.zxid {
			return fmt.Errorf("Z11: the log ends at %v: %v", c.m.zxid, a)
		}
		if a.isWrite() && c.made[askedBy{a.session.id, a.xid}] == 0 {
			return fmt.Errorf("Z11: it is not in the log: %v", a)
		}
		c.w.marks["answer"]++
	}
	return nil
}

// connections checks what holds for each connection, and from one to the next.
func (c *checker) connections() error {
	seen := map[*sessionRecord]wire.Zxid{}
	for _, conn := range c.w.history.conns {
		var dropped *call
		for _, a := range conn.calls {
			made := c.made[askedBy{a.session.id, a.xid}] != 0
			if a.isWrite() && made && dropped != nil {
				return fmt.Errorf("S1: it was made, and one before it on that connection was dropped: %v; %v", a, dropped)
			}
			if a.isWrite() && !made && dropped == nil {
				dropped = a
			}
		}
		at := seen[conn.session]
		for _, it := range conn.items {
			stamp := it.event.zxid
			if it.call != nil {
				stamp = it.call.zxid
			}
			if stamp <= 0 {
				continue
			}
			if stamp < at {
				return fmt.Errorf("S3: connection %d was told of %v after %v: %v", conn.number, stamp, at, it)
			}
			at = stamp
			if it.call != nil || c.w.net == nil { // clients do not count events, and may come to a server that is behind one
				seen[conn.session] = at
			}
		}
	}
	return nil
}

func (it item) String() string {
	if it.call != nil {
		return it.call.String()
	}
	return it.event.String()
}

func (c *checker) sessions() error {
	for _, s := range c.w.history.sessions {
		if s.expired && s.id != 0 && c.closed[s.id] == 0 {
			return fmt.Errorf("S8: session %#x was told that it has expired; the log does not close it", uint64(s.id))
		}
	}
	if len(c.m.sessions) != 0 {
		return fmt.Errorf("S8: the log ends with %d sessions", len(c.m.sessions))
	}
	return nil
}

// zxidOf returns that of a transaction.
func zxidOf(txn []byte) wire.Zxid {
	var h wire.TxnHeader
	r := wire.NewReader(txn)
	h.Decode(&r)
	return h.Zxid
}

// last returns the zxid of the end of the witness, and find the place of the first transaction behind one.
func (w *world) last() wire.Zxid {
	if len(w.log) == 0 {
		return 0
	}
	return zxidOf(w.log[len(w.log)-1])
}

func (w *world) find(after wire.Zxid) int {
	return sort.Search(len(w.log), func(i int) bool { return zxidOf(w.log[i]) > after })
}

// sameTxn compares what the log says now with what it said before.
func sameTxn(zxid wire.Zxid, before, now []byte) error {
	if bytes.Equal(before, now) {
		return nil
	}
	return fmt.Errorf("Z4: transaction %v was %x and is %x", zxid, before, now)
}

// summary is a line of counts, sorted.
func summary(marks map[string]int) string {
	var parts []string
	for k, n := range marks { // order-free: sorted below
		parts = append(parts, fmt.Sprintf("%s %d", k, n))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
