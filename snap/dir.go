package snap

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"paddock/vfs"
	"paddock/wire"
)

const (
	suffix        = ".snap"
	tmpSuffix     = ".tmp"
	corruptSuffix = ".corrupt-" // and a number
	zxidDigits    = 16
)

// fileName returns the name of the snapshot at z: names sort as zxids do.
func fileName(z wire.Zxid) string {
	return fmt.Sprintf("%0*x%s", zxidDigits, uint64(z), suffix)
}

// parseName reports whether name is one that fileName makes, and of which zxid.
func parseName(name string) (wire.Zxid, bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != zxidDigits || strings.ToLower(digits) != digits {
		return 0, false
	}
	z, err := strconv.ParseUint(digits, 16, 64)
	return wire.Zxid(z), err == nil
}

// Entry is a file that bears the name of a snapshot.
type Entry struct {
	Info
	Err error // why header, footer or chain of blocks do not make sense; then only Name and Zxid are known
}

// List returns the snapshots in dir, newest first. It looks at their skeletons, not at their
// blocks: Verify does that.
func List(fsys vfs.FS, dir string) ([]Entry, error) {
	names, err := newestFirst(fsys, dir)
	if err != nil {
		return nil, fmt.Errorf("snap: list: %w", err)
	}
	entries := make([]Entry, 0, len(names))
	for _, name := range names {
		z, _ := parseName(name)
		info, err := skim(fsys, dir, name)
		if err != nil {
			info = Info{Name: name, Zxid: z}
		}
		entries = append(entries, Entry{Info: info, Err: err})
	}
	return entries, nil
}

// skim reads a file's skeleton.
func skim(fsys vfs.FS, dir, name string) (Info, error) {
	r, err := openReader(fsys, path.Join(dir, name), Options{})
	if err != nil {
		return Info{}, err
	}
	defer r.f.Close()
	return r.info(), named(r.info(), name)
}

// named holds a file's content against its name, which purging and choosing go by.
func named(info Info, name string) error {
	if z, _ := parseName(name); z != info.Zxid {
		return &CorruptError{File: name, Err: fmt.Errorf("holds zxid %v, which its name denies", info.Zxid)}
	}
	return nil
}

func newestFirst(fsys vfs.FS, dir string) ([]string, error) {
	all, err := fsys.List(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for i := len(all) - 1; i >= 0; i-- {
		if _, ok := parseName(all[i]); ok {
			names = append(names, all[i])
		}
	}
	return names, nil
}

// Damage tells of a file that was passed over.
type Damage struct {
	Name string
	Err  error
	// Quarantine is the name under which the file is kept. Empty if it was left where it is,
	// because Err is no proof of damage, or because it could not be renamed: RenameErr.
	Quarantine string
	RenameErr  error
}

// setAside quarantines a file that err proves to be damaged.
func setAside(fsys vfs.FS, dir, name string, err error) Damage {
	d := Damage{Name: name, Err: err}
	var corrupt *CorruptError
	if !errors.As(err, &corrupt) {
		return d
	}
	d.Quarantine, d.RenameErr = quarantine(fsys, dir, name)
	return d
}

func quarantine(fsys vfs.FS, dir, name string) (to string, err error) {
	if to, err = moveAside(fsys, dir, name, corruptSuffix); err == nil {
		err = fsys.SyncDir(dir)
	}
	if err != nil {
		return "", err
	}
	return to, nil
}

// moveAside renames a file to a name that begins with its own and suffix, and ends with a number.
func moveAside(fsys vfs.FS, dir, name, suffix string) (to string, err error) {
	if to, err = freeName(fsys, dir, name+suffix); err != nil {
		return "", err
	}
	return to, fsys.Rename(path.Join(dir, name), path.Join(dir, to))
}

// freeName returns prefix and the first number that is not taken: Rename would replace the
// evidence of an earlier time.
func freeName(fsys vfs.FS, dir, prefix string) (string, error) {
	all, err := fsys.List(dir)
	if err != nil {
		return "", err
	}
	taken := make(map[string]bool, len(all))
	for _, n := range all {
		taken[n] = true
	}
	for i := 1; ; i++ {
		to := prefix + strconv.Itoa(i)
		if !taken[to] {
			return to, nil
		}
	}
}
