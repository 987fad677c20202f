package wal

import (
	"errors"
	"fmt"
	"path"

	"paddock/vfs"
	"paddock/wire"
)

// ErrAbsent is returned by TruncateTo for a zxid that the log does not have.
var ErrAbsent = errors.New("wal: the log does not have that zxid")

// TruncateTo makes zxid the last of the log: what comes after it is void as soon as TruncateTo
// returns. A crash meanwhile leaves the old log or the new one (R11). ErrBelow and ErrAbsent
// change nothing: the log begins later, or has a history without zxid. Any other error is final.
//
// That nothing behind zxid is committed is for the caller to know: a log does not refuse to drop
// what it was told is committed, and takes zxid for the committed position then.
func (l *Log) TruncateTo(zxid wire.Zxid) error {
	if err := l.Err(); err != nil {
		return err
	}
	if zxid == l.last {
		return nil
	}
	if zxid < l.base() {
		return fmt.Errorf("%w: truncation to %s, it begins after %s",
			ErrBelow, zxid, l.base())
	}
	h, payload, err := l.cutAt(zxid)
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.committed, l.noted = min(l.committed, zxid), min(l.noted, zxid)
	if l.checkpoint.At > zxid {
		l.checkpoint = Checkpoint{}
	}
	l.mu.Unlock()
	h.committed, _ = l.commitPoint(zxid) // what later batches said of it stays known
	return l.replace(&h, payload)
}

// cutAt returns the batch that takes the place of the first one with something above zxid: what
// that has up to zxid, which may be nothing. The payload has its header's space before it.
func (l *Log) cutAt(zxid wire.Zxid) (h header, payload []byte, err error) {
	i := len(l.links) - 1
	for i > 0 && l.links[i].prev > zxid {
		i--
	}
	for ; i >= 0 && i < len(l.links) && payload == nil && err == nil; i++ {
		err = l.eachBatch(&l.links[i], zxid, func(b *header, p []byte) error {
			if payload == nil && b.last > zxid {
				h, payload = cut(b, p, zxid)
			}
			return nil
		})
	}
	if err == nil && (payload == nil || h.last != zxid) {
		err = fmt.Errorf("%w: %s", ErrAbsent, zxid)
	}
	return h, payload, err
}

// cut returns what b, with payload p, is without the transactions above zxid.
func cut(b *header, p []byte, zxid wire.Zxid) (header, []byte) {
	h := *b
	h.kind, h.first, h.last, h.count = kindCut, 0, b.prev, 0
	payload := make([]byte, headerSize, headerSize+len(p)+sectorSize)
	for z, txn := range records(b.first, p) {
		if z > zxid {
			break
		}
		h.first, h.last = b.first, z
		h.count++
		payload = append(payload, p[len(payload)-headerSize:][:recordHeaderSize+len(txn)]...)
	}
	if h.digestAt > zxid {
		h.digestAt, h.digest = 0, 0
	}
	return h, payload
}

// RemoveThrough removes the segments that have nothing above zxid. The caller vouches for R14: a
// verified snapshot at or above zxid, and older ones that what remains still serves. An error of
// a removal can be tried again; one of a directory sync is final.
func (l *Log) RemoveThrough(zxid wire.Zxid) error {
	l.removeMu.Lock()
	defer l.removeMu.Unlock()
	if err := l.Err(); err != nil {
		return err
	}
	first := l.firstNeeded(zxid)
	ids, _, err := listSegments(l.fs, l.dir)
	if err != nil {
		return fmt.Errorf("wal: %w", err)
	}
	if len(ids) == 0 || ids[0] >= first {
		return nil
	}
	for _, id := range ids {
		if id >= first {
			break
		}
		if err := l.fs.Remove(path.Join(l.dir, segmentName(id))); err != nil {
			return fmt.Errorf("wal: %w", err)
		}
	}
	// Recovery does not go below what is needed, so a crash may leave any of them.
	if err := l.fs.SyncDir(l.dir); err != nil {
		return l.fail(err)
	}
	return nil
}

// firstNeeded forgets the links that have nothing above zxid and returns the id of the first that
// stays, 0 for none.
func (l *Log) firstNeeded(zxid wire.Zxid) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.links) - 1; i >= 0; i-- {
		if l.links[i].prev <= zxid {
			l.links = l.links[i:len(l.links):len(l.links)]
			return l.links[0].id
		}
	}
	return 0
}

// Loss is what AcceptLoss gave up.
type Loss struct {
	Damage *DamageError // nil where there was nothing to give up
	Last   wire.Zxid    // of the log that remains
}

// AcceptLoss is the offline command of that name. It gives up what a damaged log has from the
// first damage that is needed: the log goes on after the last transaction before it, or, where
// nothing that o.After needs is left, after o.After. No file is removed.
func AcceptLoss(fsys vfs.FS, dir string, o Options) (Loss, error) {
	l, err := Open(fsys, dir, o)
	if err == nil {
		return Loss{Last: l.Last()}, l.Close()
	}
	var loss Loss
	if !errors.As(err, &loss.Damage) {
		return loss, err
	}
	if l, err = openLocked(fsys, dir, o); err != nil {
		return loss, err
	}
	if err = l.giveUp(); err != nil {
		l.abandon()
		return loss, err
	}
	loss.Last = l.Last()
	return loss, l.Close()
}

// ExamineLoss says what AcceptLoss would give up, and changes nothing.
func ExamineLoss(fsys vfs.FS, dir string, o Options) (Loss, error) {
	l, err := openLocked(fsys, dir, o)
	if err != nil {
		return Loss{}, err
	}
	defer l.abandon()
	ids, _, err := listSegments(l.fs, l.dir)
	if err != nil {
		return Loss{}, fmt.Errorf("wal: %w", err)
	}
	rc := &recovery{fs: l.fs, dir: l.dir, after: l.o.After, ids: ids}
	err = rc.run()
	if err == nil {
		return Loss{Last: rc.tail.last.last}, nil
	}
	loss := Loss{Last: l.o.After}
	if !errors.As(err, &loss.Damage) {
		return loss, err
	}
	if rc = l.remains(ids); rc != nil {
		loss.Last = rc.tail.last.last
	}
	return loss, nil
}

// remains returns what of a damaged log can go on, nil where nothing that is needed can.
func (l *Log) remains(ids []uint64) *recovery {
	rc := l.salvage(ids)
	if rc == nil || rc.tail.last.last < l.o.After {
		return nil
	}
	return rc
}

// giveUp ends the log where it can be read up to.
func (l *Log) giveUp() error {
	ids, err := l.segments()
	if err != nil {
		return err
	}
	rc := l.remains(ids)
	if rc == nil {
		if err := l.forget(); err != nil {
			return err
		}
		return l.Restart(l.o.After)
	}
	rc.tail.last.kind = kindSeal // what follows makes the end durable as it is
	if err := l.adopt(rc); err != nil {
		return err
	}
	last := rc.tail.last
	h := header{
		kind: kindCut, last: last.last, prev: last.last, sequence: last.sequence + 1,
		synced: l.at, committed: last.committed, prevHash: last.hash,
	}
	return l.replace(&h, make([]byte, headerSize, sectorSize))
}

// salvage returns the longest log that can be read, nil for none. It looks, from the newest
// segment down, for one that begins well and leads back to what is needed. What is void must not
// come back: an index says where its segment ended the log's stay, and what its segment
// continued.
func (l *Log) salvage(ids []uint64) *recovery {
	limit := position{segment: ^uint64(0)}
	logID := l.knownLogID(ids)
	for i := len(ids) - 1; i >= 0; i-- {
		rc := &recovery{fs: l.fs, dir: l.dir, after: l.o.After, ids: ids, logID: logID}
		r, err := rc.open(ids[i])
		if err != nil {
			limit.enterAt(ids[i], l.entrance(ids[i], logID))
			continue
		}
		rc.salvageHead(r, &limit)
		r.file.Close()
		if rc.head != 0 && rc.walkBack() == nil {
			return rc
		}
	}
	return nil
}

// salvageHead takes r for the head as far as it verifies and the log stayed in it.
func (rc *recovery) salvageHead(r *reader, limit *position) {
	if t := r.search(r.size); t.goesOn != 0 && limit.after(t.goesOnAt) {
		*limit = t.goesOnAt
	}
	end := r.size
	switch {
	case r.id > limit.segment:
		return
	case r.id == limit.segment:
		end = limit.offset
	}
	s := r.scan(r.dataStart(), end)
	t := r.search(s.end)
	if s.batches > 0 {
		rc.head, rc.tail, rc.traces = r.id, s, t
		rc.addLink(r, &s)
	} else {
		limit.enterAt(r.id, t.entrance)
	}
}

// enterAt moves p down to where a segment with id continues the log, if that is known; a segment that
// begins the log continues nothing, whatever is older.
func (p *position) enterAt(id uint64, e position) {
	switch {
	case e.segment == id:
		*p = position{}
	case e.segment != 0 && p.after(e):
		*p = e
	}
}

// entrance returns what the index of a segment with a damaged header says that it continues.
func (l *Log) entrance(id, logID uint64) position {
	name := path.Join(l.dir, segmentName(id))
	f, err := l.fs.Open(name)
	if err != nil {
		return position{}
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil || size < minSegment {
		return position{}
	}
	r := &reader{id: id, logID: logID, name: name, file: f, geometry: geometryFor(size, 0)}
	return r.search(size).entrance
}

// knownLogID returns the id of the log from the newest segment that says it, 0 for none.
func (l *Log) knownLogID(ids []uint64) uint64 {
	for i := len(ids) - 1; i >= 0; i-- {
		if r, err := openReader(l.fs, l.dir, ids[i]); err == nil {
			r.file.Close()
			return r.logID
		}
	}
	return 0
}
