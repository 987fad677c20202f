package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"paddock/auth"
	"paddock/net"
	"paddock/session"
	"paddock/tree"
	"paddock/vfs"
	"paddock/wal"
	"paddock/watch"
	"paddock/wire"
	"paddock/zab"
	"paddock/zab/runner"
)

// Config is what a server needs to know. The keys are those of zoo.cfg.
type Config struct {
	Listen   []string // host:port of each client listener; clientPort, clientPortAddress
	Loops    int      // event loops; 0 = one per core
	ServerID uint8    // top byte of session ids; 1 where there is no myid

	DataDir      string // snapshots; dataDir
	LogDir       string // the log; dataLogDir, DataDir where it is empty
	NoAutoCreate bool   // both have to be there; datadir.autocreate=false

	TickMS       int32 // ms; tickTime
	MinSessionMS int32 // ms; minSessionTimeout
	MaxSessionMS int32 // ms; maxSessionTimeout

	MaxFrameBytes    int           // jute.maxbuffer
	HandshakeTimeout time.Duration // zookeeper.nio.sessionlessCnxnTimeout
	MaxPerAddress    int           // maxClientCnxns, 0 = no limit
	MaxConnections   int           // maxCnxns, 0 = no limit
	KeepAlive        time.Duration // of idle connections, by TCP, 0 = off; clientTcpKeepAlive

	ExtendedTypes   bool // zookeeper.extendedTypesEnabled
	EnforceQuota    bool // zookeeper.enforceQuota
	ReconfigEnabled bool // reconfigEnabled
	NoDigest        bool // zookeeper.digest.enabled=false
	TxnDigests      bool // transactions carry the digest of the tree after them, as an ensemble's always do

	SegmentBytes    int64         // of the log; preAllocSize
	FsyncWarning    time.Duration // slower syncs are told of; fsync.warningthresholdms
	SnapCount       int           // transactions between snapshots; snapCount
	SnapBytes       int64         // log bytes between snapshots; snapSizeLimitInKb
	RetainSnapshots int           // kept at least; autopurge.snapRetainCount
	RetainFor       time.Duration // and those younger than this
	PurgeEvery      time.Duration // 0 = never; autopurge.purgeInterval

	ContainerCheck     time.Duration // znode.container.checkIntervalMs
	ContainerPerMinute int           // znode.container.maxPerMinute
	ContainerNeverUsed time.Duration // znode.container.maxNeverUsedIntervalMs, 0 = never
	MinFreeBytes       int64         // below this writes are refused; 0 = the default
	Auth               auth.Config
	Ensemble           *Ensemble // nil: the server is alone
	Words              Words     // answers four-letter words; nil closes the connection
	FS                 vfs.FS
	Log                *slog.Logger
	OnFatal            func(error) // storage failed: nothing more is acknowledged; the process has to end
}

// Words answers a four-letter word. rest is what came behind it. It is called on a goroutine of its
// own, and may ask the server anything.
type Words func(s *Server, w [4]byte, rest []byte) []byte

// Server is one paddock server: alone, or a member of an ensemble.
type Server struct {
	cfg   Config
	log   *slog.Logger
	rules *auth.Rules

	tree    trees
	table   *session.Table
	wal     *wal.Log
	epochs  *wal.EpochFile
	trusted zab.Trust // whether what is on the disk is all that was acknowledged
	tail    []*work   // of the log: what is there and not known to be committed
	locks   []io.Closer

	clock  *clock
	seq    sequencer
	apply  applier
	pipe   *pipeline
	words  *wordRoom
	engine *znet.Engine
	loops  []*loop

	// Of a member of an ensemble.
	member         *member
	agree          Agreement     // nil: the server is alone
	term           atomic.Uint64 // of the pipeline's role; 0 for a server alone
	asked          syncRoom
	renewals       renewals
	loggingSinceMS atomic.Int64 // when the write that the log is busy with began, 0 for none

	syncs           timings      // of the log
	slowSyncs       atomic.Int64 // over Config.FsyncWarning
	expired         atomic.Int64 // sessions
	serving         atomic.Bool
	lastCommitMS    atomic.Int64
	full            atomic.Bool                 // the disk is nearly full: writes are refused
	noRoom          atomic.Bool                 // the log's next segment does not fit on the disk
	sessions        atomic.Int64                // the last session id given out
	sinceCheckpoint struct{ txns, bytes int64 } // the apply stage's
	authScratch     []byte                      // the apply stage's
	group           *wal.Batch                  // the log stage's: several works in one
	seqTerm         uint64                      // the sequencer's: the role that it works for
	checkpoints     checkpoints
	snapping        sync.Mutex // who writes, removes or adopts snapshots

	driven  bool // nobody else runs: nothing may wait
	stop    chan struct{}
	running sync.WaitGroup
	once    sync.Once
	failed  sync.Once
	started time.Time
}

// Start recovers what is on disk and serves. The error names what is wrong and where.
func Start(cfg Config) (*Server, error) {
	s := newServer(cfg, time.Now)
	if err := s.open(); err != nil {
		s.closeStorage()
		return nil, err
	}
	var r *runner.Runner
	if cfg.Ensemble != nil {
		r = s.enrol()
	}
	if err := s.listen(); err != nil {
		s.closeStorage()
		return nil, err
	}
	if r != nil {
		if err := s.join(r); err != nil {
			return nil, errors.Join(err, s.Close(context.Background()))
		}
	}
	return s, nil
}

func newServer(cfg Config, now func() time.Time) *Server {
	s := &Server{cfg: cfg, log: cfg.Log, clock: newClock(now), stop: make(chan struct{}), started: now(), group: wal.NewBatch(0)}
	s.checkpoints.due = make(chan struct{}, 1)
	return s
}

// open reads the snapshot and the log, and brings the sessions back to life.
func (s *Server) open() error {
	var err error
	if s.rules, err = auth.New(s.cfg.Auth); err != nil {
		return err
	}
	if err := s.openStorage(); err != nil {
		return err
	}
	s.table = session.NewTable(s.cfg.TickMS)
	s.resetSessions()
	s.sessions.Store(session.FirstID(s.cfg.ServerID, s.clock.wallMS()))
	return nil
}

// listen builds the stages, starts what runs them, and opens the doors.
func (s *Server) listen() error {
	nc := s.build()
	nc.Ready = func() { // every loop is there: the first frame may come
		s.pipe.start()
		s.serving.Store(s.cfg.Ensemble == nil)
	}
	s.words.start()
	s.watchDisk() // also the first write is refused on a disk that is full
	engine, err := znet.Start(nc)
	if err != nil {
		return err
	}
	s.engine = engine
	s.running.Add(2)
	go s.tick()
	go s.keepHouse()
	return nil
}

// build makes the stages around the tree, and says what engine they need.
func (s *Server) build() znet.Config {
	t := s.tree.Load()
	s.seq = sequencer{
		tree: t, rules: s.rules, table: s.table, over: newOverlay(), closing: map[int64]wire.Zxid{},
		last: t.Applied(), digest: t.Digest(),
		opt: sequencerOptions{
			digests:       (s.cfg.TxnDigests || s.cfg.Ensemble != nil) && !s.cfg.NoDigest,
			extendedTypes: s.cfg.ExtendedTypes, enforceQuota: s.cfg.EnforceQuota,
			reconfigEnabled: s.cfg.ReconfigEnabled,
		},
	}
	filter := watch.NewFilter()
	s.apply = applier{
		tree: t, table: s.table, filter: filter, read: reader{&s.tree, s.rules},
		parked: map[int64]*parking{}, forward: s.forward, sessionMS: s.clock.sessionMS, asked: &s.asked,
	}
	s.apply.room.cond.L = &s.apply.room.mu
	s.apply.ring = func(i int) { s.loops[i].nl.Ring() }
	s.pipe = newPipeline(s)
	if s.cfg.Ensemble != nil {
		s.pipe.beginAt(t.Applied(), s.tail)
		s.term.Store(s.pipe.role.term)
		s.tail = nil
	}
	s.words = newWordRoom(s)
	return znet.Config{
		Listen: s.cfg.Listen, Loops: s.cfg.Loops,
		MaxFrameBytes: s.cfg.MaxFrameBytes, MaxPerAddress: s.cfg.MaxPerAddress,
		MaxConnections: s.cfg.MaxConnections, KeepAlive: s.cfg.KeepAlive, HandshakeMS: int(s.cfg.HandshakeTimeout.Milliseconds()), IsWord: wire.IsWord, Log: s.log,
		NewHandler: func(nl *znet.Loop) znet.Handler { return s.newLoop(nl, filter) },
	}
}

func (s *Server) newLoop(nl *znet.Loop, filter *watch.Filter) *loop {
	l := &loop{s: s, nl: nl, ring: newRing(), read: s.apply.read}
	l.watches = watch.NewTable(filter, nl.Index())
	l.arm.watches = l.watches
	s.loops = append(s.loops, l)
	s.apply.rings = append(s.apply.rings, l.ring)
	return l
}

// nextSessionID gives out an id that no living session has.
func (s *Server) nextSessionID() int64 {
	for {
		if id := s.sessions.Add(1) - 1; s.table.Lookup(id) == nil && id != ownerContainer {
			return id
		}
	}
}

// disconnect closes a connection of any loop; from is the loop that asks.
func (s *Server) disconnect(from *loop, id znet.ID) {
	l := s.loops[id.Loop()]
	if l == from {
		if c := l.nl.Conn(id); c != nil {
			c.Cut()
		}
		return
	}
	s.visit(l, func() {
		if c := l.nl.Conn(id); c != nil {
			c.Cut()
		}
	})
}

// visit has f run on a loop, soon.
func (s *Server) visit(l *loop, f func()) {
	l.inbox.send(f)
	l.nl.Ring()
}

// tick is the one goroutine that looks at the clock for the sessions and the log's idle time.
func (s *Server) tick() {
	defer s.running.Done()
	t := time.NewTicker(clockStep)
	defer t.Stop()
	for {
		select {
		case <-s.stop:
			return
		case now := <-t.C:
			s.beat(now)
		}
	}
}

// beat is one step of time.
func (s *Server) beat(now time.Time) {
	s.clock.step(now)
	s.pipe.seal(s.clock.serverMS())
	if s.member != nil {
		s.member.beat()
	}
	if s.full.Load() || s.noRoom.Load() || !s.leads() {
		return // nobody expires who could not write either
	}
	if due := s.table.Expire(s.clock.sessionMS(), nil); len(due) > 0 {
		s.expire(due)
	}
}

// expire submits the end of sessions that were not heard of.
func (s *Server) expire(due []*session.Session) {
	b := s.newBatch()
	s.expired.Add(int64(len(due)))
	for _, sess := range due {
		s.log.Info("session expired", "session", fmt.Sprintf("%#x", uint64(sess.ID)), "timeoutMS", sess.TimeoutMS())
		b.add(entry{kind: kindWrite, op: wire.OpCloseSession, sess: sess}, nil)
	}
	s.pipe.put(b)
}

// call has f run between two transactions, and waits for it; false if the server ends before.
func (s *Server) call(f func(t *tree.Tree)) bool {
	done := make(chan struct{})
	s.callSoon(func(t *tree.Tree) {
		f(t)
		close(done)
	})
	select {
	case <-done:
		return true
	case <-s.pipe.ended:
		return false
	}
}

// callSoon has f run between two transactions.
func (s *Server) callSoon(f func(t *tree.Tree)) {
	b := s.newBatch()
	b.add(entry{kind: kindCall, call: f}, nil)
	s.pipe.put(b)
}

// sequence implements stages.
func (s *Server) sequence(w *work) {
	refuse := s.full.Load() || s.noRoom.Load()
	if w.term != s.seqTerm {
		s.seqTerm = w.term
		s.seq.renew(s.tree.Load(), w.epoch)
	}
	s.seq.begin(s.clock.now().UnixMilli(), s.clock.sessionMS())
	w.txns.Reset()
	if s.seq.epochEnds() && !s.endEpoch(w) {
		return
	}
	for _, b := range w.batches {
		if b.term == w.term { // else its clients are gone
			s.sequenceBatch(w, b, refuse)
		}
	}
	w.count()
}

func (s *Server) sequenceBatch(w *work, b *batch, refuse bool) {
	for i := range b.entries {
		e := &b.entries[i]
		if e.kind == kindSync && e.link == 0 {
			e.token = s.asked.add(e, b, false)
		}
		if e.kind != kindWrite {
			continue
		}
		if refuse && e.link == 0 {
			s.refuseWrite(e)
			continue
		}
		dst := w.txns.Begin(s.seq.last + 1)
		at := len(dst)
		if refuse {
			dst = s.seq.refuse(e, dst)
		} else {
			dst = s.seq.request(e, b.body(e), dst)
		}
		if e.zxid != 0 {
			e.txn = dst[at:len(dst):len(dst)]
			w.txns.End(dst)
		}
	}
}

// endEpoch is for the last zxids of an epoch: a server alone begins another; a leader steps down, and the
// next one does.
func (s *Server) endEpoch(w *work) bool {
	if s.agree == nil {
		s.seq.nextEpoch()
		return true
	}
	s.agree.Post(zab.Event{Kind: zab.EventResign})
	for _, b := range w.batches {
		b.term = 0 // dropped
	}
	return false
}

// refuseWrite answers a write while the disk is full, with an error that all clients know and retry.
// Nothing is logged; a session whose end cannot be written lives on.
func (s *Server) refuseWrite(e *entry) {
	e.code = wire.OperationTimeout
	if e.op == wire.OpCloseSession {
		e.sess.Reopen(s.clock.sessionMS())
	}
}

// commit implements stages: one write and one sync for all that gathered, and another where a new epoch
// begins among them.
func (s *Server) commit(ws []*work) error {
	for len(ws) > 0 {
		b, n := s.gather(ws)
		ws = ws[n:]
		if b.Len() == 0 {
			continue
		}
		if err := s.commitOne(b); err != nil {
			return err
		}
		if s.agree != nil {
			s.agree.Post(zab.Event{Kind: zab.EventDurable, Zxid: b.Last()})
		}
	}
	return nil
}

// gather returns one batch for as many works as can share it.
func (s *Server) gather(ws []*work) (b *wal.Batch, n int) {
	if len(ws) == 1 {
		return ws[0].txns, 1
	}
	s.group.Reset()
	for n < len(ws) && (ws[n].txns.Len() == 0 || s.group.Accepts(ws[n].txns.First())) {
		for zxid, txn := range ws[n].txns.Txns() {
			s.group.Add(zxid, txn)
		}
		n++
	}
	return s.group, n
}

func (s *Server) commitOne(b *wal.Batch) error {
	at, digest := s.apply.checkpoint()
	s.loggingSinceMS.Store(max(1, s.clock.serverMS()))
	defer s.loggingSinceMS.Store(0)
	start := s.clock.now()
	err := s.wal.Commit(b, at, at, digest)
	for errors.Is(err, wal.ErrNoSpace) && s.awaitSpace() {
		start = s.clock.now()
		err = s.wal.Commit(b, at, at, digest)
	}
	if err != nil {
		return err
	}
	s.timeSync(s.clock.now().Sub(start))
	s.lastCommitMS.Store(s.clock.serverMS())
	return nil
}

// timeSync notes how long the disk took, and says so when it took too long.
func (s *Server) timeSync(took time.Duration) {
	s.syncs.add(took)
	if limit := s.cfg.FsyncWarning; limit > 0 && took > limit {
		s.slowSyncs.Add(1)
		s.log.Warn("a sync of the log was slow: every write waited for it", "took", took, "limit", limit)
	}
}

// settle implements stages.
func (s *Server) settle(st *step, r role) ([]*batch, error) {
	a := &s.apply
	a.answered = nil
	if a.term != r.term {
		a.term = r.term
		a.dropParked()
	}
	if err := s.applyStep(st, r); err != nil {
		return nil, s.diverged(err)
	}
	a.note()
	a.ringBells()
	if st.last {
		s.countForCheckpoint(st.w)
	}
	return a.answered, nil
}

func (s *Server) applyStep(st *step, r role) (err error) {
	switch {
	case st.call != nil:
		st.call()
	case st.w.kind == workForeign:
		defer misfit(&err)
		return s.apply.follow(st.w, st.upTo)
	case st.w.kind == workAsked:
		s.apply.ask(st.w, r)
	default:
		return s.apply.apply(st.w)
	}
	return nil
}

// diverged marks the state of a member that is not its ensemble's, so that it is not used after a restart.
func (s *Server) diverged(err error) error {
	if s.agree == nil {
		return err
	}
	return errors.Join(err, s.distrust(err.Error()))
}

// roomAgain implements stages: whoever was stalled has to look again, also where nothing of its own is
// on the way to wake its loop.
func (s *Server) roomAgain() {
	for _, l := range s.loops {
		l.nl.Ring()
	}
}

// idle implements stages: an idle log is sealed, so that something vouches for its last batch.
func (s *Server) idle(nowMS int64) error {
	if nowMS-s.lastCommitMS.Load() < wal.SealAfter.Milliseconds() {
		return nil
	}
	return s.wal.Seal()
}

// fatal implements stages: the log has failed, or the state has diverged, and nothing may be acknowledged any more (fsync-once).
// OnFatal is told once: housekeeping may find the failure, too.
func (s *Server) fatal(err error) {
	s.serving.Store(false)
	s.failed.Do(func() {
		s.log.Error("the server stops", "err", err)
		if s.agree != nil {
			s.agree.Fail(err) // votes and heartbeats end with it
		}
		if s.cfg.OnFatal != nil {
			s.cfg.OnFatal(err)
		}
	})
}

// Addrs returns the addresses the server listens on.
func (s *Server) Addrs() []string {
	var a []string
	for _, ap := range s.engine.Addrs() {
		a = append(a, ap.String())
	}
	return a
}

// Close stops the server: no more requests are read, those that were are settled and answered, the log
// is sealed, then the sockets close. It may be called twice.
func (s *Server) Close(ctx context.Context) error {
	var err error
	s.once.Do(func() { err = s.close(ctx) })
	return err
}

func (s *Server) close(end context.Context) error {
	s.serving.Store(false)
	s.engine.Drain()
	if s.agree != nil {
		s.settleAll(end)
		s.agree.Close() // our leadership, or our part in another's, ends here: the others elect at once
	}
	close(s.stop)
	s.running.Wait()
	err := s.pipe.close()
	s.flushLoops()
	s.words.close()
	return errors.Join(err, s.engine.Stop(), s.closeStorage())
}

// flushLoops has every loop deliver what apply has left in its ring.
func (s *Server) flushLoops() {
	for _, l := range s.loops {
		if l.nl.Hung() {
			done := make(chan struct{})
			s.visit(l, func() { close(done) })
			<-done
		}
	}
}

func (s *Server) epochsDir() string { return filepath.Join(s.cfg.DataDir, "paddock", "epochs") }
func (s *Server) logDir() string    { return filepath.Join(s.cfg.LogDir, "paddock", "log") }
func (s *Server) snapDir() string   { return filepath.Join(s.cfg.DataDir, "paddock", "snap") }
