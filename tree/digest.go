package tree

import (
	"encoding/binary"
	"hash/crc32"

	"paddock/wire"
)

// The digest is of version 2: CRC32 of path, data and stat, added up over all nodes. Source:
// DigestCalculator, ZooKeeper 3.6 and later.

const (
	// A digest is kept of every zxid divisible by digestEvery, the last digestKept of them, for
	// comparison between servers.
	digestEvery = 128
	digestKept  = 1024
)

// A DigestAt is the digest of the tree after a zxid.
type DigestAt struct {
	Zxid   wire.Zxid
	Digest uint64
}

// Digested reports whether a node at path counts in the digest: what lies below /zookeeper does
// not, because servers may differ there.
func Digested(path []byte) bool { return !hasPrefix(path, zookeeperSlash) }

// PathDataCRC is the first part of a node's digest. A null value counts as an empty one, and the
// root's path as empty.
func PathDataCRC(path, data []byte) uint32 {
	if isRoot(path) {
		path = nil
	}
	return crc32.Update(crc32.ChecksumIEEE(path), crc32.IEEETable, data)
}

// StatCRC completes a node's digest from its PathDataCRC and its stat, with *persisted* cversion
// and raw owner. The sequencer computes digests ahead of apply with it.
func StatCRC(pathData uint32, s *wire.Stat) uint32 {
	var b [60]byte
	binary.BigEndian.PutUint64(b[0:], uint64(s.Czxid))
	binary.BigEndian.PutUint64(b[8:], uint64(s.Mzxid))
	binary.BigEndian.PutUint64(b[16:], uint64(s.Pzxid))
	binary.BigEndian.PutUint64(b[24:], uint64(s.Ctime))
	binary.BigEndian.PutUint64(b[32:], uint64(s.Mtime))
	binary.BigEndian.PutUint32(b[40:], uint32(s.Version))
	binary.BigEndian.PutUint32(b[44:], uint32(s.Cversion))
	binary.BigEndian.PutUint32(b[48:], uint32(s.Aversion))
	binary.BigEndian.PutUint64(b[52:], uint64(s.EphemeralOwner))
	return crc60(pathData, &b)
}

// crcTables are for the IEEE polynomial, eight bytes at a time. hash/crc32 is as fast, but its
// argument escapes to the heap, and a stat is summed at each change.
var crcTables = makeCRCTables()

func makeCRCTables() (t [8][256]uint32) {
	t[0] = *crc32.IEEETable
	for i := range t[0] {
		crc := t[0][i]
		for j := 1; j < 8; j++ {
			crc = t[0][crc&0xff] ^ crc>>8
			t[j][i] = crc
		}
	}
	return t
}

func crc60(crc uint32, b *[60]byte) uint32 {
	crc = ^crc
	for p := b[:]; len(p) >= 8; p = p[8:] {
		crc ^= binary.LittleEndian.Uint32(p)
		crc = crcTables[0][p[7]] ^ crcTables[1][p[6]] ^ crcTables[2][p[5]] ^ crcTables[3][p[4]] ^
			crcTables[4][crc>>24] ^ crcTables[5][crc>>16&0xff] ^ crcTables[6][crc>>8&0xff] ^ crcTables[7][crc&0xff]
	}
	crc ^= binary.LittleEndian.Uint32(b[56:])
	crc = crcTables[0][crc>>24] ^ crcTables[1][crc>>16&0xff] ^ crcTables[2][crc>>8&0xff] ^ crcTables[3][crc&0xff]
	return ^crc
}

// enter takes a node whose fields are set into the digest of sum.
func (t *Tree) enter(path []byte, n *node, data []byte, sum *totals) {
	n.pathData, n.crc = 0, 0
	if t.opts.NoDigest || !Digested(path) {
		n.nameInfo |= 1
		return
	}
	n.pathData = PathDataCRC(path, data)
	n.crc = n.statCRC()
	sum.digest += uint64(n.crc)
}

// restat brings the digest up to date after n's stat has changed. Path and data are not read again.
func (t *Tree) restat(n *node) {
	if n.digested() {
		crc := n.statCRC()
		t.sum.digest += uint64(crc) - uint64(n.crc)
		n.crc = crc
	}
}

// leave takes a node out of the digest.
func (t *Tree) leave(n *node) { t.sum.digest -= uint64(n.crc) }

func (n *node) statCRC() uint32 {
	var s wire.Stat
	n.persisted(&s)
	return StatCRC(n.pathData, &s)
}
