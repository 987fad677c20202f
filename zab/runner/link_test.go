package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"paddock/wire"
	"paddock/zab"
)

// bench is a runner that is not started: a test takes the place of its loop.
func newBench(t *testing.T, tune func(*Config)) (*Runner, *memStore) {
	t.Helper()
	goroutines := runtime.NumGoroutine()
	cfg := Config{Log: testLog(), Peer: zab.Config{ID: 1, View: testView(t, 3, 0), TickMS: 100, InitTicks: 50, SyncTicks: 20}}
	if tune != nil {
		tune(&cfg)
	}
	s := newMemStore(t, nil)
	s.r = New(cfg, s.recovered(), s)
	t.Cleanup(func() {
		s.stop()
		s.r.closePorts()
		s.r.tasks.Wait()
		noMoreThan(t, goroutines)
	})
	return s.r, s
}

// connected returns a link of r and the other end of it.
func connected(t *testing.T, r *Runner, dialed bool) (*link, *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	there, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { there.Close() })
	here, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	l := r.newLink(here, dialed)
	if !dialed {
		r.strangers.Add(1)
		l.stranger.Store(true)
	}
	if err := r.opened(l, 10); err != nil {
		t.Fatal(err)
	}
	return l, there.(*net.TCPConn)
}

// next returns the next letters of a runner whose loop does not run.
func next(t *testing.T, r *Runner) []letter {
	t.Helper()
	for {
		if got := r.box.take(nil); len(got) > 0 {
			return got
		}
		select {
		case <-r.box.wake:
		case <-time.After(10 * time.Second):
			t.Fatal("nothing happens")
		}
	}
}

func packet(typ wire.PacketType, zxid wire.Zxid, data string) wire.Packet {
	p := wire.Packet{Type: typ, Zxid: zxid}
	if data != "" {
		p.Data = []byte(data)
	}
	return p
}

func (q *queue) flush(packets ...wire.Packet) bool {
	ok := true
	for i := range packets {
		ok = q.packet(&packets[i]) && ok
	}
	q.ring()
	return ok
}

// readPackets reads n packets.
func readPackets(t *testing.T, conn net.Conn, n int) []wire.Packet {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	var got []wire.Packet
	var b []byte
	for buf := make([]byte, 4096); len(got) < n; {
		k, err := conn.Read(buf)
		if err != nil {
			t.Fatalf("after %d of %d packets: %v", len(got), n, err)
		}
		for b = append(b, buf[:k]...); ; {
			p, used, err := wire.NextPacket(b, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if used == 0 {
				break
			}
			p.Data = bytes.Clone(p.Data)
			got, b = append(got, p), b[used:]
		}
	}
	if len(b) > 0 || len(got) > n {
		t.Fatalf("%d packets and %d bytes more than %d", len(got)-n, len(b), n)
	}
	return got
}

func describe(packets []wire.Packet) string {
	s := ""
	for _, p := range packets {
		s += fmt.Sprintf("%v %v %.4s;", p.Type, p.Zxid, p.Data)
	}
	return s
}

func TestPacketsAreReadHoweverTheyAreCut(t *testing.T) {
	big := string(bytes.Repeat([]byte("x"), 3*inboundBytes))
	packets := []wire.Packet{packet(wire.PacketAck, 1, ""), packet(wire.PacketRequest, -1, "body"), packet(wire.PacketPing, 7, big), packet(wire.PacketAck, 2, "")}
	var stream []byte
	for i := range packets {
		stream = packets[i].Append(stream)
	}
	for _, piece := range []int{1, 7, 1000, len(stream)} {
		t.Run(fmt.Sprintf("in pieces of %d", piece), func(t *testing.T) {
			r, _ := newBench(t, nil)
			l, there := connected(t, r, true)
			go func() {
				for b := stream; len(b) > 0; {
					n := min(piece, len(b))
					if n == 1 && len(b) > 200 && len(b) < len(stream)-200 {
						n = len(b) - 200 // not each byte of the large one
					}
					there.Write(b[:n])
					b = b[n:]
				}
			}()
			var got []wire.Packet
			for len(got) < len(packets) {
				for _, m := range next(t, r) {
					if m.ev.Kind != zab.EventPacket || m.link != l {
						t.Fatalf("event %d: %v", m.ev.Kind, m.err)
					}
					for _, p := range m.in.packets {
						p.Data = bytes.Clone(p.Data)
						got = append(got, p)
					}
					l.giveBack(m.in)
				}
			}
			if describe(got) != describe(packets) {
				t.Errorf("got %s, want %s", describe(got), describe(packets))
			}
			if !bytes.Equal(got[2].Data, packets[2].Data) {
				t.Errorf("%d bytes of data are not what was sent", len(packets[2].Data))
			}
		})
	}
}

func TestAStreamBehindSnapGoesToTheReceiver(t *testing.T) {
	r, s := newBench(t, nil)
	l, there := connected(t, r, true)
	from := newMemStore(t, nil)
	defer from.stop()
	from.tree = memTree{9, make([]uint64, 20_000)}
	from.tree.values[19_999] = 42
	var stream []byte
	for _, p := range []wire.Packet{packet(wire.PacketPing, 9, "before"), packet(wire.PacketSnap, 9, "")} {
		stream = p.Append(stream)
	}
	from.r = r
	from.OpenSnapshot(l.name)
	opened := next(t, r)[0]
	raw, err := io.ReadAll(opened.snapshot)
	if err != nil {
		t.Fatal(err)
	}
	stream = append(stream, raw...)
	after := packet(wire.PacketNewLeader, 5, "view")
	stream = after.Append(stream)
	go there.Write(stream)

	var kinds []string
	for len(kinds) < 3 {
		for _, m := range next(t, r) {
			switch m.ev.Kind {
			case zab.EventProgress:
				continue
			case zab.EventPacket:
				kinds = append(kinds, describe(m.in.packets))
				snap := m.in.packets[len(m.in.packets)-1].Type == wire.PacketSnap
				l.giveBack(m.in)
				if snap {
					l.receiver <- s.Receive(l.name, 9)
				}
			case zab.EventSnapshotReceived:
				kinds = append(kinds, fmt.Sprintf("received %v", m.ev.Zxid))
			default:
				t.Fatalf("event %d: %v", m.ev.Kind, m.err)
			}
		}
	}
	want := "[PING 0x9 befo;SNAP 0x9 ; received 0x9 NEWLEADER 0x5 view;]"
	if got := fmt.Sprint(kinds); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if n := len(s.received.values); n != 20_000 || s.received.values[n-1] != 42 {
		t.Errorf("%d values were received, want 20000", n)
	}
}

func TestWhoDoesNotReadIsCut(t *testing.T) {
	for name, bound := range map[string]func(*Config){
		"at the bound of its queue":  func(c *Config) { c.QueueBytes = 1 << 20 },
		"at the deadline of a write": func(c *Config) { c.Peer.TickMS, c.Peer.InitTicks = 10, 10 },
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := newBench(t, bound)
			slow, conn := connected(t, r, true)
			conn.SetReadBuffer(4096)
			other, reads := connected(t, r, true)
			data := string(make([]byte, 100_000))
			for sent := 0; !slow.over(); sent++ {
				if ok := slow.out.flush(packet(wire.PacketProposal, wire.Zxid(sent), data)); !ok && r.cfg.QueueBytes == 1<<20 {
					slow.fail(errQueueFull)
				}
				if sent%100 == 0 {
					if !other.out.flush(packet(wire.PacketPing, wire.Zxid(sent), "")) {
						t.Fatal("the link of who reads is over")
					}
					readPackets(t, reads, 1)
				}
				if sent > 1_000_000 {
					t.Fatal("it is never cut")
				}
			}
			m := next(t, r)
			if len(m) != 1 || m[0].ev.Kind != zab.EventLost || m[0].link != slow {
				t.Fatalf("got %d letters, the first of kind %d, want one EventLost", len(m), m[0].ev.Kind)
			}
		})
	}
}

func TestRangesAreReadWhenTheSocketIsReady(t *testing.T) {
	r, s := newBench(t, nil)
	const last = 5000
	for z := wire.Zxid(1); z <= last; z++ {
		s.Append(z, bytes.Repeat([]byte{byte(z)}, 1000))
	}
	l, there := connected(t, r, true)
	for z := wire.Zxid(0); z < 4000; z++ { // these become one
		if !l.out.ranged(itemStream, z, z+1) {
			t.Fatal("the queue is over")
		}
	}
	for _, it := range []item{{kind: itemPropose, from: 4000, to: last}, {kind: itemCommits, from: 4000, to: last}, {kind: itemInform, from: last - 1, to: last}} {
		l.out.ranged(it.kind, it.from, it.to)
	}
	if n := l.out.bytes(); n > 10*itemCost {
		t.Errorf("ranges take %d bytes of the queue", n)
	}
	l.out.flush(packet(wire.PacketPing, 5, ""))
	got := readPackets(t, there, 2*4000+1000+1000+2)
	for i, p := range got[:8000] {
		if z := wire.Zxid(i/2 + 1); p.Zxid != z || p.Type != []wire.PacketType{wire.PacketProposal, wire.PacketCommit}[i%2] {
			t.Fatalf("packet %d is %v %v", i, p.Type, p.Zxid)
		}
	}
	for i, p := range got[8000:9000] {
		if q := got[9000+i]; p.Type != wire.PacketProposal || q.Type != wire.PacketCommit || p.Zxid != wire.Zxid(4001+i) || q.Zxid != p.Zxid {
			t.Fatalf("packet %d is %v %v, and then %v %v", i, p.Type, p.Zxid, q.Type, q.Zxid)
		}
	}
	if end := describe(got[10_000:]); end != "INFORM 0x1388 \x88\x88\x88\x88;PING 0x5 ;" {
		t.Errorf("the end is %q", end)
	}
	waitEmpty(t, l)
}

// waitEmpty waits until the writer has accounted for all that it has written.
func waitEmpty(t *testing.T, l *link) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !l.out.eager() || l.out.bytes() != 0; {
		if time.Now().After(end) {
			t.Fatalf("%d bytes are still in the queue", l.out.bytes())
		}
		runtime.Gosched()
	}
}

func TestAHoleInTheStoreEndsTheLink(t *testing.T) {
	r, s := newBench(t, nil)
	for _, z := range []wire.Zxid{1, 2, 4} {
		s.log = append(s.log, memTxn{z, []byte("txn")})
	}
	l, _ := connected(t, r, true)
	l.out.ranged(itemPropose, 0, 4)
	l.out.ring()
	if m := next(t, r)[0]; m.ev.Kind != zab.EventLost {
		t.Errorf("event %d, want EventLost", m.ev.Kind)
	}
}

// closer is a snapshot that says when it is closed.
type closer struct {
	io.Reader
	closed chan struct{}
}

func (c closer) Close() error { close(c.closed); return nil }

func TestASnapshotIsClosedWhateverBecomesOfIt(t *testing.T) {
	endless := func() closer { return closer{zeros{}, make(chan struct{})} }
	isClosed := func(c closer) {
		t.Helper()
		select {
		case <-c.closed:
		case <-time.After(10 * time.Second):
			t.Error("it is not closed")
		}
	}
	t.Run("written", func(t *testing.T) {
		r, _ := newBench(t, nil)
		l, there := connected(t, r, true)
		s := closer{bytes.NewReader(make([]byte, 1000)), make(chan struct{})}
		l.out.stream(9, s)
		l.out.flush(packet(wire.PacketNewLeader, 1, ""))
		if n, err := io.ReadFull(there, make([]byte, 20+1000+20)); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
		isClosed(s)
	})
	t.Run("the link ends in the middle", func(t *testing.T) {
		r, _ := newBench(t, nil)
		l, there := connected(t, r, true)
		s := endless()
		l.out.stream(9, s)
		l.out.ring()
		io.ReadFull(there, make([]byte, 1<<20))
		l.end()
		isClosed(s)
	})
	t.Run("it waits behind another", func(t *testing.T) {
		r, _ := newBench(t, nil)
		l, there := connected(t, r, true)
		first, second := endless(), endless()
		l.out.stream(9, first)
		l.out.ring()
		io.ReadFull(there, make([]byte, 1<<20))
		l.out.stream(9, second)
		l.end()
		isClosed(first)
		isClosed(second)
	})
	t.Run("the runner ends first", func(t *testing.T) {
		r, _ := newBench(t, nil)
		r.box.close()
		s := endless()
		r.SnapshotOpened(1, 9, s, nil)
		isClosed(s)
	})
	t.Run("its link is gone", func(t *testing.T) {
		r, _ := newBench(t, nil)
		s := endless()
		r.SnapshotOpened(1, 9, s, nil)
		for _, m := range next(t, r) {
			r.handle(&m)
		}
		isClosed(s)
	})
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func TestStrangersAreFewAndNotForLong(t *testing.T) {
	t.Run("who says nothing is sent away", func(t *testing.T) {
		r, _ := newBench(t, func(c *Config) { c.HandshakeMS = 50 })
		_, there := connected(t, r, false)
		if m := next(t, r)[0]; m.ev.Kind != zab.EventLost {
			t.Errorf("event %d, want EventLost", m.ev.Kind)
		}
		if _, err := there.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the connection: %v, want EOF", err)
		}
	})
	t.Run("who says a part of it is sent away too", func(t *testing.T) {
		r, _ := newBench(t, func(c *Config) { c.HandshakeMS = 50 })
		_, there := connected(t, r, false)
		there.Write([]byte{0, 0, 0, 11, 0})
		if m := next(t, r)[0]; m.ev.Kind != zab.EventLost {
			t.Errorf("event %d, want EventLost", m.ev.Kind)
		}
	})
	t.Run("there are only so many, and who says who it is makes room", func(t *testing.T) {
		r, _ := newBench(t, func(c *Config) { c.MaxStrangers = 1 })
		if err := r.listen(context.Background()); err != nil {
			t.Fatal(err)
		}
		dial := func() net.Conn {
			conn, err := net.Dial("tcp", r.listeners[0].Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			return conn
		}
		first, second := dial(), dial()
		if _, err := second.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the second connection: %v, want EOF", err)
		}
		hello := packet(wire.PacketFollowerInfo, 0, "")
		first.Write(hello.Append(nil))
		if m := next(t, r)[0]; m.ev.Kind != zab.EventAccepted {
			t.Errorf("event %d, want EventAccepted", m.ev.Kind)
		}
		third := dial()
		third.Write(hello.Append(nil))
		if m := next(t, r)[0]; m.ev.Kind != zab.EventAccepted {
			t.Errorf("event %d, want EventAccepted", m.ev.Kind)
		}
	})
}

func TestRubbishEndsItsLinkOnly(t *testing.T) {
	r, _ := newBench(t, nil)
	l, there := connected(t, r, false)
	there.Write(bytes.Repeat([]byte{0x7f}, 100))
	if m := next(t, r)[0]; m.ev.Kind != zab.EventLost || m.link != l || !errors.Is(m.err, wire.ErrPacketLength) {
		t.Errorf("event %d, %v, want EventLost for its length", m.ev.Kind, m.err)
	}
}

// What a leader proposes is logged as it comes, so it is looked at when it is read. What came before it counts.
func TestATransactionThatIsNoneEndsTheLinkToTheLeader(t *testing.T) {
	good := (&wire.SetDataTxn{Path: []byte("/a"), Data: []byte("x")}).Append(txnOf(7, wire.OpSetData))
	withLeader := func(txn []byte) []byte { return (&wire.InformAndActivate{Leader: 2, Txn: txn}).Append(nil) }
	for name, c := range map[string]struct {
		typ  wire.PacketType
		data []byte
		want error
	}{
		"a proposal without data":                 {wire.PacketProposal, nil, wire.ErrShort},
		"a proposal whose body is cut":            {wire.PacketProposal, good[:len(good)-5], wire.ErrLength},
		"a proposal of a type that there is not":  {wire.PacketProposal, txnOf(7, 99), wire.ErrTxnType},
		"a check alone":                           {wire.PacketProposal, txnOf(7, wire.OpCheck), wire.ErrTxnType},
		"a proposal of another zxid":              {wire.PacketProposal, append(txnOf(8, wire.OpError), 0, 0, 0, 1), errOtherZxid},
		"an INFORM whose body is cut":             {wire.PacketInform, good[:len(good)-5], wire.ErrLength},
		"an INFORMANDACTIVATE without a leader":   {wire.PacketInformAndActivate, []byte{1}, wire.ErrShort},
		"an INFORMANDACTIVATE whose txn is short": {wire.PacketInformAndActivate, withLeader(good[:40]), wire.ErrShort},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := newBench(t, nil)
			l, there := connected(t, r, true)
			whole := packet(wire.PacketProposal, 7, string(good))
			ping := packet(wire.PacketPing, 1, "")
			bad := wire.Packet{Type: c.typ, Zxid: 7, Data: c.data}
			there.Write(ping.Append(bad.Append(whole.Append(nil))))
			var got []wire.PacketType
			for {
				for _, m := range next(t, r) {
					switch m.ev.Kind {
					case zab.EventPacket:
						for _, p := range m.in.packets {
							got = append(got, p.Type)
						}
						l.giveBack(m.in)
						continue
					case zab.EventLost:
						if !errors.Is(m.err, c.want) || fmt.Sprint(got) != "[PROPOSAL]" {
							t.Errorf("after %v: %v, want %v after one proposal", got, m.err, c.want)
						}
						return
					}
				}
			}
		})
	}
}

func txnOf(zxid wire.Zxid, typ wire.Op) []byte {
	return (&wire.TxnHeader{Zxid: zxid, Type: typ}).Append(nil)
}

// A reconfiguration, and what failed, are transactions like all others.
func TestEveryTransactionOfALeaderIsRead(t *testing.T) {
	part, mark := wire.BeginMultiTxn(txnOf(1, wire.OpMulti))
	for name, txn := range map[string][]byte{
		"reconfig":                 (&wire.SetDataTxn{Path: []byte("/zookeeper/config"), Version: -1}).Append(txnOf(1, wire.OpReconfig)),
		"error":                    (&wire.ErrorTxn{Err: -101}).Append(txnOf(1, wire.OpError)),
		"a multi of nothing":       wire.EndMultiTxn(part, mark, 0),
		"closeSession of Java 3.5": txnOf(1, wire.OpCloseSession),
	} {
		for _, p := range []wire.Packet{
			{Type: wire.PacketProposal, Zxid: 1, Data: txn},
			{Type: wire.PacketInform, Zxid: 1, Data: wire.AppendDigest(txn, wire.TxnDigest{Version: 2})},
			{Type: wire.PacketInformAndActivate, Zxid: 1, Data: (&wire.InformAndActivate{Txn: txn}).Append(nil)},
		} {
			if err := verify(&p); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestDialsRaceAndTheFirstWins(t *testing.T) {
	r, _ := newBench(t, func(c *Config) {
		c.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			switch addr {
			case "hangs:1":
				<-ctx.Done()
				return nil, ctx.Err()
			case "fails:1":
				return nil, errors.New("refused")
			}
			a, b := net.Pipe()
			b.Close()
			return a, nil
		}
	})
	peers := func(hosts ...string) (p []zab.PeerAddr) {
		for _, h := range hosts {
			p = append(p, zab.PeerAddr{Host: h, QuorumPort: 1})
		}
		return p
	}
	conn, err := r.race(t.Context(), peers("hangs", "fails", "works"))
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if conn, err := r.race(t.Context(), peers("fails", "fails")); err == nil {
		conn.Close()
		t.Error("connected, want an error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.race(ctx, peers("hangs")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestOnlyTheLastDialCounts(t *testing.T) {
	r, _ := newBench(t, nil)
	r.dial(9) // not in the view
	r.dial(9)
	got := next(t, r)
	for len(got) < 2 {
		got = append(got, next(t, r)...)
	}
	counted := 0
	for _, m := range got {
		if m.ev.Kind != zab.EventDialFailed {
			t.Fatalf("event %d, want EventDialFailed", m.ev.Kind)
		}
		if m.dial == r.dials {
			counted++
		}
	}
	if counted != 1 {
		t.Errorf("%d of the two dials count, want 1", counted)
	}
}

// An observer does not listen. When it gets a vote it may have to lead.
func TestWhoGetsAVoteListens(t *testing.T) {
	r, _ := newBench(t, nil)
	port := freePorts(t, 1)[0]
	view, err := zab.NewView([]zab.Member{{ID: r.cfg.Peer.ID, Peers: []zab.PeerAddr{{Host: "127.0.0.1", QuorumPort: port, ElectionPort: port + 1}}}}, nil, nil, 5)
	if err != nil {
		t.Fatal(err)
	}
	r.peer = zab.NewPeer(zab.Config{ID: r.cfg.Peer.ID, View: view}, zab.Recovered{})
	before := len(r.bound)
	r.newView(&zab.Action{Kind: zab.ActionView, View: view})
	r.newView(&zab.Action{Kind: zab.ActionView, View: view}) // once
	if len(r.bound) != before+1 {
		t.Fatalf("%d addresses are bound, want one more than %d", len(r.bound), before)
	}
	for began := time.Now(); ; time.Sleep(time.Millisecond) { // a goroutine of its own binds it
		conn, err := net.Dial("tcp", r.bound[before])
		if err == nil {
			conn.Close()
			return
		}
		if time.Since(began) > 10*time.Second {
			t.Fatal(err)
		}
	}
}

func TestADialEndsWithTheRoleThatWantedIt(t *testing.T) {
	r, _ := newBench(t, func(c *Config) {
		c.Dial = func(ctx context.Context, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	r.dial(2)
	r.rest("a test")
	m := next(t, r)[0]
	if m.ev.Kind != zab.EventDialFailed || !errors.Is(m.err, context.Canceled) || m.dial == r.dials {
		t.Errorf("event %d, %v, dial %d of %d: want one that was cancelled and does not count", m.ev.Kind, m.err, m.dial, r.dials)
	}
}

func TestAPacketIsNotSentBeforeWhatItNeedsIsDurable(t *testing.T) {
	for name, a := range map[string]zab.Action{
		"the log":   {Kind: zab.ActionSend, After: 5},
		"a promise": {Kind: zab.ActionSend, Need: zab.Epochs{Accepted: 1}},
		"an epoch":  {Kind: zab.ActionSend, Need: zab.Epochs{Current: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := newBench(t, nil)
			l, _ := connected(t, r, true)
			r.links[l.name] = l
			a.Link = l.name
			r.do(&a)
			if r.fault == nil || !r.stopped || l.out.bytes() != 0 {
				t.Errorf("fault %v, %d bytes queued; want the end, and nothing sent", r.fault, l.out.bytes())
			}
			r, _ = newBench(t, nil)
			l, _ = connected(t, r, true)
			r.links[l.name] = l
			a.Link = l.name
			for _, ev := range []zab.Event{{Kind: zab.EventDurable, Zxid: 5}, {Kind: zab.EventEpochsSaved, Epochs: zab.Epochs{Accepted: 1, Current: 1}}} {
				r.account(&ev)
			}
			if r.do(&a); r.fault != nil || l.out.bytes() == 0 {
				t.Errorf("fault %v, %d bytes queued; want it sent", r.fault, l.out.bytes())
			}
		})
	}
}

func TestWhatWasMadeForAnotherLeadershipIsNotProposed(t *testing.T) {
	r, s := newBench(t, nil)
	s.made = []memTxn{{0x100000001, []byte("txn")}}
	r.proposed(zab.Event{Kind: zab.EventProposed, Zxid: 0x100000001})
	r.leads = 2
	r.proposed(zab.Event{Kind: zab.EventProposed, Zxid: 0x100000001})
	if len(s.log) != 0 {
		t.Errorf("%d transactions were logged, want none", len(s.log))
	}
}

func TestLettersThatSayTheSameBecomeOne(t *testing.T) {
	m := newMailbox()
	post := func(kind zab.EventKind, z wire.Zxid) { m.post(letter{ev: zab.Event{Kind: kind, Zxid: z}}) }
	post(zab.EventDurable, 1)
	post(zab.EventDurable, 2)
	post(zab.EventProposed, 3)
	post(zab.EventProposed, 4)
	post(zab.EventProposed, 0x100000001)
	post(zab.EventTruncated, 1)
	post(zab.EventDurable, 2)
	got := ""
	for _, l := range m.take(nil) {
		got += fmt.Sprintf("%d:%v ", l.ev.Kind, l.ev.Zxid)
	}
	want := fmt.Sprintf("%d:0x2 %d:0x4 %d:0x100000001 %d:0x1 %d:0x2 ", zab.EventDurable, zab.EventProposed, zab.EventProposed, zab.EventTruncated, zab.EventDurable)
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTheWayOfAPacketAllocatesNothing(t *testing.T) {
	r, _ := newBench(t, nil)
	l, there := connected(t, r, true)
	q := wire.ForwardedRequest{SessionID: 1, Op: wire.OpSetData, Body: make([]byte, 100)}
	auth := wire.BuildAuth(wire.AuthID{Scheme: []byte("ip"), ID: []byte("127.0.0.1")})
	r.up.Store(&upstream{l, 1})
	set := wire.SetDataTxn{Path: []byte("/a"), Data: make([]byte, 100)}
	p := packet(wire.PacketProposal, 1, string(set.Append(txnOf(1, wire.OpSetData))))
	back := p.Append(nil)
	buf := make([]byte, 1<<16)
	var letters []letter
	turn := func() {
		if !r.Forward(1, &q, auth) {
			t.Fatal("not forwarded")
		}
		there.Read(buf)
		there.Write(back)
		<-r.box.wake
		letters = r.box.take(letters)
		for i := range letters {
			l.giveBack(letters[i].in)
		}
	}
	if n := testing.AllocsPerRun(500, turn); n > 0 {
		t.Errorf("%v allocations for a request out and a packet in, want 0", n)
	}
}

func TestForwardedRequestsAreWhatTheLeaderReads(t *testing.T) {
	for name, auth := range map[string]wire.AuthVec{"with identities": wire.BuildAuth(wire.AuthID{Scheme: []byte("ip"), ID: []byte("::1")}), "without": nil} {
		t.Run(name, func(t *testing.T) {
			q := wire.ForwardedRequest{SessionID: 5, Cxid: 6, Op: wire.OpCreate, Body: []byte("body")}
			p := wire.Packet{Type: wire.PacketRequest, Zxid: -1, Data: q.Append(nil), AuthInfo: auth}
			if got, want := appendRequest(nil, &q, auth), p.Append(nil); !bytes.Equal(got, want) {
				t.Errorf("got  %x\nwant %x", got, want)
			}
		})
	}
}
