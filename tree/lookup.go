package tree

import "paddock/wire"

// A Node is what the sequencer needs to know of a znode: a copy.
type Node struct {
	// Stat is as persisted: Cversion counts creations (so it is the next sequence number), and
	// EphemeralOwner is raw.
	Stat wire.Stat
	Kind Kind
	ACL  wire.ACLVec // immutable: it may be kept
	// World holds the permissions that everybody has: none of them needs a look at the ACL.
	World int32
	// PathData and CRC are the node's part of the digest, before and after its stat; both are 0
	// where the digest does not look. See StatCRC.
	PathData, CRC uint32
	Applied       wire.Zxid // the copy is exact at
}

// Lookup fills n with the node at path, and reports whether there is one. n.Applied is set in
// either case. Any goroutine.
func (t *Tree) Lookup(path []byte, n *Node) bool {
	hash := Hash(path)
	sh := t.lookupShard(path, hash)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	n.Applied = t.Applied()
	r := t.find(path, hash)
	if r == 0 {
		return false
	}
	p := t.node(r)
	p.persisted(&n.Stat)
	n.Kind = t.kindOf(p.owner)
	acl := t.acls.at(p.acl)
	n.ACL, n.World = acl.vec, acl.world
	n.PathData, n.CRC = p.pathData, p.crc
	return true
}

// CountDescendants returns how many nodes there are below path, and whether there is a node at
// path. It walks all of them. Owner of apply only.
func (t *Tree) CountDescendants(path []byte) (n int64, ok bool) {
	top := t.find(path, Hash(path))
	if top == 0 {
		return 0, false
	}
	if top == t.root {
		return t.sum.nodes - 1, true
	}
	for r := t.following(top, top); r != 0; r = t.following(r, top) {
		n++
	}
	return n, true
}
