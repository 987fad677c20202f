// Package znet moves bytes between sockets and whoever answers them. (Its folder is called net; its
// name keeps out of the way of the standard library's.)
//
//	socket ──▶ gnet loop ──▶ Conn.receive: frames, four-letter words ──▶ Handler.Frame / Word
//	socket ◀── one write per connection and turn ◀── Conn.Begin … Conn.End ◀── Handler
//
// An Engine runs one Loop per core. A Loop owns its connections: everything about a Conn happens on
// its loop's goroutine and needs no lock. Whoever else wants something of a loop rings its bell
// (Loop.Ring), and the loop calls Handler.Rung.
//
// A turn is one callback of gnet: bytes of one connection, or the bell. At its end the handler hands
// over what it gathered (Handler.EndTurn), and every connection that has replies waiting gets one
// write.
//
// Limits, all of them per Config: frame length, connections per address and in all, time until the
// handshake, unsent bytes (over OutPauseBytes a connection is not served, over OutCutBytes, or with
// all others over OutTotalBytes, it is cut)
// and unserved bytes (over InParkBytes the connection is parked: its descriptor leaves the loop until
// there is room, so that the kernel's window slows the client down). This is the invariant `bounded`
// for everything a client can send or refuse to read.
//
// The machine in conn.go does no I/O of its own and reads no clock, so a simulator can drive it with
// any segmentation of the bytes; engine.go is the shell that ties it to gnet.
//
// Knows nothing of sessions, operations or znodes: only lengths and the table of four-letter words.
package znet
