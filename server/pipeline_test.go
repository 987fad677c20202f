package server

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"paddock/wire"
)

// fakeStages note what passes them, and that nobody else is in the same stage.
type fakeStages struct {
	t          *testing.T
	owners     [3]atomic.Int32
	failAt     int32 // the commit that fails, 0 for none
	commits    atomic.Int32
	ordered    []int32 // xids, by the stage's owner
	committed  []int32
	settled    []int32
	fatals     atomic.Int32
	roomAgains atomic.Int32
}

func (f *fakeStages) own(stage int) func() {
	if n := f.owners[stage].Add(1); n != 1 {
		f.t.Errorf("stage %d has %d owners", stage, n)
	}
	for range rand.IntN(3) {
		runtime.Gosched() // so that stages overlap
	}
	return func() { f.owners[stage].Add(-1) }
}

func xids(dst []int32, w *work) []int32 {
	for _, b := range w.batches {
		for i := range b.entries {
			dst = append(dst, b.entries[i].xid)
		}
	}
	return dst
}

func (f *fakeStages) sequence(w *work) {
	defer f.own(0)()
	f.ordered = xids(f.ordered, w)
}

func (f *fakeStages) commit(ws []*work) error {
	defer f.own(1)()
	if f.commits.Add(1) == f.failAt {
		return errDisk
	}
	for _, w := range ws {
		f.committed = xids(f.committed, w)
	}
	return nil
}

func (f *fakeStages) settle(st *step, _ role) ([]*batch, error) {
	defer f.own(2)()
	f.settled = xids(f.settled, st.w)
	return nil, nil
}

func (f *fakeStages) sequenced(wire.Zxid, []asking) {}

func (f *fakeStages) idle(int64) error {
	defer f.own(1)() // it is the log's too
	return nil
}

func (f *fakeStages) fatal(error) { f.fatals.Add(1) }
func (f *fakeStages) roomAgain()  { f.roomAgains.Add(1) }

func oneOf(xid int32, bytes int) *batch {
	b := newBatch(0, 0)
	b.add(entry{kind: kindWrite, op: wire.OpSetData, xid: xid}, make([]byte, bytes))
	return b
}

// Whatever the workers do, all stages see what one submitter put in the order in which it was put, each
// with one owner, and Close returns when all of it is settled.
func TestPipelineKeepsTheOrder(t *testing.T) {
	f := &fakeStages{t: t}
	p := newPipeline(f)
	p.start()
	const submitters, each = 4, 3000
	var wg sync.WaitGroup
	for s := range submitters {
		wg.Go(func() {
			for i := range each {
				p.put(oneOf(int32(s*each+i), 10))
				if i%100 == 0 {
					p.seal(0)
				}
			}
		})
	}
	wg.Wait()
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][]int32{"sequence": f.ordered, "log": f.committed, "apply": f.settled} {
		if !slices.Equal(got, f.ordered) || len(got) != submitters*each {
			t.Errorf("%s saw %d requests, in another order than the sequencer's %d", name, len(got), len(f.ordered))
		}
	}
	next := [submitters]int32{}
	for _, xid := range f.settled {
		s := xid / each
		if xid%each != next[s] {
			t.Fatalf("submitter %d: %d came where %d was due", s, xid%each, next[s])
		}
		next[s]++
	}
	if p.outstanding() != 0 || p.queuedBytes != 0 {
		t.Errorf("%d requests and %d bytes are still counted", p.outstanding(), p.queuedBytes)
	}
}

// The bound is told when it is passed, and taken back once when there is room.
func TestPipelineIsBounded(t *testing.T) {
	f := &fakeStages{t: t}
	p := newPipeline(f)      // not started: nothing leaves
	const size = 1<<20 - 128 // with what an entry counts, a MiB
	for i := range maxQueuedBytes>>20 + 1 {
		if p.isFull.Load() {
			t.Fatalf("full with %d bytes", p.queuedBytes)
		}
		p.put(oneOf(int32(i), size))
	}
	if !p.isFull.Load() {
		t.Fatalf("not full with %d bytes", p.queuedBytes)
	}
	p.start()
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	if p.isFull.Load() || f.roomAgains.Load() != 1 {
		t.Errorf("full is %v, told %d times that there is room", p.isFull.Load(), f.roomAgains.Load())
	}
}

// After a commit that failed nothing is committed and nothing settled that was not committed before.
func TestPipelineStopsAtAFailure(t *testing.T) {
	for failAt := int32(1); failAt < 30; failAt += 4 {
		t.Run(fmt.Sprint("commit ", failAt), func(t *testing.T) {
			f := &fakeStages{t: t, failAt: failAt}
			p := newPipeline(f)
			p.start()
			for i := range int32(5000) {
				p.put(oneOf(i, 10))
				if i%50 == 0 {
					runtime.Gosched()
				}
			}
			for f.commits.Load() < failAt && f.fatals.Load() == 0 && p.outstanding() > 0 {
				runtime.Gosched()
			}
			err := p.close()
			if f.commits.Load() < failAt {
				t.Skipf("all went through in %d commits", f.commits.Load())
			}
			if !errors.Is(err, errDisk) || f.fatals.Load() != 1 || f.commits.Load() != failAt {
				t.Errorf("close: %v; fatal told %d times; %d commits, want %d", err, f.fatals.Load(), f.commits.Load(), failAt)
			}
			if n := len(f.settled); n > len(f.committed) || !slices.Equal(f.settled, f.committed[:n]) {
				t.Errorf("%d settled, %d committed", len(f.settled), len(f.committed))
			}
			p.seal(0)
			if f.commits.Load() != failAt {
				t.Error("the log was touched again")
			}
		})
	}
}
