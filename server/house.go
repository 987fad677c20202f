package server

import (
	"bytes"
	"cmp"
	"errors"
	"sync/atomic"
	"time"

	"paddock/snap"
	"paddock/tree"
	"paddock/wal"
	"paddock/wire"
	"paddock/zab"
)

// This file is the housekeeping: snapshots, purging, the disk's free space, containers and TTL nodes,
// and the zeroing of the log's next segment. One goroutine does it all; none of it is ever waited for.

// checkpoints is what there is to know of snapshots.
type checkpoints struct {
	due     chan struct{} // one place: apply has counted enough
	running atomic.Bool
	taken   atomic.Int64
	failed  atomic.Int64
	lastMS  atomic.Int64 // duration of the last one
	times   timings
}

const (
	houseStep = time.Second
	// prepareStep is the pause between two steps of zeroing the log's next segment.
	prepareStep = 5 * time.Millisecond
	// defaultMinFree is kept free for the snapshot and the seal that a clean end needs.
	defaultMinFree = 64 << 20
	// spaceStep is the pause of a commit that waits for space.
	spaceStep = 100 * time.Millisecond
)

func (s *Server) keepHouse() {
	defer s.running.Done()
	t := time.NewTicker(houseStep)
	defer t.Stop()
	lastPurge, lastSweep := time.Now(), time.Now()
	for {
		select {
		case <-s.stop:
			return
		case <-s.checkpoints.due:
			s.checkpoint()
			s.purge()
			lastPurge = time.Now()
			continue
		case <-t.C:
		}
		s.prepareLog()
		s.watchDisk()
		if s.cfg.PurgeEvery > 0 && time.Since(lastPurge) >= s.cfg.PurgeEvery {
			s.purge()
			lastPurge = time.Now()
		}
		if s.cfg.ContainerCheck > 0 && s.leads() && time.Since(lastSweep) >= s.cfg.ContainerCheck {
			s.sweep()
			lastSweep = time.Now()
		}
	}
}

// countForCheckpoint runs in the apply stage: it asks for a snapshot when enough was logged.
func (s *Server) countForCheckpoint(w *work) {
	n := &s.sinceCheckpoint
	n.txns += w.logged
	n.bytes += w.loggedBytes
	byCount := s.cfg.SnapCount > 0 && n.txns >= int64(s.cfg.SnapCount)
	bySize := s.cfg.SnapBytes > 0 && n.bytes >= s.cfg.SnapBytes
	if !byCount && !bySize || s.checkpoints.running.Load() {
		return
	}
	n.txns, n.bytes = 0, 0
	select {
	case s.checkpoints.due <- struct{}{}:
	default:
	}
}

// checkpoint writes the state as after one transaction, while service goes on (snapshot-exact).
func (s *Server) checkpoint() {
	s.checkpoints.running.Store(true)
	defer s.checkpoints.running.Store(false)
	var (
		view *tree.View
		err  error
	)
	if !s.call(func(t *tree.Tree) { view, err = t.OpenView() }) {
		return // closing
	}
	if err != nil {
		s.log.Warn("no snapshot now", "err", err)
		return
	}
	s.writeSnapshot(view)
}

func (s *Server) writeSnapshot(view *tree.View) {
	defer view.Close()
	start := time.Now()
	s.snapping.Lock()
	defer s.snapping.Unlock()
	info, err := snap.Write(s.cfg.FS, s.snapDir(), view, s.clock.wallMS(), snap.Options{})
	if err != nil {
		s.checkpoints.failed.Add(1)
		s.log.Error("snapshot failed; the log keeps everything meanwhile", "zxid", view.Zxid().String(), "err", err)
		return
	}
	s.checkpoints.taken.Add(1)
	s.checkpoints.times.add(time.Since(start))
	s.checkpoints.lastMS.Store(time.Since(start).Milliseconds())
	s.log.Info("snapshot", "zxid", info.Zxid.String(), "znodes", info.Nodes, "bytes", info.FileBytes,
		"took", time.Since(start).Round(time.Millisecond))
}

// prepareLog zeroes the log's next segment, one paced step at a time.
func (s *Server) prepareLog() {
	for s.prepareStep() {
		select {
		case <-s.stop:
			return
		case <-time.After(prepareStep):
		}
	}
}

// prepareStep does one step, and says whether there is more to do. Where the segment does not fit,
// watchDisk hears of it.
func (s *Server) prepareStep() (more bool) {
	more, err := s.wal.Prepare()
	switch {
	case err == nil && !more:
		s.noRoom.Store(false)
	case errors.Is(err, wal.ErrNoSpace):
		s.noRoom.Store(true)
	case err != nil:
		s.fatal(err) // as a failed commit is
	}
	return more && err == nil
}

// purge removes snapshots and log that nobody needs: at least RetainSnapshots stay, and all younger
// than RetainFor, and the log they need.
func (s *Server) purge() {
	s.snapping.Lock()
	defer s.snapping.Unlock()
	p, err := snap.Purge(s.cfg.FS, s.snapDir(), snap.Retention{
		Count: s.cfg.RetainSnapshots, Age: s.cfg.RetainFor, NowMS: s.clock.wallMS(),
	}, snap.Options{})
	for _, d := range p.Passed {
		s.log.Error("snapshot does not verify", "file", d.Name, "kept as", d.Quarantine, "err", d.Err)
	}
	if err != nil {
		s.log.Warn("purge", "err", err)
		return
	}
	if p.LogThrough == 0 {
		return
	}
	if err := s.wal.RemoveThrough(p.LogThrough); err != nil {
		s.log.Warn("purge", "err", err)
	}
	if s.agree != nil {
		s.agree.Post(zab.Event{Kind: zab.EventPurged, Zxid: s.wal.Base()})
	}
	if len(p.Removed) > 0 {
		s.log.Info("purged", "snapshots", len(p.Removed), "logThrough", p.LogThrough.String())
	}
}

// watchDisk refuses writes before the disk is full, and takes them again when there is space: while
// little is free, or where the log's next segment does not fit, though much may be free (a quota, or
// large segments). What is in the pipeline already has room in the segments there are, which were
// written with zeros ahead of time; where it comes faster than they are made, commit waits.
func (s *Server) watchDisk() {
	low := cmp.Or(s.cfg.MinFreeBytes, defaultMinFree)
	free, err := s.cfg.FS.Free(s.logDir())
	if err != nil {
		s.log.Warn("free space unknown", "dir", s.logDir(), "err", err)
		return
	}
	switch full, noRoom := s.full.Load(), s.noRoom.Load(); {
	case !full && (free < low || noRoom):
		s.full.Store(true)
		s.log.Error("the disk is nearly full: writes are refused until there is space, reads go on",
			"dir", s.logDir(), "freeBytes", free, "needBytes", low, "segmentFits", !noRoom)
		if s.agree != nil && s.leads() {
			s.agree.Post(zab.Event{Kind: zab.EventResign}) // somebody else may have room; if not, writes are refused here
		}
		s.purge()
	case full && free >= low+low/4 && !noRoom:
		s.full.Store(false)
		s.log.Info("there is space again: writes are taken", "dir", s.logDir(), "freeBytes", free)
	}
}

// awaitSpace is for a commit that finds the disk full, because it filled up between two looks of
// watchDisk. What it holds is sequenced and cannot be refused any more. So it waits: nobody is told
// anything, what comes later is refused, reads go on. It returns false when the server ends.
func (s *Server) awaitSpace() bool {
	if !s.noRoom.Swap(true) {
		s.log.Error("the disk is full: the writes on their way wait for space, later ones are refused, reads go on",
			"dir", s.logDir())
	}
	if s.driven {
		return false
	}
	select {
	case <-s.stop:
		return false
	case <-time.After(spaceStep):
		return true
	}
}

// sweep submits the end of containers and TTL nodes whose time has come (client-protocol.md 3.10).
func (s *Server) sweep() {
	var paths [][]byte
	if s.call(func(t *tree.Tree) { paths = s.outlived(t) }) && len(paths) > 0 {
		s.remove(paths)
	}
}

// outlived finds the nodes whose time has come; the owner of apply calls it.
func (s *Server) outlived(t *tree.Tree) (paths [][]byte) {
	limit := max(1, int(float64(s.cfg.ContainerPerMinute)*s.cfg.ContainerCheck.Minutes()))
	t.Due(s.clock.wallMS(), s.cfg.ContainerNeverUsed.Milliseconds(), limit, func(path []byte) {
		paths = append(paths, bytes.Clone(path))
	})
	return paths
}

func (s *Server) remove(paths [][]byte) {
	b := s.newBatch()
	for _, p := range paths {
		b.add(entry{kind: kindWrite, op: wire.OpDeleteContainer}, wire.AppendString(nil, p))
	}
	s.pipe.put(b)
}
