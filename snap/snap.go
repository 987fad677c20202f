package snap

import (
	"errors"
	"fmt"
	"runtime"

	"paddock/wire"
)

var (
	// ErrNone is in the chain of Load's error when no snapshot could be loaded. The log can
	// replace it only if it reaches back to the first transaction.
	ErrNone = errors.New("no usable snapshot")
	// ErrVersion is in the chain when a file is sound but of a later format. It is never
	// quarantined: the server that wrote it can read it.
	ErrVersion = errors.New("snapshot format not known here")
	// ErrTooLarge is in the chain when a file says that it holds more than Options.MaxBytes.
	ErrTooLarge = errors.New("snapshot larger than the configured limit")
	// ErrAbort marks an error of Options.Pace, a Target or a Sink that is not the file's
	// fault, such as want of memory: Load stops with it instead of condemning the file.
	ErrAbort = errors.New("loading given up")
)

// CorruptError says where a snapshot stopped making sense.
type CorruptError struct {
	File   string
	Offset int64 // bytes from the start of File
	Err    error // what was wrong there; Unwrap returns it
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("snapshot %s is damaged at byte %d: %v", e.File, e.Offset, e.Err)
}

func (e *CorruptError) Unwrap() error { return e.Err }

// Options has a usable zero value.
type Options struct {
	// Workers is how many goroutines verify and parse blocks while loading; each holds at
	// most two blocks (4 MiB). 0 means one for each processor, but not more than 16.
	Workers int
	// MaxBytes is the most raw bytes that a file may declare. 0 means 1 TiB.
	MaxBytes int64
	// Pace is called, by one goroutine at a time, whenever Write has synced or a reader has
	// read another few megabytes. It may block, to leave the disk to others; its error ends
	// the call, as an ErrAbort.
	Pace        func(bytes int) error
	blockTarget int // raw bytes at which a block is closed; tests want many small ones
}

func (o Options) withDefaults() Options {
	if o.Workers <= 0 {
		o.Workers = min(runtime.GOMAXPROCS(0), 16)
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 1 << 40
	}
	if o.blockTarget <= 0 {
		o.blockTarget = blockTarget
	}
	return o
}

func (o *Options) pace(bytes int) error {
	if o.Pace == nil {
		return nil
	}
	if err := o.Pace(bytes); err != nil {
		return fmt.Errorf("%w: %w", ErrAbort, err)
	}
	return nil
}

// Info describes a snapshot file.
type Info struct {
	Name      string // without the directory
	Zxid      wire.Zxid
	TimeMS    int64 // wall time given to Write
	Nodes     uint64
	Sessions  uint64
	ACLs      uint64
	Digest    uint64 // of the tree, as the source gave it
	FileBytes int64
	RawBytes  int64 // before compression
}
