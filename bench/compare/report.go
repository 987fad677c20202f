package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"paddock/bench"
)

// load is one line of the table.
type load struct {
	name               string
	op                 string
	conns, outstanding int
}

// loads that are compared: connections × requests outstanding on each, 100 B of data.
var loads = []load{
	{"getData 8×64", "get", 8, 64},
	{"getData 32×1", "get", 32, 1},
	{"setData 8×64", "set", 8, 64},
	{"setData 32×1", "set", 32, 1},
	{"setData 1×1", "set", 1, 1},
	{"create 8×64", "create", 8, 64},
	{"getChildren(10) 8×64", "children", 8, 64},
	{"mixed 90/10 8×64", "mixed", 8, 64},
}

// ensembleLoads are compared where there are several servers, the connections spread over them.
var ensembleLoads = []load{
	{"setData 8×64", "set", 8, 64},
	{"setData 32×1", "set", 32, 1},
	{"setData 256×1", "set", 256, 1},
	{"getData 8×64", "get", 8, 64},
	{"mixed 90/10 8×64", "mixed", 8, 64},
}

func loadsOf(servers int) []load {
	if servers > 1 {
		return ensembleLoads
	}
	return loads
}

var errNoLoad = errors.New("no such load")

// choose returns the loads of those names, all for none.
func choose(from []load, names []string) ([]load, error) {
	if len(names) == 0 {
		return from, nil
	}
	var chosen []load
	for _, name := range names {
		i := slices.IndexFunc(from, func(l load) bool { return l.name == name })
		if i < 0 {
			return nil, fmt.Errorf("%w: %q", errNoLoad, name)
		}
		chosen = append(chosen, from[i])
	}
	return chosen, nil
}

// row is a load with what came of it on both sides, a result for each round.
type row struct {
	load
	results [sides][]*bench.Result
}

// median returns the middle figure of a side's rounds.
func (r *row) median(side int, figure func(*bench.Result) float64) float64 {
	var all []float64
	for _, res := range r.results[side] {
		all = append(all, figure(res))
	}
	return median(all)
}

// median returns the middle of v, the mean of the two middle ones where there are two; 0 of nothing.
func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	n := len(v)
	switch {
	case n == 0:
		return 0
	case n%2 == 1:
		return v[n/2]
	}
	return (v[n/2-1] + v[n/2]) / 2
}

// Figures of a result.
func perSecond(r *bench.Result) float64 { return r.PerSecond }
func p50(r *bench.Result) float64       { return r.Latency.P50 }
func p99(r *bench.Result) float64       { return r.Latency.P99 }
func cpu(r *bench.Result) float64       { return r.Server.PerOp }
func rss(r *bench.Result) float64       { return float64(r.Server.RSSBytes) / (1 << 20) }
func generator(r *bench.Result) float64 { return r.Generator.PerOp }
func ratio(numerator, denominator float64) float64 {
	if denominator == 0 {
		return 0
	}
	return numerator / denominator
}

type startTime struct {
	ms float64
	n  int
}

// verdict is a target and what came of it.
type verdict struct {
	what, target, got string
	pass              bool
}

func (v verdict) String() string {
	word := "FAIL"
	if v.pass {
		word = "PASS"
	}
	return fmt.Sprintf("%s  %s: want %s, got %s", word, v.what, v.target, v.got)
}

// target: our CPU per operation, of all servers together, is at most this part of Apache's.
type target struct {
	load string
	part float64
}

var (
	cpuTargets         = []target{{"getData 8×64", 12}, {"setData 8×64", 5}}
	ensembleCPUTargets = []target{{"setData 8×64", 4}, {"setData 32×1", 4}, {"setData 256×1", 4}}
)

const startTargetMS = 50

// judge compares with the targets. A figure that was not taken has no verdict.
func judge(r *report) (vs []verdict) {
	targets := cpuTargets
	if r.options.Servers > 1 {
		targets = ensembleCPUTargets
	}
	for _, t := range targets {
		i := slices.IndexFunc(r.rows, func(row row) bool { return row.name == t.load })
		if i < 0 {
			continue
		}
		theirs, ours := r.rows[i].median(apache, cpu), r.rows[i].median(paddock, cpu)
		vs = append(vs, verdict{
			what:   t.load + ", 100 B: server CPU per operation",
			target: fmt.Sprintf("at most 1/%.0f of Apache's", t.part),
			got:    fmt.Sprintf("1/%.1f (%.3f µs and %.2f µs)", ratio(theirs, ours), ours, theirs),
			pass:   ours > 0 && ours*t.part <= theirs,
		})
	}
	if ours := r.starts[paddock]; ours.n > 0 {
		vs = append(vs, verdict{
			what:   "start in an empty directory, from exec to the first session",
			target: fmt.Sprintf("at most %d ms", startTargetMS),
			got:    fmt.Sprintf("%.1f ms", ours.ms),
			pass:   ours.ms <= startTargetMS,
		})
	}
	return vs
}

// report is all that was measured.
type report struct {
	machine, command, commit string
	options                  options
	starts                   [sides]startTime
	rows                     []row
	ceiling                  *bench.Result // nil: not measured
	verdicts                 []verdict
}

func (r *report) missed() bool {
	return slices.ContainsFunc(r.verdicts, func(v verdict) bool { return !v.pass })
}

// write prints the report as Markdown.
func (r *report) write(w io.Writer) {
	fmt.Fprintf(w, "\nCommit `%s`, `%s`.\nMachine: %s.\n", r.commit, r.command, r.machine)
	fmt.Fprintf(w, "Medians of %d rounds of %v each after %v of warm-up, the two in turn, servers on each side: %d. Apache's JVM: `%s`.\n\n",
		r.options.Rounds, r.options.Duration, r.options.Warmup, max(1, r.options.Servers), strings.Join(r.options.jvm(), " "))
	for _, v := range r.verdicts {
		fmt.Fprintf(w, "- %v\n", v)
	}
	fmt.Fprintf(w, "\nEach cell: Apache → paddock (how many times better; below 1 it is worse).\n\n")
	fmt.Fprintf(w, "| load | operations /s | p50 µs | p99 µs | server CPU, µs an operation | server RSS, MiB | generator's own CPU, µs an operation |\n")
	fmt.Fprintf(w, "|---|---|---|---|---|---|---|\n")
	for i := range r.rows {
		row := &r.rows[i]
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %.3f → %.3f |\n", row.name,
			row.cell(perSecond, 0, true), row.cell(p50, 0, false), row.cell(p99, 0, false),
			row.cell(cpu, 2, false), row.cell(rss, 0, false), row.median(apache, generator), row.median(paddock, generator))
	}
	if c := r.ceiling; c != nil {
		fmt.Fprintf(w, "\nThe ceiling, an echo server on the same event loop, %s: %s operations /s, p50 %.0f µs, p99 %.0f µs, %.3f µs CPU an operation.\n",
			loads[0].name, grouped(c.PerSecond, 0), c.Latency.P50, c.Latency.P99, c.Server.PerOp)
	}
	if r.starts[paddock].n == 0 {
		return
	}
	fmt.Fprintf(w, "\nStart in an empty directory, from exec to the first session: %.0f ms → %.1f ms.\n", r.starts[apache].ms, r.starts[paddock].ms)
}

// cell prints a figure of both sides and how many times better ours is.
func (r *row) cell(figure func(*bench.Result) float64, decimals int, moreIsBetter bool) string {
	theirs, ours := r.median(apache, figure), r.median(paddock, figure)
	better := ratio(theirs, ours)
	if moreIsBetter {
		better = ratio(ours, theirs)
	}
	return fmt.Sprintf("%s → %s (%.1f×)", grouped(theirs, decimals), grouped(ours, decimals), better)
}

// grouped prints v with its thousands apart.
func grouped(v float64, decimals int) string {
	s := fmt.Sprintf("%.*f", decimals, v)
	whole, rest, _ := strings.Cut(s, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if rest != "" {
		return whole + "." + rest
	}
	return whole
}

// The table in the document stands between these lines.
const (
	tableBegin = "<!-- bench-compare: begin. Written by make bench-compare; do not edit. -->"
	tableEnd   = "<!-- bench-compare: end -->"
)

var errMarkers = errors.New("the lines that mark the table are missing")

// replaceTable writes r between the marks of the document.
func replaceTable(name string, r *report) error {
	old, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	r.write(&b)
	updated, err := between(old, b.Bytes())
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return os.WriteFile(name, updated, 0o644)
}

// between replaces what stands between the marks of doc.
func between(doc, table []byte) ([]byte, error) {
	head, rest, ok := bytes.Cut(doc, []byte(tableBegin+"\n"))
	_, tail, ended := bytes.Cut(rest, []byte(tableEnd))
	if !ok || !ended {
		return nil, errMarkers
	}
	return slices.Concat(head, []byte(tableBegin+"\n"), table, []byte("\n"+tableEnd), tail), nil
}
