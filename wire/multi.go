package wire

// MultiKind is which of the two op codes a multi came with; each allows its own operations.
type MultiKind uint8

// The kinds of multi.
const (
	MultiWrite MultiKind = iota // op 14: create…, delete, setData, check
	MultiRead                   // op 22: getData, getChildren
)

// MultiHeaderBytes is the length of what stands before each operation and each result.
const MultiHeaderBytes = 9

// MultiIter walks the operations of a multi: NewMultiIter has checked all of them, so that walking it
// cannot fail. It allocates nothing, and is a value: copying it copies the place it is at.
type MultiIter struct {
	r    Reader
	op   Op
	body []byte
}

// NewMultiIter checks the body of a multi request. An operation that is not allowed, a record cut short
// or a create with flags that cannot be makes the whole undecodable: nothing of it is executed.
// Source: MultiOperationRecord, CreateMode.
func NewMultiIter(body []byte, kind MultiKind) (MultiIter, error) {
	r := NewReader(body)
	for {
		op, done := r.Op(), r.Bool()
		r.Int()
		if r.Err() != nil {
			return MultiIter{}, r.Err()
		}
		if done {
			return MultiIter{r: NewReader(body)}, nil
		}
		if !skipOperation(&r, op, kind) {
			if r.Err() != nil {
				return MultiIter{}, r.Err()
			}
			return MultiIter{}, ErrOperation
		}
	}
}

// skipOperation takes the record of one operation, and says whether it may stand in such a multi.
func skipOperation(r *Reader, op Op, kind MultiKind) bool {
	if kind == MultiRead {
		if op != OpGetData && op != OpGetChildren {
			return false
		}
		r.Buffer()
		r.Bool()
		return r.Err() == nil
	}
	switch op {
	case OpCreate, OpCreate2, OpCreateContainer, OpCreateTTL:
		r.Buffer()
		r.Buffer()
		r.ACLs()
		flags := r.Int()
		if op == OpCreateTTL {
			r.Long()
		}
		if op != OpCreateTTL && (flags < 0 || flags > 4) { // a createTTL fails alone
			return false
		}
	case OpDelete, OpCheck:
		r.Buffer()
		r.Int()
	case OpSetData:
		r.Buffer()
		r.Buffer()
		r.Int()
	default:
		return false
	}
	return r.Err() == nil
}

// Next goes to the next operation, if there is one.
func (m *MultiIter) Next() bool {
	op, done := m.r.Op(), m.r.Bool()
	m.r.Int()
	if m.r.Err() != nil || done {
		return false
	}
	before := m.r.Rest()
	kind := MultiWrite
	if op == OpGetData || op == OpGetChildren {
		kind = MultiRead
	}
	if !skipOperation(&m.r, op, kind) {
		return false
	}
	m.op, m.body = normalise(op, before[:len(before)-m.r.Len()])
	return true
}

// normalise reads an operation as Java's decoder does: a create with the container flag is a
// createContainer, and a createTTL without a TTL flag is a create.
func normalise(op Op, body []byte) (Op, []byte) {
	switch op {
	case OpCreate:
		if flagsOf(body, 0) == 4 {
			return OpCreateContainer, body
		}
	case OpCreateTTL:
		switch flags := flagsOf(body, 8); {
		case flags == 4:
			return OpCreateContainer, body[:len(body)-8]
		case flags >= 0 && flags < 4:
			return OpCreate, body[:len(body)-8]
		}
	}
	return op, body
}

// flagsOf reads the flags of a create, which stand before the last behind bytes.
func flagsOf(body []byte, behind int) int32 {
	r := NewReader(body[len(body)-behind-4:])
	return r.Int()
}

// Op returns the operation's code.
func (m *MultiIter) Op() Op { return m.op }

// Body returns a reader of the operation's own record.
func (m *MultiIter) Body() Reader { return NewReader(m.body) }

// AppendMultiHeader appends what stands before an operation or a result.
func AppendMultiHeader(dst []byte, op Op, done bool, err Code) []byte {
	dst = AppendInt(dst, int32(op))
	dst = AppendBool(dst, done)
	return AppendInt(dst, int32(err))
}

// AppendMultiError appends the result of an operation that failed, or that was undone.
func AppendMultiError(dst []byte, err Code) []byte {
	return AppendInt(AppendMultiHeader(dst, OpError, false, err), int32(err))
}

// AppendMultiEnd appends what ends a multi and its results.
func AppendMultiEnd(dst []byte) []byte { return AppendMultiHeader(dst, -1, true, -1) }
