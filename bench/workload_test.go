package bench

import (
	"strings"
	"testing"

	"paddock/wire"
)

func TestTemplatesAreRequestsThatDecode(t *testing.T) {
	o := DefaultOptions("a:1")
	o.MultiOps = 3
	templates := o.templates()
	for _, tc := range []struct {
		kind kind
		op   wire.Op
		body interface{ Decode(*wire.Reader) error }
		path func(body any) []byte
		want string
	}{
		{kindGet, wire.OpGetData, new(wire.ReadRequest), func(b any) []byte { return b.(*wire.ReadRequest).Path }, "/paddock-bench/k/00001234"},
		{kindExists, wire.OpExists, new(wire.ReadRequest), func(b any) []byte { return b.(*wire.ReadRequest).Path }, "/paddock-bench/k/00001234"},
		{kindChildren, wire.OpGetChildren, new(wire.ReadRequest), func(b any) []byte { return b.(*wire.ReadRequest).Path }, "/paddock-bench/p/00001234"},
		{kindSet, wire.OpSetData, new(wire.SetDataRequest), func(b any) []byte { return b.(*wire.SetDataRequest).Path }, "/paddock-bench/k/00001234"},
		{kindCreate, wire.OpCreate, new(wire.CreateRequest), func(b any) []byte { return b.(*wire.CreateRequest).Path }, "/paddock-bench/n/00001234"},
		{kindDelete, wire.OpDelete, new(wire.DeleteRequest), func(b any) []byte { return b.(*wire.DeleteRequest).Path }, "/paddock-bench/n/00001234"},
	} {
		tmpl := templates[tc.kind]
		frame, start := tmpl.append([]byte("before"), 77)
		putDigits(frame[start+tmpl.holes[0]:], 1234)
		r := wire.NewReader(frame[start+4:])
		var h wire.RequestHeader
		h.Decode(&r)
		if h.Xid != 77 || h.Op != tc.op {
			t.Errorf("%s: got header %+v, want xid 77 and %v", kindNames[tc.kind], h, tc.op)
		}
		if err := tc.body.Decode(&r); err != nil || r.Len() != 0 {
			t.Errorf("%s: %v, %d bytes left", kindNames[tc.kind], err, r.Len())
		}
		if got := string(tc.path(tc.body)); got != tc.want {
			t.Errorf("%s: got path %s, want %s", kindNames[tc.kind], got, tc.want)
		}
	}
	multi := templates[kindMulti]
	if len(multi.holes) != 3 {
		t.Fatalf("a multi of three has %d names", len(multi.holes))
	}
	it, err := wire.NewMultiIter(multi.frame[4+wire.RequestHeaderBytes:], wire.MultiWrite)
	ops := 0
	for err == nil && it.Next() {
		ops++
	}
	if err != nil || ops != 3 {
		t.Errorf("multi: got %d operations, %v, want 3", ops, err)
	}
}

func TestValuesHaveTheirLengthAndNoHoles(t *testing.T) {
	for _, n := range []int{0, 1, 100, 4096} {
		v := value(n)
		if len(v) != n || strings.Contains(string(v), "#") {
			t.Errorf("value(%d) has %d bytes: %.40q", n, len(v), v)
		}
	}
}

func TestDigits(t *testing.T) {
	for v, want := range map[uint32]string{0: "00000000", 7: "00000007", 98_765_432: "98765432", maxIDs - 1: "99999999"} {
		var b [digits]byte
		if putDigits(b[:], v); string(b[:]) != want {
			t.Errorf("got %s, want %s", b, want)
		}
	}
}

func TestLoopsShareAWalkWithoutOverlap(t *testing.T) {
	seen := map[string]int{}
	tmpl := createTemplate(names{"/r"}.child(), nil, 0)
	for i := range 3 {
		w := &walk{template: tmpl, ids: ids{uint32(i), 3, 20}, below: 4}
		for {
			frame, _, ok := w.append(nil, 1)
			if !ok {
				break
			}
			r := wire.NewReader(frame[4+wire.RequestHeaderBytes:])
			seen[string(r.String())]++
		}
	}
	if len(seen) != 20 || seen["/r/p/00000004/00000003"] != 1 || seen["/r/p/00000000/00000000"] != 1 {
		t.Errorf("five parents with four children each are sent as %v", seen)
	}
}
