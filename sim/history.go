package sim

import (
	"fmt"

	"paddock/wire"
)

// history is what the clients asked and saw, and what the network handed over, in the order in which it
// happened. The checker has nothing else but the log.
type history struct {
	seq      int64 // counts everything that happens
	sessions []*sessionRecord
	conns    []*connRecord
	calls    []*call
	digests  []digestAt
	seen     wire.Zxid // the highest zxid that any client has seen in a reply
}

func (h *history) next() int64 { h.seq++; return h.seq }

// sessionRecord is one session, as its client knows it.
type sessionRecord struct {
	id        int64
	client    int
	timeoutMS int64
	conns     []*connRecord
	expired   bool // the client was told so
	contacts  []contact
}

// contact is a moment at which the server that keeps the sessions heard of one: by its own clock of sessions.
type contact struct {
	term    int // of a server alone: its life; of an ensemble: of the leader
	clockMS int64
	seq     int64
}

// connRecord is one connection: what was asked over it, and what came back.
type connRecord struct {
	number    int
	session   *sessionRecord
	host      *host
	calls     []*call
	items     []item      // replies and events as the client has read them
	helloAt   int64       // seq at which a server had its handshake; 0 is never
	owner     bool        // the server has given it the session
	movedAt   int64       // seq at which the server gave the session to another connection; 0 is never
	movedTerm int         // in which
	movedTo   *connRecord // which, if the server that keeps the sessions has it
	endedAt   int64       // seq at which its server saw its end; 0 is never
}

// item is one message from the server.
type item struct {
	call  *call // a reply; else an event
	event change
}

// call is one request.
type call struct {
	request
	xid       int32
	session   *sessionRecord
	conn      *connRecord
	asked     int64     // seq
	seenThen  wire.Zxid // history.seen when it was asked
	end       int       // where its bytes end in the connection's stream
	delivered int64     // seq when the server had all its bytes; 0 is never

	answered bool
	zxid     wire.Zxid
	result   result
}

func (c *call) String() string {
	s := fmt.Sprintf("session %#x connection %d xid %d: %v", uint64(c.session.id), c.conn.number, c.xid, &c.request)
	if c.answered {
		s += fmt.Sprintf(" -> %v at %v", &c.result, c.zxid)
	}
	return s
}

// moved notes that from now on a session is not that of its connections for which gone says so.
func (s *sessionRecord) moved(at int64, term int, to *connRecord, gone func(*connRecord) bool) {
	for _, c := range s.conns {
		if c.owner && c.movedAt == 0 && gone(c) {
			c.movedAt, c.movedTerm, c.movedTo = at, term, to
		}
	}
}

// hasAgain says whether a connection that has lost its session may write at a time: a new leader does not know
// who has what.
func (c *connRecord) hasAgain(now contact) bool {
	return now.term != c.movedTerm
}

// withID returns the sessions that the server calls so.
func (h *history) withID(id int64) (all []*sessionRecord) {
	for _, s := range h.sessions {
		if s.id == id {
			all = append(all, s)
		}
	}
	return all
}
