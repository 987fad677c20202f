package tree

import (
	"fmt"
	"testing"

	"paddock/wire"
)

func TestQuotaText(t *testing.T) {
	tests := []struct {
		name, text string
		ok         bool
		count      int64
		canonical  string
	}{
		{"nothing", "", true, -1, "count=-1,bytes=-1"},
		{"the old form", "count=5,bytes=10", true, 5, "count=5,bytes=10"},
		{"keys in another order", "bytes=10,count=5", true, 5, "count=5,bytes=10"},
		{"hard limits, as ZooKeeper writes them", "count=5,bytes=10=;byteHardLimit=7;countHardLimit=6", true, 5, "count=5,bytes=10=;byteHardLimit=7;countHardLimit=6"},
		{"hard limits alone", "countHardLimit=6", true, -1, "count=-1,bytes=-1=;countHardLimit=6"},
		{"runs of separators", "count=5,;,bytes=10;", true, 5, "count=5,bytes=10"},
		{"an unknown key stays", "zeta=3,count=5,alpha=2", true, 5, "count=5,bytes=-1=;alpha=2;zeta=3"},
		{"the last of two wins", "count=5,count=6", true, 6, "count=6,bytes=-1"},
		{"a sign", "count=+5,bytes=-2", true, 5, "count=5,bytes=-2"},
		{"a separator first", ",count=5", false, 0, ""},
		{"no number", "count=", false, 0, ""},
		{"no value", "count", false, 0, ""},
		{"words", "hello world", false, 0, ""},
		{"a number too large", "count=9223372036854775808", false, 0, ""},
		{"a fraction", "count=1.5", false, 0, ""},
		{"more keys than anybody has", "a=1,b=1,c=1,d=1,e=1,f=1,g=1,h=1,i=1,j=1,k=1,l=1,m=1", false, 0, ""},
	}
	for _, tt := range tests {
		var k tracked
		if ok := k.parse([]byte(tt.text)); ok != tt.ok {
			t.Errorf("%s: parse(%q) = %v, want %v", tt.name, tt.text, ok, tt.ok)
			continue
		}
		if !tt.ok {
			continue
		}
		if got := k.get(countKey); got != tt.count {
			t.Errorf("%s: count of %q = %d, want %d", tt.name, tt.text, got, tt.count)
		}
		if got := string(k.append(nil)); got != tt.canonical {
			t.Errorf("%s: %q is written as %q, want %q", tt.name, tt.text, got, tt.canonical)
		}
	}
}

// quotaMachine has /q and /q/sub with 3 and 2 bytes, and a quota on /q.
func quotaMachine(t *testing.T) *machine {
	m := newMachine(t, Options{})
	m.set(t, wire.OpCreate, "/q", "abc")
	m.set(t, wire.OpCreate, "/q/sub", "de")
	m.set(t, wire.OpCreate, "/zookeeper/quota/q", "")
	m.set(t, wire.OpCreate, "/zookeeper/quota/q/zookeeper_limits", "count=10,bytes=100=;byteHardLimit=200")
	m.set(t, wire.OpCreate, "/zookeeper/quota/q/zookeeper_stats", "count=0,bytes=0")
	return m
}

func (m *machine) set(t *testing.T, op wire.Op, path, data string) {
	t.Helper()
	if !m.single(t, 1, step{op: op, path: path, data: []byte(data), acl: wire.OpenACL}) {
		t.Fatalf("%v %s does not fit", op, path)
	}
}

func (m *machine) stats(t *testing.T, path string) string {
	t.Helper()
	reply, _, code := m.tree.GetData(nil, []byte(path), nil, nil)
	if code != wire.OK {
		t.Fatalf("GetData(%s) = %v", path, code)
	}
	r := wire.NewReader(reply)
	return string(r.Buffer())
}

func TestQuotasAreCounted(t *testing.T) {
	const stats = "/zookeeper/quota/q/zookeeper_stats"
	m := quotaMachine(t)
	steps := []struct {
		name string
		do   func()
		want string
	}{
		{"creating the stats node counts the subtree", func() {}, "count=2,bytes=5"},
		{"a create below", func() { m.set(t, wire.OpCreate, "/q/sub/x", "fghi") }, "count=3,bytes=9"},
		{"a setData below", func() { m.set(t, wire.OpSetData, "/q/sub", "") }, "count=3,bytes=7"},
		{"a setData on the root of the quota", func() { m.set(t, wire.OpSetData, "/q", "abcdef") }, "count=3,bytes=10"},
		{"a create beside", func() { m.set(t, wire.OpCreate, "/qq", "xx") }, "count=3,bytes=10"},
		{"a delete below", func() { m.set(t, wire.OpDelete, "/q/sub/x", "") }, "count=2,bytes=6"},
		{"a client may overwrite, and counting goes on from there", func() {
			m.set(t, wire.OpSetData, stats, "count=100,bytes=100")
			m.set(t, wire.OpCreate, "/q/y", "1")
		}, "count=101,bytes=101"},
		{"text that cannot be read is counted again", func() {
			m.set(t, wire.OpSetData, stats, "count=hello")
			m.set(t, wire.OpDelete, "/q/y", "")
		}, "count=2,bytes=6"},
		{"a nearer quota takes over", func() {
			m.set(t, wire.OpCreate, "/zookeeper/quota/q/sub", "")
			m.set(t, wire.OpCreate, "/zookeeper/quota/q/sub/zookeeper_limits", "")
			m.set(t, wire.OpCreate, "/q/sub/z", "zz")
		}, "count=2,bytes=6"},
		{"until it is gone", func() {
			m.set(t, wire.OpDelete, "/zookeeper/quota/q/sub/zookeeper_limits", "")
			m.set(t, wire.OpDelete, "/q/sub/z", "")
		}, "count=1,bytes=4"},
	}
	for _, s := range steps {
		var before, after Node
		s.do()
		m.tree.Lookup([]byte(stats), &before)
		if got := m.stats(t, stats); got != s.want {
			t.Errorf("%s: stats are %q, want %q", s.name, got, s.want)
		}
		m.set(t, wire.OpSetData, "/q", m.stats(t, "/q")) // touches the quota, changes nothing
		m.tree.Lookup([]byte(stats), &after)
		before.Applied = after.Applied
		if fmt.Sprint(before) != fmt.Sprint(after) {
			t.Errorf("%s: counting changed the stat of the stats node", s.name)
		}
	}
}

func TestQuotaForTheSequencer(t *testing.T) {
	m := quotaMachine(t)
	var q Quota
	for _, path := range []string{"/q", "/q/sub", "/q/sub/not/there"} {
		if !m.tree.Quota([]byte(path), &q) {
			t.Fatalf("no quota for %s", path)
		}
		want := Quota{Root: []byte("/q"), CountSoft: 10, CountHard: -1, BytesSoft: 100, BytesHard: 200, Count: 2, Bytes: 5, Counted: true}
		if fmt.Sprint(q) != fmt.Sprint(want) {
			t.Errorf("quota of %s is %+v, want %+v", path, q, want)
		}
	}
	for _, path := range []string{"/", "/qq", "/zookeeper", "/zookeeper/quota/q"} {
		if m.tree.Quota([]byte(path), &q) {
			t.Errorf("%s has quota %+v, want none", path, q)
		}
	}
	m.set(t, wire.OpSetData, "/zookeeper/quota/q/zookeeper_limits", "hello")
	m.set(t, wire.OpSetData, "/zookeeper/quota/q/zookeeper_stats", "hello")
	if !m.tree.Quota([]byte("/q"), &q) || q.CountSoft != -1 || q.CountHard != -1 || q.BytesSoft != -1 || q.BytesHard != -1 || q.Count != 0 {
		t.Errorf("text that cannot be read gives %+v, want no limits and no usage", q)
	}
}

// What crashes ZooKeeper (client-protocol.md 15) is ordinary here.
func TestQuotaHazards(t *testing.T) {
	m := newMachine(t, Options{})
	m.set(t, wire.OpCreate, "/zookeeper/quota/zookeeper_limits", "count=1")
	m.set(t, wire.OpCreate, "/zookeeper/quota/zookeeper_stats", "count=1")
	m.set(t, wire.OpCreate, "/a", "x")
	var q Quota
	if m.tree.Quota([]byte("/a"), &q) {
		t.Errorf("a quota on the root counts: %+v", q)
	}
	if got := m.stats(t, "/zookeeper/quota/zookeeper_stats"); got != "count=1" {
		t.Errorf("its stats are %q, want them as they were written", got)
	}
	m.set(t, wire.OpCreate, "/zookeeper/quota/gone", "")
	m.set(t, wire.OpCreate, "/zookeeper/quota/gone/zookeeper_limits", "")
	m.set(t, wire.OpCreate, "/gone", "abc")
	m.set(t, wire.OpCreate, "/zookeeper/quota/gone/zookeeper_stats", "")
	if got := m.stats(t, "/zookeeper/quota/gone/zookeeper_stats"); got != "count=1,bytes=3" {
		t.Errorf("stats made after the node are %q, want count=1,bytes=3", got)
	}
	m.set(t, wire.OpDelete, "/zookeeper/quota/gone/zookeeper_stats", "")
	m.set(t, wire.OpDelete, "/gone", "")
	m.twin.compare(t, m.tree, nil)
}

func FuzzQuotaText(f *testing.F) {
	f.Add([]byte("count=5,bytes=10=;byteHardLimit=7"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var k, again tracked
		if !k.parse(text) {
			return
		}
		canonical := k.append(nil)
		if !again.parse(canonical) || again.get(countKey) != k.get(countKey) || again.get(bytesKey) != k.get(bytesKey) {
			t.Errorf("%q is written as %q, which reads otherwise", text, canonical)
		}
	})
}
