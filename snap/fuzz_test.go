package snap

import (
	"errors"
	"testing"

	"paddock/tree"
)

// FuzzLoad gives a directory with one file of any bytes. It loads or is refused by name; the
// memory it costs is bounded by what the file has, not by what it says. With fix set, the
// checksums of headers and the chain are repaired first, so that the checks behind them are
// reached; what loads then writes to a file that loads to the same state.
func FuzzLoad(f *testing.F) {
	_, info, good := small(f)
	f.Add(good, false)
	f.Add(good, true)
	f.Add(good[:len(good)-1], false)
	var forgedFile forged
	forgedFile.raw(blockNodes, 1, []byte("\x00\x02/a\x05data\x00\x02\x00\x00\x02\x00\x00\x00\x00\x00"))
	f.Add(forgedFile.bytes(), true)
	f.Fuzz(func(t *testing.T, b []byte, fix bool) {
		if len(b) > 1<<20 {
			return
		}
		if fix {
			b = repaired(b)
		}
		d := diskWith(t, info.Name, b)
		o := Options{Workers: 1, MaxBytes: 64 << 20}
		var got memory
		var report Report
		var err error
		// Reading costs a block and its compressed form; the memory sink keeps what it gets.
		cost := allocated(func() { report, err = Load(d, dir, &got, o) })
		if limit := uint64(12<<20) + 2*uint64(report.Loaded.RawBytes+sum(got.records)); cost > limit {
			t.Fatalf("%d bytes cost %d bytes of memory, want at most %d", len(b), cost, limit)
		}
		if err != nil {
			if !errors.Is(err, ErrNone) || len(report.Passed) != 1 {
				t.Fatalf("got %v, passed over %v", err, report.Passed)
			}
			return
		}
		again := newDisk(t)
		if _, err := Write(again, dir, &got.state, report.Loaded.TimeMS, o); err != nil {
			t.Fatal(err)
		}
		var second memory
		if _, err := Load(again, dir, &second, o); err != nil {
			t.Fatal(err)
		}
		equal(t, &second.state, &got.state)
	})
}

func sum(records []tree.Record) (n int64) {
	for i := range records {
		n += int64(len(records[i].Path)+len(records[i].Data)) + 512
	}
	return n
}

// repaired seals b again where it has the outline of a snapshot.
func repaired(b []byte) (out []byte) {
	b = append([]byte(nil), b...)
	if len(b) < headerSize+footerSize {
		return b
	}
	end := len(b) - footerSize
	parts := [][]byte{b[:headerSize]}
	for off := headerSize; off < end; {
		if end-off < blockHeaderSize {
			return b
		}
		stored := int(b[off+20]) | int(b[off+21])<<8 | int(b[off+22])<<16
		n := min(blockHeaderSize+stored, end-off)
		parts = append(parts, b[off:off+n])
		off += n
	}
	return reseal(append(parts, b[end:]))
}

// FuzzRecords gives the records of one block. What parses is written back in the same bytes,
// but for prefixes that could have been longer.
func FuzzRecords(f *testing.F) {
	var p previous
	raw := appendNode(nil, &p, &tree.Record{Path: []byte("/a/b"), Data: []byte("data"), Czxid: 7, Ctime: 1 << 40})
	f.Add(uint8(blockNodes), appendNode(raw, &p, &tree.Record{Path: []byte("/a/c"), Owner: -1}))
	p.reset()
	f.Add(uint8(blockSessions), appendSession(appendSession(nil, &p, tree.Session{ID: 1 << 60, TimeoutMS: 9}), &p, tree.Session{ID: -5, TimeoutMS: -6}))
	p.reset()
	f.Add(uint8(blockACLs), appendACL(appendACL(nil, &p, acl{5, []byte("a")}), &p, acl{3, nil}))
	f.Fuzz(func(t *testing.T, typ uint8, raw []byte) {
		var in, second parser
		in.reset(raw)
		var out previous
		var again []byte
		for n := 0; len(in.rest) > 0; n++ {
			switch blockType(typ) {
			case blockSessions:
				s := in.session()
				again = appendSession(again, &out, s)
			case blockACLs:
				a := in.acl()
				again = appendACL(again, &out, a)
			default:
				var r tree.Record
				if in.node(&r); in.err != nil {
					return
				}
				at := len(again)
				again = appendNode(again, &out, &r)
				if n == 0 {
					second.reset(again)
				} else {
					second.rest = again[at:]
				}
				var r2 tree.Record
				if second.node(&r2); second.err != nil || print(&r) != print(&r2) {
					t.Fatalf("got %s (%v), want %s", print(&r2), second.err, print(&r))
				}
			}
			if in.err != nil {
				return
			}
		}
		if typ := blockType(typ); (typ == blockSessions || typ == blockACLs) && string(again) != string(raw) {
			t.Fatalf("got %x, want %x", again, raw)
		}
	})
}
