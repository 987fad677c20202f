package wire

import (
	"encoding/binary"
	"errors"
)

var (
	// ErrShort: the record ends before its fields do.
	ErrShort = errors.New("wire: record cut short")
	// ErrLength: a string, buffer or vector claims a length that cannot be.
	ErrLength = errors.New("wire: impossible length")
	// ErrOperation: a multi has an operation that cannot stand in it.
	ErrOperation = errors.New("wire: operation not allowed in this multi")
	// ErrNullACL: a multi makes a node with a null list of ACLs, which Java fails over while it decodes;
	// its createTTL does not.
	ErrNullACL = errors.New("wire: null list of ACLs in a multi")
)

// Reader takes a record apart. Everything it returns aliases the frame it was made of and is valid
// until that is released. Its error is sticky: after one, all fields read as zero, so a decoder
// asks Err once, at the end. It never allocates and never looks further than the bytes at hand.
type Reader struct {
	rest []byte
	err  error
}

// NewReader reads b.
func NewReader(b []byte) Reader { return Reader{rest: b} }

// Err returns what was wrong, nil if nothing was.
func (r *Reader) Err() error { return r.err }

// Len returns the number of bytes left.
func (r *Reader) Len() int { return len(r.rest) }

// Rest returns the bytes left, without taking them.
func (r *Reader) Rest() []byte { return r.rest }

func (r *Reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.rest = nil
}

// take returns the next n bytes, nil after an error.
func (r *Reader) take(n int) []byte {
	if n > len(r.rest) {
		r.fail(ErrShort)
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

// Byte returns the next byte.
func (r *Reader) Byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

// Bool returns the next boolean: any byte but 0 is true.
func (r *Reader) Bool() bool { return r.Byte() != 0 }

// Int returns the next int.
func (r *Reader) Int() int32 {
	if b := r.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

// Long returns the next long.
func (r *Reader) Long() int64 {
	if b := r.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// Buffer returns the next buffer, nil for null. An empty one is not nil.
func (r *Reader) Buffer() []byte {
	n := int(r.Int())
	if r.err != nil || n == -1 {
		return nil
	}
	if n < 0 || n > len(r.rest) {
		r.fail(ErrLength)
		return nil
	}
	b := r.rest[:n:n] // capped: appending to b cannot overwrite the field behind it
	r.rest = r.rest[n:]
	return b
}

// String returns the bytes of the next string, nil for null. They are as they were sent: nobody has
// checked that they are UTF-8 (see ValidatePath, AppendJavaString).
func (r *Reader) String() []byte { return r.Buffer() }

// Op returns the next int as an operation code.
func (r *Reader) Op() Op { return Op(r.Int()) }

// Zxid returns the next long as a zxid.
func (r *Reader) Zxid() Zxid { return Zxid(r.Long()) }

// Code returns the next int as an error code.
func (r *Reader) Code() Code { return Code(r.Int()) }
