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
)

// openStorage locks the directories, loads the newest snapshot that verifies and replays the log
// behind it. A server that cannot vouch for what it acknowledged does not start (log-honest).
func (s *Server) openStorage() error {
	if err := s.lockDirs(); err != nil {
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
	if base := s.wal.Base(); base > loaded {
		return fmt.Errorf("server: the log in %s begins after zxid %v, and the newest snapshot in %s that verifies is of %v: "+
			"what was between is missing", s.logDir(), base, s.snapDir(), loaded)
	}
	if last := s.wal.Last(); last < loaded {
		return fmt.Errorf("server: the log in %s ends at zxid %v, before the snapshot's %v: "+
			"it is not the log of this snapshot, or its end is missing", s.logDir(), last, loaded)
	}
	replayed := 0
	check := s.wal.Checkpoint()
	err = s.wal.Replay(loaded, func(txn []byte) error {
		s.tree.Apply(txn, nil, nil)
		replayed++
		return s.compareDigest(check)
	})
	if err != nil {
		return fmt.Errorf("server: replay %s: %w", s.logDir(), err)
	}
	s.sinceCheckpoint.txns = int64(replayed) // a server that restarts often still makes snapshots
	s.log.Info("recovered", "snapshotZxid", loaded.String(), "replayed", replayed,
		"zxid", s.tree.Applied().String(), "znodes", s.tree.NodeCount())
	return nil
}

// compareDigest stops the replay where the log says that the tree was another one: either the log or
// the code that applies it is not what it was. Serving divergence is worse than not serving.
func (s *Server) compareDigest(c wal.Checkpoint) error {
	if c.At == 0 || s.cfg.NoDigest || s.tree.Applied() != c.At || s.tree.Digest() == c.Digest {
		return nil
	}
	return fmt.Errorf("the tree's digest at zxid %v is %#x, the log says %#x: the state has diverged "+
		"(digest.enabled=false starts regardless)", c.At, s.tree.Digest(), c.Digest)
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
	for _, dir := range []string{s.logDir(), s.snapDir()} {
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
		s.tree = tree.New(s.treeOptions())
		return 0, nil // whether the log reaches back to the beginning is seen when it is open
	case err != nil:
		return 0, err
	}
	s.tree = t
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
