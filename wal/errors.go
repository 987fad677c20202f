package wal

import (
	"errors"
	"fmt"
	"path"

	"paddock/wire"
)

// The classes of damage, for errors.Is. A torn tail is not an error.
var (
	// ErrHole: something that was durable, and vouched for by what was written later, is lost.
	ErrHole = errors.New("hole")
	// ErrSuspect: the end of the log does not verify, and not because it was never written.
	// It may have been acknowledged.
	ErrSuspect = errors.New("suspect")
	// ErrDiverged: all verifies and contradicts itself. A bug or tampering, not a disk fault.
	ErrDiverged = errors.New("diverged")
)

var (
	// ErrClosed is returned by a Log after Close.
	ErrClosed = errors.New("wal: closed")
	// ErrBelow is returned for a zxid below what the log still has.
	ErrBelow = errors.New("wal: the log does not reach back that far")
)

// acceptLoss is the offline command that gives up what is damaged; see AcceptLoss.
func acceptLoss(dir string) string { return "paddock log accept-loss --dir " + dir }

// DamageError says where a log stopped making sense and what is lost.
type DamageError struct {
	Class  error  // ErrHole, ErrSuspect or ErrDiverged
	File   string // the segment
	Offset int64  // bytes from the start of File
	// The transactions that cannot be read are above After, the last one that can, and not above
	// Until; each is -1 where the log cannot tell.
	After, Until wire.Zxid
	Err          error // what is wrong there
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("wal: %s at byte %d of %s: %v; lost: transactions after zxid %s up to %s. %s: %s",
		e.Class, e.Offset, e.File, e.Err, zxidText(e.After), zxidText(e.Until),
		"Restore the file, or give up these transactions and all later ones",
		acceptLoss(path.Dir(e.File)))
}

// Unwrap returns the class and the cause.
func (e *DamageError) Unwrap() []error { return []error{e.Class, e.Err} }

const unknown wire.Zxid = -1

func zxidText(z wire.Zxid) string {
	if z < 0 {
		return "unknown"
	}
	return z.String()
}
