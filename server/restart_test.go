package server

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"paddock/vfs"
	"paddock/wire"
)

// churn works on the server from several sessions for n requests each, and returns the sessions.
func churn(t *testing.T, s *Server, n int) []*peer {
	t.Helper()
	var wg sync.WaitGroup
	var peers []*peer
	for i := range 4 {
		p := open(t, s)
		peers = append(peers, p)
		base := fmt.Sprintf("/churn%d-%x", i, uint64(p.Session.SessionID))
		p.create(base, nil)
		wg.Go(func() {
			for j := range n {
				op, body := wire.OpCreate, createBody(fmt.Sprintf("%s/%d", base, j), []byte("data"), int32(j%2))
				switch {
				case j%3 == 2:
					op, body = wire.OpSetData, setBody(base, fmt.Append(nil, j))
				case j%7 == 6:
					op, body = wire.OpDelete, nil
					body = body.Str(fmt.Sprintf("%s/%d", base, j-6)).Int(-1)
				}
				p.xid++
				if err := p.Write(frame(p.xid, op, body)); err != nil {
					t.Errorf("write: %v", err)
					return
				}
				if r, err := p.ReadReply(); err != nil || r.Err != 0 && op != wire.OpDelete {
					t.Errorf("%v: %+v, %v", op, r, err)
					return
				}
			}
		})
	}
	wg.Wait()
	return peers
}

// summary is what has to be the same after a restart.
func summary(s *Server) string {
	return fmt.Sprintf("zxid %v digest %#x znodes %d ephemerals %d bytes %d sessions %d",
		s.tree.Load().Applied(), s.tree.Load().Digest(), s.tree.Load().NodeCount(), s.tree.Load().EphemeralCount(), s.tree.Load().DataSize(), s.tree.Load().SessionCount())
}

// Snapshots are taken under load. Whichever of them a restart begins from, it ends in the same state.
func TestAnySnapshotAndItsLogGiveTheSameState(t *testing.T) {
	dir := t.TempDir()
	small := func(c *Config) { c.SnapCount, c.SegmentBytes = 150, 64<<10 }
	s, err := Start(config(dir, small))
	if err != nil {
		t.Fatal(err)
	}
	churn(t, s, 300)
	want := summary(s)
	taken := s.Status().Snapshots
	stop(t, s)
	snaps := func() []string {
		names, err := filepath.Glob(filepath.Join(dir, "paddock", "snap", "*.snap"))
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(names)
		return names
	}
	t.Logf("%d snapshots taken, %d kept; %s", taken, len(snaps()), want)
	if n := len(snaps()); n < 3 || int64(n) >= taken {
		t.Errorf("%d snapshots are kept of %d, want at least 3 and not all", n, taken)
	}
	for {
		s, err := Start(config(dir, small))
		if err != nil {
			t.Fatalf("with %d snapshots: %v", len(snaps()), err)
		}
		if got := summary(s); got != want {
			t.Errorf("with %d snapshots:\ngot  %s\nwant %s", len(snaps()), got, want)
		}
		stop(t, s)
		all := snaps()
		if len(all) == 1 {
			break
		}
		if err := os.Remove(all[len(all)-1]); err != nil {
			t.Fatal(err)
		}
	}
	// Without any, the log does not reach back to the beginning: that is said, not guessed over.
	if err := os.Remove(snaps()[0]); err != nil {
		t.Fatal(err)
	}
	if s, err := Start(config(dir, small)); err == nil {
		stop(t, s)
		t.Error("the server started without the beginning of its history")
	} else if !strings.Contains(err.Error(), "missing") || !strings.Contains(err.Error(), dir) {
		t.Errorf("the refusal is %q", err)
	}
}

// A power cut under load, on a simulated disk that loses what was not synced: what was acknowledged is
// there, and so are the sessions.
func TestAPowerCutLosesNothingAcknowledged(t *testing.T) {
	for seed := range uint64(4) {
		sim := vfs.NewSim(seed)
		onSim := func(d *vfs.Sim) func(*Config) {
			return func(c *Config) { c.FS, c.SnapCount, c.SegmentBytes = d, 100, 64<<10 }
		}
		s, err := Start(config("/data", onSim(sim)))
		if err != nil {
			t.Fatal(err)
		}
		peers := churn(t, s, 60)
		var wg sync.WaitGroup
		acked := make([]int, len(peers))
		cut := make(chan struct{})
		for i, p := range peers {
			wg.Go(func() {
				for {
					select {
					case <-cut:
						return
					default:
					}
					body := createBody(path("/cut-%d-%d", i, acked[i]), nil, 0)
					p.xid++
					if p.Write(frame(p.xid, wire.OpCreate, body)) != nil {
						return
					}
					if r, err := p.ReadReply(); err != nil || r.Err != 0 {
						t.Errorf("create: %+v, %v", r, err)
						return
					}
					acked[i]++
				}
			})
		}
		time.Sleep(30 * time.Millisecond) // of load
		close(cut)
		wg.Wait()
		image := sim.Crash(sim.Ops(), func(vfs.Unit) bool { return false })
		stop(t, s)
		again, err := Start(config("/data", onSim(image)))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for i, p := range peers {
			n := dial(t, again)
			n.connect(p.renewal())
			if n.Session.SessionID != p.Session.SessionID {
				t.Errorf("seed %d: session %#x is gone", seed, p.Session.SessionID)
			}
			for j := range acked[i] {
				n.ok(wire.OpExists, readBody(path("/cut-%d-%d", i, j), false))
			}
		}
		stop(t, again)
	}
}

// datadir.autocreate=false guards against a disk that is not mounted.
func TestADirectoryThatIsMissingIsNotMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mount")
	guarded := func(c *Config) { c.NoAutoCreate = true }
	if _, err := Start(config(dir, guarded)); err == nil || !strings.Contains(err.Error(), dir+" has to be there, for datadir.autocreate is false") {
		t.Errorf("start: %v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("it was made")
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	startIn(t, dir, guarded)
}
