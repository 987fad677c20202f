//go:build race || !unix

package slab

// Where there is no mmap, and under the race detector (which sees only Go memory), blocks are
// ordinary slices without pointers: the collector frees them, but need not look inside.

func mapPages(size int) []byte { return make([]byte, size) }

func unmapPages([]byte) {}

func dropPages([]byte) bool { return false }
