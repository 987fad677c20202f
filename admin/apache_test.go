package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"paddock/test/harness"
)

// What Apache's server answers is kept as shapes in testdata/apache: texts with every number, date and
// path replaced, and JSON with names in place of values. TestApache asks a live server and compares (or,
// with -rewrite, writes); TestShapes holds ours against the files.

// shapers turn a text into its shape.
var shapers = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`(?m)^(zookeeper\.|Zookeeper )version[:=].*`), "VERSION"},
	{regexp.MustCompile(`[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d \S+ \d{4}`), "DATE"},
	{regexp.MustCompile(`(?m)=/.*$`), "=PATH"},
	{regexp.MustCompile(`0x[0-9a-f]+`), "HEX"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+|\[[0-9a-f:]+\]:\d+`), "ADDR"},
	{regexp.MustCompile(`(?m)^[0-9a-f]+: -?\d+$`), "DIGEST"},
	{regexp.MustCompile(`\[[0-9a-f]\]`), "[N]"},
	{regexp.MustCompile(`lop=[A-Z]+`), "lop=OP"},
	{regexp.MustCompile(`-?\d+(\.\d+)?`), "N"},
	{regexp.MustCompile(`(N expire at DATE:\n(\tHEX\n)+)+`), "SESSIONS\n"},
	{regexp.MustCompile(`(N expire at DATE:\n(\tip: /ADDR sessionId: HEX\n)+)+`), "CONNECTIONS\n"},
	{regexp.MustCompile(`(?m)^N expire at DATE:\n`), ""}, // a bucket that is empty, and not thrown away yet
	{regexp.MustCompile(`(HEX:\n(\t/.*\n)+)+`), "PATHS\n"},
}

func shapeOf(text string) string {
	for _, s := range shapers {
		text = s.what.ReplaceAllString(text, s.by)
	}
	return text
}

// shapeWords are the words whose shape is compared: with the others, host or order of hash tables show.
var shapeWords = []string{"ruok", "isro", "srvr", "stat", "conf", "cons", "dump", "wchs", "dirs", "hash", "crst", "srst", "gtmk"}

// wordShapes asks every word. Lines of clients are sorted, and alike ones are one.
func wordShapes(ask func(word string) string) string {
	var b strings.Builder
	for _, w := range shapeWords {
		lines := strings.Split(shapeOf(ask(w)), "\n")
		fmt.Fprintf(&b, "--- %s\n%s\n", w, strings.Join(slices.Compact(sortClients(lines)), "\n"))
	}
	return b.String()
}

// sortClients sorts runs of lines that begin with a blank or a tab.
func sortClients(lines []string) []string {
	indented := func(s string) bool { return strings.HasPrefix(s, " ") || strings.HasPrefix(s, "\t") }
	for i := 0; i < len(lines); i++ {
		j := i
		for j < len(lines) && indented(lines[j]) {
			j++
		}
		slices.Sort(lines[i:j])
		i = max(i, j-1)
	}
	return lines
}

// shapeCommands are the commands whose fields are compared, in their order.
var shapeCommands = []string{"configuration", "connections", "dirs", "dump", "get_trace_mask", "hash", "initial_configuration", "is_read_only",
	"last_snapshot", "observers", "ruok", "server_stats", "stats", "stat_reset", "connection_stat_reset", "voting_view", "watches",
	"watches_by_path", "watch_summary", "zabstate"}

// fieldsOf flattens JSON to one line for each field: its path and the type of its value. Keys that are
// ids, times or paths stand for all of their kind.
func fieldsOf(t *testing.T, text string) []string {
	t.Helper()
	var fields []string
	add := func(f string) {
		if !slices.Contains(fields, f) {
			fields = append(fields, f)
		}
	}
	d := json.NewDecoder(strings.NewReader(text))
	var walk func(path string)
	walk = func(path string) {
		tok, err := d.Token()
		if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		switch tok {
		case json.Delim('{'):
			for d.More() {
				key, err := d.Token()
				if err != nil {
					t.Fatal(err)
				}
				walk(path + "." + anyKey(key.(string)))
			}
			_, _ = d.Token()
		case json.Delim('['):
			for d.More() {
				walk(path + "[]")
			}
			_, _ = d.Token()
		default:
			add(fmt.Sprintf("%s %T", strings.TrimPrefix(path, "."), tok))
		}
	}
	walk("")
	return fields
}

func anyKey(key string) string {
	if _, err := strconv.Atoi(key); err == nil {
		return "N"
	}
	if strings.HasPrefix(key, "/") {
		return "PATH"
	}
	return key
}

func commandShapes(t *testing.T, ask func(command string) string) string {
	var b strings.Builder
	for _, c := range shapeCommands {
		fmt.Fprintf(&b, "--- %s\n%s\n", c, strings.Join(fieldsOf(t, ask(c)), "\n"))
	}
	return b.String()
}

func TestShapes(t *testing.T) {
	s := busyServer()
	s.conns[2].LastXid = 7 // Apache's was not reset
	a := newAdmin(s)
	match := func(name, got string) {
		want, err := os.ReadFile("testdata/apache/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: ours is\n%s\nApache's is\n%s", name, got, want)
		}
	}
	match("words.txt", wordShapes(func(w string) string { return ask(a, w) }))
	match("commands.txt", commandShapes(t, func(c string) string { return body(t, get(a, "GET", "/commands/"+c)) }))
}

// TestApache asks a live server of Apache's, brought into the state of busyServer.
func TestApache(t *testing.T) {
	if os.Getenv("PADDOCK_APACHE") == "" {
		t.Skip("PADDOCK_APACHE=1 asks a live server of Apache's")
	}
	target, err := harness.Apache()
	if errors.Is(err, harness.ErrNotAvailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	srv, err := target.Start(harness.Settings{
		"4lw.commands.whitelist": "*", "admin.enableServer": "true",
		"admin.serverPort": strconv.Itoa(port), "admin.serverAddress": "127.0.0.1",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	makeBusy(t, srv.Addr)
	keep := func(name, got string) { compare(t, "testdata/apache/"+name, got) }
	keep("words.txt", wordShapes(func(w string) string { return say(t, srv.Addr, w) }))
	makeBusy(t, srv.Addr) // crst and srst have been said
	keep("commands.txt", commandShapes(t, func(c string) string {
		_, text := fetch(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), "/commands/"+c)
		return text
	}))
	keep("mntr.txt", mntrNamesOf(say(t, srv.Addr, "mntr")))
	status, text := fetch(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), "/commands/nope")
	if status != http.StatusOK || !strings.Contains(text, `"error" : "Unknown command: nope"`) {
		t.Errorf("an unknown command: %d %s; docs/operations.md says otherwise", status, text)
	}
}

// mntrNamesOf lists the names, sorted; those with a namespace of this test's are left out.
func mntrNamesOf(text string) string {
	var names []string
	for line := range strings.Lines(text) {
		name, _, ok := strings.Cut(line, "\t")
		if name, ok2 := strings.CutPrefix(name, "zk_"); ok && ok2 && !strings.HasSuffix(name, "_per_namespace") {
			names = append(names, ofOneServer.ReplaceAllString(name, "$1")+"\n")
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), "")
}

// makeBusy opens two sessions with ephemerals and watches and leaves them open until the test's end.
func makeBusy(t *testing.T, addr string) {
	t.Helper()
	acl := zk.WorldACL(zk.PermAll)
	for i := range 2 {
		c, _, err := zk.Connect([]string{addr}, 10*time.Second, zk.WithLogInfo(false))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		if _, err := c.Create("/fl", nil, 0, acl); err != nil && !errors.Is(err, zk.ErrNodeExists) {
			t.Fatal(err)
		}
		for range 130 { // past zxid 128, which has a digest
			if _, err := c.Set("/fl", []byte("yy"), -1); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.Create("/fl/e", nil, zk.FlagEphemeral|zk.FlagSequence, acl); err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := c.GetW("/fl"); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if _, _, _, err := c.ExistsW("/fl/none"); err != nil {
				t.Fatal(err)
			}
		}
	}
}
