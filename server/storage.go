package server

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"paddock/snap"
	"paddock/tree"
	"paddock/wal"
	"paddock/wire"
	"paddock/zab"
)

// openStorage locks the directories, reads the record of promises, loads the newest snapshot that verifies
// and replays the log behind it. A server alone that cannot vouch for what it acknowledged does not start
// (log-honest); one of an ensemble starts as one that knows nothing, and the others give it a state.
func (s *Server) openStorage() error {
	if err := s.lockDirs(); err != nil {
		return err
	}
	if err := s.openEpochs(); err != nil {
		return err
	}
	if s.cfg.Ensemble == nil {
		if s.distrusted() {
			return fmt.Errorf("server: %s says that what is in this directory is not to be trusted: only a server of an ensemble can start "+
				"on it, for it gets the state from the others", s.untrustedFile())
		}
		return s.recover()
	}
	if !s.distrusted() {
		err := s.recover()
		if err == nil {
			return s.judgeEmptiness()
		}
		if !isDamage(err) {
			return err
		}
		s.log.Error("what is on the disk has a hole: this server does not vote, and joins with a leader's snapshot", "err", err)
		if err := s.distrust(err.Error()); err != nil {
			return err
		}
	}
	if err := s.setAside(); err != nil {
		return err
	}
	s.trusted = zab.Damaged
	return s.recover()
}

// judgeEmptiness: a member that has nothing may have lost everything. It may vote if somebody vouches for
// that: the operator, or all the others, earlier (Trust).
func (s *Server) judgeEmptiness() error {
	if s.wal.Last() > 0 || s.tree.Load().Applied() > 0 {
		return nil
	}
	if s.cfg.Ensemble.MayBeEmpty {
		return s.mark(s.newFile(), "the operator has allowed this directory to be empty")
	}
	if _, err := s.cfg.FS.Stat(s.newFile()); err != nil {
		s.trusted = zab.Empty
		s.log.Warn("the data directory is empty: this server does not vote before it has heard all others, and none of them has anything, "+
			"or has got a leader's state (an operator who knows that it is new makes the file initialize in dataLogDir)", "dir", s.logDir())
	}
	return nil
}

// damage is what a server of an ensemble may start in spite of.
type damage struct{ error }

func (d damage) Unwrap() error { return d.error }

func isDamage(err error) bool {
	var d damage
	var w *wal.DamageError
	return errors.As(err, &d) || errors.As(err, &w)
}

// setAside keeps what cannot be trusted under another name: it may be all that is left of something.
func (s *Server) setAside() error {
	if s.wal != nil {
		if err := s.wal.Close(); err != nil {
			s.log.Warn("the log that is set aside", "err", err)
		}
		s.wal = nil
	}
	for _, dir := range []string{s.logDir(), s.snapDir()} {
		names, err := s.cfg.FS.List(dir)
		if err != nil {
			return err
		}
		if len(names) == 0 {
			continue
		}
		if err := s.renameAside(dir); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) renameAside(dir string) error {
	for n := 1; ; n++ {
		to := fmt.Sprintf("%s.untrusted-%d", dir, n)
		if _, err := s.cfg.FS.Stat(to); err == nil {
			continue
		}
		if err := s.cfg.FS.Rename(dir, to); err != nil {
			return err
		}
		s.log.Warn("set aside", "dir", dir, "as", to)
		return errors.Join(s.cfg.FS.MkdirAll(dir), s.cfg.FS.SyncDir(filepath.Dir(dir)))
	}
}

// openEpochs reads what this server has promised. A log without the record that is written before anything
// else means that the record is lost, and with it promises that were made to others.
func (s *Server) openEpochs() error {
	f, e, err := wal.OpenEpochs(s.cfg.FS, s.epochsDir())
	if err != nil {
		return err
	}
	if err := f.Repaired(); err != nil {
		s.log.Warn("a copy of the epoch record was made again", "err", err)
	}
	s.epochs = f
	var id int64
	if s.cfg.Ensemble != nil {
		id = int64(s.cfg.Ensemble.ID)
	}
	switch {
	case e.ServerID != 0 && id != 0 && e.ServerID != id:
		return fmt.Errorf("server: the data in %s is that of server %d, and this is server %d (myid): "+
			"what one has promised, another must not forget", s.epochsDir(), e.ServerID, id)
	case e.Generation == 0:
		if err := s.refuseLostEpochs(); err != nil {
			return err
		}
		return f.Save(wal.Epochs{ServerID: id})
	case e.ServerID != id && id != 0:
		e.ServerID = id
		return f.Save(e)
	}
	return nil
}

func (s *Server) refuseLostEpochs() error {
	names, err := s.cfg.FS.List(s.logDir())
	if err != nil || len(names) == 0 {
		return err
	}
	return fmt.Errorf("server: there is a log in %s and no epoch record in %s: this server no longer knows what it has promised, "+
		"and may not take part under its id", s.logDir(), s.epochsDir())
}

// recover makes the state from the snapshots and the log that are there.
func (s *Server) recover() error {
	if err := s.adoptStaged(); err != nil {
		return err
	}
	loaded, err := s.loadSnapshot()
	if err != nil {
		return err
	}
	s.wal, err = wal.Open(s.cfg.FS, s.logDir(), wal.Options{SegmentBytes: s.cfg.SegmentBytes, After: loaded})
	if err != nil {
		return err
	}
	if err := s.dropLeftovers(); err != nil {
		return err
	}
	if base := s.wal.Base(); base > loaded {
		return damage{fmt.Errorf("server: the log in %s begins after zxid %v, and the newest snapshot in %s that verifies is of %v: "+
			"what was between is missing", s.logDir(), base, s.snapDir(), loaded)}
	}
	if last := s.wal.Last(); last < loaded {
		return damage{fmt.Errorf("server: the log in %s ends at zxid %v, before the snapshot's %v: "+
			"it is not the log of this snapshot, or its end is missing", s.logDir(), last, loaded)}
	}
	replayed, err := s.replay(loaded)
	if err != nil {
		return damage{fmt.Errorf("server: replay %s: %w", s.logDir(), err)}
	}
	s.sinceCheckpoint.txns = int64(replayed) // a server that restarts often still makes snapshots
	t := s.tree.Load()
	s.log.Info("recovered", "snapshotZxid", loaded.String(), "replayed", replayed,
		"zxid", t.Applied().String(), "last", s.wal.Last().String(), "znodes", t.NodeCount())
	return nil
}

// replay applies the log. In an ensemble only what is known to be committed is applied: the rest waits, and
// may have to go.
func (s *Server) replay(loaded wire.Zxid) (applied int, err error) {
	defer misfit(&err)
	upTo := s.wal.Last()
	if s.cfg.Ensemble != nil {
		upTo = max(loaded, s.wal.Committed())
	}
	t, check := s.tree.Load(), s.wal.Checkpoint()
	s.tail = nil
	err = s.wal.Replay(loaded, func(txn []byte) error {
		var h wire.TxnHeader
		r := wire.NewReader(txn)
		if err := h.Decode(&r); err != nil {
			return err
		}
		zxid := h.Zxid
		if zxid > upTo {
			s.keepTail(zxid, txn)
			return nil
		}
		t.Apply(txn, nil, nil)
		applied++
		return s.compareDigest(check)
	})
	for _, w := range s.tail {
		w.count()
	}
	return applied, err
}

// adoptStaged finishes the installation of a leader's snapshot whose log is there already. A log of which
// nothing can be said is for wal.Open to judge.
func (s *Server) adoptStaged() error {
	base, began, err := wal.PeekBase(s.cfg.FS, s.logDir())
	if err != nil || !began {
		return nil
	}
	adopted, err := snap.Adopt(s.cfg.FS, s.snapDir(), base)
	if adopted {
		s.log.Info("a leader's snapshot was not yet in its place", "zxid", base.String())
	}
	return err
}

// dropLeftovers removes what snapshots that were on their way have left.
func (s *Server) dropLeftovers() error {
	return errors.Join(snap.DropStaged(s.cfg.FS, s.snapDir()), snap.DropSpools(s.cfg.FS, s.snapDir()))
}

func (s *Server) keepTail(zxid wire.Zxid, txn []byte) {
	n := len(s.tail)
	if n == 0 || !s.tail[n-1].txns.Accepts(zxid) || s.tail[n-1].txns.Size() > maxBatchBytes {
		s.tail = append(s.tail, &work{kind: workForeign, txns: wal.NewBatch(0)})
		n++
	}
	s.tail[n-1].txns.Add(zxid, txn)
}

// compareDigest stops the replay where the log says that the tree was another one: either the log or
// the code that applies it is not what it was. Serving divergence is worse than not serving.
func (s *Server) compareDigest(c wal.Checkpoint) error {
	if c.At == 0 || s.cfg.NoDigest || s.tree.Load().Applied() != c.At || s.tree.Load().Digest() == c.Digest {
		return nil
	}
	return fmt.Errorf("the tree's digest at zxid %v is %#x, the log says %#x: the state has diverged "+
		"(digest.enabled=false starts regardless)", c.At, s.tree.Load().Digest(), c.Digest)
}

// lockDirs makes the directories and sees to it that no other server uses them.
func (s *Server) lockDirs() error {
	dirs := []string{filepath.Join(s.cfg.DataDir, "paddock")}
	if s.cfg.LogDir != s.cfg.DataDir {
		dirs = append(dirs, filepath.Join(s.cfg.LogDir, "paddock"))
	}
	if err := s.refuseJavaDirs(); err != nil {
		return err
	}
	for _, dir := range dirs {
		if parent := filepath.Dir(dir); s.cfg.NoAutoCreate {
			if _, err := s.cfg.FS.Stat(parent); err != nil {
				return fmt.Errorf("server: %s has to be there, for datadir.autocreate is false: %w", parent, err)
			}
		}
		if err := s.cfg.FS.MkdirAll(dir); err != nil {
			return fmt.Errorf("server: cannot make %s (dataDir has to be writable): %w", dir, err)
		}
		lock, err := s.cfg.FS.Lock(filepath.Join(dir, "lock"))
		if err != nil {
			return fmt.Errorf("server: cannot lock %s: %w", dir, err)
		}
		s.locks = append(s.locks, lock)
	}
	for _, dir := range []string{s.logDir(), s.snapDir(), s.epochsDir()} {
		if err := s.cfg.FS.MkdirAll(dir); err != nil {
			return fmt.Errorf("server: cannot make %s: %w", dir, err)
		}
	}
	return nil
}

// refuseJavaDirs keeps us from starting empty beside the data of an Apache server: an operator who
// points us at it wants that data.
func (s *Server) refuseJavaDirs() error {
	for _, dir := range []string{s.cfg.DataDir, s.cfg.LogDir} {
		if _, err := s.cfg.FS.Stat(filepath.Join(dir, "paddock")); err == nil {
			continue
		}
		names, err := s.cfg.FS.List(filepath.Join(dir, "version-2"))
		if err != nil {
			continue // no such directory
		}
		for _, n := range names {
			if strings.HasPrefix(n, "snapshot.") || strings.HasPrefix(n, "log.") {
				return fmt.Errorf("server: %s holds the data of an Apache ZooKeeper server, which this version cannot import yet; "+
					"give another dataDir", filepath.Join(dir, "version-2", n))
			}
		}
	}
	return nil
}

// loadSnapshot fills s.tree from the newest snapshot that verifies, or makes an empty tree.
func (s *Server) loadSnapshot() (wire.Zxid, error) {
	t, report, err := snap.LoadTree(s.cfg.FS, s.snapDir(), s.treeOptions(), snap.Options{})
	for _, p := range report.Passed {
		s.log.Error("snapshot passed over", "file", p.Name, "kept as", p.Quarantine, "err", p.Err)
	}
	for _, f := range report.Failed {
		s.log.Warn("snapshot directory", "err", f)
	}
	switch {
	case errors.Is(err, snap.ErrNone):
		s.tree.Store(tree.New(s.treeOptions()))
		return 0, nil // whether the log reaches back to the beginning is seen when it is open
	case err != nil:
		return 0, err
	}
	s.tree.Store(t)
	return report.Loaded.Zxid, nil
}

func (s *Server) treeOptions() tree.Options {
	return tree.Options{ExtendedTypes: s.cfg.ExtendedTypes, NoDigest: s.cfg.NoDigest}
}

// closeStorage seals the log and lets the directories go.
func (s *Server) closeStorage() error {
	var errs []error
	if s.wal != nil {
		errs = append(errs, s.wal.Close())
		s.wal = nil
	}
	for _, l := range s.locks {
		errs = append(errs, l.Close())
	}
	s.locks = nil
	return errors.Join(errs...)
}
