package wire

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// config stands for the text of a config; its length is that of the captured ones.
var config = []byte(strings.Repeat("server.1=127.0.0.1:2888:3888:participant;0.0.0.0:2181\n", 5)[:242])

const maxData = 2097150 // jute.maxbuffer and its extra size, by default

// packetCapture is a packet that Java servers exchanged, and what it says.
type packetCapture struct {
	name string
	hex  string
	want Packet
	data record // what Data is, if it is a record
}

// captured are packets between ZooKeeper 3.8.0 servers. Two texts, which the captures leave out,
// are filled in with others of their length.
func captured(t testing.TB) []packetCapture {
	createBody := `00000002 2f61 00000005 68656c6c6f
		00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65`
	createTxn := `0100000faf270000 00000001 0000000100000002 000001a20570a209 00000001` + createBody +
		`00 00000001 00000002 00000001e6866c1d`
	reconfig := "server.4=127.0.0.1:23399:23400:participant;127.0.0.1:23401"
	x := func(s string) []byte { return fromHex(t, s) }
	epoch1 := Zxid(1 << 32)
	info := &LearnerInfo{1, ProtocolVersion, 0, 3}
	join := &ReconfigRequest{JoiningServers: []byte(reconfig), CurConfigID: -1}
	return []packetCapture{
		{
			"FOLLOWERINFO", "0000000b 0000000000000000 00000014 0000000000000001 00010000 0000000000000000 ffffffff",
			Packet{Type: PacketFollowerInfo, Data: info.Append(nil)}, info,
		},
		{
			"LEADERINFO", "00000011 0000000100000000 00000004 00010000 ffffffff",
			Packet{Type: PacketLeaderInfo, Zxid: epoch1, Data: x("00010000")}, &LeaderInfo{ProtocolVersion},
		},
		{
			"ACKEPOCH", "00000012 0000000000000000 00000004 00000000 ffffffff",
			Packet{Type: PacketAckEpoch, Data: x("00000000")}, &AckEpoch{0},
		},
		{
			"DIFF", "0000000d 0000000000000000 ffffffff ffffffff",
			Packet{Type: PacketDiff}, nil,
		},
		{
			"NEWLEADER", "0000000a 0000000100000000 000000f2" + hexOf(config) + "ffffffff",
			Packet{Type: PacketNewLeader, Zxid: epoch1, Data: config}, nil,
		},
		{
			"ACK of NEWLEADER", "00000003 0000000100000000 ffffffff ffffffff",
			Packet{Type: PacketAck, Zxid: epoch1}, nil,
		},
		{
			"UPTODATE", "0000000c ffffffffffffffff ffffffff ffffffff",
			Packet{Type: PacketUpToDate, Zxid: -1}, nil,
		},
		{
			"ACKEPOCH when the epoch is accepted already", "00000012 000000010000000f 00000004 ffffffff ffffffff",
			Packet{Type: PacketAckEpoch, Zxid: epoch1 + 15, Data: x("ffffffff")}, &AckEpoch{-1},
		},
		{
			"REQUEST to create",
			"00000001 ffffffffffffffff 0000003e 0100000faf270000 00000001 00000001" + createBody + `00000000
				00000001 00000002 6970 00000009 3132372e302e302e31`,
			Packet{
				Type: PacketRequest, Zxid: -1, Data: x("0100000faf270000 00000001 00000001" + createBody + "00000000"),
				AuthInfo: BuildAuth(AuthID{[]byte("ip"), []byte("127.0.0.1")}),
			},
			&ForwardedRequest{
				0x0100000faf270000, 1, OpCreate,
				(&CreateRequest{[]byte("/a"), []byte("hello"), OpenACL, 0}).Append(nil),
			},
		},
		{
			"REQUEST to reconfig, of a client without identity",
			"00000001 ffffffffffffffff 0000005e 0100000faf270000 00000002 00000010 0000003a" + hexOf([]byte(reconfig)) +
				"ffffffff ffffffff ffffffffffffffff 00000000",
			Packet{
				Type: PacketRequest, Zxid: -1, Data: join.Append(x("0100000faf270000 00000002 00000010")),
				AuthInfo: BuildAuth(),
			},
			&ForwardedRequest{0x0100000faf270000, 2, OpReconfig, join.Append(nil)},
		},
		{
			"PROPOSAL", "00000002 0000000100000002 0000005b" + createTxn + "ffffffff",
			Packet{Type: PacketProposal, Zxid: epoch1 + 2, Data: x(createTxn)}, nil,
		},
		{
			"ACK", "00000003 0000000100000002 ffffffff ffffffff",
			Packet{Type: PacketAck, Zxid: epoch1 + 2}, nil,
		},
		{
			"COMMIT", "00000004 0000000100000002 ffffffff ffffffff",
			Packet{Type: PacketCommit, Zxid: epoch1 + 2}, nil,
		},
		{
			"PING", "00000005 0000000100000000 ffffffff ffffffff",
			Packet{Type: PacketPing, Zxid: epoch1}, nil,
		},
		{
			"PING, answered with no session", "00000005 0000000100000000 00000000 ffffffff",
			Packet{Type: PacketPing, Zxid: epoch1, Data: []byte{}}, &TouchVec{},
		},
		{
			"PING, answered with two sessions",
			"00000005 000000010000000c 00000018 0100000faf270000 00001f40 0400000fd9a20000 00001f40 ffffffff",
			Packet{Type: PacketPing, Zxid: epoch1 + 12, Data: x("0100000faf270000 00001f40 0400000fd9a20000 00001f40")},
			touches(0x0100000faf270000, 8000, 0x0400000fd9a20000, 8000),
		},
		{
			"REVALIDATE", "00000006 ffffffffffffffff 0000000c 0400000fd9a20000 00001f40 ffffffff",
			Packet{Type: PacketRevalidate, Zxid: -1, Data: x("0400000fd9a20000 00001f40")},
			&RevalidateRequest{0x0400000fd9a20000, 8000},
		},
		{
			"REVALIDATE, answered", "00000006 ffffffffffffffff 00000009 0400000fd9a20000 01 ffffffff",
			Packet{Type: PacketRevalidate, Zxid: -1, Data: x("0400000fd9a20000 01")},
			&RevalidateReply{0x0400000fd9a20000, true},
		},
		{
			"SYNC", "00000007 0000000000000000 ffffffff ffffffff",
			Packet{Type: PacketSync}, nil,
		},
		{
			"COMMITANDACTIVATE", "00000009 0000000100000005 00000008 0000000000000001 ffffffff",
			Packet{Type: PacketCommitAndActivate, Zxid: epoch1 + 5, Data: x("0000000000000001")}, &CommitAndActivate{1},
		},
	}
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var s strings.Builder
	for _, c := range b {
		s.WriteByte(digits[c>>4])
		s.WriteByte(digits[c&15])
	}
	return s.String()
}

// touches is a table of sessions and their timeouts.
func touches(pairs ...int64) *TouchVec {
	v := TouchVec{}
	for i := 0; i < len(pairs); i += 2 {
		v = AppendTouch(v, pairs[i], int32(pairs[i+1]))
	}
	return &v
}

func TestCapturedPackets(t *testing.T) {
	for _, c := range captured(t) {
		raw := fromHex(t, c.hex)
		got, n, err := NextPacket(raw, maxData)
		if err != nil || n != len(raw) || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %d bytes of %d, %v\n%+v, want\n%+v", c.name, n, len(raw), err, got, c.want)
		}
		if wrote := c.want.Append(nil); !bytes.Equal(wrote, raw) {
			t.Errorf("%s: wrote\n%x, want\n%x", c.name, wrote, raw)
		}
		if (c.data == nil) == (c.want.Data != nil) && c.want.Type != PacketNewLeader && c.want.Type != PacketProposal {
			t.Errorf("%s: has data %x, and nobody reads it", c.name, c.want.Data)
		}
		if c.data == nil {
			continue
		}
		r := NewReader(got.Data)
		check(t, c.data, &r)
		if wrote := c.data.Append(nil); !bytes.Equal(wrote, c.want.Data) || r.Len() != 0 {
			t.Errorf("%s: its data is written as %x, want %x; %d bytes left", c.name, wrote, c.want.Data, r.Len())
		}
	}
}

// quorumSamples are the records of packets that no capture has, or not in every form.
func quorumSamples() []record {
	txn := transactions()["setData"]
	return []record{
		&Packet{PacketObserverInfo, -7, nil, nil},
		&Packet{PacketInform, 7, []byte{}, BuildAuth()},
		&Packet{99, 7, []byte("data"), BuildAuth(AuthID{nil, []byte{}}, AuthID{[]byte("digest"), []byte("u:hash")})},
		&LearnerInfo{-3, 0x10000, 0x100000005, 3},
		&ForwardedRequest{7, -1, OpCloseSession, []byte{}},
		&InformAndActivate{2, txn}, &InformAndActivate{2, []byte{}},
		&RevalidateReply{7, false},
		touches(1, 0, -1, -1),
	}
}

// takesAll reports whether a record goes to the end of its packet.
func takesAll(rec record) bool {
	switch rec.(type) {
	case *ForwardedRequest, *InformAndActivate, *TouchVec:
		return true
	}
	return false
}

func TestQuorumRecordsComeBackAsTheyWere(t *testing.T) {
	for _, want := range quorumSamples() {
		b := want.Append(nil)
		r := NewReader(b)
		check(t, want, &r)
		if r.Len() != 0 {
			t.Errorf("%T leaves %d bytes", want, r.Len())
		}
		if takesAll(want) {
			continue
		}
		r = NewReader(append(b, "behind"...))
		check(t, want, &r)
		if string(r.Rest()) != "behind" {
			t.Errorf("%T left %q, want what is behind it", want, r.Rest())
		}
	}
}

func TestAQuorumRecordCutShortIsAnError(t *testing.T) {
	for _, c := range []struct {
		rec   record
		whole int // bytes that it must have
	}{
		{&Packet{PacketRequest, -1, []byte("data"), BuildAuth(AuthID{[]byte("ip"), []byte("::1")})}, 37},
		{&LearnerInfo{}, 8}, {&ForwardedRequest{}, 16}, {&LeaderInfo{}, 4}, {&AckEpoch{}, 4},
		{&RevalidateRequest{}, 12}, {&RevalidateReply{}, 9}, {&CommitAndActivate{}, 8}, {&InformAndActivate{}, 8},
	} {
		b := c.rec.Append(nil)
		for n := range len(b) + 1 {
			rec := reflect.New(reflect.TypeOf(c.rec).Elem()).Interface().(record)
			r := NewReader(b[:n:n])
			if err := rec.Decode(&r); (err == nil) != (n >= c.whole) {
				t.Errorf("%T cut to %d of %d bytes: %v", c.rec, n, len(b), err)
			}
		}
	}
}

func TestPacketTypes(t *testing.T) {
	for typ, name := range map[PacketType]string{
		0: "packet 0", 1: "REQUEST", 2: "PROPOSAL", 3: "ACK", 4: "COMMIT", 5: "PING", 6: "REVALIDATE", 7: "SYNC",
		8: "INFORM", 9: "COMMITANDACTIVATE", 10: "NEWLEADER", 11: "FOLLOWERINFO", 12: "UPTODATE", 13: "DIFF",
		14: "TRUNC", 15: "SNAP", 16: "OBSERVERINFO", 17: "LEADERINFO", 18: "ACKEPOCH", 19: "INFORMANDACTIVATE",
		20: "packet 20", -1: "packet -1",
	} {
		if typ.String() != name {
			t.Errorf("type %d is %v, want %s", int32(typ), typ, name)
		}
	}
}

func TestPacketsComeBackToBackInAnyPieces(t *testing.T) {
	var stream []byte
	var want []Packet
	for _, c := range captured(t) {
		stream = append(stream, fromHex(t, c.hex)...)
		want = append(want, c.want)
	}
	for _, rec := range quorumSamples() {
		if p, ok := rec.(*Packet); ok {
			stream = p.Append(stream)
			want = append(want, *p)
		}
	}
	for piece := 1; piece <= len(stream); piece = piece*3/2 + 1 {
		s := PacketScanner{MaxData: maxData}
		begin, got := 0, 0
		for end := 0; end < len(stream); {
			end = min(end+piece, len(stream))
			for {
				p, n, err := s.Next(stream[begin:end])
				if err != nil {
					t.Fatalf("pieces of %d: packet %d: %v", piece, got, err)
				}
				if n == 0 {
					break
				}
				if got == len(want) || !reflect.DeepEqual(p, want[got]) {
					t.Fatalf("pieces of %d: packet %d is %+v", piece, got, p)
				}
				begin, got = begin+n, got+1
			}
		}
		if got != len(want) || begin != len(stream) {
			t.Errorf("pieces of %d: %d packets of %d bytes, want %d of %d", piece, got, begin, len(want), len(stream))
		}
	}
}

func TestAPacketWithAnUnreasonableLengthIsRefusedBeforeItArrives(t *testing.T) {
	const head, most = "00000001 ffffffffffffffff ", 100
	fill := func(n int) string { return strings.Repeat("61", n) }
	for _, c := range []struct {
		name, hex string
		refused   bool
	}{
		{"data that is null", head + "ffffffff", false},
		{"data of a length below null", head + "fffffffe", true},
		{"data of the least length", head + "80000000", true},
		{"as much data as is taken", head + "00000064", false},
		{"more data than is taken", head + "00000065", true},
		{"as many identities as fit", head + "ffffffff 0000000c", false},
		{"more identities than fit", head + "ffffffff 0000000d", true},
		{"most identities", head + "ffffffff 7fffffff", true},
		{"identities of a negative number", head + "ffffffff fffffffe", false}, // none, as for Java
		{"a scheme that is null", head + "ffffffff 00000001 ffffffff", false},
		{"a scheme of a length below null", head + "ffffffff 00000001 fffffffe", true},
		{"a scheme as long as is taken", head + "ffffffff 00000001 00000060", false},
		{"a longer scheme", head + "ffffffff 00000001 00000061", true},
		{"an id that fills the room", head + "ffffffff 00000001 00000050" + fill(80) + "0000000c", false},
		{"an id beyond the room", head + "ffffffff 00000001 00000050" + fill(80) + "0000000d", true},
		{"an id without room for its length", head + "ffffffff 00000001 00000060" + fill(96) + "ffffffff", true},
	} {
		b := fromHex(t, c.hex)
		p, n, err := NextPacket(b, most)
		if c.refused != errors.Is(err, ErrPacketLength) || c.refused != (err != nil) {
			t.Errorf("%s: %v", c.name, err)
		}
		if whole := p.Append(nil); c.refused && (n != 0 || !reflect.DeepEqual(p, Packet{})) || n > 0 && !bytes.Equal(whole, b) {
			t.Errorf("%s: %d bytes, %+v", c.name, n, p)
		}
		for cut := range b {
			if _, n, err := NextPacket(b[:cut], most); n != 0 || err != nil {
				t.Errorf("%s, after %d bytes of %d: %d, %v", c.name, cut, len(b), n, err)
			}
		}
	}
}

// A peer that sends its identities byte by byte must not make the server walk them anew each time.
func TestAScannerDoesNotLookTwice(t *testing.T) {
	p := Packet{Type: PacketRequest, Data: []byte("data"), AuthInfo: AppendInt(nil, 1000)}
	for range 1000 {
		p.AuthInfo = AppendAuthID(p.AuthInfo, AuthID{[]byte("ip"), []byte("127.0.0.1")})
	}
	whole := p.Append(nil)
	const half = 10000
	s := PacketScanner{MaxData: maxData}
	if _, n, err := s.Next(whole[:half]); n != 0 || err != nil {
		t.Fatalf("half a packet: %d, %v", n, err)
	}
	spoilt := bytes.Clone(whole)
	for i := range half - 100 {
		spoilt[i] = 0xee // as lengths, all of these would be refused
	}
	for end := half; end < len(whole); end++ {
		if _, n, err := s.Next(spoilt[:end]); n != 0 || err != nil {
			t.Fatalf("after %d bytes: %d, %v: it looked at what it had seen", end, n, err)
		}
	}
	got, n, err := s.Next(whole)
	if err != nil || n != len(whole) || !reflect.DeepEqual(got, p) {
		t.Errorf("the whole packet: %d bytes of %d, %v", n, len(whole), err)
	}
}

func TestAPacketsFieldsCannotBeGrownIntoEachOther(t *testing.T) {
	p := Packet{Type: PacketRequest, Data: []byte("data"), AuthInfo: BuildAuth(AuthID{[]byte("ip"), []byte("::1")})}
	stream := p.Append(p.Append(nil))
	before := bytes.Clone(stream)
	got, _, _ := NextPacket(stream, maxData)
	_ = append(got.Data, "overwritten"...)
	_ = append(got.AuthInfo, "overwritten"...)
	if !bytes.Equal(stream, before) {
		t.Errorf("appending to a field changed the stream to\n%x, want\n%x", stream, before)
	}
}

func TestIdentitiesAreWalked(t *testing.T) {
	v := BuildAuth(AuthID{[]byte("ip"), []byte("127.0.0.1")}, AuthID{nil, []byte{}})
	var got []AuthID
	for it := v.Iter(); it.Next(); {
		got = append(got, it.AuthID())
	}
	want := []AuthID{{[]byte("ip"), []byte("127.0.0.1")}, {nil, []byte{}}}
	if !reflect.DeepEqual(got, want) || v.Len() != 2 || v.Null() {
		t.Errorf("%q, want %q; %d identities", got, want, v.Len())
	}
	for _, c := range []struct {
		name string
		v    AuthVec
		null bool
	}{{"nil", nil, true}, {"null", nullCount, true}, {"none", BuildAuth(), false}} {
		it := c.v.Iter()
		if c.v.Null() != c.null || c.v.Len() != 0 || it.Next() {
			t.Errorf("%s: null %v, %d identities", c.name, c.v.Null(), c.v.Len())
		}
	}
}

func TestLearnerInfoIsReadByItsLength(t *testing.T) {
	whole := (&LearnerInfo{ServerID: 1 << 40, ProtocolVersion: ProtocolVersion, ConfigVersion: 0x100000005}).Append(nil)
	if len(whole) != 20 {
		t.Fatalf("%d bytes, want 20", len(whole))
	}
	for n := range 25 {
		want := LearnerInfo{}
		if n >= 8 {
			want.ServerID, want.Fields = 1<<40, 1
		}
		if n >= 12 {
			want.ProtocolVersion, want.Fields = ProtocolVersion, 2
		}
		if n >= 20 {
			want.ConfigVersion, want.Fields = 0x100000005, 3
		}
		got := LearnerInfo{ServerID: 9, ProtocolVersion: 9, ConfigVersion: 9, Fields: 9}
		r := NewReader(append(bytes.Clone(whole), "more"...)[:n])
		if err := got.Decode(&r); (err == nil) != (n >= 8) || got != want {
			t.Errorf("of %d bytes: %+v, %v; want %+v", n, got, err, want)
		}
	}
}

func TestTouchesAreWalkedToTheEnd(t *testing.T) {
	b := AppendTouch(AppendTouch(nil, 0x0100000faf270000, 8000), -5, -1)
	var v TouchVec
	r := NewReader(b)
	if err := v.Decode(&r); err != nil || v.Len() != 2 || r.Len() != 0 {
		t.Fatalf("%d sessions, %d bytes left, %v", v.Len(), r.Len(), err)
	}
	var got []int64
	for it := v.Iter(); it.Next(); {
		got = append(got, it.SessionID(), int64(it.TimeOut()))
	}
	if want := []int64{0x0100000faf270000, 8000, -5, -1}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for n := range b {
		r := NewReader(b[:n])
		if err := v.Decode(&r); (err == nil) != (n%12 == 0) || err != nil && v != nil {
			t.Errorf("%d bytes: %v, %x", n, err, v)
		}
	}
}

func TestCapturedTransactionsAreSplit(t *testing.T) {
	header := "0100000faf270000 00000009 0000000100000009 000001a20570a23e 0000000e"
	create := "00000003 2f6d31 00000001 78 00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65 00 00000001"
	for _, c := range []struct {
		name         string
		header, body string
		digest       string
		typ          Op
		zxid         Zxid
	}{
		{
			"createSession", "0100000faf270000 00000000 0000000100000001 000001a20570a1f7 fffffff6", "00001f40",
			"00000002 0000000051c6d660", OpCreateSession, 0x100000001,
		},
		{
			"closeSession", "0100000faf270000 0000000e 000000010000000f 000001a20570aa51 fffffff5", "00000001 00000002 2f65",
			"00000002 00000001dff2e486", OpCloseSession, 0x10000000f,
		},
		{
			"a delete that failed", "0100000faf270000 00000009 0000000100000009 000001a20570a23e ffffffff", "ffffff9b",
			"", OpError, 0x100000009,
		},
		{
			"create", "0100000faf270000 00000001 0000000100000002 000001a20570a209 00000001",
			`00000002 2f61 00000005 68656c6c6f 00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65 00 00000001`,
			"00000002 00000001e6866c1d", OpCreate, 0x100000002,
		},
		{
			"multi", header,
			"00000003 00000001 0000002c" + create + "00000005 00000010 00000003 2f6d31 00000001 79 00000001" +
				"0000000d 0000000a 00000002 2f61 00000000",
			"00000002 00000002cd1ae6d5", OpMulti, 0x100000009,
		},
		{
			"a multi that failed", header, "00000002 00000001 0000002c" + create + "ffffffff 00000004 ffffff9b",
			"00000002 00000002cd1ae6d5", OpMulti, 0x100000009,
		},
	} {
		raw := fromHex(t, c.header+c.body+c.digest)
		h, body, digest, hasDigest, err := SplitTxn(raw)
		if err != nil || h.Type != c.typ || h.Zxid != c.zxid || h.ClientID != 0x0100000faf270000 {
			t.Errorf("%s: %+v, %v", c.name, h, err)
		}
		if want := fromHex(t, c.body); !bytes.Equal(body, want) || hasDigest != (c.digest != "") {
			t.Errorf("%s: the body is\n%x, want\n%x; with a digest: %v", c.name, body, want, hasDigest)
		}
		wrote := append(h.Append(nil), body...)
		if hasDigest {
			wrote = AppendDigest(wrote, digest)
		}
		if !bytes.Equal(wrote, raw) {
			t.Errorf("%s: wrote\n%x, want\n%x", c.name, wrote, raw)
		}
	}
}

func TestEveryTransactionIsSplitBehindItsBody(t *testing.T) {
	all := transactions()
	all["closeSession of nothing"] = append(header(OpCloseSession), 0, 0, 0, 0)
	all["closeSession of null"] = append(header(OpCloseSession), nullCount...)
	all["closeSession of old servers"] = header(OpCloseSession)
	digest := TxnDigest{DigestVersion, 1}
	for name, txn := range all {
		whole := AppendDigest(bytes.Clone(txn), digest)
		for _, c := range []struct {
			behind    string
			bytes     []byte
			hasDigest bool
		}{
			{"nothing", txn, false},
			{"a digest", whole, true},
			{"a digest and more", append(bytes.Clone(whole), "unknown"...), true},
			{"a digest cut short", whole[:len(whole)-1], false},
		} {
			if name == "closeSession of old servers" && c.behind != "nothing" && c.behind != "a digest" {
				continue // nobody can tell what that is
			}
			h, body, got, hasDigest, err := SplitTxn(c.bytes)
			if err != nil || !bytes.Equal(append(h.Append(nil), body...), txn) {
				t.Errorf("%s with %s behind it: %+v %x, %v", name, c.behind, h, body, err)
			}
			if want := digest; hasDigest != c.hasDigest || hasDigest && got != want || !hasDigest && got != (TxnDigest{}) {
				t.Errorf("%s with %s behind it: digest %v %+v", name, c.behind, hasDigest, got)
			}
			if cap(body) != len(body) {
				t.Errorf("%s: appending to the body overwrites what is behind it", name)
			}
		}
		for n := range txn {
			err := VerifyTxn(txn[:n])
			if h, body, _, _, got := SplitTxn(txn[:n]); got != err || got != nil && (body != nil || h != TxnHeader{}) {
				t.Errorf("%s cut to %d of %d bytes: %v, VerifyTxn says %v", name, n, len(txn), got, err)
			}
		}
	}
	check := (&CheckTxn{[]byte("/a"), 1}).Append(header(OpCheck))
	if _, _, _, _, err := SplitTxn(check); !errors.Is(err, ErrTxnType) {
		t.Errorf("a check alone: %v, want %v", err, ErrTxnType)
	}
}

func TestTheQuorumPortCostsNoAllocation(t *testing.T) {
	all := captured(t)
	txns := transactions()
	ping := append(*touches(1, 8000, 2, 8000), *touches(3, 4000)...)
	buf := make([]byte, 0, 1<<16)
	var sum int
	if n := testing.AllocsPerRun(100, func() {
		buf = buf[:0]
		for i := range all {
			buf = all[i].want.Append(buf)
		}
		s := PacketScanner{MaxData: maxData}
		for at := 0; at < len(buf); {
			p, n, err := s.Next(buf[at:])
			if err != nil || n == 0 {
				t.Fatal(n, err)
			}
			for it := p.AuthInfo.Iter(); it.Next(); {
				sum += len(it.AuthID().ID)
			}
			at += n
		}
		p, _, _ := NextPacket(buf, maxData)
		r := NewReader(p.Data)
		var info LearnerInfo
		info.Decode(&r)
		r = NewReader(all[8].want.Data)
		var request ForwardedRequest
		request.Decode(&r)
		r = NewReader(ping)
		var v TouchVec
		for v.Decode(&r); v.Len() > 0; v = v[touchBytes:] {
			for it := v.Iter(); it.Next(); {
				sum += int(it.TimeOut())
			}
		}
		for _, txn := range txns { // in any order: only the allocations count
			_, body, digest, _, _ := SplitTxn(txn)
			buf = AppendDigest(append(buf, body...), digest)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
