package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"paddock/wire"
)

// conn is one connection with its session. It belongs to one loop.
type conn struct {
	fd     int
	target string
	slot   int32 // in the loop's conns

	out     []byte // requests that are not written yet
	partial []byte // the beginning of a frame whose end has not come
	blocked bool   // the socket is full: epoll tells when it is not

	// sent is a ring of the requests outstanding, in order: head is the oldest, tail the next to come.
	sent       []request
	head, tail uint32
	lastWrite  int64
	queued     bool // in the loop's dirty
	closing    bool // a closeSession is on its way: the end of the stream is no loss
	dead       bool
}

type request struct {
	at   int64 // when it was due, or written: latency counts from there
	kind kind
}

func (c *conn) outstanding() int { return int(c.tail - c.head) }

// xid returns the xid of the request with that number: positive, and told apart as long as both are
// outstanding.
func xid(n uint32) int32 { return int32(n&(1<<30-1)) + 1 }

// push notes a request that was appended to out.
func (c *conn) push(at int64, k kind) {
	c.sent[c.tail&uint32(len(c.sent)-1)] = request{at, k}
	c.tail++
}

func (c *conn) pop() request {
	r := c.sent[c.head&uint32(len(c.sent)-1)]
	c.head++
	return r
}

// ringSize is the power of two that holds n requests, one control request beside.
func ringSize(n int) int {
	size := 2
	for size < n+1 {
		size *= 2
	}
	return size
}

// connectTimeout is how long a server may take to accept and answer.
const connectTimeout = 30 * time.Second

// dial connects, gets a session, and takes the socket away from Go's own poller: a loop has its own.
func dial(target string, sessionTimeout time.Duration, outstanding int) (*conn, error) {
	tcp, err := net.DialTimeout("tcp", target, connectTimeout)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	defer tcp.Close() // not the duplicate
	tcp.SetDeadline(time.Now().Add(connectTimeout))
	if err := handshake(tcp, sessionTimeout); err != nil {
		return nil, fmt.Errorf("bench: %s: %w", target, err)
	}
	raw, err := tcp.(*net.TCPConn).SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &conn{target: target, sent: make([]request, ringSize(max(outstanding, setupWindow)))}
	var dupErr error
	if err := raw.Control(func(fd uintptr) { c.fd, dupErr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return nil, err
	}
	if dupErr != nil {
		return nil, fmt.Errorf("bench: duplicate a socket: %w", dupErr)
	}
	return c, nil
}

// Handshake connects, gets a session and ends it, all within a time: a server that can answer that is
// serving.
func Handshake(target string, within time.Duration) error {
	tcp, err := net.DialTimeout("tcp", target, within)
	if err != nil {
		return err
	}
	defer tcp.Close()
	tcp.SetDeadline(time.Now().Add(within))
	if err := handshake(tcp, connectTimeout); err != nil {
		return err
	}
	_, err = tcp.Write(appendControl(nil, 1, wire.OpCloseSession))
	return err
}

var errNoSession = errors.New("the server gave no session")

// handshake asks for a new session.
func handshake(tcp net.Conn, sessionTimeout time.Duration) error {
	frame, mark := wire.BeginFrame(nil)
	q := wire.ConnectRequest{TimeOut: int32(sessionTimeout / time.Millisecond), Passwd: make([]byte, 16), HasReadOnly: true}
	if _, err := tcp.Write(wire.EndFrame(q.Append(frame), mark)); err != nil {
		return err
	}
	var length [4]byte
	if _, err := io.ReadFull(tcp, length[:]); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > 1<<10 {
		return fmt.Errorf("connect: an answer of %d bytes", n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(tcp, body); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	var p wire.ConnectResponse
	r := wire.NewReader(body)
	if err := p.Decode(&r); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if p.SessionID == 0 {
		return errNoSession
	}
	return nil
}

// writeOut writes what is in out, as far as the socket takes it.
func (c *conn) writeOut() error {
	n, err := unix.Write(c.fd, c.out)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		n = 0
	case err != nil:
		return err
	}
	rest := copy(c.out, c.out[n:])
	c.out = c.out[:rest]
	return nil
}
