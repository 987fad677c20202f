package server

import (
	"sync"

	"paddock/net"
)

// wordRoom answers four-letter words off the loops. Few goroutines do it and few words wait: a flood of
// them is cut off, and nothing else notices.
type wordRoom struct {
	s     *Server
	asked chan question
	done  sync.WaitGroup
}

type question struct {
	l    *loop
	conn znet.ID
	word [4]byte
	rest []byte
}

const (
	wordWorkers = 2
	wordQueue   = 256
)

func newWordRoom(s *Server) *wordRoom {
	return &wordRoom{s: s, asked: make(chan question, wordQueue)}
}

func (r *wordRoom) start() {
	for range wordWorkers {
		r.done.Add(1)
		go r.answer()
	}
}

// ask leaves a question; false if too many wait.
func (r *wordRoom) ask(l *loop, conn znet.ID, word [4]byte, rest []byte) bool {
	if r.s.cfg.Words == nil {
		return false
	}
	select {
	case r.asked <- question{l, conn, word, rest}:
		return true
	default:
		return false
	}
}

func (r *wordRoom) answer() {
	defer r.done.Done()
	for q := range r.asked {
		text := r.s.cfg.Words(r.s, q.word, q.rest)
		r.s.visit(q.l, func() {
			if c := q.l.nl.Conn(q.conn); c != nil {
				c.Send(text)
				q.l.counters.sent++
				c.Finish()
			}
		})
	}
}

// close is called when no loop asks any more.
func (r *wordRoom) close() {
	close(r.asked)
	r.done.Wait()
}
