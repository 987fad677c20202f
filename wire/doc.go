// Package wire turns bytes into records and back: jute, what clients and servers say to each other,
// and transactions.
//
//	frame ──▶ Reader ──▶ record.Decode: its fields alias the frame
//	bytes ◀── record.Append ◀── record: behind the bytes that are there already
//
// Every record of the client protocol is here in both directions, under ZooKeeper's name for it, so
// that a server, a client and a test speak with the same code. Records with the same fields share a
// type.
//
//	reader.go append.go vector.go    jute: numbers, buffers, vectors that stay encoded
//	op.go code.go zxid.go stat.go acl.go
//	header.go connect.go             what begins a frame, and a connection
//	records_*.go                     requests and replies
//	multi.go multi_result.go         the operations of a multi, and their results
//	txn.go txn_multi.go              what is proposed and logged
//	quorum.go election.go            what servers say to each other, on both ports
//	path.go javastring.go            what Java makes of strings
//	words.go                         four-letter words
//
// Decoders read in place, are bounded by the bytes at hand, and keep their first error; vectors are
// checked once and walked in place (ACLVec, StringVec, ClientInfoVec, MultiIter, MultiResults,
// MultiTxn). Null and empty stay apart. Nothing here allocates, but for the functions that say so.
//
// The tests hold it against frames of real clients and servers (testdata/captures.txt), and against
// what Java made of the same bytes. Each decoder has a fuzz target: no bytes panic, memory stays in
// proportion, and what is accepted encodes to the bytes it came from.
//
// Floor 0: it knows no other room. It does not know what a request means, only how it is written.
// The protocol's facts come from ZooKeeper 3.10 and its predecessors; each says where.
package wire
