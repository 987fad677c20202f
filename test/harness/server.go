package harness

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

const (
	startTimeout = 30 * time.Second // a JVM on two busy cores
	startTries   = 3                // a free port may be taken before the server binds it
	stopTimeout  = 15 * time.Second
)

// Server is one running server process with its directory. Its methods are for one goroutine at a
// time; any number of connections may be open meanwhile.
type Server struct {
	Target   *Target
	Settings Settings
	Addr     string // 127.0.0.1:port, the same after a restart
	Dir      string // holds the data and server.log

	port int
	*process
}

// Start runs the target in a new temporary directory on a free loopback port, and returns when it
// answers handshakes. The caller closes it.
func (t *Target) Start(s Settings) (*Server, error) {
	return t.StartFrom(s, func(string) error { return nil })
}

// StartFrom is Start in a directory that prepare has filled.
func (t *Target) StartFrom(s Settings, prepare func(dir string) error) (*Server, error) {
	dir, err := os.MkdirTemp("", "paddock-test-")
	if err != nil {
		return nil, err
	}
	if err := prepare(dir); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	srv := &Server{Target: t, Settings: s, Dir: dir}
	for try := 1; ; try++ {
		if srv.port, err = freePort(); err != nil {
			break
		}
		srv.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(srv.port))
		if err = srv.launch(); err == nil {
			return srv, nil
		}
		if try == startTries || !errors.Is(err, errEarlyExit) {
			break
		}
	}
	os.RemoveAll(dir)
	return nil, err
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

var errEarlyExit = errors.New("harness: the server ended while starting")

func (s *Server) launch() error {
	cmd, err := s.Target.command(s.Dir, s.port, s.Settings)
	if err != nil {
		return err
	}
	p, err := startProcess(cmd, s.Target.Name, filepath.Join(s.Dir, "server.log"), nil)
	if err != nil {
		return err
	}
	s.process = p
	if err := s.awaitServing(); err != nil {
		s.Kill()
		return err
	}
	return nil
}

// awaitServing asks again and again until the server serves.
func (s *Server) awaitServing() error {
	deadline := time.Now().Add(startTimeout)
	retry := time.NewTicker(10 * time.Millisecond)
	defer retry.Stop()
	for time.Now().Before(deadline) {
		if serves(s.Addr) {
			return nil
		}
		select {
		case <-s.exited:
			return fmt.Errorf("%w: %s: %w\n%s", errEarlyExit, s.Target.Name, s.err, s.LogTail())
		case <-retry.C:
		}
	}
	return fmt.Errorf("harness: %s does not serve after %v\n%s", s.Target.Name, startTimeout, s.LogTail())
}

// serves asks for the renewal of a session that cannot exist: a serving server answers, and nothing is
// logged or counted for it.
func serves(addr string) bool {
	c, err := DialTimeout(addr, time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	c.Timeout = time.Second
	_, err = c.Connect(ConnectRequest{SessionID: 1, Passwd: make([]byte, 16), TimeoutMS: 4000})
	return err == nil
}

// Restart starts the process again in the same directory, on the same port. The old one must have
// been killed or stopped.
func (s *Server) Restart() error { return s.launch() }

// Close kills the process and removes its directory.
func (s *Server) Close() {
	s.Kill()
	os.RemoveAll(s.Dir)
}
