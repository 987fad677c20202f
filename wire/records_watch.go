package wire

import "strconv"

// EventType says what happened to a watched node. Source: Watcher.Event.EventType.
type EventType int32

// The events that a server sends. Others are made up inside clients.
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

// StateSyncConnected is the only state that a server sends. Source: Watcher.Event.KeeperState.
const StateSyncConnected int32 = 3

// WatcherEvent is the body of a notification. Its header has XidNotification, and the zxid of the
// transaction, or -1 from servers before 3.9 and for what setWatches made up.
type WatcherEvent struct {
	Type  EventType
	State int32
	Path  []byte
}

// Append appends p.
func (p *WatcherEvent) Append(dst []byte) []byte {
	dst = AppendInt(dst, int32(p.Type))
	dst = AppendInt(dst, p.State)
	return AppendString(dst, p.Path)
}

// Decode reads p from r.
func (p *WatcherEvent) Decode(r *Reader) error {
	p.Type, p.State, p.Path = EventType(r.Int()), r.Int(), r.String()
	return r.Err()
}

// SetWatches gives a server the watches that a client had with another. A null list makes the
// request undecodable for ZooKeeper; here it is for the caller to refuse.
type SetWatches struct {
	RelativeZxid Zxid // what the client has seen: newer changes are told at once
	Data         StringVec
	Exist        StringVec
	Child        StringVec
}

// Append appends q.
func (q *SetWatches) Append(dst []byte) []byte {
	dst = AppendLong(dst, int64(q.RelativeZxid))
	dst = AppendStrings(dst, q.Data)
	dst = AppendStrings(dst, q.Exist)
	return AppendStrings(dst, q.Child)
}

// Decode reads q from r.
func (q *SetWatches) Decode(r *Reader) error {
	q.RelativeZxid, q.Data, q.Exist, q.Child = r.Zxid(), r.Strings(), r.Strings(), r.Strings()
	return r.Err()
}

// SetWatches2 is SetWatches of a client that has persistent watches.
type SetWatches2 struct {
	SetWatches
	Persistent          StringVec
	PersistentRecursive StringVec
}

// Append appends q.
func (q *SetWatches2) Append(dst []byte) []byte {
	dst = q.SetWatches.Append(dst)
	dst = AppendStrings(dst, q.Persistent)
	return AppendStrings(dst, q.PersistentRecursive)
}

// Decode reads q from r.
func (q *SetWatches2) Decode(r *Reader) error {
	q.SetWatches.Decode(r)
	q.Persistent, q.PersistentRecursive = r.Strings(), r.Strings()
	return r.Err()
}

// Modes of addWatch. Source: AddWatchMode.
const (
	AddWatchPersistent          int32 = 0
	AddWatchPersistentRecursive int32 = 1
)

// AddWatchRequest is the record of addWatch. An ErrorResponse with OK answers it.
type AddWatchRequest struct {
	Path []byte
	Mode int32
}

// Append appends q.
func (q *AddWatchRequest) Append(dst []byte) []byte {
	return AppendInt(AppendString(dst, q.Path), q.Mode)
}

// Decode reads q from r.
func (q *AddWatchRequest) Decode(r *Reader) error {
	q.Path, q.Mode = r.String(), r.Int()
	return r.Err()
}

// WatcherType is which watches checkWatches and removeWatches mean. Source: Watcher.WatcherType.
type WatcherType int32

// The watcher types; the last two are known since 3.9.
const (
	WatcherChildren            WatcherType = 1
	WatcherData                WatcherType = 2
	WatcherAny                 WatcherType = 3
	WatcherPersistent          WatcherType = 4
	WatcherPersistentRecursive WatcherType = 5
)

// WatchesRequest is the record of checkWatches and removeWatches.
type WatchesRequest struct {
	Path []byte
	Type WatcherType
}

// Records that name watches.
type (
	CheckWatchesRequest  = WatchesRequest
	RemoveWatchesRequest = WatchesRequest
)

// Append appends q.
func (q *WatchesRequest) Append(dst []byte) []byte {
	return AppendInt(AppendString(dst, q.Path), int32(q.Type))
}

// Decode reads q from r.
func (q *WatchesRequest) Decode(r *Reader) error {
	q.Path, q.Type = r.String(), WatcherType(r.Int())
	return r.Err()
}

// ErrorResponse is a code as a record: the answer to addWatch, and what stands behind the header of
// a multi's failed operation.
type ErrorResponse struct{ Err Code }

// Append appends p.
func (p *ErrorResponse) Append(dst []byte) []byte { return AppendInt(dst, int32(p.Err)) }

// Decode reads p from r.
func (p *ErrorResponse) Decode(r *Reader) error {
	p.Err = r.Code()
	return r.Err()
}
