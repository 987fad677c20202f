package snap

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"hash"
	"hash/adler32"
	"io"
	"path"

	"github.com/klauspost/compress/gzip"

	"paddock/tree"
	"paddock/vfs"
	"paddock/wire"
)

// ReadJavaFile reads a snapshot file of a Java server into a tree at the zxid of the file's name.
// Such files are fuzzy: with shape.Fuzzy the log behind them has to be replayed, and the tree then
// settled. Where the file has a digest of just that zxid, nothing came in between, and the tree
// must have it, or the error is an ErrDigest (shape.NoDigest accepts such a file).
//
// Damage is a *CorruptError with offsets as before compression, and so is what the tree refuses; any
// other error says nothing about what the file holds.
func ReadJavaFile(fsys vfs.FS, file string, shape tree.Options, o Options) (*tree.Tree, JavaInfo, error) {
	name := path.Base(file)
	zxid, compression, ok := ParseJavaName(name)
	if !ok {
		return nil, JavaInfo{}, fmt.Errorf("snap: %q is no name of a Java server's snapshot", name)
	}
	loader := tree.NewLoader(shape)
	info, err := deliverJava(fsys, file, zxid, compression, loader, shape.Fuzzy, o)
	if err != nil {
		return nil, info, err
	}
	t, err := info.finish(loader, shape)
	if err != nil {
		return nil, info, &CorruptError{File: name, Offset: info.Bytes, Err: err}
	}
	return t, info, nil
}

// ReadJava is ReadJavaFile for a file that comes over a connection, uncompressed and to the end of
// in. It has no name: it must say its zxid itself, as those of ZooKeeper 3.9 and later do.
func ReadJava(in io.Reader, shape tree.Options, o Options) (*tree.Tree, JavaInfo, error) {
	loader := tree.NewLoader(shape)
	r := newJavaReader(in, Uncompressed, "", loader, shape.Fuzzy, o)
	if err := r.read(); err != nil {
		return nil, r.info, err
	}
	if !r.hasLast {
		return nil, r.info, r.corrupt(errors.New("it does not say its zxid: servers before 3.9 wrote it into the name only"))
	}
	r.info.Zxid = r.info.LastZxid
	t, err := r.info.finish(loader, shape)
	if err != nil {
		return nil, r.info, r.corrupt(err)
	}
	return t, r.info, nil
}

// finish makes the tree of all that was read, with all cores.
func (i *JavaInfo) finish(loader *tree.Loader, shape tree.Options) (*tree.Tree, error) {
	target := treeTarget{loader: loader}
	if err := target.link(); err != nil {
		return nil, err
	}
	t, err := loader.FinishUnchecked(i.Zxid)
	if err != nil {
		return nil, err
	}
	d := i.Digest
	if shape.NoDigest || d == nil || d.Version != digestVersion || d.Zxid != i.Zxid || d.Digest == t.Digest() {
		return t, nil
	}
	return nil, fmt.Errorf("%w: %#x at zxid %v, the snapshot says %#x", ErrDigest, t.Digest(), i.Zxid, d.Digest)
}

// deliverJava reads a file, under any name, into sink.
func deliverJava(fsys vfs.FS, file string, zxid wire.Zxid, c Compression, sink Sink, fuzzy bool, o Options) (JavaInfo, error) {
	info := JavaInfo{Name: path.Base(file), Zxid: zxid}
	f, err := fsys.Open(file)
	if err != nil {
		return info, err
	}
	defer f.Close()
	if info.FileBytes, err = f.Size(); err != nil {
		return info, err
	}
	r := newJavaReader(io.NewSectionReader(f, 0, info.FileBytes), c, info.Name, sink, fuzzy, o)
	r.info = info
	err = r.read()
	return r.info, err
}

// javaReader reads one file, and holds what decoder holds.
type javaReader struct {
	raw         rawReader
	compression Compression
	o           Options

	in      *bufio.Reader // inflated
	dec     decoder
	sum     hash.Hash32 // of all that was taken from in
	off     int64       // its length
	unpaced int
	info    JavaInfo
	hasLast bool
}

// rawReader remembers that a disk or a connection failed, which condemns no file.
type rawReader struct {
	in  io.Reader
	err error
}

func (r *rawReader) Read(b []byte) (int, error) {
	n, err := r.in.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

func newJavaReader(in io.Reader, c Compression, name string, sink Sink, fuzzy bool, o Options) *javaReader {
	return &javaReader{
		raw: rawReader{in: in}, compression: c, o: o.withDefaults(), dec: newDecoder(sink, fuzzy),
		sum: adler32.New(), info: JavaInfo{Name: name},
	}
}

// read reads all of the file, and says of an error whether it is the file's fault.
func (r *javaReader) read() error {
	err := r.all()
	r.info.StreamInfo = r.dec.info
	r.info.Bytes = r.off
	switch {
	case err == nil:
		return nil
	case r.raw.err != nil:
		return fmt.Errorf("snap: read %s at byte %d: %w", r.info.Name, r.off, r.raw.err)
	case errors.Is(err, ErrAbort), errors.Is(err, ErrTooLarge):
		return fmt.Errorf("snap: read %s: %w", r.info.Name, err)
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return r.corrupt(err)
}

func (r *javaReader) corrupt(err error) error {
	offset := r.off
	var inBody *StreamError
	if errors.As(err, &inBody) {
		offset = javaHeaderSize + inBody.Offset
		err = fmt.Errorf("%s: %w", inBody.Part, inBody.Err)
	}
	file := cmp.Or(r.info.Name, "stream")
	if errors.Is(err, ErrVersion) {
		return fmt.Errorf("%s: %w", file, err)
	}
	return &CorruptError{File: file, Offset: offset, Err: err}
}

func (r *javaReader) all() error {
	in, err := inflate(&r.raw, r.compression)
	if err != nil {
		return err
	}
	r.in = bufio.NewReaderSize(in, streamChunk)
	head, err := r.take(javaHeaderSize)
	if err != nil {
		return err
	}
	if err := parseJavaHeader(head); err != nil {
		return err
	}
	if err := r.body(); err != nil {
		return err
	}
	if err := r.seal(); err != nil {
		return err
	}
	return r.trailers()
}

func inflate(in io.Reader, c Compression) (io.Reader, error) {
	switch c {
	case Gzip:
		return gzip.NewReader(bufio.NewReaderSize(in, streamChunk))
	case Snappy:
		return newSnappyReader(in)
	}
	return in, nil
}

// body delivers what is between the header and the first seal.
func (r *javaReader) body() error {
	for r.dec.at != atEnd {
		b, err := arrived(r.in)
		if errors.Is(err, io.EOF) {
			return r.dec.unfinished()
		}
		if err != nil {
			return err
		}
		n, err := r.dec.feed(b)
		if err != nil {
			return err
		}
		if err := r.took(b[:n]); err != nil {
			return err
		}
		discardBuffered(r.in, n)
	}
	return nil
}

// took counts bytes that were read.
func (r *javaReader) took(b []byte) error {
	r.sum.Write(b) // a hash takes all
	r.off += int64(len(b))
	if r.off > r.o.MaxBytes {
		return fmt.Errorf("%w: %d bytes", ErrTooLarge, r.o.MaxBytes)
	}
	if r.unpaced += len(b); r.unpaced < syncEvery {
		return nil
	}
	n := r.unpaced
	r.unpaced = 0
	return r.o.pace(n)
}

// take reads n bytes of a fixed part.
func (r *javaReader) take(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(r.in, b); err != nil {
		return nil, err
	}
	return b, r.took(b)
}

// seal compares what was read with the checksum that follows.
func (r *javaReader) seal() error {
	want, at := r.sum.Sum32(), r.off
	b, err := r.take(sealSize)
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	f := wire.NewReader(b)
	if got := f.Long(); got != int64(want) {
		r.off = at
		return fmt.Errorf("%w: seal says %#x, the bytes before it have %#x", errSeal, got, want)
	}
	if string(f.String()) != "/" {
		return errors.New("seal: no \"/\" at its end")
	}
	return nil
}

// trailers reads what may follow the first seal: the digest, the last zxid, both or nothing. Either
// is left out where its writer was told to (zookeeper.digest.enabled,
// zookeeper.serializeLastProcessedZxid.enabled), and only the length tells.
func (r *javaReader) trailers() error {
	rest, err := r.in.Peek(trailerMax)
	if err == nil {
		return fmt.Errorf("more than %d bytes behind the first seal", trailerMax)
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	left := len(rest)
	if left > 0 && left != lastSize+sealSize {
		if err := r.digest(left); err != nil {
			return err
		}
		left = r.in.Buffered()
	}
	if left == 0 {
		return nil
	}
	if left != lastSize+sealSize {
		return fmt.Errorf("%d bytes behind the digest, want 0 or %d", left, lastSize+sealSize)
	}
	b, err := r.take(lastSize)
	if err != nil {
		return err
	}
	f := wire.NewReader(b)
	r.info.LastZxid, r.hasLast = f.Zxid(), true
	return r.seal()
}

// digest reads the digest, of any version, from a file of which that many bytes are left.
func (r *javaReader) digest(left int) error {
	if left < digestSize+sealSize {
		return fmt.Errorf("digest: %w", io.ErrUnexpectedEOF)
	}
	peeked, err := r.in.Peek(left)
	if err != nil {
		return err
	}
	f := wire.NewReader(peeked)
	d := JavaDigest{Zxid: f.Zxid(), Version: f.Int()}
	if d.Version >= digestVersion {
		d.Digest = uint64(f.Long())
	} else {
		f.String() // in hexadecimal digits; nobody computes it any more
	}
	if f.Err() != nil {
		return fmt.Errorf("digest: %w", f.Err())
	}
	if _, err := r.take(left - f.Len()); err != nil {
		return err
	}
	if d.Zxid != 0 {
		r.info.Digest = &d
	}
	return r.seal()
}
