package tree

import (
	"math/bits"

	"paddock/wire"
)

// MultiRead answers a multiRead: getData and getChildren, all of them exact at the one zxid
// returned. It appends the results, to the end of the reply. One that is an error stands among the
// others. The watch flags of the operations are ignored, as ZooKeeper does.
func (t *Tree) MultiRead(dst []byte, ops wire.MultiIter, who Access) ([]byte, wire.Zxid) {
	set := t.readSet(ops)
	// Read locks in the order in which apply takes its own: whoever is first at the lowest shard
	// they share goes first everywhere.
	for s := set; s != 0; s &= s - 1 {
		t.shards[bits.TrailingZeros64(s)].mu.RLock()
	}
	zxid := t.Applied()
	for ops.Next() {
		body := ops.Body()
		dst = t.readOne(dst, ops.Op(), body.String(), who)
	}
	for s := set; s != 0; s &= s - 1 {
		t.shards[bits.TrailingZeros64(s)].mu.RUnlock()
	}
	return wire.AppendMultiEnd(dst), zxid
}

// readSet returns a bit for each shard that ops read.
func (t *Tree) readSet(ops wire.MultiIter) (set uint64) {
	for ops.Next() {
		body := ops.Body()
		path := body.String()
		if isRoot(path) {
			path = rootPath
		}
		set |= t.bit(Hash(path))
	}
	return set
}

func (t *Tree) readOne(dst []byte, op wire.Op, path []byte, who Access) []byte {
	if path == nil {
		return wire.AppendMultiError(dst, wire.MarshallingError)
	}
	r, code := t.readable(path, Hash(path), who)
	if code != wire.OK {
		return wire.AppendMultiError(dst, code)
	}
	n := t.node(r)
	dst = wire.AppendMultiHeader(dst, op, false, wire.OK)
	if op == wire.OpGetChildren {
		return t.appendChildren(dst, n)
	}
	return t.appendStat(wire.AppendBuffer(dst, t.value(r, n)), n)
}
