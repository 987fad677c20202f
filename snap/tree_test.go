package snap

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"paddock/tree"
	"paddock/vfs"
	"paddock/wire"
)

// grower applies transactions to a tree.
type grower struct {
	t    *tree.Tree
	zxid wire.Zxid
	buf  []byte
}

type body interface{ Append(dst []byte) []byte }

func (g *grower) apply(session int64, op wire.Op, b body) {
	g.zxid++
	h := wire.TxnHeader{ClientID: session, Cxid: 1, Zxid: g.zxid, Time: 1700000000000 + int64(g.zxid), Type: op}
	g.buf = b.Append(h.Append(g.buf[:0]))
	g.t.Apply(g.buf, nil, nil)
}

// grown is a tree with a bit of everything, as transactions make it.
func grown(o tree.Options) *grower {
	g := &grower{t: tree.New(o), zxid: 0x100000000}
	secret := wire.AppendACL(wire.AppendInt(nil, 1), wire.ACL{Perms: 3, Scheme: []byte("digest"), ID: []byte("user:hash")})
	create := func(path string, data []byte, acl wire.ACLVec, ephemeral bool, n int32) {
		g.apply(77, wire.OpCreate, &wire.CreateTxn{
			Path: []byte(path), Data: data, ACL: acl, Ephemeral: ephemeral, ParentCVersion: n,
		})
	}
	g.apply(77, wire.OpCreateSession, &wire.CreateSessionTxn{TimeOut: 30000})
	g.apply(-5, wire.OpCreateSession, &wire.CreateSessionTxn{TimeOut: 4000})
	create("/app", nil, wire.OpenACL, false, 1)
	create("/app/empty", []byte{}, secret, false, 1)
	create("/app/ephemeral", []byte("e"), wire.ReadACL, true, 2)
	create("/app/ünïcode 日本語", []byte("データ"), wire.OpenACL, false, 3)
	g.apply(77, wire.OpCreateContainer, &wire.CreateContainerTxn{Path: []byte("/container"), ACL: wire.OpenACL, ParentCVersion: 2})
	g.apply(77, wire.OpCreateTTL, &wire.CreateTTLTxn{Path: []byte("/ttl"), ACL: wire.OpenACL, ParentCVersion: 3, TTL: 5000})
	for i := range 2000 {
		create(fmt.Sprintf("/app/node-%06d", i), bytes.Repeat([]byte{byte(i)}, i%300), wire.OpenACL, false, int32(4+i))
	}
	return g
}

// change goes on with the tree, so that most of what a view shows is no longer there.
func (g *grower) change() {
	for i := range 2000 {
		path := fmt.Appendf(nil, "/app/node-%06d", i)
		switch i % 3 {
		case 0:
			g.apply(77, wire.OpDelete, &wire.DeleteTxn{Path: path})
		case 1:
			g.apply(77, wire.OpSetData, &wire.SetDataTxn{Path: path, Data: []byte("changed"), Version: 1})
		}
	}
}

// seen is all that a view shows, ACLs written out, in the order of paths.
func seen(t testing.TB, v *tree.View) (lines []string) {
	t.Helper()
	acls := map[uint32]string{}
	v.ACLs(func(id uint32, acl wire.ACLVec) { acls[id] = string(acl) })
	var batch []tree.Record
	for more := true; more; {
		batch, more = v.Next(batch[:0])
		for i := range batch {
			r := batch[i]
			acl := acls[r.ACL]
			r.ACL = 0
			lines = append(lines, fmt.Sprintf("%s acl %q", print(&r), acl))
		}
	}
	if err := v.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return append(lines, fmt.Sprintf("zxid %v digest %#x sessions %v", v.Zxid(), v.Digest(), v.Sessions()))
}

func view(t testing.TB, tr *tree.Tree) *tree.View {
	t.Helper()
	v, err := tr.OpenView()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestATreeSurvivesWhileItChanges is snapshot-exact: what is loaded is the tree as it was when
// the view was opened, whatever was applied while it was written.
func TestATreeSurvivesWhileItChanges(t *testing.T) {
	for _, noDigest := range []bool{false, true} {
		o := tree.Options{ExtendedTypes: true, NoDigest: noDigest}
		g := grown(o)
		reference, v := view(t, g.t), view(t, g.t)
		want := seen(t, reference)
		reference.Close()

		changed := make(chan struct{})
		go func() { defer close(changed); g.change() }()
		d := newDisk(t)
		info, err := Write(d, dir, v, 5, tested())
		v.Close()
		<-changed
		if err != nil {
			t.Fatal(err)
		}
		for _, shape := range []tree.Options{o, {Shards: 1, ExtendedTypes: true, NoDigest: noDigest}} {
			loaded, report, err := LoadTree(d, dir, shape, tested())
			if err != nil || report.Loaded != info {
				t.Fatalf("got %v, loaded %+v", err, report.Loaded)
			}
			again := view(t, loaded)
			got := seen(t, again)
			again.Close()
			for i := range want {
				if i >= len(got) || got[i] != want[i] {
					t.Fatalf("line %d of %d: got %.300s\nwant %.300s", i, len(got), got[min(i, len(got)-1)], want[i])
				}
			}
			if len(got) != len(want) {
				t.Fatalf("got %d lines, want %d", len(got), len(want))
			}
		}
	}
}

func TestASnapshotWithoutDigestLoadsWhereDigestsAreKeptAndTheOtherWayRound(t *testing.T) {
	for _, writer := range []bool{false, true} {
		g := grown(tree.Options{ExtendedTypes: true, NoDigest: writer})
		v := view(t, g.t)
		d := newDisk(t)
		if _, err := Write(d, dir, v, 5, tested()); err != nil {
			t.Fatal(err)
		}
		v.Close()
		loaded, _, err := LoadTree(d, dir, tree.Options{ExtendedTypes: true, NoDigest: !writer}, tested())
		if err != nil {
			t.Fatal(err)
		}
		want := grown(tree.Options{ExtendedTypes: true, NoDigest: !writer}).t.Digest()
		if got := loaded.Digest(); got != want {
			t.Errorf("written without digest %v: got digest %#x, want %#x", writer, got, want)
		}
	}
}

// TestATreeThatIsNoneIsSetAside has files whose checksums are right and whose nodes are not a
// tree.
func TestATreeThatIsNoneIsSetAside(t *testing.T) {
	root := tree.Record{Path: []byte("/")}
	for why, records := range map[string][]tree.Record{
		"parent is missing": {root, {Path: []byte("/a/b")}},
		"there twice":       {root, {Path: []byte("/a")}, {Path: []byte("/a")}},
		"no root":           {},
		"no ACL 5":          {root, {Path: []byte("/a"), ACL: 5}},
		"no path":           {root, {Path: []byte("a")}},
	} {
		d := newDisk(t)
		if _, err := Write(d, dir, &state{zxid: 9, records: records}, 1, tested()); err != nil {
			t.Fatal(err)
		}
		loaded, report, err := LoadTree(d, dir, tree.Options{}, tested())
		if !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), why) || loaded != nil {
			t.Errorf("%s: got %v", why, err)
		}
		if len(report.Passed) != 1 || report.Passed[0].Quarantine == "" {
			t.Errorf("%s: passed over %+v", why, report.Passed)
		}
	}
}

// TestSnapshotsOfEveryVersionLoad reads what released versions wrote. With SNAP_GOLDEN=1 this
// version writes its own.
func TestSnapshotsOfEveryVersionLoad(t *testing.T) {
	const released = "testdata/v1"
	o := tree.Options{ExtendedTypes: true}
	g := grown(o)
	name := fileName(g.zxid)
	if os.Getenv("SNAP_GOLDEN") != "" {
		v := view(t, g.t)
		d := newDisk(t)
		if _, err := Write(d, dir, v, 1700000000000, Options{blockTarget: 8 << 10}); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path.Join(released, name), contents(t, d, name), 0o644); err != nil {
			t.Fatal(err)
		}
		v.Close()
	}
	b, err := os.ReadFile(path.Join(released, name))
	if err != nil {
		t.Fatal(err)
	}
	loaded, report, err := LoadTree(diskWith(t, name, b), dir, o, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if report.Loaded.TimeMS != 1700000000000 || report.Loaded.ACLs != 2 || report.Loaded.Sessions != 2 {
		t.Errorf("got %+v", report.Loaded)
	}
	if got, want := seen(t, view(t, loaded)), seen(t, view(t, g.t)); !slices.Equal(got, want) {
		t.Errorf("got %.2000s\nwant %.2000s", got, want)
	}
}

// BenchmarkLoadTree loads 1,000,000 nodes of 100 bytes into a tree, on all cores.
func BenchmarkLoadTree(b *testing.B) {
	s := many(1, 1_000_000, 100)
	parents := []tree.Record{{Path: []byte("/")}, {Path: []byte("/zookeeper")}, {Path: []byte("/app")}}
	for i := range 1000 {
		parents = append(parents, tree.Record{Path: fmt.Appendf(nil, "/app/%03d", i)},
			tree.Record{Path: fmt.Appendf(nil, "/app/%03d/config", i)})
	}
	s.zxid = 1 << 32
	s.records = append(parents, s.records...)
	s.acls[0].list = wire.ReadACL
	slices.SortFunc(s.records, func(a, b tree.Record) int { // as a view walks: by shard, then as they came
		if x, y := tree.Hash(a.Path)>>58, tree.Hash(b.Path)>>58; x != y {
			return int(x) - int(y)
		}
		return int(a.Czxid - b.Czxid)
	})
	dir := b.TempDir()
	info, err := Write(vfs.OS(), dir, s, 1, Options{})
	if err != nil {
		b.Fatal(err)
	}
	*s = state{}
	for b.Loop() {
		if _, _, err := LoadTree(vfs.OS(), dir, tree.Options{}, Options{}); err != nil {
			b.Fatal(err)
		}
	}
	report(b, info)
}
