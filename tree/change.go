package tree

import (
	"paddock/slab"

	"paddock/wire"
)

// A change is one operation of a transaction, decoded. Its slices alias the transaction.
type change struct {
	op      wire.Op
	path    []byte
	data    []byte
	acl     wire.ACLVec
	owner   int64 // raw
	version int32 // the new one; of a create: the parent's new cversion

	hash, parentHash uint64 // of path and its parent; lockSet fills them in
}

// decode reads the body of an operation; r has its error. It reports false for a type that no
// transaction has.
func (c *change) decode(op wire.Op, session int64, r *wire.Reader) bool {
	switch op {
	case wire.OpCreate, wire.OpCreate2:
		var x wire.CreateTxn
		x.Decode(r)
		*c = change{op: op, path: x.Path, data: x.Data, acl: x.ACL, version: x.ParentCVersion}
		if x.Ephemeral {
			c.owner = session
		}
	case wire.OpCreateContainer:
		var x wire.CreateContainerTxn
		x.Decode(r)
		*c = change{op: op, path: x.Path, data: x.Data, acl: x.ACL, version: x.ParentCVersion}
		c.owner = containerOwner
	case wire.OpCreateTTL:
		var x wire.CreateTTLTxn
		x.Decode(r)
		*c = change{op: op, path: x.Path, data: x.Data, acl: x.ACL, version: x.ParentCVersion}
		c.owner = TTLOwner(x.TTL)
	case wire.OpDelete, wire.OpDeleteContainer:
		var x wire.DeleteTxn
		x.Decode(r)
		*c = change{op: op, path: x.Path}
	case wire.OpSetData, wire.OpReconfig:
		var x wire.SetDataTxn
		x.Decode(r)
		*c = change{op: op, path: x.Path, data: x.Data, version: x.Version}
	case wire.OpSetACL:
		var x wire.SetACLTxn
		x.Decode(r)
		*c = change{op: op, path: x.Path, acl: x.ACL, version: x.Version}
	case wire.OpCheck:
		var x wire.CheckTxn
		x.Decode(r)
		*c = change{op: op, path: x.Path, version: x.Version}
	default:
		return false
	}
	return true
}

func (c *change) delete(path []byte) { *c = change{op: wire.OpDelete, path: path} }

// lockSet returns a bit for each shard that c touches, and fills in c's hashes.
func (t *Tree) lockSet(c *change) uint64 {
	t.hash(c)
	if c.op != wire.OpCheck && hasPrefix(c.path, quotaSlash) || t.fuzzy {
		return t.allShards() // it may change which quotas there are, or more nodes than it names
	}
	switch c.op {
	case wire.OpCheck:
		return 0
	case wire.OpSetACL:
		return t.bit(c.hash)
	case wire.OpSetData, wire.OpReconfig:
		return t.bit(c.hash) | t.quotaBit(c.path)
	}
	return t.bit(c.hash) | t.bit(c.parentHash) | t.quotaBit(c.path)
}

func (t *Tree) hash(c *change) {
	if isRoot(c.path) {
		c.path = rootPath
	}
	parent, _ := split(c.path)
	c.hash, c.parentHash = Hash(c.path), Hash(parent)
}

func (t *Tree) bit(hash uint64) uint64 { return 1 << (hash >> t.shift) }

func (t *Tree) allShards() uint64 { return 1<<len(t.shards) - 1 }

func (t *Tree) quotaBit(path []byte) uint64 {
	if q := t.nearestQuota(path); q != nil {
		return t.bit(q.statsHash)
	}
	return 0
}

// multi applies all operations, or, if one of them is an error, none. Two walks over the bytes: the
// first to know the shards, for once one is locked there is no way back to a lower one.
func (a *applying) multi(r *wire.Reader, res *Result) {
	c := &a.t.apply.change
	failed, set := false, uint64(0)
	again := &a.t.apply.again
	*again = *r
	var ops wire.MultiTxn
	for ops.Decode(r); ops.Next(); {
		if ops.Op() == wire.OpError {
			failed = true
			continue
		}
		a.operation(c, &ops)
		set |= a.t.lockSet(c)
	}
	a.decoded(r)
	if failed {
		a.failedMulti(again, res)
		return
	}
	a.lock(set)
	for ops.Decode(again); ops.Next(); {
		a.operation(c, &ops)
		a.t.hash(c)
		res.Ops = append(res.Ops, OpResult{Op: c.op})
		a.do(c, &res.Ops[len(res.Ops)-1])
	}
}

// operation decodes the operation that ops is at.
func (a *applying) operation(c *change, ops *wire.MultiTxn) {
	r := wire.NewReader(ops.Body())
	if !c.decode(ops.Op(), a.h.ClientID, &r) {
		a.bug(ops.Op(), nil, "no such type in a multi")
	}
	a.decoded(&r)
}

// failedMulti changes nothing: operations before the one that failed report 0, it its code, those
// behind it -2.
func (a *applying) failedMulti(r *wire.Reader, res *Result) {
	var ops wire.MultiTxn
	for ops.Decode(r); ops.Next(); {
		result := OpResult{Op: ops.Op()}
		if ops.Op() == wire.OpError {
			var x wire.ErrorTxn
			sub := wire.NewReader(ops.Body())
			x.Decode(&sub)
			a.decoded(&sub)
			result.Code = x.Err
		}
		res.Ops = append(res.Ops, result)
	}
}

// do applies one operation. Its shards are locked.
func (a *applying) do(c *change, res *OpResult) {
	res.Path = c.path
	switch c.op {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		a.create(c, res)
	case wire.OpDelete, wire.OpDeleteContainer:
		a.delete(c)
	case wire.OpSetData, wire.OpReconfig:
		a.setData(c, res)
	case wire.OpSetACL:
		a.setACL(c, res)
	case wire.OpCheck: // it was checked when it was sequenced
	}
}

func (a *applying) create(c *change, res *OpResult) {
	t, zxid := a.t, int64(a.h.Zxid)
	parent, name := split(c.path)
	p := t.find(parent, c.parentHash)
	if p == 0 || len(name) == 0 || c.path[0] != '/' {
		a.misfit(c, "there is no parent")
		return
	}
	if r := t.find(c.path, c.hash); r != 0 {
		a.misfit(c, "the node exists")
		a.createdBefore(c, r, p)
		return
	}
	pn := t.node(p)
	t.save(p, pn)
	n := node{
		czxid: zxid, mzxid: zxid, pzxid: zxid,
		ctime: a.h.Time, mtime: a.h.Time,
		owner: c.owner, parent: p,
		acl: t.internACL(c.acl),
	}
	r := t.place(c.path, c.hash, n, c.data, &t.sum)
	t.link(r, pn)
	a.raise(pn, c.version)
	t.quotaCreated(c.path, parent, name, len(c.data))
	t.stat(t.node(r), &res.Stat)
	a.event(wire.EventNodeCreated, c.path, c.hash, t.node(r).acl)
	a.event(wire.EventNodeChildrenChanged, parent, c.parentHash, pn.acl)
}

func (a *applying) delete(c *change) {
	t := a.t
	parent, name := split(c.path)
	r := t.find(c.path, c.hash)
	if r == t.root {
		a.bug(c.op, c.path, "it is the root")
	}
	if r == 0 {
		a.misfit(c, "there is no such node")
		a.deletedBefore(c)
		return
	}
	n := t.node(r)
	if n.children != 0 {
		a.misfit(c, "it has children")
		a.deleteBelow(n)
	}
	p := n.parent
	pn := t.node(p)
	t.save(p, pn)
	t.save(r, n)
	t.unlink(r, pn)
	a.orphan(pn)
	length, acl := max(n.dataLen, 0), n.acl
	t.remove(r, n, c.path, c.hash)
	t.quotaDeleted(c.path, parent, name, int(length))
	a.event(wire.EventNodeDeleted, c.path, c.hash, acl)
	a.event(wire.EventNodeChildrenChanged, parent, c.parentHash, pn.acl)
	t.acls.release(acl, t.views.opened)
}

// remove frees an unlinked node and all that is its own, but for its reference to an ACL.
func (t *Tree) remove(r ref, n *node, path []byte, hash uint64) {
	if n.owned != 0 {
		t.disown(n.owned, n.owner) // before the name goes: see Ephemerals
	}
	if n.digested() {
		t.sum.digest -= uint64(n.crc)
	}
	t.sum.nodes--
	t.sum.dataBytes -= pathBytes(path) + int64(max(n.dataLen, 0))
	sh := &t.shards[r.shard()]
	sh.table.delete(uint32(hash), r.index())
	n.children = deadNode
	sh.freeBlock(n.data, int(max(n.dataLen, 0)))
	sh.freeBlock(n.name, n.nameLen())
	sh.freeNode(r.index())
}

func (a *applying) setData(c *change, res *OpResult) {
	t := a.t
	r := t.find(c.path, c.hash)
	if r == 0 {
		a.misfit(c, "there is no such node")
		return
	}
	n := t.node(r)
	t.save(r, n)
	grown := len(c.data) - int(max(n.dataLen, 0))
	t.setValue(r, n, c.data)
	n.version, n.mzxid, n.mtime = c.version, int64(a.h.Zxid), a.h.Time
	if n.digested() {
		n.pathData = PathDataCRC(c.path, c.data)
		t.restat(n)
	}
	t.quotaChanged(c.path, grown)
	t.stat(n, &res.Stat)
	a.event(wire.EventNodeDataChanged, c.path, c.hash, n.acl)
}

func (a *applying) setACL(c *change, res *OpResult) {
	t := a.t
	r := t.find(c.path, c.hash)
	if r == 0 {
		a.misfit(c, "there is no such node")
		return
	}
	n := t.node(r)
	t.save(r, n)
	old := n.acl
	n.acl, n.aversion = t.internACL(c.acl), c.version
	t.acls.release(old, t.views.opened)
	t.restat(n)
	t.stat(n, &res.Stat)
}

func (a *applying) event(typ wire.EventType, path []byte, hash uint64, acl uint32) {
	a.sink.Event(typ, path, hash, a.t.acls.at(acl).vec, a.h.Zxid)
}

// setValue gives node r new data. An open view may still show the old: it is not overwritten then.
func (t *Tree) setValue(r ref, n *node, data []byte) {
	sh := &t.shards[r.shard()]
	old := int(max(n.dataLen, 0))
	t.sum.dataBytes += int64(len(data) - old)
	if len(sh.views) == 0 && slab.SameClass(old, len(data)) {
		copy(sh.arena.Bytes(n.data, len(data)), data)
	} else {
		block := sh.arena.Put(data)
		sh.freeBlock(n.data, old)
		n.data = block
	}
	n.dataLen = int32(len(data))
	if data == nil {
		n.dataLen = noData
	}
}

func (t *Tree) internACL(vec wire.ACLVec) uint32 {
	return t.acls.intern(vec, t.views.opened, t.views.oldest.Load())
}
