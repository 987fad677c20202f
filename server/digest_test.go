package server

import (
	"strings"
	"testing"

	"paddock/test/harness"
	"paddock/vfs"
	"paddock/wire"
)

func withDigests(c *Config) { c.TxnDigests = true }

// Every kind of transaction, alone, in a multi and in a multi that fails, in one batch with others: apply
// finds the digest that the sequencer has seen coming.
func TestTransactionsCarryTheDigestOfTheTreeAfterThem(t *testing.T) {
	r := newDriver(t, vfs.NewSim(1), withDigests)
	sess := r.session()
	multi := func(paths ...string) []byte {
		var b []byte
		for _, p := range paths {
			b = wire.AppendMultiHeader(b, wire.OpCreate, false, -1)
			b = append(b, createBody(p, []byte("m"), 0)...)
		}
		return wire.AppendMultiEnd(b)
	}
	del := func(path string) []byte { return (&wire.DeleteRequest{Path: []byte(path), Version: -1}).Append(nil) }
	for round := range 3 {
		codes, err := r.together(
			request{sess, wire.OpCreate, createBody("/a", []byte("x"), 0)},
			request{sess, wire.OpCreate, createBody("/a/e", nil, 1)},
			request{sess, wire.OpCreate, createBody("/a/s-", nil, 2)},
			request{sess, wire.OpSetData, setBody("/a", []byte("yy"))},
			request{sess, wire.OpSetData, setBody("/", []byte("root"))},
			request{sess, wire.OpMulti, multi("/m1", "/m1/below")},
			request{sess, wire.OpMulti, multi("/m2", "/nope/x")},
			request{sess, wire.OpSetACL, harness.Bytes(nil).Str("/m1").ACLs(harness.ACL{Perms: 1, Scheme: "world", ID: "anyone"}).Int(-1)},
			request{sess, wire.OpDelete, del("/m1/below")},
			request{sess, wire.OpDelete, del("/m1")},
			request{sess, wire.OpDelete, del("/missing")},
			request{sess, wire.OpCreate, createBody("/zookeeper/quota/a", nil, 0)},
		)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if round == 0 && (codes[5] != wire.OK || codes[10] != wire.NoNode) {
			t.Fatalf("codes %v", codes)
		}
	}
	must(t, r.write(sess, wire.OpCloseSession, nil))
	carried, bare := 0, 0
	must(t, r.d.Replay(r.d.Base(), func(txn []byte) error {
		h, _, _, has, err := wire.SplitTxn(txn)
		switch {
		case err != nil:
			return err
		case has:
			carried++
		case h.Type == wire.OpError:
			bare++
		default:
			t.Errorf("%v at %v carries no digest", h.Type, h.Zxid)
		}
		return nil
	}))
	if carried < 20 || bare < 3 {
		t.Errorf("%d transactions with a digest, %d errors without", carried, bare)
	}
	if got, want := r.d.s.seq.digest, r.d.Digest(); got != want {
		t.Errorf("the sequencer ends at %#x, the tree at %#x", got, want)
	}
}

// A tree that is not the one a transaction was made for: nobody is told anything any more.
func TestADigestThatDoesNotMatchStopsTheServer(t *testing.T) {
	r := newDriver(t, vfs.NewSim(1), withDigests)
	sess := r.session()
	must(t, r.write(sess, wire.OpCreate, createBody("/a", nil, 0)))
	r.d.s.seq.digest++
	if code, err := r.try(sess, wire.OpSetData, setBody("/a", nil)); err == nil || !strings.Contains(err.Error(), "the state has diverged") {
		t.Errorf("the next write: %v, %v, want the server to fail", code, err)
	}
}
