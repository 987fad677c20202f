package session

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

const tick = 2000

func ids(sessions []*Session) []int64 {
	var all []int64
	for _, s := range sessions {
		all = append(all, s.ID)
	}
	return all
}

func TestExpiryIsTheEndOfTheTickInWhichTheTimeoutEnds(t *testing.T) { // 8.1
	for _, c := range []struct{ touchMS, timeoutMS, want int64 }{
		{0, 4000, 6000}, // on the boundary: a whole tick more
		{0, 3999, 4000},
		{1, 4000, 6000},
		{1999, 4000, 6000},
		{2000, 4000, 8000},
		{1500, 4000, 6000},
		{0, 0, 2000},
		{-1, 0, 0}, // floor, not truncation
		{-2001, 0, -2000},
	} {
		table := NewTable(tick)
		s := table.Add(1, int32(c.timeoutMS), c.touchMS)
		if got := table.ExpiryMS(s); got != c.want {
			t.Errorf("heard of at %d, timeout %d: expires at %d, want %d", c.touchMS, c.timeoutMS, got, c.want)
		}
		if got := table.Expire(c.want-1, nil); len(got) != 0 {
			t.Errorf("heard of at %d, timeout %d: expired a millisecond early", c.touchMS, c.timeoutMS)
		}
		if got := table.Expire(c.want, nil); len(got) != 1 {
			t.Errorf("heard of at %d, timeout %d: not expired when due", c.touchMS, c.timeoutMS)
		}
	}
}

func TestASessionThatWasTouchedMovesOn(t *testing.T) {
	table := NewTable(tick)
	s := table.Add(1, 4000, 0)
	s.Touch(5999)
	if got := table.Expire(6000, nil); len(got) != 0 {
		t.Fatalf("touched a millisecond before: expired %v", ids(got))
	}
	if got := table.Expire(9999, nil); len(got) != 0 {
		t.Fatalf("touched at 5999, expired before 10000: %v", ids(got))
	}
	if got := table.Expire(10000, nil); !slices.Equal(ids(got), []int64{1}) {
		t.Fatalf("at 10000: expired %v, want session 1", ids(got))
	}
	if !s.Closing() {
		t.Error("an expired session is not marked as closing")
	}
	if got := table.Expire(1<<40, nil); len(got) != 0 {
		t.Errorf("given out twice: %v", ids(got))
	}
	if table.Lookup(1) != s {
		t.Error("an expired session is gone before its close was applied")
	}
	table.Remove(1)
	if table.Lookup(1) != nil || table.Len() != 0 {
		t.Error("a removed session is still there")
	}
}

func TestRenewing(t *testing.T) { // fact 14
	t.Run("a shorter timeout counts from then on", func(t *testing.T) {
		table := NewTable(tick)
		s := table.Add(1, 40000, 0)
		if !s.Renew(4000, 1000) || s.TimeoutMS() != 4000 {
			t.Fatal("not renewed")
		}
		if got := table.Expire(5999, nil); len(got) != 0 {
			t.Error("expired early")
		}
		if got := table.Expire(6000, nil); len(got) != 1 {
			t.Error("the old, longer timeout was waited for")
		}
	})
	t.Run("a longer timeout counts from then on", func(t *testing.T) {
		table := NewTable(tick)
		s := table.Add(1, 4000, 0)
		s.Renew(40000, 1000)
		if got := table.Expire(41999, nil); len(got) != 0 {
			t.Error("the old, shorter timeout was kept")
		}
		if got := table.Expire(42000, nil); len(got) != 1 {
			t.Error("not expired when due")
		}
	})
	t.Run("a session that is closing cannot be renewed", func(t *testing.T) {
		table := NewTable(tick)
		s := table.Add(1, 4000, 0)
		table.Expire(6000, nil)
		if s.Renew(4000, 6000) {
			t.Error("renewed")
		}
		table.Remove(1)
		if s.Renew(4000, 6000) {
			t.Error("renewed after it was removed")
		}
	})
	t.Run("an expired session whose close could not be written gets a whole timeout and expires again", func(t *testing.T) {
		table := NewTable(tick)
		s := table.Add(1, 4000, 0)
		table.Expire(6000, nil)
		s.Reopen(7000)
		if s.Closing() || len(table.Expire(11999, nil)) != 0 {
			t.Error("not open for its timeout")
		}
		if len(table.Expire(12000, nil)) != 1 {
			t.Error("forgotten")
		}
	})
}

func TestWhoEndsASessionItselfIsNotExpired(t *testing.T) {
	table := NewTable(tick)
	s := table.Add(1, 4000, 0)
	if !s.MarkClosing() || s.MarkClosing() {
		t.Error("of two that end a session the first has to be told so, and only that one")
	}
	if got := table.Expire(1<<40, nil); len(got) != 0 {
		t.Errorf("expired all the same: %v", ids(got))
	}
}

func TestOwners(t *testing.T) {
	s := NewTable(tick).Add(1, 4000, 0)
	if s.Owner() != 0 {
		t.Error("a new session has an owner")
	}
	if old := s.SwapOwner(7); old != 0 {
		t.Errorf("taken from %d, want nobody", old)
	}
	if s.Disown(6) || s.Owner() != 7 {
		t.Error("disowned by somebody else")
	}
	if old := s.SwapOwner(8); old != 7 {
		t.Errorf("taken from %d, want 7", old)
	}
	if s.Disown(7) {
		t.Error("disowned by the former owner")
	}
	if !s.Disown(8) || s.Owner() != 0 {
		t.Error("not disowned by its owner")
	}
	if s.Holder() != 8 {
		t.Errorf("held last by %d, want 8", s.Holder())
	}
}

// Who still holds a session of before, or one of the same id, cannot disturb what began.
func TestResetBeginsAnew(t *testing.T) {
	table := NewTable(tick)
	var old []*Session
	for id := range int64(4) {
		s := table.Add(id, 4000, 0)
		s.SetOwner(9)
		old = append(old, s)
	}
	old[2].MarkClosing()
	table.Reset([]Entry{{2, 6000}, {3, 4000}, {8, 10000}}, 100000)
	for _, s := range old {
		if !s.Closing() || s.Renew(4000, 100000) {
			t.Errorf("session %d of before lives", s.ID)
		}
		s.SetTimeout(1) // these know that they are out
		s.Reopen(100000)
		s.MarkClosing()
	}
	if table.Len() != 3 || table.Lookup(0) != nil {
		t.Errorf("got %d sessions, want 3", table.Len())
	}
	for id, expiry := range map[int64]int64{2: 108000, 3: 106000, 8: 112000} {
		s := table.Lookup(id)
		if s == nil || s.Closing() || s.Owner() != 0 || table.ExpiryMS(s) != expiry || slices.Contains(old, s) {
			t.Fatalf("session %d: got %+v", id, s)
		}
	}
	if got := table.Expire(105999, nil); len(got) != 0 {
		t.Errorf("expired early: %v", ids(got))
	}
	if got := table.Expire(1<<40, nil); !slices.Equal(ids(got), []int64{3, 2, 8}) {
		t.Errorf("expired: got %v, want 3, 2, 8", ids(got))
	}
	table.Reset(nil, 0)
	if table.Len() != 0 || len(table.Buckets()) != 0 {
		t.Error("not empty")
	}
	table.Remove(3)
	table.Add(3, 4000, 0)
	if got := table.Expire(6000, nil); !slices.Equal(ids(got), []int64{3}) {
		t.Errorf("after an empty table: expired %v, want 3", ids(got))
	}
}

func TestExpiredSessionsComeByExpiryThenByID(t *testing.T) {
	table := NewTable(tick)
	for _, id := range []int64{5, -3, 9, 1} {
		table.Add(id, 8000, 0)
	}
	for _, id := range []int64{8, 2} {
		table.Add(id, 4000, 0)
	}
	if got, want := ids(table.Expire(100000, nil)), []int64{2, 8, -3, 1, 5, 9}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestEachGoesByID(t *testing.T) {
	table := NewTable(tick)
	for _, id := range []int64{5, -3, 9, 1} {
		table.Add(id, 4000, 0)
	}
	var got []int64
	table.Each(func(s *Session) {
		got = append(got, s.ID)
		table.Remove(s.ID) // f may call the table
	})
	if want := []int64{-3, 1, 5, 9}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestBucketsShowWhenSessionsWouldExpire(t *testing.T) {
	table := NewTable(tick)
	table.Add(2, 4000, 0)
	table.Add(1, 4000, 1999)
	table.Add(3, 4000, 0).Touch(2000) // not yet looked at by Expire, and shown right all the same
	table.Add(4, 9000, 0).MarkClosing()
	var got []string
	for _, b := range table.Buckets() {
		got = append(got, fmt.Sprint(b.ExpiryMS, ids(b.Sessions)))
	}
	if want := []string{"6000 [1 2]", "8000 [3]"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestATouchAllocatesNothing(t *testing.T) {
	s := NewTable(tick).Add(1, 4000, 0)
	now := int64(0)
	if n := testing.AllocsPerRun(1000, func() { now++; s.Touch(now) }); n != 0 {
		t.Errorf("touch: %v allocations, want 0", n)
	}
}

func TestExpireAllocatesNothingWhenNobodyIsDue(t *testing.T) {
	table := NewTable(tick)
	for id := range int64(100) {
		table.Add(id, 4000, 0)
	}
	var due []*Session
	now := int64(0)
	if n := testing.AllocsPerRun(100, func() {
		now += 10
		due = table.Expire(now%6000, due[:0])
	}); n != 0 {
		t.Errorf("expire: %v allocations, want 0", n)
	}
}

// TestExpireLooksAtWhatIsDueOnly: touching moves nothing, so a session is looked at once per timeout.
func TestExpireLooksAtWhatIsDueOnly(t *testing.T) {
	table := NewTable(tick)
	for id := range int64(1000) {
		table.Add(id, 40000, 0)
	}
	s, moves, at := table.Lookup(0), 0, int64(-1)
	for now := int64(0); now < 420_000; now += 500 {
		table.Each(func(s *Session) { s.Touch(now) })
		if table.Expire(now, nil) != nil {
			t.Fatalf("expired at %d", now)
		}
		if s.due != at {
			moves, at = moves+1, s.due
		}
	}
	if moves > 11 {
		t.Errorf("a session was moved %d times in 420 s, want at most 11 (once per 40 s)", moves)
	}
}

// naive is a table that keeps a list and looks at everybody.
type naive struct{ all map[int64]*naiveSession }

type naiveSession struct {
	touched, timeout int64
	closing          bool
}

func (n *naive) expire(now int64) []int64 {
	due := map[int64]int64{}
	var got []int64
	for id, s := range n.all {
		at := s.touched + s.timeout
		tickOf := at / tick
		if expiry := (tickOf + 1) * tick; !s.closing && expiry <= now {
			s.closing = true
			got = append(got, id)
			due[id] = expiry
		}
	}
	slices.Sort(got)
	return got
}

func TestTableAgreesWithANaiveOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table, twin := NewTable(tick), naive{map[int64]*naiveSession{}}
		now := int64(0)
		var gone []*Session
		pick := func() (int64, *Session, *naiveSession) {
			id := rapid.Int64Range(1, 12).Draw(t, "id")
			return id, table.Lookup(id), twin.all[id]
		}
		timeout := rapid.SampledFrom([]int64{0, 1, 1999, 2000, 4000, 5000, 40000, 1_000_000})
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				id, s, _ := pick()
				if s != nil {
					return
				}
				ms := timeout.Draw(t, "timeout")
				table.Add(id, int32(ms), now)
				twin.all[id] = &naiveSession{touched: now, timeout: ms}
			},
			"touch": func(t *rapid.T) {
				if _, s, n := pick(); s != nil {
					s.Touch(now)
					n.touched = now
				}
			},
			"renew": func(t *rapid.T) {
				_, s, n := pick()
				if s == nil {
					return
				}
				ms := timeout.Draw(t, "timeout")
				if got := s.Renew(int32(ms), now); got == n.closing {
					t.Fatalf("renewed: %v, closing: %v", got, n.closing)
				}
				if !n.closing {
					n.touched, n.timeout = now, ms
				}
			},
			"set timeout": func(t *rapid.T) {
				if _, s, n := pick(); s != nil {
					ms := timeout.Draw(t, "timeout")
					s.SetTimeout(int32(ms))
					n.timeout = ms
				}
			},
			"close": func(t *rapid.T) {
				if _, s, n := pick(); s != nil {
					if got := s.MarkClosing(); got == n.closing {
						t.Fatalf("marked: %v, closing before: %v", got, n.closing)
					}
					n.closing = true
				}
			},
			"reopen": func(t *rapid.T) {
				if _, s, n := pick(); s != nil && n.closing {
					s.Reopen(now)
					n.closing, n.touched = false, now
				}
			},
			"remove": func(t *rapid.T) {
				if id, s, _ := pick(); s != nil {
					table.Remove(id)
					delete(twin.all, id)
					gone = append(gone, s)
				}
			},
			"a touch, a renewal or a change of a session that is gone does nothing": func(t *rapid.T) {
				for _, s := range gone {
					s.Touch(now)
					s.SetTimeout(1)
					s.Reopen(now)
					if !s.Closing() {
						t.Fatal("a session that is gone is open again")
					}
				}
			},
			"expire": func(t *rapid.T) {
				now += rapid.SampledFrom([]int64{0, 1, 500, 1999, 2000, 2001, 10_000, 3_000_000}).Draw(t, "step")
				got := ids(table.Expire(now, nil))
				slices.Sort(got)
				if want := twin.expire(now); !slices.Equal(got, want) {
					t.Fatalf("at %d expired %v, want %v", now, got, want)
				}
			},
			"": func(t *rapid.T) {
				if table.Len() != len(twin.all) {
					t.Fatalf("%d sessions, want %d", table.Len(), len(twin.all))
				}
				listed := 0
				for _, b := range table.Buckets() {
					listed += len(b.Sessions)
				}
				open := 0
				for _, n := range twin.all {
					if !n.closing {
						open++
					}
				}
				if listed != open {
					t.Fatalf("%d in buckets, want %d", listed, open)
				}
			},
		})
	})
}

// TestTouchesRaceWithExpiry: of a renewal and an expiry that race, one wins, and both sides know which.
func TestTouchesRaceWithExpiry(t *testing.T) {
	table := NewTable(10)
	const n = 64
	for id := range int64(n) {
		table.Add(id+1, 10, 0)
	}
	var (
		wg      sync.WaitGroup
		expired atomic.Int64
		now     atomic.Int64
	)
	for g := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				s := table.Lookup(int64((i*7+g)%n) + 1)
				at := now.Load()
				if i%3 == 0 {
					s.Renew(10, at)
				} else {
					s.Touch(at)
				}
			}
		})
	}
	wg.Go(func() {
		var due []*Session
		for range 500 {
			due = table.Expire(now.Add(3), due[:0])
			expired.Add(int64(len(due)))
			for _, s := range due {
				if !s.Closing() {
					t.Errorf("session %d expired and is not closing", s.ID)
				}
			}
		}
	})
	wg.Wait()
	closing := int64(0)
	table.Each(func(s *Session) {
		if s.Closing() {
			closing++
		}
	})
	if closing != expired.Load() {
		t.Errorf("%d sessions are closing, %d were given out", closing, expired.Load())
	}
}

func BenchmarkTouch(b *testing.B) {
	s := NewTable(tick).Add(1, 4000, 0)
	b.ReportAllocs()
	for b.Loop() {
		s.Touch(1)
	}
}

// BenchmarkExpire is a server's life with 100,000 sessions that all ping: the cost of one tick.
func BenchmarkExpire(b *testing.B) {
	table := NewTable(tick)
	for id := range int64(100_000) {
		table.Add(id, 30000, id%30000)
	}
	var due []*Session
	now := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		now += tick
		b.StopTimer()
		for id := range int64(100_000) {
			table.sessions[id].Touch(now - id%10000)
		}
		b.StartTimer()
		due = table.Expire(now, due[:0])
	}
}
