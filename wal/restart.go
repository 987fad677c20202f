package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"paddock/vfs"
	"paddock/wire"
)

// Restart opens dir as a log that begins after zxid, whatever is in it: for a snapshot that came
// from elsewhere, or in the place of a damaged log that a snapshot at zxid makes up for. What
// was there is void as soon as Restart returns.
func Restart(fsys vfs.FS, dir string, after wire.Zxid, o Options) (*Log, error) {
	return RestartWith(fsys, dir, after, nil, o)
}

// RestartWith is Restart, and the log already holds tail: see Log.RestartWith.
func RestartWith(fsys vfs.FS, dir string, after wire.Zxid, tail []*Batch, o Options) (*Log, error) {
	l, err := openLocked(fsys, dir, o)
	if err != nil {
		return nil, err
	}
	if err = l.forget(); err == nil {
		err = l.RestartWith(after, tail)
	}
	if err != nil {
		l.abandon()
		return nil, err
	}
	return l, nil
}

// forget prepares for a RestartWith over segments that are not read.
func (l *Log) forget() error {
	if _, err := l.segments(); err != nil {
		return err
	}
	if l.o.LogID == 0 {
		l.o.LogID = drawID()
	}
	return nil
}

// Restart makes the log one that is empty and begins after zxid: RestartWith without a tail.
func (l *Log) Restart(after wire.Zxid) error { return l.RestartWith(after, nil) }

// RestartWith makes the log one that begins after zxid, for a snapshot that came from elsewhere,
// and holds the batches of tail: the first follows after, each other the one before it (Follows).
// The snapshot must be durable before. A crash meanwhile leaves the old log, or the new one with
// all of its tail. after is what is known to be committed. The batches may be reset when
// RestartWith returns.
//
// ErrNoSpace changes nothing. Any other error is final, as Commit's.
func (l *Log) RestartWith(after wire.Zxid, tail []*Batch) error {
	if err := l.Err(); err != nil {
		return err
	}
	if err := l.beginAnew(after, tail); err != nil {
		return err
	}
	return l.seal()
}

// beginAnew writes a whole segment that begins a log, before it has a name. So the name is what
// makes the old log void. There is no seal in it: a start that finds the name in the page cache
// alone makes it durable, by writing the last batch once more (R10).
func (l *Log) beginAnew(after wire.Zxid, tail []*Batch) error {
	l.rollMu.Lock()
	defer l.rollMu.Unlock()
	s, err := l.grow(l.geometryForTail(tail))
	if err != nil {
		return err
	}
	s.id = l.nextID
	c := chain{segment: s, logID: l.o.LogID, link: link{
		id: s.id, size: s.size, start: s.end, prev: after, marks: make([]mark, 0, marksPerSegment),
	}}
	if err = c.begin(after, tail); err == nil {
		err = c.writeIndex()
	}
	if err != nil {
		s.file.Close()
		return l.fail(err)
	}
	if err := l.name(s); err != nil { // syncs what was written, then names it
		s.file.Close()
		return err
	}
	if err := l.closeSegment(s.id); err != nil {
		s.file.Close()
		return err
	}
	l.goOnWith(&c)
	return nil
}

// geometryForTail returns the layout of a segment that takes a start and tail, with an index for
// them, for a seal and for what closes the segment.
func (l *Log) geometryForTail(tail []*Batch) geometry {
	frames, n := frameSize(0), int64(1)
	for _, b := range tail {
		if b.count > 0 {
			frames, n = frames+b.Size(), n+1
		}
	}
	index := (n*entrySize+sectorSize-1)/sectorSize + 2
	return geometryFor(max(l.o.SegmentBytes, index*indexShare*sectorSize), frames)
}

// goOnWith makes c, which is durable, the log. A segment that was prepared stays behind, unused:
// its id is lower. Called with rollMu held.
func (l *Log) goOnWith(c *chain) {
	if l.prepared != nil {
		l.prepared.file.Close()
		l.prepared = nil
	}
	s := c.segment
	l.cur, l.closedSeg, l.sealed = s, false, false
	l.at = position{s.id, s.end}
	l.sequence, l.hash = c.last.sequence, c.last.hash
	c.link.end = s.end
	l.mu.Lock()
	defer l.mu.Unlock()
	l.links, l.last, l.committed, l.noted = []link{c.link}, c.last.last, c.last.committed, 0
	l.checkpoint = Checkpoint{}
	l.stats.Rolls++
	l.stats.Outruns++
	l.stats.Room = max(s.size-s.end-sectorSize, 0)
	l.stats.Bytes += uint64(s.end - c.link.start)
	l.stats.Batches += uint64(c.batches)
	l.stats.Transactions += uint64(c.txns)
}

// chain is a log that is written into one segment, none of it durable yet.
type chain struct {
	segment *segment
	logID   uint64
	link    link
	last    header // of the last batch
	entries []byte

	batches, txns int
}

// begin writes a start after zxid and the batches of tail.
func (c *chain) begin(after wire.Zxid, tail []*Batch) error {
	start := header{kind: kindStart, last: after, prev: after, committed: after}
	if _, err := c.write(make([]byte, headerSize, sectorSize), &start); err != nil {
		return err
	}
	for _, b := range tail {
		if b.count == 0 {
			continue
		}
		if !Follows(c.last.last, b.first) {
			panic(fmt.Sprintf("wal: tail of %s to %s behind %s", b.first, b.last, c.last.last))
		}
		h := header{
			kind: kindData, first: b.first, last: b.last, prev: c.last.last, count: b.count, committed: after,
		}
		frame, err := c.write(b.buf[:b.end], &h)
		if err != nil {
			return err
		}
		b.buf = frame
	}
	return nil
}

// write appends the batch h, whose frame buf begins with, and returns the frame. As all of the
// segment becomes durable at once, each batch may say that those before it are.
func (c *chain) write(buf []byte, h *header) ([]byte, error) {
	s := c.segment
	h.segment, h.sequence, h.synced = s.id, c.last.sequence+1, position{s.id, s.end}
	h.prevHash, h.logID = c.last.hash, c.logID
	frame := h.finish(buf)
	if _, err := s.file.WriteAt(frame, s.end); err != nil {
		return nil, err
	}
	n := len(c.entries)
	c.entries = slices.Grow(c.entries, entrySize)[:n+entrySize]
	e := entry{
		sequence: h.sequence, offset: s.end, size: int64(len(frame)), first: h.first, last: h.last,
		synced: h.synced, hash: h.hash,
	}
	e.encode(c.entries[n:], s.id)
	c.link.add(h, s.end)
	s.end += int64(len(frame))
	c.last = *h
	c.batches++
	c.txns += int(h.count)
	return frame, nil
}

func (c *chain) writeIndex() error {
	for len(c.entries)%sectorSize != 0 {
		c.entries = append(c.entries, 0)
	}
	c.segment.index = int64(len(c.entries) / sectorSize)
	_, err := c.segment.file.WriteAt(c.entries, sectorSize)
	return err
}

// PeekBase returns the zxid after which the log in dir begins, if a Restart began it. It reads one
// batch a segment and verifies no other: a start-up that finds a received snapshot beside the
// one in use learns so whether the log has gone over to it (snap.Adopt). What PeekBase says is
// durable when it returns. Of a damaged log it may know nothing, or return an error: whether that
// log can be used is for Open to say, and nothing may be dropped before Open has said it.
func PeekBase(fsys vfs.FS, dir string) (base wire.Zxid, began bool, err error) {
	ids, _, err := listSegments(fsys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("wal: %w", err)
	}
	// The name of a segment that begins a log may be in the page cache alone.
	if err := fsys.SyncDir(dir); err != nil {
		return 0, false, fmt.Errorf("wal: %w", err)
	}
	h, err := newestBatch(fsys, dir, ids)
	for err == nil && h.sequence > 1 && h.kind != kindStart {
		id := h.synced.segment
		if id >= h.segment || !slices.Contains(ids, id) {
			return 0, false, nil // removed: a snapshot covers it
		}
		h, err = firstBatch(fsys, dir, id)
	}
	if err != nil {
		return 0, false, err
	}
	return h.prev, h.kind == kindStart, nil
}

// newestBatch returns the first batch of the newest segment that has one.
func newestBatch(fsys vfs.FS, dir string, ids []uint64) (header, error) {
	for i := len(ids) - 1; i >= 0; i-- {
		h, err := firstBatch(fsys, dir, ids[i])
		if err != nil || h.sequence != 0 {
			return h, err
		}
	}
	return header{}, nil
}

// firstBatch returns the head of the first batch of a segment, none where there is none or a torn
// one.
func firstBatch(fsys vfs.FS, dir string, id uint64) (header, error) {
	r, err := openReader(fsys, dir, id)
	if err != nil {
		return header{}, fmt.Errorf("wal: %s: %w", path.Join(dir, segmentName(id)), err)
	}
	defer r.file.Close()
	h, _, torn, err := r.batch(r.dataStart())
	switch {
	case err == nil:
		return h, nil
	case torn:
		return header{}, nil
	}
	return header{}, fmt.Errorf("wal: %s at %d: %w", r.name, r.dataStart(), err)
}
