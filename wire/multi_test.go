package wire

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

// multiOf builds the body of a multi: header and record of each operation, and the end.
func multiOf(parts ...any) []byte {
	var b []byte
	for i := 0; i < len(parts); i += 2 {
		b = AppendMultiHeader(b, parts[i].(Op), false, -1)
		b = parts[i+1].(record).Append(b)
	}
	return AppendMultiEnd(b)
}

func create(flags int32) *CreateRequest {
	return &CreateRequest{[]byte("/a"), []byte("x"), OpenACL, flags}
}

func createTTL(flags int32, ttl int64) *CreateTTLRequest {
	return &CreateTTLRequest{*create(flags), ttl}
}

// What becomes of each operation with each flag. The wants are what MultiOperationRecord of 3.9.5
// made of the same bytes; the source of 3.10 does the same.
func TestMultiReadsCreatesAsJavaDoes(t *testing.T) {
	for _, c := range []struct {
		op    Op
		flags []int32
		want  Op // 0: the whole multi is refused
		ttl   bool
	}{
		{op: OpCreate, flags: []int32{0, 1, 2, 3}, want: OpCreate},
		{op: OpCreate, flags: []int32{4}, want: OpCreateContainer},
		{op: OpCreate, flags: []int32{-1, 5, 6, 7, 8}},
		{op: OpCreate2, flags: []int32{0, 1, 2, 3}, want: OpCreate2},
		{op: OpCreate2, flags: []int32{4}, want: OpCreateContainer},
		{op: OpCreate2, flags: []int32{-1, 5, 6, 7, 8}},
		{op: OpCreateContainer, flags: []int32{0, 1, 2, 3, 4}, want: OpCreateContainer},
		{op: OpCreateContainer, flags: []int32{-1, 5, 6, 7, 8}},
		{op: OpCreateTTL, flags: []int32{-1, 0, 1, 2, 3, 7, 8}, want: OpCreate},
		{op: OpCreateTTL, flags: []int32{4}, want: OpCreateContainer},
		{op: OpCreateTTL, flags: []int32{5, 6}, want: OpCreateTTL, ttl: true},
	} {
		for _, flags := range c.flags {
			for _, ttl := range []int64{-1, 0, 5} {
				rec, want := record(create(flags)), record(create(flags))
				if c.op == OpCreateTTL {
					rec = createTTL(flags, ttl)
				}
				if c.ttl {
					want = rec
				}
				name := fmt.Sprintf("%v with flags %d and TTL %d", c.op, flags, ttl)
				ops, err := NewMultiIter(multiOf(c.op, rec), MultiWrite)
				if c.want == 0 {
					if !errors.Is(err, ErrOperation) {
						t.Errorf("%s: %v, want it refused", name, err)
					}
					continue
				}
				if err != nil || !ops.Next() {
					t.Errorf("%s: refused with %v", name, err)
					continue
				}
				if b := ops.Body(); ops.Op() != c.want || !bytes.Equal(b.Rest(), want.Append(nil)) {
					t.Errorf("%s became %v %x, want %v %x", name, ops.Op(), b.Rest(), c.want, want.Append(nil))
				}
				if ops.Next() || ops.Next() {
					t.Errorf("%s: went on behind the end", name)
				}
			}
		}
	}
}

// Java fails over a null list of ACLs behind an unknown flag and a record cut short, and before all else.
func TestNullACLInMulti(t *testing.T) {
	null := func(flags int32) *CreateRequest { return &CreateRequest{[]byte("/a"), nil, ACLVec(nullCount), flags} }
	del := &DeleteRequest{[]byte("/a"), -1}
	cut := multiOf(OpCreate, null(0))
	for _, c := range []struct {
		name string
		body []byte
		want error
	}{
		{"alone", multiOf(OpCreate, null(0)), ErrNullACL},
		{"in a create2", multiOf(OpCreate2, null(3)), ErrNullACL},
		{"in a createContainer", multiOf(OpCreateContainer, null(4)), ErrNullACL},
		{"with a flag that wants a TTL", multiOf(OpCreate, null(5)), ErrNullACL},
		{"with an unknown flag", multiOf(OpCreate, null(7)), ErrOperation},
		{"before what cannot stand there", multiOf(OpCreate, null(0), OpMulti, del), ErrNullACL},
		{"behind what cannot stand there", multiOf(OpMulti, del, OpCreate, null(0)), ErrOperation},
		{"in a record cut short", cut[:len(cut)-MultiHeaderBytes-1], ErrShort},
		{"in a createTTL", multiOf(OpCreateTTL, &CreateTTLRequest{*null(5), 1}), nil},
	} {
		if _, err := NewMultiIter(c.body, MultiWrite); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestMultiAllowsTheOperationsOfItsKindOnly(t *testing.T) {
	writes := map[Op]bool{
		OpCreate: true, OpCreate2: true, OpCreateContainer: true, OpCreateTTL: true, OpDelete: true,
		OpSetData: true, OpCheck: true,
	}
	reads := map[Op]bool{OpGetData: true, OpGetChildren: true}
	read, write := &GetDataRequest{[]byte("/a"), true}, &DeleteRequest{[]byte("/a"), -1}
	for op := Op(-12); op < 110; op++ {
		rec := record(new(noRecord))
		if own := requests[op]; own != nil && op != OpMulti && op != OpMultiRead {
			rec = own()
		}
		for kind, allowed := range map[MultiKind]map[Op]bool{MultiWrite: writes, MultiRead: reads} {
			_, err := NewMultiIter(multiOf(op, rec), kind)
			if errors.Is(err, ErrOperation) == allowed[op] {
				t.Errorf("%v in a multi of kind %d: %v, allowed %v", op, kind, err, allowed[op])
			}
		}
	}
	for kind, body := range map[MultiKind][]byte{
		MultiWrite: multiOf(OpDelete, write, OpGetData, read),
		MultiRead:  multiOf(OpGetData, read, OpDelete, write),
	} {
		if _, err := NewMultiIter(body, kind); !errors.Is(err, ErrOperation) {
			t.Errorf("both kinds of operations in a multi of kind %d: %v, want it refused", kind, err)
		}
	}
}

func TestMultiEnds(t *testing.T) {
	one := multiOf(OpDelete, &DeleteRequest{[]byte("/a"), -1})
	head := one[:len(one)-MultiHeaderBytes]
	end := func(op Op, done byte, err Code) []byte {
		b := AppendMultiHeader(bytes.Clone(head), op, false, err)
		b[len(head)+4] = done
		return b
	}
	for _, c := range []struct {
		name string
		body []byte
		n    int
		err  error
	}{
		{"as clients write it", one, 1, nil},
		{"no operations", AppendMultiEnd(nil), 0, nil},
		{"at the first header that says done, whatever else it says", end(OpDelete, 1, NoNode), 1, nil},
		{"any byte but zero says done", end(-1, 0x80, -1), 1, nil},
		{"and what is behind is not looked at", append(bytes.Clone(one), "garbage"...), 1, nil},
		{"even if it could go on", append(bytes.Clone(one), one...), 1, nil},
		{"before its end is cut short", one[:len(one)-1], 0, ErrShort},
		{"without an end", head, 0, ErrShort},
		{"in the middle of a record", head[:len(head)-1], 0, ErrShort},
		{"with nothing at all", nil, 0, ErrShort},
		{"in a header of no operation", end(-1, 0, -1), 0, ErrOperation},
		{"in a path longer than the frame", append(AppendMultiHeader(nil, OpDelete, false, -1), sized(99, "/a")...), 0, ErrLength},
	} {
		ops, err := NewMultiIter(c.body, MultiWrite)
		n := 0
		for ; ops.Next(); n++ {
		}
		if n != c.n || !errors.Is(err, c.err) || ops.Next() {
			t.Errorf("ends %s: %d operations, %v, want %d, %v", c.name, n, err, c.n, c.err)
		}
	}
}

func TestMultiIterIsAValue(t *testing.T) {
	del := func(p string) *DeleteRequest { return &DeleteRequest{[]byte(p), -1} }
	ops, err := NewMultiIter(multiOf(OpDelete, del("/a"), OpDelete, del("/b")), MultiWrite)
	if err != nil {
		t.Fatal(err)
	}
	ops.Next()
	again := ops
	for range 3 {
		ops.Next()
	}
	if !again.Next() {
		t.Fatal("the copy is at the end too")
	}
	r := again.Body()
	if got := string(r.String()); got != "/b" || again.Next() {
		t.Errorf("the copy went to %s, want /b and the end", got)
	}
}

func TestMultiFailure(t *testing.T) {
	got := AppendMultiFailure([]byte("x"), 3, 1, NoNode)
	want := AppendMultiError([]byte("x"), OK)
	want = AppendMultiError(want, NoNode)
	want = AppendMultiEnd(AppendMultiError(want, RuntimeInconsistency))
	if !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

func TestMultiResults(t *testing.T) {
	path := []byte("/a")
	var b []byte
	writes := []Op{OpCreate, OpCreate2, OpCreateContainer, OpCreateTTL, OpDelete, OpSetData, OpCheck}
	for _, op := range writes {
		b = AppendMultiResult(b, op, path, &stat)
	}
	data := GetDataResponse{nil, stat}
	b = data.Append(AppendMultiHeader(b, OpGetData, false, OK))
	b = AppendStrings(AppendMultiHeader(b, OpGetChildren, false, OK), BuildStrings("c"))
	b = AppendMultiError(b, NoAuth)
	whole := AppendMultiEnd(b)
	res, err := NewMultiResults(whole)
	if err != nil {
		t.Fatal(err)
	}
	pathBytes, statBytes := 4+len(path), StatBytes
	for i, want := range []struct {
		op   Op
		code Code
		size int
	}{
		{OpCreate, OK, pathBytes},
		{OpCreate2, OK, pathBytes + statBytes},
		{OpCreate2, OK, pathBytes + statBytes},
		{OpCreate2, OK, pathBytes + statBytes},
		{OpDelete, OK, 0},
		{OpSetData, OK, statBytes},
		{OpCheck, OK, 0},
		{OpGetData, OK, 4 + statBytes},
		{OpGetChildren, OK, 4 + 5},
		{OpError, NoAuth, 4},
	} {
		if !res.Next() {
			t.Fatalf("result %d is missing", i)
		}
		if body := res.Body(); res.Op() != want.op || res.Code() != want.code || body.Len() != want.size {
			t.Errorf("result %d is %v %v of %d bytes, want %v", i, res.Op(), res.Code(), body.Len(), want)
		}
	}
	if res.Next() || res.Next() {
		t.Error("went on behind the end")
	}
	for n := range whole {
		if _, err := NewMultiResults(whole[:n]); err == nil {
			t.Errorf("results cut to %d of %d bytes are accepted", n, len(whole))
		}
	}
	if res, _ = NewMultiResults(append(bytes.Clone(whole), whole...)); resultsOf(&res) != 10 || res.Next() {
		t.Error("went on behind the end, where it could")
	}
	for op := Op(-12); op < 110; op++ {
		rec := record(new(noRecord))
		if own := replies[op]; own != nil && op != OpMulti && op != OpMultiRead {
			rec = own()
		}
		_, err := NewMultiResults(AppendMultiEnd(rec.Append(AppendMultiHeader(nil, op, false, OK))))
		switch op {
		case OpCreate, OpCreate2, OpDelete, OpSetData, OpCheck, OpGetData, OpGetChildren:
			if err != nil {
				t.Errorf("a result of %v: %v", op, err)
			}
		default:
			_, bare := NewMultiResults(AppendMultiEnd(AppendMultiHeader(nil, op, false, OK)))
			if err == nil || bare == nil {
				t.Errorf("a result of %v is accepted", op)
			}
		}
	}
}

func resultsOf(m *MultiResults) (n int) {
	for ; m.Next(); n++ {
	}
	return n
}
