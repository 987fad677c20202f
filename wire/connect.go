package wire

// ConnectRequest is the first frame of a connection; no header stands before it.
// Source: zookeeper.jute, ProtocolManager.
type ConnectRequest struct {
	ProtocolVersion int32 // clients send 0; servers ignore it
	LastZxidSeen    Zxid
	TimeOut         int32  // ms
	SessionID       int64  // 0: a new session
	Passwd          []byte // any length, or null, will do for a new session
	ReadOnly        bool
	HasReadOnly     bool // the byte was there; clients before 3.4 and some others leave it out
}

// Append appends q.
func (q *ConnectRequest) Append(dst []byte) []byte {
	dst = AppendInt(dst, q.ProtocolVersion)
	dst = AppendLong(dst, int64(q.LastZxidSeen))
	dst = AppendInt(dst, q.TimeOut)
	dst = AppendLong(dst, q.SessionID)
	dst = AppendBuffer(dst, q.Passwd)
	return appendReadOnly(dst, q.HasReadOnly, q.ReadOnly)
}

// Decode reads q from r. Passwd aliases r's frame.
func (q *ConnectRequest) Decode(r *Reader) error {
	q.ProtocolVersion, q.LastZxidSeen, q.TimeOut = r.Int(), r.Zxid(), r.Int()
	q.SessionID, q.Passwd = r.Long(), r.Buffer()
	q.HasReadOnly, q.ReadOnly = r.readOnly()
	return r.Err()
}

// ConnectResponse answers a ConnectRequest; no header stands before it.
type ConnectResponse struct {
	ProtocolVersion int32  // 0
	TimeOut         int32  // ms; 0: the session is not valid
	SessionID       int64  // 0: the session is not valid
	Passwd          []byte // always 16 bytes: the C client copies so many without looking
	ReadOnly        bool
	HasReadOnly     bool // only where the request had it: one byte too many breaks old clients
}

// Append appends p.
func (p *ConnectResponse) Append(dst []byte) []byte {
	dst = AppendInt(dst, p.ProtocolVersion)
	dst = AppendInt(dst, p.TimeOut)
	dst = AppendLong(dst, p.SessionID)
	dst = AppendBuffer(dst, p.Passwd)
	return appendReadOnly(dst, p.HasReadOnly, p.ReadOnly)
}

// Decode reads p from r. Passwd aliases r's frame.
func (p *ConnectResponse) Decode(r *Reader) error {
	p.ProtocolVersion, p.TimeOut, p.SessionID, p.Passwd = r.Int(), r.Int(), r.Long(), r.Buffer()
	p.HasReadOnly, p.ReadOnly = r.readOnly()
	return r.Err()
}

func appendReadOnly(dst []byte, has, v bool) []byte {
	if !has {
		return dst
	}
	return AppendBool(dst, v)
}

// readOnly reads the byte that 3.4 added at the end. It counts as sent if anything is left.
func (r *Reader) readOnly() (has, v bool) {
	if r.Err() != nil || r.Len() == 0 {
		return false, false
	}
	return true, r.Bool()
}
