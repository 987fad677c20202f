package server

import (
	"testing"
	"time"

	"paddock/test/harness"
	"paddock/tree"
	"paddock/vfs"
	"paddock/wire"
)

// A TTL node that is written to while its end is on the way lives on (seed 99 of the simulator).
func TestATTLNodeThatIsWrittenToIsNotSwept(t *testing.T) {
	r := newDriver(t, vfs.NewSim(1), nil)
	defer r.close()
	sess := r.session()
	const ttlMS = 1000
	acl := harness.ACL{Perms: 31, Scheme: "world", ID: "anyone"}
	create := harness.Bytes(nil).Str("/ttl").Buf(nil).ACLs(acl).Int(5).Long(ttlMS)
	must(t, r.write(sess, wire.OpCreateTTL, create))
	for _, written := range []bool{true, false} {
		r.now = r.now.Add((ttlMS + 10) * time.Millisecond)
		r.d.Beat(r.now)
		if written {
			b := newBatch(0, 0)
			b.add(entry{kind: kindWrite, op: wire.OpSetData, sess: sess, ids: r.ids}, setBody("/ttl", []byte("x")))
			r.d.s.pipe.put(b)
		}
		r.d.Sweep() // the write is not applied yet
		for _, st := range []Stage{Sequence, Commit, Apply} {
			r.d.Run(st, r.d.Waiting(st))
		}
		var n tree.Node
		if there := r.d.s.tree.Load().Lookup([]byte("/ttl"), &n); there != written {
			t.Errorf("written to: %v; the node is there: %v", written, there)
		}
	}
}
