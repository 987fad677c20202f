package tree

import (
	"bytes"
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"

	"paddock/slab"
	"paddock/wire"
)

// Options says how a Tree is built. The zero value is what a server uses by default.
type Options struct {
	// Shards is the number of locks, a power of two up to 64; 0 means 64.
	Shards int
	// ExtendedTypes recognises TTL nodes by their owner (zookeeper.extendedTypesEnabled, default
	// false).
	ExtendedTypes bool
	// NoDigest leaves the digest at 0 (zookeeper.digest.enabled=false).
	NoDigest bool
	// Fuzzy says that what a Loader gets may be newer than its zxid, as the snapshots of Java
	// servers are. See Tree.Settle.
	Fuzzy bool
	// ViewBytes is what one open view may hold back or copy; over it the view fails. 0 means 1 GiB.
	ViewBytes int64
	// Views is how many views may be open at a time; 0 means 2. What changes while several are
	// open is copied for each that has still to show it.
	Views int
}

const defaultViewBytes = 1 << 30

var (
	zookeeperPath  = []byte("/zookeeper")
	zookeeperSlash = []byte("/zookeeper/")
	quotaPath      = []byte("/zookeeper/quota")
	quotaSlash     = []byte("/zookeeper/quota/")
	configPath     = []byte("/zookeeper/config")
)

// A Tree is the state of a server: znodes, ACLs, sessions, quotas. See the package comment for who
// may call what.
type Tree struct {
	opts   Options
	space  *slab.Space
	shift  uint // hash >> shift = shard
	root   ref
	shards []shard
	acls   aclTable

	applied atomic.Int64

	// Owned by apply.
	sum    totals // as it will be after the transaction; ephemerals guarded by mu while loading
	apply  scratch
	fuzzy  bool      // not settled
	newest wire.Zxid // of all nodes a fuzzy snapshot had

	// What sum was after the last transaction; anybody may load.
	nodes, dataBytes, ephemerals atomic.Int64
	digest                       atomic.Uint64

	mu sync.RWMutex // innermost: nothing is locked while it is held. Apply alone writes, so it reads without

	// Guarded by mu.
	sessions  map[int64]int32 // timeout in ms
	owners    map[int64]ownedList
	contained ownedList // containers
	expiring  ownedList // TTL nodes
	owned     *slab.Slab[owned]
	due       dueCursor
	quotas    map[string]*quota    // by the path of their root
	history   [digestKept]DigestAt // a ring
	kept      int                  // how many were ever put into history
	views     viewList
}

// totals are counts over all nodes.
type totals struct {
	nodes, dataBytes, ephemerals int64
	digest                       uint64
}

// A shard holds the nodes whose paths hash to it, and its lock guards them.
type shard struct {
	mu    sync.RWMutex
	table table
	nodes *slab.Slab[node]
	links *slab.Array[siblings] // guarded by the locks of the parents' shards
	arena *slab.Arena           // names and data
	views []*viewShard          // open views, older first
	_     [64]byte              // the next shard's lock is on another cache line
}

// New returns a tree at zxid 0 with the built-in nodes.
func New(o Options) *Tree {
	t := newTree(o)
	t.addBuiltins()
	t.publish(0)
	return t
}

// newTree returns a tree without any node, not even a root.
func newTree(o Options) *Tree {
	if o.Shards == 0 {
		o.Shards = maxShards
	}
	if o.Views == 0 {
		o.Views = defaultViews
	}
	if o.ViewBytes == 0 {
		o.ViewBytes = defaultViewBytes
	}
	if o.Shards < 1 || o.Shards > maxShards || bits.OnesCount(uint(o.Shards)) != 1 {
		panic(fmt.Sprintf("tree: %d shards are no power of two up to %d", o.Shards, maxShards))
	}
	t := &Tree{
		opts:     o,
		space:    slab.NewSpace(),
		shift:    uint(64 - bits.Len(uint(o.Shards)) + 1),
		shards:   make([]shard, o.Shards),
		sessions: map[int64]int32{},
		owners:   map[int64]ownedList{},
		quotas:   map[string]*quota{},
	}
	for i := range t.shards {
		sh := &t.shards[i]
		sh.table.init(t.space)
		sh.nodes = slab.NewSlab[node](t.space, 64)
		sh.links = slab.NewArray[siblings](t.space, 64)
		sh.arena = slab.NewArena(t.space)
	}
	t.owned = slab.NewSlab[owned](t.space, 64)
	t.acls.init()
	t.views.setOldest()
	return t
}

// addBuiltins adds the built-in nodes that are missing (client-protocol.md 3.5): all of them to a
// new tree, the newer ones to one loaded from a snapshot of an old server.
func (t *Tree) addBuiltins() {
	if t.root == 0 {
		t.addBuiltin(rootPath, wire.OpenACL, 0)
	}
	for _, path := range [][]byte{zookeeperPath, quotaPath} {
		if t.find(path, Hash(path)) == 0 {
			t.addBuiltin(path, wire.OpenACL, 0)
		}
	}
	if t.find(configPath, Hash(configPath)) == 0 {
		t.addBuiltin(configPath, wire.ReadACL, -1)
	}
}

func (t *Tree) addBuiltin(path []byte, acl wire.ACLVec, aversion int32) {
	t.insert(path, node{aversion: aversion, acl: t.acls.intern(acl, 0, 0)}, emptyValue)
}

// insert places a node at path, whose shard and parent's shard are locked if anybody else sees the
// tree. n has its stat and ACL; insert does the rest, but for the parent's stat. The path is free
// and its parent exists.
func (t *Tree) insert(path []byte, n node, data []byte) ref {
	if isRoot(path) {
		t.root = t.place(path, Hash(path), n, data, &t.sum)
		return t.root
	}
	parent, _ := split(path)
	n.parent = t.find(parent, Hash(parent))
	r := t.place(path, Hash(path), n, data, &t.sum)
	t.link(r, t.node(n.parent))
	return r
}

// place stores a node, its name and its data in the shard of path, and counts it in sum. Its parent
// is set (who asks for a session's ephemerals walks up from it at once), but does not know of it
// yet.
func (t *Tree) place(path []byte, hash uint64, n node, data []byte, sum *totals) ref {
	sh := t.shardOf(hash)
	index, p := sh.nodes.Alloc()
	if index > indexMask {
		panic(fmt.Sprintf("tree: shard %d is full with %d nodes", hash>>t.shift, sh.nodes.Live()))
	}
	sh.links.Grow(index + 1)
	if !isRoot(path) {
		_, name := split(path)
		n.name, n.nameInfo = sh.arena.Put(name), uint32(len(name))<<1
		sh.table.insert(uint32(hash), index)
	}
	n.dataLen = noData
	if data != nil {
		n.data, n.dataLen = sh.arena.Put(data), int32(len(data))
	}
	t.enter(path, &n, data, sum)
	*p = n
	r := makeRef(int(hash>>t.shift), index)
	if n.owner != 0 {
		p.owned = t.own(r, n.owner)
	}
	sum.nodes++
	sum.dataBytes += pathBytes(path) + int64(len(data))
	return r
}

// pathBytes is what a path counts in the data size; the root's is empty.
func pathBytes(path []byte) int64 {
	if isRoot(path) {
		return 0
	}
	return javaLength(path)
}

// publish lets everybody see what a transaction has changed.
func (t *Tree) publish(zxid wire.Zxid) {
	t.nodes.Store(t.sum.nodes)
	t.dataBytes.Store(t.sum.dataBytes)
	t.ephemerals.Store(t.sum.ephemerals)
	t.digest.Store(t.sum.digest)
	t.applied.Store(int64(zxid))
}

func (t *Tree) shardOf(hash uint64) *shard { return &t.shards[hash>>t.shift] }

// find returns the node at path, 0 if there is none. The path's shard is locked, or the caller owns
// apply.
func (t *Tree) find(path []byte, hash uint64) ref {
	if isRoot(path) {
		return t.root
	}
	sh := t.shardOf(hash)
	for p := sh.table.probe(uint32(hash)); ; {
		index := p.next()
		if index == 0 {
			return 0
		}
		if r := makeRef(int(hash>>t.shift), index); t.isPath(r, path) {
			return r
		}
	}
}

// Applied returns the zxid of the last transaction that was applied. A read returns its own.
func (t *Tree) Applied() wire.Zxid { return wire.Zxid(t.applied.Load()) }

// NodeCount returns the number of znodes, the built-in ones and the root among them. (ZooKeeper
// counts the root twice.)
func (t *Tree) NodeCount() int64 { return t.nodes.Load() }

// DataSize returns the sum of the lengths of all paths, in UTF-16 units, and all data, in bytes;
// the root's path counts 0. (ZooKeeper: approximate_data_size, which counts the root twice.)
func (t *Tree) DataSize() int64 { return t.dataBytes.Load() }

// EphemeralCount returns the number of ephemerals.
func (t *Tree) EphemeralCount() int64 { return t.ephemerals.Load() }

// Digest returns the digest after the transaction applied last. It may be one transaction ahead of
// or behind an Applied loaded beside it, unless the caller owns apply.
func (t *Tree) Digest() uint64 { return t.digest.Load() }

// Digests appends the digests kept for comparison with other servers, oldest first.
func (t *Tree) Digests(dst []DigestAt) []DigestAt {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for i := max(0, t.kept-digestKept); i < t.kept; i++ {
		dst = append(dst, t.history[i%digestKept])
	}
	return dst
}

// ACLCount returns the number of distinct ACLs in use.
func (t *Tree) ACLCount() int { return t.acls.live() }

// MappedBytes returns the address space the tree has mapped outside the collected heap. What is
// resident is less.
func (t *Tree) MappedBytes() int64 { return t.space.Mapped() }

func hasPrefix(b, prefix []byte) bool { return bytes.HasPrefix(b, prefix) }
