package wire

import "unicode/utf8"

// AppendJavaString appends b as Java writes what it has read: bytes that are no UTF-8 become U+FFFD, and
// a character beyond U+FFFF becomes two surrogates of three bytes each (CESU-8). No length is written.
// Source: StandardCharsets.UTF_8 decoding, BinaryOutputArchive.stringToByteBuffer.
func AppendJavaString(dst, b []byte) []byte {
	for len(b) > 0 {
		if b[0] < utf8.RuneSelf {
			dst = append(dst, b[0])
			b = b[1:]
			continue
		}
		c, n := utf8.DecodeRune(b)
		switch {
		case c == utf8.RuneError && n == 1:
			dst = append(dst, "\uFFFD"...)
			n = malformed(b)
		case c > 0xffff:
			c -= 0x10000
			dst = appendSurrogate(dst, 0xd800+c>>10)
			dst = appendSurrogate(dst, 0xdc00+c&0x3ff)
		default:
			dst = append(dst, b[:n]...)
		}
		b = b[n:]
	}
	return dst
}

// malformed returns how many bytes Java replaces by one U+FFFD: the longest beginning of a well-formed
// sequence, at least one byte.
func malformed(b []byte) int {
	var low, high byte = 0x80, 0xbf // of the second byte
	want := 1
	switch c := b[0]; {
	case c >= 0xc2 && c <= 0xdf:
		want = 2
	case c >= 0xe0 && c <= 0xef:
		want = 3
		if c == 0xe0 {
			low = 0xa0
		}
		if c == 0xed {
			high = 0x9f
		}
	case c >= 0xf0 && c <= 0xf4:
		want = 4
		if c == 0xf0 {
			low = 0x90
		}
		if c == 0xf4 {
			high = 0x8f
		}
	}
	n := 1
	for n < want && n < len(b) && b[n] >= low && b[n] <= high {
		n++
		low, high = 0x80, 0xbf
	}
	return n
}

func appendSurrogate(dst []byte, c rune) []byte {
	return append(dst, 0xe0|byte(c>>12), 0x80|byte(c>>6)&0x3f|0x80, 0x80|byte(c)&0x3f)
}
