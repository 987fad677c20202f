package admin

import (
	"html"
	"net/http"
	"slices"
	"strings"
)

// maxBody is the longest body of a request. No command of today reads one.
const maxBody = 64 << 10

// handler serves the admin port. Paths are compared, never joined with anything: a request cannot name a
// file. Profiles are not served.
func (a *Admin) handler() http.Handler {
	fixed := map[string]http.HandlerFunc{
		"/":              a.index,
		a.cfg.CommandURL: a.index,
		"/livez":         a.health(liveChecks()),
		"/readyz":        a.health(readyChecks()),
		"/startupz":      a.health(startupChecks()),
		"/healthz":       a.health(readyChecks()),
		"/metrics":       a.metricsHandler().ServeHTTP,
	}
	prefix := strings.TrimSuffix(a.cfg.CommandURL, "/") + "/"
	return bounded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		if h, ok := fixed[path]; ok {
			if allowMethods(w, r, reading) {
				h(w, r)
			}
			return
		}
		name, ok := strings.CutPrefix(path, prefix)
		switch {
		case !ok || strings.Contains(name, "/"):
			http.NotFound(w, r)
		case name == "":
			a.index(w, r)
		default:
			a.command(w, r, name)
		}
	}))
}

// bounded refuses bodies that are too long, and keeps browsers from guessing at content.
func bounded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if r.ContentLength > maxBody {
			http.Error(w, "the body is too long", http.StatusRequestEntityTooLarge)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		h.ServeHTTP(w, r)
	})
}

// methods are those a path takes.
type methods []string

var (
	reading  = methods{http.MethodGet, http.MethodHead}
	changing = methods{http.MethodGet, http.MethodHead, http.MethodPost} // GET as ZooKeeper has it
)

// allowMethods reports whether r has one of the methods; if not it has been answered.
func allowMethods(w http.ResponseWriter, r *http.Request, m methods) bool {
	if slices.Contains(m, r.Method) {
		return true
	}
	w.Header().Set("Allow", strings.Join(m, ", "))
	http.Error(w, "this takes "+strings.Join(m, ", "), http.StatusMethodNotAllowed)
	return false
}

// index lists the commands as ZooKeeper does: a link and a break for each.
func (a *Admin) index(w http.ResponseWriter, r *http.Request) {
	if !allowMethods(w, r, reading) {
		return
	}
	var names []string
	for _, c := range commandTable() {
		names = append(names, c.name)
	}
	slices.Sort(names)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	for _, name := range names {
		link := html.EscapeString(strings.TrimSuffix(a.cfg.CommandURL, "/") + "/" + name)
		_, _ = w.Write([]byte(`<a href="` + link + `">` + name + "</a>\n<br/>\n"))
	}
}

// command answers with JSON, in a body that ends with the command's name and an error or null.
func (a *Admin) command(w http.ResponseWriter, r *http.Request, name string) {
	c, known := commandsByName[name]
	if !known {
		sendJSON(w, http.StatusNotFound, finish(nil, name, "Unknown command: "+name))
		return
	}
	if !allowMethods(w, r, c.methods()) {
		return
	}
	s := a.attached()
	if c.serving && (s == nil || !s.Serving()) {
		sendJSON(w, http.StatusOK, finish(nil, c.name, notServing))
		return
	}
	q := r.URL.Query()
	run := func() []byte {
		body, fault := c.run(&request{a: a, s: s, query: q, hexIDs: q.Get("ids") == "hex"})
		return finish(body, c.name, fault)
	}
	if c.shared {
		key := c.name
		if q.Get("ids") == "hex" {
			key += " hex"
		}
		sendJSON(w, http.StatusOK, a.answers.do(key, run))
		return
	}
	sendJSON(w, http.StatusOK, run())
}

// finish closes a body with what all have.
func finish(body object, name, fault string) []byte {
	body.set("command", name)
	if fault != "" {
		body.set("error", fault)
	} else {
		body.set("error", nil)
	}
	return appendJSON(nil, body, 0)
}

func sendJSON(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // who asked is gone: nobody to tell
}
