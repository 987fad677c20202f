package zab

import "paddock/wire"

// Link names a connection of the quorum port. The runner gives out the names, and never one twice.
type Link uint64

// Epochs is the durable record of what a server has promised. Neither number ever goes back.
type Epochs struct {
	Accepted uint32 // we follow no leader of an epoch below this
	Current  uint32 // the epoch of the last leader whose history became ours
}

// covers says whether a record holds everything that need does.
func (e Epochs) covers(need Epochs) bool {
	return e.Accepted >= need.Accepted && e.Current >= need.Current
}

// Config is what does not change while a peer runs. Times are milliseconds.
type Config struct {
	ID        ServerID
	View      *View // committed
	LastSeen  *View // proposed, perhaps not committed; nil or View where there is none
	Seed      uint64
	TickMS    int64 // tickTime
	InitTicks int64 // initLimit
	SyncTicks int64 // syncLimit
	// ConnectTicks replaces InitTicks while a learner connects, where it is not 0 (connectToLearnerMasterLimit).
	ConnectTicks int64
	// FinalizeMS is how long a winner listens for a better vote before it decides; 0 is the default.
	FinalizeMS int64
	// SnapForTrunc sends a SNAP to a learner that is ahead of us, where ZooKeeper's leaders send TRUNC: its
	// servers keep snapshots of what TRUNC drops (ZOOKEEPER-1549).
	SnapForTrunc bool
	// Reconfig: configurations may change, as transactions (reconfigEnabled).
	Reconfig bool
	// LastCounter is the last transaction that a leader proposes in its epoch; 0 is 0xfffffffe, as Java has
	// it. A simulator makes it small.
	LastCounter int64

	Defects []Defect // for tests of tests
}

// Recovered is what a server finds on its disk when it starts.
type Recovered struct {
	History   History
	Committed wire.Zxid // known to be committed, and applied; at most History.Last()
	Epochs    Epochs    // Accepted is not below the epoch of any transaction; Current may be, behind an interrupted DIFF
	Trust     Trust
}

// Trust says whether a disk still has everything that its server has acknowledged.
type Trust uint8

// The degrees of trust. Who is not trusted has no voice where histories are compared: its votes say that its
// last zxid is -1, which nobody counts, it never leads, and what it has is not the reason why anybody else
// may. It joins a leader that others have made, takes a snapshot, and is as good as all others when that is
// on its disk (EventInstalled): with the same step the Store takes back whatever marks it.
const (
	Trusted Trust = iota
	Damaged       // a part of what was logged is lost, and the promises are not: History is what is left
	Empty         // there is nothing, and nobody has said that this is right. It is, if no server has anything (ActionTrust)
)

// EventKind says what happened.
type EventKind uint8

// The events. Beside each are the fields of Event that count.
const (
	EventTick             EventKind = iota + 1 // time has passed
	EventNotification                          // From, Note: a vote arrived on the election port
	EventAccepted                              // Link: somebody connected to our quorum port
	EventDialed                                // Link: the connection that ActionDial asked for is up
	EventDialFailed                            // it will not be
	EventPacket                                // Link, Packet: Data is valid during Step only
	EventLost                                  // Link: the connection is gone; nobody asked for it
	EventDurable                               // Zxid: our log is durable up to here
	EventEpochsSaved                           // Epochs: the record that ActionSaveEpochs asked for is durable
	EventTruncated                             // Zxid: the log ends here, durably
	EventSnapshotOpened                        // Link, Zxid: the snapshot that ActionSnapshot asked for shows the state after Zxid; it is queued on Link
	EventSnapshotReceived                      // Link, Zxid: the stream behind a SNAP packet has arrived, whole
	EventInstalled                             // Zxid: what ActionInstall asked for is durable, and the log begins after Zxid
	EventProposed                              // Zxid: our sequencer has made transactions up to here; they are being logged
	EventSync                                  // Link, Token: the sequencer has come to a sync, all before it is in an EventProposed. Link 0: a client of ours (the leader's)
	EventResign                                // leave the role: shutdown, or a disk that limps
	EventPurged                                // Zxid: the log begins after Zxid now, which is committed, applied and durable
	EventProgress                              // Link: bytes of a long stream have left; once in a while, so that no deadline passes
)

// Event is one thing that happened to a peer. Now is the monotonic time, in every event.
type Event struct {
	Kind   EventKind
	Now    int64 // ms
	From   ServerID
	Link   Link
	Zxid   wire.Zxid
	Token  uint64
	Note   wire.Notification
	Packet wire.Packet
	Epochs Epochs
}

// ActionKind says what is to be done.
type ActionKind uint8

// The actions. Beside each are the fields of Action that count. Ranges are (From, Zxid], in terms of the
// transactions that are, or are being, logged here.
const (
	ActionNotify      ActionKind = iota + 1 // To, Note: on the election port; a later one to the same server replaces it
	ActionDial                              // To: connect to its quorum port, until EventDialed or EventDialFailed; ends an earlier dial
	ActionClose                             // Link: there is no EventLost for it
	ActionSend                              // Link, Packet, After, Need
	ActionSaveEpochs                        // Epochs
	ActionAppend                            // Zxid, Packet.Data: log this transaction (copy it). After a received snapshot: keep it, until ActionInstall
	ActionCommit                            // Zxid: all up to here is committed. Apply it, as far as it is durable here
	ActionTruncate                          // Zxid: nothing behind it is committed, or applied
	ActionSnapshot                          // Link: open a view of the tree and queue the packet SNAP and the stream
	ActionStream                            // Link, From, Zxid: queue PROPOSAL and COMMIT for each, to followers and observers alike
	ActionPropose                           // Link, From, Zxid: queue PROPOSAL for each
	ActionCommits                           // Link, From, Zxid: queue COMMIT for each
	ActionInform                            // Link, From, Zxid: queue INFORM for each
	ActionInstall                           // Zxid: apply what was kept up to Zxid to the received snapshot and make the result durable as ours, with the rest of what was kept as the log behind it: all of that in one step, for a part of it may be less than a quorum relies on
	ActionDiscard                           // drop the received snapshot and what was kept behind it
	ActionLead                              // Epoch: we lead: serve, and sequence from (Epoch, 1) on
	ActionServe                             // Link, Epoch: we follow or observe over Link: serve, and forward writes
	ActionRest                              // the role is over: serve nobody, forget all requests on their way
	ActionRequest                           // Link, Packet: a learner's write or sync, for the sequencer, in order; when it comes to a sync it says EventSync with this Link
	ActionTouch                             // Packet: a learner's PING, with the sessions it heard of
	ActionRevalidate                        // Link, Packet: a learner asks for a session; answer with REVALIDATE on Link
	ActionPong                              // Link, Packet: answer this PING with the sessions heard of since the last
	ActionRevalidated                       // Packet: what the leader says of a session
	ActionSynced                            // the oldest sync that we forwarded is done; on a leader: Token is
	ActionTrust                             // no server of the ensemble has a history, so it is right that ours is empty: note that on the disk, before anything that is asked for later
	ActionView                              // View: a configuration was agreed on, or with Proposed only proposed
	ActionFatal                             // Text: the process has to end, for the state on disk cannot be what it should
)

// Action is one thing to do. The runner does actions in order; those of one Link leave in order.
type Action struct {
	Kind   ActionKind
	To     ServerID
	Link   Link
	From   wire.Zxid
	Zxid   wire.Zxid
	Epoch  uint32
	Token  uint64
	Note   wire.Notification
	Packet wire.Packet
	After  wire.Zxid // the log must be durable up to here
	Need   Epochs    // and this must be in the record
	Epochs Epochs
	View   *View
	// Proposed: View is not in force yet.
	Proposed bool
	Text     string // for people: why a link closes, what an operator should know
}

// State is what a peer is busy with. The numbers are those of the election port.
type State int32

// The states.
const (
	Looking   State = 0
	Following State = 1
	Leading   State = 2
	Observing State = 3
)

func (s State) String() string {
	switch s {
	case Looking:
		return "looking"
	case Following:
		return "following"
	case Leading:
		return "leading"
	case Observing:
		return "observing"
	}
	return "unknown"
}
