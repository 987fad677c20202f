package server

import (
	"encoding/binary"

	"paddock/wire"
)

// multiTxn sequences a multi: its operations are checked in order, each seeing what the ones before it
// did; the first that fails undoes all. The transaction of a failed multi keeps the operations before
// the culprit, as ZooKeeper's does; whoever applies it sees the error and changes nothing.
func (s *sequencer) multiTxn(e *entry, body, dst []byte) []byte {
	ops, err := wire.NewMultiIter(body, wire.MultiWrite)
	if err == wire.ErrNullACL { // nor does it cost Java a zxid
		return s.undecodable(e, dst)
	}
	zxid := s.take(e)
	if err != nil || nullPathIn(ops) { // wherever the null path is, Java fails the request, not the operation
		return s.errorTxn(e, dst, wire.MarshallingError)
	}
	if code := s.admitted(e); code != wire.OK {
		return s.errorTxn(e, dst, code)
	}
	start := dst
	dst = s.header(e, wire.OpMulti, dst)
	mark, digest := s.over.mark(), s.digest
	countAt, n := len(dst), 0
	dst = wire.AppendInt(dst, 0)
	failed := wire.OK
	for ops.Next() {
		n++
		if failed != wire.OK {
			dst = appendSubError(dst, wire.RuntimeInconsistency)
			continue
		}
		dst, failed = s.subTxn(&ops, e, zxid, dst)
		if failed == wire.MarshallingError { // the null id of an ACL, say: Java fails the request
			s.over.rollback(mark)
			s.digest = digest
			return s.errorTxn(e, start, failed)
		}
		if failed != wire.OK {
			s.over.rollback(mark)
			s.digest = digest
			dst = appendSubError(dst, failed)
		}
	}
	binary.BigEndian.PutUint32(dst[countAt:], uint32(n))
	return dst
}

// decodable says whether a request costs a zxid: one that does not must not be forwarded, for its learner
// would hear nothing of it.
func decodable(op wire.Op, body []byte) bool {
	switch op {
	case wire.OpCreateSession, wire.OpCloseSession:
		return true
	case wire.OpMulti:
		_, err := wire.NewMultiIter(body, wire.MultiWrite)
		return err != wire.ErrNullACL // multiTxn answers every other fault with a transaction
	}
	var q subRequest
	r := wire.NewReader(body)
	return q.decode(op, &r) == nil
}

// subTxn appends one operation as (type, length, body); on failure dst comes back as it was.
func (s *sequencer) subTxn(ops *wire.MultiIter, e *entry, zxid wire.Zxid, dst []byte) ([]byte, wire.Code) {
	var q subRequest
	r := ops.Body()
	if q.decode(ops.Op(), &r) != nil {
		return dst, wire.MarshallingError
	}
	at := len(dst)
	typ, out, code := s.prepare(&q, e, zxid, append(dst, 0, 0, 0, 0, 0, 0, 0, 0))
	if code != wire.OK {
		return out[:at], code
	}
	binary.BigEndian.PutUint32(out[at:], uint32(typ))
	binary.BigEndian.PutUint32(out[at+4:], uint32(len(out)-at-8))
	return out, wire.OK
}

func appendSubError(dst []byte, code wire.Code) []byte {
	dst = wire.AppendInt(dst, int32(wire.OpError))
	dst = wire.AppendInt(dst, 4)
	return wire.AppendInt(dst, int32(code))
}
