package tree

import "paddock/wire"

// Access decides what the caller of a read may see. It is asked only if the node's ACL does not let
// everybody.
type Access interface {
	May(acl wire.ACLVec, need int32) bool
}

// Arm is told, under the shard's read lock, the hash of a path that a read wants to watch, if the
// read arms a watch at all: no event of a later transaction can be missed then.
type Arm interface{ Arm(hash uint64) }

// MaskACL rewrites an ACL for someone without ADMIN permission.
type MaskACL interface {
	AppendMasked(dst []byte, acl wire.ACLVec) []byte
}

// Reads may be called from any goroutine and do not allocate, but to grow dst. Each appends the
// body of its reply to dst, nothing if the code is not OK, and returns the zxid it is exact at: the
// state of the node after that transaction (exact-read). A nil who may see everything; a nil arm
// watches nothing.

// Exists appends a Stat. It arms whether the node exists or not, unless who may not read it.
func (t *Tree) Exists(dst, path []byte, who Access, arm Arm) ([]byte, wire.Zxid, wire.Code) {
	hash := Hash(path)
	sh := t.lookupShard(path, hash)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	zxid := t.Applied()
	r := t.find(path, hash)
	if r == 0 {
		armWatch(arm, hash)
		return dst, zxid, wire.NoNode
	}
	n := t.node(r)
	if !t.may(n, who, wire.PermRead) {
		return dst, zxid, wire.NoAuth
	}
	armWatch(arm, hash)
	return t.appendStat(dst, n), zxid, wire.OK
}

// GetData appends data and Stat.
func (t *Tree) GetData(dst, path []byte, who Access, arm Arm) ([]byte, wire.Zxid, wire.Code) {
	hash := Hash(path)
	sh := t.lookupShard(path, hash)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	r, code := t.readable(path, hash, who)
	if code == wire.OK {
		armWatch(arm, hash)
		n := t.node(r)
		dst = wire.AppendBuffer(dst, t.value(r, n))
		dst = t.appendStat(dst, n)
	}
	return dst, t.Applied(), code
}

// GetChildren appends the names of the children, in no order, and the Stat if asked.
func (t *Tree) GetChildren(dst, path []byte, who Access, arm Arm, withStat bool) ([]byte, wire.Zxid, wire.Code) {
	hash := Hash(path)
	sh := t.lookupShard(path, hash)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	r, code := t.readable(path, hash, who)
	if code == wire.OK {
		armWatch(arm, hash)
		n := t.node(r)
		dst = t.appendChildren(dst, n)
		if withStat {
			dst = t.appendStat(dst, n)
		}
	}
	return dst, t.Applied(), code
}

// GetACL appends the ACL, masked for whom has no ADMIN permission, and the Stat. It takes READ or
// ADMIN.
func (t *Tree) GetACL(dst, path []byte, who Access, mask MaskACL) ([]byte, wire.Zxid, wire.Code) {
	hash := Hash(path)
	sh := t.lookupShard(path, hash)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	zxid := t.Applied()
	r := t.find(path, hash)
	if r == 0 {
		return dst, zxid, wire.NoNode
	}
	n := t.node(r)
	if !t.may(n, who, wire.PermRead|wire.PermAdmin) {
		return dst, zxid, wire.NoAuth
	}
	acl := t.acls.at(n.acl).vec
	if mask == nil || t.may(n, who, wire.PermAdmin) {
		dst = append(dst, acl...)
	} else {
		dst = mask.AppendMasked(dst, acl)
	}
	return t.appendStat(dst, n), zxid, wire.OK
}

// A Peek is what decides about a watch that a client sets again after it was away.
type Peek struct {
	Exists       bool
	Mzxid, Pzxid wire.Zxid
	Applied      wire.Zxid
}

// Peek looks at a node, whoever asks, and arms: for setWatches, and for addWatch, which reads
// nothing.
func (t *Tree) Peek(path []byte, arm Arm) Peek {
	hash := Hash(path)
	sh := t.lookupShard(path, hash)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	armWatch(arm, hash)
	p := Peek{Applied: t.Applied()}
	if r := t.find(path, hash); r != 0 {
		n := t.node(r)
		p.Exists, p.Mzxid, p.Pzxid = true, wire.Zxid(n.mzxid), wire.Zxid(n.pzxid)
	}
	return p
}

// rootHash is the hash of the root's shard, whichever alias a path uses.
var rootHash = Hash(rootPath)

// lookupShard returns the shard of a path. hash is the path's.
func (t *Tree) lookupShard(path []byte, hash uint64) *shard {
	if isRoot(path) {
		hash = rootHash
	}
	return t.shardOf(hash)
}

func (t *Tree) readable(path []byte, hash uint64, who Access) (ref, wire.Code) {
	r := t.find(path, hash)
	if r == 0 {
		return 0, wire.NoNode
	}
	if !t.may(t.node(r), who, wire.PermRead) {
		return 0, wire.NoAuth
	}
	return r, wire.OK
}

// may asks who only if the ACL does not grant the permission to everybody.
func (t *Tree) may(n *node, who Access, need int32) bool {
	if who == nil {
		return true
	}
	acl := t.acls.at(n.acl)
	return acl.world&need != 0 || who.May(acl.vec, need)
}

func armWatch(arm Arm, hash uint64) {
	if arm != nil {
		arm.Arm(hash)
	}
}

func (t *Tree) appendStat(dst []byte, n *node) []byte {
	var s wire.Stat
	t.stat(n, &s)
	return wire.AppendStat(dst, &s)
}

// appendChildren appends the names of n's children as a vector. The lock of n's shard guards the
// list, and pins the names.
func (t *Tree) appendChildren(dst []byte, n *node) []byte {
	dst = wire.AppendInt(dst, n.children)
	for r := n.first; r != 0; r = t.siblings(r).next {
		child := t.node(r)
		dst = wire.AppendInt(dst, int32(child.nameLen()))
		dst = append(dst, t.name(r, child)...)
	}
	return dst
}
