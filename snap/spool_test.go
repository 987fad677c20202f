package snap

import (
	"bytes"
	"errors"
	"io"
	"syscall"
	"testing"
	"testing/iotest"

	"paddock/tree"
	"paddock/vfs"
)

func TestASpoolReadsAsTheStream(t *testing.T) {
	g := rich(tree.Options{})
	want := snapshotOf(t, g.t)
	for name, fsys := range map[string]vfs.FS{"simulated": newDisk(t), "real": vfs.OS()} {
		at := dir
		if name == "real" {
			at = t.TempDir()
		}
		v := view(t, g.t)
		s, err := Spool(fsys, at, v, Options{})
		check(t, err)
		v.Close()
		if left, err := fsys.List(at); err != nil || len(left) != 0 {
			t.Errorf("%s: files while it is read: %v, %v", name, left, err)
		}
		if s.Size() != int64(len(want)) {
			t.Errorf("%s: size: got %d, want %d", name, s.Size(), len(want))
		}
		got, err := io.ReadAll(iotest.OneByteReader(io.LimitReader(s, 1000)))
		rest, err2 := io.ReadAll(s)
		if !bytes.Equal(append(got, rest...), want) || err != nil || err2 != nil {
			t.Errorf("%s: got %d bytes, %v, %v; want %d", name, len(got)+len(rest), err, err2, len(want))
		}
		if n, err := s.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("%s: behind the end: got %d, %v", name, n, err)
		}
		check(t, s.Close())
	}
}

// TestEveryFailingOperationOfASpool fails each in turn: nothing is left, or it does not matter.
func TestEveryFailingOperationOfASpool(t *testing.T) {
	total := 0
	src := many(20, 300, 2000)
	d := newDisk(t)
	d.SetFaults(func(vfs.Op) *vfs.Fault { total++; return nil })
	s, err := Spool(d, dir, ordered{src.rewound()}, tested())
	check(t, err)
	check(t, s.Close())
	failed := 0
	for n := 1; n <= total; n++ {
		for _, failure := range []error{syscall.EIO, syscall.ENOSPC, syscall.EDQUOT} {
			d := newDisk(t)
			struck := false
			d.SetFaults(nth(n, vfs.Fault{Err: failure, Short: 50}, &struck))
			s, err := Spool(d, dir, ordered{src.rewound()}, tested())
			if err == nil {
				got, err := io.ReadAll(s) // the removal of the name failed: Close tries again
				if err != nil || len(got) == 0 {
					t.Errorf("operation %d: read: %d bytes, %v", n, len(got), err)
				}
				check(t, s.Close())
			} else if failed++; !errors.Is(err, failure) || errors.Is(err, ErrNoSpace) != (failure != syscall.EIO) {
				t.Errorf("operation %d fails with %v: got %v", n, failure, err)
			}
			d.SetFaults(nil)
			if left := names(t, d); len(left) != 0 {
				t.Errorf("operation %d fails with %v: left %v", n, failure, left)
			}
		}
	}
	t.Logf("operations %d, failed %d", total, failed)
	if failed == 0 {
		t.Error("nothing failed")
	}
}

func TestWhatACrashLeavesOfASpoolIsDropped(t *testing.T) {
	d := newDisk(t)
	mustWrite(t, d, shapes(1), 1)
	for _, name := range []string{"spool-1.tmp", "spool-3.tmp", "spool-x.tmp", "spool-4"} {
		put(t, d, name, []byte("half"))
	}
	s, err := Spool(d, dir, ordered{many(1, 5, 10)}, tested())
	check(t, err)
	if left := names(t, d); len(left) != 5 {
		t.Errorf("beside leftovers: %v", left)
	}
	check(t, s.Close())
	check(t, DropSpools(d, dir))
	if left := names(t, d); len(left) != 3 {
		t.Errorf("left: %v", left)
	}
}

// A source that gives up leaves no file behind.
func TestASpoolOfAViewThatHasFailed(t *testing.T) {
	src := many(3, 5, 10)
	src.err = tree.ErrViewTooLarge
	d := newDisk(t)
	if _, err := Spool(d, dir, ordered{src}, tested()); !errors.Is(err, tree.ErrViewTooLarge) {
		t.Errorf("got %v", err)
	}
	if left := names(t, d); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}
