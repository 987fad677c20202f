package admin

import (
	"paddock/server"
	"paddock/session"
	"paddock/tree"
	"paddock/wire"
)

// Server is what admin asks of a server. *server.Server is one. All methods may be called from any
// goroutine.
type Server interface {
	// Serving reports whether requests are answered. It waits for nobody.
	Serving() bool
	// Status asks every event loop, and returns when the last has answered.
	Status() server.Status
	// Connections and Watches cost time and memory in proportion to what they list.
	Connections() []server.ConnInfo
	Watches() []server.WatchInfo
	// SessionTable has the sessions with their expiry, on the clock that Now reads (ms).
	SessionTable() *session.Table
	Now() int64
	// Ephemerals lists paths by session.
	Ephemerals() map[int64][]string
	DigestHistory() []tree.DigestAt
	// DirSizes returns the bytes of the snapshots and of the log.
	DirSizes() (data, log int64)
	// LastSnapshot returns the newest snapshot on disk: the last zxid in it, and when it was begun
	// (ms since 1970). Both are 0 where there is none.
	LastSnapshot() (zxid wire.Zxid, wallMS int64)

	// Ensemble returns what the server knows of its ensemble; false for a server alone.
	Ensemble() (server.EnsembleStatus, bool)

	ResetStats()
	ResetConnections()
}

// meter is a Server that also has the numbers which cost a counter on the way of every request. Of one
// that has them not, nothing is shown in their place.
type meter interface {
	Measures() server.Measures
}

// ensembleMeter is a Server that counts what happens between servers, by the names that the catalogue has
// for it; times are milliseconds. What it does not count is not shown.
type ensembleMeter interface {
	EnsembleNumbers() map[string]int64
	EnsembleTimes() map[string]server.Summary
}
