package server

import (
	"iter"

	"paddock/net"
)

// connsOf lists a loop's connections; call it on the loop.
func connsOf(l *loop) iter.Seq[*znet.Conn] {
	return func(yield func(*znet.Conn) bool) {
		more := true
		l.nl.Each(func(c *znet.Conn) {
			if more {
				more = yield(c)
			}
		})
	}
}
