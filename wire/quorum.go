package wire

import (
	"encoding/binary"
	"errors"
	"strconv"
)

// What a leader and its learners say to each other on the quorum port: packets, written back to
// back without a frame around them, and the records that packets carry. Source: zookeeper.jute
// (QuorumPacket, LearnerInfo), Leader, Learner, LearnerHandler; ZooKeeper 3.6 to 3.10.

// PacketType says what a packet is.
type PacketType int32

// The types of packets. L is the leader, or who a learner is connected to in its place; f the
// learner. Beside each are its zxid and its data.
const (
	PacketRequest           PacketType = 1  // f→L: -1, ForwardedRequest; authinfo is the client's
	PacketProposal          PacketType = 2  // L→f: the txn's, the txn (SplitTxn)
	PacketAck               PacketType = 3  // f→L: what is durable, null
	PacketCommit            PacketType = 4  // L→f: the txn's, null
	PacketPing              PacketType = 5  // L→f: last proposed, null; f→L: echoed, TouchVec
	PacketRevalidate        PacketType = 6  // -1, RevalidateRequest; back: echoed, RevalidateReply
	PacketSync              PacketType = 7  // L→f: 0, null
	PacketInform            PacketType = 8  // L→observer: the txn's, the txn
	PacketCommitAndActivate PacketType = 9  // L→f: the txn's, CommitAndActivate
	PacketNewLeader         PacketType = 10 // L→f: newEpoch<<32, text of the config
	PacketFollowerInfo      PacketType = 11 // f→L: acceptedEpoch<<32, LearnerInfo
	PacketUpToDate          PacketType = 12 // L→f: -1, null
	PacketDiff              PacketType = 13 // L→f: informative, null
	PacketTrunc             PacketType = 14 // L→f: where the learner's log is to end, null
	PacketSnap              PacketType = 15 // L→f: of the stream that follows it, null
	PacketObserverInfo      PacketType = 16 // observer→L: acceptedEpoch<<32, LearnerInfo
	PacketLeaderInfo        PacketType = 17 // L→f: newEpoch<<32, LeaderInfo
	PacketAckEpoch          PacketType = 18 // f→L: its last zxid, AckEpoch
	PacketInformAndActivate PacketType = 19 // L→observer: the txn's, InformAndActivate
)

// packetNames are the names in ZooKeeper's documents and logs.
var packetNames = [...]string{
	PacketRequest: "REQUEST", PacketProposal: "PROPOSAL", PacketAck: "ACK", PacketCommit: "COMMIT",
	PacketPing: "PING", PacketRevalidate: "REVALIDATE", PacketSync: "SYNC", PacketInform: "INFORM",
	PacketCommitAndActivate: "COMMITANDACTIVATE", PacketNewLeader: "NEWLEADER",
	PacketFollowerInfo: "FOLLOWERINFO", PacketUpToDate: "UPTODATE", PacketDiff: "DIFF",
	PacketTrunc: "TRUNC", PacketSnap: "SNAP", PacketObserverInfo: "OBSERVERINFO",
	PacketLeaderInfo: "LEADERINFO", PacketAckEpoch: "ACKEPOCH",
	PacketInformAndActivate: "INFORMANDACTIVATE",
}

func (t PacketType) String() string {
	if t > 0 && int(t) < len(packetNames) {
		return packetNames[t]
	}
	return "packet " + strconv.Itoa(int(t))
}

// Packet is one packet of the quorum port. A type that there is not is no error here: a Java server
// warns of it and goes on.
type Packet struct {
	Type     PacketType
	Zxid     Zxid
	Data     []byte  // nil is null, and some receivers fail over null where they want empty
	AuthInfo AuthVec // nil is null
}

// Append appends p.
func (p *Packet) Append(dst []byte) []byte {
	dst = AppendInt(dst, int32(p.Type))
	dst = AppendLong(dst, int64(p.Zxid))
	dst = AppendBuffer(dst, p.Data)
	return appendVec(dst, p.AuthInfo)
}

// Decode reads p from r. Its fields alias r's bytes; what is null is nil.
func (p *Packet) Decode(r *Reader) error {
	p.Type, p.Zxid, p.Data, p.AuthInfo = PacketType(r.Int()), r.Zxid(), r.Buffer(), r.AuthInfo()
	if p.AuthInfo.Null() {
		p.AuthInfo = nil // nearly all packets: one that was read equals one that was made
	}
	return r.Err()
}

// ErrPacketLength: a packet claims a length that no server sends, or more than its receiver takes.
var ErrPacketLength = errors.New("wire: unreasonable length in a packet")

// NextPacket takes the packet that b begins with apart; n is its length. n is 0 where b has not all
// of it yet. Data has at most maxData bytes, and authinfo too; a packet that says otherwise is
// refused with ErrPacketLength as soon as it says so, before it arrives. The packet aliases b.
func NextPacket(b []byte, maxData int) (p Packet, n int, err error) {
	s := PacketScanner{MaxData: maxData}
	return s.Next(b)
}

// PacketScanner is NextPacket for bytes that arrive in pieces. It remembers how much of a packet it
// has walked, so that each element of authinfo is looked at a constant number of times, however
// small the pieces are. It is for one stream, and has one owner.
type PacketScanner struct {
	MaxData int // bytes

	walked  int // bytes of the packet that are behind us; 0 in front of the count of authinfo
	strings int // of authinfo, that are still to come
	room    int // bytes that they may take
}

const (
	packetDataAt  = 4 + 8 // where the length of a packet's data is
	authIDMinimum = 4 + 4
)

// Next is NextPacket. While it returns n == 0, the next call's b begins with the same bytes.
func (s *PacketScanner) Next(b []byte) (p Packet, n int, err error) {
	whole, err := s.walk(b)
	if err != nil || !whole {
		return Packet{}, 0, err
	}
	n, s.walked = s.walked, 0
	r := NewReader(b[:n])
	err = p.Decode(&r)
	return p, n, err
}

// walk goes on to the end of the packet, and reports whether it got there.
func (s *PacketScanner) walk(b []byte) (whole bool, err error) {
	if s.walked == 0 {
		if err := s.walkData(b); err != nil || s.walked == 0 {
			return false, err
		}
	}
	for ; s.strings > 0; s.strings-- {
		n, err := nextLength(b[s.walked:], s.room-4)
		if err != nil {
			return false, err
		}
		if n < 0 || len(b) < s.walked+n {
			return false, nil
		}
		s.walked += n
		s.room -= n
	}
	return true, nil
}

// walkData goes over everything in front of the elements of authinfo, when that is there.
func (s *PacketScanner) walkData(b []byte) error {
	if len(b) < packetDataAt {
		return nil
	}
	n, err := nextLength(b[packetDataAt:], s.MaxData)
	if err != nil {
		return err
	}
	end := packetDataAt + n
	if n < 0 || len(b) < end+4 {
		return nil
	}
	count := max(0, int(int32(binary.BigEndian.Uint32(b[end:])))) // negative: none, as for Java
	if count > s.MaxData/authIDMinimum {
		return ErrPacketLength
	}
	s.walked, s.strings, s.room = end+4, 2*count, s.MaxData
	return nil
}

// nextLength returns how many bytes the string or buffer that b begins with takes, -1 where its
// length is not there yet.
func nextLength(b []byte, most int) (int, error) {
	if len(b) < 4 {
		return -1, nil
	}
	n := int(int32(binary.BigEndian.Uint32(b)))
	if n < -1 || max(n, 0) > most {
		return 0, ErrPacketLength
	}
	return 4 + max(n, 0), nil
}

// AuthID is one identity of a client, as a learner forwards it with the client's request.
type AuthID struct{ Scheme, ID []byte }

// AuthVec is a list of identities as it is on the wire. Reader.AuthInfo has checked it.
type AuthVec []byte

// AuthInfo returns the next vector of identities: the same bytes as the answer of whoAmI, under
// other names.
func (r *Reader) AuthInfo() AuthVec { return AuthVec(r.ClientInfos()) }

// BuildAuth encodes a list. It allocates: for connections that begin, and tests.
func BuildAuth(ids ...AuthID) AuthVec {
	b := AppendInt(nil, int32(len(ids)))
	for _, id := range ids {
		b = AppendAuthID(b, id)
	}
	return b
}

// AppendAuthID appends one identity, without a count.
func AppendAuthID(dst []byte, id AuthID) []byte {
	return AppendString(AppendString(dst, id.Scheme), id.ID)
}

// Null reports whether the list is null; one of no identities is not. A forwarded request that is
// neither createSession nor closeSession needs one that is not null.
func (v AuthVec) Null() bool { return vecNull(v) }

// Len returns the number of identities.
func (v AuthVec) Len() int { return vecLen(v) }

// Iter walks the identities.
func (v AuthVec) Iter() AuthIter { return AuthIter{ClientInfoVec(v).Iter()} }

// AuthIter walks an AuthVec: for it := v.Iter(); it.Next(); { it.AuthID() }.
type AuthIter struct{ it ClientInfoIter }

// Next goes to the next identity, if there is one.
func (it *AuthIter) Next() bool { return it.it.Next() }

// AuthID returns the identity. Its bytes alias the vector.
func (it *AuthIter) AuthID() AuthID {
	c := it.it.ClientInfo()
	return AuthID{Scheme: c.AuthScheme, ID: c.User}
}

// ProtocolVersion is ZAB 1.0. A learner that names a smaller one wants a handshake without
// LEADERINFO and ACKEPOCH.
const ProtocolVersion int32 = 0x10000

// LearnerInfo is the data of FOLLOWERINFO and OBSERVERINFO. Older learners end it early; null data
// is no LearnerInfo at all, and the leader gives such a learner a negative id.
type LearnerInfo struct {
	ServerID        int64
	ProtocolVersion int32
	ConfigVersion   Zxid
	Fields          int // how many of the three above were there; Append writes all
}

// Append appends q.
func (q *LearnerInfo) Append(dst []byte) []byte {
	dst = AppendLong(dst, q.ServerID)
	dst = AppendInt(dst, q.ProtocolVersion)
	return AppendLong(dst, int64(q.ConfigVersion))
}

// Decode reads q from r. A field that is cut short is not there.
func (q *LearnerInfo) Decode(r *Reader) error {
	*q = LearnerInfo{}
	if q.ServerID = r.Long(); r.Err() != nil {
		return r.Err()
	}
	q.Fields = 1
	if r.Len() >= 4 {
		q.ProtocolVersion, q.Fields = r.Int(), 2
	}
	if r.Len() >= 8 {
		q.ConfigVersion, q.Fields = r.Zxid(), 3
	}
	return nil
}

// ForwardedRequest is the data of REQUEST: what a client asked of a learner and only a leader can
// do.
type ForwardedRequest struct {
	SessionID int64
	Cxid      int32
	Op        Op
	Body      []byte // the client's record, to the end of the packet
}

// Append appends q.
func (q *ForwardedRequest) Append(dst []byte) []byte {
	dst = AppendLong(dst, q.SessionID)
	dst = AppendInt(dst, q.Cxid)
	dst = AppendInt(dst, int32(q.Op))
	return append(dst, q.Body...)
}

// Decode reads q from r, all of it.
func (q *ForwardedRequest) Decode(r *Reader) error {
	q.SessionID, q.Cxid, q.Op = r.Long(), r.Int(), r.Op()
	q.Body = r.take(r.Len())
	return r.Err()
}

// LeaderInfo is the data of LEADERINFO.
type LeaderInfo struct{ ProtocolVersion int32 }

// Append appends q.
func (q *LeaderInfo) Append(dst []byte) []byte { return AppendInt(dst, q.ProtocolVersion) }

// Decode reads q from r.
func (q *LeaderInfo) Decode(r *Reader) error {
	q.ProtocolVersion = r.Int()
	return r.Err()
}

// AckEpoch is the data of ACKEPOCH.
type AckEpoch struct {
	Epoch int32 // the learner's currentEpoch; -1: it had accepted this epoch before
}

// Append appends q.
func (q *AckEpoch) Append(dst []byte) []byte { return AppendInt(dst, q.Epoch) }

// Decode reads q from r.
func (q *AckEpoch) Decode(r *Reader) error {
	q.Epoch = r.Int()
	return r.Err()
}

// RevalidateRequest is the data of REVALIDATE to the leader: a client has come back to a learner
// with this session.
type RevalidateRequest struct {
	SessionID int64
	TimeOut   int32 // ms
}

// Append appends q.
func (q *RevalidateRequest) Append(dst []byte) []byte {
	return AppendInt(AppendLong(dst, q.SessionID), q.TimeOut)
}

// Decode reads q from r.
func (q *RevalidateRequest) Decode(r *Reader) error {
	q.SessionID, q.TimeOut = r.Long(), r.Int()
	return r.Err()
}

// RevalidateReply is the data of REVALIDATE from the leader.
type RevalidateReply struct {
	SessionID int64
	Valid     bool // the session lives, and is now the asking learner's
}

// Append appends q.
func (q *RevalidateReply) Append(dst []byte) []byte {
	return AppendBool(AppendLong(dst, q.SessionID), q.Valid)
}

// Decode reads q from r.
func (q *RevalidateReply) Decode(r *Reader) error {
	q.SessionID, q.Valid = r.Long(), r.Bool()
	return r.Err()
}

// CommitAndActivate is the data of COMMITANDACTIVATE: a new config is committed, and who is to lead
// it.
type CommitAndActivate struct{ Leader int64 }

// Append appends q.
func (q *CommitAndActivate) Append(dst []byte) []byte { return AppendLong(dst, q.Leader) }

// Decode reads q from r.
func (q *CommitAndActivate) Decode(r *Reader) error {
	q.Leader = r.Long()
	return r.Err()
}

// InformAndActivate is the data of INFORMANDACTIVATE: CommitAndActivate with the transaction, for
// observers.
type InformAndActivate struct {
	Leader int64
	Txn    []byte // to the end of the packet
}

// Append appends q.
func (q *InformAndActivate) Append(dst []byte) []byte {
	return append(AppendLong(dst, q.Leader), q.Txn...)
}

// Decode reads q from r, all of it.
func (q *InformAndActivate) Decode(r *Reader) error {
	q.Leader = r.Long()
	q.Txn = r.take(r.Len())
	return r.Err()
}

// TouchVec is the data of a learner's PING: the sessions that it has heard of since the last one.
// It has no count; it goes to the end of the packet. Where there are none it is empty, not nil: a
// Java leader fails over null.
type TouchVec []byte

const touchBytes = 8 + 4

// Append appends v.
func (v TouchVec) Append(dst []byte) []byte { return append(dst, v...) }

// Decode takes all that r has, and checks it, so that walking it cannot fail.
func (v *TouchVec) Decode(r *Reader) error {
	if r.Len()%touchBytes != 0 {
		r.fail(ErrShort)
	}
	*v = r.take(r.Len())
	return r.Err()
}

// AppendTouch appends one session and its timeout in ms.
func AppendTouch(dst []byte, sessionID int64, timeOut int32) []byte {
	return AppendInt(AppendLong(dst, sessionID), timeOut)
}

// Len returns the number of sessions.
func (v TouchVec) Len() int { return len(v) / touchBytes }

// Iter walks the sessions.
func (v TouchVec) Iter() TouchIter { return TouchIter{rest: v} }

// TouchIter walks a TouchVec: for it := v.Iter(); it.Next(); { it.SessionID(), it.TimeOut() }.
type TouchIter struct {
	rest      []byte
	sessionID int64
	timeOut   int32
}

// Next goes to the next session, if there is one.
func (it *TouchIter) Next() bool {
	if len(it.rest) < touchBytes {
		return false
	}
	it.sessionID = int64(binary.BigEndian.Uint64(it.rest))
	it.timeOut = int32(binary.BigEndian.Uint32(it.rest[8:]))
	it.rest = it.rest[touchBytes:]
	return true
}

// SessionID returns the session.
func (it *TouchIter) SessionID() int64 { return it.sessionID }

// TimeOut returns its timeout in ms.
func (it *TouchIter) TimeOut() int32 { return it.timeOut }

// SplitTxn takes a transaction apart, as a proposal, INFORM and the log have it: TxnHeader, body,
// and where the leader has computed it a TxnDigest. It checks the whole form, for only
// reading the body tells where it ends. Behind it is a digest, if there are bytes enough for one;
// what is behind that, or less, is nobody's yet and is left out. body aliases b.
//
// closeSession of servers before 3.6 has no body: then it is empty, with or without a digest.
func SplitTxn(b []byte) (h TxnHeader, body []byte, digest TxnDigest, hasDigest bool, err error) {
	r := NewReader(b)
	if err = h.Decode(&r); err != nil {
		return TxnHeader{}, nil, TxnDigest{}, false, err
	}
	rest := r.Rest()
	if err = skipTxnBody(&r, h.Type); err != nil {
		return TxnHeader{}, nil, TxnDigest{}, false, err
	}
	n := len(rest) - r.Len()
	if hasDigest = r.Len() >= TxnDigestBytes; hasDigest {
		err = digest.Decode(&r)
	}
	return h, rest[:n:n], digest, hasDigest, err
}

// skipTxnBody reads to the end of the body of a transaction.
func skipTxnBody(r *Reader, typ Op) error {
	switch typ {
	case OpMulti:
		return verifyMulti(r)
	case OpCreateSession:
		var t CreateSessionTxn
		return t.Decode(r)
	case OpCloseSession:
		var t CloseSessionTxn
		return t.Decode(r)
	case OpSetACL:
		var t SetACLTxn
		return t.Decode(r)
	case OpReconfig:
		return verifyChange(r, OpSetData)
	case OpCheck:
		return ErrTxnType // in a multi only
	}
	return verifyChange(r, typ)
}

// AppendDigest appends the digest that ends a transaction.
func AppendDigest(dst []byte, d TxnDigest) []byte { return d.Append(dst) }
