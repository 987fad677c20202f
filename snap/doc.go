// Package snap keeps checkpoints: the whole state after one zxid, in one file that either
// verifies to the last bit or is not used.
//
//	Source ──▶ records ──▶ blocks ──▶ zstd ──▶ *.tmp ──▶ sync ──▶ read back ──▶ rename ──▶ sync dir
//	(a view)   (prefix,    (≤ 2 MiB)           (paced)            and verify    *.snap
//	            varints)
//
//	newest *.snap ──▶ skeleton ──▶ workers: verify, inflate, verify, parse ──▶ Sink
//	      │           (headers,    (each block stands alone)                   (a loader)
//	      └ any mismatch: renamed to *.corrupt-N and kept; the next older one is tried
//
// Write makes a file from a Source, Load fills a Sink from the newest file that verifies (and
// LoadTree a tree), List and Verify look, Purge removes what nobody needs and says how far the
// log may go. What they promise:
//
//   - snapshot-exact: the file says what the Source said, in its order, and its bytes are a
//     function of that alone; no clock, no random, no map order.
//   - A file under a final name was whole, synced and read back before it got that name. A
//     crash or a full disk at any moment costs the new file and never an older one.
//   - bounded: a writer holds one block, a reader one block per worker, whatever a file claims.
//     Only a record that alone exceeds a block costs more, namely its own length, which must
//     be present in the file byte by byte.
//
// A snapshot that a leader has sent lies staged, where none of these look, until the log has gone
// over to it (WriteStaged, Adopt).
//
// ZooKeeper's own formats are read and written, too, so that members of both kinds can stand in
// one ensemble, and data can come and go:
//
//	a view, parents first ──▶ StreamWriter ──▶ a learner     behind the packet SNAP
//	                     │         └▶ Spool ──▶ a file without a name ──▶ a learner that is slow
//	                     └──▶ WriteJavaFile ──▶ snapshot.ZXID for a Java server to start on
//	a leader ──▶ StreamReader ──▶ a tree
//	snapshot.ZXID ──▶ ReadJavaFile ──▶ a tree
//
// What a Java server wrote is fuzzy: the tree is exact when the log was applied (tree.Tree.Settle).
//
// The package touches files through vfs alone and has no opinion about paths, sessions or
// transactions: it moves records. Callers see to it that one goroutine at a time writes,
// loads or purges in a directory. The format is docs/format/snapshot.md.
package snap
