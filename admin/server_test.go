package admin

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"paddock/server"
	"paddock/vfs"
	"paddock/zab"
)

// startServer runs a real server on a free port, with a's words.
func startServer(t *testing.T, a *Admin) (*server.Server, string) {
	t.Helper()
	return startWith(t, a, func(*server.Config) {})
}

func startWith(t *testing.T, a *Admin, change func(*server.Config)) (*server.Server, string) {
	t.Helper()
	dir := t.TempDir()
	cfg := server.Config{
		Listen: []string{"127.0.0.1:0"}, Loops: 2, ServerID: 1, DataDir: dir, LogDir: dir,
		TickMS: 2000, MinSessionMS: 4000, MaxSessionMS: 40000, MaxFrameBytes: 0xfffff,
		SegmentBytes: 1 << 20, Words: a.Words, FS: vfs.OS(), Log: slog.New(slog.DiscardHandler),
	}
	change(&cfg)
	s, err := server.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return s, s.Addrs()[0]
}

// startEnsemble runs three real servers on free ports.
func startEnsemble(t *testing.T) (admins []*Admin, addrs []string) {
	t.Helper()
	var lines strings.Builder
	for id := 1; id <= 3; id++ {
		fmt.Fprintf(&lines, "server.%d=127.0.0.1:%d:%d:participant\n", id, freePort(t), freePort(t))
	}
	view, err := zab.ParseView([]byte(lines.String() + "version=0"))
	if err != nil {
		t.Fatal(err)
	}
	for id := zab.ServerID(1); id <= 3; id++ {
		a := New(Config{FourLetterWords: []string{"*"}}, nil)
		e := &server.Ensemble{ID: id, View: view, InitTicks: 20, SyncTicks: 10, MayBeEmpty: true, BindRetries: -1}
		s, addr := startWith(t, a, func(c *server.Config) { c.ServerID, c.Ensemble = uint8(id), e })
		a.Attach(s)
		admins, addrs = append(admins, a), append(addrs, addr)
	}
	return admins, addrs
}

// say sends a word as nc does, and reads until the server closes.
func say(t *testing.T, addr, word string) string {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, word+"\n"); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("%s: %v", word, err)
	}
	return string(b)
}

func wantParts(t *testing.T, what, got string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(got, p) {
			t.Errorf("%s has no %q:\n%s", what, p, got)
		}
	}
}

// TestARealServer: what a fake cannot show is that the numbers are the server's.
func TestARealServer(t *testing.T) {
	a := New(Config{FourLetterWords: []string{"*"}}, nil)
	s, addr := startServer(t, a)
	a.Attach(s)
	if got := say(t, addr, "ruok"); got != "imok" {
		t.Errorf("ruok answered %q", got)
	}
	wantParts(t, "srvr of a fresh server", say(t, addr, "srvr"), "Zxid: 0x0\nMode: standalone\nNode count: 5\n")
	wantParts(t, "mntr of a fresh server", say(t, addr, "mntr"), "zk_znode_count\t5\n", "zk_approximate_data_size\t44\n", "zk_global_sessions\t0\n")

	c, _, err := zk.Connect([]string{addr}, 10*time.Second, zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	acl := zk.WorldACL(zk.PermAll)
	if _, err := c.Create("/fl", []byte("x"), 0, acl); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Create("/fl/e", nil, zk.FlagEphemeral, acl); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := c.GetW("/fl"); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := c.ChildrenW("/fl"); err != nil {
		t.Fatal(err)
	}
	id := hexID(c.SessionID())
	wantParts(t, "mntr", say(t, addr, "mntr"), "zk_znode_count\t7\n", "zk_approximate_data_size\t53\n", "zk_global_sessions\t1\n",
		"zk_ephemerals_count\t1\n", "zk_watch_count\t2\n")
	wantParts(t, "wchs", say(t, addr, "wchs"), "1 connections watching 1 paths\nTotal watches:1\n")
	wantParts(t, "wchc", say(t, addr, "wchc"), id+"\n\t/fl\n\n")
	wantParts(t, "wchp", say(t, addr, "wchp"), "/fl\n\t"+id+"\n\n")
	wantParts(t, "cons", say(t, addr, "cons"), "sid="+id+",lop=GETC", "to=10000,lcxid=0x")
	wantParts(t, "dump", say(t, addr, "dump"), "Session Sets (1)/(1):\n", id+":\n\t/fl/e\n", "Connections Sets (1)/(1):\n")
	wantParts(t, "srst", say(t, addr, "srst"), "Server stats reset.\n")
	wantParts(t, "/readyz", body(t, get(a, "GET", "/readyz")), "ok")
	wantParts(t, "/metrics", body(t, get(a, "GET", "/metrics")), "znode_count 7\n", `zk_server_state{state="standalone"} 1`)
}
