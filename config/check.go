package config

import (
	"errors"
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
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
	l.checkEnsemble()
}

func (l *loader) checkDirectories() {
	c := l.config
	if c.DataDir == "" {
		l.fail(l.about("dataDir"), "missing: the directory for snapshots and myid (for example dataDir=/var/lib/zookeeper)")
		return
	}
	if g := l.chosen["dataLogDir"]; g != nil && c.DataLogDir == "" {
		l.fail(g, "is empty (write a directory, or leave the line out for dataDir)")
	}
	l.derive("dataLogDir", "dataDir", c.DataLogDir == "", func() { c.DataLogDir = c.DataDir })
	for _, name := range []string{"dataDir", "dataLogDir"} {
		if g := l.chosen[name]; g != nil && !filepath.IsAbs(g.value) && !strings.HasPrefix(g.value, ".") && g.value != "" {
			l.warn(g, "%q is relative to the working directory (write ./%s if that is meant)", g.value, g.value)
		}
	}
	l.readID()
}

// derive runs set when a key has no value of its own, and notes what the value comes from.
func (l *loader) derive(name, from string, unset bool, set func()) {
	if unset {
		set()
		l.config.origins[name] = from
	}
}

// readID reads dataDir/myid. Alone a server has no use for it, and the file that a package put
// there may hold nothing but advice: Apache 3.4 started with it, so it is no mistake here.
func (l *loader) readID() {
	name := filepath.Join(l.config.DataDir, "myid")
	contents, err := l.options.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	file := &given{where: name, order: len(l.givens)}
	if err != nil {
		l.warn(file, "%v", cause(err))
		return
	}
	id, err := strconv.ParseInt(trim(string(contents)), 10, 64)
	if err != nil {
		l.warn(file, "%.20q is not a server id (one whole number, for example 1); an ensemble will need it", trim(string(contents)))
		return
	}
	l.config.ServerID = id
	if env := trim(l.env("ZOO_MY_ID")); l.fromImage && env != "" && env != strconv.FormatInt(id, 10) {
		l.warn(file, "says %d and counts; ZOO_MY_ID says %s", id, env)
	}
}

func (l *loader) checkListeners() {
	c := l.config
	l.checkHost("clientPortAddress", &c.ClientPortAddress)
	l.checkHost("secureClientPortAddress", &c.SecureClientPortAddress)
	switch {
	case c.ClientPort == 0 && c.ClientPortAddress != "":
		l.fail(l.about("clientPortAddress"), "needs clientPort (for example clientPort=2181)")
	case c.ClientPort == 0 && c.SecureClientPort != 0:
		l.fail(l.about("secureClientPort"), "TLS is not served by this release, and there is no clientPort: no client could connect")
	case c.ClientPort == 0 && !l.failed("clientPort") && !l.anyFailed("server."):
		l.fail(l.about("clientPort"), "no port to listen on (for example clientPort=2181)")
	}
	if c.SecureClientPort == 0 && c.SecureClientPortAddress != "" {
		l.fail(l.about("secureClientPortAddress"), "needs secureClientPort")
	}
	l.checkClash(listener{"secureClientPort", c.SecureClientPort, c.SecureClientPortAddress}, c.clientListener())
}

// failed reports whether key already has an error: one is enough.
func (l *loader) failed(key string) bool {
	return slices.ContainsFunc(l.problems, func(p Problem) bool { return p.Key == key })
}

func (l *loader) anyFailed(prefix string) bool {
	return slices.ContainsFunc(l.problems, func(p Problem) bool { return strings.HasPrefix(p.Key, prefix) })
}

// checkHost takes brackets off an IPv6 address and refuses a port that was added to a host.
func (l *loader) checkHost(name string, host *string) {
	g := l.about(name)
	if inner, ok := strings.CutPrefix(*host, "["); ok && strings.HasSuffix(inner, "]") {
		*host = strings.TrimSuffix(inner, "]")
	}
	_, err := netip.ParseAddr(*host)
	if strings.ContainsAny(*host, " /") || err != nil && strings.Contains(*host, ":") {
		l.fail(g, "%q is neither a host name nor an IP address (without port)", *host)
	}
}

// listener is a port that something listens on, and the key that says so.
type listener struct {
	key  string
	port int
	host string
}

// clash reports whether two listeners want one address.
func (a listener) clash(b listener) bool {
	return a.port != 0 && a.port == b.port && (a.host == b.host || wildcard(a.host) || wildcard(b.host))
}

func (l *loader) checkClash(a, b listener) {
	if a.clash(b) {
		l.fail(l.about(a.key), "port %d is taken by %s", a.port, b.key)
	}
}

func (c *Config) clientListener() listener {
	return listener{"clientPort", c.ClientPort, c.ClientPortAddress}
}

func wildcard(host string) bool { return host == "" || host == "0.0.0.0" || host == "::" }

func (l *loader) checkSessions() {
	c := l.config
	l.derive("minSessionTimeout", "2 ticks", c.MinSessionTimeoutMS == -1, func() { c.MinSessionTimeoutMS = 2 * c.TickTimeMS })
	l.derive("maxSessionTimeout", "20 ticks", c.MaxSessionTimeoutMS == -1, func() { c.MaxSessionTimeoutMS = 20 * c.TickTimeMS })
	if c.MinSessionTimeoutMS <= c.MaxSessionTimeoutMS || l.failed("tickTime") || l.failed("minSessionTimeout") || l.failed("maxSessionTimeout") {
		return
	}
	g := l.about("maxSessionTimeout")
	if l.chosen["maxSessionTimeout"] == nil {
		g = l.about("minSessionTimeout")
	}
	l.fail(g, "minSessionTimeout %d ms (%s) is above maxSessionTimeout %d ms (%s)",
		c.MinSessionTimeoutMS, c.origins["minSessionTimeout"], c.MaxSessionTimeoutMS, c.origins["maxSessionTimeout"])
}

func (l *loader) checkLimits() {
	c := l.config
	c.MaxClientCnxns, c.MaxCnxns = max(c.MaxClientCnxns, 0), max(c.MaxCnxns, 0)
	if c.SnapCount < 2 {
		l.warn(l.about("snapCount"), "%d is raised to 2, as in Apache", c.SnapCount)
		c.SnapCount = 2
	}
	l.derive("jute.maxbuffer.extrasize", "jute.maxbuffer", c.JuteExtraSize == 0, func() { c.JuteExtraSize = c.JuteMaxBuffer })
	c.JuteExtraSize = max(c.JuteExtraSize, 1024)
	if !c.ForceSync {
		l.warn(l.about("forceSync"), "writes are acknowledged before they are on disk: a crash loses some")
	}
}

const retainAge = 24 * time.Hour // of snapshots and logs, where purging is our own default

func (l *loader) checkPurge() {
	c := l.config
	if c.PurgeSnapRetainCount < 3 {
		l.warn(l.about("autopurge.snapRetainCount"), "%d is raised to 3, as in Apache", c.PurgeSnapRetainCount)
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
			l.warn(g, "%q is no four-letter word of this server (%s, or * for all)", w, strings.Join(words, ", "))
		}
	}
	c.FourLetterWords = append(c.FourLetterWords, "srvr") // zkServer.sh depends on it
	if c.ReadOnlyMode {
		c.FourLetterWords = append(c.FourLetterWords, "isro") // clients look for a writable server by it
	}
	slices.Sort(c.FourLetterWords)
	c.FourLetterWords = slices.Compact(c.FourLetterWords)
}

func (l *loader) checkAdmin() {
	c := l.config
	l.checkHost("admin.serverAddress", &c.AdminAddress)
	if !strings.HasPrefix(c.AdminCommandURL, "/") {
		l.warn(l.about("admin.commandURL"), "%q does not begin with /; taken as /%s", c.AdminCommandURL, c.AdminCommandURL)
		c.AdminCommandURL = "/" + c.AdminCommandURL
	}
	for _, name := range []string{"admin.forceHttps", "admin.needClientAuth"} {
		if g := l.chosen[name]; g != nil && strings.EqualFold(g.value, "true") && c.AdminEnabled {
			c.AdminEnabled = false
			c.origins["admin.enableServer"] = g.where
			l.warn(g, "TLS is not served by this release: the admin server stays off rather than plain")
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
		l.warn(g, "%s is not a class of this server; metrics are on the admin port (or name %s)", g.value, prometheusProvider)
	}
	c.MetricsPort = max(c.MetricsPort, 0)
	if !c.MetricsEnabled {
		return
	}
	l.checkClash(listener{"metricsProvider.httpPort", c.MetricsPort, c.MetricsAddress}, c.clientListener())
}

// checkAdminPort lets the admin server yield to other listeners: files from before there was
// one (3.4), or from where it is off (3.10), may use its default port.
func (l *loader) checkAdminPort() {
	c := l.config
	admin := listener{"admin.serverPort", c.AdminPort, c.AdminAddress}
	others := []listener{c.clientListener()}
	if c.MetricsEnabled {
		others = append(others, listener{"metricsProvider.httpPort", c.MetricsPort, c.MetricsAddress})
	}
	for _, other := range others {
		if c.AdminEnabled && admin.clash(other) {
			c.AdminEnabled = false
			c.origins["admin.enableServer"] = other.key
			l.warn(l.about(admin.key), "port %d is taken by %s: the admin server stays off", admin.port, other.key)
		}
	}
}

func (l *loader) checkEnsemble() {
	if g := l.chosen["electionAlg"]; g != nil && g.value != "3" && !l.failed("electionAlg") {
		l.warn(g, "%s: only 3 exists since Apache 3.6; a server that stands alone holds no elections", g.value)
	}
	if g := l.chosen["peerType"]; g != nil && !strings.EqualFold(g.value, "participant") && !strings.EqualFold(g.value, "observer") {
		l.fail(g, "%q is neither participant nor observer", g.value)
	}
	require := func(name, needs string) {
		g, n := l.chosen[name], l.chosen[needs]
		if g != nil && strings.EqualFold(g.value, "true") && (n == nil || !strings.EqualFold(n.value, "true")) {
			l.fail(g, "needs %s=true", needs)
		}
	}
	require("quorum.auth.learnerRequireSasl", "quorum.auth.enableSasl")
	require("quorum.auth.serverRequireSasl", "quorum.auth.learnerRequireSasl")
}

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
			l.fail(g, "belongs into %s, which dynamicConfigFile at %s names", name.value, name.where)
		}
	}
	for _, line := range l.readLines(name.value) {
		g := given{name: line.key, value: line.value, where: at(name.value, line.number), origin: fromFile, obeyed: true}
		g.key = l.catalog.byName(g.name)
		l.add(g)
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
		m.where = g.where
		members = append(members, m)
	}
	switch {
	case len(members) > 1:
		l.fail(first, "%d servers are listed; this release runs one server alone, ensembles come with the next release", len(members))
	case l.anyFailed("server."):
	case len(members) == 1:
		l.readMember(members[0], first)
	case !l.config.StandaloneEnabled:
		l.fail(l.about("standaloneEnabled"), "false needs at least one server line (or true, to run alone)")
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
		l.warn(l.about("standaloneEnabled"), "false asks for an ensemble that can grow; this release runs its one server alone")
	}
	l.takePort(g, "clientPort", &c.ClientPort, &c.ClientPortAddress, m.ClientHost, m.ClientPort)
	l.takePort(g, "secureClientPort", &c.SecureClientPort, &c.SecureClientPortAddress, m.SecureHost, m.SecurePort)
	if m.SecurePort != 0 {
		l.warn(g, "%d: %s", m.SecurePort, whyTLS)
	}
}

// takePort takes a client port from a server line. Where zoo.cfg has one too, the two agree.
func (l *loader) takePort(g *given, name string, port *int, host *string, memberHost string, memberPort int) {
	if memberPort == 0 {
		return
	}
	sameHost := *host == "" || wildcard(*host) || *host == memberHost
	if *port != 0 && (*port != memberPort || !sameHost) {
		l.fail(g, "port %d at %s is not the %s %d of %s", memberPort, memberHost, name, *port, l.about(name).where)
		return
	}
	*port, *host = memberPort, memberHost
	l.config.origins[name] = g.where
	l.config.origins[name+"Address"] = g.where
}

func (l *loader) checkAuth() {
	c := l.config
	c.AuthSchemes = []string{"ip"}
	if c.DigestAuthEnabled {
		c.AuthSchemes = append(c.AuthSchemes, "digest")
	}
	l.checkProviders()
	slices.Sort(c.AuthSchemes)
	c.AuthSchemes = slices.Compact(c.AuthSchemes)
	l.checkDigest()
	if c.SkipACL {
		l.warn(l.about("skipACL"), "no access control list is checked: everybody may do everything")
	}
	if c.SessionRequireClientSASLAuth {
		l.fail(l.about("sessionRequireClientSASLAuth"), "SASL is not served by this release: no client could log in")
	}
	if !c.EnforceAuth {
		return
	}
	if len(c.EnforceAuthSchemes) == 0 {
		l.fail(l.about("enforce.auth.enabled"), "needs enforce.auth.schemes (for example digest)")
	}
	for _, scheme := range c.EnforceAuthSchemes {
		l.checkEnforced(scheme)
	}
}

func (l *loader) checkEnforced(scheme string) {
	g := l.about("enforce.auth.schemes")
	switch {
	case !slices.Contains(l.config.AuthSchemes, scheme):
		l.fail(g, "%s has no provider (there are %s)", scheme, strings.Join(l.config.AuthSchemes, ", "))
	case !slices.Contains(servedSchemes, scheme):
		l.fail(g, "%s is not served by this release: it would admit nobody", scheme)
	}
}

// servedSchemes are those that this release can authenticate by.
var servedSchemes = []string{"digest", "ip"}

// providers maps Apache's classes to the schemes they serve.
var providers = map[string]string{
	"SASLAuthenticationProvider":     "sasl",
	"X509AuthenticationProvider":     "x509",
	"DigestAuthenticationProvider":   "digest",
	"IPAuthenticationProvider":       "ip",
	"EnsembleAuthenticationProvider": "ensemble",
	"KeyAuthenticationProvider":      "key",
}

const providerPackage = "org.apache.zookeeper.server.auth."

// checkProviders maps authProvider.* to schemes. A class from elsewhere may be all that keeps
// people out: leaving it out silently would let them in.
func (l *loader) checkProviders() {
	for i := range l.givens {
		g := &l.givens[i]
		if !g.obeyed || g.key.name != "authProvider.*" || l.chosen[g.slot()] != g {
			continue
		}
		class, ours := strings.CutPrefix(g.value, providerPackage)
		scheme := providers[class]
		switch {
		case !ours || scheme == "":
			l.fail(g, "%s cannot be loaded: this server has no Java plug-ins", g.value)
			continue
		case !slices.Contains(servedSchemes, scheme):
			l.warn(g, "the scheme %s is not served by this release; such logins fail", scheme)
		}
		l.config.AuthSchemes = append(l.config.AuthSchemes, scheme)
	}
}

// algorithms maps what Java calls a digest algorithm to the one spelling that is used here.
var algorithms = map[string]string{
	"SHA": "SHA1", "SHA1": "SHA1", "SHA-1": "SHA1",
	"SHA-224": "SHA-224", "SHA-256": "SHA-256", "SHA-384": "SHA-384", "SHA-512": "SHA-512",
	"SHA3-224": "SHA3-224", "SHA3-256": "SHA3-256", "SHA3-384": "SHA3-384", "SHA3-512": "SHA3-512",
	"MD5": "MD5",
}

func (l *loader) checkDigest() {
	c := l.config
	g := l.about("DigestAuthenticationProvider.digestAlg")
	name := algorithms[strings.ToUpper(c.DigestAlgorithm)]
	switch name {
	case "":
		l.fail(g, "%q is not a digest algorithm (SHA1, SHA-256, SHA-512, SHA3-256 …)", c.DigestAlgorithm)
	case "MD5":
		l.warn(g, "MD5 no longer protects passwords (SHA-256 does)")
	}
	c.DigestAlgorithm = name
	if s := string(c.SuperDigest); s != "" && !strings.Contains(s, ":") {
		l.warn(l.about("DigestAuthenticationProvider.superDigest"), "is not user:hash, so nobody can match it")
	}
	if c.SuperDigest != "" && !c.DigestAuthEnabled {
		l.warn(l.about("DigestAuthenticationProvider.superDigest"), "no effect: the scheme digest is off")
	}
}
