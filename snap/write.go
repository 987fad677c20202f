package snap

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"

	"paddock/tree"
	"paddock/vfs"
	"paddock/wire"
)

const (
	// blockTarget is where a block is closed: large enough to compress well, small enough
	// that a gigabyte gives every core hundreds of them.
	blockTarget = 512 << 10
	// syncEvery bounds what a writer leaves in the page cache, so that the log's next
	// fdatasync does not wait behind hundreds of megabytes of ours.
	syncEvery = 4 << 20
	// sourceBatch is how many records are asked for at a time.
	sourceBatch = 256
)

// Source is a state to write down, as after one zxid: a *tree.View.
type Source interface {
	Zxid() wire.Zxid
	Digest() uint64 // of the tree; 0 if nobody keeps it
	NodeCount() int64
	// Sessions and ACLs are lists in ascending order of ids. fn may keep acl, and must be short.
	Sessions() []tree.Session
	ACLs(fn func(id uint32, acl wire.ACLVec))
	// Next appends the next nodes, as many as dst has room for or a few, each exactly once, and
	// whether to ask again. They are valid until the next call.
	Next(dst []tree.Record) (records []tree.Record, more bool)
	// Err says, after the last Next, whether the source had to give up.
	Err() error
}

// Write puts src into a new file of dir and returns what it wrote. timeMS is the wall time
// that the file will carry: two calls with equal content and time write equal bytes.
//
// The file gets its name after it was synced, read back and verified. An error means that
// there is no new snapshot, that what was written of it is removed if it could be, and that
// older ones are as they were: an alarm, not a reason to stop. If there is a snapshot of
// this zxid already, and it verifies, it is the result and nothing is written.
func Write(fsys vfs.FS, dir string, src Source, timeMS int64, o Options) (Info, error) {
	name := fileName(src.Zxid())
	info, err := existing(fsys, dir, name, src, o)
	if info.Name == "" && err == nil {
		info, err = writeNew(fsys, dir, name, src, timeMS, o)
	}
	if err != nil {
		return Info{}, fmt.Errorf("snap: write %s: %w", name, err)
	}
	return info, nil
}

// existing returns the snapshot that has the name already, so that none that is good is ever
// replaced. A damaged one is set aside. One that is whole but tells of another state is an
// error: two histories claim this zxid, and this is not the place to choose.
func existing(fsys vfs.FS, dir, name string, src Source, o Options) (Info, error) {
	o.Workers = 1
	info, err := Verify(fsys, path.Join(dir, name), o)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Info{}, nil
	case errors.Is(err, ErrAbort):
		return Info{}, err
	}
	if err == nil {
		err = named(info, name)
	}
	if err == nil {
		return info, wrote(info, src)
	}
	if d := setAside(fsys, dir, name, err); d.Quarantine == "" {
		return Info{}, errors.Join(fmt.Errorf("there is one that is no good: %w", err), d.RenameErr)
	}
	return Info{}, nil
}

func writeNew(fsys vfs.FS, dir, name string, src Source, timeMS int64, o Options) (Info, error) {
	final := path.Join(dir, name)
	tmp := final + tmpSuffix
	info, err := writeVerified(fsys, tmp, src, timeMS, o)
	if err == nil {
		info.Name = name
		err = wrote(info, src)
	}
	if err == nil {
		err = fsys.Rename(tmp, final)
	}
	if err != nil {
		return Info{}, errors.Join(err, discardFile(fsys, tmp))
	}
	if err := fsys.SyncDir(dir); err != nil {
		// fsync-once: no later sync can vouch for the name, so nobody may count on it.
		return Info{}, errors.Join(err, discardFile(fsys, final))
	}
	return info, nil
}

// wrote holds a file that verified against the source it was made from.
func wrote(info Info, src Source) error {
	digest := src.Digest()
	if info.Zxid != src.Zxid() || info.Digest != digest && info.Digest != 0 && digest != 0 {
		return fmt.Errorf("file has zxid %v digest %#x, the source zxid %v digest %#x",
			info.Zxid, info.Digest, src.Zxid(), digest)
	}
	return nil
}

func discardFile(fsys vfs.FS, file string) error {
	if err := fsys.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove what is left of it: %w", err)
	}
	return nil
}

// writeVerified writes file and reads it back.
func writeVerified(fsys vfs.FS, file string, src Source, timeMS int64, o Options) (Info, error) {
	// What a crash left of an earlier one; Create does not overwrite.
	if err := discardFile(fsys, file); err != nil {
		return Info{}, err
	}
	f, err := fsys.Create(file)
	if err != nil {
		return Info{}, err
	}
	err = writeFile(f, src, timeMS, o)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return Info{}, err
	}
	o.Workers = 1 // in the background: the other cores have clients
	info, err := Verify(fsys, file, o)
	if err != nil {
		return Info{}, fmt.Errorf("read back: %w", err)
	}
	return info, nil
}

func writeFile(f vfs.File, src Source, timeMS int64, o Options) error {
	sessions := src.Sessions()
	var acls []acl // gathered first: a source may hold a lock for as long as it lists them
	src.ACLs(func(id uint32, list wire.ACLVec) { acls = append(acls, acl{id, list}) })
	w, err := newWriter(f, header{
		zxid: src.Zxid(), timeMS: timeMS, nodes: uint64(src.NodeCount()),
		sessions: uint64(len(sessions)), acls: uint64(len(acls)),
	}, o)
	if err != nil {
		return err
	}
	for _, s := range sessions {
		if err := w.session(s); err != nil {
			return err
		}
	}
	for _, a := range acls {
		if err := w.acl(a); err != nil {
			return err
		}
	}
	if err := w.nodes(src); err != nil {
		return err
	}
	return w.finish(src.Digest())
}

// writer appends blocks to one file. Owned by the goroutine that called Write; it holds one
// block and its compressed form, and no more than syncEvery bytes that are not yet synced.
type writer struct {
	f    vfs.File
	o    Options
	head header
	foot footer
	enc  *zstd.Encoder

	typ    blockType
	raw    []byte // the open block
	count  uint32 // its records
	prev   previous
	stored []byte // scratch: a block as it goes to the file, header included

	off      int64
	unsynced int
}

func newWriter(f vfs.File, head header, o Options) (*writer, error) {
	// One encoder for one file, without goroutines: the bytes depend on the input alone.
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, err
	}
	w := &writer{f: f, o: o.withDefaults(), head: head, enc: enc, typ: blockSessions}
	first := w.head.append(nil)
	w.foot = footer{zxid: head.zxid, prev: w.head.check}
	return w, w.write(first)
}

func (w *writer) session(s tree.Session) error {
	if err := w.room(blockSessions, 0); err != nil {
		return err
	}
	w.raw = appendSession(w.raw, &w.prev, s)
	w.foot.sessions++
	return w.added()
}

func (w *writer) acl(a acl) error {
	if err := w.room(blockACLs, len(a.list)); err != nil {
		return err
	}
	w.raw = appendACL(w.raw, &w.prev, a)
	w.foot.acls++
	return w.added()
}

func (w *writer) nodes(src Source) error {
	batch := make([]tree.Record, 0, sourceBatch)
	for more := true; more; {
		batch, more = src.Next(batch[:0])
		for i := range batch {
			if err := w.node(&batch[i]); err != nil {
				return err
			}
		}
	}
	return src.Err()
}

func (w *writer) node(r *tree.Record) error {
	if err := w.room(blockNodes, len(r.Path)+len(r.Data)); err != nil {
		return fmt.Errorf("%.200q: %w", r.Path, err)
	}
	w.raw = appendNode(w.raw, &w.prev, r)
	w.foot.nodes++
	return w.added()
}

// room closes the open block if a record of that type and that many variable bytes may not
// fit into it.
func (w *writer) room(typ blockType, variable int) error {
	if variable > maxRecord-maxFixed {
		return fmt.Errorf("record of %d bytes, limit %d", variable, maxRecord-maxFixed)
	}
	need := variable + maxFixed
	if typ != w.typ || len(w.raw)+need > maxBlock || w.prev.expanded+need > maxExpanded {
		if err := w.flush(); err != nil {
			return err
		}
	}
	w.typ = typ
	return nil
}

// added counts a record, and closes a block that has become large enough. A record larger
// than a block is thereby alone in its own.
func (w *writer) added() error {
	w.count++
	if len(w.raw) >= w.o.blockTarget || w.prev.expanded >= maxExpanded/2 {
		return w.flush()
	}
	return nil
}

// flush writes the open block, as several if it is one record larger than a block. These are
// not compressed, so that reading them costs no more memory than the file has bytes.
func (w *writer) flush() error {
	if w.count == 0 {
		return nil
	}
	h := blockHeader{typ: w.typ, count: w.count}
	raw := w.raw
	if len(raw) <= maxBlock {
		return w.closeBlock(w.emit(h, raw, true))
	}
	for len(raw) > 0 {
		piece := raw[:min(len(raw), maxBlock)]
		raw = raw[len(piece):]
		h.continued = len(raw) > 0
		if err := w.emit(h, piece, false); err != nil {
			return err
		}
		h.count = 0
	}
	w.raw = nil // a buffer of that size is not worth keeping
	return w.closeBlock(nil)
}

func (w *writer) closeBlock(err error) error {
	w.raw, w.count = w.raw[:0], 0
	w.prev.reset()
	return err
}

// emit writes one block: header and stored bytes, in one write.
func (w *writer) emit(h blockHeader, raw []byte, compress bool) error {
	h.seq, h.prev = w.foot.blocks, w.foot.prev
	h.rawLen, h.rawHash = uint32(len(raw)), xxhash.Sum64(raw)
	var space [blockHeaderSize]byte
	w.stored = append(w.stored[:0], space[:]...)
	if compress {
		h.codec = codecZstd
		w.stored = w.enc.EncodeAll(raw, w.stored)
		w.stored = pad(w.stored, blockHeaderSize+(len(raw)+maxRatio-1)/maxRatio)
	}
	if !compress || len(w.stored)-blockHeaderSize >= len(raw) {
		h.codec = codecStored
		w.stored = append(w.stored[:blockHeaderSize], raw...)
	}
	stored := w.stored[blockHeaderSize:]
	h.storedLen, h.storedHash = uint32(len(stored)), xxhash.Sum64(stored)
	h.append(w.stored[:0])
	w.foot.blocks++
	w.foot.prev = h.check
	w.foot.rawBytes += uint64(len(raw))
	return w.write(w.stored)
}

// pad appends to the zstd frame in b a skippable frame (RFC 8878, 3.1.2) of zeros, if b is
// shorter than size. A megabyte of zeros compresses beyond what readers believe.
func pad(b []byte, size int) []byte {
	if len(b) >= size {
		return b
	}
	n := max(size-len(b)-8, 0)
	b = append(b, 0x50, 0x2a, 0x4d, 0x18, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
	return append(b, make([]byte, n)...)
}

func (w *writer) finish(digest uint64) error {
	if err := w.flush(); err != nil {
		return err
	}
	if w.foot.nodes != w.head.nodes || w.foot.sessions != w.head.sessions || w.foot.acls != w.head.acls {
		return fmt.Errorf("source announced %d nodes and gave %d", w.head.nodes, w.foot.nodes)
	}
	w.foot.digest = digest
	w.foot.fileBytes = uint64(w.off) + footerSize
	if err := w.write(w.foot.append(nil)); err != nil {
		return err
	}
	return w.sync()
}

func (w *writer) write(b []byte) error {
	if _, err := w.f.WriteAt(b, w.off); err != nil {
		return err
	}
	w.off += int64(len(b))
	if w.unsynced += len(b); w.unsynced < syncEvery {
		return nil
	}
	return w.sync()
}

// sync makes what was written durable and gives the pacer its turn. fsync-once: a failure
// ends this file.
func (w *writer) sync() error {
	n := w.unsynced
	if err := w.f.Sync(); err != nil {
		return err
	}
	w.unsynced = 0
	return w.o.pace(n)
}
