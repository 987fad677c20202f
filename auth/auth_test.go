package auth

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"paddock/wire"
)

func mustNew(t testing.TB, c Config) *Rules {
	t.Helper()
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// local is where a test's clients come from.
var local = netip.MustParseAddr("127.0.0.1")

// client returns who has authenticated as the digest users, one after the other.
func client(t testing.TB, r *Rules, users ...string) *Identities {
	t.Helper()
	ids := r.Connect(local)
	for _, u := range users {
		var code wire.Code
		if ids, code = r.Authenticate(ids, []byte("digest"), []byte(u)); code != wire.OK {
			t.Fatalf("digest %q: %v", u, code)
		}
	}
	return ids
}

// list builds an ACL from "perms:scheme:id" entries.
func list(entries ...string) wire.ACLVec {
	var all []wire.ACL
	for _, e := range entries {
		var perms int32
		parts := strings.SplitN(e, ":", 3)
		fmt.Sscan(parts[0], &perms)
		all = append(all, wire.ACL{Perms: perms, Scheme: []byte(parts[1]), ID: []byte(parts[2])})
	}
	return wire.BuildACL(all...)
}

// text is a list as list wants it.
func text(acl wire.ACLVec) []string {
	var all []string
	for it := acl.Iter(); it.Next(); {
		a := it.ACL()
		all = append(all, fmt.Sprintf("%d:%s:%s", a.Perms, a.Scheme, a.ID))
	}
	return all
}

func spelled(ids *Identities) []string {
	var all []string
	for _, i := range ids.All() {
		all = append(all, i.Scheme+"|"+i.ID)
	}
	return all
}

const (
	bob      = "bob:pw"
	bobID    = "bob:ikIaKsbtGweaHnb/jKn7OHqbunM="
	secretID = "super:lK75jTNcA+U9vtVEw5vB51mj/w4=" // of super:secret
)

// Ids that Apache's DigestAuthenticationProvider made.
func TestDigestIDsAreThoseOfJava(t *testing.T) {
	for _, c := range []struct{ alg, data, want string }{
		{"", "super:secret", secretID},
		{"SHA1", "super:secret", secretID},
		{"sha", "super:secret", secretID},
		{"SHA-1", "bob", "bob:SBgazSKz7a68ikR4aKfffOYpkgo="},
		{"SHA1", "", ":2jmj7l5rSw0yVb/vlWAYkK/YBwk="},
		{"SHA1", ":", ":BaefBs8/Z/cm2uaNGKIpD2yaUMk="},
		{"SHA1", "bob:", "bob:tK1fpNO1hB0F++FhHpSq0Fa4tv0="},
		{"SHA1", "a:b:c", "a:cLzgnoJ6mP5qz3w+mwvPE2vDgu0="},
		{"SHA1", "böb:päss", "böb:pmwBkhb0EZ4e6GmcM79uyPe19sE="},
		{"SHA1", "😀:x", "\xed\xa0\xbd\xed\xb8\x80:REqPFl+hNWT76jWOnLhc6nLqmrk="}, // fact 27
		{"SHA1", "a\xff:b", "a\ufffd:n0MVaWXdb4SIOy8y3rG4OHNno0Q="},
		{"SHA-224", "super:secret", "super:SLmP5pzv7J/lzB7FLtFE6OUZQ/8aiqll5AYE4w=="},
		{"SHA-256", "super:secret", "super:WTA5ucCHTdJq645xIMibj8HviTPeB5mMuJ4/+v1dIEw="},
		{"SHA-384", "super:secret", "super:yaR4GNq//Zm1FIAZgRDJRLsjqeAhcFB1gCgPuP6H7HvhX1mS/VXzN0yzopiOx2BJ"},
		{"SHA-512", "super:secret", "super:YCUumaodxrQ8ju8rJ0IaMlm8XX/1KyZEsjkowYsnA9bsE7LNCzc8Manpy55Ds+mDeMOYNh9+komaD5MRpOIkHg=="},
		{"SHA-512/256", "super:secret", "super:KBy0TIF51hD+Dr4wcFk0avm0bSypEbyLoGAgI9Pc2WA="},
		{"SHA3-256", "super:secret", "super:WC0fcBtN15KqFfwpcvg0TG3tZUPFtDZkMpN7SZ6bt4g="},
		{"SHA3-512", "super:secret", "super:aZ/+VdHwC0eYFCDZP6jKlvGMuTK0OrbD2+LzIwh1kO6QH9XyQD9WRWfcFLrcv8gfQLI2xxJzcM7b8i13wy3Lbg=="},
		{"md5", "super:secret", "super:a0jjl2hSRgOYyP70Eq+wUw=="},
	} {
		ids := client(t, mustNew(t, Config{DigestAlgorithm: c.alg}), c.data)
		if got, want := spelled(ids), []string{"ip|127.0.0.1", "digest|" + c.want}; !slices.Equal(got, want) {
			t.Errorf("%s of %q: got %q, want %q", c.alg, c.data, got, want)
		}
	}
}

func TestTheConnectionIsItsAddress(t *testing.T) {
	r := mustNew(t, Config{})
	for _, c := range []struct{ addr, want string }{
		{"127.0.0.1", "127.0.0.1"},
		{"::1", "0:0:0:0:0:0:0:1"},
		{"2001:db8::ff:1", "2001:db8:0:0:0:0:ff:1"},
		{"::ffff:1.2.3.4", "1.2.3.4"},
		{"fe80::1%eth0", "fe80:0:0:0:0:0:0:1%eth0"},
	} {
		if got := spelled(r.Connect(netip.MustParseAddr(c.addr))); !slices.Equal(got, []string{"ip|" + c.want}) {
			t.Errorf("%s: got %q, want %q", c.addr, got, c.want)
		}
	}
}

func TestAuthenticate(t *testing.T) {
	plain := Config{SuperDigest: secretID}
	for _, c := range []struct {
		name   string
		conf   Config
		scheme string
		data   string
		null   bool
		want   wire.Code
		added  []string
	}{
		{name: "digest data without a colon is accepted (fact 97)", scheme: "digest", data: "bob", added: []string{"digest|bob:SBgazSKz7a68ikR4aKfffOYpkgo="}},
		{name: "empty digest data is accepted (fact 97)", scheme: "digest", added: []string{"digest|:2jmj7l5rSw0yVb/vlWAYkK/YBwk="}},
		{name: "null digest data is refused (fact 97)", scheme: "digest", null: true, want: wire.AuthFailed},
		{name: "the hash is over user and password (fact 98)", scheme: "digest", data: "super:secret", conf: Config{}, added: []string{"digest|" + secretID}},
		{name: "who matches the superDigest is super and keeps its digest identity (fact 108)", conf: plain, scheme: "digest", data: "super:secret", added: []string{"super|", "digest|" + secretID}},
		{name: "the super user with another password is an ordinary user", conf: plain, scheme: "digest", data: "super:secrets", added: []string{"digest|super:F3RBFm1vM3MF7usXC3sL3AcpMpE="}},
		{name: "ip is accepted and adds nothing", scheme: "ip", data: "10.0.0.1"},
		{name: "ip is accepted with null data", scheme: "ip", null: true},
		{name: "world is no way to authenticate", scheme: "world", data: "anyone", want: wire.AuthFailed},
		{name: "auth is no way to authenticate", scheme: "auth", want: wire.AuthFailed},
		{name: "super is no way to authenticate", scheme: "super", conf: plain, data: "super:secret", want: wire.AuthFailed},
		{name: "sasl over op 100 is refused", scheme: "sasl", data: "bob", want: wire.AuthFailed},
		{name: "x509 without a provider is refused", scheme: "x509", data: "CN=bob", want: wire.AuthFailed},
		{name: "an unknown scheme is refused (fact 100)", scheme: "foo", data: bob, want: wire.AuthFailed},
		{name: "an empty scheme is refused", scheme: "", data: bob, want: wire.AuthFailed},
		{name: "schemes are spelled in lower case", scheme: "Digest", data: bob, want: wire.AuthFailed},
		{name: "digest is refused where it is switched off", conf: Config{DigestDisabled: true}, scheme: "digest", data: bob, want: wire.AuthFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := mustNew(t, c.conf)
			before := r.Connect(local)
			data := []byte(c.data)
			if c.null {
				data = nil
			}
			after, code := r.Authenticate(before, []byte(c.scheme), data)
			if code != c.want {
				t.Fatalf("got %v, want %v", code, c.want)
			}
			if got := spelled(before); len(got) != 1 {
				t.Errorf("the old identities have changed: %q", got)
			}
			if code != wire.OK {
				if after != nil {
					t.Error("refused, and somebody all the same")
				}
				return
			}
			if got, want := spelled(after), append([]string{"ip|127.0.0.1"}, c.added...); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestNullSchemeIsRefused(t *testing.T) {
	r := mustNew(t, Config{})
	if _, code := r.Authenticate(r.Connect(local), nil, []byte(bob)); code != wire.AuthFailed {
		t.Errorf("got %v, want AuthFailed", code)
	}
}

func TestIdentitiesAreASet(t *testing.T) {
	r := mustNew(t, Config{SuperDigest: secretID})
	one := client(t, r, bob, "super:secret")
	if two := client(t, r, bob, "super:secret", bob, "super:secret"); !slices.Equal(spelled(one), spelled(two)) {
		t.Errorf("said twice: %q, want %q", spelled(two), spelled(one))
	}
}

func TestIdentitiesOfOneConnectionDoNotShowInAnother(t *testing.T) {
	r := mustNew(t, Config{})
	first := client(t, r, "a:1", "a:2") // three identities: append has made room for a fourth
	left, _ := r.Authenticate(first, []byte("digest"), []byte("b:2"))
	right, _ := r.Authenticate(first, []byte("digest"), []byte("c:3"))
	if got := spelled(left)[3]; !strings.HasPrefix(got, "digest|b:") {
		t.Errorf("the left one has become %q", got)
	}
	if got := spelled(right)[3]; !strings.HasPrefix(got, "digest|c:") {
		t.Errorf("the right one is %q", got)
	}
}

func TestIdentitiesAreBounded(t *testing.T) {
	r := mustNew(t, Config{})
	ids, code := r.Connect(local), wire.OK
	n := 0
	for ; code == wire.OK && n < 1000; n++ {
		ids, code = r.Authenticate(ids, []byte("digest"), fmt.Appendf(nil, "user%d:pw", n))
	}
	if n != maxIdentities {
		t.Errorf("identity %d was refused first, want %d", n, maxIdentities)
	}
	if _, code := r.Authenticate(r.Connect(local), []byte("digest"), make([]byte, maxIdentityBytes)); code != wire.AuthFailed {
		t.Errorf("a user of %d bytes: got %v, want AuthFailed", maxIdentityBytes, code)
	}
}

func TestMay(t *testing.T) {
	super := Config{SuperDigest: secretID}
	const r1, w2, all = wire.PermRead, wire.PermWrite, wire.PermAll
	for _, c := range []struct {
		name  string
		conf  Config
		users []string
		from  string
		acl   wire.ACLVec
		need  int32
		want  bool
	}{
		{name: "a null list lets everybody", acl: nil, need: all, want: true},
		{name: "an encoded null list lets everybody", acl: wire.ACLVec{0xff, 0xff, 0xff, 0xff}, need: all, want: true},
		{name: "a list of negative length is empty and lets everybody (fact 25)", acl: wire.ACLVec{0xff, 0xff, 0xff, 0xfb}, need: all, want: true},
		{name: "an empty list lets everybody", acl: list(), need: all, want: true},
		{name: "world lets everybody do what it says", acl: list("1:world:anyone"), need: r1, want: true},
		{name: "world lets nobody do what it does not say", acl: list("1:world:anyone"), need: w2},
		{name: "permission 0 grants nothing (fact 55)", acl: list("0:world:anyone"), need: r1},
		{name: "unknown permission bits do no harm (fact 55)", acl: list("2147483647:world:anyone"), need: w2, want: true},
		{name: "of several bits one suffices", acl: list("1:world:anyone"), need: r1 | wire.PermAdmin, want: true},
		{name: "an id of world that is not anyone matches nobody", acl: list("31:world:someone"), need: r1},
		{name: "who knows the password matches", users: []string{bob}, acl: list("31:digest:" + bobID), need: r1, want: true},
		{name: "who has not said so does not match", acl: list("31:digest:" + bobID), need: r1},
		{name: "the user alone does not match", users: []string{"bob:no"}, acl: list("31:digest:" + bobID), need: r1},
		{name: "a longer id does not match", users: []string{bob}, acl: list("31:digest:" + bobID + ":"), need: r1},
		{name: "an identity matches in its own scheme only", users: []string{bob}, acl: list("31:sasl:"+bobID, "31:ip:"+bobID), need: r1},
		{name: "the second entry may match", users: []string{bob}, acl: list("2:digest:"+bobID, "1:world:anyone"), need: r1, want: true},
		{name: "the second identity may match", users: []string{"eve:x", bob}, acl: list("31:digest:" + bobID), need: r1, want: true},
		{name: "an entry without the bit is passed over", users: []string{bob}, acl: list("1:digest:" + bobID), need: w2},
		{name: "super may do everything", conf: super, users: []string{"super:secret"}, acl: list("0:world:anyone"), need: all, want: true},
		{name: "without a superDigest super:secret is nobody special", users: []string{"super:secret"}, acl: list("0:world:anyone"), need: r1},
		{name: "skipACL=yes lets everybody", conf: Config{SkipACL: "yes"}, acl: list("0:world:anyone"), need: all, want: true},
		{name: "skipACL=true is not yes", conf: Config{SkipACL: "true"}, acl: list("0:world:anyone"), need: r1},
		{name: "skipACL=YES is not yes", conf: Config{SkipACL: "YES"}, acl: list("0:world:anyone"), need: r1},
		{name: "a stored entry of a scheme without provider matches nobody", users: []string{bob}, acl: list("31:sasl:bob", "31:x509:CN=bob", "31:auth:", "31:super:"), need: r1},
		{name: "a digest entry matches nobody while digest is off", conf: Config{DigestDisabled: true}, acl: list("31:digest:" + bobID), need: r1},
		{name: "the address matches", from: "10.1.2.3", acl: list("31:ip:10.1.2.3"), need: r1, want: true},
		{name: "an address in the network matches", from: "10.1.2.3", acl: list("31:ip:10.0.0.0/8"), need: r1, want: true},
		{name: "an address outside does not", from: "11.1.2.3", acl: list("31:ip:10.0.0.0/8"), need: r1},
		{name: "a malformed network matches nobody", from: "10.1.2.3", acl: list("31:ip:10.1.2.3/"), need: r1},
		{name: "an address of the other family does not match /0", from: "::1", acl: list("31:ip:0.0.0.0/0"), need: r1},
		{name: "a v4 address that came over v6 is a v4 address", from: "::ffff:10.1.2.3", acl: list("31:ip:10.1.2.3"), need: r1, want: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := mustNew(t, c.conf)
			ids := client(t, r, c.users...)
			if c.from != "" {
				ids = r.Connect(netip.MustParseAddr(c.from))
			}
			if got := ids.May(c.acl, c.need); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestWhoAmI(t *testing.T) {
	r := mustNew(t, Config{SuperDigest: secretID})
	ids := client(t, r, bob, "super:secret", "nocolon", ":pw")
	in := wire.NewReader(r.AppendWhoAmI(nil, ids))
	var got []string
	for range in.Int() {
		scheme, user := in.String(), in.String()
		if user == nil {
			t.Errorf("the user of scheme %s is null", scheme)
		}
		got = append(got, string(scheme)+" "+string(user))
	}
	if in.Err() != nil || in.Len() != 0 {
		t.Fatalf("malformed: %v, %d bytes left", in.Err(), in.Len())
	}
	want := []string{"digest ", "digest nocolon", "digest super", "super ", "digest bob", "ip 127.0.0.1"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEnforcedAuthentication(t *testing.T) { // fact 111
	for _, c := range []struct {
		name  string
		conf  Config
		users []string
		want  bool
	}{
		{"nothing is enforced by default", Config{}, nil, true},
		{"schemes without enforcement enforce nothing", Config{EnforceAuthSchemes: []string{"digest"}}, nil, true},
		{"who has not authenticated is not admitted", Config{EnforceAuth: true, EnforceAuthSchemes: []string{"digest"}}, nil, false},
		{"who has is", Config{EnforceAuth: true, EnforceAuthSchemes: []string{"digest"}}, []string{bob}, true},
		{"every connection has the scheme ip", Config{EnforceAuth: true, EnforceAuthSchemes: []string{" ip"}}, nil, true},
		{"one of the schemes suffices", Config{EnforceAuth: true, EnforceAuthSchemes: []string{"digest", "ip"}}, nil, true},
	} {
		r := mustNew(t, c.conf)
		if got := r.Admitted(client(t, r, c.users...)); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		conf Config
		want string
	}{
		{"an unknown algorithm", Config{DigestAlgorithm: "SHA-0"}, `"SHA-0"`},
		{"enforcement without schemes", Config{EnforceAuth: true}, "needs enforce.auth.schemes"},
		{"an enforced scheme without provider", Config{EnforceAuth: true, EnforceAuthSchemes: []string{"digest", "x509"}}, `"x509"`},
		{"an enforced scheme that is switched off", Config{DigestDisabled: true, EnforceAuth: true, EnforceAuthSchemes: []string{"digest"}}, `"digest"`},
		{"required SASL without SASL", Config{RequireSASL: true}, `"sasl"`},
		{"everything that is wrong at once", Config{DigestAlgorithm: "x", RequireSASL: true}, "\n"},
	} {
		if _, err := New(c.conf); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
	mustNew(t, Config{DigestDisabled: true, DigestAlgorithm: "not looked at"})
}

func TestMayAllocatesNothing(t *testing.T) {
	r := mustNew(t, Config{})
	ids := client(t, r, "a:1", bob)
	for _, acl := range []wire.ACLVec{
		wire.OpenACL,
		list("31:digest:" + bobID),
		list("31:ip:10.0.0.0/8", "31:ip:2001:db8::/32", "31:sasl:"+strings.Repeat("x", 100), "1:digest:a:b", "31:"+strings.Repeat("y", 100)+":z"),
	} {
		if n := testing.AllocsPerRun(1000, func() { ids.May(acl, wire.PermRead) }); n != 0 {
			t.Errorf("%q: %v allocations, want 0", text(acl), n)
		}
	}
}

func BenchmarkMay(b *testing.B) {
	ids := client(b, mustNew(b, Config{}), bob)
	for _, c := range []struct {
		name string
		acl  wire.ACLVec
	}{
		{"world", wire.OpenACL}, {"digest", list("31:digest:" + bobID)}, {"ip", list("31:ip:127.0.0.0/8")},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ids.May(c.acl, wire.PermRead)
			}
		})
	}
}
