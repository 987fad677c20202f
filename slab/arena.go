package slab

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

const (
	granule = 8
	// firstChunk is the size of an arena's first chunk, in granules: one page.
	firstChunk      = 4096 / granule
	firstChunkShift = 9
	// finest is the size up to which classes are a granule apart; above, there are eight to a
	// doubling.
	finest   = 128
	nClasses = finest/granule + 8*24
)

// A Handle names a block of an Arena. Zero names none, which is also what an empty value gets.
type Handle uint32

// An Arena hands out blocks of bytes. Who frees a block says how long it was: an arena keeps no
// headers. One owner allocates and frees; see the package comment for who may read meanwhile.
type Arena struct {
	space *Space
	next  uint32           // the first granule never handed out
	end   uint32           // of the chunk that next lies in; next == end if a new chunk is due
	free  [nClasses]Handle // heads of the free lists
	dir   [32][]byte       // chunks; nil where one was skipped as too small
	live  int64            // bytes handed out, rounded to their classes
}

// NewArena returns an empty arena.
func NewArena(s *Space) *Arena {
	return &Arena{space: s, next: firstChunk, end: firstChunk}
}

// Live returns the bytes handed out and not freed, each rounded up to its class.
func (a *Arena) Live() int64 { return a.live }

// Bytes returns the n bytes of block h. They are valid until h is freed.
func (a *Arena) Bytes(h Handle, n int) []byte {
	if n == 0 {
		return nil
	}
	top := bits.Len32(uint32(h)) - 1
	off := (int(h) - 1<<top) * granule
	return a.dir[top-firstChunkShift][off : off+n : off+n]
}

// Alloc hands out a block of n bytes, which hold anything. n = 0 needs none and gets handle 0.
func (a *Arena) Alloc(n int) Handle {
	if n == 0 {
		return 0
	}
	class, size := classOf(n)
	a.live += int64(size)
	if h := a.free[class]; h != 0 {
		b := a.Bytes(h, size)
		a.free[class] = Handle(binary.NativeEndian.Uint32(b))
		if invariants {
			checkPoison(b[linkBytes:], "block", uint32(h))
		}
		return h
	}
	need := uint32(size / granule)
	if a.end-a.next < need {
		a.grow(size)
	}
	h := Handle(a.next)
	a.next += need
	return h
}

// Put hands out a block that holds a copy of b.
func (a *Arena) Put(b []byte) Handle {
	h := a.Alloc(len(b))
	copy(a.Bytes(h, len(b)), b)
	return h
}

// Free takes back block h of n bytes, n being what Alloc was asked for (or another length of the
// same class: see SameClass).
func (a *Arena) Free(h Handle, n int) {
	if n == 0 {
		return
	}
	class, size := classOf(n)
	a.live -= int64(size)
	b := a.Bytes(h, size)
	if invariants {
		poison(b[linkBytes:])
	}
	binary.NativeEndian.PutUint32(b, uint32(a.free[class]))
	a.free[class] = h
}

// SameClass reports whether a block for n bytes can hold m bytes as well, and would have been the
// same block: then a value may be overwritten in place.
func SameClass(n, m int) bool {
	if n == 0 || m == 0 {
		return n == m
	}
	c, _ := classOf(n)
	d, _ := classOf(m)
	return c == d
}

// BlockBytes returns what a value of n bytes takes in an arena.
func BlockBytes(n int) int {
	if n == 0 {
		return 0
	}
	_, size := classOf(n)
	return size
}

// grow opens the next chunk that has room for size bytes. What is left of the old one is given up:
// pages that were never written cost nothing.
func (a *Arena) grow(size int) {
	chunk := bits.Len32(a.end) - 1 - firstChunkShift
	for firstChunk<<chunk*granule < size {
		chunk++
	}
	if chunk+firstChunkShift >= 32 {
		panic(fmt.Sprintf("slab: an arena with %d bytes in use has no room for %d more", a.live, size))
	}
	bytes := firstChunk << chunk * granule
	a.dir[chunk] = a.space.block(bytes)
	a.next = firstChunk << chunk
	// The last chunk ends where 32 bits do: one granule less keeps end from wrapping to zero.
	a.end = uint32(min(uint64(firstChunk)<<(chunk+1), 1<<32-1))
}

// classOf returns the size class for n > 0 bytes, and its size.
func classOf(n int) (class, size int) {
	if n <= finest {
		class = (n - 1) / granule
		return class, (class + 1) * granule
	}
	// n-1 lies in [2^top, 2^(top+1)); the three bits below the top say in which eighth.
	top := bits.Len(uint(n-1)) - 1
	eighth := (n - 1) >> (top - 3) & 7
	class = finest/granule + (top-7)*8 + eighth
	return class, (8 + eighth + 1) << (top - 3)
}
