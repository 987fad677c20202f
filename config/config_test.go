package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"
)

// mustLoad loads a zoo.cfg that is right.
func mustLoad(t *testing.T, o Options, zooCfg string) *Config {
	t.Helper()
	if zooCfg != "" {
		o.Args = []string{"zoo.cfg"}
	}
	o.ReadFile = readFrom(map[string]string{"zoo.cfg": zooCfg})
	c, _, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const minimal = "dataDir=/d\nclientPort=2181\n"

func TestDefaults(t *testing.T) {
	got := mustLoad(t, Options{}, minimal)
	got.origins, got.extras = nil, nil
	want := &Config{
		File: "zoo.cfg", DataDir: "/d", DataLogDir: "/d", DataDirAutoCreate: true,
		ClientPort: 2181, ClientPortListenBacklog: -1,
		TickTimeMS: 3000, MinSessionTimeoutMS: 6000, MaxSessionTimeoutMS: 60000,
		MaxClientCnxns: 60, SessionlessCnxnTimeout: 10 * time.Second, ClientTCPKeepAlive: true,
		JuteMaxBuffer: 1048575, JuteExtraSize: 1048575, GlobalOutstandingLimit: 1000, CloseSessionTxnEnabled: true,
		RequestThrottleStallTime: 100 * time.Millisecond, LargeRequestMaxBytes: 100 << 20, LargeRequestThreshold: -1,
		SnapCount: 100000, SnapSizeLimitBytes: 4 << 30, PreAllocBytes: 64 << 20, TxnLogSizeLimitBytes: -1 << 10,
		ForceSync: true, FsyncWarningThreshold: time.Second, DigestEnabled: true,
		PurgeInterval: time.Hour, PurgeSnapRetainCount: 3, PurgeRetainAge: 24 * time.Hour,
		ContainerInterval: time.Minute, ContainerMaxPerMinute: 10000, ContainerMaxNeverUsed: 5 * time.Minute,
		DigestAuthEnabled: true, DigestAlgorithm: "SHA1", AuthSchemes: []string{"digest", "ip"},
		FourLetterWords: []string{"conf", "envi", "isro", "live", "mntr", "redy", "ruok", "srvr", "stat"},
		AdminEnabled:    true, AdminAddress: "127.0.0.1", AdminPort: 8080, AdminCommandURL: "/commands",
		AdminIdleTimeout: 30 * time.Second, AdminSnapshot: true, AdminRestore: true, AdminRateLimit: 5 * time.Minute,
		MetricsAddress: "0.0.0.0", MetricsPort: 7000, MetricsExportJVM: true,
		JVMPauseWarn: 10 * time.Second, JVMPauseInfo: time.Second, JVMPauseSleep: 500 * time.Millisecond,
		EnsembleSettings: EnsembleSettings{
			PeerType: "participant", StandaloneEnabled: true, LeaderServes: true, DBAutoCreate: true, TCPKeepAlive: true,
			CnxTimeout: 5 * time.Second, QuorumCnxnTimeout: -time.Millisecond, LeaderConnectDelay: 100 * time.Millisecond,
			MinNotificationInterval: 200 * time.Millisecond, MaxNotificationInterval: time.Minute,
			MaxTimeToWaitForEpoch: -time.Millisecond,
			CommitLogCount:        500, MaxConcurrentSnapSyncs: 10, MaxConcurrentDiffSyncs: 100,
			SyncEnabled: true, ObserverMasterSizeLimit: 32 << 20, ObserverElectionDelay: 200 * time.Millisecond,
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestSourcesAndTheirStrength(t *testing.T) {
	tests := []struct {
		name    string
		options Options
		file    string
		got     func(*Config) any
		want    any
	}{
		{"a flag of the JVM is stronger than a default", Options{Environ: []string{"JVMFLAGS=-Xmx1g -Dzookeeper.snapCount=7"}}, minimal,
			func(c *Config) any { return c.SnapCount }, 7},
		{"JVMFLAGS is stronger than SERVER_JVMFLAGS", Options{Environ: []string{"JVMFLAGS=-Dzookeeper.snapCount=7", "SERVER_JVMFLAGS=-Dzookeeper.snapCount=8"}}, minimal,
			func(c *Config) any { return c.SnapCount }, 7},
		{"the file is stronger than a flag of the JVM", Options{Environ: []string{"JVMFLAGS=-Dzookeeper.snapCount=7"}}, minimal + "snapCount=8",
			func(c *Config) any { return c.SnapCount }, 8},
		{"--set is stronger than the file", Options{Set: []string{"snapCount=9"}}, minimal + "snapCount=8",
			func(c *Config) any { return c.SnapCount }, 9},
		{"--set takes the property's name", Options{Set: []string{"zookeeper.snapCount=9"}}, minimal,
			func(c *Config) any { return c.SnapCount }, 9},
		{"--set takes what is -D only", Options{Set: []string{"jute.maxbuffer=5000"}}, minimal,
			func(c *Config) any { return c.JuteMaxBuffer }, 5000},
		{"--set takes a heading of Apache's documents", Options{Set: []string{"throttledOpWaitTime=5"}}, minimal,
			func(c *Config) any { return c.ThrottledOpWaitTime }, 5 * time.Millisecond},
		{"of two lines the last counts", Options{}, minimal + "tickTime=1\ntickTime=2000",
			func(c *Config) any { return c.TickTimeMS }, int32(2000)},
		{"a quoted flag is one word", Options{Environ: []string{`JVMFLAGS=-Dzookeeper.4lw.commands.whitelist="ruok, mntr" '-Da=b c'`}}, minimal,
			func(c *Config) any { return strings.Join(c.FourLetterWords, ",") }, "mntr,ruok,srvr"},
		{"properties may be hexadecimal", Options{Environ: []string{"JVMFLAGS=-Djute.maxbuffer=0x400000"}}, minimal,
			func(c *Config) any { return c.JuteMaxBuffer }, 4 << 20},
		{"fsync.warningthresholdms works with and without prefix", Options{Environ: []string{"JVMFLAGS=-Dfsync.warningthresholdms=20"}}, minimal,
			func(c *Config) any { return c.FsyncWarningThreshold }, 20 * time.Millisecond},
		{"arguments do not limit connections", Options{Args: []string{"2182", "/x"}}, "",
			func(c *Config) any { return []any{c.ClientPort, c.DataDir, c.TickTimeMS, c.MaxClientCnxns} }, []any{2182, "/x", int32(3000), 0}},
		{"unless they say so", Options{Args: []string{"2182", "/x", "1000", "5"}}, "",
			func(c *Config) any { return []any{c.TickTimeMS, c.MaxClientCnxns} }, []any{int32(1000), 5}},
		{"nothing at all is port 2181 and ./data", Options{}, "",
			func(c *Config) any { return []any{c.ClientAddr(), c.DataDir, c.AdminAddr()} }, []any{":2181", "./data", "127.0.0.1:8080"}},
		{"purging keeps a day by default", Options{}, minimal,
			func(c *Config) any { return c.PurgeRetainAge }, 24 * time.Hour},
		{"where an interval is set it counts snapshots only, as Apache", Options{}, minimal + "autopurge.purgeInterval=6",
			func(c *Config) any { return []any{c.PurgeInterval, c.PurgeRetainAge} }, []any{6 * time.Hour, time.Duration(0)}},
		{"a purge interval may have a suffix", Options{}, minimal + "autopurge.purgeInterval=90m",
			func(c *Config) any { return c.PurgeInterval }, 90 * time.Minute},
		{"a purge interval below 0 is off", Options{}, minimal + "autopurge.purgeInterval=-1",
			func(c *Config) any { return c.PurgeInterval }, time.Duration(0)},
		{"connections below 0 are no limit", Options{}, minimal + "maxClientCnxns=-1",
			func(c *Config) any { return c.MaxClientCnxns }, 0},
		{"read-only mode allows isro", Options{Set: []string{"readonlymode.enabled=true"}}, minimal + "4lw.commands.whitelist=ruok",
			func(c *Config) any { return strings.Join(c.FourLetterWords, ",") }, "isro,ruok,srvr"},
		{"a server line brings its client port", Options{}, "dataDir=/d\nserver.1=zoo1:2888:3888;[::1]:2182",
			func(c *Config) any { return c.ClientAddr() }, "[::1]:2182"},
		{"an IPv6 address may stand in brackets", Options{}, minimal + "clientPortAddress=[::1]",
			func(c *Config) any { return c.ClientAddr() }, "[::1]:2181"},
		{"the Prometheus provider opens a port", Options{}, minimal + "metricsProvider.className=" + prometheusProvider,
			func(c *Config) any { return c.MetricsAddr() }, "0.0.0.0:7000"},
		{"no provider opens none", Options{}, minimal + "metricsProvider.httpPort=7000",
			func(c *Config) any { return c.MetricsAddr() }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.got(mustLoad(t, tt.options, tt.file)); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// officialImage is the environment of the official image's entry point.
var officialImage = []string{
	"ZOO_CONF_DIR=/conf", "ZOO_DATA_DIR=/data", "ZOO_DATA_LOG_DIR=/datalog", "ZOO_LOG_DIR=/logs",
	"ZOO_TICK_TIME=2000", "ZOO_INIT_LIMIT=5", "ZOO_SYNC_LIMIT=2", "ZOO_MAX_CLIENT_CNXNS=60",
	"ZOO_STANDALONE_ENABLED=true", "ZOO_ADMINSERVER_ENABLED=true",
	"ZOO_AUTOPURGE_PURGEINTERVAL=0", "ZOO_AUTOPURGE_SNAPRETAINCOUNT=3", "PATH=/bin",
}

func TestOfficialImage(t *testing.T) {
	c := mustLoad(t, Options{Environ: append([]string{"ZOO_CFG_EXTRA=snapCount=9 maxCnxns=8"}, officialImage...)}, "")
	got := []any{c.DataDir, c.DataLogDir, c.TickTimeMS, c.ClientAddr(), c.PurgeInterval, c.SnapCount, c.MaxCnxns}
	want := []any{"/data", "/datalog", int32(2000), ":2181", time.Duration(0), 9, 8}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}

	c = mustLoad(t, Options{Environ: append([]string{"ZOO_SERVERS=server.1=localhost:2888:3888;2191"}, officialImage...)}, "")
	if got, want := c.ClientAddr(), "0.0.0.0:2191"; got != want {
		t.Errorf("with ZOO_SERVERS: client address %s, want %s", got, want)
	}

	files := map[string]string{"/conf/zoo.cfg": minimal}
	c, _, err := Load(Options{Environ: officialImage, ReadFile: readFrom(files)})
	if err != nil || c.DataDir != "/d" || c.TickTimeMS != 3000 {
		t.Errorf("a file in ZOO_CONF_DIR does not win over variables: %+v, %v", c, err)
	}

	_, warnings, err := Load(Options{ReadFile: readFrom(nil),
		Environ: append([]string{"ZOO_PORT_NUMBER=2191", "ZOO_MY_ID=1"}, officialImage...)})
	if err != nil || len(warnings) != 1 || warnings[0].Where != "ZOO_PORT_NUMBER" {
		t.Errorf("a variable of another image: warnings %v, error %v; want one about ZOO_PORT_NUMBER", warnings, err)
	}
}

// TestSecretsDoNotShow prints a configuration in every way that a log line might.
func TestSecretsDoNotShow(t *testing.T) {
	const secret = "hunter2"
	flags := "JVMFLAGS=-Djavax.net.ssl.keyStorePassword=hunter2 -Dzookeeper.metricsProvider.ssl.keyStore.password=hunter2 -javaagent:a.jar=hunter2"
	text := minimal +
		"DigestAuthenticationProvider.superDigest=super:" + secret + "\nssl.keyStore.password=" + secret +
		"\nSASLAuthenticationProvider.superPassword=" + secret +
		"\nzookeeper.DigestAuthenticationProvider.superDigest=super:" + secret + "\nsuperDigst=super:" + secret
	c, warnings, err := Load(Options{Args: []string{"zoo.cfg"}, Environ: []string{flags},
		Set: []string{"ssl.trustStore.password=" + secret}, ReadFile: readFrom(map[string]string{"zoo.cfg": text})})
	if err != nil {
		t.Fatal(err)
	}
	if string(c.SuperDigest) != "super:"+secret {
		t.Fatalf("superDigest is %q", string(c.SuperDigest))
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%v %+v %#v %s %+v %v", c, c, *c, c.SuperDigest, c.Effective(), warnings)
	slog.New(slog.NewTextHandler(&b, nil)).Info("text", "config", c, "digest", c.SuperDigest)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("json", "config", c, "digest", c.SuperDigest)
	if err := json.NewEncoder(&b).Encode(c); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), secret) {
		t.Errorf("a secret shows in %s", b.String())
	}
}

// TestEffectiveIsAConfiguration writes what is in force as a zoo.cfg, loads that, and wants the
// same values again.
func TestEffectiveIsAConfiguration(t *testing.T) {
	first := mustLoad(t, Options{}, minimal+"tickTime=1500\nautopurge.purgeInterval=90m\nskipACL=yes\nforceSync=no\n"+
		"4lw.commands.whitelist=ruok\nsnapSizeLimitInKb=-1\nenforce.auth.enabled=true\nenforce.auth.schemes=digest")
	var b strings.Builder
	c := newCatalog()
	for _, s := range first.Effective() {
		if k := c.byName(s.Key); k.place != flagOnly && s.Value != "" {
			fmt.Fprintf(&b, "%s=%s\n", s.Key, s.Value)
		}
	}
	second := mustLoad(t, Options{}, b.String())
	for _, cfg := range []*Config{first, second} {
		cfg.origins, cfg.extras = nil, nil
	}
	if !reflect.DeepEqual(first, second) {
		t.Errorf("from\n%s\ngot  %+v\nwant %+v", b.String(), second, first)
	}
}

func TestErrorCarriesItsExitCode(t *testing.T) {
	_, _, err := Load(Options{Args: []string{"gone.cfg"}, ReadFile: readFrom(nil)})
	var e *Error
	if !errors.As(err, &e) || e.ExitCode() != 2 || len(e.Problems) != 1 {
		t.Errorf("got %v, want one problem with exit code 2", err)
	}
}

// FuzzLoad: no bytes panic, and what loads can be served.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(minimal), "JVMFLAGS=-Dzookeeper.snapCount=7", "snapCount=8")
	f.Add([]byte("dataDir=/d\nserver.1=[::1]:2888:3888;2181"), "", "config.lenient=on")
	f.Add([]byte("dynamicConfigFile=zoo.cfg\n\\u12\n=\n:\\"), "ZOO_TICK_TIME=2", "=")
	f.Add([]byte("dataDir=/d\nclientPort=2181\nserver.1=a:1:2\nserver.2=b:1:2\ngroup.1=1:2\nweight.1=3\ninitLimit=1\nsyncLimit=1"), "ZOO_MY_ID=1", "")
	f.Add([]byte("autopurge.purgeInterval=9d\nauthProvider.1=x\nssl.a=b"), "", "config.strict=1")
	f.Fuzz(func(t *testing.T, zooCfg []byte, environ, set string) {
		read := func(string) ([]byte, error) { return zooCfg, nil }
		c, warnings, err := Load(Options{Args: []string{"zoo.cfg"}, Environ: []string{environ}, Set: []string{set}, ReadFile: read})
		for _, w := range warnings {
			if w.Text == "" {
				t.Errorf("a warning without text: %+v", w)
			}
		}
		if err != nil {
			if c != nil || err.Error() == "" {
				t.Errorf("error %q with configuration %v", err, c)
			}
			return
		}
		if c.DataDir == "" || c.ClientPort < 1 || c.ClientPort > 65535 || c.TickTimeMS < 1 ||
			c.MinSessionTimeoutMS > c.MaxSessionTimeoutMS || c.SnapCount < 2 || c.PurgeSnapRetainCount < 3 || c.JuteMaxBuffer < 1 {
			t.Errorf("loaded, but cannot be served: %+v", c)
		}
		c.Effective()
		if e := c.Ensemble; e != nil && (e.Self() == nil || e.MyID < 1 || e.MyID > 255 || e.InitLimit < 1 || e.SyncLimit < 1 ||
			len(e.QuorumAddrs()) == 0 || len(e.ElectionAddrs()) == 0) {
			t.Errorf("loaded, but is no member of an ensemble: %+v", e)
		}
	})
}
