// Package bench is the load generator behind "paddock bench". It drives any ZooKeeper server, and costs
// little enough itself that what it measures is the server.
//
//	Options ─▶ setup: make the nodes ─▶ warm-up ─▶ window (measured) ─▶ drain ─▶ cleanup ─▶ Result
//	                              each phase: one goroutine per loop
//
//	loop: epoll_wait ─▶ read(2) many replies ─▶ match xids, record ─▶ refill the window ─▶ one write(2)
//
// A loop owns its connections, its histograms and its random numbers; loops share nothing while they
// run but a few counters for the progress line. In steady state nothing is allocated: requests are
// copied from templates and patched, replies are read in place, and latencies that are equal, as those
// of a window sent and answered together are, go into the histogram in one step.
//
// Closed loop: every connection keeps its number of requests outstanding; latency counts from the
// write. Open loop (a rate): every request has a time at which it is due, whatever the server does, and
// latency counts from that time, so that a stall costs all the requests that were due in it and not only
// the few that happened to be outstanding (no coordinated omission). What was due inside the window and
// never answered is recorded with the time it had waited, and counted.
//
// Beside every figure stands what the generator itself spent on it. It looks at headers only, checks
// that replies come in the order of requests, and knows nothing of the server but its protocol and, if
// told, its process id.
package bench
