package config

import (
	"net/netip"
	"slices"
	"strings"
)

func (l *loader) checkListeners() {
	c := l.config
	l.checkHost("clientPortAddress", &c.ClientPortAddress)
	l.checkHost("secureClientPortAddress", &c.SecureClientPortAddress)
	switch {
	case c.ClientPort == 0 && c.ClientPortAddress != "":
		l.fail(l.about("clientPortAddress"), "needs clientPort (for example clientPort=2181)")
	case c.ClientPort == 0 && c.SecureClientPort != 0:
		l.fail(l.about("secureClientPort"),
			"TLS is not served by this release, and there is no clientPort: no client could connect")
	case c.ClientPort == 0 && !l.failed("clientPort") && !l.lineUnknown:
		l.fail(l.about("clientPort"), "no port to listen on (for example clientPort=2181)")
	}
	if c.SecureClientPort == 0 && c.SecureClientPortAddress != "" {
		l.fail(l.about("secureClientPortAddress"), "needs secureClientPort")
	}
	secure := listener{"secureClientPort", c.SecureClientPort, c.SecureClientPortAddress}
	l.checkClash(secure, c.clientListener())
}

// failed reports whether key already has an error: one is enough.
func (l *loader) failed(key string) bool {
	return slices.ContainsFunc(l.problems, func(p Problem) bool { return p.Key == key })
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

func (c *Config) metricsListener() listener {
	return listener{"metricsProvider.httpPort", c.MetricsPort, c.MetricsAddress}
}

func (c *Config) clientListener() listener {
	return listener{"clientPort", c.ClientPort, c.ClientPortAddress}
}

func wildcard(host string) bool { return host == "" || host == "0.0.0.0" || host == "::" }
