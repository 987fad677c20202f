package wal

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/cespare/xxhash/v2"

	"paddock/vfs"
)

// TestContradictions changes a batch in the middle of a log, or its last, and makes its checksums
// right again: what no disk does by itself.
func TestContradictions(t *testing.T) {
	be := binary.BigEndian
	tests := []struct {
		name   string
		change func(b []byte) // of the header, and one sector of payload
		want   error
	}{
		{"a sequence number is left out", func(b []byte) { b[23]++ }, ErrDiverged},
		{"the hash of the header before is another", func(b []byte) { b[96]++ }, ErrDiverged},
		{"it begins after another zxid", func(b []byte) { b[47]++; b[31]++; b[39]++ }, ErrDiverged},
		{"the commit position goes back", func(b []byte) { be.PutUint64(b[72:], 0) }, ErrDiverged},
		{"a number of transactions that its zxids deny", func(b []byte) { b[51]++ }, ErrDiverged},
		{"no transactions in a batch for them", func(b []byte) { b[51] = 0 }, ErrDiverged},
		{"a kind that there is not", func(b []byte) { b[7] = 9 }, ErrDiverged},
		{"a cut inside of a segment", func(b []byte) { b[7] = byte(kindCut) }, ErrDiverged},
		{"an empty transaction", func(b []byte) { clear(b[128:132]); sumSector(b) }, ErrDiverged},
		{"a transaction longer than the batch", func(b []byte) { b[128] = 1; sumSector(b) }, ErrDiverged},
		{"less than the batch", func(b []byte) { b[131]--; sumSector(b) }, ErrDiverged},
		{"a last record cut short", func(b []byte) { b[131] -= 2; sumSector(b) }, ErrDiverged},
		{"more transactions than there are", func(b []byte) { b[51]++; b[39]++ }, ErrDiverged},
		{"fewer transactions than there are", func(b []byte) { b[51]--; b[39]-- }, ErrDiverged},
		{"a batch longer than its segment", func(b []byte) { b[53]++ }, ErrHole},
		{"a batch of another log", func(b []byte) { b[119]++ }, ErrHole},
		{"a batch of another segment", func(b []byte) { b[15]++ }, ErrHole},
		{"a batch of another place", func(b []byte) { b[70]++ }, ErrHole},
	}
	for _, tt := range tests {
		d, m := vfs.NewSim(1), newModel()
		l := mustOpen(t, d, small())
		for range 3 {
			must(t, commits(2, 40).do(l, m))
		}
		must(t, l.Close())
		name := dir + "/" + segmentName(1)
		b := fileBytes(t, d, name)
		batch := b[4*sectorSize:] // the second one
		tt.change(batch)
		be.PutUint64(batch[120:], xxhash.Sum64(batch[:hashedBytes]))
		overwrite(t, d, name, b)
		if _, err := Open(d, dir, small()); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

// sumSector makes the sum of a batch of one sector right, and the trailer's hash.
func sumSector(b []byte) {
	be := binary.BigEndian
	end := headerSize + be.Uint32(b[52:])
	h := header{}
	frame := h.finish(append([]byte(nil), b[:end]...))
	copy(b[end:sectorSize], frame[end:])
	be.PutUint64(b[104:], h.trailer)
}

// A link between two segments that both verify can be wrong too.
func TestContradictionBetweenSegments(t *testing.T) {
	for name, change := range map[string]func(b []byte){
		"the first batch continues another": func(b []byte) { b[96]++ },
		"it continues the middle of one":    func(b []byte) { b[70] -= 2 },
		"it continues the index":            func(b []byte) { binary.BigEndian.PutUint64(b[64:], 512) },
	} {
		d, m := vfs.NewSim(1), newModel()
		l := mustOpen(t, d, small())
		for range 2 {
			must(t, commits(1, 1500).do(l, m))
		}
		must(t, l.Close())
		file := dir + "/" + segmentName(2)
		b := fileBytes(t, d, file)
		first := b[3*sectorSize:]
		change(first)
		// The hash of this header is chained to by the next, which has to follow suit.
		hash := xxhash.Sum64(first[:hashedBytes])
		binary.BigEndian.PutUint64(first[120:], hash)
		next := first[frameSize(1504):]
		binary.BigEndian.PutUint64(next[96:], hash)
		binary.BigEndian.PutUint64(next[120:], xxhash.Sum64(next[:hashedBytes]))
		overwrite(t, d, file, b)
		if _, err := Open(d, dir, small()); !errors.Is(err, ErrDiverged) {
			t.Errorf("%s: got %v, want diverged", name, err)
		}
	}
}
