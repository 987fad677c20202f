package runner

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"sync"
	"testing"
	"time"

	"paddock/wire"
	"paddock/zab"
)

// memStore is a server in little: a log in memory, a disk that takes its time, and for a tree the values
// in the order in which they were applied.
type memStore struct {
	t    testing.TB
	sync time.Duration // of the disk
	r    *Runner
	fill int // bytes behind each value

	mu        sync.Mutex
	log       []memTxn
	base      wire.Zxid
	buffered  []memTxn // appended, and not flushed
	durable   wire.Zxid
	committed wire.Zxid
	epochs    zab.Epochs
	trust     zab.Trust
	tree      memTree

	received *memTree
	kept     []memTxn

	leading, serving uint32
	next             wire.Zxid
	made             []memTxn // by the sequencer, not yet proposed
	synced           int
	touched          int
	failure          error

	applied *sync.Cond // something was, or the store has failed
	jobs    []func()
	work    *sync.Cond
	ending  bool
	ended   chan struct{}
}

type memTxn struct {
	zxid wire.Zxid
	txn  []byte
}

const beforeValue = 32 + 4 + 1 + 4 // bytes of a transaction in front of the value: header, path, length

// memTree is the values that were applied, up to and with zxid.
type memTree struct {
	zxid   wire.Zxid
	values []uint64
}

func newMemStore(t testing.TB, from *memStore) *memStore {
	s := &memStore{t: t, ended: make(chan struct{})}
	s.applied, s.work = sync.NewCond(&s.mu), sync.NewCond(&s.mu)
	if from != nil { // what a crash has left
		from.mu.Lock()
		s.base, s.epochs, s.trust, s.sync, s.fill = from.base, from.epochs, from.trust, from.sync, from.fill
		i := sort.Search(len(from.log), func(i int) bool { return from.log[i].zxid > from.durable })
		s.log = slices.Clone(from.log[:i])
		s.tree = memTree{from.tree.zxid, slices.Clone(from.tree.values)}
		from.mu.Unlock()
	}
	s.durable, s.committed = s.last(), s.tree.zxid
	go s.disk()
	return s
}

func (s *memStore) last() wire.Zxid {
	if n := len(s.log); n > 0 {
		return s.log[n-1].zxid
	}
	return s.base
}

func (s *memStore) recovered() zab.Recovered {
	h := zab.NewHistory(s.base)
	for _, x := range s.log {
		h.Append(x.zxid)
	}
	return zab.Recovered{History: h, Committed: s.tree.zxid, Epochs: s.epochs, Trust: s.trust}
}

// disk does one job after the other.
func (s *memStore) disk() {
	defer close(s.ended)
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		for len(s.jobs) == 0 && !s.ending {
			s.work.Wait()
		}
		if s.ending {
			return
		}
		jobs := s.jobs
		s.jobs = nil
		for _, job := range jobs {
			if s.ending {
				return
			}
			s.mu.Unlock()
			if s.sync > 0 {
				time.Sleep(s.sync) // what a disk takes
			}
			s.mu.Lock()
			job()
		}
	}
}

func (s *memStore) job(f func()) {
	s.jobs = append(s.jobs, f)
	s.work.Signal()
}

// stop is the end of the process: what is not durable is gone.
func (s *memStore) stop() {
	s.mu.Lock()
	s.ending = true
	s.work.Signal()
	s.applied.Broadcast()
	s.mu.Unlock()
	<-s.ended
}

func (s *memStore) fail(format string, args ...any) {
	if s.failure == nil {
		s.failure = fmt.Errorf(format, args...)
	}
	s.applied.Broadcast()
}

func (s *memStore) Append(z wire.Zxid, txn []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.append(memTxn{z, bytes.Clone(txn)})
}

func (s *memStore) append(x memTxn) {
	if !zab.Follows(s.last(), x.zxid) {
		s.fail("%v logged behind %v", x.zxid, s.last())
	}
	s.log = append(s.log, x)
	s.buffered = append(s.buffered, x)
}

func (s *memStore) Propose(z wire.Zxid) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.made) > 0 && s.made[0].zxid <= z {
		s.append(s.made[0])
		s.made = s.made[1:]
	}
	if s.last() != z {
		s.fail("proposed up to %v, made up to %v", z, s.last())
	}
}

func (s *memStore) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flush()
}

func (s *memStore) flush() {
	if len(s.buffered) == 0 {
		return
	}
	z := s.buffered[len(s.buffered)-1].zxid
	s.buffered = s.buffered[:0]
	s.job(func() {
		s.durable = max(s.durable, z)
		s.apply()
		s.r.Post(zab.Event{Kind: zab.EventDurable, Zxid: z})
	})
}

func (s *memStore) Commit(z wire.Zxid) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if z <= s.committed || z > s.last() {
		s.fail("committed %v after %v, logged %v", z, s.committed, s.last())
	}
	s.committed = z
	s.apply()
}

func (s *memStore) apply() {
	to := min(s.committed, s.durable)
	if to <= s.tree.zxid {
		return
	}
	s.tree.apply(s.between(s.tree.zxid, to))
	s.applied.Broadcast()
}

func (t *memTree) apply(txns []memTxn) {
	for _, x := range txns {
		t.values = append(t.values, binary.BigEndian.Uint64(x.txn[beforeValue:]))
		t.zxid = x.zxid
	}
}

// between returns what is logged of (from, to].
func (s *memStore) between(from, to wire.Zxid) []memTxn {
	above := func(z wire.Zxid) int {
		return sort.Search(len(s.log), func(i int) bool { return s.log[i].zxid > z })
	}
	return s.log[above(from):above(to)]
}

func (s *memStore) SaveEpochs(e zab.Epochs) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.job(func() {
		s.epochs = e
		s.r.Post(zab.Event{Kind: zab.EventEpochsSaved, Epochs: e})
	})
}

func (s *memStore) Trust() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.log) > 0 {
		s.fail("trusts a log of %d transactions as an empty one", len(s.log))
	}
	s.job(func() { s.trust = zab.Trusted })
}

func (s *memStore) Truncate(z wire.Zxid) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flush()
	if z < s.committed {
		s.fail("truncated to %v, committed %v", z, s.committed)
	}
	s.job(func() {
		s.log = slices.Clone(s.between(s.base, z))
		s.durable = z
		s.r.Post(zab.Event{Kind: zab.EventTruncated, Zxid: z})
	})
}

func (s *memStore) Range(from, to wire.Zxid, yield func(wire.Zxid, []byte) bool) error {
	s.mu.Lock()
	txns := s.between(from, to)
	low := from < s.base
	s.mu.Unlock()
	if low {
		return errors.New("not in the log any more")
	}
	for _, x := range txns {
		if !yield(x.zxid, x.txn) {
			break
		}
	}
	return nil
}

// Stream: count, zxid, values.
func (s *memStore) OpenSnapshot(l zab.Link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := binary.BigEndian.AppendUint64(nil, uint64(len(s.tree.values)))
	b = binary.BigEndian.AppendUint64(b, uint64(s.tree.zxid))
	for _, v := range s.tree.values {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	z := s.tree.zxid
	s.job(func() { s.r.SnapshotOpened(l, z, io.NopCloser(bytes.NewReader(b)), nil) })
}

type memReceiver struct {
	s    *memStore
	want int // bytes; 0: not yet known
	b    []byte
	tree *memTree
}

func (s *memStore) Receive(_ zab.Link, _ wire.Zxid) Receiver {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received, s.kept = &memTree{}, nil
	return &memReceiver{s: s, want: 16, tree: s.received}
}

func (m *memReceiver) Feed(b []byte) (n int, err error) {
	for len(b) > 0 && !m.Done() {
		k := min(len(b), m.want-len(m.b))
		m.b = append(m.b, b[:k]...)
		b, n = b[k:], n+k
		if len(m.b) == 16 {
			m.want = 16 + 8*int(binary.BigEndian.Uint64(m.b))
		}
	}
	if !m.Done() {
		return n, nil
	}
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	if m.s.received != m.tree {
		return n, errors.New("discarded")
	}
	m.tree.zxid = wire.Zxid(binary.BigEndian.Uint64(m.b[8:]))
	for at := 16; at < len(m.b); at += 8 {
		m.tree.values = append(m.tree.values, binary.BigEndian.Uint64(m.b[at:]))
	}
	return n, nil
}

func (m *memReceiver) Done() bool {
	return len(m.b) == m.want && m.want >= 16 && (m.want > 16 || binary.BigEndian.Uint64(m.b) == 0)
}

func (s *memStore) Keep(z wire.Zxid, txn []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = append(s.kept, memTxn{z, bytes.Clone(txn)})
}

func (s *memStore) Install(z wire.Zxid) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := sort.Search(len(s.kept), func(i int) bool { return s.kept[i].zxid > z })
	tree, rest := *s.received, s.kept[i:]
	tree.apply(s.kept[:i])
	tree.zxid = z
	s.received, s.kept = nil, nil
	s.log, s.base, s.buffered = slices.Clone(rest), z, nil
	s.job(func() {
		s.durable, s.committed, s.tree, s.trust = z, z, tree, zab.Trusted
		s.applied.Broadcast()
		s.r.Post(zab.Event{Kind: zab.EventInstalled, Zxid: z})
		if len(rest) > 0 {
			s.durable = rest[len(rest)-1].zxid
			s.r.Post(zab.Event{Kind: zab.EventDurable, Zxid: s.durable})
		}
	})
}

func (s *memStore) Discard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received, s.kept = nil, nil
}

func (s *memStore) Lead(epoch uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leading, s.serving, s.next = epoch, epoch, wire.Zxid(int64(epoch)<<32|1)
	s.applied.Broadcast()
}

func (s *memStore) Serve(epoch uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serving = epoch
	s.applied.Broadcast()
}

func (s *memStore) Rest(string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leading, s.serving, s.made = 0, 0, nil
	s.applied.Broadcast()
}

func (s *memStore) Request(link zab.Link, q *wire.ForwardedRequest, _ wire.AuthVec) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.Op == wire.OpSync {
		s.r.Post(zab.Event{Kind: zab.EventSync, Link: link})
		return
	}
	s.sequence(q.Body)
}

// sequence makes a transaction of a value and what fills it up.
func (s *memStore) sequence(value []byte) {
	h := wire.TxnHeader{Zxid: s.next, Type: wire.OpSetData}
	set := wire.SetDataTxn{Path: []byte("/"), Data: value}
	txn := set.Append(h.Append(make([]byte, 0, beforeValue+len(value)+4)))
	s.made = append(s.made, memTxn{s.next, txn})
	s.r.Post(zab.Event{Kind: zab.EventProposed, Zxid: s.next})
	s.next++
}

func (s *memStore) Touch(_ zab.Link, v wire.TouchVec) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.touched += v.Len()
	s.applied.Broadcast()
}

func (s *memStore) Touched(dst []byte) []byte { return wire.AppendTouch(dst, 77, 1000) }

func (s *memStore) Revalidate(_ zab.Link, q wire.RevalidateRequest) bool { return q.SessionID%2 == 0 }

func (s *memStore) Revalidated(wire.RevalidateReply) {}

func (s *memStore) Synced(uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.synced++
	s.applied.Broadcast()
}

func (s *memStore) Fatal(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail("fatal: %w", err)
}

// write asks for a value, as a client of this server does. It is false where nobody serves.
func (s *memStore) write(value uint64) bool {
	s.mu.Lock()
	epoch, leading := s.serving, s.leading != 0
	txn := binary.BigEndian.AppendUint64(make([]byte, 0, 8+s.fill), value)
	txn = txn[:8+s.fill]
	if leading {
		s.sequence(txn)
	}
	s.mu.Unlock()
	if leading || epoch == 0 {
		return leading
	}
	return s.r.Forward(epoch, &wire.ForwardedRequest{SessionID: 1, Op: wire.OpSetData, Body: txn}, wire.BuildAuth())
}

// sync asks for a sync.
func (s *memStore) syncs() bool {
	s.mu.Lock()
	epoch, leading := s.serving, s.leading != 0
	s.mu.Unlock()
	if leading {
		s.r.Post(zab.Event{Kind: zab.EventSync, Token: 1})
		return true
	}
	return s.r.Forward(epoch, &wire.ForwardedRequest{Op: wire.OpSync}, wire.BuildAuth())
}

// await waits until ok says so of the store, which is locked; the test fails where that takes too long.
func (s *memStore) await(what string, ok func() bool) {
	s.t.Helper()
	late := false
	timer := time.AfterFunc(20*time.Second, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		late = true
		s.applied.Broadcast()
	})
	defer timer.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for !ok() {
		if s.failure != nil || late || s.ending {
			s.t.Fatalf("server %d waits for %s: %v; late %v; %d values up to %v; %+v", s.r.cfg.Peer.ID, what, s.failure, late, len(s.tree.values), s.tree.zxid, s.r.Status())
		}
		s.applied.Wait()
	}
}
