package tree

import (
	"testing"

	"paddock/wire"
)

func TestTheConfigurationIsANodeAndNoTransaction(t *testing.T) {
	tr := New(Options{})
	before, applied := tr.Digest(), tr.Applied()
	tr.SetConfig([]byte("server.1=a:1:2:participant\nversion=0"), 0x100000003, 77)
	var n Node
	if !tr.Lookup([]byte("/zookeeper/config"), &n) {
		t.Fatal("there is no such node")
	}
	if n.Stat.Version != -1 || n.Stat.Mzxid != 0x100000003 || n.Stat.Mtime != 77 || n.Stat.DataLength != 36 {
		t.Errorf("its stat is %+v", n.Stat)
	}
	if tr.Digest() != before || tr.Applied() != applied {
		t.Errorf("digest %#x and zxid %v, were %#x and %v", tr.Digest(), tr.Applied(), before, applied)
	}
	v, err := tr.OpenView()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	tr.SetConfig([]byte("another"), 0x100000004, 78)
	for more := true; more; {
		var records []Record
		records, more = v.Next(make([]Record, 0, 8))
		for _, r := range records {
			if string(r.Path) == "/zookeeper/config" && (r.Mzxid != 0x100000003 || len(r.Data) != 36) {
				t.Errorf("a view that was open shows zxid %v, %q", wire.Zxid(r.Mzxid), r.Data)
			}
		}
	}
}
