package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"strconv"
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
