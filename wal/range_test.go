package wal

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"paddock/vfs"
	"paddock/wire"
)

// twoEpochs is a log that begins after 1/3 and holds 1/4, 1/5, 2/1 and 2/2, the last two in one batch.
func twoEpochs(t *testing.T) (*vfs.Sim, *Log) {
	t.Helper()
	d := vfs.NewSim(1)
	l, err := Restart(d, dir, z(1, 3), roomy())
	must(t, err)
	b := NewBatch(64)
	for _, batch := range [][]wire.Zxid{{z(1, 4)}, {z(1, 5)}, {z(2, 1), z(2, 2)}} {
		b.Reset()
		for _, zxid := range batch {
			b.Add(zxid, []byte(zxid.String()))
		}
		must(t, l.Commit(b, z(1, 4), 0, 0))
	}
	return d, l
}

func TestRange(t *testing.T) {
	d, l := twoEpochs(t)
	stop := errors.New("stop")
	for _, tt := range []struct {
		name           string
		after, through wire.Zxid
		want           []wire.Zxid
		err            error
	}{
		{"all", z(1, 3), z(2, 2), []wire.Zxid{z(1, 4), z(1, 5), z(2, 1), z(2, 2)}, nil},
		{"part of a batch", z(1, 4), z(2, 1), []wire.Zxid{z(1, 5), z(2, 1)}, nil},
		{"the end of a batch", z(2, 1), z(2, 2), []wire.Zxid{z(2, 2)}, nil},
		{"up to the beginning of an epoch", z(1, 4), z(2, 0), []wire.Zxid{z(1, 5)}, nil},
		{"nothing", z(1, 5), z(1, 5), nil, nil},
		{"backwards", z(2, 1), z(1, 4), nil, nil},
		{"from before the beginning", z(1, 2), z(2, 2), nil, ErrBelow},
		{"from another history", z(1, 6), z(2, 2), nil, ErrDiverged},
		{"beyond the end", z(1, 4), z(2, 3), nil, ErrAbsent},
		{"until the caller stops", z(1, 3), z(2, 2), []wire.Zxid{z(1, 4)}, stop},
	} {
		var got []wire.Zxid
		err := l.Range(tt.after, tt.through, func(zxid wire.Zxid, txn []byte) error {
			if string(txn) != zxid.String() {
				t.Errorf("%s: %s: got %q", tt.name, zxid, txn)
			}
			got = append(got, zxid)
			if tt.err == stop {
				return stop
			}
			return nil
		})
		if !slices.Equal(got, tt.want) || !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
			t.Errorf("%s: got %v, %v; want %v, %v", tt.name, got, err, tt.want, tt.err)
		}
	}
	// What is not asked for may be damaged: 2/1 and 2/2 are in the last batch.
	k := l.links[len(l.links)-1]
	must(t, d.FlipBit(dir+"/"+segmentName(k.id), k.end-100, 0))
	if err := l.Range(z(1, 3), z(1, 5), func(wire.Zxid, []byte) error { return nil }); err != nil {
		t.Errorf("up to before the damage: %v", err)
	}
	if err := l.Range(z(1, 3), z(2, 1), func(wire.Zxid, []byte) error { return nil }); !errors.Is(err, ErrHole) {
		t.Errorf("over the damage: got %v, want a hole", err)
	}
}

func TestSpansAndTheCommittedPositionAreRecovered(t *testing.T) {
	d, l := twoEpochs(t)
	want := []Span{{z(1, 4), z(1, 5)}, {z(2, 1), z(2, 2)}}
	check := func(when string, committed wire.Zxid) {
		t.Helper()
		if got := l.Spans(); !slices.Equal(got, want) || l.Committed() != committed {
			t.Errorf("%s: got %v, committed %s; want %v, %s", when, got, l.Committed(), want, committed)
		}
	}
	reopen := func(after wire.Zxid) {
		t.Helper()
		o := small()
		o.After = after
		l = mustOpen(t, d, o)
	}
	check("before the crash", z(1, 4))
	d.Kill()
	reopen(z(1, 3))
	check("after a kill", z(1, 4))
	l.NoteCommitted(z(2, 1))
	check("noted", z(1, 4))
	d = d.Crash(d.Ops(), func(vfs.Unit) bool { return false })
	reopen(z(1, 3))
	check("noted and not recorded", z(1, 4))
	l.NoteCommitted(z(2, 1))
	must(t, l.Close())
	reopen(z(1, 3))
	check("noted before a clean end", z(2, 1))
	l.NoteCommitted(z(9, 9))
	must(t, l.Seal())
	check("noted beyond the end, and sealed", z(2, 2))
	must(t, l.Close())
	reopen(z(1, 3))
	check("opened again", z(2, 2))
	must(t, l.TruncateTo(z(2, 1)))
	want[1].Last = z(2, 1)
	check("truncated", z(2, 1))
	d.Kill()
	reopen(z(1, 3))
	check("and opened again", z(2, 1))
}

func TestASnapshotCommitsWhatItHolds(t *testing.T) {
	d, l := twoEpochs(t)
	must(t, l.Close())
	for _, tt := range []struct{ after, want wire.Zxid }{{z(1, 3), z(1, 4)}, {z(1, 5), z(1, 5)}, {z(3, 1), z(2, 2)}} {
		o := small()
		o.After = tt.after
		l := mustOpen(t, d.Clone(), o)
		if got := l.Committed(); got != tt.want {
			t.Errorf("with a snapshot at %s: got %s, want %s", tt.after, got, tt.want)
		}
	}
}

func TestAnIdleLogIsSealedOnceForEachCommittedPosition(t *testing.T) {
	_, l := twoEpochs(t)
	seals := l.Stats().Seals
	for range 3 {
		must(t, l.Seal())
	}
	l.NoteCommitted(z(2, 2))
	for range 3 {
		l.NoteCommitted(z(2, 1)) // late
		must(t, l.Seal())
	}
	if got := l.Stats().Seals - seals; got != 2 {
		t.Errorf("got %d seals, want 2", got)
	}
}

// A learner that is being fed must not stop a purge, nor the purge lead the feeder astray.
func TestARangeThatIsRemovedMeanwhile(t *testing.T) {
	d, m := vfs.NewSim(1), newModel()
	l := mustOpen(t, d, small())
	for range 8 {
		must(t, commits(1, 1200).do(l, m))
	}
	n := wire.Zxid(0)
	err := l.Range(0, l.Last(), func(zxid wire.Zxid, _ []byte) error {
		n++
		if zxid != n {
			return fmt.Errorf("got %s after %s", zxid, n-1)
		}
		return l.RemoveThrough(6)
	})
	if !errors.Is(err, ErrBelow) || n == 0 || n > 6 {
		t.Errorf("got %v after %d transactions, want ErrBelow before the 7th", err, n)
	}
}

// countingFS counts the bytes that are read.
type countingFS struct {
	vfs.FS
	read *int64
}

type countingFile struct {
	vfs.File
	read *int64
}

func (c countingFS) Open(name string) (vfs.File, error) {
	f, err := c.FS.Open(name)
	return countingFile{f, c.read}, err
}

func (c countingFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.File.ReadAt(p, off)
	*c.read += int64(n)
	return n, err
}

// Wherever in a large segment a range begins, as written or as recovered, only its neighbourhood is read.
func TestARangeIsReadFromNearWhereItBegins(t *testing.T) {
	d, m, read := vfs.NewSim(1), newModel(), int64(0)
	o := Options{LogID: 7, SegmentBytes: 8 << 20}
	l := mustOpen(t, countingFS{d, &read}, o)
	for m.last < 1000 {
		must(t, commits(1, 6000).do(l, m))
	}
	for _, how := range []string{"as written", "as recovered"} {
		for _, after := range []wire.Zxid{0, 1, 500, 998} {
			read = 0
			n := 0
			must(t, l.Range(after, after+2, func(zxid wire.Zxid, txn []byte) error {
				if n++; string(txn) != m.txns[zxid] {
					return fmt.Errorf("%s: got %.40q", zxid, txn)
				}
				return nil
			}))
			// The header and the batches through one window each, and what lies between two marks.
			if limit := int64(2*windowBytes + 64<<10); n != 2 || read > limit {
				t.Errorf("%s, after %s: %d transactions from %d bytes, want 2 from at most %d", how, after, n, read, limit)
			}
		}
		must(t, l.Close())
		l = mustOpen(t, countingFS{d, &read}, o)
	}
}
