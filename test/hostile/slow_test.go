package hostile

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"paddock/test/harness"
	"paddock/wire"
)

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || strings.Contains(err.Error(), "unexpected EOF")
}

// push writes the same bytes again and again until the server stops taking them or closes.
func push(c *harness.Conn, b []byte, most int) (sent int, err error) {
	c.Timeout = time.Second
	for sent < most {
		if err := c.Write(b); err != nil {
			return sent, err
		}
		sent += len(b)
	}
	return sent, nil
}

// Clients that ask for large values and never read the answers: the server stops reading them, its memory
// stays bounded, and the others do not notice.
func TestReadersThatNeverRead(t *testing.T) {
	s := start(t, harness.Settings{"maxSessionTimeout": "4000"})
	h := beHonest(t, s)
	big := bytes.Repeat([]byte{'x'}, 1000<<10)
	open(t, s, 4000).ok(wire.OpCreate, createBody("/big", big, 0))
	before, memBefore := descriptors(t, s), rss(t, s)
	most := memory(t, s)
	const attackers = 10
	var wg sync.WaitGroup
	conns := make([]*client, attackers)
	for a := range attackers {
		conns[a] = open(t, s, 4000)
		wg.Go(func() {
			var burst []byte
			for range 1000 {
				burst = append(burst, frame(1, wire.OpGetData, readBody("/big", a%2 == 0))...)
			}
			sent, err := push(conns[a].Conn, burst, 64<<20)
			if err == nil {
				t.Errorf("attacker %d could send %d bytes of requests, and nobody slowed it down", a, sent)
			}
		})
	}
	wg.Wait()
	h.noticedNothing(400 * time.Millisecond)
	t.Logf("memory %d MiB before, %d at most, with %d attackers", memBefore>>20, most()>>20, attackers)
	if limit := memBefore + attackers*16<<20; most() > limit {
		t.Errorf("memory was %d bytes, want at most %d", most(), limit)
	}
	// Their pings are not read either: in the end their sessions expire, and they are cut.
	cleanUp(t, s, before)
	for a, c := range conns {
		if err := awaitEnd(c, 10*time.Second); err != nil && !isReset(err) {
			t.Errorf("attacker %d: %v", a, err)
		}
	}
}

// The same for answers that come through the write path, and for watch events.
func TestWatchersThatNeverRead(t *testing.T) {
	s := start(t, harness.Settings{"maxSessionTimeout": "60000"})
	h := beHonest(t, s)
	path := "/" + strings.Repeat("a", 8000) // an event carries its path
	w := open(t, s, 60_000)
	w.ok(wire.OpCreate, createBody(path, nil, 0))
	const attackers = 10
	conns := make([]*client, attackers)
	for a := range attackers {
		conns[a] = open(t, s, 60_000)
		conns[a].ok(wire.OpAddWatch, harness.Bytes(nil).Str(path).Int(0))
	}
	memBefore := rss(t, s)
	most := memory(t, s)
	// 64 MiB of events is what one may leave unread; then it is cut.
	batch := []byte(nil)
	for range 50 {
		batch = append(batch, frame(1, wire.OpSetData, setBody(path, nil))...)
	}
	left := func() int { return connections(t, s) - 2 } // the writer and the honest one
	for i := 0; i < 400 && left() > 0; i++ {
		if err := w.Write(batch); err != nil {
			t.Fatal(err)
		}
		for range 50 {
			if _, err := w.ReadReply(); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, 5*time.Second, "all who do not read are cut", func() bool { return left() <= 0 })
	h.noticedNothing(400 * time.Millisecond)
	t.Logf("memory %d MiB before, %d at most, with %d attackers", memBefore>>20, most()>>20, attackers)
	if limit := memBefore + attackers*150<<20; most() > limit {
		t.Errorf("memory was %d bytes, want at most %d", most(), limit)
	}
}

// Writers that pipeline megabytes and never read: bounded in memory, and cut or slowed; what was
// logged for them is no harm to anybody.
func TestWritersThatNeverRead(t *testing.T) {
	s := start(t, harness.Settings{"maxSessionTimeout": "4000", "snapCount": "100000"})
	h := beHonest(t, s)
	w := open(t, s, 4000)
	w.ok(wire.OpCreate, createBody("/w", nil, 0))
	before, memBefore := descriptors(t, s), rss(t, s)
	most := memory(t, s)
	const attackers = 4
	var wg sync.WaitGroup
	for a := range attackers {
		c := open(t, s, 4000)
		wg.Go(func() {
			b := frame(1, wire.OpSetData, setBody("/w", make([]byte, 200<<10)))
			sent, err := push(c.Conn, b, pick(40, 400)<<20)
			t.Logf("attacker %d sent %d MiB, %v", a, sent>>20, err)
		})
	}
	wg.Wait()
	h.noticedNothing(1500 * time.Millisecond) // they all share the disk
	t.Logf("memory %d MiB before, %d at most", memBefore>>20, most()>>20)
	if limit := memBefore + 800<<20; most() > limit {
		t.Errorf("memory was %d bytes, want at most %d", most(), limit)
	}
	cleanUp(t, s, before)
}

// SIGSTOP is a virtual machine that is moved, or a debugger: nobody could have pinged meanwhile, so
// nobody is expired for it.
func TestAStoppedProcessExpiresNobody(t *testing.T) {
	t.Parallel() // nothing is measured here
	s := start(t, nil)
	const timeout = 1500
	c := open(t, s, timeout)
	c.ok(wire.OpCreate, createBody("/e", nil, 1))
	if err := s.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * timeout * time.Millisecond) // the stop itself
	if err := s.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if r, err := c.try(wire.OpExists, readBody("/e", false)); err != nil || r.Err != 0 {
		t.Fatalf("after the stop: %+v, %v\n%s", r, err, s.LogTail())
	}
	// And who is really silent still expires.
	d := open(t, s, 10_000)
	c.Close()
	eventually(t, 10*time.Second, "the session of a client that is gone expires", func() bool {
		return d.call(wire.OpExists, readBody("/e", false)).Err == int32(wire.NoNode)
	})
}

// SIGTERM under load: exit code 0, and everything acknowledged is there afterwards.
func TestSIGTERMUnderLoadLosesNothing(t *testing.T) {
	t.Parallel() // nothing is measured here
	s := start(t, harness.Settings{"snapCount": "500"})
	var wg sync.WaitGroup
	const writers = 6
	acked := make([]int, writers)
	var sessions []*client
	for i := range writers {
		c := open(t, s, 10_000)
		sessions = append(sessions, c)
		c.ok(wire.OpCreate, createBody(fmt.Sprintf("/w%d", i), nil, 0))
		const depth = 20
		wg.Go(func() { // pipelined
			for n := 0; ; n++ {
				if c.Write(frame(int32(n), wire.OpCreate, createBody(fmt.Sprintf("/w%d/%d", i, n), nil, int32(n%2)))) != nil {
					break
				}
				if n < depth {
					continue
				}
				if r, err := c.ReadReply(); err != nil || r.Err != 0 {
					break
				}
				acked[i]++
			}
			for { // what was answered before the end
				if r, err := c.ReadReply(); err != nil || r.Err != 0 {
					return
				}
				acked[i]++
			}
		})
	}
	time.Sleep(500 * time.Millisecond) // of load
	if err := s.Stop(); err != nil {
		t.Fatalf("exit: %v\n%s", err, s.LogTail())
	}
	wg.Wait()
	wantLog(t, s, "stopping")
	wantLog(t, s, "msg=stopped")
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	sum := 0
	for i, c := range sessions {
		n, lives := renew(t, s, c)
		if !lives {
			t.Errorf("session %d did not survive", i)
			continue
		}
		for j := range acked[i] {
			if r := n.call(wire.OpExists, readBody(fmt.Sprintf("/w%d/%d", i, j), false)); r.Err != 0 {
				t.Fatalf("/w%d/%d was acknowledged and is lost (code %d)", i, j, r.Err)
			}
		}
		sum += acked[i]
	}
	t.Logf("%d writes acknowledged, all there", sum)
	if sum < 100 {
		t.Errorf("only %d writes were acknowledged: this run shows nothing", sum)
	}
}
