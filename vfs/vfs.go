package vfs

import (
	"errors"
	"io"
)

// SectorSize is the unit, in bytes, that a disk writes whole or not at all.
const SectorSize = 512

// ErrLocked is in the chain of the error that Lock returns while somebody else holds the lock.
var ErrLocked = errors.New("locked by another process")

// FS is a file system. Names are slash-separated paths. Its methods may be called from several
// goroutines.
type FS interface {
	// Create makes a new empty file, open for reading and writing. It fails with fs.ErrExist
	// where there is one already: nothing here is ever overwritten by accident. The name is
	// durable after SyncDir.
	Create(name string) (File, error)
	// Open opens a file for reading.
	Open(name string) (File, error)
	// OpenWrite opens an existing file for reading and writing.
	OpenWrite(name string) (File, error)
	// Rename replaces newname atomically. Durable after SyncDir.
	Rename(oldname, newname string) error
	// Remove deletes a file. Durable after SyncDir.
	Remove(name string) error
	// List returns the names in dir, without the directory, sorted.
	List(dir string) ([]string, error)
	Stat(name string) (Info, error)
	// MkdirAll makes dir and the parents it lacks, durable when it returns.
	MkdirAll(dir string) error
	// SyncDir makes durable what Create, Rename and Remove did to names in dir.
	SyncDir(dir string) error
	// Lock takes the exclusive lock that the file name stands for, making the file where there
	// is none, and holds it until Close or the end of the process. It never waits: the error
	// names the file and the process that holds it, and is ErrLocked.
	Lock(name string) (io.Closer, error)
	// Free returns the bytes that an unprivileged process can still write below dir.
	Free(dir string) (int64, error)
}

// File is an open file. ReadAt and WriteAt follow io.ReaderAt and io.WriterAt; p belongs to the
// caller and is not kept.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync makes the bytes and the length durable (fdatasync). After an error nobody knows what
	// the disk has, and a second try may succeed over pages that were dropped: do not try.
	Sync() error
	// Truncate sets the length; what is added reads as zero.
	Truncate(size int64) error
	// Preallocate reserves space up to size bytes and sets the length to size if it is shorter,
	// so that a later write below size does not fail for want of space. Where the file system
	// cannot reserve it only sets the length.
	Preallocate(size int64) error
	Size() (int64, error)
	// Name is the name the file was opened by; a Rename does not change it.
	Name() string
}

// Info is what Stat tells.
type Info struct {
	Size int64 // bytes
	Dir  bool
}

var zeros [256 << 10]byte

// Zero writes n zero bytes at off, so that their place on the disk is allocated and initialised
// and a later Sync of data written there has no metadata to write.
func Zero(f File, off, n int64) error {
	for n > 0 {
		part := min(n, int64(len(zeros)))
		if _, err := f.WriteAt(zeros[:part], off); err != nil {
			return err
		}
		off, n = off+part, n-part
	}
	return nil
}
