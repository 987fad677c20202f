package quorum

import (
	"slices"

	"paddock/wire"
	"paddock/zab"
)

// network carries votes, of which a later one takes the place of an earlier, and connections, which
// lose nothing in their middle. A partition holds both up.
type network struct {
	w       *world
	blocked map[[2]zab.ServerID]int // how many partitions are between from and to
	conns   []*conn                 // those that somebody still believes in
	votes   map[[2]zab.ServerID]*vote
	pairs   [][2]zab.ServerID
}

// vote is the last notification from one server to another that has not arrived.
type vote struct {
	bytes   []byte // nil: none waits
	waiting bool   // a delivery is on its way
}

func (n *network) init(w *world) {
	n.w, n.blocked, n.votes = w, map[[2]zab.ServerID]int{}, map[[2]zab.ServerID]*vote{}
	for _, a := range w.servers {
		for _, b := range w.servers {
			pair := [2]zab.ServerID{a.id, b.id}
			n.pairs = append(n.pairs, pair)
			n.votes[pair] = &vote{}
		}
	}
}

// latency draws how long something takes.
func (n *network) latency() int64 {
	t := n.w.dice.around(n.w.plan.latency)
	if !n.w.calm && n.w.dice.chance(n.w.plan.tail) {
		t *= int64(n.w.dice.log(10, 1000))
	}
	return min(t, 5*second)
}

func (n *network) open(from, to zab.ServerID) bool { return n.blocked[[2]zab.ServerID{from, to}] == 0 }

func (w *world) server(id zab.ServerID) *server {
	if id < 1 || int(id) > len(w.servers) {
		return nil
	}
	return w.servers[id-1]
}

// notify takes the place of a vote that is still on its way.
func (n *network) notify(from *server, to zab.ServerID, note *wire.Notification) {
	v := n.votes[[2]zab.ServerID{from.id, to}]
	if v == nil {
		n.w.fail("J-9: server %d notifies %d, which does not exist", from.id, to)
		return
	}
	v.bytes = note.Append(nil)
	if v.waiting {
		return
	}
	v.waiting = true
	n.w.after(n.latency(), func() { n.deliverVote(from, n.w.server(to), v) })
}

func (n *network) deliverVote(from, to *server, v *vote) {
	v.waiting = false
	if v.bytes == nil || !n.open(from.id, to.id) {
		return // heal delivers it
	}
	b := v.bytes
	v.bytes = nil
	if !to.up || !n.w.calm && n.w.dice.chance(n.w.plan.lostVotes) {
		return
	}
	to.post(func() {
		ev := zab.Event{Kind: zab.EventNotification, From: from.id}
		r := wire.NewReader(b)
		if err := ev.Note.Decode(&r); err != nil {
			n.w.fail("J-10: the notification of %d cannot be read: %v", from.id, err)
		}
		to.step(ev)
	})
}

// healed lets everything move that a partition has held up.
func (n *network) healed() {
	for _, pair := range n.pairs {
		if v := n.votes[pair]; v.bytes != nil && !v.waiting && n.open(pair[0], pair[1]) {
			v.waiting = true
			n.w.after(n.latency(), func() { n.deliverVote(n.w.server(pair[0]), n.w.server(pair[1]), v) })
		}
	}
	for _, c := range n.conns {
		for _, e := range c.ends {
			if len(e.queue) > 0 && n.open(e.s.id, e.other.s.id) {
				n.w.after(n.latency(), e.pump)
			}
		}
	}
}

// conn is a connection of the quorum port.
type conn struct {
	ends   [2]*end // of the learner, of the leader
	broken bool    // nothing that is sent from now on arrives
}

// end is one side of a connection: what it has sent and has not arrived, and what the ghost remembers.
type end struct {
	conn    *conn
	s       *server
	other   *end
	name    zab.Link
	up      bool // its server believes in it
	queue   []item
	arrives int64 // when the last item does
	talk    talk  // what was said, for check.go
}

// item is a piece of a stream: a packet, a whole snapshot, or its end.
type item struct {
	at    int64
	bytes []byte
	snap  *txn
	fin   bool
}

// connect makes a connection between two servers that run.
func (n *network) connect(from, to *server) {
	c, rests := &conn{}, from.rests
	for i, s := range []*server{from, to} {
		n.w.lastLink++
		c.ends[i] = &end{conn: c, s: s, name: n.w.lastLink, up: true}
		s.ends = append(s.ends, c.ends[i])
	}
	c.ends[0].other, c.ends[1].other = c.ends[1], c.ends[0]
	n.conns = append(n.conns, c)
	dialer, accepted := c.ends[0], c.ends[1]
	from.post(func() {
		switch {
		case dialer.up && from.rests != rests:
			dialer.closes() // the role that wanted it is over
		case dialer.up:
			from.step(zab.Event{Kind: zab.EventDialed, Link: dialer.name})
		}
	})
	to.post(func() {
		if accepted.up {
			to.step(zab.Event{Kind: zab.EventAccepted, Link: accepted.name})
		}
	})
}

// send queues an item behind those that are on their way.
func (e *end) send(it item, takes int64) {
	w := e.s.w
	if e.conn.broken {
		w.after(w.net.latency(), e.lost)
		return
	}
	e.arrives = max(e.arrives, w.now+w.net.latency()) + takes
	it.at = e.arrives
	e.queue = append(e.queue, it)
	w.after(it.at-w.now, e.pump)
}

// pump delivers what has arrived.
func (e *end) pump() {
	w := e.s.w
	for len(e.queue) > 0 && e.queue[0].at <= w.now && w.net.open(e.s.id, e.other.s.id) {
		it := e.queue[0]
		e.queue = e.queue[1:]
		e.other.take(it)
	}
}

// take receives an item. What comes for a connection that is gone is answered with a reset, if there is
// anybody to answer.
func (e *end) take(it item) {
	w := e.s.w
	switch {
	case !e.up && e.s.up && !it.fin:
		w.after(w.net.latency(), e.other.lost)
	case it.fin:
		w.after(0, e.lost)
	case e.up:
		e.s.post(func() {
			if e.up {
				e.s.heard[e.other.s.id] = w.now
				e.s.receive(e, it)
			}
		})
	}
}

// lost tells the server of this side that the connection is gone.
func (e *end) lost() {
	if !e.up {
		return
	}
	e.s.post(func() {
		if e.up {
			if t := &e.conn.ends[1].talk; t.how != 0 && !t.upToDate {
				e.s.w.hit(markLostDuringSync)
			}
			e.drop()
			e.s.step(zab.Event{Kind: zab.EventLost, Link: e.name})
		}
	})
}

// drop is the end of this side; what it has sent may still arrive.
func (e *end) drop() {
	e.up = false
	e.s.ends = slices.DeleteFunc(e.s.ends, func(o *end) bool { return o == e })
	if !e.other.up {
		n := &e.s.w.net
		n.conns = slices.DeleteFunc(n.conns, func(c *conn) bool { return c == e.conn })
	}
}

// closes ends this side in order: the other side learns of it behind all that was sent, or at once if it
// was reset.
func (e *end) closes() {
	w := e.s.w
	e.drop()
	if w.dice.chance(0.3) {
		e.forget()
	}
	e.send(item{fin: true}, 0)
}

// fails ends a connection for something that its own server cannot do; the machine hears of it.
func (e *end) fails() {
	s, life := e.s, e.s.life
	e.closes()
	s.w.after(1, func() {
		if s.life == life {
			s.post(func() { s.step(zab.Event{Kind: zab.EventLost, Link: e.name}) })
		}
	})
}

// forget loses the end of what is on its way.
func (e *end) forget() {
	if len(e.queue) > 0 {
		e.queue = e.queue[:e.s.w.dice.IntN(len(e.queue))]
	}
}

// cut breaks the connection in its middle. A side that is not told finds out when it sends.
func (c *conn) cut() {
	w := c.ends[0].s.w
	w.hit(markCut)
	c.broken = true
	silent := -1
	if w.dice.chance(w.plan.halfOpen) {
		silent = w.dice.IntN(2)
		w.hit(markHalfOpen)
	}
	w.say(nil, "cut link %d and %d, silent %d", int64(c.ends[0].name), int64(c.ends[1].name), int64(silent))
	for i, e := range c.ends {
		e.forget()
		if i != silent {
			w.after(w.net.latency(), e.lost)
		}
	}
}

// dial connects a server to the quorum port of another; the machine hears of it, or not.
func (s *server) dial(to zab.ServerID) {
	w := s.w
	s.dialing++
	token, life := s.dialing, s.life
	target := w.server(to)
	fails := func(after int64) {
		w.after(after, func() {
			if s.life == life && s.dialing == token {
				s.post(func() {
					if s.dialing == token {
						s.step(zab.Event{Kind: zab.EventDialFailed})
					}
				})
			}
		})
	}
	if !w.calm && w.dice.chance(w.plan.hangs) {
		w.hit(markHungDial)
		fails(w.dice.around(2 * second))
		return
	}
	tries := 0
	var try func()
	try = func() {
		if s.life != life || s.dialing != token {
			return
		}
		switch tries++; {
		case target == nil || !target.up || !w.calm && w.dice.chance(w.plan.refuses):
			w.hit(markRefusedDial)
			fails(0)
		case !w.net.open(s.id, to) || !w.net.open(to, s.id):
			if tries > 4 {
				fails(0)
				return
			}
			w.after(second>>2<<tries, try)
		default:
			s.dialing++ // it is over
			w.net.connect(s, target)
		}
	}
	w.after(w.net.latency(), try)
}
