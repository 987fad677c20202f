package quorum

import (
	"encoding/binary"

	"paddock/wire"
	"paddock/zab"
)

// do does one thing that the machine has asked for.
func (s *server) do(a *zab.Action) {
	s.w.sayAction(s, a)
	switch a.Kind {
	case zab.ActionNotify:
		s.w.ghost.notified(s, a)
		s.w.net.notify(s, a.To, &a.Note)
	case zab.ActionDial:
		s.dial(a.To)
	case zab.ActionClose:
		if e := s.link(a.Link); e != nil {
			e.closes()
		}
	case zab.ActionSend:
		if e := s.link(a.Link); e != nil {
			s.w.ghost.gates(s, a)
			s.send(e, &a.Packet)
		}
	case zab.ActionSaveEpochs:
		s.w.ghost.promises(s, a.Epochs)
		s.disk.save(a.Epochs)
	case zab.ActionAppend:
		s.append(a)
	case zab.ActionCommit:
		s.commit(a.Zxid)
	case zab.ActionTruncate:
		s.truncate(a.Zxid)
	case zab.ActionSnapshot:
		s.open(a.Link)
	case zab.ActionStream, zab.ActionPropose, zab.ActionCommits, zab.ActionInform:
		s.stream(a)
	case zab.ActionInstall:
		s.install(a.Zxid)
	case zab.ActionDiscard:
		if s.received != nil {
			s.w.hit(markSnapInterrupted)
		}
		s.received, s.kept = nil, nil
	case zab.ActionLead:
		s.leading, s.serving, s.next = a.Epoch, a.Epoch, zxid(a.Epoch, 1)
		s.w.ghost.leads(s)
	case zab.ActionServe:
		s.serving, s.leader = a.Epoch, s.link(a.Link)
		s.w.ghost.serves(s)
	case zab.ActionRest:
		s.w.ghost.rests(s)
		s.leading, s.serving, s.leader = 0, 0, nil
		s.dialing++
		s.forget()
	case zab.ActionRequest:
		s.request(a)
	case zab.ActionTouch, zab.ActionRevalidated:
	case zab.ActionRevalidate:
		s.reply(a.Link, &wire.Packet{Type: wire.PacketRevalidate, Zxid: a.Packet.Zxid, Data: (&wire.RevalidateReply{Valid: true}).Append(nil)})
	case zab.ActionPong:
		s.reply(a.Link, &wire.Packet{Type: wire.PacketPing, Zxid: a.Packet.Zxid, Data: []byte{}})
	case zab.ActionSynced:
		s.synced(a.Token)
	case zab.ActionTrust:
		s.w.ghost.trusts(s)
		s.disk.add(job{kind: jobTrust, to: s.end})
	case zab.ActionFatal:
		s.w.fail("fatal: server %d: %s", s.id, a.Text)
	default:
		s.w.fail("I-10: action %d is none", a.Kind)
	}
}

func (s *server) link(name zab.Link) *end {
	for _, e := range s.ends {
		if e.name == name {
			return e
		}
	}
	return nil // it is gone, and the machine does not know it yet
}

// send hands a packet to the network: from here on the other side may rely on it.
func (s *server) send(e *end, p *wire.Packet) {
	s.w.ghost.sends(e, p)
	e.send(item{bytes: p.Append(nil)}, 0)
}

func (s *server) reply(name zab.Link, p *wire.Packet) {
	if e := s.link(name); e != nil {
		s.send(e, p)
	}
}

// append logs a transaction, or keeps it behind a received snapshot.
func (s *server) append(a *zab.Action) {
	z, value, err := decodeTxn(a.Packet.Data)
	if err != nil || z != a.Zxid {
		s.w.fail("Z4: server %d is to log %v, but the bytes are those of %v (%v)", s.id, a.Zxid, z, err)
		return
	}
	if s.received != nil {
		s.kept = s.w.forest.extend(s.kept, z, value)
		s.w.ghost.logs(s, s.kept)
		return
	}
	s.end = s.w.forest.extend(s.end, z, value)
	s.w.ghost.logs(s, s.end)
	s.disk.add(job{kind: jobAppend, to: s.end})
}

// commit moves the line.
func (s *server) commit(z wire.Zxid) {
	t := s.end.find(z)
	if t == nil {
		s.w.fail("I-10: server %d commits %v, which its log does not have", s.id, z)
		return
	}
	if !t.has(s.line) {
		s.w.fail("Z13: server %d commits %v after %v", s.id, t, s.line)
		return
	}
	s.line = t
	s.w.ghost.commits(s, t)
	s.apply()
}

func (s *server) truncate(z wire.Zxid) {
	t := s.end.find(z)
	if t == nil {
		s.w.fail("I-10: server %d truncates to %v, which its log does not have", s.id, z)
		return
	}
	if !t.has(s.applied) {
		s.w.fail("J-10: server %d truncates to %v, but has applied %v", s.id, t, s.applied)
		return
	}
	s.w.hit(markOwnTailTruncated)
	s.end = t
	s.disk.add(job{kind: jobTruncate, to: t})
}

// open opens a view of the tree, which takes a while, and queues it as SNAP and the stream.
func (s *server) open(name zab.Link) {
	w, life := s.w, s.life
	w.after(w.dice.around(w.plan.snapshot), func() {
		if s.life != life {
			return
		}
		s.post(func() {
			e := s.link(name)
			if e == nil {
				return
			}
			w.hit(markSnap)
			s.send(e, &wire.Packet{Type: wire.PacketSnap, Zxid: s.applied.zxid})
			e.send(item{snap: s.applied}, w.dice.around(w.plan.snapshot))
			s.step(zab.Event{Kind: zab.EventSnapshotOpened, Link: name, Zxid: s.applied.zxid})
			s.progress(e)
		})
	})
}

// progress tells the machine, while a snapshot is on its way, that bytes move.
func (s *server) progress(e *end) {
	if arrives := e.arrives; e.up && arrives > s.w.now {
		s.w.after(s.w.plan.tickMS*ms, func() {
			s.post(func() {
				if e.up && arrives > s.w.now {
					s.step(zab.Event{Kind: zab.EventProgress, Link: e.name})
					s.progress(e)
				}
			})
		})
	}
}

// stream queues packets for a range of transactions.
func (s *server) stream(a *zab.Action) {
	e := s.link(a.Link)
	if e == nil {
		return
	}
	from, to := s.end.floor(a.From), s.end.find(a.Zxid)
	switch {
	case to == nil || from.n < s.told.n || from.n > to.n:
		s.w.fail("J-7: server %d is to send (%v, %v], and has the bytes of (%v, %v]", s.id, a.From, a.Zxid, s.told.zxid, s.end.zxid)
		return
	case from.n < s.base.n:
		s.w.hit(markPurgedUnderWay)
		e.fails()
		return
	}
	list := to.between(from)
	for i, t := range list {
		if a.Kind == zab.ActionStream && s.leavesOut(list[i:]) {
			continue
		}
		switch a.Kind {
		case zab.ActionStream:
			s.send(e, &wire.Packet{Type: wire.PacketProposal, Zxid: t.zxid, Data: appendTxn(nil, t)})
			s.send(e, &wire.Packet{Type: wire.PacketCommit, Zxid: t.zxid})
		case zab.ActionPropose:
			s.send(e, &wire.Packet{Type: wire.PacketProposal, Zxid: t.zxid, Data: appendTxn(nil, t)})
		case zab.ActionCommits:
			s.send(e, &wire.Packet{Type: wire.PacketCommit, Zxid: t.zxid})
		case zab.ActionInform:
			s.send(e, &wire.Packet{Type: wire.PacketInform, Zxid: t.zxid, Data: appendTxn(nil, t)})
		}
	}
}

// leavesOut says whether the first of what is still to be sent is forgotten, as some of Java's leaders
// did. Learners notice that in the middle of an epoch.
func (s *server) leavesOut(rest []*txn) bool {
	if s.w.calm || len(rest) < 2 || rest[1].zxid != rest[0].zxid+1 || !s.w.dice.chance(s.w.plan.holes) {
		return false
	}
	s.w.hit(markHole)
	return true
}

// install makes the received snapshot, with what is kept up to z, the state, and the rest the log. On the
// disk that is one step.
func (s *server) install(z wire.Zxid) {
	if s.received == nil {
		s.w.fail("I-10: server %d installs %v, and has received nothing", s.id, z)
		return
	}
	at := s.kept.find(z)
	if at == nil || at.n < s.received.n {
		s.w.fail("I-10: server %d installs %v, and has received (%v, %v]", s.id, z, s.received.zxid, s.kept.zxid)
		return
	}
	if at != s.kept {
		s.w.hit(markInstallWithTail)
	}
	if s.w.runnerHas(installInSteps) {
		s.disk.add(job{kind: jobInstall, to: at, floor: at})
		if at != s.kept {
			s.disk.add(job{kind: jobAppend, to: s.kept})
		}
	} else {
		s.disk.add(job{kind: jobInstall, to: s.kept, floor: at})
	}
	s.end, s.received, s.kept = s.kept, nil, nil
}

// installed changes over to what was installed. The tree is that of the snapshot: it may be behind what
// the server had, but nobody sees that.
func (s *server) installed(j job) {
	s.base, s.told, s.line, s.applied = j.floor, j.floor, j.floor, j.floor
	s.w.ghost.installs(s)
	s.step(zab.Event{Kind: zab.EventInstalled, Zxid: j.floor.zxid})
	if j.to != j.floor {
		s.step(zab.Event{Kind: zab.EventDurable, Zxid: j.to.zxid})
	}
}

// request sequences what a learner has forwarded: in order, and later.
func (s *server) request(a *zab.Action) {
	var q wire.ForwardedRequest
	r := wire.NewReader(a.Packet.Data)
	if err := q.Decode(&r); err != nil || len(q.Body) > 0 && len(q.Body) != 8 {
		s.w.fail("J-10: the request on link %d cannot be read: %v", a.Link, err)
		return
	}
	var value uint64
	if q.Op != wire.OpSync {
		value = binary.BigEndian.Uint64(q.Body)
	}
	link, op, rests := a.Link, q.Op, s.rests
	s.sequenced = max(s.sequenced, s.w.now+s.w.dice.around(s.w.plan.sequence)) + 1
	s.w.after(s.sequenced-s.w.now, func() {
		s.post(func() {
			switch {
			case s.leading == 0 || s.rests != rests:
			case op == wire.OpSync:
				s.step(zab.Event{Kind: zab.EventSync, Link: link})
			default:
				s.propose(value)
			}
		})
	})
}

// synced is the confirmation of the oldest sync, or on a leader of the one with this token. What is
// committed by now is shown to its client.
func (s *server) synced(token uint64) {
	var c *call
	switch {
	case s.leading != 0:
		c = s.tokens[token]
		delete(s.tokens, token)
		s.w.hit(markSyncLeader)
	case len(s.syncs) > 0:
		c, s.syncs = s.syncs[0], s.syncs[1:]
		s.w.hit(markSyncFollower)
	}
	if c == nil {
		s.w.fail("S5: server %d is told of a sync that nobody waits for", s.id)
		return
	}
	c.needs = s.line.n
	s.shows = append(s.shows, c)
	s.show()
}
