package znet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// Config is what an engine needs to know. Zero values of the limits get the defaults in brackets.
type Config struct {
	Listen []string // addresses, host:port; an empty host is every address, IPv6 and IPv4
	Loops  int      // event loops [1]

	MaxFrameBytes  int // longest frame a client may send [1,048,575]; key jute.maxbuffer
	MaxPerAddress  int // connections from one address, 0 = no limit; key maxClientCnxns
	MaxConnections int // connections in all, 0 = no limit; key maxCnxns

	KeepAlive time.Duration // idle time until TCP asks whether the peer is there, 0 = never; key clientTcpKeepAlive

	HandshakeMS   int // time until the handshake is done [10,000 ms]
	OutPauseBytes int // unsent bytes over which a connection is not served [1 MiB]
	OutCutBytes   int // unsent bytes over which it is cut [64 MiB]
	OutTotalBytes int // unsent bytes of all choked connections over which the next that grows is cut [256 MiB]
	InParkBytes   int // unserved bytes over which it is parked [4 MiB, at least two frames]

	// IsWord reports whether four bytes are a four-letter word.
	IsWord func(w [4]byte) bool
	// NewHandler makes the brain of a loop. It is called once for each, before the first connection.
	NewHandler func(l *Loop) Handler
	// Ready is called once, when every loop has its handler and before the first connection.
	Ready func()
	Log   *slog.Logger
}

func (c *Config) setDefaults() {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&c.Loops, 1)
	def(&c.MaxFrameBytes, 0xfffff)
	def(&c.HandshakeMS, 10_000)
	def(&c.OutPauseBytes, 1<<20)
	def(&c.OutCutBytes, 64<<20)
	def(&c.OutTotalBytes, 256<<20)
	def(&c.InParkBytes, max(4<<20, 2*c.MaxFrameBytes))
}

// Engine runs the loops. It is the shell around gnet: nothing else in the house knows gnet.
type Engine struct {
	gnet.BuiltinEventEngine
	cfg   Config
	loops []*Loop
	clock atomic.Int64 // ms since start, stored by tick
	owed  atomic.Int64 // unsent bytes of choked connections, all together

	mu       sync.Mutex // guards what follows; taken when a connection comes or goes, never for its bytes
	byLoop   map[gnet.EventLoop]*Loop
	byAddr   map[netip.Addr]int
	total    int
	parked   map[*Conn]int // duplicated descriptors of parked connections
	shut     bool
	draining atomic.Bool // no more frames: what was read is finished, nothing more is read

	eng    gnet.Engine
	booted chan struct{}
	done   chan error
	stop   chan struct{}
	ticker sync.WaitGroup
	addrs  []netip.AddrPort
}

// Start binds the addresses and runs the loops. An address in use, or one we may not bind, is an error
// that names it.
func Start(cfg Config) (*Engine, error) {
	cfg.setDefaults()
	e := newEngine(cfg)
	for i := range cfg.Loops {
		l := &Loop{index: i, cfg: &e.cfg, engine: e}
		if err := l.bell.open(); err != nil {
			e.closeBells()
			return nil, fmt.Errorf("net: event loop %d: %w", i, err)
		}
		l.handler = cfg.NewHandler(l)
		e.loops = append(e.loops, l)
	}
	if cfg.Ready != nil {
		cfg.Ready()
	}
	if err := e.run(); err != nil {
		e.closeBells()
		return nil, err
	}
	e.ticker.Add(1)
	go e.tick()
	return e, nil
}

func newEngine(cfg Config) *Engine {
	return &Engine{
		cfg:    cfg,
		byLoop: map[gnet.EventLoop]*Loop{},
		byAddr: map[netip.Addr]int{},
		parked: map[*Conn]int{},
		booted: make(chan struct{}),
		done:   make(chan error, 1),
		stop:   make(chan struct{}),
	}
}

// run starts gnet and waits until it accepts connections.
func (e *Engine) run() error {
	var addrs []string
	for _, a := range e.cfg.Listen {
		if err := probe(a); err != nil {
			return err
		}
		addrs = append(addrs, "tcp://"+a)
	}
	go func() {
		e.done <- gnet.Rotate(e, addrs,
			gnet.WithNumEventLoop(e.cfg.Loops),
			gnet.WithLoadBalancing(gnet.RoundRobin),
			gnet.WithReuseAddr(true),
			gnet.WithTCPNoDelay(gnet.TCPNoDelay),
			gnet.WithTCPKeepAlive(e.cfg.KeepAlive),
			gnet.WithReadBufferCap(64<<10),
			gnet.WithLogger(gnetLog{e.cfg.Log}))
	}()
	select {
	case <-e.booted:
	case err := <-e.done:
		return fmt.Errorf("net: listen on %v: %w", e.cfg.Listen, err)
	}
	for _, a := range addrs {
		ap, err := e.boundTo(a)
		if err != nil {
			return err
		}
		e.addrs = append(e.addrs, ap)
	}
	return nil
}

// probe binds an address and lets it go, for an error that says which one it was and why: gnet's
// error names no address when there are several.
func probe(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err == nil {
		return l.Close()
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("net: %s is in use: another server runs there, or clientPort is wrong: %w", addr, err)
	}
	return fmt.Errorf("net: cannot listen on %s: %w", addr, err)
}

// boundTo returns the address a listener really has: port 0 asks the kernel for one.
func (e *Engine) boundTo(addr string) (netip.AddrPort, error) {
	fd, err := e.eng.DupListener("tcp", addr[len("tcp://"):])
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("net: listener %s: %w", addr, err)
	}
	defer unix.Close(fd)
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("net: listener %s: %w", addr, err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)), nil
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port)), nil
	}
	return netip.AddrPort{}, fmt.Errorf("net: listener %s: unknown kind of address", addr)
}

// Addrs returns the addresses the engine listens on, in the order of Config.Listen.
func (e *Engine) Addrs() []netip.AddrPort { return e.addrs }

// Loops returns the engine's loops. The slice is shared and must not be changed.
func (e *Engine) Loops() []*Loop { return e.loops }

// Drain stops the reading of requests: bytes that come from now on wait and are never served.
func (e *Engine) Drain() { e.draining.Store(true) }

// Stop closes every connection, the listeners and the loops, and waits for their end.
func (e *Engine) Stop() error {
	e.mu.Lock()
	if e.shut {
		e.mu.Unlock()
		return nil
	}
	e.shut = true
	for c, fd := range e.parked {
		_ = unix.Close(fd)
		delete(e.parked, c)
	}
	e.mu.Unlock()
	close(e.stop)
	e.ticker.Wait()
	// gnet would look every 500 ms whether it has ended. It is only asked to: e.done says when it has.
	asked, cancel := context.WithCancel(context.Background())
	cancel()
	if err := e.eng.Stop(asked); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("net: stop: %w", err)
	}
	var err error
	select {
	case err = <-e.done:
	case <-time.After(stopLimit):
		return fmt.Errorf("net: stop: the loops did not end within %v", stopLimit)
	}
	e.closeBells()
	if err != nil {
		return fmt.Errorf("net: stop: %w", err)
	}
	return nil
}

// stopLimit is how long loops may take to end.
const stopLimit = 10 * time.Second

func (e *Engine) closeBells() {
	for _, l := range e.loops {
		l.bell.close()
	}
}

// tick is the one goroutine that looks at the clock for the loops.
func (e *Engine) tick() {
	defer e.ticker.Done()
	start := time.Now()
	t := time.NewTicker(clockStepMS * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-t.C:
		}
		e.setClock(time.Since(start).Milliseconds())
	}
}

func (e *Engine) setClock(ms int64) {
	e.clock.Store(ms)
	for _, l := range e.loops {
		if l.waiting.Load() {
			l.Ring()
		}
	}
}

func (e *Engine) now() int64 { return e.clock.Load() }

// OnBoot is gnet's: the listeners are bound.
func (e *Engine) OnBoot(eng gnet.Engine) gnet.Action {
	e.eng = eng
	close(e.booted)
	return gnet.None
}

// OnOpen is gnet's: a connection was accepted, or one that we enrolled ourselves (a bell, a parked
// connection that comes back) is on its loop.
func (e *Engine) OnOpen(g gnet.Conn) ([]byte, gnet.Action) {
	switch ctx := g.Context().(type) {
	case *Loop:
		return nil, gnet.None
	case *Conn:
		return nil, e.returned(ctx, g)
	}
	remote := g.RemoteAddr().(*net.TCPAddr).AddrPort()
	remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	l, ok := e.admit(g, remote.Addr())
	if !ok {
		return nil, gnet.Close
	}
	c := l.accept(gnetConn{g}, remote)
	g.SetContext(c)
	l.opened(c)
	return nil, gnet.None
}

// admit counts a connection in, or refuses it, and finds out which of our loops gnet's is.
func (e *Engine) admit(g gnet.Conn, from netip.Addr) (*Loop, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.byLoop[g.EventLoop()]
	if l == nil {
		l = e.loops[len(e.byLoop)]
		e.byLoop[g.EventLoop()] = l
		e.hang(l, g.EventLoop())
	}
	return l, e.count(l, from)
}

// count counts a connection in, if there is room for it. e.mu is held.
func (e *Engine) count(l *Loop, from netip.Addr) bool {
	per, all := e.cfg.MaxPerAddress, e.cfg.MaxConnections
	if e.shut || per > 0 && e.byAddr[from] >= per || all > 0 && e.total >= all {
		l.stats.Refused++
		return false
	}
	e.byAddr[from]++
	e.total++
	return true
}

// hang registers a loop's bell with it. Rings before that wait in the socket.
func (e *Engine) hang(l *Loop, el gnet.EventLoop) {
	nc, err := l.bell.conn()
	if err == nil {
		_, err = el.Enroll(gnet.NewContext(context.Background(), l), nc)
	}
	if err != nil {
		// A loop without a bell never answers a write: nothing good comes of going on (R7).
		panic(fmt.Sprintf("net: event loop %d cannot have its bell: %v", l.index, err))
	}
	l.hung.Store(true)
}

// forget counts a connection out.
func (e *Engine) forget(c *Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	from := c.remote.Addr()
	if e.byAddr[from]--; e.byAddr[from] == 0 {
		delete(e.byAddr, from)
	}
	e.total--
}

// OnTraffic is gnet's: bytes of a connection, or the bell.
func (e *Engine) OnTraffic(g gnet.Conn) gnet.Action {
	b, _ := g.Next(-1)
	switch ctx := g.Context().(type) {
	case *Conn:
		ctx.loop.received(ctx, b)
	case *Loop:
		ctx.rung()
	}
	return gnet.None
}

// OnClose is gnet's: the peer has closed, the socket failed, or we closed it ourselves.
func (e *Engine) OnClose(g gnet.Conn, _ error) gnet.Action {
	c, ok := g.Context().(*Conn)
	if !ok || c.parked {
		return gnet.None
	}
	c.loop.gone(c)
	return gnet.None
}

// park takes a connection's descriptor away from its loop. gnet cannot stop reading a socket, so the
// descriptor is duplicated and gnet's own is closed; the kernel's window does the rest.
func (l *Loop) park(c *Conn) {
	g, ok := c.tr.(gnetConn)
	if !ok || c.parked {
		return
	}
	fd, err := g.Dup()
	if err != nil {
		l.stats.Cut++
		c.Cut()
		return
	}
	l.stats.Parked++
	c.parked = true
	c.tr = &parkedSocket{fd: fd}
	l.engine.mu.Lock()
	l.engine.parked[c] = fd
	l.engine.mu.Unlock()
	_ = g.EventLoop().Close(g.Conn)
}

// unpark brings a parked connection back to its loop; OnOpen calls returned when it is there.
func (e *Engine) unpark(c *Conn) {
	p, ok := c.tr.(*parkedSocket)
	if !ok || p.returning {
		return
	}
	p.returning = true
	e.mu.Lock()
	delete(e.parked, c)
	el := e.eventLoop(c.loop)
	e.mu.Unlock()
	f := os.NewFile(uintptr(p.fd), "parked")
	nc, err := net.FileConn(f) // duplicates; gnet duplicates once more and closes this one
	_ = f.Close()
	if err == nil {
		_, err = el.Enroll(gnet.NewContext(context.Background(), c), nc)
	}
	if err != nil {
		p.fd = -1
		c.Cut()
	}
}

func (e *Engine) eventLoop(l *Loop) gnet.EventLoop {
	for el, ours := range e.byLoop {
		if ours == l {
			return el
		}
	}
	return nil
}

// returned ties a parked connection to its new descriptor.
func (e *Engine) returned(c *Conn, g gnet.Conn) gnet.Action {
	if c.phase == phaseClosed {
		return gnet.Close
	}
	p := c.tr.(*parkedSocket)
	c.tr, c.parked = gnetConn{g}, false
	if len(p.unsent) > 0 {
		_, _ = c.tr.Write(p.unsent)
	}
	c.serveAgain()
	c.loop.endTurn()
	return gnet.None
}

// dropParked lets a parked connection's descriptor go.
func (e *Engine) dropParked(c *Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.parked, c)
}

// shutdownWrite closes our half of a connection: the peer reads everything and then the end.
func (l *Loop) shutdownWrite(c *Conn) {
	if h, ok := c.tr.(halfCloser); ok {
		_ = h.ShutdownWrite()
		return
	}
	c.Cut()
}

// halfCloser is a Transport that can close our half alone.
type halfCloser interface{ ShutdownWrite() error }

// gnetConn is the Transport of a connection on its loop.
type gnetConn struct{ gnet.Conn }

func (g gnetConn) ShutdownWrite() error { return unix.Shutdown(g.Fd(), unix.SHUT_WR) }

// Close closes at once: gnet's own Close would go through its queue, and allocate.
func (g gnetConn) Close() error {
	if err := g.EventLoop().Close(g.Conn); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// parkedSocket is the Transport of a parked connection: replies still leave, nothing is read.
type parkedSocket struct {
	fd        int
	unsent    []byte
	returning bool
}

func (p *parkedSocket) Write(b []byte) (int, error) {
	p.push()
	n := 0
	if len(p.unsent) == 0 && !p.returning {
		var err error
		if n, err = unix.Write(p.fd, b); err != nil {
			n = 0
			if err != unix.EAGAIN && err != unix.EINTR {
				return 0, err
			}
		}
	}
	p.unsent = append(p.unsent, b[n:]...)
	return len(b), nil
}

// push sends what waits, as far as the socket takes it. No poller watches a parked socket, so it is
// called now and then. Errors are found when the descriptor is back on its loop.
func (p *parkedSocket) push() {
	if len(p.unsent) == 0 || p.returning {
		return
	}
	if n, err := unix.Write(p.fd, p.unsent); err == nil {
		p.unsent = slices.Delete(p.unsent, 0, n)
	}
}

func (p *parkedSocket) OutboundBuffered() int { return len(p.unsent) }

func (p *parkedSocket) Close() error {
	if p.returning {
		return nil // the descriptor is on its way back; returned closes it
	}
	return unix.Close(p.fd)
}

// gnetLog lets gnet's warnings and errors into our log; its chatter stays out.
type gnetLog struct{ log *slog.Logger }

func (g gnetLog) Debugf(string, ...any) {}
func (g gnetLog) Infof(string, ...any)  {}
func (g gnetLog) Warnf(format string, a ...any) {
	g.log.Warn("gnet", "text", fmt.Sprintf(format, a...))
}
func (g gnetLog) Errorf(format string, a ...any) {
	g.log.Warn("gnet", "text", fmt.Sprintf(format, a...))
}
func (g gnetLog) Fatalf(format string, a ...any) {
	g.log.Error("gnet", "text", fmt.Sprintf(format, a...))
}
