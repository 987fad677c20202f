package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"paddock/bench"
)

// serverProcess is a server that we started and that we stop.
type serverProcess struct {
	cmd    *exec.Cmd
	dir    string // its data and its log
	addr   string
	took   time.Duration // from exec to the first session
	exited chan struct{}
	err    error // how it ended; valid after exited
}

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 20 * time.Second
	knockEvery   = 200 * time.Microsecond
	// Apache's server accepts connections before it serves, and never answers those: knock again.
	knockTimeout = 100 * time.Millisecond
)

// launch starts what argv names for a free port and waits until it has given a session. The process
// dies with this one.
func launch(ctx context.Context, dir string, env []string, argv func(port string) []string) (*serverProcess, error) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := free.Addr().(*net.TCPAddr)
	free.Close()
	log, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	words := argv(strconv.Itoa(addr.Port))
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), env...), log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p := &serverProcess{cmd: cmd, dir: dir, addr: addr.String(), exited: make(chan struct{})}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { p.err = cmd.Wait(); close(p.exited) }()
	if err := p.awaitSession(ctx); err != nil {
		p.stop()
		return nil, fmt.Errorf("%s: %w; it said: %s", words[0], err, tail(log.Name()))
	}
	p.took = time.Since(begin)
	return p, nil
}

// awaitSession knocks until the server shakes hands.
func (p *serverProcess) awaitSession(ctx context.Context) error {
	knock, late := time.NewTicker(knockEvery), time.NewTimer(startTimeout)
	defer func() { knock.Stop(); late.Stop() }()
	for {
		err := bench.Handshake(p.addr, knockTimeout)
		if err == nil {
			return nil
		}
		select {
		case <-knock.C:
		case <-p.exited:
			return fmt.Errorf("it ended: %w", p.err)
		case <-late.C:
			return fmt.Errorf("no session within %v: %w", startTimeout, err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// service is the process as what is under load.
func (p *serverProcess) service() *service {
	return &service{addrs: []string{p.addr}, pids: []int{p.cmd.Process.Pid}, stop: func() { p.stop() }}
}

// stop ends the process: in peace first. It may be called twice.
func (p *serverProcess) stop() error {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
		return nil
	case <-time.After(stopTimeout):
	}
	p.cmd.Process.Kill()
	<-p.exited
	return fmt.Errorf("%s did not stop within %v", p.cmd.Path, stopTimeout)
}

// tail returns the end of a file.
func tail(name string) string {
	b, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-2000):])
}
