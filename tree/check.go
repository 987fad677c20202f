package tree

// check verifies what must always hold, from the root down and from every shard's nodes up. It
// looks at all nodes: for tests, and for a loaded tree under -tags invariants. Owner of apply only.
func (t *Tree) check(fail func(format string, args ...any)) {
	var walked, live int64
	var digest uint64
	var path []byte
	for r := t.root; r != 0; r = t.following(r, t.root) {
		walked++
		n := t.node(r)
		path = t.appendPath(path[:0], r)
		if got := t.find(path, Hash(path)); got != r {
			fail("node %#x has path %q, where %#x is found", uint32(r), path, uint32(got))
		}
		kids := int32(0)
		for c := n.first; c != 0; c = t.siblings(c).next {
			kids++
			if t.node(c).parent != r {
				fail("node %#x is a child of %q and has parent %#x", uint32(c), path, uint32(t.node(c).parent))
			}
		}
		if kids != n.children {
			fail("%q has %d children and counts %d", path, kids, n.children)
		}
		if n.owner != 0 && t.owned.At(n.owned).node != r || n.owner == 0 && n.owned != 0 {
			fail("%q with owner %#x is in no list, or in one without", path, uint64(n.owner))
		}
		if e := t.acls.at(n.acl); e.died != alive || t.acls.refs[n.acl] <= 0 {
			fail("%q has ACL %d, which is not in use", path, n.acl)
		}
		if crc := n.statCRC(); n.digested() && (crc != n.crc || n.pathData != PathDataCRC(path, t.value(r, n))) {
			fail("%q has CRC %#x of %#x, want %#x", path, n.crc, n.pathData, crc)
		}
		digest += uint64(n.crc)
	}
	for i := range t.shards {
		live += int64(t.shards[i].nodes.Live())
	}
	for i := range t.shards {
		for _, vs := range t.shards[i].views {
			live -= int64(vs.limbo.Records())
		}
	}
	if walked != t.sum.nodes || live != t.sum.nodes {
		fail("%d nodes are reached, %d live, %d counted", walked, live, t.sum.nodes)
	}
	if digest != t.sum.digest {
		fail("the nodes' digests add up to %#x, the tree's is %#x", digest, t.sum.digest)
	}
}
