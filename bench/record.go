package bench

import (
	"sync/atomic"

	"github.com/HdrHistogram/hdrhistogram-go"

	"paddock/wire"
)

// Latencies are recorded in nanoseconds with three digits, up to ten minutes.
const (
	maxLatency        = int64(10 * 60 * 1e9)
	significantDigits = 3
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, maxLatency, significantDigits)
}

// record puts n equal latencies into h.
func record(h *hdrhistogram.Histogram, latency int64, n int64) {
	if err := h.RecordValues(min(max(latency, 0), maxLatency), n); err != nil {
		panic(err) // it is in range
	}
}

// recorder holds what one loop saw. It belongs to the loop; others may look when the loop is done.
type recorder struct {
	window  struct{ from, to int64 } // requests due or written in it count
	watches bool                     // events are what counts, not replies

	byKind   [kinds]*hdrhistogram.Histogram // nil: none yet
	late     *hdrhistogram.Histogram        // open loop: how long after its due time a request was written
	givenUp  *hdrhistogram.Histogram        // what was due and had no answer: how long it waited in vain
	answered int64                          // replies that came inside the window; of a watch: events
	errors   [256]int64                     // by the negated code
	last     int64                          // when the last reply came

	run struct { // equal latencies in a row, not yet in the histogram
		kind kind
		at   int64
		n    int64
	}
}

func newRecorder(from, to int64) *recorder {
	r := &recorder{late: newHistogram(), givenUp: newHistogram()}
	r.window.from, r.window.to = from, to
	return r
}

// reply notes the answer at now to a request that counts from at. Call flush before now changes.
func (r *recorder) reply(k kind, at, now int64, code wire.Code) {
	if r.inWindow(now) {
		if !r.watches {
			r.answered++
		}
		if code != wire.OK {
			r.errors[uint8(-code)]++
		}
	}
	if r.run.n > 0 && (r.run.at != at || r.run.kind != k) {
		r.flush(now)
	}
	r.run.kind, r.run.at = k, at
	r.run.n++
}

// event notes the event at now of a change written at at.
func (r *recorder) event(k kind, at, now int64) {
	if k == kindEvent && r.inWindow(now) {
		r.answered++
	}
	if r.inWindow(at) {
		record(r.histogram(k), now-at, 1)
		r.last = now
	}
}

// flush records the row of equal latencies.
func (r *recorder) flush(now int64) {
	if r.run.n > 0 && r.inWindow(r.run.at) {
		record(r.histogram(r.run.kind), now-r.run.at, r.run.n)
		r.last = now
	}
	r.run.n = 0
}

func (r *recorder) inWindow(at int64) bool { return at >= r.window.from && at < r.window.to }

func (r *recorder) histogram(k kind) *hdrhistogram.Histogram {
	if r.byKind[k] == nil {
		r.byKind[k] = newHistogram()
	}
	return r.byKind[k]
}

// progress is what a loop tells while it runs: once per turn, not per request.
type progress struct {
	answered, errors atomic.Int64
	latencySum       atomic.Int64 // ns
	latencyMax       atomic.Int64 // ns, since somebody took it
	_                [4]int64     // loops do not share a cache line
}

func (p *progress) note(answered, errs, latencySum, latencyMax int64) {
	p.answered.Add(answered)
	p.latencySum.Add(latencySum)
	if errs > 0 {
		p.errors.Add(errs)
	}
	if latencyMax > p.latencyMax.Load() { // a reader that swaps in 0 meanwhile loses nothing that matters
		p.latencyMax.Store(latencyMax)
	}
}
