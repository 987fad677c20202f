package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownNetwork marks a test process that OwnNetwork has started.
const ownNetwork = "PADDOCK_OWN_NETWORK"

// OwnNetwork runs a test binary again, in a network namespace of its own, and returns its exit code:
// everything that the tests do there is gone when the process is, also when it is killed, and no port of
// the machine is touched. Where the machine does not permit that, run is called in this process, and
// NewNetwork says why it cannot.
//
//	func TestMain(m *testing.M) { os.Exit(harness.OwnNetwork(m.Run)) }
func OwnNetwork(run func() int) int {
	defer Cleanup()
	if os.Getenv(ownNetwork) != "" {
		noNetwork = prepareNetwork()
		return run()
	}
	code, err := again()
	if err != nil {
		noNetwork = err
		return run()
	}
	return code
}

// noNetwork is why there are no networks; OwnNetwork changes it.
var noNetwork = errors.New("this process is not in a network of its own")

// again runs this program once more. An error means that it was not run.
func again() (code int, err error) {
	if _, err := exec.LookPath("ip"); err != nil {
		return 0, fmt.Errorf("no iproute2: %w", err)
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), ownNetwork+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = dieWithParent()
	cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNET
	if os.Geteuid() != 0 { // root of a user namespace may do the same
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("no network namespace: %w", err)
	}
	_ = cmd.Wait() // the exit code says it
	if code = cmd.ProcessState.ExitCode(); code < 0 {
		code = 2 // killed
	}
	return code, nil
}

// ours is the network namespace of this process.
var ours *os.File

func prepareNetwork() (err error) {
	if ours, err = os.Open("/proc/self/ns/net"); err != nil {
		return err
	}
	return errors.Join(ip("link set lo up"), ip("link add probe type bridge", "link del probe"))
}

// Network is an Ethernet switch with hosts. Each host is a network namespace; the test process sits at
// the switch and reaches all. What one host sends to another can be cut for each direction by itself:
// the sender is told a hardware address that nobody has, so that packets vanish and nobody is told, as
// with a cable that is cut. No firewall is needed for that.
//
// Its methods are for one goroutine at a time.
type Network struct {
	number int     // 10.77.number.0/24
	hosts  []*Host // hosts[0] is this process
}

var networks atomic.Int32 // made so far

// Host is a network namespace with one device. The nil Host is the network that this process is in.
type Host struct {
	ip, mac, device string
	ns              *os.File
}

// IP returns the address of the host.
func (h *Host) IP() string { return h.ip }

// do calls f on a thread that is in the network of h: sockets that it opens and processes that it
// starts are there.
func (h *Host) do(f func() error) error {
	if h == nil || h.ns == ours {
		return f()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Setns(int(h.ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("harness: enter network: %w", err)
	}
	err := f()
	if err := unix.Setns(int(ours.Fd()), unix.CLONE_NEWNET); err != nil {
		panic(fmt.Sprintf("harness: a thread cannot leave a network: %v", err))
	}
	return err
}

// NewNetwork makes a network of n hosts besides us: 1 to n. ErrNotAvailable says why this machine does
// not permit it.
func NewNetwork(n int) (*Network, error) {
	if noNetwork != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotAvailable, noNetwork)
	}
	net := &Network{number: int(networks.Add(1))}
	net.hosts = []*Host{net.host(hub, net.bridge())}
	net.hosts[0].ns = ours
	err := ip("link add "+net.bridge()+" address "+net.hosts[0].mac+" type bridge",
		"addr add "+net.hosts[0].ip+"/24 dev "+net.bridge(), "link set "+net.bridge()+" up")
	for i := 1; i <= n && err == nil; i++ {
		net.hosts = append(net.hosts, net.host(i, "eth0"))
		err = net.plugIn(i)
	}
	if err == nil {
		err = net.Heal()
	}
	if err != nil {
		net.Close()
		return nil, err
	}
	return net, nil
}

const hub = 254 // the last byte of our address

func (n *Network) host(last int, device string) *Host {
	return &Host{
		ip:     fmt.Sprintf("10.77.%d.%d", n.number, last),
		mac:    fmt.Sprintf("02:77:00:00:%02x:%02x", n.number, last),
		device: device,
	}
}

func (n *Network) bridge() string { return fmt.Sprintf("br%d", n.number) }

func (n *Network) port(i int) string { return fmt.Sprintf("p%d-%d", n.number, i) }

// plugIn makes the namespace of host i and a cable to the switch.
func (n *Network) plugIn(i int) (err error) {
	h := n.hosts[i]
	if h.ns, err = newNamespace(); err != nil {
		return fmt.Errorf("harness: network namespace: %w", err)
	}
	peer := fmt.Sprintf("peer name eth0 address %s netns /proc/%d/fd/%d", h.mac, os.Getpid(), h.ns.Fd())
	if err := ip("link add name "+n.port(i)+" type veth "+peer, "link set "+n.port(i)+" master "+n.bridge()+" up"); err != nil {
		return err
	}
	return h.do(func() error { return ip("link set lo up", "addr add "+h.ip+"/24 dev eth0", "link set eth0 up") })
}

// newNamespace returns a network namespace that lives as long as the file and the processes in it.
func newNamespace() (ns *os.File, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with its goroutine
		if err = unix.Unshare(unix.CLONE_NEWNET); err == nil {
			ns, err = os.Open("/proc/thread-self/ns/net")
		}
	}()
	<-done
	return ns, err
}

// ip runs commands of iproute2 on the network of the calling thread.
func ip(commands ...string) error {
	cmd := exec.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("harness: ip %q: %w: %s", commands, err, out)
	}
	return nil
}

// Host returns host i; 0 is us.
func (n *Network) Host(i int) *Host { return n.hosts[i] }

const nobody = "02:77:00:00:00:00"

// Cut loses from now on what host from sends to host to. The other direction is not touched.
func (n *Network) Cut(from, to int) error { return n.tell(from, to, nobody) }

// Mend undoes Cut.
func (n *Network) Mend(from, to int) error { return n.tell(from, to, n.hosts[to].mac) }

func (n *Network) tell(from, to int, mac string) error {
	h := n.hosts[from]
	return h.do(func() error { return ip(n.neighbour(h, to, mac)) })
}

func (n *Network) neighbour(h *Host, to int, mac string) string {
	return fmt.Sprintf("neigh replace %s lladdr %s dev %s nud permanent", n.hosts[to].ip, mac, h.device)
}

// Heal undoes every Cut.
func (n *Network) Heal() error {
	for i, h := range n.hosts {
		var commands []string
		for to := range n.hosts {
			if to != i {
				commands = append(commands, n.neighbour(h, to, n.hosts[to].mac))
			}
		}
		if err := h.do(func() error { return ip(commands...) }); err != nil {
			return err
		}
	}
	return nil
}

// Close takes the network apart. Nothing may run in it any more.
func (n *Network) Close() {
	for i, h := range n.hosts {
		if i > 0 && h.ns != nil {
			_ = ip("link del " + n.port(i)) // it may not have come to be
			h.ns.Close()
		}
	}
	_ = ip("link del " + n.bridge()) // as before
}
