package wire

import "encoding/binary"

// Stat is what clients see of a znode beside its data. Times are ms since 1970.
type Stat struct {
	Czxid, Mzxid   Zxid
	Ctime, Mtime   int64
	Version        int32
	Cversion       int32 // creations plus deletions of children
	Aversion       int32
	EphemeralOwner int64
	DataLength     int32
	NumChildren    int32
	Pzxid          Zxid
}

// StatBytes is the length of a Stat on the wire.
const StatBytes = 68

// AppendStat appends s.
func AppendStat(dst []byte, s *Stat) []byte {
	var b [StatBytes]byte
	be := binary.BigEndian
	be.PutUint64(b[0:], uint64(s.Czxid))
	be.PutUint64(b[8:], uint64(s.Mzxid))
	be.PutUint64(b[16:], uint64(s.Ctime))
	be.PutUint64(b[24:], uint64(s.Mtime))
	be.PutUint32(b[32:], uint32(s.Version))
	be.PutUint32(b[36:], uint32(s.Cversion))
	be.PutUint32(b[40:], uint32(s.Aversion))
	be.PutUint64(b[44:], uint64(s.EphemeralOwner))
	be.PutUint32(b[52:], uint32(s.DataLength))
	be.PutUint32(b[56:], uint32(s.NumChildren))
	be.PutUint64(b[60:], uint64(s.Pzxid))
	return append(dst, b[:]...)
}

// Append appends s.
func (s *Stat) Append(dst []byte) []byte { return AppendStat(dst, s) }

// Decode reads s from r.
func (s *Stat) Decode(r *Reader) {
	b := r.take(StatBytes)
	if b == nil {
		*s = Stat{}
		return
	}
	be := binary.BigEndian
	*s = Stat{
		Czxid: Zxid(be.Uint64(b[0:])), Mzxid: Zxid(be.Uint64(b[8:])),
		Ctime: int64(be.Uint64(b[16:])), Mtime: int64(be.Uint64(b[24:])),
		Version: int32(be.Uint32(b[32:])), Cversion: int32(be.Uint32(b[36:])),
		Aversion:       int32(be.Uint32(b[40:])),
		EphemeralOwner: int64(be.Uint64(b[44:])),
		DataLength:     int32(be.Uint32(b[52:])), NumChildren: int32(be.Uint32(b[56:])),
		Pzxid: Zxid(be.Uint64(b[60:])),
	}
}
