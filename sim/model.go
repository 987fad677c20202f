package sim

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"

	"paddock/wire"
)

// model is the state of a server in the simplest way that is right: maps, and the rules of
// client-protocol.md read once more. It shares no code with tree and server.
type model struct {
	zxid     wire.Zxid
	nodes    map[string]*znode
	sessions map[int64]bool
	undo     []func() // of the multi that is being tried
	events   []change // of the transaction that is being made
}

type znode struct {
	data                []byte // nil is null
	czxid, mzxid, pzxid wire.Zxid
	ctime, mtime        int64
	version, aversion   int32
	created             int32 // children ever
	owner               int64 // as stored
	perms               int32 // of world:anyone
	children            map[string]bool
}

// change is an event: what watchers of path are told, if perms let them read.
type change struct {
	zxid  wire.Zxid
	typ   wire.EventType
	path  string
	perms int32
}

func (c change) String() string { return fmt.Sprintf("%v(%s)@%v", c.typ, c.path, c.zxid) }

const (
	ownerContainer = -1 << 63
	ownerTTL       = ^int64(0) << 56
)

func newModel() *model {
	m := &model{nodes: map[string]*znode{}, sessions: map[int64]bool{}}
	for _, path := range []string{"/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"} {
		m.nodes[path] = &znode{data: []byte{}, perms: wire.PermAll, children: map[string]bool{}}
		if path != "/" {
			m.nodes[parentOf(path)].children[baseOf(path)] = true
		}
	}
	config := m.nodes["/zookeeper/config"]
	config.perms, config.aversion = wire.PermRead, -1
	return m
}

func parentOf(path string) string { return path[:max(1, strings.LastIndexByte(path, '/'))] }
func baseOf(path string) string   { return path[strings.LastIndexByte(path, '/')+1:] }

func (n *znode) isEphemeral() bool { return n.owner != 0 && !n.isContainer() && !n.isTTL() }
func (n *znode) isContainer() bool { return n.owner == ownerContainer }
func (n *znode) isTTL() bool       { return !n.isContainer() && n.owner&ownerTTL == ownerTTL }

func (n *znode) stat() *wire.Stat {
	s := &wire.Stat{
		Czxid: n.czxid, Mzxid: n.mzxid, Pzxid: n.pzxid, Ctime: n.ctime, Mtime: n.mtime,
		Version: n.version, Aversion: n.aversion,
		Cversion:   2*n.created - int32(len(n.children)),
		DataLength: int32(len(n.data)), NumChildren: int32(len(n.children)),
	}
	if n.isEphemeral() {
		s.EphemeralOwner = n.owner
	}
	return s
}

// names of the children; sorted, and not nil.
func (n *znode) names() []string {
	names := slices.AppendSeq([]string{}, maps.Keys(n.children))
	slices.Sort(names)
	return names
}

// digest is that of the whole state, computed anew.
func (m *model) digest() uint64 {
	var sum uint64
	for path, n := range m.nodes { // order-free
		if strings.HasPrefix(path, "/zookeeper/") {
			continue
		}
		if path == "/" {
			path = ""
		}
		b := append([]byte(path), n.data...)
		for _, v := range []int64{int64(n.czxid), int64(n.mzxid), int64(n.pzxid), n.ctime, n.mtime} {
			b = binary.BigEndian.AppendUint64(b, uint64(v))
		}
		for _, v := range []int32{n.version, n.created, n.aversion} {
			b = binary.BigEndian.AppendUint32(b, uint32(v))
		}
		b = binary.BigEndian.AppendUint64(b, uint64(n.owner))
		sum += uint64(crc32.ChecksumIEEE(b))
	}
	return sum
}

func (m *model) ephemerals(session int64) []string {
	paths := []string{}
	for path, n := range m.nodes { // order-free: sorted below
		if n.isEphemeral() && (n.owner == session || session == 0) {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// begin starts transaction zxid.
func (m *model) begin(zxid wire.Zxid) { m.zxid, m.events, m.undo = zxid, nil, nil }

// write makes a request's changes as transaction m.zxid at that time, and says what it is answered.
func (m *model) write(q *request, session, nowMS int64) result {
	if !m.sessions[session] {
		return result{code: wire.SessionExpired}
	}
	if q.op != wire.OpMulti {
		return m.one(q, session, nowMS)
	}
	m.undo = nil
	res := result{}
	for i := range q.parts {
		part := m.one(&q.parts[i], session, nowMS)
		res.parts = append(res.parts, part)
		if part.code != wire.OK {
			m.rollback()
			return failedMulti(len(q.parts), i, part.code)
		}
	}
	return res
}

func failedMulti(n, at int, code wire.Code) result {
	res := result{}
	for i := range n {
		part := result{code: wire.RuntimeInconsistency}
		if i < at {
			part.code = wire.OK
		} else if i == at {
			part.code = code
		}
		res.parts = append(res.parts, part)
	}
	return res
}

func (m *model) rollback() {
	for _, f := range slices.Backward(m.undo) {
		f()
	}
	m.undo, m.events = nil, nil
}

// touch makes a node ready to be changed: rollback brings it back.
func (m *model) touch(path string) *znode {
	n := m.nodes[path]
	old := *n
	old.children = maps.Clone(n.children)
	m.undo = append(m.undo, func() { m.nodes[path] = &old })
	return n
}

func (m *model) one(q *request, session, nowMS int64) result {
	switch q.op {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		return m.create(q, session, nowMS)
	case wire.OpDelete:
		return result{code: m.delete(q.path, q.version)}
	case wire.OpSetData:
		return m.setData(q, nowMS)
	case wire.OpSetACL:
		return m.setACL(q)
	case wire.OpCheck:
		n, ok := m.nodes[q.path]
		return result{code: judge(ok, ok && n.perms&wire.PermRead != 0, ok && versionFits(n.version, q.version))}
	}
	panic(fmt.Sprintf("no such write: %v", q))
}

func judge(exists, may, version bool) wire.Code {
	switch {
	case !exists:
		return wire.NoNode
	case !may:
		return wire.NoAuth
	case !version:
		return wire.BadVersion
	}
	return wire.OK
}

func versionFits(have, want int32) bool { return want == -1 || want == have }

func ownerOf(q *request, session int64) int64 {
	switch {
	case q.op == wire.OpCreateContainer:
		return ownerContainer
	case q.op == wire.OpCreateTTL:
		return ownerTTL | q.ttl
	case q.flags == wire.FlagsEphemeral || q.flags == wire.FlagsEphemeralSequential:
		return session
	}
	return 0
}

func (m *model) create(q *request, session, nowMS int64) result {
	parent, ok := m.nodes[parentOf(q.path)]
	switch {
	case !ok:
		return result{code: wire.NoNode}
	case parent.perms&wire.PermCreate == 0:
		return result{code: wire.NoAuth}
	}
	path := q.path
	if q.isSequential() {
		path = fmt.Sprintf("%s%010d", path, parent.created)
	}
	switch {
	case m.nodes[path] != nil:
		return result{code: wire.NodeExists}
	case parent.isEphemeral():
		return result{code: wire.NoChildrenForEphemerals}
	}
	parent = m.touch(parentOf(path))
	parent.children[baseOf(path)] = true
	parent.created++
	parent.pzxid = m.zxid
	n := &znode{
		data: q.data, czxid: m.zxid, mzxid: m.zxid, pzxid: m.zxid, ctime: nowMS, mtime: nowMS,
		owner: ownerOf(q, session), perms: q.perms, children: map[string]bool{},
	}
	m.nodes[path] = n
	m.undo = append(m.undo, func() { delete(m.nodes, path) })
	m.event(wire.EventNodeCreated, path, n.perms)
	m.event(wire.EventNodeChildrenChanged, parentOf(path), parent.perms)
	res := result{path: path}
	if q.op != wire.OpCreate {
		res.stat = n.stat()
	}
	return res
}

func (m *model) event(typ wire.EventType, path string, perms int32) {
	m.events = append(m.events, change{m.zxid, typ, path, perms})
}

func (m *model) delete(path string, version int32) wire.Code {
	parent, ok := m.nodes[parentOf(path)]
	n := m.nodes[path]
	switch {
	case path == "/" || path == "/zookeeper":
		return wire.BadArguments
	case !ok:
		return wire.NoNode
	case parent.perms&wire.PermDelete == 0:
		return wire.NoAuth
	case n == nil:
		return wire.NoNode
	case !versionFits(n.version, version):
		return wire.BadVersion
	case len(n.children) > 0:
		return wire.NotEmpty
	}
	m.remove(path)
	return wire.OK
}

// remove takes a node away, whoever may.
func (m *model) remove(path string) {
	n := m.touch(path)
	parent := m.touch(parentOf(path))
	delete(m.nodes, path)
	delete(parent.children, baseOf(path))
	parent.pzxid = m.zxid
	m.event(wire.EventNodeDeleted, path, n.perms)
	m.event(wire.EventNodeChildrenChanged, parentOf(path), parent.perms)
}

func (m *model) setData(q *request, nowMS int64) result {
	n, ok := m.nodes[q.path]
	if code := judge(ok, ok && n.perms&wire.PermWrite != 0, ok && versionFits(n.version, q.version)); code != wire.OK {
		return result{code: code}
	}
	n = m.touch(q.path)
	n.data, n.mzxid, n.mtime = q.data, m.zxid, nowMS
	n.version++
	m.event(wire.EventNodeDataChanged, q.path, n.perms)
	return result{stat: n.stat()}
}

func (m *model) setACL(q *request) result {
	n, ok := m.nodes[q.path]
	if code := judge(ok, ok && n.perms&wire.PermAdmin != 0, ok && versionFits(n.aversion, q.version)); code != wire.OK {
		return result{code: code}
	}
	n = m.touch(q.path)
	n.perms = q.perms
	n.aversion++
	return result{stat: n.stat()}
}

// outlived says whether the server may remove a container or TTL node by itself.
func (m *model) outlived(path string, nowMS int64) wire.Code {
	n := m.nodes[path]
	switch {
	case n == nil:
		return wire.NoNode
	case !n.isContainer() && !n.isTTL():
		return wire.BadArguments
	case len(n.children) > 0:
		return wire.NotEmpty
	case n.isTTL() && nowMS-n.mtime < n.owner&(1<<40-1), n.isContainer() && n.created == 0:
		return wire.RuntimeInconsistency // its time has not come
	}
	return wire.OK
}

// read is the answer to a read in this state.
func (m *model) read(q *request, session int64) result {
	n := m.nodes[q.path]
	switch q.op {
	case wire.OpMultiRead:
		res := result{}
		for i := range q.parts {
			res.parts = append(res.parts, m.read(&q.parts[i], session))
		}
		return res
	case wire.OpGetEphemerals:
		names := slices.DeleteFunc(m.ephemerals(session), func(p string) bool { return !strings.HasPrefix(p, q.path) })
		return result{names: names}
	case wire.OpSync:
		return result{path: q.path}
	case wire.OpPing, wire.OpAddWatch, wire.OpSetWatches, wire.OpSetWatches2:
		return result{}
	}
	need := wire.PermRead
	if q.op == wire.OpGetACL {
		need |= wire.PermAdmin
	}
	if code := judge(n != nil, n != nil && n.perms&need != 0, true); code != wire.OK {
		return result{code: code}
	}
	switch q.op {
	case wire.OpExists:
		return result{stat: n.stat()}
	case wire.OpGetData:
		return result{data: n.data, stat: n.stat()}
	case wire.OpGetChildren:
		return result{names: n.names()}
	case wire.OpGetChildren2:
		return result{names: n.names(), stat: n.stat()}
	case wire.OpGetACL:
		return result{perms: n.perms, stat: n.stat()}
	case wire.OpGetAllChildrenNumber:
		count := 0
		below := strings.TrimSuffix(q.path, "/") + "/"
		for path := range m.nodes { // order-free
			if path != "/" && strings.HasPrefix(path, below) {
				count++
			}
		}
		return result{count: count}
	}
	panic(fmt.Sprintf("no such read: %v", q))
}

// catchUp is what a setWatches is told at once in this state, list by list, and what it arms.
func (m *model) catchUp(q *request) (events []change, armed [5][]string) {
	for list, paths := range q.lists {
		for _, path := range paths {
			typ := m.missed(list, path, q.since)
			if typ == 0 {
				armed[list] = append(armed[list], path)
				continue
			}
			events = append(events, change{zxid: -1, typ: typ, path: path})
		}
	}
	return events, armed
}

func (m *model) missed(list int, path string, since wire.Zxid) wire.EventType {
	n := m.nodes[path]
	switch {
	case list >= 3:
		return 0
	case list == 1 && n != nil:
		return wire.EventNodeCreated
	case list == 1:
		return 0
	case n == nil:
		return wire.EventNodeDeleted
	case list == 0 && n.mzxid > since:
		return wire.EventNodeDataChanged
	case list == 2 && n.pzxid > since:
		return wire.EventNodeChildrenChanged
	}
	return 0
}
