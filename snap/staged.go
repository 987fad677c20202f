package snap

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"paddock/vfs"
	"paddock/wire"
)

const (
	stagedSuffix = ".staged"
	voidSuffix   = ".void-" // and a number
)

// A snapshot that came from elsewhere takes the place of all that is here, together with the log
// that begins behind it. The log is where that is decided, in one durable step; until then the
// snapshot lies aside, under a name that nothing else here looks at:
//
//	WriteStaged(Z) ──▶ wal.Log.RestartWith(Z, tail) ──▶ Adopt(Z)
//	                   a crash before: old snapshot, old log
//	                   a crash behind: new log; a start-up adopts before it loads
//
//	at start: wal.PeekBase = Z ──▶ Adopt(Z) ──▶ Load ──▶ wal.Open ──▶ DropStaged
//
// At start Adopt does nothing if there is no staged snapshot of Z, and nothing is dropped before
// wal.Open has found the log behind what was loaded: then only is it certain that nobody needs it.

// WriteStaged is Write into a staged file. It may run beside a Write or a Purge.
func WriteStaged(fsys vfs.FS, dir string, src Source, timeMS int64, o Options) (Info, error) {
	name := fileName(src.Zxid()) + stagedSuffix
	info, err := writeNew(fsys, dir, name, src, timeMS, o)
	if err != nil {
		return Info{}, fmt.Errorf("snap: write %s: %w", name, err)
	}
	return info, nil
}

// Adopt makes the staged snapshot of zxid, if there is one, the newest of dir, and reports whether
// it did; that is durable when it returns. One of the same zxid is replaced. Newer ones, which are
// not of this history, are kept under other names. No Write, Load or Purge may run meanwhile.
//
// After an error it can be called again, in another process: nobody knows what the disk has.
func Adopt(fsys vfs.FS, dir string, zxid wire.Zxid) (adopted bool, err error) {
	final := path.Join(dir, fileName(zxid))
	if adopted, err = adopt(fsys, dir, zxid, final); err != nil {
		return false, fmt.Errorf("snap: adopt %s: %w", final, err)
	}
	return adopted, nil
}

func adopt(fsys vfs.FS, dir string, zxid wire.Zxid, final string) (bool, error) {
	if _, err := fsys.Stat(final + stagedSuffix); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return false, err
	}
	names, err := newestFirst(fsys, dir)
	if err != nil {
		return false, err
	}
	for _, name := range names {
		if z, _ := parseName(name); z <= zxid {
			break
		}
		if _, err := moveAside(fsys, dir, name, voidSuffix); err != nil {
			return false, err
		}
	}
	// What is void must have gone before the staged name has: with it the knowledge goes.
	if err := fsys.SyncDir(dir); err != nil {
		return false, err
	}
	if err := fsys.Rename(final+stagedSuffix, final); err != nil {
		return false, err
	}
	return true, fsys.SyncDir(dir)
}

// DropStaged removes all staged snapshots, and what a crash left of writing one.
func DropStaged(fsys vfs.FS, dir string) error {
	all, err := fsys.List(dir)
	if err != nil {
		return fmt.Errorf("snap: drop staged: %w", err)
	}
	var errs []error
	for _, name := range all {
		final, staged := strings.CutSuffix(strings.TrimSuffix(name, tmpSuffix), stagedSuffix)
		if _, ours := parseName(final); staged && ours {
			errs = append(errs, fsys.Remove(path.Join(dir, name)))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("snap: drop staged: %w", err)
	}
	return nil
}
