// Package differential asks two servers the same things and compares every field of what they say.
//
//	seed ──generate──▶ stream ──┬─run──▶ paddock ──▶ transcript ─┐
//	                            └─run──▶ Apache  ──▶ transcript ─┴─▶ first difference ──shrink──▶ report
//
// A stream is a list of steps over a few sessions: requests of all kinds with good and bad arguments,
// bursts, bytes that are no request, connections dropped and sessions taken up again. Paths and values
// come from pools small enough to collide. One seed makes one stream.
//
// Steps run one after the other: the next is sent when the last is answered. So the order of all that
// a connection is told, events among replies, is defined by the protocol, and compared.
//
// What may differ is renamed before comparing: session ids by the order in which sessions began, zxids
// by their distance from the zxid at the stream's start, times to "T". Children, ephemerals and
// identities are sets. Everything else must be equal, but for the list of intended differences, which is
// data with a reason for each entry, and is printed into docs/compatibility.md.
package differential
