package hostile

import (
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"paddock/test/harness"
	"paddock/wire"
)

// greet dials and begins a session; false if the server closed the door.
func greet(s *harness.Server) (*harness.Conn, bool, error) {
	c, err := harness.Dial(s.Addr)
	if err != nil {
		return nil, false, err
	}
	_, err = c.Connect(harness.ConnectRequest{TimeoutMS: 10_000, Passwd: make([]byte, 16)})
	if errors.Is(err, harness.ErrClosed) || err != nil && isReset(err) {
		c.Close()
		return nil, false, nil
	}
	return c, err == nil, err
}

func TestConnectionLimits(t *testing.T) {
	t.Parallel() // nothing is measured here
	const limit = 20
	for _, key := range []string{"maxClientCnxns", "zookeeper.maxCnxns"} {
		t.Run(key, func(t *testing.T) {
			s := start(t, harness.Settings{key: strconv.Itoa(limit)})
			var conns []*harness.Conn
			defer func() {
				for _, c := range conns {
					c.Close()
				}
			}()
			// The harness's own question may still be counted for a moment.
			eventually(t, 5*time.Second, "the door is free", func() bool {
				c, ok, err := greet(s)
				if err != nil {
					t.Fatal(err)
				}
				if ok {
					conns = append(conns, c)
				}
				return len(conns) == limit
			})
			for i := range 5 {
				if c, ok, err := greet(s); ok || err != nil {
					t.Fatalf("connection %d over the limit: let in, %v", i+1, err)
				} else if c != nil {
					t.Fatal("not closed")
				}
			}
			c := &client{Conn: conns[0], t: t}
			c.ok(wire.OpGetData, readBody("/", false))
			conns[limit-1].Close()
			conns = conns[:limit-1]
			eventually(t, 5*time.Second, "a place is free again", func() bool {
				c, ok, err := greet(s)
				if err != nil {
					t.Fatal(err)
				}
				if ok {
					conns = append(conns, c)
				}
				return ok
			})
		})
	}
}

// Two thousand connections at once, all of them with sessions; then they are all gone.
func TestTwoThousandConnectionsAtOnce(t *testing.T) {
	s := start(t, nil)
	h := beHonest(t, s)
	before := descriptors(t, s)
	most := memory(t, s)
	const n, dialers = 2000, 8
	conns := make([]*harness.Conn, n)
	var wg sync.WaitGroup
	began := time.Now()
	for d := range dialers {
		wg.Go(func() {
			for i := d; i < n; i += dialers {
				c, ok, err := greet(s)
				if !ok || err != nil {
					t.Errorf("connection %d: let in is %v, %v", i, ok, err)
					return
				}
				conns[i] = c
			}
		})
	}
	wg.Wait()
	t.Logf("%d sessions in %v, memory %d MiB", n, time.Since(began), rss(t, s)>>20)
	for _, c := range conns {
		if c != nil {
			c.Close()
		}
	}
	h.noticedNothing(250 * time.Millisecond)
	cleanUp(t, s, before)
	if limit := 300 << 20; most() > limit {
		t.Errorf("%d bytes at most, want at most %d", most(), limit)
	}
}

// Connections that say nothing, or not enough, are cut when their time is over, and not before.
func TestSilentConnectionsAreCut(t *testing.T) {
	const limit = 1500 * time.Millisecond
	s := start(t, harness.Settings{"zookeeper.nio.sessionlessCnxnTimeout": strconv.Itoa(int(limit.Milliseconds()))})
	before := descriptors(t, s)
	h := beHonest(t, s)
	hello := harness.ConnectRequest{TimeoutMS: 1000, Passwd: make([]byte, 16)}.Bytes().Frame()
	var wg sync.WaitGroup
	for i := range 500 {
		c, err := harness.Dial(s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		began := time.Now()
		wg.Go(func() {
			if i%10 == 0 {
				wg.Go(func() { // a byte now and then does not help
					for _, b := range hello {
						if c.Write([]byte{b}) != nil {
							return
						}
						time.Sleep(limit / 10) // the attacker's pace
					}
				})
			}
			cc := &client{Conn: c, t: t}
			if err := awaitEnd(cc, 10*time.Second); err != nil {
				t.Errorf("silent connection %d: %v", i, err)
			}
			if took := time.Since(began); took < limit*9/10 {
				t.Errorf("silent connection %d was cut after %v, want %v", i, took, limit)
			}
		})
	}
	wg.Wait()
	h.noticedNothing(250 * time.Millisecond)
	cleanUp(t, s, before+1)
}

// A flood of connects that are given up at once.
func TestComingAndGoing(t *testing.T) {
	s := start(t, nil)
	h := beHonest(t, s)
	before := descriptors(t, s)
	n := pick(3000, 100_000)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range n / 4 {
				c, err := harness.Dial(s.Addr)
				if err != nil {
					t.Error(err)
					return
				}
				if (g+i)%2 == 0 {
					_ = c.Write(harness.ConnectRequest{TimeoutMS: 1000, Passwd: make([]byte, 16)}.Bytes().Frame())
				}
				c.Close()
			}
		})
	}
	wg.Wait()
	h.noticedNothing(250 * time.Millisecond)
	cleanUp(t, s, before)
	// Their sessions end too: nobody pings for them.
	c := open(t, s, 10_000)
	c.ok(wire.OpCreate, createBody("/after", nil, 0))
}
