package differential

import (
	"fmt"
	"strings"

	"paddock/test/harness"
	"paddock/wire"
)

// action is what a step does with its session's connection.
type action int

const (
	ask       action = iota // send one request and wait for its reply
	burst                   // send several requests in one write
	garble                  // send one request with its bytes changed
	frame                   // send a frame that no request fits in
	drop                    // close the connection without a word
	renew                   // take the session up again
	badRenew                // the same with a wrong password, from a dropped connection
	aheadOf                 // the same with a zxid from the future
	hello                   // a connect request with odd fields, on a connection of its own
	closeSess               // end the session
	restart                 // kill the server and start it again in its directory
)

// step is one step of a stream. It holds no zxid, session id or password: those differ between runs.
type step struct {
	slot   int // which session
	action action
	reqs   []req  // one, or those of a burst
	change change // for garble
	raw    []byte // for frame: the bytes; for hello: the payload
}

// req is a request before it is encoded. Which fields count depends on op.
type req struct {
	op      wire.Op
	path    path
	data    []byte // nil is null
	acl     acls
	flags   int32
	ttl     int64
	version int32 // also the mode of addWatch, the type of removeWatches
	watch   byte
	scheme  string
	parts   []req
	back    int64 // setWatches: how far behind the last zxid seen; negative is zxid 0
	lists   [5][]path
	null    int // setWatches: which list is null, from 1
}

// path is a path as a stream means it. Each run works below a node of its own, so that one server can
// run many streams: "/a" becomes "/s7/a".
//
//	^/zookeeper  the path as it is
//	q/a/x        the node x of /a's quota
//	null         the null string
type path string

const nullPath path = "null"

func (p path) in(root string) string {
	s := string(p)
	if abs, ok := strings.CutPrefix(s, "^"); ok {
		return abs
	}
	if rest, ok := strings.CutPrefix(s, "q"); ok {
		return "/zookeeper/quota" + root + rest
	}
	if s == "/" {
		return root
	}
	if strings.HasPrefix(s, "/") {
		return root + s
	}
	return s
}

// onQuota reports whether r or a part of it names a node of a quota.
func (r req) onQuota() bool {
	for _, p := range r.parts {
		if p.onQuota() {
			return true
		}
	}
	return strings.HasPrefix(string(r.path), "q")
}

// acls is an access control list; raw replaces its encoding.
type acls struct {
	list []harness.ACL
	raw  harness.Bytes
}

func (a acls) append(b harness.Bytes) harness.Bytes {
	if a.raw != nil {
		return b.Raw(a.raw...)
	}
	return b.ACLs(a.list...)
}

// change is how a garbled request differs from the right one; pos counts from the end of its header.
type change struct {
	cut    int // bytes taken from the end
	pos    int // byte to be replaced, if any
	set    byte
	repeat int // bytes appended
}

func (c change) apply(body harness.Bytes) harness.Bytes {
	if n := len(body) - c.cut; n >= 0 {
		body = body[:n]
	}
	if len(body) > 0 {
		body[c.pos%len(body)] = c.set
	}
	for range c.repeat {
		body = body.Byte(c.set)
	}
	return body
}

// body encodes r for a run below root whose connection last saw the given zxid.
func (r req) body(root string, lastZxid int64) harness.Bytes {
	var b harness.Bytes
	if r.path == nullPath {
		b = b.Null()
	} else if hasPath(r.op) {
		b = b.Str(r.path.in(root))
	}
	switch r.op {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer:
		return r.acl.append(b.Buf(r.data)).Int(r.flags)
	case wire.OpCreateTTL:
		return r.acl.append(b.Buf(r.data)).Int(r.flags).Long(r.ttl)
	case wire.OpSetData:
		return b.Buf(r.data).Int(r.version)
	case wire.OpSetACL:
		return r.acl.append(b).Int(r.version)
	case wire.OpDelete, wire.OpCheck, wire.OpAddWatch, wire.OpCheckWatches, wire.OpRemoveWatches:
		return b.Int(r.version)
	case wire.OpExists, wire.OpGetData, wire.OpGetChildren, wire.OpGetChildren2:
		return b.Byte(r.watch)
	case wire.OpMulti, wire.OpMultiRead:
		for _, p := range r.parts {
			b = b.Int(int32(p.op)).Byte(0).Int(-1).Raw(p.body(root, lastZxid)...)
		}
		return b.Int(-1).Byte(1).Int(-1)
	case wire.OpSetWatches, wire.OpSetWatches2:
		return r.setWatches(root, lastZxid)
	case wire.OpAuth:
		return b.Int(0).Str(r.scheme).Buf(r.data)
	case wire.OpSASL:
		return b.Buf(r.data)
	case wire.OpReconfig:
		return b.Null().Null().Null().Long(-1)
	}
	return b
}

func (r req) setWatches(root string, lastZxid int64) harness.Bytes {
	relative := int64(0)
	if r.back >= 0 {
		relative = max(lastZxid-r.back, 0)
	}
	b := harness.Bytes(nil).Long(relative)
	lists := r.lists[:3]
	if r.op == wire.OpSetWatches2 {
		lists = r.lists[:]
	}
	for i, list := range lists {
		if r.null == i+1 {
			b = b.Null()
			continue
		}
		b = b.Int(int32(len(list)))
		for _, p := range list {
			b = b.Str(p.in(root))
		}
	}
	return b
}

func hasPath(op wire.Op) bool {
	switch op {
	case wire.OpMulti, wire.OpMultiRead, wire.OpSetWatches, wire.OpSetWatches2, wire.OpAuth, wire.OpSASL,
		wire.OpReconfig, wire.OpPing, wire.OpWhoAmI, wire.OpCloseSession:
		return false
	}
	return true
}

func (s step) String() string {
	names := map[action]string{
		ask: "ask", burst: "burst", garble: "garble", frame: "frame", drop: "drop", renew: "renew",
		badRenew: "renew with a bad password", aheadOf: "renew from the future", hello: "hello",
		closeSess: "close session", restart: "kill and restart the server",
	}
	var b strings.Builder
	fmt.Fprintf(&b, "session %d: %s", s.slot, names[s.action])
	for _, r := range s.reqs {
		b.WriteString(" | " + r.String())
	}
	if s.action == garble {
		fmt.Fprintf(&b, " changed %+v", s.change)
	}
	if s.raw != nil {
		fmt.Fprintf(&b, " %x", s.raw)
	}
	return b.String()
}

func (r req) String() string {
	var b strings.Builder
	b.WriteString(r.op.String())
	if hasPath(r.op) {
		fmt.Fprintf(&b, " %q", string(r.path))
	}
	switch r.op {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		fmt.Fprintf(&b, " data=%s flags=%d ttl=%d acl=%v", brief(r.data), r.flags, r.ttl, r.acl)
	case wire.OpSetData:
		fmt.Fprintf(&b, " data=%s version=%d", brief(r.data), r.version)
	case wire.OpSetACL:
		fmt.Fprintf(&b, " acl=%v version=%d", r.acl, r.version)
	case wire.OpDelete, wire.OpCheck, wire.OpAddWatch, wire.OpCheckWatches, wire.OpRemoveWatches:
		fmt.Fprintf(&b, " %d", r.version)
	case wire.OpExists, wire.OpGetData, wire.OpGetChildren, wire.OpGetChildren2:
		fmt.Fprintf(&b, " watch=%d", r.watch)
	case wire.OpMulti, wire.OpMultiRead:
		for _, p := range r.parts {
			b.WriteString(" {" + p.String() + "}")
		}
	case wire.OpSetWatches, wire.OpSetWatches2:
		fmt.Fprintf(&b, " back=%d lists=%q null=%d", r.back, r.lists, r.null)
	case wire.OpAuth:
		fmt.Fprintf(&b, " %s %q", r.scheme, r.data)
	case wire.OpSASL:
		fmt.Fprintf(&b, " %q", r.data)
	}
	return b.String()
}

func brief(data []byte) string {
	if len(data) > 64 {
		return fmt.Sprintf("%d bytes", len(data))
	}
	return text(data)
}

func (a acls) String() string {
	if a.raw != nil {
		return fmt.Sprintf("raw:%x", []byte(a.raw))
	}
	var all []string
	for _, e := range a.list {
		all = append(all, fmt.Sprintf("%d:%s:%s", e.Perms, e.Scheme, e.ID))
	}
	return "[" + strings.Join(all, " ") + "]"
}
