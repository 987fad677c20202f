package server

import (
	"paddock/wire"
)

// counters are one loop's; others get a copy through the loop's inbox.
type counters struct {
	received, sent, events, authFailed int64
	bytes, connects                    int64 // received; handshakes
	latency                            latency
	reads, updates                     distribution // ms
	replies                            sizes
}

// answered counts a reply of so many bytes to a request that was here for ms.
func (c *counters) answered(update bool, ms int64, bytes int) {
	c.sent++
	c.latency.add(ms)
	c.replies.add(int64(bytes))
	if update {
		c.updates.add(ms)
	} else {
		c.reads.add(ms)
	}
}

// sizes are those of replies, in bytes.
type sizes struct{ count, last, min, max int64 }

func (s *sizes) add(n int64) {
	if s.count == 0 || n < s.min {
		s.min = n
	}
	s.last, s.max = n, max(s.max, n)
	s.count++
}

// distribution sums values, and remembers the newest for their percentiles.
type distribution struct {
	latency
	recent [256]int32
}

func (d *distribution) add(v int64) {
	d.recent[d.count%int64(len(d.recent))] = int32(min(v, 1<<31-1))
	d.latency.add(v)
}

// values appends what is remembered.
func (d *distribution) values(dst []int32) []int32 {
	return append(dst, d.recent[:min(d.count, int64(len(d.recent)))]...)
}

// latency sums what min, average and maximum need.
type latency struct {
	count, sum, min, max int64
}

func (l *latency) add(ms int64) {
	if l.count == 0 || ms < l.min {
		l.min = ms
	}
	l.max = max(l.max, ms)
	l.count++
	l.sum += ms
}

func (l *latency) merge(o latency) {
	if o.count == 0 {
		return
	}
	if l.count == 0 || o.min < l.min {
		l.min = o.min
	}
	l.max = max(l.max, o.max)
	l.count += o.count
	l.sum += o.sum
}

// clientStats is what `cons` tells of a connection.
type clientStats struct {
	received, sent int64
	establishedMS  int64 // wall clock
	lastOp         wire.Op
	lastXid        int32
	lastZxid       wire.Zxid
	lastReplyMS    int64 // since the server's start
	lastLatency    int64
	latency        latency
}

func (s *clientStats) established(wallMS int64) {
	s.establishedMS = wallMS
	s.lastOp, s.lastXid, s.lastZxid = wire.OpCreateSession, -1, -1
}

func (s *clientStats) note(xid int32, op wire.Op) {
	s.lastXid, s.lastOp = xid, op
}

func (s *clientStats) answered(zxid wire.Zxid, ms, nowMS int64) {
	s.sent++
	s.lastZxid, s.lastReplyMS, s.lastLatency = zxid, nowMS, ms
	s.latency.add(ms)
}

// reset is crst: it forgets what happened so far.
func (s *clientStats) reset() {
	at := s.establishedMS
	*s = clientStats{establishedMS: at, lastOp: wire.OpNotification, lastXid: -1, lastZxid: -1}
}
