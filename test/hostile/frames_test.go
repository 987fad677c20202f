package hostile

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"paddock/test/harness"
	"paddock/wire"
)

const maxFrame = 0xfffff // jute.maxbuffer unless set

// awaitEnd reads until the server closes the connection.
func awaitEnd(c *client, within time.Duration) error {
	deadline := time.Now().Add(within)
	c.Timeout = within
	for time.Now().Before(deadline) {
		if _, err := c.ReadFrame(); errors.Is(err, harness.ErrClosed) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return fmt.Errorf("still open after %v", within)
}

func TestFrameLimits(t *testing.T) {
	s := start(t, nil)
	before := descriptors(t, s)
	h := beHonest(t, s)
	getData := func(total int) harness.Bytes { // a getData whose frame is that long: what follows it is ignored
		b := harness.Bytes(nil).Int(7).Int(4).Str("/honest").Bool(false)
		return append(b, make([]byte, total-len(b))...).Frame()
	}
	for _, tc := range []struct {
		name    string
		session bool
		bytes   harness.Bytes
		closed  bool
	}{
		{"a frame of jute.maxbuffer bytes is answered", true, getData(maxFrame), false},
		{"one byte more is not", true, getData(maxFrame + 1), true},
		{"it is refused by its length alone", true, harness.Bytes(nil).Int(maxFrame + 1), true},
		{"2 GiB are refused", true, harness.Bytes(nil).Int(1<<31 - 1), true},
		{"a negative length is refused", true, harness.Bytes(nil).Int(-1), true},
		{"the most negative length is refused", true, harness.Bytes(nil).Int(-1 << 31), true},
		{"an empty frame is refused", true, harness.Bytes(nil).Int(0), true},
		{"a header cut short is refused", true, harness.Bytes("1234567").Frame(), true},
		{"the same before the handshake", false, harness.Bytes(nil).Int(-5), true},
		{"an empty handshake is refused", false, harness.Bytes(nil).Int(0), true},
		{"a handshake of 8 KiB and a byte is refused", false, harness.Bytes(nil).Int(8<<10 + 1), true},
		{"a handshake that is noise is refused", false, harness.Bytes(strings.Repeat("\xff", 45)).Frame(), true},
		{"a handshake cut short is refused", false, harness.Bytes(make([]byte, 10)).Frame(), true},
		{"a request instead of a handshake is refused", false, frame(1, wire.OpGetData, readBody("/", false)), true},
		{"HTTP is refused", false, harness.Bytes("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), true},
		{"TLS is refused", false, harness.Bytes("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), true},
	} {
		t.Run(strings.ReplaceAll(tc.name, " ", "-"), func(t *testing.T) {
			c := dial(t, s)
			if tc.session {
				c.Close()
				c = open(t, s, 2000)
			}
			defer c.Close()
			if err := c.Write(tc.bytes); err != nil && !tc.closed {
				t.Fatal(err)
			}
			if tc.closed {
				if err := awaitEnd(c, 5*time.Second); err != nil {
					t.Error(err)
				}
				return
			}
			if r, err := c.ReadReply(); err != nil || r.Err != 0 || r.Xid != 7 {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
	h.noticedNothing(250 * time.Millisecond)
	cleanUp(t, s, before+1) // the honest session's own may still be there
}

func TestJuteMaxBufferIsObeyed(t *testing.T) {
	s := start(t, harness.Settings{"jute.maxbuffer": "5000"})
	fit := harness.Bytes(nil).Int(7).Int(4).Str("/").Bool(false)
	for _, tc := range []struct {
		length int
		closed bool
	}{{5000, false}, {5001, true}} {
		c := open(t, s, 2000)
		b := append(harness.Bytes(nil), fit...)
		if err := c.Write(append(b, make([]byte, tc.length-len(b))...).Frame()); err != nil {
			t.Fatal(err)
		}
		if _, err := c.ReadReply(); errors.Is(err, harness.ErrClosed) != tc.closed {
			t.Errorf("%d bytes: %v, want closed %v", tc.length, err, tc.closed)
		}
	}
}

func TestUnknownOperationsAreRefused(t *testing.T) {
	t.Parallel() // nothing is measured here
	s := start(t, nil)
	before := descriptors(t, s)
	for _, op := range []int32{-1, -2, -10, -11, 10, 13, 20, 23, 50, 99, 999, 1 << 30, -1 << 31} {
		c := open(t, s, 2000)
		if err := c.Write(frame(5, wire.Op(op), nil)); err != nil {
			t.Fatal(err)
		}
		r, err := c.ReadReply()
		switch {
		case op == -11: // what a client that says goodbye sends
			if err != nil || r.Err != 0 {
				t.Errorf("op %d: %+v, %v", op, r, err)
			}
		case err != nil || r.Err != int32(wire.Unimplemented) || r.Xid != 5:
			t.Errorf("op %d: %+v, %v; want code %d", op, r, err, wire.Unimplemented)
		}
		if err := awaitEnd(c, 5*time.Second); err != nil {
			t.Errorf("op %d: %v", op, err)
		}
		c.Close()
	}
	cleanUp(t, s, before)
}

// A conversation arrives byte by byte, or in any other pieces, and is answered as if it had come whole.
func TestPiecesMakeNoDifference(t *testing.T) {
	t.Parallel() // nothing is measured here
	s := start(t, nil)
	talk := append(harness.Bytes(nil), harness.ConnectRequest{TimeoutMS: 2000, Passwd: make([]byte, 16)}.Bytes().Frame()...)
	talk = append(talk, frame(1, wire.OpCreate, createBody("/pieces", []byte("x"), 3))...)
	talk = append(talk, frame(2, wire.OpGetChildren, readBody("/", false))...)
	talk = append(talk, frame(-2, wire.OpPing, nil)...)
	talk = append(talk, frame(3, wire.OpGetData, readBody("/none", true))...)
	talk = append(talk, frame(4, wire.OpCloseSession, nil)...)
	rnd := rand.New(rand.NewPCG(1, 2))
	for name, piece := range map[string]func() int{
		"whole": func() int { return len(talk) }, "byte by byte": func() int { return 1 },
		"in odd pieces": func() int { return 1 + rnd.IntN(11) },
	} {
		c := dial(t, s)
		for rest := talk; len(rest) > 0; {
			n := min(piece(), len(rest))
			if err := c.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if r, err := c.ReadConnect(); err != nil || !r.Valid() {
			t.Fatalf("%s: %+v, %v", name, r, err)
		}
		for i, want := range []struct{ xid, err int32 }{{1, 0}, {2, 0}, {-2, 0}, {3, -101}, {4, 0}} {
			if r, err := c.ReadReply(); err != nil || r.Xid != want.xid || r.Err != want.err {
				t.Errorf("%s, reply %d: %+v, %v", name, i, r, err)
			}
		}
		if err := awaitEnd(c, 5*time.Second); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// badFrame draws what a client should never send.
func badFrame(r *rand.Rand) (b harness.Bytes, session bool) {
	noise := func(most int) harness.Bytes {
		n := harness.Bytes(make([]byte, r.IntN(most)))
		for i := range n {
			n[i] = byte(r.Uint32())
		}
		return n
	}
	ops := []wire.Op{
		wire.OpCreate, wire.OpDelete, wire.OpExists, wire.OpGetData, wire.OpSetData, wire.OpGetACL, wire.OpSetACL,
		wire.OpGetChildren, wire.OpSync, wire.OpGetChildren2, wire.OpMulti, wire.OpCreate2, wire.OpReconfig,
		wire.OpCheckWatches, wire.OpRemoveWatches, wire.OpCreateContainer, wire.OpCreateTTL, wire.OpMultiRead, wire.OpAuth,
		wire.OpSetWatches, wire.OpSASL, wire.OpGetEphemerals, wire.OpGetAllChildrenNumber, wire.OpSetWatches2, wire.OpAddWatch,
		wire.OpWhoAmI, wire.OpCheck, wire.OpError, wire.OpCreateSession, wire.OpDeleteContainer,
	}
	lengths := []int32{-1 << 31, -2, -1, 1 << 20, 1<<31 - 1, 0x7fffff00}
	paths := []string{"", "a", "/a/", "//", "/../a", "/a\x00b", "/\xff\xfe", "/\xed\xa0\x80", "/.", "/zookeeper", strings.Repeat("/x", 2000)}
	op := ops[r.IntN(len(ops))]
	path := paths[r.IntN(len(paths))]
	session = true
	head := harness.Bytes(nil).Int(int32(r.Uint32())).Int(int32(op))
	switch r.IntN(12) {
	case 0: // noise before the handshake
		return noise(200), false
	case 1: // a handshake with lengths that lie
		h := harness.Bytes(nil).Int(0).Long(int64(r.Uint64())).Int(int32(r.Uint32())).Long(int64(r.Uint64()))
		return h.Int(lengths[r.IntN(len(lengths))]).Raw(noise(40)...).Frame(), false
	case 2: // a frame length that lies
		return harness.Bytes(nil).Int(lengths[r.IntN(len(lengths))]).Raw(noise(50)...), r.IntN(2) == 0
	case 3: // a frame cut short by the end of the connection
		f := append(head, noise(100)...).Frame()
		return f[:r.IntN(len(f))], session
	case 4: // an operation over noise
		return append(head, noise(300)...).Frame(), session
	case 5: // a path that lies about its length
		return head.Int(lengths[r.IntN(len(lengths))]).Raw(noise(50)...).Frame(), session
	case 6: // a path that is none
		return head.Str(path).Raw(noise(20)...).Frame(), session
	case 7: // a vector of two thousand million
		return head.Str("/a").Buf(nil).Int(1<<31 - 1).Raw(noise(50)...).Frame(), session
	case 8: // a multi in a multi, and one that never ends
		m := harness.Bytes(nil).Int(1).Int(int32(wire.OpMulti)).Int(14).Bool(false).Int(-1)
		for range r.IntN(50) {
			m = m.Int(14).Bool(r.IntN(2) == 0).Int(int32(r.IntN(40) - 20))
		}
		return m.Raw(noise(30)...).Frame(), session
	case 9: // watches without end
		return harness.Bytes(nil).Int(-8).Int(int32(wire.OpSetWatches2)).Long(0).Int(lengths[r.IntN(len(lengths))]).Raw(noise(60)...).Frame(), session
	case 10: // an operation that does not exist
		return harness.Bytes(nil).Int(1).Int(int32(r.Uint32())).Raw(noise(30)...).Frame(), session
	default: // a good request with a byte turned
		f := frame(9, op, createBody("/a", []byte("data"), 0))
		f[4+r.IntN(len(f)-4)] ^= 1 << r.IntN(8)
		return f, session
	}
}

// Ten thousand frames of nonsense: each costs its sender at most the connection, and nobody else anything.
func TestTenThousandBadFrames(t *testing.T) {
	s := start(t, nil)
	h := beHonest(t, s)
	before, memBefore := descriptors(t, s), rss(t, s)
	most := memory(t, s)
	const seed, attackers = 20_260_101, 8
	n := pick(10_000, 200_000)
	errs := make(chan error, attackers)
	for a := range attackers {
		go func() { errs <- attack(s, rand.New(rand.NewPCG(seed, uint64(a))), n/attackers) }()
	}
	for range attackers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if !s.Alive() {
		t.Fatalf("the server is gone\n%s", s.LogTail())
	}
	h.noticedNothing(250 * time.Millisecond)
	cleanUp(t, s, before)
	t.Logf("%d bad frames, memory %d MiB before, %d at most", n, memBefore>>20, most()>>20)
	if most() > memBefore+200<<20 {
		t.Errorf("memory grew from %d to %d bytes", memBefore, most())
	}
}

// attack sends n bad frames, with a new connection whenever the old one was closed for them.
func attack(s *harness.Server, r *rand.Rand, n int) error {
	var c *harness.Conn
	defer func() {
		if c != nil {
			c.Close()
		}
	}()
	for range n {
		b, session := badFrame(r)
		if c == nil || !session {
			if c != nil {
				c.Close()
			}
			var err error
			if c, err = harness.Dial(s.Addr); err != nil {
				return err
			}
			if session {
				q := harness.ConnectRequest{TimeoutMS: 1000, Passwd: make([]byte, 16)}
				if _, err := c.Connect(q); err != nil {
					return fmt.Errorf("a session among bad frames: %w", err)
				}
			}
		}
		// A ping behind the frame: its answer, or the end of the connection, says that the frame was judged.
		if c.Write(append(b, frame(harness.XidPing, wire.OpPing, nil)...)) != nil || !judged(c) {
			c.Close()
			c = nil
		}
	}
	return nil
}

func judged(c *harness.Conn) bool {
	c.Timeout = 40 * time.Millisecond // a frame that lies about its length swallows the ping
	for {
		r, err := c.ReadReply()
		if err != nil {
			return false
		}
		if r.Xid == harness.XidPing {
			return true
		}
	}
}
