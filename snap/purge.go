package snap

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"paddock/vfs"
	"paddock/wire"
)

// minKeep is how many verified snapshots always stay: one to load, and two older ones should
// it rot (R14 of the test design; ZooKeeper's own minimum for autopurge.snapRetainCount).
const minKeep = 3

// Retention says what Purge leaves.
type Retention struct {
	Count int           // newest verified snapshots to keep; below 3 counts as 3
	Age   time.Duration // and all that are younger than this, by the time in the file
	NowMS int64         // wall time
}

// Purged says what Purge did and what it allows.
type Purged struct {
	// LogThrough is the zxid through which the log may be removed: no snapshot that is kept
	// needs it. 0 when it must all stay.
	LogThrough wire.Zxid
	Kept       []Info
	Removed    []string
	Passed     []Damage // files that did not verify; they are no snapshots any more
}

// Purge verifies the newest snapshots in dir, in full, until it has found keep.Count good
// ones, and removes older ones that keep.Age does not protect. While fewer than three verify
// it removes nothing, and the log must stay. A file that does not verify is set aside as in
// Load and never counts. With an error the log must stay too.
func Purge(fsys vfs.FS, dir string, keep Retention, o Options) (Purged, error) {
	p, err := purge(fsys, dir, keep, o)
	if err != nil {
		return Purged{Passed: p.Passed, Removed: p.Removed}, fmt.Errorf("snap: purge: %w", err)
	}
	return p, nil
}

func purge(fsys vfs.FS, dir string, keep Retention, o Options) (p Purged, err error) {
	names, err := newestFirst(fsys, dir)
	if err != nil {
		return p, err
	}
	o.Workers = 1 // in the background
	older, err := p.verifyNewest(fsys, dir, names, max(keep.Count, minKeep), o)
	if err != nil || len(p.Kept) < minKeep {
		return p, err
	}
	drop := p.sortOut(fsys, dir, older, keep)
	// What is kept must not owe its name to the page cache when what is dropped has gone.
	if err := fsys.SyncDir(dir); err != nil {
		return p, err
	}
	// Oldest first: a crash in between leaves the newest, without a gap.
	slices.Reverse(drop)
	for _, name := range drop {
		if err := fsys.Remove(path.Join(dir, name)); err != nil {
			return p, err
		}
		p.Removed = append(p.Removed, name)
	}
	if err := fsys.SyncDir(dir); err != nil {
		return p, err
	}
	p.LogThrough = p.Kept[len(p.Kept)-1].Zxid
	return p, nil
}

// verifyNewest fills Kept with up to count good snapshots, and returns the names after them.
func (p *Purged) verifyNewest(fsys vfs.FS, dir string, names []string, count int, o Options) ([]string, error) {
	for i, name := range names {
		if len(p.Kept) == count {
			return names[i:], nil
		}
		info, err := Verify(fsys, path.Join(dir, name), o)
		if err == nil {
			err = named(info, name)
		}
		if errors.Is(err, ErrAbort) {
			return nil, err
		}
		if err != nil {
			p.Passed = append(p.Passed, setAside(fsys, dir, name, err))
			continue
		}
		p.Kept = append(p.Kept, info)
	}
	return nil, nil
}

// sortOut divides older snapshots into those still young, which stay and hold the log, and
// those to drop. A time in the future proves nothing, and protects nothing.
func (p *Purged) sortOut(fsys vfs.FS, dir string, older []string, keep Retention) (drop []string) {
	for _, name := range older {
		info, err := skim(fsys, dir, name)
		if err != nil {
			p.Passed = append(p.Passed, setAside(fsys, dir, name, err))
			continue
		}
		age := keep.NowMS - info.TimeMS
		if age < 0 || age >= keep.Age.Milliseconds() {
			drop = append(drop, name)
			continue
		}
		p.Kept = append(p.Kept, info)
	}
	return drop
}
