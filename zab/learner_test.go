package zab

import (
	"bytes"
	"testing"

	"paddock/wire"
)

// A leader that has not found out yet that it was elected closes whoever comes. A follower that voted anew
// for that would keep it from finding out, and both would go on so for ever.
func TestALinkThatEndsBeforeTheLeaderHasSpokenIsDialledAgain(t *testing.T) {
	p, step := following(t, Recovered{})
	step(Event{Kind: EventLost, Link: 7, Now: 1})
	if p.State() != Following {
		t.Fatalf("after the first link: %v, want following", p.State())
	}
	acts := step(Event{Kind: EventTick, Now: 1 + redialMS})
	if len(acts) != 1 || acts[0].Kind != ActionDial || acts[0].To != 3 {
		t.Fatalf("after %d ms: got %+v, want a dial", redialMS, acts)
	}
	step(Event{Kind: EventDialed, Link: 8, Now: 200})
	step(Event{Kind: EventLost, Link: 8, Now: 1000})
	if p.State() != Looking {
		t.Errorf("after the time to connect: %v, want looking", p.State())
	}
}

// following returns a peer that has just been told the epoch by server 3.
func following(t *testing.T, r Recovered) (*Peer, func(Event) []Action) {
	t.Helper()
	view, err := ParseView([]byte("server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n"))
	if err != nil {
		t.Fatal(err)
	}
	p := NewPeer(Config{ID: 1, View: view, TickMS: 100, InitTicks: 10, SyncTicks: 5}, r)
	step := func(ev Event) []Action { return p.Step(ev, nil) }
	step(Event{Kind: EventTick})
	p.take(Vote{Leader: 3}, nil)
	step(Event{Kind: EventDialed, Link: 7})
	return p, step
}

func fromLeader(typ wire.PacketType, zxid wire.Zxid, data []byte) Event {
	return Event{Kind: EventPacket, Link: 7, Packet: wire.Packet{Type: typ, Zxid: zxid, Data: data}}
}

// A leader that is not established tells of commits that may come to nothing. What is installed is in the
// tree and cannot be truncated, so it is only what the snapshot has, or we know ourselves.
func TestWhatIsInstalledIsKnownToBeCommitted(t *testing.T) {
	for name, c := range map[string]struct{ known, want wire.Zxid }{
		"the snapshot knows more": {0, 0x100000002},
		"we know more":            {0x100000003, 0x100000003},
	} {
		h := NewHistory(0)
		for z := wire.Zxid(0x100000001); z <= c.known; z++ {
			h.Append(z)
		}
		_, step := following(t, Recovered{History: h, Committed: c.known, Epochs: Epochs{1, 1}})
		step(fromLeader(wire.PacketLeaderInfo, 2<<32, (&wire.LeaderInfo{ProtocolVersion: wire.ProtocolVersion}).Append(nil)))
		step(Event{Kind: EventEpochsSaved, Epochs: Epochs{2, 1}})
		step(fromLeader(wire.PacketSnap, 0x100000002, nil))
		step(Event{Kind: EventSnapshotReceived, Link: 7, Zxid: 0x100000002})
		for z := wire.Zxid(0x100000003); z <= 0x100000004; z++ {
			head := wire.TxnHeader{Zxid: z}
			step(fromLeader(wire.PacketProposal, z, head.Append(nil)))
			step(fromLeader(wire.PacketCommit, z, nil))
		}
		acts := step(fromLeader(wire.PacketNewLeader, 2<<32, nil))
		if len(acts) != 1 || acts[0].Kind != ActionInstall || acts[0].Zxid != c.want {
			t.Errorf("%s: NEWLEADER: got %+v, want to install %v", name, acts, c.want)
		}
	}
}

// Who asks for a snapshot does not say what it has. A leader in discovery must not count that, nor be
// afraid of it; and where it needs us it gets the truth the next time.
func TestASnapshotIsForcedOnce(t *testing.T) {
	h := NewHistory(0)
	h.Append(0x100000001)
	p, step := following(t, Recovered{History: h, Epochs: Epochs{1, 1}})
	p.forceSnap = true
	step(fromLeader(wire.PacketLeaderInfo, 2<<32, (&wire.LeaderInfo{ProtocolVersion: wire.ProtocolVersion}).Append(nil)))
	acts := step(Event{Kind: EventEpochsSaved, Epochs: Epochs{2, 1}})
	if want := (&wire.AckEpoch{Epoch: -1}).Append(nil); acts[0].Packet.Zxid != 3<<32 || !bytes.Equal(acts[0].Packet.Data, want) {
		t.Errorf("forced: got ACKEPOCH %v %x, want %v %x", acts[0].Packet.Zxid, acts[0].Packet.Data, wire.Zxid(3<<32), want)
	}
	step(Event{Kind: EventLost, Link: 7})
	p.take(Vote{Leader: 3}, nil)
	step(Event{Kind: EventDialed, Link: 7})
	acts = step(fromLeader(wire.PacketLeaderInfo, 3<<32, (&wire.LeaderInfo{ProtocolVersion: wire.ProtocolVersion}).Append(nil)))
	acts = append(acts, step(Event{Kind: EventEpochsSaved, Epochs: Epochs{3, 1}})...)
	if got := acts[len(acts)-1].Packet; got.Zxid != 0x100000001 {
		t.Errorf("the next time: got ACKEPOCH %v, want %v", got.Zxid, wire.Zxid(0x100000001))
	}
}
