package wire

import (
	"bytes"
	"errors"
	"math"
	"testing"
)

// sized encodes a length or count n and bytes behind it.
func sized(n int32, behind string) []byte { return append(AppendInt(nil, n), behind...) }

func TestBufferLengths(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []byte
		want []byte
		err  error
	}{
		{"-1 is null", sized(-1, "x"), nil, nil},
		{"0 is empty, not null", sized(0, "x"), []byte{}, nil},
		{"what is there can be taken", sized(2, "hi"), []byte("hi"), nil},
		{"more is not taken", sized(2, "high"), []byte("hi"), nil},
		{"one byte too few", sized(3, "hi"), nil, ErrLength},
		{"a length below -1", sized(-2, "hi"), nil, ErrLength},
		{"the smallest length", sized(math.MinInt32, "hi"), nil, ErrLength},
		{"the greatest length", sized(math.MaxInt32, "hi"), nil, ErrLength},
		{"no length", []byte{0, 0, 0}, nil, ErrShort},
		{"nothing", nil, nil, ErrShort},
	} {
		r := NewReader(c.in)
		got := r.Buffer()
		if !bytes.Equal(got, c.want) || (got == nil) != (c.want == nil) || !errors.Is(r.Err(), c.err) {
			t.Errorf("%s: %q, %v, want %q, %v", c.name, got, r.Err(), c.want, c.err)
		}
	}
}

func TestVectorCounts(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []byte
		null bool
		n    int
		err  error
	}{
		{"-1 is null", sized(-1, ""), true, 0, nil},
		{"0 is empty, not null", sized(0, ""), false, 0, nil},
		{"another negative count is empty, not null", sized(-5, ""), false, 0, nil},
		{"the smallest count is empty", sized(math.MinInt32, ""), false, 0, nil},
		{"as many as are there", BuildStrings("a", "bc"), false, 2, nil},
		{"one more than are there", append(sized(3, ""), BuildStrings("a", "b")[4:]...), false, 0, ErrLength},
		{"more than the bytes can hold", sized(math.MaxInt32, "12345678"), false, 0, ErrLength},
		{"an element longer than the rest", append(sized(1, ""), sized(9, "short")...), false, 0, ErrLength},
		{"an element cut in its length", append(sized(2, ""), sized(1, "a\x00\x00\x00")...), false, 0, ErrShort},
		{"no count", []byte{0, 0}, false, 0, ErrShort},
	} {
		r := NewReader(c.in)
		v := r.Strings()
		if !errors.Is(r.Err(), c.err) {
			t.Errorf("%s: %v, want %v", c.name, r.Err(), c.err)
			continue
		}
		if c.err != nil {
			if v != nil {
				t.Errorf("%s: %x beside an error", c.name, v)
			}
			continue
		}
		n := 0
		for it := v.Iter(); it.Next(); n++ {
		}
		if v.Null() != c.null || v.Len() != c.n || n != c.n || !bytes.Equal(v, c.in) {
			t.Errorf("%s: %x, null %v, %d elements, walked %d; want %x, %v, %d", c.name, v, v.Null(), v.Len(), n, c.in, c.null, c.n)
		}
	}
}

func TestAVectorThatIsNilCountsAsNull(t *testing.T) {
	for _, v := range [][]byte{nil, {}} {
		s, a, c := StringVec(v), ACLVec(v), ClientInfoVec(v)
		si, ai, ci := s.Iter(), a.Iter(), c.Iter()
		if !s.Null() || !a.Null() || !c.Null() || s.Len()+a.Len()+c.Len() != 0 || si.Next() || ai.Next() || ci.Next() {
			t.Errorf("%#v is not the null vector", v)
		}
		if got := AppendACLs(AppendStrings(nil, s), a); !bytes.Equal(got, bytes.Repeat([]byte{0xff}, 8)) {
			t.Errorf("%#v encoded to %x, want two counts of -1", v, got)
		}
	}
}

func TestIteratorsWalkInPlace(t *testing.T) {
	r := NewReader(append(BuildACL(ACL{31, []byte("ip"), []byte("::1")}, ACL{0x7fffffff, []byte{}, nil}), 9))
	acl := r.ACLs()
	if r.Len() != 1 || acl.Len() != 2 || cap(acl) != len(acl) {
		t.Fatalf("%d bytes left, %d entries, capacity %d of %d", r.Len(), acl.Len(), cap(acl), len(acl))
	}
	var got []ACL
	for it := acl.Iter(); it.Next(); {
		got = append(got, it.ACL())
	}
	if got[0].Perms != 31 || string(got[0].ID) != "::1" || got[1].Perms != 0x7fffffff || got[1].Scheme == nil || got[1].ID != nil {
		t.Errorf("walked %v", got)
	}
	if &got[0].Scheme[0] != &acl[4+4+4] {
		t.Error("an entry does not alias its vector")
	}
}

func TestAnErrorSticks(t *testing.T) {
	r := NewReader(append(sized(-2, ""), bytes.Repeat([]byte{1}, 100)...))
	r.Buffer()
	if r.Int() != 0 || r.Long() != 0 || r.Bool() || r.Byte() != 0 || r.Buffer() != nil || r.ACLs() != nil ||
		r.Strings() != nil || r.ClientInfos() != nil || r.Len() != 0 || r.Rest() != nil {
		t.Error("a field behind an error is not zero")
	}
	var s Stat
	s = Stat{Version: 1}
	if s.Decode(&r); s != (Stat{}) {
		t.Errorf("a Stat behind an error is %+v", s)
	}
	if !errors.Is(r.Err(), ErrLength) {
		t.Errorf("%v, want the first error, %v", r.Err(), ErrLength)
	}
}

func TestAnyByteButZeroIsTrue(t *testing.T) {
	for b := range 256 {
		r := NewReader([]byte{byte(b)})
		if got := r.Bool(); got != (b != 0) {
			t.Errorf("%#02x is %v", b, got)
		}
	}
	if got := AppendBool(AppendBool(nil, true), false); !bytes.Equal(got, []byte{1, 0}) {
		t.Errorf("true, false encoded to %x", got)
	}
}

func TestAppendingToAFieldLeavesTheNextAlone(t *testing.T) {
	q := SetDataRequest{[]byte("/a"), []byte("hi"), 7}
	frame := q.Append(nil)
	r := NewReader(frame)
	if err := q.Decode(&r); err != nil {
		t.Fatal(err)
	}
	_ = append(q.Path, "xx"...)
	_ = append(q.Data, "xx"...)
	r = NewReader(frame)
	if q.Decode(&r); string(q.Data) != "hi" || q.Version != 7 {
		t.Errorf("%q %d after appending to the field before", q.Data, q.Version)
	}
}

func TestFramesAreClosedWhereTheyWereOpened(t *testing.T) {
	dst := []byte("before")
	dst, mark := BeginFrame(dst)
	dst = EndFrame(append(dst, "body"...), mark)
	if got := string(dst); got != "before\x00\x00\x00\x04body" {
		t.Errorf("%q", got)
	}
}
