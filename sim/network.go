package sim

import (
	"slices"

	"paddock/wire"
	"paddock/zab"
	"paddock/zab/runner"
)

// network is between the members of an ensemble. It carries votes, of which a later one takes the place of an
// earlier, and connections, which lose nothing in their middle. A partition holds both up.
type network struct {
	w       *world
	blocked map[[2]int]int // how many partitions are between from and to
	ends    []*end         // of all connections, in the order in which they began
	votes   map[[2]int]*vote
	links   zab.Link
}

// vote is the last notification from one server to another that has not arrived.
type vote struct {
	bytes   []byte // nil: none waits
	waiting bool   // a delivery is on its way
}

func newNetwork(w *world) *network {
	n := &network{w: w, blocked: map[[2]int]int{}, votes: map[[2]int]*vote{}}
	for _, a := range w.hosts {
		for _, b := range w.hosts {
			n.votes[[2]int{a.number, b.number}] = &vote{}
		}
	}
	return n
}

func (n *network) latency() int64 {
	p := &n.w.plan.ensemble
	t := n.w.dice.around(p.latency)
	if n.w.phase == phaseFaults && n.w.dice.chance(p.tail) {
		t *= int64(n.w.dice.log(10, 1000))
	}
	return min(t, 5*second)
}

func (n *network) open(from, to *host) bool { return n.blocked[[2]int{from.number, to.number}] == 0 }

// notify takes the place of a vote that is still on its way.
func (n *network) notify(from *host, to zab.ServerID, note *wire.Notification) {
	if to < 1 || int(to) > len(n.w.hosts) {
		n.w.fail("%snotifies server %d, which does not exist", from.name, to)
		return
	}
	v := n.votes[[2]int{from.number, int(to)}]
	v.bytes = note.Append(nil)
	n.move(from, n.w.hosts[to-1], v)
}

func (n *network) move(from, to *host, v *vote) {
	if v.waiting || v.bytes == nil {
		return
	}
	v.waiting = true
	n.w.after(n.latency(), "vote", func() {
		v.waiting = false
		if v.bytes == nil || !n.open(from, to) {
			return // heal delivers it
		}
		b := v.bytes
		v.bytes = nil
		if to.srv == nil || n.w.phase == phaseFaults && n.w.dice.chance(n.w.plan.ensemble.lostVotes) {
			return
		}
		m := to.member
		m.letter(func() {
			ev := zab.Event{Kind: zab.EventNotification, From: zab.ServerID(from.number)}
			r := wire.NewReader(b)
			if err := ev.Note.Decode(&r); err != nil {
				n.w.fail("%sa notification cannot be read: %v", to.name, err)
				return
			}
			m.step(ev)
		})
	})
}

// healed lets everything move that a partition has held up.
func (n *network) healed() {
	for _, a := range n.w.hosts {
		for _, b := range n.w.hosts {
			if n.open(a, b) {
				n.move(a, b, n.votes[[2]int{a.number, b.number}])
			}
		}
	}
	for _, e := range n.ends {
		if len(e.queue) > 0 {
			n.w.after(n.latency(), "pump", e.pump)
		}
	}
}

// end is one side of a connection of the quorum port.
type end struct {
	h      *host
	member *member // whose it is: a life of the host
	other  *end
	name   zab.Link
	dialed bool
	up     bool // its server believes in it
	broken bool // nothing that is sent from now on arrives

	queue   []piece // sent, and not arrived
	arrives int64   // when the last of them does

	known    bool    // the machine knows of it
	first    []piece // what came before
	until    int64   // it may wait
	receiver runner.Receiver
	snap     wire.Zxid
}

// piece is one of a stream: a packet, the stream behind a SNAP, or the end.
type piece struct {
	at     int64
	packet []byte
	stream []byte
	fin    bool
}

func (e *end) packet(p *wire.Packet) { e.send(piece{packet: p.Append(nil)}) }

// send queues an item behind those that are on their way.
func (e *end) send(it piece) {
	w := e.h.w
	if e.broken {
		w.after(w.net.latency(), "reset", e.lost)
		return
	}
	takes := int64(0)
	if it.stream != nil {
		takes = w.dice.around(w.plan.ensemble.snapshot)
	}
	e.arrives = max(e.arrives, w.now+w.net.latency()) + takes
	it.at = e.arrives
	e.queue = append(e.queue, it)
	w.at(it.at, "pump", e.pump)
}

// pump delivers what has arrived.
func (e *end) pump() {
	w := e.h.w
	for len(e.queue) > 0 && e.queue[0].at <= w.now && w.net.open(e.h, e.other.h) {
		it := e.queue[0]
		e.queue = e.queue[1:]
		e.other.take(it)
	}
}

// take receives an item. What comes for a connection that is gone is answered with a reset, if there is
// anybody to answer.
func (e *end) take(it piece) {
	w := e.h.w
	switch {
	case it.fin:
		e.lost()
	case e.up:
		e.member.letter(func() { e.member.arrived(e, it) })
	case e.h.srv != nil:
		w.after(w.net.latency(), "reset", e.other.lost)
	}
}

// lost tells the server of this side that the connection is gone.
func (e *end) lost() {
	if !e.up {
		return
	}
	e.member.letter(func() {
		if e.up {
			e.drop()
			if e.known {
				e.member.step(zab.Event{Kind: zab.EventLost, Link: e.name})
			}
		}
	})
}

// drop is the end of this side; what it has sent may still arrive.
func (e *end) drop() {
	e.up = false
	e.member.ends = slices.DeleteFunc(e.member.ends, func(o *end) bool { return o == e })
	if !e.other.up {
		n := e.h.w.net
		n.ends = slices.DeleteFunc(n.ends, func(o *end) bool { return o == e || o == e.other })
	}
}

// closes ends this side in order: the other learns of it behind all that was sent.
func (e *end) closes() {
	e.drop()
	e.send(piece{fin: true})
}

// fails ends a connection for something that its own server cannot do; the machine hears of it.
func (e *end) fails() {
	known := e.known
	e.closes()
	if known {
		e.member.letter(func() { e.member.step(zab.Event{Kind: zab.EventLost, Link: e.name}) })
	}
}

// cut breaks a connection in its middle. A side that is not told finds out when it sends.
func (e *end) cut() {
	w := e.h.w
	silent := -1
	if w.dice.chance(w.plan.ensemble.halfOpen) {
		silent = w.dice.IntN(2)
	}
	w.marks["link cut"]++
	w.note("cut of links %d and %d, silent %d", e.name, e.other.name, silent)
	for i, side := range []*end{e, e.other} {
		side.broken = true
		if len(side.queue) > 0 {
			side.queue = side.queue[:w.dice.IntN(len(side.queue))]
		}
		if i != silent {
			w.after(w.net.latency(), "reset", side.lost)
		}
	}
}

// dial connects a server to the quorum port of another; the machine hears of it, or that it was in vain.
func (m *member) dial(to zab.ServerID) {
	w, target := m.h.w, m.h.w.hosts[to-1]
	m.dials++
	token, tries := m.dials, 0
	counts := func() bool { return m.h.member == m && m.h.srv != nil && m.dials == token }
	fails := func() {
		m.letter(func() {
			if counts() {
				m.step(zab.Event{Kind: zab.EventDialFailed})
			}
		})
	}
	var try func()
	try = func() {
		switch tries++; {
		case !counts():
		case target.srv == nil:
			fails()
		case !w.net.open(m.h, target) || !w.net.open(target, m.h):
			if tries > 4 {
				fails()
				return
			}
			w.after(second>>2<<tries, "dial again", try)
		default:
			m.connect(target.member, counts)
		}
	}
	w.after(w.net.latency(), "dial", try)
}

// connect makes a connection between two servers that run.
func (m *member) connect(to *member, counts func() bool) {
	n := m.h.w.net
	a := &end{h: m.h, member: m, name: n.links + 1, dialed: true, up: true}
	b := &end{h: to.h, member: to, name: n.links + 2, up: true}
	n.links += 2
	a.other, b.other = b, a
	n.ends = append(n.ends, a, b)
	m.ends, to.ends = append(m.ends, a), append(to.ends, b)
	m.letter(func() {
		switch {
		case !a.up:
		case !counts():
			a.closes() // the role that wanted it is over
		default:
			m.dials++ // it is done
			a.known = true
			m.step(zab.Event{Kind: zab.EventDialed, Link: a.name})
		}
	})
}
