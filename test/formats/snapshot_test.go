package formats

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paddock/snap"
	"paddock/test/harness"
	"paddock/tree"
	"paddock/vfs"
	"paddock/wire"
)

const superAuth, superDigest = "super:secret", "super:lK75jTNcA+U9vtVEw5vB51mj/w4="

var settings = harness.Settings{
	"tickTime":                        "2000",
	"extendedTypesEnabled":            "true",
	"4lw.commands.whitelist":          "*",
	"znode.container.checkIntervalMs": "3600000", // nothing changes but by us
	"zookeeper.DigestAuthenticationProvider.superDigest": superDigest,
}

func compressed(c snap.Compression) harness.Settings {
	return settings.With(harness.Settings{"zookeeper.snapshot.compression.method": string(c)})
}

var shape = tree.Options{ExtendedTypes: true}

// TestSnapshotsOfBothServersAreReadByBoth goes through every compression: Apache's server takes a
// snapshot, as it does whenever it starts; we read it and write our own; another of Apache's
// servers starts on that, with no log. Each time the tree and the server answer alike.
//
// With FORMATS_GOLDEN=dir the files of Apache's server are kept there.
func TestSnapshotsOfBothServersAreReadByBoth(t *testing.T) {
	apache, err := harness.Apache()
	if errors.Is(err, harness.ErrNotAvailable) {
		t.Skip("nothing was tested: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	srv, err := apache.Start(settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	for round, c := range []snap.Compression{snap.Uncompressed, snap.Gzip, snap.Snappy} {
		session := work(t, srv, round)
		srv.Kill()
		srv.Settings = compressed(c)
		if err := srv.Restart(); err != nil {
			t.Fatal(err)
		}
		read := readNewest(t, filepath.Join(srv.Dir, "version-2"), c)
		compare(t, srv, read)
		ours := startOn(t, apache, read, c)
		compare(t, ours, read)
		sessionLives(t, ours, session)
		noMismatch(t, ours)
		ours.Close()
	}
}

// readNewest reads the newest snapshot of a directory, which has the given compression, with its
// digest.
func readNewest(t *testing.T, dir string, c snap.Compression) *tree.Tree {
	t.Helper()
	names, err := vfs.OS().List(dir)
	if err != nil {
		t.Fatal(err)
	}
	newest, at := "", wire.Zxid(-1)
	for _, name := range names {
		if zxid, as, ok := snap.ParseJavaName(name); ok && as == c && zxid > at {
			newest, at = name, zxid
		}
	}
	file := filepath.Join(dir, newest)
	read, info, err := snap.ReadJavaFile(vfs.OS(), file, shape, snap.Options{})
	if err != nil {
		t.Fatalf("%s: %v", newest, err)
	}
	if info.Digest == nil || info.Digest.Zxid != at || info.Digest.Digest != read.Digest() || info.LastZxid != at {
		t.Errorf("%s: the tree has digest %#x at %v; the file says %+v, last zxid %v", newest, read.Digest(), at, info.Digest, info.LastZxid)
	}
	if keep := os.Getenv("FORMATS_GOLDEN"); keep != "" {
		b, err := os.ReadFile(file)
		if err == nil {
			err = os.WriteFile(filepath.Join(keep, newest), b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return read
}

// startOn starts a server in a directory that has nothing but a snapshot of ours.
func startOn(t *testing.T, apache *harness.Target, tr *tree.Tree, c snap.Compression) *harness.Server {
	t.Helper()
	srv, err := apache.StartFrom(settings, func(dir string) error {
		v, err := tr.OpenView()
		if err != nil {
			return err
		}
		defer v.Close()
		dir = filepath.Join(dir, "version-2")
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		_, err = snap.WriteJavaFile(vfs.OS(), dir, v, c, snap.Options{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	return srv
}

// client is a connection whose failures end the test.
type client struct {
	*harness.Conn
	t   *testing.T
	xid int32
}

func dial(t *testing.T, srv *harness.Server, q harness.ConnectRequest) *client {
	t.Helper()
	conn, err := harness.Dial(srv.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	if _, err := conn.Connect(q); err != nil || !conn.Session.Valid() {
		t.Fatalf("session %#x: got %+v, %v", q.SessionID, conn.Session, err)
	}
	return &client{Conn: conn, t: t}
}

func newSession(t *testing.T, srv *harness.Server) *client {
	t.Helper()
	return dial(t, srv, harness.ConnectRequest{TimeoutMS: 40000, Passwd: make([]byte, 16)})
}

type body interface{ Append(dst []byte) []byte }

// path is the body of requests that have no other.
type path string

func (p path) Append(dst []byte) []byte { return wire.AppendString(dst, []byte(p)) }

// watchless is a path and no watch.
type watchless string

func (p watchless) Append(dst []byte) []byte { return wire.AppendBool(path(p).Append(dst), false) }

func (c *client) send(xid int32, op wire.Op, b body) {
	c.t.Helper()
	frame, mark := wire.BeginFrame(nil)
	frame = (&wire.RequestHeader{Xid: xid, Op: op}).Append(frame)
	if b != nil {
		frame = b.Append(frame)
	}
	if err := c.Write(wire.EndFrame(frame, mark)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) do(op wire.Op, b body) harness.Reply {
	c.t.Helper()
	c.xid++
	c.send(c.xid, op, b)
	return c.reply()
}

func (c *client) reply() harness.Reply {
	c.t.Helper()
	r, err := c.ReadReply()
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

func (c *client) must(op wire.Op, b body) {
	c.t.Helper()
	if r := c.do(op, b); r.Err != 0 {
		c.t.Fatalf("%v: got %v", op, wire.Code(r.Err))
	}
}

func (c *client) super() {
	c.t.Helper()
	c.send(harness.XidAuth, wire.OpAuth, &wire.AuthPacket{Scheme: []byte("digest"), Auth: []byte(superAuth)})
	if r := c.reply(); r.Err != 0 {
		c.t.Fatalf("auth: got %v", wire.Code(r.Err))
	}
}

// work makes nodes of every kind, some of them by a session that it leaves alive and returns.
func work(t *testing.T, srv *harness.Server, round int) *client {
	t.Helper()
	c := newSession(t, srv)
	secret := wire.BuildACL(
		wire.ACL{Perms: wire.PermRead | wire.PermWrite, Scheme: []byte("digest"), ID: []byte("user:tpUq/4Pn5A64fVZyQ0gOJ8ZWqkY=")},
		wire.ACL{Perms: wire.PermRead, Scheme: []byte("ip"), ID: []byte("127.0.0.0/8")})
	top := fmt.Sprintf("/round-%d", round)
	create := func(name string, data []byte, acl wire.ACLVec, flags int32) {
		c.must(wire.OpCreate, &wire.CreateRequest{Path: []byte(top + name), Data: data, ACL: acl, Flags: flags})
	}
	const ephemeral, sequential, container, ttl = 1, 2, 4, 5
	create("", nil, wire.OpenACL, 0)
	create("/empty", []byte{}, wire.ReadACL, 0)
	create("/secret", []byte("hidden"), secret, 0)
	create("/ünïcode 日本語", []byte("データ"), wire.OpenACL, 0)
	create("/ephemeral", []byte("here"), wire.OpenACL, ephemeral)
	create("/queue", nil, wire.OpenACL, 0)
	create("/large", bytes.Repeat([]byte("large "), 5000), wire.OpenACL, 0)
	c.must(wire.OpCreateContainer, &wire.CreateRequest{Path: []byte(top + "/container"), ACL: wire.OpenACL, Flags: container})
	c.must(wire.OpCreateTTL, &wire.CreateTTLRequest{
		CreateRequest: wire.CreateRequest{Path: []byte(top + "/ttl"), ACL: secret, Flags: ttl}, TTL: 1 << 39,
	})
	for i := range 40 {
		create("/queue/item-", fmt.Append(nil, i), wire.OpenACL, sequential)
	}
	for i := range 20 {
		item := fmt.Sprintf("%s/queue/item-%010d", top, i)
		switch i % 3 {
		case 0:
			c.must(wire.OpDelete, &wire.DeleteRequest{Path: []byte(item), Version: -1})
		case 1:
			c.must(wire.OpSetData, &wire.SetDataRequest{Path: []byte(item), Data: []byte("again"), Version: -1})
		case 2:
			c.must(wire.OpSetACL, &wire.SetACLRequest{Path: []byte(item), ACL: secret, Version: -1})
		}
	}
	if round == 0 {
		quota := func(path, data string) {
			c.must(wire.OpCreate, &wire.CreateRequest{Path: []byte(path), Data: []byte(data), ACL: wire.OpenACL})
		}
		quota("/zookeeper/quota"+top, "")
		quota("/zookeeper/quota"+top+"/zookeeper_limits", "count=1000,bytes=-1=;byteHardLimit=9000000")
		quota("/zookeeper/quota"+top+"/zookeeper_stats", "count=0,bytes=0")
	}
	newSession(t, srv).must(wire.OpCloseSession, nil)
	return c
}

// compare asks the server for every node of the tree, and holds data, stat, ACL and number of
// children against the tree's own answers.
func compare(t *testing.T, srv *harness.Server, tr *tree.Tree) {
	t.Helper()
	v, err := tr.OpenView()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	c := newSession(t, srv)
	c.super()
	nodes := 0
	for more := true; more; {
		var batch []tree.Record
		batch, more = v.Next(nil)
		for _, r := range batch {
			nodes++
			p := string(r.Path)
			want, _, _ := tr.GetData(nil, r.Path, nil, nil)
			c.same(p, wire.OpGetData, want)
			want, _, _ = tr.GetACL(nil, r.Path, nil, nil)
			c.same(p, wire.OpGetACL, want)
		}
	}
	r := c.do(wire.OpGetAllChildrenNumber, path("/"))
	if got := harness.FieldsOf(r.Body).Int(); r.Err != 0 || int(got) != nodes-1 {
		t.Errorf("the server has %d nodes below the root, the tree %d", got, nodes-1)
	}
	if nodes < 45 {
		t.Errorf("only %d nodes were compared", nodes)
	}
	c.must(wire.OpCloseSession, nil)
}

func (c *client) same(p string, op wire.Op, want []byte) {
	c.t.Helper()
	var b body = watchless(p)
	if op == wire.OpGetACL {
		b = path(p)
	}
	if r := c.do(op, b); r.Err != 0 || !bytes.Equal(r.Body, want) {
		c.t.Errorf("%v %s: the server says %v %.300q\nthe tree says %.300q", op, p, wire.Code(r.Err), r.Body, want)
	}
}

// sessionLives takes a session up again on a server that knows it from our snapshot, and ends it
// there: its ephemerals go.
func sessionLives(t *testing.T, srv *harness.Server, old *client) {
	t.Helper()
	c := dial(t, srv, harness.ConnectRequest{TimeoutMS: 40000, SessionID: old.Session.SessionID, Passwd: old.Session.Passwd})
	r := c.do(wire.OpGetEphemerals, path("/"))
	ephemerals := harness.FieldsOf(r.Body).Strs()
	if r.Err != 0 || len(ephemerals) != 1 {
		t.Fatalf("the session has ephemerals %v, %v, want one", ephemerals, wire.Code(r.Err))
	}
	c.must(wire.OpCloseSession, nil)
	other := newSession(t, srv)
	if r := other.do(wire.OpExists, watchless(ephemerals[0])); wire.Code(r.Err) != wire.NoNode {
		t.Errorf("%s outlives its session: %v", ephemerals[0], wire.Code(r.Err))
	}
}

// noMismatch: the server has compared the digest of our snapshot, and those after it.
func noMismatch(t *testing.T, srv *harness.Server) {
	t.Helper()
	text, err := harness.Word(srv.Addr, "mntr")
	if err != nil || !strings.Contains(text, "zk_digest_mismatches_count\t0\n") {
		t.Errorf("the server finds the digest wrong: %v\n%s", err, text)
	}
}
