package harness

import (
	"errors"
	"net"
	"testing"
	"time"
)

// script serves one connection: it writes the given frames in one piece and closes.
func script(t *testing.T, frames ...Bytes) *Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		var all Bytes
		for _, f := range frames {
			all = append(all, f.Frame()...)
		}
		_, _ = c.Write(all) // a client that has gone is the test's failure, not ours
		c.Close()
	}()
	t.Cleanup(func() { l.Close(); <-done })
	c, err := Dial(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func replyFrame(xid int32, zxid int64, code int32) Bytes {
	return Bytes(nil).Int(xid).Long(zxid).Int(code)
}

func eventFrame(zxid int64, typ int32, path string) Bytes {
	return replyFrame(XidNotification, zxid, 0).Int(typ).Int(3).Str(path)
}

func TestRepliesAndEventsAreKeptApartInOrder(t *testing.T) {
	c := script(t, eventFrame(5, 1, "/a"), eventFrame(6, 3, "/b"), replyFrame(7, 6, -101), eventFrame(8, 2, "/a"))
	r, err := c.ReadReply()
	if err != nil || r.Xid != 7 || r.Zxid != 6 || r.Err != -101 {
		t.Fatalf("got %+v, %v", r, err)
	}
	events := c.TakeEvents()
	if len(events) != 2 || events[0].Path != "/a" || events[1] != (Event{Zxid: 6, Type: 3, State: 3, Path: "/b"}) {
		t.Errorf("before the reply: got %+v", events)
	}
	if e, err := c.ReadEvent(); err != nil || e.Zxid != 8 {
		t.Errorf("after the reply: got %+v, %v", e, err)
	}
	if _, err := c.ReadReply(); !errors.Is(err, ErrClosed) {
		t.Errorf("at the end: got %v, want ErrClosed", err)
	}
}

func TestReadEventRefusesAReply(t *testing.T) {
	c := script(t, replyFrame(1, 1, 0))
	if e, err := c.ReadEvent(); err == nil {
		t.Errorf("got %+v, want an error", e)
	}
}

func TestAwaitClose(t *testing.T) {
	if err := script(t).AwaitClose(time.Second); err != nil {
		t.Errorf("a closed connection: %v", err)
	}
	if err := script(t, replyFrame(1, 1, 0)).AwaitClose(time.Second); err == nil {
		t.Error("a frame before the end is no error")
	}
}

func TestConnectRepliesOfBothLengths(t *testing.T) {
	for _, c := range []struct {
		reply Bytes
		bytes int
	}{
		{Bytes(nil).Int(0).Int(4000).Long(9).Buf(make([]byte, 16)), 36},
		{Bytes(nil).Int(0).Int(4000).Long(9).Buf(make([]byte, 16)).Bool(false), 37},
	} {
		r, err := script(t, c.reply).Connect(ConnectRequest{})
		if err != nil || r.Bytes != c.bytes || r.SessionID != 9 || r.TimeoutMS != 4000 || !r.Valid() {
			t.Errorf("got %+v, %v, want %d bytes", r, err, c.bytes)
		}
	}
}

func TestWordReadsToTheEnd(t *testing.T) {
	c := script(t, Bytes("text"))
	if got, err := c.ReadText(); err != nil || got != "\x00\x00\x00\x04text" {
		t.Errorf("got %q, %v", got, err)
	}
}
