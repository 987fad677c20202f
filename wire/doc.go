// Package wire turns bytes into records and back: jute, what clients and servers say to each other,
// and transactions.
//
//	frame ──▶ Reader ──▶ request (its fields alias the frame)
//	reply ──▶ Append… ──▶ bytes behind those that are there already
//
// Decoders read in place, are bounded by the bytes at hand, and keep their first error; vectors are
// checked once and walked in place (ACLVec, StringVec, MultiIter). Encoders append to a slice that the
// caller owns. Nothing here allocates, but for the functions that say so.
//
// Floor 0: it knows no other room. It does not know what a request means, only how it is written.
// The protocol's facts come from ZooKeeper 3.10 and its predecessors; each says where.
package wire
