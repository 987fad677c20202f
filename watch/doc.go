// Package watch knows who waits for what: which connection is to be told when a znode changes.
//
//	               one for each event loop                       one for the server
//	Arm ──▶     ┌─────────────────────────┐   sets its bit    ┌───────────────────────┐
//	Remove ──▶  │ Table: path ─▶ watches  │ ────────────────▶ │ Filter: hash ─▶ loops │
//	Trigger ──▶ └─────────────────────────┘                   └───────────────────────┘
//	            the loop's goroutine only                     apply reads: Mask
//
// Apply asks the filter which loops have a watch on a path (or on any path with the same bucket: a
// loop that is told for nothing finds nothing), and puts the event into their rings. Each loop then asks
// its own table, without locks.
//
// # What a watch is
//
// A connection has on a path a set of modes in each of two tables, data and child. The modes are independent: a
// second registration never replaces the first, and an event spends only Standard. Matching:
//
//	event                data table                           child table
//	created, changed     the path; Recursive of ancestors     –
//	deleted              the path; Recursive of ancestors     the path
//	children changed     –                                    the path
//
// A connection is told once for each event, however many of its watches match. (client-protocol.md 6)
//
// # When a bit is set
//
// A read that arms has to have its bit set before apply changes what it has read, so the bit comes
// first and the watch later: Reserve, under the lock under which the node is read (or before the
// request leaves for apply), then Arm, then Unreserve. Bits are counted, so neither order of
// Unreserve and Trigger loses one.
//
// # Memory
//
// Millions of watches stand in slabs outside the collected heap: no pointer in them, no record ever moves, and
// growing is done a bucket at a time, so no call pays for all others (linear hashing).
//
//	path    text, chain, tag, ┬ connection and modes, neighbours in the connection's list    24 bytes
//	                          └ or, if several connections watch it: first member, counts
//	member  path, chain, neighbours at the path, connection and modes, neighbours            28 bytes
//
// A watch alone on its path is one path record; each further one is a member. A bucket is 4 bytes, and there is
// one for each record.
//
// Every call costs what it finds: Arm, Check and Remove a few steps, Trigger the watches it fires (and a look
// for each ancestor while there are recursive ones), RemoveConn the connection's own. Only Each looks at all.
//
// Invariants: event-before-data's other half (a bit is set as long as a watch or a reservation is there); a watch
// fires for its own path and, if recursive, below it; Standard fires once. The package does not know what a
// connection is (a small number that is used again), whether it may read the node, or what it is sent.
package watch
