package tree

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"paddock/wire"

	"pgregory.net/rapid"
)

var (
	world = wire.ACL{Perms: wire.PermRead, Scheme: []byte("world"), ID: []byte("anyone")}
	bob   = wire.ACL{Perms: wire.PermAll, Scheme: []byte("digest"), ID: []byte("bob:x")}
	aclA  = wire.BuildACL(world)
	aclB  = wire.BuildACL(bob, world)
	aclC  = wire.BuildACL(bob)
)

// somePaths are few, so that operations meet: nested, with names that share beginnings, and quotas
// on two of them.
var somePaths = []string{
	"/a", "/b", "/ab", "/a/a", "/a/b", "/a/ab", "/a/a/a", "/a/b/ä", "/b/very-long-name-of-a-znode-0000000001",
	"/zookeeper/quota/a", "/zookeeper/quota/a/b", "/zookeeper/quota/a/zookeeper_limits", "/zookeeper/quota/a/zookeeper_stats",
	"/zookeeper/quota/a/b/zookeeper_limits", "/zookeeper/quota/a/b/zookeeper_stats",
	"/zookeeper/quota/zookeeper_limits", "/zookeeper/quota/zookeeper_stats",
}

var someOps = []wire.Op{
	wire.OpCreate, wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL,
	wire.OpDelete, wire.OpDeleteContainer, wire.OpSetData, wire.OpSetData, wire.OpSetACL, wire.OpCheck,
}

func drawStep(t *rapid.T) step {
	s := step{
		op:   rapid.SampledFrom(someOps).Draw(t, "op"),
		path: rapid.SampledFrom(somePaths).Draw(t, "path"),
		acl:  rapid.SampledFrom([]wire.ACLVec{wire.OpenACL, aclA, aclB, aclC}).Draw(t, "acl"),
	}
	switch n := rapid.IntRange(-1, 300).Draw(t, "length"); {
	case n >= 0:
		s.data = make([]byte, n)
		for i := range s.data {
			s.data[i] = byte(n + i)
		}
	}
	if s.op == wire.OpCreateTTL {
		s.owner = rapid.Int64Range(1, 1<<40-1).Draw(t, "ttl")
	} else if rapid.IntRange(0, 3).Draw(t, "ephemeral") == 0 {
		s.owner = 1
	}
	return s
}

// machine runs a tree and its twin side by side.
type machine struct {
	tree *Tree
	twin *twin
	sink *recorder
	res  Result
	time int64
}

func newMachine(t testing.TB, o Options) *machine {
	m := &machine{tree: New(o), twin: newTwin(), sink: &recorder{t: t}, time: 1000}
	m.twin.extended = o.ExtendedTypes
	return m
}

// run applies a transaction that the twin has done already.
func (m *machine) run(t fataler, txn []byte) {
	t.Helper()
	m.sink.events = m.sink.events[:0]
	m.tree.Apply(withDigest(slices.Clip(txn), m.twin.digest()), m.sink, &m.res)
	if !m.res.HasDigest || m.res.Mismatch {
		t.Fatalf("zxid %v: digest %#x, the twin's is %#x", m.twin.zxid, m.tree.Digest(), m.res.Digest)
	}
	if !slices.Equal(m.sink.events, m.twin.events) {
		t.Fatalf("zxid %v: events\n%v, want\n%v", m.twin.zxid, m.sink.events, m.twin.events)
	}
	m.twin.events = nil
}

func (m *machine) next() (wire.Zxid, int64) {
	m.twin.zxid++
	m.time += 3
	return m.twin.zxid, m.time
}

func (m *machine) single(t fataler, session int64, s step) bool {
	t.Helper()
	zxid, time := m.twin.zxid+1, m.time+3
	if !m.twin.apply(&s, session, zxid, time) {
		return false
	}
	m.next()
	m.run(t, singleTxn(session, zxid, time, s))
	m.checkResult(t, s, &m.res.OpResult, s.op)
	return true
}

func (m *machine) checkResult(t fataler, s step, got *OpResult, op wire.Op) {
	t.Helper()
	if got.Op != op || got.Code != wire.OK || string(got.Path) != s.path {
		t.Fatalf("result %v %v %q, want %v OK %q", got.Op, got.Code, got.Path, op, s.path)
	}
	switch s.op {
	case wire.OpDelete, wire.OpDeleteContainer, wire.OpCheck:
		return
	}
	if want := m.twin.stat(s.path); got.Stat != want {
		t.Fatalf("%v %s: result stat %+v, want %+v", s.op, s.path, got.Stat, want)
	}
}

// multi applies those of steps that fit, one after the other.
func (m *machine) multi(t fataler, session int64, steps []step) {
	t.Helper()
	zxid, time := m.next()
	var done []step
	for _, s := range steps {
		if m.twin.apply(&s, session, zxid, time) {
			done = append(done, s)
		}
	}
	m.run(t, multiTxn(session, zxid, time, done))
	if len(m.res.Ops) != len(done) {
		t.Fatalf("a multi of %d has %d results", len(done), len(m.res.Ops))
	}
	for i, s := range done {
		if m.res.Ops[i].Op != s.op || string(m.res.Ops[i].Path) != s.path {
			t.Fatalf("result %d is %v %s, want %v %s", i, m.res.Ops[i].Op, m.res.Ops[i].Path, s.op, s.path)
		}
	}
}

func TestApplyAndReadsMatchATwin(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		shards := 1 << rapid.IntRange(0, 6).Draw(rt, "shards")
		m := newMachine(t, Options{Shards: shards, ExtendedTypes: rapid.Bool().Draw(rt, "extended")})
		session := rapid.Int64Range(1, 3)
		rt.Repeat(map[string]func(*rapid.T){
			"single": func(rt *rapid.T) {
				if !m.single(rt, session.Draw(rt, "session"), drawStep(rt)) {
					rt.Skip()
				}
			},
			"multi": func(rt *rapid.T) {
				id := session.Draw(rt, "session")
				var steps []step
				for range rapid.IntRange(0, 6).Draw(rt, "steps") {
					steps = append(steps, drawStep(rt))
				}
				m.multi(rt, id, steps)
			},
			"failed multi": func(rt *rapid.T) {
				zxid, time := m.next()
				txn := wire.AppendInt(header(1, zxid, time, wire.OpMulti), 3)
				txn = wire.AppendBuffer(wire.AppendInt(txn, int32(wire.OpCreate)), step{op: wire.OpCreate, path: "/new", acl: aclA}.body())
				txn = wire.AppendBuffer(wire.AppendInt(txn, -1), wire.AppendInt(nil, -101))
				txn = wire.AppendBuffer(wire.AppendInt(txn, -1), wire.AppendInt(nil, -2))
				m.run(rt, txn)
				var codes []wire.Code
				for _, r := range m.res.Ops {
					codes = append(codes, r.Code)
				}
				if want := []wire.Code{wire.OK, wire.NoNode, wire.RuntimeInconsistency}; !slices.Equal(codes, want) {
					rt.Fatalf("codes %v, want %v", codes, want)
				}
			},
			"error": func(rt *rapid.T) {
				zxid, time := m.next()
				m.run(rt, wire.AppendInt(header(1, zxid, time, wire.OpError), int32(wire.BadVersion)))
				if m.res.Code != wire.BadVersion {
					rt.Fatalf("code %v, want BadVersion", m.res.Code)
				}
			},
			"create session": func(rt *rapid.T) {
				zxid, time := m.next()
				id, timeout := session.Draw(rt, "session"), rapid.Int32Range(1, 40000).Draw(rt, "timeout")
				m.twin.sessions[id] = timeout
				m.run(rt, wire.AppendInt(header(id, zxid, time, wire.OpCreateSession), timeout))
			},
			"close session": func(rt *rapid.T) {
				zxid, time := m.next()
				id := session.Draw(rt, "session")
				paths := m.twin.closeSession(id, zxid)
				m.run(rt, closeTxn(id, zxid, time, paths))
			},
			"": func(rt *rapid.T) {
				m.twin.compare(rt, m.tree, append(somePaths, "/a/", "//", "/a//b", "a", "/zookeeper/quot"))
				m.tree.check(rt.Fatalf)
			},
		})
	})
}

func TestCloseSessionDeletesWhatTheListLeftOut(t *testing.T) {
	for _, name := range []string{"with an empty list", "without a list, as before 3.6"} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, Options{})
			m.single(t, 5, step{op: wire.OpCreate, path: "/e", acl: wire.OpenACL, owner: 1})
			zxid, time := m.next()
			m.twin.closeSession(5, zxid)
			txn := header(5, zxid, time, wire.OpCloseSession)
			if name == "with an empty list" {
				txn = wire.AppendInt(txn, 0)
			}
			m.tree.Apply(txn, m.sink, nil)
			m.twin.compare(t, m.tree, []string{"/e"})
		})
	}
}

func TestSequenceCounterAtItsEnd(t *testing.T) {
	m := newMachine(t, Options{})
	create := func(path string, parentCversion int32) {
		zxid, time := m.next()
		s := step{op: wire.OpCreate, path: path, acl: wire.OpenACL, version: parentCversion}
		m.tree.Apply(singleTxn(1, zxid, time, s), nil, &m.res)
	}
	create("/a", 1<<31-1)
	var before, after Node
	m.tree.Lookup([]byte("/"), &before)
	create("/b", -1<<31)
	m.tree.Lookup([]byte("/"), &after)
	if after.Stat.Cversion != 1<<31-1 || after.Stat.Pzxid != before.Stat.Pzxid {
		t.Errorf("root cversion %d pzxid %v, want %d and %v: a full counter stays", after.Stat.Cversion, after.Stat.Pzxid, 1<<31-1, before.Stat.Pzxid)
	}
	if after.Stat.NumChildren != 3 {
		t.Errorf("root has %d children, want 3", after.Stat.NumChildren)
	}
}

func TestBuiltInNodes(t *testing.T) {
	tree := New(Options{})
	tests := []struct {
		path               string
		cversion, aversion int32
		children           int32
		acl                wire.ACLVec
	}{
		{"/", -1, 0, 1, wire.OpenACL},
		{"", -1, 0, 1, wire.OpenACL},
		{"/zookeeper", -2, 0, 2, wire.OpenACL},
		{"/zookeeper/quota", 0, 0, 0, wire.OpenACL},
		{"/zookeeper/config", 0, -1, 0, wire.ReadACL},
	}
	for _, tt := range tests {
		want := wire.Stat{Cversion: tt.cversion, Aversion: tt.aversion, NumChildren: tt.children}
		got, zxid, code := tree.GetData(nil, []byte(tt.path), nil, nil)
		if expected := wire.AppendStat(wire.AppendBuffer(nil, []byte{}), &want); code != wire.OK || zxid != 0 || string(got) != string(expected) {
			t.Errorf("GetData(%q) = %x, %v, %v, want %x: empty, not null", tt.path, got, zxid, code, expected)
		}
		got, _, _ = tree.GetACL(nil, []byte(tt.path), nil, nil)
		if string(got) != string(wire.AppendStat(slices.Clone(tt.acl), &want)) {
			t.Errorf("GetACL(%q) = %x", tt.path, got)
		}
	}
	if got := tree.NodeCount(); got != 4 {
		t.Errorf("NodeCount() = %d, want 4", got)
	}
}

// A transaction that does not fit the state stops the server, and says what it was.
func TestApplyIsTotalOrPanics(t *testing.T) {
	tests := []struct {
		name string
		txn  []byte
	}{
		{"a create without a parent", singleTxn(1, 2, 0, step{op: wire.OpCreate, path: "/x/y", acl: wire.OpenACL})},
		{"a create of a node that is there", singleTxn(1, 2, 0, step{op: wire.OpCreate, path: "/a", acl: wire.OpenACL})},
		{"a create of the root", singleTxn(1, 2, 0, step{op: wire.OpCreate, path: "/", acl: wire.OpenACL})},
		{"a create of a path without a slash", singleTxn(1, 2, 0, step{op: wire.OpCreate, path: "x", acl: wire.OpenACL})},
		{"a create with an empty name", singleTxn(1, 2, 0, step{op: wire.OpCreate, path: "/a/", acl: wire.OpenACL})},
		{"a delete of nothing", singleTxn(1, 2, 0, step{op: wire.OpDelete, path: "/x"})},
		{"a delete of a node with children", singleTxn(1, 2, 0, step{op: wire.OpDelete, path: "/zookeeper"})},
		{"a delete of the root", singleTxn(1, 2, 0, step{op: wire.OpDelete, path: "/"})},
		{"setData on nothing", singleTxn(1, 2, 0, step{op: wire.OpSetData, path: "/x"})},
		{"setACL on nothing", singleTxn(1, 2, 0, step{op: wire.OpSetACL, path: "/x", acl: wire.OpenACL})},
		{"a zxid that was applied", singleTxn(1, 1, 0, step{op: wire.OpSetData, path: "/a"})},
		{"a type that no transaction has", header(1, 2, 0, wire.OpGetData)},
		{"a header that is cut", header(1, 2, 0, wire.OpCreate)[:31]},
		{"a body that is cut", singleTxn(1, 2, 0, step{op: wire.OpSetData, path: "/a", data: []byte("x")})[:40]},
		{"a multi that is cut", multiTxn(1, 2, 0, []step{{op: wire.OpSetData, path: "/a"}})[:45]},
		{"a closed session whose ephemeral is gone", closeTxn(1, 2, 0, []string{"/x"})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tree := New(Options{Shards: 4})
			tree.Apply(singleTxn(1, 1, 0, step{op: wire.OpCreate, path: "/a", acl: wire.OpenACL, version: 1}), nil, nil)
			m := misfitOf(tree, tt.txn)
			if m == nil || m.After != 1 || m.Why == "" {
				t.Fatalf("got %+v, want a misfit after 0x1", m)
			}
			if whole := tt.name != "a header that is cut"; whole && (m.Zxid == 0 || m.Session != 1 || m.Type == 0) {
				t.Errorf("it does not say what it was: %+v", m)
			}
			if text := m.Error(); !strings.Contains(text, m.Why) || !strings.Contains(text, "zxid") {
				t.Errorf("text: %s", text)
			}
		})
	}
}

// misfitOf applies txn and returns the misfit that it turns out to be, nil for none. Any other panic
// goes on.
func misfitOf(tree *Tree, txn []byte) (m *Misfit) {
	defer func() {
		if r := recover(); r != nil {
			var ok bool
			if m, ok = r.(*Misfit); !ok {
				panic(r)
			}
		}
	}()
	tree.Apply(txn, nil, nil)
	return nil
}

// TestNoBytesStopApplyButAsAMisfit applies transactions of which some bytes were changed, to trees
// with and without the tolerances for Java's snapshots: they are applied, and leave a tree in which every
// node is found by its path, or are a misfit.
func TestNoBytesStopApplyButAsAMisfit(t *testing.T) {
	rounds := 20000
	if raceEnabled {
		rounds = 4000
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	seeds := [][]byte{
		header(1, 9, 7, wire.OpError), closeTxn(1, 9, 7, []string{"/a/e", "/q"}),
		wire.AppendInt(header(1, 9, 7, wire.OpCreateSession), 4000),
		multiTxn(1, 9, 7, []step{
			{op: wire.OpCreate, path: "/a/m", acl: wire.OpenACL, owner: 1, version: 9}, {op: wire.OpCheck, path: "/a"},
			{op: wire.OpDelete, path: "/b"}, {op: wire.OpSetData, path: "/a", data: []byte("multi"), version: 3},
		}),
	}
	for _, op := range []wire.Op{
		wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL, wire.OpDelete,
		wire.OpSetData, wire.OpSetACL, wire.OpReconfig, wire.OpDeleteContainer,
	} {
		for _, path := range []string{"/a", "/a/new", "/zookeeper/config", "/zookeeper/quota/a/zookeeper_limits", "/b"} {
			seeds = append(seeds, withDigest(singleTxn(1, 9, 7, step{op: op, path: path, data: []byte("count=1,bytes=2"), acl: wire.OpenACL, owner: 5, version: 2}), 77))
		}
	}
	fresh := func(fuzzy bool) *Tree {
		tree := New(Options{Shards: 2, ExtendedTypes: true})
		for i, s := range []step{
			{op: wire.OpCreate, path: "/a", acl: wire.OpenACL, version: 1}, {op: wire.OpCreate, path: "/b", acl: wire.ReadACL, version: 2},
			{op: wire.OpCreate, path: "/a/e", owner: 1, version: 1}, {op: wire.OpCreate, path: "/zookeeper/quota/a", version: 1},
			{op: wire.OpCreate, path: "/zookeeper/quota/a/zookeeper_limits", data: []byte("count=3"), version: 1},
			{op: wire.OpCreate, path: "/zookeeper/quota/a/zookeeper_stats", version: 2},
		} {
			tree.Apply(singleTxn(1, wire.Zxid(i+1), 5, s), nil, nil)
		}
		tree.fuzzy = fuzzy
		return tree
	}
	tree, applied, misfits := fresh(false), 0, 0
	for i := range rounds {
		txn := bytes.Clone(seeds[rnd.IntN(len(seeds))])
		for range rnd.IntN(4) {
			switch at := rnd.IntN(len(txn)); rnd.IntN(4) {
			case 0:
				txn = txn[:max(at, 1)]
			case 1:
				txn[at] = byte(rnd.IntN(256))
			case 2:
				txn[at] = []byte{0, 1, '/', 0xff, 0x80}[rnd.IntN(5)]
			default:
				txn = slices.Insert(txn, at, byte(rnd.IntN(256)))
			}
		}
		if rnd.IntN(2) == 0 && len(txn) >= 24 {
			binary.BigEndian.PutUint64(txn[12:], uint64(tree.Applied()+1)) // what follows is looked at
		}
		if m := misfitOf(tree, txn); m == nil {
			if applied++; !tree.fuzzy {
				everyNodeIsFound(t, tree, txn)
			}
			if tree.Applied() < 1<<40 {
				continue
			}
		} else {
			misfits++
		}
		tree = fresh(i%3 == 0)
	}
	t.Logf("applied %d, misfits %d", applied, misfits)
	if applied < rounds/10 || misfits < rounds/10 {
		t.Error("too few of one kind")
	}
}

func everyNodeIsFound(t *testing.T, tree *Tree, txn []byte) {
	t.Helper()
	v, err := tree.OpenView()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	n := int64(0)
	var x Node
	for more := true; more; {
		var batch []Record
		if batch, more = v.Next(nil); len(batch) > 0 {
			for i := range batch {
				if n++; !tree.Lookup(batch[i].Path, &x) || x.Stat.Mzxid != batch[i].Mzxid {
					t.Fatalf("after %x: no node at %q", txn, batch[i].Path)
				}
			}
		}
	}
	if n != tree.NodeCount() {
		t.Fatalf("after %x: %d nodes are shown, %d counted", txn, n, tree.NodeCount())
	}
}

// Type 16 sets the data of /zookeeper/config and what goes with it, is seen by who watches it, and is
// outside the digest, as Java has it.
func TestAReconfigurationSetsTheConfigNode(t *testing.T) {
	for _, name := range []string{"by itself", "in a multi"} {
		tree := New(Options{})
		const zxid, time = 0x500000003, 12345
		s := step{op: wire.OpReconfig, path: "/zookeeper/config", data: []byte("server.1=a:1:2:participant\nversion=500000003"), version: -1}
		txn := singleTxn(7, zxid, time, s)
		if name == "in a multi" {
			txn = multiTxn(7, zxid, time, []step{s})
		}
		var before, after Node
		tree.Lookup([]byte(s.path), &before)
		want := before.Stat
		want.Mzxid, want.Mtime, want.Version, want.DataLength = zxid, time, -1, int32(len(s.data))
		digest := tree.Digest()
		var res Result
		sink := &recorder{t: t}
		tree.Apply(withDigest(txn, digest), sink, &res)
		tree.Lookup([]byte(s.path), &after)
		if after.Stat != want {
			t.Errorf("%s: stat: got %+v, want %+v", name, after.Stat, want)
		}
		if !res.HasDigest || res.Mismatch || tree.Digest() != digest {
			t.Errorf("%s: digest: got %#x, mismatch %v; want %#x", name, tree.Digest(), res.Mismatch, digest)
		}
		if want := eventText(wire.EventNodeDataChanged, s.path, string(after.ACL)); !slices.Equal(sink.events, []string{want}) {
			t.Errorf("%s: events: got %q, want %q", name, sink.events, want)
		}
	}
}

// access is an Access by a fixed answer; it counts how often it was asked.
type access struct {
	yes   bool
	asked int
}

func (a *access) May(wire.ACLVec, int32) bool { a.asked++; return a.yes }

func (a *access) AppendMasked(dst []byte, acl wire.ACLVec) []byte { return append(dst, "masked"...) }

// arms is an Arm that counts.
type arms struct{ hashes []uint64 }

func (a *arms) Arm(hash uint64) { a.hashes = append(a.hashes, hash) }

func TestReadsAskOnlyWhereTheWorldMayNot(t *testing.T) {
	m := newMachine(t, Options{})
	m.single(t, 1, step{op: wire.OpCreate, path: "/open", acl: wire.OpenACL})
	m.single(t, 1, step{op: wire.OpCreate, path: "/bob", acl: aclC})
	m.single(t, 1, step{op: wire.OpCreate, path: "/read", acl: aclA})
	type read func(path []byte, who Access, arm Arm) wire.Code
	reads := map[string]read{
		"exists":      func(p []byte, w Access, a Arm) wire.Code { _, _, c := m.tree.Exists(nil, p, w, a); return c },
		"getData":     func(p []byte, w Access, a Arm) wire.Code { _, _, c := m.tree.GetData(nil, p, w, a); return c },
		"getChildren": func(p []byte, w Access, a Arm) wire.Code { _, _, c := m.tree.GetChildren(nil, p, w, a, true); return c },
	}
	tests := []struct {
		name, path string
		yes        bool
		want       wire.Code
		asked      int
		arms       bool
	}{
		{"an open node", "/open", false, wire.OK, 0, true},
		{"a node the world may read", "/read", false, wire.OK, 0, true},
		{"a node of bob's, for bob", "/bob", true, wire.OK, 1, true},
		{"a node of bob's, for another", "/bob", false, wire.NoAuth, 1, false},
		{"no node", "/none", false, wire.NoNode, 0, false},
	}
	for _, tt := range tests {
		for name, read := range reads {
			who, arm := &access{yes: tt.yes}, &arms{}
			want := tt.arms || name == "exists" && tt.want == wire.NoNode
			if got := read([]byte(tt.path), who, arm); got != tt.want || who.asked != tt.asked {
				t.Errorf("%s of %s: %v after %d questions, want %v after %d", name, tt.name, got, who.asked, tt.want, tt.asked)
			}
			if want != (len(arm.hashes) == 1 && arm.hashes[0] == Hash([]byte(tt.path))) || !want && len(arm.hashes) > 0 {
				t.Errorf("%s of %s armed %x, want armed = %v", name, tt.name, arm.hashes, want)
			}
		}
	}
	if got, _, code := m.tree.GetACL(nil, []byte("/read"), &access{}, &access{}); code != wire.OK || string(got[:6]) != "masked" {
		t.Errorf("GetACL without ADMIN = %q, %v, want it masked", got, code)
	}
	if _, _, code := m.tree.GetACL(nil, []byte("/bob"), &access{}, &access{}); code != wire.NoAuth {
		t.Errorf("GetACL without READ or ADMIN = %v, want NoAuth", code)
	}
	peek, arm := m.tree.Peek([]byte("/bob"), &arms{}), &arms{}
	if !peek.Exists || peek.Mzxid != 2 || peek.Pzxid != 2 || peek.Applied != 3 {
		t.Errorf("Peek(/bob) = %+v", peek)
	}
	if peek = m.tree.Peek([]byte("/none"), arm); peek.Exists || len(arm.hashes) != 1 {
		t.Errorf("Peek(/none) = %+v, armed %d, want armed", peek, len(arm.hashes))
	}
}

func TestMultiRead(t *testing.T) {
	m := newMachine(t, Options{})
	m.single(t, 1, step{op: wire.OpCreate, path: "/a", data: []byte("x"), acl: wire.OpenACL})
	m.single(t, 1, step{op: wire.OpCreate, path: "/bob", acl: aclC})
	op := func(dst []byte, op wire.Op, path []byte) []byte {
		dst = wire.AppendMultiHeader(dst, op, false, -1)
		return wire.AppendBool(wire.AppendString(dst, path), false)
	}
	body := op(op(op(nil, wire.OpGetData, []byte("/a")), wire.OpGetData, []byte("/none")), wire.OpGetData, []byte("/bob"))
	body = wire.AppendMultiEnd(op(op(body, wire.OpGetChildren, []byte("")), wire.OpGetChildren, nil))
	ops, err := wire.NewMultiIter(body, wire.MultiRead)
	if err != nil {
		t.Fatal(err)
	}
	stat := m.twin.stat("/a")
	want := wire.AppendBuffer(wire.AppendMultiHeader(nil, wire.OpGetData, false, 0), []byte("x"))
	want = wire.AppendStat(want, &stat)
	want = wire.AppendMultiError(wire.AppendMultiError(want, wire.NoNode), wire.NoAuth)
	want = wire.AppendInt(wire.AppendMultiHeader(want, wire.OpGetChildren, false, 0), 3)
	for _, name := range []string{"bob", "a", "zookeeper"} {
		want = wire.AppendString(want, []byte(name))
	}
	want = wire.AppendMultiEnd(wire.AppendMultiError(want, wire.MarshallingError))
	got, zxid := m.tree.MultiRead(nil, ops, &access{})
	if string(got) != string(want) || zxid != 2 {
		t.Errorf("MultiRead = %x, %v\nwant %x", got, zxid, want)
	}
}

func TestContainersAndTTLNodesComeDue(t *testing.T) {
	m := newMachine(t, Options{ExtendedTypes: true})
	for i := range 5 { // mtime 1003, 1006, …
		m.single(t, 1, step{op: wire.OpCreateContainer, path: fmt.Sprintf("/c%d", i), acl: wire.OpenACL})
	}
	m.single(t, 1, step{op: wire.OpCreate, path: "/c0/x", acl: wire.OpenACL})
	m.single(t, 1, step{op: wire.OpCreate, path: "/c1/x", acl: wire.OpenACL})
	m.single(t, 1, step{op: wire.OpDelete, path: "/c1/x"})
	m.single(t, 1, step{op: wire.OpCreateTTL, path: "/t1", acl: wire.OpenACL, owner: 50})
	m.single(t, 1, step{op: wire.OpCreateTTL, path: "/t2", acl: wire.OpenACL, owner: 1 << 39})
	m.single(t, 1, step{op: wire.OpCreateTTL, path: "/t3", acl: wire.OpenACL, owner: 50})
	m.single(t, 1, step{op: wire.OpCreate, path: "/t3/x", acl: wire.OpenACL})
	due := func(now, never int64) (paths []string) {
		for calls := 0; !m.tree.Due(now, never, 2, func(p []byte) { paths = append(paths, string(p)) }); calls++ {
			if calls > 10 {
				t.Fatal("Due never comes round")
			}
		}
		slices.Sort(paths)
		return paths
	}
	tests := []struct {
		name       string
		now, never int64
		want       []string
	}{
		{"a container that had a child goes at once", 1020, 0, []string{"/c1"}},
		{"a TTL node goes after its time", 1200, 0, []string{"/c1", "/t1"}},
		{"containers never used go after theirs", 1200, 100, []string{"/c1", "/c2", "/c3", "/c4", "/t1"}},
		{"but not before", 1020, 10, []string{"/c1", "/c2"}},
	}
	for _, tt := range tests {
		if got := due(tt.now, tt.never); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	m.tree.Due(1200, 0, 1, func([]byte) {}) // leaves the cursor on a record
	for _, p := range []string{"/c4", "/c3", "/c2", "/c1"} {
		m.single(t, 1, step{op: wire.OpDeleteContainer, path: p})
	}
	due(1200, 0)
	if got := due(1200, 0); !slices.Equal(got, []string{"/t1"}) {
		t.Errorf("after the deletes: %v, want /t1", got)
	}
	if c, n := m.tree.ContainerCount(), m.tree.TTLCount(); c != 1 || n != 3 {
		t.Errorf("%d containers and %d TTL nodes, want 1 and 3", c, n)
	}
}

func TestDigestsAreKeptForComparison(t *testing.T) {
	tree := New(Options{})
	for zxid := wire.Zxid(1); zxid <= 128*1030; zxid++ {
		tree.Apply(wire.AppendInt(header(1, zxid, 0, wire.OpError), -101), nil, nil)
	}
	tree.Apply(wire.AppendInt(header(1, 1<<32+128, 0, wire.OpError), -101), nil, nil)
	got := tree.Digests(nil)
	if len(got) != digestKept || got[0].Zxid != 128*8 || got[1022].Zxid != 128*1030 || got[1023].Zxid != 1<<32+128 {
		t.Errorf("%d digests, %v … %v, %v", len(got), got[0].Zxid, got[1022].Zxid, got[len(got)-1].Zxid)
	}
}
