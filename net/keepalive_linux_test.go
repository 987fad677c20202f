package znet

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// The kernel says which timer runs for our end of a connection: 2 is keep-alive.
func TestKeepAliveIsOnWhereItIsAskedFor(t *testing.T) {
	for _, c := range []struct {
		keepAlive time.Duration
		want      string
	}{{time.Minute, "02"}, {0, "00"}} {
		e := startEngine(t, func(cfg *Config) { cfg.KeepAlive = c.keepAlive })
		conn := e.dial()
		if _, err := conn.Write([]byte("\x00\x00\x00\x01x")); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 16)); err != nil { // answered: the loop has the connection, and nothing is unacknowledged for long
			t.Fatal(err)
		}
		want := func() bool { return timerOf(t, e.Addrs()[0].Port(), localPort(conn)) == c.want }
		for until := time.Now().Add(5 * time.Second); !want(); {
			if time.Now().After(until) {
				t.Fatalf("keep-alive %v: timer %s, want %s", c.keepAlive, timerOf(t, e.Addrs()[0].Port(), localPort(conn)), c.want)
			}
			time.Sleep(time.Millisecond)
		}
		conn.Close()
	}
}

func localPort(c *net.TCPConn) uint16 { return uint16(c.LocalAddr().(*net.TCPAddr).Port) }

// timerOf finds a connection over 127.0.0.1 in the kernel's table and returns its timer.
func timerOf(t *testing.T, local, remote uint16) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) > 5 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", local)) && strings.HasSuffix(f[2], fmt.Sprintf(":%04X", remote)) {
			timer, _, _ := strings.Cut(f[5], ":")
			return timer
		}
	}
	return "no connection"
}
