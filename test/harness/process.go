package harness

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// process is one run of a program, with the file that takes what it prints.
type process struct {
	cmd    *exec.Cmd
	name   string
	log    string
	exited chan struct{} // closed when cmd is gone; err is valid then
	err    error
}

// startProcess starts cmd, which dies with this process; what it prints is added to the file log. It
// runs in the network of in, in our own if that is nil.
func startProcess(cmd *exec.Cmd, name, log string, in *Host) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close() // the child has its own descriptor
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = out, out, dieWithParent()
	if err := in.do(cmd.Start); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, name: name, log: log, exited: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// Kill ends the process as kill -9 does and waits for it. Killing a dead server does nothing.
func (p *process) Kill() {
	_ = p.cmd.Process.Kill() // an error means that it is gone already
	<-p.exited
}

// Stop asks the process to end and reports how it ended; one that does not end is killed.
func (p *process) Stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // as for Kill
	select {
	case <-p.exited:
		return p.err
	case <-time.After(stopTimeout):
		p.Kill()
		return fmt.Errorf("harness: %s ignored SIGTERM for %v\n%s", p.name, stopTimeout, p.LogTail())
	}
}

// Signal sends sig to the process, for pauses and the like.
func (p *process) Signal(sig os.Signal) error { return p.cmd.Process.Signal(sig) }

// Alive reports whether the process is still there.
func (p *process) Alive() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// Pid returns the process id of the running server.
func (p *process) Pid() int { return p.cmd.Process.Pid }

// LogTail returns the last lines the server printed.
func (p *process) LogTail() string { return fileTail(p.log) }

func fileTail(name string) string {
	b, err := os.ReadFile(name)
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
