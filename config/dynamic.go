package config

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"

	"paddock/wire"
	"paddock/zab"
)

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
	l.version = versionOf(name.value)
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

// versionOf returns the version of a dynamic file: what stands behind the last dot of its name, if
// that is a hexadecimal number, and else 0.
func versionOf(file string) int64 {
	version, err := strconv.ParseUint(file[strings.LastIndexByte(file, '.')+1:], 16, 63)
	if err != nil || !strings.Contains(file, ".") {
		return 0
	}
	return int64(version)
}

// readNext reads the membership that a reconfig has proposed, from the file in which Apache's servers keep
// it until it is in force. Who has it needs, to lead, a quorum of it as well. It counts only beside a
// dynamic file, and only where it is later than what that says.
func (l *loader) readNext(view *zab.View) *zab.View {
	name := l.file + ".dynamic.next"
	if l.config.DynamicConfigFile == "" || l.file == "" {
		return nil
	}
	if _, err := l.options.ReadFile(name); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	about := &given{where: name, order: len(l.givens)}
	var version int64
	lines := &membershipLines{about: make(map[string]*given)}
	for _, line := range l.readLines(name) {
		g := &given{name: line.key, value: line.value, where: at(name, line.number), order: len(l.givens)}
		var err error
		switch k := l.catalog.byName(line.key); {
		case line.key == "version":
			version, err = strconv.ParseInt(line.value, 16, 64)
		case k != nil && membership(k):
			err = lines.read(g, l.config.MultiAddressEnabled)
		}
		if err != nil {
			l.fail(g, "%v", cause(err))
			return nil
		}
	}
	if wire.Zxid(version) <= view.Version {
		l.notice(about, "is not later than %s: of no use any more", l.config.DynamicConfigFile)
		return nil
	}
	next, err := zab.NewView(lines.members, lines.groups, lines.weights, wire.Zxid(version))
	if err != nil {
		l.fail(about, "%v", err)
		return nil
	}
	l.warn(about, "a reconfig to version %x was not finished when the server stopped: to lead, a quorum of both memberships is needed", version)
	return next
}
