package edge

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"testing"

	"paddock/test/harness"
)

var target *harness.Target

func TestMain(m *testing.M) {
	flag.Parse()
	// Slow cases wait for clocks, not for cores: let all of them wait at once.
	if err := flag.Set("test.parallel", "64"); err != nil {
		panic(err)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if err := chooseRole(); err != nil {
		fmt.Println(err)
		return 1
	}
	var err error
	target, err = harness.FromEnv()
	switch {
	case errors.Is(err, harness.ErrNotAvailable):
		fmt.Println("edge: nothing was tested:", err)
		return 0
	case err != nil:
		fmt.Println(err)
		return 1
	}
	defer harness.Cleanup()
	defer func() {
		for _, s := range servers {
			s.end()
		}
	}()
	return m.Run()
}

// server is a server shared by cases, started by the first that needs it.
type server struct {
	name     string
	settings harness.Settings
	alone    bool   // one case at a time
	as       string // the role that it always has; that of the run if empty

	once sync.Once
	err  error
	*instance
	busy sync.Mutex // held by the running case if alone
}

var defaults = harness.Settings{
	"tickTime":               "2000",
	"maxClientCnxns":         "0",
	"4lw.commands.whitelist": "*",
	"zookeeper.DigestAuthenticationProvider.superDigest": superDigest,
}

const (
	superAuth   = "super:secret"
	superDigest = "super:lK75jTNcA+U9vtVEw5vB51mj/w4="
)

var (
	plain = &server{name: "plain", settings: defaults}
	// quiet is for cases that count zxids.
	quiet = &server{name: "quiet", settings: defaults, alone: true}
	// untouched is only ever read.
	untouched = &server{name: "untouched", settings: defaults}
	// short has a fast clock, so that sessions end soon.
	short = &server{name: "short", settings: defaults.With(harness.Settings{"tickTime": "200"})}
	// extended has TTL nodes and looks for unused containers often.
	extended = &server{name: "extended", settings: defaults.With(harness.Settings{
		"extendedTypesEnabled":            "true",
		"znode.container.checkIntervalMs": "300",
	})}
	quota    = &server{name: "quota", settings: defaults.With(harness.Settings{"enforceQuota": "true"})}
	enforced = &server{name: "enforced", settings: defaults.With(harness.Settings{
		"zookeeper.enforce.auth.enabled": "true",
		"zookeeper.enforce.auth.schemes": "digest",
	})}
	// silent answers no word but srvr.
	silent = &server{name: "silent", settings: harness.Settings{"tickTime": "2000", "4lw.commands.whitelist": "srvr"}}
	// crowded has the default limit of connections.
	crowded = &server{name: "crowded", settings: harness.Settings{"tickTime": "2000"}}
	// worn starts from a directory whose counters are about to wrap; no ensemble agrees on such a one.
	worn = &server{name: "worn", settings: defaults, as: alone}
	// refusing gets the requests that would crash or open Apache's server.
	refusing = &server{name: "refusing", settings: defaults.With(harness.Settings{
		"extendedTypesEnabled": "true",
	})}
	// together is an ensemble whatever the run's role: for what can be seen at two servers only.
	together = &server{name: "together", settings: defaults, as: follower}
	// itsOwn is for cases that start and end their servers themselves.
	itsOwn *server

	servers = []*server{plain, quiet, untouched, short, extended, quota, enforced, silent, crowded, worn, refusing, together}
)

func (s *server) start() error {
	s.once.Do(func() {
		switch as := cmp.Or(s.as, role); as {
		case alone:
			s.instance, s.err = startAlone(s)
		default:
			s.instance, s.err = startMember(s, as)
		}
	})
	return s.err
}

// mustStart starts the server if no case has yet.
func (s *server) mustStart(t *testing.T) {
	t.Helper()
	err := s.start()
	if s == worn && target.Paddock() && err != nil && strings.Contains(err.Error(), "cannot import yet") {
		skip(t, "paddock does not import a data directory of Apache's yet")
	}
	skipUnavailable(t, err)
	if err != nil {
		t.Fatalf("server %s: %v", s.name, err)
	}
}

func (s *server) end() {
	if s.instance != nil {
		s.instance.close()
	}
}

// fact is one numbered fact with its case.
type fact struct {
	number int
	name   string
	on     *server
	run    func(t *testing.T, s *server)
}

// notTested are the facts without a case.
var notTested = []struct {
	number int
	reason string
}{
	{130, "the division of globalOutstandingLimit is for ensembles larger than two"},
	{131, "the eager ACL check runs only in ensemble members"},
	{132, "local sessions exist only in ensembles"},
	{133, "needs a server with SASL configured"},
}

// facts returns all cases in the order of their numbers.
func facts() []fact {
	var all []fact
	for _, part := range [][]fact{
		handshakeFacts, framingFacts, pathFacts, writeFacts, multiFacts,
		watchFacts, setWatchesFacts, aclFacts, authFacts, orderFacts, miscFacts, ensembleFacts,
	} {
		all = append(all, part...)
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].number < all[j].number })
	return all
}

func TestFacts(t *testing.T) {
	runCases(t, "%03d %s", facts())
	t.Cleanup(func() {
		for _, n := range notTested {
			fmt.Printf("edge: not tested: fact %d: %s\n", n.number, n.reason)
		}
		for _, line := range notes.lines {
			fmt.Println("edge:", line)
		}
	})
}

func TestHazards(t *testing.T) {
	if !target.Paddock() {
		t.Skip("these requests crash or open Apache's server")
	}
	runCases(t, "h%02d %s", hazards)
}

func runCases(t *testing.T, format string, cases []fact) {
	for _, f := range cases {
		t.Run(fmt.Sprintf(format, f.number, f.name), func(t *testing.T) {
			t.Parallel()
			s := f.on
			if s == itsOwn {
				f.run(t, nil)
				return
			}
			if s.alone {
				s.busy.Lock()
				t.Cleanup(s.busy.Unlock) // runs after the cleanups that close the case's sessions
			}
			s.mustStart(t)
			f.run(t, s)
			if !s.process.Alive() {
				t.Fatalf("server %s is gone:\n%s", s.name, s.process.LogTail())
			}
		})
	}
}

// TestEveryFactHasItsPlace guards the suite itself: each of the 135 facts is a case or is named, with
// a reason, as one that cannot be.
func TestEveryFactHasItsPlace(t *testing.T) {
	places := make(map[int]int)
	for _, f := range facts() {
		places[f.number]++
	}
	for _, n := range notTested {
		places[n.number]++
	}
	for n := 1; n <= 135; n++ {
		if places[n] != 1 {
			t.Errorf("fact %d has %d places, want 1", n, places[n])
		}
		delete(places, n)
	}
	for n := range places {
		t.Errorf("there is no fact %d", n)
	}
}
