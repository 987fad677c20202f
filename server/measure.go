package server

import (
	"sync"
	"time"

	"paddock/wal"
)

// measures is what a member counts of the ensemble, for people who ask. All but sizes is rare.
type measures struct {
	mu sync.Mutex

	proposals   sizes // bytes of each transaction that we proposed
	snapshots   int64 // that learners got
	lookings    int64 // times that we looked for a leader
	revalidated int64 // sessions that learners asked for
	renewed     int64 // sessions that we asked the leader for

	since    time.Time // the search for a leader began; zero while there is one
	ledSince time.Time // we lead; zero where we do not
	serves   bool

	election, unavailable timings // until the role was known; until clients were served
}

// proposed counts what goes out to learners.
func (m *measures) proposed(b *wal.Batch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, txn := range b.Txns() {
		m.proposals.add(int64(len(txn)))
	}
}

func (m *measures) count(n *int64) {
	m.mu.Lock()
	*n++
	m.mu.Unlock()
}

// role notes a change of it.
func (m *measures) role(kind roleKind, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ledSince = time.Time{}
	switch kind {
	case leading:
		m.ledSince = now
		fallthrough
	case learning:
		m.election.add(now.Sub(m.since))
	default:
		m.lookings++
		m.since, m.serves = now, false
	}
}

// begun notes that clients are served.
func (m *measures) begun(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.serves {
		m.serves = true
		m.unavailable.add(now.Sub(m.since))
	}
}

// EnsembleNumbers returns what a member of an ensemble has counted, by the names that ZooKeeper has for it.
func (s *Server) EnsembleNumbers() map[string]int64 {
	if s.member == nil {
		return nil
	}
	m := &s.member.measures
	m.mu.Lock()
	defer m.mu.Unlock()
	n := map[string]int64{
		"pending_syncs": int64(s.asked.len()), "proposal_count": m.proposals.count, "snap_count": m.snapshots,
		"diff_count": s.agree.Status().Diffs, "looking_count": m.lookings, "revalidate_count": m.revalidated, "connection_revalidate_count": m.renewed,
	}
	if !m.ledSince.IsZero() {
		n["leader_uptime"] = s.clock.now().Sub(m.ledSince).Milliseconds()
	}
	if m.proposals.count > 0 {
		n["last_proposal_size"], n["min_proposal_size"], n["max_proposal_size"] = m.proposals.last, m.proposals.min, m.proposals.max
	}
	return n
}

// EnsembleTimes returns how long it took a member of an ensemble to have a leader, and to serve again, in ms.
func (s *Server) EnsembleTimes() map[string]Summary {
	if s.member == nil {
		return nil
	}
	m := &s.member.measures
	return map[string]Summary{"election_time": m.election.summary(), "unavailable_time": m.unavailable.summary()}
}
