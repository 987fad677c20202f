package config

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// Load reads the configuration that o points at. Warnings are returned in any case; the error
// is an *Error with everything that is wrong, and then there is no Config.
func Load(o Options) (*Config, []Warning, error) {
	if o.ReadFile == nil {
		o.ReadFile = os.ReadFile
	}
	l := &loader{
		sources: sources{options: o},
		catalog: newCatalog(),
		config:  &Config{origins: make(map[string]string)},
		chosen:  make(map[string]*given),
	}
	l.collect()
	l.config.File = l.file
	l.strict = o.Strict || l.switchedOn("config.strict")
	l.lenient = l.switchedOn("config.lenient")
	l.resolve()
	l.readDynamicFile()
	l.choose()
	l.setDefaults()
	l.apply()
	l.readID()
	l.readEnsemble()
	if !l.unread {
		l.check()
	}
	l.warnGroups()
	return l.finish()
}

// loader is one Load in progress.
type loader struct {
	sources
	catalog         *catalog
	config          *Config
	strict, lenient bool
	chosen          map[string]*given // by slot: the one that counts
	myID            myID
	inEnsemble      bool  // the lines ask for more than a server alone
	lineUnknown     bool  // which server line is ours cannot be said: it may bring the client port
	version         int64 // of the dynamic file
	groups          []group
}

// group is one warning for all keys that have the same reason not to work.
type group struct {
	notice bool
	why    string
	givens []*given
}

func (l *loader) warn(g *given, format string, args ...any) {
	l.warnings = append(l.warnings, Warning{Problem: g.problem(format, args...)})
}

func (l *loader) notice(g *given, format string, args ...any) {
	l.warnings = append(l.warnings, Warning{Problem: g.problem(format, args...), Notice: true})
}

func (l *loader) fail(g *given, format string, args ...any) {
	l.problems = append(l.problems, g.problem(format, args...))
}

func (g *given) problem(format string, args ...any) Problem {
	return Problem{Where: g.where, Key: g.name, Text: fmt.Sprintf(format, args...), order: g.order}
}

// switchedOn looks a switch up before anything is resolved: it changes how that is done. A bad
// value is reported later, with all others.
func (l *loader) switchedOn(name string) bool {
	for i := range slices.Backward(l.givens) {
		if g := &l.givens[i]; g.name == name && g.origin != fromFlags {
			on, _, _ := l.catalog.byName(name).parseBool(g.value)
			return on
		}
	}
	return false
}

// resolve finds the registry entry of each given, decides whether its spelling works in the
// place where it stands, and says what would work where it does not.
func (l *loader) resolve() {
	for i := range l.givens {
		g := &l.givens[i]
		switch g.origin {
		case fromFlags:
			l.resolveFlag(g)
		case fromFile:
			l.resolveLine(g)
		case fromSet:
			l.resolveSet(g)
		}
		switch {
		case g.key == nil: // without the value: it may be a misspelled secret
			l.config.extras = append(l.config.extras, Setting{Key: g.name, Source: g.where, Verdict: Unknown})
		case !g.obeyed:
			l.config.extras = append(l.config.extras, g.setting(Dead))
		}
	}
}

// resolveLine resolves a line of zoo.cfg. Apache puts what it does not know itself into the
// system property zookeeper.<name>: a name that has the prefix already gets a second one, and
// properties without the prefix cannot be reached at all.
func (l *loader) resolveLine(g *given) {
	g.key = l.catalog.byName(g.name)
	switch k := g.key; {
	case k == nil:
		l.resolveStranger(g)
	case k.verdict == Dead:
		l.resolveDead(g)
	case k.place == flagOnly:
		g.obeyed = l.lenient
		switch {
		case l.lenient:
		case k.name == "jute.maxbuffer" && l.widens(g):
			g.obeyed = true
			l.warn(g,
				"Apache reads it only as -D%s and would go on with %s; obeyed here, as it is larger",
				k.name, k.def)
		default:
			l.warn(g,
				"no effect in a file: Apache reads it only as -D%s (here --set works too)", k.property())
		}
	default:
		g.obeyed = true
	}
}

// widens reports whether g asks for more than the default of its key.
func (l *loader) widens(g *given) bool {
	n, err := g.key.parseNumber(g.value)
	least, _ := parseInt(g.key.def, false)
	return err == nil && n > least
}

// resolveStranger resolves a line whose name is not in the registry as it stands.
func (l *loader) resolveStranger(g *given) {
	k := l.catalog.byProperty(g.name)
	if bare, ok := strings.CutPrefix(g.name, "zookeeper."); ok && k == nil {
		k = l.catalog.byName(bare)
	}
	switch {
	case k == nil:
		l.warnUnknown(g)
		return
	case k.verdict == JVM:
		g.key = k
		g.obeyed = true // to be named with its like
		return
	case !l.lenient:
		l.warn(g,
			"no effect: Apache adds the prefix zookeeper. by itself (write %s)", l.spelling(k, g.name))
	}
	g.key, g.obeyed = k, l.lenient
}

// spelling is the zoo.cfg name of k; for a pattern, that of the key which name stands for.
func (l *loader) spelling(k *key, name string) string {
	if strings.HasSuffix(k.name, "*") {
		return strings.TrimPrefix(name, "zookeeper.")
	}
	return k.name
}

func (l *loader) warnUnknown(g *given) {
	name := strings.TrimPrefix(g.name, "zookeeper.")
	if near := l.catalog.nearest(name); near != "" && near != name {
		l.warn(g, "unknown, no effect (did you mean %s?)", near)
		return
	}
	l.warn(g, "unknown, no effect")
}

// resolveDead resolves a documented spelling that Apache's code does not read. Values that were
// never read are often nonsense, so they are obeyed only on demand.
func (l *loader) resolveDead(g *given) {
	works := g.key.why
	if l.lenient {
		g.key, g.obeyed = l.catalog.byName(works), true
		return
	}
	l.warn(g,
		"no effect, as in Apache, whose documents print this name (what is read is %s)", works)
}

// resolveFlag resolves a -D word.
func (l *loader) resolveFlag(g *given) {
	g.key = l.catalog.byProperty(g.name)
	if g.key != nil {
		g.obeyed = true
		return
	}
	bare := strings.TrimPrefix(g.name, "zookeeper.")
	switch k := l.catalog.byName(bare); {
	case k != nil && k.property() != "" && k.verdict != JVM:
		g.key = k
		l.warn(g, "no effect: the property is -D%s", k.property())
	case k != nil && k.verdict != Dead:
		g.key = k
		l.warn(g, "no effect: not a system property (write it into zoo.cfg, or use --set)")
	case k != nil:
		g.key = k
		l.resolveDead(g)
	case bare != g.name:
		l.warnUnknown(g)
	default:
		g.key, g.obeyed = l.catalog.byName("java.*"), true
	}
}

// resolveSet resolves a --set word: new with this server, so every spelling works.
func (l *loader) resolveSet(g *given) {
	bare := strings.TrimPrefix(g.name, "zookeeper.")
	c := l.catalog
	for _, k := range []*key{c.byName(g.name), c.byProperty(g.name), c.byName(bare)} {
		if k == nil {
			continue
		}
		if k.verdict == Dead {
			k = l.catalog.byName(k.why)
		}
		g.key, g.obeyed = k, true
		return
	}
	l.warnUnknown(g)
}

// slot is what a given fills: of several with the same slot one counts.
func (g *given) slot() string {
	if strings.HasSuffix(g.key.name, "*") {
		return g.name
	}
	return g.key.name
}

// choose picks the given that counts for each slot: the last one. Files that say something twice
// are told so; Apache takes the last one silently. But who belongs to the ensemble is not guessed.
func (l *loader) choose() {
	for i := range l.givens {
		g := &l.givens[i]
		if !g.obeyed {
			continue
		}
		before := l.chosen[g.slot()]
		l.chosen[g.slot()] = g
		switch {
		case before == nil:
		case before.origin == fromFile && g.origin == fromFile && membership(g.key) && before.value != g.value:
			l.fail(g, "%s says %s: which one?", before.where, before.value)
		case before.origin == fromFile && g.origin == fromFile:
			l.warn(g, "also set at %s; this one counts", before.where)
		case before.origin == fromFlags && g.origin == fromFile && before.value != g.value:
			l.notice(g, "also set by %s; the file counts, as in Apache", before.where)
		}
	}
}

// setDefaults fills the fields from the registry.
func (l *loader) setDefaults() {
	for _, k := range l.catalog.keys {
		if k.field == nil || k.def == "" {
			continue
		}
		if note, err := k.set(l.config, k.def); err != nil || note != "" {
			panic(fmt.Sprintf("config: default of %s: %q: %v", k.name, k.def, err))
		}
	}
}

// apply stores what was chosen, in the order in which it was given.
func (l *loader) apply() {
	for i := range l.givens {
		if g := &l.givens[i]; g.obeyed && l.chosen[g.slot()] == g {
			l.applyOne(g)
		}
	}
}

func (l *loader) applyOne(g *given) {
	k := g.key
	note, err := k.set(l.config, g.value)
	lax := (k.place == property || k.place == flagOnly) && g.origin != fromSet
	switch {
	case err != nil && lax:
		l.warn(g, "%v; ignored, as in Apache, and the default%s counts", err, show(k.def))
		delete(l.chosen, g.slot())
		return
	case err != nil:
		l.fail(g, "%v", err)
		return
	case note != "" && g.origin == fromSet:
		l.fail(g, "%s", note)
		return
	case note != "":
		l.warn(g, "%s", note)
	}
	if k.field != nil {
		l.config.origins[k.name] = g.where
	} else {
		l.config.extras = append(l.config.extras, g.setting(k.verdict))
	}
	l.grouped(g)
}

// grouped sorts a setting without effect under its reason.
func (l *loader) grouped(g *given) {
	k := g.key
	if k.why == "" || k.verdict == NotYet && g.value == k.def {
		return
	}
	for i := range l.groups {
		if l.groups[i].why == k.why {
			l.groups[i].givens = append(l.groups[i].givens, g)
			return
		}
	}
	l.groups = append(l.groups, group{notice: k.verdict != NotYet, why: k.why, givens: []*given{g}})
}

// warnGroups names settings without effect: one warning for each reason.
func (l *loader) warnGroups() {
	for _, gr := range l.groups {
		var names []string
		var first given
		for _, g := range gr.givens {
			if l.said(g) {
				continue
			}
			if names == nil {
				first = *g
			}
			names = append(names, g.name)
		}
		if names != nil {
			first.name = strings.Join(names, ", ")
			w := Warning{Problem: first.problem("no effect: %s", gr.why), Notice: gr.notice}
			l.warnings = append(l.warnings, w)
		}
	}
	if len(l.flags) > 0 {
		l.warnings = append(l.warnings, Warning{Notice: true, Problem: Problem{
			Where: "JVMFLAGS", Key: strings.Join(l.flags, " "), Text: "no effect: for the Java virtual machine"}})
	}
}

// said reports whether there is an error or a warning about g already.
func (l *loader) said(g *given) bool {
	same := func(p Problem) bool { return p.Key == g.name && p.order == g.order }
	return slices.ContainsFunc(l.problems, same) ||
		slices.ContainsFunc(l.warnings, func(w Warning) bool { return same(w.Problem) })
}

// finish turns warnings into errors in strict mode and puts both into the order of the input.
func (l *loader) finish() (*Config, []Warning, error) {
	if l.strict {
		l.warnings = slices.DeleteFunc(l.warnings, func(w Warning) bool {
			if !w.Notice {
				w.Text += " (strict)"
				l.problems = append(l.problems, w.Problem)
			}
			return !w.Notice
		})
	}
	slices.SortStableFunc(l.warnings, func(a, b Warning) int { return a.order - b.order })
	if len(l.problems) > 0 {
		sortProblems(l.problems)
		return nil, l.warnings, &Error{Problems: l.problems}
	}
	return l.config, l.warnings, nil
}

// show puts a default into a sentence.
func show(def string) string {
	if def == "" {
		return ""
	}
	return " " + def
}

// isTrue reports whether a switch was given, and is on.
func (g *given) isTrue() bool { return g != nil && strings.EqualFold(g.value, "true") }

// setting returns g as a row of the effective configuration.
func (g *given) setting(v Verdict) Setting {
	value := g.value
	if g.key.form == secret || sensitive(g.name) {
		value = Secret(value).String()
	}
	return Setting{Key: g.name, Value: value, Source: g.where, Verdict: v}
}

// sensitive reports whether a name sounds like that of a secret: Java has many, and any of them
// can turn up among flags.
func sensitive(name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, "password") || strings.Contains(name, "secret")
}
