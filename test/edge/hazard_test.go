package edge

import (
	"fmt"
	"strconv"
	"testing"

	"paddock/test/harness"
	"paddock/wire"
)

// hazards are the requests of the specification's section 15: what crashes or opens Apache's server is
// answered here.
var hazards = []fact{
	{1, "createTTL with flags that are no TTL node's is BadArguments", refusing, func(t *testing.T, s *server) {
		c := s.open(t)
		c.create("/h01")
		for flags := range int32(container + 1) {
			for _, ttl := range []int64{-1, -1 << 63, 0, 5} {
				c.want(wire.BadArguments, wire.OpCreateTTL, ttlCreation("/h01/x", flags, ttl))
			}
		}
		equal(t, "children", c.stat("/h01").NumChildren, int32(0))
	}},
	{2, "a quota on the root is an ordinary node without effect", refusing, func(t *testing.T, s *server) {
		c := s.open(t)
		c.createAs("/zookeeper/quota/zookeeper_limits", "count=1,bytes=1", persistent)
		c.createAs("/zookeeper/quota/zookeeper_stats", "mine", persistent)
		c.createAs("/h02", "some data", persistent)
		data, _ := c.get("/zookeeper/quota/zookeeper_stats")
		equal(t, "data", string(data), "mine")
		c.set("/zookeeper/quota/zookeeper_stats", "still mine")
		c.delete("/h02")
		c.delete("/zookeeper/quota/zookeeper_limits")
		c.delete("/zookeeper/quota/zookeeper_stats")
	}},
	{3, "quota statistics that cannot be parsed are counted as nothing", refusing, func(t *testing.T, s *server) {
		c := s.open(t)
		c.create("/h03")
		c.limit("/h03", "count=100,bytes=1000")
		const stats = "/zookeeper/quota/h03/zookeeper_stats"
		for _, text := range []string{"garbage", "count=,bytes=", "count=x,bytes=1", "=", "count"} {
			c.set(stats, text)
			c.createAs("/h03/x", "12345", persistent)
			c.set("/h03/x", "1")
			c.delete("/h03/x")
		}
		c.want(wire.OK, wire.OpSetData, path(stats).Buf(nil).Int(-1))
		c.create("/h03/y")
		c.get(stats)
	}},
	{4, "quota limits that cannot be parsed are no limits", quota, func(t *testing.T, s *server) {
		c := s.open(t)
		c.create("/h04")
		c.limit("/h04", "count=1,bytes=1,countHardLimit=1")
		c.want(wire.QuotaExceeded, wire.OpCreate, creation("/h04/x", "", persistent))
		for i, text := range []string{"garbage", "countHardLimit=x", "countHardLimit="} {
			c.set("/zookeeper/quota/h04/zookeeper_limits", text)
			c.leaderCatchesUp()
			c.create(fmt.Sprintf("/h04/%d", i))
		}
	}},
	{5, "deleteContainer from a client is Unimplemented, closes and deletes nothing", refusing, func(t *testing.T, s *server) {
		c := s.open(t)
		c.createAs("/h05", "", persistent)
		r := c.want(wire.Unimplemented, wire.OpDeleteContainer, path("/h05"))
		equal(t, "zxid", r.Zxid, int64(-1))
		c.wantClosed()
		s.renew(c).stat("/h05")
	}},
	{6, "createSession from a client is Unimplemented and closes", refusing, func(t *testing.T, s *server) {
		c := s.open(t)
		c.want(wire.Unimplemented, wire.OpCreateSession, fields().Int(30000))
		c.wantClosed()
		s.renew(c).ping()
	}},
	{7, "check outside a multi is Unimplemented and closes", refusing, func(t *testing.T, s *server) {
		c := s.open(t)
		c.want(wire.Unimplemented, wire.OpCheck, versioned("/", -1))
		c.wantClosed()
	}},
	{8, "a watch on a null path harms nobody", refusing, func(t *testing.T, s *server) {
		c := s.open(t)
		for mode := range int32(2) {
			c.want(wire.OK, wire.OpAddWatch, fields().Null().Int(mode))
		}
		c.want(wire.NoWatcher, wire.OpRemoveWatches, versioned("/h08", removeAny))
		c.delete(c.create("/h08"))
		c.wantEvents()
	}},
	{9, "renewal with a bad password leaves the owner alone", refusing, func(t *testing.T, s *server) {
		owner := s.open(t)
		for range 3 {
			q := owner.renewal()
			q.Passwd = make([]byte, 16)
			n := s.dial(t)
			equal(t, "valid", n.connect(q).Valid(), false)
		}
		owner.ping()
	}},
	{10, "vectors that claim to be huge are a MarshallingError", refusing, func(t *testing.T, s *server) {
		c := s.open(t)
		const huge = 1<<31 - 1
		c.want(wire.MarshallingError, wire.OpCreate, path("/h10").Str("").Int(huge))
		c.want(wire.MarshallingError, wire.OpSetACL, path("/").Int(huge))
		c.want(wire.MarshallingError, wire.OpSetWatches, fields().Long(0).Int(huge))
		c.want(wire.MarshallingError, wire.OpMulti, fields().Int(14).Byte(0).Int(-1))
		c.ping()
	}},
	{11, "TTL nodes in a multi with flags that are no TTL node's are plain nodes", refusing, func(t *testing.T, s *server) {
		c := s.open(t)
		got := c.multi(part(wire.OpCreateTTL, ttlCreation("/h11", persistent, -1)))
		equal(t, "codes", got.codes(), []wire.Code{0})
	}}, {12, "a container made with the flag of ephemerals is a container at once", refusing, func(t *testing.T, s *server) {
		c := s.open(t)
		got := c.multi(
			part(wire.OpCreateContainer, creation("/h12", "", ephemeral)),
			part(wire.OpCreate, creation("/h12/x", "", persistent)))
		equal(t, "codes", got.codes(), []wire.Code{0, 0})
		equal(t, "ephemerals", c.ok(wire.OpGetEphemerals, fields().Null()).Strs(), []string(nil))
	}},
	{13, "writes behind a setACL are checked against the new list", refusing, func(t *testing.T, s *server) {
		c := s.open(t)
		const rounds = 50
		for i := range rounds {
			c.create(fmt.Sprintf("/h13-%d", i))
		}
		var all harness.Bytes
		for i := range int32(rounds) {
			node := fmt.Sprintf("/h13-%d", i)
			all = all.Raw(request(2*i, wire.OpSetACL, aclUpdate(node, -1, perms(1)))...)
			all = all.Raw(request(2*i+1, wire.OpSetData, update(node, "x", -1))...)
		}
		c.write(all)
		for range rounds {
			equal(t, "setACL", wire.Code(c.reply().Err), wire.OK)
			equal(t, "setData", wire.Code(c.reply().Err), wire.NoAuth)
		}
	}},
	{14, "the empty path has as many descendants as the root", untouched, func(t *testing.T, s *server) {
		c := s.open(t)
		equal(t, "count", c.ok(wire.OpGetAllChildrenNumber, path("")).Int(), int32(3))
	}},
	{15, "the data size counts quota statistics as they are", quiet, func(t *testing.T, s *server) {
		size := func() int {
			n, err := strconv.Atoi(line(s.word(t, "mntr"), "zk_approximate_data_size\t"))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		c := s.open(t)
		c.create("/h15")
		c.limit("/h15", "count=100,bytes=1000") // statistics: count=1,bytes=0
		before := size()
		c.createAs("/h15/x", "1234567890", persistent) // and now count=2,bytes=10
		equal(t, "growth", size()-before, len("/h15/x")+10+1)
	}},
}
