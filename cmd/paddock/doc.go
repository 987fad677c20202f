// Command paddock is a coordination server that ZooKeeper clients can talk to.
//
//	paddock server [zoo.cfg | PORT DATADIR [TICKTIME [MAXCNXNS]]] [--set key=value]…
//	paddock config check [zoo.cfg]
//	paddock log dump|accept-loss --dir DIR
//	paddock snapshot list|verify|dump --dir DIR
//	paddock version
//	paddock bench …
//
// This package turns a command line into calls and the outcome into an exit code (exit.go), and
// does nothing else: what the words of a configuration mean is known to package config, what a
// server is to those below. A run goes main, run, the Run method of a command, and for the
// server runServer (run.go).
package main
