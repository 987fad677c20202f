package edge

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"paddock/test/harness"
)

// role is what the servers that cases talk to are: alone, or the leader, a follower or the observer of an
// ensemble of their own. PADDOCK_ROLE chooses.
var role = alone

const (
	alone    = "alone"
	leader   = "leader"
	follower = "follower"
	observer = "observer"
)

func chooseRole() error {
	if r := os.Getenv("PADDOCK_ROLE"); r != "" {
		role = r
	}
	if !slices.Contains([]string{alone, leader, follower, observer}, role) {
		return fmt.Errorf("edge: PADDOCK_ROLE=%q, want %s, %s, %s or %s", role, alone, leader, follower, observer)
	}
	return nil
}

// instance is a running server that cases talk to.
type instance struct {
	addr    string
	role    string
	id      int64 // in the top byte of the sessions that begin there
	process interface {
		Alive() bool
		LogTail() string
	}
	others *harness.Ensemble // nil if it is alone
	close  func()
}

// learns reports whether the leader is another server.
func (i *instance) learns() bool { return i.others != nil && i.role != leader }

func startAlone(s *server) (*instance, error) {
	prepare := func(string) error { return nil }
	if s == worn {
		prepare = wornDirectory
	}
	srv, err := target.StartFrom(s.settings, prepare)
	if err != nil {
		return nil, err
	}
	return &instance{addr: srv.Addr, role: alone, id: 1, process: srv, close: srv.Close}, nil
}

// ensembleSettings are those of all ensembles here, unless a server says otherwise: no member may be lost
// because the machine is busy, and what the harness relaxes is again as it is by default.
var ensembleSettings = harness.Settings{"initLimit": "100", "syncLimit": "100", "maxClientCnxns": "60"}

// startMember starts three voters and an observer, and returns the one that has the role. A free port may be
// taken before its server binds it: then all of them are new.
func startMember(s *server, role string) (*instance, error) {
	const tries = 3
	for try := 1; ; try++ {
		e, err := newEnsemble(ensembleSettings.With(s.settings))
		if err != nil {
			return nil, err
		}
		if err = e.Start(); err == nil {
			if m := memberOf(e, role); m != nil {
				return &instance{addr: m.Addr, role: role, id: int64(m.ID), process: m, others: e, close: e.Close}, nil
			}
			err = fmt.Errorf("edge: no member is %s\n%s", role, e.Report())
		}
		e.Close()
		if try == tries || !strings.Contains(err.Error(), "in use") {
			return nil, err
		}
	}
}

// newEnsemble starts nothing. JVM options replace the harness's own.
func newEnsemble(settings harness.Settings, jvm ...string) (*harness.Ensemble, error) {
	kinds := "GGGg"
	if !target.Paddock() {
		kinds = "JJJj"
	}
	return harness.NewEnsemble(harness.EnsembleConfig{Kinds: kinds, Settings: settings, JVM: jvm, Loopback: true})
}

// memberOf returns the first member with this role, nil without one.
func memberOf(e *harness.Ensemble, role string) *harness.Member {
	for _, m := range e.Members {
		if m.Role() == role {
			return m
		}
	}
	return nil
}

// at is the same server's ensemble, seen from its member with another role.
func (s *server) at(t *testing.T, role string) *server {
	t.Helper()
	m := memberOf(s.others, role)
	if m == nil {
		t.Fatalf("server %s: no member is %s\n%s", s.name, role, s.others.Report())
	}
	return &server{name: s.name + " at its " + role, instance: &instance{
		addr: m.Addr, role: role, id: int64(m.ID), process: m, others: s.others,
	}}
}

// leaderCatchesUp waits until the leader has applied what this client has seen. Quotas look at what the
// leader has applied, and a learner may be ahead of it, in Apache's ensembles too: with a second client
// that writes all the time, 2 of 500 new limits did not bind the next write there, 19 of 500 here.
func (c *client) leaderCatchesUp() {
	c.t.Helper()
	if !c.at.learns() {
		return
	}
	seen, l := c.ping(), memberOf(c.at.others, leader)
	if l == nil {
		c.t.Fatalf("nobody leads\n%s", c.at.others.Report())
	}
	await(c.t, l, "has applied what its learner has", func() bool {
		_, zxid := l.Srvr()
		return zxid >= seen
	})
}

// notes are what is printed at the end, so that nothing is left out in silence.
var notes struct {
	sync.Mutex
	lines []string
}

func note(format string, a ...any) {
	notes.Lock()
	defer notes.Unlock()
	notes.lines = append(notes.lines, fmt.Sprintf(format, a...))
}

// skip leaves a case out, and has it named at the end.
func skip(t *testing.T, reason string) {
	t.Helper()
	note("not tested: %s: %s", t.Name(), reason)
	t.Skip(reason)
}

// differs has a case named at the end that holds otherwise here, by design. The case goes on and checks
// what is to hold instead.
func differs(t *testing.T, reason string) {
	note("otherwise by design: %s: %s", t.Name(), reason)
}

// skipUnavailable skips a case whose servers this machine lacks.
func skipUnavailable(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, harness.ErrNotAvailable) {
		skip(t, err.Error())
	}
}
