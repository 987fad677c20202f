package wal

import (
	"errors"
	"fmt"
	"slices"

	"paddock/wire"
)

var errGap = errors.New("the log does not have the transaction to continue from")

// Replay calls fn with every transaction above after, in the order of zxids and without a gap.
// txn belongs to the log and is valid until fn returns; an error of fn ends Replay and is returned.
// It reads what was durable when it was called and may run beside Commit, on any goroutine; not
// beside TruncateTo, Restart, or a RemoveThrough above after.
//
// The log must have the transaction after, or begin behind it: ErrBelow says that it begins later,
// a DamageError of class ErrDiverged that it has a history without after. A log that ends before
// after has nothing to replay.
func (l *Log) Replay(after wire.Zxid, fn func(txn []byte) error) error {
	l.mu.Lock()
	links, base, last := slices.Clone(l.links), l.base(), l.last
	l.mu.Unlock()
	if after < base {
		return fmt.Errorf("%w: asked for what follows %s, it begins after %s",
			ErrBelow, after, base)
	}
	for i, k := range links {
		if after >= last || i+1 < len(links) && links[i+1].prev <= after {
			continue
		}
		if err := l.replayLink(k, after, fn); err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) replayLink(k link, after wire.Zxid, fn func(txn []byte) error) error {
	return l.eachBatch(k, func(h *header, payload []byte) error {
		if h.last <= after || h.count == 0 {
			return nil
		}
		if h.first > after && h.prev < after {
			return errGap
		}
		for zxid, txn := range records(h.first, payload) {
			if zxid <= after {
				continue
			}
			if err := fn(txn); err != nil {
				return err
			}
		}
		return nil
	})
}

// eachBatch verifies the batches of k once more and calls fn with each. What verified when the
// log was opened and does not now is a hole.
func (l *Log) eachBatch(k link, fn func(h *header, payload []byte) error) error {
	r, err := openReader(l.fs, l.dir, k.id)
	if err != nil {
		return fmt.Errorf("wal: %w", err)
	}
	defer r.file.Close()
	at := k.prev
	for off := k.start; off < k.end; {
		h, frame, _, err := r.batch(off)
		if err == nil && h.prev != at {
			err = errChain
		}
		if err != nil {
			return &DamageError{Class: ErrHole, File: r.name, Offset: off, After: at, Until: unknown, Err: err}
		}
		if err := fn(&h, frame[headerSize:][:h.payload]); err != nil {
			if err == errGap {
				return &DamageError{Class: ErrDiverged, File: r.name, Offset: off, After: at, Until: h.prev, Err: err}
			}
			return err
		}
		at, off = h.last, off+h.frameSize()
	}
	return nil
}
