package harness

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

func TestMain(m *testing.M) { os.Exit(OwnNetwork(m.Run)) }

// listen opens a port on a host that echoes what it gets.
func listen(t *testing.T, h *Host) string {
	t.Helper()
	var l net.Listener
	err := h.do(func() (err error) {
		l, err = net.Listen("tcp4", h.IP()+":7")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // the test is over
			}
			go func() { _, _ = io.Copy(c, c); c.Close() }() // until the other side hangs up
		}
	}()
	return l.Addr().String()
}

// reaches tries whether a connection from one host to another comes about. It needs both directions.
func reaches(h *Host, addr string) bool {
	var c net.Conn
	err := h.do(func() (err error) {
		c, err = net.DialTimeout("tcp4", addr, 200*time.Millisecond)
		return err
	})
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// echoes tries whether an open connection carries a byte there and back.
func echoes(c net.Conn, within time.Duration) bool {
	if _, err := c.Write([]byte("x")); err != nil {
		return false
	}
	_ = c.SetReadDeadline(time.Now().Add(within)) // a failure shows in the read
	_, err := c.Read(make([]byte, 1))
	return err == nil
}

func TestANetworkIsCutAndHealed(t *testing.T) {
	n, err := NewNetwork(3)
	if errors.Is(err, ErrNotAvailable) {
		t.Skip("nothing was tested: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	addrs := []string{""}
	for i := 1; i <= 3; i++ {
		addrs = append(addrs, listen(t, n.Host(i)))
	}
	for _, tc := range []struct {
		name string
		cuts [][2]int
		dark [][2]int // pairs between which no connection comes about
	}{
		{"nothing is cut", nil, nil},
		{"two are cut from each other, a third sees both", [][2]int{{1, 2}, {2, 1}}, [][2]int{{1, 2}, {2, 1}}},
		{"one direction is enough", [][2]int{{3, 1}}, [][2]int{{1, 3}, {3, 1}}},
		{"the test is cut from a host", [][2]int{{0, 2}}, [][2]int{{0, 2}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, cut := range tc.cuts {
				if err := n.Cut(cut[0], cut[1]); err != nil {
					t.Fatal(err)
				}
			}
			for from := 0; from <= 3; from++ {
				for to := 1; to <= 3; to++ {
					if from == to {
						continue
					}
					want := true
					for _, d := range tc.dark {
						want = want && d != [2]int{from, to}
					}
					if got := reaches(n.Host(from), addrs[to]); got != want {
						t.Errorf("%d reaches %d: %v, want %v", from, to, got, want)
					}
				}
			}
			if err := n.Heal(); err != nil {
				t.Fatal(err)
			}
			for to := 1; to <= 3; to++ {
				if !reaches(n.Host(to%3+1), addrs[to]) {
					t.Errorf("after healing nobody reaches %d", to)
				}
			}
		})
	}
}

func TestACutLosesWhatIsUnderWayAndAMendedOneCarriesIt(t *testing.T) {
	n, err := NewNetwork(1)
	if errors.Is(err, ErrNotAvailable) {
		t.Skip("nothing was tested: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	c, err := net.Dial("tcp4", listen(t, n.Host(1)))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if !echoes(c, time.Second) {
		t.Fatal("no echo although nothing is cut")
	}
	if err := n.Cut(1, 0); err != nil {
		t.Fatal(err)
	}
	if echoes(c, 300*time.Millisecond) {
		t.Error("an echo although its way back is cut")
	}
	if err := n.Mend(1, 0); err != nil {
		t.Fatal(err)
	}
	if !echoes(c, 5*time.Second) {
		t.Error("no echo after mending: the connection should have lived through it")
	}
}

func TestNetworksDoNotMeet(t *testing.T) {
	var hosts []*Host
	for range 2 {
		n, err := NewNetwork(1)
		if errors.Is(err, ErrNotAvailable) {
			t.Skip("nothing was tested: ", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		hosts = append(hosts, n.Host(1))
	}
	for i, h := range hosts {
		if addr := listen(t, hosts[1-i]); reaches(h, addr) {
			t.Error(fmt.Sprint(h.IP(), " reaches ", addr))
		}
	}
}
