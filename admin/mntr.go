package admin

import (
	"strconv"
	"strings"

	"paddock/server"
)

// line is a metric as mntr and the command monitor have it.
type line struct {
	name  string // without zk_
	value any    // int64 or float64: what has a point keeps it
}

// lines renders the whole catalogue, in its order.
func lines(v *sample) []line {
	var all []line
	for _, m := range catalogue() {
		if !v.knows(&m) {
			continue
		}
		name := strings.TrimPrefix(m.name, "zk_")
		switch m.kind {
		case gauge, counter:
			all = append(all, line{name, asNumber(m.value(v), m.decimal)})
		case basic:
			all = appendSummary(all, name, m.summary(v))
		case advanced:
			s := m.summary(v)
			all = appendPercentiles(appendSummary(all, name, s), name, s)
		}
	}
	return all
}

func asNumber(f float64, decimal bool) any {
	if decimal {
		return f
	}
	return int64(f)
}

func appendSummary(all []line, name string, s server.Summary) []line {
	return append(all,
		line{"avg_" + name, mean(s)},
		line{"min_" + name, int64(s.Min)},
		line{"max_" + name, int64(s.Max)},
		line{"cnt_" + name, s.Count},
		line{"sum_" + name, int64(s.Sum)})
}

func appendPercentiles(all []line, name string, s server.Summary) []line {
	return append(all,
		line{"p50_" + name, int64(s.P50)},
		line{"p95_" + name, int64(s.P95)},
		line{"p99_" + name, int64(s.P99)},
		line{"p999_" + name, int64(s.P999)})
}

// mean is 0 where nothing was counted: never NaN.
func mean(s server.Summary) float64 {
	if s.Count == 0 {
		return 0
	}
	return s.Sum / float64(s.Count)
}

func (a *Admin) mntr(s Server, t *text, _ []byte) {
	t.add("zk_version\t" + a.version + "\nzk_server_state\t" + mode + "\n")
	for _, l := range lines(take(s)) {
		t.add("zk_" + l.name + "\t" + l.text() + "\n")
	}
}

func (l line) text() string {
	if f, ok := l.value.(float64); ok {
		return decimal(f)
	}
	return strconv.FormatInt(l.value.(int64), 10)
}
