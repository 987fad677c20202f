package admin

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestAFloodIsComputedOnce: a hundred ask while an answer is computed. They share one run, and it is not
// the one that was begun before they asked.
func TestAFloodIsComputedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			a     answers
			runs  atomic.Int64
			begin = make(chan struct{})
		)
		compute := func() []byte {
			n := runs.Add(1)
			<-begin
			return strconv.AppendInt(nil, n, 10)
		}
		got := make(chan string, 101)
		go func() { got <- "first " + string(a.do("mntr", compute)) }()
		synctest.Wait()
		for range 100 {
			go func() { got <- string(a.do("mntr", compute)) }()
		}
		synctest.Wait()
		close(begin)
		seen := map[string]int{}
		for range 101 {
			seen[<-got]++
		}
		if seen["first 1"] != 1 || seen["2"] != 100 || runs.Load() != 2 {
			t.Errorf("answers %v in %d runs, want one of the first and 100 of the second", seen, runs.Load())
		}
	})
}

func TestOtherQuestionsDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a answers
		hold := make(chan struct{})
		go a.do("wchp", func() []byte { <-hold; return nil })
		synctest.Wait()
		if got := string(a.do("srvr", func() []byte { return []byte("x") })); got != "x" {
			t.Errorf("got %q", got)
		}
		close(hold)
	})
}

func TestAPanicLetsTheOthersGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			s    shared[int]
			hold = make(chan struct{})
			wg   sync.WaitGroup
		)
		wg.Go(func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			s.do(func() int { <-hold; panic("x") })
		})
		synctest.Wait()
		wg.Go(func() { s.do(func() int { return 1 }) })
		synctest.Wait()
		close(hold)
		wg.Wait()
		if got := s.do(func() int { return 7 }); got != 7 {
			t.Errorf("got %d", got)
		}
	})
}

// TestALoopThatHangs: a server whose Status does not come back is not alive, costs one goroutine however
// often somebody asks, and is alive again when it answers.
func TestALoopThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := freshServer()
		s.statusCalls = make(chan chan struct{})
		a := newAdmin(s)
		var answered sync.WaitGroup
		for range 5 {
			answered.Go(func() {
				begun := time.Now()
				if got := ask(a, "live"); got != "not ok: an event loop does not answer" {
					t.Errorf("live answered %q", got)
				}
				if took := time.Since(begun); took != pulseTimeout {
					t.Errorf("it took %v", took)
				}
			})
		}
		wait := <-s.statusCalls
		answered.Wait()
		select {
		case <-s.statusCalls:
			t.Error("a second visit while the first hangs")
		default:
		}
		close(wait)
		synctest.Wait()
		go func() { close(<-s.statusCalls) }()
		if got := ask(a, "live"); got != "ok" {
			t.Errorf("live answered %q after the loop came back", got)
		}
	})
}
