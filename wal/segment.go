package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"paddock/vfs"
	"paddock/wire"
)

const (
	segmentMagic   = "PADDKWAL"
	formatVersion  = 1
	segmentSuffix  = ".wal"
	growingName    = "grow.tmp"    // a segment made on the commit path, not yet named
	preparingName  = "prepare.tmp" // a segment being zeroed ahead
	lockName       = "LOCK"
	minSegment     = 4096 // bytes
	indexShare     = 8    // one in so many sectors of a segment is index
	minIndex       = 2    // sectors
	entrySize      = 64   // bytes
	entriesPerSync = 16
)

func segmentName(id uint64) string { return fmt.Sprintf("%016x%s", id, segmentSuffix) }

// parseSegmentName returns the id that name stands for.
func parseSegmentName(name string) (id uint64, ok bool) {
	hex, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(hex) != 16 {
		return 0, false
	}
	id, err := strconv.ParseUint(hex, 16, 64)
	return id, err == nil && id > 0 && name == segmentName(id)
}

// geometry is how a segment is laid out: one sector of header, the index, the batches.
type geometry struct {
	size         int64 // bytes
	indexSectors int64
}

// geometryFor returns the layout of a segment of at least want bytes in which a batch of
// frame bytes and a seal fit.
func geometryFor(want, frame int64) geometry {
	size := max(want, minSegment)
	for {
		g := geometry{size: size, indexSectors: max(minIndex, size/sectorSize/indexShare)}
		if g.dataStart()+frame+sectorSize <= size {
			return g
		}
		size += max(frame, minSegment)
	}
}

func (g geometry) dataStart() int64 { return (1 + g.indexSectors) * sectorSize }

// segment is an open segment that is written to, or about to be. Owned by whoever owns the Log.
type segment struct {
	geometry
	id    uint64
	file  vfs.File
	name  string
	end   int64 // where the next batch goes
	index int64 // sectors of the index that are used
}

// encodeSegmentHeader fills the first sector of a segment.
func encodeSegmentHeader(dst []byte, id, logID uint64, g geometry) {
	be := binary.BigEndian
	clear(dst[:sectorSize])
	copy(dst, segmentMagic)
	be.PutUint32(dst[8:], formatVersion)
	be.PutUint32(dst[12:], uint32(g.indexSectors))
	be.PutUint64(dst[16:], id)
	be.PutUint64(dst[24:], uint64(g.size))
	be.PutUint64(dst[32:], logID)
	be.PutUint64(dst[sectorSize-8:], xxhash.Sum64(dst[:sectorSize-8]))
}

// Why a segment cannot be used. They become the Err of a DamageError.
var (
	errSegmentHeader  = errors.New("the header of the segment does not match its checksum")
	errSegmentID      = errors.New("the segment belongs to another place or another log")
	errSegmentSize    = errors.New("the segment is shorter or longer than recorded")
	errSegmentMissing = errors.New("the segment is missing")
)

// VersionError refuses a file that a later version of paddock wrote.
type VersionError struct {
	File    string
	Version uint32
	Reads   uint32 // what this program reads
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("wal: %s has format version %d; this program reads version %d",
		e.File, e.Version, e.Reads)
}

// decodeSegmentHeader reads the first sector of a segment whose file is size bytes long.
func decodeSegmentHeader(b []byte, name string, size int64) (id, logID uint64, g geometry, err error) {
	be := binary.BigEndian
	if string(b[:8]) != segmentMagic || xxhash.Sum64(b[:sectorSize-8]) != be.Uint64(b[sectorSize-8:]) {
		return 0, 0, g, errSegmentHeader
	}
	if v := be.Uint32(b[8:]); v != formatVersion {
		return 0, 0, g, &VersionError{File: name, Version: v, Reads: formatVersion}
	}
	g = geometry{size: int64(be.Uint64(b[24:])), indexSectors: int64(be.Uint32(b[12:]))}
	if g.size != size || g.dataStart() > size {
		return 0, 0, g, errSegmentSize
	}
	return be.Uint64(b[16:]), be.Uint64(b[32:]), g, nil
}

// entry is the identity of one batch in the index. The entry that closes a segment has in hash
// the id of the segment in which the log goes on.
type entry struct {
	sequence uint64
	offset   int64
	size     int64
	first    wire.Zxid
	last     wire.Zxid
	synced   position
	hash     uint64 // of the batch's header
	closing  bool
}

// encode writes e, of a batch in segment id, into dst.
func (e *entry) encode(dst []byte, id uint64) {
	be := binary.BigEndian
	be.PutUint64(dst[0:], e.sequence)
	be.PutUint32(dst[8:], uint32(e.offset/sectorSize))
	be.PutUint32(dst[12:], uint32(e.size/sectorSize))
	be.PutUint64(dst[16:], uint64(e.first))
	be.PutUint64(dst[24:], uint64(e.last))
	be.PutUint64(dst[32:], e.synced.segment)
	be.PutUint32(dst[40:], uint32(e.synced.offset/sectorSize))
	be.PutUint32(dst[44:], entryMark(e.closing, id))
	be.PutUint64(dst[48:], e.hash)
	be.PutUint64(dst[56:], xxhash.Sum64(dst[:entrySize-8]))
}

// entryMark ties an entry to its segment: the low 31 bits of the id, and whether it closes it.
func entryMark(closing bool, id uint64) uint32 {
	mark := uint32(id) &^ (1 << 31)
	if closing {
		mark |= 1 << 31
	}
	return mark
}

// decodeEntry decodes the entry of a batch in segment id; ok is false where there is none.
func decodeEntry(b []byte, id uint64) (e entry, ok bool) {
	be := binary.BigEndian
	if be.Uint64(b[56:]) != xxhash.Sum64(b[:entrySize-8]) {
		return entry{}, false
	}
	mark := be.Uint32(b[44:])
	e = entry{
		sequence: be.Uint64(b[0:]),
		offset:   int64(be.Uint32(b[8:])) * sectorSize,
		size:     int64(be.Uint32(b[12:])) * sectorSize,
		first:    wire.Zxid(be.Uint64(b[16:])),
		last:     wire.Zxid(be.Uint64(b[24:])),
		synced:   position{be.Uint64(b[32:]), int64(be.Uint32(b[40:])) * sectorSize},
		hash:     be.Uint64(b[48:]),
		closing:  mark>>31 == 1,
	}
	return e, mark == entryMark(e.closing, id)
}

// reader reads a segment through one window, so that a scan of small batches is few reads.
type reader struct {
	id    uint64
	logID uint64
	name  string
	geometry
	file   vfs.File
	window []byte
	at     int64 // of the window in the file
}

const windowBytes = 256 << 10

// openReader opens a segment and checks its first sector. errors that are not *VersionError
// say what is wrong with the segment.
func openReader(fsys vfs.FS, dir string, id uint64) (*reader, error) {
	name := path.Join(dir, segmentName(id))
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	r := &reader{name: name, file: f}
	if err := r.readHeader(id); err != nil {
		f.Close()
		return nil, err
	}
	return r, nil
}

func (r *reader) readHeader(id uint64) error {
	size, err := r.file.Size()
	if err != nil {
		return err
	}
	if r.size = size; size < minSegment {
		return errSegmentSize
	}
	b, err := r.bytes(0, sectorSize)
	if err != nil {
		return err
	}
	r.id, r.logID, r.geometry, err = decodeSegmentHeader(b, r.name, size)
	if err != nil {
		return err
	}
	if r.id != id {
		return errSegmentID
	}
	return nil
}

// bytes returns n bytes at off, which must lie inside of the segment. They are valid until the
// next call.
func (r *reader) bytes(off, n int64) ([]byte, error) {
	if off < r.at || off+n > r.at+int64(len(r.window)) {
		if err := r.fill(off, max(n, windowBytes)); err != nil {
			if err := r.fill(off, n); err != nil { // what cannot be read may lie behind
				return nil, fmt.Errorf("%w: %w", errUnreadable, err)
			}
		}
	}
	return r.window[off-r.at:][:n], nil
}

func (r *reader) fill(off, n int64) error {
	n = min(n, r.size-off)
	if int64(cap(r.window)) < n {
		r.window = make([]byte, n)
	}
	r.window, r.at = r.window[:n], off
	if _, err := r.file.ReadAt(r.window, off); err != nil && err != io.EOF {
		r.window = r.window[:0]
		return err
	}
	return nil
}

// batch verifies the batch at off and returns it. frame is valid until the next read. Where it
// does not verify, torn says that all that disagrees may never have been written.
func (r *reader) batch(off int64) (h header, frame []byte, torn bool, err error) {
	if off+sectorSize > r.size {
		return h, nil, true, errNothing
	}
	b, err := r.bytes(off, sectorSize)
	if err != nil {
		return h, nil, false, err
	}
	if allZero(b) {
		return h, nil, true, errNothing
	}
	if h, err = decodeHeader(b); err != nil {
		return h, nil, false, err
	}
	if !r.placed(&h, off) {
		return h, nil, false, errMisplaced
	}
	if err = h.check(); err != nil {
		return h, nil, false, err
	}
	if h.frameSize() > r.size-off {
		return h, nil, false, errTooLong
	}
	if frame, err = r.bytes(off, h.frameSize()); err != nil {
		return h, nil, false, err
	}
	if err, torn = h.verify(frame); err != nil {
		return h, nil, torn, err
	}
	return h, frame, false, h.checkRecords(frame[headerSize:][:h.payload])
}

// placed says whether a batch that says what h says was written to off: a batch continues where
// it stands, but for the first of a segment, which continues an earlier one or begins the log.
func (r *reader) placed(h *header, off int64) bool {
	if h.segment != r.id || h.logID != r.logID {
		return false
	}
	return h.synced == position{r.id, off} || off == r.dataStart() && h.synced.segment < r.id
}
