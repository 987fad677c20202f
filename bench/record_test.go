package bench

import (
	"testing"

	"paddock/wire"
)

const ms = int64(1e6)

func TestRequestsOfAnOpenLoopAreDueWhateverTheClockDoes(t *testing.T) {
	s := newSchedule(100*ms, 200*ms, 1000, 0, 1)
	if _, ok := s.take(99 * ms); ok {
		t.Error("a request was due before the start")
	}
	take := func(now int64) (ats []int64) {
		for {
			at, ok := s.take(now)
			if !ok {
				return ats
			}
			ats = append(ats, at)
		}
	}
	if got := take(102 * ms); len(got) != 3 || got[0] != 100*ms || got[2] != 102*ms {
		t.Errorf("after 2 ms at 1000 /s: got %v, want three requests, 1 ms apart", got)
	}
	// A stall of 50 ms: all that was due meanwhile is handed out with the time at which it was due.
	if got := take(152 * ms); len(got) != 50 || got[0] != 103*ms || got[49] != 152*ms {
		t.Errorf("after a stall of 50 ms: got %d requests from %v on, want 50 from 103 ms on", len(got), got[0])
	}
	if got := take(1000 * ms); len(got) != 47 || got[46] != 199*ms {
		t.Errorf("at the end: got %d requests, want the 47 that were due before 200 ms", len(got))
	}
}

func TestLoopsInterleaveTheirSchedules(t *testing.T) {
	due := map[int64]bool{}
	for i := range 4 {
		s := newSchedule(0, 10*ms, 2000, i, 4)
		for {
			at, ok := s.take(10 * ms)
			if !ok {
				break
			}
			if due[at] {
				t.Errorf("two loops have a request due at %d", at)
			}
			due[at] = true
		}
	}
	if len(due) != 20 {
		t.Errorf("four loops send %d requests in 10 ms at 2000 /s, want 20", len(due))
	}
}

func TestAStallCostsAllRequestsThatWereDueInIt(t *testing.T) {
	s, rec := newSchedule(0, 1000*ms, 1000, 0, 1), newRecorder(0, 1000*ms)
	for now := int64(0); now < 1000*ms; now += ms { // a fake clock that stands still for half a second
		if now == 200*ms {
			now = 700 * ms
		}
		for {
			at, ok := s.take(now)
			if !ok {
				break
			}
			rec.reply(kindGet, at, now+ms/10, wire.OK)
			rec.flush(now + ms/10)
		}
	}
	l := newLatency(rec.histogram(kindGet))
	if l.Count != 1000 {
		t.Fatalf("%d requests recorded, want all 1000", l.Count)
	}
	// Half of the requests fell into the stall and waited up to 500 ms, evenly.
	if l.P90 < 390e3 || l.P90 > 410e3 || l.Max < 499e3 || l.P50 > 10e3 {
		t.Errorf("got %v, want p50 within the quick half, p90 about 400 ms, max about 500 ms", l)
	}
}

func TestEqualLatenciesAreRecordedOneByOneAllTheSame(t *testing.T) {
	rec := newRecorder(10*ms, 20*ms)
	now := 15 * ms
	for range 5 {
		rec.reply(kindGet, 11*ms, now, wire.OK)
	}
	rec.reply(kindSet, 11*ms, now, wire.NoNode)
	rec.reply(kindGet, 12*ms, now, wire.OK)
	rec.reply(kindGet, 9*ms, now, wire.OK) // written before the window: an answer in it, but no latency of it
	rec.flush(now)
	get, set := newLatency(rec.histogram(kindGet)), newLatency(rec.histogram(kindSet))
	if get.Count != 6 || set.Count != 1 || get.Max < 3990 || get.Max > 4010 || get.P50 < 3990 {
		t.Errorf("got get %v (%d), set %v (%d), want six around 4 ms and one", get, get.Count, set, set.Count)
	}
	if rec.answered != 8 || rec.errors[uint8(-wire.NoNode)] != 1 {
		t.Errorf("got %d answers and %d NoNode, want 8 and 1", rec.answered, rec.errors[uint8(-wire.NoNode)])
	}
}

func TestUsageIsReadFromProc(t *testing.T) {
	stat := "42 (a) name) S 1 42 42 0 -1 4194560 100 0 0 0 250 130 0 0 20 0 9 0 100 1000 200"
	u, err := parseUsage([]byte(stat), []byte("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n"))
	if err != nil || u.user != 250*clockTick || u.system != 130*clockTick || u.rss != 1<<20 || u.peak != 2<<20 {
		t.Errorf("got %+v, %v, want 2.5 s, 1.3 s, 1 MiB, 2 MiB", u, err)
	}
	if _, err := parseUsage([]byte("42 (x) S 1"), nil); err == nil {
		t.Error("a line cut short was taken for one")
	}
	if own, err := ownUsage(); err != nil || own.rss == 0 {
		t.Errorf("of this process: got %+v, %v", own, err)
	}
}
