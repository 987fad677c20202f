package edge

import (
	"math"
	"testing"
	"time"

	"paddock/test/harness"
	"paddock/wire"
)

// Facts 57 to 66: writes and their traces in Stat.
var writeFacts = []fact{
	{57, "every failed write consumes a zxid and returns it", quiet, failedWrites},
	{58, "delete: NoAuth, then NoNode, then BadVersion, then NotEmpty", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		c.create(root + "/p")
		c.create(root + "/p/x")
		c.create(root + "/p/x/y")
		c.want(wire.NoNode, wire.OpDelete, versioned(root+"/p/nope", -1))
		c.want(wire.BadVersion, wire.OpDelete, versioned(root+"/p/x", 5))
		c.want(wire.NotEmpty, wire.OpDelete, versioned(root+"/p/x", 0))
		c.setACL(root+"/p", perms(31-8))
		c.want(wire.NoAuth, wire.OpDelete, versioned(root+"/p/nope", -1))
		c.want(wire.NoAuth, wire.OpDelete, versioned(root+"/p/x", 5))
	}},
	{59, "setData: NoAuth and QuotaExceeded come before BadVersion", quota, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		c.limit(root, "count=-1,bytes=-1=;byteHardLimit=3;countHardLimit=-1")
		c.want(wire.QuotaExceeded, wire.OpSetData, update(root, "long", 99))
		c.want(wire.BadVersion, wire.OpSetData, update(root, "abc", 99))
		c.setACL(root, perms(1))
		c.want(wire.NoAuth, wire.OpSetData, update(root, "long", 99))
	}},
	{60, "setACL: InvalidACL first; it compares and changes only the aversion", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		bad := harness.ACL{Perms: 31, Scheme: "nosuch", ID: "x"}
		c.want(wire.InvalidACL, wire.OpSetACL, aclUpdate("/f060-nope", -1, bad))
		c.want(wire.NoNode, wire.OpSetACL, aclUpdate("/f060-nope", -1, openACL))
		c.set(root, "version 1")
		before := c.stat(root)
		c.want(wire.BadVersion, wire.OpSetACL, aclUpdate(root, 1, openACL))
		got := c.ok(wire.OpSetACL, aclUpdate(root, 0, perms(1|16))).Stat()
		want := before
		want.Aversion = 1
		equal(t, "stat in the reply", got, want)
		equal(t, "stat", c.stat(root), want)
		c.setACL(root, perms(1))
		c.want(wire.InvalidACL, wire.OpSetACL, aclUpdate(root, -1, bad))
		c.want(wire.NoAuth, wire.OpSetACL, aclUpdate(root, 99, openACL))
	}},
	{61, "version -2 is a mismatch, not a wildcard", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		for _, v := range []int32{-2, math.MinInt32, 1} {
			c.want(wire.BadVersion, wire.OpSetData, update(root, "", v))
			c.want(wire.BadVersion, wire.OpSetACL, aclUpdate(root, v, openACL))
			c.want(wire.BadVersion, wire.OpDelete, versioned(root, v))
			equal(t, "check", c.multi(part(wire.OpCheck, versioned(root, v))).codes(), []wire.Code{wire.BadVersion})
		}
	}},
	{62, "setData leaves the parent alone, create and delete change its pzxid only", plain, parentStat},
	{63, "deleting a child updates the parent's pzxid", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		c.create(root + "/x")
		r := c.delete(root + "/x")
		equal(t, "pzxid", c.stat(root).Pzxid, r.Zxid)
	}},
	{64, "versions wrap through negatives and skip -1", worn, wornVersions},
	{65, "the parts of a multi share zxid and time", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		c.multi(
			part(wire.OpCreate2, creation(root+"/a", "", persistent)),
			part(wire.OpCreate2, creation(root+"/a/b", "", persistent)),
			part(wire.OpSetData, update(root, "x", -1)))
		a, b, p := c.stat(root+"/a"), c.stat(root+"/a/b"), c.stat(root)
		equal(t, "czxid", b.Czxid, a.Czxid)
		equal(t, "ctime", b.Ctime, a.Ctime)
		equal(t, "mtime of the first", a.Mtime, a.Ctime)
		equal(t, "mzxid of the parent", p.Mzxid, a.Czxid)
		equal(t, "mtime of the parent", p.Mtime, a.Ctime)
		equal(t, "pzxid of the parent", p.Pzxid, a.Czxid)
	}},
	{66, "closing a session deletes its ephemerals under one zxid", quiet, func(t *testing.T, s *server) {
		c, other := s.open(t), s.open(t)
		root := c.root()
		parents := []string{c.create(root + "/p"), c.create(root + "/q"), root}
		for _, p := range parents {
			c.createAs(p+"/e", "", ephemeral)
		}
		before := other.ping()
		r := c.want(wire.OK, wire.OpCloseSession, nil)
		equal(t, "zxid of the close", r.Zxid, before+1)
		c.wantClosed()
		for _, p := range parents {
			stat := other.stat(p)
			equal(t, p+" pzxid", stat.Pzxid, r.Zxid)
			other.want(wire.NoNode, wire.OpExists, unwatched(p+"/e"))
		}
	}},
}

// limit puts a quota on a node, as the command line client does.
func (c *client) limit(node, limits string) {
	c.t.Helper()
	c.create("/zookeeper/quota" + node)
	c.createAs("/zookeeper/quota"+node+"/zookeeper_limits", limits, persistent)
	c.createAs("/zookeeper/quota"+node+"/zookeeper_stats", "count=0,bytes=0", persistent)
	c.leaderCatchesUp()
}

func failedWrites(t *testing.T, s *server) {
	c := s.open(t)
	root := c.root()
	c.create(root + "/child")
	bad := harness.ACL{Perms: 31, Scheme: "nosuch", ID: "x"}
	last := c.ping()
	for _, w := range []struct {
		code wire.Code
		op   wire.Op
		body harness.Bytes
	}{
		{wire.NodeExists, wire.OpCreate, creation(root, "", persistent)},
		{wire.NoNode, wire.OpCreate2, creation(root+"/no/x", "", persistent)},
		{wire.BadArguments, wire.OpCreate, creation("x", "", persistent)},
		{wire.BadArguments, wire.OpCreate, creation(root+"/x", "", 77)},
		{wire.InvalidACL, wire.OpCreate, creation(root+"/x", "", persistent, bad)},
		{wire.Unimplemented, wire.OpCreateTTL, ttlCreation(root+"/x", withTTL, 5)},
		{wire.NotEmpty, wire.OpDelete, versioned(root, -1)},
		{wire.NoNode, wire.OpDelete, versioned(root+"/no", -1)},
		{wire.BadArguments, wire.OpDelete, versioned("/", -1)},
		{wire.BadVersion, wire.OpSetData, update(root, "", 9)},
		{wire.BadArguments, wire.OpSetData, update(root+"//", "", 9)},
		{wire.NoNode, wire.OpSetACL, aclUpdate(root+"/no", 9, openACL)},
		{wire.BadVersion, wire.OpSetACL, aclUpdate(root, 9, openACL)},
		{wire.ReconfigDisabled, wire.OpReconfig, fields().Null().Null().Null().Long(-1)},
	} {
		r := c.want(w.code, w.op, w.body)
		last++
		if r.Zxid != last {
			t.Errorf("%v failing with %v: zxid %d, want %d", w.op, w.code, r.Zxid, last)
		}
		last = r.Zxid
	}
	r := c.want(wire.OK, wire.OpMulti, multiBody(part(wire.OpCheck, versioned(root, 9))))
	equal(t, "zxid of a failed multi", r.Zxid, last+1)
	r = c.want(wire.MarshallingError, wire.OpMulti, multiBody(part(wire.OpExists, unwatched(root))))
	equal(t, "zxid of a multi that cannot be decoded", r.Zxid, last+2)
	last += 2

	c.want(wire.NoNode, wire.OpGetData, unwatched(root+"/no"))
	equal(t, "zxid after a failed read", c.ping(), last)
	if s.others != nil && !target.Paddock() {
		differs(t, "after a write that cannot be decoded a member of Apache's 3.9.5 answers nobody: it is not sent here")
		return
	}
	c.want(wire.MarshallingError, wire.OpCreate, path(root+"/x"))
	if target.Version.AtLeast(3, 9, 0) {
		equal(t, "zxid after a write that cannot be decoded", c.ping(), last)
	} else {
		equal(t, "zxid after a write that cannot be decoded", c.ping(), last+1)
	}
}

func parentStat(t *testing.T, s *server) {
	c := s.open(t)
	root := c.root()
	before := c.stat(root)
	made := c.ok(wire.OpCreate2, creation(root+"/x", "", persistent))
	made.Str()
	want := before
	want.Cversion, want.NumChildren, want.Pzxid = 1, 1, made.Stat().Czxid
	equal(t, "parent after create", c.stat(root), want)

	c.set(root+"/x", "data")
	c.setACL(root+"/x", openACL)
	equal(t, "parent after setData and setACL of the child", c.stat(root), want)
	c.create(root + "/x/grandchild")
	equal(t, "parent after a change below the child", c.stat(root), want)
	c.delete(root + "/x/grandchild")

	r := c.delete(root + "/x")
	want.Cversion, want.NumChildren, want.Pzxid = 2, 0, r.Zxid
	equal(t, "parent after delete", c.stat(root), want)
}

// The worn server starts from a snapshot of Apache's format, the one way to have counters at their
// ends: nobody waits for 2^31 writes.

const (
	wornSequences = "/worn-sequences"
	wornVersion   = "/worn-version"
	wornMinusTwo  = "/worn-minus-two"
)

func wornDirectory(dir string) error {
	now := time.Now().UnixMilli()
	stat := func(version, cversion, aversion int32) harness.SnapshotStat {
		return harness.SnapshotStat{
			Czxid: 1, Mzxid: 1, Ctime: now, Mtime: now, Pzxid: 1,
			Version: version, Cversion: cversion, Aversion: aversion,
		}
	}
	return harness.WriteApacheSnapshot(dir, 1, []harness.SnapshotNode{
		{Path: wornSequences, Stat: stat(0, math.MaxInt32-1, 0)},
		{Path: wornVersion, Stat: stat(math.MaxInt32, 0, math.MaxInt32)},
		{Path: wornMinusTwo, Stat: stat(-2, 0, -2)},
	})
}

func wornSequence(t *testing.T, s *server) {
	c := s.open(t)
	next := func() harness.Bytes { return creation(wornSequences+"/s", "", sequential) }
	equal(t, "last but one", c.ok(wire.OpCreate, next()).Str(), wornSequences+"/s2147483646")
	equal(t, "last", c.ok(wire.OpCreate, next()).Str(), wornSequences+"/s2147483647")
	c.want(wire.NodeExists, wire.OpCreate, next())
	c.want(wire.NodeExists, wire.OpCreate, next())
	before := c.stat(wornSequences)
	c.create(wornSequences + "/ordinary")
	after := c.stat(wornSequences)
	equal(t, "pzxid after an ordinary create", after.Pzxid, before.Pzxid)
	equal(t, "numChildren", after.NumChildren, before.NumChildren+1)
}

func wornVersions(t *testing.T, s *server) {
	c := s.open(t)
	equal(t, "version after 2147483647", c.set(wornVersion, "x").Version, int32(math.MinInt32))
	equal(t, "aversion after 2147483647", c.setACL(wornVersion, openACL).Aversion, int32(math.MinInt32))
	want := int32(-1)
	if target.Version.AtLeast(3, 10, 0) {
		want = 0
	}
	equal(t, "version after -2", c.set(wornMinusTwo, "x").Version, want)
	equal(t, "aversion after -2", c.setACL(wornMinusTwo, openACL).Aversion, want)
}
