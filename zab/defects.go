package zab

import "slices"

// Defect is a bug that servers of this protocol have had. A simulator turns one on to see that it is
// found; nobody else does. Each is one decision taken wrongly, at its place in the code.
type Defect string

// The defects, by where they are.
const (
	// The election.
	CommittedInVote   Defect = "votes with what is committed, and hides its uncommitted tail"
	ShorterWins       Defect = "prefers the vote with the smaller zxid"
	EarlierEpochWins  Defect = "compares votes by zxid, not by epoch"
	HoleVotes         Defect = "votes with what is left of a damaged log"
	ObserverVoteHeard Defect = "counts an observer's vote"

	// The leader.
	EpochUnsynced     Defect = "proposes an epoch before its own record is durable"
	CountsItselfEarly Defect = "counts itself before its own log is durable"
	VoterCountedTwice Defect = "counts one voter's ack twice"
	ObserverCounted   Defect = "counts the acks of observers"
	CommitsOutOfOrder Defect = "commits what has a quorum before what precedes it"
	ServesEarly       Defect = "serves before a quorum has its history"
	AheadAccepted     Defect = "leads a learner that is ahead of it"
	DiffForTrunc      Defect = "sends DIFF to a learner with another tail"
	DiffHole          Defect = "leaves a transaction out of a DIFF"
	SyncWithoutQuorum Defect = "answers a sync without asking a quorum"
	OldAcksCount      Defect = "takes an ack of an earlier leadership for one of this"

	// The learner.
	NewLeaderUnsynced  Defect = "acknowledges NEWLEADER before its history is durable"
	EpochBeforeHistory Defect = "says that the epoch is its own before the history is durable"
	EpochUnsaved       Defect = "acknowledges an epoch before the promise is durable"
	AckUnsynced        Defect = "acknowledges a proposal before it is durable"
	TruncUnsynced      Defect = "goes on behind a TRUNC that is not durable"
	DiffAdvances       Defect = "takes the zxid of DIFF for its own"
	SnapReused         Defect = "keeps what an interrupted SNAP has brought"
	OldEpochFollowed   Defect = "follows a leader of an epoch below its promise"
	HoleAccepted       Defect = "takes transactions with a hole in front of them"
)

// is says whether a bug is wanted.
func (p *Peer) is(d Defect) bool { return slices.Contains(p.cfg.Defects, d) }
