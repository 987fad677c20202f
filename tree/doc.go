// Package tree is the state of a server: znodes, ACLs, ephemerals, containers, quotas and sessions.
// It is a function of the transactions applied to it and of nothing else.
//
//	apply's owner   Apply ──▶ locks the shards, changes, tells Sink, moves Applied, unlocks
//	                OpenView, Due, CountDescendants
//	anybody         Exists, GetData, GetChildren, GetACL, MultiRead, Peek      replies, exact at a zxid
//	                Lookup, Quota, Ephemerals, Sessions, counters              what others decide with
//	a walker        View.Next … Close                                          all nodes as after one zxid
//	at start        Loader
//
// # Data
//
// Nodes, present or missing, belong to a shard by the hash of their path; the shard's lock guards
// them. The bulk lies outside the collected heap (package slab) and holds no pointers:
//
//	Tree ─┬─ shard 0 … 63 ─┬─ lock
//	      │                ├─ table   hash:32 │ index:32           8 bytes a slot, at most 4 of 5 used
//	      │                ├─ nodes   index ─▶ node                104 bytes, fixed
//	      │                ├─ links   index ─▶ next, prev          8 bytes; guarded by the parent's shard
//	      │                ├─ arena   handle ─▶ name, data         in size classes
//	      │                └─ views   what open views still need
//	      ├─ acls          id ─▶ encoded list, what the world may do
//	      └─ mu            sessions, lists of owned nodes, quotas, digests kept, open views
//
//	node   czxid mzxid pzxid ctime mtime owner             8 bytes each
//	       version cversion aversion dataLen children      4 bytes each, as all that follow
//	       acl data name nameInfo parent first owned pathData crc
//
// A ref (shard:6 │ index:26) names a node. A name is stored once, a path nowhere: to verify that a
// node is the one at a path, its name and its ancestors' are compared from the leaf up. That needs
// no lock but the node's own, because a locked node pins its ancestors: no parent goes before its
// child, and names and parents never change. The children of a node are a list through links, in no
// order; a walk of a subtree needs no memory.
//
// A table grows into a second array, a few slots at each change, so that no transaction waits for a
// rehash (table.go). The digest keeps two CRCs a node: of path and data, and of these and the stat.
// So a new child costs its parent 60 bytes of CRC, not its data (digest.go).
//
// # Invariants
//
//   - exact-read: a reader holds the shard's read lock and loads Applied; Apply stores Applied
//     before it unlocks. So the reply is the state after exactly that zxid. A read of several nodes
//     locks all their shards, in the same ascending order as Apply.
//   - event-before-data: a read arms its watch, and Apply asks the Sink for watches, under the same
//     lock.
//   - multi-atomic: all shards of a transaction are locked before the first change.
//   - txn-deterministic: what a transaction does depends on the state and on its bytes. Only the
//     order of children, and of the deletes of a closed session that its transaction does not list,
//     depends on how the tree was loaded too: the protocol leaves both open, and no state follows.
//   - apply-total: a transaction that does not fit panics, with its numbers (Misfit). The rules that
//     ZooKeeper has for replay over a fuzzy snapshot (disk-formats.md 5) apply to nothing that our
//     own log can hold; they are in fuzzy.go, for a Java server's data alone.
//   - snapshot-exact: see View.
//
// The counts of a quota are no transactions: they change in place, with the node that is counted
// (quota.go). They are outside the digest, and a Loader counts again, as ZooKeeper does at start.
//
// # Locks
//
// Shards in ascending order, then Tree.mu; the ACL table's is below all. A shard's lock is held for
// one transaction or for one copy. Apply's owner reads without locks: nobody else writes, but for a
// view being closed, which touches freed memory only.
//
// # Cost
//
// At a million znodes with 100 bytes of data and names of 11, one takes 255 bytes: 104 node, 8
// links, 104 data, 16 name, 13 table on average, and what is left over at the ends of chunks.
// Reads, setData, create and delete do not allocate. Measure with: go test -run 'Bytes|Allocate'
// -bench . ./tree
//
// A tree that nobody can reach any more gives all its memory back at the next collection; views,
// readers and loaders keep it. But the collector sees little of it, and may be in no hurry: who drops
// a large tree runs one.
//
// What the tree does not know: who a client is (Access decides), which connections watch (Arm,
// Sink), how anything is logged, and what time it is.
package tree
