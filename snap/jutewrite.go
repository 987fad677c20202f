package snap

import (
	"fmt"
	"io"

	"paddock/tree"
	"paddock/wire"
)

const (
	// streamChunk is how many bytes a StreamWriter gives at a time, and one record more.
	streamChunk = 64 << 10
	// javaOpenACL is the id of world:anyone with all permissions, which is in no table.
	javaOpenACL = -1
)

var (
	rootPath  = []byte("/")
	endPath   = rootPath // behind the last node; the root itself is ""
	signature = []byte("BenWasHere")
)

// OrderedSource is a Source that can show every node after its parent: a *tree.View. Java's
// servers join a node to its parent while they read, and fail where it is missing.
type OrderedSource interface {
	Source
	// ParentsFirst is called before the first Next.
	ParentsFirst()
}

// StreamWriter encodes a state as a leader sends it to a learner behind the packet SNAP: sessions,
// ACLs, nodes, "/", "BenWasHere". It holds no more than a batch of records, and of the source no
// lock. Source: SerializeUtils.serializeSnapshot, DataTree.serialize, ZooKeeper 3.9.
type StreamWriter struct {
	src  OrderedSource
	tail []byte // behind the nodes

	step     func(dst []byte, full int) ([]byte, error) // nil when all is said
	sessions []tree.Session
	acls     []acl
	known    map[uint32]bool // ACLs that nodes may name
	batch    []tree.Record
	left     []tree.Record // of batch
	more     bool
	nodes    int64
}

// NewStreamWriter returns a writer of src, from which nothing was taken yet.
func NewStreamWriter(src OrderedSource) *StreamWriter {
	return newBodyWriter(src, wire.AppendString(wire.AppendString(nil, endPath), signature))
}

// newBodyWriter is NewStreamWriter with another tail.
func newBodyWriter(src OrderedSource, tail []byte) *StreamWriter {
	w := &StreamWriter{src: src, tail: tail, more: true, known: map[uint32]bool{0: true}}
	w.step = w.begin
	return w
}

// WriteStream writes src to out, which is called with pieces of a stated size (64 KiB and a
// record).
func WriteStream(out io.Writer, src OrderedSource) error {
	w := NewStreamWriter(src)
	buf := make([]byte, 0, streamChunk)
	for more := true; more; {
		var err error
		if buf, more, err = w.Append(buf[:0]); err != nil {
			return err
		}
		if _, err = out.Write(buf); err != nil {
			return fmt.Errorf("snap: write stream at zxid %v: %w", src.Zxid(), err)
		}
		buf = frugal(buf)
	}
	return nil
}

// frugal drops a buffer that one huge record has grown.
func frugal(buf []byte) []byte {
	if cap(buf) > 1<<20 {
		return nil
	}
	return buf
}

// Append appends the next piece to dst and reports whether there is another. An error means that
// the source gave up or contradicts itself: the stream cannot be finished, and whoever has its
// beginning must be told by other means.
func (w *StreamWriter) Append(dst []byte) (out []byte, more bool, err error) {
	for full := len(dst) + streamChunk; len(dst) < full && w.step != nil; {
		if dst, err = w.step(dst, full); err != nil {
			w.step = nil
			return dst, false, fmt.Errorf("snap: stream at zxid %v: %w", w.src.Zxid(), err)
		}
	}
	return dst, w.step != nil, nil
}

func (w *StreamWriter) begin(dst []byte, _ int) ([]byte, error) {
	w.src.ParentsFirst()
	w.sessions = w.src.Sessions()
	// Gathered first: a source may hold a lock for as long as it lists them.
	w.src.ACLs(func(id uint32, list wire.ACLVec) { w.acls = append(w.acls, acl{id, list}) })
	w.step = w.putSessions
	return wire.AppendInt(dst, int32(len(w.sessions))), nil
}

func (w *StreamWriter) putSessions(dst []byte, full int) ([]byte, error) {
	for ; len(w.sessions) > 0 && len(dst) < full; w.sessions = w.sessions[1:] {
		dst = wire.AppendLong(dst, w.sessions[0].ID)
		dst = wire.AppendInt(dst, w.sessions[0].TimeoutMS)
	}
	if len(w.sessions) > 0 {
		return dst, nil
	}
	w.step = w.putACLs
	return wire.AppendInt(dst, int32(len(w.acls))), nil
}

func (w *StreamWriter) putACLs(dst []byte, full int) ([]byte, error) {
	for ; len(w.acls) > 0 && len(dst) < full; w.acls = w.acls[1:] {
		a := w.acls[0]
		if a.list.Null() {
			return dst, fmt.Errorf("ACL %d is null, which Java's servers cannot read", a.id)
		}
		w.known[a.id] = true
		dst = wire.AppendACLs(wire.AppendLong(dst, int64(a.id)), a.list)
	}
	if len(w.acls) == 0 {
		w.step = w.putNodes
	}
	return dst, nil
}

func (w *StreamWriter) putNodes(dst []byte, full int) (out []byte, err error) {
	for len(dst) < full {
		if len(w.left) == 0 {
			if !w.more {
				return w.end(dst)
			}
			if w.batch == nil {
				w.batch = make([]tree.Record, 0, sourceBatch)
			}
			w.batch, w.more = w.src.Next(w.batch[:0])
			w.left = w.batch
			continue
		}
		if dst, err = w.node(dst, &w.left[0]); err != nil {
			return dst, err
		}
		w.left = w.left[1:]
	}
	return dst, nil
}

// node appends a node. Versions, owners and the count of created children are kept as Java keeps
// them: see tree.Record.
func (w *StreamWriter) node(dst []byte, r *tree.Record) ([]byte, error) {
	if !w.known[r.ACL] {
		return dst, fmt.Errorf("node %.200q has ACL %d, which is not in the table", r.Path, r.ACL)
	}
	path, id := r.Path, int64(r.ACL)
	if string(path) == "/" {
		path = path[:0]
	}
	if r.ACL == 0 {
		id = javaOpenACL
	}
	w.nodes++
	dst = wire.AppendString(dst, path)
	dst = wire.AppendBuffer(dst, r.Data)
	dst = wire.AppendLong(dst, id)
	dst = wire.AppendLong(dst, int64(r.Czxid))
	dst = wire.AppendLong(dst, int64(r.Mzxid))
	dst = wire.AppendLong(dst, r.Ctime)
	dst = wire.AppendLong(dst, r.Mtime)
	dst = wire.AppendInt(dst, r.Version)
	dst = wire.AppendInt(dst, r.Cversion)
	dst = wire.AppendInt(dst, r.Aversion)
	dst = wire.AppendLong(dst, r.Owner)
	return wire.AppendLong(dst, int64(r.Pzxid)), nil
}

func (w *StreamWriter) end(dst []byte) ([]byte, error) {
	if err := w.src.Err(); err != nil {
		return dst, err
	}
	if want := w.src.NodeCount(); w.nodes != want {
		return dst, fmt.Errorf("source announced %d nodes and gave %d", want, w.nodes)
	}
	w.step = nil
	return append(dst, w.tail...), nil
}
