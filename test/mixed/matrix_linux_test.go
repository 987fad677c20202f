package mixed

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"paddock/test/ensemble"
	"paddock/test/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.OwnNetwork(m.Run)) }

// form is how much to run: ci or full. Without one a test is skipped.
func form(t *testing.T) string {
	t.Helper()
	f := os.Getenv("PADDOCK_MIXED")
	switch f {
	case "":
		t.Skip("nothing was tested: PADDOCK_MIXED is not set (ci or full)")
	case "ci", "full":
	default:
		t.Fatalf("PADDOCK_MIXED=%q: want ci or full", f)
	}
	return f
}

// with replaces G, which stands for our server, by whatever takes its place.
func with(kinds string) string {
	ours := cmp.Or(os.Getenv("PADDOCK_MIXED_OURS"), "G")
	return strings.NewReplacer("G", ours, "g", strings.ToLower(ours)).Replace(kinds)
}

// settings have a short tick: a server that is cut off notices in two seconds.
var settings = harness.Settings{"tickTime": "400", "syncLimit": "5", "initLimit": "25"}

// snapCount is for tests that need a log without a beginning.
const snapCount = 50

// members starts an ensemble that ends with the test. Where it fails its logs are kept.
func members(t *testing.T, kinds string, more harness.Settings) *harness.Ensemble {
	t.Helper()
	e, err := harness.NewEnsemble(harness.EnsembleConfig{Kinds: kinds, Settings: settings.With(more)})
	if errors.Is(err, harness.ErrNotAvailable) {
		t.Skip("nothing was tested: ", err)
	}
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			e.Keep()
			t.Logf("logs are kept in %s", e.Dir)
		}
		e.Close()
	})
	must(t, e.Start())
	return e
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, e *harness.Ensemble) *ensemble.Load {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("%s, seed %d", e.Config.Kinds, seed)
	l, err := ensemble.StartLoad(e, ensemble.LoadConfig{Clients: 5, Pace: 10 * time.Millisecond, Seed: seed, TimeoutMS: 8000, Patience: time.Second})
	must(t, err)
	t.Cleanup(l.Stop)
	return l
}

// judge ends a load and looks at everything.
func judge(t *testing.T, e *harness.Ensemble, l *ensemble.Load) {
	t.Helper()
	r, err := l.Judge()
	must(t, err)
	t.Log(r)
	for i, err := range r.Broken {
		if i == 10 {
			t.Errorf("and %d more", len(r.Broken)-i)
			break
		}
		t.Error(err)
	}
	if r.Expired > 0 {
		t.Errorf("%d sessions of living clients have expired", r.Expired)
	}
	if r.Acknowledged < 200 {
		t.Errorf("only %d writes were acknowledged: this run shows nothing", r.Acknowledged)
	}
	equal(t, e)
}

// equal looks whether all servers have one tree at one zxid, and whether Apache's have found that they had
// another.
func equal(t *testing.T, e *harness.Ensemble) {
	t.Helper()
	_, err := ensemble.SameTrees(e)
	if err != nil {
		t.Error(err)
	}
	if err := e.AwaitSameZxid(); err != nil {
		t.Error(err)
	}
	for _, m := range e.Running() {
		all, err := m.Monitor()
		if err != nil {
			t.Errorf("%v: mntr: %v", m, err)
		}
		n := all["zk_digest_mismatches_count"]
		switch {
		case n == "0":
		case e.Had(harness.KindApache38): // after a few kills they do so without us, too
			t.Logf("%v counts %s digest mismatches", m, n)
		default:
			t.Errorf("%v: %s digest mismatches", m, n)
		}
	}
}

// lead makes a voter the leader of an ensemble under load: it has seen writes that one of the two others
// has not, and forms a quorum with that one.
func lead(t *testing.T, e *harness.Ensemble, l *ensemble.Load, m *harness.Member) {
	t.Helper()
	leader, err := e.AwaitLeader()
	must(t, err)
	if leader == m {
		return
	}
	var others []*harness.Member
	for _, o := range e.Members {
		if o != m && !o.Observer {
			others = append(others, o)
		}
	}
	behind, ahead := others[0], others[1]
	behind.Kill()
	_, err = e.AwaitLeader()
	must(t, err)
	must(t, l.AwaitProgress(20, 30*time.Second))
	ahead.Kill()
	must(t, behind.Start())
	leader, err = e.AwaitLeader()
	must(t, err)
	if leader != m {
		t.Fatalf("%v leads, want %v, which has the latest data\n%s", leader, m, e.Report())
	}
	must(t, ahead.Start())
	_, err = e.AwaitLeader()
	must(t, err)
}

// TestEachKindLeads: the first of each kind leads in turn, and every other member is killed and taken back.
func TestEachKindLeads(t *testing.T) {
	ensembles := []string{"JJG", "JGG", "GJJg"}
	if form(t) == "full" {
		ensembles = append(ensembles, "OOG", "OGG", "GOOg", "JOG", "GGGj", "GGGo")
	}
	for _, kinds := range ensembles {
		t.Run(with(kinds), func(t *testing.T) {
			e := members(t, with(kinds), nil)
			l := load(t, e)
			led := map[harness.Kind]bool{}
			for _, m := range e.Members {
				if led[m.Kind()] || m.Observer {
					continue
				}
				led[m.Kind()] = true
				lead(t, e, l, m)
				must(t, l.LeaveMortal())
				l.NextGeneration()
				for _, o := range e.Members {
					if o != m {
						o.Kill()
						must(t, l.AwaitProgress(20, 30*time.Second))
						must(t, o.Start())
						_, err := e.AwaitLeader()
						must(t, err)
					}
				}
				must(t, l.AwaitProgress(200, 30*time.Second))
				if leader := e.Leader(); leader != m {
					t.Errorf("%v led, and now %v does", m, leader)
				}
				t.Logf("%v has led", m)
			}
			judge(t, e, l)
		})
	}
}

// TestRollingReplacement: followers first and the leader last, to the other kind and back.
func TestRollingReplacement(t *testing.T) {
	ways := []string{"JG"}
	if form(t) == "full" {
		ways = append(ways, "OG", "JO", "GJ")
	}
	for _, way := range ways {
		way = with(way)
		t.Run(way, func(t *testing.T) {
			from, to := harness.Kind(way[0]), harness.Kind(way[1])
			e := members(t, strings.Repeat(from.String(), 3), nil)
			l := load(t, e)
			replaceAll(t, e, l, to)
			replaceAll(t, e, l, from)
			judge(t, e, l)
		})
	}
}

// replaceAll replaces one server after another by one of kind k with an empty directory.
func replaceAll(t *testing.T, e *harness.Ensemble, l *ensemble.Load, k harness.Kind) {
	t.Helper()
	replaced := map[*harness.Member]bool{}
	for range e.Members {
		leader, err := e.AwaitLeader()
		must(t, err)
		m := leader
		for _, o := range e.Members {
			if !replaced[o] && o != leader {
				m = o
			}
		}
		if replaced[m] {
			t.Fatalf("%v leads and is the only one that is not replaced", leader)
		}
		replaced[m] = true
		must(t, l.LeaveMortal())
		l.NextGeneration()
		was := m.String()
		_ = m.Stop() // how it ends is no matter here: Java's servers end with 143
		must(t, m.Replace(k))
		must(t, m.Start())
		leader, err = e.AwaitLeader()
		must(t, err)
		must(t, l.AwaitProgress(100, 30*time.Second))
		t.Logf("%s is %v now, %v leads", was, m, leader)
	}
}

// TestSync: a server that was away is brought up to date by a leader of the other kind.
func TestSync(t *testing.T) {
	pairs := []string{"JG", "GJ"}
	if form(t) == "full" {
		pairs = append(pairs, "OG", "GO", "GG", "JJ")
	}
	for _, pair := range pairs {
		pair = with(pair)
		t.Run(fmt.Sprintf("%c brings %c up to date", pair[0], pair[1]), func(t *testing.T) {
			leaders := pair[:1]
			s := &syncing{t: t, e: members(t, leaders+leaders+pair[1:], harness.Settings{"snapCount": fmt.Sprint(snapCount)})}
			s.x = s.e.Members[2]
			s.open(s.e.Members[0])
			s.create("/before", true)
			for _, how := range []struct {
				name string
				run  func()
			}{{"DIFF", s.diff}, {"TRUNC", s.trunc}, {"its tail goes", s.tailGoes}, {"SNAP", s.snap}} {
				t.Run(how.name, func(t *testing.T) {
					s.t = t
					how.run()
					equal(t, s.e)
				})
			}
		})
	}
}

// syncing is an ensemble without other load, and the member that goes away and comes back.
type syncing struct {
	t *testing.T
	e *harness.Ensemble
	x *harness.Member
	c harness.Session
	n int
}

// open begins a session at a member.
func (s *syncing) open(m *harness.Member) {
	s.t.Helper()
	s.c.Drop()
	s.c = harness.Session{Addrs: []string{m.Addr}, TimeoutMS: 8000, Patience: 5 * time.Second}
	must(s.t, s.c.ConnectTo(0))
}

const (
	opCreate   = 1
	opExists   = 3
	codeNoNode = -101
)

func createBody(path string) harness.Bytes {
	return harness.Bytes{}.Str(path).Str("data of " + path).ACLs(harness.ACL{Perms: 31, Scheme: "world", ID: "anyone"}).Int(0)
}

// create makes a node; it waits for the answer if one is to come.
func (s *syncing) create(path string, answered bool) {
	s.t.Helper()
	if !answered {
		must(s.t, s.c.Send(opCreate, createBody(path)))
		return
	}
	r, err := s.c.Call(opCreate, createBody(path))
	must(s.t, err)
	if r.Err != 0 {
		s.t.Fatalf("create %s: code %d", path, r.Err)
	}
}

// some makes new nodes below no other.
func (s *syncing) some(n int) {
	s.t.Helper()
	for range n {
		s.n++
		s.create(fmt.Sprintf("/n%d", s.n), true)
	}
}

// away ends x and lets the others go on.
func (s *syncing) away() {
	s.t.Helper()
	s.x.Kill()
	_, err := s.e.AwaitLeader()
	must(s.t, err)
}

// goOn writes to the others.
func (s *syncing) goOn() {
	s.t.Helper()
	s.open(s.e.Members[0])
	s.some(20)
}

// back starts x and looks how the leader has brought it up to date, if it matters.
func (s *syncing) back(want string) {
	s.t.Helper()
	leader := s.e.Leader()
	if leader == nil || leader.Kind() != s.e.Members[0].Kind() {
		s.t.Fatalf("%v leads, want one of the others\n%s", leader, s.e.Report())
	}
	before, err := leader.Monitor()
	must(s.t, err)
	must(s.t, s.x.Start())
	now, err := s.e.AwaitLeader()
	must(s.t, err)
	if now != leader {
		s.t.Fatalf("%v leads instead of %v\n%s", now, leader, s.e.Report())
	}
	after, err := leader.Monitor()
	must(s.t, err)
	for _, key := range []string{"zk_diff_count", "zk_snap_count"} {
		if before[key] == "" || want == "" {
			continue // not every server counts everything
		}
		if changed := before[key] != after[key]; changed != (key == want) {
			s.t.Errorf("%v: %s was %s and is %s: want a change in %s only", leader, key, before[key], after[key], want)
		}
	}
	s.open(s.e.Members[0])
	s.some(5)
}

func (s *syncing) diff() {
	s.away()
	s.goOn()
	s.back("zk_diff_count")
}

func (s *syncing) snap() {
	s.away()
	s.goOn()
	s.some(10 * snapCount) // until no log of the others goes back to the beginning
	must(s.t, s.x.Wipe())
	s.back("zk_snap_count")
}

// trunc: x has a tail, and the others have nothing new. (Where they have, Apache's leaders send a snapshot,
// for they do not truncate across epochs.)
func (s *syncing) trunc() {
	committed := s.leaveTail()
	s.back("zk_diff_count") // which counts TRUNC too
	s.tailGone(committed)
	if b, err := os.ReadFile(s.x.Log()); s.x.Kind().Apache() && !strings.Contains(string(b), "Truncating log") {
		s.t.Errorf("%v has not truncated its log: nothing was tested (%v)", s.x, err)
	}
}

// tailGoes: x has a tail, and the others have gone on. By which means it is brought up to date is the
// leader's choice.
func (s *syncing) tailGoes() {
	committed := s.leaveTail()
	s.goOn()
	s.back("")
	s.tailGone(committed)
}

// leaveTail: x leads, is cut off, logs what no other has, and ends. The others have a leader. It returns
// the last zxid that all have.
func (s *syncing) leaveTail() (committed int64) {
	s.t.Helper()
	if s.e.Network == nil {
		s.t.Skip("nothing was tested: ", s.e.NoCuts)
	}
	s.lead()
	s.open(s.x)
	s.some(3)
	committed = s.c.Zxid
	must(s.t, s.e.Isolate(s.x))
	for i := range tail {
		s.create(fmt.Sprintf("/lost%d", i), false)
	}
	time.Sleep(300 * time.Millisecond) // to log them; whether it did shows later
	s.away()                           // still cut off: a kernel goes on sending what a process that was killed has written
	must(s.t, s.e.Heal())
	return committed
}

// tailGone looks whether x had a tail, and has none now.
func (s *syncing) tailGone(committed int64) {
	s.t.Helper()
	if !s.hadTail(committed) {
		s.t.Errorf("%v did not have what was to go: nothing was tested\n%s", s.x, s.x.LogTail())
	}
	s.open(s.x)
	for i := range tail {
		path := fmt.Sprintf("/lost%d", i)
		r, err := s.c.Call(opExists, harness.Bytes{}.Str(path).Bool(false))
		must(s.t, err)
		if r.Err != codeNoNode {
			s.t.Errorf("%s was never acknowledged and is there: code %d", path, r.Err)
		}
	}
}

const tail = 5 // transactions that nobody else has

// lead makes x the leader, as lead does under load.
func (s *syncing) lead() {
	s.t.Helper()
	a, b := s.e.Members[0], s.e.Members[1]
	a.Kill()
	_, err := s.e.AwaitLeader()
	must(s.t, err)
	s.open(s.x)
	s.some(3)
	b.Kill()
	must(s.t, a.Start())
	leader, err := s.e.AwaitLeader()
	must(s.t, err)
	if leader != s.x {
		s.t.Fatalf("%v leads, want %v, which has the latest data\n%s", leader, s.x, s.e.Report())
	}
	must(s.t, b.Start())
	_, err = s.e.AwaitLeader()
	must(s.t, err)
}

// hadTail looks in the log of x for what it had when it came back. Apache's servers do not say.
func (s *syncing) hadTail(committed int64) bool {
	b, err := os.ReadFile(s.x.Log())
	must(s.t, err)
	if s.x.Kind().Apache() {
		return true
	}
	return strings.Contains(string(b), fmt.Sprintf(" last=%#x ", committed+tail))
}
