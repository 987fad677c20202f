package auth

import (
	"net/netip"
	"testing"

	"paddock/wire"
)

func TestIdentitiesTravelBetweenServers(t *testing.T) {
	r, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	here, code := r.Authenticate(r.Connect(netip.MustParseAddr("10.1.2.3")), []byte("digest"), []byte("joe:secret"))
	if code != wire.OK {
		t.Fatal(code)
	}
	there := r.Forwarded(here.AppendAuth(nil))
	digest := here.All()[1].ID
	for _, tt := range []struct {
		name, scheme, id string
		want             bool
	}{
		{"everybody", "world", "anyone", true},
		{"its digest", "digest", digest, true},
		{"another digest", "digest", "joe:AAAA", false},
		{"its network", "ip", "10.1.0.0/16", true},
		{"another network", "ip", "10.2.0.0/16", false},
	} {
		acl := wire.ACLVec(wire.AppendACL([]byte{0, 0, 0, 1}, wire.ACL{Perms: wire.PermRead, Scheme: []byte(tt.scheme), ID: []byte(tt.id)}))
		if got := there.May(acl, wire.PermRead); got != tt.want || here.May(acl, wire.PermRead) != tt.want {
			t.Errorf("%s: there %v, here %v, want %v", tt.name, got, here.May(acl, wire.PermRead), tt.want)
		}
	}
	if !r.Forwarded(wire.BuildAuth(wire.AuthID{Scheme: []byte("super")})).super {
		t.Error("a super user is none behind a follower")
	}
	if ids := r.Forwarded(nil); len(ids.All()) != 0 {
		t.Errorf("nobody is %v", ids.All())
	}
	buf := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() { here.AppendAuth(buf) }); n != 0 {
		t.Errorf("%v allocations to encode them", n)
	}
}

// What a Java server has put together leaves us as it came: order and spelling, schemes that are
// not ours too, null apart from empty.
func TestForwardedIdentitiesKeepTheirText(t *testing.T) {
	pair := func(scheme, id string) wire.AuthID { return wire.AuthID{Scheme: []byte(scheme), ID: []byte(id)} }
	for name, v := range map[string]wire.AuthVec{
		"an address":             wire.BuildAuth(pair("ip", "127.0.0.1")),
		"an address of Java's":   wire.BuildAuth(pair("ip", "0:0:0:0:0:0:0:1")),
		"an address with a zone": wire.BuildAuth(pair("ip", "fe80:0:0:0:1:2:3:4%eth0")),
		"all there is": wire.BuildAuth(pair("super", ""), pair("digest", "super:hash"), pair("sasl", "joe@REALM"),
			pair("x509", "CN=joe"), pair("digest", "jo\u00eb:hash="), pair("ip", "10.0.0.1")),
		"no id":    wire.BuildAuth(wire.AuthID{Scheme: []byte("sasl")}),
		"an empty": wire.BuildAuth(pair("sasl", "")),
		"nobody":   wire.BuildAuth(),
	} {
		r := mustNew(t, Config{})
		if got := r.Forwarded(v).AppendAuth(nil); string(got) != string(v) {
			t.Errorf("%s: got %q, want %q", name, got, v)
		}
	}
}

// A user that becomes the super user here is it there: Java has an empty id for it, and no null.
func TestASuperUserIsForwardedAsJavaDoes(t *testing.T) {
	r := mustNew(t, Config{SuperDigest: string(mustNew(t, Config{}).digest.id([]byte("super:secret")))})
	ids := client(t, r, "super:secret")
	v := wire.AuthVec(ids.AppendAuth(nil))
	found := false
	for it := v.Iter(); it.Next(); {
		if one := it.AuthID(); string(one.Scheme) == "super" {
			found = one.ID != nil && len(one.ID) == 0
		}
	}
	if !found {
		t.Errorf("got %q", v)
	}
}
