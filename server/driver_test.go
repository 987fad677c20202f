package server

import (
	"net/netip"
	"testing"
	"time"

	"paddock/auth"
	"paddock/session"
	"paddock/vfs"
	"paddock/wire"
)

// driver drives the stages of a server by hand, without connections: each write is sequenced, committed
// and applied before the next, by the same code as in production.
type driver struct {
	t   *testing.T
	d   *Driven
	now time.Time
	ids *auth.Identities
	err error // what OnFatal was told
}

var driverStart = time.UnixMilli(1_700_000_000_000)

// driverConfig is a server on a disk in memory with small segments.
func driverConfig(d *vfs.Sim) Config {
	c := config("/data")
	c.FS, c.SegmentBytes, c.ExtendedTypes, c.Loops = d, 16<<10, true, 1
	return c
}

func newDriver(t *testing.T, d *vfs.Sim, change func(*Config)) *driver {
	t.Helper()
	r, err := drive(t, d, change)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// drive opens the storage as a server that starts, and fails as it does.
func drive(t *testing.T, d *vfs.Sim, change func(*Config)) (*driver, error) {
	r := &driver{t: t, now: driverStart}
	c := driverConfig(d)
	c.OnFatal = func(err error) { r.err = err }
	if change != nil {
		change(&c)
	}
	var err error
	if r.d, err = Drive(c, r.now); err != nil {
		return nil, err
	}
	r.ids = r.d.s.rules.Connect(netip.MustParseAddr("127.0.0.1"))
	return r, nil
}

// session begins a session.
func (r *driver) session() *session.Session {
	r.t.Helper()
	s := r.d.s
	sess := s.table.Add(s.nextSessionID(), 30_000, s.clock.sessionMS())
	must(r.t, r.write(sess, wire.OpCreateSession, nil))
	return sess
}

// do has one request go through the stages and returns its code.
func (r *driver) do(sess *session.Session, op wire.Op, body []byte) wire.Code {
	r.t.Helper()
	code, err := r.try(sess, op, body)
	must(r.t, err)
	return code
}

// try is do for a log that may fail.
func (r *driver) try(sess *session.Session, op wire.Op, body []byte) (wire.Code, error) {
	codes, err := r.together(request{sess, op, body})
	return codes[0], err
}

type request struct {
	sess *session.Session
	op   wire.Op
	body []byte
}

// together has several requests go through the stages in one batch.
func (r *driver) together(qs ...request) ([]wire.Code, error) {
	r.t.Helper()
	s := r.d.s
	r.now = r.now.Add(time.Millisecond)
	r.d.SetTime(r.now)
	b := newBatch(0, 0)
	for _, q := range qs {
		e := entry{kind: kindWrite, op: q.op, sess: q.sess}
		if q.sess != nil {
			e.ids = r.ids
		}
		b.add(e, q.body)
	}
	s.pipe.put(b)
	r.d.Run(Sequence, 1)
	codes := make([]wire.Code, len(qs))
	for i := range b.entries {
		codes[i] = b.entries[i].code
	}
	r.d.Run(Commit, 1)
	if r.err != nil {
		return codes, r.err
	}
	r.d.Run(Apply, 1)
	return codes, r.err
}

// write is do for a request that has to succeed.
func (r *driver) write(sess *session.Session, op wire.Op, body []byte) error {
	r.t.Helper()
	code, err := r.try(sess, op, body)
	if err == nil && code != wire.OK {
		err = code
	}
	return err
}

// keepHouse is a turn of the housekeeping.
func (r *driver) keepHouse() {
	for r.d.Prepare() {
	}
	r.d.WatchDisk()
}

func (r *driver) close() {
	r.t.Helper()
	must(r.t, r.d.Close())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
