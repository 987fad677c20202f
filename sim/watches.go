package sim

import (
	"fmt"
	"slices"
	"strings"

	"paddock/wire"
)

// W1 to W6 at once: from the log we know every event, from its replies we know when each watch of a
// connection was armed. So we know exactly what the connection is to be told, in which order, and before
// which reply. An event
//
//	W1  has a cause, and is about a node that may be read
//	W2  comes before any reply stamped as late as itself
//	W3  comes in the order of the transactions, and inside a multi of the operations
//	W4  comes once for a one-shot watch, once for a deletion however often watched
//	W5  comes, if anything stamped as late does
//	W6  comes at once when a watch is registered again and its condition has changed

// armed is the watches of one connection.
type armed struct {
	data, child, persistent, recursive map[string]bool
	persistentChild                    map[string]bool // removed apart from persistent
}

func newArmed() *armed {
	return &armed{
		data: map[string]bool{}, child: map[string]bool{}, recursive: map[string]bool{},
		persistent: map[string]bool{}, persistentChild: map[string]bool{},
	}
}

// fires says whether the connection is told of an event, and spends what is spent.
func (s *armed) fires(e change) bool {
	hit := false
	if e.typ == wire.EventNodeChildrenChanged || e.typ == wire.EventNodeDeleted {
		hit = s.child[e.path] || s.persistentChild[e.path]
		delete(s.child, e.path)
	}
	if e.typ != wire.EventNodeChildrenChanged {
		hit = hit || s.data[e.path] || s.persistent[e.path] || s.above(e.path)
		delete(s.data, e.path)
	}
	return hit && e.perms&wire.PermRead != 0
}

// above says whether there is a recursive watch on the path or an ancestor.
func (s *armed) above(path string) bool {
	for {
		if s.recursive[path] {
			return true
		}
		if path == "/" {
			return false
		}
		path = parentOf(path)
	}
}

// replied does what a reply says.
func (s *armed) replied(a *call, c *checker) error {
	ok := a.result.code == wire.OK
	switch a.op {
	case wire.OpExists:
		if a.watch && (ok || a.result.code == wire.NoNode) {
			s.data[a.path] = true
		}
	case wire.OpGetData:
		if a.watch && ok {
			s.data[a.path] = true
		}
	case wire.OpGetChildren, wire.OpGetChildren2:
		if a.watch && ok {
			s.child[a.path] = true
		}
	case wire.OpAddWatch:
		if a.mode == wire.AddWatchPersistent {
			s.persistent[a.path], s.persistentChild[a.path] = true, true
		} else {
			s.recursive[a.path] = true
		}
	case wire.OpSetWatches, wire.OpSetWatches2:
		for list, paths := range c.catchUp[a].armed {
			for _, p := range paths {
				s.again(list, p)
			}
		}
	case wire.OpCheckWatches, wire.OpRemoveWatches:
		want := wire.NoWatcher
		if s.has(a) {
			want = wire.OK
		}
		if a.result.code != want {
			return fmt.Errorf("watches: %v\nwant %v", a, want)
		}
		if a.op == wire.OpRemoveWatches {
			s.remove(a)
		}
	}
	return nil
}

func (s *armed) again(list int, path string) {
	switch list {
	case 0, 1:
		s.data[path] = true
	case 2:
		s.child[path] = true
	case 3:
		s.persistent[path], s.persistentChild[path] = true, true
	case 4:
		s.recursive[path] = true
	}
}

func (s *armed) has(a *call) bool {
	p := a.path
	switch wire.WatcherType(a.mode) {
	case wire.WatcherChildren:
		return s.child[p]
	case wire.WatcherData:
		return s.data[p]
	case wire.WatcherPersistent:
		return s.persistent[p]
	case wire.WatcherPersistentRecursive:
		return s.recursive[p]
	}
	return s.child[p] || s.data[p] || s.persistent[p] || s.recursive[p]
}

func (s *armed) remove(a *call) {
	p, typ := a.path, wire.WatcherType(a.mode)
	if typ == wire.WatcherChildren || typ == wire.WatcherAny {
		delete(s.child, p)
	}
	if typ == wire.WatcherData || typ == wire.WatcherAny {
		delete(s.data, p)
	}
	if typ == wire.WatcherPersistent || typ == wire.WatcherAny {
		delete(s.persistent, p)
		delete(s.persistentChild, p)
	}
	if typ == wire.WatcherPersistentRecursive || typ == wire.WatcherAny {
		delete(s.recursive, p)
	}
}

// watches compares what each connection was told with what it should have been.
func (c *checker) watches() error {
	for _, conn := range c.w.history.conns {
		if err := c.watched(conn); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) watched(conn *connRecord) error {
	var (
		s      = newArmed()
		next   int      // the first of c.events that the watches have not met
		due    []change // fired and not seen yet
		caught []change // told by setWatches, whose reply is to come
	)
	reach := func(zxid wire.Zxid) {
		for ; next < len(c.events) && c.events[next].zxid <= zxid; next++ {
			if s.fires(c.events[next]) {
				due = append(due, c.events[next])
			}
		}
	}
	for _, it := range conn.items {
		switch {
		case it.call == nil && it.event.zxid == -1:
			caught = append(caught, it.event)
		case it.call == nil:
			reach(it.event.zxid)
			if len(due) == 0 {
				return fmt.Errorf("W1: connection %d was told %v, which it was not to be told", conn.number, it.event)
			}
			if e := due[0]; e.zxid != it.event.zxid || e.typ != it.event.typ || e.path != it.event.path {
				return fmt.Errorf("W3: connection %d was told %v, want %v", conn.number, it.event, e)
			}
			due = due[1:]
			c.w.marks["event checked"]++
		default:
			reach(it.call.zxid)
			if len(due) > 0 {
				return fmt.Errorf("W2, W5: connection %d was not told %v before %v", conn.number, due[0], it.call)
			}
			if err := c.caughtUp(it.call, caught); err != nil {
				return err
			}
			caught = nil
			if err := s.replied(it.call, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// caughtUp compares the events that a setWatches has made up.
func (c *checker) caughtUp(a *call, got []change) error {
	want := c.catchUp[a].events
	if !slices.Equal(got, want) {
		return fmt.Errorf("W6: %v\nwas told %v, want %v", a, text(got), text(want))
	}
	c.w.marks["event of setWatches"] += len(got)
	return nil
}

func text(events []change) string {
	var parts []string
	for _, e := range events {
		parts = append(parts, e.String())
	}
	return strings.Join(parts, " ")
}
