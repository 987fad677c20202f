package wire

import "encoding/binary"

// Transactions: TxnHeader, body, and where the leader has computed it a TxnDigest. The same bytes
// are in a proposal, in the log and in what learners are sent. Versions in bodies are the new
// values. Source: zookeeper.jute, Util.marshallTxnEntry, SerializeUtils.

// TxnHeader begins every transaction.
type TxnHeader struct {
	ClientID int64 // the session
	Cxid     int32 // its xid
	Zxid     Zxid
	Time     int64 // ms since 1970, the leader's wall clock
	Type     Op
}

// TxnHeaderBytes is the length of a TxnHeader.
const TxnHeaderBytes = 32

// Append appends h.
func (h *TxnHeader) Append(dst []byte) []byte {
	dst = AppendLong(dst, h.ClientID)
	dst = AppendInt(dst, h.Cxid)
	dst = AppendLong(dst, int64(h.Zxid))
	dst = AppendLong(dst, h.Time)
	return AppendInt(dst, int32(h.Type))
}

// Decode reads h from r.
func (h *TxnHeader) Decode(r *Reader) error {
	h.ClientID, h.Cxid, h.Zxid, h.Time, h.Type = r.Long(), r.Int(), r.Zxid(), r.Long(), r.Op()
	return r.Err()
}

// CreateTxn is the body of create and create2.
type CreateTxn struct {
	Path           []byte
	Data           []byte
	ACL            ACLVec
	Ephemeral      bool
	ParentCVersion int32 // the parent's new cversion; -1 (before 3.4): one more than it was
}

// Append appends t.
func (t *CreateTxn) Append(dst []byte) []byte {
	dst = AppendString(dst, t.Path)
	dst = AppendBuffer(dst, t.Data)
	dst = AppendACLs(dst, t.ACL)
	dst = AppendBool(dst, t.Ephemeral)
	return AppendInt(dst, t.ParentCVersion)
}

// Decode reads t from r. A body that ends before ParentCVersion is an old one (CreateTxnV0).
func (t *CreateTxn) Decode(r *Reader) error {
	t.Path, t.Data, t.ACL, t.Ephemeral = r.String(), r.Buffer(), r.ACLs(), r.Bool()
	t.ParentCVersion = -1
	if r.Err() == nil && r.Len() >= 4 {
		t.ParentCVersion = r.Int()
	}
	return r.Err()
}

// CreateContainerTxn is the body of createContainer.
type CreateContainerTxn struct {
	Path           []byte
	Data           []byte
	ACL            ACLVec
	ParentCVersion int32
}

// Append appends t.
func (t *CreateContainerTxn) Append(dst []byte) []byte {
	dst = AppendString(dst, t.Path)
	dst = AppendBuffer(dst, t.Data)
	dst = AppendACLs(dst, t.ACL)
	return AppendInt(dst, t.ParentCVersion)
}

// Decode reads t from r.
func (t *CreateContainerTxn) Decode(r *Reader) error {
	t.Path, t.Data, t.ACL, t.ParentCVersion = r.String(), r.Buffer(), r.ACLs(), r.Int()
	return r.Err()
}

// CreateTTLTxn is the body of createTTL.
type CreateTTLTxn struct {
	Path           []byte
	Data           []byte
	ACL            ACLVec
	ParentCVersion int32
	TTL            int64 // ms
}

// Append appends t.
func (t *CreateTTLTxn) Append(dst []byte) []byte {
	dst = AppendString(dst, t.Path)
	dst = AppendBuffer(dst, t.Data)
	dst = AppendACLs(dst, t.ACL)
	dst = AppendInt(dst, t.ParentCVersion)
	return AppendLong(dst, t.TTL)
}

// Decode reads t from r.
func (t *CreateTTLTxn) Decode(r *Reader) error {
	t.Path, t.Data, t.ACL = r.String(), r.Buffer(), r.ACLs()
	t.ParentCVersion, t.TTL = r.Int(), r.Long()
	return r.Err()
}

// DeleteTxn is the body of delete and deleteContainer.
type DeleteTxn struct{ Path []byte }

// Append appends t.
func (t *DeleteTxn) Append(dst []byte) []byte { return AppendString(dst, t.Path) }

// Decode reads t from r.
func (t *DeleteTxn) Decode(r *Reader) error {
	t.Path = r.String()
	return r.Err()
}

// SetDataTxn is the body of setData and reconfig.
type SetDataTxn struct {
	Path    []byte
	Data    []byte
	Version int32
}

// Append appends t.
func (t *SetDataTxn) Append(dst []byte) []byte {
	dst = AppendString(dst, t.Path)
	dst = AppendBuffer(dst, t.Data)
	return AppendInt(dst, t.Version)
}

// Decode reads t from r.
func (t *SetDataTxn) Decode(r *Reader) error {
	t.Path, t.Data, t.Version = r.String(), r.Buffer(), r.Int()
	return r.Err()
}

// SetACLTxn is the body of setACL.
type SetACLTxn struct {
	Path    []byte
	ACL     ACLVec
	Version int32
}

// Append appends t.
func (t *SetACLTxn) Append(dst []byte) []byte {
	dst = AppendString(dst, t.Path)
	dst = AppendACLs(dst, t.ACL)
	return AppendInt(dst, t.Version)
}

// Decode reads t from r.
func (t *SetACLTxn) Decode(r *Reader) error {
	t.Path, t.ACL, t.Version = r.String(), r.ACLs(), r.Int()
	return r.Err()
}

// CheckTxn is the body of check, inside a multi only.
type CheckTxn struct {
	Path    []byte
	Version int32
}

// Append appends t.
func (t *CheckTxn) Append(dst []byte) []byte {
	return AppendInt(AppendString(dst, t.Path), t.Version)
}

// Decode reads t from r.
func (t *CheckTxn) Decode(r *Reader) error {
	t.Path, t.Version = r.String(), r.Int()
	return r.Err()
}

// CreateSessionTxn is the body of createSession.
type CreateSessionTxn struct{ TimeOut int32 }

// Append appends t.
func (t *CreateSessionTxn) Append(dst []byte) []byte { return AppendInt(dst, t.TimeOut) }

// Decode reads t from r.
func (t *CreateSessionTxn) Decode(r *Reader) error {
	t.TimeOut = r.Int()
	return r.Err()
}

// CloseSessionTxn is the body of closeSession: the ephemerals that go with it. Servers before 3.6,
// and later ones that are told so, write no body; then Paths is nil.
type CloseSessionTxn struct{ Paths StringVec }

// Append appends t. nil is written as no paths, never as no body: where a digest follows, a Java
// follower would take that for the paths, and drop its leader.
func (t *CloseSessionTxn) Append(dst []byte) []byte {
	if t.Paths == nil {
		return AppendInt(dst, 0)
	}
	return AppendStrings(dst, t.Paths)
}

// Decode reads t from r.
func (t *CloseSessionTxn) Decode(r *Reader) error {
	t.Paths = nil
	if r.Len() > 0 && !r.onlyDigest() {
		t.Paths = r.Strings()
	}
	return r.Err()
}

// onlyDigest reports whether nothing but a digest is left. It cannot be taken for a list of paths:
// one of two paths in eight bytes would be a list of nothing but null and empty ones.
func (r *Reader) onlyDigest() bool {
	return len(r.rest) == TxnDigestBytes && int32(binary.BigEndian.Uint32(r.rest)) == DigestVersion
}

// ErrorTxn is the body of a request that failed: it only takes its zxid.
type ErrorTxn struct{ Err Code }

// Append appends t.
func (t *ErrorTxn) Append(dst []byte) []byte { return AppendInt(dst, int32(t.Err)) }

// Decode reads t from r.
func (t *ErrorTxn) Decode(r *Reader) error {
	t.Err = r.Code()
	return r.Err()
}

// TxnDigest is the tree's digest after the transaction: the last that is read of it, if it is
// there. Less than its length is none, and what is behind it is nobody's yet.
type TxnDigest struct {
	Version int32
	Digest  int64
}

const (
	// DigestVersion is the only one there is now.
	DigestVersion = 2
	// TxnDigestBytes is the length of a TxnDigest.
	TxnDigestBytes = 12
)

// Append appends t.
func (t *TxnDigest) Append(dst []byte) []byte {
	return AppendLong(AppendInt(dst, t.Version), t.Digest)
}

// Decode reads t from r.
func (t *TxnDigest) Decode(r *Reader) error {
	t.Version, t.Digest = r.Int(), r.Long()
	return r.Err()
}
