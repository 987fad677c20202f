package bench

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"
)

func TestMistakesInTheWordsAreNamed(t *testing.T) {
	for _, tc := range []struct{ name, args, want string }{
		{"no target", "--op get", "target"},
		{"an unknown flag", "--nonsense a:1", "nonsense"},
		{"an unknown operation", "--op fly a:1", `no operation "fly"`},
		{"a weight that is none", "--op get=x a:1", `"x" is no weight`},
		{"a weight of nothing", "--op get=0 a:1", `"0" is no weight`},
		{"an operation twice", "--op get=1,get=2 a:1", "get twice"},
		{"delete among others", "--op get,delete a:1", "delete goes alone"},
		{"no connections", "-c 0 a:1", "--conns 0"},
		{"nothing outstanding", "-o 0 a:1", "--outstanding 0"},
		{"a negative rate", "--rate=-1 a:1", "--rate -1"},
		{"a rate for watches", "--op watch --rate 5 a:1", "does not go with watch"},
		{"a root that is no path", "--root x a:1", `--root "x"`},
		{"an endless run", "-d 1000h a:1", "--duration 1000h"},
		{"two mistakes at once: the second", "-c 0 -k 0 a:1", "--keys 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := parse(strings.Fields(tc.args), io.Discard)
			var usage UsageError
			if !errors.As(err, &usage) || usage.ExitCode() != 2 {
				t.Fatalf("got %v, want a usage error with exit code 2", err)
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %q, want %q in it", err, tc.want)
			}
		})
	}
}

func TestHelpIsPrintedAndNothingRuns(t *testing.T) {
	for _, args := range [][]string{{"--help"}, nil} {
		var out bytes.Buffer
		if err := Run(t.Context(), args, &out, io.Discard); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), "--outstanding") {
			t.Errorf("%q: got %q, want the flags", args, out.String())
		}
	}
}

func TestACountIsBoundedByATime(t *testing.T) {
	for _, tc := range []struct {
		name, args string
		want       time.Duration
	}{
		{"neither", "a:1", 10 * time.Second},
		{"a count only", "-n 5 a:1", countDuration},
		{"both", "-n 5 -d 3s a:1", 3 * time.Second},
	} {
		o, _, err := parse(strings.Fields(tc.args), io.Discard)
		if err != nil || o.Duration != tc.want {
			t.Errorf("%s: got %v, %v, want %v", tc.name, o.Duration, err, tc.want)
		}
	}
}

func TestSharesComeOutAsAsked(t *testing.T) {
	for _, tc := range []struct {
		op   string
		want map[kind]float64
	}{
		{"get", map[kind]float64{kindGet: 1}},
		{"mixed", map[kind]float64{kindGet: 0.9, kindSet: 0.1}},
		{"exists=1,multi=3", map[kind]float64{kindExists: 0.25, kindMulti: 0.75}},
		{"create", map[kind]float64{kindCreate: 1}},
	} {
		o := DefaultOptions("a:1")
		o.Op = tc.op
		m, err := newMix(&o, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		const n = 100_000
		var got [kinds]int
		var buf []byte
		for range n {
			var k kind
			var ok bool
			if buf, k, ok = m.append(buf[:0], 1); !ok {
				t.Fatalf("%s: the source ran dry", tc.op)
			}
			got[k]++
		}
		for k := range kinds {
			if share := float64(got[k]) / n; math.Abs(share-tc.want[k]) > 0.01 {
				t.Errorf("%s: %s has a share of %.3f, want %.3f", tc.op, kindNames[k], share, tc.want[k])
			}
		}
	}
}

func TestALoopsShareOfACountAddsUp(t *testing.T) {
	for _, count := range []int64{1, 2, 7, 100} {
		sum := int64(0)
		for i := range 3 {
			sum += share(count, i, 3)
		}
		if sum != count {
			t.Errorf("three loops send %d, want %d", sum, count)
		}
	}
	if got := share(0, 0, 3); got != unlimited {
		t.Errorf("no count: got %d, want no limit", got)
	}
}
