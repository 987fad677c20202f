// Command gozk runs the Go client, go-zookeeper, against a server that is
// killed and started again under it. The runner beside it, test/compat/run.sh,
// says how.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/go-zookeeper/zk"
)

const (
	sessionTimeout = 30 * time.Second
	patience       = 15 * time.Second
)

var open = zk.WorldACL(zk.PermAll)

// session is one client and the states of its connection.
type session struct {
	*zk.Conn
	states chan zk.State
}

func connect(server string) (*session, error) {
	s := &session{states: make(chan zk.State, 64)}
	// The client's own channel of events holds six and then drops them.
	keep := func(e zk.Event) {
		if e.Type == zk.EventSession {
			s.states <- e.State
		}
	}
	var err error
	s.Conn, _, err = zk.Connect([]string{server}, sessionTimeout, zk.WithLogInfo(false), zk.WithEventCallback(keep))
	if err != nil {
		return nil, err
	}
	return s, s.await(zk.StateHasSession)
}

// await reads the states of the connection up to the wanted one.
func (s *session) await(want zk.State) error {
	deadline := time.After(2 * patience)
	for {
		select {
		case got := <-s.states:
			switch got {
			case want:
				return nil
			case zk.StateExpired:
				return fmt.Errorf("state: got %v, want %v", got, want)
			}
		case <-deadline:
			return fmt.Errorf("no state %v in %v", want, 2*patience)
		}
	}
}

// suite is the two clients and what is known of them across the restart.
type suite struct {
	server   string
	one, two *session
	failed   bool

	id                  int64
	data, child, exists <-chan zk.Event
	lock                *zk.Lock
}

func main() {
	s := &suite{server: os.Args[1]}
	if err := s.run(); err != nil {
		fmt.Println("FAIL setup:", err)
		os.Exit(1)
	}
	fmt.Println("DONE")
	if s.failed {
		os.Exit(1)
	}
}

func (s *suite) run() (err error) {
	if s.one, err = connect(s.server); err != nil {
		return err
	}
	defer s.one.Close()
	if s.two, err = connect(s.server); err != nil {
		return err
	}
	defer s.two.Close()

	s.check("create-read-update-delete", s.basics)
	s.check("errors", s.errors)
	s.check("sequential-container-ttl", s.kinds)
	s.check("acl-digest", s.aclDigest)
	s.check("acl-second-client-refused", s.aclRefused)
	s.check("multi-commit", s.multiCommit)
	s.check("multi-rollback", s.multiRollback)
	s.check("watch-data", s.watchData)
	s.check("watch-child", s.watchChild)
	s.check("watch-exists", s.watchExists)
	s.check("ephemeral-gone-on-close", s.ephemeralGone)
	s.check("lock", s.lockBetweenTwo)

	if err := s.prepareRestart(); err != nil {
		return err
	}
	fmt.Println("READY-FOR-RESTART")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	s.check("restart-same-session", s.sameSession)
	s.check("restart-data-kept", s.dataKept)
	s.check("restart-ephemeral-kept", s.ephemeralKept)
	s.check("restart-lock-kept", s.lockKept)
	s.check("restart-auth-kept", s.authKept)
	s.check("restart-watches-fire", s.watchesFire)
	return nil
}

func (s *suite) check(name string, body func() error) {
	if err := body(); err != nil {
		s.failed = true
		fmt.Printf("FAIL %s: %v\n", name, err)
		return
	}
	fmt.Printf("ok %s\n", name)
}

// all runs steps up to the first that fails, and says which one it was.
func all(steps ...func() error) error {
	for i, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}

func equal[T comparable](what string, got, want T) error {
	if got != want {
		return fmt.Errorf("%s: got %v, want %v", what, got, want)
	}
	return nil
}

// fails checks for an error that the client gave.
func fails(got, want error) error {
	if !errors.Is(got, want) {
		return fmt.Errorf("error: got %v, want %v", got, want)
	}
	return nil
}

func (s *session) create(path, data string, flags int32) error {
	_, err := s.Create(path, []byte(data), flags, open)
	return err
}

func (s *session) set(path, data string) error {
	_, err := s.Set(path, []byte(data), -1)
	return err
}

// reads checks a node's data.
func (s *session) reads(path, want string) error {
	data, _, err := s.Get(path)
	if err != nil {
		return fmt.Errorf("get %s: %w", path, err)
	}
	return equal("data of "+path, string(data), want)
}

// creates checks the name that a sequential create gave.
func (s *session) creates(path string, flags int32, want string) error {
	got, err := s.Create(path, nil, flags, open)
	if err != nil {
		return err
	}
	return equal("name", got, want)
}

// owns checks who owns a node.
func (s *session) owns(path string, want int64) error {
	_, stat, err := s.Exists(path)
	if err != nil {
		return err
	}
	return equal("owner of "+path, stat.EphemeralOwner, want)
}

// told checks the next event of a watch.
func told(watch <-chan zk.Event, typ zk.EventType, path string) error {
	select {
	case e := <-watch:
		return equal("event", fmt.Sprint(e.Type, " ", e.Path, " ", e.Err), fmt.Sprint(typ, " ", path, " ", error(nil)))
	case <-time.After(patience):
		return fmt.Errorf("event: got none, want %v %s", typ, path)
	}
}

func (s *suite) basics() error {
	return all(
		func() error { return s.one.create("/basics", "v0", 0) },
		func() error { return s.two.reads("/basics", "v0") },
		func() error {
			stat, err := s.two.Set("/basics", []byte("v1"), 0)
			if err != nil {
				return err
			}
			return equal("version", stat.Version, 1)
		},
		func() error { return s.one.reads("/basics", "v1") },
		func() error { return s.one.create("/basics/b", "", 0) },
		func() error { return s.one.create("/basics/a", "", 0) },
		func() error {
			names, stat, err := s.two.Children("/basics")
			if err != nil {
				return err
			}
			slices.Sort(names)
			return equal("children", fmt.Sprint(names, stat.NumChildren, stat.Cversion), "[a b] 2 2")
		},
		func() error { _, err := s.two.Sync("/basics"); return err },
		func() error { return s.one.Delete("/basics/a", 0) },
		func() error { return s.one.Delete("/basics/b", -1) },
		func() error { return s.one.Delete("/basics", 1) },
		func() error {
			ok, _, err := s.two.Exists("/basics")
			if err != nil {
				return err
			}
			return equal("exists", ok, false)
		},
	)
}

func (s *suite) errors() error {
	return all(
		func() error { return s.one.create("/errors", "", 0) },
		func() error { return s.one.create("/errors/e", "", zk.FlagEphemeral) },
		func() error { return fails(s.one.create("/errors", "", 0), zk.ErrNodeExists) },
		func() error { return fails(s.one.create("/none/x", "", 0), zk.ErrNoNode) },
		func() error { return fails(s.one.create("/errors/e/x", "", 0), zk.ErrNoChildrenForEphemerals) },
		func() error { return fails(s.one.Delete("/errors", -1), zk.ErrNotEmpty) },
		func() error { return fails(s.one.Delete("/errors/e", 7), zk.ErrBadVersion) },
		func() error { _, err := s.one.Set("/errors", nil, 7); return fails(err, zk.ErrBadVersion) },
		func() error { return fails(s.one.set("/none", ""), zk.ErrNoNode) },
	)
}

func (s *suite) kinds() error {
	return all(
		func() error { return s.one.create("/kinds", "", 0) },
		func() error { return s.one.creates("/kinds/s-", zk.FlagSequence, "/kinds/s-0000000000") },
		func() error {
			return s.one.creates("/kinds/s-", zk.FlagSequence|zk.FlagEphemeral, "/kinds/s-0000000001")
		},
		func() error {
			_, err := s.one.CreateContainer("/kinds/c", nil, zk.FlagContainer, open)
			return err
		},
		func() error {
			_, err := s.one.CreateTTL("/kinds/t", nil, zk.FlagTTL, open, time.Hour)
			return err
		},
		func() error {
			name, err := s.one.CreateProtectedEphemeralSequential("/kinds/p-", nil, open)
			if err != nil {
				return err
			}
			return s.two.owns(name, s.one.SessionID())
		},
	)
}

func (s *suite) aclDigest() error {
	acl := zk.DigestACL(zk.PermAll, "alice", "secret")
	return all(
		func() error { return s.one.AddAuth("digest", []byte("alice:secret")) },
		func() error { _, err := s.one.Create("/acl", []byte("hers"), 0, acl); return err },
		func() error { return s.one.reads("/acl", "hers") },
		func() error {
			got, _, err := s.one.GetACL("/acl")
			if err != nil {
				return err
			}
			return equal("acl", fmt.Sprint(got), fmt.Sprint(acl))
		},
		func() error { _, err := s.one.Create("/hers", []byte("hers"), 0, acl); return err },
	)
}

func (s *suite) aclRefused() error {
	return all(
		func() error { _, _, err := s.two.Get("/acl"); return fails(err, zk.ErrNoAuth) },
		func() error { return fails(s.two.set("/acl", ""), zk.ErrNoAuth) },
		func() error { return fails(s.two.create("/acl/x", "", 0), zk.ErrNoAuth) },
		func() error { _, err := s.one.SetACL("/acl", zk.WorldACL(zk.PermRead), 0); return err },
		func() error { return s.two.reads("/acl", "hers") },
		func() error { return fails(s.two.set("/acl", ""), zk.ErrNoAuth) },
	)
}

func (s *suite) multiCommit() error {
	results, err := s.one.Multi(
		&zk.CreateRequest{Path: "/multi", Data: []byte("0"), Acl: open},
		&zk.CreateRequest{Path: "/multi/s-", Acl: open, Flags: zk.FlagSequence},
		&zk.SetDataRequest{Path: "/multi", Data: []byte("1"), Version: 0},
		&zk.CheckVersionRequest{Path: "/multi", Version: 1},
		&zk.DeleteRequest{Path: "/multi/s-0000000000", Version: -1},
	)
	if err != nil {
		return err
	}
	return all(
		func() error { return equal("results", len(results), 5) },
		func() error { return equal("name", results[1].String, "/multi/s-0000000000") },
		func() error { return equal("version", results[2].Stat.Version, 1) },
		func() error { return s.two.reads("/multi", "1") },
	)
}

func (s *suite) multiRollback() error {
	results, err := s.one.Multi(
		&zk.CreateRequest{Path: "/multi/b", Acl: open},
		&zk.CheckVersionRequest{Path: "/multi", Version: 99},
		&zk.CreateRequest{Path: "/multi/c", Acl: open},
	)
	return all(
		func() error { return fails(err, zk.ErrBadVersion) },
		func() error { return equal("results", len(results), 3) },
		func() error { return fails(results[1].Error, zk.ErrBadVersion) },
		func() error { _, _, err := s.two.Get("/multi/b"); return fails(err, zk.ErrNoNode) },
	)
}

func (s *suite) watchData() error {
	if err := s.one.create("/wd", "0", 0); err != nil {
		return err
	}
	_, _, watch, err := s.one.GetW("/wd")
	if err != nil {
		return err
	}
	if err := all(
		func() error { return s.two.set("/wd", "1") },
		func() error { return told(watch, zk.EventNodeDataChanged, "/wd") },
	); err != nil {
		return err
	}
	if _, _, watch, err = s.one.GetW("/wd"); err != nil {
		return err
	}
	return all(
		func() error { return s.two.Delete("/wd", -1) },
		func() error { return told(watch, zk.EventNodeDeleted, "/wd") },
	)
}

func (s *suite) watchChild() error {
	if err := s.one.create("/wc", "", 0); err != nil {
		return err
	}
	_, _, watch, err := s.one.ChildrenW("/wc")
	if err != nil {
		return err
	}
	return all(
		func() error { return s.two.set("/wc", "not a child") },
		func() error { return s.two.create("/wc/a", "", 0) },
		func() error { return told(watch, zk.EventNodeChildrenChanged, "/wc") },
	)
}

func (s *suite) watchExists() error {
	_, _, watch, err := s.one.ExistsW("/we")
	if err != nil {
		return err
	}
	return all(
		func() error { return s.two.create("/we", "", 0) },
		func() error { return told(watch, zk.EventNodeCreated, "/we") },
	)
}

func (s *suite) ephemeralGone() error {
	other, err := connect(s.server)
	if err != nil {
		return err
	}
	if err := other.create("/gone", "", zk.FlagEphemeral); err != nil {
		return err
	}
	_, stat, watch, err := s.one.ExistsW("/gone")
	if err != nil {
		return err
	}
	if err := equal("owner", stat.EphemeralOwner, other.SessionID()); err != nil {
		return err
	}
	other.Close()
	return told(watch, zk.EventNodeDeleted, "/gone")
}

func (s *suite) lockBetweenTwo() error {
	if err := s.one.create("/lock", "", 0); err != nil {
		return err
	}
	return handOver(zk.NewLock(s.one.Conn, "/lock", open), s.two, "/lock", true)
}

// handOver checks that a lock is refused to a second client until its holder
// lets go. It is taken here first unless the caller holds it already.
func handOver(held *zk.Lock, second *session, path string, take bool) error {
	if take {
		if err := held.Lock(); err != nil {
			return err
		}
	}
	other := zk.NewLock(second.Conn, path, open)
	locked := make(chan error, 1)
	go func() { locked <- other.Lock() }()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		names, _, err := second.Children(path)
		if err != nil {
			return err
		}
		if len(names) == 2 { // the second one waits in line
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("contenders: got %v, want 2", names)
		}
	}
	select {
	case err := <-locked:
		return fmt.Errorf("lock taken beside its holder (%v)", err)
	default:
	}
	if err := held.Unlock(); err != nil {
		return err
	}
	select {
	case err := <-locked:
		if err != nil {
			return err
		}
		return other.Unlock()
	case <-time.After(patience):
		return errors.New("lock not taken after its release")
	}
}

func (s *suite) prepareRestart() error {
	var err error
	s.id = s.one.SessionID()
	return all(
		func() error { return s.one.create("/r", "", 0) },
		func() error { return s.one.create("/r/data", "before", 0) },
		func() error { return s.one.create("/r/tree", "", 0) },
		func() error { return s.one.create("/r/lock", "", 0) },
		func() error { return s.one.create("/r/ephemeral", "", zk.FlagEphemeral) },
		func() error {
			for i := range 100 {
				if err := s.one.create("/r/tree/n-", fmt.Sprint(i), zk.FlagSequence); err != nil {
					return err
				}
			}
			return nil
		},
		func() error { s.lock = zk.NewLock(s.one.Conn, "/r/lock", open); return s.lock.Lock() },
		func() error { _, _, s.data, err = s.one.GetW("/r/data"); return err },
		func() error { _, _, s.child, err = s.one.ChildrenW("/r/tree"); return err },
		func() error { _, _, s.exists, err = s.one.ExistsW("/r/missing"); return err },
	)
}

func (s *suite) sameSession() error {
	return all(
		func() error { return s.one.await(zk.StateHasSession) },
		func() error { return s.two.await(zk.StateHasSession) },
		func() error { return equal("session", s.one.SessionID(), s.id) },
	)
}

func (s *suite) dataKept() error {
	return all(
		func() error { return s.two.reads("/r/data", "before") },
		func() error { return s.two.reads("/r/tree/n-0000000099", "99") },
		func() error {
			names, _, err := s.two.Children("/r/tree")
			if err != nil {
				return err
			}
			return equal("kept", len(names), 100)
		},
	)
}

func (s *suite) ephemeralKept() error { return s.two.owns("/r/ephemeral", s.id) }

func (s *suite) lockKept() error { return handOver(s.lock, s.two, "/r/lock", false) }

func (s *suite) authKept() error {
	return all(
		func() error { return s.one.reads("/hers", "hers") },
		func() error { _, _, err := s.two.Get("/hers"); return fails(err, zk.ErrNoAuth) },
	)
}

func (s *suite) watchesFire() error {
	return all(
		func() error { return s.two.set("/r/data", "after") },
		func() error { return told(s.data, zk.EventNodeDataChanged, "/r/data") },
		func() error { return s.two.creates("/r/tree/n-", zk.FlagSequence, "/r/tree/n-0000000100") },
		func() error { return told(s.child, zk.EventNodeChildrenChanged, "/r/tree") },
		func() error { return s.two.create("/r/missing", "", 0) },
		func() error { return told(s.exists, zk.EventNodeCreated, "/r/missing") },
	)
}
