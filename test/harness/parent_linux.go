package harness

import "syscall"

// dieWithParent makes the kernel kill a server when the test process dies, so that a test that times
// out or is interrupted leaves nothing running.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
