// Package session keeps who is there: sessions, how long each may be silent, and which connection
// speaks for it.
//
//	connection ──Touch──▶ Session            one atomic store, no lock, from any loop
//	connect    ──Add, Lookup, Renew──▶ Table     under the table's lock, once a connection
//	tick       ──Expire──▶ Table                 looks only at the bucket that is due
//	ping       ──Touched──▶ Table                a learner tells its leader who was heard of
//	a role     ──Reset──▶ Table                  begins with the sessions of the state, and nobody's
//
// # Expiry
//
// Time is cut into ticks. A session that was heard of at t may be silent until its timeout has
// passed and then to the end of that tick:
//
//	expiry = (floor((t + timeout) / tick) + 1) · tick
//
// Sessions lie in buckets, one for each tick. A touch does not move them: it only stores the time.
// When a bucket is due, a session in it that was heard of meanwhile goes to the bucket where it belongs now,
// and what is left has expired. So a session costs a look once per timeout, however often it is
// touched, and a tick costs what lies in its bucket.
//
// Expire gives out each expired session once, marked as closing. It is the caller who writes the
// closeSession transaction, and who takes the session out of the table when that is applied; if it could not
// be written, Reopen puts the session back.
//
// # Time
//
// The table reads no clock. nowMS is the server's session clock: milliseconds that only run while
// the server does, so that a process that was stopped finds its sessions as it left them.
//
// # Passwords
//
// A session's password is a function of its id and the same on all servers, Apache's included
// (Password). It shows that a client was given the id by a server; it is no secret.
//
// Invariants: a session expires not before its timeout has passed since it was last heard of, and at
// most a tick later (S8); it is given out as expired once; a touch never waits. The package does not
// know connections (an owner is a number), nor transactions, nor znodes.
package session
