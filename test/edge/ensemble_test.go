package edge

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"paddock/test/harness"
	"paddock/wire"
)

// Facts 15 to 18: sessions that go from one server of an ensemble to another, and a server without one.
// Fact 110 stands here because it, too, needs servers of its own.
var ensembleFacts = []fact{
	{15, "closeSession closes the session whichever connection it came by", together, closedByAnyConnection},
	{16, "a write by a moved session's old connection ends it without a reply", together, movedWrites},
	{17, "followers serve reads on a moved session's old connection, the leader does not", together, movedReads},
	{18, "a read-only server answers a new session with a reply header of NotReadOnly", itsOwn, readOnlyServer},
	{110, "a SASL failure's reply has a body", itsOwn, saslFailure},
}

// learners are the roles whose old connections get the same answers.
var learners = []string{follower, observer}

func closedByAnyConnection(t *testing.T, s *server) {
	for _, way := range []struct{ from, to string }{
		{leader, leader}, {follower, follower}, {follower, leader}, {leader, follower}, {observer, leader}, {follower, observer},
	} {
		t.Run("from "+way.from+" to "+way.to, func(t *testing.T) {
			from, to := s.at(t, way.from), s.at(t, way.to)
			old := from.open(t)
			node := old.createAs(nodeFor(old, "f015")+"/e", "", ephemeral)
			moved := to.renew(old)
			if way.from == way.to {
				old.wantClosed()
				old = moved
			}
			if old != moved && target.Paddock() {
				staleCloseIsRefused(t, old, moved, node)
				return
			}
			old.want(wire.OK, wire.OpCloseSession, nil)
			old.wantClosed()
			if old != moved {
				moved.wantClosed()
			}
			o := to.open(t)
			o.want(wire.OK, wire.OpSync, path("/"))
			o.want(wire.NoNode, wire.OpExists, unwatched(node))
			equal(t, "valid", from.dial(t).connect(old.renewal()).Valid(), false)
		})
	}
}

// staleCloseIsRefused is what paddock does instead: a connection that its session has left can no more end
// the session than write for it.
func staleCloseIsRefused(t *testing.T, old, moved *client, node string) {
	t.Helper()
	differs(t, "a moved session's old connection is closed without a reply, and the session lives on")
	_ = old.Write(request(1, wire.OpCloseSession, nil)) // the leader may have closed it already
	old.wantClosed()
	moved.want(wire.OK, wire.OpSync, path("/"))
	equal(t, "owner of its ephemeral", moved.stat(node).Owner, moved.Session.SessionID)
}

// nodeFor makes a node for a case's part.
func nodeFor(c *client, prefix string) string {
	c.t.Helper()
	return c.createAs("/"+prefix+"-", "", sequential)
}

func movedWrites(t *testing.T, s *server) {
	for _, from := range append([]string{leader}, learners...) {
		for _, write := range []struct {
			what string
			op   wire.Op
			body func(node string) harness.Bytes
		}{
			{"setData", wire.OpSetData, func(node string) harness.Bytes { return update(node, "stale", -1) }},
			{"create", wire.OpCreate, func(node string) harness.Bytes { return creation(node+"/x", "", persistent) }},
			{"multi", wire.OpMulti, func(node string) harness.Bytes {
				return multiBody(part(wire.OpSetData, update(node, "stale", -1)))
			}},
			{"a write that fails", wire.OpDelete, func(node string) harness.Bytes { return versioned(node+"/nope", -1) }},
		} {
			t.Run(write.what+" at the "+from, func(t *testing.T) {
				old := s.at(t, from).open(t)
				node := nodeFor(old, "f016")
				lives := old.createAs(node+"/e", "", ephemeral)
				moved := elsewhere(t, s, from).renew(old)
				_ = old.Write(request(1, write.op, write.body(node))) // the leader may have closed it already
				old.wantClosed()
				moved.want(wire.OK, wire.OpSync, path("/"))
				data, stat := moved.get(node)
				equal(t, "data", string(data), "")
				equal(t, "children", stat.NumChildren, int32(1))
				equal(t, "owner of its ephemeral", moved.stat(lives).Owner, moved.Session.SessionID)
			})
		}
	}
}

// elsewhere is a server to move to from the one with this role.
func elsewhere(t *testing.T, s *server, from string) *server {
	t.Helper()
	if from == leader {
		return s.at(t, follower)
	}
	return s.at(t, leader)
}

func movedReads(t *testing.T, s *server) {
	for _, from := range learners {
		t.Run("reads at the "+from, func(t *testing.T) {
			old := s.at(t, from).open(t)
			node := nodeFor(old, "f017")
			moved := elsewhere(t, s, from).renew(old)
			old.ping()
			old.get(node)
			old.watch(wire.OpExists, node)
			equal(t, "children", len(old.ok(wire.OpGetChildren, unwatched(node)).Strs()), 0)
			moved.ping()
		})
	}
	for what, ask := range map[string]func(node string) harness.Bytes{
		"exists":  func(node string) harness.Bytes { return request(1, wire.OpExists, unwatched(node)) },
		"getData": func(node string) harness.Bytes { return request(1, wire.OpGetData, unwatched(node)) },
		"ping":    func(string) harness.Bytes { return request(harness.XidPing, wire.OpPing, nil) },
	} {
		t.Run(what+" at the leader", func(t *testing.T) {
			old := s.at(t, leader).open(t)
			node := nodeFor(old, "f017")
			moved := s.at(t, follower).renew(old)
			_ = old.Write(ask(node)) // ours may have closed it already
			old.wantClosed()
			moved.ping()
		})
	}
}

// readOnlyServer starts one member of four: it never finds a quorum. Ours has no read-only mode, and without
// a quorum it closes whatever is opened.
func readOnlyServer(t *testing.T, _ *server) {
	e, err := newEnsemble(ensembleSettings.With(harness.Settings{"readonlymode.enabled": "true"}),
		"-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dreadonlymode.enabled=true") // Java's reads no file for it
	skipUnavailable(t, err)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	m := e.Members[0]
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	s := &server{name: "partitioned", instance: &instance{addr: m.Addr, process: m}}
	hello := harness.ConnectRequest{TimeoutMS: 10000, Passwd: noPasswd, ReadOnly: true}
	if target.Paddock() {
		awaitListening(t, m)
		differs(t, "paddock has no read-only mode: without a quorum it serves nobody")
		c := s.dial(t)
		c.write(hello.Bytes().Frame())
		c.wantClosed()
		return
	}
	awaitReadOnly(t, m)
	c := s.dial(t)
	c.write(hello.Bytes().Frame())
	r := c.reply()
	equal(t, "xid", r.Xid, int32(0))
	equal(t, "error", wire.Code(r.Err), wire.NotReadOnly)
	equal(t, "body", len(r.Body), 0)

	writer := s.dial(t)
	hello.ReadOnly = false
	writer.write(hello.Bytes().Frame())
	writer.wantClosed()
}

func awaitListening(t *testing.T, m *harness.Member) {
	t.Helper()
	await(t, m, "listens", func() bool {
		c, err := harness.DialTimeout(m.Addr, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func awaitReadOnly(t *testing.T, m *harness.Member) {
	t.Helper()
	await(t, m, "is read-only", func() bool { return m.Role() == "read-only" })
}

func await(t *testing.T, m *harness.Member, what string, is func() bool) {
	t.Helper()
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for end := time.Now().Add(30 * time.Second); !is(); <-retry.C {
		if time.Now().After(end) || !m.Alive() {
			t.Fatalf("it is not so that %v %s\n%s", m, what, m.LogTail())
		}
	}
}

const users = `Server { org.apache.zookeeper.server.auth.DigestLoginModule required user_bob="secret"; };`

func saslFailure(t *testing.T, _ *server) {
	if target.Paddock() {
		skip(t, "paddock serves no SASL; fact 109 says how it answers")
	}
	file := filepath.Join(t.TempDir(), "jaas.conf")
	if err := os.WriteFile(file, []byte(users), 0o600); err != nil {
		t.Fatal(err)
	}
	srv, err := target.Start(defaults.With(harness.Settings{"java.security.auth.login.config": file}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	c := (&server{name: "login", instance: &instance{addr: srv.Addr, process: srv}}).open(t)
	challenge := c.ok(wire.OpSASL, path(""))
	if !hasSuffix(challenge.Str(), "algorithm=md5-sess") {
		t.Errorf("the first answer is no challenge")
	}
	r := c.do(wire.OpSASL, path("garbage"))
	equal(t, "error", wire.Code(r.Err), wire.AuthFailed)
	equal(t, "zxid", r.Zxid, int64(0))
	equal(t, "body", r.Body, []byte(fields().Null()))
	c.wantClosed()
}
