package wire

// The results of a multi stand in the order of its operations, each behind a header. Either all of
// them are successes, or all are errors: OK before the culprit, its code, RuntimeInconsistency
// behind it; the reply's own header says OK in both cases. In a multiRead each operation succeeds
// or fails alone. Source: MultiResponse, FinalRequestProcessor.

// AppendMultiResult appends the result of a write that succeeded. path is for creates, stat for
// those and setData; others do not look at them. A create whose reply has a Stat reports itself as
// create2.
func AppendMultiResult(dst []byte, op Op, path []byte, stat *Stat) []byte {
	switch op {
	case OpCreate:
		dst = AppendMultiHeader(dst, OpCreate, false, OK)
		return AppendString(dst, path)
	case OpCreate2, OpCreateContainer, OpCreateTTL:
		dst = AppendMultiHeader(dst, OpCreate2, false, OK)
		return AppendStat(AppendString(dst, path), stat)
	case OpSetData:
		return AppendStat(AppendMultiHeader(dst, OpSetData, false, OK), stat)
	}
	return AppendMultiHeader(dst, op, false, OK)
}

// AppendMultiError appends the result of an operation that failed, or that was undone.
func AppendMultiError(dst []byte, err Code) []byte {
	return AppendInt(AppendMultiHeader(dst, OpError, false, err), int32(err))
}

// AppendMultiFailure appends the whole body of the reply to a multi of n operations, of which the
// one at failed (counted from 0) was refused with err.
func AppendMultiFailure(dst []byte, n, failed int, err Code) []byte {
	for i := range n {
		switch {
		case i < failed:
			dst = AppendMultiError(dst, OK)
		case i == failed:
			dst = AppendMultiError(dst, err)
		default:
			dst = AppendMultiError(dst, RuntimeInconsistency)
		}
	}
	return AppendMultiEnd(dst)
}

// MultiResults walks the results of a multi or multiRead: NewMultiResults has checked all of them.
type MultiResults struct {
	r    Reader
	op   Op
	code Code
	body []byte
}

// NewMultiResults checks the body of the reply to a multi or multiRead.
func NewMultiResults(body []byte) (MultiResults, error) {
	r := NewReader(body)
	for {
		op, done := r.Op(), r.Bool()
		r.Int()
		if r.Err() != nil {
			return MultiResults{}, r.Err()
		}
		if done {
			return MultiResults{r: NewReader(body)}, nil
		}
		if !skipResult(&r, op) {
			return MultiResults{}, ErrOperation
		}
		if r.Err() != nil {
			return MultiResults{}, r.Err()
		}
	}
}

// skipResult takes the record of one result, and says whether there is such a result.
func skipResult(r *Reader, op Op) bool {
	switch op {
	case OpCreate:
		r.Buffer()
	case OpCreate2, OpGetData:
		r.Buffer()
		r.take(StatBytes)
	case OpSetData:
		r.take(StatBytes)
	case OpGetChildren:
		r.Strings()
	case OpError:
		r.Int()
	case OpDelete, OpCheck:
	default:
		return false
	}
	return true
}

// Next goes to the next result, if there is one.
func (m *MultiResults) Next() bool {
	op, done := m.r.Op(), m.r.Bool()
	m.r.Int()
	start := m.r.rest
	if done || !skipResult(&m.r, op) || m.r.err != nil {
		m.r.rest = nil // stay at the end
		return false
	}
	m.op, m.code, m.body = op, OK, m.r.since(start)
	if op == OpError {
		r := NewReader(m.body)
		m.code = r.Code()
	}
	return true
}

// Op returns what kind of result it is; OpError is one with nothing but a code.
func (m *MultiResults) Op() Op { return m.op }

// Code returns what became of the operation: OK for one that was undone because of a later one.
func (m *MultiResults) Code() Code { return m.code }

// Body returns a reader of the result's record: CreateResponse, Create2Response, SetDataResponse,
// GetDataResponse, GetChildrenResponse, ErrorResponse, or nothing.
func (m *MultiResults) Body() Reader { return NewReader(m.body) }
