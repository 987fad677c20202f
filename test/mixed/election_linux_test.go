package mixed

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"paddock/wire"
	"paddock/zab"
	"paddock/zab/transport"
)

// voter is a server of ours that can vote, and nothing else: whoever it decides to follow never hears of it
// on the quorum port.
type voter struct {
	t    *testing.T
	id   zab.ServerID
	view *zab.View
	port *transport.Election
	peer *zab.Peer

	began time.Time
	heard chan heard
	last  map[zab.ServerID]wire.Notification
	acts  []zab.Action
}

type heard struct {
	from zab.ServerID
	note wire.Notification
}

func newVoter(t *testing.T, e *trio, id zab.ServerID) *voter {
	t.Helper()
	v := &voter{t: t, id: id, view: e.view, began: time.Now(), heard: make(chan heard, 1000), last: map[zab.ServerID]wire.Notification{}}
	port, err := transport.Listen(t.Context(), transport.Config{
		ID: id, Addrs: []zab.Addr{e.view.Member(id).Peers[0].Election()}, View: e.view,
		Receive: func(from zab.ServerID, note wire.Notification) {
			select {
			case v.heard <- heard{from, note}:
			default: // nobody reads while the test does something else; votes are repeated
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	v.port = port
	t.Cleanup(port.Close)
	v.restart()
	return v
}

// restart forgets everything but the connections, and what was heard.
func (v *voter) restart() {
	v.peer = zab.NewPeer(zab.Config{ID: v.id, View: v.view, TickMS: 2000, InitTicks: 30, SyncTicks: 10}, zab.Recovered{})
}

// run drives the machine until something is so. Meanwhile it forgets what it has decided, soon after: who
// has a leader is told nothing more, and the first decision may be on votes that are old. (Apache's servers
// begin a connection with the last vote that they have sent, also if that was long ago.)
func (v *voter) run(what string, is func() bool) {
	v.t.Helper()
	ticks := time.NewTicker(5 * time.Millisecond)
	defer ticks.Stop()
	again := time.NewTicker(300 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(patience); !is(); {
		select {
		case h := <-v.heard:
			v.last[h.from] = h.note
			v.step(zab.Event{Kind: zab.EventNotification, From: h.from, Note: h.note})
		case now := <-ticks.C:
			if now.After(end) {
				v.t.Fatalf("it never came to be that %s: %v, vote %+v, heard last %s", what, v.peer.State(), v.peer.Vote(), v.votes())
			}
			v.step(zab.Event{Kind: zab.EventTick})
		case <-again.C:
			if v.peer.State() != zab.Looking {
				v.restart()
			}
		}
	}
}

func (v *voter) step(ev zab.Event) {
	ev.Now = time.Since(v.began).Milliseconds()
	v.acts = v.peer.Step(ev, v.acts[:0])
	for _, a := range v.acts {
		if a.Kind == zab.ActionNotify {
			v.port.Send(a.To, a.Note)
		}
	}
}

// votes returns what each server has said last, for people.
func (v *voter) votes() string {
	var s []string
	for id, n := range v.last {
		s = append(s, fmt.Sprintf("%d: %v, leader %d, zxid %v, round %d, epoch %d", id, zab.State(n.State), n.Leader, n.Zxid, n.Round, n.PeerEpoch))
	}
	return strings.Join(s, "; ")
}

// follows says whether our machine follows a server.
func (v *voter) follows(leader zab.ServerID) func() bool {
	return func() bool { return v.peer.State() == zab.Following && v.peer.Vote().Leader == leader }
}

func (v *voter) says(id zab.ServerID, state zab.State, leader zab.ServerID) func() bool {
	return func() bool {
		n, ok := v.last[id]
		return ok && zab.State(n.State) == state && zab.ServerID(n.Leader) == leader
	}
}

// TestOurVoteAmongApachesServers: two servers of Apache's have a leader; ours comes late and finds it. The
// leader dies; ours and the server that is left elect that one. Ours has the smallest id, which is called
// back by both, or the greatest, which calls both back.
func TestOurVoteAmongApachesServers(t *testing.T) {
	for _, id := range []zab.ServerID{1, 3} {
		t.Run(fmt.Sprint("we are ", id), func(t *testing.T) {
			e := newTrio(t)
			var servers []*apache
			for _, m := range e.members {
				if m.ID != id {
					servers = append(servers, e.start(t, m.ID))
				}
			}
			servers = awaitLeader(t, servers...)
			first, second := servers[0].id, servers[1].id

			v := newVoter(t, e, id)
			v.run("we follow the leader", v.follows(first))
			v.run("the leader says that it leads", v.says(first, zab.Leading, first))
			v.run("its follower says that it follows", v.says(second, zab.Following, first))
			v.run("we follow the leader of epoch 1", func() bool { return v.follows(first)() && v.peer.Vote().PeerEpoch == 1 })
			if got := string(v.last[first].Config); got != string(e.view.Text()) {
				t.Errorf("the leader's config is\n%s\nwant\n%s", got, e.view.Text())
			}

			servers[0].kill()
			v.restart()
			v.run("we elect the server that is left", v.follows(second))
			v.run("it leads", v.says(second, zab.Leading, second))
		})
	}
}
