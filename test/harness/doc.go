// Package harness runs real server processes for tests and talks to them byte by byte.
//
//	Target ──Start(Settings)──▶ Server ──Dial──▶ Conn ──▶ Reply, Event
//	(which program)            (one process)    (one TCP connection)
//
// A Target is paddock, built from this tree, or Apache's server, if its jars are at hand. The same
// Settings, spelled with ZooKeeper's names, go to either: the harness writes a zoo.cfg and -D
// properties for one and --set arguments for the other. A Server lives in a directory of its own, on a
// loopback port of its own, and is given to the caller only when it answers handshakes.
//
// A Conn is deliberately dumb. It can send any bytes at any moment, in pieces or pipelined, so that a
// suite can say exactly what is on the wire; it never reconnects, pings or retries. What comes back is
// split into replies and events and kept in the order in which it came.
//
// Time: nothing here waits by sleeping for a fixed while. Every read has a deadline, and a server that
// misses it is a failure with the tail of its log in the text.
//
// An Ensemble is several servers that know each other, of any mix of Kinds: paddock, Apache's release and
// an older one, each with the same zoo.cfg. Where Linux permits it (root, or user namespaces, and
// iproute2), OwnNetwork takes the whole test into a network namespace, and each member has one too, so
// that a Network can lose what one of them sends to another:
//
//	EnsembleConfig ──NewEnsemble──▶ Ensemble ──▶ Member: Start, Kill, Pause, Wipe, Replace, Role
//	("JGG")                            └──▶ Cut, CutOneWay, Isolate, Heal
//
// Elsewhere members have loopback addresses and nothing can be cut: Ensemble.NoCuts says why, and a test
// that needs cuts skips. A Session is a client that goes from member to member with its session.
//
// The package knows the protocol's frames and records, and nothing about what a right answer is.
package harness
