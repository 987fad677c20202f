//go:build unix && !linux

package vfs

import (
	"os"

	"golang.org/x/sys/unix"
)

// datasync is the whole fsync: there is no portable lesser one, and on darwin os.File.Sync asks
// the drive itself (F_FULLFSYNC), which plain fsync(2) does not.
func datasync(f *os.File) error { return f.Sync() }

func reserve(*os.File, int64) error { return unix.EOPNOTSUPP }
