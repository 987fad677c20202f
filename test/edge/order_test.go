package edge

import (
	"fmt"
	"testing"

	"paddock/test/harness"
	"paddock/wire"
)

// Facts 113 to 118, 128, 129, 134 and 135: replies and their order.
var orderFacts = []fact{
	{113, "ping replies always carry xid -2", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		for _, xid := range []int32{1, 0, -2, 42} {
			c.write(request(xid, wire.OpPing, nil))
			equal(t, "xid", c.reply().Xid, int32(harness.XidPing))
		}
	}},
	{114, "xids may be 0, negative or repeated", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		xids := []int32{0, 5, 5, 3, -1, -3, -4, -8, 1<<31 - 1, -1 << 31}
		var all harness.Bytes
		for _, xid := range xids {
			if xid == harness.XidNotification {
				continue // legal, but its reply looks like an event
			}
			all = all.Raw(request(xid, wire.OpExists, unwatched(root))...)
			all = all.Raw(request(xid, wire.OpSetData, update(root, "x", -1))...)
		}
		c.write(all)
		for _, xid := range xids {
			for i := 0; i < 2 && xid != harness.XidNotification; i++ {
				r := c.reply()
				equal(t, "xid", r.Xid, xid)
				equal(t, "error", r.Err, int32(0))
			}
		}
	}},
	{115, "auth and sasl replies carry zxid 0, unknown ops -1", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		c.root()
		c.write(request(9, wire.OpAuth, fields().Int(0).Str("digest").Str("a:b")))
		equal(t, "zxid of auth", c.reply().Zxid, int64(0))
		equal(t, "zxid of sasl", c.do(wire.OpSASL, path("")).Zxid, int64(0))
		equal(t, "zxid of an unknown op", c.do(999, nil).Zxid, int64(-1))
	}},
	{116, "sync echoes any path", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		for _, p := range []string{"", "/", "/f116-nope", "no slash", "/a//b/", "/nul\x00", "/é"} {
			equal(t, "path", c.ok(wire.OpSync, path(p)).Str(), p)
		}
		r := c.want(wire.OK, wire.OpSync, fields().Null())
		equal(t, "body for a null path", r.Body, []byte(fields().Null()))
	}},
	{117, "getEphemerals takes a plain prefix and tells the caller's own", plain, func(t *testing.T, s *server) {
		c, other := s.open(t), s.open(t)
		root := c.root()
		for _, name := range []string{"/f1", "/f2", "/g"} {
			c.createAs(root+name, "", ephemeral)
		}
		other.createAs(root+"/f3", "", ephemeral)
		c.create(root + "/fp")
		get := func(prefix harness.Bytes) []string { return sorted(c.ok(wire.OpGetEphemerals, prefix).Strs()) }
		all := []string{root + "/f1", root + "/f2", root + "/g"}
		equal(t, "/f", get(path(root+"/f")), all[:2])
		equal(t, "one", get(path(root+"/f1")), all[:1])
		equal(t, "elsewhere", get(path("/f117-nope")), []string(nil))
		for what, prefix := range map[string]harness.Bytes{
			"root": path("/"), "empty": path(""), "blank": path("  "), "null": fields().Null(),
		} {
			equal(t, what, get(prefix), all)
		}
	}},
	{118, "getAllChildrenNumber of / counts the built-in nodes", untouched, func(t *testing.T, s *server) {
		c := s.open(t)
		equal(t, "/", c.ok(wire.OpGetAllChildrenNumber, path("/")).Int(), int32(3))
		equal(t, "/zookeeper", c.ok(wire.OpGetAllChildrenNumber, path("/zookeeper")).Int(), int32(2))
		equal(t, "a leaf", c.ok(wire.OpGetAllChildrenNumber, path("/zookeeper/quota")).Int(), int32(0))
	}},
	{128, "children come as a set of names", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		var want []string
		for i := range 20 {
			name := fmt.Sprintf("n%02d", i)
			c.create(root + "/" + name)
			want = append(want, name)
		}
		c.create(root + "/n00/grandchild")
		equal(t, "getChildren", sorted(c.ok(wire.OpGetChildren, unwatched(root)).Strs()), want)
		f := c.ok(wire.OpGetChildren2, unwatched(root))
		equal(t, "getChildren2", sorted(f.Strs()), want)
		equal(t, "stat", f.Stat(), c.stat(root))
	}},
	{129, "of requests before a disconnect a prefix may execute", plain, func(t *testing.T, s *server) {
		c, after := s.open(t), s.open(t)
		root := c.root()
		const requests = 20
		var all harness.Bytes
		for i := range int32(requests) {
			all = all.Raw(request(i, wire.OpCreate, creation(fmt.Sprintf("%s/%02d", root, i), "", persistent))...)
		}
		c.write(all)
		c.Close()
		// Closing the session orders us behind whatever was read from the old connection.
		n := s.renew(c)
		n.want(wire.OK, wire.OpCloseSession, nil)
		children := sorted(after.ok(wire.OpGetChildren, unwatched(root)).Strs())
		for i, name := range children {
			equal(t, "child", name, fmt.Sprintf("%02d", i)) // no gap: a session's requests keep their order
		}
	}},
	{134, "auth replies and those of other requests", plain, authOrder},
	{135, "the reply that sets a watch precedes its first notification", plain, watchAfterReply},
}

// authOrder differs on purpose: Apache's auth replies may overtake those of earlier requests, which
// kazoo cannot bear. Ours keep the order of requests.
func authOrder(t *testing.T, s *server) {
	c := s.open(t)
	root := c.root()
	const rounds = 30
	var all harness.Bytes
	want := make([]int32, 0, 3*rounds)
	for i := range int32(rounds) {
		all = all.Raw(request(3*i+1, wire.OpSetData, update(root, "x", -1))...)
		all = all.Raw(request(3*i+2, wire.OpAuth, fields().Int(0).Str("digest").Str("a:b"))...)
		all = all.Raw(request(3*i+3, wire.OpSASL, path(""))...)
		want = append(want, 3*i+1, 3*i+2, 3*i+3)
	}
	c.write(all)
	var got []int32
	for range want {
		r := c.reply()
		equal(t, "error", r.Err, int32(0))
		got = append(got, r.Xid)
	}
	if target.Paddock() {
		equal(t, "xids", got, want)
		return
	}
	for _, xid := range want {
		if !contains(got, xid) {
			t.Errorf("no reply to xid %d among %v", xid, got)
		}
	}
}

// watchAfterReply lets one session write as fast as it can while another watches: whenever a watch's
// event comes, the reply that set it must have come before.
func watchAfterReply(t *testing.T, s *server) {
	watcher, writer := s.open(t), s.open(t)
	root := watcher.root()
	const rounds = 300
	var writes, reads harness.Bytes
	for i := range int32(rounds) {
		writes = writes.Raw(request(i, wire.OpSetData, update(root, "x", -1))...)
		reads = reads.Raw(request(i, wire.OpGetData, watched(root))...)
	}
	done := make(chan error, 1)
	go func() {
		err := writer.Write(writes)
		for i := 0; i < rounds && err == nil; i++ {
			_, err = writer.ReadReply()
		}
		done <- err
	}()
	watcher.write(reads)
	armed, told := 0, 0
	var lastMzxid, lastEvent int64
	for armed < rounds {
		r, e, err := watcher.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e != nil {
			told++
			lastEvent = e.Zxid
			if told > armed {
				t.Fatalf("event %d came before the reply that set its watch", told)
			}
			continue
		}
		armed++
		f := harness.FieldsOf(r.Body)
		f.Buf()
		stat := f.Stat()
		if target.Version.AtLeast(3, 9, 0) && armed > 1 && stat.Mzxid > lastMzxid && lastEvent <= lastMzxid {
			t.Fatalf("data of zxid %#x came before any event after %#x", stat.Mzxid, lastMzxid)
		}
		lastMzxid = stat.Mzxid
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
