package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"paddock/wire"
	"paddock/zab"
)

// Who opens, who keeps: the rows of the table in doc.go.

func TestWeOpenToASmallerServerAndKeepIt(t *testing.T) {
	s := newStation(t, 2, nil, 1)
	s.Send(1, ballot(7))
	l := s.called(1)
	l.hears(s.hello())
	l.hearsVote(7)
	s.Send(1, ballot(8))
	l.hearsVote(8)
	l.say(frame(5))
	s.gets(1, 5)
}

func TestWeKnockAtAGreaterServerAndItCallsBack(t *testing.T) {
	s := newStation(t, 2, nil, 3)
	s.Send(3, ballot(7))
	knock := s.called(3)
	knock.hears(s.hello())
	knock.ends()
	back := s.call().say(hello(3))
	back.hearsVote(7)
	back.say(frame(5))
	s.gets(3, 5)
	s.Send(3, ballot(8))
	back.hearsVote(8)
}

func TestASmallerServerIsCalledBack(t *testing.T) {
	tests := []struct {
		name     string
		greeting func(s *station, elsewhere zab.Addr) []byte
		at       func(s *station, elsewhere net.Listener) net.Listener
	}{
		{
			"at the address of its greeting",
			func(_ *station, elsewhere zab.Addr) []byte { return hello(1, elsewhere) },
			func(_ *station, elsewhere net.Listener) net.Listener { return elsewhere },
		},
		{
			"at one of several addresses",
			func(_ *station, elsewhere zab.Addr) []byte {
				return greeting(wire.GreetingV2, 1, zab.Addr{Host: "127.0.0.1", Port: 1}, elsewhere)
			},
			func(_ *station, elsewhere net.Listener) net.Listener { return elsewhere },
		},
		{
			"at the address of the view, when it tells a wildcard",
			func(_ *station, elsewhere zab.Addr) []byte {
				return hello(1, zab.Addr{Host: "0.0.0.0", Port: elsewhere.Port})
			},
			func(s *station, _ net.Listener) net.Listener { return s.others[1] },
		},
		{
			"at the address of the view, when nobody is where it says",
			func(*station, zab.Addr) []byte { return hello(1, zab.Addr{Host: "127.0.0.1", Port: 1}) },
			func(s *station, _ net.Listener) net.Listener { return s.others[1] },
		},
		{
			"at the address of the view, when it is of the oldest kind",
			func(*station, zab.Addr) []byte { return greeting(wire.GreetingLegacy, 1) },
			func(s *station, _ net.Listener) net.Listener { return s.others[1] },
		},
		{
			"also when no view knows it",
			func(_ *station, elsewhere zab.Addr) []byte { return hello(0, elsewhere) },
			func(_ *station, elsewhere net.Listener) net.Listener { return elsewhere },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStation(t, 2, nil, 1)
			elsewhere := listen(t)
			s.call().say(tt.greeting(s, addrOf(elsewhere))).ends()
			l := called(t, tt.at(s, elsewhere))
			l.hears(s.hello())
			l.say(frame(5))
			if r := s.next(); r.note.Round != 5 || r.from > 1 {
				t.Errorf("received %+v", r)
			}
		})
	}
}

func TestAKnockEndsTheConnectionThatWeHave(t *testing.T) {
	s := newStation(t, 2, nil, 1)
	s.Send(1, ballot(7))
	first := s.called(1)
	first.hears(s.hello())
	first.hearsVote(7)
	s.call().say(hello(1, addrOf(s.others[1]))).ends()
	first.ends()
	second := s.called(1)
	second.hears(s.hello())
	second.hearsVote(7) // again, for the first connection may have lost it
}

func TestAGreaterServerReplacesItsConnection(t *testing.T) {
	s := newStation(t, 2, nil, 3)
	first := s.call().say(hello(3)).say(frame(1))
	s.gets(3, 1)
	s.Send(3, ballot(7))
	first.hearsVote(7)
	second := s.call().say(hello(3))
	first.ends()
	second.hearsVote(7)
	s.Send(3, ballot(8))
	second.hearsVote(8)
}

func TestAServerWithOurIDIsTurnedAway(t *testing.T) {
	s := newStation(t, 2, nil, 1)
	s.call().say(hello(2, addrOf(s.others[1]))).ends()
	eventually(t, "it is logged", func() bool { return s.log.count("the same myid") == 1 })
}

func TestAnObserverWithoutAnIDGetsANegativeOne(t *testing.T) {
	s := newStation(t, 2, nil, 1)
	var names []zab.ServerID
	for round := range int64(2) {
		l := s.call().say(greeting(wire.GreetingV1, zab.ServerID(wire.ObserverWithoutID), zab.Addr{Host: "o", Port: 1})).say(frame(round))
		r := s.next()
		names = append(names, r.from)
		s.Send(r.from, ballot(10+round))
		l.hearsVote(10 + round)
	}
	if names[0] >= 0 || names[1] >= 0 || names[0] == names[1] {
		t.Errorf("they are called %v", names)
	}
}

func TestGreetingsOfAllReleases(t *testing.T) {
	addr := zab.Addr{Host: "::1", Port: 3888}
	for _, version := range []int64{wire.GreetingV1, wire.GreetingV2, wire.GreetingLegacy} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			s := newStation(t, 2, nil, 1)
			s.call().say(append(greeting(version, 9, addr), frame(1)...)) // and a vote in the same segment
			s.gets(9, 1)
			if version == wire.GreetingLegacy {
				return // its 8 bytes come at once or not at all, in practice
			}
			l := s.call()
			for _, b := range greeting(version, 9, addr) { // and in many
				l.say([]byte{b})
			}
			l.say(frame(2))
			s.gets(9, 2)
		})
	}
}

func TestWeTellAllAddressesWhereThatIsEnabled(t *testing.T) {
	more := zab.Addr{Host: "fe80::1", Port: 3888}
	s := newStation(t, 2, func(cfg *Config) {
		cfg.MultiAddress = true
		cfg.Addrs = append(cfg.Addrs, more)
		own, listens := cfg.Listen, 0
		cfg.Listen = func(ctx context.Context, network, addr string) (net.Listener, error) {
			if listens++; listens == 1 {
				return own(ctx, network, addr)
			}
			return net.Listen("tcp", "127.0.0.1:0")
		}
	}, 1)
	s.Send(1, ballot(1))
	s.called(1).hears(greeting(wire.GreetingV2, 2, addrOf(s.own), more))
}

func TestBadGreetingsCloseTheirConnectionOnly(t *testing.T) {
	long := func(version int64, rest ...byte) []byte {
		return append(binary.BigEndian.AppendUint64(nil, uint64(version)), rest...)
	}
	withLength := func(n int32) []byte {
		return binary.BigEndian.AppendUint32(long(wire.GreetingV1, 0, 0, 0, 0, 0, 0, 0, 9), uint32(n))
	}
	tests := []struct {
		name string
		b    []byte
	}{
		{"nothing", nil},
		{"half of one", hello(9)[:11]},
		{"an unknown version", long(-1, hello(9)[8:]...)},
		{"no address", withLength(0)},
		{"a negative length", withLength(-1)},
		{"addresses that are too long", withLength(wire.MaxGreetingAddrs + 1)},
		{"an address without a port", append(withLength(4), "zoo1"...)},
		{"a negative id", hello(-3)},
		{"a web browser", []byte("GET / HTTP/1.1\r\nHost: zoo1\r\nAccept: */*\r\n\r\n")}, // as a legacy id it is valid
	}
	s := newStation(t, 2, func(cfg *Config) { cfg.GreetingTimeout = 100 * time.Millisecond }, 1)
	good := s.call().say(hello(3))
	eventually(t, "3 is connected", func() bool { return s.connected(3) })
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := s.call()
			l.t = t
			l.say(tt.b).ends()
		})
	}
	good.say(frame(6))
	s.gets(3, 6)
	if n := s.log.count("no greeting"); n != 1 {
		t.Errorf("bad greetings of one host logged %d times, want once", n)
	}
}

func TestBadFramesCloseTheirConnectionOnly(t *testing.T) {
	for _, length := range []int32{0, -1, math.MinInt32, wire.MaxMessage + 1, math.MaxInt32} {
		t.Run(fmt.Sprint("length ", length), func(t *testing.T) {
			s := newStation(t, 2, nil, 3, 4)
			good := s.call().say(hello(4))
			for range 3 {
				bad := s.call().say(append(hello(3), frame(1)...))
				s.gets(3, 1)
				bad.say(binary.BigEndian.AppendUint32(nil, uint32(length))).ends()
			}
			good.say(frame(2))
			s.gets(4, 2)
			if n := s.log.count("data that cannot be"); n != 1 {
				t.Errorf("logged %d times, want once", n)
			}
		})
	}
}

func TestABadVoteIsDroppedAndTheConnectionStays(t *testing.T) {
	s := newStation(t, 2, nil, 3)
	l := s.call().say(hello(3))
	bad := [][]byte{{1}, make([]byte, 27), make([]byte, 36), slices.Concat(frame(1)[4:44], []byte{0x7f, 0, 0, 0})}
	for i, b := range bad {
		l.say(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)).say(frame(int64(i)))
		s.gets(3, int64(i))
	}
	if n := s.log.count("data that cannot be"); n != 1 {
		t.Errorf("logged %d times, want once", n)
	}
}

func TestAVoteOfTheGreatestLengthArrives(t *testing.T) {
	s := newStation(t, 2, nil, 3)
	n := ballot(1)
	n.Config = make([]byte, wire.MaxMessage-44)
	b, mark := wire.BeginFrame(nil)
	l := s.call().say(hello(3)).say(wire.EndFrame(n.Append(b), mark)).say(frame(2))
	if r := s.next(); len(r.note.Config) != len(n.Config) {
		t.Errorf("%d bytes of config arrived, want %d", len(r.note.Config), len(n.Config))
	}
	s.gets(3, 2)
	n.Config = append(n.Config, 0)
	s.Send(3, n) // too long: not sent
	s.mu.Lock()
	if p := s.peers[3]; p.pending != nil || p.last != nil {
		t.Error("a vote that nobody would read is sent")
	}
	s.mu.Unlock()
	s.Send(3, ballot(4))
	l.hearsVote(4)
}

func TestOnlyTheLatestVoteIsKept(t *testing.T) {
	release := make(chan struct{})
	s := newStation(t, 2, func(cfg *Config) {
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			<-release
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		}
	}, 1)
	for round := range int64(5) {
		s.Send(1, ballot(round))
	}
	close(release)
	l := s.called(1)
	l.hears(s.hello())
	l.hearsVote(4)
	s.Send(1, ballot(9))
	l.hearsVote(9)
}

func TestADeadServerDelaysNobody(t *testing.T) {
	var dials, most atomic.Int32
	began := make(chan struct{}, 100)
	s := newStation(t, 4, func(cfg *Config) {
		real := (&net.Dialer{}).DialContext
		dead := cfg.View.Member(1).Peers[0].Election().String()
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr != dead {
				return real(ctx, network, addr)
			}
			defer dials.Add(-1)
			most.Store(max(most.Load(), dials.Add(1)))
			began <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		}
	}, 1, 2)
	var senders sync.WaitGroup
	for range 8 {
		senders.Go(func() {
			for range 100 {
				s.Send(1, ballot(1))
			}
		})
	}
	senders.Wait()
	s.Send(2, ballot(3))
	l := s.called(2)
	l.hears(s.hello())
	l.hearsVote(3)
	select {
	case <-began:
	case <-time.After(patience):
		t.Fatal("the dead server is never dialled")
	}
	if most.Load() != 1 {
		t.Errorf("%d dials at once to one server, want 1", most.Load())
	}
}

func TestNothingIsSentToWhomWeCannotReach(t *testing.T) {
	s := newStation(t, 2, nil, 1)
	s.Send(2, ballot(1))  // ourselves
	s.Send(99, ballot(1)) // in no view
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.peers) != 0 {
		t.Errorf("%d peers", len(s.peers))
	}
}

func TestBothViewsAreTried(t *testing.T) {
	s := newStation(t, 5, nil, 1)
	moved := listen(t)
	s.others[1].Close()
	proposed := viewOf(t, map[zab.ServerID]zab.Addr{5: addrOf(s.own), 1: addrOf(moved)})
	s.SetViews(s.cfg.View, proposed)
	s.Send(1, ballot(3))
	l := called(t, moved)
	l.hears(s.hello())
	l.hearsVote(3)
}

func TestStrangersAreBounded(t *testing.T) {
	s := newStation(t, 2, nil, 1)
	for i := range maxStrangers {
		s.call().say(hello(zab.ServerID(100 + i))).say(frame(1))
		s.gets(zab.ServerID(100+i), 1)
	}
	s.call().say(hello(99)).ends()
	own := s.call().say(hello(1, addrOf(s.others[1])))
	own.ends()
	s.called(1).hears(s.hello()) // those of the view always have a place
}

func TestStrangersAreForgotten(t *testing.T) {
	s := newStation(t, 2, nil, 1)
	l := s.call().say(hello(100)).say(frame(1))
	s.gets(100, 1)
	l.Close()
	eventually(t, "nobody is known", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.peers) == 0
	})
}

func TestClose(t *testing.T) {
	s := newStation(t, 2, func(cfg *Config) {
		cfg.GreetingTimeout, cfg.DialTimeout = time.Hour, time.Hour // it waits for none of them
		real, hangs := (&net.Dialer{}).DialContext, cfg.View.Member(0).Peers[0].Election().String()
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr == hangs {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return real(ctx, network, addr)
		}
	}, 0, 1, 3)
	up := s.call().say(hello(3)).say(frame(1))
	s.gets(3, 1)
	silent := s.call()
	s.Send(1, ballot(1))
	out := s.called(1)
	out.hears(s.hello())
	out.hearsVote(1)
	s.Send(0, ballot(1)) // a dial that hangs

	s.Close()
	s.Close()
	for _, l := range []*line{up, silent, out} {
		l.ends()
	}
	s.Send(1, ballot(2))
	s.Send(3, ballot(2))
	if c, err := net.Dial("tcp", s.own.Addr().String()); err == nil {
		c.Close()
		t.Error("the port is open")
	}
}

// pipes is a listener whose callers come through net.Pipe.
type pipes struct {
	callers chan net.Conn
	closed  chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.callers:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// knock greets as a smaller server does, which is hung up on.
func (p *pipes) knock(t *testing.T, id zab.ServerID) {
	t.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	p.callers <- theirs
	if _, err := ours.Write(hello(id)); err != nil {
		t.Fatal(err)
	}
	if n, err := ours.Read(make([]byte, 1)); err == nil {
		t.Errorf("heard %d bytes", n)
	}
}

// bubble returns the config of server 2 for a test with synthetic time.
func bubble(t *testing.T) Config {
	addrs := map[zab.ServerID]zab.Addr{1: {Host: "zoo1", Port: 3888}, 2: {Host: "zoo2", Port: 3888}, 3: {Host: "zoo3", Port: 3888}}
	return Config{
		ID: 2, Addrs: []zab.Addr{addrs[2]}, View: viewOf(t, addrs), Receive: func(zab.ServerID, wire.Notification) {},
		Listen: func(context.Context, string, string) (net.Listener, error) { return newPipes(), nil },
	}
}

func TestPausesBetweenDialsGrowToASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, begin := bubble(t), time.Now()
		var at []time.Duration
		cfg.Dial = func(_ context.Context, _, addr string) (net.Conn, error) {
			if addr != "zoo1:3888" { // resolved each time, by whoever dials
				t.Errorf("dialed %s", addr)
			}
			at = append(at, time.Since(begin))
			return nil, errors.New("refused")
		}
		e, err := Listen(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		for range 4000 {
			e.Send(1, ballot(1))
			time.Sleep(time.Millisecond)
		}
		e.Close()
		var got []int64
		for _, d := range at {
			got = append(got, d.Milliseconds())
		}
		if want := []int64{0, 100, 300, 700, 1500, 2500, 3500}; !slices.Equal(got, want) {
			t.Errorf("dialed at %v ms, want %v", got, want)
		}
	})
}

// paused opens a port in a bubble, whose dials are counted and answered by far, and lets the pauses between
// them grow.
func paused(t *testing.T, far func() net.Conn) (e *Election, port *pipes, dials func() int) {
	t.Helper()
	cfg, n := bubble(t), atomic.Int32{}
	port = newPipes()
	cfg.Listen = func(context.Context, string, string) (net.Listener, error) { return port, nil }
	cfg.Dial = func(_ context.Context, _, addr string) (net.Conn, error) {
		if addr != "zoo1:3888" {
			return nil, errors.New("refused")
		}
		n.Add(1)
		if c := far(); c != nil {
			return c, nil
		}
		return nil, errors.New("refused")
	}
	e, err := Listen(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for range 30 {
		e.Send(1, ballot(1))
		time.Sleep(100 * time.Millisecond)
	}
	return e, port, func() int { synctest.Wait(); return int(n.Load()) }
}

func TestAKnockEndsThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, port, dials := paused(t, func() net.Conn { return nil })
		defer e.Close()
		e.Send(1, ballot(1))
		before := dials() // the next waits for the end of a pause of a second
		port.knock(t, 1)
		if n := dials() - before; n != 1 {
			t.Errorf("%d dials after a knock, want 1 at once", n)
		}
		time.Sleep(2 * maxPause)
		e.Send(1, ballot(1))
		before = dials() // that was one; there is a pause, and nobody waits for its end
		port.knock(t, 1)
		if n := dials() - before; n != 1 {
			t.Errorf("%d dials after a knock in a pause, want 1 at once", n)
		}
		before = dials()
		for range 2000 {
			port.knock(t, 1)
			time.Sleep(time.Millisecond)
		}
		if n := dials() - before; n > 10 {
			t.Errorf("%d dials in two seconds of knocks", n)
		}
	})
}

// TestAKnockThatComesWhileWeDialIsAnswered: just when a dial has led to a connection, the other side says
// that it knows of none.
func TestAKnockThatComesWhileWeDialIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, port, dials := paused(t, func() net.Conn {
			time.Sleep(time.Second)
			return nil
		})
		defer e.Close()
		time.Sleep(5 * time.Second)
		before := dials()
		e.Send(1, ballot(1))
		time.Sleep(10 * time.Millisecond)
		port.knock(t, 1)
		time.Sleep(5 * time.Second)
		if n := dials() - before; n != 2 {
			t.Errorf("%d dials, want one more after that in which it knocked", n)
		}
	})
}

// TestNobodyKnocksWhereThereIsAConnection: a knock would end it.
func TestNobodyKnocksWhereThereIsAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, port, dials := bubble(t), newPipes(), 0
		cfg.Listen = func(context.Context, string, string) (net.Listener, error) { return port, nil }
		cfg.Dial = func(context.Context, string, string) (net.Conn, error) {
			dials++
			return nil, errors.New("refused")
		}
		e, err := Listen(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		e.Send(3, ballot(1))
		synctest.Wait()
		e.Send(3, ballot(2)) // waits for the end of a pause; meanwhile 3 comes by itself
		ours, theirs := net.Pipe()
		defer ours.Close()
		port.callers <- theirs
		if _, err := ours.Write(hello(3)); err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = ours.Read(make([]byte, 1000)) }()
		time.Sleep(time.Minute)
		if dials != 1 {
			t.Errorf("%d dials, want 1", dials)
		}
	})
}

func TestAConnectionEndsTheGrowthOfPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var theirs net.Conn
		up := false
		e, _, dials := paused(t, func() net.Conn {
			mu.Lock()
			defer mu.Unlock()
			if !up {
				return nil
			}
			ours, other := net.Pipe()
			theirs = other
			return ours
		})
		defer e.Close()
		mu.Lock()
		up = true
		mu.Unlock()
		time.Sleep(maxPause)
		e.Send(1, ballot(1))
		before := dials()
		for range 2 { // the greeting, and the vote
			if _, err := theirs.Read(make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
		}
		theirs.Close()
		synctest.Wait()
		e.Send(1, ballot(1))
		time.Sleep(minPause + time.Millisecond)
		if n := dials() - before; n != 1 {
			t.Errorf("%d dials within %v after a connection was lost, want 1", n, minPause)
		}
	})
}

func TestAServerThatLeftTheViewIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := bubble(t)
		cfg.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("refused") }
		e, err := Listen(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		e.Send(1, ballot(1))
		e.Send(3, ballot(1))
		synctest.Wait()
		e.SetViews(viewOf(t, map[zab.ServerID]zab.Addr{3: {Host: "zoo3", Port: 3888}}), nil)
		if e.peers[1] != nil || e.peers[3] == nil {
			t.Errorf("peers %v, want 3 only", e.peers)
		}
	})
}

func TestAVoteIsForTheLatestConnection(t *testing.T) {
	p := &peer{e: &Election{}, pending: []byte{1}}
	old := newConn(p, nil)
	p.conn = newConn(p, nil)
	if old.next() != nil || p.conn.next() == nil {
		t.Error("the connection that was replaced took the vote")
	}
}

func TestNobodyIsDialedButToSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, dials := bubble(t), 0
		cfg.Dial = func(context.Context, string, string) (net.Conn, error) {
			dials++
			return nil, errors.New("refused")
		}
		e, err := Listen(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		e.Send(1, ballot(1))
		time.Sleep(time.Hour)
		e.Close()
		if dials != 1 {
			t.Errorf("%d dials for one vote, want 1", dials)
		}
	})
}

func TestADialIsGivenUpInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, ended := bubble(t), time.Duration(0)
		begin := time.Now()
		cfg.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			ended = time.Since(begin)
			return nil, ctx.Err()
		}
		e, err := Listen(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		e.Send(1, ballot(1))
		time.Sleep(time.Minute)
		e.Close()
		if ended != 5*time.Second {
			t.Errorf("given up after %v, want 5s", ended)
		}
	})
}

func TestASlowAddressDoesNotHoldUpTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := bubble(t)
		two := zab.Member{ID: 1, Peers: []zab.PeerAddr{{Host: "a", QuorumPort: 1, ElectionPort: 2}, {Host: "b", QuorumPort: 1, ElectionPort: 2}}}
		var err error
		if cfg.View, err = zab.NewView([]zab.Member{two, *cfg.View.Member(2)}, nil, nil, 0); err != nil {
			t.Fatal(err)
		}
		ours, theirs := net.Pipe()
		begin := time.Now()
		cfg.Dial = func(ctx context.Context, _, addr string) (net.Conn, error) {
			if addr == "a:2" {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return ours, nil
		}
		e, err := Listen(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		e.Send(1, ballot(1))
		want := hello(2, zab.Addr{Host: "zoo2", Port: 3888})
		got := make([]byte, len(want))
		if n, err := theirs.Read(got); err != nil || !slices.Equal(got[:n], want) {
			t.Errorf("heard %x, %v", got[:n], err)
		}
		if d := time.Since(begin); d != 250*time.Millisecond {
			t.Errorf("the second address was tried after %v", d)
		}
		e.Close()
	})
}

func TestBindIsTriedAgain(t *testing.T) {
	tests := []struct {
		name            string
		retries, busy   int
		tries           int
		wantErr, closed bool
		after           time.Duration
	}{
		{"three times where nothing is said", 0, 2, 3, false, false, 2 * time.Second},
		{"and no more", 0, 3, 3, true, false, 2 * time.Second},
		{"as often as is said", 5, 9, 5, true, false, 4 * time.Second},
		{"for ever", -1, 100, 101, false, false, 100 * time.Second},
		{"until nobody wants it any more", -1, 1 << 30, 10, true, true, 9500 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg, tries, begin := bubble(t), 0, time.Now()
				cfg.BindRetries = tt.retries
				cfg.Listen = func(context.Context, string, string) (net.Listener, error) {
					if tries++; tries <= tt.busy {
						return nil, errors.New("address already in use")
					}
					return newPipes(), nil
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.closed {
					time.AfterFunc(tt.after, cancel)
				}
				e, err := Listen(ctx, cfg)
				if (err != nil) != tt.wantErr || tries != tt.tries || time.Since(begin) != tt.after {
					t.Errorf("%v after %d tries and %v", err, tries, time.Since(begin))
				}
				if err == nil {
					e.Close()
				}
			})
		})
	}
}

// flaky is a listener that fails sometimes.
type flaky struct {
	net.Listener
	fails atomic.Int32
}

func (f *flaky) Accept() (net.Conn, error) {
	if f.fails.Add(-1) >= 0 {
		return nil, errors.New("too many open files")
	}
	return f.Listener.Accept()
}

func TestTheListenerSurvivesErrors(t *testing.T) {
	s := newStation(t, 2, func(cfg *Config) {
		own := cfg.Listen
		cfg.Listen = func(ctx context.Context, network, addr string) (net.Listener, error) {
			l, err := own(ctx, network, addr)
			f := &flaky{Listener: l}
			f.fails.Store(2)
			return f, err
		}
	}, 3)
	s.call().say(hello(3)).say(frame(1))
	s.gets(3, 1)
}

// TestServersOfOursFindTogether: all send to all at once, from both sides of each connection, and go on;
// in the end there is one connection for each two, and the last vote of each has arrived everywhere.
func TestServersOfOursFindTogether(t *testing.T) {
	const servers, last = 4, 20
	listeners, addrs := map[zab.ServerID]net.Listener{}, map[zab.ServerID]zab.Addr{}
	for id := zab.ServerID(1); id <= servers; id++ {
		listeners[id] = listen(t)
		addrs[id] = addrOf(listeners[id])
	}
	var dials atomic.Int32
	var mu sync.Mutex
	latest := map[[2]zab.ServerID]int64{}
	stations := map[zab.ServerID]*station{}
	for id := zab.ServerID(1); id <= servers; id++ {
		e, err := Listen(t.Context(), Config{
			ID: id, Addrs: []zab.Addr{addrs[id]}, View: viewOf(t, addrs),
			Listen: func(context.Context, string, string) (net.Listener, error) { return listeners[id], nil },
			Receive: func(from zab.ServerID, n wire.Notification) {
				mu.Lock()
				defer mu.Unlock()
				latest[[2]zab.ServerID{from, id}] = n.Round
			},
			Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				dials.Add(1)
				return (&net.Dialer{}).DialContext(ctx, network, addr)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Close)
		stations[id] = &station{Election: e, t: t}
	}
	var senders sync.WaitGroup
	for id, s := range stations {
		senders.Go(func() {
			for round := int64(1); round <= last; round++ {
				for to := range stations {
					s.Send(to, ballot(round))
				}
				time.Sleep(time.Duration(id) * time.Millisecond) // the load, not synchronisation
			}
		})
	}
	senders.Wait()
	eventually(t, "every last vote is everywhere", func() bool {
		mu.Lock()
		defer mu.Unlock()
		arrived := 0
		for _, round := range latest {
			if round == last {
				arrived++
			}
		}
		return arrived == servers*(servers-1)
	})
	for id, s := range stations {
		for to := range stations {
			eventually(t, fmt.Sprintf("%v has a connection to %d", s, to), func() bool { return id == to || s.connected(to) })
		}
	}
	if n := dials.Load(); n > 10*servers*servers {
		t.Errorf("%d dials for %d pairs: a storm", n, servers*(servers-1)/2)
	}
}
