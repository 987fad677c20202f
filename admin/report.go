package admin

import (
	"cmp"
	"maps"
	"slices"

	"paddock/server"
	"paddock/session"
)

// This file is the answers to words, in ZooKeeper's format to the byte. Source: the classes of
// org.apache.zookeeper.server.command, ServerStats and ServerCnxn.

func (a *Admin) srvr(s Server, t *text, _ []byte) {
	t.add("Zookeeper version: " + a.version + "\n")
	addStats(t, s)
}

func (a *Admin) stat(s Server, t *text, _ []byte) {
	t.add("Zookeeper version: " + a.version + "\nClients:\n")
	for _, c := range connections(s) {
		addConn(t, &c)
		t.add(")\n")
	}
	t.add("\n")
	addStats(t, s)
}

func addStats(t *text, s Server) {
	st, p := s.Status(), standingOf(s)
	t.addf("Latency min/avg/max: %d/%s/%d\n", st.Latency.Min, decimal(st.Latency.Avg), st.Latency.Max)
	t.addf("Received: %d\nSent: %d\nConnections: %d\nOutstanding: %d\n", st.Received, st.Sent, st.Connections, st.Outstanding)
	t.addf("Zxid: 0x%x\nMode: %s\nNode count: %d\n", uint64(st.Zxid), p.mode(), znodes(st)) //nolint:gosec // its bits
	if p.leads() {
		addProposals(t, s)
	}
}

// znodes counts the root twice, as DataTree does: it is entered as "" and as "/".
func znodes(st server.Status) int64 { return st.Nodes + 1 }

// dataSize: the second root's path is one byte long.
func dataSize(st server.Status) int64 { return st.DataBytes + int64(len("/")) }

// connections lists them by address: the server's order means nothing.
func connections(s Server) []server.ConnInfo {
	all := s.Connections()
	slices.SortFunc(all, func(a, b server.ConnInfo) int { return a.Remote.Compare(b.Remote) })
	return all
}

func (a *Admin) cons(s Server, t *text, _ []byte) {
	for _, c := range connections(s) {
		addConn(t, &c)
		addSession(t, &c)
		t.add(")\n")
	}
	t.add("\n")
}

// addConn prints what every connection has, up to the closing bracket.
func addConn(t *text, c *server.ConnInfo) {
	t.addf(" /%s[%x](queued=%d,recved=%d,sent=%d", javaAddr(c.Remote), c.Interest, c.Queued, c.Received, c.Sent)
}

// addSession prints what a connection has after its handshake.
func addSession(t *text, c *server.ConnInfo) {
	if c.Session == 0 {
		return
	}
	t.addf(",sid=%s,lop=%s,est=%d,to=%d", hexID(c.Session), opCode(c.LastOp), c.EstablishedMS, c.TimeoutMS)
	if c.LastXid >= 0 {
		t.addf(",lcxid=0x%x", c.LastXid)
	}
	t.addf(",lzxid=0x%x,lresp=%d,llat=%d,minlat=%d,avglat=%d,maxlat=%d", uint64(c.LastZxid), //nolint:gosec // its bits
		c.LastReplyMS, c.LastLatencyMS, c.Latency.Min, int64(c.Latency.Avg), c.Latency.Max)
}

func (a *Admin) wchs(s Server, t *text, _ []byte) {
	sum := sumWatches(s.Watches())
	t.addf("%d connections watching %d paths\nTotal watches:%d\n", sum.sessions, sum.paths, sum.watches)
}

type watchSum struct{ sessions, paths, watches int }

func sumWatches(all []server.WatchInfo) watchSum {
	sessions, paths := map[int64]bool{}, map[string]bool{}
	for _, w := range all {
		sessions[w.Session], paths[w.Path] = true, true
	}
	return watchSum{len(sessions), len(paths), len(all)}
}

func (a *Admin) wchp(s Server, t *text, _ []byte) {
	last := ""
	for _, w := range s.Watches() { // by path
		if w.Path != last {
			t.add(w.Path + "\n")
			last = w.Path
		}
		t.add("\t" + hexID(w.Session) + "\n")
	}
	t.add("\n")
}

func (a *Admin) wchc(s Server, t *text, _ []byte) {
	last := int64(0)
	for _, w := range bySession(s.Watches()) {
		if w.Session != last {
			t.add(hexID(w.Session) + "\n")
			last = w.Session
		}
		t.add("\t" + w.Path + "\n")
	}
	t.add("\n")
}

// bySession sorts watches by session, and within one by path.
func bySession(all []server.WatchInfo) []server.WatchInfo {
	slices.SortStableFunc(all, func(a, b server.WatchInfo) int { return cmp.Compare(a.Session, b.Session) })
	return all
}

func (a *Admin) dirs(s Server, t *text, _ []byte) {
	data, log := s.DirSizes()
	t.addf("datadir_size: %d\nlogdir_size: %d\n", data, log)
}

func (a *Admin) hash(s Server, t *text, _ []byte) {
	for _, d := range s.DigestHistory() {
		t.addf("%x: %d\n", uint64(d.Zxid), int64(d.Digest)) //nolint:gosec // Java's long
	}
}

func (a *Admin) conf(s Server, t *text, _ []byte) {
	c := &a.cfg.Conf
	data, log := s.DirSizes()
	t.addf("clientPort=%d\nsecureClientPort=%d\n", portOrNone(c.ClientPort), portOrNone(c.SecureClientPort))
	t.addf("dataDir=%s\ndataDirSize=%d\ndataLogDir=%s\ndataLogSize=%d\n", c.DataDir, data, c.DataLogDir, log)
	t.addf("tickTime=%d\nmaxClientCnxns=%d\n", c.TickTimeMS, c.MaxClientCnxns)
	t.addf("minSessionTimeout=%d\nmaxSessionTimeout=%d\n", c.MinSessionTimeoutMS, c.MaxSessionTimeoutMS)
	t.addf("clientPortListenBacklog=%d\nserverId=%d\n", c.ClientPortListenBacklog, c.ServerID)
	if p := standingOf(s); p.member {
		a.confEnsemble(&p, t)
	}
}

func portOrNone(port int) int {
	if port == 0 {
		return -1
	}
	return port
}

func (a *Admin) envi(_ Server, t *text, _ []byte) {
	t.add("Environment:\n")
	for _, e := range a.environment() {
		t.addf("%s=%v\n", e.key, e.value)
	}
}

// javaDate is the format of java.util.Date, in the zone of the server.
const javaDate = "Mon Jan 02 15:04:05 MST 2006"

func (a *Admin) dump(s Server, t *text, _ []byte) {
	table := s.SessionTable()
	if p := standingOf(s); p.learns() {
		addGlobal(t, table)
	} else {
		a.addBuckets(s, t, table.Buckets())
	}
	addEphemerals(t, s.Ephemerals())
	a.addConnBuckets(s, t, table)
}

func (a *Admin) addBuckets(s Server, t *text, buckets []session.Bucket) {
	sessions := 0
	for _, b := range buckets {
		sessions += len(b.Sessions)
	}
	t.addf("SessionTracker dump:\nSession Sets (%d)/(%d):\n", len(buckets), sessions)
	for _, b := range buckets {
		t.addf("%d expire at %s:\n", len(b.Sessions), a.dateOf(s, b.ExpiryMS))
		for _, sess := range b.Sessions {
			t.add("\t" + hexID(sess.ID) + "\n")
		}
	}
}

// addGlobal lists the sessions of a learner, which does not know when they expire.
func addGlobal(t *text, table *session.Table) {
	t.addf("SessionTracker dump:\nGlobal Sessions(%d):\n", table.Len())
	table.Each(func(s *session.Session) { t.addf("%s\t%dms\n", hexID(s.ID), s.TimeoutMS()) })
}

// dateOf turns a time of the sessions' clock into one that people know.
func (a *Admin) dateOf(s Server, sessionMS int64) string {
	return a.now().Add(msDuration(sessionMS - s.Now())).Format(javaDate)
}

func addEphemerals(t *text, bySession map[int64][]string) {
	t.addf("ephemeral nodes dump:\nSessions with Ephemerals (%d):\n", len(bySession))
	for _, id := range slices.Sorted(maps.Keys(bySession)) {
		t.add(hexID(id) + ":\n")
		for _, path := range slices.Sorted(slices.Values(bySession[id])) {
			t.add("\t" + path + "\n")
		}
	}
}

// addConnBuckets prints connections by the expiry of their sessions. Those without one are not listed:
// they have ten seconds to live, and cons shows them.
func (a *Admin) addConnBuckets(s Server, t *text, table *session.Table) {
	byExpiry := map[int64][]server.ConnInfo{}
	n := 0
	for _, c := range connections(s) {
		if sess := table.Lookup(c.Session); sess != nil {
			at := table.ExpiryMS(sess)
			byExpiry[at] = append(byExpiry[at], c)
			n++
		}
	}
	t.addf("Connections dump:\nConnections Sets (%d)/(%d):\n", len(byExpiry), n)
	for _, at := range slices.Sorted(maps.Keys(byExpiry)) {
		t.addf("%d expire at %s:\n", len(byExpiry[at]), a.dateOf(s, at))
		for _, c := range byExpiry[at] {
			t.addf("\tip: /%s sessionId: %s\n", javaAddr(c.Remote), hexID(c.Session))
		}
	}
}
