package zab

import "testing"

// A leader that has not found out yet that it was elected closes whoever comes. A follower that voted anew
// for that would keep it from finding out, and both would go on so for ever.
func TestALinkThatEndsBeforeTheLeaderHasSpokenIsDialledAgain(t *testing.T) {
	view, err := ParseView([]byte("server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n"))
	if err != nil {
		t.Fatal(err)
	}
	p := NewPeer(Config{ID: 1, View: view, TickMS: 100, InitTicks: 10, SyncTicks: 5}, Recovered{})
	step := func(ev Event) []Action { return p.Step(ev, nil) }
	step(Event{Kind: EventTick})
	p.take(Vote{Leader: 3}, nil)
	step(Event{Kind: EventDialed, Link: 7})
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
