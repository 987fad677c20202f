package wire

// Xids that are not a client's count. A server echoes whatever xid came, but for a ping, which is
// always answered with XidPing. Source: ClientCnxn, FinalRequestProcessor.
const (
	XidNotification int32 = -1 // server to client only
	XidPing         int32 = -2
	XidAuth         int32 = -4
	XidSetWatches   int32 = -8
)

// RequestHeader begins every frame of a client but the first; the op's record follows.
type RequestHeader struct {
	Xid int32
	Op  Op
}

// RequestHeaderBytes is the length of a RequestHeader.
const RequestHeaderBytes = 8

// Append appends h.
func (h *RequestHeader) Append(dst []byte) []byte {
	return AppendInt(AppendInt(dst, h.Xid), int32(h.Op))
}

// Decode reads h from r.
func (h *RequestHeader) Decode(r *Reader) error {
	h.Xid, h.Op = r.Int(), r.Op()
	return r.Err()
}

// ReplyHeader begins every frame of a server but the first. Where Err is not OK, no record follows.
type ReplyHeader struct {
	Xid  int32
	Zxid Zxid
	Err  Code
}

// ReplyHeaderBytes is the length of a ReplyHeader.
const ReplyHeaderBytes = 16

// Append appends h.
func (h *ReplyHeader) Append(dst []byte) []byte {
	dst = AppendLong(AppendInt(dst, h.Xid), int64(h.Zxid))
	return AppendInt(dst, int32(h.Err))
}

// Decode reads h from r.
func (h *ReplyHeader) Decode(r *Reader) error {
	h.Xid, h.Zxid, h.Err = r.Int(), r.Zxid(), r.Code()
	return r.Err()
}
