package sim

import (
	"fmt"
	"io"

	"paddock/server"
	"paddock/wire"
	"paddock/zab"
	"paddock/zab/runner"
)

// member takes the place of zab/runner for one server: it has a machine, does what the machine asks for, and
// is the Agreement that the server talks to. What a runner does on a goroutine of its own is done in turns,
// which come when they are drawn, as the stages of the pipeline do.
type member struct {
	h     *host
	store runner.Store
	peer  *zab.Peer
	box   []func() // what has happened and was not looked at

	ends      []*end
	waiting   []*end // accepted while we look: perhaps they know sooner that we lead
	dials     int    // names the dial that counts
	durable   wire.Zxid
	epochs    zab.Epochs
	leads     uint32 // epoch; 0: it does not
	term      int    // of the last leadership
	up        *end   // to the leader, while we serve as a learner
	upEpoch   uint32
	trusted   bool // it was told that it is right to be empty; its disk says so before it has another epoch
	receiving bool // a snapshot has arrived, or does, and is not installed
	scratch   []byte
	actions   []zab.Action
}

const holdMS = 500 // for how long who connects may wait for us to lead

// join starts a server as a member.
func (h *host) join() (*server.Driven, error) {
	cfg := h.config()
	return server.DriveMemberWith(h.defect(), cfg, h.wall(), func(found zab.Recovered, store runner.Store) server.Agreement {
		pc := server.PeerConfig(&cfg)
		pc.Seed, pc.FinalizeMS = h.w.dice.Uint64(), h.w.plan.ensemble.finalizeMS
		if m := h.w.opts.Mutant; m != nil {
			pc.Defects = m.defects
		}
		h.compared = 0
		h.member = &member{h: h, store: store, peer: zab.NewPeer(pc, found), durable: found.History.Last(), epochs: found.Epochs}
		h.damaged = found.Trust != zab.Trusted
		if found.Trust == zab.Damaged {
			h.w.marks["starts with a damaged disk"]++
		}
		if found.History.Last() > found.Committed {
			h.w.marks["starts with an uncommitted tail"]++
		}
		return h.member
	})
}

// letter keeps something for the next turn.
func (m *member) letter(f func()) { m.box = append(m.box, f) }

// turn looks at some of what has happened, and passes on what came of it.
func (m *member) turn() {
	n := 1 + m.h.w.dice.IntN(len(m.box))
	m.h.note("turn with %d", n)
	for range n {
		f := m.box[0]
		m.box = m.box[1:]
		f()
		m.letIn()
	}
	m.store.Flush()
}

func (m *member) tick() { m.step(zab.Event{Kind: zab.EventTick}) }

// step gives the machine an event, and does what it says.
func (m *member) step(ev zab.Event) {
	w := m.h.w
	if w.failure != nil {
		return
	}
	ev.Now = w.now/ms + int64(m.h.number)<<32
	before := m.peer.State()
	m.actions = m.peer.Step(ev, m.actions[:0])
	for i := range m.actions {
		m.do(&m.actions[i])
	}
	if s := m.peer.State(); s != before {
		m.h.note("is %v in place of %v", s, before)
	}
}

// Post implements server.Agreement.
func (m *member) Post(ev zab.Event) {
	m.letter(func() {
		switch ev.Kind {
		case zab.EventProposed:
			if m.leads == 0 || ev.Zxid.Epoch() != int64(m.leads) || ev.Zxid <= m.peer.History().Last() {
				return // made for a leadership that is over
			}
			m.store.Propose(ev.Zxid)
		case zab.EventDurable:
			m.durable = max(m.durable, ev.Zxid)
		case zab.EventTruncated:
			m.durable = ev.Zxid
			m.h.w.marks["TRUNC done"]++
		case zab.EventInstalled:
			m.durable, m.h.damaged = ev.Zxid, false
			m.h.w.marks["SNAP installed"]++
		case zab.EventEpochsSaved:
			m.epochs = ev.Epochs
			m.h.damaged = m.h.damaged && !m.trusted
		}
		m.step(ev)
	})
}

// Forward implements server.Agreement.
func (m *member) Forward(epoch uint32, q *wire.ForwardedRequest, auth wire.AuthVec) bool {
	if m.up == nil || m.upEpoch != epoch {
		return false
	}
	if q.Op == wire.OpSync {
		m.h.w.marks["sync forwarded"]++
	}
	m.up.packet(&wire.Packet{Type: wire.PacketRequest, Zxid: -1, Data: q.Append(nil), AuthInfo: auth})
	return true
}

// Revalidate implements server.Agreement.
func (m *member) Revalidate(epoch uint32, q wire.RevalidateRequest) bool {
	if m.up == nil || m.upEpoch != epoch {
		return false
	}
	m.up.packet(&wire.Packet{Type: wire.PacketRevalidate, Zxid: -1, Data: q.Append(nil)})
	return true
}

// SnapshotOpened implements server.Agreement.
func (m *member) SnapshotOpened(to zab.Link, zxid wire.Zxid, s runner.Snapshot, err error) {
	var stream []byte
	if err == nil {
		stream, err = io.ReadAll(s)
		s.Close()
		m.h.collect() // whoever gets it has no log before it
	}
	m.letter(func() {
		e := m.link(to)
		switch {
		case e == nil:
		case err != nil:
			m.h.note("no snapshot for link %d: %v", to, err)
			e.fails()
		default:
			m.h.w.marks["SNAP sent"]++
			e.packet(&wire.Packet{Type: wire.PacketSnap, Zxid: zxid})
			e.send(piece{stream: stream})
			m.step(zab.Event{Kind: zab.EventSnapshotOpened, Link: to, Zxid: zxid})
			m.progress(e)
		}
	})
}

// progress tells the machine, while a stream is on its way, that bytes move.
func (m *member) progress(e *end) {
	w, arrives := m.h.w, e.arrives
	if !e.up || arrives <= w.now {
		return
	}
	w.after(int64(w.plan.tickMS)*ms, "progress", func() {
		if e.up && arrives > w.now {
			m.letter(func() {
				if e.up {
					m.step(zab.Event{Kind: zab.EventProgress, Link: e.name})
				}
			})
			m.progress(e)
		}
	})
}

// Fail implements server.Agreement. What has failed comes to Config.OnFatal too.
func (m *member) Fail(error) {}

// Status implements server.Agreement, for people: nobody looks.
func (m *member) Status() runner.Status { return runner.Status{} }

// Close implements server.Agreement.
func (m *member) Close() {}

// dies is the end of the process: nobody says anything any more, but what is sent may arrive.
func (m *member) dies() {
	m.box, m.leads, m.up = nil, 0, nil
	for len(m.ends) > 0 {
		e := m.ends[0]
		e.drop()
		e.send(piece{fin: true})
	}
}

func (m *member) link(name zab.Link) *end {
	for _, e := range m.ends {
		if e.name == name {
			return e
		}
	}
	return nil // it is gone, and the machine does not know it yet
}

// do does one thing that the machine has asked for.
func (m *member) do(a *zab.Action) {
	w := m.h.w
	switch a.Kind {
	case zab.ActionNotify:
		w.net.notify(m.h, a.To, &a.Note)
	case zab.ActionDial:
		m.dial(a.To)
	case zab.ActionClose:
		if e := m.link(a.Link); e != nil {
			m.h.note("closes link %d: %s", a.Link, a.Text)
			e.closes()
		}
	case zab.ActionSend:
		m.send(a)
	case zab.ActionSaveEpochs:
		m.store.SaveEpochs(a.Epochs)
	case zab.ActionAppend:
		if m.receiving {
			m.store.Keep(a.Zxid, a.Packet.Data)
		} else {
			m.store.Append(a.Zxid, a.Packet.Data)
		}
	case zab.ActionCommit:
		m.store.Commit(a.Zxid)
	case zab.ActionTruncate:
		m.store.Truncate(a.Zxid)
	case zab.ActionSnapshot:
		m.store.OpenSnapshot(a.Link)
	case zab.ActionStream, zab.ActionPropose, zab.ActionInform:
		m.stream(a)
	case zab.ActionCommits:
		m.commits(a)
	case zab.ActionInstall:
		m.receiving = false
		m.store.Install(a.Zxid)
	case zab.ActionDiscard:
		w.marks["SNAP dropped"]++
		m.receiving = false
		m.store.Discard()
	case zab.ActionLead:
		w.terms++
		w.marks["leads"]++
		m.leads, m.term = a.Epoch, w.terms
		m.h.note("leads epoch %d", a.Epoch)
		m.h.begins()
		m.store.Lead(a.Epoch)
	case zab.ActionServe:
		m.up, m.upEpoch = m.link(a.Link), a.Epoch
		m.store.Serve(a.Epoch)
	case zab.ActionRest:
		m.h.note("rests: %s", a.Text)
		m.leads, m.up = 0, nil
		m.dials++
		m.store.Rest(a.Text)
	case zab.ActionRequest:
		m.request(a)
	case zab.ActionTouch:
		m.touch(a)
	case zab.ActionRevalidate:
		m.revalidate(a)
	case zab.ActionPong:
		m.scratch = m.store.Touched(m.scratch[:0])
		m.answer(a, append([]byte{}, m.scratch...))
	case zab.ActionRevalidated:
		var reply wire.RevalidateReply
		if r := wire.NewReader(a.Packet.Data); reply.Decode(&r) == nil {
			m.store.Revalidated(reply)
		}
	case zab.ActionSynced:
		m.store.Synced(a.Token)
	case zab.ActionTrust:
		w.marks["the ensemble is new"]++
		m.trusted = true
		m.store.(runner.Truster).Trust()
	case zab.ActionView:
		m.store.(runner.Viewer).NewView(a.View, !a.Proposed)
	case zab.ActionFatal:
		w.fail("%sends: %s", m.h.name, a.Text)
	default:
		w.fail("action %d is none", a.Kind)
	}
}

// send sends a packet. All that it says must be on the disk.
func (m *member) send(a *zab.Action) {
	if a.After > m.durable || a.Need.Accepted > m.epochs.Accepted || a.Need.Current > m.epochs.Current {
		m.h.w.fail("Z12: %s%v %v needs the log up to %v and %+v on the disk, which has %v and %+v",
			m.h.name, a.Packet.Type, a.Packet.Zxid, a.After, a.Need, m.durable, m.epochs)
	}
	switch a.Packet.Type {
	case wire.PacketDiff:
		m.h.w.marks["DIFF sent"]++
	case wire.PacketTrunc:
		m.h.w.marks["TRUNC sent"]++
	}
	if e := m.link(a.Link); e != nil {
		e.packet(&a.Packet)
	}
}

// stream sends a range of transactions, as they are at hand.
func (m *member) stream(a *zab.Action) {
	e := m.link(a.Link)
	if e == nil {
		return
	}
	last := a.From
	err := m.store.Range(a.From, a.Zxid, func(z wire.Zxid, txn []byte) bool {
		if !zab.Follows(last, z) {
			return false
		}
		last = z
		typ := wire.PacketProposal
		if a.Kind == zab.ActionInform {
			typ = wire.PacketInform
		}
		e.packet(&wire.Packet{Type: typ, Zxid: z, Data: txn})
		if a.Kind == zab.ActionStream {
			e.packet(&wire.Packet{Type: wire.PacketCommit, Zxid: z})
		}
		return true
	})
	if err != nil || last != a.Zxid {
		m.h.note("link %d was to have (%v, %v]: there is (%v, %v] (%v)", a.Link, a.From, a.Zxid, a.From, last, err)
		m.h.w.marks["a range that is not at hand"]++
		e.fails()
	}
}

func (m *member) commits(a *zab.Action) {
	e := m.link(a.Link)
	if e == nil {
		return
	}
	h := m.peer.History()
	for z, more := h.Next(a.From); more && z <= a.Zxid; z, more = h.Next(z) {
		e.packet(&wire.Packet{Type: wire.PacketCommit, Zxid: z})
	}
}

func (m *member) request(a *zab.Action) {
	var q wire.ForwardedRequest
	r := wire.NewReader(a.Packet.Data)
	if err := q.Decode(&r); err != nil {
		m.h.w.fail("a request of link %d cannot be read: %v", a.Link, err)
		return
	}
	m.store.Request(a.Link, &q, a.Packet.AuthInfo)
}

func (m *member) touch(a *zab.Action) {
	m.store.Touch(a.Link, a.Packet.Data)
	for it := wire.TouchVec(a.Packet.Data).Iter(); it.Next(); {
		m.heard(it.SessionID())
	}
}

// heard notes that the leader has heard of a session.
func (m *member) heard(id int64) {
	for _, s := range m.h.w.history.withID(id) {
		s.contacts = append(s.contacts, m.h.contact())
	}
}

func (m *member) revalidate(a *zab.Action) {
	var q wire.RevalidateRequest
	r := wire.NewReader(a.Packet.Data)
	if err := q.Decode(&r); err != nil {
		m.h.w.fail("a question of link %d cannot be read: %v", a.Link, err)
		return
	}
	valid := m.store.Revalidate(a.Link, q)
	m.h.w.marks[fmt.Sprintf("session asked for, it lives %v", valid)]++
	if from := m.link(a.Link); valid && from != nil {
		m.heard(q.SessionID)
		at := m.h.w.history.next()
		for _, s := range m.h.w.history.withID(q.SessionID) {
			s.moved(at, m.term, nil, func(c *connRecord) bool { return c.host != from.other.h })
		}
	}
	reply := wire.RevalidateReply{SessionID: q.SessionID, Valid: valid}
	m.answer(a, reply.Append(nil))
}

// answer sends a packet back with other data.
func (m *member) answer(a *zab.Action, data []byte) {
	if e := m.link(a.Link); e != nil {
		e.packet(&wire.Packet{Type: a.Packet.Type, Zxid: a.Packet.Zxid, Data: data})
	}
}

// arrived looks at a piece of a stream.
func (m *member) arrived(e *end, it piece) {
	switch {
	case !e.up:
	case it.stream != nil:
		m.feed(e, it.stream)
	case !e.known:
		e.first = append(e.first, it)
		if len(e.first) == 1 {
			e.until = m.h.w.now + holdMS*ms
			m.waiting = append(m.waiting, e)
		}
	default:
		m.packet(e, it.packet)
	}
}

// letIn lets those in who have waited for us to lead, and sends away those who did so in vain.
func (m *member) letIn() {
	waiting := m.waiting
	m.waiting = nil
	for _, e := range waiting {
		switch s := m.peer.State(); {
		case !e.up:
		case s == zab.Leading:
			e.known = true
			m.step(zab.Event{Kind: zab.EventAccepted, Link: e.name})
			for _, it := range e.first {
				m.arrived(e, it)
			}
		case s == zab.Looking && m.h.w.now < e.until:
			m.waiting = append(m.waiting, e)
		default:
			e.closes()
		}
	}
}

func (m *member) packet(e *end, b []byte) {
	p, n, err := wire.NextPacket(b, 1<<20)
	if err != nil || n != len(b) {
		m.h.w.fail("a packet on link %d cannot be read: %v", e.name, err)
		return
	}
	m.step(zab.Event{Kind: zab.EventPacket, Link: e.name, Packet: p})
	if p.Type == wire.PacketSnap && e.dialed && e.up {
		m.receiving = true
		e.receiver = m.store.Receive(e.name, p.Zxid)
		e.snap = p.Zxid
	}
	for i := range b {
		b[i] = 0xdd // whoever kept a packet reads this
	}
}

// feed gives the stream behind a SNAP to the store.
func (m *member) feed(e *end, b []byte) {
	to := e.receiver
	e.receiver = nil
	if to == nil {
		m.h.w.fail("a snapshot on link %d that nobody asked for", e.name)
		return
	}
	for len(b) > 0 && !to.Done() {
		n := m.h.w.dice.split(len(b))
		if _, err := to.Feed(b[:n]); err != nil {
			m.h.note("link %d: the snapshot is not taken: %v", e.name, err)
			e.fails()
			return
		}
		b = b[n:]
	}
	if !to.Done() || len(b) > 0 {
		m.h.w.fail("a snapshot on link %d is not whole: %d bytes left", e.name, len(b))
		return
	}
	m.step(zab.Event{Kind: zab.EventSnapshotReceived, Link: e.name, Zxid: e.snap})
}
