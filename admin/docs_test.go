package admin

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

const docsHead = `# Operations

*The tables are made from package admin by ` + "`go test ./admin -rewrite`" + `. Do not edit.*

Names, formats and fields are those of Apache ZooKeeper 3.9, so that scripts, exporters and dashboards go on
working. A test compares them with a live server of Apache's: ` + "`PADDOCK_APACHE=1 go test ./admin`" + `.

## Four-letter words

` + "`echo ruok | nc host 2181`" + `. A word that is not allowed (` + "`4lw.commands.whitelist`" + `) answers
` + "`<word> is not executed because it is not in the whitelist.`" + `; anything but a word is taken for the length of a
request. A word that comes while the same one is computed waits for the next answer and shares it: a flood costs
one computation after the other, and no number is older than the question. An answer ends at 32 MiB.

`

const docsHTTP = `
*Default*: allowed where nothing is configured. A list is obeyed to the letter; ` + "`*`" + ` allows all. *While nothing is
served*: before the state is loaded, when the server ends, and while one of several has no leader or is no
longer, or not yet, followed by a quorum.

## HTTP

The admin port (` + "`admin.serverPort`" + `, 8080) is open on loopback unless ` + "`admin.serverAddress`" + ` says otherwise: nobody is asked
who they are, so open it only to people who may see everything. If the port is taken the server starts all the
same, logs it, and tries again every 10 s. At most 256 connections; no body over 64 KiB; no profiles.

| Path | Answer |
|---|---|
| ` + "`/commands`, `/`" + ` | The commands, as links. |
| ` + "`/commands/NAME`" + ` | JSON (below). |
| ` + "`/metrics`" + ` | Prometheus. Also on a port of its own, if ` + "`metricsProvider.className`" + ` names the Prometheus provider. |
| ` + "`/livez`" + ` | 200 ` + "`ok`" + ` or 503 and why: restart the process if it stays so. |
| ` + "`/readyz`" + ` | The same: send it no clients meanwhile. ` + "`/healthz`" + ` is another name for it. |
| ` + "`/startupz`" + ` | The same: wait for it after a start. |

With ` + "`?verbose`" + ` every check has a line, with ` + "`?exclude=NAME`" + ` one is left out.

| Check | In | Holds while |
|---|---|---|
`

const docsCommands = `
### Commands

The last fields are always ` + "`command`, and `error`" + `: null, or a text. As in ZooKeeper the status is 200 then too, but for a
command that does not exist: 404 (ZooKeeper: 200). Resets take GET, as ZooKeeper has it, and POST; all others
GET and HEAD. Session ids are numbers, which JavaScript rounds: ` + "`?ids=hex`" + ` writes them as text.

| Command | Also | Serving only | POST | Answer |
|---|---|---|---|---|
`

const docsMetrics = `
Not here, because what they do is not: ` + "`snapshot`, `restore`, `shed_connections`" + `.

## Metrics

One catalogue for ` + "`mntr`, `/commands/monitor` and `/metrics`" + `:

| Kind | ` + "`mntr`" + ` | ` + "`/metrics`" + ` |
|---|---|---|
| gauge | ` + "`zk_NAME`" + ` | ` + "`NAME`" + ` |
| counter | ` + "`zk_NAME`" + ` | ` + "`NAME`" + ` (3.6 to 3.9) and ` + "`NAME_total`" + ` (3.10) |
| summary | ` + "`zk_avg_NAME`, `min`, `max`, `cnt`, `sum`" + ` | ` + "`NAME_sum`, `NAME_count`" + ` |
| summary with quantiles | also ` + "`zk_p50_NAME`, `p95`, `p99`, `p999`" + ` | also ` + "`NAME{quantile}`" + ` 0.5 to 0.999 |

` + "`monitor`" + ` leaves out ` + "`zk_`" + `. A metric of ours begins with ` + "`zk_`" + ` everywhere, and carries its unit. Times in ` + "`mntr`" + ` are whole
milliseconds; in ` + "`/metrics`" + ` they have fractions. ` + "`srst`" + ` resets packets, latencies and the summaries of requests. No value
is ever NaN. With ` + "`metricsProvider.exportJvmInfo`" + ` (the default) there are ` + "`go_*`, `process_*`" + ` and, for dashboards made for
Java, ` + "`jvm_memory_bytes_used`, `jvm_memory_bytes_max`, `jvm_memory_pool_bytes_used`, `jvm_threads_current`, `jvm_threads_deadlocked`" + `
and ` + "`jvm_gc_collection_seconds`" + `. ` + "`zk_info{version}` and `zk_server_state{state}`" + ` are in ` + "`/metrics`" + ` only. A metric *by sid* has
the label ` + "`sid`" + ` there, and is ` + "`zk_SID_NAME`" + ` in ` + "`mntr`" + `. The first lines of ` + "`mntr`" + ` say what the server is: ` + "`zk_version`" + `,
` + "`zk_server_state`" + ` (leader, follower, observer, standalone) and, in an ensemble, ` + "`zk_peer_state`" + ` (` + "`leading - broadcast`" + `); on an
observer ` + "`zk_observer_master_id`" + ` too, the sid of its leader. What happens between servers is left out where it is not counted.

| Metric | Kind | Unit | Source | Meaning |
|---|---|---|---|---|
`

// TestDocs compares docs/operations.md with the tables.
func TestDocs(t *testing.T) {
	var b strings.Builder
	b.WriteString(docsHead)
	writeWords(&b)
	b.WriteString(docsHTTP)
	writeChecks(&b)
	b.WriteString(docsCommands)
	writeCommands(&b)
	b.WriteString(docsMetrics)
	for _, m := range catalogue() {
		source := "ZooKeeper"
		switch {
		case strings.HasPrefix(m.name, "zk_"):
			source = "ours"
		case renamed[m.name] != "":
			source = "ZooKeeper 3.4"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", m.name, m.kind, m.unit, source, m.help)
	}
	writeLeftOut(t, &b)
	compare(t, "../docs/operations.md", b.String())
}

func writeWords(b *strings.Builder) {
	b.WriteString("| Word | Default | While nothing is served | Answer |\n|---|---|---|---|\n")
	for _, w := range wordTable() {
		byDefault, idle := "", "answers"
		if slices.Contains(DefaultWords(), w.name) {
			byDefault = "yes"
		}
		switch {
		case strings.HasPrefix(w.idle, notServing):
			idle = "says so"
		case w.idle != "":
			idle = "`" + w.idle + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", w.name, byDefault, idle, w.doc)
	}
}

func writeChecks(b *strings.Builder) {
	for _, c := range []check{checkStarted(), checkServing(), checkLoops(), checkDisk()} {
		var in []string
		for _, p := range []struct {
			path   string
			checks []check
		}{{"`/livez`", liveChecks()}, {"`/readyz`", readyChecks()}, {"`/startupz`", startupChecks()}} {
			if slices.ContainsFunc(p.checks, func(x check) bool { return x.name == c.name }) {
				in = append(in, p.path)
			}
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", c.name, strings.Join(in, ", "), c.doc)
	}
}

func writeCommands(b *strings.Builder) {
	for _, c := range commandTable() {
		var also []string
		for _, a := range c.aliases {
			also = append(also, "`"+a+"`")
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n", c.name, strings.Join(also, ", "), yes(c.serving), yes(c.changes), c.doc)
	}
}

func yes(v bool) string {
	if v {
		return "yes"
	}
	return ""
}

// writeLeftOut lists what Apache's server has and this one does not measure.
func writeLeftOut(t *testing.T, b *strings.Builder) {
	have := map[string]bool{"version": true, "server_state": true, "peer_state": true}
	for _, m := range catalogue() {
		for _, name := range m.mntrNames(t) {
			have[name] = true
		}
	}
	left := map[string]bool{}
	for name := range apacheNames(t) {
		if !have[name] {
			left["`"+strip(name)+"`"] = true
		}
	}
	names := slices.Sorted(maps.Keys(left))
	fmt.Fprintf(b, "\n### Left out\n\nZooKeeper 3.9.5 has these %d, too. They tell of what does not exist here, or is not measured; a zero in their\nplace would be read as a number.\n\n%s.\n",
		len(names), strings.Join(names, ", "))
}
