package wal

import (
	"errors"
	"fmt"
	"path"
	"syscall"

	"paddock/vfs"
)

// Prepare does one step of what is better done before the log needs it, and says whether there is
// more to do. A step zeroes and syncs Options.PrepareBytes of the next segment, or gives it its
// name, or syncs the index of a segment that is full. The shell calls it at a pace that
// leaves the disk to Commit: a log that outruns it goes on in a segment that is only reserved.
//
// ErrNoSpace means that the next segment did not fit and was given up; it can be tried again.
// Any other error is final, as Commit's.
func (l *Log) Prepare() (more bool, err error) {
	l.prepMu.Lock()
	defer l.prepMu.Unlock()
	if err := l.Err(); err != nil {
		return false, err
	}
	if err := l.settle(); err != nil {
		return false, err
	}
	if l.zeroing == nil {
		if l.hasPrepared() {
			return false, nil
		}
		if err := l.beginZeroing(); err != nil {
			return false, l.zeroingFailed(err)
		}
	}
	s := l.zeroing
	if l.zeroed == s.size {
		return false, l.nameZeroed()
	}
	n := min(l.o.PrepareBytes, s.size-l.zeroed)
	if err := vfs.Zero(s.file, l.zeroed, n); err != nil {
		return false, l.zeroingFailed(err)
	}
	if err := s.file.Sync(); err != nil {
		return false, l.zeroingFailed(err)
	}
	l.zeroed += n
	return true, nil
}

// ErrNoSpace is returned by Prepare and Commit when the disk is full. Nothing was written, and
// nothing is lost: the call can be tried again.
var ErrNoSpace = errors.New("wal: no space for the next segment")

func (l *Log) hasPrepared() bool {
	l.rollMu.Lock()
	defer l.rollMu.Unlock()
	return l.prepared != nil
}

func (l *Log) beginZeroing() error {
	name := path.Join(l.dir, preparingName)
	f, err := l.fs.Create(name)
	if err != nil {
		return err
	}
	l.zeroed = 0
	g := geometryFor(l.o.SegmentBytes, 0)
	l.zeroing = &segment{geometry: g, file: f, name: name, end: g.dataStart()}
	return f.Preallocate(l.zeroing.size)
}

// zeroingFailed gives up the segment that is being prepared.
func (l *Log) zeroingFailed(err error) error {
	s := l.zeroing
	l.zeroing = nil
	return l.giveBack(s, err)
}

// giveBack removes the segment s, nil for none, which could not be made because of err. Only a
// lack of space is survived.
func (l *Log) giveBack(s *segment, err error) error {
	if s != nil {
		s.file.Close()
	}
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return l.fail(err)
	}
	if s != nil {
		if err := l.fs.Remove(s.name); err != nil {
			return l.fail(err)
		}
	}
	return fmt.Errorf("%w: %w", ErrNoSpace, err)
}

// nameZeroed makes the zeroed segment the prepared one.
func (l *Log) nameZeroed() error {
	l.rollMu.Lock()
	defer l.rollMu.Unlock()
	s := l.zeroing
	if err := l.name(s); err != nil {
		return err
	}
	l.zeroing, l.prepared = nil, s
	return nil
}

// name gives s the next id: it writes the header, renames the file and makes all of that
// durable. Called with rollMu held.
func (l *Log) name(s *segment) error {
	var b [sectorSize]byte
	encodeSegmentHeader(b[:], l.nextID, l.o.LogID, s.geometry)
	if _, err := s.file.WriteAt(b[:], 0); err != nil {
		return l.fail(err)
	}
	if err := s.file.Sync(); err != nil {
		return l.fail(err)
	}
	name := path.Join(l.dir, segmentName(l.nextID))
	if err := l.fs.Rename(s.name, name); err != nil {
		return l.fail(err)
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return l.fail(err)
	}
	s.id, s.name = l.nextID, name
	l.nextID++
	return nil
}

// roll makes the next segment the current one, with room for a batch of frame bytes. It leaves
// the old segment's index to settle.
func (l *Log) roll(frame int64) error {
	l.rollMu.Lock()
	defer l.rollMu.Unlock()
	next := l.prepared
	l.prepared = nil
	if next != nil && next.dataStart()+frame+sectorSize > next.size {
		next.file.Close() // too small for this one batch: it stays behind, unused
		next = nil
	}
	outrun := next == nil
	if outrun {
		var err error
		if next, err = l.reserve(frame); err != nil {
			return err
		}
	}
	if err := l.closeSegment(next.id); err != nil {
		return err
	}
	l.cur, l.closedSeg = next, false
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Rolls++
	if outrun {
		l.stats.Outruns++
	}
	return nil
}

// reserve makes a segment at once: its space is reserved but not written. ErrNoSpace is not final.
// Called with rollMu held.
func (l *Log) reserve(frame int64) (*segment, error) {
	s, err := l.grow(geometryFor(l.o.SegmentBytes, frame))
	if err != nil {
		return nil, err
	}
	if err := l.name(s); err != nil {
		s.file.Close()
		return nil, err
	}
	return s, nil
}

// grow makes a segment that has no name yet, and reserves its space. ErrNoSpace is not final.
func (l *Log) grow(g geometry) (*segment, error) {
	s := &segment{geometry: g, name: path.Join(l.dir, growingName), end: g.dataStart()}
	f, err := l.fs.Create(s.name)
	if err != nil {
		return nil, l.giveBack(nil, err)
	}
	s.file = f
	if err := f.Preallocate(s.size); err != nil {
		return nil, l.giveBack(s, err)
	}
	return s, nil
}

// closeSegment writes to the index of the current segment what is still missing, and that the log
// goes on in segment next, so that next cannot get lost unnoticed. It is not synced here:
// the first batch of next vouches for this segment anyway.
func (l *Log) closeSegment(next uint64) error {
	if l.cur == nil {
		return nil
	}
	l.addEntry(&entry{
		sequence: l.sequence, offset: l.at.offset, last: l.last, synced: l.at, hash: next, closing: true,
	})
	sectors := int64(len(l.entries)+sectorSize-1) / sectorSize
	if l.cur.index+sectors <= l.cur.indexSectors { // always, but for an index that was damaged
		if err := l.writeIndex(); err != nil {
			return err
		}
	}
	l.entries = l.entries[:0]
	l.mu.Lock()
	defer l.mu.Unlock()
	l.retired = append(l.retired, l.cur)
	return nil
}

// settle syncs and closes the segments that rolls left behind.
func (l *Log) settle() error {
	l.mu.Lock()
	retired := l.retired
	l.retired = nil
	l.mu.Unlock()
	for _, s := range retired {
		if err := s.file.Sync(); err != nil {
			return l.fail(err)
		}
		if err := s.file.Close(); err != nil {
			return l.fail(err)
		}
	}
	return nil
}

// openSegment opens an existing segment, which was read before, for writing.
func (l *Log) openSegment(id uint64) (*segment, error) {
	r, err := openReader(l.fs, l.dir, id)
	if err != nil {
		return nil, fmt.Errorf("wal: %w", err)
	}
	r.file.Close()
	f, err := l.fs.OpenWrite(r.name)
	if err != nil {
		return nil, fmt.Errorf("wal: %w", err)
	}
	return &segment{geometry: r.geometry, id: id, file: f, name: r.name, end: r.dataStart()}, nil
}
