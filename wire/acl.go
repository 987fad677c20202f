package wire

// Permissions of an ACL entry. Source: ZooDefs.Perms.
const (
	PermRead   int32 = 1
	PermWrite  int32 = 2
	PermCreate int32 = 4
	PermDelete int32 = 8
	PermAdmin  int32 = 16
	PermAll    int32 = 31
)

// ACL is one entry of an access control list. A nil scheme or id is null on the wire. Bits that are
// no permission are kept.
type ACL struct {
	Perms      int32
	Scheme, ID []byte
}

const aclMinBytes = 4 + 4 + 4

// ACLVec is a list of ACL entries.
type ACLVec []byte

// The lists that everybody knows. They must not be changed.
var (
	OpenACL = BuildACL(ACL{PermAll, []byte("world"), []byte("anyone")})
	ReadACL = BuildACL(ACL{PermRead, []byte("world"), []byte("anyone")})
)

// ACLs returns the next vector of ACL entries. It is checked here, so that walking it cannot fail.
func (r *Reader) ACLs() ACLVec {
	start := r.rest
	for range r.count(aclMinBytes) {
		r.Int()
		r.Buffer()
		r.Buffer()
	}
	return r.since(start)
}

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
func AppendACLs(dst []byte, v ACLVec) []byte { return appendVec(dst, v) }

// Null reports whether the list is null; a list of no entries is not.
func (v ACLVec) Null() bool { return vecNull(v) }

// Len returns the number of entries.
func (v ACLVec) Len() int { return vecLen(v) }

// Iter walks the entries.
func (v ACLVec) Iter() ACLIter { return ACLIter{r: vecElements(v), left: vecLen(v)} }

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
