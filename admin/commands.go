package admin

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"paddock/server"
	"paddock/zab"
)

// command is one row of the table of HTTP commands. Source: org.apache.zookeeper.server.admin.Commands.
type command struct {
	name    string
	aliases []string
	serving bool // needs a server that serves; without one only error is filled
	shared  bool // computed once for all who wait; the query may only choose how ids are written
	changes bool // takes POST, too
	run     func(*request) (body object, fault string)
	doc     string
}

func (c *command) methods() methods {
	if c.changes {
		return changing
	}
	return reading
}

// request is a command that somebody asked for.
type request struct {
	a      *Admin
	s      Server // nil while there is none; never for a command that needs a serving server
	query  url.Values
	hexIDs bool // ?ids=hex: as text, because a JavaScript number has no 64 bits
}

func (q *request) id(id int64) any {
	if q.hexIDs {
		return hexID(id)
	}
	return id
}

func (q *request) idKey(id int64) string {
	if q.hexIDs {
		return hexID(id)
	}
	return strconv.FormatInt(id, 10)
}

// commandTable is in the order of docs/operations.md.
func commandTable() []command {
	return []command{
		{"configuration", []string{"conf", "config"}, true, false, false, (*request).configuration, "What was configured; with `full=true` every setting and where it comes from, secrets masked."},
		{"connections", []string{"cons"}, true, true, false, (*request).connections, "All client connections."},
		{"connection_stat_reset", []string{"crst"}, true, false, true, (*request).resetConnections, "Forgets what was counted for each connection."},
		{"dirs", nil, true, true, false, (*request).dirs, "Bytes of snapshots and log."},
		{"dump", nil, true, true, false, (*request).dump, "Sessions by expiry (ms on the sessions' clock), and their ephemeral nodes."},
		{"environment", []string{"env", "envi"}, false, false, false, (*request).environment, "Version, host, platform, user."},
		{"get_trace_mask", []string{"gtmk"}, false, false, false, (*request).traceMask, "The trace mask. Nothing is traced by it."},
		{"set_trace_mask", []string{"stmk"}, false, false, true, (*request).setTraceMask, "Sets it: `traceMask=N`."},
		{"hash", nil, true, true, false, (*request).hash, "Digests of the tree at every 128th zxid, the last 1024."},
		{"initial_configuration", []string{"icfg"}, true, false, false, (*request).initialConfiguration, "The settings that were given, secrets masked."},
		{"is_read_only", []string{"isro"}, true, false, false, (*request).readOnly, "Always false: there is no read-only mode."},
		{"last_snapshot", []string{"lsnp"}, true, true, false, (*request).lastSnapshot, "Zxid (hexadecimal) and time (s since 1970) of the newest snapshot."},
		{"leader", []string{"lead"}, true, false, false, (*request).leader, "Who leads, and at what address. A server alone answers with an error."},
		{"monitor", []string{"mntr"}, false, true, false, (*request).monitor, "All metrics, without `zk_`."},
		{"observers", []string{"obsr"}, true, false, false, (*request).observers, "On a leader: the observers that learn from it."},
		{"observer_connection_stat_reset", []string{"orst"}, true, false, true, (*request).nothing, "Does nothing: their packets are not counted."},
		{"ruok", nil, true, false, false, (*request).nothing, "No error while requests are served."},
		{"server_stats", []string{"srvr"}, true, true, false, (*request).serverStats, "Packets, latencies (ms), connections, last zxid, sizes (bytes)."},
		{"stats", []string{"stat"}, true, true, false, (*request).stats, "The same with all client connections in brief."},
		{"stat_reset", []string{"srst"}, true, false, true, (*request).resetStats, "Forgets packets and latencies."},
		{"system_properties", []string{"sysp"}, false, false, false, (*request).properties, "Every setting, as `zookeeper.` and its key; secrets masked."},
		{"voting_view", nil, true, false, false, (*request).votingView, "Who votes, and their addresses. Empty for a server alone."},
		{"watches", []string{"wchc"}, true, true, false, (*request).watches, "Watches on nodes, by session. Costly."},
		{"watches_by_path", []string{"wchp"}, true, true, false, (*request).watchesByPath, "The same by path. Costly."},
		{"watch_summary", []string{"wchs"}, true, true, false, (*request).watchSummary, "How many they are."},
		{"zabstate", nil, false, false, false, (*request).zabState, "This server in its ensemble: addresses, last zxid, phase. Empty for a server alone."},
	}
}

// commandsByName finds commands by their names and aliases.
var commandsByName = func() map[string]command {
	m := map[string]command{}
	for _, c := range commandTable() {
		m[c.name] = c
		for _, alias := range c.aliases {
			m[alias] = c
		}
	}
	return m
}()

func (q *request) nothing() (object, string) { return nil, "" }

func (q *request) configuration() (o object, fault string) {
	c := &q.a.cfg.Conf
	o.set("client_port", int64(portOrNone(c.ClientPort)))
	o.set("data_dir", c.DataDir)
	o.set("data_log_dir", c.DataLogDir)
	o.set("tick_time", int64(c.TickTimeMS))
	o.set("max_client_cnxns", int64(c.MaxClientCnxns))
	o.set("min_session_timeout", int64(c.MinSessionTimeoutMS))
	o.set("max_session_timeout", int64(c.MaxSessionTimeoutMS))
	o.set("server_id", c.ServerID)
	o.set("client_port_listen_backlog", int64(c.ClientPortListenBacklog))
	if p := standingOf(q.s); p.member {
		own := p.View.Member(p.ID)
		o.set("init_limit", int64(c.InitLimit))
		o.set("sync_limit", int64(c.SyncLimit))
		o.set("election_alg", int64(3))
		o.set("election_port", ports(own.Peers, zab.PeerAddr.Election))
		o.set("quorum_port", ports(own.Peers, zab.PeerAddr.Quorum))
		o.set("peer_type", int64(peerType(own.Role)))
		o.set("membership", p.View.String())
	}
	if q.query.Get("full") == "true" {
		var all list
		for _, s := range q.a.cfg.Settings {
			all = append(all, object{{"key", s.Key}, {"value", s.Value}, {"source", s.Source}})
		}
		o.set("settings", all)
	}
	return o, ""
}

func (q *request) connections() (o object, fault string) {
	all := list{}
	for _, c := range connections(q.s) {
		all = append(all, q.connection(&c))
	}
	o.set("connections", all)
	o.set("secure_connections", list{})
	return o, ""
}

// brief is what stats tells of a connection.
func brief(c *server.ConnInfo) (o object) {
	o.set("remote_socket_address", javaAddr(c.Remote))
	o.set("interest_ops", int64(c.Interest))
	o.set("outstanding_requests", int64(c.Queued))
	o.set("packets_received", c.Received)
	o.set("packets_sent", c.Sent)
	return o
}

func (q *request) connection(c *server.ConnInfo) object {
	o := brief(c)
	if c.Session == 0 {
		return o
	}
	o.set("session_id", q.id(c.Session))
	o.set("last_operation", opCode(c.LastOp))
	o.set("established", c.EstablishedMS)
	o.set("session_timeout", int64(c.TimeoutMS))
	o.set("last_cxid", int64(c.LastXid))
	o.set("last_zxid", int64(c.LastZxid))
	o.set("last_response_time", c.LastReplyMS)
	o.set("last_latency", c.LastLatencyMS)
	o.set("min_latency", c.Latency.Min)
	o.set("avg_latency", int64(c.Latency.Avg))
	o.set("max_latency", c.Latency.Max)
	return o
}

func (q *request) resetConnections() (object, string) {
	q.s.ResetConnections()
	return nil, ""
}

func (q *request) resetStats() (object, string) {
	q.s.ResetStats()
	return nil, ""
}

func (q *request) dirs() (o object, fault string) {
	data, log := q.s.DirSizes()
	o.set("datadir_size", data)
	o.set("logdir_size", log)
	return o, ""
}

func (q *request) dump() (o object, fault string) {
	var sessions, ephemerals object
	buckets := q.s.SessionTable().Buckets()
	if p := standingOf(q.s); p.learns() {
		buckets = nil // the leader knows when they expire
	}
	for _, b := range buckets {
		var ids list
		for _, s := range b.Sessions {
			ids = append(ids, q.id(s.ID))
		}
		sessions.set(strconv.FormatInt(b.ExpiryMS, 10), ids)
	}
	bySession := q.s.Ephemerals()
	for _, id := range slices.Sorted(maps.Keys(bySession)) {
		ephemerals.set(q.idKey(id), texts(slices.Sorted(slices.Values(bySession[id]))))
	}
	o.set("expiry_time_to_session_ids", sessions)
	o.set("session_id_to_ephemeral_paths", ephemerals)
	return o, ""
}

func texts(all []string) list {
	l := list{}
	for _, s := range all {
		l = append(l, s)
	}
	return l
}

func (q *request) environment() (object, string) { return q.a.environment(), "" }

func (q *request) traceMask() (object, string) {
	return object{{"tracemask", q.a.traceMask.Load()}}, ""
}

func (q *request) setTraceMask() (object, string) {
	const argument = "traceMask"
	if !q.query.Has(argument) {
		return nil, "setTraceMask requires long traceMask argument"
	}
	mask, err := strconv.ParseInt(q.query.Get(argument), 10, 64)
	if err != nil {
		return nil, "setTraceMask requires long traceMask argument, got " + q.query.Get(argument)
	}
	q.a.traceMask.Store(mask)
	return object{{"tracemask", mask}}, ""
}

func (q *request) hash() (object, string) {
	all := list{}
	for _, d := range q.s.DigestHistory() {
		all = append(all, object{
			{"zxid", int64(d.Zxid)},
			{"digest", int64(d.Digest)}, //nolint:gosec // Java's long
			{"digest_version", int64(2)},
		})
	}
	return object{{"digests", all}}, ""
}

func (q *request) initialConfiguration() (object, string) {
	var b strings.Builder
	for _, s := range q.a.cfg.Settings {
		if s.Source != "default" {
			b.WriteString(s.Key + "=" + s.Value + "\n")
		}
	}
	return object{{"initial_configuration", b.String()}}, ""
}

func (q *request) readOnly() (object, string) { return object{{"read_only", false}}, "" }

func (q *request) lastSnapshot() (object, string) {
	zxid, wallMS := q.s.LastSnapshot()
	return object{
		{"zxid", fmt.Sprintf("%x", uint64(zxid))}, //nolint:gosec // its bits
		{"timestamp", wallMS / 1000},
	}, ""
}

func (q *request) monitor() (o object, fault string) {
	o.set("version", q.a.version)
	if q.s == nil {
		return o, notServing
	}
	if p := standingOf(q.s); p.member && !q.s.Serving() {
		o.set("peer_state", p.peerState())
		return o, notServing
	}
	v := take(q.s)
	for _, l := range v.states() {
		o.set(l.name, l.value)
	}
	for _, l := range lines(v) {
		o.set(l.name, l.value)
	}
	return o, ""
}

func (q *request) serverStats() (object, string) { return q.a.serverStats(q.s), "" }

// serverStats has the odd names that Jackson made of a Java bean's.
func (a *Admin) serverStats(s Server) (o object) {
	v := take(s)
	st := v.st
	sizes := object{{"last_buffer_size", int64(-1)}, {"min_buffer_size", int64(-1)}, {"max_buffer_size", int64(-1)}}
	if v.measured {
		sizes = object{{"last_buffer_size", v.m.ReplyLast}, {"min_buffer_size", v.m.ReplyMin}, {"max_buffer_size", v.m.ReplyMax}}
	}
	o.set("version", a.version)
	o.set("read_only", false)
	o.set("server_stats", object{
		{"packets_sent", st.Sent},
		{"packets_received", st.Received},
		{"fsync_threshold_exceed_count", v.m.SlowSyncs},
		{"client_response_stats", sizes},
		{"data_dir_size", v.snapBytes},
		{"log_dir_size", v.logBytes},
		{"provider_null", false},
		{"last_processed_zxid", int64(st.Zxid)},
		{"outstanding_requests", st.Outstanding},
		{"server_state", v.standing.mode()},
		{"avg_latency", st.Latency.Avg},
		{"max_latency", st.Latency.Max},
		{"min_latency", st.Latency.Min},
		{"num_alive_client_connections", int64(st.Connections)},
		{"uptime", st.Uptime.Milliseconds()},
		{"auth_failed_count", st.AuthFailed},
		{"non_mtlsremote_conn_count", int64(0)},
		{"non_mtlslocal_conn_count", int64(0)},
	})
	o.set("client_response", sizes)
	if v.standing.leads() {
		last, least, most := proposalSizes(s)
		o.set("proposal_stats", object{{"last_buffer_size", last}, {"min_buffer_size", least}, {"max_buffer_size", most}})
	}
	o.set("node_count", znodes(st))
	return o
}

func (q *request) stats() (object, string) {
	o := q.a.serverStats(q.s)
	all := list{}
	for _, c := range connections(q.s) {
		all = append(all, brief(&c))
	}
	o.set("connections", all)
	o.set("secure_connections", list{})
	return o, ""
}

func (q *request) properties() (o object, fault string) {
	for _, s := range q.a.cfg.Settings {
		o.set("zookeeper."+strings.TrimPrefix(s.Key, "zookeeper."), s.Value)
	}
	slices.SortStableFunc(o, func(x, y member) int { return strings.Compare(x.key, y.key) })
	return o, ""
}

func (q *request) watches() (object, string) {
	var all object
	for _, w := range bySession(q.s.Watches()) {
		key := q.idKey(w.Session)
		if n := len(all); n == 0 || all[n-1].key != key {
			all.set(key, list{})
		}
		last := &all[len(all)-1]
		last.value = append(last.value.(list), w.Path)
	}
	return object{{"session_id_to_watched_paths", all}}, ""
}

func (q *request) watchesByPath() (object, string) {
	var all object
	for _, w := range q.s.Watches() {
		if n := len(all); n == 0 || all[n-1].key != w.Path {
			all.set(w.Path, list{})
		}
		last := &all[len(all)-1]
		last.value = append(last.value.(list), q.id(w.Session))
	}
	return object{{"path_to_session_ids", all}}, ""
}

func (q *request) watchSummary() (object, string) {
	sum := sumWatches(q.s.Watches())
	return object{
		{"num_connections", int64(sum.sessions)},
		{"num_paths", int64(sum.paths)},
		{"num_total_watches", int64(sum.watches)},
	}, ""
}
