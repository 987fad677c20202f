package slab

import (
	"sync"
	"testing"

	"pgregory.net/rapid"
)

type record struct {
	link  uint32
	value uint32
	more  [3]uint64
}

func TestASlabKeepsItsRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewSlab[record](NewSpace(), 8)
		twin := map[uint32]record{}
		var order []uint32
		t.Repeat(map[string]func(*rapid.T){
			"alloc": func(t *rapid.T) {
				i, p := s.Alloc()
				if _, used := twin[i]; used || i < s.First() || i >= s.End() {
					t.Fatalf("index %d was handed out twice or lies outside [%d,%d)", i, s.First(), s.End())
				}
				r := record{link: rapid.Uint32().Draw(t, "link"), value: i, more: [3]uint64{1, 2, uint64(i)}}
				*p, twin[i] = r, r
				order = append(order, i)
			},
			"free": func(t *rapid.T) {
				if len(order) == 0 {
					t.Skip()
				}
				at := rapid.IntRange(0, len(order)-1).Draw(t, "at")
				s.Free(order[at])
				delete(twin, order[at])
				order = append(order[:at], order[at+1:]...)
			},
			"": func(t *rapid.T) {
				for i, want := range twin {
					if got := *s.At(i); got != want {
						t.Fatalf("record %d is %v, want %v", i, got, want)
					}
				}
				if s.Live() != len(twin) {
					t.Fatalf("Live() = %d, want %d", s.Live(), len(twin))
				}
			},
		})
	})
}

func TestAnArrayGrowsWithoutMoving(t *testing.T) {
	a := NewArray[uint64](NewSpace(), 4)
	a.Grow(5)
	p := a.At(4)
	*p = 42
	a.Grow(100000)
	if a.At(4) != p || *p != 42 {
		t.Errorf("record 4 moved or changed to %d while the array grew", *a.At(4))
	}
	for i := uint32(5); i < 100000; i++ {
		if *a.At(i) != 0 {
			t.Fatalf("record %d is %d, want 0", i, *a.At(i))
		}
		*a.At(i) = uint64(i)
	}
	for i := uint32(5); i < 100000; i++ {
		if *a.At(i) != uint64(i) {
			t.Fatalf("record %d is %d", i, *a.At(i))
		}
	}
}

// Readers follow indices they learned under a lock, without holding it, while the owner grows the
// slab: the claim of the package comment, for the race detector.
func TestReadersMayFollowWhileASlabGrows(t *testing.T) {
	s := NewSlab[record](NewSpace(), 4)
	arena := NewArena(NewSpace())
	var mu sync.Mutex
	type known struct {
		i uint32
		h Handle
	}
	var published []known
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				mu.Lock()
				seen := published
				mu.Unlock()
				for _, k := range seen {
					if v := s.At(k.i).value; v != k.i {
						t.Errorf("record %d holds %d", k.i, v)
						return
					}
					if b := arena.Bytes(k.h, 100); b[99] != byte(k.i) {
						t.Errorf("block %d holds %d, want %d", k.h, b[99], byte(k.i))
						return
					}
				}
				if len(seen) == 2000 {
					return
				}
			}
		})
	}
	value := make([]byte, 100)
	for range 2000 {
		i, p := s.Alloc()
		*p = record{value: i}
		value[99] = byte(i)
		h := arena.Put(value)
		mu.Lock()
		published = append(published, known{i, h})
		mu.Unlock()
	}
	wg.Wait()
}

func TestLimboKeepsContentsUntilReleased(t *testing.T) {
	space := NewSpace()
	arena, slab := NewArena(space), NewSlab[record](space, 8)
	var old, young Limbo
	for n := range 10 {
		i, p := slab.Alloc()
		*p = record{value: uint32(n)}
		h := arena.Put([]byte{byte(n)})
		l := &old
		if n%2 == 1 {
			l = &young
		}
		l.Record(i, 32)
		l.Block(h, 1)
	}
	old.Absorb(&young)
	if young.Bytes() != 0 || old.Bytes() != 10*(32+8) {
		t.Errorf("after Absorb: %d and %d bytes, want 0 and %d", young.Bytes(), old.Bytes(), 10*(32+8))
	}
	if slab.Live() != 10 {
		t.Errorf("%d records live before Release, want 10", slab.Live())
	}
	rounds := 1
	for Release(&old, arena, slab, 3) {
		rounds++
	}
	if slab.Live() != 0 || arena.Live() != 0 || old.Bytes() != 0 {
		t.Errorf("after Release: %d records, %d and %d bytes, want none", slab.Live(), arena.Live(), old.Bytes())
	}
	if rounds != 7 {
		t.Errorf("20 things by 3 took %d rounds, want 7", rounds)
	}
}

func TestPoisonShowsLateWriters(t *testing.T) {
	if !invariants {
		t.Skip("needs -tags invariants")
	}
	s := NewSlab[record](NewSpace(), 8)
	i, p := s.Alloc()
	s.Free(i)
	p.value = 3
	defer func() {
		if recover() == nil {
			t.Error("a write to a freed record went unnoticed")
		}
	}()
	s.Alloc()
}

func BenchmarkSlabAt(b *testing.B) {
	s := NewSlab[record](NewSpace(), 64)
	for range 100000 {
		i, p := s.Alloc()
		p.value = i
	}
	b.ReportAllocs()
	i, sum := s.First(), uint32(0)
	for b.Loop() {
		sum += s.At(i).value
		if i += 997; i >= s.End() {
			i = s.First()
		}
	}
	_ = sum
}
