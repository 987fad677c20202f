package ensemble

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"paddock/test/harness"
)

// client is one session after another, and what they did.
type client struct {
	harness.Session
	load *Load
	id   int
	rnd  *rand.Rand
	next int // number of the next value it writes

	generation int32
	versions   map[string]int32 // of the keys of its generation, as read last

	ops     []Op
	expired int
	errs    []error // answers that no server may give

	created []string    // acknowledged, and not deleted since
	deleted []string    // acknowledged
	pairs   [][2]string // multis without an answer
	alive   string      // the ephemeral of this session; empty: not acknowledged
	dead    []string    // of sessions before
}

func (c *client) fail(format string, a ...any) {
	c.errs = append(c.errs, fmt.Errorf("client %d: %s", c.id, fmt.Sprintf(format, a...)))
}

// run works until the load stops. Its session goes from server to server as they come and go.
func (c *client) run() {
	pace := time.NewTicker(c.load.config.Pace)
	defer pace.Stop()
	for {
		if !c.Connected() && !c.connect() {
			return
		}
		select {
		case <-c.load.stop:
			return
		case <-pace.C:
		}
		if err := c.work(); err != nil {
			c.At = (c.At + 1) % len(c.Addrs) // a client whose server is silent asks another
		}
	}
}

// connect reports false when the load stops.
func (c *client) connect() bool {
	for {
		fresh := c.ID == 0
		err := c.Connect(c.load.stop)
		switch {
		case errors.Is(err, harness.ErrExpired):
			c.buried()
			continue
		case err != nil:
			return false
		case fresh:
			c.mark()
		}
		return true
	}
}

// buried notes that the session is over.
func (c *client) buried() {
	c.expired++
	if c.alive != "" {
		c.dead = append(c.dead, c.alive)
	}
	c.alive = ""
}

// mark makes the ephemeral of a new session. Without an answer it may be there or not.
func (c *client) mark() {
	path := fmt.Sprintf("/alive/c%d-%x", c.id, c.ID)
	r, err := c.Call(opCreate, createBody(path, "", flagEphemeral))
	switch {
	case err != nil:
	case r.Err != 0:
		c.fail("create %s: code %d", path, r.Err)
	default:
		c.alive = path
	}
}

// work does one operation. An error means that its outcome is not known.
func (c *client) work() error {
	if g := c.load.generation.Load(); g != c.generation {
		c.generation, c.versions = g, map[string]int32{}
	}
	key := fmt.Sprintf("/keys/g%d-%d", c.generation, c.rnd.IntN(keysAtOnce))
	version, known := c.versions[key]
	switch n := c.rnd.IntN(20); {
	case !known && n < 10:
		return c.create(key)
	case n < 5:
		return c.write(Op{Kind: OpSet, Key: key, Value: c.unique(), Expected: -1})
	case n < 9:
		return c.write(Op{Kind: OpSwap, Key: key, Value: c.unique(), Expected: version})
	case n < 10:
		return c.remove(Op{Kind: OpDelete, Key: key, Expected: version})
	case n < 13:
		return c.read(Op{Kind: OpRead, Key: key})
	case n < 16:
		return c.read(Op{Kind: OpSyncRead, Key: key})
	case n < 18:
		return c.enter()
	case n < 19:
		return c.enterPair()
	}
	return c.strike()
}

// unique returns a value that nobody else writes.
func (c *client) unique() string {
	c.next++
	return fmt.Sprintf("c%d-%d", c.id, c.next)
}

// call sends a request as part of o and enters into o what comes of it, but for the body.
func (c *client) call(o *Op, op int32, body harness.Bytes) (harness.Reply, error) {
	if o.Call == 0 {
		o.Client, o.Session, o.Call = c.id, c.ID, c.load.clock.Add(1)
	}
	member := c.load.ensemble.Members[c.At]
	o.Server, o.Exact = member.String(), !member.Kind().Apache()
	r, err := c.Call(op, body)
	if o.Return = c.load.clock.Add(1); err != nil {
		o.Return = forever
		return r, err
	}
	o.Code, o.Stamp = r.Err, r.Zxid
	if r.Err != 0 && !definite(r.Err) {
		c.fail("a refusal that says nothing: %v", o)
	}
	if o.Kind.writes() && r.Err == 0 {
		c.load.acks.Add(1)
	}
	return r, nil
}

// note enters o into the history.
func (c *client) note(o *Op) { c.ops = append(c.ops, *o) }

func (c *client) create(key string) error {
	o := Op{Kind: OpCreate, Key: key, Value: c.unique()}
	r, err := c.call(&o, opCreate2, createBody(key, o.Value, 0))
	if err == nil && r.Err == 0 {
		f := harness.FieldsOf(r.Body)
		f.Str()
		c.sees(&o, f.Stat())
	} else {
		c.versions[key] = 0 // there may be one now; a read will tell
	}
	c.note(&o)
	return err
}

// sees notes the stat that came with a key.
func (c *client) sees(o *Op, s harness.Stat) {
	o.Mzxid, o.Version = s.Mzxid, s.Version
	c.versions[o.Key] = s.Version
}

func (c *client) write(o Op) error {
	r, err := c.call(&o, opSetData, harness.Bytes{}.Str(o.Key).Str(o.Value).Int(o.Expected))
	if err == nil && r.Err == 0 {
		c.sees(&o, harness.FieldsOf(r.Body).Stat())
	} else {
		delete(c.versions, o.Key)
	}
	c.note(&o)
	return err
}

func (c *client) remove(o Op) error {
	_, err := c.call(&o, opDelete, harness.Bytes{}.Str(o.Key).Int(o.Expected))
	delete(c.versions, o.Key)
	c.note(&o)
	return err
}

func (c *client) read(o Op) error {
	if o.Kind != OpRead {
		r, err := c.call(&o, opSync, harness.Bytes{}.Str(o.Key))
		if err != nil || r.Err != 0 {
			return err // a sync alone says nothing; a refusal is noted as a failure
		}
	}
	r, err := c.call(&o, opGetData, harness.Bytes{}.Str(o.Key).Bool(false))
	if err == nil && r.Err == 0 {
		f := harness.FieldsOf(r.Body)
		o.Got = f.Str()
		c.sees(&o, f.Stat())
	}
	c.note(&o)
	return err
}

// enter makes a node that is looked for at the end.
func (c *client) enter() error {
	o := Op{Kind: OpLedger, Key: "/ledger/" + c.unique()}
	r, err := c.call(&o, opCreate2, createBody(o.Key, o.Key, 0))
	if err == nil && r.Err == 0 {
		f := harness.FieldsOf(r.Body)
		f.Str()
		o.Mzxid = f.Stat().Mzxid
		c.created = append(c.created, o.Key)
	}
	c.note(&o)
	return err
}

// enterPair makes two such nodes in one multi.
func (c *client) enterPair() error {
	name := "/ledger/" + c.unique()
	pair := [2]string{name + "-a", name + "-b"}
	o := Op{Kind: OpLedger, Key: name}
	var body harness.Bytes
	for _, path := range pair {
		body = append(body.Int(opCreate).Bool(false).Int(-1), createBody(path, path, 0)...)
	}
	r, err := c.call(&o, opMulti, body.Int(-1).Bool(true).Int(-1))
	switch {
	case err != nil:
		c.pairs = append(c.pairs, pair)
	case r.Err == 0:
		c.created = append(c.created, pair[:]...)
	}
	c.note(&o)
	return err
}

// strike deletes the oldest node that it has made.
func (c *client) strike() error {
	if len(c.created) == 0 {
		return nil
	}
	o := Op{Kind: OpLedger, Key: c.created[0]}
	c.created = c.created[1:]
	r, err := c.call(&o, opDelete, harness.Bytes{}.Str(o.Key).Int(-1))
	if err == nil && r.Err == 0 {
		c.deleted = append(c.deleted, o.Key)
	} else if err == nil {
		c.fail("what was acknowledged is gone: %v", &o)
	}
	c.note(&o)
	return err
}
