package runner

import (
	"errors"
	"io"
	"testing"

	"paddock/wire"
	"paddock/zab"
)

// hello connects somebody who says who he is, and returns his link and the letter.
func hello(t *testing.T, r *Runner) (*link, letter, io.Reader) {
	t.Helper()
	l, there := connected(t, r, false)
	info := wire.LearnerInfo{ServerID: 2, ProtocolVersion: wire.ProtocolVersion}
	p := wire.Packet{Type: wire.PacketObserverInfo, Data: info.Append(nil)}
	if _, err := there.Write(p.Append(nil)); err != nil {
		t.Fatal(err)
	}
	return l, next(t, r)[0], there
}

func TestWhoComesWhileWeLookWaitsAMoment(t *testing.T) {
	r, _ := newBench(t, nil)
	l, m, there := hello(t, r)
	r.handle(&m)
	r.settleParked()
	if l.over() || len(r.parked) != 1 || len(r.links) != 0 {
		t.Fatalf("over %v, %d wait, the machine knows %d; want one that waits", l.over(), len(r.parked), len(r.links))
	}
	if l.status.Server != 2 || !l.status.Observer {
		t.Errorf("it is taken for %+v, want observer 2", l.status)
	}
	r.clock += r.cfg.HoldMS
	r.settleParked()
	if !l.over() || len(r.parked) != 0 {
		t.Errorf("over %v, %d wait; want it sent away", l.over(), len(r.parked))
	}
	if _, err := there.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the connection: %v, want EOF", err)
	}
}

func TestWhoGoesWhileItWaitsIsForgotten(t *testing.T) {
	r, _ := newBench(t, nil)
	l, m, _ := hello(t, r)
	r.handle(&m)
	l.fail(io.EOF)
	for _, m := range next(t, r) {
		r.handle(&m)
	}
	if len(r.parked) != 0 {
		t.Errorf("%d wait, want nobody", len(r.parked))
	}
}

func TestWhoIsGoneAlreadyIsNotLetIn(t *testing.T) {
	r, _ := newBench(t, nil)
	l, m, _ := hello(t, r)
	l.fail(io.EOF)
	r.handle(&m)
	if len(r.parked)+len(r.links) != 0 {
		t.Error("a link that is over was let in")
	}
}

func TestALinkThatTheMachineHasClosedSaysNothingMore(t *testing.T) {
	r, _ := newBench(t, nil)
	l, there := connected(t, r, true)
	r.links[l.name] = l
	p := packet(wire.PacketPing, 1, "")
	there.Write(p.Append(nil))
	m := next(t, r)[0]
	r.do(&zab.Action{Kind: zab.ActionClose, Link: l.name, Text: "for a test"})
	before := len(l.free)
	r.handle(&m)
	if !l.over() || len(r.links) != 0 || len(l.free) != before+1 {
		t.Errorf("over %v, %d links, %d buffers free; want none, and the buffer back", l.over(), len(r.links), len(l.free))
	}
}

func TestVotesAreDroppedWhereTheyAreTooMany(t *testing.T) {
	r, _ := newBench(t, nil)
	for range maxWaiting + 100 {
		r.Notified(2, wire.Notification{})
	}
	r.Post(zab.Event{Kind: zab.EventResign})
	if n := r.box.len(); n != maxWaiting+1 {
		t.Errorf("%d letters wait, want %d", n, maxWaiting+1)
	}
}
