// Package echo is the least a server can do: a bare event loop that takes frames apart and answers each
// with a reply as long as that of getData. It keeps nothing and checks nothing. What the load generator
// gets out of it is the ceiling that a real server on the same event loop works under.
package echo

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/panjf2000/gnet/v2"
	"github.com/panjf2000/gnet/v2/pkg/logging"

	"paddock/wire"
)

// Config says where to listen and how long the data of a reply is.
type Config struct {
	Addr       string // host:port
	Loops      int    // event loops
	ValueBytes int    // bytes of data in each reply
}

// Run serves until ctx is done.
func Run(ctx context.Context, cfg Config, ready func()) error {
	s := &server{reply: reply(cfg.ValueBytes), connected: connected(), ready: ready}
	stopped := make(chan struct{})
	defer context.AfterFunc(ctx, func() {
		defer close(stopped)
		end, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		s.engine.Stop(end)
	})()
	err := gnet.Run(s, "tcp://"+cfg.Addr, gnet.WithNumEventLoop(max(cfg.Loops, 1)), gnet.WithReuseAddr(true),
		gnet.WithTCPNoDelay(gnet.TCPNoDelay), gnet.WithLogLevel(logging.ErrorLevel))
	if ctx.Err() != nil {
		<-stopped
	}
	if err != nil {
		return fmt.Errorf("echo: %s: %w", cfg.Addr, err)
	}
	return nil
}

// reply frames what getData answers, with the xid left open.
func reply(valueBytes int) []byte {
	dst, mark := wire.BeginFrame(nil)
	h := wire.ReplyHeader{Zxid: 1}
	body := wire.GetDataResponse{Data: make([]byte, valueBytes)}
	return wire.EndFrame(body.Append(h.Append(dst)), mark)
}

// connected frames the answer to a handshake.
func connected() []byte {
	dst, mark := wire.BeginFrame(nil)
	p := wire.ConnectResponse{TimeOut: 30_000, SessionID: 1, Passwd: make([]byte, 16), HasReadOnly: true}
	return wire.EndFrame(p.Append(dst), mark)
}

type server struct {
	gnet.BuiltinEventEngine
	engine    gnet.Engine
	ready     func()
	reply     []byte
	connected []byte
}

// state belongs to a connection, and so to its loop.
type state struct {
	shaken bool
	out    []byte
}

func (s *server) OnBoot(e gnet.Engine) gnet.Action {
	s.engine = e
	if s.ready != nil {
		s.ready()
	}
	return gnet.None
}

func (s *server) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	c.SetContext(new(state))
	return nil, gnet.None
}

// OnTraffic answers all complete frames with one write.
func (s *server) OnTraffic(c gnet.Conn) gnet.Action {
	st := c.Context().(*state)
	in, err := c.Peek(-1)
	if err != nil {
		return gnet.Close
	}
	st.out = st.out[:0]
	rest := in
	for len(rest) >= 4 {
		n := int(binary.BigEndian.Uint32(rest))
		if n < wire.RequestHeaderBytes || n > 1<<26 {
			return gnet.Close
		}
		if len(rest) < 4+n {
			break
		}
		st.answer(s, rest[4:4+n])
		rest = rest[4+n:]
	}
	c.Discard(len(in) - len(rest))
	if len(st.out) > 0 {
		if _, err := c.Write(st.out); err != nil {
			return gnet.Close
		}
	}
	return gnet.None
}

func (st *state) answer(s *server, frame []byte) {
	if !st.shaken {
		st.shaken = true
		st.out = append(st.out, s.connected...)
		return
	}
	at := len(st.out) + 4
	st.out = append(st.out, s.reply...)
	copy(st.out[at:at+4], frame) // the xid
}
