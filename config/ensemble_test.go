package config

import (
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"paddock/zab"
)

const threeServers = "dataDir=/d\nclientPort=2181\ntickTime=2000\ninitLimit=10\nsyncLimit=5\n" +
	"server.1=zoo1:2888:3888\nserver.2=zoo2:2889:3889\nserver.3=[fd00::3]:2888:3888\n"

// loadEnsemble loads a zoo.cfg beside a myid.
func loadEnsemble(o Options, zooCfg, myid string) (*Config, []Warning, error) {
	o.Args = []string{"zoo.cfg"}
	o.ReadFile = readFrom(map[string]string{"zoo.cfg": zooCfg, "/d/myid": myid})
	return Load(o)
}

func TestEnsemble(t *testing.T) {
	c, warnings, err := loadEnsemble(Options{}, threeServers, "3\n")
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	e := c.Ensemble
	got := []any{e.MyID, c.ServerID, e.Self().ID, e.View.Voters(), e.View.Version.String(), e.QuorumAddrs(), e.ElectionAddrs()}
	want := []any{zab.ServerID(3), int64(3), zab.ServerID(3), []zab.ServerID{1, 2, 3}, "0x0", []string{"[fd00::3]:2888"}, []string{"[fd00::3]:3888"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if c.ClientAddr() != ":2181" {
		t.Errorf("clients at %s, want :2181", c.ClientAddr())
	}
}

func TestEnsembleSettings(t *testing.T) {
	const all = threeServers + `connectToLearnerMasterLimit=7
peerType=participant
localSessionsEnabled=true
localSessionsUpgradingEnabled=true
leaderServes=no
db.autocreate=false
quorumListenOnAllIPs=true
tcpKeepAlive=false
cnxTimeout=1000
quorumCnxnTimeoutMs=2000
electionPortBindRetry=4
leaderConnectDelayDuringRetryMs=50
fastleader.minNotificationInterval=100
fastleader.maxNotificationInterval=5000
leader.maxTimeToWaitForEpoch=9000
commitLogCount=1000
leader.maxConcurrentSnapSyncs=1
leader.maxConcurrentDiffSyncs=2
syncEnabled=false
observerMasterPort=2191
observerMaster.sizeLimit=1024
observer.reconnectDelayMs=10
observer.election.DelayMs=20
`
	c, _, err := loadEnsemble(Options{}, all, "1")
	if err != nil {
		t.Fatal(err)
	}
	want := EnsembleSettings{
		InitLimit: 10, SyncLimit: 5, ConnectLimit: 7, PeerType: "participant", StandaloneEnabled: true,
		LocalSessionsEnabled: true, LocalSessionsUpgradingEnabled: true, QuorumListenOnAllIPs: true,
		CnxTimeout: time.Second, QuorumCnxnTimeout: 2 * time.Second, ElectionPortBindRetry: 4, LeaderConnectDelay: 50 * time.Millisecond,
		MinNotificationInterval: 100 * time.Millisecond, MaxNotificationInterval: 5 * time.Second, MaxTimeToWaitForEpoch: 9 * time.Second,
		CommitLogCount: 1000, MaxConcurrentSnapSyncs: 1, MaxConcurrentDiffSyncs: 2,
		ObserverMasterPort: 2191, ObserverMasterSizeLimit: 1024,
		ObserverReconnectDelay: 10 * time.Millisecond, ObserverElectionDelay: 20 * time.Millisecond,
	}
	if got := c.Ensemble.EnsembleSettings; got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if c.EnsembleSettings != want {
		t.Errorf("the configuration says %+v\nits ensemble %+v", c.EnsembleSettings, want)
	}
}

// TestAloneOrNot: what is no ensemble for Apache's servers is none here.
func TestAloneOrNot(t *testing.T) {
	const one = minimal + "server.1=zoo1:2888:3888\n"
	const limits = "initLimit=1\nsyncLimit=1\nstandaloneEnabled=false\n"
	tests := []struct {
		name, file string
		want       string // "alone", "ensemble" or part of an error
	}{
		{"no server line", minimal, "alone"},
		{"groups without servers", minimal + "group.1=1\nweight.1=10\n", "alone"},
		{"one server line", one, "alone"},
		{"one server line and standaloneEnabled=false", one + limits, "ensemble"},
		{"one server line in a group", one + "group.1=1\n", "alone"},
		{"one server line with a weight and no group", one + "weight.1=1\n", "server.1: a participant in no group"},
		{"one server line and no limits", one + "standaloneEnabled=false\n", "initLimit: an ensemble needs it"},
		{"three server lines", threeServers, "ensemble"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _, err := Load(Options{Args: []string{"zoo.cfg"},
				ReadFile: readFrom(map[string]string{"zoo.cfg": tt.file, "/d/myid": "1"})})
			got := "alone"
			switch {
			case err != nil:
				got = err.Error()
			case c.Ensemble != nil:
				got = "ensemble"
			}
			if !strings.Contains(got, tt.want) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestNextMembership: a reconfig of Apache's servers that was not finished when the server stopped.
func TestNextMembership(t *testing.T) {
	const static = "dataDir=/d\nclientPort=2181\ninitLimit=1\nsyncLimit=1\n"
	const servers = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n"
	const more = servers + "server.4=d:1:2:participant;0.0.0.0:2181\n"
	tests := []struct {
		name, static, next string
		want               string // version and voters, "none", or part of an error
	}{
		{"none", static + "dynamicConfigFile=d.5\n", "", "none"},
		{"a later one", static + "dynamicConfigFile=d.5\n", more + "version=10000000a", "0x10000000a [1 2 3 4]"},
		{"the one that is in force", static + "dynamicConfigFile=d.5\n", more + "version=5", "none"},
		{"without a version", static + "dynamicConfigFile=d.5\n", more, "none"},
		{"with one that is no number", static + "dynamicConfigFile=d.5\n", "version=x", "zoo.cfg.dynamic.next:1: version: invalid syntax"},
		{"with a line that cannot be read", static + "dynamicConfigFile=d.5\n", "server.1=a", "zoo.cfg.dynamic.next:1: server.1"},
		{"beside server lines in zoo.cfg nobody looks at it", static + servers, more + "version=6", "none"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{"zoo.cfg": tt.static, "d.5": servers, "/d/myid": "1"}
			if tt.next != "" {
				files["zoo.cfg.dynamic.next"] = tt.next
			}
			c, _, err := Load(Options{Args: []string{"zoo.cfg"}, ReadFile: readFrom(files)})
			got := "none"
			switch {
			case err != nil:
				got = err.Error()
			case c.Ensemble.LastSeen != nil:
				got = fmt.Sprint(c.Ensemble.LastSeen.Version, " ", c.Ensemble.LastSeen.Voters())
			}
			if !strings.Contains(got, tt.want) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestAKeptMembership: a reconfig was made while this server ran; its zoo.cfg is what it was.
func TestAKeptMembership(t *testing.T) {
	const more = "server.1=zoo1:2888:3888:participant\nserver.2=zoo2:2889:3889:participant\nserver.4=zoo4:2888:3888:participant\n"
	const kept, next = "/d/paddock/membership", "/d/paddock/membership.next"
	tests := []struct {
		name  string
		files map[string]string
		want  string // version, voters and what is proposed, or part of an error
		warns int
	}{
		{"none", nil, "0x0 [1 2 3] none", 0},
		{"a later one counts", map[string]string{kept: more + "version=100000007"}, "0x100000007 [1 2 4] none", 1},
		{"one that says the same counts quietly", map[string]string{kept: threeMembers + "version=100000007"}, "0x100000007 [1 2 3] none", 0},
		{"one without a version counts for nothing", map[string]string{kept: more}, "0x0 [1 2 3] none", 0},
		{"a proposed one", map[string]string{next: more + "version=100000007"}, "0x0 [1 2 3] 0x100000007", 1},
		{"a proposed one behind one that is in force", map[string]string{kept: threeMembers + "version=5", next: more + "version=6"}, "0x5 [1 2 3] 0x6", 1},
		{"a proposed one that is in force by now", map[string]string{kept: more + "version=6", next: more + "version=6"}, "0x6 [1 2 4] none", 2},
		{"one in which this server is none", map[string]string{kept: strings.ReplaceAll(more, "server.1=zoo1", "server.9=zoo9") + "version=6"},
			"/d/myid: there is no line server.1 (there are 2, 4, 9)", 1},
		{"one that cannot be read", map[string]string{kept: "server.1=zoo1\nversion=6"}, kept + ":1: server.1", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{"zoo.cfg": threeServers, "/d/myid": "1"}
			maps.Copy(files, tt.files)
			c, warnings, err := Load(Options{Args: []string{"zoo.cfg"}, ReadFile: readFrom(files)})
			var got string
			if err != nil {
				got = err.Error()
			} else {
				got = fmt.Sprint(c.Ensemble.View.Version, " ", c.Ensemble.View.Voters(), " ")
				if c.Ensemble.LastSeen == nil {
					got += "none"
				} else {
					got += c.Ensemble.LastSeen.Version.String()
				}
			}
			if !strings.Contains(got, tt.want) || len(warnings) != tt.warns {
				t.Errorf("got %s with %v, want %s with %d warnings", got, warnings, tt.want, tt.warns)
			}
		})
	}
}

const threeMembers = "server.1=zoo1:2888:3888:participant\nserver.2=zoo2:2889:3889:participant\nserver.3=[fd00:0:0:0:0:0:0:3]:2888:3888:participant\n"

// TestWhoMayBeEmpty: Apache looks for the marker beside the log.
func TestWhoMayBeEmpty(t *testing.T) {
	tests := []struct {
		name, extra, marker string
		marked, empty       bool
	}{
		{"nobody by default", "", "", false, false},
		{"a marker in the data directory", "", "/d/initialize", true, true},
		{"beside the log", "dataLogDir=/l\n", "/l/initialize", true, true},
		{"in the data directory, and the log is elsewhere", "dataLogDir=/l\n", "/d/initialize", false, false},
		{"db.autocreate=true", "db.autocreate=true\n", "", false, true},
		{"db.autocreate=false", "db.autocreate=false\n", "", false, false},
		{"db.autocreate=false and a marker", "db.autocreate=false\n", "/d/initialize", true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _, err := Load(Options{Args: []string{"zoo.cfg"}, ReadFile: readFrom(map[string]string{
				"zoo.cfg": threeServers + tt.extra, "/d/myid": "1", tt.marker: ""})})
			if err != nil {
				t.Fatal(err)
			}
			if e := c.Ensemble; e.Marked != tt.marked || e.MayBeEmpty != tt.empty {
				t.Errorf("got marked %v, empty %v; want %v, %v", e.Marked, e.MayBeEmpty, tt.marked, tt.empty)
			}
		})
	}
}

func TestMyIDOfAnEnsemble(t *testing.T) {
	tests := []struct {
		name, myid, env string
		want            string // an id, or part of an error
	}{
		{"the file", "2", "", "2"},
		{"the first line of the file, with blanks around it", " 2\t\r\nreplace this text", "", "2"},
		{"ZOO_MY_ID without a file", "", "2", "2"},
		{"both, and they agree", "2", "2", "2"},
		{"both, and they do not", "2", "1", "/d/myid: says 2, and ZOO_MY_ID says 1"},
		{"neither", "", "", "/d/myid: missing: it holds the N of this server's own line server.N (one of 1, 2, 3)"},
		{"a file that cannot be read as a number does not make way", "two", "2", `/d/myid: "two" is not a server id`},
		{"a number that is too large for any", "99999999999999999999", "", `/d/myid: "99999999999999999999" is not a server id`},
		{"ZOO_MY_ID of no server", "", "9", "ZOO_MY_ID: there is no line server.9 (there are 1, 2, 3)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{"zoo.cfg": threeServers}
			if tt.myid != "" {
				files["/d/myid"] = tt.myid
			}
			c, _, err := Load(Options{Args: []string{"zoo.cfg"},
				Environ: []string{"ZOO_MY_ID=" + tt.env}, ReadFile: readFrom(files)})
			var got string
			if err != nil {
				got = err.Error()
			} else if c.ServerID == int64(c.Ensemble.MyID) {
				got = string('0' + rune(c.Ensemble.MyID))
			}
			if !strings.Contains(got, tt.want) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestVersionOfADynamicFile(t *testing.T) {
	tests := []struct {
		file string
		want int64
	}{
		{"zoo.cfg.dynamic.100000003", 0x100000003},
		{"/conf.d/zoo.cfg.dynamic", 0},
		{"conf/zoo.cfg.dynamic.next", 0},
		{"zoo.cfg.dynamic.ffffffffffffffff", 0},
		{"100000003", 0},
		{"zoo.cfg.", 0},
	}
	for _, tt := range tests {
		if got := versionOf(tt.file); got != tt.want {
			t.Errorf("versionOf(%q) = %#x, want %#x", tt.file, got, tt.want)
		}
	}
}
