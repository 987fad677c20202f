// Package runner is the shell around a zab.Peer: it gives the machine time, sockets and a disk, does
// what the machine says, and decides nothing itself.
//
//	quorum port ──▶ link.read ──▶ inbound ─┐                     ┌─▶ Store     (log, tree, sessions)
//	(one goroutine a link)                 ▼                     │
//	Election ──▶ Notified ───────────▶ mailbox ──▶ turn: Step ──▶├─▶ link.queue ──▶ link.write ──▶ socket
//	Store ──▶ Post, SnapshotOpened ────────▲   (one goroutine)   │   (one goroutine a link)
//	clock ──▶ tick ────────────────────────┘                     └─▶ Election.Send
//
// One goroutine, the loop, owns the Peer. It works in turns: it takes all that has gathered in its
// mailbox, steps the machine with each, and does its actions in order. At the end of a turn it tells the
// Store once to make durable what it was given, and wakes the writer of each link once. So the busier a
// server is, the more proposals share one write, and the more acknowledgements one packet of the network.
//
// # What never waits
//
// The loop waits for its mailbox and for nothing else: not for a disk, a socket or a resolver. What the
// Store does for the loop has to return at once. A link has a queue with a bound in bytes; a learner that
// does not read is cut when the bound or the write deadline is reached, and nobody else notices. To close
// a link is to mark it: its own goroutine does the rest.
//
// # Bytes
//
// A reader has two buffers. It lends one at a time to the loop, with the packets that it found in it, and
// gets it back when all are stepped: a peer that sends faster than we step is slowed down by TCP. Whoever
// wants to keep something of a packet copies it. Packets to be sent are encoded into the queue of their
// link. A transaction that goes to several learners is encoded once in a turn. What would make a queue
// long is not encoded at all but remembered as a range of zxids, and read from the Store when the socket is
// ready for it; so are snapshots, from a file that the Store has spooled.
//
// # Gates
//
// The machine sends what depends on the disk when the disk has reported it, and says with the packet what
// it depends on. The runner keeps its own account of what was reported and ends the process rather than
// send too early (durable-before-ack).
package runner
