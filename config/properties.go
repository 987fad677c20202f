package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/magiconair/properties"
)

// line is one key and its value, trimmed, with the number of the line on which the key stands.
type line struct {
	key, value string
	number     int
}

// maxFileBytes bounds what is read: a larger "configuration" is a wrong path.
const maxFileBytes = 1 << 20

const blanks = " \t\f" // white space to java.util.Properties, line ends apart

// parseProperties reads text in the format of java.util.Properties: comments, the separators
// '=', ':' and blank, escapes, continuation lines. Mistakes are returned beside the lines that
// could be read, so that they can be reported together with everything else.
//
// Lines are joined here and only then handed to the properties library: it keeps no line
// numbers, ends a continued line too early at CRLF, and leaves the line end in a continued key.
func parseProperties(file string, text []byte) ([]line, []Problem) {
	decoded, err := decode(text)
	if err != nil {
		return nil, []Problem{{Where: file, Text: err.Error()}}
	}
	var (
		lines    []line
		problems []Problem
	)
	for _, l := range joinLines(decoded) {
		key, value, err := splitLine(l.value)
		if err != nil {
			problems = append(problems, Problem{Where: at(file, l.number), Text: err.Error()})
			continue
		}
		lines = append(lines, line{trim(key), trim(value), l.number})
	}
	return lines, problems
}

// decode returns text as UTF-8. Java reads Latin-1; files in the field are as often UTF-8, so
// what is valid UTF-8 is taken as that. A byte order mark would stick to the first key.
func decode(text []byte) (string, error) {
	switch {
	case len(text) > maxFileBytes:
		return "", fmt.Errorf("file has %d bytes, more than any configuration (%d)", len(text), maxFileBytes)
	case bytes.HasPrefix(text, []byte{0xFE, 0xFF}), bytes.HasPrefix(text, []byte{0xFF, 0xFE}):
		return "", errors.New("file is UTF-16 (save it as UTF-8)")
	}
	text = bytes.TrimPrefix(text, []byte("\uFEFF"))
	if utf8.Valid(text) {
		return string(text), nil
	}
	latin := make([]rune, len(text))
	for i, b := range text {
		latin[i] = rune(b)
	}
	return string(latin), nil
}

// joinLines drops blank lines and comments, and joins continued lines into one value each,
// still escaped. The number is that of the first of them. A line of nothing but a backslash
// begins nothing: a comment may follow it (and at the end of the file it is an empty line, all
// of this as in the JDK).
func joinLines(text string) []line {
	var (
		joined    []line
		current   line
		continued bool
	)
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = strings.TrimSuffix(strings.ReplaceAll(text, "\r", "\n"), "\n")
	for i, s := range strings.Split(text, "\n") {
		s = strings.TrimLeft(s, blanks)
		if current.value == "" {
			if s == "" || s[0] == '#' || s[0] == '!' {
				continued = false
				continue
			}
			current.number = i + 1
		}
		continued = trailingBackslashes(s)%2 == 1
		if continued {
			s = s[:len(s)-1]
		}
		current.value += s
		if !continued {
			joined = append(joined, current)
			current = line{}
		}
	}
	if continued { // by the end of the file
		joined = append(joined, current)
	}
	return joined
}

func trailingBackslashes(s string) int {
	return len(s) - len(strings.TrimRight(s, `\`))
}

// splitLine cuts a joined line into key and value and takes the escapes out of both.
func splitLine(s string) (key, value string, err error) {
	if s == "" {
		return "", "", nil
	}
	if s[0] == '=' || s[0] == ':' { // an empty key: legal for Java, an error for the library
		_, value, err = splitLine("x" + s)
		return "", value, err
	}
	loader := properties.Loader{Encoding: properties.UTF8, DisableExpansion: true}
	p, err := loader.LoadBytes([]byte(s))
	if err != nil || p.Len() != 1 {
		return "", "", fmt.Errorf(`%q is not "key=value" (\u needs four hexadecimal digits)`, s)
	}
	key = p.Keys()[0]
	value, _ = p.Get(key)
	return key, value, nil
}

// trim cuts what Java's String.trim cuts: everything up to and including the blank.
func trim(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return r <= ' ' })
}

// at says where a line is, as compilers do.
func at(file string, number int) string { return fmt.Sprintf("%s:%d", file, number) }
