package slab

import (
	"fmt"
	"runtime"
	"testing"
	"unsafe"
)

func TestBlocksAreZeroAlignedAndApart(t *testing.T) {
	s := NewSpace()
	type span struct{ from, to uintptr }
	var taken []span
	for i := range 400 {
		n := 1 << (i % 18) // 1 byte to 128 KiB
		v := Make[uint64](s, n/8+1)
		from := uintptr(unsafe.Pointer(&v[0]))
		if from%minBlock != 0 {
			t.Fatalf("a block for %d bytes lies at %#x, want a multiple of %d", n, from, minBlock)
		}
		to := from + uintptr(blockSize(len(v)*8))
		for _, o := range taken {
			if from < o.to && o.from < to {
				t.Fatalf("block [%#x,%#x) overlaps [%#x,%#x)", from, to, o.from, o.to)
			}
		}
		taken = append(taken, span{from, to})
		for j, w := range v {
			if w != 0 {
				t.Fatalf("word %d of a fresh block is %#x, want 0", j, w)
			}
			v[j] = ^uint64(0)
		}
	}
}

func TestADroppedBlockComesBackZeroed(t *testing.T) {
	for _, n := range []int{1, 100, 1 << 10, 1 << 14, 1 << 17, 1 << 20} {
		t.Run(fmt.Sprintf("%d words", n), func(t *testing.T) {
			s := NewSpace()
			v := Make[uint64](s, n)
			for i := range v {
				v[i] = 7
			}
			before := s.Mapped()
			Drop(s, v)
			w := Make[uint64](s, n)
			if &w[0] != &v[0] {
				t.Errorf("the dropped block was not used again")
			}
			if s.Mapped() != before {
				t.Errorf("mapped %d bytes, want %d as before", s.Mapped(), before)
			}
			for i := range w {
				if w[i] != 0 {
					t.Fatalf("word %d is %d, want 0", i, w[i])
				}
			}
		})
	}
}

func TestTypesWithPointersAreRefused(t *testing.T) {
	refused := func(f func()) (yes bool) {
		defer func() { yes = recover() != nil }()
		f()
		return false
	}
	s := NewSpace()
	tests := []struct {
		name string
		make func()
		want bool
	}{
		{"a struct of numbers is fine", func() { NewSlab[struct{ a, b uint32 }](s, 8) }, false},
		{"an array of numbers is fine", func() { NewSlab[[3]uint64](s, 8) }, false},
		{"a string is a pointer", func() { NewArray[struct{ s string }](s, 8) }, true},
		{"a slice is a pointer", func() { NewArray[[]byte](s, 8) }, true},
		{"a pointer inside an array inside a struct", func() { NewArray[struct{ a [2]*int }](s, 8) }, true},
		{"a record too small for a link", func() { NewSlab[uint16](s, 8) }, true},
		{"a first chunk that is no power of two", func() { NewArray[uint64](s, 12) }, true},
	}
	for _, tt := range tests {
		if got := refused(tt.make); got != tt.want {
			t.Errorf("%s: refused = %v, want %v", tt.name, got, tt.want)
		}
	}
}

// A space that nobody reaches is unmapped: else a server that loads snapshots again and again
// grows.
func TestAnUnreachableSpaceIsUnmapped(t *testing.T) {
	done := make(chan struct{})
	func() {
		s := NewSpace()
		Make[uint64](s, 100)[5] = 1
		runtime.AddCleanup(s, func(c chan struct{}) { close(c) }, done)
	}()
	for range 100 {
		runtime.GC()
		select {
		case <-done:
			return
		default:
			runtime.Gosched()
		}
	}
	t.Error("the space was never collected")
}
