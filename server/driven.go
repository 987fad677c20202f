package server

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	znet "paddock/net"
	"paddock/session"
	"paddock/wire"
	"paddock/zab"
	"paddock/zab/runner"
)

// Driven is a server in the hands of whoever drives it: the same storage, gate, stages and loops, but no
// goroutine, no socket and no clock. The driver brings the bytes, runs one stage at a time, has the bells
// answered and says what time it is; so a simulator decides about every order of events.
//
// All of it happens on the goroutine of the driver. What needs other goroutines is not there: four-letter
// words, apply waiting for a loop that is 16 MiB behind, and commit waiting for space on the disk: it
// fails.
type Driven struct {
	s    *Server
	net  *znet.Driven
	time time.Time

	// Of defects.go alone, else nil: they run before a bell is answered, and before a beat.
	defectiveAnswer func(loop int)
	defectiveBeat   func(now time.Time)
}

// Stage is a step of the pipeline.
type Stage uint8

const (
	Sequence Stage = iota // requests become transactions
	Commit                // transactions become durable
	Apply                 // transactions are applied and answered
)

// Drive recovers what is on disk, as Start does, at that time. Config.Listen is not looked at.
func Drive(cfg Config, now time.Time) (*Driven, error) {
	d, err := driven(cfg, now)
	if err != nil {
		return nil, err
	}
	d.net = znet.NewDriven(d.s.build())
	d.s.serving.Store(true)
	return d, nil
}

// DriveMember is Drive for a member of an ensemble: Config.Ensemble has to be set. The driver takes the place
// of zab/runner: it has a machine for what was recovered, does its actions, some of them with the store's
// methods, and is the Agreement that the server talks to.
func DriveMember(cfg Config, now time.Time, join func(zab.Recovered, runner.Store) Agreement) (*Driven, error) {
	d, err := driven(cfg, now)
	if err != nil {
		return nil, err
	}
	d.s.member = newMember(d.s)
	a := join(d.s.recovered(), d.s.member)
	d.s.agree, d.s.member.agree = a, a
	d.net = znet.NewDriven(d.s.build())
	return d, nil
}

func driven(cfg Config, now time.Time) (*Driven, error) {
	cfg.Words = nil
	d := &Driven{time: now}
	d.s = newServer(cfg, func() time.Time { return d.time })
	d.s.driven = true
	if err := d.s.open(); err != nil {
		_ = d.s.closeStorage()
		return nil, err
	}
	return d, nil
}

// PeerConfig is what the machine of a member needs to know, but for its seed.
func PeerConfig(cfg *Config) zab.Config { return peerConfig(cfg) }

// Serving reports whether clients are served: those of a member come and go with its role.
func (d *Driven) Serving() bool { return d.s.serving.Load() }

// Open brings a connection to a loop; nil if it is refused.
func (d *Driven) Open(loop int, tr znet.Transport, remote netip.AddrPort) *znet.Conn {
	return d.net.Open(loop, tr, remote)
}

// Receive is a loop's turn with bytes of a connection.
func (d *Driven) Receive(c *znet.Conn, b []byte) { d.net.Receive(c, b) }

// Closed says that a connection's peer has closed it.
func (d *Driven) Closed(c *znet.Conn) { d.net.Closed(c) }

// Rung reports whether a loop's bell was rung, and Answer is its turn then.
func (d *Driven) Rung(loop int) bool { return d.net.Rung(loop) }

// Answer is the turn of a loop whose bell was rung.
func (d *Driven) Answer(loop int) {
	if d.defectiveAnswer != nil {
		d.defectiveAnswer(loop)
	}
	d.net.Answer(loop)
}

// Beat is a step of time: sessions expire, an idle log is sealed, connections run out of time.
func (d *Driven) Beat(now time.Time) {
	d.time = now
	if d.defectiveBeat != nil {
		d.defectiveBeat(now)
	}
	d.net.SetClock(now.Sub(d.s.started).Milliseconds())
	d.s.beat(now)
}

// SetTime sets the wall clock between two beats: it stamps transactions.
func (d *Driven) SetTime(now time.Time) { d.time = now }

// Waiting returns how many batches, or works, wait for a stage.
func (d *Driven) Waiting(st Stage) int {
	p := d.s.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.failed != nil:
		return 0
	case st == Sequence && p.maySequence():
		return len(p.intake)
	case st == Sequence:
		return 0
	case st == Commit:
		return len(p.toLog)
	}
	return len(p.toApply)
}

// Run runs a stage with the first n of what waits for it, as a worker does that came when there was no
// more. The server's failure, if that is how it ends, comes to Config.OnFatal.
func (d *Driven) Run(st Stage, n int) {
	p := d.s.pipe
	p.mu.Lock()
	switch st {
	case Sequence:
		p.intake = take(&p.intake, n, p.runSequence)
	case Commit:
		p.toLog = take(&p.toLog, n, p.runLog)
	case Apply:
		p.toApply = take(&p.toApply, n, p.runApply)
	}
	p.mu.Unlock() // not deferred: a stage that panics does not hold it
}

// take has run see the first n of a queue only, and returns the queue as it is afterwards.
func take[T any](queue *[]T, n int, run func()) []T {
	rest := append([]T(nil), (*queue)[n:]...)
	*queue = (*queue)[:n]
	run()
	return append(*queue, rest...)
}

// CheckpointDue reports whether enough was logged for a snapshot, once.
func (d *Driven) CheckpointDue() bool {
	select {
	case <-d.s.checkpoints.due:
		return true
	default:
		return false
	}
}

// Checkpoint opens a view of the state as it is now. The function that it returns writes the snapshot,
// later; nil if there is no view now.
func (d *Driven) Checkpoint() (write func()) {
	view, err := d.s.tree.Load().OpenView()
	if err != nil {
		return nil
	}
	return func() { d.s.writeSnapshot(view) }
}

// Purge removes snapshots and log that nobody needs.
func (d *Driven) Purge() { d.s.purge() }

// Sweep submits the end of containers and TTL nodes whose time has come.
func (d *Driven) Sweep() {
	if paths := d.s.outlived(d.s.tree.Load()); len(paths) > 0 && d.s.leads() {
		d.s.remove(paths)
	}
}

// Prepare is one step of zeroing the log's next segment.
func (d *Driven) Prepare() (more bool) {
	return d.s.prepareStep()
}

// WatchDisk looks at the free space.
func (d *Driven) WatchDisk() { d.s.watchDisk() }

// Close ends the server as Close does, once nothing waits for a stage. Bells that were rung stay unanswered.
func (d *Driven) Close() error {
	d.s.serving.Store(false)
	return d.s.closeStorage()
}

// Given returns the last zxid that the sequencer gave out, and Applied the last that was applied.
func (d *Driven) Given() wire.Zxid { return d.s.seq.last }

// Applied returns the zxid of the state.
func (d *Driven) Applied() wire.Zxid { return d.s.tree.Load().Applied() }

// Digest returns that of the state.
func (d *Driven) Digest() uint64 { return d.s.tree.Load().Digest() }

// Sessions returns how many sessions the server keeps, Ephemerals and Nodes how many znodes.
func (d *Driven) Sessions() int     { return d.s.table.Len() }
func (d *Driven) Ephemerals() int64 { return d.s.tree.Load().EphemeralCount() }
func (d *Driven) Nodes() int64      { return d.s.tree.Load().NodeCount() }

// Base returns the zxid after which the log on disk begins, and Replay reads what comes after one.
func (d *Driven) Base() wire.Zxid { return d.s.wal.Base() }

// Replay calls f with every transaction of the log after a zxid, in order.
func (d *Driven) Replay(after wire.Zxid, f func(txn []byte) error) error {
	return d.s.wal.Replay(after, f)
}

// SessionText says what sessions there are, for people.
func (d *Driven) SessionText() string {
	var b strings.Builder
	d.s.table.Each(func(sess *session.Session) {
		fmt.Fprintf(&b, " %#x timeout %d closing %v owner %#x", uint64(sess.ID), sess.TimeoutMS(), sess.Closing(), sess.Owner())
	})
	return b.String()
}
