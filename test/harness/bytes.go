package harness

import (
	"encoding/binary"
	"fmt"
)

// Bytes is a message under construction. Unlike the server's encoders, which it shares no code with,
// it will write what no client should: lengths that lie, vectors that are null.
type Bytes []byte

// Int appends a 32-bit integer.
func (b Bytes) Int(v int32) Bytes { return binary.BigEndian.AppendUint32(b, uint32(v)) }

// Long appends a 64-bit integer.
func (b Bytes) Long(v int64) Bytes { return binary.BigEndian.AppendUint64(b, uint64(v)) }

// Byte appends one byte, also a boolean.
func (b Bytes) Byte(v byte) Bytes { return append(b, v) }

// Bool appends 1 or 0.
func (b Bytes) Bool(v bool) Bytes {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// Str appends a string or buffer: its length, then its bytes.
func (b Bytes) Str(s string) Bytes { return append(b.Int(int32(len(s))), s...) }

// Null appends the null string, buffer or vector.
func (b Bytes) Null() Bytes { return b.Int(-1) }

// Buf appends a buffer; nil is null.
func (b Bytes) Buf(v []byte) Bytes {
	if v == nil {
		return b.Null()
	}
	return append(b.Int(int32(len(v))), v...)
}

// Raw appends bytes as they are.
func (b Bytes) Raw(v ...byte) Bytes { return append(b, v...) }

// Strs appends a vector of strings.
func (b Bytes) Strs(v ...string) Bytes {
	b = b.Int(int32(len(v)))
	for _, s := range v {
		b = b.Str(s)
	}
	return b
}

// ACL is one entry of an access control list.
type ACL struct {
	Perms      int32
	Scheme, ID string
}

// ACLs appends a vector of entries.
func (b Bytes) ACLs(v ...ACL) Bytes {
	b = b.Int(int32(len(v)))
	for _, a := range v {
		b = b.Int(a.Perms).Str(a.Scheme).Str(a.ID)
	}
	return b
}

// Frame returns b with its length in front.
func (b Bytes) Frame() Bytes {
	return append(Bytes(nil).Int(int32(len(b))), b...)
}

// Fields reads the fields of a record in order. After the first error it returns zero values; Err
// tells. The zero value is an empty record.
type Fields struct {
	rest []byte
	err  error
}

// FieldsOf reads from b, which the caller leaves alone meanwhile.
func FieldsOf(b []byte) *Fields { return &Fields{rest: b} }

// Err returns the first error, and one for bytes that nobody has read.
func (f *Fields) Err() error {
	if f.err == nil && len(f.rest) > 0 {
		return fmt.Errorf("harness: %d bytes follow the record: %x", len(f.rest), f.rest)
	}
	return f.err
}

// Len returns how many bytes are left.
func (f *Fields) Len() int { return len(f.rest) }

func (f *Fields) take(n int) []byte {
	if f.err != nil {
		return nil
	}
	if n < 0 || n > len(f.rest) {
		f.err = fmt.Errorf("harness: record too short: want %d bytes of %d", n, len(f.rest))
		return nil
	}
	b := f.rest[:n:n]
	f.rest = f.rest[n:]
	return b
}

// Int reads a 32-bit integer.
func (f *Fields) Int() int32 {
	if b := f.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

// Long reads a 64-bit integer.
func (f *Fields) Long() int64 {
	if b := f.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// Bool reads a boolean.
func (f *Fields) Bool() bool {
	b := f.take(1)
	return b != nil && b[0] != 0
}

// Buf reads a buffer; null gives nil, empty does not.
func (f *Fields) Buf() []byte {
	n := f.Int()
	if f.err != nil || n == -1 {
		return nil
	}
	b := f.take(int(n))
	if b == nil && f.err == nil {
		return []byte{}
	}
	return b
}

// Str reads a string; null gives "".
func (f *Fields) Str() string { return string(f.Buf()) }

// Strs reads a vector of strings.
func (f *Fields) Strs() []string {
	n := f.Int()
	var v []string
	for i := int32(0); i < n && f.err == nil; i++ {
		v = append(v, f.Str())
	}
	return v
}

// ACLs reads a vector of access control entries.
func (f *Fields) ACLs() []ACL {
	n := f.Int()
	var v []ACL
	for i := int32(0); i < n && f.err == nil; i++ {
		v = append(v, ACL{f.Int(), f.Str(), f.Str()})
	}
	return v
}

// Stat is a znode's metadata as clients see it.
type Stat struct {
	Czxid, Mzxid, Ctime, Mtime  int64
	Version, Cversion, Aversion int32
	Owner                       int64
	DataLength, NumChildren     int32
	Pzxid                       int64
}

// StatBytes is the length of a Stat on the wire.
const StatBytes = 68

// Stat reads a Stat.
func (f *Fields) Stat() Stat {
	return Stat{
		Czxid: f.Long(), Mzxid: f.Long(), Ctime: f.Long(), Mtime: f.Long(),
		Version: f.Int(), Cversion: f.Int(), Aversion: f.Int(),
		Owner: f.Long(), DataLength: f.Int(), NumChildren: f.Int(), Pzxid: f.Long(),
	}
}
