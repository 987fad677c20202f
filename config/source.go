package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// origin is the kind of place a setting was found in. It decides which spellings work there.
type origin uint8

const (
	fromFlags origin = iota // -D words of JVMFLAGS and SERVER_JVMFLAGS
	fromFile                // zoo.cfg, the arguments PORT DATADIR, or the variables of an image
	fromSet                 // --set
)

// given is one setting as it was written.
type given struct {
	name, value string
	where       string // "conf/zoo.cfg:12", "--set", "JVMFLAGS"
	origin      origin
	order       int  // position among all that was given
	key         *key // its entry in the registry, nil if unknown; see resolve
	obeyed      bool // false: a spelling that has no effect; see resolve
}

// Options says where to look for a configuration.
type Options struct {
	// Args is what stands behind "server" on the command line: nothing, the path of a zoo.cfg, or
	// PORT DATADIR [TICKTIME [MAXCNXNS]]. With nothing, $ZOOCFGDIR or $ZOO_CONF_DIR is looked
	// into for a file, then the variables of the official image count, then defaults: port 2181
	// and ./data.
	Args []string
	// Set holds the key=value words of --set. Later ones win, and they win over all else.
	Set []string
	// Strict makes every warning an error, as config.strict=true does.
	Strict bool
	// Environ is the environment, as os.Environ returns it. Nil means an empty one.
	Environ []string
	// ReadFile opens files. Nil means os.ReadFile.
	ReadFile func(name string) ([]byte, error)
}

// sources collects what was given, weakest first, and what could not be read.
type sources struct {
	options   Options
	file      string // path of the configuration file, if there is one
	givens    []given
	problems  []Problem
	warnings  []Warning
	fromImage bool     // the configuration is that of the official image's variables
	unread    bool     // the configuration could not be read, so what it lacks is no news
	flags     []string // words of JVMFLAGS that only a JVM understands
}

func (s *sources) add(g given) {
	g.order = len(s.givens) + 1
	s.givens = append(s.givens, g)
}

func (s *sources) problem(where, key, format string, args ...any) {
	s.problems = append(s.problems,
		Problem{Where: where, Key: key, Text: fmt.Sprintf(format, args...), order: len(s.givens)})
}

// collect reads all sources. In Apache a line of zoo.cfg overwrites the system property of the
// same name, so the file is stronger than JVMFLAGS; --set is stronger than both.
func (s *sources) collect() {
	s.readFlags("SERVER_JVMFLAGS")
	s.readFlags("JVMFLAGS") // zkServer.sh puts it behind the other, so it wins
	switch args := s.options.Args; {
	case len(args) == 1:
		s.readFile(args[0])
	case len(args) > 1:
		s.readArguments(args)
	case s.defaultFile() != "":
		s.readFile(s.defaultFile())
	case s.inImage():
		s.fromImage = true
		s.readImage()
	default:
		s.add(given{name: "clientPort", value: "2181", where: "no configuration file", origin: fromFile})
		s.add(given{name: "dataDir", value: "./data", where: "no configuration file", origin: fromFile})
	}
	s.readSet()
}

// env returns the value of an environment variable, "" if it is not set.
func (s *sources) env(name string) string {
	for _, v := range slices.Backward(s.options.Environ) {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// readFlags takes the -D words of an environment variable. The others (-Xmx, -javaagent) mean
// something to a JVM only.
func (s *sources) readFlags(variable string) {
	for _, word := range shellWords(s.env(variable)) {
		definition, ok := strings.CutPrefix(word, "-D")
		if !ok {
			option, _, _ := strings.Cut(word, "=") // what follows may be a secret
			s.flags = append(s.flags, option)
			continue
		}
		name, value, _ := strings.Cut(definition, "=")
		s.add(given{name: name, value: trim(value), where: variable, origin: fromFlags})
	}
}

// shellWords cuts text at blanks as a shell does, with both kinds of quotes.
func shellWords(text string) []string {
	var (
		words  []string
		word   []byte
		quote  byte
		inWord bool
	)
	for i := 0; i < len(text); i++ {
		b := text[i]
		switch {
		case quote != 0 && b == quote:
			quote = 0
		case quote == 0 && (b == '"' || b == '\''):
			quote, inWord = b, true
		case quote != '\'' && b == '\\' && i+1 < len(text):
			i++
			word, inWord = append(word, text[i]), true
		case quote == 0 && strings.IndexByte(" \t\r\n", b) >= 0:
			if inWord {
				words, word, inWord = append(words, string(word)), word[:0], false
			}
		default:
			word, inWord = append(word, b), true
		}
	}
	if inWord {
		words = append(words, string(word))
	}
	return words
}

func (s *sources) readFile(name string) {
	s.file = name
	for _, l := range s.readLines(name) {
		s.add(given{name: l.key, value: l.value, where: at(name, l.number), origin: fromFile})
	}
}

func (s *sources) readLines(name string) []line {
	contents, err := s.options.ReadFile(name)
	if err != nil {
		s.problem(name, "", "%v", cause(err))
		s.unread = true
		return nil
	}
	lines, problems := parseProperties(name, contents)
	for i := range problems {
		problems[i].order = len(s.givens)
	}
	s.problems = append(s.problems, problems...)
	return lines
}

// cause strips the path from an error of package os: it is in Where already.
func cause(err error) error {
	for {
		inner, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		err = inner.Unwrap()
	}
}

// defaultFile returns the zoo.cfg that zkServer.sh and the official image would use, "" if it
// does not exist.
func (s *sources) defaultFile() string {
	name := s.env("ZOOCFG")
	if name == "" {
		name = "zoo.cfg"
	}
	for _, variable := range []string{"ZOOCFGDIR", "ZOO_CONF_DIR"} {
		dir := s.env(variable)
		if dir == "" {
			continue
		}
		if _, err := s.options.ReadFile(filepath.Join(dir, name)); err == nil {
			return filepath.Join(dir, name)
		}
	}
	return ""
}

// readArguments takes PORT DATADIR [TICKTIME [MAXCNXNS]]. Without MAXCNXNS connections are not
// limited: so does Apache, in this form only.
func (s *sources) readArguments(args []string) {
	if len(args) > 4 {
		s.problem("arguments", "", "%d words: want a configuration file, or PORT DATADIR [TICKTIME [MAXCNXNS]]",
			len(args))
		s.unread = true
		return
	}
	if len(args) < 4 {
		s.add(given{name: "maxClientCnxns", value: "0", where: "no argument MAXCNXNS", origin: fromFile})
	}
	names := []struct{ key, argument string }{
		{"clientPort", "PORT"}, {"dataDir", "DATADIR"},
		{"tickTime", "TICKTIME"}, {"maxClientCnxns", "MAXCNXNS"},
	}
	for i, value := range args {
		s.add(given{name: names[i].key, value: value, where: "argument " + names[i].argument, origin: fromFile})
	}
}

func (s *sources) readSet() {
	for _, word := range s.options.Set {
		name, value, ok := strings.Cut(word, "=")
		if !ok || trim(name) == "" {
			s.problem("--set", word, "want key=value")
			continue
		}
		s.add(given{name: trim(name), value: trim(value), where: "--set", origin: fromSet})
	}
}
