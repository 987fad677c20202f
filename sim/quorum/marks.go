package quorum

// mark is something rare that a set of seeds must have seen, or it has proved little.
type mark int

const (
	markElected mark = iota
	markSameLeaderAgain
	markLateJoiner
	markVoteByEpoch
	markVoteByZxid
	markVoteByID
	markEpochNeverAcked
	markLeaderLosesQuorumOutstanding
	markUncommittedTailLeads
	markDiff
	markDiffEmpty
	markTrunc
	markSnap
	markSnapBehindPurge
	markPurgedUnderWay
	markRollover
	markHoleInLog
	markHoleFilled
	markNewEnsemble
	markHole
	markForcedSnap
	markProposalBeforeNewLeader
	markProposalBeforeUpToDate
	markCommitBeforeUpToDate
	markOwnTailTruncated
	markTruncThenProposals
	markInstallWithTail
	markSnapInterrupted
	markLostDuringSync
	markStaleLeader
	markKill
	markPowerCut
	markCrashInMidStep
	markCrashBehindJob
	markTornBatch
	markTailForgotten
	markEpochForgotten
	markRecoveredTail
	markPause
	markIsolation
	markSplit
	markBridge
	markOneWay
	markCut
	markHalfOpen
	markHungDial
	markRefusedDial
	markStuckDisk
	markObserverServed
	markNonVoter
	markForwarded
	markSyncLeader
	markSyncFollower
	markCommitAhead
	numMarks
)

// markNames says them in words.
var markNames = [numMarks]string{
	markElected:                      "leader established",
	markSameLeaderAgain:              "a new epoch from the same leader",
	markLateJoiner:                   "late joiner of an established leader",
	markVoteByEpoch:                  "vote changed by epoch",
	markVoteByZxid:                   "vote changed by zxid",
	markVoteByID:                     "vote changed by id",
	markEpochNeverAcked:              "epoch agreed, NEWLEADER never acknowledged",
	markLeaderLosesQuorumOutstanding: "leader steps down with proposals outstanding",
	markUncommittedTailLeads:         "leader established with an uncommitted tail",
	markDiff:                         "DIFF with transactions",
	markDiffEmpty:                    "DIFF without",
	markTrunc:                        "TRUNC",
	markSnap:                         "SNAP",
	markSnapBehindPurge:              "SNAP to a learner behind a purged log",
	markPurgedUnderWay:               "purge of what is about to be sent",
	markRollover:                     "last counter of an epoch",
	markHoleInLog:                    "hole in a log",
	markHoleFilled:                   "server without trust in its disk gets a snapshot",
	markNewEnsemble:                  "server trusts its empty disk, for nobody has a history",
	markHole:                         "transaction left out of a stream",
	markForcedSnap:                   "SNAP that the learner has forced",
	markProposalBeforeNewLeader:      "uncommitted proposal between DIFF and NEWLEADER",
	markProposalBeforeUpToDate:       "proposal between NEWLEADER and UPTODATE",
	markCommitBeforeUpToDate:         "commit between NEWLEADER and UPTODATE",
	markOwnTailTruncated:             "server truncates its own tail",
	markTruncThenProposals:           "transactions behind a TRUNC",
	markInstallWithTail:              "snapshot installed with transactions behind it",
	markSnapInterrupted:              "received snapshot discarded",
	markLostDuringSync:               "connection lost during synchronization",
	markStaleLeader:                  "deposed leader still serves",
	markKill:                         "kill",
	markPowerCut:                     "power cut",
	markCrashInMidStep:               "crash between two actions",
	markCrashBehindJob:               "crash between two jobs of the disk",
	markTornBatch:                    "batch torn by a crash",
	markTailForgotten:                "unsynced tail lost in a crash",
	markEpochForgotten:               "unsynced epochs lost in a crash",
	markRecoveredTail:                "restart with a tail not known to be committed",
	markPause:                        "pause",
	markIsolation:                    "isolation",
	markSplit:                        "random split",
	markBridge:                       "bridge",
	markOneWay:                       "one-way partition",
	markCut:                          "connection cut",
	markHalfOpen:                     "half-open connection",
	markHungDial:                     "dial that hangs",
	markRefusedDial:                  "refused dial",
	markStuckDisk:                    "disk stuck",
	markObserverServed:               "observer serves",
	markNonVoter:                     "server outside the view is synchronized",
	markForwarded:                    "forwarded write acknowledged",
	markSyncLeader:                   "sync answered by a leader",
	markSyncFollower:                 "sync answered by a learner",
	markCommitAhead:                  "commit ahead of the own disk",
}

func (m mark) String() string { return markNames[m] }
