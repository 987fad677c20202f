package admin

import (
	"encoding/binary"
	"strconv"
)

// word is one row of the table of four-letter words.
type word struct {
	name string
	// idle is the answer while nothing is served; where it is empty, answer is called all the same.
	idle string
	// shared says that the answer costs more than a few bytes, and is computed once for all who wait.
	shared bool
	answer func(a *Admin, s Server, t *text, rest []byte)
	doc    string
}

const (
	notServing = "This ZooKeeper instance is not currently serving requests"
	notAllowed = " is not executed because it is not in the whitelist.\n"
	idleLine   = notServing + "\n"

	defaultTraceMask = 306
	telnetClose      = "\xff\xf4\xff\xfd"
)

// DefaultWords are the words that are answered where nothing else is configured: those that probes and
// collectors need, and none that costs more than a glance or changes anything.
func DefaultWords() []string {
	return []string{"ruok", "srvr", "mntr", "isro", "conf", "stat", "live", "redy", "envi"}
}

// wordTable is in the order of docs/operations.md.
func wordTable() []word {
	return []word{
		{"ruok", "", false, (*Admin).ruok, "`imok`: somebody listens. It says nothing about more than that."},
		{"live", "", false, (*Admin).live, "`ok` while every event loop answers, else `not ok: ` and why. As `/livez`."},
		{"redy", "", false, (*Admin).redy, "`ok` while requests are served, else `not ok: ` and why not. As `/readyz`."},
		{"isro", "null", false, (*Admin).isro, "`rw`, or `null` while nothing is served."},
		{"srvr", idleLine, true, (*Admin).srvr, "Version, latencies (ms), packets, connections, last zxid, mode, nodes (the root counts twice)."},
		{"stat", idleLine, true, (*Admin).stat, "The same with a line for each connection."},
		{"mntr", idleLine, true, (*Admin).mntr, "All metrics, a line each."},
		{"conf", idleLine, true, (*Admin).conf, "What was configured, and the bytes on disk."},
		{"envi", "", false, (*Admin).envi, "Version, host, platform, user."},
		{"cons", idleLine, true, (*Admin).cons, "A line for each connection, in full."},
		{"dump", idleLine, true, (*Admin).dump, "Sessions by expiry, their ephemeral nodes, their connections."},
		{"wchs", idleLine, true, (*Admin).wchs, "How many watches on nodes; those on children are not among them."},
		{"wchc", idleLine, true, (*Admin).wchc, "The same, listed by session. Costly."},
		{"wchp", idleLine, true, (*Admin).wchp, "The same, listed by path. Costly."},
		{"dirs", idleLine, true, (*Admin).dirs, "Bytes of snapshots and log."},
		{"hash", notServing, true, (*Admin).hash, "Digests of the tree at every 128th zxid, the last 1024."},
		{"crst", idleLine, false, (*Admin).crst, "Forgets what was counted for each connection."},
		{"srst", idleLine, false, (*Admin).srst, "Forgets packets and latencies."},
		{"gtmk", "", false, (*Admin).gtmk, "The trace mask. Nothing is traced by it."},
		{"stmk", "", false, (*Admin).stmk, "Sets it: eight more bytes."},
	}
}

var wordsByName = func() map[string]word {
	m := map[string]word{}
	for _, w := range wordTable() {
		m[w.name] = w
	}
	return m
}()

// allowed returns the words of a whitelist that exist.
func allowed(list []string) map[string]bool {
	if list == nil {
		list = DefaultWords()
	}
	ok := map[string]bool{}
	for _, name := range list {
		if name == "*" {
			for known := range wordsByName {
				ok[known] = true
			}
		}
		if _, known := wordsByName[name]; known {
			ok[name] = true
		}
	}
	return ok
}

// Word answers a four-letter word. rest is what came behind it: only stmk looks at it. A nil answer
// closes the connection without a word. The answer may be shared with others, and must not be changed.
func (a *Admin) Word(w [4]byte, rest []byte) []byte {
	name := string(w[:])
	known, ok := wordsByName[name]
	switch {
	case !ok, name == telnetClose:
		return nil
	case !a.words[name]:
		return []byte(name + notAllowed)
	}
	s := a.attached()
	if known.idle != "" && (s == nil || !s.Serving()) {
		return []byte(known.idle)
	}
	compute := func() []byte {
		var t text
		known.answer(a, s, &t, rest)
		return t.bytes()
	}
	if known.shared {
		return a.answers.do(name, compute)
	}
	return compute()
}

func (a *Admin) ruok(_ Server, t *text, _ []byte) { t.add("imok") }

func (a *Admin) live(_ Server, t *text, _ []byte) { t.add(a.verdict(liveChecks())) }

func (a *Admin) redy(_ Server, t *text, _ []byte) { t.add(a.verdict(readyChecks())) }

// isro: the read-only mode of an ensemble's member that has lost the others does not exist here.
func (a *Admin) isro(_ Server, t *text, _ []byte) { t.add("rw") }

func (a *Admin) crst(s Server, t *text, _ []byte) {
	s.ResetConnections()
	t.add("Connection stats reset.\n")
}

func (a *Admin) srst(s Server, t *text, _ []byte) {
	s.ResetStats()
	t.add("Server stats reset.\n")
}

func (a *Admin) gtmk(_ Server, t *text, _ []byte) { t.add(strconv.FormatInt(a.traceMask.Load(), 10)) }

// stmk stays silent where the mask did not come with the word. Source: NIOServerCnxn.checkFourLetterWord.
func (a *Admin) stmk(_ Server, t *text, rest []byte) {
	if len(rest) < 8 {
		return
	}
	mask := int64(binary.BigEndian.Uint64(rest)) //nolint:gosec // the bits of a long
	a.traceMask.Store(mask)
	t.add(strconv.FormatInt(mask, 10))
}
