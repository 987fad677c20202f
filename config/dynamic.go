package config

import (
	"strconv"
	"strings"
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
