// Package ensemble breaks ensembles of real servers under load and looks for what they had promised.
//
//	Load: clients, each a session that roams ──▶ servers ◀── Nemesis: kill -9, pause, restart, cuts
//	   └─ every operation with its call, return and outcome ──▶ checks
//
// What is checked, after the faults are over:
//
//   - Writes, and reads behind a sync, go through Porcupine, which is told nothing of zxids. An operation
//     without an answer stays open for ever. A search that does not end is a failure.
//   - Plain reads may be stale, but within their session they do not go back, show no value that nobody
//     wrote, and show no less than the session's own writes.
//   - A write that was answered before another was sent has a smaller zxid; no two have the same.
//   - Everything that was acknowledged is there, on every server; a multi is there whole or not at all.
//   - Ephemerals of living sessions are there, those of dead ones go away.
//   - All servers have the same tree.
//
// Apache's servers answer a sync without asking whether they still lead, and stamp a read with a zxid
// that may be later than what it shows. Both are counted and not held against an ensemble that has one of
// them; of ours neither is permitted.
//
// Histories are cut into generations: with each fault the clients go over to new keys, which keeps the
// searches short. The package is also the load and the judge of test/mixed.
package ensemble
