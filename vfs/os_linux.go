package vfs

import (
	"os"

	"golang.org/x/sys/unix"
)

func datasync(f *os.File) error {
	return ignoreEINTR(func() error { return unix.Fdatasync(int(f.Fd())) })
}

func reserve(f *os.File, size int64) error {
	return ignoreEINTR(func() error { return unix.Fallocate(int(f.Fd()), 0, 0, size) })
}

// ignoreEINTR repeats a call that a signal cut short before it began its work; the runtime sends
// signals of its own to preempt goroutines. It is not a retry of a failed sync.
func ignoreEINTR(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
