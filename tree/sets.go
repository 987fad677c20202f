package tree

import (
	"cmp"
	"slices"

	"paddock/wire"
)

// An owned record puts a node with an owner into a list: its session's ephemerals, the containers,
// or the TTL nodes. Guarded by Tree.mu.
type owned struct {
	node       ref
	prev, next uint32
}

// An ownedList is a list of owned records.
type ownedList struct {
	first uint32
	count int32
}

// A Session is a session as the tree knows it.
type Session struct {
	ID        int64
	TimeoutMS int32
}

func compareSessions(a, b Session) int { return cmp.Compare(a.ID, b.ID) }

// own puts node r on the list of its owner and returns its record.
func (t *Tree) own(r ref, owner int64) uint32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, o := t.owned.Alloc()
	list := t.listOf(owner)
	*o = owned{node: r, next: list.first}
	if list.first != 0 {
		t.owned.At(list.first).prev = i
	}
	list.first = i
	list.count++
	t.setList(owner, list)
	return i
}

// disown takes node record i off the list of its owner.
func (t *Tree) disown(i uint32, owner int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := *t.owned.At(i)
	list := t.listOf(owner)
	if o.prev == 0 {
		list.first = o.next
	} else {
		t.owned.At(o.prev).next = o.next
	}
	if o.next != 0 {
		t.owned.At(o.next).prev = o.prev
	}
	list.count--
	t.due.leave(i, o.next)
	t.owned.Free(i)
	t.setList(owner, list)
}

func (t *Tree) listOf(owner int64) ownedList {
	switch t.kindOf(owner) {
	case Container:
		return t.contained
	case TTL:
		return t.expiring
	}
	return t.owners[owner]
}

func (t *Tree) setList(owner int64, list ownedList) {
	switch t.kindOf(owner) {
	case Container:
		t.contained = list
	case TTL:
		t.expiring = list
	default:
		t.sum.ephemerals += int64(list.count) - int64(t.owners[owner].count)
		if list.count == 0 {
			delete(t.owners, owner)
		} else {
			t.owners[owner] = list
		}
	}
}

// Ephemerals calls fn with the path of each ephemeral of a session, until fn returns false. Paths
// are valid during the call. Any goroutine; fn must not call the tree.
func (t *Tree) Ephemerals(session int64, fn func(path []byte) bool) {
	var buf [256]byte
	path := buf[:0]
	t.mu.RLock()
	defer t.mu.RUnlock()
	// A node on a list pins its ancestors, and to leave the list takes t.mu: the path can be
	// walked.
	for i := t.owners[session].first; i != 0; i = t.owned.At(i).next {
		path = t.appendPath(path[:0], t.owned.At(i).node)
		if !fn(path) {
			return
		}
	}
}

// EphemeralOwners appends the sessions that own ephemerals, in ascending order.
func (t *Tree) EphemeralOwners(dst []int64) []int64 {
	t.mu.RLock()
	start := len(dst)
	for id := range t.owners { //order-free: sorted below
		dst = append(dst, id)
	}
	t.mu.RUnlock()
	slices.Sort(dst[start:])
	return dst
}

// ContainerCount and TTLCount return how many containers and TTL nodes there are.
func (t *Tree) ContainerCount() int { return t.countOf(&t.contained) }
func (t *Tree) TTLCount() int       { return t.countOf(&t.expiring) }

func (t *Tree) countOf(l *ownedList) int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return int(l.count)
}

// SessionTimeout returns the timeout of a session, and whether it exists.
func (t *Tree) SessionTimeout(id int64) (timeoutMS int32, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	timeoutMS, ok = t.sessions[id]
	return timeoutMS, ok
}

// Sessions appends all sessions in ascending order of their ids.
func (t *Tree) Sessions(dst []Session) []Session {
	t.mu.RLock()
	start := len(dst)
	for id, timeout := range t.sessions { //order-free: sorted below
		dst = append(dst, Session{id, timeout})
	}
	t.mu.RUnlock()
	slices.SortFunc(dst[start:], compareSessions)
	return dst
}

// SessionCount returns the number of sessions.
func (t *Tree) SessionCount() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.sessions)
}

// A dueCursor is where the search for containers and TTL nodes to remove goes on.
type dueCursor struct {
	next uint32 // an owned record
	list int    // 0 containers, 1 TTL nodes
}

// leave moves the cursor off record i, which is about to be freed.
func (c *dueCursor) leave(i, next uint32) {
	if c.next == i {
		c.next = next
	}
}

// Due looks for containers and TTL nodes whose time has come (client-protocol.md 3.10) and calls fn
// with their paths, valid during the call. It looks at no more than scan of them, and goes on from
// there at the next call; it reports whether it has come to the end of a round. nowMS is wall time,
// as in ctime. maxNeverUsedMS is the age at which a container that never had a child goes; 0 means
// never. Owner of apply only.
func (t *Tree) Due(nowMS, maxNeverUsedMS int64, scan int, fn func(path []byte)) (round bool) {
	var buf [256]byte
	path := buf[:0]
	lists := [...]uint32{t.contained.first, t.expiring.first}
	for {
		if t.due.next == 0 {
			t.due.next = lists[t.due.list]
		}
		for ; t.due.next != 0 && scan > 0; scan-- {
			o := t.owned.At(t.due.next)
			if t.isDue(t.node(o.node), nowMS, maxNeverUsedMS) {
				path = t.appendPath(path[:0], o.node)
				fn(path)
			}
			t.due.next = o.next
		}
		if t.due.next != 0 {
			return false
		}
		if t.due.list++; t.due.list == len(lists) {
			t.due.list = 0
			return true
		}
	}
}

func (t *Tree) isDue(n *node, nowMS, maxNeverUsedMS int64) bool {
	switch {
	case n.children > 0:
		return false
	case t.kindOf(n.owner) == TTL:
		return nowMS-n.mtime > n.owner&ttlMask
	case n.cversion > 0:
		return true
	}
	return maxNeverUsedMS > 0 && nowMS-n.mtime > maxNeverUsedMS
}

// putSession and dropSession are how a session comes and goes.
func (t *Tree) putSession(id int64, timeoutMS int32) {
	t.mu.Lock()
	t.sessions[id] = timeoutMS
	t.mu.Unlock()
}

func (t *Tree) dropSession(id int64) {
	t.mu.Lock()
	delete(t.sessions, id)
	t.mu.Unlock()
}

// keepDigest adds to the history, every now and then.
func (t *Tree) keepDigest(zxid wire.Zxid) {
	if zxid%digestEvery != 0 {
		return
	}
	t.mu.Lock()
	t.history[t.kept%digestKept] = DigestAt{zxid, t.sum.digest}
	t.kept++
	t.mu.Unlock()
}
