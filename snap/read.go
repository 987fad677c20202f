package snap

import (
	"errors"
	"fmt"
	"io"
	"path"

	"paddock/tree"
	"paddock/vfs"
	"paddock/wire"
)

// Sink is what a snapshot is read into: a tree.Loader. Slices belong to the reader and are
// valid during the call. All sessions and ACLs come first, in the file's order and from one
// goroutine; then nodes come from several goroutines at once, in no order.
type Sink interface {
	Session(id int64, timeoutMS int32)
	ACL(id uint32, acl wire.ACLVec) error
	Node(r *tree.Record) error
}

// Read verifies file and delivers its content to sink. On an error the sink has an unknown
// part of it and is to be thrown away. Damage is a *CorruptError, and so is what the sink
// refuses, unless it says ErrAbort; any other error says nothing about what the file holds.
func Read(fsys vfs.FS, file string, sink Sink, o Options) (Info, error) {
	return read(fsys, file, sink, false, o)
}

// Verify reads all of file, to know that it can, and adds up the digest of the nodes: the file
// then holds exactly the tree that the source said it was, whoever made a mistake in between.
func Verify(fsys vfs.FS, file string, o Options) (Info, error) {
	return read(fsys, file, discard{}, true, o)
}

func read(fsys vfs.FS, file string, sink Sink, digest bool, o Options) (Info, error) {
	r, err := openReader(fsys, file, o)
	if err != nil {
		return Info{}, err
	}
	defer r.f.Close()
	if err := r.deliver(sink, digest); err != nil {
		return Info{}, err
	}
	return r.info(), nil
}

type discard struct{}

func (discard) Session(int64, int32)          {}
func (discard) ACL(uint32, wire.ACLVec) error { return nil }
func (discard) Node(*tree.Record) error       { return nil }

// reader is one open file whose skeleton made sense: header, footer, and the chain of block
// headers between them, without the blocks. Nothing of a file is delivered before.
type reader struct {
	f      vfs.File
	name   string
	o      Options
	size   int64
	head   header
	foot   footer
	blocks []block
}

// block is what the skeleton keeps of a block: all that must hold when it is read.
type block struct {
	off int64 // of its stored bytes
	blockHeader
}

func openReader(fsys vfs.FS, file string, o Options) (*reader, error) {
	f, err := fsys.Open(file)
	if err != nil {
		return nil, err
	}
	r := &reader{f: f, name: path.Base(file), o: o.withDefaults()}
	err = r.ends()
	if err == nil {
		err = r.skeleton()
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return r, nil
}

// ends reads the header and the footer and holds them against each other.
func (r *reader) ends() (err error) {
	if r.size, err = r.f.Size(); err != nil {
		return err
	}
	if r.size < headerSize+footerSize {
		return r.corrupt(0, fmt.Errorf("only %d bytes", r.size))
	}
	var b [footerSize]byte
	if err := r.readAt(b[:headerSize], 0); err != nil {
		return err
	}
	if err := r.head.parse(b[:]); err != nil {
		return r.corrupt(0, err)
	}
	end := r.size - footerSize
	if err := r.readAt(b[:], end); err != nil {
		return err
	}
	if err := r.foot.parse(b[:]); err != nil {
		return r.corrupt(end, fmt.Errorf("footer: %w", err))
	}
	h, t := &r.head, &r.foot
	if t.zxid != h.zxid || t.sessions != h.sessions || t.acls != h.acls || t.nodes != h.nodes {
		return r.corrupt(end, errors.New("footer and header speak of different content"))
	}
	if t.fileBytes != uint64(r.size) {
		return r.corrupt(end, fmt.Errorf("file has %d bytes, was written with %d", r.size, t.fileBytes))
	}
	if t.rawBytes > uint64(r.o.MaxBytes) {
		return fmt.Errorf("%s: %w: %d bytes, limit %d", r.name, ErrTooLarge, t.rawBytes, r.o.MaxBytes)
	}
	return nil
}

// skeleton walks the block headers. Each names the checksum of the one before it, the first
// that of the file's header, and the footer that of the last: a block that was dropped,
// repeated, moved, or taken from another file breaks the chain.
func (r *reader) skeleton() error {
	end := r.size - footerSize
	off, prev := int64(headerSize), r.head.check
	var raw, record uint64 // record: bytes so far of one that takes several blocks
	var counts [blockNodes + 1]uint64
	var last blockHeader
	var buf [blockHeaderSize]byte
	for range r.foot.blocks {
		if end-off < blockHeaderSize {
			return r.corrupt(off, errors.New("blocks are missing"))
		}
		if err := r.readAt(buf[:], off); err != nil {
			return err
		}
		b := block{off: off + blockHeaderSize}
		err := b.parse(buf[:])
		if err == nil {
			err = r.follows(&b.blockHeader, &last, prev)
		}
		if err != nil {
			return r.corrupt(off, fmt.Errorf("block %d: %w", len(r.blocks), err))
		}
		off = b.off + int64(b.storedLen)
		if off > end {
			return r.corrupt(b.off, fmt.Errorf("block %d runs into the footer", b.seq))
		}
		if !last.continued {
			record = 0
		}
		if record += uint64(b.rawLen); record > maxRecord {
			return r.corrupt(off, fmt.Errorf("block %d: record longer than %d bytes", b.seq, maxRecord))
		}
		prev, last = b.check, b.blockHeader
		raw += uint64(b.rawLen)
		counts[b.typ] += uint64(b.count)
		r.blocks = append(r.blocks, b)
	}
	h, t := &r.head, &r.foot
	switch {
	case off != end || prev != t.prev || last.continued:
		return r.corrupt(off, errors.New("the chain of blocks does not end at the footer"))
	case raw != t.rawBytes:
		return r.corrupt(end, fmt.Errorf("blocks hold %d raw bytes, footer says %d", raw, t.rawBytes))
	case counts[blockSessions] != h.sessions || counts[blockACLs] != h.acls || counts[blockNodes] != h.nodes:
		return r.corrupt(end, fmt.Errorf("blocks hold %d nodes, header says %d", counts[blockNodes], h.nodes))
	}
	return nil
}

// follows says what is wrong with b after last.
func (r *reader) follows(b, last *blockHeader, prev uint64) error {
	switch {
	case b.seq != uint32(len(r.blocks)):
		return fmt.Errorf("says it is block %d", b.seq)
	case b.prev != prev:
		return errors.New("does not continue the chain of checksums")
	case b.typ < last.typ:
		return fmt.Errorf("type %d after type %d", b.typ, last.typ)
	case last.continued && (b.count != 0 || b.typ != last.typ):
		return errors.New("does not continue the record before it")
	case !last.continued && (b.count == 0 || b.continued && b.count != 1):
		return fmt.Errorf("begins %d records", b.count)
	}
	return nil
}

func (r *reader) info() Info {
	return Info{
		Name: r.name, Zxid: r.head.zxid, TimeMS: r.head.timeMS,
		Nodes: r.head.nodes, Sessions: r.head.sessions, ACLs: r.head.acls,
		Digest: r.foot.digest, FileBytes: r.size, RawBytes: int64(r.foot.rawBytes),
	}
}

// readAt fills b. A file that has become shorter is damage; what the disk refuses to read is
// not, for it may give it tomorrow.
func (r *reader) readAt(b []byte, off int64) error {
	n, err := r.f.ReadAt(b, off)
	switch {
	case n == len(b):
		return nil
	case errors.Is(err, io.EOF):
		return r.corrupt(off, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("snapshot %s cannot be read at byte %d: %w", r.name, off, err)
}

// corrupt wraps err, unless it says that the file is of another version, which is no damage.
func (r *reader) corrupt(off int64, err error) error {
	if errors.Is(err, ErrVersion) {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	return &CorruptError{File: r.name, Offset: off, Err: err}
}
