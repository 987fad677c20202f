package wal

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"paddock/wire"
)

// windowed is what a window gives.
func windowed(w *Window, after, through wire.Zxid) (all []string) {
	for zxid, txn := range w.Range(after, through) {
		all = append(all, fmt.Sprintf("%s %s", zxid, txn))
	}
	return all
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return
}

func TestAWindowGivesWhatIsAboveItsFloor(t *testing.T) {
	w := NewWindow(z(1, 3), 100, 3)
	if w.Floor() != z(1, 3) || w.Last() != z(1, 3) || !w.Has(z(1, 3), z(1, 3)) || w.Has(z(1, 2), z(1, 3)) {
		t.Errorf("empty: floor %s, last %s", w.Floor(), w.Last())
	}
	w.Append(z(1, 4), []byte("a"))
	w.Append(z(1, 5), []byte("bb"))
	w.Append(z(2, 1), []byte("ccc"))
	for _, tt := range []struct {
		name           string
		after, through wire.Zxid
		want           []string
	}{
		{"all", z(1, 3), z(2, 1), []string{"0x100000004 a", "0x100000005 bb", "0x200000001 ccc"}},
		{"the last", z(1, 5), z(2, 1), []string{"0x200000001 ccc"}},
		{"the first", z(1, 3), z(1, 4), []string{"0x100000004 a"}},
		{"up to the beginning of an epoch", z(1, 4), z(2, 0), []string{"0x100000005 bb"}},
		{"from a zxid that there is not", z(1, 9), z(2, 1), []string{"0x200000001 ccc"}},
		{"none", z(2, 1), z(2, 1), nil},
		{"from beyond the end", z(3, 1), z(2, 1), nil},
	} {
		if got := windowed(w, tt.after, tt.through); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	w.Append(z(2, 2), []byte("d"))
	if w.Floor() != z(1, 4) || w.Len() != 3 || w.Bytes() != 6 {
		t.Errorf("over the count: floor %s, %d transactions, %d bytes", w.Floor(), w.Len(), w.Bytes())
	}
	w.Append(z(2, 3), make([]byte, 101))
	if w.Floor() != z(2, 3) || w.Last() != z(2, 3) || w.Len() != 0 {
		t.Errorf("one larger than the window: floor %s, last %s, %d transactions", w.Floor(), w.Last(), w.Len())
	}
}

func TestAWindowRefusesHoles(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(w *Window)
	}{
		{"a gap", func(w *Window) { w.Append(z(1, 6), []byte("x")) }},
		{"a repetition", func(w *Window) { w.Append(z(1, 4), []byte("x")) }},
		{"an epoch that begins late", func(w *Window) { w.Append(z(2, 2), []byte("x")) }},
		{"nothing", func(w *Window) { w.Append(z(1, 5), nil) }},
		{"a range below the floor", func(w *Window) { windowed(w, z(1, 2), z(1, 4)) }},
		{"a range beyond the end", func(w *Window) { windowed(w, z(1, 3), z(1, 5)) }},
	} {
		w := NewWindow(z(1, 3), 100, 10)
		w.Append(z(1, 4), []byte("a"))
		if !panics(func() { tt.do(w) }) {
			t.Errorf("%s: no panic", tt.name)
		}
	}
}

// TestWindowAgainstModel drives a window and a plain list of what was appended.
func TestWindowAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		maxBytes := rapid.IntRange(1, 300).Draw(t, "bytes")
		maxTxns := rapid.IntRange(1, 40).Draw(t, "transactions")
		w, floor := NewWindow(5, maxBytes, maxTxns), wire.Zxid(5)
		var txns []string
		zxids := []wire.Zxid{} // of txns
		last := func() wire.Zxid {
			if n := len(zxids); n > 0 {
				return zxids[n-1]
			}
			return floor
		}
		appendOne := func(t *rapid.T) {
			zxid := last() + 1
			if rapid.IntRange(0, 9).Draw(t, "new epoch") == 0 {
				zxid = z(int64(last().Epoch())+1, 1)
			}
			txn := txnBytes(zxid, len(txns), 0)[:1]
			txn = append(txn, bytes.Repeat([]byte{byte(zxid)}, rapid.IntRange(0, maxBytes+maxBytes/9).Draw(t, "size")/rapid.IntRange(1, 8).Draw(t, "of"))...)
			w.Append(zxid, txn)
			clear(txn) // the window has its own
			txn[0] = 't'
			for i := range txn[1:] {
				txn[1+i] = byte(zxid)
			}
			zxids, txns = append(zxids, zxid), append(txns, string(txn))
		}
		t.Repeat(map[string]func(*rapid.T){
			"append": appendOne,
			"again":  appendOne,
			"more":   appendOne,
			"truncate": func(t *rapid.T) {
				n := rapid.IntRange(0, min(len(zxids), 5)).Draw(t, "by")
				zxids, txns = zxids[:len(zxids)-n], txns[:len(txns)-n]
				w.TruncateTo(last())
			},
			"reset": func(t *rapid.T) {
				floor = last() + wire.Zxid(rapid.IntRange(0, 3).Draw(t, "ahead"))
				zxids, txns = nil, nil
				w.Reset(floor)
			},
			"": func(t *rapid.T) {
				if len(w.ring) > maxBytes || len(w.entries) > maxTxns || w.Last() != last() || w.Len() > len(txns) {
					t.Fatalf("ring of %d bytes for %d, %d entries for %d, last %s, want %s",
						len(w.ring), maxBytes, len(w.entries), maxTxns, w.Last(), last())
				}
				had := len(txns) - w.Len()
				if got, want := w.Floor(), append([]wire.Zxid{floor}, zxids...)[had]; got != want {
					t.Fatalf("floor: got %s, want %s", got, want)
				}
				from := had + rapid.IntRange(0, w.Len()).Draw(t, "from")
				to := from + rapid.IntRange(0, len(txns)-from).Draw(t, "to")
				at := append([]wire.Zxid{floor}, zxids...)
				i, size := from, 0
				for zxid, txn := range w.Range(at[from], at[to]) {
					if i >= to || zxid != zxids[i] || string(txn) != txns[i] {
						t.Fatalf("transaction %d: got %s %q, want %s %q", i, zxid, txn, zxids[i], txns[i])
					}
					i++
				}
				for _, txn := range txns[had:] {
					size += len(txn)
				}
				if i != to || size != w.Bytes() {
					t.Fatalf("ended at %d, %d bytes; want %d, %d", i, w.Bytes(), to, size)
				}
			},
		})
	})
}

// Both rings grow while what they hold does not begin at their beginning.
func TestAWindowKeepsWhatItHoldsWhenItGrows(t *testing.T) {
	for _, maxTxns := range []int{3, 100} {
		w := NewWindow(0, 1000, maxTxns)
		var want []string
		for i, size := range []int{20, 20, 20, 20, 50, 300, 400, 600, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20} {
			zxid := wire.Zxid(i + 1)
			txn := txnBytes(zxid, 1, size)
			w.Append(zxid, txn)
			want = append(want, fmt.Sprintf("%s %s", zxid, txn))
			if got := windowed(w, w.Floor(), zxid); w.Len() == 0 || !slices.Equal(got, want[len(want)-w.Len():]) {
				t.Errorf("at most %d, after %d: got %q", maxTxns, i+1, got)
			}
		}
	}
}

// A window that drops more than it must would send learners to the disk.
func TestAWindowIsFilledBeforeItDrops(t *testing.T) {
	w := NewWindow(0, 1<<20, 1<<20)
	txn := make([]byte, 1000)
	for zxid := wire.Zxid(1); zxid <= 5000; zxid++ {
		w.Append(zxid, txn)
		if want := min(int(zxid), 1<<20/1000); w.Len() < want {
			t.Fatalf("after %d transactions of 1,000 bytes: %d are kept in 1 MiB, want %d", zxid, w.Len(), want)
		}
	}
}

func TestWhatAWindowDroppedIsOverwritten(t *testing.T) {
	if !invariants {
		t.Skip("needs -tags invariants")
	}
	for _, tt := range []struct {
		name string
		do   func(w *Window)
	}{
		{"evicted", func(w *Window) { w.Append(2, make([]byte, 8)); w.Append(3, make([]byte, 8)) }},
		{"truncated", func(w *Window) { w.TruncateTo(0) }},
		{"reset", func(w *Window) { w.Reset(7) }},
	} {
		w := NewWindow(0, 16, 2)
		w.Append(1, []byte("eight by"))
		for _, txn := range w.Range(0, 1) {
			tt.do(w)
			if string(txn) == "eight by" {
				t.Errorf("%s: it is still there", tt.name)
			}
		}
	}
}

func TestAWindowDoesNotAllocate(t *testing.T) {
	w, b := NewWindow(0, 1<<20, 1000), NewBatch(64<<10)
	txn, bytes := txnBytes(1, 1, 150), 0
	turn := func() {
		b.Reset()
		from := w.Last()
		for range 20 {
			b.Add(max(from, b.Last())+1, txn)
		}
		w.AppendBatch(b)
		for _, txn := range w.Range(from, w.Last()) {
			bytes += len(txn)
		}
	}
	for range 100 {
		turn()
	}
	if n := testing.AllocsPerRun(1000, turn); n != 0 {
		t.Errorf("a batch of 20 in and out: %v allocs, want 0", n)
	}
	if bytes == 0 || w.Len() != 1000 {
		t.Errorf("%d bytes, %d transactions", bytes, w.Len())
	}
}

// BenchmarkWindow appends batches of transactions and reads them once each, as for one learner.
func BenchmarkWindow(b *testing.B) {
	for _, size := range []int{150, 1024} {
		b.Run(fmt.Sprintf("20 of %d bytes", size), func(b *testing.B) {
			w, batch, txn := NewWindow(0, 32<<20, 1<<17), NewBatch(64<<10), txnBytes(1, 1, size)
			total := 0
			b.ReportAllocs()
			b.SetBytes(int64(20 * size))
			for b.Loop() {
				batch.Reset()
				from := w.Last()
				for n := range wire.Zxid(20) {
					batch.Add(from+n+1, txn)
				}
				w.AppendBatch(batch)
				for _, txn := range w.Range(from, w.Last()) {
					total += len(txn)
				}
			}
		})
	}
}
