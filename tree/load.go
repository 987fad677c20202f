package tree

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"

	"paddock/wire"
)

// A Loader builds a tree from the records of a snapshot, in any order.
//
//	Session, ACL   first, one goroutine
//	Node           then, any number of goroutines
//	Link           then, once a shard, any number of goroutines (Finish does what was left out)
//	Finish         last
//
// A node's parent may come later than the node, so Link joins them when all are there. Until then
// every path is kept: about its length more than the tree itself takes.
type Loader struct {
	t      *Tree
	acls   map[uint32]uint32 // by the id in the snapshot
	shards []loadShard
}

// A loadShard is what is known of a shard while loading. Guarded by the shard's lock until its
// Link.
type loadShard struct {
	paths    []byte
	ends     []uint64 // path i, that of the slab's i-th node, is paths[ends[i-1]:ends[i]]
	sum      totals
	refs     []int32 // of each ACL
	maxCzxid wire.Zxid
	once     sync.Once
	err      error
	linked   atomic.Bool
}

// A LoadError says which record of a snapshot does not fit.
type LoadError struct {
	Path string
	Why  string
}

func (e *LoadError) Error() string { return fmt.Sprintf("tree: load %q: %s", e.Path, e.Why) }

// NewLoader returns a loader for an empty tree.
func NewLoader(o Options) *Loader {
	t := newTree(o)
	return &Loader{t: t, acls: map[uint32]uint32{openACL: openACL}, shards: make([]loadShard, len(t.shards))}
}

// Session adds a session.
func (l *Loader) Session(id int64, timeoutMS int32) { l.t.sessions[id] = timeoutMS }

// ACL says what id means in the records to come. It copies acl.
func (l *Loader) ACL(id uint32, acl wire.ACLVec) error {
	if _, ok := l.acls[id]; ok {
		return fmt.Errorf("tree: load: ACL %d is there twice", id)
	}
	l.acls[id] = l.t.acls.intern(acl, 0, 0)
	return nil
}

// Node adds a node. It keeps nothing of rec.
func (l *Loader) Node(rec *Record) error {
	acl, ok := l.acls[rec.ACL]
	if !ok {
		return &LoadError{string(rec.Path), fmt.Sprintf("there is no ACL %d", rec.ACL)}
	}
	path := rec.Path
	if isRoot(path) {
		path = rootPath
	} else if path[0] != '/' || path[len(path)-1] == '/' || bytes.Contains(path, []byte("//")) {
		return &LoadError{string(path), "this is no path"}
	}
	hash := Hash(path)
	shard := int(hash >> l.t.shift)
	ls := &l.shards[shard]
	l.t.shards[shard].mu.Lock()
	defer l.t.shards[shard].mu.Unlock()
	if l.lookup(path, hash) != 0 {
		return &LoadError{string(path), "it is there twice"}
	}
	r := l.t.place(path, hash, node{
		czxid: int64(rec.Czxid), mzxid: int64(rec.Mzxid), pzxid: int64(rec.Pzxid),
		ctime: rec.Ctime, mtime: rec.Mtime,
		version: rec.Version, cversion: rec.Cversion, aversion: rec.Aversion,
		owner: rec.Owner, acl: acl,
	}, rec.Data, &ls.sum)
	ls.add(path, acl)
	ls.maxCzxid = max(ls.maxCzxid, rec.Czxid)
	if isRoot(path) {
		l.t.root = r
	}
	return nil
}

func (ls *loadShard) add(path []byte, acl uint32) {
	ls.paths = append(ls.paths, path...)
	ls.ends = append(ls.ends, uint64(len(ls.paths)))
	for int(acl) >= len(ls.refs) {
		ls.refs = append(ls.refs, 0)
	}
	ls.refs[acl]++
}

// path returns the path of the i-th node.
func (ls *loadShard) path(i uint32) []byte {
	start := uint64(0)
	if i > 0 {
		start = ls.ends[i-1]
	}
	return ls.paths[start:ls.ends[i]]
}

// lookup is find before the nodes are linked. The root is in no table.
func (l *Loader) lookup(path []byte, hash uint64) ref {
	shard := int(hash >> l.t.shift)
	sh := &l.t.shards[shard]
	if isRoot(path) {
		if first := sh.nodes.First(); l.t.root != 0 && l.t.root.shard() == shard && first < sh.nodes.End() {
			return l.t.root
		}
		return 0
	}
	for p := sh.table.probe(uint32(hash)); ; {
		index := p.next()
		if index == 0 {
			return 0
		}
		if bytes.Equal(l.shards[shard].path(index-sh.nodes.First()), path) {
			return makeRef(shard, index)
		}
	}
}

// Shards returns the number of shards.
func (l *Loader) Shards() int { return len(l.shards) }

// Link joins the nodes of one shard to their parents, after all nodes have been added. Every shard
// may have a goroutine of its own. A second call returns what the first did.
func (l *Loader) Link(shard int) error {
	ls := &l.shards[shard]
	ls.once.Do(func() { ls.err = l.link(shard) })
	return ls.err
}

func (l *Loader) link(shard int) error {
	t, ls := l.t, &l.shards[shard]
	sh := &t.shards[shard]
	for index := sh.nodes.First(); index < sh.nodes.End(); index++ {
		r := makeRef(shard, index)
		if r == t.root {
			continue
		}
		path := ls.path(index - sh.nodes.First())
		parent, _ := split(path)
		p := l.lookup(parent, Hash(parent))
		if p == 0 {
			return &LoadError{string(path), "its parent is missing"}
		}
		n := t.node(r)
		n.parent = p
		t.shards[p.shard()].mu.Lock()
		t.link(r, t.node(p))
		t.shards[p.shard()].mu.Unlock()
	}
	return nil
}

// Finish returns the tree, at zxid, if its digest is the one given.
func (l *Loader) Finish(zxid wire.Zxid, digest uint64) (*Tree, error) {
	t, err := l.finish(zxid)
	if err != nil {
		return nil, err
	}
	if got := t.Digest(); got != digest && !t.opts.NoDigest {
		return nil, fmt.Errorf("tree: load: digest at zxid %v is %#x, the snapshot says %#x", zxid, got, digest)
	}
	return t, nil
}

// FinishUnchecked is Finish for a snapshot without a digest at its zxid, as Java's are.
func (l *Loader) FinishUnchecked(zxid wire.Zxid) (*Tree, error) { return l.finish(zxid) }

func (l *Loader) finish(zxid wire.Zxid) (*Tree, error) {
	t := l.t
	if t.root == 0 {
		return nil, &LoadError{"/", "there is no root"}
	}
	for shard := range l.shards {
		if err := l.Link(shard); err != nil {
			return nil, err
		}
		ls := &l.shards[shard]
		t.newest = max(t.newest, ls.maxCzxid)
		if ls.maxCzxid > zxid && !t.opts.Fuzzy {
			return nil, fmt.Errorf("tree: load: a node was created at %v, after the snapshot's zxid %v", ls.maxCzxid, zxid)
		}
		t.sum.nodes += ls.sum.nodes
		t.sum.dataBytes += ls.sum.dataBytes
		t.sum.digest += ls.sum.digest
	}
	l.countACLs()
	l.shards = nil
	t.addBuiltins()
	t.setUpQuotas()
	t.fuzzy = t.opts.Fuzzy
	t.publish(zxid)
	if invariants {
		t.check(func(format string, args ...any) {
			panic(fmt.Sprintf("tree: loaded at "+zxid.String()+": "+format, args...))
		})
	}
	return t, nil
}

// countACLs counts the references of all nodes, and drops ACLs that no node has.
func (l *Loader) countACLs() {
	acls := &l.t.acls
	for id := range acls.refs {
		acls.refs[id] = 1 // one to drop below, so that an unused ACL goes the ordinary way
	}
	for i := range l.shards {
		for id, n := range l.shards[i].refs {
			acls.refs[id] += n
		}
	}
	for id := openACL + 1; id < len(acls.refs); id++ {
		acls.release(uint32(id), 0)
	}
}
