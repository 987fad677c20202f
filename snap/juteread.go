package snap

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"paddock/tree"
	"paddock/wire"
)

// StreamError says where a stream of Java's format stopped making sense.
type StreamError struct {
	Offset int64  // bytes from the start, before compression
	Part   string // what was being read, as "node 12"
	Err    error  // what was wrong with it; Unwrap returns it
}

func (e *StreamError) Error() string {
	return fmt.Sprintf("snapshot stream makes no sense at byte %d, %s: %v", e.Offset, e.Part, e.Err)
}

func (e *StreamError) Unwrap() error { return e.Err }

// StreamInfo counts what was read.
type StreamInfo struct {
	Bytes                 int64 // to the end of the last part read
	Sessions, ACLs, Nodes int64
	// Closed is how many nodes named an ACL that the stream does not have, as the fuzzy snapshots
	// of old servers may. Until the log gives them another one, only the super user has access.
	Closed int64
}

// StreamReader makes a tree of what a leader sends behind the packet SNAP, as its bytes come. One
// goroutine at a time uses it.
//
//	Feed(bytes) … until Done    then    Tree(zxid)
//
// It believes no count and no length: what it holds is the tree so far, and of a record that has
// not come whole the bytes that have.
type StreamReader struct {
	decoder
	loader *tree.Loader
}

// NewStreamReader returns a reader into an empty tree. A leader may be a Java server, whose streams
// are fuzzy: then shape.Fuzzy must be set, and the tree settled (tree.Tree.Settle) when all that
// the stream may have seen was applied.
func NewStreamReader(shape tree.Options) *StreamReader {
	loader := tree.NewLoader(shape)
	d := newDecoder(loader, shape.Fuzzy)
	d.signed = true
	return &StreamReader{decoder: d, loader: loader}
}

// Feed takes the next bytes, keeps nothing of b, and returns how many belong to the stream: all, if
// it does not end among them. An error is final: a *StreamError.
func (r *StreamReader) Feed(b []byte) (n int, err error) { return r.feed(b) }

// Done reports whether the stream has come to its end.
func (r *StreamReader) Done() bool { return r.at == atEnd }

// Info says what was read so far.
func (r *StreamReader) Info() StreamInfo { return r.info }

// Tree returns the tree, which the stream's sender says is that of zxid. It is called once. The
// order of its children depends on the stream alone.
func (r *StreamReader) Tree(zxid wire.Zxid) (*tree.Tree, error) {
	if err := r.unfinished(); err != nil {
		return nil, err
	}
	t, err := r.loader.FinishUnchecked(zxid)
	if err != nil {
		return nil, fmt.Errorf("snap: stream for zxid %v: %w", zxid, err)
	}
	return t, nil
}

// ReadStream reads a tree, and of in nothing behind it.
func ReadStream(in *bufio.Reader, zxid wire.Zxid, shape tree.Options) (*tree.Tree, StreamInfo, error) {
	r := NewStreamReader(shape)
	for !r.Done() {
		b, err := arrived(in)
		if errors.Is(err, io.EOF) {
			return nil, r.info, r.unfinished()
		}
		if err != nil {
			return nil, r.info, fmt.Errorf("snap: stream for zxid %v at byte %d: %w", zxid, r.info.Bytes, err)
		}
		n, err := r.Feed(b)
		if err != nil {
			return nil, r.info, err
		}
		discardBuffered(in, n)
	}
	t, err := r.Tree(zxid)
	return t, r.info, err
}

// arrived waits for bytes and returns those that are there, without taking them.
func arrived(in *bufio.Reader) ([]byte, error) {
	if _, err := in.Peek(1); err != nil {
		return nil, err
	}
	return in.Peek(in.Buffered())
}

// discardBuffered takes n bytes that arrived has shown: they are there.
func discardBuffered(in *bufio.Reader, n int) {
	if _, err := in.Discard(n); err != nil {
		panic(fmt.Sprintf("snap: %d buffered bytes are gone: %v", n, err))
	}
}
