package server

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"paddock/snap"
	"paddock/tree"
	"paddock/wal"
	"paddock/wire"
	"paddock/zab"
	"paddock/zab/runner"
)

// This file moves whole states between servers: a snapshot of ours for a learner, and a leader's for us.

// viewPause is the time before a view is asked for again, when there are too many.
const viewPause = 50 * time.Millisecond

// OpenSnapshot implements runner.Store. The stream is spooled to a file: a learner that is slow to read costs
// disk, not memory.
func (m *member) OpenSnapshot(link zab.Link) {
	m.measures.count(&m.measures.snapshots)
	if m.s.driven {
		m.s.callSoon(func(t *tree.Tree) {
			view, err := t.OpenView()
			m.spool(link, view, err)
		})
		return
	}
	m.s.running.Add(1)
	go func() {
		defer m.s.running.Done()
		view, err := m.awaitView()
		m.spool(link, view, err)
	}()
}

// awaitView opens a view between two transactions, when there is one to be had.
func (m *member) awaitView() (view *tree.View, err error) {
	for {
		if !m.s.call(func(t *tree.Tree) { view, err = t.OpenView() }) {
			return nil, errEnding
		}
		if !errors.Is(err, tree.ErrTooManyViews) {
			return view, err
		}
		select {
		case <-m.s.stop:
			return nil, errEnding
		case <-time.After(viewPause):
		}
	}
}

var errEnding = errors.New("server: it is about to end")

func (m *member) spool(link zab.Link, view *tree.View, err error) {
	if err != nil {
		m.agree.SnapshotOpened(link, 0, nil, err)
		return
	}
	defer view.Close()
	stream, err := snap.Spool(m.s.cfg.FS, m.s.snapDir(), view, snap.Options{})
	if err != nil {
		m.agree.SnapshotOpened(link, 0, nil, err)
		return
	}
	m.agree.SnapshotOpened(link, view.Zxid(), stream, nil)
}

// arrival is a leader's snapshot on its way in, and what comes behind it.
type arrival struct {
	mu     sync.Mutex
	reader *snap.StreamReader
	zxid   wire.Zxid
	gone   bool

	kept []*wal.Batch // of the goroutine that calls the store
}

// Receive implements runner.Store.
func (m *member) Receive(_ zab.Link, zxid wire.Zxid) runner.Receiver {
	m.Discard()
	shape := m.s.treeOptions()
	shape.Fuzzy = true // a Java leader goes on while it writes
	m.arriving = &arrival{reader: snap.NewStreamReader(shape), zxid: zxid}
	return m.arriving
}

// Feed implements runner.Receiver.
func (a *arrival) Feed(b []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gone {
		return 0, errDiscarded
	}
	return a.reader.Feed(b)
}

var errDiscarded = errors.New("server: the snapshot is not wanted any more")

// Done implements runner.Receiver.
func (a *arrival) Done() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.gone && a.reader.Done()
}

// Discard implements runner.Store.
func (m *member) Discard() {
	if a := m.arriving; a != nil {
		m.arriving = nil
		a.mu.Lock()
		a.gone, a.reader = true, nil
		a.mu.Unlock()
	}
}

// Keep implements runner.Store.
func (m *member) Keep(zxid wire.Zxid, txn []byte) {
	a := m.arriving
	if n := len(a.kept); n == 0 || !a.kept[n-1].Accepts(zxid) || a.kept[n-1].Size() > maxBatchBytes {
		a.kept = append(a.kept, wal.NewBatch(0))
	}
	a.kept[len(a.kept)-1].Add(zxid, txn)
}

// Install implements runner.Store. All of it is work for the log's owner: until it is done nothing else may
// be logged.
func (m *member) Install(zxid wire.Zxid) {
	a := m.arriving
	m.arriving = nil
	tail := behind(a.kept, zxid)
	m.recent.reset(zxid)
	for _, b := range tail {
		m.recent.appendBatch(b)
	}
	m.job(func() error {
		t, err := a.state(zxid)
		if err == nil {
			err = m.s.install(t, tail)
		}
		if err != nil {
			return fmt.Errorf("server: the leader's snapshot cannot be made ours: %w", err)
		}
		m.agree.Post(zab.Event{Kind: zab.EventInstalled, Zxid: zxid})
		if n := len(tail); n > 0 {
			m.agree.Post(zab.Event{Kind: zab.EventDurable, Zxid: tail[n-1].Last()})
		}
		return nil
	})
}

// behind returns what batches have above zxid.
func behind(batches []*wal.Batch, zxid wire.Zxid) (rest []*wal.Batch) {
	for _, b := range batches {
		switch {
		case b.First() > zxid:
			rest = append(rest, b)
		case b.Last() > zxid:
			part := wal.NewBatch(0)
			for z, txn := range b.Txns() {
				if z > zxid {
					part.Add(z, txn)
				}
			}
			rest = append(rest, part)
		}
	}
	return rest
}

// state is the leader's, up to zxid.
func (a *arrival) state(zxid wire.Zxid) (t *tree.Tree, err error) {
	defer misfit(&err)
	if t, err = a.reader.Tree(a.zxid); err != nil {
		return nil, err
	}
	for _, b := range a.kept {
		for z, txn := range b.Txns() {
			if z <= zxid {
				t.Apply(txn, nil, nil)
			}
		}
	}
	return t, t.Settle()
}

// install makes a state and the log behind it durable in one step, the log's: before it there is what was
// before, also in memory, and after it this.
func (s *Server) install(t *tree.Tree, tail []*wal.Batch) error {
	view, err := t.OpenView()
	if err != nil {
		return err
	}
	zxid := view.Zxid()
	_, err = snap.WriteStaged(s.cfg.FS, s.snapDir(), view, s.clock.wallMS(), snap.Options{})
	view.Close()
	if err != nil {
		return err
	}
	if err := s.wal.RestartWith(zxid, tail); err != nil {
		return err
	}
	s.snapping.Lock()
	_, err = snap.Adopt(s.cfg.FS, s.snapDir(), zxid)
	s.snapping.Unlock()
	if err != nil {
		return err
	}
	if err := s.trust(); err != nil {
		return err
	}
	var works []*work
	for _, b := range tail {
		w := &work{kind: workForeign, txns: b}
		w.count()
		works = append(works, w)
	}
	s.pipe.replace(zxid, works, func() { s.adopt(t) })
	s.log.Info("the leader's snapshot is ours", "zxid", zxid.String(), "znodes", t.NodeCount(), "behindIt", len(tail))
	return nil
}

// adopt changes over to another state. It runs in the apply stage, and nobody is served.
func (s *Server) adopt(t *tree.Tree) {
	s.tree.Store(t)
	s.apply.tree = t
	s.resetSessions()
	go runtime.GC() // what was there is outside the collected heap, and the collector sees no hurry
}

// A server that cannot vouch for its history must not vote with it, nor forget that over a restart: a file in
// the log's directory says so, until a leader's snapshot is in the place of what was there.

func (s *Server) untrustedFile() string { return filepath.Join(s.cfg.LogDir, "paddock", "rejoin") }

// newFile is beside the log where somebody has said that it is right for it to be empty.
func (s *Server) newFile() string { return filepath.Join(s.cfg.LogDir, "paddock", "initialized") }

// distrust makes the mark.
func (s *Server) distrust(why string) error { return s.mark(s.untrustedFile(), why) }

// mark makes a file that counts by being there. What it says is for people.
func (s *Server) mark(name, text string) error {
	files := s.cfg.FS
	f, err := files.Create(name)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(text+"\n"), 0)
	err = errors.Join(err, f.Sync(), f.Close())
	return errors.Join(err, files.SyncDir(filepath.Dir(name)))
}

// trust removes the mark.
func (s *Server) trust() error {
	files, name := s.cfg.FS, s.untrustedFile()
	if _, err := files.Stat(name); err != nil {
		return nil
	}
	if err := files.Remove(name); err != nil {
		return err
	}
	return files.SyncDir(filepath.Dir(name))
}

// distrusted says whether the mark is there.
func (s *Server) distrusted() bool {
	_, err := s.cfg.FS.Stat(s.untrustedFile())
	return err == nil
}

// misfit turns a transaction that does not fit the state into an error: it comes from another server, and
// is not a bug of ours that everything else has to stop for.
func misfit(err *error) {
	switch r := recover().(type) {
	case nil:
	case *tree.Misfit:
		*err = r
	default:
		panic(r)
	}
}

func (r *recent) reset(zxid wire.Zxid) {
	r.mu.Lock()
	r.window.Reset(zxid)
	r.mu.Unlock()
}
