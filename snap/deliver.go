package snap

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"

	"paddock/tree"
)

// deliver reads all blocks into sink, sessions and ACLs first. If asked to, it adds up the
// digest of the nodes and compares: a tree does that by itself.
func (r *reader) deliver(sink Sink, digest bool) error {
	d := &delivery{r: r, sink: sink, digested: digest && r.foot.digest != 0}
	groups := r.groups()
	first := 0 // of the groups of nodes
	for first < len(groups) && r.blocks[groups[first]].typ != blockNodes {
		first++
	}
	if err := d.run(groups[:first], 1); err != nil {
		return err
	}
	if err := d.run(groups[first:], min(r.o.Workers, len(groups)-first)); err != nil {
		return err
	}
	if got, want := d.digest.Load(), r.foot.digest; d.digested && got != want {
		return r.corrupt(r.size-footerSize, fmt.Errorf("nodes have digest %#x, footer says %#x", got, want))
	}
	return nil
}

// groups returns the index of each block that begins a record: what can be parsed alone.
func (r *reader) groups() []uint32 {
	groups := make([]uint32, 0, len(r.blocks))
	for i := range r.blocks {
		if i == 0 || !r.blocks[i-1].continued {
			groups = append(groups, uint32(i))
		}
	}
	return groups
}

// delivery is what the workers of one reader share.
type delivery struct {
	r        *reader
	sink     Sink
	digested bool
	digest   atomic.Uint64

	failed atomic.Bool
	mu     sync.Mutex // guards the rest
	err    error      // the first
	read   int        // stored bytes since Pace was called
}

// part is a run of neighbouring groups. Each worker begins with its own and then helps with
// the others': a view is written shard by shard, so distant workers meet in no shard.
type part struct {
	next, end atomic.Int64
}

// run delivers groups by that many workers, and returns when all have ended.
func (d *delivery) run(groups []uint32, workers int) error {
	parts := make([]part, workers)
	for i := range parts {
		parts[i].next.Store(int64(i * len(groups) / workers))
		parts[i].end.Store(int64((i + 1) * len(groups) / workers))
	}
	var wg sync.WaitGroup
	for i := range parts {
		wg.Go(func() { d.fail(d.work(groups, parts, i)) })
	}
	wg.Wait()
	return d.err
}

func (d *delivery) work(groups []uint32, parts []part, own int) error {
	w := worker{delivery: d}
	defer w.close()
	for i := range parts {
		p := &parts[(own+i)%len(parts)]
		for !d.failed.Load() {
			g := p.next.Add(1) - 1
			if g >= p.end.Load() {
				break
			}
			if err := w.group(int(groups[g])); err != nil {
				return err
			}
		}
	}
	d.digest.Add(w.share)
	return nil
}

func (d *delivery) fail(err error) {
	if err == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		d.err = err
	}
	d.failed.Store(true)
}

// pace gives the disk to others after every few megabytes.
func (d *delivery) pace(bytes int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.read += bytes; d.read < syncEvery {
		return nil
	}
	n := d.read
	d.read = 0
	return d.r.o.pace(n)
}

// worker reads blocks, one group at a time, in buffers of its own that never exceed maxBlock
// but for a record that does.
type worker struct {
	*delivery
	zstd        *zstd.Decoder // made when first needed
	stored, raw []byte
	parser      parser
	record      tree.Record
	share       uint64 // of the digest
}

func (w *worker) close() {
	if w.zstd != nil {
		w.zstd.Close()
	}
}

// group reads the block i, and those that continue it, and delivers its records.
func (w *worker) group(i int) error {
	b := &w.r.blocks[i]
	raw, err := w.block(b)
	if err == nil && b.continued {
		raw, err = w.rest(i, raw)
	}
	if err != nil {
		return err
	}
	return w.parse(b, raw)
}

// rest returns the whole of a record that begins with first, in block i.
func (w *worker) rest(i int, first []byte) ([]byte, error) {
	size, end := len(first), i+1
	for ; w.r.blocks[end-1].continued; end++ {
		size += int(w.r.blocks[end].rawLen)
	}
	whole := append(make([]byte, 0, size), first...)
	for i++; i < end; i++ {
		piece, err := w.block(&w.r.blocks[i])
		if err != nil {
			return nil, err
		}
		whole = append(whole, piece...)
	}
	return whole, nil
}

// block reads one block and returns its raw bytes, which are valid until the next call.
func (w *worker) block(b *block) ([]byte, error) {
	w.stored = resize(w.stored, int(b.storedLen))
	if err := w.r.readAt(w.stored, b.off); err != nil {
		return nil, err
	}
	if xxhash.Sum64(w.stored) != b.storedHash {
		return nil, w.r.corrupt(b.off, fmt.Errorf("block %d: checksum of the stored bytes does not match", b.seq))
	}
	if b.codec == codecStored {
		return w.stored, w.pace(len(w.stored)) // rawHash is storedHash: plausible
	}
	if err := w.inflate(b); err != nil {
		return nil, w.r.corrupt(b.off, fmt.Errorf("block %d: %w", b.seq, err))
	}
	return w.raw, w.pace(len(w.stored))
}

// inflate fills w.raw. The decoder is held to the length that the header promised.
func (w *worker) inflate(b *block) (err error) {
	if w.zstd == nil {
		w.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxMemory(maxBlock), zstd.WithDecodeAllCapLimit(true))
		if err != nil {
			return err
		}
	}
	w.raw = resize(w.raw, int(b.rawLen))
	out, err := w.zstd.DecodeAll(w.stored, w.raw[:0:b.rawLen])
	switch {
	case err != nil:
		return err
	case len(out) != int(b.rawLen):
		return fmt.Errorf("%d raw bytes, header says %d: %w", len(out), b.rawLen, io.ErrUnexpectedEOF)
	case xxhash.Sum64(out) != b.rawHash:
		return errors.New("checksum of the raw bytes does not match")
	}
	return nil
}

// parse delivers the records in raw, those of b's group.
func (w *worker) parse(b *block, raw []byte) error {
	w.parser.reset(raw)
	for n := uint32(0); n < b.count; n++ {
		if err := w.one(b.typ); err != nil {
			if errors.Is(err, ErrAbort) {
				return err
			}
			return w.r.corrupt(b.off, fmt.Errorf("block %d, record %d: %w", b.seq, n, err))
		}
	}
	if err := w.parser.end(); err != nil {
		return w.r.corrupt(b.off, fmt.Errorf("block %d: %w", b.seq, err))
	}
	return nil
}

// one parses a record and, if that worked, delivers it.
func (w *worker) one(typ blockType) error {
	p := &w.parser
	switch typ {
	case blockSessions:
		if s := p.session(); p.err == nil {
			w.sink.Session(s.ID, s.TimeoutMS)
		}
	case blockACLs:
		if a := p.acl(); p.err == nil {
			return w.sink.ACL(a.id, a.list)
		}
	case blockNodes:
		if p.node(&w.record); p.err == nil {
			if w.digested {
				w.share += treeDigest(&w.record)
			}
			return w.sink.Node(&w.record)
		}
	}
	return p.err
}

// resize returns b with length n, and keeps its memory where that suffices. It grows by
// doubling, since blocks differ a little.
func resize(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n, max(n, min(2*cap(b), maxBlock)))
	}
	return b[:n]
}
