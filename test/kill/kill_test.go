package kill

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"paddock/test/harness"
)

const (
	clients = 4
	keys    = 4
)

// cycles is how often the server is killed: PADDOCK_KILL_CYCLES, 8 without it.
func cycles(t *testing.T) int {
	s := os.Getenv("PADDOCK_KILL_CYCLES")
	if s == "" {
		return 8
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("PADDOCK_KILL_CYCLES=%q: want a number of cycles", s)
	}
	return n
}

func TestMain(m *testing.M) {
	code := m.Run()
	harness.Cleanup()
	os.Exit(code)
}

// tally is what a run prints.
type tally struct{ kills, writes, lost, histories, operations int }

func TestNothingAcknowledgedIsLostByKill9(t *testing.T) {
	target, err := harness.FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	// A small snapCount: snapshots and purging happen under the kills too.
	s, err := target.Start(harness.Settings{"tickTime": "2000", "maxClientCnxns": "0", "snapCount": "300"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := newRun(t, s, seed)
	var sum tally
	for range cycles(t) {
		r.cycle(&sum)
		if t.Failed() {
			break
		}
	}
	r.everythingIsThere(&sum)
	t.Logf("kills %d, acknowledged creates %d, lost %d, histories %d of %d operations, illegal 0, unknown 0",
		sum.kills, sum.writes, sum.lost, sum.histories, sum.operations)
	if sum.lost > 0 {
		t.Errorf("%d acknowledged writes are lost", sum.lost)
	}
	if !t.Failed() && sum.writes < 10*sum.kills {
		t.Errorf("only %d acknowledged creates under %d kills: this run shows nothing", sum.writes, sum.kills)
	}
}

// run is a server, its clients, and the ledger of all that was acknowledged.
type run struct {
	t      *testing.T
	s      *harness.Server
	rnd    *rand.Rand
	clock  atomic.Int64
	keys   []string
	cs     []*client
	ledger []string
}

func newRun(t *testing.T, s *harness.Server, seed uint64) *run {
	r := &run{t: t, s: s, rnd: rand.New(rand.NewPCG(seed, 0))}
	for i := range clients {
		c := &client{id: i, addr: s.Addr, clock: &r.clock, rnd: rand.New(rand.NewPCG(seed, uint64(i+1)))}
		r.must(c.connect())
		r.cs = append(r.cs, c)
	}
	r.create("/ledger", 0)
	for i := range keys {
		r.keys = append(r.keys, fmt.Sprintf("/k%d", i))
		r.create(r.keys[i], 0)
	}
	for _, c := range r.cs {
		r.mustReply(c.call(opCreate, createBody(r.ephemeral(c), "", 1)))
	}
	return r
}

func (r *run) ephemeral(c *client) string { return fmt.Sprintf("/alive-%d", c.id) }

func (r *run) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatalf("%v\n%s", err, r.s.LogTail())
	}
}

func (r *run) mustReply(reply harness.Reply, err error) harness.Reply {
	r.t.Helper()
	r.must(err)
	if reply.Err != 0 {
		r.t.Fatalf("code %d\n%s", reply.Err, r.s.LogTail())
	}
	return reply
}

func (r *run) create(path string, flags int32) {
	r.t.Helper()
	r.mustReply(r.cs[0].call(opCreate, createBody(path, "", flags)))
}

// cycle: load, kill, restart, look.
func (r *run) cycle(sum *tally) {
	history := r.readAll(opInit)
	var stop atomic.Bool
	var working sync.WaitGroup
	for _, c := range r.cs {
		c.history, c.created = c.history[:0], c.created[:0]
		working.Go(func() { c.load(r.keys, &stop) })
	}
	time.Sleep(time.Duration(20+r.rnd.IntN(80)) * time.Millisecond) // when it is killed, not whether it is ready
	r.s.Kill()
	stop.Store(true)
	working.Wait()
	r.must(r.s.Restart())
	sum.kills++
	for _, c := range r.cs {
		r.must(c.connect())
		r.stillThere(c, r.ephemeral(c), "its ephemeral")
		for _, path := range c.created {
			sum.lost += r.stillThere(c, path, "acknowledged")
		}
		r.ledger = append(r.ledger, c.created...)
		sum.writes += len(c.created)
		history = append(history, c.history...)
		for _, err := range c.errs {
			r.t.Error(err)
		}
	}
	history = append(history, r.readAll(opRead)...)
	sum.histories++
	sum.operations += len(history)
	if err := check(history); err != nil {
		r.t.Error(err)
	}
}

// readAll reads every key, while nobody else is there.
func (r *run) readAll(k kind) []porcupine.Operation {
	c := r.cs[0]
	c.history = nil
	for _, key := range r.keys {
		r.must(c.read(key, map[string]int32{}))
	}
	all := c.history
	for i := range all {
		in := all[i].Input.(input)
		in.kind = k
		all[i].Input = in
	}
	c.history = nil
	return all
}

// stillThere looks for a node; it returns 1 if it is gone.
func (r *run) stillThere(c *client, path, what string) int {
	r.t.Helper()
	reply, err := c.call(opExists, harness.Bytes{}.Str(path).Bool(false))
	r.must(err)
	if reply.Err != 0 {
		r.t.Errorf("%s (%s) is gone: code %d", path, what, reply.Err)
		return 1
	}
	return 0
}

// everythingIsThere looks for the whole ledger at the end.
func (r *run) everythingIsThere(sum *tally) {
	if r.t.Failed() {
		return
	}
	for _, path := range r.ledger {
		sum.lost += r.stillThere(r.cs[0], path, "acknowledged long ago")
	}
}

// TestTheModelBites feeds Porcupine histories that no server may have.
func TestTheModelBites(t *testing.T) {
	op := func(client int, call, ret int64, in input, out output) porcupine.Operation {
		in.key = "/k"
		return porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: ret}
	}
	begin := op(0, 0, 1, input{kind: opInit}, output{value: "a", version: 3})
	for name, tc := range map[string]struct {
		history []porcupine.Operation
		legal   bool
	}{
		"a write is read": {[]porcupine.Operation{begin,
			op(1, 2, 3, input{kind: opSet, value: "b"}, output{version: 4}),
			op(1, 4, 5, input{kind: opRead}, output{value: "b", version: 4})}, true},
		"an acknowledged write is lost": {[]porcupine.Operation{begin,
			op(1, 2, 3, input{kind: opSet, value: "b"}, output{version: 4}),
			op(1, 4, 5, input{kind: opRead}, output{value: "a", version: 3})}, false},
		"a write without an answer may be lost": {[]porcupine.Operation{begin,
			op(1, 2, 1<<62, input{kind: opSet, value: "b"}, output{unknown: true}),
			op(2, 4, 5, input{kind: opRead}, output{value: "a", version: 3})}, true},
		"a write without an answer may have happened": {[]porcupine.Operation{begin,
			op(1, 2, 1<<62, input{kind: opSet, value: "b"}, output{unknown: true}),
			op(2, 4, 5, input{kind: opRead}, output{value: "b", version: 4})}, true},
		"it cannot come and go": {[]porcupine.Operation{begin,
			op(1, 2, 1<<62, input{kind: opSet, value: "b"}, output{unknown: true}),
			op(2, 4, 5, input{kind: opRead}, output{value: "b", version: 4}),
			op(2, 6, 7, input{kind: opRead}, output{value: "a", version: 3})}, false},
		"two swaps of one version cannot both succeed": {[]porcupine.Operation{begin,
			op(1, 2, 9, input{kind: opSwap, value: "b", version: 3}, output{version: 4}),
			op(2, 3, 8, input{kind: opSwap, value: "c", version: 3}, output{version: 4})}, false},
		"a refusal needs a reason": {[]porcupine.Operation{begin,
			op(1, 2, 3, input{kind: opSwap, value: "b", version: 3}, output{refused: true})}, false},
	} {
		if got := check(tc.history) == nil; got != tc.legal {
			t.Errorf("%s: legal is %v, want %v", name, got, tc.legal)
		}
	}
}
