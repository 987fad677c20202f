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

// storedView is a membership that a server has written: Apache's in zoo.cfg.dynamic.next, ours in the data
// directory.
type storedView struct {
	lines   *membershipLines
	version int64
}

// readStored reads one, nil where there is none, or where what is there cannot be read.
func (l *loader) readStored(name string) *storedView {
	if _, err := l.options.ReadFile(name); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	s := &storedView{lines: &membershipLines{about: make(map[string]*given)}}
	for _, line := range l.readLines(name) {
		g := &given{name: line.key, value: line.value, where: at(name, line.number), order: len(l.givens) + 1}
		var err error
		switch k := l.catalog.byName(line.key); {
		case line.key == "version":
			s.version, err = strconv.ParseInt(line.value, 16, 64)
		case k != nil && membership(k):
			if s.lines.first == nil && k.name == "server.*" {
				s.lines.first = g
			}
			s.lines.servers++
			const several = true // whoever wrote it had them enabled
			err = s.lines.read(g, several)
		}
		if err != nil {
			l.fail(g, "%v", cause(err))
			return nil
		}
	}
	return s
}

// stored is what a start goes by where a reconfig has changed the membership: what is in force, kept in
// the data directory, wins over the server lines. Nobody rewrites those.
func (l *loader) stored(lines *membershipLines) *membershipLines {
	s := l.readStored(l.config.MembershipFile())
	if s == nil || s.version <= l.version || s.lines.first == nil {
		return lines
	}
	if given := l.view(lines); given != nil {
		if kept := l.viewOf(s); kept != nil && !kept.Same(given) {
			l.warn(lines.first, "a reconfig has made another membership of version %x, which counts: %s (remove that file to go by these lines)",
				s.version, l.config.MembershipFile())
		}
	}
	l.version = s.version
	return s.lines
}

// viewOf puts the lines of a stored membership together, nil if they do not fit.
func (l *loader) viewOf(s *storedView) *zab.View {
	view, err := zab.NewView(s.lines.members, s.lines.groups, s.lines.weights, wire.Zxid(s.version))
	if err != nil {
		return nil // said where it is used
	}
	return view
}

// readNext reads the membership that a reconfig has proposed, and that may not be in force. Who has it
// needs, to lead, a quorum of it as well. It counts only where it is later than what is in force. Apache's
// servers keep it beside a dynamic file, ours in the data directory.
func (l *loader) readNext(view *zab.View) (next *zab.View) {
	names := []string{l.config.NextMembershipFile()}
	if l.config.DynamicConfigFile != "" && l.file != "" {
		names = append(names, l.file+".dynamic"+nextSuffix)
	}
	for _, name := range names {
		s := l.readStored(name)
		if s == nil {
			continue
		}
		about := &given{where: name, order: len(l.givens)}
		if wire.Zxid(s.version) <= view.Version {
			l.notice(about, "version %x is not later than %x, which is in force: of no use any more", s.version, int64(view.Version))
			continue
		}
		v, err := zab.NewView(s.lines.members, s.lines.groups, s.lines.weights, wire.Zxid(s.version))
		if err != nil {
			l.fail(about, "%v", err)
			continue
		}
		if next == nil || v.Version > next.Version {
			next = v
			l.warn(about, "a reconfig to version %x was not finished when the server stopped: to lead, a quorum of both memberships is needed", s.version)
		}
	}
	return next
}

const nextSuffix = ".next"
