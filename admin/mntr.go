package admin

import (
	"strconv"
	"strings"

	"paddock/server"
	"paddock/zab"
)

// line is a metric as mntr and the command monitor have it.
type line struct {
	name  string // without zk_
	value any    // string, int64 or float64: what has a point keeps it
}

// states are the first lines: what the server is.
func (v *sample) states() []line {
	all := []line{{"server_state", v.standing.mode()}}
	if v.standing.member {
		all = append(all, line{"peer_state", v.standing.peerState()})
	}
	if v.standing.member && v.standing.State == zab.Observing {
		all = append(all, line{"observer_master_id", int64(v.standing.Leader)})
	}
	return all
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
			if m.bySid != nil {
				all = appendBySid(all, name, m.bySid(v))
				continue
			}
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

// appendBySid puts the server in front of the name, as ZooKeeper does.
func appendBySid(all []line, name string, values []ofServer) []line {
	for _, s := range values {
		all = append(all, line{strconv.FormatInt(int64(s.id), 10) + "_" + name, int64(s.value)})
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
	v := take(s)
	t.add("zk_version\t" + a.version + "\n")
	for _, l := range append(v.states(), lines(v)...) {
		t.add("zk_" + l.name + "\t" + l.text() + "\n")
	}
}

func (l line) text() string {
	switch v := l.value.(type) {
	case string:
		return v
	case float64:
		return decimal(v)
	default:
		return strconv.FormatInt(l.value.(int64), 10)
	}
}
