package config

import (
	"strings"
)

// Verdict says what becomes of a setting.
type Verdict string

const (
	Used        Verdict = "used"     // changes what this server does
	ForEnsemble Verdict = "ensemble" // changes what one of several servers does; one that stands alone has no use for it
	NotYet      Verdict = "not yet"  // read and checked; this release does not act on it
	Ignored     Verdict = "ignored"  // nothing here corresponds to it
	JVM         Verdict = "JVM only" // meant for the Java virtual machine or a Java library
	Dead        Verdict = "dead"     // a documented spelling that Apache does not read either
	Refused     Verdict = "refused"  // cannot be left out silently: the server does not start
	Unknown     Verdict = "unknown"  // not in the registry
)

// place says where Apache reads a setting, which decides how strictly its value is read and
// which spellings of its name work.
type place uint8

const (
	inFile   place = iota // by QuorumPeerConfig, from zoo.cfg only; a bad value is refused
	property              // from zoo.cfg, or as -Dzookeeper.<name>; a bad value means the default
	flagOnly              // as -D<name> only: the same line in zoo.cfg has no effect
	ours                  // new here; from zoo.cfg and --set; a bad value is refused
)

// form says how the text of a value is read.
type form uint8

const (
	text     form = iota // as it is
	number               // whole number
	boolean              // true or false
	yesWord              // on only by "yes" (skipACL)
	noWord               // off only by "no" (forceSync, leaderServes)
	list                 // separated by commas
	path                 // file or directory
	interval             // whole number of hours, or with a suffix ms, s, m, h, d
	secret               // text, never shown
	decimal              // number with a fraction
)

// key is one entry of the registry: one setting under its zoo.cfg name.
type key struct {
	name    string // a trailing "*" stands for any rest
	place   place
	prop    string // system property where it is not "zookeeper." + name
	alias   string // a second system property that sets the same
	form    form
	loose   bool   // inFile, but a word that is no boolean means false, as for a property
	unit    string // ms, s, ticks, bytes, KB, port…; empty: a plain count or no number at all
	def     string // default here, as it would be written in zoo.cfg
	apache  string // default of Apache 3.10 where it is another
	min     int64  // numbers only
	max     int64  // numbers only; 0: 2^31-1
	verdict Verdict
	why     string // what to do or to know, for all but Used and ForEnsemble; shown in the warning
	doc     string
	field   func(*Config) any // pointer to the field; nil: kept as text only
}

// section groups keys in the documents.
type section struct {
	title string
	keys  []key
}

// registry returns all sections, in the order of the documents.
func registry() []section {
	return []section{
		{"Files and listeners", listenerKeys},
		{"Time, sessions and connections", sessionKeys},
		{"Requests and limits", requestKeys},
		{"Log, snapshots and purge", storageKeys},
		{"Authentication", authKeys},
		{"Administration and metrics", adminKeys},
		{"Ensemble", ensembleKeys},
		{"Network and threads of Apache's server", threadKeys},
		{"TLS", tlsKeys},
		{"Documented names that do nothing", deadKeys},
		{"Java", jvmKeys},
	}
}

// property returns the name of the system property that sets k, "" if there is none.
func (k *key) property() string {
	switch {
	case k.prop != "":
		return k.prop
	case k.place == property:
		return "zookeeper." + k.name
	case k.place == flagOnly:
		return k.name
	}
	return ""
}

// catalog is the registry, indexed. Built once per Load: it is small, and then there is no
// state that tests or callers could share.
type catalog struct {
	keys     []*key // in registry order
	names    map[string]*key
	props    map[string]*key
	patterns []*key // names with a trailing "*"
}

func newCatalog() *catalog {
	c := &catalog{names: make(map[string]*key), props: make(map[string]*key)}
	for _, s := range registry() {
		for i := range s.keys {
			k := &s.keys[i]
			c.keys = append(c.keys, k)
			if strings.HasSuffix(k.name, "*") {
				c.patterns = append(c.patterns, k)
				continue
			}
			c.names[k.name] = k
			for _, p := range []string{k.property(), k.alias} {
				if p != "" {
					c.props[p] = k
				}
			}
		}
	}
	return c
}

// byName returns the entry for a name as zoo.cfg spells it, nil if there is none.
func (c *catalog) byName(name string) *key {
	if k := c.names[name]; k != nil {
		return k
	}
	return c.match(name, func(k *key) string { return k.name })
}

// byProperty returns the entry that the system property name sets, nil if there is none.
func (c *catalog) byProperty(name string) *key {
	if k := c.props[name]; k != nil {
		return k
	}
	return c.match(name, (*key).property)
}

// match returns the pattern with the longest prefix of name.
func (c *catalog) match(name string, spelled func(*key) string) *key {
	var (
		best    *key
		longest = -1
	)
	for _, k := range c.patterns {
		prefix, ok := strings.CutSuffix(spelled(k), "*")
		if ok && strings.HasPrefix(name, prefix) && len(prefix) > longest {
			best, longest = k, len(prefix)
		}
	}
	return best
}

// nearest returns the registered name that name was most likely meant to be, "" if none is
// close: at most three edits away, and fewer for short names.
func (c *catalog) nearest(name string) string {
	best, least := "", min(3, len(name)/3)+1
	for _, k := range c.keys {
		if strings.HasSuffix(k.name, "*") || k.verdict == JVM {
			continue
		}
		if d := distance(strings.ToLower(name), strings.ToLower(k.name), least); d < least {
			best, least = k.name, d
		}
	}
	return best
}

// distance returns the edit distance (Levenshtein) of a and b, or limit if it is not below it.
func distance(a, b string, limit int) int {
	if abs := max(len(a)-len(b), len(b)-len(a)); abs >= limit {
		return limit
	}
	row := make([]int, len(b)+1) // row[j]: distance of the part of a seen so far and b[:j]
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return min(row[len(b)], limit)
}
