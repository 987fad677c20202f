// Package hostile is what the world does to a server: clients that send nonsense, that send too much,
// that never read; too many of them; disks that are full, read-only or rotten; operators who start two
// servers in one directory.
//
// Every test runs the real binary and asserts three things: the text that an operator would see, that
// an honest session beside the attack notices nothing but a little latency, and that nothing is left
// when the attack is over (descriptors, memory).
//
// The limits on memory and latency are those of an ordinary build: a binary with the race detector in it
// (PADDOCK_BIN) passes them in all but the tests of clients that never read.
//
// PADDOCK_LONG=1 runs the larger numbers. What a machine cannot do (mounting a small disk) is skipped
// with a sentence that says so.
package hostile
