package tree

import (
	"errors"
	"fmt"

	"paddock/wire"
)

// ErrFuzzy says that a tree loaded with Options.Fuzzy has not been settled.
var ErrFuzzy = errors.New("tree: loaded from a fuzzy snapshot and not settled yet")

// A snapshot S of a Java server is fuzzy: it holds all of the transactions up to S and some effects
// of later ones. So transactions after S meet nodes that are newer than they are, or gone already.
// With Options.Fuzzy, Apply takes them as disk-formats.md 5 says, and what comes out after the last
// of them is exact:
//
//	create, the node is there     takes its ACL; the parent's cversion and pzxid are raised
//	create, no parent             nothing: it is deleted later on
//	delete, no node               the parent's pzxid is raised
//	delete, it has children       they go too: later transactions create them again
//	setData, setACL, no node      nothing
//
// (Java raises the parent's counters for op create alone, and then has a wrong cversion after a
// create2.) None of this applies to our own snapshots and logs.

// Settle ends it: the log has been replayed to its end, or the leader has said NEWLEADER. It fails
// if the transactions that the snapshot has seen were not all applied. Owner of apply only.
func (t *Tree) Settle() error {
	if t.fuzzy && t.Applied() < t.newest {
		return fmt.Errorf("%w: it holds nodes of zxid %v, the log ended at %v", ErrFuzzy, t.newest, t.Applied())
	}
	t.fuzzy = false
	return nil
}

// misfit is a bug, unless the snapshot was fuzzy.
func (a *applying) misfit(c *change, why string) {
	if !a.t.fuzzy {
		a.bug(c.op, c.path, why)
	}
}

// createdBefore is a create of node r, which the snapshot has shown under p.
func (a *applying) createdBefore(c *change, r, p ref) {
	n, pn := a.t.node(r), a.t.node(p)
	old := n.acl
	n.acl = a.t.internACL(c.acl)
	a.t.acls.release(old, a.t.views.opened)
	a.raise(pn, c.version)
}

// raise brings the parent of a created node up to date.
func (a *applying) raise(pn *node, cversion int32) {
	if cversion == -1 { // as logged before ZooKeeper 3.4
		cversion = pn.cversion + 1
	}
	if cversion > pn.cversion { // else the counter is at its end (3.6.1), or the snapshot was newer
		pn.cversion, pn.pzxid = cversion, int64(a.h.Zxid)
	}
	a.t.restat(pn)
}

// deletedBefore is a delete of a node that the snapshot has not shown.
func (a *applying) deletedBefore(c *change) {
	parent, _ := split(c.path)
	if p := a.t.find(parent, c.parentHash); p != 0 {
		a.orphan(a.t.node(p))
	}
}

// orphan moves the pzxid of a node that has lost a child.
func (a *applying) orphan(pn *node) {
	if zxid := int64(a.h.Zxid); zxid > pn.pzxid {
		pn.pzxid = zxid
		a.t.restat(pn)
	}
}

// deleteBelow deletes all below a node, which later transactions create again. All shards are
// locked.
func (a *applying) deleteBelow(n *node) {
	for n.first != 0 {
		c := change{op: wire.OpDelete, path: a.t.appendPath(nil, n.first)}
		a.t.hash(&c)
		a.delete(&c)
	}
}
