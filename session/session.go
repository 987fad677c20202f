package session

import "sync/atomic"

// A Session is what a server knows of a client. Its methods may be called from any goroutine.
type Session struct {
	ID int64 // immutable

	touchedMS atomic.Int64
	timeoutMS atomic.Int32
	closing   atomic.Bool
	owner     atomic.Uint64
	last      atomic.Uint64 // the owner before nobody

	table *Table // immutable

	// Guarded by table.mu.
	due        int64    // number of the bucket it lies in; valid while listed
	listed     bool     // lies in a bucket
	prev, next *Session // neighbours there
}

// Touch notes that the client was heard of. It is one atomic store.
func (s *Session) Touch(nowMS int64) { s.touchedMS.Store(nowMS) }

// TouchedMS returns when the client was last heard of.
func (s *Session) TouchedMS() int64 { return s.touchedMS.Load() }

// TimeoutMS returns how long the client may be silent.
func (s *Session) TimeoutMS() int32 { return s.timeoutMS.Load() }

// Closing reports whether the session is ending: its close is decided, though perhaps not yet applied.
func (s *Session) Closing() bool { return s.closing.Load() }

// MarkClosing decides that the session ends. It reports whether this call was the one that did: of
// several that race, one gets true.
func (s *Session) MarkClosing() bool { return s.closing.CompareAndSwap(false, true) }

// Owner returns who holds the session: 0 is nobody, other numbers are the caller's. By its own agreement
// with Touched they are connections here where the top bit is 0, and other servers where it is 1.
func (s *Session) Owner() uint64 { return s.owner.Load() }

// SetOwner gives the session to owner.
func (s *Session) SetOwner(owner uint64) { s.owner.Store(owner) }

// SwapOwner gives the session to owner and returns who held it.
func (s *Session) SwapOwner(owner uint64) (old uint64) { return s.owner.Swap(owner) }

// Disown leaves the session with nobody, if owner still holds it. It reports whether it did.
func (s *Session) Disown(owner uint64) bool {
	if s.owner.Load() == owner {
		s.last.Store(owner)
	}
	return s.owner.CompareAndSwap(owner, 0)
}

// Holder is the owner, or who was it last: 0 only where there was none since the session is known here. What
// an owner before that one still has on its way comes too late.
func (s *Session) Holder() uint64 {
	if owner := s.owner.Load(); owner != 0 {
		return owner
	}
	return s.last.Load()
}

// SetTimeout changes how long the client may be silent. A client that comes back with another
// timeout is better served by Renew, which also counts as hearing of it.
func (s *Session) SetTimeout(timeoutMS int32) {
	s.table.mu.Lock()
	defer s.table.mu.Unlock()
	s.timeoutMS.Store(timeoutMS)
	s.table.settle(s)
}

// Renew is a client's return, with a timeout of its choice. It reports false, and changes nothing, if the
// session is ending. Expire cannot come between: who is told true has a whole timeout.
func (s *Session) Renew(timeoutMS int32, nowMS int64) bool {
	s.table.mu.Lock()
	defer s.table.mu.Unlock()
	if s.closing.Load() {
		return false
	}
	s.touchedMS.Store(nowMS)
	s.timeoutMS.Store(timeoutMS)
	s.table.settle(s)
	return true
}

// Reopen takes back the decision to end the session, because its close could not be written. It
// gets a whole timeout.
func (s *Session) Reopen(nowMS int64) {
	s.table.mu.Lock()
	defer s.table.mu.Unlock()
	if s.table.sessions[s.ID] != s {
		return // removed: it has ended after all
	}
	s.touchedMS.Store(nowMS)
	s.closing.Store(false)
	s.table.settle(s)
}
