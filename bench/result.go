package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"paddock/wire"
)

// Result is what a run measured. Times are microseconds unless the name says otherwise.
type Result struct {
	Load      string   `json:"load"` // in words
	Targets   []string `json:"targets"`
	Seconds   float64  `json:"seconds"`    // length of the window
	Ops       int64    `json:"ops"`        // replies in the window, errors too; of a watch: events
	PerSecond float64  `json:"per_second"` // Ops / Seconds

	Latency Latency            `json:"latency"` // of all of them, and of what was given up
	ByKind  map[string]Latency `json:"by_kind"`
	Late    *Latency           `json:"late,omitempty"` // open loop: from due to written, a part of the latency

	Errors     map[string]int64 `json:"errors"`     // by the name of the code
	Unanswered int64            `json:"unanswered"` // due in the window, and given up
	Lost       []string         `json:"lost"`       // connections, with the reason

	Server    *Usage `json:"server,omitempty"` // of all processes that were named
	Generator Usage  `json:"generator"`
}

// Latency says how long something took, in microseconds.
type Latency struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p99.9"`
	Max   float64 `json:"max"`
}

// Usage is what a process consumed in the window, and its memory at the end of it.
type Usage struct {
	UserPerOp   float64 `json:"user_per_op"`
	SystemPerOp float64 `json:"system_per_op"`
	PerOp       float64 `json:"cpu_per_op"`
	Cores       float64 `json:"cores"` // CPU seconds per second
	RSSBytes    int64   `json:"rss_bytes"`
	PeakBytes   int64   `json:"peak_rss_bytes"`
}

func newLatency(h *hdrhistogram.Histogram) Latency {
	micros := func(ns int64) float64 { return float64(ns) / 1e3 }
	return Latency{h.TotalCount(), h.Mean() / 1e3, micros(h.ValueAtQuantile(50)), micros(h.ValueAtQuantile(90)),
		micros(h.ValueAtQuantile(99)), micros(h.ValueAtQuantile(99.9)), micros(h.Max())}
}

func newUsage(from, to usage, ops int64, seconds float64) Usage {
	perOp := func(d time.Duration) float64 { return float64(d) / 1e3 / float64(max(ops, 1)) }
	user, system := to.user-from.user, to.system-from.system
	return Usage{perOp(user), perOp(system), perOp(user + system), (user + system).Seconds() / seconds, to.rss, to.peak}
}

// collect adds up what the loops saw.
func (res *Result) collect(loops []*loop) {
	all, late := newHistogram(), newHistogram()
	var byKind [kinds]*hdrhistogram.Histogram
	var errs [256]int64
	open := false
	for _, l := range loops {
		for k, h := range l.rec.byKind {
			if h == nil {
				continue
			}
			if byKind[k] == nil {
				byKind[k] = newHistogram()
			}
			byKind[k].Merge(h)
			if l.rec.headline(kind(k)) {
				all.Merge(h)
			}
		}
		all.Merge(l.rec.givenUp)
		late.Merge(l.rec.late)
		open = open || l.rate != nil
		for code, n := range l.rec.errors {
			errs[code] += n
		}
		res.Ops += l.rec.answered
		res.Unanswered += l.unanswered
		for _, err := range l.lost {
			res.Lost = append(res.Lost, err.Error())
		}
	}
	res.Latency = newLatency(all)
	if open {
		lateness := newLatency(late)
		res.Late = &lateness
	}
	res.ByKind, res.Errors = map[string]Latency{}, map[string]int64{}
	if res.Lost == nil {
		res.Lost = []string{} // not null in JSON
	}
	for k, h := range byKind {
		if h != nil {
			res.ByKind[kindNames[k]] = newLatency(h)
		}
	}
	for code, n := range errs {
		if n > 0 {
			res.Errors[wire.Code(-code).String()] = n
		}
	}
}

// headline says whether k is what the run is about.
func (r *recorder) headline(k kind) bool {
	if r.watches {
		return k == kindEvent
	}
	return k <= kindMulti
}

// WriteJSON writes res as one indented object.
func (res *Result) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(res)
}

// WriteText writes res for people.
func (res *Result) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "%s → %s\n", res.Load, strings.Join(res.Targets, " "))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "  throughput\t%s /s\t(%s in %.2f s)\n", thousands(res.PerSecond), thousands(float64(res.Ops)), res.Seconds)
	fmt.Fprintf(t, "  latency\t%v\n", res.Latency)
	if len(res.ByKind) > 1 {
		for _, name := range kindNames { // in their own order
			if l, ok := res.ByKind[name]; ok {
				fmt.Fprintf(t, "    %s\t%v\n", name, l)
			}
		}
	}
	if res.Late != nil {
		fmt.Fprintf(t, "  sent late by\t%v\n", *res.Late)
	}
	fmt.Fprintf(t, "  errors\t%s\n", res.failures())
	if res.Server != nil {
		fmt.Fprintf(t, "  server\t%v\n", *res.Server)
	}
	fmt.Fprintf(t, "  generator\t%v\n", res.Generator)
	return t.Flush()
}

func (res *Result) failures() string {
	var words []string
	for name, n := range res.Errors {
		words = append(words, fmt.Sprintf("%s %d", name, n))
	}
	slices.Sort(words)
	if res.Unanswered > 0 {
		words = append(words, fmt.Sprintf("not answered %d (in the latencies with the time they waited)", res.Unanswered))
	}
	if len(res.Lost) > 0 {
		words = append(words, fmt.Sprintf("connections lost %d (%s)", len(res.Lost), res.Lost[0]))
	}
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}

func (l Latency) String() string {
	return fmt.Sprintf("p50 %s  p90 %s  p99 %s  p99.9 %s  max %s  mean %s",
		duration(l.P50), duration(l.P90), duration(l.P99), duration(l.P999), duration(l.Max), duration(l.Mean))
}

func (u Usage) String() string {
	return fmt.Sprintf("%.3f µs CPU an op (user %.3f, system %.3f), %.2f cores, RSS %s, peak %s",
		u.PerOp, u.UserPerOp, u.SystemPerOp, u.Cores, mebibytes(u.RSSBytes), mebibytes(u.PeakBytes))
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// duration prints microseconds in the unit that suits them.
func duration(us float64) string {
	switch {
	case us < 1e3:
		return fmt.Sprintf("%.0f µs", us)
	case us < 1e6:
		return fmt.Sprintf("%.2f ms", us/1e3)
	}
	return fmt.Sprintf("%.2f s", us/1e6)
}

// thousands prints a whole number in groups of three.
func thousands(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
