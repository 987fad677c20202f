package snap

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"paddock/tree"
	"paddock/vfs"
	"paddock/wire"
)

func TestWhatIsWrittenIsRead(t *testing.T) {
	big := shapes(9)
	incompressible := make([]byte, 5<<20)
	for i := range incompressible {
		incompressible[i] = byte(i * i >> 7)
	}
	big.records = append(big.records,
		tree.Record{Path: []byte("/just below a block"), Data: make([]byte, maxBlock-200)},
		tree.Record{Path: []byte("/just above a block"), Data: make([]byte, maxBlock+1)},
		tree.Record{Path: []byte("/three blocks"), Data: incompressible},
		tree.Record{Path: []byte("/" + strings.Repeat("p", 3<<20)), Data: []byte("path of many blocks")},
		tree.Record{Path: []byte("/last"), Data: []byte{}})
	prefixes := &state{zxid: 10}
	deep := strings.Repeat("/deep", 40000)
	for i := range 30 {
		prefixes.records = append(prefixes.records, tree.Record{Path: []byte(deep + "/" + string(rune('a'+i)))})
	}
	longACL := shapes(11)
	longACL.acls = append(longACL.acls, acl{id: 7, list: bytes.Repeat([]byte("acl"), 1<<20)}, acl{id: 8, list: wire.ACLVec("x")})
	for name, s := range map[string]*state{
		"one of everything":           shapes(0x100000009),
		"nothing at all":              {zxid: 0},
		"only a session":              {zxid: 1, sessions: sessions(1, 2)},
		"only an ACL":                 {zxid: 1, acls: []acl{{1, wire.ACLVec("a")}}},
		"records larger than a block": big,
		"an ACL larger than a block":  longACL,
		"prefixes that expand a lot":  prefixes,
		"many blocks":                 many(12, 5000, 100),
	} {
		t.Run(name, func(t *testing.T) {
			for _, target := range []int{1, 400, 0} {
				o := tested()
				o.blockTarget = target
				d := newDisk(t)
				info, err := Write(d, dir, s.rewound(), 1234, o)
				if err != nil {
					t.Fatal(err)
				}
				if info.Nodes != uint64(len(s.records)) || info.TimeMS != 1234 || info.Name != fileName(s.zxid) {
					t.Errorf("got %+v", info)
				}
				var got memory
				report, err := Load(d, dir, &got, o)
				if err != nil {
					t.Fatal(err)
				}
				if report.Loaded != info {
					t.Errorf("loaded %+v, want %+v", report.Loaded, info)
				}
				equal(t, &got.state, s)
			}
		})
	}
}

func TestEqualContentMakesEqualBytes(t *testing.T) {
	s := many(5, 3000, 60)
	d1, d2 := newDisk(t), newDisk(t)
	info := mustWrite(t, d1, s, 77)
	first := contents(t, d1, info.Name)

	var loaded memory
	o := tested()
	o.Workers = 1 // in the file's order
	if _, err := Load(d1, dir, &loaded, o); err != nil {
		t.Fatal(err)
	}
	loaded.batch = 100 // the size of batches is no content
	mustWrite(t, d2, &loaded.state, 77)
	if second := contents(t, d2, info.Name); !bytes.Equal(first, second) {
		t.Errorf("snapshot, load, snapshot: got other bytes (%d, want %d)", len(second), len(first))
	}
}

func TestASnapshotOfTheSameZxidIsNotWrittenAgain(t *testing.T) {
	d := newDisk(t)
	first := mustWrite(t, d, shapes(5), 100)
	ops := d.Ops()
	if again := mustWrite(t, d, shapes(5), 200); again != first {
		t.Errorf("got %+v, want the first: %+v", again, first)
	}
	if d.Ops() != ops {
		t.Errorf("%d operations for nothing", d.Ops()-ops)
	}
	other := shapes(5)
	other.records[2].Version++
	if _, err := Write(d, dir, other, 300, tested()); err == nil {
		t.Error("two histories at one zxid: got no error")
	}
	if err := d.FlipBit(dir+"/"+first.Name, 1000, 3); err != nil {
		t.Fatal(err)
	}
	if again := mustWrite(t, d, shapes(5), 400); again.TimeMS != 400 {
		t.Errorf("a damaged one stayed: %+v", again)
	}
	if got, want := strings.Join(names(t, d), " "), first.Name+" "+first.Name+".corrupt-1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestASourceThatDoesNotKeepItsWordMakesNoSnapshot(t *testing.T) {
	gaveUp := errors.New("view outgrew its memory")
	wrong := shapes(5)
	o := tested()
	for name, c := range map[string]struct {
		change func(*state)
		o      func(*Options)
	}{
		"fewer nodes than announced": {change: func(s *state) { s.short = 1 }},
		"gives up":                   {change: func(s *state) { s.err = gaveUp }},
		"digest of another tree":     {change: func(s *state) { s.digest = s.Digest() + 1 }},
		"the pacer wants it to end":  {o: func(o *Options) { o.Pace = func(int) error { return gaveUp } }},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDisk(t)
			s, o := *wrong, o
			if c.change != nil {
				c.change(&s)
			}
			if c.o != nil {
				c.o(&o)
			}
			if _, err := Write(d, dir, &s, 1, o); err == nil {
				t.Error("got no error")
			}
			if left := names(t, d); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestPaceSeesNoMoreThanAFewMegabytesAtATime(t *testing.T) {
	s := many(5, 20000, 1000)
	o := Options{}
	var most, calls, sum int
	o.Pace = func(n int) error {
		most, sum, calls = max(most, n), sum+n, calls+1
		return nil
	}
	d := newDisk(t)
	info, err := Write(d, dir, s, 1, o)
	if err != nil {
		t.Fatal(err)
	}
	if most > syncEvery+maxBlock || calls < 4 || int64(sum) < info.FileBytes {
		t.Errorf("%d calls with at most %d bytes, %d in all, file %d", calls, most, sum, info.FileBytes)
	}
	// In flight on the disk: what a power cut could lose at any moment.
	for at := range d.Ops() + 1 {
		if n := len(d.Pending(at)) * vfs.SectorSize; n > syncEvery+maxBlock+4096 {
			t.Fatalf("%d bytes unsynced after operation %d", n, at)
		}
	}
}
