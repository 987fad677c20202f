// Package zab is agreement: who leads, what the history is, and what of it is committed. It speaks
// ZooKeeper's own protocol, so that its peers may be servers of Apache's.
//
//	             notifications                      packets of the quorum port
//	                  │                                   │
//	Peer ──▶ election ──decides──▶ leader   (discovery ▶ synchronization ▶ broadcast)
//	   ▲                     └───▶ learner  (the same from the other side)
//	   └──────────── the role is over ───────────┘
//
// Everything here is a machine: Step takes an event and appends what has to be done to a list, in
// order. It starts no goroutine, reads no clock, draws no randomness but from its seed and never waits,
// so one seed replays one history. Whoever drives it (a runner: the shell of a server, or the
// simulator) owns the sockets, the log, the tree and the epoch record, does what the actions say, in
// order, and comes back with what became of it as events.
//
// # What the machine knows of the history
//
// Zxids, not transactions. Within an epoch they follow each other without a gap, so a History is a few
// numbers, and the choice between DIFF, TRUNC and SNAP is arithmetic. The bytes stay with the runner,
// which keeps what was logged of late at hand: an action names a range, (From, Zxid].
//
// # Gates
//
// What a peer or a client may rely on is sent when it is durable and not before. The machine waits for
// EventDurable, EventEpochsSaved, EventTruncated or EventInstalled before it says the packet that
// depends on it; such a Send also carries in After and Need what must be on the disk, and the runner
// refuses to send it earlier (durable-before-ack).
//
// # Trust
//
// A server that knows that its disk has lost something, or that finds it empty and does not know whether
// that is right, is left out wherever histories are compared (trust.go). It becomes as good as all others
// with a snapshot of a leader that the others have made, or when nobody has a history.
//
// # Configurations
//
// Who belongs to the ensemble may change with a transaction (Config.Reconfig, reconfig.go). A learner obeys,
// a new leader completes what it finds proposed, and until then every quorum is one of both configurations.
//
// # What is in the tree
//
// Only what is committed. What is logged and not yet known to be committed waits beside it with the
// runner, also after a restart. ActionCommit moves the line; a COMMIT during synchronization counts
// from UPTODATE on, and a leader's own tail from the moment it is established. So a change of role
// reloads nothing, and TRUNC drops a tail that nobody has seen.
package zab
