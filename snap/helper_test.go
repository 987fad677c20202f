package snap

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"path"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"paddock/tree"
	"paddock/vfs"
	"paddock/wire"
)

// state is a whole state in the order of its records: a Source when written, and what a memory
// Sink is compared with.
type state struct {
	zxid     wire.Zxid
	sessions []tree.Session
	acls     []acl
	records  []tree.Record

	at    int
	batch int   // records per Next; 0 means 7
	short int   // records that the source keeps back although it announced them
	err   error // what Err says

	digest uint64 // if not 0, what Digest says
}

func (s *state) Zxid() wire.Zxid          { return s.zxid }
func (s *state) NodeCount() int64         { return int64(len(s.records)) }
func (s *state) Sessions() []tree.Session { return s.sessions }
func (s *state) ACLs(fn func(uint32, wire.ACLVec)) {
	for _, a := range s.acls {
		fn(a.id, a.list)
	}
}

func (s *state) Err() error { return s.err }

func (s *state) Digest() (sum uint64) {
	if s.digest != 0 {
		return s.digest
	}
	for i := range s.records {
		sum += treeDigest(&s.records[i])
	}
	return sum
}

func (s *state) Next(dst []tree.Record) ([]tree.Record, bool) {
	n := s.batch
	if n == 0 {
		n = 7
	}
	end := min(s.at+n, len(s.records)-s.short)
	dst = append(dst, s.records[s.at:end]...)
	s.at = end
	return dst, s.at < len(s.records)-s.short
}

// rewound returns s as a source that was not read yet.
func (s *state) rewound() *state {
	c := *s
	c.at = 0
	return &c
}

// memory is a Sink and a Target: the state that arrived, nodes in no order.
type memory struct {
	mu sync.Mutex
	state
	began    int
	failNode error
	failEnd  error
}

func (m *memory) Begin(info Info) (Sink, error) {
	m.state = state{zxid: info.Zxid}
	m.began++
	return m, nil
}

func (m *memory) Finish(info Info) error {
	if m.failEnd != nil {
		return m.failEnd
	}
	if got := m.Digest(); got != info.Digest {
		return fmt.Errorf("digest %#x, want %#x", got, info.Digest)
	}
	return nil
}

func (m *memory) Session(id int64, timeoutMS int32) {
	m.sessions = append(m.sessions, tree.Session{ID: id, TimeoutMS: timeoutMS})
}

func (m *memory) ACL(id uint32, list wire.ACLVec) error {
	m.acls = append(m.acls, acl{id: id, list: slices.Clone(list)})
	return nil
}

func (m *memory) Node(r *tree.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := *r
	c.Path = bytes.Clone(r.Path)
	c.Data = bytes.Clone(r.Data)
	m.records = append(m.records, c)
	return m.failNode
}

// equal compares two states, records in any order, nil data being other than empty.
func equal(t testing.TB, got, want *state) {
	t.Helper()
	if d := difference(got, want); d != "" {
		t.Fatal(d)
	}
}

func difference(got, want *state) string {
	if got.zxid != want.zxid {
		return fmt.Sprintf("zxid: got %v, want %v", got.zxid, want.zxid)
	}
	if !slices.Equal(got.sessions, want.sessions) {
		return fmt.Sprintf("sessions: got %v, want %v", got.sessions, want.sessions)
	}
	sameACL := func(a, b acl) bool { return a.id == b.id && bytes.Equal(a.list, b.list) }
	if !slices.EqualFunc(got.acls, want.acls, sameACL) {
		return fmt.Sprintf("ACLs: got %v, want %v", got.acls, want.acls)
	}
	if len(got.records) != len(want.records) {
		return fmt.Sprintf("got %d records, want %d", len(got.records), len(want.records))
	}
	a, b := byPath(got.records), byPath(want.records)
	for i := range a {
		if !reflect.DeepEqual(a[i], b[i]) { // which tells nil data from empty
			return fmt.Sprintf("record %d:\ngot  %.300s\nwant %.300s", i, print(&a[i]), print(&b[i]))
		}
	}
	return ""
}

func byPath(records []tree.Record) []tree.Record {
	c := slices.Clone(records)
	slices.SortStableFunc(c, func(a, b tree.Record) int { return bytes.Compare(a.Path, b.Path) })
	return c
}

func print(r *tree.Record) string {
	data := "null"
	if r.Data != nil {
		data = fmt.Sprintf("%d:%x", len(r.Data), r.Data)
	}
	return fmt.Sprintf("%q acl=%d c=%v m=%v p=%v ct=%d mt=%d v=%d cv=%d av=%d owner=%#x data=%s", r.Path,
		r.ACL, r.Czxid, r.Mzxid, r.Pzxid, r.Ctime, r.Mtime, r.Version, r.Cversion, r.Aversion, r.Owner, data)
}

// shapes is a small state with one of everything.
func shapes(zxid wire.Zxid) *state {
	const container, ttl = math.MinInt64, -0xffffffffff // -1<<56 | milliseconds, near enough
	s := &state{
		zxid:     zxid,
		sessions: sessions(math.MinInt64, 4000, -1, 0, 0x100000000000001, 30000, math.MaxInt64, math.MaxInt32),
		acls: []acl{
			{1, wire.ACLVec("\x00\x00\x00\x01world")}, {2, nil}, {70000, wire.ACLVec(strings.Repeat("acl", 50))},
			{math.MaxUint32, wire.ACLVec("\xff\xff\xff\xff")},
		},
	}
	add := func(path string, data []byte, change func(*tree.Record)) {
		r := tree.Record{
			Path: []byte(path), Data: data, Czxid: 0x100000000 + wire.Zxid(len(s.records)),
			Mzxid: 0x100000007, Pzxid: 0x100000003, Ctime: 1700000000123, Mtime: 1700000000456,
		}
		if change != nil {
			change(&r)
		}
		s.records = append(s.records, r)
	}
	add("/", nil, func(r *tree.Record) { r.Czxid, r.Mzxid, r.Pzxid, r.Ctime, r.Mtime = 0, 0, 0, 0, 0 })
	add("/zookeeper", []byte{}, func(r *tree.Record) { r.Cversion = -2 })
	add("/null", nil, nil)
	add("/empty", []byte{}, nil)
	add("/zeros", make([]byte, 3000), nil)
	add("/ünïcode/日本語/🚲", []byte("データ"), nil)
	add("/"+strings.Repeat("long", 300), []byte("x"), nil)
	add("/"+strings.Repeat("long", 300)+"/child", []byte("y"), nil)
	add("/ephemeral", []byte("1"), func(r *tree.Record) { r.Owner = 0x100000000000001 })
	add("/container", nil, func(r *tree.Record) { r.Owner = container })
	add("/ttl", nil, func(r *tree.Record) { r.Owner = ttl })
	add("/extreme", []byte("z"), func(r *tree.Record) {
		*r = tree.Record{
			Path: r.Path, Data: r.Data, ACL: math.MaxUint32, Czxid: math.MinInt64, Mzxid: math.MaxInt64, Pzxid: -1,
			Ctime: math.MinInt64, Mtime: math.MaxInt64, Version: math.MinInt32, Cversion: math.MaxInt32,
			Aversion: -1, Owner: math.MinInt64 + 1,
		}
	})
	add("/after", []byte("z"), nil)
	return s
}

// sessions makes a list of ids and timeouts.
func sessions(pairs ...int64) (list []tree.Session) {
	for ; len(pairs) > 0; pairs = pairs[2:] {
		list = append(list, tree.Session{ID: pairs[0], TimeoutMS: int32(pairs[1])})
	}
	return list
}

// many is a state of n nodes with data of about size bytes that compresses somewhat.
func many(zxid wire.Zxid, n, size int) *state {
	rnd := rand.New(rand.NewPCG(uint64(zxid), 1))
	s := &state{zxid: zxid, acls: []acl{{1, wire.ACLVec("\x00\x00\x00\x01acl")}}}
	for i := range 100 {
		s.sessions = append(s.sessions, tree.Session{ID: int64(i) << 40, TimeoutMS: 30000})
	}
	s.records = make([]tree.Record, n)
	for i := range s.records {
		data := make([]byte, size)
		for j := 0; j+8 <= size/2; j += 8 {
			binary.LittleEndian.PutUint64(data[j:], rnd.Uint64())
		}
		s.records[i] = tree.Record{
			Path: fmt.Appendf(nil, "/app/%03d/config/item-%010d", i%1000, i), Data: data, ACL: 1,
			Czxid: wire.Zxid(i), Mzxid: wire.Zxid(i + rnd.IntN(1000)), Pzxid: wire.Zxid(i),
			Ctime: 1700000000000 + int64(i), Mtime: 1700000000000 + int64(2*i), Version: int32(rnd.IntN(10)),
		}
	}
	return s
}

const dir = "data"

func newDisk(t testing.TB) *vfs.Sim {
	t.Helper()
	d := vfs.NewSim(1)
	if err := d.MkdirAll(dir); err != nil {
		t.Fatal(err)
	}
	return d
}

// tested are the options of tests: every check on, many small blocks.
func tested() Options {
	return Options{Workers: 2, blockTarget: 400}
}

func mustWrite(t testing.TB, d vfs.FS, s *state, timeMS int64) Info {
	t.Helper()
	info, err := Write(d, dir, s.rewound(), timeMS, tested())
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func contents(t testing.TB, d vfs.FS, name string) []byte {
	t.Helper()
	f, err := d.Open(path.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, size)
	if n, err := f.ReadAt(b, 0); n != len(b) {
		t.Fatal(err)
	}
	return b
}

// diskWith returns a disk whose only snapshot file has these bytes.
func diskWith(t testing.TB, name string, b []byte) *vfs.Sim {
	t.Helper()
	d := newDisk(t)
	put(t, d, name, b)
	return d
}

func put(t testing.TB, d vfs.FS, name string, b []byte) {
	t.Helper()
	f, err := d.Create(path.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
}

func names(t testing.TB, d vfs.FS) []string {
	t.Helper()
	all, err := d.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
