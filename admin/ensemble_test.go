package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"paddock/server"
	"paddock/test/harness"
	"paddock/wire"
	"paddock/zab"
	"paddock/zab/runner"
)

const fakeView = "server.1=127.0.0.1:2881:3881:participant\nserver.2=127.0.0.1:2882:3882:participant\n" +
	"server.3=127.0.0.1:2883:3883:participant\nserver.4=127.0.0.1:2884:3884:observer\nversion=0"

// among puts a server into an ensemble of three participants and an observer: server 3 leads.
func among(t *testing.T, id zab.ServerID, state zab.State) *fake {
	t.Helper()
	view, err := zab.ParseView([]byte(fakeView))
	if err != nil {
		t.Fatal(err)
	}
	f := busyServer()
	f.status.Zxid = 0x1000000cd
	f.ensemble = &server.EnsembleStatus{ID: id, View: view, Serving: true, Status: runner.Status{
		State: state, Leader: 3, Last: 0x1000000d0, Durable: 0x1000000ce, Committed: 0x1000000ce,
	}}
	toLeader := runner.LinkStatus{Link: 1, Server: 3, Leader: true, Synced: true, Remote: "127.0.0.1:2883"}
	if state != zab.Leading {
		f.ensemble.Links = []runner.LinkStatus{toLeader}
		return f
	}
	f.ensemble.Links = []runner.LinkStatus{
		{Link: 1, Server: 1, Remote: "127.0.0.1:40001"}, // is being replaced by the next
		{Link: 4, Server: 2, Synced: true, Acked: 0x1000000cc, Lag: 4, Queued: 700, Remote: "127.0.0.1:40002"},
		{Link: 5, Server: 1, Synced: true, Acked: 0x1000000d0, Remote: "127.0.0.1:40003"},
		{Link: 6, Server: 4, Observer: true, Synced: true, Queued: 90, Remote: "127.0.0.1:40004"},
		{Link: 7, Server: 9, Synced: true, Lag: 1, Remote: "127.0.0.1:40005"}, // follows, and is in no view
		{Link: 8, Remote: "127.0.0.1:40006"},                                  // has said nothing yet
	}
	f.numbers = map[string]int64{
		"pending_syncs": 1, "leader_uptime": 5000, "last_proposal_size": 99, "min_proposal_size": 48, "max_proposal_size": 120,
		"proposal_count": 208, "commit_count": 206, "diff_count": 3, "snap_count": 1, "looking_count": 2,
	}
	f.times = map[string]server.Summary{
		"election_time": {Count: 2, Sum: 500, Min: 200, Max: 300}, "leader_unavailable_time": {Count: 1, Sum: 490, Min: 490, Max: 490},
	}
	return f
}

// roles are the servers of the ensemble that differ.
func roles(t *testing.T) map[string]*fake {
	return map[string]*fake{
		"leader": among(t, 3, zab.Leading), "follower": among(t, 1, zab.Following), "observer": among(t, 4, zab.Observing),
	}
}

// memberAdmin returns an Admin of a server with a static client port.
func memberAdmin(s Server) *Admin {
	a := newAdmin(s)
	a.cfg.Conf.InitLimit, a.cfg.Conf.SyncLimit, a.cfg.Conf.ClientAddr = 10, 5, "127.0.0.1:2181"
	return a
}

// ensembleWords and ensembleCommands are those that tell of an ensemble.
var (
	ensembleWords    = []string{"srvr", "stat", "conf", "dump", "isro"}
	ensembleCommands = []string{"configuration", "dump", "leader", "observers", "server_stats", "voting_view", "zabstate", "is_read_only"}
)

func TestAnswersOfAnEnsembleToTheByte(t *testing.T) {
	for role, s := range roles(t) {
		t.Run(role, func(t *testing.T) {
			a := memberAdmin(s)
			var b strings.Builder
			for _, w := range ensembleWords {
				fmt.Fprintf(&b, "--- %s\n%s\n", w, ask(a, w))
			}
			for _, c := range ensembleCommands {
				fmt.Fprintf(&b, "--- %s\n%s\n", c, body(t, get(a, "GET", "/commands/"+c)))
			}
			compare(t, "testdata/ensemble-"+role+".txt", b.String())
			compare(t, "testdata/mntr-"+role+".txt", fixedLines(ask(a, "mntr")))
		})
	}
	compare(t, "testdata/metrics-leader.txt", fixedLines(body(t, get(memberAdmin(among(t, 3, zab.Leading)), "GET", "/metrics"))))
}

// TestCountsOfLinks: who is counted as what.
func TestCountsOfLinks(t *testing.T) {
	p := standingOf(among(t, 3, zab.Leading))
	if got, want := p.learners(), (learners{all: 6, observers: 1, synced: 2, nonVoting: 1, syncedObserve: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestBehind(t *testing.T) {
	tests := []struct {
		name string
		a, b wire.Zxid
		want int64
	}{
		{"level", 0x100000005, 0x100000005, 0},
		{"behind", 0x100000005, 0x100000009, 4},
		{"ahead", 0x100000009, 0x100000005, 0},
		{"in an epoch before", 0x1000fffff, 0x200000003, 3},
	}
	for _, tt := range tests {
		if got := behind(tt.a, tt.b); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
}

// TestWhoDoesNotServe: Apache's words, and why.
func TestWhoDoesNotServe(t *testing.T) {
	tests := []struct {
		name        string
		state       zab.State
		ready, peer string
		phase       string
	}{
		{"looking", zab.Looking, "not ok: not serving: looking for a leader", "looking", "election"},
		{"following", zab.Following, "not ok: not serving: synchronizing with server 3", "following", "synchronization"},
		{"leading", zab.Leading, "not ok: not serving: leading, and closed to clients or not followed by a quorum yet", "leading", "synchronization"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := among(t, 1, tt.state)
			s.idle, s.ensemble.Serving = true, false
			a := memberAdmin(s)
			for _, w := range []string{"srvr", "stat", "mntr", "conf", "cons", "dump"} {
				if got := ask(a, w); got != idleLine {
					t.Errorf("%s answered %q", w, got)
				}
			}
			if got := ask(a, "isro") + ask(a, "ruok") + ask(a, "live"); got != "nullimokok" {
				t.Errorf("isro, ruok, live answered %q", got)
			}
			if got := body(t, get(a, "GET", "/readyz")); got != tt.ready {
				t.Errorf("/readyz answered %q, want %q", got, tt.ready)
			}
			wantParts(t, "leader", body(t, get(a, "GET", "/commands/leader")), `"error" : "`+notServing+`"`)
			wantParts(t, "zabstate", body(t, get(a, "GET", "/commands/zabstate")), `"zabstate" : "`+tt.phase+`"`, `"myid" : 1`)
			wantParts(t, "monitor", body(t, get(a, "GET", "/commands/monitor")), `"peer_state" : "`+tt.peer+`"`, `"error" : "`+notServing+`"`)
			text := body(t, get(a, "GET", "/metrics"))
			wantParts(t, "/metrics", text, "quorum_size 3\n")
			if strings.Contains(text, "} 1\nzk_server_state") || strings.Contains(text, "\nlearners ") {
				t.Errorf("/metrics of a server that does not serve:\n%s", text)
			}
		})
	}
}

// TestWhatIsNotCountedIsNotShown: a zero would be read as a number.
func TestWhatIsNotCountedIsNotShown(t *testing.T) {
	s := among(t, 3, zab.Leading)
	s.numbers, s.times = nil, nil
	got := ask(memberAdmin(s), "mntr")
	for _, name := range []string{"leader_uptime", "pending_syncs", "last_proposal_size", "avg_election_time", "proposal_count"} {
		if strings.Contains(got, "zk_"+name+"\t") {
			t.Errorf("mntr has %s:\n%s", name, got)
		}
	}
	wantParts(t, "srvr", ask(memberAdmin(s), "srvr"), "Proposal sizes last/min/max: -1/-1/-1\n")
}

// TestDashboardsOfAnEnsemble holds the names that only a leader has.
func TestDashboardsOfAnEnsemble(t *testing.T) {
	a := memberAdmin(among(t, 3, zab.Leading))
	families, mntr := scrape(t, a), ask(a, "mntr")
	for _, name := range []string{"quorum_size", "leader_uptime", "learners", "followers", "synced_followers", "synced_non_voting_followers",
		"synced_observers", "pending_syncs"} {
		if families[name] == nil || !strings.Contains(mntr, "zk_"+name+"\t") {
			t.Errorf("no %s", name)
		}
	}
}

// shapeOfRole is what is compared with Apache's servers: the shapes of words, and the fields of commands,
// sorted, for Java puts those of a bean into an order of its own.
func shapeOfRole(t *testing.T, word, command func(string) string) string {
	var b strings.Builder
	for _, w := range ensembleWords {
		lines := strings.Split(shapeOf(word(w)), "\n")
		fmt.Fprintf(&b, "--- %s\n%s\n", w, strings.Join(slices.Compact(sortClients(lines)), "\n"))
	}
	for _, c := range ensembleCommands {
		fields := fieldsOf(t, command(c))
		slices.Sort(fields)
		fmt.Fprintf(&b, "--- %s\n%s\n", c, strings.Join(fields, "\n"))
	}
	return b.String()
}

// additions and omissions are how our fields differ from Apache's.
var (
	additions = []string{"election_alg float64", "election_port string", "init_limit float64", "membership string", "peer_type float64",
		"quorum_port string", "sync_limit float64"}
	omissions = []string{"observers[].established float64", "observers[].last_zxid float64", "observers[].packets_received float64",
		"observers[].packets_sent float64", "observers[].queued_packets float64", "observers[].requests float64"}
)

func without(text string, lines []string) string {
	all := strings.Split(text, "\n")
	return strings.Join(slices.DeleteFunc(all, func(l string) bool { return slices.Contains(lines, l) }), "\n")
}

func TestShapesOfAnEnsemble(t *testing.T) {
	for role, s := range roles(t) {
		t.Run(role, func(t *testing.T) {
			s.conns[2].LastXid = 7
			a := memberAdmin(s)
			got := shapeOfRole(t, func(w string) string { return ask(a, w) }, func(c string) string { return body(t, get(a, "GET", "/commands/"+c)) })
			want, err := os.ReadFile("testdata/apache/" + role + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			if got, want := without(got, additions), without(string(want), omissions); got != want {
				t.Errorf("ours is\n%s\nApache's is\n%s", got, want)
			}
		})
	}
}

// TestApacheEnsemble asks a live ensemble of Apache's, three participants and an observer.
func TestApacheEnsemble(t *testing.T) {
	if os.Getenv("PADDOCK_APACHE") == "" {
		t.Skip("PADDOCK_APACHE=1 asks a live ensemble of Apache's")
	}
	if _, err := harness.Apache(); errors.Is(err, harness.ErrNotAvailable) {
		t.Skip(err)
	}
	servers := startApacheEnsemble(t)
	for _, s := range servers {
		makeBusy(t, s.client) // a client at each
	}
	for _, s := range servers {
		role := s.mode(t)
		text := shapeOfRole(t, func(w string) string { return say(t, s.client, w) }, func(c string) string {
			_, text := fetch(t, s.admin, "/commands/"+c)
			return text
		})
		compare(t, "testdata/apache/"+role+".txt", text)
		if role == "leader" {
			compare(t, "testdata/apache/mntr-leader.txt", mntrNamesOf(say(t, s.client, "mntr")))
		}
	}
	var looking apacheServer
	for _, s := range servers {
		if s.mode(t) == "leader" {
			looking = s
			continue
		}
		s.stop()
	}
	await(t, "a leader that nobody follows stops to serve", func() bool { return say(t, looking.client, "srvr") == idleLine })
	for w, want := range map[string]string{"ruok": "imok", "isro": "null", "conf": idleLine, "mntr": idleLine, "hash": notServing} {
		if got := say(t, looking.client, w); got != want {
			t.Errorf("looking, %s answers %q, want %q", w, got, want)
		}
	}
}

type apacheServer struct {
	client, admin string
	stop          func()
}

func (s *apacheServer) mode(t *testing.T) string {
	for line := range strings.Lines(say(t, s.client, "srvr")) {
		if mode, ok := strings.CutPrefix(line, "Mode: "); ok {
			return strings.TrimSpace(mode)
		}
	}
	return ""
}

func startApacheEnsemble(t *testing.T) (servers []apacheServer) {
	var list strings.Builder
	var ports [4][4]string // client, admin, quorum, election
	for i := range ports {
		for j := range ports[i] {
			ports[i][j] = strconv.Itoa(freePort(t))
		}
		fmt.Fprintf(&list, "server.%d=127.0.0.1:%s:%s:%s\n", i+1, ports[i][2], ports[i][3], []string{"participant", "observer"}[i/3])
	}
	for i, p := range ports {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "myid"), []byte(strconv.Itoa(i+1)), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("../test/apache/run.sh", p[0], dir)
		cmd.Env = append(os.Environ(), "APACHE_XMX=200m",
			"APACHE_CFG=admin.enableServer=true\nadmin.serverAddress=127.0.0.1\nadmin.serverPort="+p[1]+"\n"+list.String())
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		stop := func() {
			_ = cmd.Process.Kill() // twice is once too often, and does no harm
			_ = cmd.Wait()
		}
		t.Cleanup(stop)
		servers = append(servers, apacheServer{"127.0.0.1:" + p[0], "127.0.0.1:" + p[1], stop})
	}
	for i := range servers {
		s := &servers[i]
		await(t, fmt.Sprintf("server %d serves", i+1), func() bool {
			c, err := net.DialTimeout("tcp", s.client, time.Second)
			if err != nil {
				return false
			}
			_ = c.Close()
			return s.mode(t) != ""
		})
	}
	return servers
}

// await waits for what takes a Java process seconds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// TestARealEnsemble: what a fake cannot show is that the numbers are the servers'.
func TestARealEnsemble(t *testing.T) {
	admins, addrs := startEnsemble(t)
	modes := map[string]int{}
	for i, a := range admins {
		await(t, fmt.Sprintf("server %d serves", i+1), func() bool { return a.verdict(readyChecks()) == "ok" })
	}
	c, _, err := zk.Connect(addrs[:1], 10*time.Second, zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Create("/fl", []byte("x"), 0, zk.WorldACL(zk.PermAll)); err != nil {
		t.Fatal(err)
	}
	for i, a := range admins {
		s := a.attached()
		p := standingOf(s)
		modes[p.mode()]++
		if got := say(t, addrs[i], "srvr"); !strings.Contains(got, "Mode: "+p.mode()+"\n") {
			t.Errorf("srvr of server %d: %s", i+1, got)
		}
		if p.leads() {
			wantParts(t, "mntr of the leader", say(t, addrs[i], "mntr"), "zk_server_state\tleader\nzk_peer_state\tleading - broadcast\n",
				"zk_quorum_size\t3\n", "zk_learners\t2\n", "zk_followers\t2\n", "zk_synced_observers\t0\n")
		}
		var who struct {
			Leader bool   `json:"is_leader"`
			ID     int    `json:"leader_id"`
			IP     string `json:"leader_ip"`
		}
		if err := json.Unmarshal([]byte(body(t, get(a, http.MethodGet, "/commands/leader"))), &who); err != nil {
			t.Fatal(err)
		}
		if who.Leader != p.leads() || zab.ServerID(who.ID) != p.Leader || who.IP != "127.0.0.1" {
			t.Errorf("server %d: leader says %+v", i+1, who)
		}
	}
	if modes["leader"] != 1 || modes["follower"] != 2 {
		t.Errorf("modes: %v", modes)
	}
}
