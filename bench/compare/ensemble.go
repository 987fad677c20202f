package main

import (
	"os"
	"strings"

	"paddock/test/harness"
)

// ensembleJVM is for three JVMs on one machine.
const ensembleJVM = "-Xmx1g -Xms1g -XX:+UseG1GC"

// jvm returns the options of Apache's JVM.
func (o *options) jvm() []string {
	if o.Servers > 1 {
		return strings.Fields(envOr("APACHE_JVM", ensembleJVM))
	}
	return append([]string{"-Xmx" + envOr("APACHE_XMX", o.Xmx)}, strings.Fields(envOr("APACHE_JVM", o.JVM))...)
}

// ensemble starts the servers of one side on loopback, all with the same configuration.
func (c *comparison) ensemble(side int) (*service, error) {
	kind := harness.KindApache
	if side == paddock {
		kind = harness.KindPaddock
	}
	if err := os.Setenv("PADDOCK_BIN", c.o.Bin); err != nil { // or the harness would build one
		return nil, err
	}
	e, err := harness.NewEnsemble(harness.EnsembleConfig{
		Kinds: strings.Repeat(kind.String(), c.o.Servers), Parent: c.dir, Loopback: true,
		JVM: append(c.o.jvm(), "-Dzookeeper.jmx.log4j.disable=true"),
	})
	if err != nil {
		return nil, err
	}
	if err := e.Start(); err != nil {
		e.Close()
		return nil, err
	}
	s := &service{stop: e.Close}
	for _, m := range e.Members {
		s.addrs, s.pids = append(s.addrs, m.Addr), append(s.pids, m.Pid())
	}
	return s, nil
}
