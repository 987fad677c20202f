package server

import (
	"bytes"
	"strconv"

	"paddock/auth"
	"paddock/session"
	"paddock/tree"
	"paddock/wire"
)

// sequencer is the second stage: it checks requests against the tree plus the changes on their way,
// and turns each into a transaction. What a transaction says is final: applying it cannot fail.
//
// The pipeline calls sequence, one owner at a time; pipeline.runLog is next. The sequencer reads no
// clock: times come with the work.
type sequencer struct {
	tree  *tree.Tree
	rules *auth.Rules
	table *session.Table
	opt   sequencerOptions

	over    overlay
	closing map[int64]wire.Zxid // sessions whose close is on its way
	last    wire.Zxid           // given out last
	digest  uint64              // of the tree after last; kept with opt.digests
	nowMS   int64               // wall clock: the time of this run's transactions
	liveMS  int64               // the sessions' clock

	// Buffers used again and again.
	body []byte
	acl  []byte
	path []byte
	node tree.Node
}

type sequencerOptions struct {
	digests         bool // every transaction carries the digest of the tree after it
	extendedTypes   bool // zookeeper.extendedTypesEnabled: TTL nodes
	enforceQuota    bool // zookeeper.enforceQuota
	reconfigEnabled bool
}

// Kinds of owner that are not sessions (client-protocol.md 3.9).
const (
	ownerContainer = -1 << 63
	ownerTTLMark   = ^int64(0) << 56 // 0xff in the top byte
	ttlMask        = 1<<40 - 1
)

// rootPath is how the sequencer spells the root; "" on the wire is an alias.
var rootPath = []byte("/")

// renew starts a leader's sequence behind the tree, to which all is applied that was before.
func (s *sequencer) renew(t *tree.Tree, epoch uint32) {
	s.tree, s.over, s.last, s.digest = t, newOverlay(), wire.Zxid(int64(epoch)<<32), t.Digest()
	clear(s.closing)
}

// begin starts a run: changes that are applied are forgotten, and nowMS is the time of what follows.
func (s *sequencer) begin(nowMS, liveMS int64) {
	applied := s.tree.Applied()
	s.over.forget(applied)
	for id, zxid := range s.closing { // order-free
		if zxid <= applied {
			delete(s.closing, id)
		}
	}
	s.nowMS, s.liveMS = nowMS, liveMS
}

// lowCounter is how many zxids an epoch has left when it has to end: more than one run can take.
const lowCounter = 1 << 24

// epochEnds says that the zxids of the epoch run out.
func (s *sequencer) epochEnds() bool { return s.last.Counter() > 1<<32-lowCounter }

// nextEpoch goes on in the next epoch: only a server alone may decide that.
func (s *sequencer) nextEpoch() { s.last = wire.Zxid((s.last.Epoch() + 1) << 32) }

// request turns a write into a transaction appended to dst. It sets e.zxid and e.code; a request that
// fails takes a zxid and becomes an error transaction, but for those whose record cannot be decoded
// (3.9: no zxid, nothing logged).
func (s *sequencer) request(e *entry, body, dst []byte) []byte {
	e.code = wire.OK
	if e.link != 0 {
		s.claim(e, body)
	}
	if e.op == wire.OpCreateSession || e.op == wire.OpCloseSession {
		return s.seal(e, s.sessionTxn(e, dst))
	}
	if e.op == wire.OpMulti {
		return s.seal(e, s.multiTxn(e, body, dst))
	}
	r := wire.NewReader(body)
	var q subRequest
	if q.decode(e.op, &r) != nil {
		return s.undecodable(e, dst)
	}
	zxid := s.take(e)
	if code := s.admitted(e); code != wire.OK {
		return s.errorTxn(e, dst, code)
	}
	var typ wire.Op
	typ, s.body, e.code = s.prepare(&q, e, zxid, s.body[:0])
	if e.code != wire.OK {
		return s.errorTxn(e, dst, e.code)
	}
	return s.seal(e, append(s.header(e, typ, dst), s.body...))
}

// undecodable answers a request that cannot be read: it costs no zxid, unless another server's client waits
// for its transaction.
func (s *sequencer) undecodable(e *entry, dst []byte) []byte {
	if e.link != 0 {
		s.take(e)
		return s.errorTxn(e, dst, wire.MarshallingError)
	}
	e.code, e.zxid = wire.MarshallingError, 0
	return dst
}

// claim finds the session of a request that a learner has forwarded, and makes it that learner's if it is
// nobody's. A session that begins is entered.
func (s *sequencer) claim(e *entry, body []byte) {
	if e.op == wire.OpCreateSession {
		r := wire.NewReader(body)
		e.sess = s.table.Add(e.asker, r.Int(), s.liveMS)
	} else {
		e.sess = s.table.Lookup(e.asker)
	}
	if e.sess != nil && e.sess.Holder() == 0 {
		e.sess.SetOwner(e.source())
	}
}

// take gives the request the next zxid.
func (s *sequencer) take(e *entry) wire.Zxid {
	s.last++
	e.zxid = s.last
	return s.last
}

// admitted repeats the check of the gate: the session may have been closed by a request before this one.
// And it may have moved to another connection, perhaps another loop's, while this one was on its way: what
// was sent through the old one must not take effect behind what is sent through the new one (S7).
func (s *sequencer) admitted(e *entry) wire.Code {
	switch {
	case e.sess == nil && e.link != 0:
		return wire.SessionExpired
	case e.sess == nil:
		return wire.OK
	case e.sess.Closing():
		return wire.SessionExpired
	case moved(e):
		return wire.SessionMoved
	}
	return wire.OK
}

// moved reports whether the session has another connection than the one the request came through. Where
// it has none, the last words of its last one still count, and of no other: they were sent before.
func moved(e *entry) bool {
	owner, from := e.sess.Holder(), e.source()
	return owner != 0 && from != 0 && owner != from
}

// source is who the request came through, as an owner of sessions; 0 for requests of our own.
func (e *entry) source() uint64 {
	if e.link != 0 {
		return ownerLink | uint64(e.link)
	}
	return uint64(e.conn)
}

// session is whose request it is, 0 for one of our own.
func (e *entry) session() int64 {
	if e.sess != nil {
		return e.sess.ID
	}
	return e.asker
}

func (s *sequencer) header(e *entry, typ wire.Op, dst []byte) []byte {
	h := wire.TxnHeader{ClientID: e.session(), Cxid: e.xid, Zxid: e.zxid, Time: s.nowMS, Type: typ}
	return h.Append(dst)
}

func (s *sequencer) errorTxn(e *entry, dst []byte, code wire.Code) []byte {
	e.code = code
	t := wire.ErrorTxn{Err: code}
	return t.Append(s.header(e, wire.OpError, dst))
}

// refuse answers a learner's request while our disk is nearly full. That takes a transaction, for its client
// waits for one; a session whose end cannot be written lives on.
func (s *sequencer) refuse(e *entry, dst []byte) []byte {
	s.take(e)
	return s.errorTxn(e, dst, wire.OperationTimeout)
}

// subRequest is a write request, alone or inside a multi.
type subRequest struct {
	op      wire.Op
	path    []byte
	data    []byte
	acl     wire.ACLVec
	flags   int32
	ttl     int64
	version int32
}

// decode reads the record of op. The fields alias r's bytes.
func (q *subRequest) decode(op wire.Op, r *wire.Reader) error {
	*q = subRequest{op: op}
	switch op {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer:
		q.path, q.data, q.acl, q.flags, q.ttl = r.String(), r.Buffer(), r.ACLs(), r.Int(), -1
	case wire.OpCreateTTL:
		q.path, q.data, q.acl, q.flags, q.ttl = r.String(), r.Buffer(), r.ACLs(), r.Int(), r.Long()
	case wire.OpDelete, wire.OpCheck:
		q.path, q.version = r.String(), r.Int()
	case wire.OpSetData:
		q.path, q.data, q.version = r.String(), r.Buffer(), r.Int()
	case wire.OpSetACL:
		q.path, q.acl, q.version = r.String(), r.ACLs(), r.Int()
	case wire.OpDeleteContainer:
		q.path = r.String()
	case wire.OpReconfig:
		r.String()
		r.String()
		r.String()
		r.Long()
	}
	return r.Err()
}

// prepare checks one write and appends the body of its transaction to dst. The changes it makes are in
// the overlay when it returns OK, and only then.
func (s *sequencer) prepare(q *subRequest, e *entry, zxid wire.Zxid, dst []byte) (wire.Op, []byte, wire.Code) {
	switch q.op {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		return s.create(q, e, zxid, dst)
	case wire.OpDelete, wire.OpDeleteContainer:
		return s.remove(q, e, zxid, dst)
	case wire.OpSetData:
		return s.setData(q, e, zxid, dst)
	case wire.OpSetACL:
		return s.setACL(q, e, zxid, dst)
	case wire.OpCheck:
		return s.check(q, e, dst)
	case wire.OpReconfig:
		return s.reconfig(dst)
	}
	return 0, dst, wire.Unimplemented
}

// lookup fills st with the state of a path as it will be once everything on its way is applied.
func (s *sequencer) lookup(path []byte, hash uint64, st *state) {
	if c := s.over.find(hash, path); c != nil {
		*st = c.state
		return
	}
	if !s.tree.Lookup(path, &s.node) {
		*st = state{}
		return
	}
	n := &s.node
	*st = state{exists: true, pathData: n.PathData, stat: n.Stat, acl: n.ACL}
}

// create: the checks are those of client-protocol.md 3.6.1, in its order.
func (s *sequencer) create(q *subRequest, e *entry, zxid wire.Zxid, dst []byte) (wire.Op, []byte, wire.Code) {
	owner, typ, code := s.ownerOf(q, e)
	if code != wire.OK {
		return 0, dst, code
	}
	if q.path == nil {
		return 0, dst, wire.MarshallingError
	}
	slash := bytes.LastIndexByte(q.path, '/')
	if slash < 0 || bytes.IndexByte(q.path, 0) >= 0 {
		return 0, dst, wire.BadArguments
	}
	var acl wire.ACLVec
	acl, code = s.rules.Fixup(s.acl[:0], e.ids, q.acl)
	if code != wire.OK {
		return 0, dst, code
	}
	s.acl = acl
	parentPath := parentOf(q.path, slash)
	parentHash := tree.Hash(parentPath)
	var parent state
	s.lookup(parentPath, parentHash, &parent)
	if !parent.exists {
		return 0, dst, wire.NoNode
	}
	if !may(e, parent.acl, wire.PermCreate) {
		return 0, dst, wire.NoAuth
	}
	path := q.path
	if isSequential(q.flags) {
		path = s.sequential(q.path, parent.stat.Cversion)
	}
	if !wire.ValidatePath(path) {
		return 0, dst, wire.BadArguments
	}
	hash := tree.Hash(path)
	var node state
	if s.lookup(path, hash, &node); node.exists {
		return 0, dst, wire.NodeExists
	}
	if isSessionOwner(parent.stat.EphemeralOwner, s.opt.extendedTypes) {
		return 0, dst, wire.NoChildrenForEphemerals
	}
	if s.opt.enforceQuota && s.overQuota(path, 1, int64(len(q.data)), true) {
		return 0, dst, wire.QuotaExceeded
	}
	newCversion := parent.stat.Cversion + 1
	dst = appendCreateTxn(dst, typ, path, q.data, acl, owner, q.ttl, newCversion)
	parent.stat.NumChildren++
	if newCversion > parent.stat.Cversion { // after 2^31-1 creations it cannot grow any more (fact 46)
		parent.stat.Cversion, parent.stat.Pzxid = newCversion, zxid
	}
	s.put(parentHash, parentPath, &parent, zxid)
	node = state{exists: true, acl: acl, stat: wire.Stat{
		Czxid: zxid, Mzxid: zxid, Pzxid: zxid, Ctime: s.nowMS, Mtime: s.nowMS,
		EphemeralOwner: owner, DataLength: int32(len(q.data)),
	}}
	s.sumData(&node, path, q.data)
	s.put(hash, path, &node, zxid)
	return typ, dst, wire.OK
}

// Flags of a create request: CreateMode.
const (
	flagsEphemeral           = 1
	flagsSequential          = 2
	flagsEphemeralSeq        = 3
	flagsContainer           = 4
	flagsTTL                 = 5
	flagsSequentialTTL       = 6
	maxTTL             int64 = ttlMask
)

func isSequential(flags int32) bool {
	return flags == flagsSequential || flags == flagsEphemeralSeq || flags == flagsSequentialTTL
}

// ownerOf decides what kind of node a create makes, by its op code and flags, and the type of its
// transaction.
func (s *sequencer) ownerOf(q *subRequest, e *entry) (owner int64, typ wire.Op, code wire.Code) {
	if q.flags < 0 || q.flags > flagsSequentialTTL {
		return 0, 0, wire.BadArguments
	}
	if q.flags >= flagsTTL {
		if !s.opt.extendedTypes {
			return 0, 0, wire.Unimplemented
		}
		if q.ttl <= 0 || q.ttl > maxTTL {
			return 0, 0, wire.BadArguments
		}
		return ownerTTLMark | q.ttl, wire.OpCreateTTL, wire.OK
	}
	switch {
	case q.op == wire.OpCreateTTL:
		// Apache's server lets this through with a negative TTL, and dies applying it.
		return 0, 0, wire.BadArguments
	case q.op == wire.OpCreateContainer:
		return ownerContainer, wire.OpCreateContainer, wire.OK
	case q.flags == flagsEphemeral || q.flags == flagsEphemeralSeq:
		if e.sess == nil {
			return 0, 0, wire.SessionExpired
		}
		return e.sess.ID, createType(q.op), wire.OK
	}
	return 0, createType(q.op), wire.OK
}

func createType(op wire.Op) wire.Op {
	if op == wire.OpCreate2 {
		return wire.OpCreate2
	}
	return wire.OpCreate
}

func appendCreateTxn(dst []byte, typ wire.Op, path, data []byte, acl wire.ACLVec, owner, ttl int64, cversion int32) []byte {
	switch typ {
	case wire.OpCreateContainer:
		t := wire.CreateContainerTxn{Path: path, Data: data, ACL: acl, ParentCVersion: cversion}
		return t.Append(dst)
	case wire.OpCreateTTL:
		t := wire.CreateTTLTxn{Path: path, Data: data, ACL: acl, ParentCVersion: cversion, TTL: ttl}
		return t.Append(dst)
	}
	t := wire.CreateTxn{Path: path, Data: data, ACL: acl, Ephemeral: owner != 0, ParentCVersion: cversion}
	return t.Append(dst)
}

// sequential appends the parent's count of creations, ten digits wide, as Java's %010d prints it.
func (s *sequencer) sequential(path []byte, n int32) []byte {
	s.path = append(s.path[:0], path...)
	var digits [12]byte
	d := strconv.AppendInt(digits[:0], int64(n), 10)
	if d[0] == '-' {
		s.path = append(s.path, '-')
		d = d[1:]
		for i := len(d) + 1; i < 10; i++ {
			s.path = append(s.path, '0')
		}
	} else {
		for i := len(d); i < 10; i++ {
			s.path = append(s.path, '0')
		}
	}
	s.path = append(s.path, d...)
	return s.path
}

// may: requests of our own have no identities and may do everything.
func may(e *entry, acl wire.ACLVec, need int32) bool { return e.ids == nil || e.ids.May(acl, need) }

// parentOf returns everything before the last slash; the parent of "/a" is the root.
func parentOf(path []byte, slash int) []byte {
	if slash == 0 {
		return rootPath
	}
	return path[:slash]
}

// isSessionOwner reports whether a raw owner is a session: such a node can have no children. With
// extended types off, what looks like a TTL is an ephemeral with a strange owner.
func isSessionOwner(owner int64, extended bool) bool {
	if owner == 0 || owner == ownerContainer {
		return false
	}
	return !(extended && owner&ownerTTLMark == ownerTTLMark)
}

// remove: the checks are those of 3.6.2, in its order. A deleteContainer comes from the sweeper: it
// has no session and needs no right, and fails quietly when a child has appeared meanwhile.
func (s *sequencer) remove(q *subRequest, e *entry, zxid wire.Zxid, dst []byte) (wire.Op, []byte, wire.Code) {
	if q.path == nil {
		return 0, dst, wire.MarshallingError
	}
	slash := bytes.LastIndexByte(q.path, '/')
	if slash < 0 || bytes.IndexByte(q.path, 0) >= 0 || isBuiltIn(q.path) {
		return 0, dst, wire.BadArguments
	}
	parentPath := parentOf(q.path, slash)
	parentHash, hash := tree.Hash(parentPath), tree.Hash(q.path)
	var parent, node state
	if s.lookup(parentPath, parentHash, &parent); !parent.exists {
		return 0, dst, wire.NoNode
	}
	internal := q.op == wire.OpDeleteContainer
	if !internal && !may(e, parent.acl, wire.PermDelete) {
		return 0, dst, wire.NoAuth
	}
	if s.lookup(q.path, hash, &node); !node.exists {
		return 0, dst, wire.NoNode
	}
	if internal && !s.outlived(&node.stat) {
		return 0, dst, wire.BadArguments
	}
	if !internal && q.version != -1 && q.version != node.stat.Version {
		return 0, dst, wire.BadVersion
	}
	if node.stat.NumChildren > 0 {
		return 0, dst, wire.NotEmpty
	}
	t := wire.DeleteTxn{Path: q.path}
	dst = t.Append(dst)
	s.loseChild(&parent, parentPath, parentHash, zxid)
	s.gone(hash, q.path, node.stat.EphemeralOwner, zxid)
	return q.op, dst, wire.OK
}

// outlived says whether a node may be swept: it is a container, or a TTL node that nobody has written to
// since it was found to be due. (Apache's server does not look at that again.)
func (s *sequencer) outlived(st *wire.Stat) bool {
	owner := st.EphemeralOwner
	switch {
	case owner == 0 || isSessionOwner(owner, s.opt.extendedTypes):
		return false
	case owner == ownerContainer:
		return true
	}
	return s.nowMS-st.Mtime >= owner&ttlMask
}

// gone records that a node will not exist any more; its owner is kept for the session's close.
func (s *sequencer) gone(hash uint64, path []byte, owner int64, zxid wire.Zxid) {
	s.put(hash, path, &state{stat: wire.Stat{EphemeralOwner: owner}}, zxid)
}

// loseChild is what the end of a child does to its parent.
func (s *sequencer) loseChild(parent *state, path []byte, hash uint64, zxid wire.Zxid) {
	parent.stat.NumChildren--
	parent.stat.Pzxid = max(parent.stat.Pzxid, zxid)
	s.put(hash, path, parent, zxid)
}

func isBuiltIn(path []byte) bool {
	switch string(path) {
	case "/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config":
		return true
	}
	return false
}

// setData: 3.6.3. Quota comes before the version.
func (s *sequencer) setData(q *subRequest, e *entry, zxid wire.Zxid, dst []byte) (wire.Op, []byte, wire.Code) {
	node, hash, code := s.target(q.path, e, wire.PermWrite)
	if code != wire.OK {
		return 0, dst, code
	}
	grows := int64(len(q.data)) - int64(node.stat.DataLength)
	if s.opt.enforceQuota && s.overQuota(q.path, 0, grows, false) {
		return 0, dst, wire.QuotaExceeded
	}
	version, ok := nextVersion(node.stat.Version, q.version)
	if !ok {
		return 0, dst, wire.BadVersion
	}
	t := wire.SetDataTxn{Path: q.path, Data: q.data, Version: version}
	dst = t.Append(dst)
	node.stat.Version, node.stat.DataLength = version, int32(len(q.data))
	node.stat.Mzxid, node.stat.Mtime = zxid, s.nowMS
	s.sumData(&node, q.path, q.data)
	s.put(hash, q.path, &node, zxid)
	return wire.OpSetData, dst, wire.OK
}

// setACL: 3.6.4. The list is checked before the node is looked for.
func (s *sequencer) setACL(q *subRequest, e *entry, zxid wire.Zxid, dst []byte) (wire.Op, []byte, wire.Code) {
	if !wire.ValidatePath(q.path) {
		return 0, dst, wire.BadArguments
	}
	acl, code := s.rules.Fixup(s.acl[:0], e.ids, q.acl)
	if code != wire.OK {
		return 0, dst, code
	}
	s.acl = acl
	node, hash, code := s.target(q.path, e, wire.PermAdmin)
	if code != wire.OK {
		return 0, dst, code
	}
	version, ok := nextVersion(node.stat.Aversion, q.version)
	if !ok {
		return 0, dst, wire.BadVersion
	}
	t := wire.SetACLTxn{Path: q.path, ACL: acl, Version: version}
	dst = t.Append(dst)
	node.stat.Aversion, node.acl = version, acl
	s.put(hash, q.path, &node, zxid)
	return wire.OpSetACL, dst, wire.OK
}

// check: only inside a multi.
func (s *sequencer) check(q *subRequest, e *entry, dst []byte) (wire.Op, []byte, wire.Code) {
	node, _, code := s.target(q.path, e, wire.PermRead)
	if code != wire.OK {
		return 0, dst, code
	}
	version, ok := nextVersion(node.stat.Version, q.version)
	if !ok {
		return 0, dst, wire.BadVersion
	}
	t := wire.CheckTxn{Path: q.path, Version: version}
	return wire.OpCheck, t.Append(dst), wire.OK
}

// target finds the node that a request changes, and checks that it may.
func (s *sequencer) target(path []byte, e *entry, need int32) (node state, hash uint64, code wire.Code) {
	if !wire.ValidatePath(path) {
		return node, 0, wire.BadArguments
	}
	hash = tree.Hash(path)
	if s.lookup(path, hash, &node); !node.exists {
		return node, hash, wire.NoNode
	}
	if !may(e, node.acl, need) {
		return node, hash, wire.NoAuth
	}
	return node, hash, wire.OK
}

// nextVersion is the version after a change, if want allows it: -1 is any. -1 itself is skipped, for
// it could never be asked for (as ZooKeeper 3.10 does; 3.9 passes through it).
func nextVersion(current, want int32) (int32, bool) {
	if want != -1 && want != current {
		return 0, false
	}
	if current+1 == -1 {
		return 0, true
	}
	return current + 1, true
}

// overQuota reports whether a change would exceed a hard limit. It looks at what is committed, as
// ZooKeeper does: changes on their way do not count (fact 125).
func (s *sequencer) overQuota(path []byte, count, size int64, countToo bool) bool {
	var q tree.Quota
	if !s.tree.Quota(path, &q) || !q.Counted {
		return false
	}
	if countToo && q.CountHard > -1 && q.Count+count > q.CountHard {
		return true
	}
	return size != 0 && q.BytesHard > -1 && q.Bytes+size > q.BytesHard
}

// reconfig on a standalone server: 3.6.16, rows 1 and 3.
func (s *sequencer) reconfig(dst []byte) (wire.Op, []byte, wire.Code) {
	if !s.opt.reconfigEnabled {
		return 0, dst, wire.ReconfigDisabled
	}
	return 0, dst, wire.Unimplemented
}

// sessionTxn: a session begins or ends. Its end takes its ephemerals with it, those on their way too.
func (s *sequencer) sessionTxn(e *entry, dst []byte) []byte {
	s.take(e)
	if e.sess == nil {
		return s.errorTxn(e, dst, wire.SessionExpired)
	}
	if e.op == wire.OpCreateSession {
		t := wire.CreateSessionTxn{TimeOut: e.sess.TimeoutMS()}
		return t.Append(s.header(e, wire.OpCreateSession, dst))
	}
	if _, twice := s.closing[e.sess.ID]; twice || s.table.Lookup(e.sess.ID) != e.sess {
		return s.errorTxn(e, dst, wire.SessionExpired) // closed by a request before this one
	}
	if moved(e) {
		return s.errorTxn(e, dst, wire.SessionMoved) // its new connection has not said goodbye
	}
	s.closing[e.sess.ID] = e.zxid
	e.sess.MarkClosing()
	dst = s.header(e, wire.OpCloseSession, dst)
	countAt, n := len(dst), 0
	dst = wire.AppendInt(dst, 0)
	add := func(path []byte) {
		dst = wire.AppendString(dst, path)
		n++
	}
	id := e.sess.ID
	s.tree.Ephemerals(id, func(path []byte) bool {
		if s.over.find(tree.Hash(path), path) == nil {
			add(path)
		}
		return true
	})
	s.over.eachOwned(id, func(path []byte, _ uint64, exists bool) {
		if exists {
			add(path)
		}
	})
	s.closeEphemerals(dst[countAt+4:], e.zxid, id)
	wire.AppendInt(dst[:countAt], int32(n))
	return dst
}

// closeEphemerals puts what a closing session takes away into the overlay.
func (s *sequencer) closeEphemerals(paths []byte, zxid wire.Zxid, session int64) {
	r := wire.NewReader(paths)
	for r.Len() > 0 {
		path := r.String()
		slash := bytes.LastIndexByte(path, '/')
		parentPath := parentOf(path, slash)
		hash := tree.Hash(parentPath)
		var parent state
		s.lookup(parentPath, hash, &parent)
		s.loseChild(&parent, parentPath, hash, zxid)
		s.gone(tree.Hash(path), path, session, zxid)
	}
}
