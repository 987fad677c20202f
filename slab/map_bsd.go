//go:build unix && !linux && !race

package slab

import "golang.org/x/sys/unix"

const (
	mapFlags = unix.MAP_ANON | unix.MAP_PRIVATE
	canDrop  = false
)
