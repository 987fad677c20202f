package tree

import (
	"errors"
	"strings"
	"testing"

	"paddock/wire"

	"pgregory.net/rapid"
)

// A history is every state of a twin, and the transactions between them.
type history struct {
	states []*twin
	txns   [][]byte // txns[i] leads from states[i] to states[i+1]
}

func drawHistory(t *rapid.T) *history {
	h := &history{states: []*twin{newTwin()}}
	for range rapid.IntRange(1, 40).Draw(t, "transactions") {
		w := h.states[len(h.states)-1].clone()
		w.zxid++
		time := int64(w.zxid) * 10
		if rapid.IntRange(0, 9).Draw(t, "close") == 0 {
			h.txns = append(h.txns, closeTxn(1, w.zxid, time, w.closeSession(1, w.zxid)))
		} else {
			var done []step
			for range rapid.IntRange(1, 3).Draw(t, "steps") {
				if s := drawFit(t, w); w.apply(&s, 1, w.zxid, time) {
					done = append(done, s)
				}
			}
			h.txns = append(h.txns, multiTxn(1, w.zxid, time, done))
		}
		h.states = append(h.states, w)
	}
	return h
}

// drawFit draws a step that fits most of the time: nodes of one deep branch come and go.
func drawFit(t *rapid.T, w *twin) step {
	s := drawStep(t)
	s.path = rapid.SampledFrom([]string{"/a", "/a/b", "/a/b/c", "/b"}).Draw(t, "branch")
	switch n := w.nodes[s.path]; {
	case n != nil && len(w.children(s.path)) == 0:
		s.op = rapid.SampledFrom([]wire.Op{wire.OpDelete, wire.OpDelete, wire.OpSetData, wire.OpSetACL}).Draw(t, "leaf")
	case n != nil:
		s.op = wire.OpSetData
	default:
		s.op = rapid.SampledFrom([]wire.Op{wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer}).Draw(t, "missing")
		if s.path != "/a/b/c" && s.path != "/b" {
			s.owner = 0 // it is to have children
		}
	}
	return s
}

// snapshot writes a tree down as Java does, from states[at] on, while time goes on: each node is
// consistent in itself, with the names of its children, and children that have gone meanwhile are
// left out.
func (h *history) snapshot(t *rapid.T, l *Loader, at *int, path string, acls map[string]uint32) {
	n := h.states[*at].nodes[path]
	if n == nil {
		return
	}
	id, ok := acls[n.acl]
	if !ok {
		id = uint32(len(acls) + 1)
		acls[n.acl] = id
		l.ACL(id, wire.ACLVec(n.acl))
	}
	rec := Record{
		Path: []byte(path), Data: n.data, ACL: id, Czxid: n.czxid, Mzxid: n.mzxid, Pzxid: n.pzxid, Ctime: n.ctime, Mtime: n.mtime,
		Version: n.version, Cversion: n.cversion, Aversion: n.aversion, Owner: n.owner,
	}
	if err := l.Node(&rec); err != nil {
		t.Fatalf("Node: %v", err)
	}
	names := h.states[*at].children(path)
	for _, name := range names {
		*at = min(*at+rapid.SampledFrom([]int{0, 1, 5, 20}).Draw(t, "time goes on"), len(h.states)-1)
		h.snapshot(t, l, at, strings.TrimSuffix(path, "/")+"/"+name, acls)
	}
}

func TestAFuzzySnapshotAndItsLogGiveTheExactState(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := drawHistory(rt)
		begin := rapid.IntRange(0, len(h.txns)-1).Draw(rt, "begin")
		l := NewLoader(Options{Shards: 4, ExtendedTypes: rapid.Bool().Draw(rt, "extended"), Fuzzy: true})
		end := begin
		h.snapshot(rt, l, &end, "/", map[string]uint32{})
		tree, err := l.FinishUnchecked(h.states[begin].zxid)
		if err != nil {
			rt.Fatalf("Finish: %v", err)
		}
		if _, err := tree.OpenView(); !errors.Is(err, ErrFuzzy) {
			rt.Fatalf("OpenView: %v, want ErrFuzzy", err)
		}
		for i, txn := range h.txns[begin:] {
			tree.Apply(withDigest(txn, 0), nil, nil)
			tree.check(rt.Fatalf)
			if err := tree.Settle(); err != nil && begin+i+1 >= end {
				rt.Fatalf("Settle at %v, after the snapshot's end %v: %v", tree.Applied(), end, err)
			}
			tree.fuzzy = begin+i+1 < end
		}
		w := h.states[len(h.states)-1]
		w.extended = tree.opts.ExtendedTypes
		w.compare(rt, tree, somePaths)
	})
}

func TestSettleWantsAllThatTheSnapshotHasSeen(t *testing.T) {
	l := NewLoader(Options{Fuzzy: true})
	l.Node(&Record{})
	l.Node(&Record{Path: []byte("/a"), Czxid: 7})
	tree, err := l.FinishUnchecked(5)
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.Settle(); !errors.Is(err, ErrFuzzy) {
		t.Errorf("Settle at zxid 5 with a node of 7: %v, want ErrFuzzy", err)
	}
	for zxid := wire.Zxid(6); zxid <= 7; zxid++ {
		tree.Apply(wire.AppendInt(header(1, zxid, 0, wire.OpError), -101), nil, nil)
	}
	if err := tree.Settle(); err != nil {
		t.Errorf("Settle at zxid 7: %v", err)
	}
}
