package server

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"paddock/test/harness"
	"paddock/wire"
)

// expect is a request on its way and what its answer has to be.
type expect struct {
	xid   int32
	what  string
	check func(r harness.Reply) error
}

func wantCode(code int32) func(harness.Reply) error {
	return func(r harness.Reply) error {
		if r.Err != code {
			return fmt.Errorf("code %d, want %d", r.Err, code)
		}
		return nil
	}
}

func wantData(want string) func(harness.Reply) error {
	return func(r harness.Reply) error {
		if got := harness.FieldsOf(r.Body).Str(); r.Err != 0 || got != want {
			return fmt.Errorf("code %d, read %q, want %q", r.Err, got, want)
		}
		return nil
	}
}

// mix draws a pipeline of requests of one session, and what each has to answer.
func mix(r *rand.Rand, name string, n int) (stream []byte, expects []expect) {
	mine := "/" + name
	value, made, gone := "0", 0, 0
	add := func(xid int32, op wire.Op, body harness.Bytes, check func(harness.Reply) error) {
		stream = append(stream, frame(xid, op, body)...)
		if op == wire.OpPing {
			xid = harness.XidPing
		}
		expects = append(expects, expect{xid, op.String(), check})
	}
	for i := range n {
		xid := int32(i + 1)
		switch r.IntN(12) {
		case 0, 1:
			value = fmt.Sprint(i)
			add(xid, wire.OpSetData, setBody(mine, []byte(value)), wantCode(0))
		case 2, 3:
			add(xid, wire.OpGetData, readBody(mine, r.IntN(2) == 0), wantData(value))
		case 4:
			add(xid, wire.OpPing, nil, wantCode(0))
		case 5:
			add(xid, wire.OpCreate, createBody(path("%s/%d", mine, made), nil, 0), wantCode(0))
			made++
		case 6:
			if gone == made {
				add(xid, wire.OpDelete, harness.Bytes(nil).Str(mine+"/none").Int(-1), wantCode(int32(wire.NoNode)))
				continue
			}
			add(xid, wire.OpDelete, harness.Bytes(nil).Str(path("%s/%d", mine, gone)).Int(-1), wantCode(0))
			gone++
		case 7:
			want := made - gone
			add(xid, wire.OpGetChildren, readBody(mine, r.IntN(3) == 0), func(r harness.Reply) error {
				if got := len(harness.FieldsOf(r.Body).Strs()); r.Err != 0 || got != want {
					return fmt.Errorf("code %d, %d children, want %d", r.Err, got, want)
				}
				return nil
			})
		case 8:
			code := int32(0)
			if gone == made {
				code = int32(wire.NoNode)
			}
			add(xid, wire.OpExists, readBody(path("%s/%d", mine, gone), true), wantCode(code))
		case 9:
			add(xid, wire.OpSync, harness.Bytes(nil).Str(mine), wantCode(0))
		case 10:
			add(xid, wire.OpWhoAmI, nil, wantCode(0))
		case 11:
			want := made - gone
			add(xid, wire.OpGetAllChildrenNumber, harness.Bytes(nil).Str(mine), func(r harness.Reply) error {
				if got := int(harness.FieldsOf(r.Body).Int()); r.Err != 0 || got != want {
					return fmt.Errorf("code %d, %d descendants, want %d", r.Err, got, want)
				}
				return nil
			})
		}
	}
	return stream, expects
}

// A deep pipeline of everything is answered in the order of its requests, each answer showing the
// session's writes before it and none after it, with zxids that never go back (session-fifo).
func TestAMixedPipelineIsAnsweredInOrder(t *testing.T) {
	s := start(t)
	var wg sync.WaitGroup
	for i := range 6 {
		p := open(t, s)
		name := fmt.Sprintf("m%d", i)
		p.create("/"+name, []byte("0"))
		seed := rand.Uint64()
		r := rand.New(rand.NewPCG(seed, 0))
		stream, expects := mix(r, name, 1500)
		wg.Go(func() {
			for len(stream) > 0 { // in pieces of any length, so that reads meet idle moments too
				n := min(1+r.IntN(3000), len(stream))
				if err := p.Write(stream[:n]); err != nil {
					t.Errorf("write: %v", err)
					return
				}
				stream = stream[n:]
				if r.IntN(4) == 0 {
					time.Sleep(time.Duration(r.IntN(300)) * time.Microsecond) // the client's own pace
				}
			}
		})
		wg.Go(func() {
			var last int64
			for j, e := range expects {
				r, err := p.ReadReply()
				if err != nil || r.Xid != e.xid {
					t.Errorf("seed %d, reply %d (%s): xid %d, want %d; %v", seed, j, e.what, r.Xid, e.xid, err)
					return
				}
				if err := e.check(r); err != nil {
					t.Errorf("seed %d, reply %d (%s): %v", seed, j, e.what, err)
					return
				}
				if r.Zxid < last {
					t.Errorf("seed %d, reply %d (%s): zxid went back from %#x to %#x", seed, j, e.what, last, r.Zxid)
					return
				}
				last = r.Zxid
			}
		})
	}
	wg.Wait()
}

// Nothing that was sent through the connection a session has left takes effect once the new one was
// welcomed, although another loop owns the old one (S7).
func TestAMovedSessionLeavesItsOldConnectionMute(t *testing.T) {
	s := start(t)
	watcher := open(t, s)
	watcher.create("/c", []byte("none"))
	for round := range 40 {
		old := open(t, s)
		was := old.loop(s)
		var writing sync.WaitGroup
		writing.Go(func() {
			for i := 0; ; i++ {
				if old.Write(frame(int32(i), wire.OpSetData, setBody("/c", fmt.Append(nil, "old ", round, " ", i)))) != nil {
					return
				}
			}
		})
		if _, err := old.ReadReply(); err != nil {
			t.Fatal(err)
		}
		now := dial(t, s)
		now.connect(old.renewal())
		if now.Session.SessionID != old.Session.SessionID {
			t.Fatalf("renewal got %+v", now.Session)
		}
		now.ok(wire.OpSetData, setBody("/c", fmt.Append(nil, "new ", round)))
		for { // the old connection ends
			if _, err := old.ReadFrame(); err != nil {
				break
			}
		}
		old.Close()
		writing.Wait()
		watcher.ok(wire.OpSync, harness.Bytes(nil).Str("/c"))
		watcher.ok(wire.OpSetData, setBody("/", nil)) // through the pipeline: behind whatever was still in it
		if data, _ := watcher.get("/c"); string(data) != fmt.Sprint("new ", round) {
			t.Fatalf("round %d (loop %d to %d): %q was written after the session had moved", round, was, now.loop(s), data)
		}
		now.Close()
	}
}

// A session that is closed through its old connection while it moves leaves nobody waiting.
func TestAClosedSessionsConnectionsEnd(t *testing.T) {
	s := start(t)
	for range 20 {
		old, now := open(t, s), dial(t, s)
		if err := now.Write(old.renewal().Bytes().Frame()); err != nil {
			t.Fatal(err)
		}
		old.xid++
		_ = old.Write(frame(old.xid, wire.OpCloseSession, nil)) // it may be cut already
		now.Timeout = 5 * time.Second
		r, err := now.ReadConnect()
		if err != nil || !r.Valid() {
			continue // the close came first
		}
		now.xid++
		if err := now.Write(frame(now.xid, wire.OpPing, nil)); err != nil {
			continue
		}
		if _, err := now.ReadFrame(); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Fatal("the session is closed, and its connection is neither answered nor cut")
		}
		old.Close()
		now.Close()
	}
}
