package znet

import "net/netip"

// Driven is an engine without gnet: no socket, no goroutine, no clock. Whoever has it brings the
// connections and their bytes, has the bells answered and says what time it is. The loops, the
// connections and their limits are those of an Engine.
//
// Parking needs a descriptor: here a connection that is not served keeps its bytes, however many.
type Driven struct{ engine *Engine }

// NewDriven makes the loops. Config.Listen is not looked at.
func NewDriven(cfg Config) *Driven {
	cfg.setDefaults()
	e := newEngine(cfg)
	for i := range cfg.Loops {
		l := &Loop{index: i, cfg: &e.cfg, engine: e}
		l.bell.near, l.bell.far = -1, -1 // rings are seen by Rung alone
		l.hung.Store(true)
		l.handler = cfg.NewHandler(l)
		e.loops = append(e.loops, l)
	}
	if cfg.Ready != nil {
		cfg.Ready()
	}
	return &Driven{e}
}

// Open brings a connection to a loop; nil if a limit refuses it.
func (d *Driven) Open(loop int, tr Transport, remote netip.AddrPort) *Conn {
	e, l := d.engine, d.engine.loops[loop]
	e.mu.Lock()
	ok := e.count(l, remote.Addr())
	e.mu.Unlock()
	if !ok {
		return nil
	}
	c := l.accept(tr, remote)
	l.opened(c)
	return c
}

// Receive is a turn with bytes that the peer has sent. b is not kept.
func (d *Driven) Receive(c *Conn, b []byte) { c.loop.received(c, b) }

// Closed says that the peer has closed, or that the transport has failed.
func (d *Driven) Closed(c *Conn) { c.loop.gone(c) }

// Rung reports whether a loop's bell waits for an answer.
func (d *Driven) Rung(loop int) bool { return d.engine.loops[loop].bell.rung.Load() }

// Answer is the turn of a loop whose bell was rung.
func (d *Driven) Answer(loop int) { d.engine.loops[loop].rung() }

// SetClock sets the time, in ms since some start, and rings the loops that wait for it.
func (d *Driven) SetClock(ms int64) { d.engine.setClock(ms) }
