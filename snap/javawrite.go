package snap

import (
	"errors"
	"fmt"
	"hash"
	"hash/adler32"
	"io"
	"io/fs"
	"path"

	"github.com/klauspost/compress/gzip"

	"paddock/tree"
	"paddock/vfs"
	"paddock/wire"
)

// javaTmp is no name to any server, whatever is in the file, and in a directory one goroutine
// writes at a time.
const javaTmp = ".snapshot.tmp"

// WriteJavaFile puts src into a new snapshot file of Java's format in dir, a server's "version-2".
// As with Write the file gets its name when it was synced, read back and verified. A file that has
// the name already is left alone: fs.ErrExist.
//
// A Java server starts on it if it finds the log from there on or no log at all, and accepts a
// record as long as its own jute.maxbuffer (plus jute.maxbuffer.extrasize). Releases before 3.9, and
// before 3.6, overlook the trailers they do not know.
func WriteJavaFile(fsys vfs.FS, dir string, src OrderedSource, c Compression, o Options) (JavaInfo, error) {
	name := JavaName(src.Zxid(), c)
	info, err := writeJavaFile(fsys, dir, name, src, c, o)
	if err != nil {
		return JavaInfo{}, fmt.Errorf("snap: write %s: %w", name, err)
	}
	return info, nil
}

func writeJavaFile(fsys vfs.FS, dir, name string, src OrderedSource, c Compression, o Options) (JavaInfo, error) {
	final, tmp := path.Join(dir, name), path.Join(dir, javaTmp)
	if _, err := fsys.Stat(final); !errors.Is(err, fs.ErrNotExist) {
		return JavaInfo{}, errors.Join(err, fs.ErrExist)
	}
	if err := discardFile(fsys, tmp); err != nil { // what a crash left
		return JavaInfo{}, err
	}
	info, err := writeJavaVerified(fsys, tmp, src, c, o)
	if err == nil {
		err = fsys.Rename(tmp, final)
	}
	if err != nil {
		return JavaInfo{}, errors.Join(err, discardFile(fsys, tmp))
	}
	if err := fsys.SyncDir(dir); err != nil {
		return JavaInfo{}, errors.Join(err, discardFile(fsys, final)) // fsync-once, as in writeNew
	}
	info.Name = name
	return info, nil
}

// writeJavaVerified writes file and reads it back.
func writeJavaVerified(fsys vfs.FS, file string, src OrderedSource, c Compression, o Options) (JavaInfo, error) {
	f, err := fsys.Create(file)
	if err != nil {
		return JavaInfo{}, err
	}
	out := &pacedFile{f: f, o: o.withDefaults()}
	err = writeCompressed(out, src, c)
	if err == nil {
		err = out.sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return JavaInfo{}, err
	}
	var sum digestSink
	info, err := deliverJava(fsys, file, src.Zxid(), c, &sum, false, o)
	if err != nil {
		return JavaInfo{}, fmt.Errorf("read back: %w", err)
	}
	if want := src.Digest(); info.Nodes != src.NodeCount() || want != 0 && sum.digest != want {
		return JavaInfo{}, fmt.Errorf("read back: file has %d nodes, digest %#x, the source %d, %#x",
			info.Nodes, sum.digest, src.NodeCount(), want)
	}
	return info, nil
}

func writeCompressed(out io.Writer, src OrderedSource, c Compression) error {
	var packed io.WriteCloser
	switch c {
	case Uncompressed:
		return WriteJava(out, src)
	case Gzip:
		packed, _ = gzip.NewWriterLevel(out, gzip.BestSpeed) // fails for other levels only
	case Snappy:
		packed = &snappyWriter{out: out}
	default:
		return fmt.Errorf("there is no compression %q", c)
	}
	if err := WriteJava(packed, src); err != nil {
		return err
	}
	return packed.Close()
}

// WriteJava writes src as an uncompressed file of Java's format, with its digest and zxid.
func WriteJava(out io.Writer, src OrderedSource) error {
	w := newBodyWriter(src, wire.AppendString(nil, endPath))
	sum := adler32.New()
	buf := appendJavaHeader(make([]byte, 0, 2*streamChunk))
	for more := true; more; {
		var err error
		if buf, more, err = w.Append(buf); err != nil {
			return err
		}
		sum.Write(buf) // a hash takes all
		if !more {
			buf = appendTrailers(buf, sum, src)
		}
		if _, err = out.Write(buf); err != nil {
			return fmt.Errorf("snap: write at zxid %v: %w", src.Zxid(), err)
		}
		buf = frugal(buf)[:0]
	}
	return nil
}

// appendTrailers appends what follows the nodes; sum is of all before. The state is exact, so the
// digest is that of the file's own zxid, and a Java server compares it when it has loaded the file.
func appendTrailers(dst []byte, sum hash.Hash32, src Source) []byte {
	dst = appendSeal(dst, sum)
	zxid, digest := src.Zxid(), src.Digest()
	if zxid == 0 || digest == 0 {
		zxid, digest = 0, 0 // as Java says that it has none
	}
	start := len(dst)
	dst = wire.AppendLong(dst, int64(zxid))
	dst = wire.AppendInt(dst, digestVersion)
	dst = wire.AppendLong(dst, int64(digest))
	sum.Write(dst[start:])
	dst = appendSeal(dst, sum)
	start = len(dst)
	dst = wire.AppendLong(dst, int64(src.Zxid()))
	sum.Write(dst[start:])
	return appendSeal(dst, sum)
}

func appendSeal(dst []byte, sum hash.Hash32) []byte {
	start := len(dst)
	dst = wire.AppendLong(dst, int64(sum.Sum32()))
	dst = wire.AppendString(dst, endPath)
	sum.Write(dst[start:]) // the next one covers this one
	return dst
}

// digestSink adds up the digest of what it gets.
type digestSink struct {
	discard
	digest uint64
}

func (s *digestSink) Node(r *tree.Record) error {
	s.digest += treeDigest(r)
	return nil
}

// pacedFile appends to a file, and syncs now and then for the sake of the log: see syncEvery.
type pacedFile struct {
	f        vfs.File
	o        Options
	off      int64
	unsynced int
}

func (p *pacedFile) Write(b []byte) (int, error) {
	n, err := p.f.WriteAt(b, p.off)
	p.off += int64(n)
	if p.unsynced += n; err != nil || p.unsynced < syncEvery {
		return n, err
	}
	return n, p.sync()
}

// sync makes what was written durable and gives the pacer its turn. fsync-once: a failure ends
// this file.
func (p *pacedFile) sync() error {
	n := p.unsynced
	if err := p.f.Sync(); err != nil {
		return err
	}
	p.unsynced = 0
	return p.o.pace(n)
}
