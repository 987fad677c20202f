// Package slab keeps bytes and fixed-size records outside the collected heap.
//
// A server with ten million znodes would otherwise give the garbage collector tens of millions of
// pointers to walk. Here nothing in the bulk is a pointer: a record is named by its index, a value
// by a handle, and whoever owns them frees them explicitly.
//
//	Space      maps memory from the kernel and hands it out in blocks of a power of two
//	 │
//	 ├─ Array[T]   index ─▶ record; grows by chunks, never moves one
//	 │   └─ Slab[T]   an Array with a free list threaded through the freed records
//	 ├─ Arena      handle ─▶ bytes; size classes, one free list a class
//	 └─ Make[T]    a plain zeroed slice, given back with Drop
//	Limbo      what was freed while somebody may still look: given back later
//
// # Chunks
//
// Arrays and arenas grow by chunks that double, so a directory of a few dozen slices inside the
// struct reaches everything, and an index says by its top bit in which chunk it lies:
//
//	index    first … 2·first-1   2·first … 4·first-1   4·first … 8·first-1
//	chunk    0                   1                     2
//
// An index below first is never used: zero means "none" everywhere. A chunk is mapped when its
// first record is asked for, and its pages are backed when they are first written, so a chunk that
// is mostly unused costs address space and no memory.
//
// # An arena's handles
//
// A handle counts granules of 8 bytes, so 32 bits reach 32 GiB in one arena. Sizes are rounded up
// to a class: steps of 8 bytes up to 128, above that eight classes to each doubling (at most 12.5 %
// lost). A freed block stays in its class; its first word links the class's free list.
//
// # Concurrency
//
// One owner at a time allocates and frees (in the tree: whoever holds the shard's write lock).
// Readers may follow an index or a handle at the same time if they learned it through something
// that orders memory (a lock) after it was handed out, and if nothing frees it meanwhile. This is
// safe while the structure grows under them, because growing writes only a directory entry that was
// empty before: every index handed out earlier lies in a chunk whose entry was written before the
// index became known, and is never written again; entries are separate words. No chunk ever moves
// or shrinks.
//
// # Why the unsafe code is safe
//
// All of it is in unsafe.go, and it does two things. It views a mapped block as []T: only for types
// that hold no pointer (checked when the Array is made, so the collector misses nothing), and
// blocks are aligned to 64 bytes at least (checked against the alignment of T). And it views the
// first word of a free record as the index of the next: checked to fit in size and alignment.
//
// A mapping lives as long as its Space is reachable: a cleanup unmaps it afterwards. Slices into it
// do not keep it alive, so whoever lends them out keeps the Space reachable for as long: arrays and
// arenas hold it, and a tree's readers copy out under a lock of the tree.
//
// Under the race detector, and where there is no mmap, blocks are ordinary Go memory: the detector
// sees no other. With -tags invariants freed memory is overwritten and checked when it is handed
// out again.
//
// The package knows nothing of znodes.
package slab
