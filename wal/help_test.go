package wal

import (
	"fmt"
	"maps"
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

	committed wire.Zxid // as recorded
	noted     wire.Zxid // and not yet recorded, perhaps
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

// record says that the last batch was written when committed was known to be so.
func (m *model) record(committed wire.Zxid) {
	m.committed = min(max(m.committed, m.noted, committed), m.last)
}

// reopen is what a restart with a snapshot at after does.
func (m *model) reopen(after wire.Zxid) {
	m.committed, m.noted = max(m.committed, min(after, m.last)), 0
}

// truncate drops what is above z.
func (m *model) truncate(z wire.Zxid) {
	if z == m.last {
		return
	}
	for at := range m.txns {
		if at > z {
			delete(m.txns, at)
		}
	}
	m.last, m.committed, m.noted = z, min(m.committed, z), min(m.noted, z)
	m.record(0)
}

func (m *model) restart(z wire.Zxid) {
	*m = model{base: z, last: z, committed: z, txns: map[wire.Zxid]string{}}
}

// spans returns what Spans should, for what is above after.
func (m *model) spans(after wire.Zxid) []Span {
	var all []Span
	for _, z := range slices.Sorted(maps.Keys(m.txns)) {
		if n := len(all); z <= after {
			continue
		} else if n > 0 && all[n-1].Last.Epoch() == z.Epoch() {
			all[n-1].Last = z
		} else {
			all = append(all, Span{z, z})
		}
	}
	return all
}

// differsInAll is differs, and what else recovery finds: spans, and the committed position.
func (m *model) differsInAll(l *Log, after wire.Zxid) string {
	if d := m.differs(l, after); d != "" {
		return d
	}
	at := max(after, m.base)
	var got []Span
	for _, s := range l.Spans() {
		if s.First = max(s.First, at+1); s.First <= s.Last {
			got = append(got, s)
		}
	}
	if want := m.spans(at); !slices.Equal(got, want) {
		return fmt.Sprintf("spans: got %v, want %v", got, want)
	}
	if got := l.Committed(); got != m.committed {
		return fmt.Sprintf("committed: got %s, want %s", got, m.committed)
	}
	return ""
}

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

// roomy is small with segments that take several batches and seals.
func roomy() Options {
	o := small()
	o.SegmentBytes = 16 << 10
	return o
}

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
