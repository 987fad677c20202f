package admin

import (
	"cmp"
	"slices"

	"paddock/server"
	"paddock/zab"
)

// kind says how a metric is shown.
//
//	          mntr                                    Prometheus
//	gauge     zk_n                                    n, a gauge
//	counter   zk_n                                    n and n_total, counters
//	basic     zk_avg_n min max cnt sum                n_count, n_sum
//	advanced  the same, and p50 p95 p99 p999          and n{quantile}
type kind string

const (
	gauge    kind = "gauge"
	counter  kind = "counter"
	basic    kind = "summary"
	advanced kind = "summary with quantiles"
)

// metric is one row of the catalogue. Its name is ZooKeeper's, or ours: then it begins with zk_, and is
// the same in mntr.
type metric struct {
	name    string
	kind    kind
	unit    string
	help    string
	decimal bool // printed with a point even where it is whole
	value   func(*sample) float64
	summary func(*sample) server.Summary
	bySid   func(*sample) []ofServer // instead of value: one for each of the other servers
	// measured says that only a server with Measures knows it; elsewhere it is left out.
	measured bool
	// told says who has it at all; nil: everybody. Who has it not leaves it out.
	told func(*sample, *metric) bool
}

// ofServer is a value with the label sid.
type ofServer struct {
	id    zab.ServerID
	value float64
}

// inEnsemble, leading and counted are values of told.
func inEnsemble(v *sample, _ *metric) bool { return v.standing.member }

func leading(v *sample, _ *metric) bool { return v.standing.leads() }

// counted: a server alone has none, and one of several has what it counts.
func counted(v *sample, m *metric) bool {
	if !v.standing.member {
		return true
	}
	if m.summary != nil {
		_, ok := v.times[m.name]
		return ok
	}
	_, ok := v.numbers[m.name]
	return ok
}

// countedLeading: only a leader has it, and only if it is counted.
func countedLeading(v *sample, m *metric) bool { return leading(v, m) && counted(v, m) }

func countedAmong(v *sample, m *metric) bool { return inEnsemble(v, m) && counted(v, m) }

// sample is the numbers of one moment.
type sample struct {
	st                   server.Status
	m                    server.Measures
	measured             bool
	standing             standing
	numbers              map[string]int64          // of an ensembleMeter
	times                map[string]server.Summary // the same
	learners             learners
	openFiles, maxFiles  int64
	snapBytes, logBytes  int64
	zxidCounterRemaining int64
}

// take asks a server for everything that the catalogue shows.
func take(s Server) *sample {
	v := &sample{st: s.Status()}
	if m, ok := s.(meter); ok {
		v.m, v.measured = m.Measures(), true
	}
	v.standing = standingOf(s)
	v.learners = v.standing.learners()
	if m, ok := s.(ensembleMeter); ok && v.standing.member {
		v.numbers, v.times = m.EnsembleNumbers(), m.EnsembleTimes()
	}
	v.openFiles, v.maxFiles = openFiles()
	v.snapBytes, v.logBytes = s.DirSizes()
	v.zxidCounterRemaining = int64(^uint32(0)) - int64(uint32(v.st.Zxid)) //nolint:gosec // the counter half
	return v
}

// knows reports whether v has a value for m.
func (v *sample) knows(m *metric) bool {
	switch m.name {
	case "open_file_descriptor_count":
		return v.openFiles >= 0
	case "max_file_descriptor_count":
		return v.maxFiles >= 0
	}
	return (v.measured || !m.measured) && (m.told == nil || m.told(v, m))
}

func number(f func(*sample) int64) func(*sample) float64 {
	return func(v *sample) float64 { return float64(f(v)) }
}

// none is for what never happens here: it is known to be zero, not unknown.
func none(*sample) float64 { return 0 }

// tally and times are what an ensembleMeter has under a name; 0 for a server alone.
func tally(name string) func(*sample) float64 {
	return func(v *sample) float64 { return float64(v.numbers[name]) }
}

func times(name string) func(*sample) server.Summary {
	return func(v *sample) server.Summary { return v.times[name] }
}

// catalogue lists every metric. The classic names of ZooKeeper 3.4 come first, for collectors that read
// only so many lines.
func catalogue() []metric {
	var all []metric
	for _, part := range [][]metric{classicMetrics(), sessionMetrics(), requestMetrics(), storageMetrics(), ensembleMetrics(), ourMetrics()} {
		all = append(all, part...)
	}
	return all
}

func classicMetrics() []metric {
	return []metric{
		{name: "avg_latency", kind: gauge, unit: "ms", decimal: true, help: "Mean time from a request to its reply.", value: func(v *sample) float64 { return v.st.Latency.Avg }},
		{name: "max_latency", kind: gauge, unit: "ms", help: "Longest time from a request to its reply.", value: number(func(v *sample) int64 { return v.st.Latency.Max })},
		{name: "min_latency", kind: gauge, unit: "ms", help: "Shortest time from a request to its reply.", value: number(func(v *sample) int64 { return v.st.Latency.Min })},
		{name: "packets_received", kind: gauge, help: "Requests received.", value: number(func(v *sample) int64 { return v.st.Received })},
		{name: "packets_sent", kind: gauge, help: "Replies and notifications sent.", value: number(func(v *sample) int64 { return v.st.Sent })},
		{name: "num_alive_connections", kind: gauge, help: "Open client connections.", value: number(func(v *sample) int64 { return int64(v.st.Connections) })},
		{name: "outstanding_requests", kind: gauge, help: "Requests on their way through the server.", value: number(func(v *sample) int64 { return v.st.Outstanding })},
		{name: "znode_count", kind: gauge, help: "Nodes; the root counts twice, as it always did.", value: number(func(v *sample) int64 { return znodes(v.st) })},
		{name: "watch_count", kind: gauge, help: "Watches on nodes and on children.", value: number(func(v *sample) int64 { return int64(v.st.Watches.Watches + v.st.Watches.ChildWatches) })},
		{name: "ephemerals_count", kind: gauge, help: "Ephemeral nodes.", value: number(func(v *sample) int64 { return v.st.Ephemerals })},
		{name: "approximate_data_size", kind: gauge, unit: "bytes", help: "Length of all paths and data.", value: number(func(v *sample) int64 { return dataSize(v.st) })},
		{name: "open_file_descriptor_count", kind: gauge, help: "Open file descriptors.", value: number(func(v *sample) int64 { return v.openFiles })},
		{name: "max_file_descriptor_count", kind: gauge, help: "How many file descriptors may be open.", value: number(func(v *sample) int64 { return v.maxFiles })},
		{name: "uptime", kind: gauge, unit: "ms", help: "Time since the start.", value: number(func(v *sample) int64 { return v.st.Uptime.Milliseconds() })},
	}
}

func sessionMetrics() []metric {
	return []metric{
		{name: "global_sessions", kind: gauge, help: "Sessions.", value: number(func(v *sample) int64 { return int64(v.st.Sessions) })},
		{name: "local_sessions", kind: gauge, help: "Sessions that only one server of an ensemble knows: there are none.", value: none},
		{name: "stale_sessions_expired", kind: counter, help: "Sessions that expired.", measured: true, value: number(func(v *sample) int64 { return v.m.SessionsExpired })},
		{name: "connection_request_count", kind: counter, help: "Handshakes of clients.", measured: true, value: number(func(v *sample) int64 { return v.m.ConnectRequests })},
		{name: "connection_rejected", kind: counter, help: "Connections refused because there were too many, in all or from one address.", value: number(func(v *sample) int64 { return v.st.Net.Refused })},
		{name: "sessionless_connections_expired", kind: counter, help: "Connections closed because their handshake did not come.", value: number(func(v *sample) int64 { return v.st.Net.HandshakeTimeouts })},
		{name: "connection_drop_count", kind: counter, help: "Connections dropped at random under load: none ever is.", value: none},
		{name: "connection_drop_probability", kind: gauge, decimal: true, help: "How likely that is.", value: none},
		{name: "auth_failed_count", kind: gauge, help: "Refused auth requests.", value: number(func(v *sample) int64 { return v.st.AuthFailed })},
	}
}

func requestMetrics() []metric {
	return []metric{
		{name: "bytes_received_count", kind: counter, unit: "bytes", help: "Bytes of requests.", measured: true, value: number(func(v *sample) int64 { return v.m.BytesReceived })},
		{name: "last_client_response_size", kind: gauge, unit: "bytes", help: "Size of the last reply; -1 before the first.", measured: true, value: number(func(v *sample) int64 { return v.m.ReplyLast })},
		{name: "max_client_response_size", kind: gauge, unit: "bytes", help: "Size of the largest reply; -1 before the first.", measured: true, value: number(func(v *sample) int64 { return v.m.ReplyMax })},
		{name: "min_client_response_size", kind: gauge, unit: "bytes", help: "Size of the smallest reply; -1 before the first.", measured: true, value: number(func(v *sample) int64 { return v.m.ReplyMin })},
		{name: "readlatency", kind: advanced, unit: "ms", help: "Time from a read to its reply.", measured: true, summary: func(v *sample) server.Summary { return v.m.Read }},
		{name: "updatelatency", kind: advanced, unit: "ms", help: "Time from a write to its reply.", measured: true, summary: func(v *sample) server.Summary { return v.m.Update }},
		{name: "unrecoverable_error_count", kind: counter, help: "Errors after which a server should not go on: this one does not.", value: none},
		{name: "digest_mismatches_count", kind: counter, help: "Times the tree was not what the log says: the server stops at the first.", value: none},
	}
}

func storageMetrics() []metric {
	return []metric{
		{name: "fsynctime", kind: basic, unit: "ms", help: "Time of a sync of the log.", measured: true, summary: func(v *sample) server.Summary { return v.m.Sync }},
		{name: "fsync_threshold_exceed_count", kind: gauge, help: "Syncs that took longer than fsync.warningthresholdms.", measured: true, value: number(func(v *sample) int64 { return v.m.SlowSyncs })},
		{name: "snapshottime", kind: basic, unit: "ms", help: "Time to write a snapshot.", measured: true, summary: func(v *sample) server.Summary { return v.m.Snapshot }},
		{name: "snapshot_error_count", kind: counter, help: "Snapshots that failed.", value: number(func(v *sample) int64 { return v.st.SnapFailed })},
	}
}

// ensembleMetrics are what happens between servers. A server alone has those that dashboards look for
// there, too, and no part in them.
func ensembleMetrics() []metric {
	return []metric{
		{name: "quorum_size", kind: gauge, help: "Servers that vote. Not on a server alone.", told: inEnsemble, value: number(func(v *sample) int64 { return int64(len(v.standing.View.Voters())) })},
		{name: "learners", kind: gauge, help: "Followers and observers that are connected. On a leader.", told: leading, value: number(func(v *sample) int64 { return int64(v.learners.all) })},
		{name: "followers", kind: gauge, help: "Followers among them. On a leader.", told: leading, value: number(func(v *sample) int64 { return int64(v.learners.all - v.learners.observers) })},
		{name: "synced_followers", kind: gauge, help: "Followers that vote, and are up to date. On a leader.", told: leading, value: number(func(v *sample) int64 { return int64(v.learners.synced) })},
		{name: "synced_non_voting_followers", kind: gauge, help: "Followers that do not vote, and are up to date. On a leader.", told: leading, value: number(func(v *sample) int64 { return int64(v.learners.nonVoting) })},
		{name: "synced_observers", kind: gauge, help: "Observers that are up to date. On a leader.", told: leading, value: number(func(v *sample) int64 { return int64(v.learners.syncedObserve) })},
		{name: "pending_syncs", kind: gauge, help: "Syncs of clients that wait for a quorum. On a leader.", told: countedLeading, value: tally("pending_syncs")},
		{name: "leader_uptime", kind: gauge, unit: "ms", help: "Time since this server leads. On a leader.", told: countedLeading, value: tally("leader_uptime")},
		{name: "last_proposal_size", kind: gauge, unit: "bytes", help: "Size of the last proposal; -1 before the first. On a leader.", told: countedLeading, value: tally("last_proposal_size")},
		{name: "max_proposal_size", kind: gauge, unit: "bytes", help: "Size of the largest proposal; -1 before the first. On a leader.", told: countedLeading, value: tally("max_proposal_size")},
		{name: "min_proposal_size", kind: gauge, unit: "bytes", help: "Size of the smallest proposal; -1 before the first. On a leader.", told: countedLeading, value: tally("min_proposal_size")},
		{name: "election_time", kind: basic, unit: "ms", help: "Time of an election: from looking for a leader to having one.", told: counted, summary: times("election_time")},
		{name: "unavailable_time", kind: basic, unit: "ms", help: "Time from the end of a role to serving again.", told: countedAmong, summary: times("unavailable_time")},
		{name: "leader_unavailable_time", kind: basic, unit: "ms", help: "The same where this server became the leader.", told: countedAmong, summary: times("leader_unavailable_time")},
		{name: "proposal_latency", kind: advanced, unit: "ms", help: "Time from a proposal to its commit, on the leader.", told: counted, summary: times("proposal_latency")},
		{name: "proposal_count", kind: counter, help: "Proposals of this server as leader.", told: counted, value: tally("proposal_count")},
		{name: "commit_count", kind: counter, help: "Commits of this server as leader.", told: counted, value: tally("commit_count")},
		{name: "diff_count", kind: counter, help: "Learners brought up to date with transactions.", told: counted, value: tally("diff_count")},
		{name: "snap_count", kind: counter, help: "Learners brought up to date with a snapshot.", told: counted, value: tally("snap_count")},
		{name: "looking_count", kind: counter, help: "Times the server looked for a leader.", told: counted, value: tally("looking_count")},
		{name: "revalidate_count", kind: counter, help: "Sessions whose leader was asked about them.", told: counted, value: tally("revalidate_count")},
		{name: "connection_revalidate_count", kind: counter, help: "Handshakes whose leader was asked about them.", told: counted, value: tally("connection_revalidate_count")},
		{name: "zk_commit_lag_txns", kind: gauge, help: "Transactions that this server has in its log and does not know to be committed. Not on a server alone.", told: inEnsemble, value: number(func(v *sample) int64 { return behind(v.standing.Committed, v.standing.Last) })},
		{name: "zk_apply_lag_txns", kind: gauge, help: "Transactions that are committed and not applied here yet. Not on a server alone.", told: inEnsemble, value: number(func(v *sample) int64 { return behind(v.st.Zxid, v.standing.Committed) })},
		{name: "zk_follower_lag_txns", kind: gauge, help: "Proposals that a follower has not acknowledged, by sid. On a leader.", told: leading, bySid: followerLag},
		{name: "zk_learner_queue_bytes", kind: gauge, unit: "bytes", help: "What waits to be sent to a learner, by sid. On a leader.", told: leading, bySid: learnerQueue},
	}
}

func followerLag(v *sample) (all []ofServer) {
	for _, l := range v.standing.Links {
		if !l.Leader && !l.Observer && l.Synced {
			all = append(all, ofServer{l.Server, float64(l.Lag)})
		}
	}
	return oneEach(all)
}

func learnerQueue(v *sample) (all []ofServer) {
	for _, l := range v.standing.Links {
		if !l.Leader && l.Server != 0 {
			all = append(all, ofServer{l.Server, float64(l.Queued)})
		}
	}
	return oneEach(all)
}

// oneEach sorts by server and keeps the last link of each: one that is being replaced may still be there.
func oneEach(all []ofServer) []ofServer {
	slices.SortStableFunc(all, func(a, b ofServer) int { return cmp.Compare(a.id, b.id) })
	var last []ofServer
	for i := range all {
		if i+1 == len(all) || all[i+1].id != all[i].id {
			last = append(last, all[i])
		}
	}
	return last
}

// ourMetrics have no counterpart in ZooKeeper.
func ourMetrics() []metric {
	return []metric{
		{name: "zk_notifications_total", kind: counter, help: "Notifications of watches sent.", value: number(func(v *sample) int64 { return v.st.Events })},
		{name: "zk_connections_opened_total", kind: counter, help: "Connections accepted.", value: number(func(v *sample) int64 { return v.st.Net.Opened })},
		{name: "zk_connections_cut_total", kind: counter, help: "Connections cut because their client did not read.", value: number(func(v *sample) int64 { return v.st.Net.Cut })},
		{name: "zk_connections_parked_total", kind: counter, help: "Times a connection was no longer read because it sent faster than it was served.", value: number(func(v *sample) int64 { return v.st.Net.Parked })},
		{name: "zk_bad_frames_total", kind: counter, help: "Connections closed because what they sent was no request: too large, or not of this protocol.", value: number(func(v *sample) int64 { return v.st.Net.BadFrames })},
		{name: "zk_watch_table_bytes", kind: gauge, unit: "bytes", help: "Memory of the watch tables.", value: number(func(v *sample) int64 { return int64(v.st.Watches.Bytes) })},
		{name: "zk_snapshots_total", kind: counter, help: "Snapshots written.", value: number(func(v *sample) int64 { return v.st.Snapshots })},
		{name: "zk_snapshot_last_duration_seconds", kind: gauge, unit: "seconds", decimal: true, help: "Time to write the last snapshot; 0 before the first.", value: func(v *sample) float64 { return float64(v.st.LastSnapMS) / 1000 }},
		{name: "zk_snapshot_bytes", kind: gauge, unit: "bytes", help: "Snapshots on disk.", value: number(func(v *sample) int64 { return v.snapBytes })},
		{name: "zk_txnlog_bytes", kind: gauge, unit: "bytes", help: "The log on disk, with what is written ahead.", value: number(func(v *sample) int64 { return v.logBytes })},
		{name: "zk_disk_full", kind: gauge, help: "1 while writes are refused because the disk is nearly full.", value: func(v *sample) float64 { return one(v.st.DiskFull) }},
		{name: "zk_zxid_epoch", kind: gauge, help: "Epoch half of the last zxid.", value: func(v *sample) float64 { return float64(uint64(v.st.Zxid) >> 32) }}, //nolint:gosec // its bits
		{name: "zk_zxid_counter_remaining", kind: gauge, help: "Transactions until the counter half of the zxid is used up.", value: number(func(v *sample) int64 { return v.zxidCounterRemaining })},
	}
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
