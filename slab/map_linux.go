//go:build linux && !race

package slab

import "golang.org/x/sys/unix"

// Chunks are mapped larger than what is in use: the kernel must not count the rest.
const mapFlags = unix.MAP_ANON | unix.MAP_PRIVATE | unix.MAP_NORESERVE

// canDrop: only Linux promises zeroes after MADV_DONTNEED.
const canDrop = true
