package auth

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Answers of Apache's IPAuthenticationProvider.isValid of 3.8 (v4), and of the rules of 3.9.4 and later (v6).
var networks = map[string]bool{
	"1.2.3.4": true, "01.02.03.004": true, "+1.2.3.4": true, "-0.2.3.4": true, "00000000000000000001.2.3.4": true,
	"1.2.3.4/8": true, "1.2.3.4/+8": true, "1.2.3.4/-0": true, "1.2.3.4/08": true, "1.2.3.4/0": true, "1.2.3.4/32": true,
	"-1.2.3.4": false, "1.2.3": false, " 1.2.3.4": false, "1.2.3.4 ": false, "1.2.3.256": false, "1.2.3.4/": false,
	"1.2.3.4/8/9": false, "1.2.3.4/-1": false, "1.2.3.4/33": false, "1..3.4": false, "1.2.3.4.": false, "": false, "/": false, "/8": false,
	"4294967297.2.3.4": false, "18446744073709551617.2.3.4": false, "2147483648.1.1.1": false, "-.1.1.1": false, "+.1.1.1": false, "1.2.3.4/ 8": false, "1.2.3.4.5": false,

	"::1": true, "::": true, "1::": true, "1:2:3:4:5:6:7:8": true, "1:2:3:4:5:6:7::": true, "::2:3:4:5:6:7:8": true, "1::8": true,
	"ABCD::abcd": true, "::1/128": true, "::1/0": true, "0001::": true,
	"::1/129": false, "::1/": false, "1:2:3:4:5:6:7": false, "1:2:3:4:5:6:7:8:9": false, "1:2:3:4::5:6:7:8": false, "1::2::3": false, ":::1": false,
	":1": false, "1:": false, "1:::": false, "12345::": false, "g::": false, "::1.2.3.4": false, "fe80::1%eth0": false, "::1 ": false, ":": false, "+1::": false,
}

func TestNetworksAreReadByJavasRules(t *testing.T) {
	for id, want := range networks {
		if _, got := parseNetwork([]byte(id)); got != want {
			t.Errorf("%q: got %v, want %v", id, got, want)
		}
	}
}

func TestNetworksMatch(t *testing.T) {
	for _, c := range []struct {
		addr, net string
		want      bool
	}{
		{"10.1.2.3", "10.1.2.3", true},
		{"10.1.2.3", "10.0.0.0/8", true},
		{"10.1.2.3", "10.1.2.0/24", true},
		{"10.1.2.3", "10.1.3.0/23", true}, // the bits behind the mask do not count
		{"10.1.2.3", "10.1.4.0/22", false},
		{"10.1.2.3", "0.0.0.0/0", true},
		{"10.1.2.3", "10.1.2.2/31", true},
		{"10.1.2.3", "10.1.2.2/32", false},
		{"10.1.2.3", "010.01.02.03", true},
		{"::1", "0.0.0.0/0", false},
		{"10.1.2.3", "::/0", false},
		{"2001:db8::1", "::/0", true},
		{"2001:db8::1", "2001:db8::/32", true},
		{"2001:db9::1", "2001:db8::/32", false},
		{"2001:db9::1", "2001:db8::/31", true},
		{"2001:db8::1", "2001:0db8:0:0:0:0:0:1", true},
		{"fe80::1%eth0", "fe80::1", false}, // Java cannot read back what it has spelled
		{"::ffff:10.1.2.3", "10.1.2.3", true},
		{"::ffff:10.1.2.3", "0:0:0:0:0:ffff:0a01:0203", false},
	} {
		net, ok := parseNetwork([]byte(c.net))
		if !ok {
			t.Fatalf("%q is no network", c.net)
		}
		if got := net.contains(netip.MustParseAddr(c.addr).Unmap()); got != c.want {
			t.Errorf("%s in %s: got %v, want %v", c.addr, c.net, got, c.want)
		}
	}
}

// naiveNetwork reads a network with strings, as Java does. Of digits, it knows those that we do.
func naiveNetwork(id string) (addr []byte, bits int, ok bool) {
	parts := strings.SplitN(id, "/", 2)
	addr = naiveAddr(parts[0])
	if addr == nil {
		return nil, 0, false
	}
	bits = len(addr) * 8
	if len(parts) == 2 {
		n, err := strconv.ParseInt(parts[1], 10, 32)
		if err != nil || n < 0 || int(n) > bits {
			return nil, 0, false
		}
		bits = int(n)
	}
	return addr, bits, true
}

func naiveAddr(s string) []byte {
	if parts := strings.Split(s, "."); len(parts) == 4 {
		b := make([]byte, 4)
		for i, p := range parts {
			v, err := strconv.ParseInt(p, 10, 32)
			if err != nil || v < 0 || v > 255 {
				return nil
			}
			b[i] = byte(v)
		}
		return b
	}
	halves := strings.Split(s, "::")
	if len(halves) > 2 {
		return nil
	}
	var groups [][]uint64
	n := 0
	for _, h := range halves {
		var g []uint64
		if h != "" || len(halves) == 1 {
			for _, p := range strings.Split(h, ":") {
				v, err := strconv.ParseUint(p, 16, 16)
				if err != nil || len(p) > 4 {
					return nil
				}
				g = append(g, v)
			}
		}
		groups = append(groups, g)
		n += len(g)
	}
	if len(halves) == 1 && n != 8 || len(halves) == 2 && n > 7 {
		return nil
	}
	all := groups[0]
	if len(halves) == 2 {
		all = append(all, make([]uint64, 8-n)...)
		all = append(all, groups[1]...)
	}
	b := make([]byte, 0, 16)
	for _, v := range all {
		b = append(b, byte(v>>8), byte(v))
	}
	return b
}

func naiveIPMatch(id, acl string) bool {
	net, bits, ok := naiveNetwork(acl)
	addr := naiveAddr(id)
	if !ok || len(addr) != len(net) {
		return false
	}
	for i := range bits {
		if (addr[i/8]^net[i/8])>>(7-i%8)&1 != 0 {
			return false
		}
	}
	return true
}

func FuzzNetwork(f *testing.F) {
	for id := range networks {
		f.Add([]byte(id))
	}
	f.Fuzz(func(t *testing.T, id []byte) {
		if strings.ContainsRune(string(id), '_') {
			return // Go's parser of integers, which the twin uses, knows them
		}
		net, got := parseNetwork(id)
		addr, bits, want := naiveNetwork(string(id))
		if got != want {
			t.Fatalf("%q: got %v, want %v", id, got, want)
		}
		if got && (net.n != len(addr) || string(net.addr[:net.n]) != string(addr) || net.bits != bits) {
			t.Errorf("%q: got %v/%d, want %v/%d", id, net.addr[:net.n], net.bits, addr, bits)
		}
	})
}

func TestMatchingAgreesWithANaiveReading(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		addr := func(label string) netip.Addr {
			if rapid.Bool().Draw(t, label+" is v6") {
				b := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0xff}), 16, 16).Draw(t, label)
				return netip.AddrFrom16([16]byte(b)).Unmap()
			}
			b := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 10, 128, 255}), 4, 4).Draw(t, label)
			return netip.AddrFrom4([4]byte(b))
		}
		client, in := addr("client"), addr("network")
		bits := rapid.IntRange(0, in.BitLen()).Draw(t, "bits")
		id := in.String() + "/" + strconv.Itoa(bits)
		if in.Is6() && rapid.Bool().Draw(t, "spelled out") {
			id = string(appendJavaAddr(nil, in)) + "/" + strconv.Itoa(bits)
		}
		net, ok := parseNetwork([]byte(id))
		if !ok {
			t.Fatalf("%q is no network", id)
		}
		got := net.contains(client)
		if want := naiveIPMatch(string(appendJavaAddr(nil, client)), id); got != want {
			t.Fatalf("%s in %s: got %v, want %v", client, id, got, want)
		}
		if want := netip.PrefixFrom(in, bits).Contains(client); got != want {
			t.Fatalf("%s in %s: got %v, netip says %v", client, id, got, want)
		}
	})
}
