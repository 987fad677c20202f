// Package sim runs a whole server, or an ensemble of them, with disks and clients in one goroutine, from one
// seed, and checks every promise against a reference model.
//
//	seed ─▶ plan: who, how fast, what goes wrong
//	          │
//	          ▼
//	client.go ──bytes──▶ link.go ──▶ server.Driven: gate, read, sequence, commit, apply, deliver
//	  ▲  seeded             │             │
//	  └──── replies, events ┘             ▼
//	                                   vfs.Sim ──power cut, kill──▶ what the disk has ─▶ recovery
//	world.go: virtual time, one heap of events; who goes first is drawn
//
//	history.go: what each client asked and saw ─┐
//	the server's log, replayed: the witness ────┴─▶ check.go, watches.go: against model.go
//
// In an ensemble each server is a host (host.go) with a member (member.go), which takes the place of zab/runner;
// between them is network.go, and ensemble.go has what goes wrong there. The witness is what any of them has
// applied, and each has to have the same.
//
// The server is production code throughout (server.Driven); what is simulated is the network, the disk,
// time and the order in which the stages run. Time is virtual: a run of ten minutes takes a fraction of a
// second, and a seed is the whole run: the same seed makes the same events, hash by hash.
//
// A run has two phases. In the first anything may break. In the second nothing does, and within a bound
// all clients are answered, all silent sessions end, and server and model agree on every znode: a server
// that refused everything would pass the first.
//
// Its names for the promises (S1 to S9, W1 to W6, Z4, Z12, Z14) are those of check.go. mutant.go has bugs that
// servers of this protocol have had; each must be found, for a check that never failed proves nothing.
package sim
