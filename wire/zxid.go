package wire

import "strconv"

// Zxid is a transaction's place in the one total order: epoch in the high 32 bits, counter in the low.
type Zxid int64

// Epoch returns the epoch of the leader that gave the zxid out.
func (z Zxid) Epoch() int64 { return int64(uint64(z) >> 32) }

// Counter returns the place within the epoch.
func (z Zxid) Counter() int64 { return int64(uint32(z)) }

func (z Zxid) String() string { return "0x" + strconv.FormatUint(uint64(z), 16) }

// EventType says what happened to a watched node. Source: Watcher.Event.EventType.
type EventType int32

// The events that a server sends.
const (
	EventNodeCreated         EventType = 1
	EventNodeDeleted         EventType = 2
	EventNodeDataChanged     EventType = 3
	EventNodeChildrenChanged EventType = 4
)

func (e EventType) String() string {
	switch e {
	case EventNodeCreated:
		return "NodeCreated"
	case EventNodeDeleted:
		return "NodeDeleted"
	case EventNodeDataChanged:
		return "NodeDataChanged"
	case EventNodeChildrenChanged:
		return "NodeChildrenChanged"
	}
	return "EventType(" + strconv.Itoa(int(e)) + ")"
}
