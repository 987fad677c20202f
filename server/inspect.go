package server

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"

	"paddock/net"
	"paddock/session"
	"paddock/snap"
	"paddock/tree"
	"paddock/watch"
	"paddock/wire"
)

// This file is what operators may ask (admin reads nothing else). What belongs to a loop is asked of
// the loop, through its inbox; nobody looks into it from outside.

// Status is the state of the server at a glance.
type Status struct {
	Serving     bool
	DiskFull    bool
	Zxid        wire.Zxid
	Uptime      time.Duration
	Connections int
	Sessions    int
	Outstanding int64 // requests in the pipeline
	Received    int64 // packets
	Sent        int64
	Events      int64 // notifications sent
	AuthFailed  int64
	Latency     Latency
	Watches     WatchCounts
	Nodes       int64 // the root once
	Ephemerals  int64
	DataBytes   int64 // paths and data
	Net         znet.Stats
	Snapshots   int64
	SnapFailed  int64
	LastSnapMS  int64
}

// Latency is in milliseconds.
type Latency struct {
	Min, Max, Count int64
	Avg             float64
}

func (l latency) public() Latency {
	p := Latency{Min: l.min, Max: l.max, Count: l.count}
	if l.count > 0 {
		p.Avg = float64(l.sum) / float64(l.count)
	}
	return p
}

// WatchCounts sums the loops' watch tables. Connections, Paths and Watches are of the data table alone,
// as wchs prints them.
type WatchCounts struct{ Connections, Paths, Watches, ChildWatches, Bytes int }

// Status gathers the counters of all loops.
func (s *Server) Status() Status {
	st := Status{
		Serving: s.serving.Load(), DiskFull: s.full.Load(), Zxid: s.tree.Load().Applied(),
		Uptime: time.Since(s.started), Sessions: s.table.Len(),
		Nodes: s.tree.Load().NodeCount(), Ephemerals: s.tree.Load().EphemeralCount(), DataBytes: s.tree.Load().DataSize(),
		Snapshots: s.checkpoints.taken.Load(), SnapFailed: s.checkpoints.failed.Load(),
		LastSnapMS: s.checkpoints.lastMS.Load(),
	}
	var lat latency
	onLoops(s, func(l *loop) func() {
		c, n := l.counters, l.nl.Stats()
		conns, paths, watches := l.watches.Counts()
		children, bytes := l.watches.ChildWatches(), l.watches.Bytes()
		return func() {
			st.Received += c.received
			st.Sent += c.sent
			st.Events += c.events
			st.AuthFailed += c.authFailed
			lat.merge(c.latency)
			st.Watches.Connections += conns
			st.Watches.Paths += paths
			st.Watches.Watches += watches
			st.Watches.ChildWatches += children
			st.Watches.Bytes += bytes
			st.Net = addNet(st.Net, n)
		}
	})
	for _, l := range s.loops {
		st.Connections += l.nl.Len()
	}
	st.Latency = lat.public()
	st.Outstanding = s.pipe.outstanding()
	return st
}

func addNet(a, b znet.Stats) znet.Stats {
	a.Opened += b.Opened
	a.Refused += b.Refused
	a.BadFrames += b.BadFrames
	a.Cut += b.Cut
	a.Parked += b.Parked
	a.HandshakeTimeouts += b.HandshakeTimeouts
	return a
}

// onLoops runs look on every loop, and what it returns here, in the order of the loops.
func onLoops(s *Server, look func(*loop) func()) {
	for _, l := range s.loops {
		done := make(chan func(), 1)
		if !l.nl.Hung() { // no connection ever came: nothing to see, and nobody to look
			continue
		}
		s.visit(l, func() { done <- look(l) })
		select {
		case f := <-done:
			f()
		case <-s.pipe.ended:
		}
	}
}

// ConnInfo is one line of `cons`.
type ConnInfo struct {
	Remote        netip.AddrPort
	Interest      int
	Queued        int // requests not answered yet
	Received      int64
	Sent          int64
	Session       int64 // 0: none yet
	TimeoutMS     int32
	LastOp        wire.Op
	EstablishedMS int64 // wall clock
	LastXid       int32
	LastZxid      wire.Zxid
	LastReplyMS   int64 // since the server's start
	LastLatencyMS int64
	Latency       Latency
	Identities    []string // scheme:id
}

// Connections lists all, in no order that means anything.
func (s *Server) Connections() []ConnInfo {
	var all []ConnInfo
	onLoops(s, func(l *loop) func() {
		var mine []ConnInfo
		l.nl.Each(func(c *znet.Conn) { mine = append(mine, connInfo(c)) })
		return func() { all = append(all, mine...) }
	})
	return all
}

func connInfo(c *znet.Conn) ConnInfo {
	k := c.State.(*client)
	st := &k.stats
	i := ConnInfo{
		Remote: c.Remote(), Interest: c.Interest(), Queued: k.unanswered,
		Received: st.received, Sent: st.sent,
	}
	for _, id := range k.ids.All() {
		i.Identities = append(i.Identities, id.Scheme+":"+id.ID)
	}
	if k.sess != nil {
		i.Session, i.TimeoutMS = k.sess.ID, k.sess.TimeoutMS()
		i.LastOp, i.LastXid, i.LastZxid = st.lastOp, st.lastXid, st.lastZxid
		i.EstablishedMS, i.LastReplyMS, i.LastLatencyMS = st.establishedMS, st.lastReplyMS, st.lastLatency
		i.Latency = st.latency.public()
	}
	return i
}

// ResetConnections is crst, ResetStats srst.
func (s *Server) ResetConnections() {
	onLoops(s, func(l *loop) func() {
		l.nl.Each(func(c *znet.Conn) { c.State.(*client).stats.reset() })
		return func() {}
	})
}

// ResetStats forgets packets and latencies.
func (s *Server) ResetStats() {
	onLoops(s, func(l *loop) func() {
		l.counters = counters{}
		return func() {}
	})
}

// WatchInfo is one watch of the data table: what wchc and wchp print.
type WatchInfo struct {
	Path    string
	Session int64
}

// Watches lists the data watches of all connections, sorted by path and session. It is costly.
func (s *Server) Watches() []WatchInfo {
	var all []WatchInfo
	onLoops(s, func(l *loop) func() {
		var mine []WatchInfo
		l.watches.Each(func(path []byte, slot uint32, kind watch.Kind, _ watch.Mode) {
			if c := l.nl.At(slot); c != nil && kind == watch.Data {
				if k := c.State.(*client); k.sess != nil {
					mine = append(mine, WatchInfo{string(path), k.sess.ID})
				}
			}
		})
		return func() { all = append(all, mine...) }
	})
	slices.SortFunc(all, func(a, b WatchInfo) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Session, b.Session))
	})
	return slices.Compact(all)
}

// Sessions calls f for every session, in the order of their ids.
func (s *Server) Sessions(f func(*session.Session)) { s.table.Each(f) }

// SessionBuckets are the expiry buckets of `dump`.
func (s *Server) SessionTable() *session.Table { return s.table }

// Now is the sessions' clock, ms: what bucket times are to be compared with.
func (s *Server) Now() int64 { return s.clock.sessionMS() }

// Ephemerals lists the ephemerals of all sessions that have any, by session.
func (s *Server) Ephemerals() map[int64][]string {
	all := map[int64][]string{}
	s.call(func(t *tree.Tree) {
		for _, id := range t.EphemeralOwners(nil) {
			t.Ephemerals(id, func(path []byte) bool {
				all[id] = append(all[id], string(path))
				return true
			})
		}
	})
	return all
}

// DigestHistory lists the recorded digests: zxid, digest.
func (s *Server) DigestHistory() []tree.DigestAt { return s.tree.Load().Digests(nil) }

// DirSizes returns the bytes of snapshots and log.
func (s *Server) DirSizes() (data, log int64) {
	return s.dirSize(s.snapDir()), s.dirSize(s.logDir())
}

func (s *Server) dirSize(dir string) int64 {
	names, err := s.cfg.FS.List(dir)
	if err != nil {
		return 0
	}
	var sum int64
	for _, n := range names {
		if i, err := s.cfg.FS.Stat(dir + "/" + n); err == nil {
			sum += i.Size
		}
	}
	return sum
}

// Serving reports whether requests are answered. It waits for nobody.
func (s *Server) Serving() bool { return s.serving.Load() }

// LastSnapshot returns the newest snapshot on disk: the last zxid in it, and when it was begun (ms since
// 1970). Both are 0 where there is none. It looks into the directory: it is for people who ask.
func (s *Server) LastSnapshot() (zxid wire.Zxid, wallMS int64) {
	all, err := snap.List(s.cfg.FS, s.snapDir())
	if err != nil {
		return 0, 0
	}
	for _, e := range all {
		if e.Err == nil {
			return e.Zxid, e.TimeMS
		}
	}
	return 0, 0
}

// Measures are the numbers that cost a counter on the way of every request.
type Measures struct {
	BytesReceived   int64 // of requests, with their lengths
	ConnectRequests int64 // handshakes, those that renew included
	SessionsExpired int64

	ReplyLast, ReplyMin, ReplyMax int64 // bytes of a reply; -1 before the first

	SlowSyncs int64   // syncs of the log that took longer than fsync.warningthresholdms
	Sync      Summary // of the log, ms
	Snapshot  Summary // writing one, ms
	Read      Summary // from the frame to the reply, ms
	Update    Summary
}

// Summary is what a distribution comes down to. The percentiles are those of recent values.
type Summary struct {
	Count                    int64
	Sum, Min, Max            float64
	P50, P90, P95, P99, P999 float64
}

// Measures gathers them from the loops and the storage.
func (s *Server) Measures() Measures {
	m := Measures{SessionsExpired: s.expired.Load(), SlowSyncs: s.slowSyncs.Load(), ReplyLast: -1, ReplyMin: -1, ReplyMax: -1}
	var reads, updates latency
	var recentReads, recentUpdates []int32
	onLoops(s, func(l *loop) func() {
		c := l.counters
		return func() {
			m.BytesReceived += c.bytes
			m.ConnectRequests += c.connects
			m.addReplies(c.replies)
			reads.merge(c.reads.latency)
			updates.merge(c.updates.latency)
			recentReads = c.reads.values(recentReads)
			recentUpdates = c.updates.values(recentUpdates)
		}
	})
	m.Read = summarize(reads, recentReads, 1)
	m.Update = summarize(updates, recentUpdates, 1)
	m.Sync = s.syncs.summary()
	m.Snapshot = s.checkpoints.times.summary()
	return m
}

func (m *Measures) addReplies(r sizes) {
	if r.count == 0 {
		return
	}
	m.ReplyLast = r.last
	m.ReplyMax = max(m.ReplyMax, r.max)
	if m.ReplyMin < 0 || r.min < m.ReplyMin {
		m.ReplyMin = r.min
	}
}

// summarize turns sums and remembered values into a Summary; unit is how many of them make one ms.
func summarize(l latency, recent []int32, unit float64) Summary {
	out := Summary{Count: l.count, Sum: float64(l.sum) / unit, Min: float64(l.min) / unit, Max: float64(l.max) / unit}
	if len(recent) == 0 {
		return out
	}
	slices.Sort(recent)
	at := func(q float64) float64 { return float64(recent[int(q*float64(len(recent)-1))]) / unit }
	out.P50, out.P90, out.P95, out.P99, out.P999 = at(0.5), at(0.9), at(0.95), at(0.99), at(0.999)
	return out
}

// timings is a distribution of durations that somebody else may ask for, in microseconds.
type timings struct {
	mu sync.Mutex
	d  distribution
}

func (t *timings) add(d time.Duration) {
	t.mu.Lock()
	t.d.add(d.Microseconds())
	t.mu.Unlock()
}

func (t *timings) summary() Summary {
	t.mu.Lock()
	d := t.d
	t.mu.Unlock()
	return summarize(d.latency, d.values(nil), 1000)
}

// Config returns what the server was started with.
func (s *Server) Config() Config { return s.cfg }
