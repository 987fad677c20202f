package tree

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"
)

// residentBytes returns what the process has in memory, 0 where that cannot be known.
func residentBytes(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * int64(os.Getpagesize())
}

// TestADroppedTreeGivesItsMemoryBack builds trees and drops them, as a server does that receives one
// snapshot after the other. Nobody frees a tree: its memory outside the heap goes when the collector
// finds it unreachable.
func TestADroppedTreeGivesItsMemoryBack(t *testing.T) {
	const znodes, rounds = 20000, 6
	if residentBytes(t) == 0 || raceEnabled {
		t.Skip("resident memory is not known, or the trees are in the heap")
	}
	if os.Getenv("PADDOCK_TEST_ALONE") == "" { // what other tests leave is in the way
		alone := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		alone.Env = append(os.Environ(), "PADDOCK_TEST_ALONE=1")
		out, err := alone.CombinedOutput()
		if t.Logf("%s", out); err != nil {
			t.Error(err)
		}
		return
	}
	before := residentBytes(t)
	one := int64(0)
	for range rounds {
		tree, _ := grown(znodes, 1000)
		if grew := residentBytes(t) - before; one == 0 {
			one = grew
		}
		runtime.KeepAlive(tree)
	}
	if one < znodes*1000 {
		t.Fatalf("a tree of %d MB is seen as %d bytes", znodes/1000, one)
	}
	// One may stay: a stack that was not cleared can hold it.
	deadline := time.Now().Add(5 * time.Second)
	for residentBytes(t)-before > 2*one && time.Now().Before(deadline) {
		runtime.GC()
		runtime.Gosched()
	}
	left := residentBytes(t) - before
	t.Logf("one tree %d KiB; after %d of them %d KiB", one>>10, rounds, left>>10)
	if left > 2*one {
		t.Errorf("%d bytes of %d trees are left, each was %d", left, rounds, one)
	}
}

// TestADroppedTreeStaysForWhoLooksAtIt: a view is all that is left of a tree.
func TestADroppedTreeStaysForWhoLooksAtIt(t *testing.T) {
	view := func() *View {
		tree, _ := grown(3000, 100)
		v, err := tree.OpenView()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}()
	nodes, batch := int64(0), []Record(nil)
	for more := true; more; nodes += int64(len(batch)) {
		runtime.GC()
		batch, more = view.Next(batch[:0])
		for i := range batch {
			if n := len(batch[i].Data); n != 0 && n != 100 {
				t.Fatalf("%s has %d bytes", batch[i].Path, n)
			}
		}
	}
	if nodes != view.NodeCount() {
		t.Errorf("got %d nodes, want %d", nodes, view.NodeCount())
	}
	view.Close()
}
