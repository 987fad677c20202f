package wal

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"sync"
	"time"

	"paddock/vfs"
	"paddock/wire"
)

// SealAfter is how long a log is idle before its owner should call Seal.
const SealAfter = 10 * time.Millisecond

// Options of a log.
type Options struct {
	// After is the zxid of the snapshot that was loaded. Transactions up to it are not needed:
	// damage to them is reported by Recovery, not refused.
	After wire.Zxid
	// SegmentBytes is the size of a segment; default 64 MiB, at least 4 KiB. A batch that is
	// larger gets a larger segment.
	SegmentBytes int64
	// PrepareBytes is how much one call of Prepare zeroes and syncs; default 1 MiB.
	PrepareBytes int64
	// LogID tells a new log from all others, so that a segment of another log is known as such.
	// 0 draws one.
	LogID uint64
}

func (o Options) withDefaults() (Options, error) {
	if o.SegmentBytes == 0 {
		o.SegmentBytes = 64 << 20
	}
	if o.PrepareBytes == 0 {
		o.PrepareBytes = 1 << 20
	}
	var errs []error
	if o.SegmentBytes < minSegment || o.SegmentBytes > maxPayload || o.SegmentBytes%sectorSize != 0 {
		errs = append(errs, fmt.Errorf("wal: SegmentBytes %d: want %d to %d, a multiple of %d",
			o.SegmentBytes, minSegment, maxPayload, sectorSize))
	}
	if o.PrepareBytes < 0 {
		errs = append(errs, fmt.Errorf("wal: PrepareBytes %d: want more than 0", o.PrepareBytes))
	}
	if o.After < 0 {
		errs = append(errs, fmt.Errorf("wal: After %d: want a zxid", o.After))
	}
	return o, errors.Join(errs...)
}

// Log is an open log. See the package comment for who may call what.
type Log struct {
	fs   vfs.FS
	dir  string
	o    Options
	lock io.Closer

	recovery Recovery // immutable after Open

	// Owned by the owner.
	cur        *segment // nil before the first batch of a new log
	closedSeg  bool     // cur takes no more batches
	at         position // where the log continues: the end of what is durable
	sequence   uint64   // of the last batch
	hash       uint64   // of the last batch's header
	sealed     bool     // the last batch is a seal, or there is none
	entries    []byte   // of the index, of batches not yet in it
	sealBuffer []byte

	prepMu  sync.Mutex // held by Prepare; taken before rollMu
	zeroed  int64      // bytes of zeroing that are done; guarded by prepMu
	zeroing *segment   // being prepared; guarded by prepMu

	rollMu   sync.Mutex // held while segments get their names; taken before mu
	prepared *segment   // ready to be used; guarded by rollMu
	nextID   uint64     // of the next segment to be made; guarded by rollMu

	removeMu sync.Mutex // held by RemoveThrough; taken before mu

	mu         sync.Mutex
	err        error // the first failure, or ErrClosed: nothing is committed after it
	links      []link
	last       wire.Zxid // of the log
	committed  wire.Zxid // as the last batch says
	noted      wire.Zxid // what NoteCommitted said last; may be above last
	checkpoint Checkpoint
	retired    []*segment // written, not synced for the last time: their index
	stats      Stats
}

// Checkpoint is a tree digest that the log knows: the tree after zxid At has it. At is 0 where
// there is none.
type Checkpoint struct {
	At     wire.Zxid
	Digest uint64
}

// Recovery is what Open found, for the log line about it.
type Recovery struct {
	Segments  int            // read
	Batches   int            // read
	Torn      bool           // an unacknowledged write was cut off
	Rewritten int            // transactions at the end that were written once more, for want of a seal
	Damage    []*DamageError // to transactions that a snapshot covers
}

// Stats are counters since Open, and gauges.
type Stats struct {
	Fsyncs       uint64 // on the commit path
	Batches      uint64
	Transactions uint64
	Bytes        uint64 // written for batches, with their headers, sums and padding
	Seals        uint64
	Rolls        uint64
	Outruns      uint64 // rolls that found no segment prepared

	Segments int   // in the log
	LogBytes int64 // of batches in them
	Room     int64 // bytes that batches can take before a file must be made
	Prepared bool  // the next segment is ready
}

// Open opens the log in dir, which it makes where there is none, and reads it from the end back
// to o.After. What cannot be trusted is refused with a *DamageError; what a power cut can leave
// is repaired: the log is then as durable as it reads. A log that ends below o.After is opened as
// it is: Last says so, and Restart goes on behind the snapshot.
func Open(fsys vfs.FS, dir string, o Options) (*Log, error) {
	l, err := openLocked(fsys, dir, o)
	if err != nil {
		return nil, err
	}
	rc, err := l.recover(o.After)
	if err == nil {
		err = l.adopt(rc)
	}
	if err != nil {
		l.abandon()
		return nil, err
	}
	return l, nil
}

// openLocked makes the directory, takes its lock and removes leftovers.
func openLocked(fsys vfs.FS, dir string, o Options) (*Log, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := fsys.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("wal: %w", err)
	}
	lock, err := fsys.Lock(path.Join(dir, lockName))
	if err != nil {
		return nil, fmt.Errorf("wal: directory %s is in use: %w", dir, err)
	}
	return &Log{
		fs: fsys, dir: dir, o: o, lock: lock, sealed: true,
		entries:    make([]byte, 0, (entriesPerSync+2)*entrySize),
		sealBuffer: make([]byte, headerSize, sectorSize),
	}, nil
}

// segments lists the segments and removes what an interrupted preparation left.
func (l *Log) segments() ([]uint64, error) {
	ids, leftovers, err := listSegments(l.fs, l.dir)
	if err != nil {
		return nil, fmt.Errorf("wal: %w", err)
	}
	for _, name := range leftovers {
		if err := l.fs.Remove(path.Join(l.dir, name)); err != nil {
			return nil, fmt.Errorf("wal: %w", err)
		}
	}
	l.nextID = 1
	if n := len(ids); n > 0 {
		l.nextID = ids[n-1] + 1
	}
	return ids, nil
}

// recover reads what is there.
func (l *Log) recover(after wire.Zxid) (*recovery, error) {
	ids, err := l.segments()
	if err != nil {
		return nil, err
	}
	rc := &recovery{fs: l.fs, dir: l.dir, after: after, ids: ids}
	return rc, rc.run()
}

// adopt continues the log that rc found.
func (l *Log) adopt(rc *recovery) error {
	if l.o.LogID = cmp.Or(rc.logID, l.o.LogID); l.o.LogID == 0 {
		l.o.LogID = drawID()
	}
	l.recovery = Recovery{
		Segments: len(rc.links), Batches: rc.batches, Torn: rc.torn, Damage: rc.damage,
	}
	if rc.spare != 0 {
		s, err := l.openSegment(rc.spare)
		if err != nil {
			return err
		}
		l.prepared = s
	}
	if rc.head == 0 {
		return nil
	}
	return l.continueAfter(rc)
}

// continueAfter sets the state to the end of the log that rc found. A log that was not sealed
// gets its last batch written once more: it may have been read from the page cache alone (R10).
func (l *Log) continueAfter(rc *recovery) error {
	cur, err := l.openSegment(rc.head)
	if err != nil {
		return err
	}
	cur.end, cur.index = rc.tail.end, rc.traces.index
	last := &rc.tail.last
	l.cur, l.at = cur, position{cur.id, cur.end}
	l.sequence, l.hash, l.last = last.sequence, last.hash, last.last
	// What a snapshot holds was committed.
	last.committed = max(last.committed, min(l.o.After, last.last))
	l.links, l.committed, l.checkpoint = rc.links, last.committed, rc.checkpoint
	l.sealed = last.kind == kindSeal
	// Only zeros are written over, so that a later tear is known as one.
	l.closedSeg = rc.traces.dirty || rc.traces.indexDirty
	if l.sealed {
		if !l.closedSeg {
			l.stats.Room = max(cur.size-cur.end-sectorSize, 0)
		}
		return nil
	}
	return l.rewrite(rc.tail.lastAt, last)
}

// rewrite writes the batch h, which is the last one and stands at off, once more, and seals it.
func (l *Log) rewrite(off int64, h *header) error {
	r, err := openReader(l.fs, l.dir, h.segment)
	if err != nil {
		return fmt.Errorf("wal: %w", err)
	}
	defer r.file.Close()
	_, frame, _, err := r.batch(off)
	if err != nil {
		return fmt.Errorf("wal: %s at %d, read again: %w", r.name, off, err)
	}
	l.recovery.Rewritten = int(h.count)
	return l.replace(h, frame[:headerSize+h.payload])
}

// replace makes the log go on with h and its payload in a new segment, in the place of the batch
// that has h's sequence, and of all after it.
func (l *Log) replace(h *header, payload []byte) error {
	l.rewind(h)
	if err := l.roll(frameSize(int64(len(payload) - headerSize))); err != nil {
		return l.fail(err) // for want of space, too: the state is that of before h
	}
	if _, err := l.write(payload, h); err != nil {
		return err
	}
	return l.seal()
}

// rewind sets the state to what it was before h: up to there, and no further, the log is known
// to be durable.
func (l *Log) rewind(h *header) {
	l.at, l.sequence, l.hash = h.synced, h.sequence-1, h.prevHash
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = h.prev
	for n := len(l.links); n > 0; n-- {
		if k := &l.links[n-1]; k.id == l.at.segment && l.sequence > 0 {
			k.cut(l.at.offset, h.prev)
			break
		}
		l.links = l.links[:n-1]
	}
}

// Commit makes the transactions of b durable: one write, one fdatasync. committed is the last
// zxid known to be committed, which is recorded with b: it may be anywhere below b, and is not
// taken back by a lower one. digest is that of the tree after zxid digestAt (0 for none). b may be
// reset when Commit returns. It must follow the last zxid of the log (Follows).
//
// An error is final. Nobody knows then what the disk has: Commit returns the same error ever
// after, nothing may be acknowledged and the process has to stop (fsync-once). ErrNoSpace is the
// exception: it is found before anything is written, and Commit can be called again with b.
func (l *Log) Commit(b *Batch, committed, digestAt wire.Zxid, digest uint64) error {
	known, err := l.commitPoint(b.last)
	if err != nil || b.count == 0 {
		return err
	}
	if !Follows(l.last, b.first) {
		panic(fmt.Sprintf("wal: commit of %s to %s in a log that ends at %s",
			b.first, b.last, l.last))
	}
	h := header{
		kind: kindData, first: b.first, last: b.last, count: b.count,
		committed: min(max(committed, known), b.last), digestAt: digestAt, digest: digest,
	}
	frame, err := l.write(b.buf[:b.end], &h)
	if err == nil {
		b.buf = frame
	}
	return err
}

// NoteCommitted says that what is up to zxid is committed, which may be above what is in the log
// yet. The next batch records it, or Seal does. It may be called beside the owner.
func (l *Log) NoteCommitted(zxid wire.Zxid) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.noted = max(l.noted, zxid)
}

// commitPoint returns what a batch after which the log ends at last can say is committed.
func (l *Log) commitPoint(last wire.Zxid) (wire.Zxid, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return min(max(l.committed, l.noted), last), l.err
}

// Seal writes a batch without transactions, unless the last one is such and nothing of it was
// noted as committed since. It vouches for the batch before it, which until then can be taken for
// a torn write if the disk loses it. The owner calls it when nothing was committed for SealAfter.
// Its error is as final as Commit's.
func (l *Log) Seal() error {
	known, err := l.commitPoint(l.last)
	if err != nil || l.sealed && known == l.committed {
		return err
	}
	return l.seal()
}

func (l *Log) seal() error {
	known, err := l.commitPoint(l.last)
	if err != nil {
		return err
	}
	_, err = l.write(l.sealBuffer[:headerSize], &header{kind: kindSeal, last: l.last, committed: known})
	return err
}

// write completes the frame that buf begins with what h still lacks, and makes it durable as the
// next batch of the log. It returns buf with the trailer.
func (l *Log) write(buf []byte, h *header) ([]byte, error) {
	size := frameSize(int64(len(buf) - headerSize))
	if l.cur == nil || l.closedSeg || !l.fits(h.kind, size) {
		if err := l.roll(size); err != nil {
			return nil, err
		}
	}
	if l.sequence == 0 {
		l.at = position{l.cur.id, l.cur.end} // of a new log
	}
	h.segment, h.sequence, h.prev = l.cur.id, l.sequence+1, l.last
	h.synced, h.prevHash, h.logID = l.at, l.hash, l.o.LogID
	frame := h.finish(buf)
	if _, err := l.cur.file.WriteAt(frame, l.cur.end); err != nil {
		return nil, l.fail(err)
	}
	if err := l.enter(h, size); err != nil {
		return nil, err
	}
	if err := l.cur.file.Sync(); err != nil {
		return nil, l.fail(err)
	}
	l.advance(h, size)
	return frame, nil
}

// fits says whether a batch of size bytes has room in the current segment and in its index, with
// what may have to come after it: a seal, which goes to fresh sectors of the index with all that
// waits, and then the entry that closes the segment, in a sector of its own.
func (l *Log) fits(k kind, size int64) bool {
	entries := int64(len(l.entries) + entrySize)
	if k != kindSeal {
		size, entries = size+sectorSize, entries+entrySize
	}
	index := (entries+sectorSize-1)/sectorSize + 1
	return l.cur.end+size <= l.cur.size && l.cur.index+index <= l.cur.indexSectors
}

// enter adds a batch to the entries that wait for the index, and writes them with every
// sixteenth batch and every seal. The sync of that batch is theirs.
func (l *Log) enter(h *header, size int64) error {
	e := entry{
		sequence: h.sequence, offset: l.cur.end, size: size, first: h.first, last: h.last,
		synced: h.synced, hash: h.hash,
	}
	l.addEntry(&e)
	if h.kind != kindSeal && len(l.entries) < entriesPerSync*entrySize {
		return nil
	}
	return l.writeIndex()
}

func (l *Log) addEntry(e *entry) {
	n := len(l.entries)
	l.entries = l.entries[:n+entrySize]
	e.encode(l.entries[n:], l.cur.id)
}

// writeIndex writes the waiting entries to the next free sectors of the index.
func (l *Log) writeIndex() error {
	n := len(l.entries)
	sectors := (n + sectorSize - 1) / sectorSize
	block := l.entries[:sectors*sectorSize]
	clear(block[n:])
	if _, err := l.cur.file.WriteAt(block, (1+l.cur.index)*sectorSize); err != nil {
		return l.fail(err)
	}
	l.cur.index += int64(sectors)
	l.entries = l.entries[:0]
	return nil
}

// advance is where a batch becomes part of the log: it is durable (durable-before-ack).
func (l *Log) advance(h *header, size int64) {
	l.cur.end += size
	l.at = position{l.cur.id, l.cur.end}
	l.sequence, l.hash = h.sequence, h.hash
	l.sealed = h.kind == kindSeal

	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.links); n == 0 || l.links[n-1].id != l.cur.id {
		l.links = append(l.links, link{
			id: l.cur.id, size: l.cur.size, start: l.cur.end - size, prev: h.prev,
			marks: make([]mark, 0, marksPerSegment),
		})
	}
	k := &l.links[len(l.links)-1]
	k.add(h, l.cur.end-size)
	k.end = l.cur.end
	l.last, l.committed = h.last, h.committed
	if h.digestAt != 0 {
		l.checkpoint = Checkpoint{At: h.digestAt, Digest: h.digest}
	}
	l.stats.Room = max(l.cur.size-l.cur.end-sectorSize, 0)
	l.stats.Fsyncs++
	l.stats.Bytes += uint64(size)
	l.stats.Transactions += uint64(h.count)
	if h.kind == kindSeal {
		l.stats.Seals++
	} else {
		l.stats.Batches++
	}
}

// fail makes err the log's last word, unless it has one.
func (l *Log) fail(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = fmt.Errorf("wal: failed after zxid %s: %w", l.last, err)
	}
	return l.err
}

// Err returns the failure after which the log takes nothing more, or ErrClosed; else nil.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Last returns the last zxid of the log, the one it begins after where it has none.
func (l *Log) Last() wire.Zxid {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// Base returns the zxid after which the log begins: Replay can start there or later.
func (l *Log) Base() wire.Zxid {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.base()
}

func (l *Log) base() wire.Zxid {
	if len(l.links) == 0 {
		return l.last
	}
	return l.links[0].prev
}

// Committed returns the highest zxid that the log knows to be committed: the highest that it has
// recorded, and what Options.After covers. What is behind it, up to Last, is a tail of which the
// log alone cannot say whether it is committed. A TruncateTo or Restart below takes it back.
func (l *Log) Committed() wire.Zxid {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.committed
}

// Checkpoint returns the latest tree digest in the log, for a check of what Replay built.
func (l *Log) Checkpoint() Checkpoint {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.checkpoint
}

// Recovery returns what Open found.
func (l *Log) Recovery() Recovery { return l.recovery }

// Stats returns counters and gauges. It may wait for a segment that is being made.
func (l *Log) Stats() Stats {
	l.rollMu.Lock()
	defer l.rollMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Segments = len(l.links)
	for i := range l.links {
		s.LogBytes += l.links[i].end - l.links[i].start
	}
	if l.prepared != nil {
		s.Prepared = true
		s.Room += l.prepared.size - l.prepared.dataStart()
	}
	return s
}

// Close seals the log and gives up the directory. A second Close does nothing. What Prepare has
// begun is dropped.
func (l *Log) Close() error {
	err := l.Seal()
	if errors.Is(err, ErrClosed) {
		return nil
	}
	l.prepMu.Lock()
	defer l.prepMu.Unlock()
	l.rollMu.Lock()
	defer l.rollMu.Unlock()
	if err == nil {
		err = l.settle()
	}
	l.mu.Lock()
	if l.err == nil {
		l.err = ErrClosed
	}
	l.mu.Unlock()
	l.abandon()
	return err
}

// abandon closes the files and gives up the lock, whatever state the log is in.
func (l *Log) abandon() {
	for _, s := range slices.Concat([]*segment{l.cur, l.prepared, l.zeroing}, l.retired) {
		if s != nil {
			s.file.Close()
		}
	}
	l.cur, l.prepared, l.zeroing, l.retired = nil, nil, nil, nil
	if l.lock != nil {
		l.lock.Close()
		l.lock = nil
	}
}

// drawID returns a number that no other log has.
func drawID() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:]) | 1
}
