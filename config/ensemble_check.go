package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"paddock/zab"
)

func notAnID(kind, digits string) error {
	if kind == "group" {
		return fmt.Errorf("%q is not the number of a group (want group.1 and so on)", digits)
	}
	return fmt.Errorf("%q is not a server id (want %s.1 and so on)", digits, kind)
}

// checkElection looks at what an election depends on. Alone a server holds none.
func (l *loader) checkElection() {
	if g := l.chosen["electionAlg"]; g != nil && g.value != "3" && !l.failed("electionAlg") {
		if l.inEnsemble {
			l.fail(g, "%s: only 3 exists since Apache 3.6 (leave the line out)", g.value)
		} else {
			l.warn(g, "%s: only 3 exists since Apache 3.6; a server that stands alone holds no elections", g.value)
		}
	}
	if g := l.chosen["peerType"]; g != nil {
		if _, err := zab.ParseRole(g.value); err != nil {
			l.fail(g, "%v", err)
		}
	}
	require := func(name, needs string) {
		if g := l.chosen[name]; g.isTrue() && !l.chosen[needs].isTrue() {
			l.fail(g, "needs %s=true", needs)
		}
	}
	require("quorum.auth.learnerRequireSasl", "quorum.auth.enableSasl")
	require("quorum.auth.serverRequireSasl", "quorum.auth.learnerRequireSasl")
}

// checkEnsembleSettings checks and completes what only an ensemble uses.
func (l *loader) checkEnsembleSettings() {
	c := l.config
	for _, limit := range []struct {
		name    string
		ticks   int
		purpose string
		example string
	}{
		{"initLimit", c.InitLimit, "connect and synchronize", "10"},
		{"syncLimit", c.SyncLimit, "stay silent", "5"},
	} {
		if limit.ticks < 1 && !l.failed(limit.name) {
			l.fail(l.about(limit.name), "an ensemble needs it: ticks that a learner has to %s (for example %s=%s)",
				limit.purpose, limit.name, limit.example)
		}
	}
	l.derive("quorumCnxnTimeoutMs", "syncLimit", c.QuorumCnxnTimeout < 0, func() {
		c.QuorumCnxnTimeout = time.Duration(c.SyncLimit) * time.Duration(c.TickTimeMS) * time.Millisecond
	})
	const unprotected = "not served by this release: servers would talk to each other unprotected"
	if c.ReconfigEnabled {
		l.warn(l.about("reconfigEnabled"), "reconfig of an ensemble is not served by this release, and answered with Unimplemented; "+
			"Apache would move the server lines into a file of their own, here all files stay as they are")
	}
	if c.SSLQuorum {
		l.fail(l.about("sslQuorum"), unprotected)
	}
	if c.QuorumSASL {
		l.fail(l.about("quorum.auth.enableSasl"), unprotected)
	}
}

// checkIDs refuses ids that do not fit into a byte. Java lets them pass, and servers whose ids share
// their last byte then give out the same sessions.
func (l *loader) checkIDs(lines *membershipLines, view *zab.View) {
	for _, m := range view.Members() {
		if m.ID < minID || m.ID > maxID {
			l.fail(lines.about[serverKey(m.ID)], "%d is out of range: a server id is %d to %d", m.ID, minID, maxID)
		}
	}
}

func (l *loader) checkPeerType(own *given, m *zab.Member) {
	g := l.chosen["peerType"]
	if g == nil {
		return
	}
	if role, err := zab.ParseRole(g.value); err == nil && role != m.Role {
		l.warn(g, "%v, but %s at %s makes this server %s %v, and counts",
			role, own.name, own.where, map[zab.Role]string{zab.Participant: "a", zab.Observer: "an"}[m.Role], m.Role)
	}
}

// lintView warns of ensembles that work, and not as their operator may think.
func (l *loader) lintView(lines *membershipLines, view *zab.View) {
	l.lintCount(lines, view)
	l.lintGroups(lines, view)
	l.lintHosts(lines, view)
	if g := l.chosen["oraclePath"]; g != nil && g.value != "" {
		l.warn(g, "there is no oracle in this server: of two participants both are needed")
	}
}

func (l *loader) lintCount(lines *membershipLines, view *zab.View) {
	n := len(view.Voters())
	switch {
	case view.Hierarchical():
		l.lintIndispensable(lines, view)
	case n == 2:
		l.warn(lines.first, "2 participants: when one of them is down, nothing can be written (3 go on without one)")
	case n%2 == 0:
		l.warn(lines.first, "%d participants go on without %d of them, as %d do: one is of no use", n, (n-1)/2, n-1)
	}
}

// lintIndispensable names the servers without which all others are no quorum.
func (l *loader) lintIndispensable(lines *membershipLines, view *zab.View) {
	var names []string
	for _, id := range view.Voters() {
		others := zab.NewIDSet(view.Voters()...)
		others.Remove(id)
		if others.Len() > 0 && !view.Quorum(others) {
			names = append(names, strconv.FormatInt(int64(id), 10))
		}
	}
	if len(names) > 0 {
		l.warn(l.firstGroupLine(lines), "groups and weights leave no quorum without server %s", strings.Join(names, ", or without "))
	}
}

func (l *loader) firstGroupLine(lines *membershipLines) *given {
	first := lines.first
	for _, group := range lines.groups {
		if g := lines.about["group."+strconv.FormatInt(group.ID, 10)]; first == lines.first || g.order < first.order {
			first = g
		}
	}
	return first
}

func (l *loader) lintGroups(lines *membershipLines, view *zab.View) {
	for _, w := range lines.weights {
		if view.Member(w.ID) == nil {
			l.warn(lines.about["weight."+strconv.FormatInt(int64(w.ID), 10)],
				"there is no server %d; in a group its weight counts, and it never votes", w.ID)
		}
	}
}

// lintHosts names hosts that mean something else on every server that reads them.
func (l *loader) lintHosts(lines *membershipLines, view *zab.View) {
	elsewhere := func(m *zab.Member) bool {
		a := m.Peers[0].Quorum()
		return !a.Wildcard() && !a.Loopback()
	}
	remote := -1
	for i := range view.Members() {
		if elsewhere(&view.Members()[i]) {
			remote = i
			break
		}
	}
	for i := range view.Members() {
		m := &view.Members()[i]
		a := m.Peers[0].Quorum()
		g := lines.about[serverKey(m.ID)]
		switch own := l.myID.known && int64(m.ID) == l.config.ServerID; {
		case a.Wildcard() && own:
			l.warn(g, "%s: the others may be told this address, and cannot reach it (write the name that they use; "+
				"quorumListenOnAllIPs=true listens on all addresses)", a.Host)
		case a.Wildcard():
			l.warn(g, "%s is no address at which server %d can be reached", a.Host, m.ID)
		case a.Loopback() && remote >= 0:
			l.warn(g, "%s can be reached from its own host only, and server %d is on another",
				a.Host, view.Members()[remote].ID)
		}
	}
}
