package main

import (
	"errors"
	"strings"
	"testing"

	"paddock/bench"
)

func TestMedian(t *testing.T) {
	for _, tc := range []struct {
		name string
		v    []float64
		want float64
	}{
		{"of nothing", nil, 0},
		{"of one", []float64{3}, 3},
		{"of three, unsorted", []float64{9, 1, 5}, 5},
		{"of two: between", []float64{1, 2}, 1.5},
	} {
		if got := median(tc.v); got != tc.want {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
}

// figures is a report in which our CPU per operation is cost and Apache's 12.
func figures(load string, cost, startMS float64) *report {
	r := &report{options: options{Servers: 1}}
	for _, l := range loads {
		if l.name == load {
			r.rows = []row{{load: l}}
		}
	}
	for side, c := range [sides]float64{12, cost} {
		for _, noise := range []float64{0.5, 1, 7} { // the median is the one in the middle
			r.rows[0].results[side] = append(r.rows[0].results[side], &bench.Result{PerSecond: 1000, Server: &bench.Usage{PerOp: c * noise}})
		}
	}
	r.starts = [sides]startTime{{900, 3}, {startMS, 9}}
	return r
}

func TestTargetsAreJudgedAndMissesShown(t *testing.T) {
	for _, tc := range []struct {
		name, load    string
		cost, startMS float64
		want          []bool
	}{
		{"reads at a twelfth, start in time", "getData 8×64", 1, 50, []bool{true, true}},
		{"reads a little dearer", "getData 8×64", 1.01, 50, []bool{false, true}},
		{"writes at a fifth, start too slow", "setData 8×64", 2.4, 50.1, []bool{true, false}},
		{"writes too dear", "setData 8×64", 2.5, 1, []bool{false, true}},
		{"no figure is no pass", "getData 8×64", 0, 1, []bool{false, true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := figures(tc.load, tc.cost, tc.startMS)
			r.verdicts = judge(r)
			missed := false
			for i, want := range tc.want {
				missed = missed || !want
				if got := r.verdicts[i]; got.pass != want {
					t.Errorf("got %v, want pass %v", got, want)
				}
			}
			var b strings.Builder
			r.write(&b)
			if r.missed() != missed || strings.Contains(b.String(), "FAIL") != missed {
				t.Errorf("a miss is told: %v, want %v, in\n%s", r.missed(), missed, b.String())
			}
		})
	}
}

func TestTheTableReplacesTheOneBefore(t *testing.T) {
	doc := "# Title\n" + tableBegin + "\nold\n" + tableEnd + "\nrest\n"
	want := "# Title\n" + tableBegin + "\nnew\n" + tableEnd + "\nrest\n"
	got, err := between([]byte(doc), []byte("new"))
	if err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	again, err := between(got, []byte("new"))
	if err != nil || string(again) != want {
		t.Errorf("a second time: got %q, %v, want %q", again, err, want)
	}
	for _, broken := range []string{"", tableBegin + "\n", tableEnd} {
		if _, err := between([]byte(broken), nil); !errors.Is(err, errMarkers) {
			t.Errorf("%q: got %v, want %v", broken, err, errMarkers)
		}
	}
}

func TestAnUnknownLoadIsRefused(t *testing.T) {
	if _, err := choose(loads, []string{"setData 1×1", "nonsense"}); !errors.Is(err, errNoLoad) {
		t.Errorf("got %v, want %v", err, errNoLoad)
	}
}

func TestGrouped(t *testing.T) {
	for want, got := range map[string]string{"0": grouped(0.2, 0), "999": grouped(999, 0), "1,000.50": grouped(1000.5, 2), "1,234,567": grouped(1234567, 0)} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
