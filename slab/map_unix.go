//go:build unix && !race

package slab

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// mapPages returns size zeroed bytes that the collector does not know. Pages are backed when they
// are first written.
func mapPages(size int) []byte {
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, mapFlags)
	if err != nil {
		panic(fmt.Sprintf("slab: map %d bytes: %v", size, err))
	}
	return b
}

// unmapPages gives back what mapPages returned.
func unmapPages(b []byte) {
	if err := unix.Munmap(b); err != nil {
		panic(fmt.Sprintf("slab: unmap %d bytes: %v", len(b), err))
	}
}

// dropPages zeroes whole pages of b, giving their memory back to the kernel. It reports whether b
// reads as zero now; if not, the caller clears it.
func dropPages(b []byte) bool { return canDrop && unix.Madvise(b, unix.MADV_DONTNEED) == nil }
