package watch

import (
	"fmt"
	"math"
	"sync/atomic"
)

const (
	// filterBuckets: with 100,000 watched paths on each of eight loops, a loop is told for nothing by
	// about one event in three. The words take 2 MiB.
	filterBuckets = 1 << 18
	// recursiveBuckets are fewer: recursive watches are few, and every ancestor of a path is looked up.
	recursiveBuckets = 1 << 14
	// maxLoops is the number of bits in a word.
	maxLoops = 64
)

// Filter says which loops may have a watch on a path. Bit i is loop i; only that loop changes it. Any
// goroutine may ask.
type Filter struct {
	exact     []atomic.Uint64
	recursive []atomic.Uint64
	any       atomic.Uint64 // loops with at least one recursive watch
}

// NewFilter returns a filter in which nobody watches anything.
func NewFilter() *Filter {
	return &Filter{exact: make([]atomic.Uint64, filterBuckets), recursive: make([]atomic.Uint64, recursiveBuckets)}
}

// Mask returns the loops that may have a watch on the path with this hash.
func (f *Filter) Mask(hash uint64) uint64 { return f.exact[tagOf(hash)%filterBuckets].Load() }

// RecursiveMask returns the loops that may have a recursive watch on the path with this hash. What
// lies below is theirs too: ask for every ancestor.
func (f *Filter) RecursiveMask(hash uint64) uint64 {
	return f.recursive[tagOf(hash)%recursiveBuckets].Load()
}

// AnyRecursive reports whether there is any recursive watch: if not, no ancestor has to be looked at.
func (f *Filter) AnyRecursive() bool { return f.any.Load() != 0 }

// tagOf is the half of a hash that this package uses.
func tagOf(hash uint64) uint32 { return uint32(hash >> 32) }

// marks is one loop's part of the words of a filter: how often it holds its bit in each.
type marks struct {
	words  []atomic.Uint64 // shared
	bit    uint64          // this loop's
	counts []uint16        // math.MaxUint16: more often than can be counted, so never let go
	held   int             // sum of all
	any    *atomic.Uint64  // has the bit while anything is held; nil: nobody asks
}

func newMarks(words []atomic.Uint64, loop int) marks {
	return marks{words: words, bit: 1 << loop, counts: make([]uint16, len(words))}
}

// has reports whether there is a mark where tag belongs.
func (m *marks) has(tag uint32) bool { return m.counts[tag%uint32(len(m.counts))] > 0 }

func (m *marks) add(tag uint32) {
	i := tag % uint32(len(m.counts))
	if m.counts[i] == 0 {
		m.words[i].Or(m.bit)
	}
	if m.held == 0 && m.any != nil {
		m.any.Or(m.bit)
	}
	if m.counts[i] < math.MaxUint16 {
		m.counts[i]++
	}
	m.held++
}

func (m *marks) remove(tag uint32) {
	i := tag % uint32(len(m.counts))
	switch m.counts[i] {
	case 0:
		panic(fmt.Sprintf("watch: bucket %d of loop bit %#x let go more often than held", i, m.bit))
	case math.MaxUint16:
	default:
		m.counts[i]--
		if m.counts[i] == 0 {
			m.words[i].And(^m.bit)
		}
	}
	m.held--
	if m.held == 0 && m.any != nil {
		m.any.And(^m.bit)
	}
}
