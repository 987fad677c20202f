package watch

import (
	"math/bits"

	"paddock/slab"
)

// record is what an index holds: *T, with a link to the next of its bucket and a hash that never changes.
type record[T any] interface {
	*T
	chain() *uint32
	hash() uint32
}

// index is a slab whose records can be found by hash. It grows with every record by one bucket, which
// takes over its share of one other (linear hashing): no call ever rehashes everything.
type index[T any, R record[T]] struct {
	records *slab.Slab[T]
	heads   *slab.Array[uint32] // bucket b at heads.First()+b: its first record, 0 if empty
	buckets uint32
}

// firstRecords is the size of a slab's first chunk.
const firstRecords = 64

func newIndex[T any, R record[T]](s *slab.Space) index[T, R] {
	x := index[T, R]{records: slab.NewSlab[T](s, firstRecords), heads: slab.NewArray[uint32](s, firstRecords)}
	x.addBucket()
	return x
}

func (x *index[T, R]) at(i uint32) R { return x.records.At(i) }

// head returns the first record of the bucket to which h belongs.
func (x *index[T, R]) head(h uint32) *uint32 {
	mask := uint32(1)<<bits.Len32(x.buckets-1) - 1
	b := h & mask
	if b >= x.buckets {
		b = h & (mask >> 1) // not split yet
	}
	return x.heads.At(x.heads.First() + b)
}

// add enters record i, of which everything but the chain is set.
func (x *index[T, R]) add(i uint32) {
	r := x.at(i)
	head := x.head(r.hash())
	*r.chain(), *head = *head, i
	if uint32(x.records.Live()) > x.buckets {
		x.split()
	}
}

// remove frees record i.
func (x *index[T, R]) remove(i uint32) {
	r := x.at(i)
	link := x.head(r.hash())
	for *link != i {
		link = x.at(*link).chain()
	}
	*link = *r.chain()
	x.records.Free(i)
}

// split adds a bucket, and shares out the one that stood for it until now.
func (x *index[T, R]) split() {
	half := uint32(1) << (bits.Len32(x.buckets) - 1)
	from := x.heads.At(x.heads.First() + x.buckets - half)
	to := x.addBucket()
	i := *from
	*from = 0
	for i != 0 {
		r := x.at(i)
		next := *r.chain()
		head := from
		if x.head(r.hash()) == to {
			head = to
		}
		*r.chain(), *head = *head, i
		i = next
	}
}

func (x *index[T, R]) addBucket() *uint32 {
	i := x.heads.First() + x.buckets
	x.heads.Grow(i + 1)
	x.buckets++
	return x.heads.At(i)
}

// bytes returns what records and buckets take: what was ever handed out, for none of it is given back.
func (x *index[T, R]) bytes(recordBytes int) int {
	return int(x.records.End()-x.records.First())*recordBytes + int(x.buckets)*4
}
