// Package formats holds what snap reads and writes of ZooKeeper's formats against Apache's server,
// which must be able to read it, and to be read.
//
//	Apache's server ──▶ its snapshot file ──▶ a tree, which answers as the server does
//	                                          │
//	Apache's server ◀── our snapshot file ◀───┘
//
// The digest in each file was computed by the other side. Where there is no Apache's server
// (test/apache/get.sh fetches it) nothing is tested, and that is said.
package formats
