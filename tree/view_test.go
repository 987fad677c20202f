package tree

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"paddock/wire"

	"pgregory.net/rapid"
)

func (w *twin) clone() *twin {
	c := &twin{nodes: map[string]*twinNode{}, sessions: maps.Clone(w.sessions), quotas: maps.Clone(w.quotas), zxid: w.zxid, extended: w.extended}
	for p, n := range w.nodes {
		copied := *n
		c.nodes[p] = &copied
	}
	return c
}

// image is what was seen of a view so far: deep copies of its records.
type image struct {
	view    *View
	twin    *twin // as it was when the view was opened
	order   []string
	records map[string]Record
	acls    map[uint32]wire.ACLVec
	parents bool
	done    bool
}

// openImage opens a view, if two are not open yet.
func (m *machine) openImage(t fataler, parentsFirst bool) *image {
	t.Helper()
	v, err := m.tree.OpenView()
	if err != nil {
		t.Fatalf("OpenView: %v", err)
	}
	return newImage(v, m.twin, parentsFirst)
}

func newImage(v *View, w *twin, parentsFirst bool) *image {
	if parentsFirst {
		v.ParentsFirst()
	}
	return &image{view: v, twin: w.clone(), records: map[string]Record{}, parents: parentsFirst}
}

// walk takes up to n records. Records are copied when they are shown, as a writer would encode
// them.
func (i *image) walk(t fataler, n int) {
	t.Helper()
	if i.acls == nil {
		i.acls = map[uint32]wire.ACLVec{0: wire.OpenACL}
		i.view.ACLs(func(id uint32, acl wire.ACLVec) { i.acls[id] = acl })
	}
	records, more := i.view.Next(make([]Record, 0, n))
	for _, r := range records {
		p := string(r.Path)
		if _, twice := i.records[p]; twice {
			t.Fatalf("the view at %v shows %s twice", i.twin.zxid, p)
		}
		if _, ok := i.records[twinParent(p)]; i.parents && !ok && p != "/" {
			t.Fatalf("the view at %v shows %s before its parent", i.twin.zxid, p)
		}
		r.Path, r.Data = bytes.Clone(r.Path), bytes.Clone(r.Data)
		i.records[p] = r
		i.order = append(i.order, p)
	}
	i.done = !more
	if err := i.view.Err(); err != nil {
		t.Fatalf("the view failed: %v", err)
	}
}

// finish walks to the end, compares and closes.
func (i *image) finish(t fataler) {
	t.Helper()
	for !i.done {
		i.walk(t, 7)
	}
	i.compare(t)
	i.view.Close()
	i.view.Close() // twice is fine
}

func (i *image) compare(t fataler) {
	t.Helper()
	v, w := i.view, i.twin
	if v.Zxid() != w.zxid || v.Digest() != w.digest() || v.NodeCount() != int64(len(w.nodes)) {
		t.Fatalf("view at %v, digest %#x, %d nodes, want %v, %#x, %d", v.Zxid(), v.Digest(), v.NodeCount(), w.zxid, w.digest(), len(w.nodes))
	}
	if got := slices.Sorted(maps.Keys(i.records)); !slices.Equal(got, w.paths()) {
		t.Fatalf("the view at %v shows %v, want %v", w.zxid, got, w.paths())
	}
	sessions := map[int64]int32{}
	for _, s := range v.Sessions() {
		sessions[s.ID] = s.TimeoutMS
	}
	if !maps.Equal(sessions, w.sessions) {
		t.Fatalf("the view at %v shows sessions %v, want %v", w.zxid, sessions, w.sessions)
	}
	for p, n := range w.nodes {
		r := i.records[p]
		got := twinNode{
			data: r.Data, acl: string(i.acls[r.ACL]), czxid: r.Czxid, mzxid: r.Mzxid, pzxid: r.Pzxid, ctime: r.Ctime,
			mtime: r.Mtime, version: r.Version, cversion: r.Cversion, aversion: r.Aversion, owner: r.Owner,
		}
		if fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", *n) { // %#v tells null from empty
			t.Fatalf("the view at %v shows %s as %#v,\nwant %#v", w.zxid, p, got, *n)
		}
	}
}

// load builds a tree of what the view has shown, in an order of chance.
func (i *image) load(t fataler, o Options, r *rand.Rand) *Tree {
	t.Helper()
	l := NewLoader(o)
	for _, s := range i.view.Sessions() {
		l.Session(s.ID, s.TimeoutMS)
	}
	for id, acl := range i.acls {
		if id != 0 {
			if err := l.ACL(id, acl); err != nil {
				t.Fatalf("ACL: %v", err)
			}
		}
	}
	r.Shuffle(len(i.order), func(a, b int) { i.order[a], i.order[b] = i.order[b], i.order[a] })
	for _, p := range i.order {
		rec := i.records[p]
		if err := l.Node(&rec); err != nil {
			t.Fatalf("Node: %v", err)
		}
	}
	tree, err := l.Finish(i.view.Zxid(), i.view.Digest())
	if err != nil {
		t.Fatalf("Finish: %v", err)
	}
	return tree
}

// Views are opened, walked a little and closed between transactions; each must show exactly the
// state after its own zxid, and what it shows must load into an equal tree.
func TestViewsShowTheStateAfterOneZxid(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		views := rapid.IntRange(1, 4).Draw(rt, "views")
		m := newMachine(t, Options{Shards: 1 << rapid.IntRange(0, 3).Draw(rt, "shards"), ExtendedTypes: true, Views: views})
		session := rapid.Int64Range(1, 3)
		var open []*image
		actions := map[string]func(*rapid.T){
			"multi": func(rt *rapid.T) {
				var steps []step
				for range rapid.IntRange(1, 4).Draw(rt, "steps") {
					steps = append(steps, drawStep(rt))
				}
				m.multi(rt, session.Draw(rt, "session"), steps)
			},
			"close session": func(rt *rapid.T) {
				zxid, time := m.next()
				id := session.Draw(rt, "session")
				m.run(rt, closeTxn(id, zxid, time, m.twin.closeSession(id, zxid)))
			},
			"open": func(rt *rapid.T) {
				if len(open) < views {
					open = append(open, m.openImage(rt, rapid.Bool().Draw(rt, "parents first")))
				} else if _, err := m.tree.OpenView(); !errors.Is(err, ErrTooManyViews) {
					rt.Fatalf("one view more: %v, want ErrTooManyViews", err)
				}
			},
			"walk": func(rt *rapid.T) {
				if len(open) == 0 {
					rt.Skip()
				}
				if i := rapid.SampledFrom(open).Draw(rt, "view"); !i.done {
					i.walk(rt, rapid.IntRange(1, 5).Draw(rt, "records"))
				}
			},
			"close": func(rt *rapid.T) {
				if len(open) == 0 {
					rt.Skip()
				}
				at := rapid.IntRange(0, len(open)-1).Draw(rt, "at")
				i := open[at]
				open = slices.Delete(open, at, at+1)
				if rapid.Bool().Draw(rt, "early") {
					i.view.Close()
					return
				}
				i.finish(rt)
				i.roundTrip(rt, m.tree.opts)
			},
			"": func(rt *rapid.T) {
				m.twin.compare(rt, m.tree, nil)
				m.tree.check(rt.Fatalf)
			},
		}
		actions["multi again"] = actions["multi"]
		actions["walk again"] = actions["walk"]
		rt.Repeat(actions)
		for _, i := range open {
			i.finish(rt)
		}
		m.tree.check(rt.Fatalf)
		m.tree.checkNothingHeld(rt)
	})
}

// roundTrip loads the image and compares: with the twin, and with a view of the new tree.
func (i *image) roundTrip(t *rapid.T, o Options) {
	o.Shards = 1 << rapid.IntRange(0, 6).Draw(t, "new shards")
	tree := i.load(t, o, rand.New(rand.NewPCG(uint64(i.twin.zxid), 1)))
	for root := range i.twin.quotas { // a loaded tree counts its quotas again
		i.twin.recount(root)
	}
	i.twin.compare(t, tree, nil)
	tree.check(t.Fatalf)
	m := &machine{tree: tree, twin: i.twin, sink: &recorder{}, time: 1 << 20}
	m.openImage(t, true).finish(t)
	zxid, time := m.next()
	s := step{op: wire.OpSetData, path: "/", data: []byte("goes on")}
	m.twin.apply(&s, 1, zxid, time)
	m.tree.Apply(singleTxn(1, zxid, time, s), nil, nil)
	m.twin.compare(t, tree, nil)
}

// checkNothingHeld verifies that closed views have given everything back.
func (t *Tree) checkNothingHeld(f fataler) {
	var records int64
	for i := range t.shards {
		sh := &t.shards[i]
		if len(sh.views) != 0 {
			f.Fatalf("shard %d still has views", i)
		}
		records += int64(sh.nodes.Live())
	}
	if records != t.NodeCount() {
		f.Fatalf("%d records live, want %d", records, t.NodeCount())
	}
}

func TestAViewTooLargeFails(t *testing.T) {
	m := newMachine(t, Options{Shards: 4, ViewBytes: 2000})
	for i := range 50 {
		m.single(t, 1, step{op: wire.OpCreate, path: fmt.Sprintf("/n%d", i), data: make([]byte, 100), acl: wire.OpenACL})
	}
	v, err := m.tree.OpenView()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		m.single(t, 1, step{op: wire.OpSetData, path: fmt.Sprintf("/n%d", i), data: make([]byte, 100)})
	}
	if _, more := v.Next(nil); more || !errors.Is(v.Err(), ErrViewTooLarge) {
		t.Errorf("Next goes on = %v, Err() = %v, want false and ErrViewTooLarge", more, v.Err())
	}
	v.Close()
	m.tree.checkNothingHeld(t)
	m.openImage(t, false).finish(t)
}

// What the walker has passed is not saved: a checkpoint of a busy tree would copy half of it.
func TestAViewWalkedHoldsBackNothingMore(t *testing.T) {
	m := newMachine(t, Options{Shards: 4})
	m.single(t, 1, step{op: wire.OpCreate, path: "/a", data: []byte("x"), acl: wire.OpenACL})
	i := m.openImage(t, false)
	for !i.done {
		i.walk(t, 10)
	}
	m.single(t, 1, step{op: wire.OpSetACL, path: "/a", acl: aclB})
	m.single(t, 1, step{op: wire.OpCreate, path: "/a/b", acl: aclB})
	if got := i.view.HeldBytes(); got != 0 {
		t.Errorf("the view holds %d bytes, want 0", got)
	}
	i.finish(t)
}

// An ACL that no node has any more stays as long as a view may show it, and its id is not given to
// another.
func TestAViewKeepsItsACLs(t *testing.T) {
	m := newMachine(t, Options{})
	m.single(t, 1, step{op: wire.OpCreate, path: "/a", acl: aclB})
	old := m.openImage(t, false)
	m.single(t, 1, step{op: wire.OpSetACL, path: "/a", acl: aclC})
	young := m.openImage(t, false)
	for i := range 20 {
		acl := wire.BuildACL(wire.ACL{Perms: int32(i), Scheme: []byte("digest"), ID: []byte("x:y")})
		m.single(t, 1, step{op: wire.OpSetACL, path: "/a", acl: acl})
	}
	old.finish(t)
	young.finish(t)
	before := len(m.tree.acls.refs)
	for i := range 20 {
		acl := wire.BuildACL(wire.ACL{Perms: int32(i), Scheme: []byte("digest"), ID: []byte("p:q")})
		m.single(t, 1, step{op: wire.OpSetACL, path: "/a", acl: acl})
	}
	if got := len(m.tree.acls.refs); got != before {
		t.Errorf("the table has grown from %d to %d entries, want freed ids used again", before, got)
	}
	if got := m.tree.ACLCount(); got != 3 {
		t.Errorf("ACLCount() = %d, want 3: open, read-only and the last", got)
	}
}

func TestLoaderRefusesWhatDoesNotFit(t *testing.T) {
	tests := []struct {
		name  string
		nodes []Record
		zxid  wire.Zxid
		err   bool
	}{
		{"a root alone gets its built-in nodes", []Record{{Path: []byte("/")}}, 0, false},
		{"the empty path is the root", []Record{{}}, 0, false},
		{"no root", []Record{{Path: []byte("/a")}}, 0, true},
		{"a parent is missing", []Record{{}, {Path: []byte("/a/b")}}, 0, true},
		{"a node twice", []Record{{}, {Path: []byte("/a")}, {Path: []byte("/a")}}, 0, true},
		{"the root twice", []Record{{}, {Path: []byte("/")}}, 0, true},
		{"an ACL nobody has named", []Record{{}, {Path: []byte("/a"), ACL: 3}}, 0, true},
		{"no slash", []Record{{}, {Path: []byte("a")}}, 0, true},
		{"an empty name", []Record{{}, {Path: []byte("/a")}, {Path: []byte("/a//b")}}, 0, true},
		{"a slash at the end", []Record{{}, {Path: []byte("/a/")}}, 0, true},
		{"a node younger than the snapshot", []Record{{}, {Path: []byte("/a"), Czxid: 5}}, 4, true},
		{"a node as old as the snapshot", []Record{{}, {Path: []byte("/a"), Czxid: 5}}, 5, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := NewLoader(Options{Shards: 4})
			var err error
			for i := range tt.nodes {
				err = errors.Join(err, l.Node(&tt.nodes[i]))
			}
			tree, last := l.FinishUnchecked(tt.zxid)
			if err = errors.Join(err, last); (err != nil) != tt.err {
				t.Fatalf("loading failed with %v, want failure = %v", err, tt.err)
			}
			if err == nil {
				tree.check(t.Fatalf)
				if tree.Applied() != tt.zxid || tree.find(configPath, Hash(configPath)) == 0 {
					t.Errorf("at zxid %v, want %v, with /zookeeper/config", tree.Applied(), tt.zxid)
				}
			}
		})
	}
	l := NewLoader(Options{})
	l.Node(&Record{Path: []byte("/")})
	if _, err := l.Finish(0, 42); err == nil {
		t.Error("a wrong digest was accepted")
	}
}
