package config

import (
	"cmp"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	Where string // "conf/zoo.cfg:12", "--set", "JVMFLAGS", "ZOO_TICK_TIME"; empty: no single place
	Key   string // as it was written; empty where no key is to blame
	Text  string // what is wrong, and what would be right

	order int // position among all that was given, for sorting
}

// String returns "zoo.cfg:12: tickTime: …".
func (p Problem) String() string {
	var parts []string
	for _, s := range []string{p.Where, p.Key, p.Text} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ": ")
}

// Warning is a Problem that does not stop the server. The caller logs it.
type Warning struct {
	Problem
	Notice bool // nothing to correct, worth a line at Info; not fatal in strict mode either
}

// Error is a configuration that cannot be used: all that is wrong with it, in the order in
// which it was written. The process ends with exit code 2.
type Error struct{ Problems []Problem }

// Error returns one line per problem.
func (e *Error) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.String())
	}
	return b.String()
}

// ExitCode returns 2, Apache's code for a bad invocation or configuration.
func (e *Error) ExitCode() int { return 2 }

func sortProblems(problems []Problem) {
	slices.SortStableFunc(problems, func(a, b Problem) int { return cmp.Compare(a.order, b.order) })
}
