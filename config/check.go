package config

import (
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// about returns the given that set a key, or one that stands for its default, so that every
// message can say where to look.
func (l *loader) about(name string) *given {
	if g := l.chosen[name]; g != nil {
		return g
	}
	return &given{name: name, where: l.file, order: len(l.givens) + 1}
}

// check derives what depends on several keys, and reports what does not fit together.
func (l *loader) check() {
	l.checkDirectories()
	l.checkListeners()
	l.checkSessions()
	l.checkLimits()
	l.checkPurge()
	l.checkAuth()
	l.checkWords()
	l.checkAdmin()
	l.checkMetrics()
	l.checkAdminPort()
	l.checkElection()
}

func (l *loader) checkDirectories() {
	c := l.config
	if c.DataDir == "" {
		l.fail(l.about("dataDir"),
			"missing: the directory for snapshots and myid (for example dataDir=/var/lib/zookeeper)")
		return
	}
	if g := l.chosen["dataLogDir"]; g != nil && c.DataLogDir == "" {
		l.fail(g, "is empty (write a directory, or leave the line out for dataDir)")
	}
	l.derive("dataLogDir", "dataDir", c.DataLogDir == "", func() { c.DataLogDir = c.DataDir })
	for _, name := range []string{"dataDir", "dataLogDir"} {
		g := l.chosen[name]
		if g != nil && g.value != "" && !filepath.IsAbs(g.value) && g.value[0] != '.' {
			l.warn(g,
				"%q is relative to the working directory (write ./%s if that is meant)", g.value, g.value)
		}
	}
}

// derive runs set when a key has no value of its own, and notes what the value comes from.
func (l *loader) derive(name, from string, unset bool, set func()) {
	if unset {
		set()
		l.config.origins[name] = from
	}
}

func (l *loader) checkSessions() {
	c := l.config
	l.derive("minSessionTimeout", "2 ticks", c.MinSessionTimeoutMS == -1, func() {
		c.MinSessionTimeoutMS = 2 * c.TickTimeMS
	})
	l.derive("maxSessionTimeout", "20 ticks", c.MaxSessionTimeoutMS == -1, func() {
		c.MaxSessionTimeoutMS = 20 * c.TickTimeMS
	})
	if c.MinSessionTimeoutMS <= c.MaxSessionTimeoutMS ||
		l.failed("tickTime") || l.failed("minSessionTimeout") || l.failed("maxSessionTimeout") {
		return
	}
	g := l.about("maxSessionTimeout")
	if l.chosen["maxSessionTimeout"] == nil {
		g = l.about("minSessionTimeout")
	}
	l.fail(g, "minSessionTimeout %d ms (%s) is above maxSessionTimeout %d ms (%s)",
		c.MinSessionTimeoutMS, c.origins["minSessionTimeout"],
		c.MaxSessionTimeoutMS, c.origins["maxSessionTimeout"])
}

func (l *loader) checkLimits() {
	c := l.config
	c.MaxClientCnxns, c.MaxCnxns = max(c.MaxClientCnxns, 0), max(c.MaxCnxns, 0)
	if c.SnapCount < 2 {
		l.warn(l.about("snapCount"), "%d is raised to 2, as in Apache", c.SnapCount)
		c.SnapCount = 2
	}
	l.derive("jute.maxbuffer.extrasize", "jute.maxbuffer", c.JuteExtraSize == 0, func() {
		c.JuteExtraSize = c.JuteMaxBuffer
	})
	c.JuteExtraSize = max(c.JuteExtraSize, 1024)
}

const retainAge = 24 * time.Hour // of snapshots and logs, where purging is our own default

func (l *loader) checkPurge() {
	c := l.config
	if c.PurgeSnapRetainCount < 3 {
		l.warn(l.about("autopurge.snapRetainCount"),
			"%d is raised to 3, as in Apache", c.PurgeSnapRetainCount)
		c.PurgeSnapRetainCount = 3
	}
	if l.chosen["autopurge.retainAge"] == nil && l.chosen["autopurge.purgeInterval"] == nil {
		c.PurgeRetainAge = retainAge
	}
}

// words are the four-letter words that a whitelist can name.
var words = []string{
	"conf", "cons", "crst", "csnp", "dirs", "dump", "envi", "gtmk", "hash", "isro", "lgif", "live", "mntr",
	"redy", "rqld", "ruok", "srst", "srvr", "stat", "stmk", "wchc", "wchp", "wchs", "ydld",
}

// checkWords makes the list of four-letter words complete and sorted, or a lone "*".
func (l *loader) checkWords() {
	c := l.config
	g := l.chosen["4lw.commands.whitelist"]
	if slices.Contains(c.FourLetterWords, "*") {
		c.FourLetterWords = []string{"*"}
		return
	}
	for _, w := range c.FourLetterWords {
		if !slices.Contains(words, w) {
			l.warn(g,
				"%q is no four-letter word of this server (%s, or * for all)", w, strings.Join(words, ", "))
		}
	}
	c.FourLetterWords = append(c.FourLetterWords, "srvr") // zkServer.sh depends on it
	if c.ReadOnlyMode {
		c.FourLetterWords = append(c.FourLetterWords, "isro") // clients look for a writer by it
	}
	slices.Sort(c.FourLetterWords)
	c.FourLetterWords = slices.Compact(c.FourLetterWords)
}

func (l *loader) checkAdmin() {
	c := l.config
	l.checkHost("admin.serverAddress", &c.AdminAddress)
	if !strings.HasPrefix(c.AdminCommandURL, "/") {
		l.warn(l.about("admin.commandURL"),
			"%q does not begin with /; taken as /%s", c.AdminCommandURL, c.AdminCommandURL)
		c.AdminCommandURL = "/" + c.AdminCommandURL
	}
	for _, name := range []string{"admin.forceHttps", "admin.needClientAuth"} {
		if g := l.chosen[name]; g.isTrue() && c.AdminEnabled {
			c.AdminEnabled = false
			c.origins["admin.enableServer"] = g.where
			l.warn(g,
				"TLS is not served by this release: the admin server stays off rather than plain")
		}
	}
}

func (l *loader) checkMetrics() {
	c := l.config
	l.checkHost("metricsProvider.httpHost", &c.MetricsAddress)
	g := l.about("metricsProvider.className")
	switch g.value {
	case prometheusProvider:
		c.MetricsEnabled = c.MetricsPort > 0
	case "", defaultProvider, nullProvider:
	default:
		l.warn(g,
			"%s is not a class of this server; metrics are on the admin port (or name %s)",
			g.value, prometheusProvider)
	}
	c.MetricsPort = max(c.MetricsPort, 0)
	if !c.MetricsEnabled {
		return
	}
	l.checkClash(c.metricsListener(), c.clientListener())
}

// checkAdminPort lets the admin server yield to other listeners: files from before there was
// one (3.4), or from where it is off (3.10), may use its default port.
func (l *loader) checkAdminPort() {
	c := l.config
	admin := listener{"admin.serverPort", c.AdminPort, c.AdminAddress}
	others := []listener{c.clientListener()}
	if c.MetricsEnabled {
		others = append(others, c.metricsListener())
	}
	if c.Ensemble != nil {
		others = append(others, c.Ensemble.listeners()...)
	}
	for _, other := range others {
		if c.AdminEnabled && admin.clash(other) {
			c.AdminEnabled = false
			c.origins["admin.enableServer"] = other.key
			l.warn(l.about(admin.key),
				"port %d is taken by %s: the admin server stays off", admin.port, other.key)
		}
	}
}
