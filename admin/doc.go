// Package admin is what operators see of a server: four-letter words on the client port, commands
// and health checks over HTTP, metrics.
//
//	client port ─▶ server ─▶ Admin.Words ─▶ words.go ─┐
//	admin port ──▶ http.go ─▶ commands.go ────────────┼─▶ shared.go ─▶ Server (source.go)
//	metrics port ─▶ prometheus.go ─▶ catalogue.go ────┘
//
// It reads a server through the interface Server and decides nothing: what a number means is known to
// the room that counts it. Names, formats and field names are ZooKeeper's where ZooKeeper has them, and
// are never renamed: scripts, exporters and dashboards depend on every byte. Four tables are data, from
// which docs/operations.md is made: words, commands, checks and the catalogue of metrics.
//
// Whoever asks often costs little: an answer that looks at every connection, watch or session is
// computed once for all who wait for it, but never given to somebody who asked after it was begun.
//
// To read: admin.go, then words.go and commands.go.
package admin
