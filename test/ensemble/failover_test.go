package ensemble

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"paddock/test/harness"
)

// writer is a session that writes at fixed times, and goes to another server at once where one fails.
type writer struct {
	harness.Session
	acked func(sent, answered time.Time)
}

// write writes every pace, the first time after begin, but never has two writes outstanding; one that
// fails is due again at once. stop ends it.
func (w *writer) write(begin, pace time.Duration, stop <-chan struct{}) {
	time.Sleep(begin) // or all would write at the same time, and then for a while nobody
	ticks := time.NewTicker(pace)
	defer ticks.Stop()
	for failed := false; ; {
		if !w.Connected() {
			if err := w.Connect(stop); errors.Is(err, harness.ErrStopped) {
				return
			} else if err != nil {
				continue // expired: the next one is a new session
			}
		}
		if !failed {
			select {
			case <-stop:
				return
			case <-ticks.C:
			}
		}
		sent := time.Now()
		r, err := w.Call(opSetData, harness.Bytes{}.Str("/failover").Str("x").Int(-1))
		if failed = err != nil || r.Err != 0; !failed {
			w.acked(sent, time.Now())
		}
	}
}

// traffic is 200 writes a second from twelve sessions on all servers, and when they were answered.
type traffic struct {
	mu      sync.Mutex
	answers [][2]time.Time // sent, answered
	stop    chan struct{}
	working sync.WaitGroup
}

func startTraffic(t *testing.T, e *harness.Ensemble) *traffic {
	t.Helper()
	const writers, perSecond = 12, 200
	tr := &traffic{stop: make(chan struct{})}
	for i := range writers {
		w := &writer{Session: harness.Session{TimeoutMS: 30_000, Patience: 5 * time.Second, At: i % len(e.Members)}, acked: tr.acked}
		for _, m := range e.Members {
			w.Addrs = append(w.Addrs, m.Addr)
		}
		if i == 0 {
			if err := w.Connect(nil); err != nil {
				t.Fatal(err)
			}
			if r, err := w.Call(opCreate, createBody("/failover", "", 0)); err != nil || r.Err != 0 && r.Err != codeNodeExists {
				t.Fatal(r.Err, err)
			}
		}
		tr.working.Go(func() { w.write(time.Duration(i)*time.Second/perSecond, writers*time.Second/perSecond, tr.stop) })
	}
	return tr
}

func (tr *traffic) acked(sent, answered time.Time) {
	tr.mu.Lock()
	tr.answers = append(tr.answers, [2]time.Time{sent, answered})
	tr.mu.Unlock()
}

// outage returns how long after the event the first write that was sent after it was answered, and the
// longest time from then on, up to now, in which nothing was answered.
func (tr *traffic) outage(event time.Time) (first, gap time.Duration, ok bool) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	last := event
	for _, a := range tr.answers { // in the order of answers, but for some µs
		if a[1].Before(event) {
			continue
		}
		gap = max(gap, a[1].Sub(last))
		last = a[1]
		if !ok && a[0].After(event) {
			first, ok = a[1].Sub(event), true
		}
	}
	return first, gap, ok
}

// forget drops what was before.
func (tr *traffic) forget() {
	tr.mu.Lock()
	tr.answers = tr.answers[:0]
	tr.mu.Unlock()
}

func (tr *traffic) end() {
	close(tr.stop)
	tr.working.Wait()
}

// The promise for an ensemble of ours: from kill -9 of the leader to the first write that was sent after
// it; and for its stop, the longest time without an answer.
const (
	killMedian = 150 * time.Millisecond
	killWorst  = 400 * time.Millisecond
	stopMedian = 50 * time.Millisecond
)

// busy is how much slower a machine may be where the figures are not what a run is for.
const busy = 10

// TestFailover ends the leader, again and again, and measures how long nobody writes. The ensembles of
// PADDOCK_FAILOVER_KINDS take turns ("GGG,JJJ"), PADDOCK_FAILOVER_ROUNDS times. Without them it is ours
// alone, a few times, and held to ten times the promise: other tests run beside this one.
func TestFailover(t *testing.T) {
	rounds, slack := 2, time.Duration(busy)
	if s := os.Getenv("PADDOCK_FAILOVER_ROUNDS"); s != "" {
		var err error
		if rounds, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
		slack = 1
	}
	var sides []*side
	for kinds := range strings.SplitSeq(cmp.Or(os.Getenv("PADDOCK_FAILOVER_KINDS"), "GGG"), ",") {
		e := start(t, harness.EnsembleConfig{Kinds: kinds})
		s := &side{Ensemble: e, traffic: startTraffic(t, e)}
		defer s.traffic.end()
		sides = append(sides, s)
	}
	for range rounds {
		for _, s := range sides {
			s.killed = append(s.killed, s.round(t, (*harness.Member).Kill).first)
			s.stopped = append(s.stopped, s.round(t, func(m *harness.Member) {
				_ = m.Stop() // how it ends is no matter here: Java's servers end with 143
			}).gap)
		}
	}
	for _, s := range sides {
		t.Logf("%s, %d rounds: kill -9 of the leader: median %v, worst %v; stop of the leader: median %v, worst %v", s.Config.Kinds, rounds,
			middle(s.killed), slices.Max(s.killed), middle(s.stopped), slices.Max(s.stopped))
		t.Logf("%s: killed %v, stopped %v", s.Config.Kinds, s.killed, s.stopped)
		if s.Config.Kinds != "GGG" {
			continue
		}
		for _, p := range []struct {
			what      string
			got, want time.Duration
		}{
			{"median after kill -9", middle(s.killed), killMedian},
			{"worst after kill -9", slices.Max(s.killed), killWorst},
			{"median after a stop", middle(s.stopped), stopMedian},
		} {
			if p.got > p.want*slack {
				t.Errorf("%s: got %v, want %v at most", p.what, p.got, p.want*slack)
			}
		}
	}
}

// side is an ensemble that is measured.
type side struct {
	*harness.Ensemble
	traffic         *traffic
	killed, stopped []time.Duration
}

type outage struct{ first, gap time.Duration }

// round ends the leader, waits until writes are answered again, and takes it back.
func (s *side) round(t *testing.T, end func(*harness.Member)) (o outage) {
	t.Helper()
	leader, err := s.AwaitLeader()
	if err != nil {
		t.Fatal(err)
	}
	s.traffic.forget()
	s.flowing(t, time.Now())
	event := time.Now()
	end(leader)
	s.flowing(t, event)
	if err := leader.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AwaitLeader(); err != nil {
		t.Fatal(err)
	}
	o.first, o.gap, _ = s.traffic.outage(event)
	o.first, o.gap = o.first.Round(100*time.Microsecond), o.gap.Round(100*time.Microsecond)
	return o
}

// flowing waits until many writes that were sent after since are answered.
func (s *side) flowing(t *testing.T, since time.Time) {
	t.Helper()
	const enough = 40
	retry := time.NewTicker(time.Millisecond)
	defer retry.Stop()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); <-retry.C {
		n := 0
		s.traffic.mu.Lock()
		for _, a := range s.traffic.answers {
			if a[0].After(since) {
				n++
			}
		}
		s.traffic.mu.Unlock()
		if n >= enough {
			return
		}
	}
	t.Fatal(fmt.Sprintf("no writes were answered for 30 s\n%s", s.Report()))
}

func middle(d []time.Duration) time.Duration {
	d = slices.Clone(d)
	slices.Sort(d)
	return d[len(d)/2]
}
