package znet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// However the bytes come in pieces, and whenever the handler pauses, the frames are the same.
func TestAnySplitGivesTheSameFrames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payloads := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 300), 1, 30).Draw(t, "payloads")
		var stream []byte
		for i, p := range payloads {
			if i == 0 && len(p) > 4 && isWord([4]byte(framed(p))) {
				t.Skip("a length that is a word")
			}
			stream = append(stream, framed(p)...)
		}
		m := newMachine(Config{})
		c, _ := m.connect()
		pauses := rapid.SliceOfN(rapid.Bool(), len(payloads), len(payloads)).Draw(t, "pauses")
		m.h.on = func(c *Conn, _ []byte) {
			c.Handshaken()
			if pauses[len(m.h.frames)-1] {
				c.Pause()
			}
		}
		for len(stream) > 0 {
			n := rapid.IntRange(1, len(stream)).Draw(t, "piece")
			m.feed(c, stream[:n])
			stream = stream[n:]
			if rapid.Bool().Draw(t, "resume") {
				c.Resume()
				m.l.endTurn()
			}
		}
		for range payloads {
			c.Resume()
			m.l.endTurn()
		}
		if len(m.h.frames) != len(payloads) {
			t.Fatalf("%d frames, want %d", len(m.h.frames), len(payloads))
		}
		for i, want := range payloads {
			if !bytes.Equal(m.h.frames[i], want) {
				t.Fatalf("frame %d: got %x, want %x", i, m.h.frames[i], want)
			}
		}
		if c.in != nil {
			t.Fatalf("all is served, and the connection still owns a buffer of %d bytes", cap(c.in))
		}
	})
}

func TestFrameLengths(t *testing.T) {
	const limit = 20_000
	length := func(n int64) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
	for _, tc := range []struct {
		name       string
		handshaken bool
		bytes      []byte
		frames     int
		closed     bool
	}{
		{"a frame of the limit is taken", true, framed(make([]byte, limit)), 1, false},
		{"one byte more is not", true, framed(make([]byte, limit+1)), 0, true},
		{"it is refused by its length alone", true, length(limit + 1), 0, true},
		{"a negative length is refused", true, length(-1), 0, true},
		{"the most negative one too", true, length(-1 << 31), 0, true},
		{"the largest length is refused", true, length(1<<31 - 1), 0, true},
		{"an empty frame is a frame", true, length(0), 1, false},
		{"a frame cut short waits", true, framed(make([]byte, 100))[:50], 0, false},
		{"three bytes are no length", true, []byte{0, 0, 0}, 0, false},
		{"a handshake of 8 KiB is taken", false, framed(make([]byte, maxHandshakeBytes)), 1, false},
		{"a handshake of one byte more is not", false, length(maxHandshakeBytes + 1), 0, true},
	} {
		m := newMachine(Config{MaxFrameBytes: limit})
		c, f := m.connect()
		if tc.handshaken {
			c.Handshaken()
		}
		m.feed(c, tc.bytes)
		if got := len(m.h.frames); got != tc.frames {
			t.Errorf("%s: %d frames, want %d", tc.name, got, tc.frames)
		}
		if f.closed != tc.closed || c.Closed() != tc.closed || m.h.closed != btoi(tc.closed) {
			t.Errorf("%s: closed is %v (told %d times), want %v", tc.name, f.closed, m.h.closed, tc.closed)
		}
		if got := m.l.stats.BadFrames; got != int64(btoi(tc.closed)) {
			t.Errorf("%s: %d bad frames counted", tc.name, got)
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestFourLetterWordsAreWordsOnlyBeforeTheHandshake(t *testing.T) {
	t.Run("a word in pieces", func(t *testing.T) {
		m := newMachine(Config{})
		c, f := m.connect()
		for _, b := range []byte("ruok\n") {
			m.feed(c, []byte{b})
		}
		if len(m.h.words) != 1 || string(f.sent) != "I hear ruok" || !f.closed {
			t.Errorf("words %q, answered %q, closed %v", m.h.words, f.sent, f.closed)
		}
	})
	t.Run("after the handshake it is a length, and far too large", func(t *testing.T) {
		m := newMachine(Config{})
		c, f := m.connect()
		c.Handshaken()
		m.feed(c, []byte("ruok"))
		if len(m.h.words) != 0 || !f.closed {
			t.Errorf("words %q, closed %v", m.h.words, f.closed)
		}
	})
	t.Run("what is no word is a length", func(t *testing.T) {
		m := newMachine(Config{})
		c, f := m.connect()
		m.feed(c, []byte("what"))
		if len(m.h.words) != 0 || !f.closed {
			t.Errorf("words %q, closed %v", m.h.words, f.closed)
		}
	})
}

func TestTheHandshakeHasATimeLimit(t *testing.T) {
	m := newMachine(Config{HandshakeMS: 1000})
	slow, f := m.connect()
	quick, g := m.connect()
	m.h.on = func(c *Conn, _ []byte) { c.Handshaken() }
	m.feed(quick, framed([]byte("hello")))
	hello := framed([]byte("hello, slowly"))
	for i := range 9 { // a byte now and then does not help
		m.feed(slow, hello[i:i+1])
		m.later(int64(i+1) * 110)
		if slow.Closed() {
			t.Fatalf("cut after %d ms", (i+1)*110)
		}
	}
	m.later(1000)
	if !f.closed || m.l.stats.HandshakeTimeouts != 1 {
		t.Errorf("closed %v, counted %d", f.closed, m.l.stats.HandshakeTimeouts)
	}
	m.later(100_000)
	if g.closed {
		t.Error("who has shaken hands was cut too")
	}
	if m.l.waiting.Load() {
		t.Error("nobody waits for time any more, and the clock still rings")
	}
}

// Who does not read is not served, and served again when it has read.
func TestTooMuchUnsentChokes(t *testing.T) {
	m := newMachine(Config{OutPauseBytes: 10_000, OutCutBytes: 1 << 20})
	c, f := m.connect()
	c.Handshaken()
	f.room = 0
	reply := make([]byte, 1000)
	m.h.on = func(c *Conn, _ []byte) { c.Send(reply) }
	one := framed([]byte("give"))
	for range 100 {
		m.feed(c, one)
	}
	if got := len(m.h.frames); got != 11 {
		t.Errorf("%d frames served with %d bytes unsent, want 11", got, c.Unsent())
	}
	if c.Interest() != 4 {
		t.Errorf("interest %d, want 4: it waits for its peer to read, and is not read", c.Interest())
	}
	f.read(3000)
	m.later(100)
	if got := len(m.h.frames); got != 11 {
		t.Errorf("%d frames served before half of it was read", got)
	}
	for i := range 20 {
		f.read(1 << 20)
		m.later(int64(200 + i))
	}
	if len(m.h.frames) != 100 || len(f.sent) != 100*len(reply) {
		t.Errorf("%d frames served, %d bytes sent; want 100 and %d", len(m.h.frames), len(f.sent), 100*len(reply))
	}
}

// A turn may hold thousands of requests with large answers. They are sent as they come: what waits in
// us is bounded by the limit and one reply.
func TestRepliesOfOneTurnAreBounded(t *testing.T) {
	const pause, size, n = 1 << 20, 100 << 10, 1000
	burst := bytes.Repeat(framed([]byte("give")), n)
	answer := func(m *machine) {
		reply := make([]byte, size)
		m.h.on = func(c *Conn, _ []byte) { c.Send(reply) }
	}
	t.Run("of a peer that reads nothing", func(t *testing.T) {
		m := newMachine(Config{OutPauseBytes: pause})
		answer(m)
		c, f := m.connect()
		c.Handshaken()
		f.room = 0
		m.feed(c, burst)
		if f.closed {
			t.Error("it was cut, for its own patience with us")
		}
		if got := c.Unsent(); got > pause+size {
			t.Errorf("%d bytes wait, want at most %d", got, pause+size)
		}
	})
	t.Run("of a peer that reads all", func(t *testing.T) {
		m := newMachine(Config{OutPauseBytes: pause})
		answer(m)
		c, f := m.connect()
		c.Handshaken()
		m.feed(c, burst)
		if got := len(f.sent); got != n*size {
			t.Errorf("%d bytes arrived, want %d", got, n*size)
		}
		if f.most > pause+size {
			t.Errorf("%d bytes waited, want at most %d", f.most, pause+size)
		}
	})
	t.Run("sent from outside, it is cut before it has eaten all memory", func(t *testing.T) {
		m := newMachine(Config{OutPauseBytes: pause, OutCutBytes: 8 << 20})
		c, f := m.connect()
		c.Handshaken()
		f.room = 0
		most := 0
		for range n { // one turn: events, or replies that rode
			c.Send(make([]byte, size))
			most = max(most, c.Unsent())
		}
		m.l.endTurn()
		if !f.closed || m.l.stats.Cut != 1 || m.h.closed != 1 {
			t.Errorf("closed %v, counted %d, told %d", f.closed, m.l.stats.Cut, m.h.closed)
		}
		if limit := 8<<20 + pause + 2*size; most > limit {
			t.Errorf("%d bytes waited, want at most %d", most, limit)
		}
	})
}

// What waits to be sent at the end of this very turn is no sign of a peer that does not read.
func TestAFullInputWithRepliesOfThisTurnIsNotCut(t *testing.T) {
	m := newMachine(Config{InParkBytes: 10_000, MaxFrameBytes: 1000})
	c, f := m.connect()
	c.Handshaken()
	m.h.on = func(c *Conn, _ []byte) {
		c.Send([]byte("taken"))
		c.Pause() // the pipeline is full
	}
	one := framed(make([]byte, 500))
	m.feed(c, bytes.Repeat(one, 40))
	if f.closed {
		t.Fatal("it was cut, and its peer reads everything at once")
	}
	for range 45 {
		c.Resume()
		m.l.endTurn()
	}
	if len(m.h.frames) != 40 || f.closed {
		t.Errorf("%d frames, closed %v; want 40 and false", len(m.h.frames), f.closed)
	}
}

// Many who read nothing, none of them over his own limit, must not add up without bound.
func TestAllUnsentTogetherIsBounded(t *testing.T) {
	const clients = 20
	m := newMachine(Config{OutPauseBytes: 10_000, OutCutBytes: 1 << 20, OutTotalBytes: 100_000})
	cut := 0
	var alive []*fakeTransport
	for range clients {
		c, f := m.connect()
		c.Handshaken()
		f.room = 0
		for range 20 { // events: they come whether it is served or not
			c.Send(make([]byte, 1000))
			m.l.endTurn()
		}
		if f.closed {
			cut++
		} else {
			alive = append(alive, f)
		}
	}
	if cut == 0 || len(alive) < 4 {
		t.Fatalf("%d of %d were cut; want some, and not those who came before the limit", cut, clients)
	}
	if owed := m.l.engine.owed.Load(); owed > 110_000 {
		t.Errorf("%d bytes are unsent in all, the limit is 100,000", owed)
	}
	for _, f := range alive {
		f.read(1 << 20)
	}
	m.later(100)
	if owed := m.l.engine.owed.Load(); owed != 0 {
		t.Errorf("%d bytes count as unsent when everything was read or cut", owed)
	}
}

// Who neither reads nor stops sending is cut.
func TestFullBothWaysIsCut(t *testing.T) {
	m := newMachine(Config{InParkBytes: 10_000, MaxFrameBytes: 1000, OutPauseBytes: 2000})
	c, f := m.connect()
	c.Handshaken()
	f.room = 0
	m.h.on = func(c *Conn, _ []byte) { c.Send(make([]byte, 500)) }
	for range 100 {
		m.feed(c, framed(make([]byte, 500)))
	}
	if !f.closed || m.l.stats.Cut != 1 {
		t.Errorf("closed %v, counted %d", f.closed, m.l.stats.Cut)
	}
	if c.in != nil {
		t.Error("its input is still kept")
	}
}

func TestFinishSaysGoodbye(t *testing.T) {
	t.Run("the last words arrive, what comes after them is thrown away", func(t *testing.T) {
		m := newMachine(Config{})
		c, f := m.connect()
		c.Handshaken()
		f.room = 0
		m.h.on = func(c *Conn, _ []byte) {
			c.Send([]byte("last words"))
			c.Finish()
			c.Send([]byte(" and more"))
		}
		m.feed(c, append(framed([]byte("bye")), framed([]byte("unheard"))...))
		m.feed(c, framed([]byte("unheard")))
		if f.closed {
			t.Fatal("closed before the last words were read")
		}
		f.read(100)
		m.later(100)
		if string(f.sent) != "last words" || !f.closed || len(m.h.frames) != 1 {
			t.Errorf("sent %q, closed %v, %d frames", f.sent, f.closed, len(m.h.frames))
		}
	})
	t.Run("who does not read them is cut after a while", func(t *testing.T) {
		m := newMachine(Config{})
		c, f := m.connect()
		c.Handshaken()
		f.room = 0
		c.Send([]byte("last words"))
		c.Finish()
		m.l.endTurn()
		m.later(lingerMS - 1)
		if f.closed {
			t.Fatal("cut too early")
		}
		m.later(lingerMS)
		if !f.closed || m.h.closed != 1 {
			t.Errorf("closed %v, told %d times", f.closed, m.h.closed)
		}
	})
	t.Run("who goes on and on is cut at once", func(t *testing.T) {
		m := newMachine(Config{})
		c, f := m.connect()
		c.Handshaken()
		f.room = 0
		c.Send([]byte("last words"))
		c.Finish()
		m.l.endTurn()
		for range maxDrainBytes/1000 + 1 {
			m.feed(c, make([]byte, 1000))
		}
		if !f.closed {
			t.Error("still open")
		}
	})
}

func TestAFailedWriteEndsTheConnectionOnce(t *testing.T) {
	m := newMachine(Config{})
	c, f := m.connect()
	c.Handshaken()
	f.fail = errors.New("reset")
	m.h.on = func(c *Conn, _ []byte) { c.Send([]byte("x")) }
	m.feed(c, framed([]byte("a")))
	c.Cut()
	c.Cut()
	m.l.endTurn()
	if m.h.closed != 1 || m.l.Len() != 0 {
		t.Errorf("told %d times, %d open", m.h.closed, m.l.Len())
	}
}

// A name is dead once its connection is, also when the slot has a new tenant.
func TestNamesAreNotReused(t *testing.T) {
	m := newMachine(Config{})
	seen := map[ID]bool{}
	var last ID
	for i := range 1000 {
		c, _ := m.connect()
		if seen[c.ID()] {
			t.Fatalf("name %#x given out twice", uint64(c.ID()))
		}
		seen[c.ID()] = true
		if c.ID().Slot() != 0 || c.ID().Loop() != 0 || m.l.Conn(c.ID()) != c || m.l.At(0) != c {
			t.Fatalf("connection %d: %#x", i, uint64(c.ID()))
		}
		if i > 0 && m.l.Conn(last) != nil {
			t.Fatal("a dead name finds a living connection")
		}
		last = c.ID()
		c.Cut()
	}
	if NoConn.Loop() != -1 || m.l.Conn(NoConn) != nil {
		t.Error("the name of no connection finds one")
	}
	if n := len(m.l.engine.byAddr); n != 0 {
		t.Errorf("%d addresses still counted", n)
	}
}

// Connections that are cut in the middle of everything leave nothing behind.
func TestCutAnywhere(t *testing.T) {
	for _, where := range []string{"in a frame", "in a kept frame", "before the turn ends", "in another's frame"} {
		t.Run(strings.ReplaceAll(where, " ", "-"), func(t *testing.T) {
			m := newMachine(Config{})
			c, f := m.connect()
			other, g := m.connect()
			c.Handshaken()
			other.Handshaken()
			cut := func(*Conn, []byte) { c.Send([]byte("x")); c.Cut(); c.Send([]byte("y")) }
			stream := bytes.Repeat(framed([]byte("abc")), 3)
			switch where {
			case "in a frame":
				m.h.on = cut
				m.feed(c, stream)
			case "in a kept frame":
				m.feed(c, stream[:5])
				m.h.on = cut
				m.feed(c, stream[5:])
			case "before the turn ends":
				m.h.onTurn = func() { cut(nil, nil) }
				m.feed(c, stream)
			case "in another's frame":
				m.feed(c, stream[:5])
				m.h.on = cut
				m.feed(other, stream)
			}
			m.h.on, m.h.onTurn = nil, nil
			m.feed(other, framed([]byte("still here")))
			if !f.closed || m.h.closed != 1 || m.l.Len() != 1 || g.closed {
				t.Errorf("closed %v, told %d, open %d, the other closed %v", f.closed, m.h.closed, m.l.Len(), g.closed)
			}
			if strings.Contains(string(f.sent), "y") {
				t.Error("something was sent after the end")
			}
			if got := string(m.h.frames[len(m.h.frames)-1]); got != "still here" {
				t.Errorf("the other's frame is %q", got)
			}
			c.Resume()
			c.Finish()
			m.later(10_000)
		})
	}
}

// outcome is what a handler saw of a stream.
func outcome(data []byte, pieces func(n int) int) string {
	m := newMachine(Config{MaxFrameBytes: 2000})
	c, f := m.connect()
	m.h.on = func(c *Conn, frame []byte) {
		c.Handshaken()
		if len(frame) > 0 && frame[0] == 'F' {
			c.Finish()
		}
		if len(frame) > 0 && frame[0] == 'C' {
			c.Cut()
		}
	}
	for len(data) > 0 {
		n := pieces(len(data))
		m.feed(c, data[:n])
		data = data[n:]
	}
	return fmt.Sprintf("%q %q closed=%v", m.h.frames, m.h.words, f.closed || c.Closed())
}

func FuzzConn(f *testing.F) {
	f.Add([]byte("ruok\n"), uint8(1))
	f.Add(append(framed([]byte("hello")), framed([]byte("F"))...), uint8(3))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff}, uint8(2))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1, 'C', 0, 0, 0, 9}, uint8(5))
	f.Fuzz(func(t *testing.T, data []byte, step uint8) {
		whole := outcome(data, func(n int) int { return n })
		split := outcome(data, func(n int) int { return min(n, int(step)%7+1) })
		if whole != split {
			t.Errorf("in one piece %s\nin pieces    %s", whole, split)
		}
	})
}
