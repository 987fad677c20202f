//go:build !linux

package transport

import (
	"net"
	"time"
)

// tune makes the kernel find dead peers, as far as it can be asked to here.
func tune(s net.Conn) {
	if t, ok := s.(*net.TCPConn); ok {
		_ = t.SetNoDelay(true) // without these options we only notice later
		_ = t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 3})
	}
}
