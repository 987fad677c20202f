package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"paddock/wire"
)

var (
	errGap  = errors.New("the log does not have the transaction to continue from")
	errDone = errors.New("enough was read")
)

// Replay calls fn with every transaction above after, as Range does up to the end that the log has
// when Replay is called. A log that ends before after has nothing to replay.
func (l *Log) Replay(after wire.Zxid, fn func(txn []byte) error) error {
	links, last, err := l.chain(after)
	if err != nil {
		return err
	}
	return l.eachTxn(links, after, last, func(_ wire.Zxid, txn []byte) error { return fn(txn) })
}

// Range calls fn with every transaction above after and not above through, in the order of zxids
// and without a gap. txn belongs to the log and is valid until fn returns; an error of fn ends
// Range and is returned. It begins to read near after, wherever in the log that is.
//
// The log must have the transaction after, or begin behind it: ErrBelow says that it begins later,
// a DamageError of class ErrDiverged that it has a history without after. It must not end before
// through: ErrAbsent.
//
// Range may run beside Commit and Seal, on any goroutine; also beside a RemoveThrough, which can
// end it with ErrBelow on the way. Beside TruncateTo or Restart it may read what these make void.
func (l *Log) Range(after, through wire.Zxid, fn func(zxid wire.Zxid, txn []byte) error) error {
	links, last, err := l.chain(after)
	if err != nil {
		return err
	}
	if through > last {
		return fmt.Errorf("%w: asked for transactions up to %s, it ends at %s", ErrAbsent, through, last)
	}
	return l.eachTxn(links, after, through, fn)
}

// chain returns the log as it is now, for a reader of what follows after.
func (l *Log) chain(after wire.Zxid) (links []link, last wire.Zxid, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if base := l.base(); after < base {
		return nil, 0, fmt.Errorf("%w: asked for what follows %s, it begins after %s", ErrBelow, after, base)
	}
	return slices.Clone(l.links), l.last, nil
}

func (l *Log) eachTxn(links []link, after, through wire.Zxid, fn func(zxid wire.Zxid, txn []byte) error) error {
	for i := range links {
		k := &links[i]
		if after >= through || k.prev >= through {
			return nil
		}
		if i+1 < len(links) && links[i+1].prev <= after {
			continue
		}
		err := l.eachTxnOf(k, after, through, fn)
		if errors.Is(err, fs.ErrNotExist) && l.Base() > k.prev {
			return fmt.Errorf("%w: what follows %s was removed meanwhile", ErrBelow, k.prev)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) eachTxnOf(k *link, after, through wire.Zxid, fn func(zxid wire.Zxid, txn []byte) error) error {
	err := l.eachBatch(k, after, func(h *header, payload []byte) error {
		switch {
		case h.prev >= through:
			return errDone
		case h.last <= after:
			return nil
		case h.first > after && h.prev < after:
			return errGap
		}
		for zxid := h.first; len(payload) > 0 && zxid <= through; zxid++ {
			n := recordHeaderSize + int(binary.BigEndian.Uint32(payload))
			if zxid > after {
				if err := fn(zxid, payload[recordHeaderSize:n:n]); err != nil {
					return err
				}
			}
			payload = payload[n:]
		}
		if h.last >= through {
			return errDone // what comes behind may be damaged
		}
		return nil
	})
	if err == errDone {
		return nil
	}
	return err
}

// eachBatch verifies batches of k once more and calls fn with each: all that hold something above
// after, and maybe some before. What verified when the log was opened and does not now is a hole.
func (l *Log) eachBatch(k *link, after wire.Zxid, fn func(h *header, payload []byte) error) error {
	r, err := openReader(l.fs, l.dir, k.id)
	if err != nil {
		return fmt.Errorf("wal: %w", err)
	}
	defer r.file.Close()
	from := k.seek(after)
	at := from.prev
	var h header
	for off := from.off; off < k.end; {
		var frame []byte
		h, frame, _, err = r.batch(off)
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
