package wire

import (
	"encoding/binary"
	"errors"
)

// MultiTxn walks the body of a multi: for t.Decode(r); t.Next(); { t.Op(), t.Body() }. Parts that
// were checked before the one that failed keep their type and body; that one and all behind it are
// errors. Whoever finds an error among them changes nothing.
//
// It is a value: copying it copies the place it is at.
type MultiTxn struct {
	r    Reader // of the parts; Decode has checked it
	left int
	op   Op
	body []byte
}

const txnPartMinBytes = 4 + 4

// Decode takes the vector of parts from r and starts the walk, which cannot fail then. The bodies
// are not looked into. They alias r's bytes.
func (t *MultiTxn) Decode(r *Reader) error {
	*t = MultiTxn{}
	n := r.count(txnPartMinBytes)
	parts := *r
	for range n {
		r.Int()
		r.Buffer()
	}
	if r.Err() == nil {
		t.r, t.left = parts, n
	}
	return r.Err()
}

// Next goes to the next part, if there is one.
func (t *MultiTxn) Next() bool {
	if t.left == 0 {
		return false
	}
	t.left--
	t.op, t.body = t.r.Op(), t.r.Buffer()
	return true
}

// Len returns the number of parts that Next has not come to.
func (t *MultiTxn) Len() int { return t.left }

// Op returns the part's type; OpError for one that failed.
func (t *MultiTxn) Op() Op { return t.op }

// Body returns the part's body.
func (t *MultiTxn) Body() []byte { return t.body }

// BeginMultiTxn leaves room for the number of parts; EndMultiTxn fills it in.
func BeginMultiTxn(dst []byte) (out []byte, mark int) { return append(dst, 0, 0, 0, 0), len(dst) }

// EndMultiTxn writes that the multi that BeginMultiTxn opened at mark has n parts.
func EndMultiTxn(dst []byte, mark, n int) []byte {
	binary.BigEndian.PutUint32(dst[mark:], uint32(n))
	return dst
}

// BeginTxnPart begins a part of a multi: its body is appended next, and EndTxnPart fills in its
// length.
func BeginTxnPart(dst []byte, op Op) (out []byte, mark int) {
	return BeginFrame(AppendInt(dst, int32(op)))
}

// EndTxnPart ends the part that BeginTxnPart opened at mark.
func EndTxnPart(dst []byte, mark int) []byte { return EndFrame(dst, mark) }

// ErrTxnType: a transaction, or a part of a multi, has a type that there is not.
var ErrTxnType = errors.New("wire: unknown type of transaction")

// VerifyTxn checks the form of a whole transaction, as it came from another server or from a file:
// that applying it will find nothing cut short and no type that it does not know. It does not know
// the state, so it cannot say more than that.
func VerifyTxn(txn []byte) error {
	_, _, _, _, err := SplitTxn(txn)
	return err
}

func verifyMulti(r *Reader) error {
	var t MultiTxn
	if err := t.Decode(r); err != nil {
		return err
	}
	for t.Next() {
		part := NewReader(t.Body())
		if err := verifyChange(&part, t.Op()); err != nil {
			return err
		}
	}
	return nil
}

// verifyChange checks the body of what may stand alone or in a multi. Source: DataTree.processTxn.
func verifyChange(r *Reader, op Op) error {
	switch op {
	case OpCreate, OpCreate2:
		var t CreateTxn
		t.Decode(r)
	case OpCreateContainer:
		var t CreateContainerTxn
		t.Decode(r)
	case OpCreateTTL:
		var t CreateTTLTxn
		t.Decode(r)
	case OpDelete, OpDeleteContainer:
		r.Buffer()
	case OpSetData:
		var t SetDataTxn
		t.Decode(r)
	case OpCheck:
		var t CheckTxn
		t.Decode(r)
	case OpError:
		r.Int()
	default:
		return ErrTxnType
	}
	return r.Err()
}
