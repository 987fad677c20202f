package session

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// Table holds the sessions of a server. It is safe for concurrent use; touches do not come here.
type Table struct {
	tickMS int64 // immutable

	mu       sync.RWMutex
	sessions map[int64]*Session
	buckets  map[int64]*Session // number of a tick → the first of those that may expire at its start
	next     int64              // no bucket has a smaller number, while there are any
}

// NewTable returns an empty table whose buckets are tickMS wide. tickMS is positive.
func NewTable(tickMS int32) *Table {
	if tickMS <= 0 {
		panic(fmt.Sprintf("session: a tick of %d ms", tickMS))
	}
	return &Table{tickMS: int64(tickMS), sessions: map[int64]*Session{}, buckets: map[int64]*Session{}}
}

// Add enters a session that was heard of at nowMS. If the id is known already, that session is returned,
// with the new timeout.
func (t *Table) Add(id int64, timeoutMS int32, nowMS int64) *Session {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.sessions[id]
	if s == nil {
		s = &Session{ID: id, table: t}
		t.sessions[id] = s
	}
	s.touchedMS.Store(nowMS)
	s.timeoutMS.Store(timeoutMS)
	t.settle(s)
	return s
}

// Lookup returns the session of that id, or nil. One that is closing is still found.
func (t *Table) Lookup(id int64) *Session {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.sessions[id]
}

// Remove takes a session out. It is marked as closing, so that who still holds it notices. An unknown id
// does nothing.
func (t *Table) Remove(id int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.sessions[id]
	if s == nil {
		return
	}
	delete(t.sessions, id)
	t.unlist(s)
	s.closing.Store(true)
}

// Len returns how many sessions there are.
func (t *Table) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.sessions)
}

// Each calls f for every session, by id. f runs without a lock and may call the table; a
// session that comes or goes meanwhile may or may not be among them.
func (t *Table) Each(f func(*Session)) {
	for _, s := range t.list() {
		f(s)
	}
}

// Entry is a session as a state has it.
type Entry struct {
	ID        int64
	TimeoutMS int32
}

// Reset makes the table hold exactly these sessions: none is ending, nobody holds one, and each has a whole
// timeout from nowMS. What was there is removed, also under the same id: who still holds it notices.
func (t *Table) Reset(all []Entry, nowMS int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.sessions { // order-free
		s.closing.Store(true)
	}
	clear(t.sessions)
	clear(t.buckets)
	for _, e := range all {
		s := &Session{ID: e.ID, table: t}
		s.touchedMS.Store(nowMS)
		s.timeoutMS.Store(e.TimeoutMS)
		t.sessions[e.ID] = s
		t.settle(s)
	}
}

// Touched calls f for every session that a connection here holds and that was heard of at or after sinceMS,
// in no order. f must be short, and not call the table.
func (t *Table) Touched(sinceMS int64, f func(id int64, timeoutMS int32)) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, s := range t.sessions { // order-free
		if owner := s.owner.Load(); owner != 0 && owner>>63 == 0 && s.touchedMS.Load() >= sinceMS {
			f(s.ID, s.timeoutMS.Load())
		}
	}
}

// list returns the sessions by id.
func (t *Table) list() []*Session {
	t.mu.RLock()
	all := slices.Collect(maps.Values(t.sessions))
	t.mu.RUnlock()
	slices.SortFunc(all, byID)
	return all
}

func byID(a, b *Session) int { return cmp.Compare(a.ID, b.ID) }

// Expire appends to dst the sessions that have been silent for too long at nowMS, by expiry and then
// by id, and returns it. Each is marked as closing, and given out once.
func (t *Table) Expire(nowMS int64, dst []*Session) []*Session {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := floorDiv(nowMS, t.tickMS)
	for len(t.buckets) > 0 && t.next <= last {
		number, from := t.next, len(dst)
		t.next++ // first: a session that moves on may set it
		dst = t.expireBucket(number, last, dst)
		slices.SortFunc(dst[from:], byID)
	}
	return dst
}

// expireBucket empties a bucket that is due: who was heard of meanwhile moves on. last is the
// newest bucket that is due; who belongs at or before it has expired.
func (t *Table) expireBucket(number, last int64, dst []*Session) []*Session {
	s := t.buckets[number]
	delete(t.buckets, number)
	for s != nil {
		after := s.next
		s.prev, s.next, s.listed = nil, nil, false
		switch due := t.dueOf(s); {
		case s.closing.Load(): // somebody else ends it: Remove or Reopen will come
		case due > last:
			t.enlist(s, due)
		case s.MarkClosing():
			dst = append(dst, s)
		}
		s = after
	}
	return dst
}

// ExpiryMS returns when a session that is not heard of any more expires.
func (t *Table) ExpiryMS(s *Session) int64 { return t.dueOf(s) * t.tickMS }

// Bucket is the sessions that expire together if they are not heard of any more.
type Bucket struct {
	ExpiryMS int64 // on the session clock
	Sessions []*Session
}

// Buckets returns the sessions that are not closing, by the time at which they would expire and then by
// id. It looks at every session: it is for people who ask, not for Expire.
func (t *Table) Buckets() []Bucket {
	var all []Bucket
	at := map[int64]int{}
	for _, s := range t.list() {
		if s.Closing() {
			continue
		}
		expiry := t.ExpiryMS(s)
		i, ok := at[expiry]
		if !ok {
			i = len(all)
			at[expiry] = i
			all = append(all, Bucket{ExpiryMS: expiry})
		}
		all[i].Sessions = append(all[i].Sessions, s)
	}
	slices.SortFunc(all, func(a, b Bucket) int { return cmp.Compare(a.ExpiryMS, b.ExpiryMS) })
	return all
}

// dueOf returns the bucket in which a session belongs: the tick after the one in which its timeout ends.
// Source: ExpiryQueue.roundToNextInterval.
func (t *Table) dueOf(s *Session) int64 {
	return floorDiv(s.touchedMS.Load()+int64(s.timeoutMS.Load()), t.tickMS) + 1
}

// settle puts a session where it has to be looked at: not later than it is due. One that lies in an
// earlier bucket stays there, and moves on when that is due.
func (t *Table) settle(s *Session) {
	if t.sessions[s.ID] != s || s.closing.Load() {
		return
	}
	due := t.dueOf(s)
	if s.listed && s.due <= due {
		return
	}
	t.unlist(s)
	t.enlist(s, due)
}

// enlist puts a session that lies in no bucket into one.
func (t *Table) enlist(s *Session, number int64) {
	if len(t.buckets) == 0 || number < t.next {
		t.next = number
	}
	s.due, s.listed = number, true
	s.next = t.buckets[number]
	if s.next != nil {
		s.next.prev = s
	}
	t.buckets[number] = s
}

// unlist takes a session out of its bucket, if it is in one.
func (t *Table) unlist(s *Session) {
	if !s.listed {
		return
	}
	switch {
	case s.prev != nil:
		s.prev.next = s.next
	case s.next != nil:
		t.buckets[s.due] = s.next
	default:
		delete(t.buckets, s.due)
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
	s.prev, s.next, s.listed = nil, nil, false
}

// floorDiv returns the largest integer that is not above a/b, for b > 0.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
