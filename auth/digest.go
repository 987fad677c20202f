package auth

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"hash"
	"strings"
	"unicode/utf8"

	"paddock/wire"
)

// algorithm is the hash of scheme digest.
type algorithm struct{ new func() hash.Hash }

// algorithms are the names Java has for them, in upper case.
var algorithms = map[string]func() hash.Hash{
	"MD5": md5.New, "SHA": sha1.New, "SHA1": sha1.New, "SHA-1": sha1.New,
	"SHA-224": sha256.New224, "SHA-256": sha256.New, "SHA-384": sha512.New384, "SHA-512": sha512.New,
	"SHA-512/224": sha512.New512_224, "SHA-512/256": sha512.New512_256,
	"SHA3-224": func() hash.Hash { return sha3.New224() }, "SHA3-256": func() hash.Hash { return sha3.New256() },
	"SHA3-384": func() hash.Hash { return sha3.New384() }, "SHA3-512": func() hash.Hash { return sha3.New512() },
}

// algorithmOf returns the algorithm of that name; case does not matter, and no name means SHA1.
func algorithmOf(name string) (*algorithm, error) {
	if name == "" {
		name = "SHA1"
	}
	f := algorithms[strings.ToUpper(name)]
	if f == nil {
		return nil, fmt.Errorf("auth: DigestAuthenticationProvider.digestAlg %q is no known algorithm", name)
	}
	return &algorithm{new: f}, nil
}

var colon = []byte{':'}

// id returns the id of scheme digest for user:password: the user, a colon, and the hash of both in base64.
// Where there is no colon, all of it is the user. Source: DigestAuthenticationProvider.generateDigest.
func (a *algorithm) id(userPassword []byte) []byte {
	text := javaText(userPassword)
	h := a.new()
	h.Write(text)
	user, _, _ := bytes.Cut(text, colon)
	id := wire.AppendJavaString(nil, user)
	return base64.StdEncoding.AppendEncode(append(id, ':'), h.Sum(nil))
}

// javaText returns b as Java's UTF-8 encodes what its decoder made of it: bytes that are no UTF-8 are replaced.
func javaText(b []byte) []byte {
	if utf8.Valid(b) {
		return b
	}
	return joinSurrogates(wire.AppendJavaString(nil, b))
}

// joinSurrogates writes the characters beyond U+FFFF of what AppendJavaString wrote in four bytes each.
func joinSurrogates(b []byte) []byte {
	out := b[:0]
	for len(b) > 0 {
		if len(b) >= 6 && b[0] == 0xed && b[1] >= 0xa0 {
			high := rune(b[1]&0x0f)<<6 | rune(b[2]&0x3f)
			low := rune(b[4]&0x0f)<<6 | rune(b[5]&0x3f)
			out = utf8.AppendRune(out, 0x10000+high<<10+low)
			b = b[6:]
			continue
		}
		out = append(out, b[0])
		b = b[1:]
	}
	return out
}

// validDigestID reports whether an id may stand in a list: cut at its colons, with what is empty at the end
// left out, it has two parts. Source: DigestAuthenticationProvider.isValid, String.split.
func validDigestID(id []byte) bool {
	return bytes.Count(bytes.TrimRight(id, ":"), colon) == 1
}
