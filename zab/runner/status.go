package runner

import (
	"cmp"
	"log/slog"
	"slices"
	"sync"

	"paddock/wire"
	"paddock/zab"
)

// Status is what an operator may want to know. While the runner lives it is not older than a tick, and than
// the last change of role.
type Status struct {
	State     zab.State
	Trust     zab.Trust    // in what the disk had; while there is none this server has no vote
	Vote      zab.Vote     // of the last election, or the proposal of the one that runs
	Leader    zab.ServerID // whom we follow, ourselves if we lead; meaningless while we look
	Epochs    zab.Epochs
	Last      wire.Zxid // that is, or is being, logged
	Durable   wire.Zxid
	Committed wire.Zxid
	Diffs     int64        // learners that got a DIFF or TRUNC from us
	Links     []LinkStatus // by name
}

// LinkStatus is one connection of the quorum port.
type LinkStatus struct {
	Link     zab.Link
	Server   zab.ServerID // as it says; 0 where it does not
	Observer bool
	Leader   bool      // it goes to our leader
	Synced   bool      // it, or we, were told to serve
	Acked    wire.Zxid // the last that it has acknowledged
	Lag      int64     // our transactions of this epoch behind that
	Queued   int       // bytes that wait to be written
	Remote   string
}

// Status returns what is known, from any goroutine, also after the end.
func (r *Runner) Status() Status {
	r.statusMu.Lock()
	defer r.statusMu.Unlock()
	s := r.status
	s.Links = slices.Clone(s.Links)
	return s
}

// publish brings the status up to date.
func (r *Runner) publish() {
	r.statusMu.Lock()
	defer r.statusMu.Unlock()
	p := r.peer
	links := r.status.Links[:0]
	for _, l := range r.links { // order-free: sorted below
		links = append(links, r.linkStatus(l))
	}
	slices.SortFunc(links, func(a, b LinkStatus) int { return cmp.Compare(a.Link, b.Link) })
	vote := p.Vote()
	r.status = Status{
		State: p.State(), Trust: p.Trust(), Vote: vote, Leader: vote.Leader, Epochs: r.epochs, Last: p.History().Last(),
		Durable: r.durable, Committed: p.Committed(), Diffs: r.diffs, Links: links,
	}
}

func (r *Runner) linkStatus(l *link) LinkStatus {
	s := l.status
	s.Link, s.Leader, s.Queued = l.name, l.dialed, l.out.bytes()
	if last := r.peer.History().Last(); !l.dialed && !s.Observer && s.Synced {
		s.Lag = int64(last - max(s.Acked, wire.Zxid(last.Epoch()<<32)))
	}
	return s
}

// onceLog says of each server once that something is wrong, until it was right again.
type onceLog struct {
	mu   sync.Mutex
	said map[string]struct{}
}

const maxSaid = 1000 // the keys come from the network

func (o *onceLog) warn(log *slog.Logger, key, msg string, args ...any) {
	if o.first(key) {
		log.Warn(msg, args...)
	} else {
		log.Debug(msg, args...)
	}
}

func (o *onceLog) info(log *slog.Logger, key, msg string, args ...any) {
	if o.first(key) {
		log.Info(msg, args...)
	} else {
		log.Debug(msg, args...)
	}
}

func (o *onceLog) first(key string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, said := o.said[key]; said {
		return false
	}
	if o.said == nil || len(o.said) >= maxSaid {
		o.said = make(map[string]struct{})
	}
	o.said[key] = struct{}{}
	return true
}

func (o *onceLog) forget(key string) {
	o.mu.Lock()
	delete(o.said, key)
	o.mu.Unlock()
}
