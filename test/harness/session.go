package harness

import (
	"errors"
	"fmt"
	"time"
)

// ErrExpired says that the servers know the session no more.
var ErrExpired = errors.New("harness: the session has expired")

// ErrStopped says that whoever tried to connect was told to stop.
var ErrStopped = errors.New("harness: stopped")

// Session is a client's session that goes from server to server and outlives its connections. Unlike
// Conn it does what a client must: it says the last zxid that it has seen, notices where a promise made
// to every client is broken, and takes its session along. It does not repeat requests. One goroutine at
// a time uses it.
type Session struct {
	Addrs     []string // tried in turn
	TimeoutMS int32
	Patience  time.Duration // for an answer, and for a connection

	At      int   // index in Addrs of the server that it is connected to
	ID      int64 // 0 before it has begun
	Zxid    int64 // highest seen
	Broken  []error
	Granted time.Duration // the time-out

	passwd []byte
	conn   *Conn
	xid    int32
}

// Connected reports whether there is a connection that has not failed.
func (s *Session) Connected() bool { return s.conn != nil }

// Connect begins the session or takes it up again, at the first server that is ready to, until stop is
// closed. After ErrExpired the next call begins a new session.
func (s *Session) Connect(stop <-chan struct{}) error {
	pause := time.NewTicker(2 * time.Millisecond)
	defer pause.Stop()
	for {
		for range s.Addrs {
			err := s.ConnectTo(s.At)
			if err == nil || errors.Is(err, ErrExpired) {
				return err
			}
			s.At = (s.At + 1) % len(s.Addrs)
		}
		select {
		case <-stop:
			return ErrStopped
		case <-pause.C:
		}
	}
}

// ConnectTo is Connect at one server, once.
func (s *Session) ConnectTo(at int) error {
	s.Drop()
	s.At = at
	conn, err := DialTimeout(s.Addrs[at], s.Patience)
	if err != nil {
		return err
	}
	conn.Timeout = s.Patience
	q := ConnectRequest{TimeoutMS: s.TimeoutMS, Passwd: make([]byte, 16), LastZxidSeen: s.Zxid}
	if s.ID != 0 {
		q.SessionID, q.Passwd = s.ID, s.passwd
	}
	r, err := conn.Connect(q)
	switch {
	case err != nil:
		conn.Close()
		return err
	case !r.Valid():
		conn.Close()
		s.ID = 0
		return ErrExpired
	case s.ID != 0 && r.SessionID != s.ID:
		s.broken("asked for session %#x, got %#x", s.ID, r.SessionID)
	}
	s.conn, s.ID, s.passwd, s.Granted = conn, r.SessionID, r.Passwd, time.Duration(r.TimeoutMS)*time.Millisecond
	return nil
}

func (s *Session) broken(format string, a ...any) {
	s.Broken = append(s.Broken, fmt.Errorf("session %#x at %s: %s", s.ID, s.Addrs[s.At], fmt.Sprintf(format, a...)))
}

// Drop closes the connection without a word. The session lives on for its time-out.
func (s *Session) Drop() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}

// errNotConnected is for those who call before they connect.
var errNotConnected = errors.New("harness: not connected")

// Send sends a request.
func (s *Session) Send(op int32, body Bytes) error {
	if s.conn == nil {
		return errNotConnected
	}
	s.xid++
	if err := s.conn.Write(append(Bytes{}.Int(s.xid).Int(op), body...).Frame()); err != nil {
		s.Drop()
		return err
	}
	return nil
}

// Call sends a request and waits for its reply. After an error nobody knows what became of it, and the
// connection is gone.
func (s *Session) Call(op int32, body Bytes) (Reply, error) {
	if err := s.Send(op, body); err != nil {
		return Reply{}, err
	}
	r, err := s.conn.ReadReply()
	if err != nil {
		s.Drop()
		return r, err
	}
	if r.Xid != s.xid {
		s.broken("reply to xid %d where %d was due", r.Xid, s.xid)
	}
	if r.Zxid < s.Zxid {
		s.broken("zxid went back from %#x to %#x", s.Zxid, r.Zxid)
	}
	s.Zxid = max(s.Zxid, r.Zxid)
	return r, nil
}

// Close ends the session.
func (s *Session) Close() error {
	_, err := s.Call(opCloseSession, nil)
	s.Drop()
	if err == nil {
		s.ID = 0
	}
	return err
}

const opCloseSession = -11
