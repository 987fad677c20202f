package config

// readDynamicFile reads the file that holds the server lines of a split configuration.
func (l *loader) readDynamicFile() {
	var name *given
	for i := range l.givens {
		if g := &l.givens[i]; g.obeyed && g.key.name == "dynamicConfigFile" {
			name = g
		}
	}
	if name == nil {
		return
	}
	for i := range l.givens {
		if g := &l.givens[i]; g.obeyed && membership(g.key) {
			l.fail(g,
				"belongs into %s, which dynamicConfigFile at %s names", name.value, name.where)
		}
	}
	for _, line := range l.readLines(name.value) {
		l.add(given{
			name: line.key, value: line.value, where: at(name.value, line.number),
			origin: fromFile, obeyed: true, key: l.catalog.byName(line.key),
		})
		switch g := &l.givens[len(l.givens)-1]; {
		case g.key != nil && membership(g.key):
		case g.name == "version":
			g.obeyed = false
			l.fail(g, "the version is the suffix of the file's name, not a line in it")
		default:
			g.obeyed = false
			l.fail(g, "not allowed here (only server., group. and weight. lines)")
		}
	}
}

func membership(k *key) bool {
	return k.name == "server.*" || k.name == "group.*" || k.name == "weight.*"
}

// readMembers reads the server lines. One of them, a participant, is a server that stands
// alone: so it is in Apache, for the sake of HBase.
func (l *loader) readMembers() {
	var members []*Member
	var first *given
	for i := range l.givens {
		g := &l.givens[i]
		if !g.obeyed || g.key.name != "server.*" || l.chosen[g.slot()] != g {
			continue
		}
		m, err := parseMember(g.name, g.value)
		if err != nil {
			l.fail(g, "%v", err)
			continue
		}
		if first == nil {
			first = g
		}
		if len(m.Addresses) > 1 && !l.config.MultiAddressEnabled {
			l.fail(g, "more than one address needs multiAddress.enabled=true")
		}
		members = append(members, m)
	}
	switch {
	case len(members) > 1:
		l.fail(first,
			"%d servers are listed; this release runs one server alone, ensembles come with the next release",
			len(members))
	case l.anyFailed("server."):
	case len(members) == 1:
		l.readMember(members[0], first)
	case !l.config.StandaloneEnabled:
		l.fail(l.about("standaloneEnabled"),
			"false needs at least one server line (or true, to run alone)")
	}
}

func (l *loader) readMember(m *Member, g *given) {
	c := l.config
	c.Member = m
	if m.Observer {
		l.fail(g, "an observer needs participants to observe")
		return
	}
	if c.StandaloneEnabled {
		l.warn(g, "the only server line: this server stands alone")
	} else {
		l.warn(l.about("standaloneEnabled"),
			"false asks for an ensemble that can grow; this release runs its one server alone")
	}
	l.takePort(g, "clientPort", m.ClientHost, m.ClientPort, &c.ClientPortAddress, &c.ClientPort)
	l.takePort(g, "secureClientPort", m.SecureHost, m.SecurePort,
		&c.SecureClientPortAddress, &c.SecureClientPort)
	if m.SecurePort != 0 {
		l.warn(g, "%d: %s", m.SecurePort, whyTLS)
	}
}

// takePort takes a client port from a server line. Where zoo.cfg has one too the two must agree
// if the line is that of this server by its myid; if not, Apache does not look at the line.
func (l *loader) takePort(
	g *given, name, memberHost string, memberPort int, host *string, port *int,
) {
	if memberPort == 0 {
		return
	}
	sameHost := *host == "" || wildcard(*host) || *host == memberHost
	if *port != 0 && (*port != memberPort || !sameHost) {
		const text = "port %d at %s is not the %s %d of %s"
		if l.hasID && l.config.ServerID == l.config.Member.ID {
			l.fail(g, text, memberPort, memberHost, name, *port, l.about(name).where)
			return
		}
		l.warn(g, text+", which counts", memberPort, memberHost, name, *port, l.about(name).where)
		return
	}
	*port, *host = memberPort, memberHost
	l.config.origins[name] = g.where
	l.config.origins[name+"Address"] = g.where
}

func (l *loader) checkEnsemble() {
	if g := l.chosen["electionAlg"]; g != nil && g.value != "3" && !l.failed("electionAlg") {
		l.warn(g,
			"%s: only 3 exists since Apache 3.6; a server that stands alone holds no elections", g.value)
	}
	if g := l.chosen["peerType"]; g != nil {
		if _, err := parseRole([]string{g.value}); err != nil {
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
