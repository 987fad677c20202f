package mixed

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"paddock/test/harness"
	"paddock/zab"
)

// patience is for a JVM on a busy machine.
const patience = 60 * time.Second

// apache is a server of Apache's that is a member of an ensemble.
type apache struct {
	id     zab.ServerID
	client string // address
	dir    string
	cmd    *exec.Cmd
	exited chan struct{}
}

// trio is which server has which addresses: 1 to 3, on this host.
type trio struct {
	members []zab.Member
	view    *zab.View
	clients map[zab.ServerID]string
}

func newTrio(t *testing.T) *trio {
	t.Helper()
	free := freePorts(t, 9)
	e := &trio{clients: map[zab.ServerID]string{}}
	for i := range 3 {
		id := zab.ServerID(i + 1)
		e.members = append(e.members, zab.Member{ID: id, Peers: []zab.PeerAddr{{Host: "127.0.0.1", QuorumPort: free[3*i], ElectionPort: free[3*i+1]}}})
		e.clients[id] = net.JoinHostPort("127.0.0.1", strconv.Itoa(free[3*i+2]))
	}
	var err error
	if e.view, err = zab.NewView(e.members, nil, nil, 0); err != nil {
		t.Fatal(err)
	}
	return e
}

func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // all at the end: no port twice
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// start starts one of Apache's servers in a new directory; it does not wait for it.
func (e *trio) start(t *testing.T, id zab.ServerID) *apache {
	t.Helper()
	if _, err := exec.LookPath("java"); err != nil {
		t.Skip("nothing was tested: ", err)
	}
	if _, err := os.Stat(filepath.Join(harness.Root(), ".tools", "apache")); err != nil {
		t.Skip("nothing was tested: test/apache/get.sh has not been run: ", err)
	}
	a := &apache{id: id, client: e.clients[id], dir: t.TempDir(), exited: make(chan struct{})}
	if err := os.WriteFile(filepath.Join(a.dir, "myid"), fmt.Appendln(nil, id), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(a.dir, "server.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() // the child has its own descriptor
	_, port, _ := net.SplitHostPort(a.client)
	a.cmd = exec.Command(filepath.Join(harness.Root(), "test", "apache", "run.sh"), port, a.dir)
	a.cmd.Env = append(os.Environ(), "APACHE_XMX=256m", "APACHE_CFG="+e.config(),
		"APACHE_JVM=-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dzookeeper.forceSync=no -Dzookeeper.preAllocSize=64")
	a.cmd.Stdout, a.cmd.Stderr = log, log
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a test that is interrupted leaves nothing running
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = a.cmd.Wait() // killed, most likely; whoever waits for it to serve sees it gone
		close(a.exited)
	}()
	t.Cleanup(a.kill)
	return a
}

func (e *trio) config() string {
	var b strings.Builder
	for i := range e.members {
		fmt.Fprintf(&b, "server.%d=%s\n", e.members[i].ID, e.members[i].AppendText(nil))
	}
	return b.String()
}

// kill ends the process as kill -9 does.
func (a *apache) kill() {
	_ = a.cmd.Process.Kill() // an error means that it is gone already
	<-a.exited
}

// mode returns what the server says it is: leader, follower; empty while it does not serve.
func (a *apache) mode() string {
	answer, err := harness.Word(a.client, "srvr")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(answer) {
		if mode, ok := strings.CutPrefix(line, "Mode: "); ok {
			return strings.TrimSpace(mode)
		}
	}
	return ""
}

// awaitLeader waits until one of these servers leads and the others follow, and returns it first.
func awaitLeader(t *testing.T, servers ...*apache) []*apache {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var leads, follows []*apache
		for _, a := range servers {
			switch a.mode() {
			case "leader":
				leads = append(leads, a)
			case "follower":
				follows = append(follows, a)
			}
			select {
			case <-a.exited:
				t.Fatalf("server %d has ended:\n%s", a.id, a.log())
			default:
			}
		}
		if len(leads) == 1 && len(follows) == len(servers)-1 {
			return append(leads, follows...)
		}
	}
	for _, a := range servers {
		t.Logf("server %d is %q:\n%s", a.id, a.mode(), a.log())
	}
	t.Fatal("the servers have no leader")
	return nil
}

func (a *apache) log() []byte {
	b, err := os.ReadFile(filepath.Join(a.dir, "server.log"))
	if err != nil {
		return nil
	}
	if lines := bytes.SplitAfter(b, []byte("\n")); len(lines) > 40 {
		b = bytes.Join(lines[len(lines)-40:], nil)
	}
	return b
}
