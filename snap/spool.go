package snap

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"syscall"

	"paddock/vfs"
)

// ErrNoSpace is in the chain of Spool's error when the disk is full.
var ErrNoSpace = errors.New("no space to spool a snapshot")

const (
	spoolPrefix = "spool-"
	maxSpools   = 1000 // numbers that are tried for a name
)

// A Spooled is a stream, as a StreamWriter gives it, in a file that has no name any more. One
// goroutine at a time uses it.
type Spooled struct {
	fs   vfs.FS
	file vfs.File
	name string // what to remove at Close, "" where the file has no name
	size int64
	at   int64 // what was read
}

// Spool writes the stream of src to a file in dir and returns a reader of it: src can be closed
// when Spool returns, however slowly a learner takes the stream. It holds one piece in memory
// (64 KiB and a record), and of the disk what the stream takes, until Close. The file's name is
// removed as soon as it is made, but for systems that cannot do so before Close; a crash may leave
// it, for DropSpools.
//
// With an error nothing is left. ErrNoSpace is in its chain if the disk is full; o.Pace is called
// as in Write.
func Spool(fsys vfs.FS, dir string, src OrderedSource, o Options) (*Spooled, error) {
	s, err := newSpool(fsys, dir)
	if err == nil {
		if err = s.fill(src, o); err != nil {
			err = errors.Join(err, s.Close())
		}
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		err = fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	if err != nil {
		return nil, fmt.Errorf("snap: spool at zxid %v: %w", src.Zxid(), err)
	}
	return s, nil
}

func newSpool(fsys vfs.FS, dir string) (*Spooled, error) {
	for i := 1; ; i++ {
		name := path.Join(dir, spoolPrefix+strconv.Itoa(i)+tmpSuffix)
		f, err := fsys.Create(name)
		if errors.Is(err, fs.ErrExist) && i < maxSpools {
			continue // another one that is about to lose its name, or a leftover
		}
		if err != nil {
			return nil, err
		}
		s := &Spooled{fs: fsys, file: f}
		if err := fsys.Remove(name); err != nil {
			s.name = name
		}
		return s, nil
	}
}

func (s *Spooled) fill(src OrderedSource, o Options) error {
	w := NewStreamWriter(src)
	buf := make([]byte, 0, streamChunk)
	unsynced := 0
	for more := true; more; {
		var err error
		if buf, more, err = w.Append(buf[:0]); err != nil {
			return err
		}
		if _, err = s.file.WriteAt(buf, s.size); err != nil {
			return err
		}
		s.size += int64(len(buf))
		// Nobody needs it durable, but the log's next sync must not wait behind all of it.
		if unsynced += len(buf); unsynced >= syncEvery {
			if err := s.file.Sync(); err != nil {
				return err
			}
			if err := o.pace(unsynced); err != nil {
				return err
			}
			unsynced = 0
		}
		buf = frugal(buf)
	}
	return nil
}

// Size returns how many bytes the stream has.
func (s *Spooled) Size() int64 { return s.size }

// Read follows io.Reader.
func (s *Spooled) Read(p []byte) (int, error) {
	left := s.size - s.at
	if left == 0 {
		return 0, io.EOF
	}
	n, err := s.file.ReadAt(p[:min(int64(len(p)), left)], s.at)
	s.at += int64(n)
	if errors.Is(err, io.EOF) {
		err = nil
		if n == 0 {
			err = io.ErrUnexpectedEOF
		}
	}
	return n, err
}

// Close gives the space back.
func (s *Spooled) Close() error {
	err := s.file.Close()
	if s.name != "" {
		err = errors.Join(err, s.fs.Remove(s.name))
	}
	return err
}

// DropSpools removes what a crash left of spools. No other process may be using dir.
func DropSpools(fsys vfs.FS, dir string) error {
	all, err := fsys.List(dir)
	if err != nil {
		return fmt.Errorf("snap: drop spools: %w", err)
	}
	var errs []error
	for _, name := range all {
		number, ours := strings.CutPrefix(name, spoolPrefix)
		number, temporary := strings.CutSuffix(number, tmpSuffix)
		if _, err := strconv.Atoi(number); ours && temporary && err == nil {
			errs = append(errs, fsys.Remove(path.Join(dir, name)))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("snap: drop spools: %w", err)
	}
	return nil
}
