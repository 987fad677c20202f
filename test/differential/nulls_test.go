package differential

import (
	"testing"

	"paddock/test/harness"
	"paddock/wire"
)

// Every create with every flag, and null lists of ACLs and paths, in a multi: alone, and with an operation
// that cannot be decoded before and behind it. Which fault Java meets first decides whether a zxid is spent.
func TestNullACLsInMultis(t *testing.T) {
	p := newPair(t)
	null := harness.Bytes{0xff, 0xff, 0xff, 0xff}
	bad := req{op: wire.OpMulti}
	for _, op := range []wire.Op{wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL} {
		var stream []step
		for flags := int32(-1); flags <= 8; flags++ {
			full := req{op: op, path: "/a", data: []byte("x"), acl: acls{list: []harness.ACL{open}}, flags: flags, ttl: 1000}
			noList, noPath := full, full
			noList.acl = acls{raw: null}
			noPath.path = nullPath
			neither := noList
			neither.path = nullPath
			for _, parts := range [][]req{
				{full}, {noList}, {noPath}, {neither}, {noList, bad}, {bad, noList}, {noPath, noList}, {noList, noPath}, {noPath, bad},
			} {
				stream = append(stream, step{action: ask, reqs: []req{{op: wire.OpMulti, parts: parts}}})
			}
		}
		d, err := p.compare(stream)
		if err != nil {
			t.Fatal(err)
		}
		if d != nil {
			t.Error(p.describe(stream[:d.step+1], d))
		}
	}
}
