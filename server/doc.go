// Package server is the way of a request, one file a stage:
//
//	gate.go      on the event loop: which way a request goes; reads are answered there (read.go)
//	connect.go   the handshake
//	sequence.go  one owner at a time: checks a write and makes it a transaction (multi.go, overlay.go)
//	server.go    commit: one fdatasync for all that gathered
//	apply.go     one owner at a time: applies, answers what rode along (reply.go), fills the rings
//	deliver.go   on the event loop again: events, replies, watches
//
// pipeline.go brings the stages their work and shares three goroutines among them; ring.go is the way
// back to a loop. storage.go recovers, house.go keeps house (snapshots, purging, disk space, containers),
// inspect.go and words.go are what operators may ask.
//
// A session's order: while it has a request in the pipeline, what follows rides in the same queue, and is
// answered at its place. A loop answers by itself only what has nothing before it.
//
// # In an ensemble
//
//	role.go      what the server is at the moment, and how that changes
//	agree.go     what the ensemble's protocol asks of a server: a runner.Store
//	follow.go    apply where the leader is elsewhere
//	replica.go   whole states: ours for a learner, a leader's for us
//	ensemble.go  the configuration, the ports, the time
//
// A server alone and a leader run the same stages; a leader's transactions wait, between sequencing and
// the log, until they are proposed, and between the log and apply until a quorum has them. A learner
// forwards its clients' writes and applies what its leader sends. Who looks for a leader serves nobody.
//
// All of a role that is not in the log ends with it. Its clients are cut: none of them may go on behind a
// request of which nobody knows what became. So a request carries the number of the role in which it was
// read (its term), and what is of another term is dropped wherever it is met.
//
// Keeps durable-before-ack, session-fifo, exact-read, event-before-data, fsync-once and bounded
// (docs/ARCHITECTURE.md).
package server
