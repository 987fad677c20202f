package admin

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"paddock/server"
	"paddock/zab"
)

// fixedLines are mntr's, without those that depend on the process.
func fixedLines(got string) string {
	var b strings.Builder
	for line := range strings.Lines(got) {
		if !strings.Contains(line, "file_descriptor_count") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func TestMntr(t *testing.T) {
	compare(t, "testdata/mntr-busy.txt", fixedLines(ask(newAdmin(busyServer()), "mntr")))
	compare(t, "testdata/mntr-unmeasured.txt", fixedLines(ask(newAdmin(unmeasured{busyServer()}), "mntr")))
}

func TestMonitorIsMntr(t *testing.T) {
	a := newAdmin(busyServer())
	var fromJSON strings.Builder
	for line := range strings.Lines(body(t, get(a, "GET", "/commands/monitor"))) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), " : ")
		key, value = strings.Trim(key, `"`), strings.Trim(strings.TrimSuffix(value, ","), `"`)
		if ok && key != "command" && key != "error" {
			fmt.Fprintf(&fromJSON, "zk_%s\t%s\n", key, value)
		}
	}
	if got, want := fixedLines(fromJSON.String()), fixedLines(ask(a, "mntr")); got != want {
		t.Errorf("monitor has\n%s\nmntr has\n%s", got, want)
	}
}

// scrape reads /metrics as Prometheus does.
func scrape(t *testing.T, a *Admin) map[string]*dto.MetricFamily {
	t.Helper()
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(strings.NewReader(body(t, get(a, "GET", "/metrics"))))
	if err != nil {
		t.Fatal(err)
	}
	return families
}

func TestMetricsToTheByte(t *testing.T) {
	r := get(newAdmin(busyServer()), "GET", "/metrics")
	compare(t, "testdata/metrics-busy.txt", fixedLines(body(t, r)))
}

func TestNoMetricIsNaN(t *testing.T) {
	for _, s := range []Server{freshServer(), busyServer(), unmeasured{freshServer()}, nil} {
		text := body(t, get(newAdmin(s), "GET", "/metrics"))
		if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			t.Errorf("metrics have a NaN:\n%s", text)
		}
	}
}

func TestProcessMetrics(t *testing.T) {
	families := scrape(t, New(Config{ProcessMetrics: true}, busyServer()))
	for _, name := range []string{"jvm_memory_bytes_used", "jvm_memory_bytes_max", "jvm_memory_pool_bytes_used", "jvm_threads_current",
		"jvm_threads_deadlocked", "jvm_gc_collection_seconds", "go_goroutines", "process_resident_memory_bytes"} {
		if families[name] == nil {
			t.Errorf("no %s", name)
		}
	}
	if scrape(t, newAdmin(busyServer()))["go_goroutines"] != nil {
		t.Error("metrics of the process though exportJvmInfo is off")
	}
}

// TestDashboards holds the names that dashboards, alerts and collectors read, of a server alone.
func TestDashboards(t *testing.T) {
	b, err := os.ReadFile("testdata/dashboards.txt")
	if err != nil {
		t.Fatal(err)
	}
	a := New(Config{FourLetterWords: []string{"mntr"}, ProcessMetrics: true}, busyServer())
	families, mntr := scrape(t, a), ask(a, "mntr")
	for line := range strings.Lines(string(b)) {
		where, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch where {
		case "prometheus":
			if families[name] == nil {
				t.Errorf("/metrics has no %s", name)
			}
		case "mntr":
			if !strings.Contains(mntr, name+"\t") {
				t.Errorf("mntr has no %s", name)
			}
		case "#", "":
		default:
			t.Errorf("dashboards.txt: %q", line)
		}
	}
}

// apacheNames are the names of mntr of Apache's server, without zk_ and what summaries put before a name.
func apacheNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, file := range []string{"testdata/apache/mntr.txt", "testdata/apache/mntr-leader.txt"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for name := range strings.Lines(string(b)) {
			names[strings.TrimSpace(name)] = true
		}
	}
	return names
}

// ofOneServer is the server in the name of a metric that has one for each.
var ofOneServer = regexp.MustCompile(`(^|_)\d+_`)

// everything is a sample of a leader that counts all.
func everything(t *testing.T) *sample {
	s := among(t, 3, zab.Leading)
	for _, m := range catalogue() {
		s.numbers[m.name] += 0
		s.times[m.name] = server.Summary{}
	}
	return take(s)
}

// renamed are ours that Apache has under no name of today, and why they are there all the same.
var renamed = map[string]string{
	"fsync_threshold_exceed_count": "gone since 3.6, still read by collectors",
	"followers":                    "gone since 3.6, still read by collectors",
}

func TestNamesAreApaches(t *testing.T) {
	apache := apacheNames(t)
	for _, m := range catalogue() {
		ours := strings.HasPrefix(m.name, "zk_")
		_, old := renamed[m.name]
		for _, name := range m.mntrNames(t) {
			if known := apache[name]; known == (ours || old) {
				t.Errorf("%s: Apache has it: %v", name, known)
			}
		}
	}
}

// mntrNames returns the names of the lines of a metric.
func (m *metric) mntrNames(t *testing.T) []string {
	var names []string
	for _, l := range lines(everything(t)) {
		l.name = ofOneServer.ReplaceAllString(l.name, "$1")
		if strings.TrimPrefix(m.name, "zk_") == strings.TrimPrefix(strip(l.name), "zk_") {
			names = append(names, l.name)
		}
	}
	return names
}

// strip takes away what a summary puts before a name.
func strip(name string) string {
	for _, p := range []string{"avg_", "min_", "max_", "cnt_", "sum_", "p50_", "p95_", "p99_", "p999_"} {
		if rest, ok := strings.CutPrefix(name, p); ok && !strings.HasSuffix(rest, "client_response_size") &&
			rest != "latency" && rest != "file_descriptor_count" && rest != "proposal_size" {
			return rest
		}
	}
	return name
}

func TestCatalogue(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range catalogue() {
		if seen[m.name] {
			t.Errorf("%s is there twice", m.name)
		}
		seen[m.name] = true
		if m.help == "" || one(m.value == nil)+one(m.summary == nil)+one(m.bySid == nil) != 2 || (m.kind == basic || m.kind == advanced) != (m.summary != nil) {
			t.Errorf("%s: help %q, kind %s", m.name, m.help, m.kind)
		}
		if strings.HasPrefix(m.name, "zk_") && m.kind == counter && !strings.HasSuffix(m.name, "_total") {
			t.Errorf("%s is a counter of ours without _total", m.name)
		}
		if unit := m.unit; strings.HasPrefix(m.name, "zk_") && unit != "" && !strings.Contains(m.name, unit) {
			t.Errorf("%s is ours and does not carry its unit %s", m.name, unit)
		}
	}
	if n := len(slices.Sorted(maps.Keys(seen))); n < 50 {
		t.Errorf("only %d metrics", n)
	}
}
