package server

import (
	"paddock/tree"
	"paddock/wire"
)

// The sequencer keeps the digest of the tree as it will be once everything on its way is applied, and
// every transaction carries it (quorum-protocol.md 6.3): who applies one knows at once whether his
// tree is still the leader's. An ensemble needs it; a lone server has the log's word for the same
// (compareDigest), which costs the write path nothing, and does without.

// put records what a path will be, and takes the difference into the digest.
func (s *sequencer) put(hash uint64, path []byte, after *state, zxid wire.Zxid) {
	if s.opt.digests && tree.Digested(path) {
		var before state
		s.lookup(path, hash, &before)
		s.digest += after.digest() - before.digest()
	}
	s.over.put(hash, path, after, zxid)
}

// digest is what a node adds to the tree's.
func (st *state) digest() uint64 {
	if !st.exists {
		return 0
	}
	return uint64(tree.StatCRC(st.pathData, &st.stat))
}

// sumData notes the part of a node's digest that comes from its path and its data.
func (s *sequencer) sumData(st *state, path, data []byte) {
	if s.opt.digests && tree.Digested(path) {
		st.pathData = tree.PathDataCRC(path, data)
	}
}

// seal appends the digest to a transaction that may change something: all but errors.
func (s *sequencer) seal(e *entry, txn []byte) []byte {
	if !s.opt.digests || e.zxid == 0 || e.code != wire.OK {
		return txn
	}
	d := wire.TxnDigest{Version: wire.DigestVersion, Digest: int64(s.digest)}
	return d.Append(txn)
}
