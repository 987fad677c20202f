package differential

import (
	"crypto/sha1"
	"encoding/base64"
	"math"
	"math/rand/v2"

	"paddock/test/harness"
	"paddock/wire"
)

const (
	slots        = 4  // sessions of a stream
	restartEvery = 10 // one stream in so many has its servers killed and restarted half-way
)

// superAuth is the super user's auth data; its digest is in settings.
const superAuth = "super:secret"

// settings start both servers. Unused containers and TTL nodes are not looked for while a stream runs:
// when they go would depend on the clock. Sessions must outlive a stream on a busy machine.
var settings = harness.Settings{
	"tickTime":                        "2000",
	"minSessionTimeout":               "20000",
	"maxSessionTimeout":               "60000",
	"maxClientCnxns":                  "0",
	"extendedTypesEnabled":            "true",
	"4lw.commands.whitelist":          "*",
	"enforceQuota":                    "true",
	"znode.container.checkIntervalMs": "3600000",
	"zookeeper.DigestAuthenticationProvider.superDigest": "super:lK75jTNcA+U9vtVEw5vB51mj/w4=",
}

// generate makes the stream of n steps that belongs to seed.
func generate(seed uint64, n int) []step {
	g := &gen{Rand: rand.New(rand.NewPCG(seed, 0)), quotas: seed%2 == 0}
	var stream []step
	if g.quotas {
		stream = g.prologue()[:min(n, 6)]
	}
	for len(stream) < n {
		s := g.step()
		if seed%restartEvery == restartEvery-1 && len(stream) == n/2 {
			s = step{action: restart}
		}
		for _, r := range s.reqs {
			g.remember(r)
		}
		stream = append(stream, s)
	}
	return stream
}

// gen draws steps. A stream has either quotas or bursts: quotas are checked against what is committed,
// so what a burst may use depends on how fast the server is.
type gen struct {
	*rand.Rand
	quotas bool
	made   []path // what was asked to be created of late, the newest last
}

// remember notes what r may have created, so that later steps meet it more often than chance.
func (g *gen) remember(r req) {
	for _, p := range r.parts {
		g.remember(p)
	}
	switch r.op {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		const most = 8
		if len(r.path) > 1 && r.path[0] == '/' {
			g.made = append(g.made, r.path)
			g.made = g.made[max(len(g.made)-most, 0):]
		}
	}
}

func (g *gen) oneIn(n int) bool { return g.IntN(n) == 0 }

func pick[T any](g *gen, from ...T) T { return from[g.IntN(len(from))] }

func (g *gen) step() step {
	s := step{slot: g.IntN(slots)}
	switch n := g.IntN(100); {
	case n < 80:
		s.reqs = []req{g.req()}
	case n < 87 && g.quotas:
		s.reqs = []req{g.quota()}
	case n < 87:
		s.action = burst
		for range 2 + g.IntN(8) {
			s.reqs = append(s.reqs, g.orderly())
		}
	case n < 94:
		s.action = garble
		s.reqs = []req{g.harmless()}
		s.change = g.change()
	case n < 95:
		s.action = frame
		s.raw = pick(g, []byte{0xff, 0xff, 0xff, 0xff}, []byte{0x7f, 0, 0, 0}, []byte{0, 0x10, 0, 0},
			[]byte{0, 0, 0, 0}, []byte{0, 0, 0, 3, 1, 2, 3}, []byte("ruok"))
	case n < 96:
		s.action = drop
	case n < 97:
		s.action = renew
	case n < 98 && g.oneIn(2):
		s.action = pick(g, badRenew, aheadOf)
	case n < 99:
		s.action = hello
		s.raw = g.hello()
	default:
		s.action = closeSess
	}
	return s
}

func (g *gen) change() change {
	var c change
	if g.oneIn(2) {
		c.cut = g.IntN(12)
	}
	c.pos, c.set = g.IntN(64), pick[byte](g, 0, 1, 2, 0x7f, 0x80, 0xff, '/', byte(g.IntN(256)))
	if g.oneIn(3) {
		c.repeat = g.IntN(9)
	}
	return c
}

// hello makes a connect request of a new session with odd fields, or a piece of one.
func (g *gen) hello() []byte {
	q := harness.ConnectRequest{
		Protocol:  pick[int32](g, 0, 77, -1),
		TimeoutMS: pick[int32](g, 0, -1, 1, 20000, 20001, math.MaxInt32, math.MinInt32),
		SessionID: pick[int64](g, 0, 0, 0, 1, -1, 1<<56),
		Passwd:    pick(g, nil, []byte{}, make([]byte, 8), make([]byte, 16), make([]byte, 40)),
		Old:       g.oneIn(3),
		ReadOnly:  g.oneIn(3),
	}
	b := q.Bytes()
	switch g.IntN(5) {
	case 0:
		b = b[:g.IntN(len(b))]
	case 1:
		b = b.Raw(1, 2, 3, 4, 5)
	}
	return b
}

// prologue puts a quota on /a: by chance alone its nodes are seldom all there.
func (g *gen) prologue() (steps []step) {
	limits := pick(g, "count=-1,bytes=-1=;byteHardLimit=30;countHardLimit=4", "countHardLimit=3", "byteHardLimit=40")
	for _, r := range []req{
		g.quotaCreate("/a", ""), g.quotaCreate("/b", "x"), g.quotaCreate("q", ""), g.quotaCreate("q/a", ""),
		g.quotaCreate("q/a/zookeeper_limits", limits), g.quotaCreate("q/a/zookeeper_stats", "count=0,bytes=0"),
	} {
		steps = append(steps, step{reqs: []req{r}})
	}
	return steps
}

// orderly is a request that may stand in a burst: its reply keeps its place also in Apache's server, and
// what follows it does not depend on how fast it is applied.
func (g *gen) orderly() req {
	for {
		if r := g.req(); !hasty(r.op) {
			return settled(r)
		}
	}
}

// settled takes from createContainer the flag of ephemerals, which has a meaning in Apache's server until
// the container is applied: see differences, container-ephemeral-flag.
func settled(r req) req {
	if r.op == wire.OpCreateContainer {
		r.flags &^= 1
	}
	return r
}

func hasty(op wire.Op) bool {
	switch op {
	case wire.OpAuth, wire.OpSASL, wire.OpCheck:
		return true
	case wire.OpSetACL: // see differences, pending-acl
		return true
	}
	return !known(op)
}

func known(op wire.Op) bool {
	switch op {
	case wire.OpNotification, wire.OpError, 10, 23, 99, 108, 999, -2:
		return false
	}
	return true
}

// harmless is a request that can be garbled. What Apache's server would not survive is left out: see
// differences.
func (g *gen) harmless() req {
	for {
		r := g.req()
		if hasty(r.op) && r.op != wire.OpSetACL {
			continue
		}
		switch r.op {
		case wire.OpCreateTTL, wire.OpMulti:
			continue
		case wire.OpSetWatches, wire.OpSetWatches2:
			continue // a changed zxid has no meaning that two servers share
		}
		if len(r.path) > 0 && r.path[0] == 'q' || r.op == wire.OpGetAllChildrenNumber {
			continue // the latter's path might become empty
		}
		return r
	}
}

// req makes a request of any kind.
func (g *gen) req() req {
	switch n := g.IntN(200); {
	case n < 44:
		return g.create()
	case n < 53:
		return req{op: wire.OpDelete, path: g.path(), version: g.version()}
	case n < 70:
		return req{op: wire.OpSetData, path: g.path(), data: g.data(), version: g.version()}
	case n < 75:
		return req{op: wire.OpSetACL, path: g.path(), acl: g.acl(), version: g.version()}
	case n < 86:
		return req{op: wire.OpGetData, path: g.path(), watch: g.watch()}
	case n < 97:
		return req{op: wire.OpExists, path: g.path(), watch: g.watch()}
	case n < 106:
		return req{op: pick(g, wire.OpGetChildren, wire.OpGetChildren2), path: g.path(), watch: g.watch()}
	case n < 112:
		return req{op: wire.OpGetACL, path: g.path()}
	case n < 132:
		return req{op: wire.OpMulti, parts: g.parts()}
	case n < 138:
		return req{op: wire.OpMultiRead, parts: g.readParts()}
	case n < 148:
		return req{op: wire.OpAddWatch, path: g.watchPath(), version: pick[int32](g, 0, 0, 0, 0, 1, 1, 1, 1, 2, -1)}
	case n < 156:
		return req{
			op: pick(g, wire.OpCheckWatches, wire.OpRemoveWatches), path: g.watchPath(),
			version: pick[int32](g, 0, 1, 2, 3, 3, 4, 5, 6, 1, 2, 3, 4, 5),
		}
	case n < 162:
		return g.setWatches()
	case n < 168:
		return req{op: wire.OpGetEphemerals, path: nullPath}
	case n < 174 && g.quotas:
		return g.quota()
	case n < 182:
		return g.auth()
	}
	return g.rare()
}

func (g *gen) rare() req {
	switch g.IntN(12) {
	case 0:
		return req{op: wire.OpSASL, data: pick(g, nil, []byte{}, []byte("token"))}
	case 1:
		return req{op: wire.OpReconfig}
	case 2, 3:
		return req{op: wire.OpGetAllChildrenNumber, path: g.named()}
	case 4, 5:
		return req{op: wire.OpGetEphemerals, path: pick(g, g.path(), nullPath, "^", "^/", "^ ", "^\x02", "^ /\n")}
	case 6, 7:
		return req{op: wire.OpSync, path: pick(g, g.path(), nullPath, "^", "^x", "^\U0001F600", "^"+path(g.junk()), "^"+path(g.junk()))}
	case 8:
		return req{op: wire.OpWhoAmI}
	case 9:
		return req{op: wire.OpPing}
	case 10:
		return req{op: wire.OpWhoAmI}
	}
	if g.oneIn(2) {
		return req{op: wire.OpCheck, path: g.path(), version: g.version()}
	}
	return req{op: pick[wire.Op](g, wire.OpNotification, wire.OpError, 10, 23, 99, 108, 999, -2), path: "/"}
}

// path is mostly one of few good ones.
func (g *gen) path() path {
	if g.oneIn(20) {
		return pick[path](g, "^/", "^", "^/zookeeper", "^/zookeeper/quota", "^/zookeeper/config", "^x", "^a/b",
			"/", "/a/", "//a", "/a//b", "/.", "/..", "/a/.", "/a/../b", "/...", "/a\x00", "/a\x01", "/\u00e9", "/\uf8ff",
			"/\uf900", "/\xff", "/\U0001F600", "/\ufffd", "/\u007f", "/a b", nullPath)
	}
	return g.good()
}

// named is a path that is not empty: see differences, empty-path-count.
func (g *gen) named() path {
	if p := g.path(); p != "^" {
		return p
	}
	return "/"
}

func (g *gen) good() path {
	if len(g.made) > 0 && !g.oneIn(4) {
		return pick(g, g.made...)
	}
	return g.any()
}

func (g *gen) any() path {
	top := pick[path](g, "/a", "/b")
	switch g.IntN(5) {
	case 0, 1:
		return top
	case 2, 3:
		return top + pick[path](g, "/x", "/y", "/z")
	}
	return top + pick[path](g, "/x", "/y") + pick[path](g, "/1", "/2", "/0000000000", "/s0000000001")
}

func (g *gen) watchPath() path {
	if g.oneIn(12) {
		return pick[path](g, "/", "^x", "^", "/a/", "/nope")
	}
	return g.good()
}

func (g *gen) data() []byte {
	return pick(g, nil, []byte{}, []byte("d"), []byte("data"), []byte("more data than before"), make([]byte, 300))
}

// junk is a string that is seldom UTF-8: how a server replaces what is malformed can be seen wherever it
// echoes a string.
func (g *gen) junk() string {
	var b []byte
	for range 1 + g.IntN(6) {
		b = append(b, pick[byte](g, 'a', ':', 0x00, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf,
			0xe0, 0xe2, 0xed, 0xef, 0xf0, 0xf3, 0xf4, 0xf5, 0xf8, 0xff))
	}
	return string(b)
}

func (g *gen) version() int32 {
	if g.oneIn(2) {
		return -1
	}
	return pick[int32](g, 0, 0, 0, 1, 1, 2, 3, -2, math.MaxInt32, math.MinInt32)
}

func (g *gen) watch() byte { return pick[byte](g, 0, 1, 1, 2) }

func (g *gen) create() req {
	r := req{op: pick(g, wire.OpCreate, wire.OpCreate, wire.OpCreate2), path: g.any(), data: g.data(), acl: g.acl()}
	if g.oneIn(3) {
		r.path = g.path()
	}
	if g.oneIn(8) {
		r.path += "/" // a name that is only a number, if sequential
	}
	r.flags = pick[int32](g, 0, 0, 0, 0, 1, 1, 2, 3)
	switch g.IntN(10) {
	case 0:
		r.op, r.flags = wire.OpCreateContainer, int32(g.IntN(5))
	case 1:
		r.op, r.flags, r.ttl = wire.OpCreateTTL, 5+int32(g.IntN(2)), g.ttl()
	case 2:
		r.flags = pick[int32](g, 4, 5, 6, 7, -1, math.MaxInt32)
		if g.oneIn(3) {
			// With a negative ttl these stop Apache's server: see differences.
			r.op, r.ttl = wire.OpCreateTTL, pick[int64](g, 0, 1, 1<<40)
		}
	}
	return r
}

func (g *gen) ttl() int64 { return pick[int64](g, 1<<39, 1<<40-1, 1<<40, 0, -1, math.MaxInt64) }

var (
	open     = harness.ACL{Perms: 31, Scheme: "world", ID: "anyone"}
	readOnly = harness.ACL{Perms: 1, Scheme: "world", ID: "anyone"}
	auth     = harness.ACL{Perms: 31, Scheme: "auth", ID: ""}
)

func digestACL(perms int32, auth, user string) harness.ACL {
	sum := sha1.Sum([]byte(auth))
	return harness.ACL{Perms: perms, Scheme: "digest", ID: user + ":" + base64.StdEncoding.EncodeToString(sum[:])}
}

func (g *gen) acl() acls {
	switch n := g.IntN(20); {
	case n < 13:
		return acls{list: []harness.ACL{open}}
	case n < 18:
		return acls{list: g.strict()}
	}
	if g.oneIn(4) {
		null := harness.Bytes(nil).Int(1).Int(31)
		return acls{raw: pick(g,
			harness.Bytes(nil).Null(), harness.Bytes(nil).Int(-7), harness.Bytes(nil).Int(0),
			null.Null().Str("x"), append(harness.Bytes(nil), null...).Str("world").Null(),
			harness.Bytes(nil).Int(1<<30))}
	}
	var list []harness.ACL
	for range 1 + g.IntN(3) {
		list = append(list, pick(g, open, readOnly, auth, auth, harness.ACL{Perms: 31, Scheme: "ip", ID: g.address()},
			digestACL(31, "a:1", "a"), digestACL(1, "b:2", "b"),
			harness.ACL{Perms: pick[int32](g, 0, 2, 4, 8, 16, 32, -1), Scheme: "world", ID: "anyone"},
			harness.ACL{Perms: 31, Scheme: "ip", ID: pick(g, "127.0.0.1", "127.0.0.0/8", "10.0.0.1", "0.0.0.0/0")},
			harness.ACL{Perms: 31, Scheme: "digest", ID: pick(g, ":b", "a:b:", "a", "a:b:c", "", g.junk(), "u"+g.junk()+":x")},
			harness.ACL{Perms: 31, Scheme: "ip", ID: g.address()},
			harness.ACL{Perms: 31, Scheme: pick(g, "super", "nosuch", "", "sasl"), ID: "x"}))
	}
	return acls{list: list}
}

// address is an id of the ip scheme, or nearly one.
func (g *gen) address() string {
	a := pick(g, "1.2.3.4", "127.0.0.1", "127.0.0.2", "01.02.03.004", "0.0.0.0", "255.255.255.255", "1.2.3", "1.2.3.256",
		"1.2.3.-4", "+1.2.3.4", "1..3.4", "1.2.3.4.", ".1.2.3.4", " 1.2.3.4", "1.2.3.4 ", "1.2.3.4.5", "0x1.2.3.4", "",
		"::", "::1", "1::", "fe80::", "fe80::1%lo", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "1::2::3", "12345::",
		"0:0:0:0:0:0:0:1", "::ffff:1.2.3.4", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", ":1", "1:", ":::", "A::f", "g::")
	return a + pick(g, "", "", "/0", "/8", "/24", "/31", "/32", "/33", "/128", "/129", "/", "/-1", "/+8", "/ 8", "/08", "/8/9", "/x", "//8")
}

// strict is a valid list that keeps somebody out.
func (g *gen) strict() []harness.ACL {
	return pick(g,
		[]harness.ACL{readOnly},
		[]harness.ACL{digestACL(31, "a:1", "a")},
		[]harness.ACL{digestACL(31, "b:2", "b"), readOnly},
		[]harness.ACL{digestACL(1|16, "a:1", "a"), digestACL(2|4|8, "b:2", "b")},
		[]harness.ACL{{Perms: 2 | 4 | 8 | 16, Scheme: "world", ID: "anyone"}},
		[]harness.ACL{{Perms: 31, Scheme: "ip", ID: "10.0.0.1"}, {Perms: 16, Scheme: "ip", ID: "127.0.0.0/8"}})
}

func (g *gen) auth() req {
	if g.oneIn(12) {
		return req{op: wire.OpAuth, scheme: pick(g, "nosuch", "world", "super", "", "digest"), data: nil}
	}
	if g.oneIn(8) {
		return req{op: wire.OpAuth, scheme: "ip", data: []byte("x")}
	}
	return req{op: wire.OpAuth, scheme: "digest", data: []byte(pick(g, "a:1", "a:1", "b:2", "b:2", "a:2", "nocolon", "", superAuth, g.junk()))}
}

func (g *gen) parts() (parts []req) {
	for range g.IntN(6) {
		var p req
		switch g.IntN(12) {
		case 0, 1, 2, 3:
			p = g.create()
		case 4, 5:
			p = req{op: wire.OpDelete, path: g.path(), version: g.version()}
		case 6, 7, 8:
			p = req{op: wire.OpSetData, path: g.path(), data: g.data(), version: g.version()}
		case 9, 10:
			p = req{op: wire.OpCheck, path: g.path(), version: g.version()}
		default:
			if g.quotas && !g.oneIn(4) {
				p = g.quotaPart()
				break
			}
			p = pick(g, req{op: wire.OpGetData, path: g.path()}, req{op: wire.OpSetACL, path: g.path(), acl: g.acl()},
				req{op: wire.OpExists, path: g.path()}, req{op: wire.OpMulti}, req{op: 77})
		}
		parts = append(parts, settled(p))
	}
	return parts
}

func (g *gen) readParts() (parts []req) {
	for range g.IntN(5) {
		p := req{op: pick(g, wire.OpGetData, wire.OpGetChildren), path: g.path(), watch: g.watch()}
		if g.oneIn(20) {
			p.op = pick(g, wire.OpExists, wire.OpGetChildren2, wire.OpDelete)
		}
		parts = append(parts, p)
	}
	return parts
}

func (g *gen) setWatches() req {
	r := req{op: pick(g, wire.OpSetWatches, wire.OpSetWatches2), back: pick[int64](g, -1, 0, 0, 1, 3, 10, 50)}
	for i := range r.lists {
		for range g.IntN(3) {
			r.lists[i] = append(r.lists[i], g.watchPath())
		}
	}
	if g.oneIn(8) {
		r.null = 1 // see differences, setwatches-null
	}
	return r
}

// quota works on the quota of one of the top nodes. Text that cannot be parsed is never written: see
// differences.
func (g *gen) quota() req {
	r := g.quotaPart()
	if g.oneIn(4) {
		return req{op: pick(g, wire.OpGetData, wire.OpGetChildren), path: r.path, watch: g.watch()}
	}
	return r
}

func (g *gen) quotaPart() req {
	dir := "q" + pick[path](g, "/a", "/b", "/a/x")
	limits := pick(g, "count=2,bytes=20", "count=-1,bytes=-1", "count=-1,bytes=-1=;byteHardLimit=30;countHardLimit=4", "countHardLimit=3", "")
	stats := pick(g, "count=0,bytes=0", "count=7,bytes=70", "")
	switch g.IntN(8) {
	case 0:
		return g.quotaCreate("q", "")
	case 1, 2:
		return g.quotaCreate(dir, "")
	case 3:
		return g.quotaCreate(dir+"/zookeeper_limits", limits)
	case 4:
		return g.quotaCreate(dir+"/zookeeper_stats", stats)
	case 5:
		return req{op: wire.OpSetData, path: dir + "/zookeeper_limits", data: []byte(limits), version: -1}
	case 6:
		return req{op: wire.OpSetData, path: dir + "/zookeeper_stats", data: []byte(stats), version: -1}
	}
	return req{op: wire.OpDelete, path: dir + pick[path](g, "/zookeeper_stats", "/zookeeper_limits", ""), version: -1}
}

func (g *gen) quotaCreate(p path, data string) req {
	return req{op: wire.OpCreate, path: p, data: []byte(data), acl: acls{list: []harness.ACL{open}}}
}
