package auth

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"paddock/wire"
)

// javaSplit is Java's String.split for a separator that is no pattern: empty parts at the end are left
// out, but a text without any separator is one part.
func javaSplit(s, sep string) []string {
	if !strings.Contains(s, sep) {
		return []string{s}
	}
	parts := strings.Split(s, sep)
	for len(parts) > 0 && parts[len(parts)-1] == "" {
		parts = parts[:len(parts)-1]
	}
	return parts
}

// Answers of Apache's DigestAuthenticationProvider.isValid. (fact 104)
var digestIDs = map[string]bool{
	"a:b": true, ":b": true, "a:b:": true, "a:b::": true, " : ": true,
	"a": false, "a:": false, "a:b:c": false, "::b": false, ":": false, "": false, "a::": false, "::": false, "a::b": false, "a:b:::c": false,
}

func TestDigestIDsAreValidByJavasRules(t *testing.T) {
	for id, want := range digestIDs {
		if got := validDigestID([]byte(id)); got != want {
			t.Errorf("%q: got %v, want %v", id, got, want)
		}
	}
}

func FuzzDigestID(f *testing.F) {
	for id := range digestIDs {
		f.Add([]byte(id))
	}
	f.Fuzz(func(t *testing.T, id []byte) {
		if got, want := validDigestID(id), len(javaSplit(string(id), ":")) == 2; got != want {
			t.Errorf("%q: got %v, want %v", id, got, want)
		}
	})
}

func TestTextBecomesWhatJavaMakesOfIt(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain", "plain"},
		{"ä€😀", "ä€😀"},
		{"\xff", "\ufffd"},
		{"\xe2\x82", "\ufffd"},
		{"\xf0\x9f\x98", "\ufffd"},
		{"\xc0\x80", "\ufffd\ufffd"},
		{"\xf4\x90\x80\x80", "\ufffd\ufffd\ufffd\ufffd"},
		{"\xff😀", "\ufffd😀"},
	} {
		if got := string(javaText([]byte(c.in))); got != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
}

// FuzzAuthenticate: any data is somebody, the id is well-formed, and may stand in a list unless the user is
// empty at both ends of Java's split.
func FuzzAuthenticate(f *testing.F) {
	for _, s := range []string{bob, "", ":", "a:b:c", "\xff:\xff", "\xff😀:x", "\xed\xa0\x80:x"} {
		f.Add([]byte(s))
	}
	r := mustNew(f, Config{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > maxIdentityBytes/8 {
			return
		}
		if data == nil {
			data = []byte{}
		}
		kept := bytes.Clone(data)
		ids, code := r.Authenticate(r.Connect(local), []byte("digest"), data)
		if code != wire.OK {
			t.Fatalf("%q: %v", data, code)
		}
		if !bytes.Equal(kept, data) {
			t.Fatalf("%q was changed to %q", kept, data)
		}
		id := ids.all[1].id
		if !validDigestID(id) {
			t.Errorf("%q makes the id %q, which may not stand in a list", data, id)
		}
		if text := javaText(data); !utf8.Valid(text) {
			t.Errorf("%q becomes %q", data, text)
		}
		acl, code := r.Fixup(nil, ids, list("31:auth:"))
		if code != wire.OK || !ids.May(acl, wire.PermRead) {
			t.Errorf("%q may not read its own: %v", data, code)
		}
		wellFormed(t, acl)
	})
}
