package auth

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"paddock/wire"
)

func TestFixup(t *testing.T) {
	super := Config{SuperDigest: secretID}
	aliceID := "alice:" + strings.TrimPrefix(spelled(client(t, mustNew(t, Config{}), "alice:x"))[1], "digest|alice:")
	for _, c := range []struct {
		name  string
		conf  Config
		users []string
		acl   wire.ACLVec
		want  []string
		code  wire.Code
	}{
		{name: "a null list is invalid", acl: nil, code: wire.InvalidACL},
		{name: "an encoded null list is invalid (fact 25)", acl: wire.ACLVec{0xff, 0xff, 0xff, 0xff}, code: wire.InvalidACL},
		{name: "a list of negative length is invalid (fact 25)", acl: wire.ACLVec{0xff, 0xff, 0xff, 0xfb}, code: wire.InvalidACL},
		{name: "an empty list is invalid", acl: list(), code: wire.InvalidACL},
		{name: "world:anyone is kept", acl: wire.OpenACL, want: []string{"31:world:anyone"}},
		{name: "any other id of world is invalid", acl: list("31:world:someone"), code: wire.InvalidACL},
		{name: "an empty id of world is invalid", acl: list("31:world:"), code: wire.InvalidACL},
		{name: "permission 0 and unknown bits are kept (fact 55)", acl: list("0:world:anyone", "2147483647:world:anyone", "-1:world:anyone"), want: []string{"0:world:anyone", "2147483647:world:anyone", "-1:world:anyone"}},
		{name: "an exact duplicate is dropped, and the order kept", acl: list("1:world:anyone", "2:ip:1.2.3.4", "1:world:anyone", "2:world:anyone"), want: []string{"1:world:anyone", "2:ip:1.2.3.4", "2:world:anyone"}},
		{name: "a null scheme is invalid", acl: wire.BuildACL(wire.ACL{Perms: 31, ID: []byte("x")}), code: wire.InvalidACL},
		{name: "a null id is a marshalling error", acl: wire.BuildACL(wire.ACL{Perms: 31, Scheme: []byte("world")}), code: wire.MarshallingError},
		{name: "a null id of digest is a marshalling error", acl: wire.BuildACL(wire.ACL{Perms: 31, Scheme: []byte("digest")}), code: wire.MarshallingError},
		{name: "a null id of ip is a marshalling error", acl: wire.BuildACL(wire.ACL{Perms: 31, Scheme: []byte("ip")}), code: wire.MarshallingError},
		{name: "a null id of an unknown scheme is invalid", acl: wire.BuildACL(wire.ACL{Perms: 31, Scheme: []byte("foo")}), code: wire.InvalidACL},
		{name: "an empty scheme is invalid", acl: list("31::x"), code: wire.InvalidACL},
		{name: "sasl without a provider is invalid (fact 112)", acl: list("31:sasl:bob"), code: wire.InvalidACL},
		{name: "x509 without a provider is invalid (fact 112)", acl: list("31:x509:CN=bob"), code: wire.InvalidACL},
		{name: "an unknown scheme is invalid (fact 112)", acl: list("31:foo:bar"), code: wire.InvalidACL},
		{name: "digest is invalid while it is switched off", conf: Config{DigestDisabled: true}, acl: list("31:digest:a:b"), code: wire.InvalidACL},
		{name: "super is not for lists (fact 108)", conf: super, users: []string{"super:secret"}, acl: list("31:super:"), code: wire.InvalidACL},
		{name: "one bad entry spoils the list", acl: list("31:world:anyone", "31:foo:bar"), code: wire.InvalidACL},
		{name: "digest ids :b and a:b: are valid (fact 104)", acl: list("1:digest::b", "1:digest:a:b:"), want: []string{"1:digest::b", "1:digest:a:b:"}},
		{name: "digest id a: is invalid (fact 104)", acl: list("1:digest:a:"), code: wire.InvalidACL},
		{name: "ip may be a network", acl: list("1:ip:10.0.0.0/8", "1:ip:::1/128"), want: []string{"1:ip:10.0.0.0/8", "1:ip:::1/128"}},
		{name: "an ip that is none is invalid", acl: list("1:ip:localhost"), code: wire.InvalidACL},
		{name: "auth stands for each identity the client authenticated as (fact 102)", users: []string{bob, "alice:x"}, acl: list("5:auth:ignored"), want: []string{"5:digest:" + bobID, "5:digest:" + aliceID}},
		{name: "auth of who has not authenticated is invalid, for an address proves nothing (fact 101)", acl: list("5:auth:"), code: wire.InvalidACL},
		{name: "auth with a null id is fine", users: []string{bob}, acl: wire.BuildACL(wire.ACL{Perms: 5, Scheme: []byte("auth")}), want: []string{"5:digest:" + bobID}},
		{name: "a null id and an empty one are no duplicates", users: []string{bob}, acl: wire.BuildACL(wire.ACL{Perms: 5, Scheme: []byte("auth")}, wire.ACL{Perms: 5, Scheme: []byte("auth"), ID: []byte{}}), want: []string{"5:digest:" + bobID, "5:digest:" + bobID}},
		{name: "auth is replaced in place", users: []string{bob}, acl: list("1:world:anyone", "5:auth:", "2:ip:1.2.3.4"), want: []string{"1:world:anyone", "5:digest:" + bobID, "2:ip:1.2.3.4"}},
		{name: "auth of super is its digest identity only (fact 108)", conf: super, users: []string{"super:secret"}, acl: list("31:auth:"), want: []string{"31:digest:" + secretID}},
		{name: "duplicates that come from auth are kept (fact 103)", users: []string{bob}, acl: list("5:auth:", "5:auth:x", "5:digest:"+bobID), want: []string{"5:digest:" + bobID, "5:digest:" + bobID, "5:digest:" + bobID}},
		{name: "auth twice with the same id is one entry (fact 103)", users: []string{bob}, acl: list("5:auth:", "5:auth:"), want: []string{"5:digest:" + bobID}},
		{name: "ids are stored as Java would write them (facts 27, 28)", acl: list("1:digest:😀:\xff"), want: []string{"1:digest:\xed\xa0\xbd\xed\xb8\x80:\ufffd"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := mustNew(t, c.conf)
			got, code := r.Fixup([]byte("kept"), client(t, r, c.users...), c.acl)
			if code != c.code {
				t.Fatalf("got %v, want %v", code, c.code)
			}
			rest, ok := bytes.CutPrefix(got, []byte("kept"))
			if !ok {
				t.Fatalf("dst was overwritten: %q", got)
			}
			if code != wire.OK {
				if len(rest) > 0 {
					t.Errorf("an error, and %q", rest)
				}
				return
			}
			if got := text(wellFormed(t, rest)); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// wellFormed returns b as a list if the decoder takes it, all of it.
func wellFormed(t testing.TB, b []byte) wire.ACLVec {
	t.Helper()
	in := wire.NewReader(b)
	acl := in.ACLs()
	if in.Err() != nil || in.Len() != 0 {
		t.Fatalf("malformed list %x: %v, %d bytes left", b, in.Err(), in.Len())
	}
	return acl
}

func TestWhatAuthStoresLetsTheSameClientIn(t *testing.T) {
	r := mustNew(t, Config{})
	for _, user := range []string{bob, "", ":", "😀:x", "b\xed\xa0\x80b:p\xff", strings.Repeat("u", 1000) + ":p"} {
		ids := client(t, r, user)
		acl, code := r.Fixup(nil, ids, list("31:auth:"))
		if code != wire.OK || !ids.May(acl, wire.PermRead) {
			t.Errorf("%q: %v, and may not read what it has made for itself", user, code)
		}
		if client(t, r, "eve:x").May(acl, wire.PermRead) {
			t.Errorf("%q: somebody else may read it", user)
		}
	}
}

func TestMasked(t *testing.T) { // fact 105
	r := mustNew(t, Config{})
	acl := list("1:digest:"+bobID, "2:digest:nocolon", "3:digest:a:b:c", "4:ip:2001:db8::/32", "5:sasl:a:b", "6:digest::b", "31:world:anyone")
	want := []string{"1:digest:bob:x", "2:digest:nocolon", "3:digest:a:x", "4:ip:2001:db8::/32", "5:sasl:a:b", "6:digest::x", "31:world:anyone"}
	if got := text(wellFormed(t, r.AppendMasked(nil, acl))); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := r.AppendMasked([]byte{7}, nil); !bytes.Equal(got, []byte{7, 0xff, 0xff, 0xff, 0xff}) {
		t.Errorf("null list: got %x", got)
	}
	nulls := wire.BuildACL(wire.ACL{Perms: 1, Scheme: []byte("digest")}, wire.ACL{Perms: 2})
	if got := r.AppendMasked(nil, nulls); !bytes.Equal(got, nulls) {
		t.Errorf("null ids: got %x, want %x", got, nulls)
	}
}

func TestALongListIsFixedUpInTimeThatItsLengthDeserves(t *testing.T) {
	var entries []wire.ACL
	for i := range 60_000 { // about as many as a frame holds
		entries = append(entries, wire.ACL{Perms: int32(i % 30_000), Scheme: []byte("world"), ID: []byte("anyone")})
	}
	r := mustNew(t, Config{})
	got, code := r.Fixup(nil, r.Connect(local), wire.BuildACL(entries...))
	if code != wire.OK || got.Len() != 30_000 {
		t.Errorf("%v with %d entries, want 30000", code, got.Len())
	}
}

func TestFixupOfAnOrdinaryListAllocatesNothing(t *testing.T) {
	r := mustNew(t, Config{})
	ids := client(t, r, bob)
	dst := make([]byte, 0, 4096)
	for _, acl := range []wire.ACLVec{wire.OpenACL, list("31:digest:"+bobID, "1:world:anyone", "1:ip:10.0.0.0/8"), list("1:auth:")} {
		if n := testing.AllocsPerRun(1000, func() { r.Fixup(dst, ids, acl) }); n != 0 {
			t.Errorf("%q: %v allocations, want 0", text(acl), n)
		}
	}
}

// naiveMay is client-protocol.md 7.2 over strings.
func naiveMay(ids []Identity, acl []wire.ACL, need int32) bool {
	for _, i := range ids {
		if i.Scheme == "super" {
			return true
		}
	}
	if len(acl) == 0 {
		return true
	}
	for _, a := range acl {
		if a.Perms&need == 0 {
			continue
		}
		if string(a.Scheme) == "world" && string(a.ID) == "anyone" {
			return true
		}
		for _, i := range ids {
			if i.Scheme != string(a.Scheme) {
				continue
			}
			if i.Scheme == "digest" && i.ID == string(a.ID) {
				return true
			}
			if i.Scheme == "ip" && naiveIPMatch(i.ID, string(a.ID)) {
				return true
			}
		}
	}
	return false
}

// naiveFixup is client-protocol.md 7.4 over strings; false is InvalidACL.
func naiveFixup(ids []Identity, acl []wire.ACL) ([]string, bool) {
	var unique []string
	for _, a := range acl {
		if s := fmt.Sprintf("%d:%s:%s", a.Perms, a.Scheme, a.ID); !slices.Contains(unique, s) {
			unique = append(unique, s)
		}
	}
	var out []string
	for _, u := range unique {
		p := strings.SplitN(u, ":", 3)
		switch perms, scheme, id := p[0], p[1], p[2]; scheme {
		case "auth":
			n := len(out)
			for _, i := range ids {
				if i.Scheme == "digest" {
					out = append(out, perms+":digest:"+i.ID)
				}
			}
			if len(out) == n {
				return nil, false
			}
		case "world":
			if id != "anyone" {
				return nil, false
			}
			out = append(out, u)
		case "digest":
			if len(javaSplit(id, ":")) != 2 {
				return nil, false
			}
			out = append(out, u)
		case "ip":
			if _, _, ok := naiveNetwork(id); !ok {
				return nil, false
			}
			out = append(out, u)
		default:
			return nil, false
		}
	}
	return out, len(out) > 0
}

func TestListsAgreeWithANaiveReading(t *testing.T) {
	r := mustNew(t, Config{SuperDigest: secretID})
	users := []string{bob, "alice:x", "super:secret", "", "a:b:c"}
	ids := []string{"anyone", bobID, secretID, "a:b:", ":b", "a:", "", "127.0.0.1", "127.0.0.0/8", "10.0.0.0/8", "0.0.0.0/0", "::1", "1.2.3"}
	schemes := []string{"world", "digest", "ip", "auth", "super", "sasl", ""}
	rapid.Check(t, func(t *rapid.T) {
		who := r.Connect(local)
		for _, u := range rapid.SliceOfNDistinct(rapid.SampledFrom(users), 0, 3, rapid.ID[string]).Draw(t, "users") {
			who, _ = r.Authenticate(who, []byte("digest"), []byte(u))
		}
		entries := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) wire.ACL {
			a := wire.ACL{
				Perms:  rapid.Int32Range(0, 31).Draw(t, "perms"),
				Scheme: []byte(rapid.SampledFrom(schemes).Draw(t, "scheme")),
				ID:     []byte(rapid.SampledFrom(ids).Draw(t, "id")),
			}
			if rapid.Bool().Draw(t, "sensible") {
				a.Scheme, a.ID = []byte("world"), []byte("anyone")
			}
			return a
		}), 0, 2*shortACL).Draw(t, "entries")
		acl := wire.BuildACL(entries...)
		need := rapid.Int32Range(1, 31).Draw(t, "need")
		if got, want := who.May(acl, need), naiveMay(who.All(), entries, need); got != want {
			t.Fatalf("may: got %v, want %v", got, want)
		}
		got, code := r.Fixup(nil, who, acl)
		want, ok := naiveFixup(who.All(), entries)
		if (code == wire.OK) != ok {
			t.Fatalf("fixup: got %v, want %v", code, ok)
		}
		if ok && !slices.Equal(text(got), want) {
			t.Fatalf("fixup: got %q, want %q", text(got), want)
		}
	})
}

// FuzzLists: no bytes that decode as a list make Fixup, May or AppendMasked panic, what they write is
// well-formed, and what Fixup has stored it would store again as it is.
func FuzzLists(f *testing.F) {
	f.Add([]byte(wire.OpenACL))
	f.Add([]byte(list("31:digest:"+bobID, "1:ip:::1/64", "5:auth:", "1:digest:\xff:b")))
	f.Add([]byte(wire.BuildACL(wire.ACL{Perms: 1}, wire.ACL{Perms: 1, Scheme: []byte("ip")})))
	r := mustNew(f, Config{SuperDigest: secretID})
	ids := client(f, r, bob)
	f.Fuzz(func(t *testing.T, b []byte) {
		in := wire.NewReader(b)
		acl := in.ACLs()
		if in.Err() != nil {
			return
		}
		ids.May(acl, wire.PermRead)
		wellFormed(t, r.AppendMasked(nil, acl))
		stored, code := r.Fixup(nil, ids, acl)
		if code != wire.OK {
			return
		}
		wellFormed(t, stored)
		for it := stored.Iter(); it.Next(); {
			a := it.ACL()
			if code := r.check(&a); code != wire.OK || a.Scheme == nil || a.ID == nil {
				t.Errorf("stored %q, which is %v", text(stored), code)
			}
		}
	})
}
