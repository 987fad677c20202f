package admin

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"paddock/net"
	"paddock/server"
	"paddock/session"
	"paddock/tree"
	"paddock/wire"
)

var rewrite = flag.Bool("rewrite", false, "write golden files and docs/operations.md instead of comparing")

// compare compares got with a file, or writes it.
func compare(t *testing.T, name, got string) {
	t.Helper()
	name = filepath.FromSlash(name)
	if *rewrite {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (rewrite with -rewrite and read the difference); got:\n%s", name, got)
	}
}

// fake is a server whose numbers a test chooses. It measures, as *server.Server will.
type fake struct {
	idle        bool
	status      server.Status
	conns       []server.ConnInfo
	watches     []server.WatchInfo
	table       *session.Table
	ephemerals  map[int64][]string
	digests     []tree.DigestAt
	measures    server.Measures
	snapZxid    wire.Zxid
	snapMS      int64
	ensemble    *server.EnsembleStatus // nil: a server alone
	numbers     map[string]int64
	times       map[string]server.Summary
	statusCalls chan chan struct{} // nil, or whoever calls Status sends what it then waits for
	resets      []string
}

func (f *fake) Serving() bool { return !f.idle }

func (f *fake) Status() server.Status {
	if f.statusCalls != nil {
		wait := make(chan struct{})
		f.statusCalls <- wait
		<-wait
	}
	return f.status
}

func (f *fake) Connections() []server.ConnInfo           { return append([]server.ConnInfo(nil), f.conns...) }
func (f *fake) Watches() []server.WatchInfo              { return append([]server.WatchInfo(nil), f.watches...) }
func (f *fake) SessionTable() *session.Table             { return f.table }
func (f *fake) Now() int64                               { return fakeSessionMS }
func (f *fake) Ephemerals() map[int64][]string           { return f.ephemerals }
func (f *fake) DigestHistory() []tree.DigestAt           { return f.digests }
func (f *fake) DirSizes() (data, log int64)              { return 4096, 67108864 }
func (f *fake) LastSnapshot() (wire.Zxid, int64)         { return f.snapZxid, f.snapMS }
func (f *fake) ResetStats()                              { f.resets = append(f.resets, "stats") }
func (f *fake) ResetConnections()                        { f.resets = append(f.resets, "connections") }
func (f *fake) EnsembleNumbers() map[string]int64        { return f.numbers }
func (f *fake) EnsembleTimes() map[string]server.Summary { return f.times }

func (f *fake) Ensemble() (server.EnsembleStatus, bool) {
	if f.ensemble == nil {
		return server.EnsembleStatus{}, false
	}
	return *f.ensemble, true
}

func (f *fake) Measures() server.Measures { return f.measures }

// unmeasured is a server that has no counters on the way of its requests.
type unmeasured struct{ Server }

const (
	fakeSessionMS = 100_000
	fakeSession1  = 0x1000056dc380000
	fakeSession2  = 0x1000056dc380001
	fakeWallMS    = 1795401907000 // Mon Nov 23 02:45:07 UTC 2026
)

// freshServer is a server nobody has used yet: what a real one says of itself.
func freshServer() *fake {
	return &fake{
		status:   server.Status{Serving: true, Nodes: 4, DataBytes: 43},
		table:    session.NewTable(2000),
		measures: server.Measures{ReplyLast: -1, ReplyMin: -1, ReplyMax: -1},
	}
}

// busyServer is in the state in which testdata/apache was captured: two clients with a session and one
// that asks a word, three watches on nodes and one on children, two ephemerals, 205 transactions.
func busyServer() *fake {
	f := freshServer()
	f.status = server.Status{
		Serving: true, Zxid: 0xcd, Uptime: 38731 * time.Millisecond, Connections: 3, Sessions: 2,
		Received: 212, Sent: 213, Events: 4, AuthFailed: 1, Outstanding: 2,
		Latency: server.Latency{Min: 0, Max: 8, Count: 210, Avg: 158.0 / 210},
		Watches: server.WatchCounts{Connections: 2, Paths: 2, Watches: 4, Bytes: 480},
		Nodes:   7, Ephemerals: 2, DataBytes: 62,
		Net:       znet.Stats{Opened: 9, Refused: 3, BadFrames: 2, Cut: 1, Parked: 4, HandshakeTimeouts: 5},
		Snapshots: 2, SnapFailed: 1, LastSnapMS: 1500,
	}
	addr := netip.MustParseAddrPort
	f.conns = []server.ConnInfo{
		{Remote: addr("[::1]:54892"), Received: 1},
		{
			Remote: addr("127.0.0.1:54872"), Interest: 1, Received: 3, Sent: 3, Session: fakeSession2, TimeoutMS: 10000,
			LastOp: wire.OpCreate2, EstablishedMS: 1795401901393, LastXid: 2, LastZxid: 0xcd, LastReplyMS: 5737,
			LastLatencyMS: 2, Latency: server.Latency{Max: 2, Count: 3, Avg: 4.0 / 3},
		},
		{
			Remote: addr("127.0.0.1:54856"), Interest: 5, Queued: 2, Received: 207, Sent: 209, Session: fakeSession1, TimeoutMS: 30000,
			LastOp: wire.OpNotification, EstablishedMS: 1795401901115, LastXid: -1, LastZxid: -1,
		},
	}
	f.watches = []server.WatchInfo{
		{Path: "/fl", Session: fakeSession1}, {Path: "/fl", Session: fakeSession2}, {Path: "/fl/none", Session: fakeSession1},
	}
	f.table.Add(fakeSession1, 30000, fakeSessionMS)
	f.table.Add(fakeSession2, 10000, fakeSessionMS)
	f.ephemerals = map[int64][]string{fakeSession2: {"/fl/e2"}, fakeSession1: {"/fl/e", "/b"}}
	f.digests = []tree.DigestAt{{Zxid: 0x80, Digest: 4603729874}}
	f.snapZxid, f.snapMS = 0x64, 1795401865000
	f.measures = server.Measures{
		BytesReceived: 9000, ConnectRequests: 2, SessionsExpired: 6, ReplyLast: 26, ReplyMin: 16, ReplyMax: 93, SlowSyncs: 1,
		Sync:     server.Summary{Count: 205, Sum: 8.4, Min: 0.1, Max: 2.5},
		Snapshot: server.Summary{Count: 2, Sum: 2000, Min: 500, Max: 1500},
		Read:     server.Summary{Count: 5, Sum: 7, Min: 1, Max: 2, P50: 1, P90: 2, P95: 2, P99: 2, P999: 2},
		Update:   server.Summary{Count: 205, Sum: 151, Min: 0.2, Max: 8, P50: 0.7, P90: 1.5, P95: 2, P99: 7.5, P999: 8},
	}
	return f
}

// newAdmin returns an Admin that answers everything about s and knows what time it is.
func newAdmin(s Server) *Admin {
	a := New(Config{
		Version: "1.2.3", Built: time.Date(2026, 2, 11, 20, 18, 0, 0, time.UTC), FourLetterWords: []string{"*"},
		Conf: Conf{
			ClientPort: 2181, DataDir: "/var/lib/paddock/snap", DataLogDir: "/var/lib/paddock/log", TickTimeMS: 2000,
			MaxClientCnxns: 60, MinSessionTimeoutMS: 4000, MaxSessionTimeoutMS: 40000, ClientPortListenBacklog: -1,
		},
		Settings: []Setting{
			{"tickTime", "2000", "zoo.cfg:1"}, {"DigestAuthenticationProvider.superDigest", "********", "zoo.cfg:2"},
			{"snapCount", "100000", "default"},
		},
	}, s)
	a.now = func() time.Time { return time.UnixMilli(fakeWallMS).UTC() }
	return a
}

// ask asks a word and returns the answer.
func ask(a *Admin, word string, rest ...byte) string {
	return string(a.Word([4]byte([]byte(word)), rest))
}
