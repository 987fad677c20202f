package runner

import (
	"io"

	"paddock/wire"
	"paddock/zab"
)

// Store is the rest of a server: its log and epoch record, its tree, sequencer and sessions.
//
// Unless it says otherwise a method is called by the loop, one at a time, in the order of the machine's
// actions; it must not block, neither on a disk nor on a lock that somebody holds while he waits for one,
// and must not keep a slice that it is given. Completions come back by Runner.Post, in the order in which
// they happened on the disk.
type Store interface {
	// Append logs a transaction behind all others. It need not begin before Flush.
	Append(zxid wire.Zxid, txn []byte)
	// Propose takes into the log what the sequencer has made, up to zxid: the answer to an EventProposed
	// that was posted. It comes only while we lead in the epoch of zxid. What is not taken when Rest is
	// called was never proposed, and must not be logged any more.
	Propose(zxid wire.Zxid)
	// Flush ends a turn in which another method was called. What was appended and proposed is to be
	// written and synced now; EventDurable says up to where that is done.
	Flush()
	// Commit says that all up to zxid is committed. It is to be applied as far as it is durable here, and
	// the rest when it is.
	Commit(zxid wire.Zxid)
	// SaveEpochs makes a record of promises durable, and answers with EventEpochsSaved. One at a time.
	SaveEpochs(zab.Epochs)
	// Truncate drops from the log what is behind zxid, none of which is committed, when what is being
	// written is written. The answer is EventTruncated.
	Truncate(zxid wire.Zxid)
	// Range yields the transactions after from, up to and with to, in order. yield may return false to
	// end it; it does not block, and must not keep txn. Range is called from any goroutine and for
	// everything from the base of the history on that is, or is being, logged. Only for a goroutine that
	// is not the loop it may wait for the disk: the loop asks for what was appended or proposed of late,
	// and gets an error where that is not in memory. An error ends the link, never the role.
	Range(from, to wire.Zxid, yield func(zxid wire.Zxid, txn []byte) bool) error

	// OpenSnapshot begins to make a snapshot of the tree for a link, as the stream that SNAP has behind
	// it. It should be spooled to a file, so that a slow learner holds no memory (B-51). The answer is
	// Runner.SnapshotOpened.
	OpenSnapshot(link zab.Link)
	// Receive begins to take the stream behind a SNAP of zxid. What arrived of an earlier one is dropped.
	// The Receiver is used by another goroutine, which may still feed it after Discard: then it fails.
	Receive(link zab.Link, zxid wire.Zxid) Receiver
	// Keep keeps a transaction that came behind the received snapshot, for Install.
	Keep(zxid wire.Zxid, txn []byte)
	// Install applies what was kept up to zxid to the received snapshot and makes the result durable as
	// the state, with the rest of what was kept as the log behind it, in one step: after a crash there is
	// all of it or what was there before. A snapshot whose tail is logged later would have taken back what
	// this server had acknowledged, and a quorum may rely on. The answers are EventInstalled with zxid, and
	// EventDurable for the rest. Between the call and the answer there may be an Append, which belongs
	// behind the rest.
	Install(zxid wire.Zxid)
	// Discard drops the received snapshot and what was kept.
	Discard()

	// Lead begins to serve as leader: the sequencer starts with (epoch, 1), and our own sessions expire.
	Lead(epoch uint32)
	// Serve begins to serve as follower or observer: writes and syncs go to Runner.Forward.
	Serve(epoch uint32)
	// Rest ends a role, whether or not it served. All requests on their way are forgotten: whether they
	// take effect is not known.
	Rest(why string)

	// Request gives a learner's write or sync to the sequencer. For a sync it posts EventSync with link
	// when all requests before it are in an EventProposed.
	Request(link zab.Link, q *wire.ForwardedRequest, auth wire.AuthVec)
	// Touch renews sessions that a learner has heard of.
	Touch(link zab.Link, sessions wire.TouchVec)
	// Touched appends the sessions heard of since the last call.
	Touched(dst []byte) []byte
	// Revalidate says whether a session lives; if so it is renewed, and from now on that learner's.
	Revalidate(link zab.Link, q wire.RevalidateRequest) bool
	// Revalidated is the leader's answer to a Runner.Revalidate.
	Revalidated(wire.RevalidateReply)
	// Synced says that a sync is done: the one with this token if we lead, else the oldest that was
	// forwarded. What is committed by now is to be applied before its client hears of it.
	Synced(token uint64)

	// Fatal says that the process must end: all links and ports are closed, and the machine is not
	// stepped again. It is the last call, and may come from the loop only; it may block.
	Fatal(err error)
}

// Truster is a Store that may start without trust in its disk (zab.Recovered.Trust is Empty). Trust says
// that no server of the ensemble has a history: that ours is empty is right. It is noted on the disk before
// anything that is asked for later is done, SaveEpochs above all: if a quorum could acknowledge a leader and
// be without trust after a crash, nobody would ever lead it again.
type Truster interface{ Trust() }

// Viewer is a Store of an ensemble whose members may change. NewView says that a configuration is in force or,
// if not agreed, has been proposed: a server that starts with it has to have both (zab.Config.View, LastSeen).
// It should be on the disk soon; nothing waits for that, since the log has it too.
type Viewer interface {
	NewView(v *zab.View, agreed bool)
}

// Receiver takes the stream of a snapshot. One goroutine feeds it, and it may block.
type Receiver interface {
	// Feed takes the next bytes, of which n are of the stream. n is less than len(b) only where the
	// stream ends (Done) or cannot be one. It must not keep b.
	Feed(b []byte) (n int, err error)
	// Done says whether the stream is there, whole and in order.
	Done() bool
}

// Election is the election port.
type Election interface {
	// Send queues a notification; a later one to the same server replaces it. It does not block.
	Send(to zab.ServerID, note wire.Notification)
	// Close closes the port and waits for its goroutines, which may call Runner.Notified until then.
	Close()
}

// Snapshot is a spooled stream: what is behind the packet SNAP, to the end. One goroutine reads it, and
// closes it, also after an error.
type Snapshot = io.ReadCloser
