package tree

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sort"
	"sync"
	"sync/atomic"
	"testing"

	"paddock/wire"
)

// Layer 3 of testing.md: one goroutine applies, seven read, walk views and arm watches, on 16 hot
// nodes and on the counts of a quota on one of them. Every reply must be what the twin says of its
// zxid, and every watch must fire at the first event after the read that armed it.

const hotTxns = 4000

var hotPaths = func() (paths []string) {
	for i := range 8 {
		paths = append(paths, fmt.Sprintf("/n%d", i), fmt.Sprintf("/n%d/c", i))
	}
	return append(paths, "/zookeeper/quota/n0/zookeeper_stats")
}()

const (
	changed = 16          // of hotPaths, by transactions
	watched = changed + 1 // all of them are read
)

// A past is what was true of each hot node, and since when. It is written before the transaction is
// applied, so whoever has read something at a zxid finds it here.
type past struct {
	mu     sync.RWMutex
	states [][]state     // by hot node, ascending
	events [][]wire.Zxid // of data watches, by hot node
}

type state struct {
	since    wire.Zxid
	data     []byte // the reply of getData; nil: no node
	children []byte // the reply of getChildren with its stat
}

// at returns the state of hot node i after zxid.
func (p *past) at(i int, zxid wire.Zxid) state {
	p.mu.RLock()
	defer p.mu.RUnlock()
	s := p.states[i]
	return s[sort.Search(len(s), func(k int) bool { return s[k].since > zxid })-1]
}

// nextEvent returns the first event after zxid on hot node i, 0 if there was none.
func (p *past) nextEvent(i int, zxid wire.Zxid) wire.Zxid {
	p.mu.RLock()
	defer p.mu.RUnlock()
	e := p.events[i]
	if k := sort.Search(len(e), func(k int) bool { return e[k] > zxid }); k < len(e) {
		return e[k]
	}
	return 0
}

// remember adds the twin's state, which is about to become the tree's.
func (p *past) remember(w *twin) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, path := range hotPaths {
		now := state{since: w.zxid}
		if n := w.nodes[path]; n != nil {
			stat, names := w.stat(path), w.children(path)
			now.data = wire.AppendStat(wire.AppendBuffer(nil, n.data), &stat)
			now.children = wire.AppendInt(nil, int32(len(names)))
			for _, name := range names {
				now.children = wire.AppendString(now.children, []byte(name))
			}
			now.children = wire.AppendStat(now.children, &stat)
		}
		if s := p.states[i]; len(s) == 0 || !bytes.Equal(s[len(s)-1].data, now.data) {
			p.states[i] = append(s, now)
		}
	}
	for _, e := range w.events {
		var typ wire.EventType
		var path string
		fmt.Sscan(e, (*int32)(&typ), &path)
		for i := range hotPaths {
			if hotPaths[i] == path && typ != wire.EventNodeChildrenChanged {
				if n := len(p.events[i]); n == 0 || p.events[i][n-1] != w.zxid {
					p.events[i] = append(p.events[i], w.zxid)
				}
			}
		}
	}
}

// A watcher is one reader's watch on one hot node.
type watcher struct {
	armed atomic.Bool
	fired atomic.Int64
}

// Arm gives apply a chance to overtake it: it must not be able to.
func (w *watcher) Arm(uint64) {
	runtime.Gosched()
	w.armed.Store(true)
}

// watchers is the Sink: it fires what is armed.
type watchers struct {
	recorder
	all [6][watched]watcher
}

func (s *watchers) Event(typ wire.EventType, path []byte, hash uint64, acl wire.ACLVec, zxid wire.Zxid) {
	s.recorder.Event(typ, path, hash, acl, zxid)
	for i := range hotPaths {
		if hotPaths[i] != string(path) || typ == wire.EventNodeChildrenChanged {
			continue
		}
		for r := range s.all {
			if s.all[r][i].armed.CompareAndSwap(true, false) {
				s.all[r][i].fired.Store(int64(zxid))
			}
		}
	}
}

// goFail lets a goroutine of a test fail and end.
type goFail struct{ *testing.T }

func (g goFail) Fatalf(format string, args ...any) {
	g.Errorf(format, args...)
	runtime.Goexit()
}

func TestReadsAreExactWhileTransactionsAreApplied(t *testing.T) {
	tree := New(Options{Shards: 8})
	sink := &watchers{recorder: recorder{t: t}}
	p := &past{states: make([][]state, len(hotPaths)), events: make([][]wire.Zxid, len(hotPaths))}
	w := newTwin()
	p.remember(w)

	var done atomic.Bool
	var reads atomic.Int64
	var wg sync.WaitGroup
	views := make(chan *image, 2)
	wg.Go(func() { walkViews(goFail{t}, views) })
	for r := range sink.all {
		wg.Go(func() {
			reader := &hotReader{t: goFail{t}, tree: tree, past: p, watchers: &sink.all[r], rand: rand.New(rand.NewPCG(1, uint64(r)))}
			for !done.Load() {
				reader.turn()
				reads.Add(1)
			}
			reader.settle()
		})
	}
	applyHot(t, tree, w, p, sink, views)
	done.Store(true)
	close(views)
	wg.Wait()
	tree.checkNothingHeld(t)
	tree.check(t.Fatalf)
	t.Logf("%d transactions, %d reads", w.zxid, reads.Load())
}

// applyHot makes transactions of chance and applies them; now and then it opens a view.
func applyHot(t *testing.T, tree *Tree, w *twin, p *past, sink *watchers, views chan<- *image) {
	r := rand.New(rand.NewPCG(7, 7))
	ops := []wire.Op{wire.OpCreate, wire.OpCreate, wire.OpDelete, wire.OpSetData, wire.OpSetData, wire.OpSetACL}
	var res Result
	for range hotTxns {
		zxid := w.zxid + 1
		var steps []step
		if zxid == 1 {
			steps = hotQuota(w)
		}
		for range 1 + r.IntN(4) {
			s := step{op: ops[r.IntN(len(ops))], path: hotPaths[r.IntN(changed)], acl: wire.OpenACL}
			s.data = bytes.Repeat([]byte{byte(zxid)}, r.IntN(200))
			if r.IntN(4) == 0 {
				s.acl = aclB
			}
			if r.IntN(3) == 0 {
				s.owner = 1
			}
			if w.apply(&s, 9, zxid, int64(zxid)) {
				steps = append(steps, s)
			}
		}
		txn := multiTxn(9, zxid, int64(zxid), steps)
		if len(steps) == 0 {
			txn = closeTxn(9, zxid, int64(zxid), w.closeSession(9, zxid))
		} else if len(steps) == 1 {
			txn = singleTxn(9, zxid, int64(zxid), steps[0])
		}
		w.zxid = zxid
		p.remember(w)
		w.events = nil
		tree.Apply(withDigest(txn, w.digest()), sink, &res)
		if res.Mismatch {
			t.Fatalf("zxid %v: digest %#x, want %#x", zxid, tree.Digest(), res.Digest)
		}
		if zxid%16 == 0 {
			offerView(t, tree, w, views)
		}
	}
}

// hotQuota sets a quota on the first hot node.
func hotQuota(w *twin) (steps []step) {
	for _, path := range []string{"", "/zookeeper_limits", "/zookeeper_stats"} {
		s := step{op: wire.OpCreate, path: "/zookeeper/quota/n0" + path, data: []byte{}, acl: wire.OpenACL}
		w.apply(&s, 9, 1, 1)
		steps = append(steps, s)
	}
	return steps
}

// offerView opens a view, unless two are open, and gives it to the walker.
func offerView(t *testing.T, tree *Tree, w *twin, views chan<- *image) {
	if len(views) == cap(views) {
		return
	}
	v, err := tree.OpenView()
	if errors.Is(err, ErrTooManyViews) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	views <- newImage(v, w, w.zxid%32 == 0)
}

// walkViews walks two views at a time, in turns.
func walkViews(t goFail, views <-chan *image) {
	first, ok := <-views
	for ok {
		for range 3 {
			if !first.done {
				first.walk(t, 2)
			}
		}
		second, more := <-views
		if more {
			second.walk(t, 3)
		}
		first.finish(t)
		first, ok = second, more
	}
}

// hotReader reads hot nodes and compares.
type hotReader struct {
	t        goFail
	tree     *Tree
	past     *past
	rand     *rand.Rand
	watchers *[watched]watcher
	armedAt  [watched]wire.Zxid // 0: not armed; else 1 more than the zxid of the read
	last     wire.Zxid
	buf      []byte
}

func (h *hotReader) turn() {
	i := h.rand.IntN(len(hotPaths))
	switch h.rand.IntN(4) {
	case 0:
		h.getData(i, nil)
	case 1:
		h.getChildren(i)
	case 2:
		h.multiRead(i, h.rand.IntN(len(hotPaths)), h.rand.IntN(len(hotPaths)))
	case 3:
		h.watch(i)
	}
}

func (h *hotReader) getData(i int, arm Arm) wire.Zxid {
	var zxid wire.Zxid
	var code wire.Code
	h.buf, zxid, code = h.tree.GetData(h.buf[:0], []byte(hotPaths[i]), nil, arm)
	h.compare(hotPaths[i], zxid, code, h.past.at(i, zxid).data)
	return zxid
}

func (h *hotReader) getChildren(i int) {
	var zxid wire.Zxid
	var code wire.Code
	h.buf, zxid, code = h.tree.GetChildren(h.buf[:0], []byte(hotPaths[i]), nil, nil, true)
	h.compare(hotPaths[i], zxid, code, h.past.at(i, zxid).children)
}

func (h *hotReader) compare(path string, zxid wire.Zxid, code wire.Code, want []byte) {
	if (code == wire.OK) != (want != nil) || !bytes.Equal(h.buf, want) {
		h.t.Fatalf("read of %s at zxid %v: %v %x, want %x", path, zxid, code, h.buf, want)
	}
	if zxid < h.last {
		h.t.Fatalf("a read at zxid %v after one at %v", zxid, h.last)
	}
	h.last = zxid
}

func (h *hotReader) multiRead(nodes ...int) {
	var body []byte
	for _, i := range nodes {
		body = wire.AppendMultiHeader(body, wire.OpGetData, false, -1)
		body = wire.AppendBool(wire.AppendString(body, []byte(hotPaths[i])), false)
	}
	ops, err := wire.NewMultiIter(wire.AppendMultiEnd(body), wire.MultiRead)
	if err != nil {
		h.t.Fatalf("%v", err)
	}
	got, zxid := h.tree.MultiRead(nil, ops, nil)
	var want []byte
	for _, i := range nodes {
		if s := h.past.at(i, zxid); s.data != nil {
			want = append(wire.AppendMultiHeader(want, wire.OpGetData, false, 0), s.data...)
		} else {
			want = wire.AppendMultiError(want, wire.NoNode)
		}
	}
	if !bytes.Equal(got, wire.AppendMultiEnd(want)) {
		h.t.Fatalf("multiRead of %v at zxid %v: %x\nwant %x", nodes, zxid, got, want)
	}
}

// watch arms a watch that is not armed, and looks whether one that is has fired when it should
// have.
func (h *hotReader) watch(i int) {
	w := &h.watchers[i]
	if h.armedAt[i] == 0 {
		var zxid wire.Zxid
		h.buf, zxid, _ = h.tree.Exists(h.buf[:0], []byte(hotPaths[i]), nil, w)
		h.armedAt[i] = zxid + 1
		return
	}
	applied := h.tree.Applied()
	fired := wire.Zxid(w.fired.Load())
	due := h.past.nextEvent(i, h.armedAt[i]-1)
	if due != 0 && due <= applied && fired != due || fired != 0 && fired != due {
		h.t.Fatalf("watch on %s armed at %v fired at %v, want %v (applied %v)", hotPaths[i], h.armedAt[i]-1, fired, due, applied)
	}
	if fired != 0 {
		h.armedAt[i] = 0
		w.fired.Store(0)
	}
}

// settle looks at all watches when nothing moves any more.
func (h *hotReader) settle() {
	for i := range hotPaths {
		if h.armedAt[i] != 0 {
			h.watch(i)
		}
	}
}

// A loader takes nodes from several goroutines, and links its shards from several.
func TestLoaderInParallel(t *testing.T) {
	const goroutines, each = 4, 500
	m := newMachine(t, Options{Shards: 8})
	for g := range goroutines {
		for i := range each {
			path := fmt.Sprintf("/g%d-%d", g, i)
			if i%2 == 1 {
				path = fmt.Sprintf("/g%d-%d/child-%d", (g+1)%goroutines, i/2*2, i)
			}
			s := step{op: wire.OpCreate, path: path, data: []byte(path), acl: aclA}
			zxid, time := m.next()
			if !m.twin.apply(&s, 1, zxid, time) { // its parent comes later
				m.twin.zxid--
				continue
			}
			m.twin.events = nil
			m.tree.Apply(singleTxn(1, zxid, time, s), nil, nil)
		}
	}
	i := m.openImage(t, false)
	for !i.done {
		i.walk(t, 100)
	}
	l := NewLoader(Options{Shards: 16})
	for id, acl := range i.acls {
		if id != 0 {
			l.ACL(id, acl)
		}
	}
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for k := g; k < len(i.order); k += goroutines {
				rec := i.records[i.order[k]]
				if err := l.Node(&rec); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for shard := range l.Shards() {
		wg.Go(func() {
			if err := l.Link(shard); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	tree, err := l.Finish(i.view.Zxid(), i.view.Digest())
	if err != nil {
		t.Fatal(err)
	}
	tree.check(t.Fatalf)
	m.twin.compareSessions(t, tree)
	(&machine{tree: tree, twin: m.twin}).openImage(t, true).finish(t)
}
