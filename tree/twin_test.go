package tree

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"sort"
	"strings"
	"testing"

	"paddock/wire"
)

// A twin is the naive tree that the real one is compared with: a map of paths, everything
// recomputed from scratch whenever it is asked for.
type twin struct {
	nodes    map[string]*twinNode
	sessions map[int64]int32
	quotas   map[string]bool // roots with a limits node
	zxid     wire.Zxid
	extended bool
	events   []string
}

type twinNode struct {
	data                        []byte // nil for null
	acl                         string
	czxid, mzxid, pzxid         wire.Zxid
	ctime, mtime                int64
	version, cversion, aversion int32
	owner                       int64
}

func newTwin() *twin {
	w := &twin{nodes: map[string]*twinNode{}, sessions: map[int64]int32{}, quotas: map[string]bool{}}
	for _, p := range []string{"/", "/zookeeper", "/zookeeper/quota"} {
		w.nodes[p] = &twinNode{data: []byte{}, acl: string(wire.OpenACL)}
	}
	w.nodes["/zookeeper/config"] = &twinNode{data: []byte{}, acl: string(wire.ReadACL), aversion: -1}
	return w
}

func twinParent(p string) string {
	if i := strings.LastIndexByte(p, '/'); i > 0 {
		return p[:i]
	}
	return "/"
}

func (w *twin) children(p string) (names []string) {
	for q := range w.nodes {
		if q != "/" && twinParent(q) == p {
			names = append(names, q[strings.LastIndexByte(q, '/')+1:])
		}
	}
	slices.Sort(names)
	return names
}

func (w *twin) paths() []string { return slices.Sorted(maps.Keys(w.nodes)) }

func (w *twin) kind(owner int64) Kind {
	switch {
	case owner == 0:
		return Persistent
	case owner == -1<<63:
		return Container
	case w.extended && uint64(owner)>>40 == 0xff0000:
		return TTL
	}
	return Ephemeral
}

func (w *twin) stat(p string) wire.Stat {
	n := w.nodes[p]
	kids := int32(len(w.children(p)))
	s := wire.Stat{
		Czxid: n.czxid, Mzxid: n.mzxid, Pzxid: n.pzxid, Ctime: n.ctime, Mtime: n.mtime,
		Version: n.version, Cversion: 2*n.cversion - kids, Aversion: n.aversion,
		DataLength: int32(len(n.data)), NumChildren: kids,
	}
	if w.kind(n.owner) == Ephemeral {
		s.EphemeralOwner = n.owner
	}
	return s
}

func (w *twin) digest() (sum uint64) {
	for p, n := range w.nodes {
		if strings.HasPrefix(p, "/zookeeper/") {
			continue
		}
		if p == "/" {
			p = ""
		}
		b := append([]byte(p), n.data...)
		for _, v := range []int64{int64(n.czxid), int64(n.mzxid), int64(n.pzxid), n.ctime, n.mtime} {
			b = binary.BigEndian.AppendUint64(b, uint64(v))
		}
		for _, v := range []int32{n.version, n.cversion, n.aversion} {
			b = binary.BigEndian.AppendUint32(b, uint32(v))
		}
		b = binary.BigEndian.AppendUint64(b, uint64(n.owner))
		sum += uint64(crc32.ChecksumIEEE(b))
	}
	return sum
}

func (w *twin) dataSize() (n int64) {
	for p, node := range w.nodes {
		if p != "/" {
			n += int64(len([]rune(p)))
		}
		n += int64(len(node.data))
	}
	return n
}

func (w *twin) ephemerals(session int64) (paths []string) {
	for _, p := range w.paths() {
		if n := w.nodes[p]; n.owner == session && w.kind(n.owner) == Ephemeral {
			paths = append(paths, p)
		}
	}
	return paths
}

// A step is an operation of a transaction in the twin's terms.
type step struct {
	op      wire.Op
	path    string
	data    []byte
	acl     wire.ACLVec
	owner   int64 // TTL in ms for createTTL; != 0 for an ephemeral create
	version int32
}

func (s step) body() (b []byte) {
	b = wire.AppendString(b, []byte(s.path))
	switch s.op {
	case wire.OpCreate, wire.OpCreate2:
		b = wire.AppendACLs(wire.AppendBuffer(b, s.data), s.acl)
		b = wire.AppendInt(wire.AppendBool(b, s.owner != 0), s.version)
	case wire.OpCreateContainer:
		b = wire.AppendInt(wire.AppendACLs(wire.AppendBuffer(b, s.data), s.acl), s.version)
	case wire.OpCreateTTL:
		b = wire.AppendInt(wire.AppendACLs(wire.AppendBuffer(b, s.data), s.acl), s.version)
		b = wire.AppendLong(b, s.owner)
	case wire.OpSetData, wire.OpReconfig:
		b = wire.AppendInt(wire.AppendBuffer(b, s.data), s.version)
	case wire.OpSetACL:
		b = wire.AppendInt(wire.AppendACLs(b, s.acl), s.version)
	case wire.OpCheck:
		b = wire.AppendInt(b, s.version)
	}
	return b
}

func header(session int64, zxid wire.Zxid, time int64, op wire.Op) []byte {
	h := wire.TxnHeader{ClientID: session, Cxid: 7, Zxid: zxid, Time: time, Type: op}
	return h.Append(nil)
}

func singleTxn(session int64, zxid wire.Zxid, time int64, s step) []byte {
	return append(header(session, zxid, time, s.op), s.body()...)
}

func multiTxn(session int64, zxid wire.Zxid, time int64, steps []step) []byte {
	b := wire.AppendInt(header(session, zxid, time, wire.OpMulti), int32(len(steps)))
	for _, s := range steps {
		b = wire.AppendBuffer(wire.AppendInt(b, int32(s.op)), s.body())
	}
	return b
}

func closeTxn(session int64, zxid wire.Zxid, time int64, paths []string) []byte {
	b := wire.AppendInt(header(session, zxid, time, wire.OpCloseSession), int32(len(paths)))
	for _, p := range paths {
		b = wire.AppendString(b, []byte(p))
	}
	return b
}

func withDigest(txn []byte, digest uint64) []byte {
	return wire.AppendLong(wire.AppendInt(txn, wire.DigestVersion), int64(digest))
}

// apply does s in the twin. It fills in the version that a sequencer would have put into the
// transaction, and reports false if the sequencer would have refused.
func (w *twin) apply(s *step, session int64, zxid wire.Zxid, time int64) bool {
	n, parent := w.nodes[s.path], w.nodes[twinParent(s.path)]
	switch s.op {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		if n != nil || parent == nil || w.kind(parent.owner) == Ephemeral {
			return false
		}
		w.create(s, session, zxid, time, parent)
	case wire.OpDelete, wire.OpDeleteContainer:
		builtin := s.path == "/" || s.path == "/zookeeper" || s.path == "/zookeeper/quota" || s.path == "/zookeeper/config"
		if n == nil || builtin || len(w.children(s.path)) > 0 {
			return false
		}
		w.delete(s.path, zxid)
	case wire.OpSetData:
		if n == nil {
			return false
		}
		s.version = n.version + 1
		grown := len(s.data) - len(n.data)
		n.data, n.version, n.mzxid, n.mtime = s.data, s.version, zxid, time
		w.event(wire.EventNodeDataChanged, s.path, n.acl)
		w.track(s.path, 0, grown)
	case wire.OpSetACL:
		if n == nil {
			return false
		}
		s.version = n.aversion + 1
		n.acl, n.aversion = string(s.acl), s.version
	case wire.OpCheck:
		return n != nil
	}
	return true
}

func (w *twin) create(s *step, session int64, zxid wire.Zxid, time int64, parent *twinNode) {
	s.version = parent.cversion + 1
	parent.cversion, parent.pzxid = s.version, zxid
	n := &twinNode{data: s.data, acl: string(s.acl), czxid: zxid, mzxid: zxid, pzxid: zxid, ctime: time, mtime: time}
	switch s.op {
	case wire.OpCreateContainer:
		n.owner = -1 << 63
	case wire.OpCreateTTL:
		n.owner = -1<<56 | s.owner
	default:
		if s.owner != 0 {
			n.owner = session
		}
	}
	w.nodes[s.path] = n
	w.event(wire.EventNodeCreated, s.path, n.acl)
	w.event(wire.EventNodeChildrenChanged, twinParent(s.path), parent.acl)
	if root, name := w.quotaOf(s.path); root != "" {
		if name == "zookeeper_limits" {
			w.quotas[root] = true
		} else if name == "zookeeper_stats" {
			w.recount(root)
		}
	}
	w.track(s.path, 1, len(s.data))
}

func (w *twin) delete(path string, zxid wire.Zxid) {
	n, parent := w.nodes[path], w.nodes[twinParent(path)]
	delete(w.nodes, path)
	parent.pzxid = max(parent.pzxid, zxid)
	w.event(wire.EventNodeDeleted, path, n.acl)
	w.event(wire.EventNodeChildrenChanged, twinParent(path), parent.acl)
	if root, name := w.quotaOf(path); name == "zookeeper_limits" {
		delete(w.quotas, root)
	}
	w.track(path, -1, -len(n.data))
}

func (w *twin) closeSession(session int64, zxid wire.Zxid) (paths []string) {
	paths = w.ephemerals(session)
	for _, p := range paths {
		w.delete(p, zxid)
	}
	delete(w.sessions, session)
	return paths
}

func (w *twin) event(typ wire.EventType, path, acl string) {
	w.events = append(w.events, eventText(typ, path, acl))
}

func eventText(typ wire.EventType, path, acl string) string {
	return fmt.Sprintf("%d %s %x", int32(typ), path, acl)
}

func (w *twin) quotaOf(path string) (root, name string) {
	rest, ok := strings.CutPrefix(twinParent(path), "/zookeeper/quota/")
	if !ok {
		return "", ""
	}
	return "/" + rest, path[strings.LastIndexByte(path, '/')+1:]
}

func (w *twin) recount(root string) {
	count, size := 0, 0
	for p, n := range w.nodes {
		if p == root || strings.HasPrefix(p, root+"/") {
			count++
			size += len(n.data)
		}
	}
	if n := w.nodes["/zookeeper/quota"+root+"/zookeeper_stats"]; n != nil {
		n.data = fmt.Appendf(nil, "count=%d,bytes=%d", count, size)
	}
}

func (w *twin) track(path string, count, size int) {
	for p := path; p != "/"; p = twinParent(p) {
		if !w.quotas[p] {
			continue
		}
		n := w.nodes["/zookeeper/quota"+p+"/zookeeper_stats"]
		if n == nil {
			return
		}
		c, b := -1, -1 // what ZooKeeper reads from an empty text
		if len(n.data) == 0 {
			n.data = []byte("count=-1,bytes=-1")
		}
		if _, err := fmt.Sscanf(string(n.data), "count=%d,bytes=%d", &c, &b); err != nil {
			w.recount(p)
			return
		}
		n.data = fmt.Appendf(nil, "count=%d,bytes=%d", c+count, b+size)
		return
	}
}

// recorder is a Sink that writes events down as the twin does.
type recorder struct {
	t      testing.TB
	events []string
}

func (s *recorder) Event(typ wire.EventType, path []byte, hash uint64, acl wire.ACLVec, _ wire.Zxid) {
	if hash != Hash(path) {
		s.t.Errorf("event on %s carries hash %#x, want %#x", path, hash, Hash(path))
	}
	s.events = append(s.events, eventText(typ, string(path), string(acl)))
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// compare asks the tree everything and expects the twin's answers.
func (w *twin) compare(t fataler, tree *Tree, strangers []string) {
	t.Helper()
	if tree.Applied() != w.zxid {
		t.Fatalf("Applied() = %v, want %v", tree.Applied(), w.zxid)
	}
	if got, want := tree.NodeCount(), int64(len(w.nodes)); got != want {
		t.Fatalf("zxid %v: NodeCount() = %d, want %d", w.zxid, got, want)
	}
	if got, want := tree.Digest(), w.digest(); got != want {
		t.Fatalf("zxid %v: Digest() = %#x, want %#x", w.zxid, got, want)
	}
	if got, want := tree.DataSize(), w.dataSize(); got != want {
		t.Fatalf("zxid %v: DataSize() = %d, want %d", w.zxid, got, want)
	}
	for _, p := range w.paths() {
		w.compareNode(t, tree, p)
	}
	for _, p := range strangers {
		if w.nodes[p] == nil {
			if _, _, code := tree.GetData(nil, []byte(p), nil, nil); code != wire.NoNode {
				t.Fatalf("zxid %v: GetData(%q) = %v, want NoNode", w.zxid, p, code)
			}
		}
	}
	w.compareSessions(t, tree)
}

func (w *twin) compareNode(t fataler, tree *Tree, p string) {
	t.Helper()
	n, want := w.nodes[p], w.stat(p)
	reply, zxid, code := tree.GetData(nil, []byte(p), nil, nil)
	expected := wire.AppendStat(wire.AppendBuffer(nil, n.data), &want)
	if code != wire.OK || zxid != w.zxid || !bytes.Equal(reply, expected) {
		t.Fatalf("GetData(%q) = %x, %v, %v\nwant %x, %v, OK", p, reply, zxid, code, expected, w.zxid)
	}
	if reply, _, code = tree.Exists(nil, []byte(p), nil, nil); code != wire.OK || !bytes.Equal(reply, wire.AppendStat(nil, &want)) {
		t.Fatalf("Exists(%q) = %x, %v", p, reply, code)
	}
	reply, _, code = tree.GetACL(nil, []byte(p), nil, nil)
	if code != wire.OK || !bytes.Equal(reply, wire.AppendStat([]byte(n.acl), &want)) {
		t.Fatalf("GetACL(%q) = %x, %v, want %x + stat", p, reply, code, n.acl)
	}
	reply, _, code = tree.GetChildren(nil, []byte(p), nil, nil, false)
	if names := decodeNames(reply); code != wire.OK || !slices.Equal(names, w.children(p)) {
		t.Fatalf("GetChildren(%q) = %v, %v, want %v", p, names, code, w.children(p))
	}
	var node Node
	if !tree.Lookup([]byte(p), &node) || node.Stat.Cversion != n.cversion || node.Stat.EphemeralOwner != n.owner ||
		node.Kind != w.kind(n.owner) || string(node.ACL) != n.acl || node.World != worldMask(wire.ACLVec(n.acl)) {
		t.Fatalf("Lookup(%q) = %+v, want %+v", p, node, *n)
	}
	if Digested([]byte(p)) && (node.PathData != PathDataCRC([]byte(p), n.data) || node.CRC != StatCRC(node.PathData, &node.Stat)) {
		t.Fatalf("Lookup(%q): CRCs %#x, %#x are not those of its contents", p, node.PathData, node.CRC)
	}
	below := int64(0)
	for q := range w.nodes {
		if p == "/" && q != "/" || strings.HasPrefix(q, p+"/") {
			below++
		}
	}
	if got, ok := tree.CountDescendants([]byte(p)); !ok || got != below {
		t.Fatalf("CountDescendants(%q) = %d, %v, want %d", p, got, ok, below)
	}
}

func (w *twin) compareSessions(t fataler, tree *Tree) {
	t.Helper()
	all := map[int64]int32{}
	for _, s := range tree.Sessions(nil) {
		all[s.ID] = s.TimeoutMS
	}
	if !maps.Equal(all, w.sessions) {
		t.Fatalf("Sessions() = %v, want %v", all, w.sessions)
	}
	count := int64(0)
	owners := map[int64]bool{}
	for _, n := range w.nodes {
		if w.kind(n.owner) == Ephemeral {
			count++
			owners[n.owner] = true
		}
	}
	if got := tree.EphemeralCount(); got != count {
		t.Fatalf("EphemeralCount() = %d, want %d", got, count)
	}
	if got, want := tree.EphemeralOwners(nil), slices.Sorted(maps.Keys(owners)); !slices.Equal(got, want) {
		t.Fatalf("EphemeralOwners() = %v, want %v", got, want)
	}
	for id := range owners {
		var got []string
		tree.Ephemerals(id, func(p []byte) bool { got = append(got, string(p)); return true })
		sort.Strings(got)
		if want := w.ephemerals(id); !slices.Equal(got, want) {
			t.Fatalf("Ephemerals(%d) = %v, want %v", id, got, want)
		}
	}
}

func decodeNames(reply []byte) (names []string) {
	r := wire.NewReader(reply)
	for range r.Int() {
		names = append(names, string(r.String()))
	}
	slices.Sort(names)
	return names
}
