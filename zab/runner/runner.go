package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"paddock/wire"
	"paddock/zab"
)

// Config is what a runner needs to know. Zero fields get the default.
type Config struct {
	Peer zab.Config
	Log  *slog.Logger // slog.Default()

	ListenOnAllIPs bool  // quorumListenOnAllIPs
	BindTries      int   // 3, a second apart
	DialMS         int64 // bounds one try to connect: 5000 (zookeeper.cnxTimeout)
	HandshakeMS    int64 // in which who connects has to say who it is: initLimit
	HoldMS         int64 // for how long it waits for an election to make us its leader: 500
	MaxPacketBytes int   // of data, and of authinfo: 16 MiB (above jute.maxbuffer)
	QueueBytes     int   // that may wait for one link: 64 MiB
	MaxStrangers   int   // connections that have not said who they are: 100
	MaxLinks       int   // in all: 1000

	// Dial and Listen replace TCP.
	Dial   func(ctx context.Context, addr string) (net.Conn, error)
	Listen func(ctx context.Context, addr string) (net.Listener, error)
}

const (
	defaultBindTries      = 3
	defaultDialMS         = 5000
	defaultHoldMS         = 500
	defaultMaxPacketBytes = 16 << 20
	defaultQueueBytes     = 64 << 20
	defaultMaxStrangers   = 100
	defaultMaxLinks       = 1000

	maxWaiting = 10_000 // letters, above which votes are dropped

	// How often the machine hears of the time.
	lookingStep = 5 * time.Millisecond
	calmStep    = 20 * time.Millisecond
)

func (c *Config) initMS() int64 { return c.Peer.InitTicks * c.Peer.TickMS }
func (c *Config) syncMS() int64 { return c.Peer.SyncTicks * c.Peer.TickMS }

func (c *Config) fill() {
	if c.Peer.LastSeen == nil {
		c.Peer.LastSeen = c.Peer.View
	}
	c.Log = cmp.Or(c.Log, slog.Default())
	c.BindTries = cmp.Or(c.BindTries, defaultBindTries)
	c.DialMS = cmp.Or(c.DialMS, defaultDialMS)
	c.HandshakeMS = cmp.Or(c.HandshakeMS, c.initMS())
	c.HoldMS = cmp.Or(c.HoldMS, defaultHoldMS)
	c.MaxPacketBytes = cmp.Or(c.MaxPacketBytes, defaultMaxPacketBytes)
	c.QueueBytes = cmp.Or(c.QueueBytes, defaultQueueBytes)
	c.MaxStrangers = cmp.Or(c.MaxStrangers, defaultMaxStrangers)
	c.MaxLinks = cmp.Or(c.MaxLinks, defaultMaxLinks)
	if c.Dial == nil {
		c.Dial = dialTCP
	}
	if c.Listen == nil {
		c.Listen = listenTCP
	}
}

// Runner drives a Peer. New makes one, Start lets it live, Close ends it.
type Runner struct {
	cfg      Config
	log      *slog.Logger
	once     onceLog
	store    Store
	election Election
	box      *mailbox
	begin    time.Time // the machine's clock shows ms since then
	started  atomic.Bool
	done     chan struct{}

	ctx    context.Context // until the end: dials, and pauses
	cancel context.CancelFunc
	tasks  sync.WaitGroup // all goroutines but the loop

	lastLink  atomic.Uint64
	strangers atomic.Int64             // accepted, and silent so far
	up        atomic.Pointer[upstream] // nil: we do not serve as a learner

	openMu    sync.Mutex // guards what is open
	open      map[*link]struct{}
	listeners []net.Listener
	closing   bool // nothing new is opened

	statusMu sync.Mutex // guards status
	status   Status

	// The rest is owned by the loop.
	peer    *zab.Peer
	actions []zab.Action
	clock   int64 // ms, of this turn
	ticked  int64 // ms, when the machine last heard of the time
	stopped bool
	fault   error // why, if not by Close
	leaving bool  // no notification leaves any more
	state   zab.State
	changed bool // something that people should not have to wait for

	bound  []string           // addresses that we listen at, or try to
	links  map[zab.Link]*link // that the machine knows
	parked []parked           // that wait for us to become their leader
	dirty  []*link            // with something to write since the turn began
	worked bool               // the store has to be flushed

	dials      uint64 // names the dial that counts
	dialing    string // to whom, for the log
	cancelDial context.CancelFunc

	durable   wire.Zxid // reported by the store
	epochs    zab.Epochs
	leads     int64 // epoch that we lead in; 0: we do not
	diffs     int64 // learners that got a DIFF or TRUNC
	receiving bool  // a snapshot has arrived, or does, and is not installed

	proposals, informs encoded // of this turn
	scratch            []byte
	request            wire.ForwardedRequest
}

// parked is a link that came while we look.
type parked struct {
	link  *link
	in    *inbound // its first packets
	until int64    // ms
}

// upstream is the link to our leader.
type upstream struct {
	link  *link
	epoch uint32
}

// New returns a runner for what the disk has. Nothing happens before Start.
func New(cfg Config, recovered zab.Recovered, store Store) *Runner {
	cfg.fill()
	r := &Runner{
		cfg: cfg, log: cfg.Log, store: store, box: newMailbox(), begin: time.Now(), done: make(chan struct{}),
		open: make(map[*link]struct{}), links: make(map[zab.Link]*link),
		peer: zab.NewPeer(cfg.Peer, recovered), durable: recovered.History.Last(), epochs: recovered.Epochs,
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.publish()
	return r
}

// Start binds the quorum port and begins to look for a leader. The runner closes the election port when it
// ends; after an error it has not begun, and the port is the caller's.
func (r *Runner) Start(e Election) error {
	if !r.started.CompareAndSwap(false, true) {
		return errClosed
	}
	if err := r.listen(r.ctx); err != nil {
		r.closePorts()
		close(r.done)
		return err
	}
	r.election = e
	go r.loop()
	return nil
}

// Close leaves the role and closes everything. It returns when no goroutine is left. It may be called
// twice, also by those who wait for Done.
func (r *Runner) Close() {
	if r.started.CompareAndSwap(false, true) {
		close(r.done) // there is nothing to end
	}
	r.box.post(letter{ev: zab.Event{Kind: eventClose}})
	<-r.done
}

// Done is closed at the end: after Close, or after Store.Fatal has returned.
func (r *Runner) Done() <-chan struct{} { return r.done }

// Post gives the machine an event, from any goroutine and without waiting: the completions that Store
// names, EventProposed, EventSync and EventResign. Now is filled in.
func (r *Runner) Post(ev zab.Event) { r.box.post(letter{ev: ev}) }

// Notified gives the machine a vote from the election port. Its config must not change any more. Where
// votes arrive faster than they can be looked at some are dropped: who means it repeats it.
func (r *Runner) Notified(from zab.ServerID, note wire.Notification) {
	if r.box.len() < maxWaiting {
		r.box.post(letter{ev: zab.Event{Kind: zab.EventNotification, From: from, Note: note}})
	}
}

// SnapshotOpened answers Store.OpenSnapshot: s shows the state after zxid. The runner closes s. With an
// error there is none, and the link ends.
func (r *Runner) SnapshotOpened(to zab.Link, zxid wire.Zxid, s Snapshot, err error) {
	ev := zab.Event{Kind: zab.EventSnapshotOpened, Link: to, Zxid: zxid}
	if !r.box.post(letter{ev: ev, snapshot: s, err: err}) && s != nil {
		s.Close()
	}
}

// Fail ends the process: something broke that a server cannot do without, as its disk. Votes, heartbeats
// and service end together (Store.Fatal).
func (r *Runner) Fail(err error) {
	r.box.post(letter{ev: zab.Event{Kind: eventFailed}, err: err})
}

// Forward sends a write or sync of a client to our leader of that epoch, from any goroutine. False: there is
// none, and the request was not sent. What is forwarded from one goroutine arrives in order. A link that
// ends forgets what is on its way: Store.Rest says so.
func (r *Runner) Forward(epoch uint32, q *wire.ForwardedRequest, auth wire.AuthVec) bool {
	up := r.up.Load()
	if up == nil || up.epoch != epoch {
		return false
	}
	dst, ok := up.link.out.open()
	if !ok {
		return false
	}
	if !up.link.out.shut(appendRequest(dst, q, auth)) {
		up.link.fail(errQueueFull)
		return false
	}
	up.link.out.ring()
	return true
}

// appendRequest appends a REQUEST, without a copy of its body in between.
func appendRequest(dst []byte, q *wire.ForwardedRequest, auth wire.AuthVec) []byte {
	dst = wire.AppendInt(dst, int32(wire.PacketRequest))
	dst = wire.AppendLong(dst, -1)
	dst, mark := wire.BeginFrame(dst)
	dst = q.Append(dst)
	wire.EndFrame(dst, mark)
	if auth.Null() {
		return wire.AppendInt(dst, -1)
	}
	return append(dst, auth...)
}

// Revalidate asks our leader of that epoch for a session, from any goroutine. The answer is
// Store.Revalidated. False: there is no such leader.
func (r *Runner) Revalidate(epoch uint32, q wire.RevalidateRequest) bool {
	up := r.up.Load()
	if up == nil || up.epoch != epoch {
		return false
	}
	p := wire.Packet{Type: wire.PacketRevalidate, Zxid: -1, Data: q.Append(nil)}
	if !up.link.out.packet(&p) {
		up.link.fail(errQueueFull)
		return false
	}
	up.link.out.ring()
	return true
}

// now returns the time of the machine. It is monotonic.
func (r *Runner) now() int64 { return time.Since(r.begin).Milliseconds() }

// loop owns the machine. Each turn takes all that has gathered.
func (r *Runner) loop() {
	defer close(r.done)
	pace := lookingStep
	ticks := time.NewTicker(pace)
	defer ticks.Stop()
	var letters []letter
	for !r.stopped {
		if letters = r.box.take(letters); len(letters) > 0 {
			r.turn(letters)
		} else {
			select {
			case <-r.box.wake:
			case <-ticks.C:
				r.tick()
			}
		}
		if now := r.pace(); now != pace {
			pace = now
			ticks.Reset(pace)
		}
	}
	r.end()
}

// pace is the time between two ticks.
func (r *Runner) pace() time.Duration {
	if r.peer.State() == zab.Looking {
		return lookingStep
	}
	return calmStep
}

// turn steps the machine with all letters, and passes on what came of it at once.
func (r *Runner) turn(letters []letter) {
	r.clock = r.now()
	for i := range letters {
		if r.stopped {
			letters[i].discard()
			continue
		}
		r.handle(&letters[i])
		r.settleParked()
	}
	r.endTurn()
	if r.clock-r.ticked >= calmStep.Milliseconds() {
		r.tick() // there is always something to do: the ticker has to wait
	}
}

// tick is a turn of its own.
func (r *Runner) tick() {
	if r.stopped {
		return
	}
	r.clock = r.now()
	r.ticked = r.clock
	r.step(zab.Event{Kind: zab.EventTick})
	r.settleParked()
	r.endTurn()
	r.publish()
}

// endTurn begins what was only gathered: first the disk's work, which takes longer, then the network's.
func (r *Runner) endTurn() {
	if r.worked {
		r.worked = false
		r.store.Flush()
	}
	for _, l := range r.dirty {
		l.dirty = false
		l.out.ring()
	}
	clear(r.dirty)
	r.dirty = r.dirty[:0]
	r.proposals.valid, r.informs.valid = false, false
}

// step steps the machine and does what it says. Nothing that do calls may step: what fails is posted.
func (r *Runner) step(ev zab.Event) {
	ev.Now = r.clock
	r.actions = r.peer.Step(ev, r.actions[:0])
	for i := range r.actions {
		if r.stopped {
			return
		}
		r.do(&r.actions[i])
	}
	if s := r.peer.State(); s != r.state {
		r.state, r.changed = s, true
		r.log.Info("role", "state", s.String(), "leader", int64(r.peer.Vote().Leader), "zxid", r.peer.History().Last().String())
	}
	if r.changed {
		r.changed = false
		r.publish()
	}
}

// handle looks at one letter.
func (r *Runner) handle(l *letter) {
	switch l.ev.Kind {
	case zab.EventAccepted:
		r.accepted(l)
	case zab.EventPacket:
		r.packets(l.link, l.in)
	case zab.EventDialed, zab.EventDialFailed:
		r.dialed(l)
	case zab.EventLost:
		r.lost(l)
	case zab.EventProgress, zab.EventSnapshotReceived:
		if r.links[l.ev.Link] == l.link {
			r.step(l.ev)
		}
	case zab.EventSnapshotOpened:
		r.snapshotOpened(l)
	case zab.EventProposed:
		r.proposed(l.ev)
	case eventFailed:
		r.fatal(l.err)
	case eventClose:
		r.leaving = true
		r.step(zab.Event{Kind: zab.EventResign})
		r.stopped = true
	default:
		r.account(&l.ev)
		r.step(l.ev)
	}
}

// account notes what the store has reported durable: the gates compare with this.
func (r *Runner) account(ev *zab.Event) {
	switch ev.Kind {
	case zab.EventDurable:
		r.durable = max(r.durable, ev.Zxid)
	case zab.EventTruncated, zab.EventInstalled:
		r.durable = ev.Zxid
	case zab.EventEpochsSaved:
		r.epochs = ev.Epochs
	}
}

// proposed takes what the sequencer has made into the log, if it was made for the leadership that lasts.
func (r *Runner) proposed(ev zab.Event) {
	if r.leads == 0 || ev.Zxid.Epoch() != r.leads || ev.Zxid <= r.peer.History().Last() {
		return
	}
	r.store.Propose(ev.Zxid)
	r.worked = true
	r.step(ev)
}

// discard lets go of what a letter holds, when nobody will open it.
func (l *letter) discard() {
	if l.conn != nil {
		l.conn.Close()
	}
	if l.snapshot != nil {
		l.snapshot.Close()
	}
}

// fatal ends everything. The rest is done by end.
func (r *Runner) fatal(err error) {
	r.fault = err
	r.stopped = true
}

// end closes all that is open. The process may have to end because a disk is stuck, so what waits for other
// goroutines comes behind the word to the store.
func (r *Runner) end() {
	r.up.Store(nil)
	r.stopDial()
	r.closePorts()
	for _, l := range r.box.close() {
		l.discard()
	}
	r.election.Close()
	r.publish()
	if r.fault != nil {
		r.store.Fatal(r.fault)
	}
	r.tasks.Wait()
}

// closePorts ends the listeners and all links, and lets no new one begin.
func (r *Runner) closePorts() {
	r.cancel()
	r.openMu.Lock()
	defer r.openMu.Unlock()
	r.closing = true
	for _, l := range r.listeners {
		l.Close()
	}
	for l := range r.open { // order-free
		l.end()
	}
}

// opened notes a link and starts it, unless the runner ends or has too many.
func (r *Runner) opened(l *link, limit int) error {
	r.openMu.Lock()
	defer r.openMu.Unlock()
	switch {
	case r.closing:
		return errClosed
	case len(r.open) >= limit:
		return errTooMany
	}
	r.open[l] = struct{}{}
	r.tasks.Add(2)
	go l.read()
	go l.write()
	return nil
}

var errTooMany = errors.New("runner: too many connections")

// closed forgets a link whose goroutines have ended.
func (r *Runner) closed(l *link) {
	r.openMu.Lock()
	delete(r.open, l)
	r.openMu.Unlock()
}

// gate says whether all that a packet depends on is durable. If not, that is a bug, and the end.
func (r *Runner) gate(a *zab.Action) bool {
	if a.After <= r.durable && a.Need.Accepted <= r.epochs.Accepted && a.Need.Current <= r.epochs.Current {
		return true
	}
	r.fatal(fmt.Errorf("runner: %v %v needs the log up to %v and %+v on the disk, which has %v and %+v (durable-before-ack)",
		a.Packet.Type, a.Packet.Zxid, a.After, a.Need, r.durable, r.epochs))
	return false
}
