package bench

// schedule says when requests of an open loop are due. Times are nanoseconds on the run's clock. A
// request's due time depends on its number only, never on what the server did: that is what keeps a
// stall from hiding the requests that nobody could send in it.
type schedule struct {
	start    int64
	interval float64 // ns between requests
	taken    int64   // requests taken so far
	end      int64   // requests due at or after it do not exist
}

// newSchedule returns the share of loop number loop of loops in rate requests per second. The loops'
// requests interleave.
func newSchedule(start, end int64, rate float64, loop, loops int) schedule {
	interval := 1e9 / rate * float64(loops)
	return schedule{start: start + int64(interval*float64(loop)/float64(loops)), interval: interval, end: end}
}

// due returns when the next request is due; false if there is none left.
func (s *schedule) due() (at int64, ok bool) {
	at = s.start + int64(float64(s.taken)*s.interval)
	return at, at < s.end
}

// take takes the next request if it is due by now.
func (s *schedule) take(now int64) (at int64, ok bool) {
	at, ok = s.due()
	if !ok || at > now {
		return 0, false
	}
	s.taken++
	return at, true
}
