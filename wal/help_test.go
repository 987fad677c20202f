package wal

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"paddock/vfs"
	"paddock/wire"
)

// long says whether the larger counts were asked for: PADDOCK_LONG=1.
var long = os.Getenv("PADDOCK_LONG") != ""

const dir = "/data/log"

// txnBytes is the transaction that the tests log under zxid: its length and bytes differ from its
// neighbours', and its generation tells two histories of one zxid apart.
func txnBytes(zxid wire.Zxid, generation, size int) []byte {
	b := fmt.Appendf(nil, "txn %s of %d|", zxid, generation)
	for len(b) < size {
		b = append(b, byte(zxid)+byte(len(b)))
	}
	return b
}

// model is what a log should hold.
type model struct {
	base wire.Zxid
	last wire.Zxid
	txns map[wire.Zxid]string
}

func newModel() *model { return &model{txns: map[wire.Zxid]string{}} }

func (m *model) clone() *model {
	c := *m
	c.txns = map[wire.Zxid]string{}
	for z, t := range m.txns {
		c.txns[z] = t
	}
	return &c
}

// fill puts the next n transactions into b and m.
func (m *model) fill(b *Batch, n, generation, size int) {
	b.Reset()
	for range n {
		m.last++
		txn := txnBytes(m.last, generation, size)
		b.Add(m.last, txn)
		m.txns[m.last] = string(txn)
	}
}

func (m *model) truncate(z wire.Zxid) {
	for ; m.last > z; m.last-- {
		delete(m.txns, m.last)
	}
}

func (m *model) restart(z wire.Zxid) { *m = model{base: z, last: z, txns: map[wire.Zxid]string{}} }

// differs says how l differs from m, as seen from after on; "" for not at all.
func (m *model) differs(l *Log, after wire.Zxid) string {
	if got := l.Last(); got != m.last {
		return fmt.Sprintf("last zxid: got %s, want %s", got, m.last)
	}
	at := max(after, m.base)
	err := l.Replay(at, func(txn []byte) error {
		if at >= m.last {
			return fmt.Errorf("after the last zxid %s: %.40q", at, txn)
		}
		at = m.next(at)
		if want := m.txns[at]; string(txn) != want {
			return fmt.Errorf("zxid %s: got %.40q, want %.40q", at, txn, want)
		}
		return nil
	})
	if err != nil {
		return err.Error()
	}
	if at < m.last {
		return fmt.Sprintf("replay ended at %s, want %s", at, m.last)
	}
	return ""
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustOpen(t testing.TB, fsys vfs.FS, o Options) *Log {
	t.Helper()
	l, err := Open(fsys, dir, o)
	must(t, err)
	return l
}

func small() Options { return Options{SegmentBytes: minSegment, PrepareBytes: 2048, LogID: 7} }

// prepareAll runs Prepare until there is nothing left to do.
func prepareAll(t testing.TB, l *Log) {
	t.Helper()
	for {
		more, err := l.Prepare()
		must(t, err)
		if !more {
			return
		}
	}
}

// files returns what is on the disk, for comparison.
func fileBytes(t testing.TB, d vfs.FS, name string) []byte {
	t.Helper()
	f, err := d.Open(name)
	must(t, err)
	defer f.Close()
	size, err := f.Size()
	must(t, err)
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

func segmentFiles(t testing.TB, d vfs.FS) []string {
	t.Helper()
	names, err := d.List(dir)
	must(t, err)
	return slices.DeleteFunc(names, func(n string) bool { _, ok := parseSegmentName(n); return !ok })
}

func openTemp(t testing.TB, o Options) *Log {
	t.Helper()
	l, err := Open(vfs.OS(), t.TempDir(), o)
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}
