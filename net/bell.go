package znet

import (
	"fmt"
	"net"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// bell wakes a loop from another goroutine. It is one end of a socket pair that is registered with
// the loop; gnet's own ways (Wake, AsyncWrite, Execute) allocate at each call. However often it is
// rung before the loop answers, one byte is written.
type bell struct {
	rung atomic.Bool
	near int // ringers write here
	far  int // the loop reads here, until it is registered
}

func (b *bell) open() error {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("bell: %w", os.NewSyscallError("socketpair", err))
	}
	b.near, b.far = fds[0], fds[1]
	return nil
}

// conn gives the far end away, as something that can be registered.
func (b *bell) conn() (net.Conn, error) {
	f := os.NewFile(uintptr(b.far), "bell")
	b.far = -1
	defer f.Close()
	return net.FileConn(f)
}

func (b *bell) ring() {
	if b.rung.Swap(true) || b.near < 0 {
		return
	}
	one := [1]byte{1}
	for {
		// A full socket cannot be: there is at most one byte in it. A closed one means the end of the engine.
		if _, err := unix.Write(b.near, one[:]); err != unix.EINTR {
			return
		}
	}
}

// answered is called by the loop before it looks for work: a ring from now on is a new one.
func (b *bell) answered() { b.rung.Store(false) }

func (b *bell) close() {
	for _, fd := range []*int{&b.near, &b.far} {
		if *fd > 0 {
			_ = unix.Close(*fd)
			*fd = -1
		}
	}
}
