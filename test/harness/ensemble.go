package harness

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// EnsembleConfig says which servers make an ensemble.
type EnsembleConfig struct {
	Kinds    string   // of servers 1, 2, …: "JJG"; an observer is a small letter
	Settings Settings // the same for all; tickTime 2000, initLimit 10 and syncLimit 5 unless given
	JVM      []string // options of java instead of those of tests
	Loopback bool     // no network of its own, although there could be one
	Parent   string   // directory to work in; the system's temporary one if empty
}

// Ensemble is some servers that know each other. Its methods are for one goroutine at a time.
type Ensemble struct {
	Config  EnsembleConfig
	Members []*Member // 1, 2, …
	Network *Network  // nil where there are no networks: nothing can be cut there
	NoCuts  error     // why Network is nil
	Dir     string

	keep bool
	had  map[Kind]bool
}

// Member is one place in an ensemble: an id, addresses, and a directory. Which program runs there, and
// whether, changes.
type Member struct {
	ID       int
	Observer bool
	Addr     string // of its client port
	Dir      string

	*process               // nil until it is started for the first time
	kind     atomic.Uint32 // clients ask while somebody replaces
	ensemble *Ensemble
	host     *Host
	ports    [3]int // quorum, election, client
	ip       string
	paused   bool
	lives    int // directories that it has had
}

// patience is how long the harness waits for servers: a JVM on two busy cores.
const patience = 60 * time.Second

// NewEnsemble makes the network and the directories and starts nothing. ErrNotAvailable says that one of
// the programs is missing.
func NewEnsemble(c EnsembleConfig) (*Ensemble, error) {
	for _, k := range strings.ToUpper(c.Kinds) {
		if err := Kind(k).Available(); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp(c.Parent, "paddock-ensemble-")
	if err != nil {
		return nil, err
	}
	e := &Ensemble{Config: c, Dir: dir, had: map[Kind]bool{}}
	if e.Config.JVM == nil {
		e.Config.JVM = jvmOptions
	}
	if e.NoCuts = errors.New("it was not asked for"); !c.Loopback {
		if e.Network, e.NoCuts = NewNetwork(len(c.Kinds)); e.NoCuts != nil && !errors.Is(e.NoCuts, ErrNotAvailable) {
			os.RemoveAll(dir)
			return nil, e.NoCuts
		}
	}
	for i, letter := range c.Kinds {
		m := &Member{ID: i + 1, ensemble: e, Observer: letter >= 'a', Dir: filepath.Join(dir, fmt.Sprint(i+1))}
		m.is(Kind(strings.ToUpper(string(letter))[0]))
		e.Members = append(e.Members, m)
		if err := errors.Join(m.place(), m.Wipe()); err != nil {
			e.Close()
			return nil, err
		}
	}
	return e, nil
}

// place gives the member its addresses: a host of the network, or a loopback address with free ports.
func (m *Member) place() error {
	if n := m.ensemble.Network; n != nil {
		m.host, m.ports = n.Host(m.ID), [3]int{2888, 3888, 2181}
		m.ip = m.host.IP()
	} else {
		m.ip = "127.0.0." + strconv.Itoa(m.ID)
		for i := range m.ports {
			l, err := net.Listen("tcp", m.ip+":0")
			if err != nil {
				return err
			}
			defer l.Close() // all at the end: no port twice
			m.ports[i] = l.Addr().(*net.TCPAddr).Port
		}
	}
	m.Addr = net.JoinHostPort(m.ip, strconv.Itoa(m.ports[2]))
	return nil
}

// configure writes zoo.cfg and myid. What only a property can say is returned.
func (m *Member) configure() (file string, properties Settings, err error) {
	properties = Settings{}
	var b strings.Builder
	all := Settings{
		"tickTime": "2000", "initLimit": "10", "syncLimit": "5", "maxClientCnxns": "0",
		"4lw.commands.whitelist": "*", "admin.enableServer": "false",
	}.With(m.ensemble.Config.Settings).With(Settings{
		"dataDir": m.data(), "clientPort": strconv.Itoa(m.ports[2]), "clientPortAddress": m.ip,
	})
	for _, k := range all.keys() {
		if propertyOnly(k) {
			properties[k] = all[k]
		} else {
			fmt.Fprintf(&b, "%s=%s\n", k, all[k])
		}
	}
	for _, o := range m.ensemble.Members {
		role := "participant"
		if o.Observer {
			role = "observer"
		}
		fmt.Fprintf(&b, "server.%d=%s:%d:%d:%s\n", o.ID, o.ip, o.ports[0], o.ports[1], role)
	}
	if m.Observer {
		b.WriteString("peerType=observer\n")
	}
	file = filepath.Join(m.Dir, "zoo.cfg")
	return file, properties, errors.Join(os.WriteFile(file, []byte(b.String()), 0o600),
		os.WriteFile(filepath.Join(m.data(), "myid"), fmt.Appendln(nil, m.ID), 0o600))
}

// data is the directory with the member's data; its log is beside it and outlives it.
func (m *Member) data() string { return filepath.Join(m.Dir, fmt.Sprintf("data-%d", m.lives)) }

// Start starts the process and waits for nothing.
func (m *Member) Start() error {
	file, properties, err := m.configure()
	if err != nil {
		return err
	}
	cmd, err := m.Kind().command(file, m.ensemble.Config.JVM, properties)
	if err != nil {
		return err
	}
	p, err := startProcess(cmd, m.String(), m.Log(), m.host)
	if err != nil {
		return err
	}
	m.process, m.paused = p, false
	return nil
}

// Log returns the file with everything that the servers in this place have printed.
func (m *Member) Log() string { return filepath.Join(m.Dir, "server.log") }

// Kind returns which program runs there.
func (m *Member) Kind() Kind { return Kind(m.kind.Load()) }

func (m *Member) is(k Kind) {
	m.kind.Store(uint32(k))
	m.ensemble.had[k] = true
}

// Had reports whether a server of this kind is in the ensemble or was.
func (e *Ensemble) Had(k Kind) bool { return e.had[k] }

// String names the member: "2(J)".
func (m *Member) String() string { return fmt.Sprintf("%d(%v)", m.ID, m.Kind()) }

// Running reports whether there is a process that is not paused.
func (m *Member) Running() bool { return m.process != nil && m.Alive() && !m.paused }

// Pause stops the process as it is, until Continue.
func (m *Member) Pause() error { m.paused = true; return m.Signal(syscall.SIGSTOP) }

// Continue undoes Pause.
func (m *Member) Continue() error { m.paused = false; return m.Signal(syscall.SIGCONT) }

// Kill ends the process as kill -9 does, if there is one.
func (m *Member) Kill() {
	if m.process != nil {
		m.process.Kill()
	}
}

// Wipe gives a member that does not run an empty directory.
func (m *Member) Wipe() error {
	m.lives++
	return errors.Join(os.MkdirAll(m.data(), 0o700), os.RemoveAll(filepath.Join(m.Dir, fmt.Sprintf("data-%d", m.lives-1))))
}

// Replace puts a server of another kind in the place of a member that does not run: the same id and
// addresses, and an empty directory.
func (m *Member) Replace(k Kind) error {
	m.is(k)
	return m.Wipe()
}

// Role returns what the server says it is: leader, follower, observer; empty while it does not serve.
func (m *Member) Role() string {
	role, _ := m.Srvr()
	return role
}

// Srvr returns role and last zxid of a server that serves; else the role is empty.
func (m *Member) Srvr() (role string, zxid int64) {
	if !m.Running() {
		return "", 0
	}
	text, err := m.Word("srvr")
	if err != nil {
		return "", 0
	}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "Mode":
			role = value
		case "Zxid":
			zxid, _ = strconv.ParseInt(strings.TrimPrefix(value, "0x"), 16, 64) // 0 shows in what is compared
		}
	}
	return role, zxid
}

// Word asks a four-letter word of the server.
func (m *Member) Word(word string) (string, error) {
	c, err := DialTimeout(m.Addr, time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.Timeout = 2 * time.Second
	if err := c.Write([]byte(word)); err != nil {
		return "", err
	}
	return c.ReadText()
}

// Monitor returns what mntr says.
func (m *Member) Monitor() (map[string]string, error) {
	text, err := m.Word("mntr")
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
			all[key] = value
		}
	}
	return all, nil
}

// AwaitRole waits until the server has one of these roles and serves.
func (m *Member) AwaitRole(roles ...string) error {
	return m.ensemble.await(fmt.Sprintf("%v is one of %v", m, roles), func() bool {
		is := m.Role()
		for _, role := range roles {
			if is == role {
				return serves(m.Addr)
			}
		}
		return false
	})
}

// Start starts all members at once and waits until they have a leader and serve.
func (e *Ensemble) Start() error {
	for _, m := range e.Members {
		if err := m.Start(); err != nil {
			return err
		}
	}
	_, err := e.AwaitLeader()
	return err
}

// Running returns the members that run.
func (e *Ensemble) Running() (running []*Member) {
	for _, m := range e.Members {
		if m.Running() {
			running = append(running, m)
		}
	}
	return running
}

// Leader returns the member that says that it leads, nil if it is none or more than one.
func (e *Ensemble) Leader() (leader *Member) {
	for _, m := range e.Running() {
		if m.Role() == "leader" {
			if leader != nil {
				return nil
			}
			leader = m
		}
	}
	return leader
}

// AwaitLeader waits until one of the running members leads, all others have joined it, and all serve.
func (e *Ensemble) AwaitLeader() (leader *Member, err error) {
	err = e.await("all that run have one leader and serve", func() bool {
		leader = nil
		for _, m := range e.Running() {
			switch role := m.Role(); {
			case role == "leader" && leader == nil:
				leader = m
			case role != "follower" && role != "observer":
				return false
			}
		}
		if leader == nil {
			return false
		}
		for _, m := range e.Running() {
			if !serves(m.Addr) {
				return false
			}
		}
		return true
	})
	return leader, err
}

// AwaitSameZxid waits until all that run have applied the same. Nobody may write meanwhile.
func (e *Ensemble) AwaitSameZxid() error {
	return e.await("all are at one zxid", func() bool {
		all := map[int64]bool{}
		for _, m := range e.Running() {
			_, zxid := m.Srvr()
			all[zxid] = true
		}
		return len(all) == 1
	})
}

// await asks again and again. A server that ends meanwhile ends the wait: nobody restarts it.
func (e *Ensemble) await(what string, is func() bool) error {
	running := e.Running()
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-retry.C {
		if is() {
			return nil
		}
		for _, m := range running {
			if !m.Alive() {
				return fmt.Errorf("harness: %v ended (%w) before it came to be that %s\n%s", m, m.err, what, m.LogTail())
			}
		}
	}
	return fmt.Errorf("harness: after %v it is not so that %s\n%s", patience, what, e.Report())
}

// Stop ends all members with SIGTERM, all at once.
func (e *Ensemble) Stop() error {
	errs := make([]error, len(e.Members))
	var all sync.WaitGroup
	for i, m := range e.Members {
		if m.Running() {
			all.Go(func() { errs[i] = m.Stop() })
		}
	}
	all.Wait()
	return errors.Join(errs...)
}

// Report says for people what each member is and what it printed last.
func (e *Ensemble) Report() string {
	var b strings.Builder
	for _, m := range e.Members {
		role, zxid := m.Srvr()
		fmt.Fprintf(&b, "--- server %v at %s: role %q, zxid %#x, running %v; the end of %s:\n%s\n", m, m.Addr, role, zxid, m.Running(), m.Log(), fileTail(m.Log()))
	}
	return b.String()
}

// Keep makes Close leave the directories, with the logs, where they are.
func (e *Ensemble) Keep() { e.keep = true }

// Close kills all members and removes everything.
func (e *Ensemble) Close() {
	for _, m := range e.Members {
		m.Kill()
	}
	if e.Network != nil {
		e.Network.Close()
	}
	if !e.keep {
		os.RemoveAll(e.Dir)
	}
}

// Faults of the network. Without one they do nothing but say so: see NoCuts.

// CutOneWay loses what from sends to to.
func (e *Ensemble) CutOneWay(from, to *Member) error {
	if e.Network == nil {
		return e.NoCuts
	}
	return e.Network.Cut(from.ID, to.ID)
}

// Cut separates two members, and no others.
func (e *Ensemble) Cut(a, b *Member) error {
	return errors.Join(e.CutOneWay(a, b), e.CutOneWay(b, a))
}

// Isolate separates a member from all others; clients still reach it.
func (e *Ensemble) Isolate(m *Member) (err error) {
	for _, o := range e.Members {
		if o != m {
			err = errors.Join(err, e.Cut(m, o))
		}
	}
	return err
}

// CutClients separates a member from the clients.
func (e *Ensemble) CutClients(m *Member) error {
	if e.Network == nil {
		return e.NoCuts
	}
	return errors.Join(e.Network.Cut(0, m.ID), e.Network.Cut(m.ID, 0))
}

// Heal undoes every cut.
func (e *Ensemble) Heal() error {
	if e.Network == nil {
		return nil
	}
	return e.Network.Heal()
}
