// Package wal is the durable log: transactions go in, and after a power cut the same
// transactions come out.
//
//	Batch ──▶ Commit: one write, one fdatasync ──▶ durable(zxid)     (the owner)
//	               │ segment full
//	               ▼
//	          next segment ◀── Prepare: zeros, paced                 (any goroutine)
//
// A log is a directory of segments, zeroed ahead of time and never used again. A batch is one
// group commit; it begins on a sector and never shares one, so what is durable is never written
// again. Its header chains to the header before it and says up to where the log was durable when
// it was written: whatever can still be read later vouches for what came before. That is how
// Open tells a torn tail, which nobody was told about, from damage, which somebody was:
//
//	hole      something later vouches for what does not verify      refused
//	torn      nothing does, and all that disagrees was not written  cut
//	suspect   nothing does, but something written disagrees         refused
//	diverged  what verifies contradicts itself                      refused
//
// An idle log is sealed, so that soon something vouches for the last batch too.
//
// What of the log is committed is recorded with each batch, as far as it was known by then. So a
// server of an ensemble finds at its start what it may apply (Committed), the tail behind it, of
// which only its peers can say more (up to Last), and which zxids these are (Spans). EpochFile
// keeps what it has promised, apart from the log. Window keeps in memory what was logged of late, for
// those who follow.
//
// A segment's first batch says at which position of an earlier segment it continues, and all
// behind that position is void. The recovered tail (rewritten at every start without a seal),
// truncation and a new beginning after a snapshot are all made that way: one durable write
// in a new segment, before which the old log stands and after which the new one does. A new
// beginning may bring a tail along: then the segment is written whole before it gets its name,
// which is that one write.
//
// A Log has one owner at a time, who calls Commit, Seal, TruncateTo, Restart, RestartWith and
// Close. Prepare,
// RemoveThrough, Replay, Range, NoteCommitted and the accessors may run beside the owner, on any
// goroutine. The package starts no goroutine and reads no clock. Transactions are opaque: it knows
// zxids, nothing of znodes, sessions or quorums.
//
// Keeps durable-before-ack, fsync-once and log-honest. Every byte: docs/format/log.md.
package wal
