package runner

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"paddock/zab"
)

// The quorum port: who comes in, and how we get out.

const bindPauseMS = 1000 // between two tries to bind

// listen binds the addresses of our own line in the view. Only a participant can be asked to lead, so
// nobody else listens.
func (r *Runner) listen(ctx context.Context) error {
	for _, addr := range r.ownAddresses() {
		l, err := r.bind(ctx, addr)
		if err != nil {
			return fmt.Errorf("runner: quorum port: %w", err)
		}
		r.listeners = append(r.listeners, l)
		r.bound = append(r.bound, addr)
	}
	for _, l := range r.listeners {
		r.tasks.Add(1)
		go r.accept(l)
	}
	return nil
}

// ownAddresses returns what to bind, each once.
func (r *Runner) ownAddresses() []string {
	me := r.peer.View().Member(r.cfg.Peer.ID)
	if me == nil || me.Role == zab.Observer {
		return nil
	}
	var addrs []string
	seen := map[string]bool{}
	for _, p := range me.Peers {
		addr := p.Quorum().String()
		if r.cfg.ListenOnAllIPs {
			addr = ":" + strconv.Itoa(p.QuorumPort)
		}
		if !seen[addr] {
			addrs, seen[addr] = append(addrs, addr), true
		}
	}
	return addrs
}

// relisten binds the addresses that a new configuration gives us. What was bound stays: others may still
// come by the old ones. Where that fails we cannot lead, and say so.
func (r *Runner) relisten() {
	var more []string
	for _, addr := range r.ownAddresses() {
		if !slices.Contains(r.bound, addr) {
			more, r.bound = append(more, addr), append(r.bound, addr)
		}
	}
	if len(more) == 0 {
		return
	}
	r.tasks.Add(1)
	go func() {
		defer r.tasks.Done()
		for _, addr := range more {
			l, err := r.bind(r.ctx, addr)
			if err != nil {
				r.log.Error("cannot listen where the new configuration says", "addr", addr, "err", err)
				continue
			}
			r.add(l)
		}
	}()
}

// add accepts at one listener more, unless the runner ends.
func (r *Runner) add(l net.Listener) {
	r.openMu.Lock()
	defer r.openMu.Unlock()
	if r.closing {
		l.Close()
		return
	}
	r.listeners = append(r.listeners, l)
	r.tasks.Add(1)
	go r.accept(l)
}

// bind binds one address. A server that was started again may have to wait for what it was before.
func (r *Runner) bind(ctx context.Context, addr string) (net.Listener, error) {
	for try := 1; ; try++ {
		l, err := r.cfg.Listen(ctx, addr)
		if err == nil || try >= r.cfg.BindTries {
			return l, err
		}
		r.log.Warn("the quorum port is not free", "addr", addr, "try", try, "err", err)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(bindPauseMS * time.Millisecond):
		}
	}
}

// accept is the goroutine of a listener.
func (r *Runner) accept(l net.Listener) {
	defer r.tasks.Done()
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			r.admit(conn)
		case errors.Is(err, net.ErrClosed):
			return
		default: // out of descriptors, for one
			r.once.warn(r.log, "accept", "cannot accept on the quorum port", "err", err)
			select {
			case <-r.ctx.Done():
				return
			case <-time.After(acceptPauseMS * time.Millisecond):
			}
		}
	}
}

const acceptPauseMS = 100

// admit begins a link with whoever has connected. The machine hears of it with its first packet: until
// then it is a stranger, and of those there are only so many.
func (r *Runner) admit(conn net.Conn) {
	l := r.newLink(conn, false)
	err := errTooMany
	if r.strangers.Load() < int64(r.cfg.MaxStrangers) {
		r.strangers.Add(1)
		l.stranger.Store(true)
		err = r.opened(l, r.cfg.MaxLinks)
	}
	if err != nil {
		l.known()
		conn.Close()
		host, _, _ := net.SplitHostPort(l.status.Remote)
		r.once.warn(r.log, "full "+host, "refuses a connection to the quorum port", "remote", host, "err", err)
	}
}

// dial connects to the quorum port of a server, in a goroutine. Its addresses are resolved each time and
// tried all at once; the first connection counts.
func (r *Runner) dial(to zab.ServerID) {
	r.stopDial()
	ctx, cancel := context.WithTimeout(r.ctx, time.Duration(r.cfg.DialMS)*time.Millisecond)
	r.cancelDial = cancel
	r.dialing = fmt.Sprintf("dial %d", to)
	id, m := r.dials, r.member(to)
	r.tasks.Add(1)
	go func() {
		defer r.tasks.Done()
		defer cancel()
		conn, err := r.connect(ctx, to, m)
		ev := zab.Event{Kind: zab.EventDialed}
		if err != nil {
			ev.Kind = zab.EventDialFailed
		}
		if !r.box.post(letter{ev: ev, conn: conn, dial: id, err: err}) && conn != nil {
			conn.Close()
		}
	}()
}

// stopDial forgets the dial that is under way.
func (r *Runner) stopDial() {
	if r.cancelDial != nil {
		r.cancelDial()
		r.cancelDial = nil
	}
	r.dialing = ""
	r.dials++
}

// member returns what the configurations say of a server; nil is nothing. Views do not change.
func (r *Runner) member(id zab.ServerID) *zab.Member {
	if m := r.peer.View().Member(id); m != nil {
		return m
	}
	return r.peer.LastSeen().Member(id)
}

func (r *Runner) connect(ctx context.Context, to zab.ServerID, m *zab.Member) (net.Conn, error) {
	if m == nil {
		return nil, fmt.Errorf("server %d is not in the view", to)
	}
	return r.race(ctx, m.Peers)
}

// race dials all addresses at once and returns the first connection; the error is of the last to fail.
func (r *Runner) race(ctx context.Context, addrs []zab.PeerAddr) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		conn net.Conn
		err  error
	}
	results := make(chan result, len(addrs))
	for _, a := range addrs {
		go func() {
			conn, err := r.cfg.Dial(ctx, a.Quorum().String())
			results <- result{conn, err}
		}()
	}
	var first net.Conn
	var failed error
	for range addrs { // all of them: nobody outlives this call
		switch got := <-results; {
		case got.err != nil:
			failed = got.err
		case first == nil:
			first = got.conn
			cancel()
		default:
			got.conn.Close()
		}
	}
	if first != nil {
		return first, nil
	}
	return nil, failed
}

// dialTCP is the default of Config.Dial.
func dialTCP(ctx context.Context, addr string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
}

// listenTCP is the default of Config.Listen.
func listenTCP(ctx context.Context, addr string) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
}
