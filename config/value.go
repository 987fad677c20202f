package config

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// set reads text as a value of k and stores it in c. A note is something odd about a value
// that has been stored all the same.
func (k *key) set(c *Config, text string) (note string, err error) {
	if k.field == nil {
		return k.probe(text)
	}
	switch f := k.field(c).(type) {
	case *string:
		*f = text
	case *Secret:
		*f = Secret(text)
	case *[]string:
		*f = splitList(text)
	case *bool:
		var on bool
		if on, note, err = k.parseBool(text); err == nil {
			*f = on
		}
	case *time.Duration:
		var d time.Duration
		if d, err = k.parseDuration(text); err == nil {
			*f = d
		}
	case *int:
		err = setNumber(k, f, text)
	case *int32:
		err = setNumber(k, f, text)
	case *int64:
		err = setNumber(k, f, text)
	default:
		panic(fmt.Sprintf("config: key %s has a field of type %T", k.name, f))
	}
	return note, err
}

// probe reads text as a value of a key without a field, so that mistakes are found all the same.
func (k *key) probe(text string) (note string, err error) {
	switch k.form {
	case number:
		_, err = k.parseNumber(text)
	case boolean, yesWord, noWord:
		_, note, err = k.parseBool(text)
	case decimal:
		if _, err = strconv.ParseFloat(text, 64); err != nil {
			err = fmt.Errorf("%q is not a number (for example %s)", text, k.def)
		}
	}
	return note, err
}

// show returns the value of k's field as it would be written in zoo.cfg.
func (k *key) show(c *Config) string {
	switch f := k.field(c).(type) {
	case *string:
		return *f
	case *Secret:
		return f.String()
	case *[]string:
		return strings.Join(*f, ",")
	case *bool:
		return k.showBool(*f)
	case *time.Duration:
		if k.form == interval {
			return showInterval(*f)
		}
		return strconv.FormatInt(int64(*f/k.duration()), 10)
	case *int:
		return strconv.FormatInt(int64(*f)/k.scale(), 10)
	case *int32:
		return strconv.FormatInt(int64(*f)/k.scale(), 10)
	case *int64:
		return strconv.FormatInt(*f/k.scale(), 10)
	default:
		panic(fmt.Sprintf("config: key %s has a field of type %T", k.name, f))
	}
}

func setNumber[T int | int32 | int64](k *key, f *T, text string) error {
	n, err := k.parseNumber(text)
	if err == nil {
		*f = T(n * k.scale())
	}
	return err
}

// parseNumber reads a whole number in k's unit and range.
func (k *key) parseNumber(text string) (int64, error) {
	n, err := parseInt(text, k.place != inFile)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number%s%s", text, k.of(), k.suggest(text))
	}
	most := k.max
	if most == 0 {
		most = math.MaxInt32
	}
	if n < k.min || n > most {
		return 0, fmt.Errorf("%d is out of range (%d to %d%s)", n, k.min, most, strings.TrimPrefix(k.of(), " of"))
	}
	return n, nil
}

// parseInt reads decimal digits with a sign. What Apache reads by Integer.getInteger may also
// be hexadecimal (0x, #) or octal (0).
func parseInt(text string, wide bool) (int64, error) {
	digits, negative := strings.CutPrefix(text, "-")
	if !negative {
		digits = strings.TrimPrefix(text, "+")
	}
	base := 10
	if wide {
		digits, base = radix(digits)
	}
	n, err := strconv.ParseUint(digits, base, 63) // refuses a second sign
	if err != nil {
		return 0, err
	}
	if negative {
		return -int64(n), nil
	}
	return int64(n), nil
}

func radix(digits string) (rest string, base int) {
	for _, prefix := range []string{"0x", "0X", "#"} {
		if rest, ok := strings.CutPrefix(digits, prefix); ok {
			return rest, 16
		}
	}
	if len(digits) > 1 && digits[0] == '0' {
		return digits[1:], 8
	}
	return digits, 10
}

// of names the unit in a sentence: " of milliseconds".
func (k *key) of() string {
	names := map[string]string{
		"ms": " of milliseconds", "s": " of seconds", "ticks": " of ticks",
		"bytes": " of bytes", "KB": " of kilobytes", "hours": " of hours",
	}
	return names[k.unit]
}

// scale is what a number in k's unit is multiplied by for its field.
func (k *key) scale() int64 {
	if k.unit == "KB" {
		return 1024
	}
	return 1
}

// duration is one of k's unit.
func (k *key) duration() time.Duration {
	switch k.unit {
	case "ms":
		return time.Millisecond
	case "s":
		return time.Second
	case "hours":
		return time.Hour
	}
	panic(fmt.Sprintf("config: key %s has no unit of time", k.name))
}

// suggest says what would be right instead of text, as far as that can be guessed.
func (k *key) suggest(text string) string {
	word, comment, _ := strings.Cut(text, " ")
	if strings.HasPrefix(comment, "#") || strings.HasPrefix(comment, "!") {
		if _, err := parseInt(word, false); err == nil {
			return fmt.Sprintf(" (write %s; a comment needs a line of its own)", word)
		}
	}
	if n, ok := k.convert(strings.ReplaceAll(text, " ", "")); ok {
		return fmt.Sprintf(" (write %d)", n)
	}
	switch {
	case k.unit == "port":
		return " (a port, for example 2181)"
	case k.def == "" || k.def == "0" || k.def == "-1":
		return ""
	}
	return fmt.Sprintf(" (for example %s)", k.def)
}

// convert reads "2s" or "64MB" as a number in k's unit, if it is a whole one.
func (k *key) convert(text string) (int64, bool) {
	switch k.unit {
	case "ms", "s", "hours":
		d, err := parseSuffixed(text)
		return int64(d / k.duration()), err == nil && d%k.duration() == 0
	case "bytes", "KB":
		n, err := parseSize(text)
		return n / k.scale(), err == nil && n%k.scale() == 0
	}
	return 0, false
}

// parseDuration reads a time: in the unit of the key, or with a suffix where that is allowed.
func (k *key) parseDuration(text string) (time.Duration, error) {
	if k.form == interval || k.place == ours {
		if n, err := parseInt(text, false); err == nil && n >= negative && n <= math.MaxInt32 {
			return time.Duration(max(n, 0)) * k.duration(), nil // below 0 is off, as 0 is
		}
		d, err := parseSuffixed(text)
		if err != nil || d < 0 {
			return 0, fmt.Errorf("%q is neither a whole number%s nor one with a suffix "+
				"(ms, s, m, h or d, for example 90m)", text, k.of())
		}
		return d, nil
	}
	n, err := k.parseNumber(text)
	return time.Duration(n) * k.duration(), err
}

// parseSuffixed reads "90m", "2d": what Go reads, and days.
func parseSuffixed(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := parseInt(days, false)
		if err != nil || n > math.MaxInt16 || n < 0 {
			return 0, errors.New("not a number of days")
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	return time.ParseDuration(text)
}

var sizePattern = regexp.MustCompile(`^(\d{1,9})([KMG]?)(i?B)?$`)

// parseSize reads "64MB", "8m", "1048575B"; a K is 1024.
func parseSize(text string) (int64, error) {
	m := sizePattern.FindStringSubmatch(strings.ReplaceAll(strings.ToUpper(text), "I", "i"))
	if m == nil {
		return 0, errors.New("not a size")
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	shift := map[string]int{"": 0, "K": 10, "M": 20, "G": 30}[m[2]]
	return n << shift, err
}

func showInterval(d time.Duration) string {
	if d%time.Hour == 0 {
		return strconv.FormatInt(int64(d/time.Hour), 10)
	}
	if d%time.Second == 0 {
		return fmt.Sprintf("%ds", d/time.Second)
	}
	return fmt.Sprintf("%dms", d/time.Millisecond)
}

// parseBool reads a switch the way Apache reads it. For a property every word but "true" means
// false; three keys know only one word each. The note says so where the writer may have meant
// the opposite.
func (k *key) parseBool(text string) (value bool, note string, err error) {
	switch {
	case k.form == yesWord:
		return text == "yes", k.wordNote(text, `only the word "yes" turns it on`), nil
	case k.form == noWord:
		return text != "no", k.wordNote(text, `only the word "no" turns it off`), nil
	case strings.EqualFold(text, "true"):
		return true, "", nil
	case strings.EqualFold(text, "false"):
		return false, "", nil
	case k.place == ours:
		return parseWord(text)
	case k.place == inFile && !k.loose:
		return false, "", fmt.Errorf("%q is neither true nor false", text)
	}
	return false, fmt.Sprintf("%q means false: only the word true means true", text), nil
}

func (k *key) wordNote(text, rule string) string {
	if text == "yes" || text == "no" {
		return ""
	}
	return fmt.Sprintf("%q changes nothing: %s, and %s is the default", text, rule, k.def)
}

// parseWord reads what switches of our own take.
func parseWord(text string) (value bool, note string, err error) {
	switch strings.ToLower(text) {
	case "yes", "on", "1":
		return true, "", nil
	case "no", "off", "0":
		return false, "", nil
	}
	return false, "", fmt.Errorf("%q is neither true nor false (yes, no, on, off, 1 and 0 work too)", text)
}

func (k *key) showBool(v bool) string {
	switch {
	case k.form != yesWord && k.form != noWord:
		return strconv.FormatBool(v)
	case v:
		return "yes"
	}
	return "no"
}

// splitList cuts at commas and drops blanks and empty words.
func splitList(text string) []string {
	var words []string
	for w := range strings.SplitSeq(text, ",") {
		if w = strings.TrimSpace(w); w != "" {
			words = append(words, w)
		}
	}
	return words
}
