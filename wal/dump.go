package wal

import (
	"fmt"
	"io"

	"paddock/vfs"
	"paddock/wire"
)

var kindNames = [...]string{kindData: "data", kindSeal: "seal", kindCut: "cut", kindStart: "start"}

func (k kind) String() string {
	if int(k) < len(kindNames) && k > 0 {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

func (p position) String() string { return fmt.Sprintf("%x:%d", p.segment, p.offset) }

// DumpOptions says how much of a log Dump writes. Its zero value is all of it, by batches.
type DumpOptions struct {
	From, To wire.Zxid // where either is set: only batches with transactions inside; To 0 is no end
	// Txn returns the line for a transaction, without its end; "" leaves it out. nil is no lines.
	Txn func(zxid wire.Zxid, txn []byte) string
}

func (o *DumpOptions) has(first, last wire.Zxid) bool {
	return last >= o.From && (o.To == 0 || first <= o.To)
}

// Dump writes what the segments in dir hold, a line for each batch that verifies and for what the
// index says of others, for people. What a later segment has made void is there, too. It takes
// no lock and changes nothing.
func Dump(w io.Writer, fsys vfs.FS, dir string, o DumpOptions) error {
	ids, _, err := listSegments(fsys, dir)
	if err != nil {
		return fmt.Errorf("wal: %w", err)
	}
	for _, id := range ids {
		r, err := openReader(fsys, dir, id)
		if err != nil {
			fmt.Fprintf(w, "segment %x: %v\n", id, err)
			continue
		}
		fmt.Fprintf(w, "segment %x: %d bytes, batches from %d\n", id, r.size, r.dataStart())
		r.dump(w, &o)
		r.file.Close()
	}
	return nil
}

func (r *reader) dump(w io.Writer, o *DumpOptions) {
	off := r.dataStart()
	for {
		s := r.scan(off, r.size)
		for ; off < s.end; off = r.dumpBatch(w, off, o) {
		}
		t := r.search(s.end)
		if s.err != nil && s.err != errNothing {
			fmt.Fprintf(w, "  %7d  %v\n", s.end, s.err)
		} else if t.dirty {
			fmt.Fprintf(w, "  %7d  nothing, but something behind it\n", s.end)
		}
		if t.next == 0 {
			if t.goesOn != 0 {
				fmt.Fprintf(w, "           goes on in segment %x from %v\n", t.goesOn, t.goesOnAt)
			}
			return
		}
		off = t.next
	}
}

// dumpBatch writes a line for the batch at off, which verified, and returns where it ends.
func (r *reader) dumpBatch(w io.Writer, off int64, o *DumpOptions) int64 {
	h, frame, _, err := r.batch(off)
	if err != nil {
		fmt.Fprintf(w, "  %7d  %v\n", off, err)
		return r.size
	}
	if (o.From != 0 || o.To != 0) && (h.count == 0 || !o.has(h.first, h.last)) {
		return off + h.frameSize()
	}
	fmt.Fprintf(w, "  %7d  %-5s #%d", off, h.kind, h.sequence)
	if h.count > 0 {
		fmt.Fprintf(w, " %s..%s", h.first, h.last)
	} else {
		fmt.Fprintf(w, " after %s", h.last)
	}
	fmt.Fprintf(w, ", %d bytes, synced %v, committed %s", h.payload, h.synced, h.committed)
	if h.digestAt != 0 {
		fmt.Fprintf(w, ", digest %016x at %s", h.digest, h.digestAt)
	}
	fmt.Fprintln(w)
	if o.Txn != nil && h.count > 0 {
		for zxid, txn := range records(h.first, frame[headerSize:][:h.payload]) {
			if !o.has(zxid, zxid) {
				continue
			}
			if line := o.Txn(zxid, txn); line != "" {
				fmt.Fprintf(w, "           %s\n", line)
			}
		}
	}
	return off + h.frameSize()
}
