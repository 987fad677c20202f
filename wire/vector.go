package wire

import "encoding/binary"

// Permissions of an ACL entry. Source: ZooDefs.Perms.
const (
	PermRead   int32 = 1
	PermWrite  int32 = 2
	PermCreate int32 = 4
	PermDelete int32 = 8
	PermAdmin  int32 = 16
	PermAll    int32 = 31
)

// ACL is one entry of an access control list. A nil scheme or id is null on the wire.
type ACL struct {
	Perms      int32
	Scheme, ID []byte
}

const aclMinBytes = 4 + 4 + 4

// ACLVec is a list of ACL entries as it is on the wire: count, entries. Reader.ACLs has checked it. It
// is stored and sent as it is, and walked in place. nil counts as the null vector.
type ACLVec []byte

// The lists that everybody knows. They must not be changed.
var (
	OpenACL = BuildACL(ACL{PermAll, []byte("world"), []byte("anyone")})
	ReadACL = BuildACL(ACL{PermRead, []byte("world"), []byte("anyone")})
)

// BuildACL encodes a list. It allocates: for start-up and tests.
func BuildACL(entries ...ACL) ACLVec {
	b := AppendInt(nil, int32(len(entries)))
	for _, a := range entries {
		b = AppendACL(b, a)
	}
	return b
}

// AppendACL appends one entry, without a count.
func AppendACL(dst []byte, a ACL) []byte {
	dst = AppendInt(dst, a.Perms)
	dst = AppendString(dst, a.Scheme)
	return AppendString(dst, a.ID)
}

// AppendACLs appends the list as it is on the wire.
func AppendACLs(dst []byte, v ACLVec) []byte {
	if v == nil {
		return AppendInt(dst, -1)
	}
	return append(dst, v...)
}

// Null reports whether the list is null; a list of no entries is not.
func (v ACLVec) Null() bool { return v == nil || int32(binary.BigEndian.Uint32(v)) == -1 }

// Len returns the number of entries.
func (v ACLVec) Len() int {
	if v == nil {
		return 0
	}
	return max(0, int(int32(binary.BigEndian.Uint32(v))))
}

// Iter walks the entries.
func (v ACLVec) Iter() ACLIter {
	it := ACLIter{left: v.Len()}
	if v != nil {
		it.r = NewReader(v[4:])
	}
	return it
}

// ACLIter walks an ACLVec: for it := v.Iter(); it.Next(); { it.ACL() }.
type ACLIter struct {
	r    Reader
	left int
	acl  ACL
}

// Next goes to the next entry, if there is one.
func (it *ACLIter) Next() bool {
	if it.left == 0 {
		return false
	}
	it.left--
	it.acl = ACL{Perms: it.r.Int(), Scheme: it.r.Buffer(), ID: it.r.Buffer()}
	return it.r.Err() == nil
}

// ACL returns the entry. Its bytes alias the vector.
func (it *ACLIter) ACL() ACL { return it.acl }

// StringVec is a vector of strings as it is on the wire: count, strings. Reader.Strings has checked it.
type StringVec []byte

// BuildStrings encodes a vector. It allocates: for clients and tests.
func BuildStrings(s ...string) StringVec {
	b := AppendInt(nil, int32(len(s)))
	for _, v := range s {
		b = AppendString(b, []byte(v))
	}
	return b
}

// AppendStrings appends the vector as it is on the wire.
func AppendStrings(dst []byte, v StringVec) []byte {
	if v == nil {
		return AppendInt(dst, -1)
	}
	return append(dst, v...)
}

// Null reports whether the vector is null; one without strings is not.
func (v StringVec) Null() bool { return v == nil || int32(binary.BigEndian.Uint32(v)) == -1 }

// Len returns the number of strings.
func (v StringVec) Len() int {
	if v == nil {
		return 0
	}
	return max(0, int(int32(binary.BigEndian.Uint32(v))))
}

// Iter walks the strings.
func (v StringVec) Iter() StringIter {
	it := StringIter{left: v.Len()}
	if v != nil {
		it.r = NewReader(v[4:])
	}
	return it
}

// StringIter walks a StringVec.
type StringIter struct {
	r     Reader
	left  int
	value []byte
}

// Next goes to the next string, if there is one.
func (it *StringIter) Next() bool {
	if it.left == 0 {
		return false
	}
	it.left--
	it.value = it.r.Buffer()
	return it.r.Err() == nil
}

// Value returns the string, nil for null. It aliases the vector.
func (it *StringIter) Value() []byte { return it.value }
