package snap

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"paddock/vfs"
)

// Target makes what snapshots are loaded into.
type Target interface {
	// Begin returns an empty sink. What an earlier attempt left half full is to be dropped.
	Begin(Info) (Sink, error)
	// Finish is called when the sink has everything. Its error, say of a tree whose digest
	// differs, condemns the file as any other mismatch does, unless it is ErrAbort.
	Finish(Info) error
}

// Report says what Load did.
type Report struct {
	Loaded  Info     // of the file that was loaded; zero with an error
	Passed  []Damage // newer files that could not be, newest first
	Removed []string // leftovers of writers that did not finish
	Failed  []error  // housekeeping that did not work and changes nothing
}

// Load fills target from the newest snapshot in dir that verifies to the last bit. A file
// that does not is renamed to *.corrupt-N and kept; one that cannot be read, or is of a later
// version, is left where it is; either way the next older one is tried.
//
// Without an error, Report.Loaded.Zxid is where the log has to go on. The error is ErrNone if
// there is nothing to load, with what was passed over; any other means that target failed.
func Load(fsys vfs.FS, dir string, target Target, o Options) (Report, error) {
	var report Report
	report.removeTemporary(fsys, dir)
	names, err := newestFirst(fsys, dir)
	if err != nil {
		return report, fmt.Errorf("snap: load: %w", err)
	}
	for _, name := range names {
		info, err := loadFile(fsys, dir, name, target, o)
		if err == nil {
			report.Loaded = info
			return report, nil
		}
		if errors.Is(err, ErrAbort) {
			return report, fmt.Errorf("snap: load %s: %w", name, err)
		}
		report.Passed = append(report.Passed, setAside(fsys, dir, name, err))
	}
	return report, report.none(dir)
}

func loadFile(fsys vfs.FS, dir, name string, target Target, o Options) (Info, error) {
	r, err := openReader(fsys, path.Join(dir, name), o)
	if err != nil {
		return Info{}, err
	}
	defer r.f.Close()
	info := r.info()
	if err := named(info, name); err != nil {
		return Info{}, err
	}
	sink, err := target.Begin(info)
	if err != nil {
		return Info{}, errors.Join(ErrAbort, err)
	}
	if err := r.deliver(sink, false); err != nil {
		return Info{}, err
	}
	if err := target.Finish(info); err != nil {
		return Info{}, r.refused(err)
	}
	return info, nil
}

// refused wraps what a target says against a file whose checksums are right.
func (r *reader) refused(err error) error {
	if errors.Is(err, ErrAbort) {
		return err
	}
	return r.corrupt(r.size-footerSize, fmt.Errorf("refused: %w", err))
}

// removeTemporary drops what a crash left of writers; no name ever promised anything about it.
func (p *Report) removeTemporary(fsys vfs.FS, dir string) {
	all, err := fsys.List(dir)
	if err != nil {
		return // Load meets the same error
	}
	for _, name := range all {
		final, ok := strings.CutSuffix(name, tmpSuffix)
		if _, ours := parseName(final); !ok || !ours {
			continue
		}
		if err := fsys.Remove(path.Join(dir, name)); err != nil {
			p.Failed = append(p.Failed, err)
			continue
		}
		p.Removed = append(p.Removed, name)
	}
}

func (p *Report) none(dir string) error {
	err := fmt.Errorf("snap: load from %s: %w", dir, ErrNone)
	for _, d := range p.Passed {
		err = fmt.Errorf("%w; %w", err, d.Err)
	}
	return err
}
