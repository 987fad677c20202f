package wire

// ConnectRequest is the first frame of a connection; no header stands before it.
type ConnectRequest struct {
	ProtocolVersion int32
	LastZxidSeen    Zxid
	TimeOut         int32 // ms
	SessionID       int64 // 0: a new session
	Passwd          []byte
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
	if q.HasReadOnly {
		dst = AppendBool(dst, q.ReadOnly)
	}
	return dst
}

// Decode reads q from r. Passwd aliases r's frame.
func (q *ConnectRequest) Decode(r *Reader) error {
	q.ProtocolVersion, q.LastZxidSeen, q.TimeOut = r.Int(), r.Zxid(), r.Int()
	q.SessionID, q.Passwd = r.Long(), r.Buffer()
	q.HasReadOnly = r.Err() == nil && r.Len() > 0
	q.ReadOnly = q.HasReadOnly && r.Bool()
	return r.Err()
}

// ConnectResponse answers a ConnectRequest; no header stands before it.
type ConnectResponse struct {
	ProtocolVersion int32
	TimeOut         int32 // ms; 0: the session is not valid
	SessionID       int64
	Passwd          []byte // always 16 bytes
	ReadOnly        bool
	HasReadOnly     bool // only where the request had it
}

// Append appends p.
func (p *ConnectResponse) Append(dst []byte) []byte {
	dst = AppendInt(dst, p.ProtocolVersion)
	dst = AppendInt(dst, p.TimeOut)
	dst = AppendLong(dst, p.SessionID)
	dst = AppendBuffer(dst, p.Passwd)
	if p.HasReadOnly {
		dst = AppendBool(dst, p.ReadOnly)
	}
	return dst
}

// Decode reads p from r. Passwd aliases r's frame.
func (p *ConnectResponse) Decode(r *Reader) error {
	p.ProtocolVersion, p.TimeOut, p.SessionID, p.Passwd = r.Int(), r.Int(), r.Long(), r.Buffer()
	p.HasReadOnly = r.Err() == nil && r.Len() > 0
	p.ReadOnly = p.HasReadOnly && r.Bool()
	return r.Err()
}
