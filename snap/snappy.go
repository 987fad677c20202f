package snap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/snappy"
)

// The stream of the Java snappy library, which is not the one of snappy's own framing format: a
// header of 16 bytes (magic, version, oldest version that can read it), then blocks, each with its
// compressed length before it.
var snappyHeader = []byte("\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01")

const (
	snappyMagicSize = 8
	snappyBlock     = 32 << 10 // what the library writes
	// snappyMax bounds a block that is read, compressed and not. The library's block size is an
	// option; ZooKeeper leaves it alone.
	snappyMax = 1 << 20
)

// snappyReader inflates. It holds one block in both forms.
type snappyReader struct {
	in     io.Reader
	block  []byte // compressed
	plain  []byte
	unread []byte // of plain
}

func newSnappyReader(in io.Reader) (*snappyReader, error) {
	head := make([]byte, len(snappyHeader))
	if _, err := io.ReadFull(in, head); err != nil {
		return nil, err
	}
	if string(head[:snappyMagicSize]) != string(snappyHeader[:snappyMagicSize]) {
		return nil, errors.New("this is no stream of the Java snappy library")
	}
	return &snappyReader{in: in}, nil
}

func (r *snappyReader) Read(b []byte) (int, error) {
	for len(r.unread) == 0 {
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n := copy(b, r.unread)
	r.unread = r.unread[n:]
	return n, nil
}

// next inflates the next block. Its error is io.EOF between blocks only.
func (r *snappyReader) next() error {
	var length [4]byte
	if _, err := io.ReadFull(r.in, length[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > snappyMax {
		return fmt.Errorf("snappy block of %d bytes, limit %d", n, snappyMax)
	}
	if cap(r.block) < int(n) {
		r.block = make([]byte, n)
	}
	r.block = r.block[:n]
	if _, err := io.ReadFull(r.in, r.block); err != nil {
		return noEOF(err)
	}
	size, err := snappy.DecodedLen(r.block)
	if err != nil {
		return err
	}
	if size > snappyMax {
		return fmt.Errorf("snappy block of %d bytes inflated, limit %d", size, snappyMax)
	}
	if r.plain, err = snappy.Decode(r.plain[:cap(r.plain)], r.block); err != nil {
		return err
	}
	r.unread = r.plain
	return nil
}

// noEOF is for an end where none may be.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// snappyWriter compresses. It holds one block in both forms.
type snappyWriter struct {
	out   io.Writer
	begun bool
	plain []byte
	block []byte
}

func (w *snappyWriter) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		if w.plain == nil {
			w.plain = make([]byte, 0, snappyBlock)
		}
		took := min(snappyBlock-len(w.plain), len(b))
		w.plain = append(w.plain, b[:took]...)
		b = b[took:]
		n += took
		if len(w.plain) == snappyBlock {
			err = w.flush()
		}
	}
	return n, err
}

func (w *snappyWriter) flush() error {
	w.block = w.block[:0]
	if !w.begun {
		w.block = append(w.block, snappyHeader...)
		w.begun = true
	}
	if len(w.plain) > 0 {
		size := snappy.MaxEncodedLen(len(w.plain))
		at := len(w.block) + 4
		for cap(w.block) < at+size {
			w.block = append(w.block[:cap(w.block)], 0)
		}
		encoded := snappy.Encode(w.block[at:at+size], w.plain)
		binary.BigEndian.PutUint32(w.block[at-4:at], uint32(len(encoded)))
		w.block = w.block[:at+len(encoded)]
		w.plain = w.plain[:0]
	}
	_, err := w.out.Write(w.block)
	return err
}

// Close writes what is left.
func (w *snappyWriter) Close() error { return w.flush() }
