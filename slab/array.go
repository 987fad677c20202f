package slab

import (
	"fmt"
	"math/bits"
)

// An Array maps small integers to records of T. It only grows, and records never move.
type Array[T any] struct {
	space *Space
	first uint32 // records in chunk 0, a power of two; also the smallest index
	shift int    // log2(first)
	limit uint32 // the indices below have memory, from first on
	dir   [32][]T
}

// NewArray returns an empty array whose first chunk holds first records, a power of two.
func NewArray[T any](s *Space, first uint32) *Array[T] {
	a := &Array[T]{}
	a.init(s, first)
	return a
}

func (a *Array[T]) init(s *Space, first uint32) {
	checkType[T]()
	if bits.OnesCount32(first) != 1 {
		panic(fmt.Sprintf("slab: a first chunk of %d records is no power of two", first))
	}
	a.space, a.first, a.shift, a.limit = s, first, bits.Len32(first)-1, first
}

// First returns the smallest index.
func (a *Array[T]) First() uint32 { return a.first }

// At returns record i, which Grow has covered.
func (a *Array[T]) At(i uint32) *T {
	top := bits.Len32(i) - 1
	return &a.dir[top-a.shift][i-1<<top]
}

// Grow gives memory to every index below limit. New records are zero. Owner only.
func (a *Array[T]) Grow(limit uint32) {
	for a.limit < limit {
		chunk := bits.Len32(a.limit) - 1 - a.shift
		n := int(a.first) << chunk
		a.dir[chunk] = Make[T](a.space, n)
		a.limit += uint32(n)
	}
}
