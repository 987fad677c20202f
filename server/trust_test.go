package server

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"paddock/tree"
	"paddock/wire"
	"paddock/zab"
)

// damage flips a bit in the transaction of /n50 in a server's log.
func (g *group) damage(i int) {
	g.t.Helper()
	dir := filepath.Join(g.dirs[i], "paddock", "log")
	files, err := os.ReadDir(dir)
	if err != nil {
		g.t.Fatal(err)
	}
	name := filepath.Join(dir, files[0].Name())
	b, err := os.ReadFile(name)
	if err != nil {
		g.t.Fatal(err)
	}
	at := bytes.Index(b, []byte("/n50"))
	if at < 0 {
		g.t.Fatal("the log does not have it")
	}
	b[at] ^= 1
	if err := os.WriteFile(name, b, 0o600); err != nil {
		g.t.Fatal(err)
	}
}

func TestAServerWithAHoleJoinsWithASnapshot(t *testing.T) {
	g := newGroup(t, 3, 0)
	g.start(0, 1, 2)
	at := g.follower()
	p := open(t, g.all[g.leader()])
	for i := range 100 {
		p.create(path("/n%d", i), []byte("x"))
	}
	g.agree()
	g.stop(at)
	g.damage(at)
	g.start(at)
	g.serve()
	g.agree()
	if s := g.all[at]; s.trusted != zab.Damaged {
		t.Error("the damage was not noticed")
	}
	for _, name := range []string{"rejoin", "log.untrusted-1"} {
		_, err := os.Stat(filepath.Join(g.dirs[at], "paddock", name))
		if there := err == nil; there != (name != "rejoin") {
			t.Errorf("%s is there: %v", name, there)
		}
	}
	g.stop(at)
	g.start(at)
	g.serve()
	if s := g.all[at]; s.trusted != zab.Trusted {
		t.Error("it is not trusted after it has taken a snapshot")
	}
	open(t, g.all[at]).ok(wire.OpExists, readBody("/n99", false))
}

func TestAStateThatDivergesStopsTheServerAndIsNotUsedAgain(t *testing.T) {
	g := newGroup(t, 3, 0)
	failed := make(chan error, 3)
	g.change = func(c *Config) { c.OnFatal = func(err error) { failed <- err } }
	g.start(0, 1, 2)
	at := g.follower()
	p := open(t, g.all[g.leader()])
	p.create("/a", []byte("x"))
	g.agree()
	done := make(chan struct{})
	g.all[at].callSoon(func(tr *tree.Tree) { // a change that nobody else has made
		h := wire.TxnHeader{Zxid: tr.Applied() + 1, Type: wire.OpDelete}
		d := wire.DeleteTxn{Path: []byte("/a")}
		tr.Apply(d.Append(h.Append(nil)), nil, nil)
		close(done)
	})
	<-done
	if r := p.call(wire.OpCreate, createBody("/b", nil, 0)); r.Err != 0 {
		t.Fatalf("the others do not go on: code %d", r.Err)
	}
	select {
	case err := <-failed:
		t.Log(err)
	case <-time.After(15 * time.Second):
		t.Fatal("the server goes on")
	}
	g.stop(at)
	g.start(at)
	g.serve()
	g.agree()
	open(t, g.all[at]).ok(wire.OpExists, readBody("/a", false))
}

func TestANewEnsembleWaitsForAllAndRemembers(t *testing.T) {
	g := newGroup(t, 3, 0)
	g.change = func(c *Config) { c.Ensemble.MayBeEmpty = false }
	g.start(0, 1)
	g.watchIdle(0, 1)
	g.start(2)
	g.serve()
	for i := range g.all {
		if _, err := os.Stat(g.all[i].newFile()); err != nil {
			t.Error(err)
		}
		g.stop(i)
	}
	g.start(0, 1) // empty, but for good reason
	g.serve()
}

func TestServersThatLostEverythingDoNotMakeAnEnsemble(t *testing.T) {
	g := newGroup(t, 3, 0)
	g.change = func(c *Config) { c.Ensemble.MayBeEmpty = false }
	g.start(0, 1, 2)
	g.serve()
	open(t, g.all[0]).create("/a", nil)
	g.agree()
	for i := range g.all {
		g.stop(i)
	}
	g.dirs[0], g.dirs[1] = t.TempDir(), t.TempDir()
	g.start(0, 1)
	g.watchIdle(0, 1)
	g.start(2)
	g.watchIdle(0, 1, 2) // of three one alone still has what two have acknowledged: that cannot be known to be all
}

// watchIdle sees servers serve nobody for long enough that, were they to, they would.
func (g *group) watchIdle(members ...int) {
	g.t.Helper()
	const elections = 50
	for range elections * 4 {
		for _, i := range members {
			if g.all[i].serving.Load() {
				g.t.Fatalf("server %d serves", i+1)
			}
		}
		time.Sleep(finalizeMS * time.Millisecond / 4)
	}
}
