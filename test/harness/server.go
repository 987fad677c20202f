package harness

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
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

	port   int
	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd is gone; exitErr is valid then
	err    error
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
	log, err := os.OpenFile(filepath.Join(s.Dir, "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own descriptor
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = log, log, dieWithParent()
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	s.cmd, s.exited, s.err = cmd, exited, nil
	go func() {
		s.err = cmd.Wait()
		close(exited)
	}()
	if err := s.awaitServing(); err != nil {
		s.Kill()
		return err
	}
	return nil
}

// awaitServing asks again and again until the server serves. The question is a renewal of a session
// that cannot exist: a serving server answers it, and nothing is logged or counted for it.
func (s *Server) awaitServing() error {
	deadline := time.Now().Add(startTimeout)
	retry := time.NewTicker(10 * time.Millisecond)
	defer retry.Stop()
	for time.Now().Before(deadline) {
		if s.serving() {
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

func (s *Server) serving() bool {
	c, err := Dial(s.Addr)
	if err != nil {
		return false
	}
	defer c.Close()
	c.Timeout = time.Second
	_, err = c.Connect(ConnectRequest{SessionID: 1, Passwd: make([]byte, 16), TimeoutMS: 4000})
	return err == nil
}

// Kill ends the process as kill -9 does and waits for it. Killing a dead server does nothing.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill() // an error means that it is gone already
	<-s.exited
}

// Stop asks the process to end and reports how it ended; one that does not end is killed.
func (s *Server) Stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // as for Kill
	select {
	case <-s.exited:
		return s.err
	case <-time.After(stopTimeout):
		s.Kill()
		return fmt.Errorf("harness: %s ignored SIGTERM for %v\n%s", s.Target.Name, stopTimeout, s.LogTail())
	}
}

// Restart starts the process again in the same directory, on the same port. The old one must have
// been killed or stopped.
func (s *Server) Restart() error { return s.launch() }

// Signal sends sig to the process, for pauses and the like.
func (s *Server) Signal(sig os.Signal) error { return s.cmd.Process.Signal(sig) }

// Alive reports whether the process is still there.
func (s *Server) Alive() bool {
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

// Pid returns the process id of the running server.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// Close kills the process and removes its directory.
func (s *Server) Close() {
	s.Kill()
	os.RemoveAll(s.Dir)
}

// LogTail returns the last lines the server printed.
func (s *Server) LogTail() string {
	b, err := os.ReadFile(filepath.Join(s.Dir, "server.log"))
	if err != nil {
		return err.Error()
	}
	const keep = 4000
	if len(b) > keep {
		b = b[len(b)-keep:]
		b = b[bytes.IndexByte(b, '\n')+1:]
	}
	return string(b)
}
