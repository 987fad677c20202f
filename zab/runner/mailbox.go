package runner

import (
	"net"
	"sync"

	"paddock/zab"
)

// letter is one thing that the loop has to look at: an event for the machine and, by its kind, what the
// runner needs beside it.
type letter struct {
	ev       zab.Event
	link     *link    // EventAccepted, EventPacket, EventProgress, EventLost, EventSnapshotReceived
	in       *inbound // EventAccepted, EventPacket: the packets, to be given back
	conn     net.Conn // EventDialed
	dial     uint64   // EventDialed, EventDialFailed: which
	snapshot Snapshot // EventSnapshotOpened; nil: it failed
	err      error    // EventLost, EventDialFailed, eventFailed, EventSnapshotOpened
}

// Kinds of letters that are not for the machine.
const (
	eventFailed zab.EventKind = 200 + iota // something broke that a server cannot do without
	eventClose                             // Runner.Close
)

// mailbox gathers letters from all goroutines for the loop. Two slices change places, so that in the long
// run it allocates nothing.
type mailbox struct {
	wake chan struct{} // one place

	mu      sync.Mutex
	letters []letter
	closed  bool
}

func newMailbox() *mailbox { return &mailbox{wake: make(chan struct{}, 1)} }

// post adds a letter, false when nobody reads it any more. It does not block.
func (m *mailbox) post(l letter) bool {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return false
	}
	first := len(m.letters) == 0
	if first || !m.letters[len(m.letters)-1].absorb(&l) {
		m.letters = append(m.letters, l)
	}
	m.mu.Unlock()
	if first {
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// len returns how many letters wait.
func (m *mailbox) len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.letters)
}

// absorb makes one of two letters that say the same of a later zxid.
func (l *letter) absorb(next *letter) bool {
	kind := l.ev.Kind
	if kind != next.ev.Kind || kind != zab.EventDurable && kind != zab.EventProposed {
		return false
	}
	if kind == zab.EventProposed && l.ev.Zxid.Epoch() != next.ev.Zxid.Epoch() {
		return false // the first may be of a leadership that is over
	}
	l.ev.Zxid = max(l.ev.Zxid, next.ev.Zxid)
	return true
}

// take returns all letters, and fills spare from now on.
func (m *mailbox) take(spare []letter) []letter {
	clear(spare) // what it holds on to is not ours any more
	m.mu.Lock()
	defer m.mu.Unlock()
	full := m.letters
	m.letters = spare[:0]
	return full
}

// close takes what is left. Later letters are refused.
func (m *mailbox) close() []letter {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	left := m.letters
	m.letters = nil
	return left
}
