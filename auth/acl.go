package auth

import (
	"bytes"
	"encoding/binary"

	"paddock/wire"
)

// Fixup appends to dst the list to be stored for acl, which a client with these identities sent: entries that
// occur twice are there once, `auth` stands for the client's own identities, and every id makes sense. It
// returns dst as it was with InvalidACL, or with MarshallingError for a null id, which Apache's server
// trips over. Source: PrepRequestProcessor.fixupACL.
func (r *Rules) Fixup(dst []byte, ids *Identities, acl wire.ACLVec) (wire.ACLVec, wire.Code) {
	if acl.Len() == 0 {
		return dst, wire.InvalidACL
	}
	if !isASCII(acl) {
		acl = javaACL(acl)
	}
	countAt, count := len(dst), 0
	dst = wire.AppendInt(dst, 0)
	seen := newSeen(acl)
	for it := acl.Iter(); it.Next(); {
		a := it.ACL()
		if seen.before(&a) {
			continue
		}
		n, code := 1, wire.OK
		if string(a.Scheme) == schemeAuth {
			if dst, n = ids.appendOwn(dst, a.Perms); n == 0 {
				code = wire.InvalidACL
			}
		} else if code = r.check(&a); code == wire.OK {
			dst = wire.AppendACL(dst, a)
		}
		if code != wire.OK {
			return dst[:countAt], code
		}
		count += n
	}
	binary.BigEndian.PutUint32(dst[countAt:], uint32(count))
	return dst, wire.OK
}

// check says whether an entry may be stored as it is.
func (r *Rules) check(a *wire.ACL) wire.Code {
	scheme := string(a.Scheme)
	if scheme != schemeWorld && !r.provides(scheme) {
		return wire.InvalidACL // a null scheme has no provider either
	}
	if a.ID == nil {
		return wire.MarshallingError
	}
	ok := false
	switch scheme {
	case schemeWorld:
		ok = string(a.ID) == worldID
	case schemeDigest:
		ok = validDigestID(a.ID)
	case schemeIP:
		_, ok = parseNetwork(a.ID)
	}
	if !ok {
		return wire.InvalidACL
	}
	return wire.OK
}

// appendOwn appends an entry for each identity the client has authenticated as, and returns how many. An
// address is nothing a client has proved, and super is not for lists.
func (ids *Identities) appendOwn(dst []byte, perms int32) ([]byte, int) {
	n := 0
	for i := range ids.all {
		if one := &ids.all[i]; one.scheme == schemeDigest {
			dst = wire.AppendACL(dst, wire.ACL{Perms: perms, Scheme: []byte(one.scheme), ID: one.id})
			n++
		}
	}
	return dst, n
}

// AppendMasked appends the list as who may not administer the node is shown it: of a digest the user, and
// x for the hash.
func (r *Rules) AppendMasked(dst []byte, acl wire.ACLVec) []byte {
	if acl.Null() {
		return wire.AppendACLs(dst, nil)
	}
	dst = wire.AppendInt(dst, int32(acl.Len()))
	for it := acl.Iter(); it.Next(); {
		a := it.ACL()
		user, _, hasHash := bytes.Cut(a.ID, colon)
		if string(a.Scheme) != schemeDigest || !hasHash {
			dst = wire.AppendACL(dst, a)
			continue
		}
		dst = wire.AppendString(wire.AppendInt(dst, a.Perms), a.Scheme)
		dst = append(wire.AppendInt(dst, int32(len(user)+2)), user...)
		dst = append(dst, ':', 'x')
	}
	return dst
}

// seen knows which entries of a list were there before. Short lists, which nearly all are, are looked
// through; a long one gets a set, for a frame has room for enough entries to make a square hurt.
type seen struct {
	acl wire.ACLVec
	i   int                 // entries so far
	set map[string]struct{} // nil for short lists
	key []byte
}

const shortACL = 32

func newSeen(acl wire.ACLVec) seen {
	s := seen{acl: acl}
	if n := acl.Len(); n > shortACL {
		s.set = make(map[string]struct{}, n)
	}
	return s
}

// before reports whether the next entry of the list, a, occurred before.
func (s *seen) before(a *wire.ACL) bool {
	if s.set != nil {
		s.key = wire.AppendACL(s.key[:0], *a)
		_, known := s.set[string(s.key)]
		if !known {
			s.set[string(s.key)] = struct{}{}
		}
		return known
	}
	it := s.acl.Iter()
	for range s.i {
		it.Next()
		if b := it.ACL(); b.Perms == a.Perms && sameText(b.Scheme, a.Scheme) && sameText(b.ID, a.ID) {
			s.i++
			return true
		}
	}
	s.i++
	return false
}

// sameText compares strings of which null is not the empty one.
func sameText(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }

// isASCII looks at the whole encoded list. Numbers in it may have high bytes: then the list is only
// looked at more closely than it had to be.
func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// javaACL returns the list with its text as Java would write it back. It allocates.
func javaACL(acl wire.ACLVec) wire.ACLVec {
	out := wire.AppendInt(nil, int32(acl.Len()))
	for it := acl.Iter(); it.Next(); {
		a := it.ACL()
		out = wire.AppendACL(out, wire.ACL{Perms: a.Perms, Scheme: javaString(a.Scheme), ID: javaString(a.ID)})
	}
	return out
}

// javaString keeps null null, and the empty string empty.
func javaString(b []byte) []byte {
	if len(b) == 0 {
		return b
	}
	return wire.AppendJavaString(make([]byte, 0, len(b)), b)
}
