package edge

import (
	"testing"

	"paddock/test/harness"
	"paddock/wire"
)

// Facts 76 to 87: watches.
var watchFacts = []fact{
	{76, "only exists leaves a watch on a missing node", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		c.want(wire.NoNode, wire.OpGetData, watched(root+"/data"))
		c.want(wire.NoNode, wire.OpGetChildren, watched(root+"/data"))
		c.want(wire.NoNode, wire.OpExists, watched(root+"/exists"))
		c.create(root + "/data")
		c.create(root + "/exists")
		c.wantEvents("created " + root + "/exists")
	}},
	{77, "one notification per connection and event", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		node := c.create(root + "/x")
		c.addWatch(root, modeRecursive)
		c.addWatch(node, modeRecursive)
		c.addWatch(node, modePersistent)
		c.watch(wire.OpExists, node)
		c.watch(wire.OpGetData, node)
		c.set(node, "x")
		c.wantEvents("changed " + node)
	}},
	{78, "deleting a node watched for data and children gives one NodeDeleted", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		node := c.create(c.root() + "/x")
		c.watch(wire.OpGetData, node)
		c.watch(wire.OpGetChildren, node)
		c.delete(node)
		c.wantEvents("deleted " + node)
	}},
	{79, "NodeCreated, NodeChildrenChanged, then the creator's reply", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		c.want(wire.NoNode, wire.OpExists, watched(root+"/x"))
		c.watch(wire.OpGetChildren, root)
		c.create(root + "/x")
		equal(t, "events before the reply", names(c.TakeEvents()), []string{"created " + root + "/x", "children " + root})
	}},
	{80, "setACL, failed writes and quota statistics fire nothing", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		c.limit(root, "count=100,bytes=1000")
		const quotas = "/zookeeper/quota"
		for _, node := range []string{root, quotas + root + "/zookeeper_stats"} {
			c.addWatch(node, modePersistent)
		}
		c.addWatch(quotas+root, modeRecursive)
		c.setACL(root, openACL, perms(1))
		c.want(wire.BadVersion, wire.OpSetData, update(root, "x", 9))
		c.want(wire.NodeExists, wire.OpCreate, creation(root, "", persistent))
		c.multi(part(wire.OpSetData, update(root, "x", -1)), part(wire.OpCheck, versioned(root, 9)))
		c.multi(part(wire.OpCheck, versioned(root, 0)))
		c.want(wire.OK, wire.OpSync, path(root))
		c.wantEvents()
		c.set(root, "12345") // changes the statistics
		c.wantEvents("changed " + root)
	}},
	{81, "recursive watches never tell NodeChildrenChanged", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		c.addWatch(root, modeRecursive)
		c.create(root + "/a")
		c.create(root + "/a/b")
		c.delete(root + "/a/b")
		c.delete(root + "/a")
		c.wantEvents("created "+root+"/a", "created "+root+"/a/b", "deleted "+root+"/a/b", "deleted "+root+"/a")
	}},
	{82, "persistent watches survive their node", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		node := c.root() + "/x"
		c.addWatch(node, modePersistent)
		for range 2 {
			c.create(node)
			c.create(node + "/y")
			c.delete(node + "/y")
			c.delete(node)
		}
		round := []string{"created " + node, "children " + node, "children " + node, "deleted " + node}
		c.wantEvents(append(round, round...)...)
	}},
	{83, "standard, persistent and recursive watches on one path coexist", plain, func(t *testing.T, s *server) {
		if !target.Version.AtLeast(3, 9, 0) {
			skip(t, "before 3.9 the later watch replaces the former")
		}
		c := s.open(t)
		root := c.root()
		c.addWatch(root, modePersistent)
		c.addWatch(root, modeRecursive)
		c.watch(wire.OpGetData, root)
		c.watch(wire.OpGetChildren, root)
		c.create(root + "/x")
		c.wantEvents("created "+root+"/x", "children "+root)
		c.set(root, "x")
		c.wantEvents("changed " + root)
		c.want(wire.OK, wire.OpRemoveWatches, versioned(root, removePersistent))
		c.create(root + "/y")
		c.wantEvents("created " + root + "/y")
	}},
	{84, "addWatch checks nothing", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		hidden := c.createAs(root+"/hidden", "", persistent, perms(0))
		for _, p := range []string{root + "/nope", hidden, "", "not a path", "/a//b/", "/\x00", "/.."} {
			for mode := range int32(2) {
				c.addWatch(p, mode)
			}
		}
		c.create(root + "/nope")
		c.wantEvents("created " + root + "/nope")
	}},
	{85, "addWatch with an unknown mode is a MarshallingError", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		for _, mode := range []int32{2, -1, 1 << 30} {
			c.want(wire.MarshallingError, wire.OpAddWatch, versioned("/", mode))
		}
	}},
	{86, "a notification that is not permitted still consumes its watch", plain, filteredWatch},
	{87, "the identities at delivery decide, so late auth helps", plain, func(t *testing.T, s *server) {
		c, owner := s.open(t), s.open(t)
		owner.auth("digest", "late:pw")
		root := c.root()
		node := c.create(root + "/x")
		c.watch(wire.OpGetData, node)
		owner.setACL(node, harness.ACL{Perms: 31, Scheme: "auth"})
		c.auth("digest", "late:pw")
		owner.set(node, "x")
		c.wantEvents("changed " + node)
	}},
}

// Facts 88 to 96: setting watches again, removing them, losing them.
var setWatchesFacts = []fact{
	{88, "events of setWatches are not filtered and carry zxid -1", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		node := c.createAs(root+"/x", "", persistent, perms(0))
		c.setWatches(0, []string{node}, nil, []string{root + "/gone"})
		for _, e := range c.Events {
			equal(t, "zxid", e.Zxid, int64(-1))
		}
		equal(t, "events", names(c.TakeEvents()), []string{"changed " + node, "deleted " + root + "/gone"})
	}},
	{89, "existWatches tell NodeCreated for any existing node", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		now := c.ping()
		c.setWatches(now, []string{root}, []string{root, root + "/no"}, []string{root})
		equal(t, "events", names(c.TakeEvents()), []string{"created " + root})
		c.set(root, "x") // the data watch has been registered, for the node is unchanged
		c.create(root + "/no")
		c.wantEvents("changed "+root, "created "+root+"/no", "children "+root)
	}},
	{90, "setWatches: a null vector is a MarshallingError, duplicates give two events", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		c.want(wire.MarshallingError, wire.OpSetWatches, fields().Long(0).Null().Strs().Strs())
		c.want(wire.MarshallingError, wire.OpSetWatches, fields().Long(0).Strs().Null().Strs())
		c.want(wire.MarshallingError, wire.OpSetWatches, fields().Long(0).Strs().Strs().Null())
		c.want(wire.MarshallingError, wire.OpSetWatches2, fields().Long(0).Strs().Strs().Strs().Null().Strs())
		c.want(wire.MarshallingError, wire.OpSetWatches2, fields().Long(0).Strs().Strs().Strs().Strs().Null())
		c.setWatches(0, []string{root, root}, []string{root}, nil)
		equal(t, "events", names(c.TakeEvents()), []string{"changed " + root, "changed " + root, "created " + root})
	}},
	{91, "persistent entries of setWatches2 give no catch-up events", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		c.create(root + "/x")
		c.want(wire.OK, wire.OpSetWatches2, fields().Long(0).Strs().Strs().Strs().
			Strs(root, root+"/gone").Strs(root+"/x"))
		equal(t, "events before the reply", names(c.TakeEvents()), []string(nil))
		c.create(root + "/x/y")
		c.create(root + "/gone")
		c.wantEvents("created "+root+"/x/y", "created "+root+"/gone", "children "+root)
	}},
	{92, "removeWatches of type Data leaves a persistent watch alone", plain, removedWatches},
	{93, "checkWatches looks at the caller's own watches", plain, func(t *testing.T, s *server) {
		if !target.Version.AtLeast(3, 9, 0) {
			skip(t, "before 3.9 any connection's watches count")
		}
		c, other := s.open(t), s.open(t)
		root := c.root()
		c.watch(wire.OpGetData, root)
		for _, typ := range []int32{removeData, removeAny} {
			c.want(wire.OK, wire.OpCheckWatches, versioned(root, typ))
			other.want(wire.NoWatcher, wire.OpCheckWatches, versioned(root, typ))
			other.want(wire.NoWatcher, wire.OpRemoveWatches, versioned(root, typ))
		}
		for _, typ := range []int32{0, 6, -1} {
			c.want(wire.MarshallingError, wire.OpCheckWatches, versioned(root, typ))
			c.want(wire.MarshallingError, wire.OpRemoveWatches, versioned(root, typ))
		}
		c.set(root, "x") // checking removed nothing
		c.wantEvents("changed " + root)
	}},
	{94, "watches die with the connection, not with the session", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		c.watch(wire.OpGetData, root)
		c.addWatch(root, modePersistent)
		c.addWatch(root, modeRecursive)
		n := s.renew(c)
		n.set(root, "x")
		n.create(root + "/x")
		n.wantEvents()
		n.want(wire.NoWatcher, wire.OpCheckWatches, versioned(root, removeAny))
	}},
	{95, "a closing session hears of its own ephemerals before the reply", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		eph := c.createAs(root+"/e", "", ephemeral)
		c.watch(wire.OpExists, eph)
		c.watch(wire.OpGetChildren, root)
		c.want(wire.OK, wire.OpCloseSession, nil)
		equal(t, "events before the reply", names(c.TakeEvents()), []string{"deleted " + eph, "children " + root})
		c.wantClosed()
	}},
	{96, "the state of notifications is always 3", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		node := root + "/x"
		c.addWatch(node, modePersistent)
		c.create(node)
		created := c.stat(node)
		c.create(node + "/y")
		c.delete(node + "/y")
		c.set(node, "x")
		last := c.delete(node).Zxid
		c.ping()
		events := c.TakeEvents()
		if len(events) != 5 {
			t.Fatalf("got %q, want 5 events", names(events))
		}
		for _, e := range events {
			equal(t, "state", e.State, int32(3))
			equal(t, "err", e.Err, int32(0))
		}
		first, end := created.Czxid, last
		if !target.Version.AtLeast(3, 9, 0) {
			first, end = -1, -1
		}
		equal(t, "zxid of NodeCreated", events[0].Zxid, first)
		equal(t, "zxid of NodeDeleted", events[4].Zxid, end)
	}},
}

// Types of checkWatches and removeWatches.
const (
	removeChildren = iota + 1
	removeData
	removeAny
	removePersistent
	removeRecursive
)

func (c *client) setWatches(relative int64, data, exist, child []string) {
	c.t.Helper()
	c.write(request(harness.XidSetWatches, wire.OpSetWatches,
		fields().Long(relative).Strs(data...).Strs(exist...).Strs(child...)))
	r := c.reply()
	if r.Xid != harness.XidSetWatches || r.Err != 0 || len(r.Body) != 0 {
		c.t.Fatalf("setWatches: got %+v", r)
	}
}

func filteredWatch(t *testing.T, s *server) {
	c, owner := s.open(t), s.open(t)
	owner.auth("digest", "owner:pw")
	root := c.root()
	node := c.create(root + "/x")
	c.watch(wire.OpGetData, node)
	c.watch(wire.OpGetChildren, root)
	other := c.create(root + "/persistent")
	c.TakeEvents() // of the child watch, which is renewed here
	c.watch(wire.OpGetChildren, root)
	c.addWatch(other, modePersistent)
	mine := harness.ACL{Perms: 31, Scheme: "auth"}
	for _, p := range []string{root, node, other} {
		owner.setACL(p, mine)
	}
	owner.set(node, "secret")
	owner.set(other, "secret")
	owner.create(root + "/y")
	c.wantEvents()
	for _, p := range []string{root, node, other} {
		owner.setACL(p, openACL)
	}
	owner.set(node, "open again")
	owner.create(root + "/z")
	c.wantEvents() // the one-shot watches were used up in silence
	owner.set(other, "open again")
	c.wantEvents("changed " + other)
}

func removedWatches(t *testing.T, s *server) {
	if !target.Version.AtLeast(3, 9, 0) {
		skip(t, "before 3.9 types 1 and 2 match any mode")
	}
	c := s.open(t)
	root := c.root()
	c.addWatch(root, modePersistent)
	c.want(wire.NoWatcher, wire.OpRemoveWatches, versioned(root, removeData))
	c.want(wire.NoWatcher, wire.OpRemoveWatches, versioned(root, removeChildren))
	c.want(wire.NoWatcher, wire.OpRemoveWatches, versioned(root, removeRecursive))
	c.watch(wire.OpGetData, root)
	c.want(wire.OK, wire.OpRemoveWatches, versioned(root, removeData))
	c.set(root, "x")
	c.wantEvents("changed " + root)
	c.want(wire.OK, wire.OpRemoveWatches, versioned(root, removePersistent))
	c.want(wire.NoWatcher, wire.OpRemoveWatches, versioned(root, removeAny))
	c.set(root, "y")
	c.wantEvents()

	c.addWatch(root, modeRecursive)
	c.watch(wire.OpGetChildren, root)
	c.want(wire.OK, wire.OpRemoveWatches, versioned(root, removeAny))
	c.create(root + "/x")
	c.wantEvents()
}
