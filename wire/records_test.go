package wire

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// record is what all records have in common.
type record interface {
	Decode(r *Reader) error
	Append(dst []byte) []byte
}

// noRecord is the body of operations that have none.
type noRecord struct{}

func (*noRecord) Decode(r *Reader) error   { return r.Err() }
func (*noRecord) Append(dst []byte) []byte { return dst }

// multiRequest and multiReply are what MultiIter and MultiResults walk, as records: the walk is
// encoded anew, operation by operation.
type multiRequest struct {
	kind MultiKind
	ops  []multiPart
}

type multiPart struct {
	op   Op
	code Code
	body []byte
}

func (q *multiRequest) Decode(r *Reader) error {
	q.ops = q.ops[:0]
	it, err := NewMultiIter(r.Rest(), q.kind)
	for it.Next() {
		b := it.Body()
		q.ops = append(q.ops, multiPart{op: it.Op(), body: b.Rest()})
	}
	return err
}

func (q *multiRequest) Append(dst []byte) []byte {
	for _, p := range q.ops {
		dst = append(AppendMultiHeader(dst, p.op, false, -1), p.body...)
	}
	return AppendMultiEnd(dst)
}

type multiReply struct{ results []multiPart }

func (q *multiReply) Decode(r *Reader) error {
	q.results = q.results[:0]
	it, err := NewMultiResults(r.Rest())
	for it.Next() {
		b := it.Body()
		q.results = append(q.results, multiPart{op: it.Op(), code: it.Code(), body: b.Rest()})
	}
	return err
}

func (q *multiReply) Append(dst []byte) []byte {
	for _, p := range q.results {
		dst = append(AppendMultiHeader(dst, p.op, false, p.code), p.body...)
	}
	return AppendMultiEnd(dst)
}

// requests are the records that a client sends, replies those that answer them.
var (
	requests = map[Op]func() record{
		OpCreate:               func() record { return new(CreateRequest) },
		OpDelete:               func() record { return new(DeleteRequest) },
		OpExists:               func() record { return new(ExistsRequest) },
		OpGetData:              func() record { return new(GetDataRequest) },
		OpSetData:              func() record { return new(SetDataRequest) },
		OpGetACL:               func() record { return new(GetACLRequest) },
		OpSetACL:               func() record { return new(SetACLRequest) },
		OpGetChildren:          func() record { return new(GetChildrenRequest) },
		OpSync:                 func() record { return new(SyncRequest) },
		OpPing:                 func() record { return new(noRecord) },
		OpGetChildren2:         func() record { return new(GetChildren2Request) },
		OpCheck:                func() record { return new(CheckVersionRequest) },
		OpMulti:                func() record { return &multiRequest{kind: MultiWrite} },
		OpCreate2:              func() record { return new(CreateRequest) },
		OpReconfig:             func() record { return new(ReconfigRequest) },
		OpCheckWatches:         func() record { return new(CheckWatchesRequest) },
		OpRemoveWatches:        func() record { return new(RemoveWatchesRequest) },
		OpCreateContainer:      func() record { return new(CreateRequest) },
		OpCreateTTL:            func() record { return new(CreateTTLRequest) },
		OpMultiRead:            func() record { return &multiRequest{kind: MultiRead} },
		OpAuth:                 func() record { return new(AuthPacket) },
		OpSetWatches:           func() record { return new(SetWatches) },
		OpSASL:                 func() record { return new(GetSASLRequest) },
		OpGetEphemerals:        func() record { return new(GetEphemeralsRequest) },
		OpGetAllChildrenNumber: func() record { return new(GetAllChildrenNumberRequest) },
		OpSetWatches2:          func() record { return new(SetWatches2) },
		OpAddWatch:             func() record { return new(AddWatchRequest) },
		OpWhoAmI:               func() record { return new(noRecord) },
		OpCloseSession:         func() record { return new(noRecord) },
	}
	replies = map[Op]func() record{
		OpNotification:         func() record { return new(WatcherEvent) },
		OpCreate:               func() record { return new(CreateResponse) },
		OpDelete:               func() record { return new(noRecord) },
		OpExists:               func() record { return new(ExistsResponse) },
		OpGetData:              func() record { return new(GetDataResponse) },
		OpSetData:              func() record { return new(SetDataResponse) },
		OpGetACL:               func() record { return new(GetACLResponse) },
		OpSetACL:               func() record { return new(SetACLResponse) },
		OpGetChildren:          func() record { return new(GetChildrenResponse) },
		OpSync:                 func() record { return new(SyncResponse) },
		OpPing:                 func() record { return new(noRecord) },
		OpGetChildren2:         func() record { return new(GetChildren2Response) },
		OpMulti:                func() record { return new(multiReply) },
		OpCheck:                func() record { return new(noRecord) }, // in a multi only
		OpCreate2:              func() record { return new(Create2Response) },
		OpReconfig:             func() record { return new(GetDataResponse) },
		OpCheckWatches:         func() record { return new(noRecord) },
		OpRemoveWatches:        func() record { return new(noRecord) },
		OpCreateContainer:      func() record { return new(Create2Response) },
		OpCreateTTL:            func() record { return new(Create2Response) },
		OpMultiRead:            func() record { return new(multiReply) },
		OpAuth:                 func() record { return new(noRecord) },
		OpSetWatches:           func() record { return new(noRecord) },
		OpSASL:                 func() record { return new(SetSASLResponse) },
		OpGetEphemerals:        func() record { return new(GetEphemeralsResponse) },
		OpGetAllChildrenNumber: func() record { return new(GetAllChildrenNumberResponse) },
		OpSetWatches2:          func() record { return new(noRecord) },
		OpAddWatch:             func() record { return new(ErrorResponse) },
		OpWhoAmI:               func() record { return new(WhoAmIResponse) },
		OpCloseSession:         func() record { return new(noRecord) },
	}
)

var (
	stat = Stat{
		Czxid: 0x100000002, Mzxid: 0x100000005, Ctime: 1795388753598, Mtime: 1795388753599, Version: 3, Cversion: -1,
		Aversion: 2, EphemeralOwner: -0x7eff_ffff_0000_0001, DataLength: 5, NumChildren: 7, Pzxid: 0x100000004,
	}
	twoACLs   = BuildACL(ACL{PermAll, []byte("world"), []byte("anyone")}, ACL{PermRead, nil, []byte{}})
	noACLs    = BuildACL()
	clients   = AppendClientInfo(AppendInt(nil, 1), ClientInfo{[]byte("ip"), []byte("127.0.0.1")})
	nullCount = []byte{0xff, 0xff, 0xff, 0xff}
)

// samples are records with values in all their fields, and with null and empty ones.
func samples() []record {
	three := BuildStrings("/a", "", "/b")
	empty := BuildStrings()
	return []record{
		&RequestHeader{7, OpGetData}, &ReplyHeader{-2, 0x100000002, NoNode}, &stat2{stat},
		&ConnectRequest{LastZxidSeen: 9, TimeOut: 30000, SessionID: -1, Passwd: bytes.Repeat([]byte{5}, 16), HasReadOnly: true, ReadOnly: true},
		&ConnectRequest{ProtocolVersion: 77, HasReadOnly: true}, // a null password
		&ConnectResponse{TimeOut: 4000, SessionID: 1 << 56, Passwd: make([]byte, 16), HasReadOnly: true},
		&PathRecord{[]byte("/a")}, &PathRecord{}, &PathRecord{[]byte{}},
		&ReadRequest{[]byte("/a"), true}, &ReadRequest{},
		&VersionRequest{[]byte("/a"), -1},
		&CreateRequest{[]byte("/a"), []byte("hi"), OpenACL, FlagsEphemeral},
		&CreateRequest{[]byte("/a"), nil, ACLVec(nullCount), FlagsContainer},
		&CreateRequest{[]byte("/a"), []byte{}, noACLs, FlagsContainer},
		&CreateTTLRequest{CreateRequest{[]byte("/a"), nil, twoACLs, FlagsTTL}, 1 << 39},
		&Create2Response{[]byte("/a0000000001"), stat}, &StatResponse{stat},
		&GetDataResponse{[]byte("hi"), stat}, &GetDataResponse{nil, stat}, &GetDataResponse{[]byte{}, stat},
		&SetDataRequest{[]byte("/a"), []byte("hi"), 3}, &SetDataRequest{[]byte("/a"), nil, -2},
		&GetACLResponse{twoACLs, stat}, &SetACLRequest{[]byte("/a"), twoACLs, 3},
		&StringsResponse{three}, &StringsResponse{empty}, &StringsResponse{nullCount},
		&GetChildren2Response{three, stat}, &GetAllChildrenNumberResponse{3},
		&ReconfigRequest{[]byte("server.4=…"), []byte("1,2"), nil, 0x100000000},
		&WatcherEvent{EventNodeDeleted, StateSyncConnected, []byte("/a")},
		&SetWatches{100, three, empty, nullCount},
		&SetWatches2{SetWatches{100, three, empty, three}, empty, three},
		&AddWatchRequest{[]byte("/a"), AddWatchPersistentRecursive},
		&WatchesRequest{[]byte("/a"), WatcherPersistent}, &ErrorResponse{NoAuth},
		&AuthPacket{0, []byte("digest"), []byte("user:pw")}, &AuthPacket{3, nil, nil},
		&SASLRecord{}, &SASLRecord{[]byte("token")}, &WhoAmIResponse{clients},
		&TxnHeader{1 << 56, 3, 0x100000002, 1795388753598, OpSetData},
		&CreateTxn{[]byte("/a"), []byte("hi"), OpenACL, true, 4},
		&CreateContainerTxn{[]byte("/a"), nil, OpenACL, 4}, &CreateTTLTxn{[]byte("/a"), []byte{}, OpenACL, 4, 5000},
		&DeleteTxn{[]byte("/a")}, &SetDataTxn{[]byte("/a"), []byte("hi"), 4}, &SetACLTxn{[]byte("/a"), twoACLs, 4},
		&CheckTxn{[]byte("/a"), 3}, &CreateSessionTxn{30000}, &CloseSessionTxn{three}, &CloseSessionTxn{nullCount},
		&ErrorTxn{NoNode}, &TxnDigest{DigestVersion, -5},
	}
}

// stat2 makes a Stat a record: its Decode has no result.
type stat2 struct{ Stat }

func (s *stat2) Decode(r *Reader) error {
	s.Stat.Decode(r)
	return r.Err()
}

// maybeCut reports whether a record may end after n of its bytes: newer versions added a field at
// the end.
func maybeCut(rec record, n, whole int) bool {
	switch rec.(type) {
	case *ConnectRequest, *ConnectResponse:
		return n == whole-1
	case *CreateTxn:
		return n >= whole-4
	case *CloseSessionTxn:
		return n == 0
	}
	return false
}

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	for _, want := range samples() {
		b := append(want.Append(nil), "behind"...)
		n := len(b) - len("behind")
		r := NewReader(b)
		check(t, want, &r)
		if got := string(r.Rest()); got != "behind" {
			t.Errorf("%T left %q, want what is behind it", want, got)
		}
		r = NewReader(b[:n:n])
		check(t, want, &r)
	}
}

func check(t *testing.T, want record, r *Reader) {
	t.Helper()
	got := reflect.New(reflect.TypeOf(want).Elem()).Interface().(record)
	if err := got.Decode(r); err != nil {
		t.Errorf("%T: %v", want, err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%T came back as\n%s, want\n%s", want, show(got), show(want))
	}
}

func TestARecordCutShortIsAnError(t *testing.T) {
	for _, want := range samples() {
		whole := want.Append(nil)
		for n := range len(whole) {
			got := reflect.New(reflect.TypeOf(want).Elem()).Interface().(record)
			r := NewReader(whole[:n:n])
			err := got.Decode(&r)
			if (err == nil) != maybeCut(want, n, len(whole)) {
				t.Errorf("%T cut to %d of %d bytes: %v", want, n, len(whole), err)
			}
		}
	}
}

func TestRecordsCostNoAllocation(t *testing.T) {
	for _, want := range samples() {
		buf := want.Append(nil)
		got := reflect.New(reflect.TypeOf(want).Elem()).Interface().(record)
		r := new(Reader)
		if n := testing.AllocsPerRun(100, func() {
			buf = want.Append(buf[:0])
			*r = NewReader(buf)
			got.Decode(r)
		}); n != 0 {
			t.Errorf("%T: %v allocations to encode and decode, want 0", want, n)
		}
	}
}

// The requests of a server's event loop, as it calls them: the reader must not escape.
func TestAServersWayCostsNoAllocation(t *testing.T) {
	frame := func(op Op, q record) []byte {
		h := RequestHeader{1, op}
		return q.Append(h.Append(nil))
	}
	get := frame(OpGetData, &GetDataRequest{[]byte("/a"), true})
	set := frame(OpSetData, &SetDataRequest{[]byte("/a"), []byte("hi"), -1})
	create := frame(OpCreate, &CreateRequest{[]byte("/a"), []byte("hi"), OpenACL, 0})
	watches := frame(OpSetWatches, &SetWatches{1, BuildStrings("/a", "/b"), BuildStrings(), BuildStrings("/c")})
	multi := append(AppendMultiHeader(nil, OpCreate, false, -1), create[RequestHeaderBytes:]...)
	multi = append(AppendMultiHeader(multi, OpSetData, false, -1), set[RequestHeaderBytes:]...)
	multi = AppendMultiEnd(multi)
	out := make([]byte, 0, 4096)
	var sum int
	if n := testing.AllocsPerRun(100, func() {
		out = out[:0]
		for _, f := range [][]byte{get, set, create, watches} {
			r := NewReader(f)
			var h RequestHeader
			h.Decode(&r)
			switch h.Op {
			case OpGetData:
				var q GetDataRequest
				q.Decode(&r)
				out = q.Append(out)
			case OpSetData:
				var q SetDataRequest
				q.Decode(&r)
				out = q.Append(out)
			case OpCreate:
				var q CreateRequest
				q.Decode(&r)
				for it := q.ACL.Iter(); it.Next(); {
					sum += int(it.ACL().Perms)
				}
				out = q.Append(out)
			case OpSetWatches:
				var q SetWatches
				q.Decode(&r)
				for it := q.Data.Iter(); it.Next(); {
					sum += len(it.Value())
				}
				out = q.Append(out)
			}
			reply := ReplyHeader{h.Xid, 2, OK}
			var mark int
			out, mark = BeginFrame(out)
			out = EndFrame(AppendStat(reply.Append(out), &stat), mark)
		}
		ops, _ := NewMultiIter(multi, MultiWrite)
		for ops.Next() {
			r := ops.Body()
			sum += r.Len()
			out = AppendMultiResult(out, ops.Op(), []byte("/a"), &stat)
		}
		out = AppendMultiFailure(out, 3, 1, NoNode)
		if ValidatePath([]byte("/a/b")) && IsWord([4]byte{'r', 'u', 'o', 'k'}) {
			out = AppendJavaString(out, []byte("a\xff\xf0\x9f\x98\x80"))
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// show prints a record as a reader wants it: bytes as text, null as null, vectors element by
// element.
func show(v any) string { return showValue(reflect.Indirect(reflect.ValueOf(v))) }

func showValue(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case []byte:
		return showBytes(x)
	case StringVec:
		return showVec(x.Null(), func(add func(string)) {
			for it := x.Iter(); it.Next(); {
				add(showBytes(it.Value()))
			}
		})
	case ACLVec:
		return showVec(x.Null(), func(add func(string)) {
			for it := x.Iter(); it.Next(); {
				a := it.ACL()
				add(fmt.Sprintf("%d:%s:%s", a.Perms, showBytes(a.Scheme), showBytes(a.ID)))
			}
		})
	case ClientInfoVec:
		return showVec(x.Null(), func(add func(string)) {
			for it := x.Iter(); it.Next(); {
				c := it.ClientInfo()
				add(showBytes(c.AuthScheme) + ":" + showBytes(c.User))
			}
		})
	case fmt.Stringer:
		return x.String()
	case multiRequest:
		return showVec(false, func(add func(string)) {
			for _, p := range x.ops {
				add(showPart(requests[p.op](), p))
			}
		})
	case multiReply:
		return showVec(false, func(add func(string)) {
			for _, p := range x.results {
				if p.op == OpError {
					add(p.code.String())
				} else {
					add(showPart(replies[p.op](), p))
				}
			}
		})
	}
	if v.Kind() != reflect.Struct {
		return fmt.Sprint(v.Interface())
	}
	var fields []string
	for i := range v.NumField() {
		if v.Type().Field(i).Anonymous {
			fields = append(fields, strings.Trim(showValue(v.Field(i)), "{}"))
		} else {
			fields = append(fields, v.Type().Field(i).Name+" "+showValue(v.Field(i)))
		}
	}
	return "{" + strings.Join(fields, ", ") + "}"
}

func showPart(rec record, p multiPart) string {
	r := NewReader(p.body)
	if err := rec.Decode(&r); err != nil {
		return err.Error()
	}
	if _, ok := rec.(*noRecord); ok {
		return p.op.String()
	}
	return p.op.String() + " " + show(rec)
}

func showBytes(b []byte) string {
	if b == nil {
		return "null"
	}
	return fmt.Sprintf("%q", b)
}

func showVec(null bool, walk func(add func(string))) string {
	if null {
		return "null"
	}
	parts := []string{}
	walk(func(s string) { parts = append(parts, s) })
	return "[" + strings.Join(parts, " ") + "]"
}
