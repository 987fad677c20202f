package server

import (
	"encoding/binary"

	"paddock/tree"
	"paddock/wire"
)

// A reply frame: length i32, xid i32, zxid i64, err i32, body.
const replyHeaderBytes = 4 + 4 + 8 + 4

// beginReply appends the header of a reply with everything but its xid left open; endReply fills it.
func beginReply(dst []byte, xid int32) []byte {
	dst = append(dst, 0, 0, 0, 0)
	dst = wire.AppendInt(dst, xid)
	return append(dst, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
}

// endReply patches the header of the reply that starts at mark, and returns the whole.
func endReply(dst []byte, mark int, zxid wire.Zxid, code wire.Code) []byte {
	be := binary.BigEndian
	be.PutUint32(dst[mark:], uint32(len(dst)-mark-4))
	be.PutUint64(dst[mark+8:], uint64(zxid))
	be.PutUint32(dst[mark+16:], uint32(code))
	return dst
}

// appendReply appends a reply without a body.
func appendReply(dst []byte, xid int32, zxid wire.Zxid, code wire.Code) []byte {
	mark := len(dst)
	return endReply(beginReply(dst, xid), mark, zxid, code)
}

// appendNotification appends the frame that tells a client of an event. zxid is the transaction's, or
// -1 for one that setWatches made up.
func appendNotification(dst []byte, typ wire.EventType, path []byte, zxid wire.Zxid) []byte {
	const stateConnected = 3
	mark := len(dst)
	dst = beginReply(dst, -1)
	dst = wire.AppendInt(dst, int32(typ))
	dst = wire.AppendInt(dst, stateConnected)
	dst = wire.AppendString(dst, path)
	return endReply(dst, mark, zxid, wire.OK)
}

// appendWriteBody appends the body of the reply to a write that was applied.
func appendWriteBody(dst []byte, op wire.Op, res *tree.Result) []byte {
	switch op {
	case wire.OpMulti:
		return appendMultiBody(dst, res)
	case wire.OpCreate:
		return wire.AppendString(dst, res.Path)
	case wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		dst = wire.AppendString(dst, res.Path)
		return wire.AppendStat(dst, &res.Stat)
	case wire.OpSetData, wire.OpSetACL:
		return wire.AppendStat(dst, &res.Stat)
	}
	return dst
}

// appendMultiBody appends the results of a multi, of one that failed too (client-protocol.md 4.3).
func appendMultiBody(dst []byte, res *tree.Result) []byte {
	failed := false
	for i := range res.Ops {
		failed = failed || res.Ops[i].Op == wire.OpError
	}
	for i := range res.Ops {
		o := &res.Ops[i]
		if failed {
			dst = wire.AppendMultiError(dst, o.Code)
			continue
		}
		typ := o.Op
		if typ == wire.OpCreateContainer || typ == wire.OpCreateTTL {
			typ = wire.OpCreate2
		}
		dst = wire.AppendMultiHeader(dst, typ, false, wire.OK)
		switch typ {
		case wire.OpCreate:
			dst = wire.AppendString(dst, o.Path)
		case wire.OpCreate2:
			dst = wire.AppendString(dst, o.Path)
			dst = wire.AppendStat(dst, &o.Stat)
		case wire.OpSetData:
			dst = wire.AppendStat(dst, &o.Stat)
		}
	}
	return wire.AppendMultiEnd(dst)
}
