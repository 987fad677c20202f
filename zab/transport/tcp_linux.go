package transport

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// deadAfter is how long what we sent may go without an answer from the other kernel. Votes are few and small,
// and to dial again costs nothing: what counts is that a cut is forgotten soon after it has healed.
const deadAfter = 2 * time.Second

// tune makes the kernel find dead peers. Without it a connection that a partition has cut is tried again
// after pauses that grow to two minutes, and an election may have to wait for that.
func tune(s net.Conn) {
	t, ok := s.(*net.TCPConn)
	if !ok {
		return
	}
	// Errors are of no consequence: without these options we only notice later.
	_ = t.SetNoDelay(true)
	_ = t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 3})
	if raw, err := t.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(deadAfter.Milliseconds()))
		})
	}
}
