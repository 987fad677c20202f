package runner

import (
	"fmt"
	"testing"
)

// BenchmarkWrites is writes of 100 bytes at the leader of three runners over loopback, with a disk that
// takes no time, until the leader has applied them; a window of so many are on their way.
func BenchmarkWrites(b *testing.B) {
	for _, window := range []int{1, 1000} {
		b.Run(fmt.Sprintf("window=%d", window), func(b *testing.B) {
			e := newEnsemble(b, 3, 0)
			e.tune = func(c *Config) { c.Peer.TickMS = 2000 } // a machine that is busy must not end a role
			e.start()
			leader := e.leader()
			s := leader.store
			s.fill = 92
			b.ReportAllocs()
			b.ResetTimer()
			for n := range b.N {
				s.write(uint64(n))
				if (n+1)%window == 0 || n+1 == b.N || n > window {
					s.mu.Lock()
					for len(s.tree.values) <= n-window {
						s.applied.Wait()
					}
					s.mu.Unlock()
				}
			}
			s.await("all", func() bool { return len(s.tree.values) == b.N })
			b.StopTimer()
			for _, m := range e.members {
				m.stop()
			}
		})
	}
}
