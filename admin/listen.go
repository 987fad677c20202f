package admin

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	readTimeout  = 10 * time.Second // of a whole request
	writeTimeout = time.Minute      // of a whole answer: a long dump over a thin line
	// maxConns is how many connections a port takes; one more is closed at once (bounded).
	maxConns       = 256
	maxHeaderBytes = 16 << 10
)

func (a *Admin) newHTTPServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       a.cfg.IdleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          log.New(io.Discard, "", 0), // what clients do wrong is theirs
	}
}

// serve binds addr now, or later if it is taken, and serves h there until Close.
func (a *Admin) serve(h *http.Server, what, addr string) {
	now, err := net.Listen("tcp", addr)
	if err != nil {
		a.log.Warn(what+": cannot listen; will try again", "addr", addr, "err", err, "every", a.retry)
	} else {
		a.bound(h, now)
	}
	a.running.Go(func() {
		l := now
		if l == nil {
			if l = a.bindLater(addr); l == nil {
				return // closed meanwhile
			}
			a.bound(h, l)
		}
		a.accept(h, what, l)
	})
}

// bindLater tries until it succeeds, or until Close: then it returns nil.
func (a *Admin) bindLater(addr string) net.Listener {
	t := time.NewTicker(a.retry)
	defer t.Stop()
	for {
		select {
		case <-a.ctx.Done():
			return nil
		case <-t.C:
		}
		if l, err := net.Listen("tcp", addr); err == nil {
			return l
		}
	}
}

func (a *Admin) bound(h *http.Server, l net.Listener) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.addrs[h] = l.Addr()
}

func (a *Admin) accept(h *http.Server, what string, l net.Listener) {
	a.log.Info(what+": listening", "addr", l.Addr().String())
	err := h.Serve(&limitedListener{Listener: l, free: make(chan struct{}, maxConns)})
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		a.log.Error(what+": no longer listening", "addr", l.Addr().String(), "err", err)
	}
}

// limitedListener closes connections beyond the capacity of free.
type limitedListener struct {
	net.Listener
	free chan struct{}
}

func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.free <- struct{}{}:
			return &limitedConn{Conn: c, release: sync.OnceFunc(func() { <-l.free })}, nil
		default:
			_ = c.Close() // the client sees it; there is nobody else to tell
		}
	}
}

type limitedConn struct {
	net.Conn
	release func()
}

func (c *limitedConn) Close() error {
	c.release()
	return c.Conn.Close()
}
