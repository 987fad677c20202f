package edge

import (
	"bytes"
	"fmt"
	"math"
	"testing"

	"paddock/test/harness"
	"paddock/wire"
)

// Facts 32 to 56: paths and create.
var pathFacts = []fact{
	{32, "create a/b is NoNode", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		c.want(wire.NoNode, wire.OpCreate, creation("a/b", "", persistent))
		c.want(wire.BadArguments, wire.OpCreate, creation("ab", "", persistent))
	}},
	{33, "create /t/./x is NoNode, /t/. is BadArguments", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		for path, code := range map[string]wire.Code{
			root + "/./x":   wire.NoNode,
			root + "/../x":  wire.NoNode,
			root + "//x":    wire.NoNode,
			root + "/x/..":  wire.NoNode,
			"/f033-nope/..": wire.NoNode,
			root + "/.":     wire.BadArguments,
			root + "/..":    wire.BadArguments,
			root + "/":      wire.BadArguments,
		} {
			c.want(code, wire.OpCreate, creation(path, "", persistent))
		}
	}},
	{34, "a sequential create of /t/ appends the number first", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		for i := range 10 {
			c.create(fmt.Sprintf("%s/%d", root, i))
		}
		equal(t, "path", c.createAs(root+"/", "", sequential), root+"/0000000010")
	}},
	{35, "create / is NodeExists, create of the empty path BadArguments", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		c.want(wire.NodeExists, wire.OpCreate, creation("/", "", persistent))
		c.want(wire.BadArguments, wire.OpCreate, creation("", "", persistent))
	}},
	{36, "delete does not validate paths but protects the built-in nodes", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		for _, path := range []string{root + "/..", root + "/", root + "//", root + "/./.", "/f036-no/.."} {
			c.want(wire.NoNode, wire.OpDelete, versioned(path, -1))
		}
		c.want(wire.BadArguments, wire.OpDelete, versioned("nopath", -1))
		c.want(wire.BadArguments, wire.OpDelete, versioned(root+"/\x00", -1))
		for _, who := range []string{"u:p", superAuth} {
			c.auth("digest", who)
			for _, path := range []string{"/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"} {
				c.want(wire.BadArguments, wire.OpDelete, versioned(path, -1))
			}
		}
	}},
	{37, "exists rejects NUL, getData does not", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		c.want(wire.BadArguments, wire.OpExists, unwatched("/a\x00"))
		c.want(wire.NoNode, wire.OpGetData, unwatched("/a\x00"))
		c.want(wire.NoNode, wire.OpGetChildren, unwatched("/a\x00"))
		c.want(wire.NoNode, wire.OpExists, unwatched("/a//b/"))
	}},
	{38, "the empty path reads the root", quiet, func(t *testing.T, s *server) {
		c := s.open(t)
		for _, op := range []wire.Op{wire.OpExists, wire.OpGetData} {
			empty := c.want(wire.OK, op, unwatched(""))
			slash := c.want(wire.OK, op, unwatched("/"))
			equal(t, op.String(), empty.Body, slash.Body)
		}
		empty := sorted(c.ok(wire.OpGetChildren, unwatched("")).Strs())
		slash := sorted(c.ok(wire.OpGetChildren, unwatched("/")).Strs())
		equal(t, "children", empty, slash)
	}},
	{39, "a null path is one of three things", plain, nullPaths},
	{40, "which code points a path may hold", plain, codePoints},
	{41, "names of dots and more are legal", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		for _, name := range []string{"...", "..a", "a..", ".a", "a.", "....", " ", "a b"} {
			equal(t, "path", c.create(root+"/"+name), root+"/"+name)
		}
	}},
	{42, "sequence numbers count all children ever created", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		equal(t, "first", c.createAs(root+"/s", "", sequential), root+"/s0000000000")
		c.create(root + "/plain")
		c.createAs(root+"/eph", "", ephemeral)
		equal(t, "fourth", c.createAs(root+"/t", "", ephemeralSequential), root+"/t0000000003")
		c.create(root + "/plain/grandchild")
		equal(t, "fifth", c.createAs(root+"/", "", sequential), root+"/0000000004")
	}},
	{43, "the cversion shown counts creations and deletions", untouched, func(t *testing.T, s *server) {
		c := s.open(t)
		equal(t, "root", c.stat("/").Cversion, int32(-1))
		equal(t, "/zookeeper", c.stat("/zookeeper").Cversion, int32(-2))
		equal(t, "/zookeeper/quota", c.stat("/zookeeper/quota").Cversion, int32(0))

		plain.mustStart(t)
		c = plain.open(t)
		root := c.root()
		for _, name := range []string{"/a", "/b", "/c"} {
			c.create(root + name)
		}
		c.delete(root + "/b")
		equal(t, "3 creations, 1 deletion", c.stat(root).Cversion, int32(4))
	}},
	{44, "deletions do not change the sequence", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		c.delete(c.createAs(root+"/s", "", sequential))
		c.delete(c.createAs(root+"/s", "", sequential))
		equal(t, "third", c.createAs(root+"/s", "", sequential), root+"/s0000000002")
	}},
	{45, "failed creates and failed multis do not advance the sequence", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		c.create(root + "/a")
		c.want(wire.NodeExists, wire.OpCreate, creation(root+"/a", "", persistent))
		c.want(wire.InvalidACL, wire.OpCreate, creation(root+"/s", "", sequential, harness.ACL{Perms: 1, Scheme: "no", ID: "x"}))
		results := c.multi(
			part(wire.OpCreate, creation(root+"/s", "", sequential)),
			part(wire.OpCreate, creation(root+"/s", "", sequential)),
			part(wire.OpCheck, versioned("/f045-nope", -1)))
		equal(t, "multi", results.codes(), []wire.Code{0, 0, wire.NoNode})
		equal(t, "second", c.createAs(root+"/s", "", sequential), root+"/s0000000001")
	}},
	{46, "after 2147483647 the sequence sticks", worn, wornSequence},
	{47, "only createContainer makes containers", extended, containers},
	{48, "createTTL without extended types is Unimplemented, and no more", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		for _, flags := range []int32{withTTL, sequentialWithTTL} {
			c.want(wire.Unimplemented, wire.OpCreateTTL, ttlCreation(root+"/t", flags, 1000))
			c.want(wire.Unimplemented, wire.OpCreate, creation(root+"/t", "", flags))
		}
		c.ping()
	}},
	{49, "a TTL is 1 to 2^40-1 ms", extended, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		const most = 1<<40 - 1
		for ttl, code := range map[int64]wire.Code{
			1: wire.OK, most: wire.OK,
			0: wire.BadArguments, -1: wire.BadArguments, most + 1: wire.BadArguments,
			math.MaxInt64: wire.BadArguments, math.MinInt64: wire.BadArguments,
		} {
			c.want(code, wire.OpCreateTTL, ttlCreation(fmt.Sprintf("%s/%d", root, ttl), withTTL, ttl))
		}
		c.want(wire.BadArguments, wire.OpCreate, creation(root+"/x", "", withTTL))
		c.want(wire.BadArguments, wire.OpCreateTTL, ttlCreation(root+"/x", persistent, 5))
	}},
	{50, "container and TTL nodes show no owner and have children", extended, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		for _, made := range []*harness.Fields{
			c.ok(wire.OpCreateContainer, creation(root+"/c", "", container)),
			c.ok(wire.OpCreateTTL, ttlCreation(root+"/t", withTTL, 1<<39)),
		} {
			path, stat := made.Str(), made.Stat()
			equal(t, path+" owner in the reply", stat.Owner, int64(0))
			equal(t, path+" owner", c.stat(path).Owner, int64(0))
			c.create(path + "/child")
			eph := c.createAs(path+"/ephemeral", "", ephemeral)
			equal(t, "owner of the ephemeral", c.stat(eph).Owner, c.Session.SessionID)
		}
	}},
	{51, "InvalidACL comes before a missing parent and missing permission", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		c.setACL(root, perms(1|16))
		bad := harness.ACL{Perms: 31, Scheme: "nosuch", ID: "x"}
		c.want(wire.InvalidACL, wire.OpCreate, creation("/f051-nope/x", "", persistent, bad))
		c.want(wire.InvalidACL, wire.OpCreate, creation(root+"/x", "", persistent, bad))
		c.want(wire.NoAuth, wire.OpCreate, creation(root+"/x", "", persistent))
	}},
	{52, "NoAuth on the parent comes before NodeExists and a bad name", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		c.create(root + "/x")
		c.setACL(root, perms(1))
		c.want(wire.NoAuth, wire.OpCreate, creation(root+"/x", "", persistent))
		c.want(wire.NoAuth, wire.OpCreate, creation(root+"/..", "", persistent))
	}},
	// That NodeExists comes before NoChildrenForEphemerals cannot be shown: an ephemeral has no child.
	{53, "below an ephemeral a bad name comes before NoChildrenForEphemerals", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		eph := c.createAs(c.root()+"/e", "", ephemeral)
		c.want(wire.BadArguments, wire.OpCreate, creation(eph+"/.", "", persistent))
		c.want(wire.NoChildrenForEphemerals, wire.OpCreate, creation(eph+"/x", "", persistent))
		c.want(wire.NoChildrenForEphemerals, wire.OpCreate, creation(eph+"/x", "", sequential))
		c.want(wire.NoChildrenForEphemerals, wire.OpCreate, creation(eph+"/x", "", ephemeral))
	}},
	{54, "anyone may create below /zookeeper, not below /zookeeper/config", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		c.delete(c.create("/zookeeper/f054"))
		c.want(wire.NoAuth, wire.OpCreate, creation("/zookeeper/config/f054", "", persistent))
		c.want(wire.NoAuth, wire.OpSetData, update("/zookeeper/config", "x", -1))
	}},
	{55, "no permissions and unknown permissions are accepted", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		c.createAs(root+"/none", "", persistent, perms(0))
		c.want(wire.NoAuth, wire.OpGetData, unwatched(root+"/none"))
		c.want(wire.NoAuth, wire.OpGetACL, path(root+"/none"))
		for _, p := range []int32{0x7fffffff, -1} {
			node := c.createAs(fmt.Sprintf("%s/%d", root, p), "", persistent, perms(p))
			equal(t, "ACL", c.acl(node), []harness.ACL{perms(p)})
		}
	}},
	{56, "/zookeeper/config starts with aversion -1", untouched, func(t *testing.T, s *server) {
		c := s.open(t)
		data, stat := c.get("/zookeeper/config")
		want := harness.Stat{Aversion: -1}
		if s.others == nil {
			equal(t, "data", data, []byte{})
		} else {
			differs(t, "an ensemble's members keep their list there: data, its length, version -1 and an mtime")
			if !bytes.Contains(data, []byte("\nversion=0")) || !bytes.HasPrefix(data, []byte("server.1=")) || stat.Mtime == 0 {
				t.Errorf("got %q, mtime %d, want a list of servers", data, stat.Mtime)
			}
			want.Version, want.Mtime, want.DataLength = -1, stat.Mtime, int32(len(data))
		}
		equal(t, "stat", stat, want)
		equal(t, "ACL", c.acl("/zookeeper/config"), []harness.ACL{perms(1)})
	}},
}

func nullPaths(t *testing.T, s *server) {
	c := s.open(t)
	null := func() harness.Bytes { return fields().Null() }
	c.want(wire.MarshallingError, wire.OpCreate, null().Str("").ACLs(openACL).Int(persistent))
	c.want(wire.MarshallingError, wire.OpCreate2, null().Str("").ACLs(openACL).Int(persistent))
	c.want(wire.MarshallingError, wire.OpDelete, null().Int(-1))
	for _, op := range []wire.Op{wire.OpExists, wire.OpGetData, wire.OpGetChildren, wire.OpGetChildren2} {
		c.want(wire.MarshallingError, op, null().Bool(false))
	}
	c.want(wire.MarshallingError, wire.OpGetACL, null())
	c.want(wire.MarshallingError, wire.OpGetAllChildrenNumber, null())
	c.want(wire.BadArguments, wire.OpSetData, null().Str("").Int(-1))
	c.want(wire.BadArguments, wire.OpSetACL, null().ACLs(openACL).Int(-1))

	c.want(wire.OK, wire.OpSync, null())
	c.want(wire.OK, wire.OpAddWatch, null().Int(modePersistent))
	c.want(wire.OK, wire.OpGetEphemerals, null())
}

func codePoints(t *testing.T, s *server) {
	c := s.open(t)
	root := c.root()
	for code, points := range map[wire.Code][]rune{
		wire.OK: {' ', '~', 0xa0, 0xd7ff, 0xf900, 0xffef, 'é', '京'},
		wire.BadArguments: {
			0, 1, 0x1f, 0x7f, 0x80, 0x9f, 0xe000, 0xf8ff, 0xfff0, 0xfffd, 0xffff, 0x10000, 0x1f600,
		},
	} {
		for _, p := range points {
			node := root + "/x" + string(p)
			c.want(code, wire.OpCreate, creation(node, "", persistent))
			if code == wire.OK {
				c.want(wire.OK, wire.OpSetData, update(node, "", -1))
				continue
			}
			c.want(code, wire.OpSetData, update(node, "", -1))
			c.want(code, wire.OpSetACL, aclUpdate(node, -1, openACL))
		}
	}
}

// containers tells the kinds apart by what the cleaner does: it removes a container that had a child
// and has none, and leaves an ordinary node.
func containers(t *testing.T, s *server) {
	c, watcher := s.open(t), s.open(t)
	root := c.root()
	ordinary := []string{
		c.createAs(root+"/create", "", container),
		c.ok(wire.OpCreate2, creation(root+"/create2", "", container)).Str(),
	}
	var made []string
	for flags := range int32(container + 1) {
		f := c.ok(wire.OpCreateContainer, creation(fmt.Sprintf("%s/container%d-", root, flags), "", flags))
		made = append(made, f.Str())
	}
	equal(t, "sequential container", made[sequential], root+"/container2-0000000004")
	last := c.ok(wire.OpCreateContainer, creation(root+"/last", "", container)).Str()
	watcher.addWatch(root, modeRecursive)
	use := func(node string) {
		c.create(node + "/child")
		c.delete(node + "/child")
	}
	for _, node := range append(ordinary, made...) {
		use(node)
	}
	gone := map[string]bool{}
	for len(gone) < len(made) {
		e, err := watcher.ReadEvent()
		if err != nil {
			t.Fatalf("waiting for containers to go: %v; gone: %v", err, gone)
		}
		if e.Type == 2 && !hasSuffix(e.Path, "/child") {
			gone[e.Path] = true
		}
	}
	for _, node := range made {
		equal(t, "removed "+node, gone[node], true)
	}
	use(last) // removed in a later round: so the ordinary nodes have been passed over at least once
	for !gone[last] {
		e, err := watcher.ReadEvent()
		if err != nil {
			t.Fatalf("waiting for %s to go: %v", last, err)
		}
		gone[e.Path] = e.Type == 2
	}
	for _, node := range ordinary {
		c.stat(node)
	}
}
