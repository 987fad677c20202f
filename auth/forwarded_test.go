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
