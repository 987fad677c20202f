package quorum

import "paddock/zab"

// faults lets things break, until calm.
func (w *world) faults() {
	p := &w.plan
	w.every(p.crashEvery, func() {
		s := w.any()
		if !s.up {
			return
		}
		if w.dice.chance(p.midStep) {
			s.crash = w.dice.IntN(6)
			return
		}
		w.crash(s)
	})
	w.every(p.pauseEvery, func() { w.pause(w.any()) })
	w.every(p.partEvery, w.partition)
	w.every(p.cutEvery, func() {
		if n := len(w.net.conns); n > 0 {
			w.net.conns[w.dice.IntN(n)].cut()
		}
	})
	w.every(p.stuckEvery, func() {
		w.hit(markStuckDisk)
		w.any().disk.stuckUntil = w.now + w.dice.around(p.stuckTime)
	})
	w.every(p.snapEvery, func() {
		if s := w.any(); s.up && s.pausedUntil <= w.now {
			s.disk.snapshot()
		}
	})
}

func (w *world) any() *server { return w.servers[w.dice.IntN(len(w.servers))] }

func (w *world) hit(m mark) { w.marks[m]++ }

// crash ends a server: with its machine, or alone. It may come back.
func (w *world) crash(s *server) {
	p := &w.plan
	power := w.dice.chance(p.powerCut)
	if power {
		w.hit(markPowerCut)
		w.say(s, "power cut")
	} else {
		w.hit(markKill)
		w.say(s, "kill")
	}
	w.crashes++
	s.up, s.peer, s.crash = false, nil, -1
	s.life++
	s.inbox = nil
	s.leading, s.serving = 0, 0
	s.disk.crash()
	if !w.calm && w.dice.chance(p.damages) {
		s.disk.damage()
	}
	for len(s.ends) > 0 {
		e := s.ends[0]
		e.forget()
		e.drop()
		if power && w.dice.chance(p.halfOpen) {
			w.hit(markHalfOpen)
			continue // nobody says that the connection is over
		}
		e.send(item{fin: true}, 0)
	}
	for _, pair := range w.net.pairs {
		if v := w.net.votes[pair]; pair[0] == s.id && w.dice.chance(0.5) {
			v.bytes = nil
		}
	}
	if w.dice.chance(p.staysDown) && !w.calm {
		return
	}
	down := w.dice.around(p.downLength)
	if w.dice.chance(p.atOnce) {
		down = 1
	}
	life := s.life
	w.after(down, func() {
		if s.life == life {
			s.start()
		}
	})
}

// pause stops a process for a while; what arrives is kept for it.
func (w *world) pause(s *server) {
	if !s.up || s.pausedUntil > w.now {
		return
	}
	w.hit(markPause)
	w.say(s, "paused")
	life := s.life
	s.pausedUntil = w.now + w.dice.around(w.plan.pauseLength)
	w.after(s.pausedUntil-w.now, func() { s.goesOn(life) })
}

func (s *server) goesOn(life int) {
	if s.life == life && s.pausedUntil <= s.w.now {
		s.w.say(s, "goes on")
		s.wokeAt = s.w.now
		s.resume()
	}
}

// partition keeps some servers from hearing others, for a while.
func (w *world) partition() {
	var pairs [][2]zab.ServerID
	block := func(a, b *server) { pairs = append(pairs, [2]zab.ServerID{a.id, b.id}) }
	both := func(a, b *server) { block(a, b); block(b, a) }
	p := &w.plan
	switch kind := w.weighted(p.isolate, p.split, p.bridge, p.oneWay); {
	case len(w.servers) < 2:
		return
	case kind == 0:
		w.hit(markIsolation)
		s := w.any()
		if lead := w.leading(); lead != nil && w.dice.chance(0.5) {
			s = lead
		}
		for _, o := range w.servers {
			if o != s {
				both(s, o)
			}
		}
	case kind == 1:
		w.hit(markSplit)
		side := w.dice.Uint64()
		for i, a := range w.servers {
			for j, b := range w.servers[:i] {
				if side>>i&1 != side>>j&1 {
					both(a, b)
				}
			}
		}
	case kind == 2:
		w.hit(markBridge)
		a, b := w.any(), w.any()
		if a != b {
			both(a, b)
		}
	default:
		w.hit(markOneWay)
		s, out := w.any(), w.dice.chance(0.5)
		for _, o := range w.servers {
			if o != s && w.dice.chance(0.7) {
				if out {
					block(s, o)
				} else {
					block(o, s)
				}
			}
		}
	}
	w.say(nil, "partition of %d pairs", int64(len(pairs)))
	for _, pair := range pairs {
		w.net.blocked[pair]++
	}
	w.after(w.dice.around(p.partLength), func() {
		if w.calm {
			return // healed already
		}
		for _, pair := range pairs {
			w.net.blocked[pair]--
		}
		w.say(nil, "partition of %d pairs healed", int64(len(pairs)))
		w.net.healed()
		if w.dice.chance(p.flap) {
			w.after(w.dice.around(p.partLength/4), func() {
				if !w.calm {
					w.partition()
				}
			})
		}
	})
}

// weighted draws one of the weights.
func (w *world) weighted(weights ...float64) int {
	sum := 0.0
	for _, x := range weights {
		sum += x
	}
	at := w.dice.Float64() * sum
	for i, x := range weights {
		if at -= x; at < 0 {
			return i
		}
	}
	return len(weights) - 1
}

// heal ends everything that is broken, but for servers that are down.
func (w *world) heal() {
	clear(w.net.blocked)
	w.net.healed()
	w.plan.latency = min(w.plan.latency, 2*ms)
	w.plan.sync = min(w.plan.sync, 2*ms)
	w.plan.snapshot = min(w.plan.snapshot, 20*ms)
	for _, s := range w.servers {
		s.disk.stuckUntil, s.crash = 0, -1
		if s.pausedUntil > w.now {
			s.pausedUntil, s.wokeAt = w.now, w.now
			s.resume()
		}
	}
}

// reviveQuorum ends some servers for good and makes sure that a quorum lives: a random one, or all.
func (w *world) reviveQuorum() {
	order := w.dice.Perm(len(w.servers))
	all := w.dice.chance(0.4)
	var alive zab.IDSet
	for _, i := range order {
		s := w.servers[i]
		enough := w.view.Quorum(alive)
		switch {
		case !enough || all:
			if s.voter && s.disk.image.trust == zab.Trusted {
				alive.Add(s.id)
			}
			w.after(w.dice.around(second), s.start)
		case s.up && w.dice.chance(0.5):
			w.crash(s)
			s.life++ // for good
		default:
			w.after(w.dice.around(5*second), s.start)
		}
	}
}
