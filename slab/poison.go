package slab

import "fmt"

// poisonByte fills freed memory under -tags invariants: a handle of it is out of every range, a
// length of it is negative, and a zxid of it is from no epoch that will come.
const poisonByte = 0xDB

// linkBytes at the start of freed memory hold the link of a free list and are not poisoned.
const linkBytes = 4

func poison(b []byte) {
	for i := range b {
		b[i] = poisonByte
	}
}

// checkPoison panics if somebody wrote to freed memory. what names the kind of thing, at its index
// or handle.
func checkPoison(b []byte, what string, at uint32) {
	for i, c := range b {
		if c != poisonByte {
			panic(fmt.Sprintf("slab: %s %d was written after it was freed: byte %d is %#x", what, at, i, c))
		}
	}
}
