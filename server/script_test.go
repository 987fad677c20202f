package server

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"paddock/session"
	"paddock/test/harness"
	"paddock/tree"
	"paddock/vfs"
	"paddock/wire"
)

// The script is a run of one server that does everything to its disk: writes of all kinds, alone and in
// batches, seals, segments zeroed ahead and not, snapshots behind which writes go on, purges, restarts.

// deed is one request of the script, and what it makes of what the clients know.
type deed struct {
	who        int // number of the session; ourselves is a request of the server's own
	op         wire.Op
	path, data string
	flags      int32
	made       string    // path of a sequential node
	code       wire.Code // wanted
	parts      []deed    // of a multi
	fails      bool      // a multi that is answered OK, with an error in each part
}

const ourselves = -1

func (c *deed) body() harness.Bytes {
	var b harness.Bytes
	acl := harness.ACL{Perms: 31, Scheme: "world", ID: "anyone"}
	switch c.op {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer:
		return createBody(c.path, []byte(c.data), c.flags)
	case wire.OpCreateTTL:
		return createBody(c.path, []byte(c.data), c.flags).Long(5000)
	case wire.OpDelete, wire.OpCheck:
		return b.Str(c.path).Int(-1)
	case wire.OpDeleteContainer:
		return b.Str(c.path)
	case wire.OpSetData:
		return setBody(c.path, []byte(c.data))
	case wire.OpSetACL:
		return b.Str(c.path).ACLs(acl, harness.ACL{Perms: 1, Scheme: "ip", ID: "127.0.0.1"}).Int(-1)
	case wire.OpMulti:
		for i := range c.parts {
			b = b.Int(int32(c.parts[i].op)).Bool(false).Int(-1).Raw(c.parts[i].body()...)
		}
		return b.Int(-1).Bool(true).Int(-1)
	}
	return nil
}

// known is what clients know of the tree: a model that is too simple to be wrong.
type known map[string]knownNode

type knownNode struct {
	data  string
	owner int // session, of an ephemeral; else ourselves
}

func (k known) note(c *deed) {
	if c.code != wire.OK || c.fails {
		return
	}
	switch c.op {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		n := knownNode{c.data, ourselves}
		if c.flags == 1 || c.flags == 3 {
			n.owner = c.who
		}
		name := c.path
		if c.made != "" {
			name = c.made
		}
		k[name] = n
	case wire.OpSetData:
		n := k[c.path]
		n.data = c.data
		k[c.path] = n
	case wire.OpDelete, wire.OpDeleteContainer:
		delete(k, c.path)
	case wire.OpMulti:
		for i := range c.parts {
			k.note(&c.parts[i])
		}
	case wire.OpCloseSession:
		maps.DeleteFunc(k, func(_ string, n knownNode) bool { return n.owner == c.who })
	}
}

// differs says where a tree is not what the clients know.
func (k known) differs(t *tree.Tree) string {
	builtIn := int64(len([]string{"/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"}))
	if got, want := t.NodeCount(), builtIn+int64(len(k)); got != want {
		return fmt.Sprintf("%d znodes, want %d", got, want)
	}
	for _, name := range slices.Sorted(maps.Keys(k)) {
		out, _, code := t.GetData(nil, []byte(name), nobody{}, nil)
		if code != wire.OK {
			return fmt.Sprintf("%s: %v", name, code)
		}
		if data := harness.FieldsOf(out).Buf(); string(data) != k[name].data {
			return fmt.Sprintf("%s holds %q, want %q", name, data, k[name].data)
		}
	}
	return ""
}

// nobody may do everything.
type nobody struct{}

func (nobody) May(wire.ACLVec, int32) bool { return true }

// moment is the state of the run between two steps.
type moment struct {
	zxid  wire.Zxid
	state string // all of it: see stateOf
	ops   int    // operations on the disk
	step  string // that came next
}

// stateOf writes down everything there is in a tree.
func stateOf(t *testing.T, tr *tree.Tree) string {
	t.Helper()
	view, err := tr.OpenView()
	must(t, err)
	defer view.Close()
	acls := map[uint32]string{}
	view.ACLs(func(id uint32, acl wire.ACLVec) { acls[id] = hex.EncodeToString(acl) })
	var lines []string
	for more := true; more; {
		var records []tree.Record
		records, more = view.Next(nil)
		for i := range records {
			r := &records[i]
			lines = append(lines, fmt.Sprintf("%q %q %s %v %v %v %d %d %d %d %d %#x", r.Path, r.Data, acls[r.ACL],
				r.Czxid, r.Mzxid, r.Pzxid, r.Ctime, r.Mtime, r.Version, r.Cversion, r.Aversion, r.Owner))
		}
	}
	must(t, view.Err())
	slices.Sort(lines)
	return fmt.Sprintf("zxid %v digest %#x sessions %v\n%s", view.Zxid(), view.Digest(), view.Sessions(), strings.Join(lines, "\n"))
}

// play is a run of the script.
type play struct {
	*driver
	disk     *vfs.Sim
	sessions []int64
	known    known
	snapshot func() // writes the view that is open
	moments  []moment
}

func newPlay(t *testing.T) *play {
	d := vfs.NewSim(1)
	p := &play{driver: newDriver(t, d, nil), disk: d, known: known{}}
	p.mark("")
	return p
}

// mark ends a step.
func (p *play) mark(step string) {
	p.t.Helper()
	tr := p.d.s.tree.Load()
	if why := p.known.differs(tr); why != "" {
		p.t.Fatalf("after %s: %s", step, why)
	}
	if n := len(p.moments); n > 0 {
		p.moments[n-1].step = step
	}
	p.moments = append(p.moments, moment{tr.Applied(), stateOf(p.t, tr), p.disk.Ops(), "the end"})
}

func (p *play) sess(who int) *session.Session {
	if who == ourselves {
		return nil
	}
	return p.d.s.table.Lookup(p.sessions[who])
}

// begins begins a session.
func (p *play) begins() {
	p.t.Helper()
	p.sessions = append(p.sessions, p.session().ID)
	p.mark("a session begins")
}

// writes has deeds go through the stages in one batch.
func (p *play) writes(cs ...deed) {
	p.t.Helper()
	var qs []request
	name := ""
	for i := range cs {
		qs = append(qs, request{p.sess(cs[i].who), cs[i].op, cs[i].body()})
		name += fmt.Sprintf("%v %s; ", cs[i].op, cs[i].path)
	}
	codes, err := p.together(qs...)
	must(p.t, err)
	for i := range cs {
		if codes[i] != cs[i].code {
			p.t.Fatalf("%s: deed %d got %v, want %v", name, i, codes[i], cs[i].code)
		}
		p.known.note(&cs[i])
	}
	p.mark(name)
}

// seals is the log being idle for a while.
func (p *play) seals() {
	p.t.Helper()
	p.now = p.now.Add(20_000_000)
	p.d.Beat(p.now)
	p.mark("seal")
}

func (p *play) prepares() {
	p.t.Helper()
	for p.d.Prepare() {
	}
	p.mark("prepare")
}

func (p *play) opensView() { p.snapshot = p.d.Checkpoint() }

func (p *play) writesSnapshot() {
	p.t.Helper()
	p.snapshot()
	p.mark("snapshot")
}

func (p *play) purges() {
	p.t.Helper()
	p.d.Purge()
	p.mark("purge")
}

// restarts ends the server in peace, or as kill -9 does, and starts it again.
func (p *play) restarts(inPeace bool) {
	p.t.Helper()
	if inPeace {
		p.close()
	} else {
		p.disk.Kill()
	}
	now := p.now
	p.driver = newDriver(p.t, p.disk, nil)
	p.now = now
	p.mark(fmt.Sprintf("restart, in peace: %v", inPeace))
}

func (p *play) all() {
	create := func(who int, path, data string) deed {
		return deed{who: who, op: wire.OpCreate, path: path, data: data}
	}
	set := func(path, data string) deed { return deed{op: wire.OpSetData, path: path, data: data} }
	p.begins()
	p.begins()
	p.writes(create(0, "/a", "one"))
	p.writes(create(1, "/b", ""), deed{op: wire.OpCreate, path: "/none/x", code: wire.NoNode}, create(0, "/a/c", "see"))
	p.writes(deed{who: 1, op: wire.OpCreate, path: "/a/e", flags: 1, data: "mine"})
	p.seals()
	p.writes(deed{op: wire.OpCreate2, path: "/a/s-", flags: 2, made: "/a/s-0000000002"})
	p.writes(deed{op: wire.OpSetACL, path: "/b"})
	p.opensView()
	p.writes(set("/a", strings.Repeat("long ", 300)))
	p.writesSnapshot()
	p.writes(deed{op: wire.OpMulti, parts: []deed{
		create(0, "/m", "1"), set("/a", "two"), {op: wire.OpDelete, path: "/a/c"}, {op: wire.OpCheck, path: "/b"},
	}})
	p.writes(deed{op: wire.OpMulti, fails: true, parts: []deed{set("/m", "never"), create(0, "/m", "2")}})
	for i := range 18 { // more batches than an index sector of the segment has entries
		p.writes(set("/m", fmt.Sprint("small ", i)))
	}
	p.prepares()
	p.writes(deed{op: wire.OpCreateContainer, path: "/k", flags: 4}, deed{op: wire.OpCreateTTL, path: "/ttl", flags: 5})
	p.restarts(false)
	p.writes(create(0, "/k/in", "side"))
	p.writes(set("/b", strings.Repeat("b", 6000)))
	p.opensView()
	p.writesSnapshot()
	p.prepares()
	p.writes(deed{op: wire.OpDelete, path: "/k/in"}, deed{who: ourselves, op: wire.OpDeleteContainer, path: "/k"})
	p.writes(deed{who: 1, op: wire.OpCreate, path: "/b/q-", flags: 3, made: "/b/q-0000000000"})
	p.writes(deed{who: 1, op: wire.OpCloseSession})
	p.seals()
	p.restarts(true)
	p.begins()
	p.opensView()
	p.writes(deed{who: 2, op: wire.OpCreate, path: "/last", flags: 1}, set("/last", "x"))
	p.writesSnapshot()
	p.purges()
	p.writes(set("/b", strings.Repeat("c", 9000)))
	p.writes(set("/a", "three"))
	p.opensView()
	p.writesSnapshot()
	p.purges()
	p.prepares()
	p.writes(set("/a", strings.Repeat("d", 5000)), deed{op: wire.OpDelete, path: "/m"}, deed{op: wire.OpDelete, path: "/ttl"})
	p.writes(deed{op: wire.OpDelete, path: "/gone", code: wire.NoNode})
	p.writes(set("/a", "end"))
}

// around returns the moments that a crash after so many operations may leave: the one before the step
// that was cut and the one after, or the last.
func (p *play) around(ops int) []moment {
	i := 0
	for i+1 < len(p.moments) && p.moments[i+1].ops <= ops {
		i++
	}
	return p.moments[i:min(i+2, len(p.moments))]
}
