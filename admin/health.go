package admin

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// check is one row of the table of health checks. fault returns "" where all is well.
type check struct {
	name  string
	fault func(a *Admin) string
	doc   string
}

func checkLoops() check {
	return check{"loops", (*Admin).loopsFault, "Every event loop answers within 3 s. Does not look at disk, peers or load."}
}

func checkStarted() check {
	return check{"started", (*Admin).startedFault, "The state has been loaded from disk, and the client port is open."}
}

func checkServing() check {
	return check{"serving", (*Admin).servingFault, "Requests are answered: the log has not failed, nobody has asked the server to end, and one of several has a leader and all that it knows."}
}

func checkDisk() check {
	return check{"disk", (*Admin).diskFault, "There is space: writes are not refused."}
}

func liveChecks() []check    { return []check{checkLoops()} }
func startupChecks() []check { return []check{checkStarted()} }
func readyChecks() []check {
	return []check{checkStarted(), checkServing(), checkLoops(), checkDisk()}
}

// pulseTimeout is how long a loop may be busy before it counts as hung.
const pulseTimeout = 3 * time.Second

// pulse feels whether the loops still answer. At most one visit is under way, so that a loop that hangs
// costs one goroutine, however often somebody asks.
type pulse struct {
	mu    sync.Mutex
	visit *visit // under way, or nil
}

type visit struct {
	done chan struct{}
	full bool // the disk was; valid when done is closed
}

// feel visits the loops, and reports whether they answered in time.
func (a *Admin) feel(s Server) (v *visit, ok bool) {
	p := &a.pulse
	p.mu.Lock()
	if p.visit == nil {
		p.visit = &visit{done: make(chan struct{})}
		go a.look(s, p.visit)
	}
	v = p.visit
	p.mu.Unlock()
	late := time.NewTimer(pulseTimeout)
	defer late.Stop()
	select {
	case <-v.done:
		return v, true
	case <-late.C:
		return nil, false
	}
}

func (a *Admin) look(s Server, v *visit) {
	v.full = s.Status().DiskFull // Status comes back when every loop has answered
	a.pulse.mu.Lock()
	a.pulse.visit = nil
	a.pulse.mu.Unlock()
	close(v.done)
}

// loopsFault: a server that is still loading has no loops yet, and is alive.
func (a *Admin) loopsFault() string {
	s := a.attached()
	if s == nil {
		return ""
	}
	if _, ok := a.feel(s); !ok {
		return "an event loop does not answer"
	}
	return ""
}

func (a *Admin) startedFault() string {
	if a.attached() == nil {
		return "starting"
	}
	return ""
}

func (a *Admin) servingFault() string {
	s := a.attached()
	if s == nil || s.Serving() {
		return ""
	}
	if p := standingOf(s); p.member {
		return "not serving: " + p.why()
	}
	return "not serving"
}

func (a *Admin) diskFault() string {
	s := a.attached()
	if s == nil {
		return ""
	}
	if v, ok := a.feel(s); ok && v.full {
		return "disk-full"
	}
	return ""
}

const notOK = "not ok: "

// verdict runs the checks and returns "ok", or all that is wrong.
func (a *Admin) verdict(checks []check) string {
	var faults []string
	for _, c := range checks {
		if f := c.fault(a); f != "" {
			faults = append(faults, f)
		}
	}
	if len(faults) == 0 {
		return "ok"
	}
	return notOK + strings.Join(faults, ", ")
}

// health serves checks: 200 and ok, or 503 and all that is wrong. With ?verbose every check has a line,
// with ?exclude=name one is left out.
func (a *Admin) health(checks []check) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		chosen := slices.DeleteFunc(slices.Clone(checks), func(c check) bool {
			return slices.Contains(q["exclude"], c.name)
		})
		body := a.verdict(chosen)
		status := http.StatusOK
		if strings.HasPrefix(body, notOK) {
			status = http.StatusServiceUnavailable
		}
		if q.Has("verbose") {
			body = a.verbose(chosen) + body + "\n"
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body)) // who asked is gone: nobody to tell
	}
}

func (a *Admin) verbose(checks []check) string {
	var b strings.Builder
	for _, c := range checks {
		if f := c.fault(a); f != "" {
			b.WriteString("[-]" + c.name + ": " + f + "\n")
		} else {
			b.WriteString("[+]" + c.name + " ok\n")
		}
	}
	return b.String()
}
