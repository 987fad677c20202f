package tree

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"paddock/slab"
	"paddock/wire"
)

// defaultViews is how many views may be open at a time: a snapshot, and one learner that needs one.
const defaultViews = 2

const (
	// viewBatch is how many records a walker copies under one read lock.
	viewBatch = 64
	// releaseBatch is how many freed things go back under one write lock.
	releaseBatch = 128
	// savedBytes is what a saved record takes: itself and its place in the index.
	savedBytes = 104 + 24
)

var (
	// ErrTooManyViews says that Options.Views are open: another one waits.
	ErrTooManyViews = errors.New("tree: too many views are open")
	// ErrViewTooLarge says that a view held back more memory than Options.ViewBytes, because too
	// much has changed since it was opened. It shows nothing any more: close it and try again.
	ErrViewTooLarge = errors.New("tree: a view has outgrown its memory limit")
)

// A Record is a znode as a view shows it and a Loader takes it.
type Record struct {
	Path []byte // "/" for the root
	Data []byte // nil for null
	ACL  uint32 // in the table of View.ACLs; 0 is world:anyone with all permissions

	Czxid, Mzxid, Pzxid         wire.Zxid
	Ctime, Mtime                int64
	Version, Cversion, Aversion int32 // Cversion as persisted: children ever created
	Owner                       int64 // raw: session, container or TTL
}

// A View shows the tree as it was after one transaction, while Apply goes on. One goroutine walks
// it.
//
//	Apply, before it changes a record        Next, under the shard's read lock
//	  created after the view?   nothing        created after the view?  skip
//	  walked over already?      nothing        saved?                   show what was saved
//	  saved already?            nothing        else                     show it as it is
//	  else                      save a copy
//
// Values and names are not copied: while a view is open none is overwritten, and what is freed goes
// to the limbo of the newest view, with its contents, until that view and all older ones are
// closed. So the path of a record is there as well, though its ancestors may have been deleted
// since.
type View struct {
	t    *Tree
	seq  uint64 // number of the view, from 1
	zxid wire.Zxid
	sum  totals

	sessions []Session
	sorted   bool

	failed atomic.Bool
	bytes  atomic.Int64 // held back or saved
	shards []viewShard

	// Owned by the walker.
	at           int // shard
	parentsFirst bool
	chain        []ref // to show next, the last first
	paths        []byte
	closed       sync.Once
}

// A viewShard is a view's part of one shard, guarded by that shard's lock. The walker writes next
// and shown under the read lock: it is the only one, and apply looks at them under the write lock.
type viewShard struct {
	view      *View
	next, end uint32   // indices below next are walked over, those from end on are younger than the view
	shown     []uint64 // parents first: a bit for each index that was shown
	saved     map[uint32]uint32
	records   []node
	limbo     slab.Limbo
}

// viewList is what a tree knows of its views.
type viewList struct {
	open   []*View       // guarded by Tree.mu
	opened uint64        // how many ever; owned by apply
	oldest atomic.Uint64 // number of the oldest open view, MaxUint64 if there is none
}

// OpenView returns a view of the tree after the last transaction, or ErrTooManyViews (or ErrFuzzy).
// It takes the same short time however large the tree is, but for a copy of the sessions. Owner of
// apply only.
func (t *Tree) OpenView() (*View, error) {
	if t.fuzzy {
		return nil, ErrFuzzy // what is younger than a view is told by its czxid
	}
	v := &View{
		t: t, zxid: t.Applied(), sum: t.sum,
		shards:   make([]viewShard, len(t.shards)),
		sessions: make([]Session, 0, len(t.sessions)),
	}
	for id, timeout := range t.sessions { //order-free: sorted when they are asked for
		v.sessions = append(v.sessions, Session{id, timeout})
	}
	if !t.enlist(v) {
		return nil, ErrTooManyViews
	}
	for i := range t.shards {
		sh, vs := &t.shards[i], &v.shards[i]
		sh.mu.Lock()
		vs.view, vs.next, vs.end = v, sh.nodes.First(), sh.nodes.End()
		sh.views = append(sh.views, vs)
		sh.mu.Unlock()
	}
	return v, nil
}

func (t *Tree) enlist(v *View) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.views.open) >= t.opts.Views {
		return false
	}
	t.views.opened++
	v.seq = t.views.opened
	t.views.open = append(t.views.open, v)
	t.views.setOldest()
	return true
}

func (l *viewList) setOldest() {
	oldest := uint64(math.MaxUint64)
	for _, v := range l.open {
		oldest = min(oldest, v.seq)
	}
	l.oldest.Store(oldest)
}

// Zxid returns the zxid that v shows the tree after.
func (v *View) Zxid() wire.Zxid { return v.zxid }

// Digest returns the tree's digest after Zxid.
func (v *View) Digest() uint64 { return v.sum.digest }

// NodeCount returns how many records v will show.
func (v *View) NodeCount() int64 { return v.sum.nodes }

// Sessions returns the sessions after Zxid, in ascending order of their ids.
func (v *View) Sessions() []Session {
	if !v.sorted {
		slices.SortFunc(v.sessions, compareSessions)
		v.sorted = true
	}
	return v.sessions
}

// ACLs calls fn for every ACL that a record of v may name, in ascending order of ids. 0 is not
// among them.
func (v *View) ACLs(fn func(id uint32, acl wire.ACLVec)) { v.t.acls.each(v.seq, fn) }

// ParentsFirst makes Next show every node after its parent, as Java's snapshots need it. It is
// slower, and must come before the first Next.
func (v *View) ParentsFirst() {
	v.parentsFirst = true
	for i := range v.shards {
		vs := &v.shards[i]
		v.t.shards[i].mu.Lock()
		vs.shown = make([]uint64, vs.end/64+1)
		v.t.shards[i].mu.Unlock()
	}
}

// Err says why Next stopped early: nil, or ErrViewTooLarge.
func (v *View) Err() error {
	if v.failed.Load() {
		return fmt.Errorf("%w: %d bytes at zxid %v, opened at %v", ErrViewTooLarge, v.bytes.Load(), v.t.Applied(), v.zxid)
	}
	return nil
}

// HeldBytes returns the memory that v holds back or has copied.
func (v *View) HeldBytes() int64 { return v.bytes.Load() }

// Next appends the next records to dst, as many as it has room for (or a few, if it has none), and
// reports whether to call it again. When it reports false, ask Err. Paths and data are valid until
// the next call of Next or Close.
func (v *View) Next(dst []Record) ([]Record, bool) {
	if cap(dst) == len(dst) {
		dst = slices.Grow(dst, viewBatch)
	}
	v.paths = v.paths[:0]
	for len(dst) < cap(dst) {
		switch {
		case v.failed.Load():
			return dst, false
		case len(v.chain) > 0:
			r := v.chain[len(v.chain)-1]
			v.chain = v.chain[:len(v.chain)-1]
			dst = v.showOne(dst, r)
		case v.at == len(v.shards):
			return dst, false
		default:
			dst = v.walk(dst)
		}
	}
	return dst, true
}

// walk shows a few records of the current shard. It stops at one whose parent must be shown first.
func (v *View) walk(dst []Record) []Record {
	sh, vs := &v.t.shards[v.at], &v.shards[v.at]
	room := min(cap(dst)-len(dst), viewBatch)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for scanned := 0; vs.next < vs.end && room > 0 && scanned < 8*viewBatch; scanned++ {
		r := makeRef(v.at, vs.next)
		n := vs.at(sh, r.index())
		if n == nil || v.isShown(r) {
			vs.next++
			continue
		}
		if v.parentsFirst && n.parent != 0 && !v.isShown(n.parent) {
			v.chainUp(r, n)
			return dst // the record itself ends the chain; next stays before it
		}
		dst = v.show(dst, r, n)
		vs.next++
		room--
	}
	if vs.next == vs.end {
		v.at++
	}
	return dst
}

// at returns the record as the view shows it, nil if it was not there.
func (vs *viewShard) at(sh *shard, index uint32) *node {
	if i, ok := vs.saved[index]; ok {
		return &vs.records[i]
	}
	n := sh.nodes.At(index)
	if n.children < 0 || wire.Zxid(n.czxid) > vs.view.zxid {
		return nil
	}
	return n
}

// chainUp lists r and those of its ancestors that were not shown. Parents never change, so their
// shards need no lock.
func (v *View) chainUp(r ref, n *node) {
	for v.chain = append(v.chain, r); n.parent != 0 && !v.isShown(n.parent); n = v.t.node(n.parent) {
		v.chain = append(v.chain, n.parent)
	}
}

// showOne shows a record of any shard.
func (v *View) showOne(dst []Record, r ref) []Record {
	sh := &v.t.shards[r.shard()]
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	n := v.shards[r.shard()].at(sh, r.index())
	if n == nil {
		panic(fmt.Sprintf("tree: view at %v: node %#x is missing above one that is there", v.zxid, uint32(r)))
	}
	return v.show(dst, r, n)
}

func (v *View) isShown(r ref) bool {
	vs := &v.shards[r.shard()]
	return vs.shown != nil && vs.shown[r.index()/64]&(1<<(r.index()%64)) != 0
}

// show appends n, which is node r now or as it was saved, under its shard's read lock.
func (v *View) show(dst []Record, r ref, n *node) []Record {
	if vs := &v.shards[r.shard()]; vs.shown != nil {
		vs.shown[r.index()/64] |= 1 << (r.index() % 64)
	}
	start := len(v.paths)
	v.paths = v.t.appendPath(v.paths, r)
	return append(dst, Record{
		Path: v.paths[start:len(v.paths):len(v.paths)],
		Data: v.t.value(r, n),
		ACL:  n.acl,

		Czxid: wire.Zxid(n.czxid), Mzxid: wire.Zxid(n.mzxid), Pzxid: wire.Zxid(n.pzxid),
		Ctime: n.ctime, Mtime: n.mtime,
		Version: n.version, Cversion: n.cversion, Aversion: n.aversion,
		Owner: n.owner,
	})
}

// Close gives back what the view held. It may be called twice, and from another goroutine than
// Next's, when that has ended.
func (v *View) Close() {
	v.closed.Do(func() {
		for i := range v.shards {
			v.t.shards[i].dropView(&v.shards[i])
		}
		v.t.mu.Lock()
		defer v.t.mu.Unlock()
		at := slices.Index(v.t.views.open, v)
		v.t.views.open = slices.Delete(v.t.views.open, at, at+1)
		v.t.views.setOldest()
	})
}

// dropView takes a view off the shard. What it held goes back, a little under each lock; or on to
// the older view, which may show it too.
func (sh *shard) dropView(vs *viewShard) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	vs.saved, vs.records, vs.shown = nil, nil, nil
	at := slices.Index(sh.views, vs)
	sh.views = slices.Delete(sh.views, at, at+1)
	if at > 0 {
		older := sh.views[at-1]
		older.view.bytes.Add(vs.limbo.Bytes())
		older.limbo.Absorb(&vs.limbo)
		return
	}
	for slab.Release(&vs.limbo, sh.arena, sh.nodes, releaseBatch) {
		sh.mu.Unlock() // let readers and apply in
		sh.mu.Lock()
	}
}

// save keeps node r as it is for the views that have still to show it. Before every change; r's
// shard is locked.
func (t *Tree) save(r ref, n *node) {
	sh := &t.shards[r.shard()]
	for _, vs := range sh.views {
		vs.save(r, n)
	}
}

func (vs *viewShard) save(r ref, n *node) {
	index := r.index()
	if index < vs.next || index >= vs.end || wire.Zxid(n.czxid) > vs.view.zxid || vs.view.failed.Load() {
		return
	}
	if vs.shown != nil && vs.shown[index/64]&(1<<(index%64)) != 0 {
		return
	}
	if _, ok := vs.saved[index]; ok {
		return
	}
	if vs.saved == nil {
		vs.saved = map[uint32]uint32{}
	}
	vs.saved[index] = uint32(len(vs.records))
	vs.records = append(vs.records, *n)
	vs.grow(savedBytes)
}

// grow counts memory, and gives the view up when it is too much. What is in its limbo stays there
// until it is closed, because its walker may be looking at it.
func (vs *viewShard) grow(bytes int64) {
	if vs.view.bytes.Add(bytes) > vs.view.t.opts.ViewBytes {
		vs.view.failed.Store(true)
	}
}

// newest returns the view whose limbo takes what is freed now, nil if none is open.
func (sh *shard) newest() *viewShard {
	if n := len(sh.views); n > 0 {
		return sh.views[n-1]
	}
	return nil
}

// freeBlock and freeNode free what was a node's, once no view can show it.
func (sh *shard) freeBlock(h slab.Handle, n int) {
	vs := sh.newest()
	if vs == nil {
		sh.arena.Free(h, n)
		return
	}
	vs.limbo.Block(h, n)
	vs.grow(int64(slab.BlockBytes(n)))
}

func (sh *shard) freeNode(index uint32) {
	vs := sh.newest()
	if vs == nil {
		sh.nodes.Free(index)
		return
	}
	vs.limbo.Record(index, savedBytes)
	vs.grow(savedBytes)
}
