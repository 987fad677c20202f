package wire

import (
	"bytes"
	"reflect"
	"runtime/metrics"
	"slices"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

// seeds goes through the captured frames.
func seeds(f *testing.F, add func(from string, payload []byte)) {
	all, _ := readCaptures(f)
	for _, c := range all {
		add(c.from, c.payload)
	}
}

// bounded runs f, and fails where it allocates more than the bytes at hand justify. The runtime
// counts small objects late and for all goroutines, so f has to be too dear several times.
func bounded(t *testing.T, data []byte, f func()) {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	limit := 4*uint64(len(data)) + 64<<10
	least := ^uint64(0)
	for range 5 {
		metrics.Read(sample)
		before := sample[0].Value.Uint64()
		f()
		metrics.Read(sample)
		if least = min(least, sample[0].Value.Uint64()-before); least <= limit {
			return
		}
	}
	t.Errorf("%d bytes of input cost %d bytes of memory, want at most %d", len(data), least, limit)
}

// same fails where what was read encodes to something else. A boolean that is neither 0 nor 1 comes
// out as 1; nothing else may differ.
func same(t *testing.T, rec record, read, wrote []byte) {
	t.Helper()
	if len(read) != len(wrote) {
		t.Fatalf("%T read %d bytes and wrote %d:\n%x\n%x", rec, len(read), len(wrote), read, wrote)
	}
	for i := range read {
		if read[i] != wrote[i] && (wrote[i] != 1 || read[i] < 2) {
			t.Fatalf("%T: byte %d of\n%x became\n%x", rec, i, read, wrote)
		}
	}
}

// decodeAndBack reads rec, and if it can be read writes it and reads that.
func decodeAndBack(t *testing.T, rec record, data []byte) {
	var r Reader
	var err error
	bounded(t, data, func() {
		r = NewReader(data)
		err = rec.Decode(&r)
	})
	if err != nil {
		if r.Len() != 0 {
			t.Fatalf("%T: %d bytes left behind %v", rec, r.Len(), err)
		}
		return
	}
	wrote := rec.Append(nil)
	if x, ok := rec.(*CreateTxn); ok && x.ParentCVersion == -1 { // it may have been an old one
		r = NewReader(wrote)
	} else {
		same(t, rec, data[:len(data)-r.Len()], wrote)
	}
	walk(rec)
	r = NewReader(wrote)
	if err := rec.Decode(&r); err != nil || r.Len() != 0 || !bytes.Equal(rec.Append(nil), wrote) {
		t.Fatalf("%T: %x read again is %x with %d bytes left, %v", rec, wrote, rec.Append(nil), r.Len(), err)
	}
}

// walk goes through all that is read lazily.
func walk(rec record) { _ = show(rec) }

// opsOf returns the ops of a table in order.
func opsOf(table map[Op]func() record) []Op {
	var ops []Op
	for op := range table {
		ops = append(ops, op)
	}
	slices.Sort(ops)
	return ops
}

// FuzzRequest reads a frame from a client: whatever its op says it is.
func FuzzRequest(f *testing.F) {
	seeds(f, func(from string, payload []byte) {
		if from == "C" && len(payload) >= RequestHeaderBytes {
			f.Add(payload)
		}
	})
	for _, op := range opsOf(requests) {
		h := RequestHeader{1, op}
		for _, rec := range samples() {
			f.Add(rec.Append(h.Append(nil)))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := NewReader(data)
		var h RequestHeader
		if h.Decode(&r) != nil {
			return
		}
		same(t, &h, data[:RequestHeaderBytes], h.Append(nil))
		new := requests[h.Op]
		if new == nil {
			return
		}
		if rec, ok := new().(*multiRequest); ok {
			fuzzMulti(t, r.Rest(), rec.kind)
			return
		}
		decodeAndBack(t, new(), r.Rest())
	})
}

// FuzzReply reads a frame from a server as the answer to op.
func FuzzReply(f *testing.F) {
	ops := opsOf(replies)
	seeds(f, func(from string, payload []byte) {
		if from == "S" && len(payload) >= ReplyHeaderBytes {
			for i := range ops {
				f.Add(byte(i), payload)
			}
		}
	})
	f.Fuzz(func(t *testing.T, which byte, data []byte) {
		r := NewReader(data)
		var h ReplyHeader
		if h.Decode(&r) != nil {
			return
		}
		same(t, &h, data[:ReplyHeaderBytes], h.Append(nil))
		rec := replies[ops[int(which)%len(ops)]]()
		if _, ok := rec.(*multiReply); ok {
			fuzzResults(t, r.Rest())
			return
		}
		decodeAndBack(t, rec, r.Rest())
	})
}

// FuzzConnect reads the first frame of a connection, from either side.
func FuzzConnect(f *testing.F) {
	seeds(f, func(_ string, payload []byte) { f.Add(payload) })
	f.Fuzz(func(t *testing.T, data []byte) {
		decodeAndBack(t, new(ConnectRequest), data)
		decodeAndBack(t, new(ConnectResponse), data)
	})
}

// FuzzMulti reads the body of a multi of either kind.
func FuzzMulti(f *testing.F) {
	seeds(f, func(from string, payload []byte) {
		if from == "C" && len(payload) > RequestHeaderBytes {
			f.Add(payload[RequestHeaderBytes:], true)
			f.Add(payload[RequestHeaderBytes:], false)
		}
	})
	for flags := range int32(8) {
		f.Add(multiOf(OpCreate, create(flags), OpCreate2, create(flags), OpCreateContainer, create(flags)), false)
		f.Add(multiOf(OpCreateTTL, createTTL(flags, 5)), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, reads bool) {
		kind := MultiWrite
		if reads {
			kind = MultiRead
		}
		fuzzMulti(t, data, kind)
	})
}

// fuzzMulti walks a multi. What it walks, encoded again and walked again, is the same; and each
// operation is one that its kind allows, with a record that decodes to its last byte.
func fuzzMulti(t *testing.T, data []byte, kind MultiKind) {
	var ops MultiIter
	var err error
	bounded(t, data, func() { ops, err = NewMultiIter(data, kind) })
	if err != nil {
		if ops.Next() {
			t.Fatalf("a multi that is refused has an operation %v", ops.Op())
		}
		return
	}
	first := multiRequest{kind: kind}
	r := NewReader(data)
	first.Decode(&r)
	size := 0
	for _, p := range first.ops {
		size += MultiHeaderBytes + len(p.body)
		rec, r := requests[p.op](), NewReader(p.body)
		if err := rec.Decode(&r); err != nil || r.Len() != 0 {
			t.Fatalf("%v %x: %v, %d bytes left", p.op, p.body, err, r.Len())
		}
		same(t, rec, p.body, rec.Append(nil))
		if isRead := p.op == OpGetData || p.op == OpGetChildren; isRead != (kind == MultiRead) {
			t.Fatalf("%v in a multi of kind %d", p.op, kind)
		}
	}
	if size+MultiHeaderBytes > len(data) {
		t.Fatalf("walked %d bytes of %d", size+MultiHeaderBytes, len(data))
	}
	if slices.ContainsFunc(first.ops, isFlawedCreate) {
		return
	}
	again := multiRequest{kind: kind}
	wrote := first.Append(nil)
	r = NewReader(wrote)
	if err := again.Decode(&r); err != nil || !slices.EqualFunc(first.ops, again.ops, samePart) {
		t.Fatalf("%x walked again: %v\n%v, want\n%v", wrote, err, show(&again), show(&first))
	}
}

// isFlawedCreate reports whether p was a createTTL with flags that cannot be, or with a null list of
// ACLs. It walks as a create that is to fail alone; written so, it fails the whole multi.
func isFlawedCreate(p multiPart) bool {
	if p.op != OpCreate && p.op != OpCreateContainer {
		return false
	}
	r := NewReader(p.body)
	acl, flags := skipCreate(&r)
	return acl.Null() || p.op == OpCreate && (flags < FlagsPersistent || flags > FlagsEphemeralSequential)
}

func samePart(a, b multiPart) bool {
	return a.op == b.op && a.code == b.code && bytes.Equal(a.body, b.body)
}

// FuzzMultiResults reads the body of the reply to a multi or multiRead.
func FuzzMultiResults(f *testing.F) {
	seeds(f, func(from string, payload []byte) {
		if from == "S" && len(payload) > ReplyHeaderBytes {
			f.Add(payload[ReplyHeaderBytes:])
		}
	})
	f.Add(AppendMultiEnd(AppendMultiResult(nil, OpCreate2, []byte("/a"), &stat)))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzResults(t, data) })
}

func fuzzResults(t *testing.T, data []byte) {
	var first, again multiReply
	r := NewReader(data)
	if bounded(t, data, func() { NewMultiResults(data) }); first.Decode(&r) != nil {
		return
	}
	for _, p := range first.results {
		rec, r := record(new(ErrorResponse)), NewReader(p.body)
		if p.op != OpError {
			rec = replies[p.op]()
		}
		if err := rec.Decode(&r); err != nil || r.Len() != 0 {
			t.Fatalf("%v %x: %v, %d bytes left", p.op, p.body, err, r.Len())
		}
		same(t, rec, p.body, rec.Append(nil))
	}
	wrote := first.Append(nil)
	r = NewReader(wrote)
	if err := again.Decode(&r); err != nil || !slices.EqualFunc(first.results, again.results, samePart) {
		t.Fatalf("%x walked again: %v\n%v, want\n%v", wrote, err, show(&again), show(&first))
	}
}

// FuzzTxn reads a transaction. One that is verified decodes; its body encodes to the same bytes.
func FuzzTxn(f *testing.F) {
	for _, txn := range transactions() {
		f.Add(txn)
		f.Add((&TxnDigest{DigestVersion, 7}).Append(txn))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var err error
		if bounded(t, data, func() { err = VerifyTxn(data) }); err != nil {
			return
		}
		r := NewReader(data)
		var h TxnHeader
		if h.Decode(&r) != nil {
			t.Fatal("a verified transaction has no header")
		}
		same(t, &h, data[:TxnHeaderBytes], h.Append(nil))
		if h.Type != OpMulti {
			txnBody(t, h.Type, r.Rest())
			return
		}
		var m MultiTxn
		for m.Decode(&r); m.Next(); {
			txnBody(t, m.Op(), m.Body())
		}
		if r.Err() != nil {
			t.Fatalf("a verified multi: %v", r.Err())
		}
	})
}

func txnBody(t *testing.T, op Op, body []byte) {
	new := map[Op]func() record{
		OpCreate: func() record { return new(CreateTxn) }, OpCreate2: func() record { return new(CreateTxn) },
		OpCreateContainer: func() record { return new(CreateContainerTxn) },
		OpCreateTTL:       func() record { return new(CreateTTLTxn) },
		OpDelete:          func() record { return new(DeleteTxn) }, OpDeleteContainer: func() record { return new(DeleteTxn) },
		OpSetData: func() record { return new(SetDataTxn) }, OpReconfig: func() record { return new(SetDataTxn) },
		OpSetACL: func() record { return new(SetACLTxn) }, OpCheck: func() record { return new(CheckTxn) },
		OpCreateSession: func() record { return new(CreateSessionTxn) }, OpError: func() record { return new(ErrorTxn) },
	}[op]
	if new != nil {
		decodeAndBack(t, new(), body)
		return
	}
	if op != OpCloseSession {
		t.Fatalf("a verified transaction of type %v", op)
	}
	r := NewReader(body)
	var x CloseSessionTxn
	if err := x.Decode(&r); err != nil {
		t.Fatalf("a verified closeSession: %v", err)
	}
	if x.Paths != nil { // nil is the old form, which is never written
		same(t, &x, body[:len(body)-r.Len()], x.Append(nil))
	}
}

// FuzzACL reads the three kinds of vectors, and what is walked of them says what the bytes say.
func FuzzACL(f *testing.F) {
	f.Add([]byte(OpenACL))
	f.Add([]byte(twoACLs))
	f.Add([]byte(BuildStrings("", "/a")))
	f.Add(clients)
	f.Add(sized(-5, ""))
	f.Add(sized(1<<30, "12345678"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r Reader
		var acl ACLVec
		bounded(t, data, func() {
			r = NewReader(data)
			acl = r.ACLs()
		})
		if r.Err() == nil {
			walked := bytes.Clone(acl[:4])
			for it := acl.Iter(); it.Next(); {
				walked = AppendACL(walked, it.ACL())
			}
			sameVector(t, data, walked, acl, acl.Len(), aclMinBytes)
		}
		r = NewReader(data)
		if v := r.Strings(); r.Err() == nil {
			walked := bytes.Clone(v[:4])
			for it := v.Iter(); it.Next(); {
				walked = AppendString(walked, it.Value())
			}
			sameVector(t, data, walked, v, v.Len(), 4)
		}
		r = NewReader(data)
		if v := r.ClientInfos(); r.Err() == nil {
			walked := bytes.Clone(v[:4])
			for it := v.Iter(); it.Next(); {
				walked = AppendClientInfo(walked, it.ClientInfo())
			}
			sameVector(t, data, walked, v, v.Len(), clientInfoMinBytes)
		}
	})
}

func sameVector(t *testing.T, data, walked, v []byte, n, minBytes int) {
	t.Helper()
	if !bytes.Equal(walked, v) || !bytes.HasPrefix(data, v) || n*minBytes > len(v) {
		t.Fatalf("%x is the vector %x of %d, walked %x", data, v, n, walked)
	}
}

// FuzzPath compares with the rules as ZooKeeper's documents state them.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"/", "/a", "/a/b", "//", "/.", "/../a", "/...", "/a/", "/é/\u00a0", "/\ue000", "/\U0001f600", "/\xff", "/a\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, path []byte) {
		var got bool
		bounded(t, path, func() { got = ValidatePath(path) })
		if want := validAsJava(path); got != want {
			t.Fatalf("%q is valid: %v, want %v", path, got, want)
		}
	})
}

// FuzzJavaString: what is well-formed comes out as its UTF-16 units, each in three bytes at most; what
// is not, with a U+FFFD, and no more of them than there were bytes; and an ASCII byte parts the work.
func FuzzJavaString(f *testing.F) {
	for _, s := range []string{"", "/a\x00", "é€\uffef", "\U0001f600", "\xff\xfe", "\xed\xa0\xbd\xed\xb8\x80", "\xe2\x82", "\xf0\x9f\x98/"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got := AppendJavaString(nil, b)
		if utf8.Valid(b) {
			var want []byte
			for _, c := range utf16.Encode([]rune(string(b))) {
				want = appendUnit(want, c)
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("%x became %x, want %x", b, got, want)
			}
			return
		}
		if len(got) > 3*len(b) || !bytes.Contains(got, []byte("\uFFFD")) {
			t.Fatalf("%x became %x", b, got)
		}
		// Splitting behind an ASCII byte splits the result.
		if i := bytes.IndexFunc(b, func(c rune) bool { return c < utf8.RuneSelf }); i >= 0 {
			if halves := AppendJavaString(AppendJavaString(nil, b[:i+1]), b[i+1:]); !bytes.Equal(got, halves) {
				t.Fatalf("%x became %x, in two parts %x", b, got, halves)
			}
		}
	})
}

// appendUnit encodes one UTF-16 unit as Java does, a surrogate too.
func appendUnit(dst []byte, c uint16) []byte {
	switch {
	case c < 0x80:
		return append(dst, byte(c))
	case c < 0x800:
		return append(dst, 0xc0|byte(c>>6), 0x80|byte(c)&0x3f)
	}
	return append(dst, 0xe0|byte(c>>12), 0x80|byte(c>>6)&0x3f, 0x80|byte(c)&0x3f)
}

// FuzzPacket reads a stream of packets, whole and byte by byte.
func FuzzPacket(f *testing.F) {
	var stream []byte
	for _, c := range captured(f) {
		f.Add(fromHex(f, c.hex), uint16(1000))
		stream = append(stream, fromHex(f, c.hex)...)
	}
	f.Add(stream, uint16(300))
	f.Add(AppendInt((&Packet{Data: []byte{}}).Append(nil)[:16], -5), uint16(0))
	f.Fuzz(func(t *testing.T, data []byte, most uint16) {
		for len(data) > 0 {
			var p Packet
			var n int
			var err error
			bounded(t, data, func() { p, n, err = NextPacket(data, int(most)) })
			inPieces(t, data, n, err, func(s *PacketScanner, b []byte) (Packet, int, error) {
				s.MaxData = int(most)
				return s.Next(b)
			}, &p)
			if n == 0 || err != nil {
				return
			}
			if wrote := p.Append(nil); !bytes.Equal(wrote, data[:n]) {
				t.Fatalf("%x was written as %x", data[:n], wrote)
			}
			if len(p.Data) > int(most) || len(p.AuthInfo) > 4+int(most) {
				t.Fatalf("%d bytes of data and %d of authinfo, want at most %d", len(p.Data), len(p.AuthInfo), most)
			}
			ids := 0
			for it := p.AuthInfo.Iter(); it.Next(); ids++ {
				it.AuthID()
			}
			if ids != p.AuthInfo.Len() {
				t.Fatalf("walked %d identities of %d", ids, p.AuthInfo.Len())
			}
			data = data[n:]
		}
	})
}

// inPieces fails where a decoder of streams says something else when data arrives byte by byte: it
// took n bytes of it for want, or failed.
func inPieces[S, T any](t *testing.T, data []byte, n int, err error, next func(*S, []byte) (T, int, error), want *T) {
	t.Helper()
	var s S
	for end := range len(data) + 1 {
		got, k, e := next(&s, data[:end:end])
		switch {
		case e == nil && k == 0:
			if end == len(data) && (n != 0 || err != nil) || n > 0 && end >= n {
				t.Fatalf("%x: at once %d bytes, %v; byte by byte not after %d", data, n, err, end)
			}
			continue
		case e != err, k != n, k != 0 && k != end, k != 0 && !reflect.DeepEqual(got, *want):
			t.Fatalf("%x: at once %+v of %d bytes, %v; after %d bytes %+v of %d, %v", data, *want, n, err, end, got, k, e)
		}
		return
	}
}

// FuzzQuorumRecord reads the data of a packet as each record that it could be.
func FuzzQuorumRecord(f *testing.F) {
	for _, c := range captured(f) {
		f.Add(c.want.Data)
	}
	for _, rec := range quorumSamples() {
		f.Add(rec.Append(nil))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, rec := range []record{
			new(ForwardedRequest), new(LeaderInfo), new(AckEpoch), new(RevalidateRequest), new(RevalidateReply),
			new(CommitAndActivate), new(InformAndActivate), new(TouchVec),
		} {
			decodeAndBack(t, rec, data)
		}
		var v TouchVec
		r := NewReader(data)
		if walked := []byte(nil); v.Decode(&r) == nil {
			for it := v.Iter(); it.Next(); {
				walked = AppendTouch(walked, it.SessionID(), it.TimeOut())
			}
			if !bytes.Equal(walked, data) || v.Len()*touchBytes != len(data) {
				t.Fatalf("%x is walked as %x", data, walked)
			}
		}
		var info LearnerInfo
		r = NewReader(data)
		if info.Decode(&r) == nil { // what it does not have is written as zero
			have := []int{8, 12, 20}[info.Fields-1]
			wrote := info.Append(nil)
			same(t, &info, data[:have], wrote[:have])
			if !bytes.Equal(wrote[have:], make([]byte, 20-have)) {
				t.Fatalf("%x is %+v", data, info)
			}
		}
	})
}

// FuzzSplitTxn takes a transaction apart and puts it together again.
func FuzzSplitTxn(f *testing.F) {
	for _, txn := range transactions() {
		f.Add(txn)
		f.Add(AppendDigest(txn, TxnDigest{DigestVersion, 7}))
	}
	f.Add(header(OpCloseSession))
	f.Add(AppendDigest(header(OpCloseSession), TxnDigest{DigestVersion, 7}))
	f.Fuzz(func(t *testing.T, data []byte) {
		var h TxnHeader
		var body []byte
		var digest TxnDigest
		var hasDigest bool
		var err error
		bounded(t, data, func() { h, body, digest, hasDigest, err = SplitTxn(data) })
		if verified := VerifyTxn(data); verified != err {
			t.Fatalf("%v, VerifyTxn says %v", err, verified)
		}
		if err != nil {
			return
		}
		whole := append(h.Append(nil), body...)
		left := len(data) - len(whole)
		if hasDigest != (left >= TxnDigestBytes) {
			t.Fatalf("a digest: %v, of %d bytes behind the body", hasDigest, left)
		}
		if hasDigest {
			whole = AppendDigest(whole, digest)
		}
		if !bytes.HasPrefix(data, whole) {
			t.Fatalf("%x was put together as %x", data, whole)
		}
		if h2, body2, digest2, has2, err := SplitTxn(whole); err != nil || h2 != h || !bytes.Equal(body2, body) ||
			digest2 != digest || has2 != hasDigest {
			t.Fatalf("%x is split the second time into %+v %x %+v, %v", whole, h2, body2, digest2, err)
		}
	})
}

// FuzzGreeting reads what a connection of the election port begins with, whole and byte by byte.
func FuzzGreeting(f *testing.F) {
	for _, g := range []Greeting{
		{GreetingV1, 2, AddrVec("127.0.0.1:23382")}, {GreetingV2, 3, AddrVec("127.0.0.1:23383|[::1]:23385")},
		{GreetingLegacy, 7, nil}, {GreetingV1, ObserverWithoutID, AddrVec("0.0.0.0:1")}, {-1, 1, AddrVec("a:1")},
		{GreetingV2, 3, AddrVec("a:1|")},
	} {
		f.Add(g.Append(nil))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var g Greeting
		var n int
		var err error
		bounded(t, data, func() { g, n, err = NextGreeting(data) })
		inPieces(t, data, n, err, func(_ *struct{}, b []byte) (Greeting, int, error) { return NextGreeting(b) }, &g)
		if n == 0 || err != nil {
			return
		}
		if wrote := g.Append(nil); !bytes.Equal(wrote, data[:n]) {
			t.Fatalf("%x was written as %x", data[:n], wrote)
		}
		var again AddrVec
		walked := 0
		for it := g.Addrs.Iter(); it.Next(); walked++ {
			again = AppendAddr(again, string(it.Host()), it.Port())
		}
		want := 1 + bytes.Count(g.Addrs, []byte("|"))
		if g.Version == GreetingLegacy {
			want = 0
		}
		if walked != want || len(again) > len(g.Addrs) || !slices.Equal(addrs(again), addrs(g.Addrs)) {
			t.Fatalf("%q is walked as %q", g.Addrs, again)
		}
	})
}

// FuzzNotification reads a frame of the election port, whole and byte by byte, and the vote in it;
// and the bytes as a vote.
func FuzzNotification(f *testing.F) {
	vote := Notification{0, 3, 0x200000007, 9, 2, NotificationVersion, []byte("version=0")}
	frame, mark := BeginFrame(nil)
	f.Add(EndFrame(vote.Append(frame), mark))
	for _, n := range []int{27, 28, 36, 40, 43, 44, 53} {
		f.Add(vote.Append(nil)[:n])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var payload []byte
		var n int
		var err error
		bounded(t, data, func() { payload, n, err = NextMessage(data) })
		inPieces(t, data, n, err, func(_ *struct{}, b []byte) ([]byte, int, error) { return NextMessage(b) }, &payload)
		if n > 0 {
			frame, mark := BeginFrame(nil)
			if frame = EndFrame(append(frame, payload...), mark); !bytes.Equal(frame, data[:n]) {
				t.Fatalf("%x was written as %x", data[:n], frame)
			}
			fuzzVote(t, payload)
		}
		fuzzVote(t, data)
	})
}

// fuzzVote reads a vote. One of the version that is written comes out as it was; an older one as
// the same vote of that version.
func fuzzVote(t *testing.T, data []byte) {
	var m, again Notification
	var r Reader
	var err error
	bounded(t, data, func() {
		r = NewReader(data)
		err = m.Decode(&r)
	})
	if err != nil {
		return
	}
	wrote := m.Append(nil)
	if read := data[:len(data)-r.Len()]; m.Version == NotificationVersion && !bytes.Equal(wrote, read) {
		t.Fatalf("%x was written as %x", read, wrote)
	}
	r = NewReader(wrote)
	err = again.Decode(&r)
	if err != nil || again.Version != NotificationVersion || !bytes.Equal(again.Config, m.Config) {
		t.Fatalf("%x read again: %+v, %v", wrote, again, err)
	}
	m.Version, again.Version, m.Config, again.Config = 0, 0, nil, nil
	if !reflect.DeepEqual(again, m) {
		t.Fatalf("%x read again: %+v, want %+v", wrote, again, m)
	}
}
