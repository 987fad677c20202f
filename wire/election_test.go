package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
)

// addrs shows the addresses of a greeting.
func addrs(v AddrVec) []string {
	var all []string
	for it := v.Iter(); it.Next(); {
		one := fmt.Sprintf("%s %d", it.Host(), it.Port())
		if it.Wildcard() {
			one += " wildcard"
		}
		all = append(all, one)
	}
	return all
}

func TestCapturedGreetings(t *testing.T) {
	for _, c := range []struct {
		name, hex string
		version   int64
		server    int64
		addrs     []string
		behind    int
	}{
		{
			"V1", "ffffffffffff0000 0000000000000002 0000000f 3132372e302e302e313a3233333832",
			GreetingV1, 2, []string{"127.0.0.1 23382"}, 0,
		},
		{
			"V2, and the first packet of SASL behind it",
			`ffffffffffff0001 0000000000000003 0000001f
				3132372e302e302e313a32333338337c3132372e302e302e323a3233333835 5f2435013501edcc 00000000 00000000`,
			GreetingV2, 3, []string{"127.0.0.1 23383", "127.0.0.2 23385"}, 16,
		},
		{"before 3.5, and a frame behind it", "0000000000000007 00000028", GreetingLegacy, 7, nil, 4},
		{"before 3.5, an observer without id", "7fffffffffffffff", GreetingLegacy, ObserverWithoutID, nil, 0},
		{"before 3.5, server 0", "0000000000000000", GreetingLegacy, 0, nil, 0},
	} {
		raw := fromHex(t, c.hex)
		g, n, err := NextGreeting(raw)
		if err != nil || n != len(raw)-c.behind {
			t.Errorf("%s: %d bytes, %v; want %d", c.name, n, err, len(raw)-c.behind)
			continue
		}
		if g.Version != c.version || g.ServerID != c.server || !reflect.DeepEqual(addrs(g.Addrs), c.addrs) {
			t.Errorf("%s: %+v %q, want %d of %d at %q", c.name, g, addrs(g.Addrs), c.version, c.server, c.addrs)
		}
		if wrote := g.Append(nil); !bytes.Equal(wrote, raw[:n]) {
			t.Errorf("%s: wrote\n%x, want\n%x", c.name, wrote, raw[:n])
		}
		for cut := range n {
			if _, n, err := NextGreeting(raw[:cut]); n != 0 || err != nil {
				t.Errorf("%s, after %d bytes: %d, %v", c.name, cut, n, err)
			}
		}
	}
}

func TestGreetingsThatAreNone(t *testing.T) {
	const v1, id = "ffffffffffff0000", "0000000000000002"
	for _, c := range []struct {
		name, hex string
		refused   bool
	}{
		{"an unknown version", "ffffffffffff0002", true},
		{"the version below the first", "fffffffffffeffff", true},
		{"-1 is no server id", "ffffffffffffffff", true},
		{"no address", v1 + id + "00000000", true},
		{"a null address", v1 + id + "ffffffff", true},
		{"the longest addresses", v1 + id + "00000800", false},
		{"longer addresses", v1 + id + "00000801", true},
	} {
		raw := fromHex(t, c.hex)
		g, n, err := NextGreeting(raw)
		if c.refused != errors.Is(err, ErrGreeting) || n != 0 || !reflect.DeepEqual(g, Greeting{}) {
			t.Errorf("%s: %d bytes, %v, %+v", c.name, n, err, g)
		}
		for cut := range raw {
			if _, n, err := NextGreeting(raw[:cut]); n != 0 || err != nil {
				t.Errorf("%s, after %d bytes of %d: %d, %v", c.name, cut, len(raw), n, err)
			}
		}
	}
}

func TestAddressesOfGreetings(t *testing.T) {
	for _, c := range []struct {
		text string
		want string // "" is refused
	}{
		{"zk1.example.com:3888", "zk1.example.com 3888"},
		{"a:0", "a 0"},
		{"a:65535", "a 65535"},
		{"[::1]:3888", "::1 3888"},
		{"[fe80::1%eth0]:3888", "fe80::1%eth0 3888"},
		{"[a]:1", "a 1"},
		{"a:1|[::1]:2|b:3", "a 1, ::1 2, b 3"},
		{"0.0.0.0:3888", "0.0.0.0 3888 wildcard"},
		{"[::]:3888|a:1", ":: 3888 wildcard, a 1"},
		{"[0:0:0:0:0:0:0:0]:3888", "0:0:0:0:0:0:0:0 3888 wildcard"},
		{"0.0.0.10:1", "0.0.0.10 1"},
		{"a", ""},
		{":3888", ""},
		{"a:", ""},
		{"a:65536", ""},
		{"a:655350", ""},
		{"a:+1", ""},
		{"a:-1", ""},
		{"a: 1", ""},
		{"a:1 ", ""},
		{"a:b", ""},
		{"::1:3888", ""}, // without brackets: what of it is the port?
		{"a:1:2", ""},
		{"[]:1", ""},
		{"[::1:1", ""},
		{"[::1]]:1", ""},
		{"[::1]", ""},
		{"[::1]1", ""},
		{"[::1]x:1", ""},
		{"|", ""},
		{"a:1|", ""},
		{"|a:1", ""},
		{"a:1||b:1", ""},
		{"a:1|b", ""},
	} {
		g := Greeting{GreetingV2, 1, AddrVec(c.text)}
		raw := g.Append(nil)
		got, n, err := NextGreeting(raw)
		if c.want == "" {
			if !errors.Is(err, ErrGreeting) || n != 0 {
				t.Errorf("%q: %d bytes, %v, %q; want it refused", c.text, n, err, addrs(got.Addrs))
			}
			continue
		}
		if walked := strings.Join(addrs(got.Addrs), ", "); err != nil || n != len(raw) || walked != c.want {
			t.Errorf("%q: %d bytes of %d, %v; %q, want %q", c.text, n, len(raw), err, walked, c.want)
		}
	}
}

func TestAppendAddr(t *testing.T) {
	var v AddrVec
	for _, c := range []struct {
		host string
		port uint16
		want string
	}{
		{"zk1", 3888, "zk1:3888"}, {"::1", 0, "zk1:3888|[::1]:0"},
		{"127.0.0.1", math.MaxUint16, "zk1:3888|[::1]:0|127.0.0.1:65535"},
	} {
		if v = AppendAddr(v, c.host, c.port); string(v) != c.want {
			t.Errorf("%q, want %q", v, c.want)
		}
	}
}

func TestFramesOfTheElectionPort(t *testing.T) {
	for _, c := range []struct {
		length  int32
		refused bool
	}{
		{1, false}, {286, false}, {MaxMessage, false},
		{0, true}, {-1, true}, {MaxMessage + 1, true}, {math.MinInt32, true}, {math.MaxInt32, true},
	} {
		got, n, err := NextMessage(AppendInt(nil, c.length))
		if c.refused != errors.Is(err, ErrMessageLength) || n != 0 || got != nil {
			t.Errorf("a frame of %d bytes, in front of them: %d, %v", c.length, n, err)
		}
		if c.refused {
			continue
		}
		whole := append(AppendInt(nil, c.length), bytes.Repeat([]byte{7}, int(c.length))...)
		for _, cut := range []int{0, 1, 3, 4, len(whole) - 1} {
			if _, n, err := NextMessage(whole[:cut]); n != 0 || err != nil {
				t.Errorf("%d bytes of a frame of %d: %d, %v", cut, c.length, n, err)
			}
		}
		got, n, err = NextMessage(append(whole, "next"...))
		if err != nil || n != len(whole) || !bytes.Equal(got, whole[4:]) || cap(got) != len(got) {
			t.Errorf("a frame of %d bytes: %d bytes, %v", c.length, n, err)
		}
	}
	if MaxMessage != 524288 {
		t.Errorf("at most %d bytes, want 524288", MaxMessage)
	}
}

func TestCapturedNotifications(t *testing.T) {
	for _, c := range []struct {
		name, hex string
		want      Notification
	}{
		{
			"a server that looks",
			"00000000 0000000000000002 0000000000000000 0000000000000001 0000000000000000 00000002 000000f2",
			Notification{0, 2, 0, 1, 0, 2, config},
		},
		{
			"an observer that looks",
			"00000000 8000000000000000 8000000000000000 0000000000000001 8000000000000000 00000002 000000f2",
			Notification{0, math.MinInt64, math.MinInt64, 1, math.MinInt64, 2, config},
		},
		{
			"the leader's answer",
			"00000002 0000000000000002 0000000000000000 0000000000000001 0000000000000001 00000002 000000f2",
			Notification{2, 2, 0, 1, 1, 2, config},
		},
	} {
		frame := append(fromHex(t, "0000011e"+c.hex), config...)
		payload, n, err := NextMessage(frame)
		if err != nil || n != len(frame) {
			t.Fatalf("%s: %d bytes of %d, %v", c.name, n, len(frame), err)
		}
		var got Notification
		r := NewReader(payload)
		if err := got.Decode(&r); err != nil || !reflect.DeepEqual(got, c.want) || r.Len() != 0 {
			t.Errorf("%s: %+v, %v, want %+v; %d bytes left", c.name, got, err, c.want, r.Len())
		}
		wrote, mark := BeginFrame(nil)
		if wrote = EndFrame(c.want.Append(wrote), mark); !bytes.Equal(wrote, frame) {
			t.Errorf("%s: wrote\n%x, want\n%x", c.name, wrote, frame)
		}
	}
}

func TestNotificationsAreReadByTheirLength(t *testing.T) {
	vote := "00000001 0000000000000003 0000000200000007 0000000000000009"
	old := Notification{State: 1, Leader: 3, Zxid: 0x200000007, Round: 9, PeerEpoch: 2}
	epoch := func(version int32, config []byte) Notification {
		n := old
		n.PeerEpoch, n.Version, n.Config = 5, version, config
		return n
	}
	const five = "0000000000000005"
	for _, c := range []struct {
		name, hex string
		want      Notification
		dropped   bool
	}{
		{"27 bytes", vote[:len(vote)-2], Notification{}, true},
		{"28 bytes: the epoch is the zxid's", vote, old, false},
		{"29 bytes", vote + "00", Notification{}, true},
		{"35 bytes", vote + five[2:], Notification{}, true},
		{"36 bytes: Java drops them too", vote + five, Notification{}, true},
		{"39 bytes", vote + five + "000000", Notification{}, true},
		{"40 bytes: a version that nobody reads", vote + five + "00000001", epoch(0, nil), false},
		{"40 bytes of version 2", vote + five + "00000002", epoch(0, nil), false},
		{"41 bytes of version 1", vote + five + "00000001 00", epoch(1, nil), false},
		{"43 bytes of version 2", vote + five + "00000002 000000", Notification{}, true},
		{"44 bytes of version 1: no config", vote + five + "00000001 7fffffff", epoch(1, nil), false},
		{"44 bytes of a negative version", vote + five + "80000000 00000000", epoch(math.MinInt32, nil), false},
		{"44 bytes of version 2: an empty config", vote + five + "00000002 00000000", epoch(2, []byte{}), false},
		{"a config", vote + five + "00000002 00000002 6869", epoch(2, []byte("hi")), false},
		{"a version to come", vote + five + "00000003 00000002 6869 99", epoch(3, []byte("hi")), false},
		{"a config that is null", vote + five + "00000002 ffffffff", Notification{}, true},
		{"a config of a negative length", vote + five + "00000002 fffffffe 6869", Notification{}, true},
		{"a config longer than the message", vote + five + "00000002 00000003 6869", Notification{}, true},
		{"a config of the greatest length", vote + five + "00000002 7fffffff 6869", Notification{}, true},
		{"nothing", "", Notification{}, true},
	} {
		got := Notification{Leader: 99, Version: 99, Config: []byte("of the last one")}
		r := NewReader(fromHex(t, c.hex))
		err := got.Decode(&r)
		if (err != nil) != c.dropped {
			t.Errorf("%s: %v", c.name, err)
		}
		if !c.dropped && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestTheEpochOfAnOldObserversVoteIsNegative(t *testing.T) {
	vote := Notification{Leader: math.MinInt64, Zxid: math.MinInt64, Round: 1}
	var got Notification
	r := NewReader(vote.Append(nil)[:notification34Bytes])
	if err := got.Decode(&r); err != nil || got.PeerEpoch != math.MinInt32 {
		t.Errorf("%d, %v; want %d, as Java shifts it", got.PeerEpoch, err, math.MinInt32)
	}
}

func TestTheElectionPortCostsNoAllocation(t *testing.T) {
	greeting := Greeting{GreetingV2, 3, AppendAddr(AppendAddr(nil, "zk1", 3888), "::1", 3888)}
	vote := Notification{0, 3, 0x200000007, 9, 2, NotificationVersion, config}
	var in Notification
	buf := make([]byte, 0, 4096)
	var sum int
	r := new(Reader)
	if n := testing.AllocsPerRun(100, func() {
		buf = greeting.Append(buf[:0])
		g, n, err := NextGreeting(buf)
		if err != nil || n != len(buf) {
			t.Fatal(n, err)
		}
		for it := g.Addrs.Iter(); it.Next(); {
			if !it.Wildcard() {
				sum += len(it.Host())
			}
		}
		var mark int
		buf, mark = BeginFrame(buf[:0])
		buf = EndFrame(vote.Append(buf), mark)
		payload, _, err := NextMessage(buf)
		if err != nil {
			t.Fatal(err)
		}
		*r = NewReader(payload)
		if err := in.Decode(r); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
