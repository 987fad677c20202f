package snap

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"

	"paddock/tree"
	"paddock/wire"
)

var (
	errShort  = errors.New("record runs past the end of its block")
	errVarint = errors.New("number is not in its shortest form, or out of range")
	errPrefix = errors.New("shared prefix is longer than the path before")
	errBulk   = errors.New("records expand beyond the limit of a block")
	errRest   = errors.New("bytes left behind the last record of a block")
)

// maxFixed bounds what a record takes besides its path, its data or its ACL bytes: at most
// ten bytes for each of fourteen numbers.
const maxFixed = 14 * binary.MaxVarintLen64

// previous is what a record may refer to: the record before it in the same block. The first
// record of a block sees zeros, so that a block can be read without any other.
type previous struct {
	path     []byte
	czxid    wire.Zxid
	ctime    int64
	id       int64 // of a session, or of an ACL
	expanded int   // raw bytes so far, plus the prefixes they stand for
}

func (c *previous) reset() { *c = previous{path: c.path[:0]} }

// appendNode appends r and makes it the previous of the next record.
func appendNode(dst []byte, c *previous, r *tree.Record) []byte {
	start := len(dst)
	shared := sharedPrefix(c.path, r.Path)
	dst = binary.AppendUvarint(dst, uint64(shared))
	dst = appendBytes(dst, r.Path[shared:])
	if r.Data == nil {
		dst = append(dst, 0)
	} else {
		dst = binary.AppendUvarint(dst, uint64(len(r.Data))+1)
		dst = append(dst, r.Data...)
	}
	dst = binary.AppendUvarint(dst, uint64(r.ACL))
	dst = binary.AppendVarint(dst, int64(r.Czxid-c.czxid))
	dst = binary.AppendVarint(dst, int64(r.Mzxid-r.Czxid))
	dst = binary.AppendVarint(dst, int64(r.Pzxid-r.Czxid))
	dst = binary.AppendVarint(dst, r.Ctime-c.ctime)
	dst = binary.AppendVarint(dst, r.Mtime-r.Ctime)
	dst = binary.AppendVarint(dst, int64(r.Version))
	dst = binary.AppendVarint(dst, int64(r.Cversion))
	dst = binary.AppendVarint(dst, int64(r.Aversion))
	dst = binary.AppendVarint(dst, r.Owner)
	c.path = append(c.path[:shared], r.Path[shared:]...)
	c.czxid, c.ctime = r.Czxid, r.Ctime
	c.expanded += len(dst) - start + shared
	return dst
}

// acl is an entry of the ACL table, which nodes refer to by its id. What is in the list is
// not looked at here.
type acl struct {
	id   uint32
	list wire.ACLVec
}

// appendSession appends a session and makes it the previous of the next.
func appendSession(dst []byte, c *previous, s tree.Session) []byte {
	dst = binary.AppendVarint(dst, s.ID-c.id)
	dst = binary.AppendVarint(dst, int64(s.TimeoutMS))
	c.id = s.ID
	return dst
}

// appendACL appends an entry of the ACL table and makes it the previous of the next.
func appendACL(dst []byte, c *previous, a acl) []byte {
	dst = binary.AppendVarint(dst, int64(a.id)-c.id)
	dst = appendBytes(dst, a.list)
	c.id = int64(a.id)
	return dst
}

func appendBytes(dst, b []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

func sharedPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for ; i+8 <= n; i += 8 {
		if x := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); x != 0 {
			return i + bits.TrailingZeros64(x)/8
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

// parser reads the records of one block. Like a wire.Reader it keeps the first error and
// then yields zeros; it accepts exactly one spelling of every number.
type parser struct {
	rest []byte
	prev previous
	err  error
}

func (p *parser) reset(raw []byte) {
	p.rest, p.err = raw, nil
	p.prev.reset()
}

// node reads a record. Path aliases the parser and Data the block; both are valid until the
// next call.
func (p *parser) node(r *tree.Record) {
	before := len(p.rest)
	shared := p.length(len(p.prev.path), errPrefix)
	p.prev.path = append(p.prev.path[:shared], p.bytes()...)
	r.Path = p.prev.path[:len(p.prev.path):len(p.prev.path)]
	r.Data = p.data()
	r.ACL = uint32(p.unsigned(math.MaxUint32))
	r.Czxid = p.prev.czxid + wire.Zxid(p.signed())
	r.Mzxid = r.Czxid + wire.Zxid(p.signed())
	r.Pzxid = r.Czxid + wire.Zxid(p.signed())
	r.Ctime = p.prev.ctime + p.signed()
	r.Mtime = r.Ctime + p.signed()
	r.Version, r.Cversion, r.Aversion = p.signed32(), p.signed32(), p.signed32()
	r.Owner = p.signed()
	p.prev.czxid, p.prev.ctime = r.Czxid, r.Ctime
	// A record of several blocks stands alone, has no prefix and may be larger.
	if p.prev.expanded += before - len(p.rest) + shared; p.prev.expanded > maxExpanded && shared > 0 {
		p.fail(errBulk)
	}
}

func (p *parser) session() tree.Session {
	p.prev.id += p.signed()
	return tree.Session{ID: p.prev.id, TimeoutMS: p.signed32()}
}

// acl reads an entry of the ACL table; the bytes alias the block.
func (p *parser) acl() acl {
	p.prev.id += p.signed()
	if p.prev.id != int64(uint32(p.prev.id)) {
		p.fail(errVarint)
	}
	return acl{id: uint32(p.prev.id), list: p.bytes()}
}

// end returns the first error, and complains about bytes behind the last record.
func (p *parser) end() error {
	if p.err == nil && len(p.rest) > 0 {
		p.err = errRest
	}
	return p.err
}

func (p *parser) fail(err error) {
	if p.err == nil {
		p.err = err
	}
	p.rest = nil
}

func (p *parser) data() []byte {
	n := p.unsigned(maxRecord)
	if n == 0 {
		return nil
	}
	return p.take(int(n) - 1)
}

func (p *parser) bytes() []byte { return p.take(p.length(len(p.rest), errShort)) }

// take returns the next n bytes, capped; never nil unless the parser has failed.
func (p *parser) take(n int) []byte {
	if n > len(p.rest) {
		p.fail(errShort)
	}
	if p.err != nil {
		return nil
	}
	b := p.rest[:n:n]
	p.rest = p.rest[n:]
	return b
}

func (p *parser) length(limit int, over error) int {
	n := p.unsigned(maxRecord)
	if n > uint64(limit) {
		p.fail(over)
		return 0
	}
	return int(n)
}

func (p *parser) unsigned(limit uint64) uint64 {
	u, n := binary.Uvarint(p.rest)
	switch {
	case p.err != nil:
		return 0
	case n == 0:
		p.fail(errShort)
		return 0
	case n < 0 || u > limit || n > 1 && p.rest[n-1] == 0:
		p.fail(errVarint)
		return 0
	}
	p.rest = p.rest[n:]
	return u
}

func (p *parser) signed() int64 {
	u := p.unsigned(math.MaxUint64)
	return int64(u>>1) ^ -int64(u&1) // zigzag, as binary.Varint
}

func (p *parser) signed32() int32 {
	v := p.signed()
	if v != int64(int32(v)) {
		p.fail(errVarint)
	}
	return int32(v)
}
