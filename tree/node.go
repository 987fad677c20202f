package tree

import (
	"paddock/slab"
	"paddock/wire"
)

// A ref names a node: shard in the top six bits, index in the shard's slab below. 0 is none.
type ref uint32

const (
	indexBits = 26
	indexMask = 1<<indexBits - 1
	maxShards = 1 << (32 - indexBits)
)

func makeRef(shard int, index uint32) ref { return ref(shard)<<indexBits | ref(index) }
func (r ref) shard() int                  { return int(r >> indexBits) }
func (r ref) index() uint32               { return uint32(r) & indexMask }

// A node is a znode without its siblings: 104 bytes, no pointer. It is guarded by the lock of its
// shard, but for name, nameInfo and parent: they never change while the node lives, and its
// descendants' paths are read through them under other locks.
type node struct {
	czxid, mzxid, pzxid int64 // czxid first: a freed record is linked through its first word
	ctime, mtime        int64 // ms
	owner               int64 // raw: session, 0, containerOwner or an encoded TTL

	version, cversion, aversion int32 // cversion as persisted: how many children were ever created
	dataLen                     int32 // noData for null
	children                    int32 // deadNode in a freed record

	acl      uint32 // in the tree's table of ACLs
	data     slab.Handle
	name     slab.Handle
	nameInfo uint32 // length << 1 | 1 if the digest does not look here
	parent   ref    // 0 for the root
	first    ref    // child
	owned    uint32 // in the tree's list of ephemerals, containers and TTL nodes; 0 if none of them
	pathData uint32 // CRC32 of path || data
	crc      uint32 // CRC32 of path || data || stat
}

const (
	noData   = -1
	deadNode = -1
)

// siblings links a node among the children of its parent. It lies apart from the node because
// another lock guards it: that of the parent's shard.
type siblings struct{ next, prev ref }

// A Kind tells what a node's raw owner means.
type Kind uint8

const (
	Persistent Kind = iota
	Ephemeral
	Container
	TTL
)

const (
	containerOwner = -1 << 63
	extendedMask   = 0xff << 56
	ttlMask        = 1<<40 - 1
)

// TTLOwner returns the raw owner of a node that lives ttlMS milliseconds, 1 … 2^40-1.
func TTLOwner(ttlMS int64) int64 { return ttlMS&ttlMask | -1<<56 }

// kindOf decodes a raw owner (EphemeralType in ZooKeeper). Where extended types are disabled, the
// owner of a TTL node looks like a session's.
func (t *Tree) kindOf(owner int64) Kind {
	switch {
	case owner == 0:
		return Persistent
	case owner == containerOwner:
		return Container
	case t.opts.ExtendedTypes && uint64(owner)>>40 == extendedMask>>40:
		return TTL
	}
	return Ephemeral
}

// persisted fills s with what is stored: the raw owner, and cversion as the count of creations.
func (n *node) persisted(s *wire.Stat) {
	s.Czxid, s.Mzxid, s.Pzxid = wire.Zxid(n.czxid), wire.Zxid(n.mzxid), wire.Zxid(n.pzxid)
	s.Ctime, s.Mtime = n.ctime, n.mtime
	s.Version, s.Cversion, s.Aversion = n.version, n.cversion, n.aversion
	s.EphemeralOwner = n.owner
	s.DataLength = max(n.dataLen, 0)
	s.NumChildren = n.children
}

// stat fills s with what clients see: cversion counts creations and deletions of children, and only
// ephemerals have an owner.
func (t *Tree) stat(n *node, s *wire.Stat) {
	n.persisted(s)
	s.Cversion = 2*n.cversion - n.children
	if t.kindOf(n.owner) != Ephemeral {
		s.EphemeralOwner = 0
	}
}

func (n *node) nameLen() int   { return int(n.nameInfo >> 1) }
func (n *node) digested() bool { return n.nameInfo&1 == 0 }

func (t *Tree) node(r ref) *node         { return t.shards[r.shard()].nodes.At(r.index()) }
func (t *Tree) siblings(r ref) *siblings { return t.shards[r.shard()].links.At(r.index()) }
func (t *Tree) name(r ref, n *node) []byte {
	return t.shards[r.shard()].arena.Bytes(n.name, n.nameLen())
}

// value returns the data of node r, nil for null; empty data is not nil. It lies in the arena.
func (t *Tree) value(r ref, n *node) []byte {
	switch n.dataLen {
	case noData:
		return nil
	case 0:
		return emptyValue
	}
	return t.shards[r.shard()].arena.Bytes(n.data, int(n.dataLen))
}

var emptyValue = []byte{}

// link puts r first among the children of p. Both shards are locked.
func (t *Tree) link(r ref, p *node) {
	*t.siblings(r) = siblings{next: p.first}
	if p.first != 0 {
		t.siblings(p.first).prev = r
	}
	p.first = r
	p.children++
}

// unlink takes r out of the children of p. Both shards are locked.
func (t *Tree) unlink(r ref, p *node) {
	s := t.siblings(r)
	if s.prev == 0 {
		p.first = s.next
	} else {
		t.siblings(s.prev).next = s.next
	}
	if s.next != 0 {
		t.siblings(s.next).prev = s.prev
	}
	p.children--
}

// following returns the node after r in the walk of the subtree of top, parents first; 0 at its
// end. A walk needs no memory. Owner of apply only: it crosses shards without their locks.
func (t *Tree) following(r, top ref) ref {
	if n := t.node(r); n.first != 0 {
		return n.first
	}
	for r != top {
		if next := t.siblings(r).next; next != 0 {
			return next
		}
		r = t.node(r).parent
	}
	return 0
}
