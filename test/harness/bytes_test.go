package harness

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"testing"
)

// Frames of the protocol specification's section 14.
func TestBytesMatchCaptures(t *testing.T) {
	for _, c := range []struct {
		name string
		got  Bytes
		want string
	}{
		{
			"connect", ConnectRequest{TimeoutMS: 30000, Passwd: make([]byte, 16)}.Bytes().Frame(),
			"0000002d" + "00000000" + "0000000000000000" + "00007530" + "0000000000000000" +
				"00000010" + "00000000000000000000000000000000" + "00",
		},
		{
			"create /a", Bytes(nil).Int(1).Int(1).Str("/a").Str("hi").ACLs(ACL{31, "world", "anyone"}).Int(0).Frame(),
			"00000033" + "00000001" + "00000001" + "000000022f61" + "000000026869" +
				"000000010000001f00000005776f726c6400000006616e796f6e65" + "00000000",
		},
		{
			"getData /a with a watch", Bytes(nil).Int(4).Int(4).Str("/a").Bool(true).Frame(),
			"0000000f" + "00000004" + "00000004" + "000000022f61" + "01",
		},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestFieldsReadWhatBytesWrite(t *testing.T) {
	acl := []ACL{{31, "world", "anyone"}, {1, "ip", ""}}
	b := Bytes(nil).Int(-7).Long(1<<40).Bool(true).Str("s").Null().Buf([]byte{}).Strs("a", "b").ACLs(acl...)
	f := FieldsOf(b)
	got := []any{f.Int(), f.Long(), f.Bool(), f.Str(), f.Buf(), f.Buf(), f.Strs(), f.ACLs()}
	want := []any{int32(-7), int64(1 << 40), true, "s", []byte(nil), []byte{}, []string{"a", "b"}, acl}
	if !reflect.DeepEqual(got, want) || f.Err() != nil {
		t.Errorf("got %v (%v), want %v", got, f.Err(), want)
	}
}

func TestFieldsTellShortAndLongRecords(t *testing.T) {
	for name, read := range map[string]func(*Fields){
		"an integer cut short":  func(f *Fields) { f.Long(); f.Int() },
		"a string too long":     func(f *Fields) { f.Int(); f.Buf() },
		"bytes nobody has read": func(f *Fields) { f.Int() },
	} {
		f := FieldsOf(Bytes(nil).Int(1).Int(1000).Raw('x'))
		read(f)
		if f.Err() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestVersionOrder(t *testing.T) {
	v := Version{3, 9, 5}
	for want, others := range map[bool][]Version{
		true:  {{3, 9, 5}, {3, 9, 4}, {3, 8, 99}, {2, 0, 0}},
		false: {{3, 9, 6}, {3, 10, 0}, {4, 0, 0}},
	} {
		for _, o := range others {
			if got := v.AtLeast(o[0], o[1], o[2]); got != want {
				t.Errorf("%v at least %v: got %v, want %v", v, o, got, want)
			}
		}
	}
}

func TestSettingsWithLeavesTheOriginalAlone(t *testing.T) {
	s := Settings{"tickTime": "2000"}
	more := s.With(Settings{"tickTime": "100", "a": "b"})
	if s["tickTime"] != "2000" || len(s) != 1 || more["tickTime"] != "100" || len(more) != 2 {
		t.Errorf("got %v and %v", s, more)
	}
}

func TestFrameLength(t *testing.T) {
	if got := (Bytes("abc")).Frame(); !bytes.Equal(got, []byte{0, 0, 0, 3, 'a', 'b', 'c'}) {
		t.Errorf("got %x", []byte(got))
	}
}
