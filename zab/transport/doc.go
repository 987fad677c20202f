// Package transport is the election port: it carries the votes of a zab.Peer over TCP, to servers of
// ours and of Apache's alike. It decides nothing about elections.
//
//	Send ──▶ peer.pending (one vote; a later one replaces it) ──▶ conn.write ──▶ socket
//	                 └── no connection: one dial at a time                          │
//	Receive ◀── conn.read ◀─────────────────────────────────────────────────────────┘
//
// # One connection between two servers
//
// Both may open one, and the one that the server with the greater id has opened stays:
//
//	we open, the other is smaller     greet, keep it
//	we open, the other is greater     greet, close it: we have knocked, and it calls back
//	a smaller server opens to us      close what there is, close this, call back
//	a greater server opens to us      keep it instead of what there is
//
// So a connection to a smaller server is always one that we opened, and one to a greater server never is:
// two servers cannot go on closing each other's. Who has opened greets with its id and its addresses, in
// one write, before anything else, also when it closes at once.
//
// # Votes are replaceable
//
// Only the last vote to a server matters, so that is all that is kept. The last one that was sent goes out
// again first thing on a new connection: it may have been in the old one when that broke. Nothing is
// repeated beyond that, and nobody is dialed but to send: the election repeats itself while it looks.
//
// # Who waits for whom
//
// Send takes a lock for a moment, under which nothing waits. Each peer has at most one dial on its way,
// with pauses between that grow to a second, and each connection a reader and a writer. What comes in is
// bounded: in connections, in the time that a greeting may take, in the length of a frame. Data that
// cannot be closes its own connection and nothing else, and is logged once per peer.
//
// A dead peer says nothing, and this protocol has no heartbeat; the kernel finds out (see tune).
package transport
