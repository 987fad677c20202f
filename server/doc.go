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
// Keeps durable-before-ack, session-fifo, exact-read, event-before-data, fsync-once and bounded
// (docs/ARCHITECTURE.md). An ensemble of one: what is durable here is committed.
package server
