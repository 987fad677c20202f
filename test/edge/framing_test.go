package edge

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"paddock/test/harness"
	"paddock/wire"
)

const maxFrame = 1048575 // jute.maxbuffer's default

// Facts 21 to 31: framing and decoding.
var framingFacts = []fact{
	{21, "a frame of jute.maxbuffer bytes is accepted, one more closes the connection", plain, frameLimit},
	{22, "a string longer than its frame is a MarshallingError", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		c.want(wire.MarshallingError, wire.OpGetData, fields().Int(1000).Raw('/').Bool(false))
		c.want(wire.MarshallingError, wire.OpGetData, fields().Int(-2).Raw('/').Bool(false))
		c.want(wire.MarshallingError, wire.OpGetData, path("/")) // no watch flag
		c.ping()
	}},
	{23, "bytes after a record are ignored", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		c.want(wire.OK, wire.OpExists, unwatched("/").Raw(1, 2, 3))
		c.want(wire.OK, wire.OpCreate, creation("/f023", "", persistent).Raw(9))
		c.write(request(harness.XidPing, wire.OpPing, fields().Raw(7, 7)))
		equal(t, "xid of the ping", c.reply().Xid, int32(harness.XidPing))
		c.want(wire.OK, wire.OpCloseSession, fields().Raw(1))
		c.wantClosed()
	}},
	{24, "any byte but zero is true", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		c.want(wire.OK, wire.OpGetData, path(root).Byte(2))
		c.set(root, "x")
		c.wantEvents("changed " + root)
	}},
	{25, "a vector of length -5 is empty, of length -1 null", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		for _, n := range []int32{-1, -5, 0} {
			c.want(wire.InvalidACL, wire.OpCreate, path("/f025").Str("").Int(n).Int(persistent))
		}
		c.want(wire.OK, wire.OpSetWatches, fields().Long(0).Int(-5).Int(-2).Int(0))
		c.want(wire.MarshallingError, wire.OpSetWatches, fields().Long(0).Int(-1).Int(0).Int(0))
	}},
	{26, "null and empty data are kept apart", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		for name, data := range map[string][]byte{"/null": nil, "/empty": {}} {
			c.want(wire.OK, wire.OpCreate, path(root+name).Buf(data).ACLs(openACL).Int(persistent))
			got, stat := c.get(root + name)
			equal(t, name+" data", got, data)
			equal(t, name+" dataLength", stat.DataLength, int32(0))
			c.want(wire.OK, wire.OpSetData, path(root+name).Buf(nil).Int(-1))
			got, stat = c.get(root + name)
			equal(t, name+" data set to null", got, []byte(nil))
			equal(t, name+" dataLength", stat.DataLength, int32(0))
		}
	}},
	{27, "supplementary characters come back as surrogate pairs", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		const sent, want = "\U0001F600", "\xed\xa0\xbd\xed\xb8\x80"
		equal(t, "sync", c.ok(wire.OpSync, path("/"+sent)).Str(), "/"+want)
		root := c.root()
		c.setACL(root, openACL, harness.ACL{Perms: 1, Scheme: "digest", ID: sent + ":h"})
		if s.learns() && !target.Paddock() {
			differs(t, "Apache's learners have another id in the ACL than their leader")
			return
		}
		equal(t, "getACL", c.acl(root)[1].ID, want+":h")
	}},
	{28, "ill-formed UTF-8 becomes U+FFFD, which no path may hold", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		equal(t, "sync", c.ok(wire.OpSync, path("\xff\xfe")).Str(), "\uFFFD\uFFFD")
		root := c.root()
		for _, bad := range []string{"\xff", "a\xfe", "\xc3(", "\xe2\x82", "\xed\xa0\x80", "\uFFFD"} {
			c.want(wire.BadArguments, wire.OpCreate, creation(root+"/"+bad, "", persistent))
		}
	}},
	{29, "replies may be larger than jute.maxbuffer", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		const children, nameBytes = 56, 20000
		for i := range children {
			c.create(fmt.Sprintf("%s/%s%02d", root, strings.Repeat("x", nameBytes-2), i))
		}
		r := c.want(wire.OK, wire.OpGetChildren, unwatched(root))
		equal(t, "length of the reply's body", len(r.Body), 4+children*(4+nameBytes))
	}},
	{30, "an unknown op is Unimplemented with zxid -1, and closes only the connection", plain, unknownOps},
	{31, "the reply to an unknown op and those of earlier requests", plain, unknownOpOrder},
}

func frameLimit(t *testing.T, s *server) {
	c := s.open(t)
	node := c.root() + "/n"
	// Header 8, path 4+n, data 4+n, one open ACL entry 27, flags 4.
	largest := maxFrame - 47 - len(node)
	data := bytes.Repeat([]byte{'d'}, largest+1)
	c.want(wire.OK, wire.OpCreate, creation(node, string(data[:largest]), persistent))
	got, _ := c.get(node)
	equal(t, "length of the data", len(got), largest)

	// The server may close as soon as it has the length, so writing all of the rest may fail.
	_ = c.Write(request(1, wire.OpCreate, creation(node+"2", string(data), persistent)))
	c.wantClosed()
	for _, length := range []int32{-1, maxFrame + 1, 1 << 30} {
		n := s.open(t)
		n.write(fields().Int(length))
		n.wantClosed()
	}
	s.open(t).want(wire.NoNode, wire.OpExists, unwatched(node+"2"))
}

func unknownOps(t *testing.T, s *server) {
	for _, op := range []wire.Op{10, 23, 99, 999, 0, -1, -2, 108} {
		c := s.open(t)
		r := c.want(wire.Unimplemented, op, path("/"))
		equal(t, "zxid", r.Zxid, int64(-1))
		c.wantClosed()
		s.renew(c).ping()
	}
}

// unknownOpOrder differs on purpose: Apache's reply may overtake those of earlier requests, which are
// then lost with the connection. Ours keeps the order of requests.
func unknownOpOrder(t *testing.T, s *server) {
	c := s.open(t)
	root := c.root()
	const before = 20
	var all harness.Bytes
	for i := range int32(before) {
		all = all.Raw(request(i, wire.OpCreate, creation(root+"/s", "", sequential))...)
	}
	c.write(all.Raw(request(before, 999, nil)...).Raw(request(before+1, wire.OpPing, nil)...))
	var got []int32
	for {
		r, err := c.ReadReply()
		if err != nil {
			break
		}
		got = append(got, r.Xid)
		if r.Xid == before {
			equal(t, "error", wire.Code(r.Err), wire.Unimplemented)
			equal(t, "zxid", r.Zxid, int64(-1))
		}
	}
	if !target.Paddock() {
		if !contains(got, before) {
			t.Errorf("no reply to the unknown op among %v", got)
		}
		return
	}
	var want []int32
	for i := range int32(before + 1) {
		want = append(want, i)
	}
	equal(t, "xids", got, want)
}

func contains(all []int32, v int32) bool {
	for _, x := range all {
		if x == v {
			return true
		}
	}
	return false
}
