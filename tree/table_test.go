package tree

import (
	"testing"

	"paddock/slab"

	"pgregory.net/rapid"
)

// The twin is a set. Hashes are drawn from a few, so that chains are long and wrap around.
func TestTableMatchesASet(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var tb table
		tb.init(slab.NewSpace())
		type entry struct{ hash, index uint32 }
		set := map[entry]bool{}
		var all []entry
		hash := rapid.OneOf(rapid.Uint32Range(60, 66), rapid.Uint32(), rapid.Just(uint32(0)), rapid.Just(^uint32(0)))
		next := uint32(64)
		rt.Repeat(map[string]func(*rapid.T){
			"insert": func(rt *rapid.T) {
				for range rapid.IntRange(1, 40).Draw(rt, "n") {
					e := entry{hash.Draw(rt, "hash"), next}
					next++
					tb.insert(e.hash, e.index)
					set[e] = true
					all = append(all, e)
				}
			},
			"delete": func(rt *rapid.T) {
				for range rapid.IntRange(1, 20).Draw(rt, "n") {
					if len(all) == 0 {
						rt.Skip()
					}
					at := rapid.IntRange(0, len(all)-1).Draw(rt, "at")
					e := all[at]
					all[at] = all[len(all)-1]
					all = all[:len(all)-1]
					tb.delete(e.hash, e.index)
					delete(set, e)
				}
			},
			"": func(rt *rapid.T) {
				found := map[entry]bool{}
				for _, e := range append(all, entry{61, 0}, entry{5, 0}) {
					for p := tb.probe(e.hash); ; {
						index := p.next()
						if index == 0 {
							break
						}
						found[entry{e.hash, index}] = true
					}
				}
				for e := range found {
					if !set[e] {
						rt.Fatalf("entry %v is found and should not be there", e)
					}
				}
				if len(found) != len(set) {
					rt.Fatalf("%d entries are found, want %d", len(found), len(set))
				}
			},
		})
	})
}
