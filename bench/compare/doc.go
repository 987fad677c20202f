// Command compare measures Apache's server and paddock on the same machine and writes the table of
// docs/benchmarks.md. It is what "make bench-compare" runs.
//
//	for each load:  Apache  paddock  Apache  paddock  …   then the median of each figure
//
// Both servers run for the whole time, on loopback, each with a directory of its own on the same disk;
// only one is under load at a time. Taking turns keeps a machine that gets slower from favouring one of
// them, and the JVM has compiled what it needs before the first figure is taken. The load generator is
// package bench, in this process; its own cost is in the table.
//
// With --servers 3 each side is an ensemble on loopback, with the connections spread over its members;
// CPU is that of all of them together.
//
// Some figures have targets. A target that is missed is printed as FAIL, in the table too, and makes
// the command fail.
package main
