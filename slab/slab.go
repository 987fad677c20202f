package slab

import "fmt"

// maxIndex is where a Slab stops: an index one chunk before 32 bits are full.
const maxIndex = 1<<31 - 1

// A Slab hands out records of T by index. One owner allocates and frees; see the package comment
// for who may read meanwhile.
type Slab[T any] struct {
	array Array[T]
	next  uint32 // the smallest index never handed out
	free  uint32 // head of the free list, 0 if empty
	live  int
}

// NewSlab returns an empty slab; its first chunk holds first records, a power of two.
func NewSlab[T any](s *Space, first uint32) *Slab[T] {
	checkLink[T]()
	b := &Slab[T]{next: first}
	b.array.init(s, first)
	return b
}

// At returns record i, which has been handed out.
func (b *Slab[T]) At(i uint32) *T { return b.array.At(i) }

// First returns the smallest index ever handed out, End the first index never handed out yet.
func (b *Slab[T]) First() uint32 { return b.array.first }
func (b *Slab[T]) End() uint32   { return b.next }

// Live returns how many records are handed out and not freed.
func (b *Slab[T]) Live() int { return b.live }

// Alloc hands out a record. It holds anything: the caller sets all of it.
func (b *Slab[T]) Alloc() (uint32, *T) {
	b.live++
	if i := b.free; i != 0 {
		p := b.array.At(i)
		b.free = *link(p)
		if invariants {
			checkPoison(bytesOf(p)[linkBytes:], "record", i)
		}
		return i, p
	}
	i := b.next
	if i == maxIndex {
		panic(fmt.Sprintf("slab: %d records are as many as an index can name", b.live))
	}
	b.array.Grow(i + 1)
	b.next++
	return i, b.array.At(i)
}

// Free takes record i back. Its first four bytes are overwritten at once; the others stay as they
// are until it is handed out again, except under -tags invariants.
func (b *Slab[T]) Free(i uint32) {
	b.live--
	p := b.array.At(i)
	if invariants {
		poison(bytesOf(p)[linkBytes:])
	}
	*link(p) = b.free
	b.free = i
}
