package runner

import (
	"fmt"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"paddock/wire"
	"paddock/zab"
)

// write writes the values from, from+1, … below to at a server.
func (m *member) write(from, to int) {
	m.e.t.Helper()
	for v := from; v < to; v++ {
		if !m.store.write(uint64(v)) {
			m.e.t.Fatalf("server %d does not serve", m.id)
		}
	}
}

// follower returns one that is up and does not lead.
func (e *ensemble) follower() *member {
	leader := e.leader()
	for _, v := range e.view.Voters() {
		if m := e.members[v]; m != leader && m.runner != nil {
			return m
		}
	}
	e.t.Fatal("nobody follows")
	return nil
}

func TestAnotherLeadsWhenTheLeaderIsGone(t *testing.T) {
	e := newEnsemble(t, 3, 0)
	e.start()
	n := 0
	for round := range 3 {
		dead := e.leader()
		dead.write(n, n+100)
		e.agree(n + 100)
		dead.stop()
		e.leader()
		e.follower().write(n+100, n+200)
		n += 200
		e.agree(n)
		dead.start()
		e.leader()
		e.agree(n)
		t.Logf("round %d: server %d was the leader", round, dead.id)
	}
}

func TestWhoComesLateGetsWhatItMissed(t *testing.T) {
	t.Run("by DIFF", func(t *testing.T) {
		e := newEnsemble(t, 3, 1)
		e.start(1, 2, 3)
		e.follower().write(0, 1000)
		e.agree(1000)
		e.start(4)
		e.leader()
		e.agree(1000)
		late := e.follower()
		late.stop()
		e.follower().write(1000, 3000)
		e.agree(3000)
		late.start()
		e.leader()
		late.write(3000, 3001)
		e.agree(3001)
	})
	t.Run("by SNAP, while others write", func(t *testing.T) {
		e := newEnsemble(t, 3, 1)
		e.tune = func(c *Config) { c.Peer.FinalizeMS = 100 }
		e.start(1, 2)
		e.leader().write(0, 5000)
		e.agree(5000)
		for _, id := range []zab.ServerID{1, 2} { // their logs do not go back to the beginning any more
			m := e.members[id]
			m.stop()
			s := m.store
			s.base, s.log = s.tree.zxid, nil
		}
		e.start(1, 2)
		leader := e.leader()
		written := 5000
		for _, id := range []zab.ServerID{3, 4} {
			late := e.members[id]
			late.start()
			for serves := false; !serves; written++ {
				leader.write(written, written+1)
				late.store.mu.Lock()
				serves = late.store.serving != 0
				late.store.mu.Unlock()
				time.Sleep(100 * time.Microsecond) // a load, not a race against the joiner
			}
			if late.store.base == 0 {
				t.Errorf("server %d has no snapshot", id)
			}
		}
		e.agree(written)
	})
}

func TestAnEnsembleOfEmptyDisksBegins(t *testing.T) {
	e := newEnsemble(t, 3, 1)
	e.tcp = true
	for _, m := range e.members {
		m.store = &memStore{trust: zab.Empty}
	}
	e.start()
	e.leader().write(0, 100)
	e.agree(100)
	for id, m := range e.members {
		m.store.mu.Lock()
		if m.store.trust != zab.Trusted {
			t.Errorf("server %d does not trust what it has written", id)
		}
		m.store.mu.Unlock()
	}
}

// What is left of a damaged log is worth nothing, even where it is more than what the others have.
func TestADamagedServerGetsASnapshot(t *testing.T) {
	e := newEnsemble(t, 3, 0)
	e.start()
	e.leader().write(0, 100)
	e.agree(100)
	damaged := e.leader()
	damaged.stop()
	e.leader().write(100, 200)
	e.agree(200)
	s := damaged.store
	s.trust, s.log, s.tree = zab.Damaged, s.log[:10], memTree{}
	s.durable = s.last()
	damaged.start()
	e.leader().write(200, 300)
	e.agree(300)
	if s := damaged.store; s.base == 0 || s.trust != zab.Trusted || damaged.runner.Status().Trust != zab.Trusted {
		t.Errorf("its log begins behind %v with trust %d, want a snapshot and trust", s.base, s.trust)
	}
	other := e.leader()
	if other == damaged {
		other = e.follower()
	}
	other.stop() // it counts again
	e.leader().write(300, 400)
	e.agree(400)
}

func TestSyncsAreAnsweredInOrderOfTheirServers(t *testing.T) {
	e := newEnsemble(t, 3, 1)
	e.start()
	e.leader()
	const syncs = 100
	for _, m := range e.members {
		for i := range syncs {
			if !m.store.write(uint64(int(m.id)*1000+i)) || !m.store.syncs() {
				t.Fatalf("server %d does not serve", m.id)
			}
		}
	}
	for _, m := range e.members {
		m.store.await("its syncs", func() bool { return m.store.synced == syncs })
	}
	e.agree(4 * syncs)
}

func TestSessionsThatLearnersHeardOfReachTheLeader(t *testing.T) {
	e := newEnsemble(t, 3, 0)
	e.start()
	leader := e.leader()
	leader.store.await("touches", func() bool { return leader.store.touched > 2 })
}

// mute joins as a follower that has no vote, and then does not read any more.
func mute(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	conn.(*net.TCPConn).SetReadBuffer(4096)
	say := func(p wire.Packet) {
		if _, err := conn.Write(p.Append(nil)); err != nil {
			t.Fatal(err)
		}
	}
	info := wire.LearnerInfo{ServerID: 99, ProtocolVersion: wire.ProtocolVersion}
	say(wire.Packet{Type: wire.PacketFollowerInfo, Data: info.Append(nil)})
	lead := readPackets(t, conn, 1)[0]
	ack := wire.AckEpoch{Epoch: 0}
	say(wire.Packet{Type: wire.PacketAckEpoch, Data: ack.Append(nil)})
	say(wire.Packet{Type: wire.PacketAck, Zxid: lead.Zxid})
	return conn
}

func TestALearnerThatDoesNotReadHarmsNobodyElse(t *testing.T) {
	e := newEnsemble(t, 3, 0)
	e.tune = func(c *Config) { c.QueueBytes = 1 << 20 }
	e.start()
	leader := e.leader()
	conn := mute(t, e.view.Member(leader.id).Peers[0].Quorum().String())
	defer conn.Close()
	there := func() bool {
		links := leader.runner.Status().Links
		return slices.ContainsFunc(links, func(l LinkStatus) bool { return l.Server == 99 })
	}
	for end := time.Now().Add(10 * time.Second); !there(); {
		if time.Now().After(end) {
			t.Fatal("it never joined")
		}
		time.Sleep(time.Millisecond)
	}
	e.members[1].store.fill, e.members[2].store.fill, e.members[3].store.fill = 4000, 4000, 4000
	n := 0
	for end := time.Now().Add(20 * time.Second); there(); {
		if time.Now().After(end) {
			t.Fatal("it is never cut")
		}
		leader.write(n, n+500)
		n += 500
		e.agree(n)
	}
	if e.leader() != leader {
		t.Error("the leader changed")
	}
	t.Logf("cut after %d writes", n)
}

func TestCloseMayComeAtAnyTime(t *testing.T) {
	t.Run("twice", func(t *testing.T) {
		e := newEnsemble(t, 1, 0)
		e.start()
		r := e.leader().runner
		r.Close()
		r.Close()
	})
	t.Run("without a start", func(t *testing.T) {
		r, _ := newBench(t, nil)
		r.Close()
		if err := r.Start(nil); err == nil {
			t.Error("it starts after its end")
		}
	})
	t.Run("while it looks", func(t *testing.T) {
		e := newEnsemble(t, 3, 0)
		e.start(1)
	})
	t.Run("while others connect", func(t *testing.T) {
		for range 20 {
			e := newEnsemble(t, 3, 0)
			e.start()
			time.Sleep(time.Duration(5) * time.Millisecond)
			for _, m := range e.members {
				m.stop()
			}
		}
	})
}

func TestAPortThatIsTakenIsAnError(t *testing.T) {
	e := newEnsemble(t, 1, 0)
	e.start()
	r := New(Config{Log: testLog(), BindTries: 1, Peer: zab.Config{ID: 1, View: e.view, TickMS: 100, InitTicks: 5, SyncTicks: 5}}, zab.Recovered{}, e.members[1].store)
	if err := r.Start(votes{e, 1}); err == nil {
		t.Error("two runners listen on one port")
	}
	r.Close()
}

func TestAFaultOfTheStoreEndsEverything(t *testing.T) {
	e := newEnsemble(t, 3, 0)
	e.start()
	leader := e.leader()
	leader.runner.Fail(fmt.Errorf("the disk is gone"))
	<-leader.runner.Done()
	leader.store.mu.Lock()
	if leader.store.failure == nil {
		t.Error("the store has not heard of it")
	}
	leader.store.failure = nil
	leader.store.mu.Unlock()
	if n := len(leader.runner.open); n != 0 {
		t.Errorf("%d links are open", n)
	}
	leader.stop()
	e.leader()
}

// TestFailover measures; with RUNNER_FIGURES only, for it takes a while.
func TestFailover(t *testing.T) {
	if os.Getenv("RUNNER_FIGURES") == "" {
		t.Skip("set RUNNER_FIGURES to measure")
	}
	e := newEnsemble(t, 3, 0)
	e.start()
	var took []time.Duration
	for i := range 5 {
		dead := e.leader()
		dead.write(i, i+1)
		e.agree(i + 1)
		start := time.Now()
		dead.stop()
		next := e.leader()
		took = append(took, time.Since(start))
		next.runner.Status()
		dead.start()
		e.leader()
	}
	slices.Sort(took)
	t.Logf("failover: median %v of %v", took[2], took)
}
