package sim

import (
	"fmt"
	"hash/crc32"
	"slices"
	"strings"

	"paddock/wire"
)

// request is what a client asks: one operation and its arguments.
type request struct {
	op      wire.Op
	path    string
	data    []byte // nil is null
	version int32
	perms   int32 // of world:anyone, for creates and setACL
	flags   int32
	ttl     int64
	watch   bool
	mode    int32 // of addWatch; the type of removeWatches and checkWatches
	parts   []request
	since   wire.Zxid   // of setWatches
	lists   [5][]string // of setWatches: data, exist, child, persistent, recursive
}

func (q *request) isWrite() bool {
	switch q.op {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL, wire.OpDelete, wire.OpSetData,
		wire.OpSetACL, wire.OpMulti, wire.OpCloseSession:
		return true
	}
	return false
}

func (q *request) isSequential() bool {
	return q.flags == wire.FlagsPersistentSequential || q.flags == wire.FlagsEphemeralSequential || q.flags == wire.FlagsSequentialTTL
}

func (q *request) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v", q.op)
	if q.path != "" {
		fmt.Fprintf(&b, " %s", q.path)
	}
	switch q.op {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		fmt.Fprintf(&b, " flags=%d perms=%d data=%s", q.flags, q.perms, brief(q.data))
	case wire.OpSetData:
		fmt.Fprintf(&b, " version=%d data=%s", q.version, brief(q.data))
	case wire.OpDelete, wire.OpCheck:
		fmt.Fprintf(&b, " version=%d", q.version)
	case wire.OpSetACL:
		fmt.Fprintf(&b, " version=%d perms=%d", q.version, q.perms)
	case wire.OpAddWatch, wire.OpRemoveWatches, wire.OpCheckWatches:
		fmt.Fprintf(&b, " mode=%d", q.mode)
	case wire.OpSetWatches, wire.OpSetWatches2:
		fmt.Fprintf(&b, " since=%v %v", q.since, q.lists)
	}
	if q.watch {
		b.WriteString(" watch")
	}
	for i := range q.parts {
		fmt.Fprintf(&b, " [%v]", &q.parts[i])
	}
	return b.String()
}

// brief shows data in few characters; different data look different.
func brief(data []byte) string {
	switch {
	case data == nil:
		return "null"
	case len(data) <= 24:
		return fmt.Sprintf("%q", data)
	}
	return fmt.Sprintf("%q... of %d bytes, crc %08x", data[:16], len(data), crc32.ChecksumIEEE(data))
}

func aclOf(perms int32) wire.ACLVec {
	return wire.BuildACL(wire.ACL{Perms: perms, Scheme: []byte("world"), ID: []byte("anyone")})
}

func vecOf(names []string) wire.StringVec {
	v := wire.AppendInt(nil, int32(len(names)))
	for _, n := range names {
		v = wire.AppendString(v, []byte(n))
	}
	return wire.StringVec(v)
}

// append appends the record of the request.
func (q *request) append(dst []byte) []byte {
	path := []byte(q.path)
	switch q.op {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer:
		r := wire.CreateRequest{Path: path, Data: q.data, ACL: aclOf(q.perms), Flags: q.flags}
		return r.Append(dst)
	case wire.OpCreateTTL:
		r := wire.CreateTTLRequest{CreateRequest: wire.CreateRequest{Path: path, Data: q.data, ACL: aclOf(q.perms), Flags: q.flags}, TTL: q.ttl}
		return r.Append(dst)
	case wire.OpDelete, wire.OpCheck:
		r := wire.DeleteRequest{Path: path, Version: q.version}
		return r.Append(dst)
	case wire.OpSetData:
		r := wire.SetDataRequest{Path: path, Data: q.data, Version: q.version}
		return r.Append(dst)
	case wire.OpSetACL:
		r := wire.SetACLRequest{Path: path, ACL: aclOf(q.perms), Version: q.version}
		return r.Append(dst)
	case wire.OpMulti, wire.OpMultiRead:
		for i := range q.parts {
			dst = wire.AppendMultiHeader(dst, q.parts[i].op, false, -1)
			dst = q.parts[i].append(dst)
		}
		return wire.AppendMultiHeader(dst, -1, true, -1)
	case wire.OpExists, wire.OpGetData, wire.OpGetChildren, wire.OpGetChildren2:
		r := wire.ReadRequest{Path: path, Watch: q.watch}
		return r.Append(dst)
	case wire.OpGetACL, wire.OpSync, wire.OpGetEphemerals, wire.OpGetAllChildrenNumber:
		r := wire.PathRecord{Path: path}
		return r.Append(dst)
	case wire.OpAddWatch:
		r := wire.AddWatchRequest{Path: path, Mode: q.mode}
		return r.Append(dst)
	case wire.OpRemoveWatches, wire.OpCheckWatches:
		r := wire.RemoveWatchesRequest{Path: path, Type: wire.WatcherType(q.mode)}
		return r.Append(dst)
	case wire.OpSetWatches:
		r := wire.SetWatches{RelativeZxid: q.since, Data: vecOf(q.lists[0]), Exist: vecOf(q.lists[1]), Child: vecOf(q.lists[2])}
		return r.Append(dst)
	case wire.OpSetWatches2:
		r := wire.SetWatches2{
			SetWatches: wire.SetWatches{RelativeZxid: q.since, Data: vecOf(q.lists[0]), Exist: vecOf(q.lists[1]), Child: vecOf(q.lists[2])},
			Persistent: vecOf(q.lists[3]), PersistentRecursive: vecOf(q.lists[4]),
		}
		return r.Append(dst)
	}
	return dst // ping, closeSession
}

// result is an answer: what a client has read of one, or what the model says it should be.
type result struct {
	code  wire.Code
	path  string
	stat  *wire.Stat
	data  []byte
	names []string // sorted
	perms int32
	count int
	parts []result
}

func (r *result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v", r.code)
	if r.path != "" {
		fmt.Fprintf(&b, " %s", r.path)
	}
	if r.data != nil {
		fmt.Fprintf(&b, " data=%s", brief(r.data))
	}
	if r.names != nil {
		fmt.Fprintf(&b, " names=%v", r.names)
	}
	if r.perms != 0 || r.count != 0 {
		fmt.Fprintf(&b, " perms=%d count=%d", r.perms, r.count)
	}
	if r.stat != nil {
		fmt.Fprintf(&b, " %+v", *r.stat)
	}
	for i := range r.parts {
		fmt.Fprintf(&b, " [%v]", &r.parts[i])
	}
	return b.String()
}

// decodeResult reads the body of a reply.
func decodeResult(q *request, code wire.Code, body []byte) (result, error) {
	res := result{code: code}
	r := wire.NewReader(body)
	if code != wire.OK {
		if len(body) != 0 {
			return res, fmt.Errorf("a body of %d bytes behind %v", len(body), code)
		}
		return res, nil
	}
	switch q.op {
	case wire.OpMulti, wire.OpMultiRead:
		return decodeMulti(res, body)
	case wire.OpGetACL:
		var p wire.GetACLResponse
		p.Decode(&r)
		for it := p.ACL.Iter(); it.Next(); {
			res.perms |= it.ACL().Perms
		}
		res.stat = &p.Stat
	case wire.OpGetEphemerals:
		res.names = namesOf(r.Strings())
	case wire.OpGetAllChildrenNumber:
		res.count = int(r.Int())
	case wire.OpSync:
		res.path = string(r.String())
	case wire.OpAddWatch:
		r.Int()
	default:
		res.decode(q.op, &r)
	}
	if r.Err() != nil || r.Len() != 0 {
		return res, fmt.Errorf("%v: a body of %d bytes does not decode: %v, %d left", q.op, len(body), r.Err(), r.Len())
	}
	return res, nil
}

// decode reads what replies and the results of a multi have in common.
func (res *result) decode(op wire.Op, r *wire.Reader) {
	switch op {
	case wire.OpCreate:
		res.path = string(r.String())
	case wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		res.path = string(r.String())
		res.readStat(r)
	case wire.OpSetData, wire.OpSetACL, wire.OpExists:
		res.readStat(r)
	case wire.OpGetData:
		res.data = slices.Clone(r.Buffer())
		res.readStat(r)
	case wire.OpGetChildren:
		res.names = namesOf(r.Strings())
	case wire.OpGetChildren2:
		res.names = namesOf(r.Strings())
		res.readStat(r)
	}
}

func (res *result) readStat(r *wire.Reader) {
	res.stat = new(wire.Stat)
	res.stat.Decode(r)
}

func namesOf(v wire.StringVec) []string {
	names := []string{}
	for it := v.Iter(); it.Next(); {
		names = append(names, string(it.Value()))
	}
	slices.Sort(names)
	return names
}

func decodeMulti(res result, body []byte) (result, error) {
	m, err := wire.NewMultiResults(body)
	if err != nil {
		return res, err
	}
	for m.Next() {
		part := result{code: m.Code()}
		if m.Op() != wire.OpError {
			r := m.Body()
			part.decode(m.Op(), &r)
			if r.Err() != nil {
				return res, r.Err()
			}
		}
		res.parts = append(res.parts, part)
	}
	return res, nil
}
