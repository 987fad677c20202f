package quorum

import (
	"encoding/binary"
	"slices"

	"paddock/wire"
	"paddock/zab"
)

// clients are those of all servers. A write is a value that nobody else writes; a sync is answered when
// its server shows all that any client was told before it was asked.
type clients struct {
	w     *world
	value uint64
	last  []*call // of the second phase
}

// call is what one client waits for.
type call struct {
	s     *server
	rests int // of the server, when it was asked: it forgets its calls with its role
	value uint64
	floor *txn // a sync has to show this
	needs int  // answered when so much is applied
	done  bool
}

func (c *clients) start(w *world) {
	c.w = w
	w.every(w.plan.writeGap, func() {
		if int(c.value) < w.plan.writes {
			c.write(c.pick(), w.dice.between(1, w.plan.burst))
		}
	})
	w.every(w.plan.syncGap, func() { c.sync(c.pick()) })
}

// pick returns a server that is to be asked: the leader, or anybody.
func (c *clients) pick() *server {
	w := c.w
	if w.dice.chance(w.plan.anywhere) {
		return w.servers[w.dice.IntN(len(w.servers))]
	}
	var leaders []*server // several may think so
	for _, s := range w.servers {
		if s.up && s.leading != 0 {
			leaders = append(leaders, s)
		}
	}
	if len(leaders) == 0 {
		return w.servers[w.dice.IntN(len(w.servers))]
	}
	return leaders[w.dice.IntN(len(leaders))]
}

// ready says whether a server takes requests.
func (s *server) ready() bool {
	return s.up && s.serving != 0 && s.pausedUntil <= s.w.now && len(s.inbox) == 0
}

// write asks a server for n writes.
func (c *clients) write(s *server, n int) []*call {
	if !s.ready() {
		return nil
	}
	var calls []*call
	var values []uint64
	for range n {
		c.value++
		call := &call{s: s, rests: s.rests, value: c.value}
		s.writes[c.value] = call
		calls, values = append(calls, call), append(values, c.value)
	}
	if s.leading != 0 {
		s.propose(values...)
		return calls
	}
	for _, v := range values {
		s.forward(wire.OpSetData, binary.BigEndian.AppendUint64(nil, v))
	}
	return calls
}

// sync asks a server for what all others have seen.
func (c *clients) sync(s *server) *call {
	if !s.ready() {
		return nil
	}
	call := &call{s: s, rests: s.rests, floor: c.w.ghost.answered}
	if s.leading != 0 {
		s.lastToken++
		s.tokens[s.lastToken] = call
		s.step(zab.Event{Kind: zab.EventSync, Token: s.lastToken})
		return call
	}
	s.syncs = append(s.syncs, call)
	s.forward(wire.OpSync, nil)
	return call
}

// forward sends a request to the leader.
func (s *server) forward(op wire.Op, body []byte) {
	if s.leader == nil || !s.leader.up {
		return // nobody will answer, and the machine will hear of it
	}
	q := wire.ForwardedRequest{SessionID: int64(s.id), Cxid: int32(s.lastToken), Op: op, Body: body}
	s.send(s.leader, &wire.Packet{Type: wire.PacketRequest, Zxid: -1, Data: q.Append(nil), AuthInfo: noAuth})
}

var noAuth = wire.BuildAuth()

// answer tells the client.
func (c *call) answer(s *server) {
	g := &s.w.ghost
	c.done = true
	if c.floor != nil {
		if !s.applied.has(c.floor) {
			s.w.fail("S5: server %d answers a sync with %v, and %v had been answered before it was asked", s.id, s.applied, c.floor)
		}
	} else if s.leading == 0 {
		s.w.hit(markForwarded)
	}
	if s.applied.n > g.answered.n {
		g.answered = s.applied
	}
}

// lastWrite writes to and syncs with all who live, and says when all of that is answered.
func (c *clients) lastWrite(lead *server) bool {
	lost := func(x *call) bool { return !x.done && (!x.s.up || x.rests != x.s.rests) }
	if len(c.last) > 0 && !slices.ContainsFunc(c.last, lost) {
		return !slices.ContainsFunc(c.last, func(x *call) bool { return !x.done })
	}
	c.last = nil
	for _, s := range c.w.servers {
		if s.ready() {
			c.last = append(c.last, c.write(s, 1)...)
			if x := c.sync(s); x != nil {
				c.last = append(c.last, x)
			}
		}
	}
	return false
}
