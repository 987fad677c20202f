// Package vfs is the few file operations that the log and the snapshots use, so that a test can
// fail them.
//
//	wal, snap ──▶ FS, File ──┬──▶ OS()        the machine's own files
//	                         └──▶ NewSim(seed) a disk in memory: what is written, what is durable,
//	                                           what a power cut leaves, what breaks
//
// The interfaces say no more than a disk promises. WriteAt reaches the page cache; Sync makes a
// file's bytes and length durable; SyncDir makes the names in a directory durable, that is new
// files, renames and removals. Nothing else is durable, in no particular order, and a write is
// atomic in units of SectorSize only.
//
// Both implementations return errors that errors.Is knows as fs.ErrNotExist, fs.ErrExist and
// syscall.ENOSPC. The package knows nothing of what is in the files.
package vfs
