package watch

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"

	"paddock/slab"
	"paddock/wire"
)

func hashOf(path string) uint64 { return xxhash.Sum64String(path) }

// key is one watch: what Each lists.
type key struct {
	path string
	conn uint32
	kind Kind
	mode Mode
}

func byKey(a, b key) int {
	return cmp.Or(strings.Compare(a.path, b.path), cmp.Compare(a.conn, b.conn), cmp.Compare(a.kind, b.kind), cmp.Compare(a.mode, b.mode))
}

// naive is client-protocol.md 6.1 to 6.3 and 6.7 on a set of watches.
type naive map[key]bool

// above returns the ancestors of a path.
func above(path string) []string {
	var all []string
	for path != "/" && path != "" {
		path = path[:strings.LastIndexByte(path, '/')]
		if path == "" {
			path = "/"
		}
		all = append(all, path)
	}
	return all
}

func (n naive) trigger(path string, typ wire.EventType) []uint32 {
	told := map[uint32]bool{}
	hit := func(k key) {
		told[k.conn] = true
		if k.mode == Standard {
			delete(n, k)
		}
	}
	up := above(path)
	for k := range maps.Clone(n) {
		switch {
		case k.path == path && k.kind == Data && typ != wire.EventNodeChildrenChanged,
			k.path == path && k.kind == Child && (typ == wire.EventNodeDeleted || typ == wire.EventNodeChildrenChanged):
			hit(k)
		case k.mode == Recursive && typ != wire.EventNodeChildrenChanged && slices.Contains(up, k.path):
			told[k.conn] = true
		}
	}
	return slices.Sorted(maps.Keys(told))
}

func (n naive) match(conn uint32, path string, kinds []Kind, modes ...Mode) []key {
	var all []key
	for k := range n {
		if k.conn == conn && k.path == path && slices.Contains(kinds, k.kind) && slices.Contains(modes, k.mode) {
			all = append(all, k)
		}
	}
	return all
}

func (n naive) ofType(conn uint32, path string, typ int32, remove bool) []key {
	both := []Kind{Data, Child}
	switch typ {
	case 1:
		return n.match(conn, path, []Kind{Child}, Standard)
	case 2:
		return n.match(conn, path, []Kind{Data}, Standard)
	case 3:
		return n.match(conn, path, both, Standard, Persistent, Recursive)
	case 4:
		if remove {
			return n.match(conn, path, both, Persistent)
		}
		return n.match(conn, path, []Kind{Data}, Persistent)
	}
	return n.match(conn, path, []Kind{Data}, Recursive)
}

func (n naive) counts() (conns, paths, data, child int) {
	c, p, d, ch := map[uint32]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	for k := range n {
		pair := fmt.Sprint(k.conn, k.path)
		if k.kind == Child {
			ch[pair] = true
			continue
		}
		c[k.conn], p[k.path], d[pair] = true, true, true
	}
	return len(c), len(p), len(d), len(ch)
}

// listed is what a table has.
func listed(t *Table) []key {
	var all []key
	t.Each(func(text []byte, conn uint32, kind Kind, mode Mode) {
		all = append(all, key{string(text), conn, kind, mode})
	})
	slices.SortFunc(all, byKey)
	return all
}

// check follows every link of a table and counts again what it has counted.
func check(t *Table) error {
	perConn := map[uint32]int{}
	paths, members, textBytes := 0, 0, 0
	for b := range t.paths.buckets {
		for i := *t.paths.heads.At(t.paths.heads.First() + b); i != 0; i = t.paths.at(i).next {
			paths++
			p := t.paths.at(i)
			textBytes += slab.BlockBytes(len(binary.AppendUvarint(nil, uint64(len(t.text(p))))) + len(t.text(p)))
			if p.tag != tagOf(xxhash.Sum64(t.text(p))) || t.find(t.text(p), p.tag) != i {
				return fmt.Errorf("path %q is not where it belongs", t.text(p))
			}
			if !p.isShared() {
				perConn[p.conn()]++
				continue
			}
			inData, inChild, recursive := int32(0), int32(0), true
			for m, n := p.first(), 0; n == 0 || m != p.first(); n++ {
				x := t.members.at(m)
				members++
				perConn[x.conn()]++
				if x.path != i || t.members.at(x.right).left != m || t.watchOf(i, x.conn()) != memberRef(m) || x.modes() == 0 {
					return fmt.Errorf("member %d of %q is not where it belongs", m, t.text(p))
				}
				if now := x.modes()&dataRecursive != 0; now && !recursive {
					return fmt.Errorf("a recursive member of %q comes behind others", t.text(p))
				} else {
					recursive = now
				}
				inData += x.modes().in(dataModes)
				inChild += x.modes().in(childModes)
				m = x.right
			}
			if inData != p.inData() || inChild != p.inChild() {
				return fmt.Errorf("%q counts %d and %d, has %d and %d", t.text(p), p.inData(), p.inChild(), inData, inChild)
			}
		}
	}
	if paths != t.paths.records.Live() || members != t.members.records.Live() {
		return fmt.Errorf("%d paths and %d members are found, %d and %d are live", paths, members, t.paths.records.Live(), t.members.records.Live())
	}
	if got := t.texts.Live(); got != int64(textBytes) {
		return fmt.Errorf("%d bytes of text are live, of paths that take %d", got, textBytes)
	}
	for c := range t.connLimit {
		n := 0
		for r := t.connAt(c).newest; r != 0; r = t.owned(r).older {
			n++
			if o := t.owned(r); o.conn() != c || o.older != 0 && t.owned(o.older).newer != r {
				return fmt.Errorf("the list of connection %d is broken", c)
			}
		}
		if n != perConn[c] {
			return fmt.Errorf("connection %d has %d watches in its list, %d at paths", c, n, perConn[c])
		}
	}
	return nil
}

// ride is a bit that was set before its watch.
type ride struct {
	path      string
	recursive bool
}

// machine drives a table and its naive twin.
type machine struct {
	filter *Filter
	table  *Table
	twin   naive
	rides  []ride
}

const machineLoop = 5

func newMachine(*rapid.T) *machine {
	f := NewFilter()
	return &machine{filter: f, table: NewTable(f, machineLoop), twin: naive{}}
}

// A few nested paths and a few connections: everything meets everything.
var (
	somePaths = rapid.OneOf(realPaths, realPaths, rapid.SampledFrom([]string{"", "no slash", "/a/", "//", "/" + strings.Repeat("x", 200)}))
	realPaths = rapid.SampledFrom([]string{"/", "/a", "/a/b", "/a/bc"})
	someConns = rapid.SampledFrom([]uint32{0, 1, 2, 70})
	someTypes = rapid.Int32Range(1, 5)
)

func (m *machine) Arm(t *rapid.T) {
	k := key{path: somePaths.Draw(t, "path"), conn: someConns.Draw(t, "conn")}
	switch rapid.IntRange(0, 4).Draw(t, "what") {
	case 0:
		k.kind = Child
	case 1:
		k.mode = Persistent
	case 2:
		k.kind, k.mode = Child, Persistent
	case 3:
		k.mode = Recursive
	}
	m.table.Arm([]byte(k.path), hashOf(k.path), k.conn, k.kind, k.mode)
	m.twin[k] = true
}

func (m *machine) Trigger(t *rapid.T) {
	path := realPaths.Draw(t, "path")
	typ := wire.EventType(rapid.Int32Range(1, 4).Draw(t, "event"))
	got := m.table.Trigger([]byte(path), hashOf(path), typ, nil)
	slices.Sort(got)
	if want := m.twin.trigger(path, typ); !slices.Equal(got, want) {
		t.Fatalf("%v of %q: told %v, want %v", typ, path, got, want)
	}
}

func (m *machine) Check(t *rapid.T) {
	conn, path, typ := someConns.Draw(t, "conn"), somePaths.Draw(t, "path"), someTypes.Draw(t, "type")
	want := len(m.twin.ofType(conn, path, typ, false)) > 0
	if got := m.table.Check(conn, []byte(path), hashOf(path), typ); got != want {
		t.Fatalf("check: got %v, want %v", got, want)
	}
}

func (m *machine) Remove(t *rapid.T) {
	conn, path, typ := someConns.Draw(t, "conn"), somePaths.Draw(t, "path"), someTypes.Draw(t, "type")
	gone := m.twin.ofType(conn, path, typ, true)
	for _, k := range gone {
		delete(m.twin, k)
	}
	if got := m.table.Remove(conn, []byte(path), hashOf(path), typ); got != (len(gone) > 0) {
		t.Fatalf("remove: got %v, want %v", got, len(gone) > 0)
	}
}

func (m *machine) RemoveConn(t *rapid.T) {
	conn := someConns.Draw(t, "conn")
	m.table.RemoveConn(conn)
	for k := range maps.Clone(m.twin) {
		if k.conn == conn {
			delete(m.twin, k)
		}
	}
}

func (m *machine) Reserve(t *rapid.T) {
	r := ride{somePaths.Draw(t, "path"), rapid.Bool().Draw(t, "recursive")}
	m.rides = append(m.rides, r)
	if r.recursive {
		m.table.ReserveRecursive(hashOf(r.path))
	} else {
		m.table.Reserve(hashOf(r.path))
	}
}

func (m *machine) Unreserve(t *rapid.T) {
	if len(m.rides) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.rides)-1).Draw(t, "ride")
	r := m.rides[i]
	m.rides = slices.Delete(m.rides, i, i+1)
	if r.recursive {
		m.table.UnreserveRecursive(hashOf(r.path))
	} else {
		m.table.Unreserve(hashOf(r.path))
	}
}

// invariants compares everything that can be seen, and looks inside.
func (m *machine) invariants(t *rapid.T) {
	if got, want := listed(m.table), slices.SortedFunc(maps.Keys(m.twin), byKey); !slices.Equal(got, want) {
		t.Fatalf("watches: got %v, want %v", got, want)
	}
	conns, paths, data, child := m.twin.counts()
	if c, p, w := m.table.Counts(); c != conns || p != paths || w != data || m.table.ChildWatches() != child {
		t.Fatalf("counts: got %d %d %d and %d, want %d %d %d and %d", c, p, w, m.table.ChildWatches(), conns, paths, data, child)
	}
	if err := check(m.table); err != nil {
		t.Fatal(err)
	}
	m.filterTells(t)
}

// filterTells: the loop's bit is set where there is a watch or a ride, and nowhere else but for
// paths that share a bucket, of which there are none here.
func (m *machine) filterTells(t *rapid.T) {
	exact, recursive := map[string]bool{}, map[string]bool{}
	for k := range m.twin {
		exact[k.path] = true
		recursive[k.path] = recursive[k.path] || k.mode == Recursive
	}
	anyRecursive := false
	for _, r := range m.rides {
		exact[r.path] = true
		recursive[r.path] = recursive[r.path] || r.recursive
	}
	mask := func(set bool) uint64 {
		if set {
			return 1 << machineLoop
		}
		return 0
	}
	for _, p := range []string{"/", "/a", "/a/b", "/a/b/c", "/a/bc", "/d", "", "no slash", "/a/", "//", "/nobody"} {
		if got, want := m.filter.Mask(hashOf(p)), mask(exact[p]); got != want {
			t.Fatalf("mask of %q: got %#x, want %#x", p, got, want)
		}
		if got, want := m.filter.RecursiveMask(hashOf(p)), mask(recursive[p]); got != want {
			t.Fatalf("recursive mask of %q: got %#x, want %#x", p, got, want)
		}
	}
	for _, set := range recursive { // order-free
		anyRecursive = anyRecursive || set
	}
	if got := m.filter.AnyRecursive(); got != anyRecursive {
		t.Fatalf("any recursive: got %v, want %v", got, anyRecursive)
	}
}

func TestTableAgreesWithANaiveOne(t *testing.T) { rapid.Check(t, drive) }

func FuzzTable(f *testing.F) { f.Fuzz(rapid.MakeFuzz(drive)) }

// drive does to both, in any order, all that can be done, and then takes everything away.
func drive(t *rapid.T) {
	m := newMachine(t)
	actions := map[string]func(*rapid.T){
		"arm": m.Arm, "arm too": m.Arm, "arm as well": m.Arm, "trigger": m.Trigger, "check": m.Check, "remove": m.Remove,
		"remove connection": m.RemoveConn, "reserve": m.Reserve, "unreserve": m.Unreserve,
		"": m.invariants,
	}
	for range 3 { // long enough that watches of all kinds meet
		t.Repeat(actions)
	}
	for len(m.rides) > 0 {
		m.Unreserve(t)
	}
	for _, c := range []uint32{0, 1, 2, 70} {
		m.table.RemoveConn(c)
	}
	m.twin = naive{}
	m.invariants(t) // nothing is left, also not in the filter
}

// TestManyPathsAgreeWithANaiveTable grows the table through many splits, and shrinks it again.
func TestManyPathsAgreeWithANaiveTable(t *testing.T) {
	table, twin := NewTable(NewFilter(), 0), naive{}
	const n = 3000
	for i := range n {
		for c := range uint32(i % 4) {
			k := key{path: fmt.Sprintf("/p/%d", i/2), conn: c * 7, kind: Kind(i % 2)}
			table.Arm([]byte(k.path), hashOf(k.path), k.conn, k.kind, k.mode)
			twin[k] = true
		}
	}
	if err := check(table); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < n; i += 3 {
		path := fmt.Sprintf("/p/%d", i/2)
		got := table.Trigger([]byte(path), hashOf(path), wire.EventNodeDataChanged, nil)
		slices.Sort(got)
		if want := twin.trigger(path, wire.EventNodeDataChanged); !slices.Equal(got, want) {
			t.Fatalf("%q: told %v, want %v", path, got, want)
		}
	}
	table.RemoveConn(7)
	maps.DeleteFunc(twin, func(k key, _ bool) bool { return k.conn == 7 })
	if err := check(table); err != nil {
		t.Fatal(err)
	}
	if got, want := listed(table), slices.SortedFunc(maps.Keys(twin), byKey); !slices.Equal(got, want) {
		t.Fatalf("%d watches are left, want %d", len(got), len(want))
	}
}
