package admin

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// get asks the admin port's handler.
func get(a *Admin, method, path string) *http.Response {
	w := httptest.NewRecorder()
	a.http.Handler.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// hostCommands are those whose answers differ from one machine to the next.
var hostCommands = []string{"environment", "monitor"}

func TestCommandsToTheByte(t *testing.T) {
	for _, tt := range []struct {
		name, query string
		server      *fake
	}{{"fresh", "", freshServer()}, {"busy", "", busyServer()}, {"busy-hex", "?ids=hex", busyServer()}} {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			a := newAdmin(tt.server)
			for _, c := range commandTable() {
				if slices.Contains(hostCommands, c.name) {
					continue
				}
				fmt.Fprintf(&b, "--- %s\n%s\n", c.name, body(t, get(a, "GET", "/commands/"+c.name+tt.query)))
			}
			compare(t, "testdata/commands-"+tt.name+".txt", b.String())
		})
	}
}

func TestEveryCommandIsJSON(t *testing.T) {
	for state, a := range map[string]*Admin{"busy": newAdmin(busyServer()), "fresh": newAdmin(freshServer()), "starting": newAdmin(nil)} {
		for name, c := range commandsByName {
			r := get(a, "GET", "/commands/"+name)
			var got map[string]any
			if err := json.Unmarshal([]byte(body(t, r)), &got); err != nil {
				t.Errorf("%s, %s: %v", state, name, err)
				continue
			}
			if got["command"] != c.name || r.StatusCode != 200 || r.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s, %s: %v, %d, %v", state, name, got["command"], r.StatusCode, r.Header)
			}
			if _, there := got["error"]; !there {
				t.Errorf("%s, %s: no error field", state, name)
			}
			if idle := state == "starting" && c.serving; idle && (got["error"] != notServing || len(got) != 2) {
				t.Errorf("%s, %s: %v", state, name, got)
			}
		}
	}
}

func TestPaths(t *testing.T) {
	tests := []struct {
		name, method, path string
		status             int
		contentType        string
		part               string // of the body
	}{
		{"a command", "GET", "/commands/ruok", 200, "application/json", "\"command\" : \"ruok\",\n  \"error\" : null\n}"},
		{"an alias answers under the name", "GET", "/commands/srvr", 200, "application/json", `"command" : "server_stats"`},
		{"HEAD is GET without a body", "HEAD", "/commands/ruok", 200, "application/json", ""},
		{"an unknown command", "GET", "/commands/nope", 404, "application/json", `"error" : "Unknown command: nope"`},
		{"case counts", "GET", "/commands/RUOK", 404, "application/json", "Unknown command"},
		{"a command takes no POST", "POST", "/commands/conf", 405, "text/plain; charset=utf-8", "GET, HEAD"},
		{"a reset takes POST", "POST", "/commands/srst", 200, "application/json", `"stat_reset"`},
		{"and GET, as ZooKeeper has it", "GET", "/commands/stat_reset", 200, "application/json", `"stat_reset"`},
		{"nothing takes TRACE", "TRACE", "/commands/ruok", 405, "text/plain; charset=utf-8", ""},
		{"nothing takes OPTIONS", "OPTIONS", "/commands/srst", 405, "text/plain; charset=utf-8", ""},
		{"the trace mask is set", "GET", "/commands/stmk?traceMask=5", 200, "application/json", `"tracemask" : 5`},
		{"the first of two counts", "GET", "/commands/stmk?traceMask=6&traceMask=7", 200, "application/json", `"tracemask" : 6`},
		{"a mask that is no number", "GET", "/commands/stmk?traceMask=x", 200, "application/json", `got x"`},
		{"no mask", "GET", "/commands/stmk", 200, "application/json", `"error" : "setTraceMask requires long traceMask argument"`},
		{"the full configuration masks secrets", "GET", "/commands/conf?full=true", 200, "application/json", `"value" : "********"`},
		{"the index", "GET", "/commands", 200, "text/html; charset=utf-8", "<a href=\"/commands/configuration\">configuration</a>\n<br/>\n"},
		{"the index with a slash", "GET", "/commands/", 200, "text/html; charset=utf-8", "zabstate"},
		{"the index at the root", "GET", "/", 200, "text/html; charset=utf-8", "zabstate"},
		{"the index takes no POST", "POST", "/commands/", 405, "text/plain; charset=utf-8", ""},
		{"live", "GET", "/livez", 200, "text/plain; charset=utf-8", "ok"},
		{"ready", "GET", "/readyz", 200, "text/plain; charset=utf-8", "ok"},
		{"started", "GET", "/startupz", 200, "text/plain; charset=utf-8", "ok"},
		{"all checks", "GET", "/healthz?verbose", 200, "text/plain; charset=utf-8", "[+]disk ok\n"},
		{"metrics", "GET", "/metrics", 200, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores", "znode_count 8\n"},
		{"metrics take no POST", "POST", "/metrics", 405, "text/plain; charset=utf-8", ""},
		{"an unknown path", "GET", "/nope", 404, "text/plain; charset=utf-8", ""},
		{"below a command", "GET", "/commands/ruok/x", 404, "text/plain; charset=utf-8", ""},
		{"a way out", "GET", "/commands/../etc/passwd", 404, "text/plain; charset=utf-8", ""},
		{"an encoded way out", "GET", "/commands/%2e%2e%2fetc%2fpasswd", 404, "text/plain; charset=utf-8", ""},
		{"an absolute path", "GET", "/commands//etc/passwd", 404, "text/plain; charset=utf-8", ""},
		{"no profiles", "GET", "/debug/pprof/", 404, "text/plain; charset=utf-8", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := get(newAdmin(busyServer()), tt.method, tt.path)
			if r.StatusCode != tt.status || r.Header.Get("Content-Type") != tt.contentType {
				t.Errorf("got %d, %s; want %d, %s", r.StatusCode, r.Header.Get("Content-Type"), tt.status, tt.contentType)
			}
			if got := body(t, r); !strings.Contains(got, tt.part) {
				t.Errorf("the body has no %q:\n%s", tt.part, got)
			}
			if r.StatusCode == 405 && r.Header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
		})
	}
}

func TestCommandURL(t *testing.T) {
	for url, path := range map[string]string{"": "/commands/ruok", "/zk/admin": "/zk/admin/ruok", "zk/": "/zk/ruok", "/": "/ruok"} {
		a := New(Config{CommandURL: url}, busyServer())
		if r := get(a, "GET", path); r.StatusCode != 200 {
			t.Errorf("with %q, %s answered %d", url, path, r.StatusCode)
		}
		if r := get(a, "GET", "/livez"); body(t, r) != "ok" {
			t.Errorf("with %q, /livez is gone", url)
		}
	}
}

func TestBodiesAreCapped(t *testing.T) {
	a := newAdmin(busyServer())
	for size, want := range map[int]int{maxBody: 200, maxBody + 1: 413} {
		w := httptest.NewRecorder()
		a.http.Handler.ServeHTTP(w, httptest.NewRequest("POST", "/commands/srst", strings.NewReader(strings.Repeat("x", size))))
		if w.Code != want {
			t.Errorf("%d bytes: got %d, want %d", size, w.Code, want)
		}
	}
}

func TestHealth(t *testing.T) {
	full := busyServer()
	full.status.DiskFull = true
	idle := busyServer()
	idle.idle = true
	tests := []struct {
		name   string
		server Server
		path   string
		status int
		want   string
	}{
		{"a server that loads is alive", nil, "/livez", 200, "ok"},
		{"but not ready", nil, "/readyz", 503, "not ok: starting"},
		{"nor started", nil, "/startupz", 503, "not ok: starting"},
		{"a server that ends is alive", idle, "/livez", 200, "ok"},
		{"but not ready", idle, "/readyz", 503, "not ok: not serving"},
		{"and was started", idle, "/startupz", 200, "ok"},
		{"a full disk is no reason to restart", full, "/livez", 200, "ok"},
		{"but writes are refused", full, "/readyz", 503, "not ok: disk-full"},
		{"which a check may leave out", full, "/readyz?exclude=disk", 200, "ok"},
		{"every check has a line", full, "/readyz?verbose", 503,
			"[+]started ok\n[+]serving ok\n[+]loops ok\n[-]disk: disk-full\nnot ok: disk-full\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := get(newAdmin(tt.server), "GET", tt.path)
			if got := body(t, r); r.StatusCode != tt.status || got != tt.want {
				t.Errorf("got %d %q, want %d %q", r.StatusCode, got, tt.status, tt.want)
			}
		})
	}
}

func TestJSON(t *testing.T) {
	got := string(appendJSON(nil, object{
		{"text", "a\"b<\n\xff€"}, {"none", nil}, {"id", int64(72057967099772928)}, {"mean", 1.0},
		{"objects", list{object{{"a", int64(1)}}, object{}}}, {"numbers", list{int64(1), int64(2)}}, {"empty", list{}},
	}, 0))
	const want = `{
  "text" : "a\"b<\n\ufffd€",
  "none" : null,
  "id" : 72057967099772928,
  "mean" : 1.0,
  "objects" : [ {
    "a" : 1
  }, { } ],
  "numbers" : [ 1, 2 ],
  "empty" : [ ]
}`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func FuzzAdminPath(f *testing.F) {
	for _, p := range []string{"/commands/stmk?traceMask=1", "/commands/../x", "/commands/%2e%2e/", "/", "/livez?exclude=loops", "/metrics/", "/commands/wchc?ids=hex"} {
		f.Add("GET", p)
	}
	f.Add("POST", "/commands/srst")
	a := newAdmin(busyServer())
	f.Fuzz(func(t *testing.T, method, path string) {
		r, err := http.NewRequest(method, "http://x/", nil)
		if err != nil {
			return
		}
		u, err := r.URL.Parse(path)
		if err != nil {
			return
		}
		r.URL = u
		w := httptest.NewRecorder()
		a.http.Handler.ServeHTTP(w, r)
		if !slices.Contains([]int{200, 404, 405, 503}, w.Code) {
			t.Errorf("%s %q: %d", method, path, w.Code)
		}
		if w.Header().Get("Content-Type") == "application/json" && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %q: not JSON: %s", method, path, w.Body)
		}
	})
}
