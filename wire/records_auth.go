package wire

// AuthPacket adds an identity to a connection. The reply is a header: OK, or AuthFailed and the
// end. Source: zookeeper.jute.
type AuthPacket struct {
	Type   int32 // clients send 0; servers ignore it
	Scheme []byte
	Auth   []byte
}

// Append appends q.
func (q *AuthPacket) Append(dst []byte) []byte {
	dst = AppendInt(dst, q.Type)
	dst = AppendString(dst, q.Scheme)
	return AppendBuffer(dst, q.Auth)
}

// Decode reads q from r.
func (q *AuthPacket) Decode(r *Reader) error {
	q.Type, q.Scheme, q.Auth = r.Int(), r.String(), r.Buffer()
	return r.Err()
}

// SASLRecord carries a SASL token, from either side. Null from a server: there is no more to say. A
// failure has this record too, with a null token, although its header has an error.
type SASLRecord struct{ Token []byte }

// Records that are a token.
type (
	GetSASLRequest  = SASLRecord
	SetSASLResponse = SASLRecord
)

// Append appends q.
func (q *SASLRecord) Append(dst []byte) []byte { return AppendBuffer(dst, q.Token) }

// Decode reads q from r.
func (q *SASLRecord) Decode(r *Reader) error {
	q.Token = r.Buffer()
	return r.Err()
}

// WhoAmIResponse lists the identities of a connection.
type WhoAmIResponse struct{ Clients ClientInfoVec }

// Append appends p.
func (p *WhoAmIResponse) Append(dst []byte) []byte { return appendVec(dst, p.Clients) }

// Decode reads p from r.
func (p *WhoAmIResponse) Decode(r *Reader) error {
	p.Clients = r.ClientInfos()
	return r.Err()
}

// ClientInfo is one identity of a connection.
type ClientInfo struct{ AuthScheme, User []byte }

// AppendClientInfo appends one identity, without a count.
func AppendClientInfo(dst []byte, c ClientInfo) []byte {
	return AppendString(AppendString(dst, c.AuthScheme), c.User)
}

const clientInfoMinBytes = 4 + 4

// ClientInfoVec is a list of identities as it is on the wire. Reader.ClientInfos has checked it.
type ClientInfoVec []byte

// ClientInfos returns the next vector of identities. It is checked here, so that walking it cannot
// fail.
func (r *Reader) ClientInfos() ClientInfoVec {
	start := r.rest
	for range r.count(clientInfoMinBytes) {
		r.Buffer()
		r.Buffer()
	}
	return r.since(start)
}

// Null reports whether the list is null; one of no identities is not.
func (v ClientInfoVec) Null() bool { return vecNull(v) }

// Len returns the number of identities.
func (v ClientInfoVec) Len() int { return vecLen(v) }

// Iter walks the identities.
func (v ClientInfoVec) Iter() ClientInfoIter {
	return ClientInfoIter{r: vecElements(v), left: vecLen(v)}
}

// ClientInfoIter walks a ClientInfoVec: for it := v.Iter(); it.Next(); { it.ClientInfo() }.
type ClientInfoIter struct {
	r    Reader
	left int
	info ClientInfo
}

// Next goes to the next identity, if there is one.
func (it *ClientInfoIter) Next() bool {
	if it.left == 0 {
		return false
	}
	it.left--
	it.info = ClientInfo{AuthScheme: it.r.Buffer(), User: it.r.Buffer()}
	return it.r.Err() == nil
}

// ClientInfo returns the identity. Its bytes alias the vector.
func (it *ClientInfoIter) ClientInfo() ClientInfo { return it.info }
