package wire

// MultiKind is which of the two op codes a multi came with; each allows its own operations.
type MultiKind uint8

// The kinds of multi.
const (
	MultiWrite MultiKind = iota // op 14: create…, delete, setData, check
	MultiRead                   // op 22: getData, getChildren
)

// MultiHeaderBytes is the length of what stands before each operation and each result: type, done,
// err.
const MultiHeaderBytes = 9

// AppendMultiHeader appends what stands before an operation or a result. Before an operation err is
// -1.
func AppendMultiHeader(dst []byte, op Op, done bool, err Code) []byte {
	dst = AppendInt(dst, int32(op))
	dst = AppendBool(dst, done)
	return AppendInt(dst, int32(err))
}

// AppendMultiEnd appends what ends a multi and its results.
func AppendMultiEnd(dst []byte) []byte { return AppendMultiHeader(dst, -1, true, -1) }

// MultiIter walks the operations of a multi: NewMultiIter has checked all of them, so that walking
// it cannot fail. It allocates nothing, and is a value: copying it copies the place it is at.
type MultiIter struct {
	r    Reader
	kind MultiKind
	op   Op
	body []byte
}

// NewMultiIter checks the body of a multi request. An operation that is not allowed, a record cut
// short or a create with flags that cannot be makes the whole undecodable: nothing of it is
// executed, and the first fault is what err says. The first header that says done ends it, whatever else it says, and nothing behind it
// is looked at. Source: MultiOperationRecord, Op.create; compared with 3.9.5 over every op, flag
// and sign of TTL.
func NewMultiIter(body []byte, kind MultiKind) (MultiIter, error) {
	r := NewReader(body)
	for {
		op, done := r.Op(), r.Bool()
		r.Int()
		if r.Err() != nil {
			return MultiIter{}, r.Err()
		}
		if done {
			return MultiIter{r: NewReader(body), kind: kind}, nil
		}
		if err := skipOperation(&r, op, kind); err != nil {
			return MultiIter{}, err
		}
	}
}

// skipOperation takes the record of one operation, and says why it cannot stand in such a multi.
func skipOperation(r *Reader, op Op, kind MultiKind) error {
	switch {
	case kind == MultiRead && (op == OpGetData || op == OpGetChildren):
		r.Buffer()
		r.Bool()
		return r.err
	case kind == MultiRead:
		return ErrOperation
	}
	switch op {
	case OpCreate, OpCreate2, OpCreateContainer:
		acl, flags := skipCreate(r)
		switch {
		case r.err != nil:
			return r.err
		case flags < FlagsPersistent || flags > FlagsSequentialTTL:
			return ErrOperation
		case acl.Null():
			return ErrNullACL
		case flags > FlagsContainer: // no TTL came with them
			return ErrOperation
		}
	case OpCreateTTL:
		skipCreate(r)
		r.Long()
	case OpDelete, OpCheck:
		r.Buffer()
		r.Int()
	case OpSetData:
		r.Buffer()
		r.Buffer()
		r.Int()
	default:
		return ErrOperation
	}
	return r.err
}

func skipCreate(r *Reader) (acl ACLVec, flags int32) {
	r.Buffer()
	r.Buffer()
	acl = r.ACLs()
	return acl, r.Int()
}

// Next goes to the next operation, if there is one.
func (m *MultiIter) Next() bool {
	op, done := m.r.Op(), m.r.Bool()
	m.r.Int()
	start := m.r.rest
	if done || skipOperation(&m.r, op, m.kind) != nil {
		m.r.rest = nil // stay at the end
		return false
	}
	m.op, m.body = normalise(op, m.r.since(start))
	return true
}

// normalise reads an operation as Java's decoder does: a create with the container flag is a
// createContainer, and a createTTL without a TTL flag is a create, even one with flags that cannot
// be: it is refused when its turn comes, with BadArguments.
func normalise(op Op, body []byte) (Op, []byte) {
	const ttlBytes = 8
	switch op {
	case OpCreate, OpCreate2:
		if flagsOf(body) == FlagsContainer {
			return OpCreateContainer, body
		}
	case OpCreateTTL:
		create := body[:len(body)-ttlBytes]
		switch flagsOf(create) {
		case FlagsTTL, FlagsSequentialTTL:
			return OpCreateTTL, body
		case FlagsContainer:
			return OpCreateContainer, create
		}
		return OpCreate, create
	}
	return op, body
}

// flagsOf reads the flags of a create: they are its last four bytes.
func flagsOf(body []byte) int32 {
	r := NewReader(body[len(body)-4:])
	return r.Int()
}

// Op returns the operation's code, never one that means the same as another with its record.
func (m *MultiIter) Op() Op { return m.op }

// Body returns a reader of the operation's own record.
func (m *MultiIter) Body() Reader { return NewReader(m.body) }
