package admin

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// object is a JSON object that keeps the order of its members, as ZooKeeper's replies do.
type object []member

type member struct {
	key   string
	value any // nil, bool, int64, float64, string, object, list
}

type list []any

func (o *object) set(key string, value any) { *o = append(*o, member{key, value}) }

// appendJSON appends v as Jackson prints it for people, which is what scripts have been grepping in: two
// blanks of indent for members, a blank on both sides of the colon, lists on one line.
func appendJSON(dst []byte, v any, depth int) []byte {
	switch v := v.(type) {
	case object:
		return appendObject(dst, v, depth)
	case list:
		return appendList(dst, v, depth)
	case string:
		return appendText(dst, v)
	case float64:
		return append(dst, decimal(v)...)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case bool:
		return strconv.AppendBool(dst, v)
	}
	return append(dst, "null"...)
}

func appendObject(dst []byte, o object, depth int) []byte {
	if len(o) == 0 {
		return append(dst, "{ }"...)
	}
	dst = append(dst, '{')
	for i, m := range o {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendIndent(dst, depth+1)
		dst = appendText(dst, m.key)
		dst = append(dst, " : "...)
		dst = appendJSON(dst, m.value, depth+1)
	}
	return append(appendIndent(dst, depth), '}')
}

func appendIndent(dst []byte, depth int) []byte {
	return append(append(dst, '\n'), strings.Repeat("  ", depth)...)
}

func appendList(dst []byte, l list, depth int) []byte {
	dst = append(dst, '[')
	for i, v := range l {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, ' ')
		dst = appendJSON(dst, v, depth)
	}
	return append(dst, " ]"...)
}

// appendText appends s as a JSON string; bytes that are not UTF-8 become U+FFFD.
func appendText(dst []byte, s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always encodes
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}
