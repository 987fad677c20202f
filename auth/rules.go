package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"paddock/wire"
)

// Config is who may claim to be whom. Every field names its key in zoo.cfg (or, with the prefix
// zookeeper., the system property).
type Config struct {
	// SkipACL is the value of skipACL as it was written: exactly "yes" lets everybody do everything.
	SkipACL string

	DigestDisabled  bool   // DigestAuthenticationProvider.enabled=false
	DigestAlgorithm string // DigestAuthenticationProvider.digestAlg, a name Java knows; empty: SHA1
	SuperDigest     string // DigestAuthenticationProvider.superDigest, user:hash; empty: no super user

	EnforceAuth        bool     // enforce.auth.enabled
	EnforceAuthSchemes []string // enforce.auth.schemes
	RequireSASL        bool     // sessionRequireClientSASLAuth: as enforcing sasl and nothing else
}

// Rules decides about identities and ACLs. It is immutable.
type Rules struct {
	skipACL     bool
	digest      *algorithm // nil: the scheme is off
	superDigest []byte     // nil: there is no super user
	enforce     []string   // one of these schemes is needed; nil: none is
}

// New returns the rules of a configuration. The error names everything that is wrong with it.
func New(c Config) (*Rules, error) {
	r := &Rules{skipACL: c.SkipACL == "yes"}
	var errs []error
	if !c.DigestDisabled {
		alg, err := algorithmOf(c.DigestAlgorithm)
		if err != nil {
			errs = append(errs, err)
		}
		r.digest = alg
	}
	if c.SuperDigest != "" {
		r.superDigest = wire.AppendJavaString(nil, []byte(c.SuperDigest))
	}
	switch {
	case c.RequireSASL:
		r.enforce = []string{schemeSASL}
	case c.EnforceAuth && len(c.EnforceAuthSchemes) == 0:
		errs = append(errs, errors.New("auth: enforce.auth.enabled needs enforce.auth.schemes"))
	case c.EnforceAuth:
		r.enforce = slices.Clone(c.EnforceAuthSchemes)
	}
	for i, s := range r.enforce {
		r.enforce[i] = strings.TrimSpace(s)
		if !r.provides(r.enforce[i]) {
			errs = append(errs, fmt.Errorf("auth: scheme %q is enforced, but nothing provides it", s))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return r, nil
}

// The schemes. Those of providers that are not there have no other use than to be refused by name.
const (
	schemeWorld  = "world"
	schemeIP     = "ip"
	schemeDigest = "digest"
	schemeSuper  = "super"
	schemeAuth   = "auth"
	schemeSASL   = "sasl"
)

// worldID is the only id of scheme world.
const worldID = "anyone"

// provides reports whether a scheme has a provider: whether its ids can be checked and matched.
func (r *Rules) provides(scheme string) bool {
	return scheme == schemeIP || scheme == schemeDigest && r.digest != nil
}

// Admitted reports whether a connection may send anything but auth and sasl packets: whether it has an
// identity of a scheme that is enforced. Source: AuthenticationHelper.enforceAuthentication.
func (r *Rules) Admitted(ids *Identities) bool {
	if r.enforce == nil {
		return true
	}
	for i := range ids.all {
		if slices.Contains(r.enforce, ids.all[i].scheme) {
			return true
		}
	}
	return false
}
