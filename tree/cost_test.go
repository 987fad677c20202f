package tree

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"

	"paddock/wire"
)

// A txns makes transactions without allocating: one buffer, overwritten.
type txns struct {
	zxid wire.Zxid
	buf  []byte
}

func (x *txns) header(op wire.Op) {
	x.zxid++
	h := wire.TxnHeader{ClientID: 1, Zxid: x.zxid, Time: int64(x.zxid), Type: op}
	x.buf = h.Append(x.buf[:0])
}

func (x *txns) create(path, data []byte, ephemeral bool, parentCversion int32) []byte {
	x.header(wire.OpCreate)
	body := wire.CreateTxn{Path: path, Data: data, ACL: wire.OpenACL, Ephemeral: ephemeral, ParentCVersion: parentCversion}
	x.buf = body.Append(x.buf)
	return x.buf
}

func (x *txns) setData(path, data []byte, version int32) []byte {
	x.header(wire.OpSetData)
	body := wire.SetDataTxn{Path: path, Data: data, Version: version}
	x.buf = body.Append(x.buf)
	return x.buf
}

func (x *txns) delete(path []byte) []byte {
	x.header(wire.OpDelete)
	body := wire.DeleteTxn{Path: path}
	x.buf = body.Append(x.buf)
	return x.buf
}

// grown returns a tree with n znodes of size bytes under 1+n/1000 parents.
func grown(n, size int) (*Tree, *txns) {
	t, x := New(Options{}), &txns{}
	data := make([]byte, size)
	var path []byte
	for i := range n {
		if i%1000 == 0 {
			path = fmt.Appendf(path[:0], "/parent-%d", i/1000)
			t.Apply(x.create(path, data, false, int32(i/1000)+1), nil, nil)
		}
		t.Apply(x.create(pathOf(path[:0], i), data, false, int32(i%1000)+1), nil, nil)
	}
	return t, x
}

func pathOf(dst []byte, i int) []byte {
	dst = strconv.AppendInt(append(dst, "/parent-"...), int64(i/1000), 10)
	return strconv.AppendInt(append(dst, "/node-"...), int64(i), 10)
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	tree, x := grown(2000, 100)
	var res Result
	sink := noSink{}
	who, arm := &access{yes: true}, &arms{hashes: make([]uint64, 0, 1<<20)}
	buf := make([]byte, 0, 1<<16)
	a, p, e := []byte("/parent-1/node-1500"), []byte("/parent-1"), []byte("/parent-0/e")
	data, other := make([]byte, 90), make([]byte, 300)
	tree.Apply(singleTxn(1, x.zxid+1, 0, step{op: wire.OpSetACL, path: string(p), acl: aclC, version: 1}), nil, nil)
	x.zxid++
	body := wire.AppendBool(wire.AppendString(wire.AppendMultiHeader(nil, wire.OpGetData, false, -1), a), false)
	ops, err := wire.NewMultiIter(wire.AppendMultiEnd(body), wire.MultiRead)
	if err != nil {
		t.Fatal(err)
	}
	multi := multiTxn(1, 0, 0, []step{
		{op: wire.OpCreate, path: string(e), data: data, acl: wire.OpenACL},
		{op: wire.OpCheck, path: string(a)},
		{op: wire.OpSetData, path: string(a), data: data, version: 5},
		{op: wire.OpDelete, path: string(e)},
	})
	version := int32(0)
	quota := Quota{}
	var node Node
	tests := []struct {
		name string
		run  func()
	}{
		{"exists", func() { tree.Exists(buf, a, who, arm) }},
		{"exists of a missing node", func() { tree.Exists(buf, []byte("/none"), who, arm) }},
		{"getData", func() { tree.GetData(buf, a, who, arm) }},
		{"getChildren of a node with an ACL of its own", func() { tree.GetChildren(buf, p, who, arm, true) }},
		{"getACL", func() { tree.GetACL(buf, p, who, who) }},
		{"multiRead", func() { tree.MultiRead(buf, ops, who) }},
		{"peek", func() { tree.Peek(a, arm) }},
		{"lookup", func() { tree.Lookup(a, &node) }},
		{"quota", func() { tree.Quota(a, &quota) }},
		{"setData of the same size", func() { version++; tree.Apply(x.setData(a, data, version), sink, &res) }},
		{"setData of changing size", func() {
			version += 2
			tree.Apply(x.setData(a, data, version-1), sink, &res)
			tree.Apply(x.setData(a, other, version), sink, &res)
		}},
		{"create and delete", func() {
			tree.Apply(x.create(e, data, false, int32(x.zxid)), sink, &res)
			tree.Apply(x.delete(e), sink, &res)
		}},
		{"create and delete of an ephemeral", func() {
			tree.Apply(x.create(e, data, true, int32(x.zxid)), sink, &res)
			tree.Apply(x.delete(e), sink, &res)
		}},
		{"multi", func() {
			x.zxid++
			h := wire.TxnHeader{ClientID: 1, Zxid: x.zxid, Type: wire.OpMulti}
			h.Append(multi[:0])
			tree.Apply(multi, sink, &res)
		}},
	}
	tree.Apply(withQuota(x, "/parent-1"), nil, nil)
	for _, tt := range tests {
		tt.run() // memory that is reused is got once
		if n := testing.AllocsPerRun(200, tt.run); n != 0 {
			t.Errorf("%s: %v allocs, want 0", tt.name, n)
		}
	}
	tree.check(t.Fatalf)
}

// withQuota is a multi that activates a quota.
func withQuota(x *txns, root string) []byte {
	x.zxid++
	base := "/zookeeper/quota" + root
	return multiTxn(1, x.zxid, 0, []step{
		{op: wire.OpCreate, path: base, acl: wire.OpenACL, version: 1},
		{op: wire.OpCreate, path: base + "/zookeeper_limits", data: []byte("count=-1,bytes=-1=;byteHardLimit=5;countHardLimit=7"), acl: wire.OpenACL, version: 1},
		{op: wire.OpCreate, path: base + "/zookeeper_stats", data: []byte("count=0,bytes=0"), acl: wire.OpenACL, version: 2},
	})
}

// The figure of the architecture is 260 bytes resident for a znode with 100 bytes of data.
// PADDOCK_ZNODES=1000000 measures it at the size it is meant for; the default is as many as fit
// into a second.
func TestBytesPerZnode(t *testing.T) {
	n := 200_000
	if s := os.Getenv("PADDOCK_ZNODES"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	before := resident(t)
	tree, _ := grown(n, 100)
	runtime.GC()
	perNode := float64(resident(t)-before) / float64(n)
	t.Logf("%d znodes of 100 bytes: %.0f bytes each resident, %.0f mapped", n, perNode, float64(tree.MappedBytes())/float64(n))
	if raceEnabled {
		return // Go's own memory, and the detector's shadow of it
	}
	if perNode > 300 {
		t.Errorf("%.0f bytes per znode, want at most 300", perNode)
	}
	runtime.KeepAlive(tree)
}

// resident returns the resident memory of this process.
func resident(t *testing.T) int64 {
	runtime.GC()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("no /proc/self/statm")
	}
	var size, pages int64
	fmt.Sscan(string(b), &size, &pages)
	return pages * int64(os.Getpagesize())
}

func BenchmarkGetData(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		tree, _ := grown(n, 100)
		b.Run(fmt.Sprintf("nodes=%d", n), func(b *testing.B) {
			buf, path := make([]byte, 0, 1024), make([]byte, 0, 100)
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				i = (i + 7919) % n
				path = pathOf(path[:0], i)
				tree.GetData(buf, path, nil, nil)
			}
		})
		b.Run(fmt.Sprintf("parallel/nodes=%d", n), func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				buf, path := make([]byte, 0, 1024), make([]byte, 0, 100)
				for i := 0; pb.Next(); i = (i + 7919) % n {
					path = pathOf(path[:0], i)
					tree.GetData(buf, path, nil, nil)
				}
			})
		})
	}
}

func BenchmarkGetChildren(b *testing.B) {
	tree, _ := grown(1000, 100)
	buf := make([]byte, 0, 1<<16)
	b.ReportAllocs()
	for b.Loop() {
		tree.GetChildren(buf, []byte("/parent-0"), nil, nil, true)
	}
}

func BenchmarkSetData(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		b.Run(fmt.Sprintf("nodes=%d", n), func(b *testing.B) {
			tree, x := grown(n, 100)
			path, data := make([]byte, 0, 100), make([]byte, 100)
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				i = (i + 7919) % n
				path = pathOf(path[:0], i)
				tree.Apply(x.setData(path, data, 1), nil, nil)
			}
		})
	}
}

func BenchmarkCreateDelete(b *testing.B) {
	tree, x := grown(100_000, 100)
	path, data := []byte("/parent-5/new-0000000001"), make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		tree.Apply(x.create(path, data, false, int32(x.zxid)), nil, nil)
		tree.Apply(x.delete(path), nil, nil)
	}
}

// The longest create says how much of a stall a growing table makes.
func BenchmarkCreate(b *testing.B) {
	tree, x := New(Options{}), &txns{}
	data, path := make([]byte, 100), make([]byte, 0, 100)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if i%1000 == 0 {
			tree.Apply(x.create(fmt.Appendf(nil, "/parent-%d", i/1000), data, false, int32(i/1000)+1), nil, nil)
		}
		path = pathOf(path[:0], i)
		tree.Apply(x.create(path, data, false, int32(i%1000)+1), nil, nil)
		i++
	}
}

func BenchmarkView(b *testing.B) {
	tree, _ := grown(200_000, 100)
	for _, parents := range []bool{false, true} {
		b.Run(fmt.Sprintf("parentsFirst=%v", parents), func(b *testing.B) {
			records := make([]Record, 0, 128)
			for b.Loop() {
				v, err := tree.OpenView()
				if err != nil {
					b.Fatal(err)
				}
				if parents {
					v.ParentsFirst()
				}
				for more := true; more; {
					_, more = v.Next(records[:0])
				}
				v.Close()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(tree.NodeCount()), "ns/znode")
		})
	}
	b.Run("open and close", func(b *testing.B) {
		for b.Loop() {
			v, _ := tree.OpenView()
			v.Close()
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	tree, _ := grown(200_000, 100)
	v, err := tree.OpenView()
	if err != nil {
		b.Fatal(err)
	}
	var records []Record
	for more := true; more; {
		var batch []Record
		batch, more = v.Next(nil)
		for _, r := range batch {
			r.Path = append([]byte(nil), r.Path...)
			records = append(records, r)
		}
	}
	for b.Loop() {
		l := NewLoader(Options{})
		v.ACLs(func(id uint32, acl wire.ACLVec) { l.ACL(id, acl) })
		for i := range records {
			if err := l.Node(&records[i]); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := l.Finish(v.Zxid(), v.Digest()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(records)), "ns/znode")
}
