package wire

import "unicode/utf8"

// ValidatePath reports whether path may name a znode: PathUtils.validatePath in ZooKeeper. nil and
// empty may not. Bytes that are no UTF-8 may not either: Java reads them as U+FFFD, which is
// forbidden.
func ValidatePath(path []byte) bool {
	if len(path) == 0 || path[0] != '/' {
		return false
	}
	if len(path) == 1 {
		return true
	}
	if path[len(path)-1] == '/' {
		return false
	}
	start := 1 // of the component
	for i := 1; i < len(path); i++ {
		c := path[i]
		switch {
		case c == '/':
			if badComponent(path[start:i]) {
				return false
			}
			start = i + 1
		case c < 0x20 || c == 0x7f:
			return false
		case c >= utf8.RuneSelf:
			// The component it is in can be neither empty nor dots.
			return validateRunes(path[i:]) && validateComponents(path[i:])
		}
	}
	return !badComponent(path[start:])
}

// badComponent: an empty one, and the two that mean something else elsewhere.
func badComponent(c []byte) bool {
	return len(c) == 0 || len(c) == 1 && c[0] == '.' || len(c) == 2 && c[0] == '.' && c[1] == '.'
}

func validateComponents(b []byte) bool {
	start := 0
	for i, c := range b {
		if c == '/' {
			if badComponent(b[start:i]) {
				return false
			}
			start = i + 1
		}
	}
	return !badComponent(b[start:])
}

// validateRunes checks the characters of a path that is not ASCII. Forbidden are control
// characters, everything that takes two UTF-16 units, private use and specials.
func validateRunes(b []byte) bool {
	for len(b) > 0 {
		c, n := utf8.DecodeRune(b)
		switch {
		case c == utf8.RuneError, c < 0x20, c >= 0x7f && c <= 0x9f,
			c >= 0xd800 && c <= 0xf8ff, c >= 0xfff0:
			return false
		}
		b = b[n:]
	}
	return true
}
