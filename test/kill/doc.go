// Package kill kills servers under write load, and looks for what they had promised.
//
// A cycle: clients with sessions of their own write, compare-and-set, read and create, each keeping a
// ledger of what was acknowledged; the process is killed with kill -9; it is started again in the same
// directory; the sessions come back; everything acknowledged is looked for; and the cycle's history goes
// through Porcupine, which is told nothing of zxids.
//
// An operation whose answer never came may have happened or not: it stays open to the end of the history.
// Histories end with a read of every key after the restart, so they are short and their search is too. A
// search that times out is a failure of the test.
package kill
