// Package quorum runs a whole ensemble of zab.Peer machines in one goroutine and in virtual time, from
// one seed, and checks every promise of agreement from outside.
//
//	seed ─▶ plan.go: how many servers, how fast, what goes wrong
//	          │
//	          ▼
//	world.go: virtual time, one heap of events ── faults.go: crashes, pauses, partitions
//	          │
//	          ▼
//	server.go, actions.go: a runner per server ◀─events── zab.Peer ──actions─▶ the runner
//	    │            │
//	    ▼            ▼
//	disk.go        net.go: votes, and connections that carry the bytes of packets
//	    │            │
//	    └─────┬──────┘
//	          ▼
//	ghost.go, check.go: what is on all disks, who accepted what in which epoch, who was told what
//
// The machines are production code; what is simulated is their runner, the disk, the network and time.
// A transaction is a link of a chain (txn.go): two servers have the same list where they have the same
// link, so comparing histories is comparing pointers.
//
// # What is checked
//
// The ghost keeps, for each epoch, what each disk has accepted under it. What a leader commits must be on
// the disks of a quorum then, and in the history of every later leader; nothing else is ever applied. That
// is checked when it happens, so a bug shows when the promise breaks, not when a client notices. The names
// of the promises (Z1 to Z15, I-10, J-1 to J-14, S5) are those of the design of our tests.
//
// A run has two phases. In the first anything may break. In the second a random quorum, at least, is
// left in peace, and within a bound a leader serves and all who live have the same list.
//
// A crash may also leave a hole in a log, but never in so many that the others are no quorum. Whoever has one
// says so to its machine (zab.Recovered.Trust), and the promises above hold without it.
//
// mutant.go has bugs that servers of this protocol have had; each must be found.
package quorum
