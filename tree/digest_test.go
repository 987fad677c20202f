package tree

import (
	"testing"

	"paddock/wire"
)

// What a server of ZooKeeper 3.8.0 wrote into its log (disk-formats.md 12.1, quorum-protocol.md
// 10.1).
func TestDigestsOfARealServer(t *testing.T) {
	const session = 0x0100001873110000
	m := newMachine(t, Options{})
	steps := []struct {
		name string
		txn  []byte
		want uint64
	}{
		{"createSession", wire.AppendInt(header(session, 1, 0x1a2057884af, wire.OpCreateSession), 18000), 0x51c6d660},
		{"create /a", singleTxn(session, 2, 0x1a2057884b8, step{op: wire.OpCreate, path: "/a", data: []byte("hi"), acl: wire.OpenACL, version: 1}), 0xe30abd6c},
		{"create /a/e", singleTxn(session, 3, 0, step{op: wire.OpCreate, path: "/a/e", data: []byte{}, acl: wire.OpenACL, owner: 1, version: 1}), 0x148acf937},
		{"setData /a", singleTxn(session, 4, 0x1a2057884c5, step{op: wire.OpSetData, path: "/a", data: []byte("hello"), version: 1}), 0x136a17454},
	}
	for _, s := range steps {
		if s.name == "create /a/e" {
			s.txn = timeOf(t, m.tree, s.txn, s.want)
		}
		var res Result
		m.tree.Apply(withDigest(s.txn, s.want), nil, &res)
		if got := m.tree.Digest(); got != s.want || res.Mismatch {
			t.Errorf("after %s: digest %#x, want %#x (mismatch %v)", s.name, got, s.want, res.Mismatch)
		}
	}

	tree := New(Options{})
	tree.Apply(wire.AppendInt(header(0x0100000faf270000, 0x100000001, 0x1a20570a1f7, wire.OpCreateSession), 8000), nil, nil)
	tree.Apply(singleTxn(0x0100000faf270000, 0x100000002, 0x1a20570a209,
		step{op: wire.OpCreate, path: "/a", data: []byte("hello"), acl: wire.OpenACL, version: 1}), nil, nil)
	if got, want := tree.Digest(), uint64(0x1e6866c1d); got != want {
		t.Errorf("after the proposal captured: digest %#x, want %#x", got, want)
	}
}

// timeOf finds the one time between its neighbours' that gives the digest captured: the document
// leaves it out.
func timeOf(t *testing.T, tree *Tree, txn []byte, want uint64) []byte {
	var a, root Node
	tree.Lookup([]byte("/a"), &a)
	tree.Lookup([]byte("/"), &root)
	parent := a.Stat
	parent.Cversion, parent.Pzxid = 1, 3
	for time := int64(0x1a2057884b8); time <= 0x1a2057884c5; time++ {
		e := wire.Stat{Czxid: 3, Mzxid: 3, Pzxid: 3, Ctime: time, Mtime: time, EphemeralOwner: 0x0100001873110000}
		crc := StatCRC(PathDataCRC([]byte("/a/e"), nil), &e)
		sum := tree.Digest() - uint64(a.CRC) + uint64(StatCRC(a.PathData, &parent)) + uint64(crc)
		if sum == want {
			h := header(0x0100001873110000, 3, time, wire.OpCreate)
			return append(h, txn[len(h):]...)
		}
	}
	t.Fatalf("no time between zxid 2 and 4 gives digest %#x", want)
	return nil
}

func TestADigestMismatchIsReported(t *testing.T) {
	tree := New(Options{})
	var res Result
	txn := singleTxn(1, 1, 0, step{op: wire.OpCreate, path: "/a", acl: wire.OpenACL, version: 1})
	tree.Apply(withDigest(txn, 42), nil, &res)
	if !res.HasDigest || !res.Mismatch || res.Digest != 42 {
		t.Errorf("HasDigest %v, Mismatch %v, Digest %d, want true, true, 42", res.HasDigest, res.Mismatch, res.Digest)
	}
	none := New(Options{NoDigest: true})
	none.Apply(withDigest(txn, 42), nil, &res)
	if res.HasDigest || res.Mismatch || none.Digest() != 0 {
		t.Errorf("without digests: HasDigest %v, Mismatch %v, digest %#x", res.HasDigest, res.Mismatch, none.Digest())
	}
}
