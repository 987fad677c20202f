package tree

import (
	"sync"
	"sync/atomic"

	"paddock/wire"
)

// openACL is the id of world:anyone with all permissions, which is never freed. A null ACL, and the
// -1 of Java's snapshots, mean the same.
const openACL = 0

// An aclEntry is one distinct ACL. vec is immutable Go memory: whoever got it may keep it.
type aclEntry struct {
	vec   wire.ACLVec
	world int32  // what world:anyone may do; all bits for an empty list, which forbids nothing
	born  uint64 // how many views had been opened when it came
	died  uint64 // and when its last node went; alive if not
}

const alive = ^uint64(0)

// aclTable interns ACLs: nodes hold an id, and millions of nodes share a few lists.
//
// Readers load entries without its lock, under the lock of a shard with a node that holds the id:
// that reference keeps the entry from being reused.
type aclTable struct {
	entries atomic.Pointer[[]aclEntry]

	// Owned by apply.
	ids  map[string]uint32
	refs []int32
	dead []uint32 // ids without references, oldest first; a view may still show them

	mu sync.Mutex // orders changes of entries with views that list them
}

func (a *aclTable) init() {
	a.entries.Store(&[]aclEntry{{vec: wire.OpenACL, world: worldMask(wire.OpenACL), died: alive}})
	a.ids = map[string]uint32{string(wire.OpenACL): openACL}
	a.refs = []int32{1}
}

func (a *aclTable) at(id uint32) *aclEntry { return &(*a.entries.Load())[id] }

// intern returns the id for vec and counts a reference. views is how many views have been opened,
// oldest the number of the oldest open one: ids that it may show are not used again.
func (a *aclTable) intern(vec wire.ACLVec, views, oldest uint64) uint32 {
	if vec.Null() {
		a.refs[openACL]++
		return openACL
	}
	if id, ok := a.ids[string(vec)]; ok {
		a.refs[id]++
		return id
	}
	e := aclEntry{vec: append(wire.ACLVec(nil), vec...), world: worldMask(vec), born: views, died: alive}
	id := a.place(e, oldest)
	a.ids[string(e.vec)] = id
	a.refs[id] = 1
	return id
}

func (a *aclTable) place(e aclEntry, oldest uint64) uint32 {
	a.mu.Lock()
	defer a.mu.Unlock()
	entries := *a.entries.Load()
	if len(a.dead) > 0 && entries[a.dead[0]].died < oldest {
		id := a.dead[0]
		a.dead = a.dead[1:]
		entries[id] = e
		return id
	}
	entries = append(entries, e)
	a.entries.Store(&entries)
	a.refs = append(a.refs, 0)
	return uint32(len(entries) - 1)
}

// release drops a reference.
func (a *aclTable) release(id uint32, views uint64) {
	if a.refs[id]--; a.refs[id] > 0 || id == openACL {
		return
	}
	a.mu.Lock()
	e := &(*a.entries.Load())[id]
	delete(a.ids, string(e.vec))
	e.died = views
	a.mu.Unlock()
	a.dead = append(a.dead, id)
}

// each calls fn for the entries that view number seq may show, but for the open one. fn must not
// call back.
func (a *aclTable) each(seq uint64, fn func(id uint32, vec wire.ACLVec)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, e := range *a.entries.Load() {
		if id != openACL && e.born < seq && e.died >= seq {
			fn(uint32(id), e.vec)
		}
	}
}

// live returns how many distinct ACLs are in use.
func (a *aclTable) live() (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range *a.entries.Load() {
		if e.died == alive {
			n++
		}
	}
	return n
}

// worldMask returns the permissions that acl gives to world:anyone. Who needs one of them has it,
// whoever he is.
func worldMask(acl wire.ACLVec) (mask int32) {
	if acl.Null() || acl.Len() == 0 {
		return -1
	}
	for it := acl.Iter(); it.Next(); {
		if e := it.ACL(); string(e.Scheme) == "world" && string(e.ID) == "anyone" {
			mask |= e.Perms
		}
	}
	return mask
}
