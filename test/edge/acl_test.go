package edge

import (
	"crypto/sha1"
	"encoding/base64"
	"sort"
	"testing"

	"paddock/test/harness"
	"paddock/wire"
)

// Facts 97 to 112: authentication and ACLs.
var authFacts = []fact{
	{97, "digest auth always succeeds, but for null data", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		for _, data := range []string{"user:pw", "nocolon", "", ":", "a:b:c"} {
			c.auth("digest", data)
		}
		equal(t, "identities", c.whoAmI(), []string{"digest:", "digest:", "digest:a", "digest:nocolon", "digest:user", "ip:127.0.0.1"})
		c.write(request(harness.XidAuth, wire.OpAuth, fields().Int(0).Str("digest").Null()))
		equal(t, "null data", wire.Code(c.reply().Err), wire.AuthFailed)
		c.wantClosed()
	}},
	{98, "the digest covers user and password", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		c.auth("digest", "user:pw")
		node := c.createAs(c.root()+"/x", "", persistent, harness.ACL{Perms: 31, Scheme: "auth"})
		equal(t, "ACL", c.acl(node), []harness.ACL{digestACL(31, "user:pw")})
	}},
	{99, "auth replies have zxid 0 and echo the xid", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		c.ping()
		for _, xid := range []int32{harness.XidAuth, 77, 0, -9} {
			c.write(request(xid, wire.OpAuth, fields().Int(0).Str("digest").Str("a:b")))
			r := c.reply()
			equal(t, "reply", r, harness.Reply{Xid: xid, Body: []byte{}})
		}
	}},
	{100, "a failed auth replies, then closes; the session survives", plain, func(t *testing.T, s *server) {
		for _, scheme := range []string{"nosuch", "world", "super", "auth", "sasl", ""} {
			c := s.open(t)
			c.write(request(harness.XidAuth, wire.OpAuth, fields().Int(0).Str(scheme).Str("x")))
			r := c.reply()
			equal(t, scheme, r, harness.Reply{Xid: harness.XidAuth, Err: int32(wire.AuthFailed), Body: []byte{}})
			c.wantClosed()
			s.renew(c).ping()
		}
	}},
	{101, "ip is an identity of every connection, but auth does not expand to it", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		equal(t, "identities", c.whoAmI(), []string{"ip:127.0.0.1"})
		c.auth("ip", "ignored")
		equal(t, "identities after auth ip", c.whoAmI(), []string{"ip:127.0.0.1"})
		root := c.root()
		c.want(wire.InvalidACL, wire.OpCreate, creation(root+"/x", "", persistent, harness.ACL{Perms: 31, Scheme: "auth"}))
		node := c.createAs(root+"/ip", "", persistent, harness.ACL{Perms: 1, Scheme: "ip", ID: "127.0.0.0/8"})
		c.get(node)
		node = c.createAs(root+"/else", "", persistent, harness.ACL{Perms: 31, Scheme: "ip", ID: "10.0.0.0/8"})
		c.want(wire.NoAuth, wire.OpGetData, unwatched(node))
	}},
	{102, "auth expands to one entry per identity and ignores its id", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		c.auth("digest", "a:1")
		c.auth("digest", "b:2")
		c.auth("digest", "a:1")
		root := c.root()
		node := c.createAs(root+"/x", "", persistent, harness.ACL{Perms: 7, Scheme: "auth", ID: "what ever"})
		c.setACL(root, perms(31))
		got := c.unmasked(node)
		want := []harness.ACL{digestACL(7, "a:1"), digestACL(7, "b:2")}
		sort.Slice(got, func(i, j int) bool { return got[i].ID < got[j].ID })
		equal(t, "ACL", got, want)
	}},
	{103, "duplicates are dropped before auth is expanded, not after", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		c.auth("digest", "a:1")
		root := c.root()
		mine, auth := digestACL(31, "a:1"), harness.ACL{Perms: 31, Scheme: "auth"}
		node := c.createAs(root+"/x", "", persistent, mine, auth, mine, auth, openACL, openACL)
		equal(t, "ACL", c.acl(node), []harness.ACL{mine, mine, openACL})
		node = c.createAs(root+"/y", "", persistent, auth, harness.ACL{Perms: 31, Scheme: "auth", ID: "other"})
		equal(t, "ACL", c.acl(node), []harness.ACL{mine, mine})
	}},
	{104, "which digest ids are valid", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		for code, ids := range map[wire.Code][]string{
			wire.OK:         {"a:b", ":b", "a:b:", "a:b::", " : "},
			wire.InvalidACL: {"a", "a:", "a:b:c", "::b", ":", "", "::", ":::"},
		} {
			for _, id := range ids {
				c.want(code, wire.OpSetACL, aclUpdate(root, -1, openACL, harness.ACL{Perms: 1, Scheme: "digest", ID: id}))
			}
		}
	}},
	{105, "getACL without ADMIN masks digests", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		secret := harness.ACL{Perms: 31, Scheme: "digest", ID: "bob:hash"}
		other := harness.ACL{Perms: 2, Scheme: "ip", ID: "1.2.3.4"}
		node := c.createAs(root+"/x", "", persistent, secret, perms(1), other)
		masked := harness.ACL{Perms: 31, Scheme: "digest", ID: "bob:x"}
		equal(t, "without ADMIN", c.acl(node), []harness.ACL{masked, perms(1), other})
		node = c.createAs(root+"/y", "", persistent, secret, perms(16), other)
		equal(t, "with ADMIN", c.acl(node), []harness.ACL{secret, perms(16), other})
	}},
	{106, "getACL works with ADMIN but no READ", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		node := c.createAs(root+"/x", "", persistent, perms(16))
		c.acl(node)
		c.want(wire.NoAuth, wire.OpGetData, unwatched(node))
		node = c.createAs(root+"/y", "", persistent, perms(2|4|8))
		c.want(wire.NoAuth, wire.OpGetACL, path(node))
	}},
	{107, "to delete a node the parent's ACL counts, not its own", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		locked := c.createAs(root+"/locked", "", persistent, perms(0))
		c.delete(locked)
		c.create(root + "/open")
		c.setACL(root, perms(31-8))
		c.want(wire.NoAuth, wire.OpDelete, versioned(root+"/open", -1))
	}},
	{108, "super keeps its digest identity and is no ACL scheme", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		locked := c.createAs(root+"/locked", "", persistent, perms(0))
		c.want(wire.InvalidACL, wire.OpCreate, creation(root+"/x", "", persistent, harness.ACL{Perms: 31, Scheme: "super", ID: ""}))
		c.auth("digest", superAuth)
		equal(t, "identities", c.whoAmI(), []string{"digest:super", "ip:127.0.0.1", "super:"})
		c.set(locked, "x")
		node := c.createAs(root+"/x", "", persistent, harness.ACL{Perms: 31, Scheme: "auth"})
		equal(t, "ACL", c.acl(node), []harness.ACL{digestACL(31, superAuth)})
		c.want(wire.InvalidACL, wire.OpCreate, creation(root+"/y", "", persistent, harness.ACL{Perms: 31, Scheme: "super", ID: ""}))
	}},
	{109, "sasl on a server without SASL: err 0 and a null token", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		r := c.want(wire.OK, wire.OpSASL, path("garbage"))
		equal(t, "body", r.Body, []byte(fields().Null()))
		c.ping()
	}},
	{111, "with enforced auth even ping and closeSession are refused", enforced, func(t *testing.T, s *server) {
		for op, xid := range map[wire.Op]int32{
			wire.OpPing: harness.XidPing, wire.OpCloseSession: 5, wire.OpGetData: 6, wire.OpCreate: 7,
			wire.OpSetWatches: harness.XidSetWatches, wire.OpWhoAmI: 0,
		} {
			c := s.open(t)
			c.write(request(xid, op, nil))
			r := c.reply()
			equal(t, op.String(), r, harness.Reply{Xid: xid, Err: int32(wire.SessionClosedRequireSaslAuth), Body: []byte{}})
			c.wantClosed()
		}
		c := s.open(t)
		c.auth("ip", "")
		c.auth("digest", "a:b")
		c.ping()
		c.root()
	}},
}

var aclFacts = []fact{
	{112, "ACL schemes without a provider are InvalidACL", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		for _, scheme := range []string{"sasl", "x509", "nosuch", "", "World", "ensemble"} {
			bad := harness.ACL{Perms: 31, Scheme: scheme, ID: "anyone"}
			c.want(wire.InvalidACL, wire.OpCreate, creation(root+"/x", "", persistent, openACL, bad))
			c.want(wire.InvalidACL, wire.OpSetACL, aclUpdate(root, -1, bad))
		}
	}},
}

func digestACL(p int32, auth string) harness.ACL {
	sum := sha1.Sum([]byte(auth))
	user := auth
	for i := range auth {
		if auth[i] == ':' {
			user = auth[:i]
			break
		}
	}
	return harness.ACL{Perms: p, Scheme: "digest", ID: user + ":" + base64.StdEncoding.EncodeToString(sum[:])}
}

// whoAmI returns the connection's identities as scheme:user, sorted. Two passwords of one user are two.
func (c *client) whoAmI() []string {
	c.t.Helper()
	f := c.ok(wire.OpWhoAmI, nil)
	var all []string
	for range f.Int() {
		all = append(all, f.Str()+":"+f.Str())
	}
	if f.Err() != nil {
		c.t.Fatal(f.Err())
	}
	return sorted(all)
}

// unmasked reads an ACL as super, who may see the hashes.
func (c *client) unmasked(node string) []harness.ACL {
	c.t.Helper()
	c.auth("digest", superAuth)
	return c.acl(node)
}
