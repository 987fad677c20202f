package harness

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"
)

// Reserved xids.
const (
	XidNotification = -1
	XidPing         = -2
	XidAuth         = -4
	XidSetWatches   = -8
)

// ErrClosed says that the server closed the connection where a frame was expected.
var ErrClosed = errors.New("harness: the server closed the connection")

// Conn is one TCP connection to a server. One goroutine at a time uses it.
type Conn struct {
	Timeout time.Duration // for each frame read; 10 s unless changed

	Session ConnectReply // what the last Connect was told

	// Events that came while somebody waited for a reply, oldest first; whoever reads them removes them.
	Events []Event

	tcp net.Conn
	in  *bufio.Reader
}

// Reply is an answered request.
type Reply struct {
	Xid  int32
	Zxid int64
	Err  int32
	Body []byte // what follows the header
}

// Event is a notification.
type Event struct {
	Zxid  int64 // of its header
	Err   int32 // of its header
	Type  int32
	State int32
	Path  string
}

// ConnectRequest is what a client says first. It is sent as it is here.
type ConnectRequest struct {
	Protocol     int32
	LastZxidSeen int64
	TimeoutMS    int32
	SessionID    int64
	Passwd       []byte // nil is null
	Old          bool   // no readOnly byte, as before 3.4
	ReadOnly     bool
}

// ConnectReply is the server's answer. TimeoutMS and SessionID are 0 if the session is not valid.
type ConnectReply struct {
	Protocol  int32
	TimeoutMS int32
	SessionID int64
	Passwd    []byte
	Bytes     int // length of the frame's payload: 36, or 37 with the readOnly byte
}

// Valid reports whether the session lives.
func (r ConnectReply) Valid() bool { return r.SessionID != 0 }

// Dial opens a TCP connection and sends nothing.
func Dial(addr string) (*Conn, error) { return DialTimeout(addr, 5*time.Second) }

// DialTimeout is Dial for those who expect that nobody answers.
func DialTimeout(addr string, within time.Duration) (*Conn, error) {
	tcp, err := net.DialTimeout("tcp", addr, within)
	if err != nil {
		return nil, err
	}
	return &Conn{Timeout: 10 * time.Second, tcp: tcp, in: bufio.NewReaderSize(tcp, 32<<10)}, nil
}

// Open dials and begins a new session.
func Open(addr string, timeoutMS int32) (*Conn, error) {
	c, err := Dial(addr)
	if err != nil {
		return nil, err
	}
	if _, err := c.Connect(ConnectRequest{TimeoutMS: timeoutMS, Passwd: make([]byte, 16)}); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// LocalAddr returns our end of the connection.
func (c *Conn) LocalAddr() net.Addr { return c.tcp.LocalAddr() }

// Close closes the connection without a word to the server.
func (c *Conn) Close() { c.tcp.Close() }

// CloseWrite ends our half of the connection.
func (c *Conn) CloseWrite() error { return c.tcp.(*net.TCPConn).CloseWrite() }

// Bytes returns the request's payload, without the frame's length.
func (q ConnectRequest) Bytes() Bytes {
	b := Bytes(nil).Int(q.Protocol).Long(q.LastZxidSeen).Int(q.TimeoutMS).Long(q.SessionID).Buf(q.Passwd)
	if !q.Old {
		b = b.Bool(q.ReadOnly)
	}
	return b
}

// Connect sends q and waits for the answer.
func (c *Conn) Connect(q ConnectRequest) (ConnectReply, error) {
	if err := c.Write(q.Bytes().Frame()); err != nil {
		return ConnectReply{}, err
	}
	return c.ReadConnect()
}

// ReadConnect reads a connect reply that was asked for by Write.
func (c *Conn) ReadConnect() (ConnectReply, error) {
	frame, err := c.ReadFrame()
	if err != nil {
		return ConnectReply{}, err
	}
	f := FieldsOf(frame)
	r := ConnectReply{f.Int(), f.Int(), f.Long(), f.Buf(), len(frame)}
	if len(frame) == 37 {
		f.Bool()
	}
	c.Session = r
	return r, f.Err()
}

// Write sends bytes as they are.
func (c *Conn) Write(b []byte) error {
	if err := c.tcp.SetWriteDeadline(time.Now().Add(c.Timeout)); err != nil {
		return err
	}
	_, err := c.tcp.Write(b)
	return err
}

// ReadFrame returns the payload of the next frame, whatever it is. It returns ErrClosed at the end of
// the stream, also if the end is a reset.
func (c *Conn) ReadFrame() ([]byte, error) {
	if err := c.tcp.SetReadDeadline(time.Now().Add(c.Timeout)); err != nil {
		return nil, err
	}
	var head [4]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return nil, closed(err)
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > 64<<20 {
		return nil, fmt.Errorf("harness: a frame of %d bytes", n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(c.in, b); err != nil {
		return nil, fmt.Errorf("harness: in the middle of a frame: %w", err)
	}
	return b, nil
}

func closed(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return ErrClosed
	}
	return err
}

// ReadText returns all bytes up to the end of the stream: the answer to a four-letter word.
func (c *Conn) ReadText() (string, error) {
	if err := c.tcp.SetReadDeadline(time.Now().Add(c.Timeout)); err != nil {
		return "", err
	}
	b, err := io.ReadAll(c.in)
	if errors.Is(err, syscall.ECONNRESET) {
		err = nil // the server did not wait for what we sent behind the word
	}
	return string(b), err
}

// Next returns the next frame as a reply or an event; the other one is nil.
func (c *Conn) Next() (*Reply, *Event, error) {
	frame, err := c.ReadFrame()
	if err != nil {
		return nil, nil, err
	}
	f := FieldsOf(frame)
	r := &Reply{Xid: f.Int(), Zxid: f.Long(), Err: f.Int()}
	if f.err != nil {
		return nil, nil, fmt.Errorf("harness: frame %x has no reply header: %w", frame, f.err)
	}
	r.Body = f.rest
	if r.Xid != XidNotification {
		return r, nil, nil
	}
	e := &Event{Zxid: r.Zxid, Err: r.Err, Type: f.Int(), State: f.Int(), Path: f.Str()}
	return nil, e, f.Err()
}

// ReadReply returns the next reply; events before it go to Events.
func (c *Conn) ReadReply() (Reply, error) {
	for {
		r, e, err := c.Next()
		if err != nil {
			return Reply{}, err
		}
		if r != nil {
			return *r, nil
		}
		c.Events = append(c.Events, *e)
	}
}

// ReadEvent returns the oldest event not yet taken, waiting for one if there is none. A reply in its
// place is an error.
func (c *Conn) ReadEvent() (Event, error) {
	if len(c.Events) > 0 {
		e := c.Events[0]
		c.Events = c.Events[1:]
		return e, nil
	}
	r, e, err := c.Next()
	if err != nil {
		return Event{}, err
	}
	if r != nil {
		return Event{}, fmt.Errorf("harness: got a reply to xid %d, want an event", r.Xid)
	}
	return *e, nil
}

// TakeEvents returns and forgets the events seen so far. A ping's reply is a good place to ask: what
// was on its way before it has arrived.
func (c *Conn) TakeEvents() []Event {
	e := c.Events
	c.Events = nil
	return e
}

// AwaitClose reads until the server closes the connection. A frame before that is an error.
func (c *Conn) AwaitClose(within time.Duration) error {
	if err := c.tcp.SetReadDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	_, err := c.in.Peek(1)
	switch {
	case err == nil:
		frame, err := c.ReadFrame()
		return fmt.Errorf("harness: got frame %x (%w), want the end of the stream", frame, err)
	case errors.Is(closed(err), ErrClosed):
		return nil
	default:
		return fmt.Errorf("harness: connection still open: %w", err)
	}
}

// Word sends a four-letter word on a connection of its own and returns the answer.
func Word(addr, word string) (string, error) {
	c, err := Dial(addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.Write([]byte(word)); err != nil {
		return "", err
	}
	return c.ReadText()
}
