package admin

import "sync"

// shared computes an answer once for everybody who waits for it. Nobody gets an answer that was begun
// before they asked: who asks while one is computed waits for the next, together with all others who
// came meanwhile. So a flood costs one computation after the other, and numbers are always fresh.
type shared[T any] struct {
	mu   sync.Mutex
	now  *run[T] // being computed
	next *run[T] // will be when now is done: whoever asks joins it
}

type run[T any] struct {
	done  chan struct{}
	value T
}

// do returns what compute returns, in a run that begins after the call.
func (s *shared[T]) do(compute func() T) T {
	s.mu.Lock()
	if r := s.next; r != nil {
		s.mu.Unlock()
		<-r.done
		return r.value
	}
	r := &run[T]{done: make(chan struct{})}
	if before := s.now; before != nil {
		s.next = r
		s.mu.Unlock()
		<-before.done
		s.mu.Lock()
		s.next = nil
	}
	s.now = r
	s.mu.Unlock()
	defer s.finish(r) // also if compute panics: then the others get nothing, but get it
	r.value = compute()
	return r.value
}

func (s *shared[T]) finish(r *run[T]) {
	s.mu.Lock()
	s.now = nil
	s.mu.Unlock()
	close(r.done)
}

// answers are the shared answers, by what was asked.
type answers struct {
	mu    sync.Mutex
	byKey map[string]*shared[[]byte]
}

// do returns compute's bytes, which belong to everybody: nobody changes them. The keys come from tables,
// so there are few.
func (a *answers) do(key string, compute func() []byte) []byte {
	a.mu.Lock()
	if a.byKey == nil {
		a.byKey = map[string]*shared[[]byte]{}
	}
	s := a.byKey[key]
	if s == nil {
		s = &shared[[]byte]{}
		a.byKey[key] = s
	}
	a.mu.Unlock()
	return s.do(compute)
}
