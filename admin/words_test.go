package admin

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"paddock/wire"
)

// hostWords are those whose answers differ from one machine to the next.
var hostWords = []string{"envi", "mntr"}

func TestAnswersToTheByte(t *testing.T) {
	for _, tt := range []struct {
		name   string
		server *fake
	}{{"fresh", freshServer()}, {"busy", busyServer()}} {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			a := newAdmin(tt.server)
			for _, w := range wordTable() {
				if !slices.Contains(hostWords, w.name) {
					fmt.Fprintf(&b, "--- %s\n%s\n", w.name, ask(a, w.name))
				}
			}
			compare(t, "testdata/words-"+tt.name+".txt", b.String())
		})
	}
}

func TestWhitelist(t *testing.T) {
	const all = "ruok live redy isro srvr stat mntr conf envi cons dump wchs wchc wchp dirs hash crst srst gtmk stmk"
	tests := []struct {
		name string
		list []string
		want string // answered words
	}{
		{"without a list the default counts", nil, "ruok live redy isro srvr stat mntr conf envi"},
		{"an empty list allows nothing", []string{}, ""},
		{"a list is obeyed to the letter, without srvr", []string{"ruok", "cons"}, "ruok cons"},
		{"a star allows all", []string{"*"}, all},
		{"a star among others allows all", []string{"ruok", "*"}, all},
		{"words that do not exist allow nothing", []string{"kill", "ruok "}, ""},
		{"case counts", []string{"RUOK"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := New(Config{FourLetterWords: tt.list}, busyServer())
			want := strings.Fields(tt.want)
			for _, w := range strings.Fields(all) {
				got := ask(a, w, make([]byte, 8)...)
				refusal := w + " is not executed because it is not in the whitelist.\n"
				if refused := got == refusal; refused == slices.Contains(want, w) {
					t.Errorf("%s answered %q", w, got)
				}
			}
		})
	}
}

func TestWordsThatAreNone(t *testing.T) {
	a := newAdmin(busyServer())
	for _, w := range []string{"RUOK", "kill", "reqs", "\xff\xf4\xff\xfd", "\x00\x00\x00\x2d"} {
		if got := a.Word([4]byte([]byte(w)), nil); got != nil {
			t.Errorf("%q answered %q, want silence", w, got)
		}
	}
}

func TestAnswersWhileNothingIsServed(t *testing.T) {
	const line = "This ZooKeeper instance is not currently serving requests"
	special := map[string]string{"ruok": "imok", "isro": "null", "hash": line, "gtmk": "306", "stmk": "0"}
	check := func(t *testing.T, a *Admin) {
		for _, w := range wordTable() {
			if slices.Contains([]string{"envi", "live", "redy"}, w.name) {
				continue
			}
			want, ok := special[w.name]
			if !ok {
				want = line + "\n"
			}
			if got := ask(a, w.name, make([]byte, 8)...); got != want {
				t.Errorf("%s answered %q, want %q", w.name, got, want)
			}
		}
		if got := ask(a, "envi"); !strings.HasPrefix(got, "Environment:\nzookeeper.version=") {
			t.Errorf("envi answered %q", got)
		}
	}
	t.Run("before the server is there", func(t *testing.T) {
		a := newAdmin(nil)
		check(t, a)
		if got := ask(a, "live") + " " + ask(a, "redy"); got != "ok not ok: starting" {
			t.Errorf("live and redy answered %q", got)
		}
	})
	t.Run("when it has stopped", func(t *testing.T) {
		s := busyServer()
		s.idle = true
		a := newAdmin(s)
		check(t, a)
		if got := ask(a, "live") + " " + ask(a, "redy"); got != "ok not ok: not serving" {
			t.Errorf("live and redy answered %q", got)
		}
		if len(s.resets) != 0 {
			t.Errorf("a server that does not serve was reset: %v", s.resets)
		}
	})
}

func TestResets(t *testing.T) {
	s := busyServer()
	a := newAdmin(s)
	if got := ask(a, "crst") + ask(a, "srst"); got != "Connection stats reset.\nServer stats reset.\n" {
		t.Errorf("answered %q", got)
	}
	if want := []string{"connections", "stats"}; !slices.Equal(s.resets, want) {
		t.Errorf("reset %v, want %v", s.resets, want)
	}
}

func TestTraceMask(t *testing.T) {
	a := newAdmin(busyServer())
	mask := binary.BigEndian.AppendUint64(nil, 1<<63|7)
	for _, step := range []struct {
		word string
		rest []byte
		want string
	}{
		{"gtmk", nil, "306"},
		{"stmk", mask[:7], ""}, // the mask has to come with the word
		{"gtmk", nil, "306"},
		{"stmk", append(mask, "\r\n"...), "-9223372036854775801"},
		{"gtmk", nil, "-9223372036854775801"},
	} {
		if got := ask(a, step.word, step.rest...); got != step.want {
			t.Errorf("%s %x answered %q, want %q", step.word, step.rest, got, step.want)
		}
	}
}

// TestWordsAreThoseOfTheGate: what wire does not take for a word is taken for a frame's length, and never
// gets here; what it takes for one has to be answered.
func TestWordsAreThoseOfTheGate(t *testing.T) {
	for _, w := range wordTable() {
		if !wire.IsWord([4]byte([]byte(w.name))) {
			t.Errorf("wire.IsWord does not know %s", w.name)
		}
	}
	for _, w := range []string{"conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "hash", "isro", "mntr", "ruok",
		"srst", "srvr", "stat", "stmk", "wchc", "wchp", "wchs"} {
		if _, ok := wordsByName[w]; !ok {
			t.Errorf("%s of ZooKeeper is not answered", w)
		}
	}
}

func TestReplyIsCutAtALine(t *testing.T) {
	var x text
	for len(x.buf)+11 <= maxText {
		x.add("123456789.\n")
	}
	x.add("one line too many, and long enough to be so\n")
	x.add("1\n") // would fit, but what follows a gap misleads
	got := string(x.bytes())
	if !strings.HasSuffix(got, ".\n"+cutLine) || len(got) > maxText+len(cutLine) {
		t.Errorf("%d bytes, ending in %q", len(got), got[len(got)-60:])
	}
}

func TestDecimals(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0.0", 1: "1.0", 0.75238: "0.7524", 1.5: "1.5", 100: "100.0", 12345678.00004: "12345678.0", 0.00051: "0.0005",
	} {
		if got := decimal(v); got != want {
			t.Errorf("%v printed as %s, want %s", v, got, want)
		}
	}
}

func FuzzWord(f *testing.F) {
	for _, w := range wordTable() {
		f.Add([]byte(w.name + "\n"))
	}
	f.Add([]byte("stmk\x00\x00\x00\x00\x00\x00\x01\x32"))
	f.Add([]byte("\xff\xf4\xff\xfd"))
	a := newAdmin(busyServer())
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 4 {
			return
		}
		name := string(b[:4])
		got := a.Word([4]byte(b), b[4:])
		if _, known := wordsByName[name]; !known && got != nil {
			t.Errorf("%q is no word, and answered %q", b, got)
		}
	})
}
