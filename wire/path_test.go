package wire

import (
	"strings"
	"testing"
	"unicode/utf16"
)

func TestValidatePath(t *testing.T) {
	for _, c := range []struct {
		name string
		path []byte
		want bool
	}{
		{"null", nil, false},
		{"empty", []byte{}, false},
		{"the root", []byte("/"), true},
		{"a node", []byte("/a"), true},
		{"a node deep down", []byte("/a/b/c-0000000001"), true},
		{"no slash at the beginning", []byte("a/b"), false},
		{"a slash at the end", []byte("/a/"), false},
		{"two slashes", []byte("/a//b"), false},
		{"nothing but slashes", []byte("//"), false},
		{"one dot", []byte("/."), false},
		{"one dot in the middle", []byte("/a/./b"), false},
		{"two dots", []byte("/a/.."), false},
		{"two dots at the beginning", []byte("/../a"), false},
		{"three dots", []byte("/..."), true},
		{"a dot before a name", []byte("/.a"), true},
		{"two dots before a name", []byte("/..a/b"), true},
		{"dots behind a name", []byte("/a./b.."), true},
		{"dots behind what is not ASCII", []byte("/é/."), false},
		{"two slashes behind what is not ASCII", []byte("/é//a"), false},
		{"a name that ends in what is not ASCII", []byte("/./é"), false},
		{"space and tilde", []byte("/ ~"), true},
		{"NUL", []byte("/a\x00"), false},
		{"a control character", []byte("/a\x1fb"), false},
		{"DEL", []byte("/\x7f"), false},
		{"U+0080", []byte("/\u0080"), false},
		{"U+009F", []byte("/\u009f"), false},
		{"U+00A0", []byte("/\u00a0"), true},
		{"U+D7FF, the last before the surrogates", []byte("/\ud7ff"), true},
		{"U+E000, private use", []byte("/\ue000"), false},
		{"U+F8FF, private use", []byte("/\uf8ff"), false},
		{"U+F900", []byte("/\uf900"), true},
		{"U+FFEF", []byte("/\uffef"), true},
		{"U+FFF0", []byte("/\ufff0"), false},
		{"U+FFFD, sent as such", []byte("/\ufffd"), false},
		{"U+FFFF", []byte("/\uffff"), false},
		{"an emoji", []byte("/\U0001f600"), false},
		{"an emoji as surrogates", []byte("/\xed\xa0\xbd\xed\xb8\x80"), false},
		{"no UTF-8", []byte("/a\xff\xfe"), false},
		{"an overlong slash", []byte("/a\xc0\xafb"), false},
		{"a character cut short", []byte("/\xe2\x82"), false},
	} {
		if got := ValidatePath(c.path); got != c.want {
			t.Errorf("%s: %q is valid: %v, want %v", c.name, c.path, got, c.want)
		}
	}
}

// validAsJava is what ZooKeeper's documents say, in UTF-16 units and without a thought for speed.
func validAsJava(path []byte) bool {
	s := utf16.Encode([]rune(string(path))) // what is no UTF-8 becomes U+FFFD
	if len(s) == 0 || s[0] != '/' {
		return false
	}
	if len(s) == 1 {
		return true
	}
	for i, c := range s {
		if i > 0 && (c < 0x20 || c >= 0x7f && c <= 0x9f || c >= 0xd800 && c <= 0xf8ff || c >= 0xfff0) {
			return false
		}
	}
	for _, name := range strings.Split(string(path[1:]), "/") {
		if name == "" || name == "." || name == ".." {
			return false
		}
	}
	return true
}

func TestValidatePathKnowsEveryCharacter(t *testing.T) {
	for c := range rune(0x110000) {
		for _, path := range [2]string{"/" + string(c), "/a" + string(c) + "/b"} {
			if got, want := ValidatePath([]byte(path)), validAsJava([]byte(path)); got != want {
				t.Errorf("%U in %q is valid: %v, want %v", c, path, got, want)
			}
		}
	}
}

func TestAppendJavaString(t *testing.T) {
	const bad = "\xef\xbf\xbd"
	for _, c := range []struct{ name, in, want string }{ // the wants are OpenJDK 17's
		{"nothing", "", ""},
		{"ASCII and NUL", "/a\x00b\x7f", "/a\x00b\x7f"},
		{"two and three bytes", "é€\uffef", "é€\uffef"},
		{"the last of three bytes, and the first of four", "\uffff\U00010000", "\uffff\xed\xa0\x80\xed\xb0\x80"},
		{"an emoji becomes surrogates", "\xf0\x9f\x98\x80", "\xed\xa0\xbd\xed\xb8\x80"},
		{"the last character that there is", "\U0010ffff", "\xed\xaf\xbf\xed\xbf\xbf"},
		{"bytes that never occur", "\xff\xfe", bad + bad},
		{"an overlong slash", "\xc0\xaf", bad + bad},
		{"a continuation without a beginning", "a\x80b", "a" + bad + "b"},
		{"a surrogate in three bytes is one", "\xed\xa0\xbd", bad},
		{"two of them are two", "\xed\xa0\xbd\xed\xb8\x80", bad + bad},
		{"a surrogate that is cut short is one", "\xed\xa0a", bad + "a"},
		{"three bytes cut short are one", "\xe2\x82", bad},
		{"and what comes behind counts again", "\xe2\x82a", bad + "a"},
		{"four bytes cut short are one", "\xf0\x9f\x98/", bad + "/"},
		{"the narrow range is for the second byte only", "\xf0\x90\x80a", bad + "a"},
		{"an overlong sequence of three is three", "\xe0\x80\x80", bad + bad + bad},
		{"an overlong sequence of four is four", "\xf0\x80\x80\x80", bad + bad + bad + bad},
		{"beyond the last character", "\xf4\x90\x80\x80", bad + bad + bad + bad},
		{"five bytes are five", "\xf8\x88\x80\x80\x80", bad + bad + bad + bad + bad},
	} {
		if got := string(AppendJavaString([]byte("before"), []byte(c.in))); got != "before"+c.want {
			t.Errorf("%s: %x became %x, want %x", c.name, c.in, got[6:], c.want)
		}
	}
}
