package bench

import "paddock/wire"

// fanout measures watches: the loop's first connection changes one node, all others watch it. Rounds
// follow each other: the next change is written when every watcher has its event, and has its watch
// again where it has to set it anew.
type fanout struct {
	change, arm template
	rearm       bool // watches are one-time

	replies int   // answers that the round still waits for
	events  int   // events that it still waits for
	at      int64 // when its change was written
	left    int64 // rounds still to do in the window; unlimited: no such number
}

func newFanout(o *Options) *fanout {
	f := &fanout{rearm: o.Rearm, left: unlimited}
	if o.Count > 0 {
		f.left = o.Count
	}
	path := names{o.Root}.watched()
	f.change = setTemplate(path, value(o.ValueBytes))
	add := wire.AddWatchRequest{Path: []byte(path), Mode: wire.AddWatchPersistent}
	f.arm = newTemplate(kindArm, wire.OpAddWatch, add.Append)
	if o.Rearm {
		f.arm = readTemplate(kindArm, wire.OpGetData, path, true)
	}
	return f
}

// begin sets the watches; when all are set, the first round begins.
func (f *fanout) begin(l *loop) {
	f.replies = 0
	for _, c := range l.conns[1:] {
		f.send(l, c, &f.arm)
	}
}

func (f *fanout) send(l *loop, c *conn, t *template) {
	c.out, _ = t.append(c.out, xid(c.tail))
	l.push(c, t.kind, l.now)
	f.replies++
	l.touch(c)
}

// reply is called for each answer, in order.
func (f *fanout) reply(l *loop) {
	f.replies--
	f.next(l)
}

// event is called when c is told.
func (f *fanout) event(l *loop, c *conn) {
	l.inflight--
	f.events--
	l.rec.event(kindEvent, f.at, l.now)
	if f.events == 0 {
		l.rec.event(kindAll, f.at, l.now)
	}
	if f.rearm {
		f.send(l, c, &f.arm)
	}
	f.next(l)
}

// next begins a round if the one before is complete.
func (f *fanout) next(l *loop) {
	if f.replies > 0 || f.events > 0 {
		return
	}
	f.at = l.clock.now()
	counts := f.left != unlimited && l.rec.inWindow(f.at)
	if counts && f.left == 0 {
		l.dry = true
	}
	if !l.sending() {
		return
	}
	if counts {
		f.left--
	}
	f.events = len(l.conns) - 1
	l.inflight += f.events
	f.send(l, l.conns[0], &f.change)
}

// end gives up the events that did not come.
func (f *fanout) end(l *loop) {
	for ; f.events > 0; f.events-- {
		l.giveUp(f.at)
	}
}
