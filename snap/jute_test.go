package snap

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"paddock/tree"
	"paddock/wire"
)

// ordered is a state whose records have their parents before them.
type ordered struct{ *state }

func (ordered) ParentsFirst() {}

// rich is grown with quotas and 10,000 nodes of many levels.
func rich(o tree.Options) *grower {
	g := grown(o)
	create := func(path string, data string, n int32) {
		g.apply(77, wire.OpCreate, &wire.CreateTxn{Path: []byte(path), Data: []byte(data), ACL: wire.OpenACL, ParentCVersion: n})
	}
	create("/zookeeper/quota/app", "", 1)
	create("/zookeeper/quota/app/zookeeper_limits", "count=10,bytes=100=;byteHardLimit=200", 1)
	create("/zookeeper/quota/app/zookeeper_stats", "count=0,bytes=0", 2)
	create("/deep", "", 4)
	for i := range int32(80) {
		top := fmt.Sprintf("/deep/%d", i)
		create(top, "", i+1)
		for j := range int32(10) {
			create(fmt.Sprintf("%s/%d", top, j), "x", j+1)
			for k := range int32(10) {
				create(fmt.Sprintf("%s/%d/%d", top, j, k), strings.Repeat("data", int(k)), k+1)
			}
		}
	}
	return g
}

func streamOf(t testing.TB, src OrderedSource) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteStream(&b, src); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// snapshotOf writes a tree as a stream.
func snapshotOf(t testing.TB, tr *tree.Tree) []byte {
	t.Helper()
	v := view(t, tr)
	defer v.Close()
	return streamOf(t, v)
}

// fed makes a tree of a stream that comes in pieces of the given sizes, again and again.
func fed(b []byte, shape tree.Options, zxid wire.Zxid, sizes ...int) (*tree.Tree, StreamInfo, error) {
	r := NewStreamReader(shape)
	for i := 0; len(b) > 0 && !r.Done(); i++ {
		piece := bytes.Clone(b[:min(sizes[i%len(sizes)], len(b))])
		n, err := r.Feed(piece)
		for j := range piece {
			piece[j] = 0xdb // Feed must have kept nothing of it
		}
		if err != nil {
			return nil, r.Info(), err
		}
		b = b[n:]
	}
	t, err := r.Tree(zxid)
	return t, r.Info(), err
}

func sameTree(t testing.TB, got, want *tree.Tree) {
	t.Helper()
	a, b := view(t, got), view(t, want)
	defer a.Close()
	defer b.Close()
	sameLines(t, seen(t, a), seen(t, b))
	for what, counts := range map[string][2]int64{
		"nodes":      {got.NodeCount(), want.NodeCount()},
		"data size":  {got.DataSize(), want.DataSize()},
		"ephemerals": {got.EphemeralCount(), want.EphemeralCount()},
		"ACLs":       {int64(got.ACLCount()), int64(want.ACLCount())},
		"digest":     {int64(got.Digest()), int64(want.Digest())},
	} {
		if counts[0] != counts[1] {
			t.Errorf("%s: got %d, want %d", what, counts[0], counts[1])
		}
	}
}

func sameLines(t testing.TB, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d lines, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("line %d: got %.300s\nwant %.300s", i, got[i], want[i])
		}
	}
}

func TestATreeGoesThroughAStreamInAnyPieces(t *testing.T) {
	o := tree.Options{ExtendedTypes: true}
	g := rich(o)
	v := view(t, g.t)
	r := view(t, g.t)
	want := seen(t, r)
	r.Close()
	changed := make(chan struct{})
	go func() { defer close(changed); g.change() }()
	stream := streamOf(t, v)
	zxid := v.Zxid()
	v.Close()
	<-changed

	for name, sizes := range map[string][]int{
		"at once":         {len(stream)},
		"byte by byte":    {1},
		"of all sizes":    {3, 1, 70, 4096, 11, 2, 500},
		"as TCP may have": {64 << 10, 1448, 1448},
	} {
		t.Run(name, func(t *testing.T) {
			got, info, err := fed(stream, o, zxid, sizes...)
			if err != nil {
				t.Fatal(err)
			}
			a := view(t, got)
			defer a.Close()
			sameLines(t, seen(t, a), want)
			if info.Bytes != int64(len(stream)) || info.Nodes < 10000 || info.Nodes != got.NodeCount() || info.Sessions != 2 || info.Closed != 0 {
				t.Errorf("got %+v of %d bytes, the tree has %d nodes", info, len(stream), got.NodeCount())
			}
		})
	}
}

func TestATreeFromAStreamGoesOnAsItsOriginalDoes(t *testing.T) {
	o := tree.Options{ExtendedTypes: true}
	g := rich(o)
	loaded, _, err := fed(snapshotOf(t, g.t), o, g.zxid, 1000)
	if err != nil {
		t.Fatal(err)
	}
	sameTree(t, loaded, g.t)
	other := &grower{t: loaded, zxid: g.zxid}
	for _, x := range []*grower{g, other} {
		x.change()
		x.apply(77, wire.OpCloseSession, &wire.CloseSessionTxn{})
	}
	sameTree(t, loaded, g.t)
	if loaded.EphemeralCount() != 0 {
		t.Errorf("%d ephemerals outlive their session", loaded.EphemeralCount())
	}
}

// TestParentsComeFirst is what a Java server needs to read a stream at all, and so are the other
// properties that it looks at.
func TestParentsComeFirst(t *testing.T) {
	g := rich(tree.Options{ExtendedTypes: true})
	b := snapshotOf(t, g.t)
	var got memory
	d := newDecoder(&got, false)
	d.signed = true
	if n, err := d.feed(b); err != nil || n != len(b) || d.at != atEnd {
		t.Fatalf("took %d of %d bytes, %v", n, len(b), err)
	}
	there := map[string]bool{}
	for i, r := range got.records {
		parent := string(r.Path[:max(1, bytes.LastIndexByte(r.Path, '/'))])
		if i == 0 != (string(r.Path) == "/") || i > 0 && !there[parent] {
			t.Fatalf("node %d is %s, and %s was not there", i, r.Path, parent)
		}
		there[string(r.Path)] = true
	}
	if !bytes.HasSuffix(b, []byte("\x00\x00\x00\x01/\x00\x00\x00\x0aBenWasHere")) {
		t.Errorf("the stream ends with %q", b[len(b)-20:])
	}
}

// TestTheBytesOfAStream holds it against the bytes that the protocol has.
func TestTheBytesOfAStream(t *testing.T) {
	s := &state{zxid: 5, sessions: sessions(0x0100001873110000, 18000), acls: []acl{{3, wire.ReadACL}}}
	s.records = []tree.Record{
		{Path: []byte("/"), Cversion: 1, Pzxid: 2},
		{
			Path: []byte("/a"), Data: []byte("hi"), ACL: 3, Czxid: 2, Mzxid: 4, Pzxid: 3, Ctime: 5, Mtime: 6,
			Version: 7, Cversion: 8, Aversion: 9, Owner: -1 << 63,
		},
	}
	long := func(v byte) string { return "\x00\x00\x00\x00\x00\x00\x00" + string(v) }
	integer := func(v byte) string { return "\x00\x00\x00" + string(v) }
	want := integer(1) + "\x01\x00\x00\x18\x73\x11\x00\x00" + "\x00\x00\x46\x50" +
		integer(1) + long(3) + integer(1) + integer(1) + integer(5) + "world" + integer(6) + "anyone" +
		integer(0) + "\xff\xff\xff\xff" + strings.Repeat("\xff", 8) + // root: no data, open to all
		long(0) + long(0) + long(0) + long(0) + integer(0) + integer(1) + integer(0) + long(0) + long(2) +
		integer(2) + "/a" + integer(2) + "hi" + long(3) +
		long(2) + long(4) + long(5) + long(6) + integer(7) + integer(8) + integer(9) + "\x80\x00\x00\x00\x00\x00\x00\x00" + long(3) +
		integer(1) + "/" + integer(10) + "BenWasHere"
	if got := streamOf(t, ordered{s}); string(got) != want {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

func TestAStreamThatCannotBeFinishedSaysSo(t *testing.T) {
	root := tree.Record{Path: []byte("/")}
	for why, s := range map[string]*state{
		"gave up":                        {records: []tree.Record{root}, err: errors.New("the view gave up")},
		"announced 2 nodes and gave 1":   {records: []tree.Record{root, root}, short: 1},
		"ACL 4, which is not in":         {records: []tree.Record{{Path: []byte("/a"), ACL: 4}}},
		"ACL 1 is null, which Java":      {acls: []acl{{1, nil}}},
		"no space left, says the writer": {records: []tree.Record{root}},
	} {
		var out io.Writer = io.Discard
		if strings.HasPrefix(why, "no space") {
			out = failing{errors.New(why)}
		}
		if err := WriteStream(out, ordered{s}); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("got %v, want %q", err, why)
		}
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// forgedStream appends pieces of a stream.
type forgedStream []byte

func (f forgedStream) int(v int32) forgedStream  { return wire.AppendInt(f, v) }
func (f forgedStream) long(v int64) forgedStream { return wire.AppendLong(f, v) }
func (f forgedStream) str(s string) forgedStream { return wire.AppendString(f, []byte(s)) }

func (f forgedStream) node(path string, acl int64) forgedStream {
	return append(f.str(path).str("data").long(acl), make([]byte, 60)...)
}

func (f forgedStream) end() forgedStream { return f.str("/").str("BenWasHere") }

func TestAStreamThatMakesNoSenseIsNamed(t *testing.T) {
	var empty forgedStream
	head := empty.int(0).int(1).long(7).int(1).int(31).str("world").str("anyone") // 43 bytes
	head = slices.Clip(head)
	for name, c := range map[string]struct {
		b    forgedStream
		want string
	}{
		"a negative count of sessions":  {empty.int(-2), "byte 4, count of sessions: count is negative: -2"},
		"a negative count of ACLs":      {empty.int(0).int(-1), "byte 8, count of ACLs: count is negative"},
		"a null list of ACLs":           {empty.int(0).int(1).long(1).int(-1), "ACL 0: list of ACLs is null"},
		"an ACL twice":                  {empty.int(0).int(2).long(1).int(0).long(1).int(0), "ACL 1: ACL is there twice: 1"},
		"the ACL that is in no table":   {empty.int(0).int(1).long(-1).int(0), "ACL 0: ACL is there twice: -1"},
		"an ACL of impossible length":   {empty.int(0).int(1).long(1).int(1).int(31).int(-3), "ACL 0: length is impossible: -3"},
		"a path of impossible length":   {head.int(-5), "byte 47, node 0: length is impossible: -5"},
		"a path of two billion bytes":   {head.int(1<<31 - 1), "node 0: length is impossible: 2147483647"},
		"data of impossible length":     {head.node("", 7).str("/a").int(-9), "node 1: length is impossible: -9"},
		"a null path":                   {append(head.int(-1), make([]byte, 72)...), "node 0: path is null"},
		"an ACL that is not there":      {head.node("", 8), `node 0: "/": ACL is not in the table: 8`},
		"a path that is none":           {head.node("", 7).node("a", 7), "node 1: tree: load \"a\": this is no path"},
		"a node twice":                  {head.node("", 7).node("/a", 7).node("/a", 7), "node 2: tree: load \"/a\": it is there twice"},
		"a node without its parent":     {head.node("", 7).node("/a/b", 7).end(), `"/a/b": its parent is missing`},
		"no root":                       {head.end(), "there is no root"},
		"another signature":             {head.node("", 7).str("/").str("BenWasGone"), "signature: no signature"},
		"a signature of another length": {head.node("", 7).str("/").int(1 << 30), "signature: no signature"},
		"nothing":                       {nil, "byte 0, count of sessions: unexpected EOF"},
		"an end among nodes":            {head.node("", 7)[:60], "byte 60, node 0: unexpected EOF"},
		"an end before the signature":   {head.node("", 7).str("/"), "signature: unexpected EOF"},
		"a node of the future":          {append(head.str("").str("").long(7).long(99), make([]byte, 52)...).end(), "after the snapshot's zxid"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{1, 1 << 20} {
				_, _, err := fed(c.b, tree.Options{}, 9, size)
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("in pieces of %d: got %v, want %q", size, err, c.want)
				}
			}
			if _, _, err := ReadStream(bufio.NewReader(bytes.NewReader(c.b)), 9, tree.Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("read: got %v, want %q", err, c.want)
			}
		})
	}
}

func TestEveryEndBeforeTheEndIsNoticed(t *testing.T) {
	b := streamOf(t, ordered{smallTree()})
	if _, _, err := fed(b, tree.Options{}, 9, len(b)); err != nil {
		t.Fatal(err)
	}
	for n := range b {
		if _, _, err := fed(b[:n], tree.Options{}, 9, 5); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("%d of %d bytes: got %v", n, len(b), err)
		}
		if _, _, err := ReadStream(bufio.NewReader(bytes.NewReader(b[:n])), 9, tree.Options{}); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("%d of %d bytes read: got %v", n, len(b), err)
		}
	}
}

// smallTree is shapes without what is no tree.
func smallTree() *state {
	s := &state{zxid: 9, sessions: sessions(-5, 4000, 77, 30000), acls: []acl{{1, wire.ReadACL}, {9, wire.BuildACL()}}}
	s.records = []tree.Record{
		{Path: []byte("/")},
		{Path: []byte("/zookeeper"), Data: []byte{}},
		{Path: []byte("/zookeeper/quota"), Data: []byte{}},
		{Path: []byte("/zookeeper/config"), Data: []byte("server.1=a:1:2"), ACL: 1, Aversion: -1},
		{Path: []byte("/ünïcode"), ACL: 9, Czxid: 3, Mzxid: 5},
		{Path: []byte("/ünïcode/e"), Data: []byte("x"), ACL: 1, Czxid: 4, Owner: 77},
	}
	return s
}

func TestBytesBehindTheStreamStayWhereTheyAre(t *testing.T) {
	b := streamOf(t, ordered{smallTree()})
	behind := []byte("the packet NEWLEADER")
	in := bufio.NewReaderSize(iotest.OneByteReader(bytes.NewReader(append(b[:len(b):len(b)], behind...))), 16)
	for _, in := range []*bufio.Reader{in, bufio.NewReader(bytes.NewReader(append(b[:len(b):len(b)], behind...)))} {
		if _, _, err := ReadStream(in, 9, tree.Options{}); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(in); string(got) != string(behind) || err != nil {
			t.Errorf("behind the stream: got %q, %v", got, err)
		}
	}
	r := NewStreamReader(tree.Options{})
	n, err := r.Feed(append(b[:len(b):len(b)], behind...))
	if n != len(b) || err != nil || !r.Done() {
		t.Errorf("took %d of %d bytes, %v", n, len(b), err)
	}
	if n, err := r.Feed(behind); n != 0 || err != nil {
		t.Errorf("took %d bytes behind the end, %v", n, err)
	}
}

func TestAnErrorOfAStreamIsFinal(t *testing.T) {
	r := NewStreamReader(tree.Options{})
	_, first := r.Feed([]byte{0xff, 0xff, 0xff, 0xff})
	if n, err := r.Feed(streamOf(t, ordered{smallTree()})); n != 0 || err != first || err == nil {
		t.Errorf("got %d, %v, want %v", n, err, first)
	}
	if _, err := r.Tree(9); err != first {
		t.Errorf("tree: got %v, want %v", err, first)
	}
}

// TestACountCostsNothing gives streams that claim much and have little.
func TestACountCostsNothing(t *testing.T) {
	var empty forgedStream
	for name, b := range map[string]forgedStream{
		"sessions":       empty.int(1 << 30).long(5),
		"ACLs":           empty.int(0).int(1 << 30).long(5),
		"entries":        empty.int(0).int(1).long(5).int(1 << 30).int(31),
		"a path":         empty.int(0).int(0).int(1 << 29),
		"data":           empty.int(0).int(0).str("").int(1 << 29),
		"an ACL's name":  empty.int(0).int(1).long(5).int(1).int(31).int(1 << 29),
		"half a record":  append(empty.int(0).int(0).str("").int(1<<29), make([]byte, 1000)...),
		"half, in bytes": append(empty.int(0).int(0).str("").int(1<<29), make([]byte, 2000)...),
	} {
		var d decoder
		cost := allocated(func() {
			d = newDecoder(discard{}, false)
			for rest := []byte(b); len(rest) > 0; {
				n, err := d.feed(rest[:min(len(rest), 100)])
				if err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
		})
		if err := d.unfinished(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: got %v", name, err)
		}
		if cost > 16<<10 {
			t.Errorf("%s: %d bytes of stream cost %d bytes of memory", name, len(b), cost)
		}
	}
}

func TestDecodingNodesDoesNotAllocate(t *testing.T) {
	nodes := many(1, 1000, 100)
	nodes.acls[0].list = wire.ReadACL
	b := streamOf(t, ordered{nodes})
	d := newDecoder(discard{}, false)
	if n := testing.AllocsPerRun(5, func() {
		d = newDecoder(discard{}, false)
		for rest := b; len(rest) > 0 && d.at != atEnd; {
			n, err := d.feed(rest[:min(len(rest), 4000)])
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
	}); n > 20 {
		t.Errorf("1000 nodes: %v allocations, want those of the decoder", n)
	}
}

// TestAFuzzyStreamAndTheLogGiveTheExactState merges two views of one history as a Java leader does
// that applies transactions while it writes: nodes from some point on are newer.
func TestAFuzzyStreamAndTheLogGiveTheExactState(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 8 {
		g := grown(tree.Options{ExtendedTypes: true})
		from := g.zxid
		old := recordsOf(t, g.t)
		history := &recorder{grower: g}
		history.change()
		young := recordsOf(t, g.t)

		cut := rnd.IntN(len(old.records))
		mixed := &state{sessions: old.sessions, acls: old.acls, records: slices.Clone(old.records[:cut])}
		shown := map[string]bool{}
		for _, r := range mixed.records {
			shown[string(r.Path)] = true
		}
		for _, r := range young.records {
			if parent := string(r.Path[:max(1, bytes.LastIndexByte(r.Path, '/'))]); !shown[string(r.Path)] && (shown[parent] || string(r.Path) == "/") {
				mixed.records = append(mixed.records, r)
				shown[string(r.Path)] = true
			}
		}
		b := streamOf(t, ordered{mixed})
		loaded, _, err := fed(b, tree.Options{ExtendedTypes: true, Fuzzy: true}, from, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, txn := range history.txns {
			loaded.Apply(txn, nil, nil)
		}
		if err := loaded.Settle(); err != nil {
			t.Fatal(err)
		}
		sameTree(t, loaded, g.t)
	}
}

// recorder is a grower that changes less, in more ways, and keeps its transactions.
type recorder struct {
	*grower
	txns [][]byte
}

func (r *recorder) apply(session int64, op wire.Op, b body) {
	r.grower.apply(session, op, b)
	r.txns = append(r.txns, bytes.Clone(r.buf))
}

func (r *recorder) change() {
	for i := range 300 {
		path := fmt.Appendf(nil, "/app/node-%06d", i)
		switch i % 4 {
		case 0:
			r.apply(77, wire.OpDelete, &wire.DeleteTxn{Path: path})
		case 1:
			r.apply(77, wire.OpSetData, &wire.SetDataTxn{Path: path, Data: []byte("changed"), Version: 1})
		case 2:
			r.apply(77, wire.OpSetACL, &wire.SetACLTxn{Path: path, ACL: wire.ReadACL, Version: 1})
		case 3:
			r.apply(77, wire.OpCreate, &wire.CreateTxn{Path: fmt.Appendf(nil, "/app/node-%06d/new", i), Data: path, ACL: wire.OpenACL, ParentCVersion: 1})
		}
	}
	r.apply(77, wire.OpCloseSession, &wire.CloseSessionTxn{Paths: wire.StringVec(wire.AppendString(wire.AppendInt(nil, 1), []byte("/app/ephemeral")))})
}

// recordsOf is all of a tree, parents first.
func recordsOf(t testing.TB, tr *tree.Tree) *state {
	t.Helper()
	var got memory
	d := newDecoder(&got, false)
	d.signed = true
	if _, err := d.feed(snapshotOf(t, tr)); err != nil || d.at != atEnd {
		t.Fatalf("got %v", err)
	}
	return &got.state
}

func TestAnACLThatIsMissingInAFuzzyStreamLetsInNobody(t *testing.T) {
	var empty forgedStream
	b := empty.int(0).int(0).node("", -1).node("/a", 5).end()
	loaded, info, err := fed(b, tree.Options{Fuzzy: true}, 9, 10)
	if err != nil || info.Closed != 1 {
		t.Fatalf("got %v, %+v", err, info)
	}
	var n tree.Node
	if !loaded.Lookup([]byte("/a"), &n) || !bytes.Equal(n.ACL, nobody) {
		t.Errorf("got ACL %q, want %q", n.ACL, nobody)
	}
	loaded.Apply((&wire.SetACLTxn{Path: []byte("/a"), ACL: wire.ReadACL, Version: 1}).Append((&wire.TxnHeader{Zxid: 10, Type: wire.OpSetACL}).Append(nil)), nil, nil)
	if !loaded.Lookup([]byte("/a"), &n) || !bytes.Equal(n.ACL, wire.ReadACL) {
		t.Errorf("after the log: got ACL %q, want %q", n.ACL, wire.ReadACL)
	}
}

// million is a tree of a million nodes of 100 bytes, in directories of a thousand.
func million() *tree.Tree {
	l := tree.NewLoader(tree.Options{})
	data := bytes.Repeat([]byte("0123456789"), 10)
	add := func(path string) {
		if err := l.Node(&tree.Record{Path: []byte(path), Data: data, Czxid: 1}); err != nil {
			panic(err)
		}
	}
	add("/")
	for i := range 1000 {
		dir := fmt.Sprintf("/dir-%05d", i)
		add(dir)
		for j := range 1000 {
			add(fmt.Sprintf("%s/n%08d", dir, j))
		}
	}
	t, err := l.FinishUnchecked(1)
	if err != nil {
		panic(err)
	}
	return t
}

// BenchmarkStream writes and reads a million nodes of 100 bytes as a stream.
func BenchmarkStream(b *testing.B) {
	t := million()
	runtime.GC()
	var stream []byte
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			v := view(b, t)
			var out bytes.Buffer
			out.Grow(len(stream))
			if err := WriteStream(&out, v); err != nil {
				b.Fatal(err)
			}
			v.Close()
			stream = out.Bytes()
		}
		b.SetBytes(int64(len(stream)))
	})
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := ReadStream(bufio.NewReaderSize(bytes.NewReader(stream), 64<<10), 1, tree.Options{}); err != nil {
				b.Fatal(err)
			}
		}
		b.SetBytes(int64(len(stream)))
	})
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			d := newDecoder(discard{}, false)
			d.signed = true
			if _, err := d.feed(stream); err != nil || d.at != atEnd {
				b.Fatal(err)
			}
		}
		b.SetBytes(int64(len(stream)))
	})
}
