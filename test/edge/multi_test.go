package edge

import (
	"testing"

	"paddock/test/harness"
	"paddock/wire"
)

// Facts 67 to 75: multi and multiRead.
var multiFacts = []fact{
	{67, "a failed multi has err 0 in its header", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		r := c.want(wire.OK, wire.OpMulti, multiBody(part(wire.OpCheck, versioned("/f067-nope", -1))))
		want := fields().Int(-1).Byte(0).Int(-101).Int(-101).Int(-1).Byte(1).Int(-1)
		equal(t, "body", r.Body, []byte(want))
	}},
	{68, "parts before the failing one show 0, those after it -2", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		got := c.multi(
			part(wire.OpCreate, creation(root+"/a", "", persistent)),
			part(wire.OpSetData, update(root, "x", -1)),
			part(wire.OpDelete, versioned(root+"/nope", -1)),
			part(wire.OpCreate, creation(root+"/b", "", persistent)),
			part(wire.OpDelete, versioned(root+"/nope", -1)))
		equal(t, "codes", got.codes(), []wire.Code{0, 0, wire.NoNode, wire.RuntimeInconsistency, wire.RuntimeInconsistency})
		for _, g := range got {
			equal(t, "type", g.typ, int32(-1))
		}
		c.want(wire.NoNode, wire.OpExists, unwatched(root+"/a"))
		equal(t, "version", c.stat(root).Version, int32(0))
	}},
	{69, "an empty multi succeeds and uses a zxid", quiet, func(t *testing.T, s *server) {
		c := s.open(t)
		before := c.ping()
		r := c.want(wire.OK, wire.OpMulti, multiBody())
		equal(t, "zxid", r.Zxid, before+1)
		equal(t, "body", r.Body, []byte(fields().Int(-1).Byte(1).Int(-1)))
	}},
	{70, "createContainer and createTTL are reported as create2", extended, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		got := c.multi(
			part(wire.OpCreateContainer, creation(root+"/c", "", container)),
			part(wire.OpCreateTTL, ttlCreation(root+"/t", withTTL, 1<<39)),
			part(wire.OpCreate2, creation(root+"/p", "", persistent)),
			part(wire.OpCreate, creation(root+"/q", "", persistent)))
		types := []int32{15, 15, 15, 1}
		if !target.Version.AtLeast(3, 8, 2) {
			types[2] = 1 // create2 became create
		}
		for i, name := range []string{"/c", "/t", "/p", "/q"} {
			equal(t, name+" type", got[i].typ, types[i])
			equal(t, name+" path", got[i].path, root+name)
			if got[i].typ == 15 {
				equal(t, name+" czxid", got[i].stat.Czxid, c.stat(root+name).Czxid)
			}
		}
	}},
	{71, "delete and check have no payload", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		c.create(root + "/x")
		r := c.want(wire.OK, wire.OpMulti, multiBody(
			part(wire.OpCheck, versioned(root+"/x", 0)),
			part(wire.OpDelete, versioned(root+"/x", 0))))
		want := fields().Int(13).Byte(0).Int(0).Int(2).Byte(0).Int(0).Int(-1).Byte(1).Int(-1)
		equal(t, "body", r.Body, []byte(want))
	}},
	{72, "parts of a wrong or mixed kind refuse the whole multi", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		create := part(wire.OpCreate, creation(root+"/x", "", persistent))
		for _, other := range []multiPart{
			part(wire.OpGetData, unwatched(root)),
			part(wire.OpGetChildren, unwatched(root)),
			part(wire.OpExists, unwatched(root)),
			part(wire.OpSync, path(root)),
			part(wire.OpSetACL, aclUpdate(root, -1, openACL)),
			part(wire.OpMulti, multiBody()),
			part(wire.OpDeleteContainer, path(root)),
			part(wire.OpCloseSession, nil),
			part(77, nil),
			part(wire.OpCreate, creation(root+"/y", "", withTTL)),
		} {
			c.want(wire.MarshallingError, wire.OpMulti, multiBody(create, other))
			c.want(wire.MarshallingError, wire.OpMulti, multiBody(other, create))
		}
		c.want(wire.MarshallingError, wire.OpMulti, multiBody(part(wire.OpGetData, unwatched(root))))
		c.want(wire.MarshallingError, wire.OpMulti, nil)
		c.want(wire.NoNode, wire.OpExists, unwatched(root+"/x"))
	}},
	{73, "check needs READ, and a node even for version -1", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		check := func(path string, v int32) []wire.Code { return c.multi(part(wire.OpCheck, versioned(path, v))).codes() }
		equal(t, "missing", check(root+"/no", -1), []wire.Code{wire.NoNode})
		equal(t, "any version", check(root, -1), []wire.Code{0})
		equal(t, "bad path", check(root+"/", -1), []wire.Code{wire.BadArguments})
		c.setACL(root, perms(31-1))
		equal(t, "unreadable", check(root, -1), []wire.Code{wire.NoAuth})
		equal(t, "unreadable, wrong version", check(root, 7), []wire.Code{wire.NoAuth})
	}},
	{74, "multiRead continues after a failing part", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		c.createAs(root+"/x", "data", persistent)
		before := c.stat(root + "/x")
		r := c.want(wire.OK, wire.OpMultiRead, multiBody(
			part(wire.OpGetData, unwatched(root+"/no")),
			part(wire.OpGetData, unwatched(root+"/x")),
			part(wire.OpGetChildren, unwatched(root))))
		f := harness.FieldsOf(r.Body)
		equal(t, "first", []any{f.Int(), f.Bool(), f.Int(), f.Int()}, []any{int32(-1), false, int32(-101), int32(-101)})
		equal(t, "second", []any{f.Int(), f.Bool(), f.Int(), f.Str(), f.Stat()}, []any{int32(4), false, int32(0), "data", before})
		equal(t, "third", []any{f.Int(), f.Bool(), f.Int(), f.Strs()}, []any{int32(8), false, int32(0), []string{"x"}})
		equal(t, "end", []any{f.Int(), f.Bool(), f.Int(), f.Err()}, []any{int32(-1), true, int32(-1), nil})
	}},
	{75, "multiRead takes getData and getChildren only, and sets no watch", plain, func(t *testing.T, s *server) {
		c := s.open(t)
		root := c.root()
		for _, bad := range []multiPart{
			part(wire.OpExists, unwatched(root)),
			part(wire.OpGetChildren2, unwatched(root)),
			part(wire.OpGetACL, path(root)),
			part(wire.OpCheck, versioned(root, -1)),
			part(wire.OpCreate, creation(root+"/x", "", persistent)),
		} {
			r := c.do(wire.OpMultiRead, multiBody(bad))
			equal(t, "error", wire.Code(r.Err), wire.MarshallingError)
		}
		c.want(wire.OK, wire.OpMultiRead, multiBody(
			part(wire.OpGetData, watched(root)), part(wire.OpGetChildren, watched(root))))
		c.set(root, "x")
		c.create(root + "/x")
		c.wantEvents()
	}},
}

type multiPart struct {
	op   wire.Op
	body harness.Bytes
}

func part(op wire.Op, body harness.Bytes) multiPart { return multiPart{op, body} }

func multiBody(parts ...multiPart) harness.Bytes {
	var b harness.Bytes
	for _, p := range parts {
		b = b.Int(int32(p.op)).Byte(0).Int(-1).Raw(p.body...)
	}
	return b.Int(-1).Byte(1).Int(-1)
}

// multiResult is the result of one part of a multi.
type multiResult struct {
	typ  int32
	code wire.Code
	path string
	stat harness.Stat
}

type multiResults []multiResult

func (r multiResults) codes() (all []wire.Code) {
	for _, one := range r {
		all = append(all, one.code)
	}
	return all
}

// multi does a multi that must be executed, and returns what became of its parts.
func (c *client) multi(parts ...multiPart) multiResults {
	c.t.Helper()
	f := c.ok(wire.OpMulti, multiBody(parts...))
	var all multiResults
	for f.Len() > 0 {
		r := multiResult{typ: f.Int()}
		done := f.Bool()
		r.code = wire.Code(f.Int())
		if done {
			break
		}
		switch wire.Op(r.typ) {
		case wire.OpError:
			equal(c.t, "error repeated", wire.Code(f.Int()), r.code)
		case wire.OpCreate:
			r.path = f.Str()
		case wire.OpCreate2:
			r.path, r.stat = f.Str(), f.Stat()
		case wire.OpSetData:
			r.stat = f.Stat()
		}
		all = append(all, r)
	}
	if f.Err() != nil || len(all) != len(parts) {
		c.t.Fatalf("multi of %d parts: got %+v, %v", len(parts), all, f.Err())
	}
	return all
}
