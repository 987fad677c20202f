package watch

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"paddock/wire"
)

const (
	created  = wire.EventNodeCreated
	deleted  = wire.EventNodeDeleted
	changed  = wire.EventNodeDataChanged
	children = wire.EventNodeChildrenChanged
)

// desk is a table spoken to in strings.
type desk struct{ *Table }

func newDesk() desk { return desk{NewTable(NewFilter(), 0)} }

// arm reads "conn path what", what being data, child, persistent or recursive.
func (d desk) arm(watches ...string) {
	for _, w := range watches {
		f := strings.Fields(w)
		conn, _ := strconv.ParseUint(f[0], 10, 32)
		add := func(k Kind, m Mode) { d.Arm([]byte(f[1]), hashOf(f[1]), uint32(conn), k, m) }
		switch f[2] {
		case "data":
			add(Data, Standard)
		case "child":
			add(Child, Standard)
		case "persistent":
			add(Data, Persistent)
			add(Child, Persistent)
		case "recursive":
			add(Data, Recursive)
		default:
			panic(w)
		}
	}
}

func (d desk) event(typ wire.EventType, path string) []uint32 {
	told := d.Trigger([]byte(path), hashOf(path), typ, nil)
	slices.Sort(told)
	return told
}

type event struct {
	typ  wire.EventType
	path string
	told []uint32
}

func TestEvents(t *testing.T) {
	for _, c := range []struct {
		name    string
		watches []string
		events  []event
	}{
		{"a data watch fires once", []string{"1 /a data"}, []event{{changed, "/a", []uint32{1}}, {changed, "/a", nil}}},
		{"a data watch fires for a deletion", []string{"1 /a data"}, []event{{deleted, "/a", []uint32{1}}, {changed, "/a", nil}}},
		{"a watch on a missing node fires when it is created (fact 76)", []string{"1 /a data"}, []event{{created, "/a", []uint32{1}}}},
		{"a data watch does not fire for children", []string{"1 /a data"}, []event{{children, "/a", nil}, {changed, "/a", []uint32{1}}}},
		{"a child watch fires for children, once", []string{"1 /a child"}, []event{{children, "/a", []uint32{1}}, {children, "/a", nil}}},
		{"a child watch fires for the deletion of its node", []string{"1 /a child"}, []event{{deleted, "/a", []uint32{1}}, {children, "/a", nil}}},
		{"a child watch does not fire for data or creation", []string{"1 /a child"}, []event{{changed, "/a", nil}, {created, "/a", nil}, {children, "/a", []uint32{1}}}},
		{"a watch hears of no other path", []string{"1 /a data", "1 /a child"}, []event{{changed, "/a/b", nil}, {children, "/a/b", nil}, {deleted, "/", nil}, {changed, "/ab", nil}}},
		{"an event spends the watches of its own table only", []string{"1 /a data", "1 /a child"}, []event{{changed, "/a", []uint32{1}}, {children, "/a", []uint32{1}}}},
		{"a deletion tells everybody, whatever they watch", []string{"1 /a data", "1 /a child", "2 /a child", "3 /a data", "3 /a child", "4 /a persistent"}, []event{{deleted, "/a", []uint32{1, 2, 3, 4}}, {deleted, "/a", []uint32{4}}}},
		{"a deletion spends both watches of each of several connections", []string{"1 /a data", "1 /a child", "2 /a data", "2 /a child"}, []event{{deleted, "/a", []uint32{1, 2}}, {deleted, "/a", nil}}},
		{"the same watch set twice is one watch", []string{"1 /a data", "1 /a data"}, []event{{changed, "/a", []uint32{1}}, {changed, "/a", nil}}},
		{"each connection has its own watch", []string{"1 /a data", "2 /a data", "3 /a child"}, []event{{changed, "/a", []uint32{1, 2}}, {children, "/a", []uint32{3}}}},
		{"a deletion tells a connection with data and child watch once, and spends both (facts 77, 78)", []string{"1 /a data", "1 /a child"}, []event{{deleted, "/a", []uint32{1}}, {children, "/a", nil}, {created, "/a", nil}}},
		{"a deletion spends child watches of connections that were told by a persistent one (fact 78)", []string{"1 /a persistent", "1 /a child"}, []event{{deleted, "/a", []uint32{1}}, {deleted, "/a", []uint32{1}}}},
		{"a persistent watch stays, also when the node is deleted and made again (fact 82)", []string{"1 /a persistent"}, []event{{changed, "/a", []uint32{1}}, {deleted, "/a", []uint32{1}}, {created, "/a", []uint32{1}}, {children, "/a", []uint32{1}}, {changed, "/a", []uint32{1}}}},
		{"a persistent watch hears of its own path only", []string{"1 /a persistent"}, []event{{changed, "/a/b", nil}, {created, "/a/b", nil}}},
		{"a recursive watch hears of its path and of everything below", []string{"1 /a recursive"}, []event{{created, "/a", []uint32{1}}, {changed, "/a/b/c", []uint32{1}}, {deleted, "/a/b", []uint32{1}}, {changed, "/ab", nil}, {changed, "/", nil}}},
		{"a recursive watch never hears of children as such (fact 81)", []string{"1 /a recursive"}, []event{{children, "/a", nil}, {children, "/a/b", nil}}},
		{"a recursive watch on the root hears of everything", []string{"1 / recursive"}, []event{{created, "/zookeeper/x", []uint32{1}}, {changed, "/", []uint32{1}}}},
		{"nested recursive watches give one notification (fact 77)", []string{"1 / recursive", "1 /a recursive", "1 /a/b data"}, []event{{changed, "/a/b", []uint32{1}}, {changed, "/a/b", []uint32{1}}}},
		{"standard, persistent and recursive on one path coexist (fact 83)", []string{"1 /a data", "1 /a persistent", "1 /a recursive"}, []event{{changed, "/a", []uint32{1}}, {changed, "/a", []uint32{1}}, {changed, "/a/b", []uint32{1}}, {children, "/a", []uint32{1}}}},
		{"a data watch set over a persistent one does not replace it (fact 83)", []string{"1 /a persistent", "1 /a data"}, []event{{changed, "/a", []uint32{1}}, {changed, "/a", []uint32{1}}}},
		{"a recursive watcher that also watches children hears both, as two events", []string{"1 /a recursive", "1 /a child"}, []event{{created, "/a/b", []uint32{1}}, {children, "/a", []uint32{1}}}},
		{"a recursive watch among many others is found", []string{"1 /a data", "2 /a child", "3 /a recursive", "4 /a data", "5 /a recursive"}, []event{{changed, "/a/b", []uint32{3, 5}}, {children, "/a", []uint32{2}}, {changed, "/a", []uint32{1, 3, 4, 5}}, {changed, "/a", []uint32{3, 5}}}},
		{"the empty path is a path of its own", []string{"1 /a data"}, []event{{changed, "", nil}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk()
			d.arm(c.watches...)
			for i, e := range c.events {
				if got := d.event(e.typ, e.path); !slices.Equal(got, e.told) {
					t.Errorf("event %d, %v of %s: told %v, want %v", i, e.typ, e.path, got, e.told)
				}
				if err := check(d.Table); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestCheckAndRemove(t *testing.T) { // client-protocol.md 6.7
	const (
		childType, dataType, anyType, persistentType, recursiveType = 1, 2, 3, 4, 5
	)
	all := []string{"1 /a data", "1 /a child", "1 /a persistent", "1 /a recursive"}
	for _, c := range []struct {
		name    string
		watches []string
		remove  int32
		found   bool
		left    []int32 // types that are still there
	}{
		{"children takes the standard child watch only", all, childType, true, []int32{2, 3, 4, 5}},
		{"data takes the standard data watch only (fact 92)", all, dataType, true, []int32{1, 3, 4, 5}},
		{"any takes everything", all, anyType, true, nil},
		{"persistent takes both tables'", all, persistentType, true, []int32{1, 2, 3, 5}},
		{"recursive takes the recursive one", all, recursiveType, true, []int32{1, 2, 3, 4}},
		{"data does not find a persistent watch (fact 92)", []string{"1 /a persistent"}, dataType, false, []int32{3, 4}},
		{"data does not find a recursive watch", []string{"1 /a recursive"}, dataType, false, []int32{3, 5}},
		{"children does not find a data watch", []string{"1 /a data"}, childType, false, []int32{2, 3}},
		{"another connection's watch is not found (fact 93)", []string{"2 /a data"}, anyType, false, nil},
		{"another path's watch is not found, also not a recursive one above", []string{"1 / recursive", "1 /a/b data"}, anyType, false, nil},
		{"nothing finds nothing", nil, anyType, false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk()
			d.arm(c.watches...)
			d.arm("9 /a data") // a second connection: the path is shared
			for typ := int32(1); typ <= 5; typ++ {
				before := d.Check(1, []byte("/a"), hashOf("/a"), typ)
				if typ == c.remove && before != c.found {
					t.Errorf("check of type %d: got %v, want %v", typ, before, c.found)
				}
			}
			if got := d.Remove(1, []byte("/a"), hashOf("/a"), c.remove); got != c.found {
				t.Errorf("remove: got %v, want %v", got, c.found)
			}
			for typ := int32(1); typ <= 5; typ++ {
				got := d.Check(1, []byte("/a"), hashOf("/a"), typ)
				if want := slices.Contains(c.left, typ); got != want {
					t.Errorf("type %d afterwards: got %v, want %v", typ, got, want)
				}
			}
			if !d.Check(9, []byte("/a"), hashOf("/a"), dataType) {
				t.Error("somebody else's watch is gone")
			}
		})
	}
}

func TestAPersistentWatchWhoseDataPartIsGoneIsNotFoundButRemoved(t *testing.T) {
	d := newDesk()
	d.Arm([]byte("/a"), hashOf("/a"), 1, Child, Persistent)
	if d.Check(1, []byte("/a"), hashOf("/a"), 4) {
		t.Error("check looks at the data table only")
	}
	if !d.Remove(1, []byte("/a"), hashOf("/a"), 4) {
		t.Error("remove acts on both tables")
	}
}

func TestTypesOfWatches(t *testing.T) {
	for typ := int32(-1); typ <= 7; typ++ {
		if got, want := KnownType(typ), typ >= 1 && typ <= 5; got != want {
			t.Errorf("type %d: got %v, want %v", typ, got, want)
		}
	}
}

func TestWatchesDieWithTheirConnection(t *testing.T) { // fact 94
	d := newDesk()
	d.arm("1 /a data", "2 /a data", "1 /b persistent", "1 / recursive", "1 /c child")
	d.RemoveConn(1)
	d.RemoveConn(1)
	d.RemoveConn(1000)
	if got := listed(d.Table); !slices.Equal(got, []key{{"/a", 2, Data, Standard}}) {
		t.Errorf("left: %v", got)
	}
	if got := d.event(changed, "/b"); got != nil {
		t.Errorf("told %v", got)
	}
	d.arm("1 /b data") // the number is used again
	if got := d.event(changed, "/b"); !slices.Equal(got, []uint32{1}) {
		t.Errorf("told %v, want the new connection 1", got)
	}
}

func TestCountsAreThoseOfTheDataTable(t *testing.T) { // fact 120
	d := newDesk()
	d.arm("1 /a data", "2 /a data", "2 /b data", "3 /a child", "2 /c persistent", "2 /b recursive")
	if c, p, w := d.Counts(); c != 2 || p != 3 || w != 4 {
		t.Errorf("%d connections watching %d paths, %d watches; want 2, 3, 4", c, p, w)
	}
	if got := d.ChildWatches(); got != 2 {
		t.Errorf("%d child watches, want 2", got)
	}
}

func TestTriggerAppends(t *testing.T) {
	d := newDesk()
	d.arm("1 /a data")
	if got := d.Trigger([]byte("/a"), hashOf("/a"), changed, []uint32{7}); !slices.Equal(got, []uint32{7, 1}) {
		t.Errorf("got %v, want what was there and connection 1", got)
	}
}

func TestWhenEventNumbersBeginAgainNobodyCountsAsTold(t *testing.T) {
	d := newDesk()
	d.arm("1 /a persistent")
	d.event(changed, "/a") // number 1
	d.Table.event = 1<<32 - 1
	if got := d.event(changed, "/a"); !slices.Equal(got, []uint32{1}) {
		t.Errorf("told %v, want connection 1", got)
	}
}

func TestReservations(t *testing.T) {
	f := NewFilter()
	a, b := NewTable(f, 0), NewTable(f, 63)
	h := hashOf("/a")
	a.Reserve(h)
	b.Reserve(h)
	a.Arm([]byte("/a"), h, 1, Data, Standard)
	a.Unreserve(h)
	b.Unreserve(h)
	if got := f.Mask(h); got != 1 {
		t.Errorf("armed on loop 0, let go on loop 63: mask %#x, want 0x1", got)
	}
	a.Trigger([]byte("/a"), h, changed, nil)
	if got := f.Mask(h); got != 0 {
		t.Errorf("fired: mask %#x, want 0", got)
	}
	b.ReserveRecursive(h)
	if f.RecursiveMask(h) != 1<<63 || f.Mask(h) != 1<<63 || !f.AnyRecursive() {
		t.Error("a recursive watch that is to come is not in the filter")
	}
	b.UnreserveRecursive(h)
	if f.RecursiveMask(h) != 0 || f.Mask(h) != 0 || f.AnyRecursive() {
		t.Error("let go, and still in the filter")
	}
}

func TestABitHeldTooOftenToCountIsNeverLetGo(t *testing.T) {
	f := NewFilter()
	table := NewTable(f, 0)
	const n = 1<<16 + 10
	for range n {
		table.Reserve(1)
	}
	for range n {
		table.Unreserve(1)
	}
	if f.Mask(1) != 1 {
		t.Error("a bit was cleared that may be held")
	}
}

func TestMisusePanics(t *testing.T) {
	for _, c := range []struct {
		name string
		call func()
	}{
		{"a loop that has no bit", func() { NewTable(NewFilter(), 64) }},
		{"a recursive child watch", func() { NewTable(NewFilter(), 0).Arm(nil, 0, 0, Child, Recursive) }},
		{"a connection that does not fit", func() { NewTable(NewFilter(), 0).Arm(nil, 0, maxConn+1, Data, Standard) }},
		{"a reservation let go twice", func() { NewTable(NewFilter(), 0).Unreserve(1) }},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", c.name)
				}
			}()
			c.call()
		}()
	}
}

func TestSizesOfRecords(t *testing.T) {
	if got := unsafe.Sizeof(path{}); got != pathBytes {
		t.Errorf("path: %d bytes, want %d", got, pathBytes)
	}
	if got := unsafe.Sizeof(member{}); got != memberBytes {
		t.Errorf("member: %d bytes, want %d", got, memberBytes)
	}
	if got := unsafe.Sizeof(conn{}); got != connBytes {
		t.Errorf("conn: %d bytes, want %d", got, connBytes)
	}
}

// TestAnArmedReadIsNeverMissed: a loop reads a node under its lock and arms; apply changes the node under
// the same lock and asks the filter. Whoever has read a state is told of every later one until the watch is gone.
func TestAnArmedReadIsNeverMissed(t *testing.T) {
	const loops, rounds = 4, 2000
	type span struct{ read, until int } // versions
	var (
		f       = NewFilter()
		path    = []byte("/node")
		h       = hashOf("/node")
		shard   sync.RWMutex
		version int                 // guarded by shard
		told    [loops]map[int]bool // guarded by shard
		armed   [loops][rounds]span // each loop's own
		wg      sync.WaitGroup
	)
	for l := range loops {
		told[l] = map[int]bool{}
		table := NewTable(f, l)
		wg.Go(func() {
			for i := range rounds {
				s := &armed[l][i]
				shard.RLock()
				s.read = version
				table.Reserve(h)
				shard.RUnlock()
				runtime.Gosched() // here apply may come
				table.Arm(path, h, 1, Data, Standard)
				table.Unreserve(h)
				runtime.Gosched()
				shard.RLock()
				s.until = version
				shard.RUnlock()
				table.Trigger(path, h, changed, nil)
			}
		})
	}
	wg.Go(func() {
		for range 4 * rounds {
			shard.Lock()
			version++
			for l := range loops {
				if f.Mask(h)>>l&1 != 0 {
					told[l][version] = true
				}
			}
			shard.Unlock()
			runtime.Gosched()
		}
	})
	wg.Wait()
	seen := 0
	for l := range loops {
		for _, s := range armed[l] {
			for v := s.read + 1; v <= s.until; v++ {
				seen++
				if !told[l][v] {
					t.Fatalf("loop %d read version %d, watched until %d, and was not told of %d", l, s.read, s.until, v)
				}
			}
		}
	}
	if seen == 0 {
		t.Error("nothing ever changed while it was watched: the test has tested nothing")
	}
}

// resident returns the memory of this process that is backed, in bytes; 0 where it cannot be known. What
// earlier tests have left may be unmapped meanwhile, so a difference is a hint and no more.
func resident() int {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, _ := strconv.Atoi(strings.Fields(string(b))[1])
	return pages * os.Getpagesize()
}

// TestAMillionWatches is the target: at most 60 bytes a watch at a million watches.
func TestAMillionWatches(t *testing.T) {
	if underRace {
		t.Skip("memory is measured without the race detector")
	}
	for _, c := range []struct {
		name   string
		n      int
		path   func(i int) string
		target float64 // bytes a watch, all in all
	}{
		{"a million distinct paths of 19 bytes", 1_000_000, func(i int) string { return fmt.Sprintf("/bench/node-%07d", i) }, 60},
		{"distinct paths of 42 bytes", 200_000, func(i int) string { return fmt.Sprintf("/services/payment/instances/node-%09d", i) }, 84},
		{"a thousand paths watched by two hundred connections each", 200_000, func(i int) string { return fmt.Sprintf("/bench/node-%07d", i%1000) }, 40},
	} {
		t.Run(c.name, func(t *testing.T) {
			debug.FreeOSMemory()
			before := resident()
			table := NewTable(NewFilter(), 0)
			text := 0
			for i := range c.n {
				p := c.path(i)
				if table.find([]byte(p), tagOf(hashOf(p))) == 0 {
					text += len(p)
				}
				table.Arm([]byte(p), hashOf(p), uint32(i/1000), Data, Standard)
			}
			if _, _, w := table.Counts(); w != c.n {
				t.Fatalf("%d watches, want %d", w, c.n)
			}
			debug.FreeOSMemory()
			rss := float64(resident()-before) / float64(c.n)
			blocks := float64(table.texts.Live()) / float64(c.n)
			all := float64(table.Bytes()) / float64(c.n)
			t.Logf("bytes a watch: table %.1f + path text %.1f (%.1f before rounding) = %.1f; resident, with the filter: %.1f",
				all-blocks, blocks, float64(text)/float64(c.n), all, rss)
			if all > c.target {
				t.Errorf("%.1f bytes a watch, want at most %.0f", all, c.target)
			}
			for i := range uint32(1000) {
				table.RemoveConn(i)
			}
			if _, _, w := table.Counts(); w != 0 || table.Bytes() > 2<<20 {
				t.Errorf("empty: %d watches, %d bytes", w, table.Bytes())
			}
			runtime.KeepAlive(table)
		})
	}
}

func TestATableInUseAllocatesNothing(t *testing.T) {
	table := NewTable(NewFilter(), 0)
	var told []uint32
	paths := make([][]byte, 64)
	for i := range paths {
		paths[i] = fmt.Appendf(nil, "/a/b/%d", i)
	}
	round := func() {
		for i, p := range paths {
			h := hashOf(string(p))
			table.Reserve(h)
			table.Arm(p, h, uint32(i), Data, Standard)
			table.Arm(p, h, uint32(i+1), Child, Standard)
			table.Arm(p, h, uint32(i), Data, Recursive)
			table.Unreserve(h)
			table.Check(uint32(i), p, h, 2)
			told = table.Trigger(p, h, deleted, told[:0])
			table.Remove(uint32(i), p, h, 5)
		}
		for i := range uint32(65) {
			table.RemoveConn(i)
		}
	}
	round()
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations a round, want 0", n)
	}
}

// longest returns the length of an index's longest chain.
func longest[T any, R record[T]](x *index[T, R]) int {
	most := 0
	for b := range x.buckets {
		n := 0
		for i := *x.heads.At(x.heads.First() + b); i != 0; i = *x.at(i).chain() {
			n++
		}
		most = max(most, n)
	}
	return most
}

// TestChainsStayShort: no call pays for the size of the table. With as many buckets as records the
// longest of 100,000 chains has about eight records, if they are spread well.
func TestChainsStayShort(t *testing.T) {
	table := NewTable(NewFilter(), 0)
	for i := range 50_000 {
		p := fmt.Sprintf("/bench/node-%07d", i)
		table.Arm([]byte(p), hashOf(p), uint32(i%100), Data, Standard)
		table.Arm([]byte(p), hashOf(p), uint32(i%100+100), Data, Standard)
	}
	if got := longest(&table.paths); got > 12 {
		t.Errorf("the longest chain of %d paths has %d", table.paths.records.Live(), got)
	}
	if got := longest(&table.members); got > 12 {
		t.Errorf("the longest chain of %d members has %d", table.members.records.Live(), got)
	}
}

func BenchmarkArmAndTrigger(b *testing.B) {
	for _, others := range []int{0, 1_000_000} {
		b.Run(fmt.Sprintf("among-%d", others), func(b *testing.B) {
			table := NewTable(NewFilter(), 0)
			for i := range others {
				p := fmt.Appendf(nil, "/bench/node-%07d", i)
				table.Arm(p, hashOf(string(p)), uint32(i%1000), Data, Standard)
			}
			p := []byte("/a/b/c")
			h := hashOf(string(p))
			var told []uint32
			b.ReportAllocs()
			for b.Loop() {
				table.Arm(p, h, 1, Data, Standard)
				told = table.Trigger(p, h, changed, told[:0])
			}
		})
	}
}

func BenchmarkArmManyPaths(b *testing.B) {
	const n = 1 << 20
	paths, hashes := make([][]byte, n), make([]uint64, n)
	for i := range paths {
		paths[i] = fmt.Appendf(nil, "/bench/node-%07d", i)
		hashes[i] = hashOf(string(paths[i]))
	}
	table := NewTable(NewFilter(), 0)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		if i == n {
			b.StopTimer()
			table, i = NewTable(NewFilter(), 0), 0
			b.StartTimer()
		}
		table.Arm(paths[i], hashes[i], uint32(i%1000), Data, Standard)
		i++
	}
}

func BenchmarkTriggerAHerd(b *testing.B) {
	const n = 10_000
	table := NewTable(NewFilter(), 0)
	p := []byte("/lock")
	h := hashOf("/lock")
	var told []uint32
	b.ReportAllocs()
	for b.Loop() {
		for c := range uint32(n) {
			table.Arm(p, h, c, Data, Standard)
		}
		told = table.Trigger(p, h, deleted, told[:0])
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/watch")
}

func BenchmarkFilterMask(b *testing.B) {
	f := NewFilter()
	h := hashOf("/a")
	b.ReportAllocs()
	for b.Loop() {
		f.Mask(h)
	}
}
