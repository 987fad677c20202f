package wire

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/captures.txt anew")

// capture is one frame of testdata/captures.txt.
type capture struct {
	line    int
	from    string // C client, S server
	what    string // an op, connect, notification or refusal
	payload []byte // without the length
	want    string // what it decodes to
}

const capturesFile = "testdata/captures.txt"

// readCaptures reads the captures. The function it returns writes the file anew with other wants.
func readCaptures(t testing.TB) (all []capture, write func(wants []string)) {
	text, err := os.ReadFile(capturesFile)
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(strings.TrimSpace(string(text)), "\n\n")
	line := 1
	at := map[int]int{} // block to capture
	for i, block := range blocks {
		if head, want, ok := strings.Cut(block, "----"); ok {
			at[i] = len(all)
			all = append(all, parseCapture(t, line, head, want))
		}
		line += strings.Count(block, "\n") + 2
	}
	return all, func(wants []string) {
		for i, k := range at {
			head, _, _ := strings.Cut(blocks[i], "----")
			blocks[i] = head + "----\n" + wants[k]
		}
		if err := os.WriteFile(capturesFile, []byte(strings.Join(blocks, "\n\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func parseCapture(t testing.TB, line int, head, want string) capture {
	c := capture{line: line, want: strings.TrimSpace(want)}
	digits := ""
	for l := range strings.Lines(head) {
		switch {
		case strings.HasPrefix(l, "#"):
		case strings.HasPrefix(l, "C ") || strings.HasPrefix(l, "S "):
			c.from, c.what = l[:1], strings.TrimSpace(l[2:])
		default:
			digits += strings.Join(strings.Fields(l), "")
		}
	}
	frame, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatalf("%s:%d: %v", capturesFile, line, err)
	}
	r := NewReader(frame)
	if n := int(r.Int()); n != r.Len() {
		t.Fatalf("%s:%d: length %d, want %d", capturesFile, line, n, r.Len())
	}
	c.payload = r.Rest()
	return c
}

// records returns what the frame is made of, in order.
func (c *capture) records(t testing.TB) []record {
	op, known := opNamed(c.what)
	switch {
	case c.what == "connect" && c.from == "C":
		return []record{new(ConnectRequest)}
	case c.what == "connect":
		return []record{new(ConnectResponse)}
	case c.from == "C" && known:
		return []record{new(RequestHeader), requests[op]()}
	case c.from == "C":
		return []record{new(RequestHeader)}
	case known && (op == OpSASL || Code(be32(c.payload[12:])) == OK): // a SASL failure has a body
		return []record{new(ReplyHeader), replies[op]()}
	}
	return []record{new(ReplyHeader)}
}

func be32(b []byte) int32 {
	r := NewReader(b)
	return r.Int()
}

func opNamed(name string) (Op, bool) {
	for op := range requests {
		if op.String() == name {
			return op, true
		}
	}
	return OpNotification, name == OpNotification.String()
}

func TestCapturesDecodeAndEncodeToTheSameBytes(t *testing.T) {
	all, write := readCaptures(t)
	if len(all) != 59 {
		t.Errorf("%d captures, want the 59 that were taken", len(all))
	}
	var wants []string
	for _, c := range all {
		r := NewReader(c.payload)
		frame, mark := BeginFrame(nil)
		var shown []string
		multi := false
		for _, rec := range c.records(t) {
			if err := rec.Decode(&r); err != nil {
				t.Errorf("%s:%d: %T: %v", capturesFile, c.line, rec, err)
				continue
			}
			frame = rec.Append(frame)
			if _, none := rec.(*noRecord); !none {
				shown = append(shown, show(rec))
			}
			multi = multi || strings.HasPrefix(c.what, "multi") && len(shown) > 1
		}
		if !multi { // those do not say how far they went
			frame = append(frame, r.Rest()...)
			if r.Len() > 0 && c.what != "op 999" {
				t.Errorf("%s:%d: %d bytes left over", capturesFile, c.line, r.Len())
			}
		}
		if got := EndFrame(frame, mark); !bytes.Equal(got[4:], c.payload) || be32(got) != int32(len(c.payload)) {
			t.Errorf("%s:%d: encoded to\n%x, want\n%x", capturesFile, c.line, got[4:], c.payload)
		}
		got := strings.Join(shown, "\n")
		if got != c.want && !*rewrite {
			t.Errorf("%s:%d: decoded to\n%s\nwant\n%s", capturesFile, c.line, got, c.want)
		}
		wants = append(wants, got)
	}
	if *rewrite {
		write(wants)
	}
}
