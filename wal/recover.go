package wal

import (
	"errors"
	"path"
	"slices"

	"paddock/vfs"
	"paddock/wire"
)

// recovery finds the log in a directory of segments. It reads from the end: the newest segment
// with a batch is the head, its first batch names the position it continues, and so on back to
// what a snapshot covers. It changes nothing.
//
//	segment 4      segment 5      segment 6      segment 7
//	[= = = =]      [= = x x]      [= = = . .]    [. . . . .]
//	       ▲────────┘▲ └ void      │      │        spare: zeroed ahead
//	                 └─────────────┘      └ the end of the log: torn, suspect, hole?
type recovery struct {
	fs    vfs.FS
	dir   string
	after wire.Zxid // transactions up to here are not needed

	ids   []uint64 // of all segments, ascending
	logID uint64
	links []link // oldest first

	tail    run      // the last stretch of the head; no batches in an empty log
	head    uint64   // 0 in an empty log
	traces  traces   // of the head
	vouched position // by the head and the segments behind it
	spare   uint64   // a newest segment of zeros, 0 for none

	checkpoint Checkpoint // the latest

	batches int
	torn    bool
	damage  []*DamageError // in what is not needed
}

// listSegments returns the ids of the segments in dir, ascending, and the names of what
// an interrupted preparation left.
func listSegments(fsys vfs.FS, dir string) (ids []uint64, leftovers []string, err error) {
	names, err := fsys.List(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		if id, ok := parseSegmentName(name); ok {
			ids = append(ids, id)
		}
		if name == growingName || name == preparingName {
			leftovers = append(leftovers, name)
		}
	}
	slices.Sort(ids)
	return ids, leftovers, nil
}

func (rc *recovery) run() error {
	if len(rc.ids) == 0 {
		if rc.after > 0 {
			return rc.missing(1, unknown, unknown)
		}
		return nil
	}
	if err := rc.findHead(len(rc.ids) - 1); err != nil {
		return err
	}
	if rc.head == 0 {
		if rc.ids[0] != 1 || rc.after > 0 {
			return rc.missing(rc.ids[0]-1, unknown, unknown)
		}
		return nil
	}
	return rc.walkBack()
}

// findHead finds the newest segment, from ids[i] down, that has a batch, and how the log ends.
func (rc *recovery) findHead(i int) error {
	for ; i >= 0; i-- {
		id := rc.ids[i]
		r, err := rc.open(id)
		if err != nil {
			return err
		}
		found, err := rc.readHead(r)
		r.file.Close()
		if err != nil || found {
			return err
		}
		// Segments are made one after the other: a gap before an unused one is a lost one.
		if i > 0 && rc.ids[i-1] != id-1 {
			return rc.missing(id-1, unknown, unknown)
		}
	}
	return nil
}

// readHead says whether the log ends in r.
func (rc *recovery) readHead(r *reader) (found bool, err error) {
	newest := rc.ids[len(rc.ids)-1]
	s, t, err := rc.scanHead(r)
	if err != nil {
		return false, err
	}
	if s.batches == 0 && s.start > r.dataStart() {
		return false, rc.damaged(ErrHole, r.name, &s, unknown)
	}
	if s.batches == 0 {
		if r.id == newest && !t.dirty && t.index == 0 {
			rc.spare = r.id
		}
		rc.torn = rc.torn || t.dirty
		return false, nil
	}
	if t.goesOn > newest {
		return false, rc.missing(t.goesOn, s.last.last, unknown)
	}
	rc.head, rc.tail, rc.traces = r.id, s, t
	rc.torn = rc.torn || t.dirty || s.err != nil && s.err != errNothing
	rc.addLink(r, &s)
	return true, nil
}

// scanHead scans a segment in which the log may end and judges its end.
func (rc *recovery) scanHead(r *reader) (run, traces, error) {
	start := r.dataStart()
	for {
		s := r.scan(start, r.size)
		t := r.search(s.end)
		if t.next != 0 && t.nextPrev <= rc.after && s.err != nil && !isDiverged(s.err) {
			// Damage, but in what is not needed.
			rc.damage = append(rc.damage, rc.damaged(ErrHole, r.name, &s, t.nextPrev))
			start = t.next
			continue
		}
		if t.vouched.after(rc.vouched) {
			rc.vouched = t.vouched
		}
		return s, t, rc.judge(r, &s, &t)
	}
}

// judge is the recovery table: what is it that the log ends with in s?
func (rc *recovery) judge(r *reader, s *run, t *traces) error {
	until := t.nextPrev
	if until == unknown {
		until = t.lastZxid
	}
	switch {
	case s.err == nil: // full to the last byte
		return nil
	case isDiverged(s.err):
		return rc.damaged(ErrDiverged, r.name, s, until)
	case rc.vouched.after(position{r.id, s.end}):
		return rc.damaged(ErrHole, r.name, s, until)
	case t.nothingAt(s.end):
		return nil
	case !s.torn:
		return rc.damaged(ErrSuspect, r.name, s, unknown)
	case t.unreadable != nil:
		s.err = t.unreadable
		return rc.damaged(ErrSuspect, r.name, s, unknown)
	}
	return nil
}

// isDiverged says whether err is about a batch whose checksums are right.
func isDiverged(err error) bool {
	return errors.Is(err, errChain) || errors.Is(err, errFields) || errors.Is(err, errRecords)
}

// walkBack follows the log from the head to the oldest segment that is needed.
func (rc *recovery) walkBack() error {
	first := rc.tail.first
	for first.sequence > 1 && first.kind != kindStart && first.prev > rc.after {
		id := first.synced.segment
		if !slices.Contains(rc.ids, id) {
			return rc.missing(id, unknown, first.prev)
		}
		r, err := rc.open(id)
		if err != nil {
			return err
		}
		s, err := rc.scanLink(r, &first)
		r.file.Close()
		if err != nil {
			return err
		}
		rc.addLink(r, &s)
		first = s.first
	}
	slices.Reverse(rc.links)
	return nil
}

// scanLink scans a segment up to where next, the first batch of a later one, continues it. All
// of it was durable when next was written.
func (rc *recovery) scanLink(r *reader, next *header) (run, error) {
	start, limit := r.dataStart(), next.synced.offset
	for {
		s := r.scan(start, limit)
		if s.err == nil && (s.batches == 0 || follows(&s.last, next) != nil) {
			s.err = errChain
		}
		switch {
		case s.err == nil:
			return s, nil
		case isDiverged(s.err):
			return s, rc.damaged(ErrDiverged, r.name, &s, next.prev)
		}
		t := r.search(s.end)
		if t.next == 0 || t.next >= limit {
			t.nextPrev = next.prev // which is needed, or we would not be here
		}
		d := rc.damaged(ErrHole, r.name, &s, t.nextPrev)
		if t.nextPrev > rc.after {
			return s, d
		}
		rc.damage = append(rc.damage, d)
		start = t.next
	}
}

func (rc *recovery) addLink(r *reader, s *run) {
	rc.links = append(rc.links, s.link(r))
	rc.batches += s.batches
	if rc.checkpoint.At == 0 {
		rc.checkpoint = s.checkpoint
	}
}

func (rc *recovery) open(id uint64) (*reader, error) {
	r, err := openReader(rc.fs, rc.dir, id)
	var version *VersionError
	if errors.As(err, &version) {
		return nil, err
	}
	if err == nil && rc.logID != 0 && r.logID != rc.logID {
		r.file.Close()
		err = errSegmentID
	}
	if err != nil {
		return nil, rc.segmentDamaged(id, unknown, unknown, err)
	}
	rc.logID = r.logID
	return r, nil
}

func (rc *recovery) missing(id uint64, after, until wire.Zxid) error {
	return rc.segmentDamaged(id, after, until, errSegmentMissing)
}

func (rc *recovery) segmentDamaged(id uint64, after, until wire.Zxid, err error) error {
	return &DamageError{
		Class: ErrHole, File: path.Join(rc.dir, segmentName(id)), After: after, Until: until, Err: err,
	}
}

func (rc *recovery) damaged(class error, name string, s *run, until wire.Zxid) *DamageError {
	e := &DamageError{Class: class, File: name, Offset: s.end, After: unknown, Until: until, Err: s.err}
	if s.batches > 0 {
		e.After = s.last.last
	}
	return e
}
