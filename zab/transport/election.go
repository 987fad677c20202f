package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"paddock/wire"
	"paddock/zab"
)

// Config is what an election port needs to know. Fields without a default have to be set.
type Config struct {
	ID    zab.ServerID
	Addrs []zab.Addr // our own: to listen on, and to be called back at
	View  *zab.View  // where the others are; see SetViews

	// Receive is called with each vote, from several goroutines, those of one sender in order. What it
	// gets is its own. While it waits, its sender does.
	Receive func(from zab.ServerID, note wire.Notification)

	AllIPs       bool // quorumListenOnAllIPs: listen on the ports of Addrs on all addresses of this host
	MultiAddress bool // multiAddress.enabled: greet with all of Addrs, which servers before 3.6 do not understand

	// BindRetries is how often, a second apart, a port is tried that cannot be bound; below 0: for ever,
	// 0: 3 times (electionPortBindRetry, which says "for ever" with 0).
	BindRetries int
	// DialTimeout bounds a dial and a write; 0: 5 s (zookeeper.cnxTimeout).
	DialTimeout time.Duration
	// GreetingTimeout bounds the wait for a greeting; 0: 5 s (zookeeper.quorumCnxnTimeoutMs).
	GreetingTimeout time.Duration

	Log *slog.Logger // nil: none

	// Listen and Dial replace those of package net, where they are not nil. Dial resolves the address
	// each time.
	Listen func(ctx context.Context, network, address string) (net.Listener, error)
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
}

// Bounds of what strangers may cost us, and pauses.
const (
	maxGreetings  = 64   // connections that have not greeted yet
	maxStrangers  = 256  // peers that are in no view
	maxComplaints = 1000 // peers that we have logged something about
	bindPause     = time.Second
	minPause      = 100 * time.Millisecond // between two dials of one peer; doubles
	maxPause      = time.Second
)

// Election is the election port. Its methods may be called from anywhere; Close not from Receive.
type Election struct {
	cfg      Config
	greeting []byte
	log      *slog.Logger
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	tasks    sync.WaitGroup // all goroutines
	greeters chan struct{}  // a place for each connection that has not greeted

	mu        sync.Mutex // nothing waits under it
	closed    bool
	views     []*zab.View // committed first
	peers     map[zab.ServerID]*peer
	listeners []net.Listener
	sockets   map[net.Conn]struct{} // that are open and belong to no peer
	nameless  zab.ServerID          // the last name given to an observer without an id
	complains map[string]struct{}
}

// Listen opens the port. It waits while the port cannot be bound, up to BindRetries and until ctx ends.
func Listen(ctx context.Context, cfg Config) (*Election, error) {
	cfg.BindRetries = cmp.Or(cfg.BindRetries, 3)
	cfg.DialTimeout = cmp.Or(cfg.DialTimeout, 5*time.Second)
	cfg.GreetingTimeout = cmp.Or(cfg.GreetingTimeout, 5*time.Second)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Listen == nil {
		cfg.Listen = (&net.ListenConfig{}).Listen
	}
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{}).DialContext
	}
	greeting, err := greetingOf(&cfg)
	if err != nil {
		return nil, err
	}
	e := &Election{
		cfg: cfg, greeting: greeting, log: cfg.Log, greeters: make(chan struct{}, maxGreetings),
		views: []*zab.View{cfg.View}, peers: make(map[zab.ServerID]*peer),
		sockets: make(map[net.Conn]struct{}), complains: make(map[string]struct{}),
	}
	for _, a := range listenOn(&cfg) {
		l, err := bind(ctx, &e.cfg, a)
		if err != nil {
			for _, l := range e.listeners {
				l.Close()
			}
			return nil, err
		}
		e.listeners = append(e.listeners, l)
	}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	for _, l := range e.listeners {
		e.tasks.Go(func() { e.accept(l) })
	}
	return e, nil
}

// greetingOf returns what we begin each connection with.
func greetingOf(cfg *Config) ([]byte, error) {
	if len(cfg.Addrs) == 0 {
		return nil, errors.New("transport: a server needs an election address")
	}
	g := wire.Greeting{Version: wire.GreetingV1, ServerID: int64(cfg.ID)}
	addrs := cfg.Addrs[:1]
	if cfg.MultiAddress {
		g.Version, addrs = wire.GreetingV2, cfg.Addrs
	}
	for _, a := range addrs {
		g.Addrs = wire.AppendAddr(g.Addrs, a.Host, uint16(a.Port))
	}
	if len(g.Addrs) > wire.MaxGreetingAddrs {
		return nil, fmt.Errorf("transport: the election addresses take %d bytes, more than %d", len(g.Addrs), wire.MaxGreetingAddrs)
	}
	return g.Append(nil), nil
}

func listenOn(cfg *Config) []string {
	var on []string
	for _, a := range cfg.Addrs {
		if cfg.AllIPs {
			a.Host = ""
		}
		if s := a.String(); !slices.Contains(on, s) {
			on = append(on, s)
		}
	}
	return on
}

// bind resolves and binds the address, again and again: after a restart the old process may still have it,
// and a name may not be known yet.
func bind(ctx context.Context, cfg *Config, addr string) (net.Listener, error) {
	for try := 1; ; try++ {
		l, err := cfg.Listen(ctx, "tcp", addr)
		if err == nil {
			return l, nil
		}
		if cfg.BindRetries > 0 && try >= cfg.BindRetries {
			return nil, fmt.Errorf("transport: election port: %w (after %d tries)", err, try)
		}
		cfg.Log.Warn("cannot bind the election port yet", "addr", addr, "err", err)
		if !sleep(ctx, bindPause) {
			return nil, fmt.Errorf("transport: election port: %w", err)
		}
	}
}

// sleep waits, and says whether it was not disturbed.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// SetViews tells where the others are from now on: in the committed view, and in the proposed one, which
// may be nil. Where they differ, both addresses are tried. Connections stay as they are.
func (e *Election) SetViews(committed, proposed *zab.View) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.views = []*zab.View{committed}
	if proposed != nil {
		e.views = append(e.views, proposed)
	}
	for _, p := range e.peers {
		p.forget()
	}
}

// Addr returns where we listen.
func (e *Election) Addr() net.Addr { return e.listeners[0].Addr() }

// Send sends a vote, when there is a connection to that server, and dials where there is none. It replaces
// a vote that has not been sent yet, and never waits. Nothing is sent to ourselves, nor to servers that
// have no address and no connection.
func (e *Election) Send(to zab.ServerID, note wire.Notification) {
	if to == e.cfg.ID {
		return
	}
	frame, mark := wire.BeginFrame(nil)
	frame = wire.EndFrame(note.Append(frame), mark)
	if len(frame)-4 > wire.MaxMessage {
		return // nobody would read it; a view's text is bounded so that this cannot be
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	addrs := e.configured(to)
	p := e.peers[to]
	if p == nil && len(addrs) > 0 && !e.closed {
		p = e.add(to)
	}
	if p == nil {
		return
	}
	p.pending = frame
	if p.conn != nil {
		p.conn.wake()
		return
	}
	p.dial(addrs)
}

// configured returns the addresses that the views have of a server. e.mu is held.
func (e *Election) configured(id zab.ServerID) []zab.Addr {
	var addrs []zab.Addr
	for _, v := range e.views {
		m := v.Member(id)
		if m == nil {
			continue
		}
		for _, p := range m.Peers {
			if a := p.Election(); !slices.Contains(addrs, a) {
				addrs = append(addrs, a)
			}
		}
	}
	return addrs
}

// add makes a peer. e.mu is held.
func (e *Election) add(id zab.ServerID) *peer {
	p := &peer{e: e, id: id}
	e.peers[id] = p
	return p
}

// Close closes the port and all connections, and returns when nobody works for it any more.
func (e *Election) Close() {
	e.mu.Lock()
	e.closed = true
	e.cancel()
	for _, l := range e.listeners {
		l.Close()
	}
	for s := range e.sockets {
		s.Close()
	}
	for _, p := range e.peers {
		if p.conn != nil {
			p.conn.close()
		}
	}
	e.mu.Unlock()
	e.tasks.Wait()
}

// own makes a socket one that Close closes, and says whether there is still somebody to own it.
func (e *Election) own(s net.Conn) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		s.Close()
		return false
	}
	e.sockets[s] = struct{}{}
	return true
}

// disown gives a socket up, and closes it unless it has become a peer's.
func (e *Election) disown(s net.Conn, kept bool) {
	e.mu.Lock()
	delete(e.sockets, s)
	e.mu.Unlock()
	if !kept {
		s.Close()
	}
}

// complain logs something that a peer may repeat as often as it likes, once.
func (e *Election) complain(about, text string, err error) {
	e.mu.Lock()
	_, known := e.complains[about]
	if !known && len(e.complains) < maxComplaints {
		e.complains[about] = struct{}{}
	} else {
		known = true
	}
	e.mu.Unlock()
	if !known {
		e.log.Warn(text, "peer", about, "err", err)
	}
}

// accept takes connections until Close. Whatever Accept says, it goes on: a host that is out of
// descriptors now will not be for ever.
func (e *Election) accept(l net.Listener) {
	pause := minPause
	for {
		s, err := l.Accept()
		if e.ctx.Err() != nil {
			if err == nil {
				s.Close()
			}
			return
		}
		if err != nil {
			e.log.Warn("election port: accept", "err", err)
			sleep(e.ctx, pause)
			pause = min(2*pause, maxPause)
			continue
		}
		pause = minPause
		select {
		case e.greeters <- struct{}{}:
			e.tasks.Go(func() {
				e.greeted(s)
				<-e.greeters
			})
		default:
			s.Close() // who means it comes again
		}
	}
}

// greeted reads the greeting of whoever has opened a connection to us, and does what the rules say.
func (e *Election) greeted(s net.Conn) {
	if !e.own(s) {
		return
	}
	kept := false
	defer func() { e.disown(s, kept) }()
	tune(s)
	g, rest, err := e.readGreeting(s)
	if err != nil {
		if !errors.Is(err, net.ErrClosed) {
			e.complain(hostOf(s), "election port: no greeting", err)
		}
		return
	}
	id, callBack, err := e.caller(&g)
	if err != nil {
		e.complain(hostOf(s), "election port: a greeting that cannot be", err)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	p := e.peers[id]
	if p == nil {
		if p = e.stranger(id); p == nil {
			return
		}
	}
	if id >= 0 && id < e.cfg.ID {
		p.knocked(callBack)
		return
	}
	p.keep(s, rest)
	kept = true
}

// readGreeting reads a greeting, and what came behind it in the same segment.
func (e *Election) readGreeting(s net.Conn) (g wire.Greeting, rest []byte, err error) {
	if err := s.SetReadDeadline(time.Now().Add(e.cfg.GreetingTimeout)); err != nil {
		return g, nil, err
	}
	buf := make([]byte, 0, 4096) // more than a greeting takes
	for {
		g, n, err := wire.NextGreeting(buf)
		if err != nil {
			return g, nil, err
		}
		if n > 0 {
			return g, buf[n:], s.SetReadDeadline(time.Time{})
		}
		m, err := s.Read(buf[len(buf):cap(buf)])
		if buf = buf[:len(buf)+m]; m == 0 && err != nil {
			return g, nil, err
		}
	}
}

// caller says who has greeted, and where to call back: at the addresses of the greeting that mean
// anything here.
func (e *Election) caller(g *wire.Greeting) (id zab.ServerID, callBack []zab.Addr, err error) {
	switch id = zab.ServerID(g.ServerID); {
	case g.ServerID == wire.ObserverWithoutID:
		e.mu.Lock()
		e.nameless--
		id = e.nameless
		e.mu.Unlock()
	case id < 0:
		return 0, nil, fmt.Errorf("server id %d", id)
	case id == e.cfg.ID:
		return 0, nil, fmt.Errorf("server id %d, which is ours: two servers have the same myid", id)
	}
	for it := g.Addrs.Iter(); it.Next(); {
		if !it.Wildcard() {
			callBack = append(callBack, zab.Addr{Host: string(it.Host()), Port: int(it.Port())})
		}
	}
	return id, callBack, nil
}

// stranger makes a peer of somebody whom we have no peer for, unless there are too many that are in no
// view. e.mu is held.
func (e *Election) stranger(id zab.ServerID) *peer {
	if len(e.configured(id)) > 0 {
		return e.add(id)
	}
	strangers := 0
	for other := range e.peers {
		if len(e.configured(other)) == 0 {
			strangers++
		}
	}
	if strangers >= maxStrangers {
		return nil
	}
	return e.add(id)
}

func hostOf(s net.Conn) string {
	host, _, err := net.SplitHostPort(s.RemoteAddr().String())
	if err != nil {
		return s.RemoteAddr().String()
	}
	return host
}
