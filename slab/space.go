package slab

import (
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
)

const (
	// minBlock keeps every block on cache lines of its own.
	minBlock = 64
	// regionBytes is mapped at once for small blocks. It is address space: untouched pages cost
	// nothing.
	regionBytes = 1 << 20
	// dropBytes: a block this large is given back to the kernel when it is dropped, not just kept.
	dropBytes = 64 << 10
)

// A Space maps memory and hands it out in blocks. It may be used by several goroutines. Everything
// allocated from it dies with it: when nobody can reach the Space any more, its memory is unmapped.
type Space struct {
	mapped atomic.Int64 // bytes of address space

	mu      sync.Mutex
	regions *regions // guarded by mu; apart from the Space, so that a cleanup can hold it
	rest    []byte   // of the newest region; guarded by mu
	free    [48][][]byte
}

// regions is what a Space has mapped.
type regions struct{ all [][]byte }

// NewSpace returns an empty Space. It maps nothing before the first block is asked for.
func NewSpace() *Space {
	s := &Space{regions: &regions{}}
	runtime.AddCleanup(s, func(r *regions) {
		for _, b := range r.all {
			unmapPages(b)
		}
	}, s.regions)
	return s
}

// Mapped returns the address space in use, in bytes. What is resident is less: see the package
// comment.
func (s *Space) Mapped() int64 { return s.mapped.Load() }

// block returns size zeroed bytes, size being a power of two, aligned to the smaller of size and a
// page.
func (s *Space) block(size int) []byte {
	class := bits.Len(uint(size)) - 1
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.free[class]); n > 0 {
		b := s.free[class][n-1]
		s.free[class] = s.free[class][:n-1]
		return b
	}
	if size >= regionBytes {
		return s.mapLocked(size)
	}
	if len(s.rest) < size {
		s.rest = s.mapLocked(regionBytes)
	}
	// Blocks are carved from the end: what is left stays a multiple of every size carved before
	// only if those were no larger, so round down to the alignment of this one.
	cut := (len(s.rest) - size) &^ (size - 1)
	b := s.rest[cut : cut+size : cut+size]
	s.rest = s.rest[:cut:cut]
	return b
}

func (s *Space) mapLocked(size int) []byte {
	b := mapPages(size)
	s.regions.all = append(s.regions.all, b)
	s.mapped.Add(int64(size))
	return b
}

// drop takes back a block. Nobody may look at it any more.
func (s *Space) drop(b []byte) {
	if len(b) < dropBytes || !dropPages(b) {
		clear(b)
	}
	class := bits.Len(uint(len(b))) - 1
	s.mu.Lock()
	s.free[class] = append(s.free[class], b)
	s.mu.Unlock()
}

// blockSize returns the size of the block that holds n bytes.
func blockSize(n int) int {
	if n <= minBlock {
		return minBlock
	}
	return 1 << bits.Len(uint(n-1))
}

// Make returns a zeroed slice of n records of T, which may hold no pointers. It is valid until
// Drop, or until s is unreachable.
func Make[T any](s *Space, n int) []T {
	checkType[T]()
	return records[T](s.block(blockSize(n * sizeOf[T]())))[:n:n]
}

// Drop gives back what Make returned.
func Drop[T any](s *Space, v []T) {
	s.drop(blockOf(v, blockSize(len(v)*sizeOf[T]())))
}
