package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

func fromHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// header is that of a transaction of the type.
func header(typ Op) []byte {
	h := TxnHeader{ClientID: 0x100000000000002, Cxid: 3, Zxid: 0x100000004, Time: 5, Type: typ}
	return h.Append(nil)
}

func TestTransactionsLayOut(t *testing.T) {
	for _, c := range []struct {
		name string
		rec  record
		want string
	}{
		{"header", &TxnHeader{0x0100000000000002, 3, 0x100000004, 5, OpSetData}, "0100000000000002 00000003 0000000100000004 0000000000000005 00000005"},
		{"create", &CreateTxn{[]byte("/a"), nil, noACLs, true, 7}, "00000002 2f61 ffffffff 00000000 01 00000007"},
		{"createContainer", &CreateContainerTxn{[]byte("/a"), []byte{}, noACLs, 7}, "00000002 2f61 00000000 00000000 00000007"},
		{"createTTL", &CreateTTLTxn{[]byte("/a"), []byte{}, noACLs, 7, 9}, "00000002 2f61 00000000 00000000 00000007 0000000000000009"},
		{"delete", &DeleteTxn{[]byte("/a")}, "00000002 2f61"},
		{"setData", &SetDataTxn{[]byte("/a"), []byte("x"), 7}, "00000002 2f61 00000001 78 00000007"},
		{"setACL", &SetACLTxn{[]byte("/a"), noACLs, 7}, "00000002 2f61 00000000 00000007"},
		{"check", &CheckTxn{[]byte("/a"), 7}, "00000002 2f61 00000007"},
		{"createSession", &CreateSessionTxn{30000}, "00007530"},
		{"closeSession", &CloseSessionTxn{BuildStrings("/a")}, "00000001 00000002 2f61"},
		{"closeSession of nothing", &CloseSessionTxn{}, "00000000"},
		{"error", &ErrorTxn{NoNode}, "ffffff9b"},
		{"digest", &TxnDigest{2, 0x51c6d660}, "00000002 0000000051c6d660"},
	} {
		if got, want := c.rec.Append(nil), fromHex(t, c.want); !bytes.Equal(got, want) {
			t.Errorf("%s is %x, want %x", c.name, got, want)
		}
	}
}

func TestOldCreatesHaveNoParentCVersion(t *testing.T) {
	for _, behind := range []string{"", "\x00", "\x00\x00\x00"} {
		want := CreateTxn{[]byte("/a"), []byte("x"), OpenACL, true, 7}
		b := want.Append(nil)
		r := NewReader(append(b[:len(b)-4], behind...))
		var got CreateTxn
		if err := got.Decode(&r); err != nil || got.ParentCVersion != -1 || !got.Ephemeral || string(got.Data) != "x" {
			t.Errorf("with %q behind it: %v, %v", behind, show(&got), err)
		}
	}
}

func TestCloseSessionTellsPathsFromDigest(t *testing.T) {
	digest := (&TxnDigest{DigestVersion, 0}).Append(nil) // as bytes, also two empty strings
	for _, c := range []struct {
		name   string
		body   []byte
		want   StringVec
		behind int
	}{
		{"no body is the old form", nil, nil, 0},
		{"no body but a digest is one too", digest, nil, TxnDigestBytes},
		{"no paths", BuildStrings(), BuildStrings(), 0},
		{"no paths and a digest", append(BuildStrings(), digest...), BuildStrings(), TxnDigestBytes},
		{"paths", BuildStrings("/a", "/b"), BuildStrings("/a", "/b"), 0},
		{"paths of twelve bytes", BuildStrings("/abc"), BuildStrings("/abc"), 0},
		{"paths and a digest", append(BuildStrings("/a"), digest...), BuildStrings("/a"), TxnDigestBytes},
		{"null is kept", nullCount, nullCount, 0},
	} {
		r := NewReader(c.body)
		var got CloseSessionTxn
		if err := got.Decode(&r); err != nil || !bytes.Equal(got.Paths, c.want) || (got.Paths == nil) != (c.want == nil) || r.Len() != c.behind {
			t.Errorf("%s: %x with %d bytes left, %v; want %x with %d", c.name, got.Paths, r.Len(), err, c.want, c.behind)
		}
	}
}

// multiTxn builds the body of a multi transaction.
func multiTxn(parts ...any) []byte {
	dst, mark := BeginMultiTxn(nil)
	for i := 0; i < len(parts); i += 2 {
		var part int
		dst, part = BeginTxnPart(dst, parts[i].(Op))
		dst = EndTxnPart(parts[i+1].(record).Append(dst), part)
	}
	return EndMultiTxn(dst, mark, len(parts)/2)
}

func TestMultiTransactions(t *testing.T) {
	failed := multiTxn(OpCheck, &CheckTxn{[]byte("/a"), 1}, OpError, &ErrorTxn{NoNode}, OpError, &ErrorTxn{RuntimeInconsistency})
	want := fromHex(t, `00000003 0000000d 0000000a 00000002 2f61 00000001
		ffffffff 00000004 ffffff9b ffffffff 00000004 fffffffe`)
	if !bytes.Equal(failed, want) {
		t.Fatalf("laid out as %x, want %x", failed, want)
	}
	r := NewReader(append(bytes.Clone(failed), "digest"...))
	var m MultiTxn
	if err := m.Decode(&r); err != nil || m.Len() != 3 || string(r.Rest()) != "digest" {
		t.Fatalf("%v, %d parts, %q behind", err, m.Len(), r.Rest())
	}
	var got []Op
	size := 0
	for m.Next() {
		got = append(got, m.Op())
		size += len(m.Body())
	}
	if len(got) != 3 || got[0] != OpCheck || got[1] != OpError || got[2] != OpError || size != 10+4+4 || m.Next() {
		t.Errorf("walked %v of %d bytes", got, size)
	}
	for n := range failed {
		r := NewReader(failed[:n])
		if m.Decode(&r) == nil || m.Next() {
			t.Errorf("cut to %d of %d bytes it is accepted", n, len(failed))
		}
	}
	for _, none := range [][]byte{sized(0, ""), sized(-1, ""), sized(-7, "")} {
		r := NewReader(none)
		if err := m.Decode(&r); err != nil || m.Next() {
			t.Errorf("%x: %v, want no parts", none, err)
		}
	}
	r = NewReader(sized(1<<28, strings.Repeat("x", 64)))
	if err := m.Decode(&r); !errors.Is(err, ErrLength) {
		t.Errorf("a count that the bytes cannot hold: %v, want %v", err, ErrLength)
	}
}

// transactions is one of each type, without digest.
func transactions() map[string][]byte {
	path := []byte("/a")
	create, del := &CreateTxn{path, []byte("x"), OpenACL, false, 1}, &DeleteTxn{path}
	set := &SetDataTxn{path, []byte("x"), 1}
	of := func(typ Op, rec record) []byte { return rec.Append(header(typ)) }
	return map[string][]byte{
		"create": of(OpCreate, create), "create2": of(OpCreate2, create),
		"createContainer": of(OpCreateContainer, &CreateContainerTxn{path, nil, OpenACL, 1}),
		"createTTL":       of(OpCreateTTL, &CreateTTLTxn{path, nil, OpenACL, 1, 5}),
		"delete":          of(OpDelete, del), "deleteContainer": of(OpDeleteContainer, del),
		"setData": of(OpSetData, set), "reconfig": of(OpReconfig, set),
		"setACL":        of(OpSetACL, &SetACLTxn{path, OpenACL, 1}),
		"createSession": of(OpCreateSession, &CreateSessionTxn{30000}),
		"closeSession":  of(OpCloseSession, &CloseSessionTxn{BuildStrings("/a")}),
		"error":         of(OpError, &ErrorTxn{NoNode}),
		"multi": append(header(OpMulti), multiTxn(
			OpCreate, create, OpCreate2, create, OpCreateContainer, &CreateContainerTxn{path, nil, OpenACL, 1},
			OpCreateTTL, &CreateTTLTxn{path, nil, OpenACL, 1, 5}, OpDelete, del, OpDeleteContainer, del, OpSetData, set,
			OpCheck, &CheckTxn{path, 1}, OpError, &ErrorTxn{NoNode})...),
	}
}

func TestVerifyTxn(t *testing.T) {
	for name, txn := range transactions() {
		digest := &TxnDigest{DigestVersion, 7}
		for _, whole := range [][]byte{txn, digest.Append(bytes.Clone(txn)), append(bytes.Clone(txn), "unknown"...)} {
			if err := VerifyTxn(whole); err != nil {
				t.Errorf("%s: %x is refused: %v", name, whole, err)
			}
		}
		for n := range txn {
			old := name == "create" && n >= len(txn)-4 || name == "create2" && n >= len(txn)-4 || name == "closeSession" && n == TxnHeaderBytes
			if err := VerifyTxn(txn[:n]); (err == nil) != old {
				t.Errorf("%s cut to %d of %d bytes: %v", name, n, len(txn), err)
			}
		}
	}
	set := &SetDataTxn{[]byte("/a"), nil, 1}
	for _, c := range []struct {
		name string
		txn  []byte
	}{
		{"a type that there is not", set.Append(header(99))},
		{"a read", set.Append(header(OpGetData))},
		{"a check alone", (&CheckTxn{[]byte("/a"), 1}).Append(header(OpCheck))},
		{"a multi in a multi", append(header(OpMulti), multiTxn(OpMulti, set)...)},
		{"a setACL in a multi", append(header(OpMulti), multiTxn(OpSetACL, &SetACLTxn{[]byte("/a"), OpenACL, 1})...)},
		{"a session's end in a multi", append(header(OpMulti), multiTxn(OpCloseSession, &CloseSessionTxn{})...)},
	} {
		if err := VerifyTxn(c.txn); !errors.Is(err, ErrTxnType) {
			t.Errorf("%s: %v, want %v", c.name, err, ErrTxnType)
		}
	}
}

func TestWalkingATransactionCostsNoAllocation(t *testing.T) {
	all := transactions()
	close := append(header(OpCloseSession), BuildStrings("/a", "/b")...)
	var sum int
	if n := testing.AllocsPerRun(100, func() {
		for _, txn := range all { // in any order: only the allocations count
			if VerifyTxn(txn) != nil {
				sum++
			}
		}
		r := NewReader(close)
		var h TxnHeader
		var x CloseSessionTxn
		h.Decode(&r)
		x.Decode(&r)
		for it := x.Paths.Iter(); it.Next(); {
			sum += len(it.Value())
		}
		r = NewReader(all["multi"])
		var m MultiTxn
		h.Decode(&r)
		for m.Decode(&r); m.Next(); {
			sum += len(m.Body())
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
