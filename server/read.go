package server

import (
	"bytes"

	"paddock/auth"
	"paddock/tree"
	"paddock/wire"
)

// reader answers reads. A loop has one and answers from its own goroutine; apply has one for the reads
// that ride behind a write of their session. Both give the same answer for the same state.
type reader struct {
	trees *trees // the state: another one where a leader has sent a snapshot
	rules *auth.Rules
}

// answer appends the body of the reply to a read of one node. path is the node that was asked for, for
// who wants to watch it; arm is nil where no watch is wanted. On an error code nothing was appended.
//
// The reply shows the node exactly as after zxid (exact-read).
func (r *reader) answer(dst []byte, op wire.Op, body []byte, ids *auth.Identities, arm tree.Arm) (out []byte, zxid wire.Zxid, code wire.Code) {
	t := r.trees.Load()
	in := wire.NewReader(body)
	path := in.String()
	watch := op != wire.OpGetACL && in.Bool()
	if in.Err() != nil || path == nil {
		return dst, t.Applied(), wire.MarshallingError
	}
	if !watch {
		arm = nil
	}
	at := len(dst)
	switch op {
	case wire.OpExists:
		if bytes.IndexByte(path, 0) >= 0 {
			return dst, t.Applied(), wire.BadArguments
		}
		out, zxid, code = t.Exists(dst, path, ids, arm)
	case wire.OpGetData:
		out, zxid, code = t.GetData(dst, path, ids, arm)
	case wire.OpGetChildren:
		out, zxid, code = t.GetChildren(dst, path, ids, arm, false)
	case wire.OpGetChildren2:
		out, zxid, code = t.GetChildren(dst, path, ids, arm, true)
	case wire.OpGetACL:
		out, zxid, code = t.GetACL(dst, path, ids, r.rules)
	}
	if code != wire.OK {
		out = out[:at]
	}
	return out, zxid, code
}

// multiRead answers the operations one by one, all of them at one zxid; one that fails does not disturb
// the others.
func (r *reader) multiRead(dst []byte, body []byte, ids *auth.Identities) ([]byte, wire.Zxid, wire.Code) {
	ops, err := wire.NewMultiIter(body, wire.MultiRead)
	if err != nil || nullPathIn(ops) {
		return dst, r.trees.Load().Applied(), wire.MarshallingError
	}
	out, zxid := r.trees.Load().MultiRead(dst, ops, ids)
	return out, zxid, wire.OK
}

func nullPathIn(ops wire.MultiIter) bool {
	for ops.Next() {
		body := ops.Body()
		if body.String() == nil {
			return true
		}
	}
	return false
}

// countDescendants walks everything below a node; the owner of apply calls it.
func (r *reader) countDescendants(dst []byte, body []byte, ids *auth.Identities) ([]byte, wire.Zxid, wire.Code) {
	zxid := r.trees.Load().Applied()
	in := wire.NewReader(body)
	path := in.String()
	if in.Err() != nil || path == nil {
		return dst, zxid, wire.MarshallingError
	}
	var n tree.Node
	if !r.trees.Load().Lookup(path, &n) {
		return dst, zxid, wire.NoNode
	}
	if !ids.May(n.ACL, wire.PermRead) {
		return dst, zxid, wire.NoAuth
	}
	count, _ := r.trees.Load().CountDescendants(path)
	return wire.AppendInt(dst, int32(count)), zxid, wire.OK
}

// ephemerals lists the session's own ephemerals whose path begins with a prefix, component or not.
func (r *reader) ephemerals(dst []byte, body []byte, session int64) ([]byte, wire.Zxid, wire.Code) {
	zxid := r.trees.Load().Applied()
	in := wire.NewReader(body)
	prefix := in.String()
	if in.Err() != nil {
		return dst, zxid, wire.MarshallingError
	}
	trimmed := bytes.TrimFunc(prefix, func(c rune) bool { return c <= ' ' }) // as Java's trim
	if len(trimmed) == 0 || string(trimmed) == "/" {
		prefix = nil
	}
	countAt, n := len(dst), int32(0)
	dst = wire.AppendInt(dst, 0)
	r.trees.Load().Ephemerals(session, func(path []byte) bool {
		if bytes.HasPrefix(path, prefix) {
			dst = wire.AppendString(dst, path)
			n++
		}
		return true
	})
	wire.AppendInt(dst[:countAt], n)
	return dst, zxid, wire.OK
}

// verdict says what becomes of one path of a setWatches: it is armed, or its event is sent at once.
type verdict = byte

const verdictArm verdict = 0 // any other value is the event type to send

// watchList is one of the lists of setWatches, in their order on the wire.
type watchList int

const (
	listData watchList = iota
	listExist
	listChild
	listPersistent
	listRecursive
)

// judge looks at the node and decides what becomes of its watch (client-protocol.md 6.6).
func (r *reader) judge(list watchList, path []byte, since wire.Zxid) (verdict, wire.Zxid) {
	p := r.trees.Load().Peek(path, nil) // the caller has set the filter's bit
	switch {
	case list >= listPersistent:
		return verdictArm, p.Applied
	case list == listExist && p.Exists:
		return verdict(wire.EventNodeCreated), p.Applied
	case list == listExist:
		return verdictArm, p.Applied
	case !p.Exists:
		return verdict(wire.EventNodeDeleted), p.Applied
	case list == listData && p.Mzxid > since:
		return verdict(wire.EventNodeDataChanged), p.Applied
	case list == listChild && p.Pzxid > since:
		return verdict(wire.EventNodeChildrenChanged), p.Applied
	}
	return verdictArm, p.Applied
}

// setWatches is the request of both ops: 101 has the first three lists.
type setWatches struct {
	since wire.Zxid
	lists [5]wire.StringVec
}

func (q *setWatches) decode(op wire.Op, body []byte) bool {
	r := wire.NewReader(body)
	q.since = wire.Zxid(r.Long())
	n := 3
	if op == wire.OpSetWatches2 {
		n = 5
	}
	q.lists = [5]wire.StringVec{}
	for i := range n {
		q.lists[i] = r.Strings()
		if r.Err() != nil || q.lists[i].Null() {
			return false
		}
	}
	return true
}

// each calls f for every path of every list, in order.
func (q *setWatches) each(f func(list watchList, path []byte)) {
	for i, l := range q.lists {
		for it := l.Iter(); it.Next(); {
			f(watchList(i), it.Value())
		}
	}
}
