package server

import (
	"context"
	"time"

	"paddock/wal"
	"paddock/zab"
	"paddock/zab/runner"
	"paddock/zab/transport"
)

// Ensemble is what a server needs to know to be one of several. Keys are those of zoo.cfg.
type Ensemble struct {
	ID       zab.ServerID // myid
	View     *zab.View    // who is in it, and where: the server lines
	LastSeen *zab.View    // a later configuration that may not be in force; nil where there is none

	InitTicks    int64 // initLimit
	SyncTicks    int64 // syncLimit
	ConnectTicks int64 // connectToLearnerMasterLimit, 0 = InitTicks
	SnapForTrunc bool  // as a leader: SNAP where ZooKeeper sends TRUNC

	AllIPs          bool          // quorumListenOnAllIPs
	MultiAddress    bool          // multiAddress.enabled
	BindRetries     int           // electionPortBindRetry; below 0 for ever, 0 the default
	DialTimeout     time.Duration // zookeeper.cnxTimeout, 0 = 5 s
	GreetingTimeout time.Duration // zookeeper.quorumCnxnTimeoutMs, 0 = 5 s

	MaxPacketBytes  int  // of what another server may send at once; 0 = 16 MiB
	ClosedToClients bool // while it leads: leaderServes=no
	// OnView keeps a configuration for the next start: one that is in force, or (agreed is false) one that is
	// proposed. An error is told of and changes nothing. nil keeps none.
	OnView func(v *zab.View, agreed bool) error

	MayBeEmpty bool // an empty data directory may vote: the initialize marker, or db.autocreate=true where somebody wrote it
}

// EnsembleStatus is what a server knows of its ensemble.
type EnsembleStatus struct {
	ID      zab.ServerID
	View    *zab.View
	Serving bool // clients
	runner.Status
}

// Ensemble returns what the server knows of its ensemble; false for a server alone.
func (s *Server) Ensemble() (st EnsembleStatus, ok bool) {
	if s.agree == nil {
		return st, false
	}
	return EnsembleStatus{ID: s.cfg.Ensemble.ID, View: s.member.view.Load(), Serving: s.serving.Load(), Status: s.agree.Status()}, true
}

// enrol makes what a member of an ensemble has, before anybody else looks at the server.
func (s *Server) enrol() *runner.Runner {
	s.member = newMember(s)
	r := runner.New(s.runnerConfig(), s.recovered(), s.member)
	s.agree, s.member.agree = r, r
	return r
}

// join opens the ports to the others: from now on the server looks for a leader.
func (s *Server) join(r *runner.Runner) error {
	e := s.cfg.Ensemble
	port, err := transport.Listen(context.Background(), transport.Config{
		ID: e.ID, Addrs: electionAddrs(e), View: e.View, Receive: r.Notified,
		AllIPs: e.AllIPs, MultiAddress: e.MultiAddress, BindRetries: e.BindRetries,
		DialTimeout: e.DialTimeout, GreetingTimeout: e.GreetingTimeout, Log: s.log,
	})
	if err != nil {
		return err
	}
	s.member.port.Store(port)
	if err := r.Start(port); err != nil {
		port.Close()
		return err
	}
	return nil
}

// NewView implements runner.Viewer.
func (m *member) NewView(v *zab.View, agreed bool) {
	committed, proposed := m.view.Load(), v
	if agreed {
		committed, proposed = v, nil
		m.view.Store(v)
	}
	if port := m.port.Load(); port != nil {
		port.SetViews(committed, proposed)
	}
	keep := m.s.cfg.Ensemble.OnView
	if keep == nil {
		return
	}
	m.job(func() error { // a file is written: not here
		if err := keep(v, agreed); err != nil {
			m.s.log.Error("the new configuration is not kept: another start begins with the old one", "err", err)
		}
		return nil
	})
}

func electionAddrs(e *Ensemble) (addrs []zab.Addr) {
	for _, p := range e.View.Member(e.ID).Peers {
		addrs = append(addrs, p.Election())
	}
	return addrs
}

func (s *Server) runnerConfig() runner.Config {
	e := s.cfg.Ensemble
	peer := peerConfig(&s.cfg)
	peer.Seed = uint64(s.started.UnixNano())
	return runner.Config{
		Peer: peer, Log: s.log, ListenOnAllIPs: e.AllIPs,
		DialMS: e.DialTimeout.Milliseconds(), MaxPacketBytes: e.MaxPacketBytes,
	}
}

func peerConfig(c *Config) zab.Config {
	e := c.Ensemble
	return zab.Config{
		ID: e.ID, View: e.View, LastSeen: e.LastSeen, TickMS: int64(c.TickMS),
		InitTicks: e.InitTicks, SyncTicks: e.SyncTicks, ConnectTicks: e.ConnectTicks, SnapForTrunc: e.SnapForTrunc,
		FinalizeMS: finalizeMS, Reconfig: c.ReconfigEnabled,
	}
}

// recovered is what the disk has, in the words of the protocol.
func (s *Server) recovered() zab.Recovered {
	h := zab.NewHistory(s.wal.Base())
	for _, span := range s.wal.Spans() {
		h.AppendRun(span.First, span.Last)
	}
	e := s.epochs.Epochs()
	return zab.Recovered{
		History: h, Committed: s.tree.Load().Applied(), Epochs: zab.Epochs{Accepted: e.Accepted, Current: e.Current},
		Trust: s.trusted,
	}
}

// finalizeMS is how long the winner of an election listens for a better vote while somebody has not been heard,
// as the leader that is gone. Nothing but another election is at stake: it is a few times what a vote takes
// within a site, and what a failover takes is mostly this.
const finalizeMS = 10

func newMember(s *Server) *member {
	m := &member{s: s, recent: recent{window: wal.NewWindow(s.wal.Last(), recentBytes, recentTxns)}}
	m.view.Store(s.cfg.Ensemble.View)
	m.measures.since = s.started
	return m
}

// beat is a step of the clock.
func (m *member) beat() {
	s := m.s
	now := s.clock.sessionMS()
	if now-m.gatheredMS >= int64(s.cfg.TickMS)/touchesPerTick {
		m.gatheredMS = now
		if _, learns := s.leaderElsewhere(); learns {
			m.touch.gather(s)
		}
	}
	m.watchLog()
}

// touchesPerTick is how often in a tick the sessions heard of are gathered: a leader asks twice.
const touchesPerTick = 4

// watchLog is for a disk that is stuck: somebody else should lead. A learner just lags behind.
func (m *member) watchLog() {
	since := m.s.loggingSinceMS.Load()
	limit := m.s.cfg.Ensemble.SyncTicks * int64(m.s.cfg.TickMS) / 2
	if since == 0 || m.s.clock.serverMS()-since < limit {
		m.resigned = 0
		return
	}
	if m.resigned != since && m.s.leads() {
		m.resigned = since
		m.s.log.Error("the log's disk does not answer: this server gives up its leadership", "forMS", m.s.clock.serverMS()-since)
		m.agree.Post(zab.Event{Kind: zab.EventResign})
	}
}

// settleAll waits until the requests that were read are answered, or the end comes.
func (s *Server) settleAll(end context.Context) {
	const most, step = 200 * time.Millisecond, time.Millisecond
	for late := time.Now().Add(most); time.Now().Before(late) && s.pipe.outstanding() > 0; {
		select {
		case <-end.Done():
			return
		case <-time.After(step):
		}
	}
}
