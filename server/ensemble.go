package server

import (
	"time"

	"paddock/zab"
	"paddock/zab/runner"
)

// Ensemble is what a server needs to know to be one of several. Keys are those of zoo.cfg.
type Ensemble struct {
	ID       zab.ServerID // myid
	View     *zab.View    // who is in it, and where: the server lines
	LastSeen *zab.View    // a later configuration that may not be in force; nil where there is none

	InitTicks    int64 // initLimit
	SyncTicks    int64 // syncLimit
	ConnectTicks int64 // connectToLearnerMasterLimit, 0 = InitTicks
	SnapForTrunc bool  // zookeeper.snapshot.trust… as a leader: SNAP where ZooKeeper sends TRUNC

	AllIPs          bool          // quorumListenOnAllIPs
	MultiAddress    bool          // multiAddress.enabled
	BindRetries     int           // electionPortBindRetry; below 0 for ever, 0 the default
	DialTimeout     time.Duration // zookeeper.cnxTimeout, 0 = 5 s
	GreetingTimeout time.Duration // zookeeper.quorumCnxnTimeoutMs, 0 = 5 s

	MaxPacketBytes  int  // of what another server may send at once; 0 = 16 MiB
	ClosedToClients bool // while it leads: leaderServes=no
	MayBeEmpty      bool // an empty data directory may vote: db.autocreate, or the initialize marker
}

// EnsembleStatus is what a server knows of its ensemble.
type EnsembleStatus struct {
	ID      zab.ServerID
	View    *zab.View
	Serving bool // clients
	runner.Status
}
