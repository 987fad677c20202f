package ensemble

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"paddock/test/harness"
)

// keysAtOnce is how many keys the clients share at a time.
const keysAtOnce = 4

// LoadConfig says how hard to work. Zero fields get what suits a machine that others use too.
type LoadConfig struct {
	Clients   int           // 6
	Pace      time.Duration // between two operations of a client: 6 ms
	TimeoutMS int32         // of sessions: 15,000
	Patience  time.Duration // for an answer: 2 s
	Seed      uint64
}

// Load is clients at work on an ensemble.
type Load struct {
	ensemble   *harness.Ensemble
	config     LoadConfig
	clients    []*client
	mortals    []mortal
	clock      atomic.Int64
	acks       atomic.Int64
	generation atomic.Int32
	stop       chan struct{}
	working    sync.WaitGroup
}

// mortal is a session that was left alone, and its ephemeral.
type mortal struct{ path string }

// StartLoad starts the clients on an ensemble that serves.
func StartLoad(e *harness.Ensemble, config LoadConfig) (*Load, error) {
	if config.Clients == 0 {
		config.Clients = 6
	}
	if config.Pace == 0 {
		config.Pace = 6 * time.Millisecond
	}
	if config.TimeoutMS == 0 {
		config.TimeoutMS = 15_000
	}
	if config.Patience == 0 {
		config.Patience = 2 * time.Second
	}
	l := &Load{ensemble: e, config: config, stop: make(chan struct{})}
	s := l.session(0)
	if err := s.Connect(nil); err != nil {
		return nil, err
	}
	for _, path := range []string{"/keys", "/ledger", "/alive", "/mortal"} {
		r, err := s.Call(opCreate, createBody(path, "", 0))
		if err != nil || r.Err != 0 {
			return nil, fmt.Errorf("ensemble: create %s: code %d, %w", path, r.Err, err)
		}
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	for i := range config.Clients {
		c := &client{Session: *l.session(i), load: l, id: i, rnd: rand.New(rand.NewPCG(config.Seed, uint64(i+1)))}
		c.versions = map[string]int32{}
		if i%3 == 2 { // one that waits: what it asked is answered by a server that comes out of a pause
			c.Patience *= 10
		}
		l.clients = append(l.clients, c)
		l.working.Go(c.run)
	}
	return l, nil
}

// session returns a session that begins at one of the servers.
func (l *Load) session(at int) *harness.Session {
	s := &harness.Session{TimeoutMS: l.config.TimeoutMS, Patience: l.config.Patience, At: at % len(l.ensemble.Members)}
	for _, m := range l.ensemble.Members {
		s.Addrs = append(s.Addrs, m.Addr)
	}
	return s
}

// Acks returns how many writes were acknowledged so far.
func (l *Load) Acks() int64 { return l.acks.Load() }

// NextGeneration makes the clients go over to new keys.
func (l *Load) NextGeneration() { l.generation.Add(1) }

// AwaitProgress waits until n more writes are acknowledged.
func (l *Load) AwaitProgress(n int64, within time.Duration) error {
	want := l.Acks() + n
	retry := time.NewTicker(5 * time.Millisecond)
	defer retry.Stop()
	for end := time.Now().Add(within); l.Acks() < want; <-retry.C {
		if time.Now().After(end) {
			return fmt.Errorf("ensemble: only %d of %d writes were acknowledged within %v\n%s", l.Acks()-want+n, n, within, l.ensemble.Report())
		}
	}
	return nil
}

// LeaveMortal opens a session with the shortest time-out, makes an ephemeral, and never comes back.
func (l *Load) LeaveMortal() error {
	s := l.session(len(l.mortals))
	s.TimeoutMS = 1
	if err := s.Connect(nil); err != nil {
		return err
	}
	defer s.Drop()
	path := fmt.Sprintf("/mortal/m%d", len(l.mortals))
	r, err := s.Call(opCreate, createBody(path, "", flagEphemeral))
	if err == nil && r.Err != 0 {
		err = fmt.Errorf("ensemble: create %s: code %d", path, r.Err)
	}
	l.mortals = append(l.mortals, mortal{path})
	return err
}

// Stop ends the work. The sessions live on.
func (l *Load) Stop() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.working.Wait()
}

// Result is what a load shows, when it is over and nothing is broken any more.
type Result struct {
	Acknowledged, Unknown, Expired, Mortals int
	Created, Lost                           int
	Nodes                                   int // in the tree
	Zxid                                    int64
	Verdict                                 Verdict
	StaleSyncs                              int // keys with a sync that saw too little, where that is permitted
	Order                                   *Order
	Broken                                  []error
}

func (r *Result) broken(format string, a ...any) {
	r.Broken = append(r.Broken, fmt.Errorf(format, a...))
}

func (r *Result) String() string {
	return fmt.Sprintf("acknowledged %d, without an answer %d, sessions expired %d, left %d, ledger %d, lost %d, "+
		"histories %d of %d operations, illegal %d, unknown %d, stale syncs %d, reads by order %d (inexact %d), nodes %d at %#x, broken %d",
		r.Acknowledged, r.Unknown, r.Expired, r.Mortals, r.Created, r.Lost, r.Verdict.Keys, r.Verdict.Ops, r.Verdict.Illegal,
		r.Verdict.Unended, r.StaleSyncs, r.Order.Reads, r.Order.Inexact, r.Nodes, r.Zxid, len(r.Broken))
}

// Judge stops the load and looks at everything. All servers run and have a leader. An error means that
// nothing can be said.
func (l *Load) Judge() (*Result, error) {
	l.Stop()
	r := &Result{Mortals: len(l.mortals), Order: &Order{}}
	if err := l.lastReads(r); err != nil {
		return nil, err
	}
	if err := l.livingAndDead(r); err != nil {
		return nil, err
	}
	if err := l.farewell(); err != nil {
		return nil, err
	}
	tree, err := SameTrees(l.ensemble)
	if err != nil {
		r.Broken = append(r.Broken, err)
	}
	if tree != nil {
		l.ledger(r, tree)
	}
	l.histories(r)
	return r, nil
}

// lastReads takes up every session again, and reads every key of all generations.
func (l *Load) lastReads(r *Result) error {
	l.stop = make(chan struct{})
	for _, c := range l.clients {
		if !c.connectWithin(30 * time.Second) {
			return fmt.Errorf("ensemble: client %d finds no server\n%s", c.id, l.ensemble.Report())
		}
	}
	c := l.clients[0]
	for g := range l.generation.Load() + 1 {
		for k := range keysAtOnce {
			if err := c.read(Op{Kind: OpLastRead, Key: fmt.Sprintf("/keys/g%d-%d", g, k)}); err != nil {
				return fmt.Errorf("ensemble: last reads: %w", err)
			}
		}
	}
	return nil
}

// connectWithin takes up the session again.
func (c *client) connectWithin(d time.Duration) bool {
	late := make(chan struct{})
	timer := time.AfterFunc(d, func() { close(late) })
	defer timer.Stop()
	for {
		err := c.Connect(late)
		if errors.Is(err, harness.ErrExpired) {
			c.buried()
			continue
		}
		return err == nil
	}
}

// livingAndDead waits until the ephemerals of dead sessions are gone, and looks for those of the living.
func (l *Load) livingAndDead(r *Result) error {
	var dead []string
	for _, m := range l.mortals {
		dead = append(dead, m.path)
	}
	for _, c := range l.clients {
		dead = append(dead, c.dead...)
		r.Expired += c.expired
	}
	const within = 30 * time.Second // the shortest time-out, a bucket, and a busy machine
	end := time.Now().Add(within)
	for i, m := range l.ensemble.Members {
		there, err := l.children(i, "/alive", "/mortal")
		for err == nil && anyOf(dead, there) != "" && time.Now().Before(end) {
			for _, c := range l.clients { // they have to live on
				if _, err := c.Call(opSync, harness.Bytes{}.Str("/")); err != nil {
					return err
				}
			}
			there, err = l.children(i, "/alive", "/mortal")
		}
		if err != nil {
			return fmt.Errorf("ensemble: ephemerals at %v: %w", m, err)
		}
		if path := anyOf(dead, there); path != "" {
			r.broken("server %v: %s outlives its session", m, path)
		}
		for _, c := range l.clients {
			if c.alive != "" && !there[c.alive] {
				r.broken("server %v: %s is gone, its session %#x lives", m, c.alive, c.ID)
			}
		}
	}
	return nil
}

func anyOf(paths []string, there map[string]bool) string {
	for _, path := range paths {
		if there[path] {
			return path
		}
	}
	return ""
}

// children lists what is below some nodes, as one server has it after a sync.
func (l *Load) children(at int, parents ...string) (map[string]bool, error) {
	w, err := openWalker(l.ensemble.Members[at])
	if err != nil {
		return nil, err
	}
	defer w.close()
	there := map[string]bool{}
	for _, parent := range parents {
		names, err := w.children(parent)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			there[parent+"/"+name] = true
		}
	}
	return there, nil
}

// farewell closes the sessions.
func (l *Load) farewell() error {
	for _, c := range l.clients {
		if err := c.Close(); err != nil {
			return fmt.Errorf("ensemble: client %d: close: %w", c.id, err)
		}
	}
	return nil
}

// ledger looks for all that was acknowledged.
func (l *Load) ledger(r *Result, tree *Tree) {
	r.Nodes, r.Zxid = len(tree.Nodes), tree.Zxid
	has := func(path string) bool { _, ok := tree.Nodes[path]; return ok }
	for _, c := range l.clients {
		r.Created += len(c.created)
		for _, path := range c.created {
			if !has(path) {
				r.Lost++
				r.broken("acknowledged and lost: %s", path)
			}
		}
		for _, path := range c.deleted {
			if has(path) {
				r.Lost++
				r.broken("deleted and back: %s", path)
			}
		}
		for _, p := range c.pairs {
			if has(p[0]) != has(p[1]) {
				r.broken("half of a multi: %s is %v, %s is %v", p[0], has(p[0]), p[1], has(p[1]))
			}
		}
	}
	for path, n := range tree.Nodes {
		if n.Stat.Owner != 0 {
			r.broken("%s is an ephemeral of %#x, which is closed", path, n.Stat.Owner)
		}
	}
}

// histories runs the checks on what clients saw.
func (l *Load) histories(r *Result) {
	var ops []Op
	for _, c := range l.clients {
		r.Broken = append(append(r.Broken, c.errs...), c.Broken...)
		ops = append(ops, c.ops...)
	}
	for i := range ops {
		switch {
		case ops[i].Unknown() && ops[i].Kind.writes():
			r.Unknown++
		case ops[i].Kind.writes() && ops[i].Code == 0:
			r.Acknowledged++
		}
	}
	r.Order = checkOrder(ops)
	for _, why := range r.Order.Broken {
		r.broken("%s", why)
	}
	writes := []OpKind{OpCreate, OpSet, OpSwap, OpDelete, OpLastRead}
	r.Verdict = linearizable(ops, append(writes, OpSyncRead)...)
	if r.Verdict.Illegal > 0 && slices.ContainsFunc(ops, ofApache) {
		r.StaleSyncs = r.Verdict.Illegal
		r.Verdict = linearizable(ops, writes...)
	}
	for _, why := range r.Verdict.Why {
		r.broken("%s", why)
	}
}

// ofApache reports whether one of Apache's servers has answered.
func ofApache(o Op) bool { return o.Server != "" && !o.Exact }
