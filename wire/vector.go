package wire

import "encoding/binary"

// Vectors stay as they are on the wire: count, elements. A Reader has checked them once; they are
// stored, sent and walked as they are, so that they cost nothing, and come out as they came in. nil
// counts as the null vector. A negative count other than -1 is an empty vector, as it is for
// ZooKeeper.

// vecNull reports whether a vector is null; one without elements is not.
func vecNull(v []byte) bool { return len(v) < 4 || int32(binary.BigEndian.Uint32(v)) == -1 }

// vecLen returns the number of elements.
func vecLen(v []byte) int {
	if len(v) < 4 {
		return 0
	}
	return max(0, int(int32(binary.BigEndian.Uint32(v))))
}

// vecElements reads what is behind the count.
func vecElements(v []byte) Reader {
	if len(v) < 4 {
		return Reader{}
	}
	return NewReader(v[4:])
}

// appendVec appends a vector as it is on the wire.
func appendVec(dst, v []byte) []byte {
	if len(v) == 0 {
		return AppendInt(dst, -1)
	}
	return append(dst, v...)
}

// since returns what was read since the reader's rest was start, nil after an error.
func (r *Reader) since(start []byte) []byte {
	if r.err != nil {
		return nil
	}
	n := len(start) - len(r.rest)
	return start[:n:n]
}

// count reads the count of a vector whose elements have at least minBytes. A negative one is empty;
// one that the bytes left cannot hold is an error at once, so that no loop runs on a claim.
func (r *Reader) count(minBytes int) int {
	n := int(r.Int())
	if n <= 0 {
		return 0
	}
	if n > len(r.rest)/minBytes {
		r.fail(ErrLength)
		return 0
	}
	return n
}

// StringVec is a vector of strings.
type StringVec []byte

// Strings returns the next vector of strings. It is checked here, so that walking it cannot fail.
func (r *Reader) Strings() StringVec {
	start := r.rest
	for range r.count(4) {
		r.Buffer()
	}
	return r.since(start)
}

// BuildStrings encodes a vector. It allocates: for clients and tests.
func BuildStrings(s ...string) StringVec {
	b := AppendInt(nil, int32(len(s)))
	for _, v := range s {
		b = AppendString(b, []byte(v))
	}
	return b
}

// AppendStrings appends the vector as it is on the wire.
func AppendStrings(dst []byte, v StringVec) []byte { return appendVec(dst, v) }

// Null reports whether the vector is null; one without strings is not.
func (v StringVec) Null() bool { return vecNull(v) }

// Len returns the number of strings.
func (v StringVec) Len() int { return vecLen(v) }

// Iter walks the strings.
func (v StringVec) Iter() StringIter { return StringIter{r: vecElements(v), left: vecLen(v)} }

// StringIter walks a StringVec: for it := v.Iter(); it.Next(); { it.Value() }.
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
