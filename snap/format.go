package snap

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"paddock/wire"
)

// The numbers of docs/format/snapshot.md. All integers in the file are little-endian.
const (
	version = 1

	headerSize      = 64
	blockHeaderSize = 56
	footerSize      = 88

	// maxBlock bounds a block's raw bytes, and with them what a reader allocates for it.
	maxBlock = 2 << 20
	// maxExpanded bounds a block's raw bytes plus the path bytes that its prefixes stand
	// for: what a block can make a reader produce.
	maxExpanded = 4 << 20
	// maxRatio bounds raw over stored bytes. A block that compresses better is padded.
	maxRatio = 1000
	// maxRecord bounds one record, however many blocks it takes.
	maxRecord = 1 << 30
)

var (
	headerMagic = [8]byte{'P', 'D', 'K', '-', 'S', 'N', 'A', 'P'}
	footerMagic = [8]byte{'P', 'D', 'K', '-', 'S', 'E', 'N', 'D'}
	blockMagic  = [4]byte{'P', 'B', 'L', 'K'}
)

// blockType says what a block's records are. Types do not decrease through a file, so that
// a reader knows all sessions and ACLs before the first node.
type blockType uint8

const (
	blockSessions blockType = 1
	blockACLs     blockType = 2
	blockNodes    blockType = 3
)

type codec uint8

const (
	codecStored codec = 0
	codecZstd   codec = 1
)

// flagContinued marks a block whose last record goes on in the next block.
const flagContinued = 1

var (
	errMagic    = errors.New("wrong magic number")
	errCheck    = errors.New("header checksum does not match")
	errReserved = errors.New("reserved bits are set")
)

// header opens a file. Its size and the place of its checksum are those of every version.
type header struct {
	zxid                  wire.Zxid
	timeMS                int64
	sessions, acls, nodes uint64
	check                 uint64 // the first link of the chain of checksums
}

func (h *header) append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, headerMagic[:]...)
	dst = binary.LittleEndian.AppendUint32(dst, version)
	dst = binary.LittleEndian.AppendUint32(dst, 0) // flags
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.zxid))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.timeMS))
	dst = binary.LittleEndian.AppendUint64(dst, h.sessions)
	dst = binary.LittleEndian.AppendUint64(dst, h.acls)
	dst = binary.LittleEndian.AppendUint64(dst, h.nodes)
	return appendCheck(dst, start, &h.check)
}

func (h *header) parse(b []byte) error {
	if [8]byte(b[:8]) != headerMagic {
		return errMagic
	}
	if !checks(b[:headerSize], &h.check) {
		return errCheck
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != version {
		return fmt.Errorf("%w: file has %d, this server knows %d", ErrVersion, v, version)
	}
	if flags := binary.LittleEndian.Uint32(b[12:]); flags != 0 {
		return fmt.Errorf("%w: unknown flags %#x", ErrVersion, flags)
	}
	h.zxid = wire.Zxid(binary.LittleEndian.Uint64(b[16:]))
	h.timeMS = int64(binary.LittleEndian.Uint64(b[24:]))
	h.sessions = binary.LittleEndian.Uint64(b[32:])
	h.acls = binary.LittleEndian.Uint64(b[40:])
	h.nodes = binary.LittleEndian.Uint64(b[48:])
	return nil
}

// blockHeader precedes a block's stored bytes.
type blockHeader struct {
	typ                 blockType
	codec               codec
	continued           bool
	seq                 uint32
	count               uint32 // records that begin in this block
	rawLen, storedLen   uint32
	rawHash, storedHash uint64
	prev                uint64 // the check of the header before this one, in the file's order
	check               uint64
}

func (h *blockHeader) append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, blockMagic[:]...)
	dst = append(dst, byte(h.typ), byte(h.codec), bit(h.continued), 0)
	dst = binary.LittleEndian.AppendUint32(dst, h.seq)
	dst = binary.LittleEndian.AppendUint32(dst, h.count)
	dst = binary.LittleEndian.AppendUint32(dst, h.rawLen)
	dst = binary.LittleEndian.AppendUint32(dst, h.storedLen)
	dst = binary.LittleEndian.AppendUint64(dst, h.rawHash)
	dst = binary.LittleEndian.AppendUint64(dst, h.storedHash)
	dst = binary.LittleEndian.AppendUint64(dst, h.prev)
	return appendCheck(dst, start, &h.check)
}

func (h *blockHeader) parse(b []byte) error {
	if [4]byte(b[:4]) != blockMagic {
		return errMagic
	}
	if !checks(b[:blockHeaderSize], &h.check) {
		return errCheck
	}
	if b[6]&^flagContinued != 0 || b[7] != 0 {
		return errReserved
	}
	h.typ, h.codec, h.continued = blockType(b[4]), codec(b[5]), b[6] == flagContinued
	h.seq = binary.LittleEndian.Uint32(b[8:])
	h.count = binary.LittleEndian.Uint32(b[12:])
	h.rawLen = binary.LittleEndian.Uint32(b[16:])
	h.storedLen = binary.LittleEndian.Uint32(b[20:])
	h.rawHash = binary.LittleEndian.Uint64(b[24:])
	h.storedHash = binary.LittleEndian.Uint64(b[32:])
	h.prev = binary.LittleEndian.Uint64(b[40:])
	return h.plausible()
}

// plausible holds a header to the limits, before anything is allocated for its block.
func (h *blockHeader) plausible() error {
	switch {
	case h.typ < blockSessions || h.typ > blockNodes:
		return fmt.Errorf("unknown block type %d", h.typ)
	case h.codec > codecZstd:
		return fmt.Errorf("unknown codec %d", h.codec)
	case h.rawLen == 0 || h.rawLen > maxBlock:
		return fmt.Errorf("raw length %d, limit %d", h.rawLen, maxBlock)
	case h.count > h.rawLen:
		return fmt.Errorf("%d records in %d bytes", h.count, h.rawLen)
	case h.codec == codecStored && (h.storedLen != h.rawLen || h.storedHash != h.rawHash):
		return fmt.Errorf("stored block of %d bytes says it holds %d others", h.storedLen, h.rawLen)
	case h.codec == codecZstd && h.storedLen >= h.rawLen:
		return fmt.Errorf("%d bytes compressed to %d", h.rawLen, h.storedLen)
	case uint64(h.storedLen)*maxRatio < uint64(h.rawLen):
		return fmt.Errorf("%d bytes inflate to %d, limit %d to 1", h.storedLen, h.rawLen, maxRatio)
	case h.continued && h.codec != codecStored:
		return errors.New("a record of several blocks is compressed")
	}
	return nil
}

// footer closes a file. It is read first: a file without one was never finished.
type footer struct {
	blocks                uint32
	zxid                  wire.Zxid
	digest                uint64
	sessions, acls, nodes uint64
	rawBytes, fileBytes   uint64
	prev                  uint64 // the check of the last block's header: the end of the chain
	check                 uint64
}

func (t *footer) append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, footerMagic[:]...)
	dst = binary.LittleEndian.AppendUint32(dst, t.blocks)
	dst = binary.LittleEndian.AppendUint32(dst, 0) // reserved
	dst = binary.LittleEndian.AppendUint64(dst, uint64(t.zxid))
	dst = binary.LittleEndian.AppendUint64(dst, t.digest)
	dst = binary.LittleEndian.AppendUint64(dst, t.sessions)
	dst = binary.LittleEndian.AppendUint64(dst, t.acls)
	dst = binary.LittleEndian.AppendUint64(dst, t.nodes)
	dst = binary.LittleEndian.AppendUint64(dst, t.rawBytes)
	dst = binary.LittleEndian.AppendUint64(dst, t.fileBytes)
	dst = binary.LittleEndian.AppendUint64(dst, t.prev)
	return appendCheck(dst, start, &t.check)
}

func (t *footer) parse(b []byte) error {
	if [8]byte(b[:8]) != footerMagic {
		return errMagic
	}
	if !checks(b[:footerSize], &t.check) {
		return errCheck
	}
	t.blocks = binary.LittleEndian.Uint32(b[8:])
	if binary.LittleEndian.Uint32(b[12:]) != 0 {
		return errReserved
	}
	t.zxid = wire.Zxid(binary.LittleEndian.Uint64(b[16:]))
	t.digest = binary.LittleEndian.Uint64(b[24:])
	t.sessions = binary.LittleEndian.Uint64(b[32:])
	t.acls = binary.LittleEndian.Uint64(b[40:])
	t.nodes = binary.LittleEndian.Uint64(b[48:])
	t.rawBytes = binary.LittleEndian.Uint64(b[56:])
	t.fileBytes = binary.LittleEndian.Uint64(b[64:])
	t.prev = binary.LittleEndian.Uint64(b[72:])
	return nil
}

// appendCheck appends the checksum of dst[start:] and leaves it in check too.
func appendCheck(dst []byte, start int, check *uint64) []byte {
	*check = xxhash.Sum64(dst[start:])
	return binary.LittleEndian.AppendUint64(dst, *check)
}

// checks reports whether the last eight bytes of b are the checksum of those before them.
func checks(b []byte, check *uint64) bool {
	body := len(b) - 8
	*check = binary.LittleEndian.Uint64(b[body:])
	return xxhash.Sum64(b[:body]) == *check
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}
