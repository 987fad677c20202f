package config

import (
	"slices"
	"strings"
)

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
		l.fail(l.about("sessionRequireClientSASLAuth"),
			"SASL is not served by this release: no client could log in")
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
		l.fail(g,
			"%s has no provider (there are %s)", scheme, strings.Join(l.config.AuthSchemes, ", "))
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
		l.fail(g,
			"%q is not a digest algorithm (SHA1, SHA-256, SHA-512, SHA3-256 …)", c.DigestAlgorithm)
	case "MD5":
		l.warn(g, "MD5 no longer protects passwords (SHA-256 does)")
	}
	c.DigestAlgorithm = name
	if s := string(c.SuperDigest); s != "" && !strings.Contains(s, ":") {
		l.warn(l.about("DigestAuthenticationProvider.superDigest"),
			"is not user:hash, so nobody can match it")
	}
	if c.SuperDigest != "" && !c.DigestAuthEnabled {
		l.warn(l.about("DigestAuthenticationProvider.superDigest"),
			"no effect: the scheme digest is off")
	}
}
