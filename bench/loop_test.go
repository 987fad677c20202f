package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"paddock/bench/echo"
	"paddock/wire"
)

// startEcho runs the echo server until the test ends.
func startEcho(t *testing.T) (addr string) {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = free.Addr().String()
	free.Close()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- echo.Run(ctx, echo.Config{Addr: addr, Loops: 1, ValueBytes: 100}, func() { close(ready) })
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	return addr
}

func TestACountIsSentExactly(t *testing.T) {
	addr := startEcho(t)
	for _, tc := range []struct {
		name               string
		conns, outstanding int
		rate               float64
		loops              int
	}{
		{"pipelined", 8, 64, 0, 1},
		{"one at a time", 3, 1, 0, 1},
		{"on two loops", 5, 16, 0, 2},
		{"at a rate", 2, 8, 100_000, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := DefaultOptions(addr)
			o.Conns, o.Outstanding, o.Rate, o.Loops, o.Count, o.Warmup, o.Keys = tc.conns, tc.outstanding, tc.rate, tc.loops, 10_001, 0, 10
			o.Duration = 30 * time.Second
			res, err := Measure(t.Context(), o, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			if res.Ops != 10_001 || res.Latency.Count != 10_001 || len(res.Lost) > 0 || len(res.Errors) > 0 || res.Unanswered > 0 {
				t.Errorf("got %+v, want 10001 answers", res)
			}
			if res.Latency.P50 <= 0 || res.Latency.Max < res.Latency.P99 || res.Latency.P99 < res.Latency.P50 {
				t.Errorf("latencies make no sense: %v", res.Latency)
			}
			if (res.Late != nil) != (tc.rate > 0) {
				t.Errorf("lateness is told: %v, open loop: %v", res.Late != nil, tc.rate > 0)
			}
		})
	}
}

func TestTheGeneratorAllocatesNothingPerRequest(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates on its own account")
	}
	addr := startEcho(t)
	mallocs := func(count int64) uint64 {
		o := DefaultOptions(addr)
		o.Count, o.Warmup, o.Keys, o.Op = count, 0, 10, "mixed"
		o.Duration = 30 * time.Second
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := Measure(t.Context(), o, io.Discard); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.Mallocs - before.Mallocs
	}
	few, many := mallocs(1000), mallocs(201_000)
	if perOp := (float64(many) - float64(few)) / 200_000; perOp > 0.005 {
		t.Errorf("got %.4f allocations per request, want 0 (%d for 1000 requests, %d for 201000)", perOp, few, many)
	}
}

// scripted accepts one connection, shakes hands and hands over to serve.
func scripted(t *testing.T, serve func(c net.Conn)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := readFrame(c); err != nil {
			return
		}
		dst, mark := wire.BeginFrame(nil)
		p := wire.ConnectResponse{TimeOut: 30_000, SessionID: 1, Passwd: make([]byte, 16), HasReadOnly: true}
		c.Write(wire.EndFrame(p.Append(dst), mark))
		serve(c)
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return ln.Addr().String()
}

func readFrame(c net.Conn) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(length[:]))
	_, err := io.ReadFull(c, body)
	return body, err
}

// answer sends a header and bytes of body.
func answer(c net.Conn, xid int32, code wire.Code, body int) {
	dst, mark := wire.BeginFrame(nil)
	h := wire.ReplyHeader{Xid: xid, Zxid: 1, Err: code}
	c.Write(wire.EndFrame(append(h.Append(dst), make([]byte, body)...), mark))
}

func one(addr string) Options {
	o := DefaultOptions(addr)
	o.Conns, o.Outstanding, o.Keys, o.Warmup, o.Count, o.Keep, o.Duration = 1, 2, 1, 0, 100, true, 10*time.Second
	return o
}

// setupRequests is how many requests one(…) sends before the measured ones: four directories and a key.
const setupRequests = 5

func TestAReplyOutOfOrderEndsTheRun(t *testing.T) {
	addr := scripted(t, func(c net.Conn) {
		for n := 0; ; n++ {
			b, err := readFrame(c)
			if err != nil {
				return
			}
			xid := int32(binary.BigEndian.Uint32(b))
			if n == setupRequests+3 {
				xid++
			}
			answer(c, xid, wire.OK, 0)
		}
	})
	if _, err := Measure(t.Context(), one(addr), io.Discard); !errors.Is(err, errOrder) {
		t.Errorf("got %v, want %v", err, errOrder)
	}
}

func TestALostConnectionIsPartOfTheResult(t *testing.T) {
	addr := scripted(t, func(c net.Conn) {
		for range setupRequests + 10 {
			b, err := readFrame(c)
			if err != nil {
				return
			}
			answer(c, int32(binary.BigEndian.Uint32(b)), wire.OK, 0)
		}
	})
	res, err := Measure(t.Context(), one(addr), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Lost) != 1 || res.Ops != 10 || res.Unanswered != 2 || res.Latency.Count != 12 {
		t.Errorf("got %d lost, %d answers, %d unanswered, %d latencies, want 1, 10, 2, 12", len(res.Lost), res.Ops, res.Unanswered, res.Latency.Count)
	}
}

// openLoop is a loop of one connection at 1000 requests per second for 100 ms, without a socket: the
// test is its clock and its server.
func openLoop(t *testing.T, window int) (*loop, *conn) {
	t.Helper()
	o := DefaultOptions("a:1")
	m, err := newMix(&o, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	rate := newSchedule(0, 100*ms, 1000, 0, 1)
	c := &conn{fd: -1, sent: make([]request, ringSize(window))}
	l := &loop{conns: []*conn{c}, alive: 1, stop: new(atomic.Bool), phase: &phase{
		source: m, rec: newRecorder(0, 100*ms), rate: &rate, until: 100 * ms, left: unlimited, window: window,
	}}
	return l, c
}

// answerNext lets n replies come in at a time.
func answerNext(t *testing.T, l *loop, c *conn, now int64, n int) {
	t.Helper()
	var b []byte
	for i := range n {
		var mark int
		b, mark = wire.BeginFrame(b)
		h := wire.ReplyHeader{Xid: xid(c.head + uint32(i)), Zxid: 1}
		b = wire.EndFrame(h.Append(b), mark)
	}
	l.now = now
	if rest, err := l.frames(c, b); err != nil || len(rest) > 0 {
		t.Fatalf("%d bytes left, %v", len(rest), err)
	}
	l.rec.flush(now)
}

func TestLatencyOfAnOpenLoopCountsFromWhenARequestWasDue(t *testing.T) {
	l, c := openLoop(t, 2)
	l.now = 10 * ms
	l.sendDue() // eleven are due, two have room
	if c.outstanding() != 2 {
		t.Fatalf("%d outstanding, want the 2 that have room", c.outstanding())
	}
	answerNext(t, l, c, 50*ms, 2)
	l.sendDue() // due at 2 and 3 ms, written at 50 ms
	answerNext(t, l, c, 60*ms, 2)
	got := newLatency(l.rec.histogram(kindGet))
	want := []float64{57e3, 60e3} // 50-0, 50-1, 60-2, 60-3: all but 49 ms to 58 ms
	if got.Count != 4 || got.Max < want[0] || got.Max > want[1] || got.Mean < 53e3 || got.Mean > 54e3 {
		t.Errorf("got %d latencies, %v, want 49, 50, 57 and 58 ms", got.Count, got)
	}
	if late := newLatency(l.rec.late); late.Count != 4 || late.Max < 47e3 {
		t.Errorf("sent late by %v (%d), want up to 48 ms", late, late.Count)
	}
}

func TestTheLastTurnOfAnOpenLoopSendsWhatWasDue(t *testing.T) {
	l, c := openLoop(t, 1000)
	for _, turn := range []struct{ now, want int64 }{{0, 1}, {95 * ms, 96}, {103 * ms, 100}, {150 * ms, 100}} {
		l.now = turn.now
		if l.sendDue(); int64(c.outstanding()) != turn.want {
			t.Errorf("at %d ms: %d sent, want %d", turn.now/ms, c.outstanding(), turn.want)
		}
	}
}

func TestWhatFindsNoRoomIsGivenUpAndRecorded(t *testing.T) {
	l, c := openLoop(t, 10)
	for _, now := range []int64{0, 50 * ms, 101 * ms, 102 * ms} {
		l.now = now
		l.sendDue()
	}
	answerNext(t, l, c, 110*ms, 10)
	if l.sendDue(); c.outstanding() != 0 {
		t.Errorf("%d sent when the time was over, want none though there is room", c.outstanding())
	}
	l.end()
	if l.unanswered != 90 || l.rec.givenUp.TotalCount() != 90 {
		t.Errorf("%d given up, %d recorded, want 90", l.unanswered, l.rec.givenUp.TotalCount())
	}
	if got := newLatency(l.rec.givenUp); got.Max < 99e3 || got.Max > 101e3 {
		t.Errorf("waited %v, want up to 100 ms: the first was due at 10 ms and it is 110", got)
	}
}

func TestARunThatIsInterruptedAwaitsItsAnswersAndCleansUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var deletes atomic.Int32
	addr := scripted(t, func(c net.Conn) {
		for n := 0; ; n++ {
			b, err := readFrame(c)
			if err != nil {
				return
			}
			if n == setupRequests+5 {
				cancel()
				<-time.After(300 * time.Millisecond) // the loop looks every 100 ms: it would give up meanwhile
			}
			if wire.Op(binary.BigEndian.Uint32(b[4:])) == wire.OpDelete {
				deletes.Add(1)
			}
			answer(c, int32(binary.BigEndian.Uint32(b)), wire.OK, 0)
		}
	})
	o := one(addr)
	o.Count, o.Duration, o.Keep = 0, time.Minute, false
	res, err := Measure(ctx, o, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if res.Ops < 6 || res.Ops > 10 || res.Unanswered > 0 || len(res.Lost) > 0 || res.Seconds > 30 {
		t.Errorf("got %+v, want the requests that were written before the interrupt, all answered", res)
	}
	if got := deletes.Load(); got < setupRequests {
		t.Errorf("%d nodes deleted, want all %d that setup has made", got, setupRequests)
	}
}

func TestErrorsAndLongRepliesAreCounted(t *testing.T) {
	addr := scripted(t, func(c net.Conn) {
		for n := 0; ; n++ {
			b, err := readFrame(c)
			if err != nil {
				return
			}
			code, body := wire.OK, 0
			switch {
			case n < setupRequests:
			case n%10 == 0:
				code = wire.NoNode
			case n%10 == 1:
				body = 3 * readBytes // longer than the buffer that the generator begins with
			}
			answer(c, -1, wire.OK, 20) // a notification that nobody asked for
			answer(c, int32(binary.BigEndian.Uint32(b)), code, body)
		}
	})
	res, err := Measure(t.Context(), one(addr), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if res.Ops != 100 || res.Errors[wire.NoNode.String()] != 10 || len(res.Lost) > 0 {
		t.Errorf("got %d answers, errors %v, lost %v, want 100 with 10 NoNode", res.Ops, res.Errors, res.Lost)
	}
}

func TestWatchersAreAllTold(t *testing.T) {
	addr := startServer(t, t.TempDir())
	for _, rearm := range []bool{false, true} {
		t.Run("rearm "+strconv.FormatBool(rearm), func(t *testing.T) {
			o := DefaultOptions(addr)
			o.Op, o.Watchers, o.Count, o.Rearm, o.Warmup = opWatch, 20, 30, rearm, 0
			res, err := Measure(t.Context(), o, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			if res.Ops != 20*30 || res.ByKind["all-told"].Count != 30 || res.ByKind["set"].Count != 30 || res.Unanswered > 0 {
				t.Errorf("got %+v, want 600 events in 30 rounds", res)
			}
		})
	}
}

func TestEveryOperationOnARealServer(t *testing.T) {
	addr := startServer(t, t.TempDir())
	for k := kindGet; k <= kindMulti; k++ {
		o := DefaultOptions(addr)
		o.Op, o.Count, o.Warmup, o.Keys, o.Children = kindNames[k], 500, 0, 20, 3
		res, err := Measure(t.Context(), o, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if res.Ops != 500 || len(res.Errors) > 0 || len(res.Lost) > 0 {
			t.Errorf("%s: got %d answers, errors %v, lost %v, want 500", o.Op, res.Ops, res.Errors, res.Lost)
		}
	}
}
