package server

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"paddock/tree"
	"paddock/wire"
)

// naiveChange is one line of the naive twin's list: all changes ever, oldest first.
type naiveChange struct {
	path string
	zxid wire.Zxid
	st   state
	hash uint64
}

// The overlay against a list of all changes. A path whose change is forgotten is read from the tree, so
// forgetting may only ever take what is applied, and may keep what is.
func TestOverlayAgainstANaiveTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := newOverlay()
		var all []naiveChange
		last, applied := wire.Zxid(0), wire.Zxid(0)
		collide := rapid.Bool().Draw(t, "collide")
		hashOf := func(path string) uint64 {
			if collide {
				return uint64(len(path)) // many paths of one hash
			}
			return tree.Hash([]byte(path))
		}
		put := func() {
			last++
			path := fmt.Sprintf("/%d", rapid.IntRange(0, 12).Draw(t, "path"))
			st := state{
				exists: rapid.Bool().Draw(t, "exists"),
				stat:   wire.Stat{Version: int32(last), EphemeralOwner: int64(rapid.IntRange(0, 3).Draw(t, "owner"))},
			}
			if rapid.Bool().Draw(t, "acl") {
				st.acl = wire.ACLVec(fmt.Append(nil, "acl ", last))
			}
			scratch := []byte(path)
			acl := st
			acl.acl = bytes.Clone(st.acl)
			o.put(hashOf(path), scratch, &acl, last)
			copy(scratch, "overwritten") // both were copied
			copy(acl.acl, "overwritten")
			all = append(all, naiveChange{path, last, st, hashOf(path)})
		}
		newest := func(path string) *naiveChange {
			for i := len(all) - 1; i >= 0; i-- {
				if all[i].path == path {
					return &all[i]
				}
			}
			return nil
		}
		check := func() {
			for i := range 13 {
				path := fmt.Sprintf("/%d", i)
				got, want := o.find(hashOf(path), []byte(path)), newest(path)
				switch {
				case want == nil && got != nil:
					t.Fatalf("%s: found %+v, was never put", path, got)
				case want != nil && want.zxid > applied && got == nil:
					t.Fatalf("%s: forgotten, changed at %d, applied %d", path, want.zxid, applied)
				case got != nil && (got.exists != want.st.exists || got.stat != want.st.stat ||
					!bytes.Equal(got.acl, want.st.acl)):
					t.Fatalf("%s: got %+v, want %+v", path, got.state, want.st)
				}
			}
			for owner := int64(1); owner <= 3; owner++ {
				seen := map[string]bool{}
				o.eachOwned(owner, func(path []byte, _ uint64, exists bool) {
					want := newest(string(path))
					if seen[string(path)] || want == nil || want.st.stat.EphemeralOwner != owner || want.st.exists != exists {
						t.Fatalf("owner %d: %s, exists %v, twice %v; want %+v", owner, path, exists, seen[string(path)], want)
					}
					seen[string(path)] = true
				})
				for i := range 13 {
					path := fmt.Sprintf("/%d", i)
					if w := newest(path); w != nil && w.zxid > applied && w.st.stat.EphemeralOwner == owner && !seen[path] {
						t.Fatalf("owner %d: %s is missing", owner, path)
					}
				}
			}
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0, 1:
				put()
			case 2: // a multi that fails
				mark, n := o.mark(), len(all)
				for range rapid.IntRange(0, 4).Draw(t, "parts") {
					put()
				}
				o.rollback(mark)
				all = all[:n]
			case 3:
				applied = wire.Zxid(rapid.Int64Range(int64(applied), int64(last)).Draw(t, "applied"))
				o.forget(applied)
			}
			check()
		}
		o.forget(last)
		o.forget(last)
		if n := len(o.old.changes) + len(o.young.changes); n != 0 {
			t.Fatalf("%d changes are left when all is applied", n)
		}
	})
}
