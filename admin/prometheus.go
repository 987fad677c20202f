package admin

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"paddock/server"
)

// maxScrapes is how many scrapes run at a time; one more is told to come again (503).
const maxScrapes = 4

// metricsHandler serves everything of the catalogue. Metrics are computed when they are asked for.
func (a *Admin) metricsHandler() http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(newCollector(a))
	if a.cfg.ProcessMetrics {
		r.MustRegister(
			collectors.NewGoCollector(),
			collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
			newStandIns(),
		)
	}
	h := promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", h)
	return bounded(mux)
}

// collector shows the catalogue, under ZooKeeper's names and types. A counter has two names: the plain
// one of ZooKeeper 3.6 to 3.9, and the one with _total of 3.10.
type collector struct {
	a       *Admin
	samples shared[*sample]
	descs   map[string]*prometheus.Desc
	info    *prometheus.Desc
	state   *prometheus.Desc
}

// states are the values of server_state.
func states() []string {
	return []string{modeLeader, modeFollower, modeObserver, modeAlone, "read-only"}
}

func newCollector(a *Admin) *collector {
	c := &collector{a: a, descs: map[string]*prometheus.Desc{}}
	for _, m := range catalogue() {
		for _, name := range m.names() {
			c.descs[name] = prometheus.NewDesc(name, m.helpText(), m.labels(), nil)
		}
	}
	c.info = prometheus.NewDesc("zk_info", "1, with the version.", []string{"version"}, nil)
	c.state = prometheus.NewDesc("zk_server_state", "1 for the state the server is in.", []string{"state"}, nil)
	return c
}

// names returns the names of a metric in Prometheus.
func (m *metric) names() []string {
	if m.kind != counter || strings.HasSuffix(m.name, "_total") {
		return []string{m.name}
	}
	return []string{m.name, m.name + "_total"}
}

func (m *metric) labels() []string {
	if m.bySid != nil {
		return []string{"sid"}
	}
	return nil
}

func (m *metric) helpText() string {
	if m.unit == "" {
		return m.help
	}
	return strings.TrimSuffix(m.help, ".") + " (" + m.unit + ")."
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
	ch <- c.info
	ch <- c.state
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(c.info, prometheus.GaugeValue, 1, c.a.version)
	s, now := c.a.attached(), ""
	if s != nil && s.Serving() {
		p := standingOf(s)
		now = p.mode()
	}
	for _, state := range states() {
		in := state == now
		ch <- prometheus.MustNewConstMetric(c.state, prometheus.GaugeValue, one(in), state)
	}
	if s == nil {
		return
	}
	v := c.samples.do(func() *sample { return take(s) })
	for _, m := range catalogue() {
		if v.knows(&m) {
			c.show(ch, &m, v)
		}
	}
}

func (c *collector) show(ch chan<- prometheus.Metric, m *metric, v *sample) {
	switch m.kind {
	case gauge:
		if m.bySid != nil {
			for _, s := range m.bySid(v) {
				ch <- prometheus.MustNewConstMetric(c.descs[m.name], prometheus.GaugeValue, s.value, strconv.FormatInt(int64(s.id), 10))
			}
			return
		}
		ch <- prometheus.MustNewConstMetric(c.descs[m.name], prometheus.GaugeValue, m.value(v))
	case counter:
		for _, name := range m.names() {
			ch <- prometheus.MustNewConstMetric(c.descs[name], prometheus.CounterValue, m.value(v))
		}
	case basic, advanced:
		s := m.summary(v)
		ch <- prometheus.MustNewConstSummary(c.descs[m.name], uint64(s.Count), s.Sum, quantiles(m.kind, s)) //nolint:gosec // a count
	}
}

func quantiles(k kind, s server.Summary) map[float64]float64 {
	if k == basic {
		return nil
	}
	return map[float64]float64{0.5: s.P50, 0.9: s.P90, 0.95: s.P95, 0.99: s.P99, 0.999: s.P999}
}

// standIns are what dashboards made for a Java process look for, and its nearest relatives here.
type standIns struct {
	used, limit, pool, threads, deadlocked, gc *prometheus.Desc
}

func newStandIns() *standIns {
	desc := func(name, help, label string) *prometheus.Desc {
		var labels []string
		if label != "" {
			labels = []string{label}
		}
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &standIns{
		used:       desc("jvm_memory_bytes_used", "Objects of the collected heap (bytes); the tree lies outside of it.", "area"),
		limit:      desc("jvm_memory_bytes_max", "Memory limit, or what was taken from the system where there is none (bytes).", "area"),
		pool:       desc("jvm_memory_pool_bytes_used", "As jvm_memory_bytes_used.", "pool"),
		threads:    desc("jvm_threads_current", "Threads of the process.", ""),
		deadlocked: desc("jvm_threads_deadlocked", "Always 0.", ""),
		gc:         desc("jvm_gc_collection_seconds", "Garbage collections, and the CPU time they took (seconds).", "gc"),
	}
}

// Describe implements prometheus.Collector.
func (c *standIns) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.used, c.limit, c.pool, c.threads, c.deadlocked, c.gc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *standIns) Collect(ch chan<- prometheus.Metric) {
	m := memory()
	show := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	show(c.used, float64(m.used), "heap")
	show(c.limit, float64(m.limit), "heap")
	show(c.pool, float64(m.used), "heap")
	if n := threads(); n >= 0 {
		show(c.threads, float64(n))
	}
	show(c.deadlocked, 0)
	ch <- prometheus.MustNewConstSummary(c.gc, m.gcRuns, m.gcSeconds, nil, "go")
}
