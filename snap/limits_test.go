package snap

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"

	"paddock/tree"
)

// forged makes a file that is right in every checksum, of blocks as a forger wants them.
type forged struct {
	head   header
	foot   footer
	blocks [][]byte
}

func (f *forged) block(h blockHeader, stored []byte) {
	h.seq = uint32(len(f.blocks))
	h.storedLen, h.storedHash = uint32(len(stored)), xxhash.Sum64(stored)
	f.foot.rawBytes += uint64(h.rawLen)
	f.blocks = append(f.blocks, append(h.append(nil), stored...))
}

// raw adds a block of raw bytes as they are.
func (f *forged) raw(typ blockType, count int, raw []byte) {
	f.block(blockHeader{
		typ: typ, count: uint32(count), rawLen: uint32(len(raw)), rawHash: xxhash.Sum64(raw),
	}, raw)
}

func (f *forged) bytes() []byte {
	for _, b := range f.blocks {
		n := uint64(b[12]) | uint64(b[13])<<8 | uint64(b[14])<<16 | uint64(b[15])<<24
		switch blockType(b[4]) {
		case blockSessions:
			f.head.sessions += n
		case blockACLs:
			f.head.acls += n
		case blockNodes:
			f.head.nodes += n
		}
	}
	f.foot.blocks = uint32(len(f.blocks))
	f.foot.zxid = f.head.zxid
	f.foot.sessions, f.foot.acls, f.foot.nodes = f.head.sessions, f.head.acls, f.head.nodes
	f.foot.fileBytes = headerSize + footerSize
	for _, b := range f.blocks {
		f.foot.fileBytes += uint64(len(b))
	}
	parts := append([][]byte{f.head.append(nil)}, f.blocks...)
	return reseal(append(parts, f.foot.append(nil)))
}

// allocated runs f and returns the bytes that it allocated in all, a bound for what it held.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func zeroFrame(t testing.TB, n int) []byte {
	t.Helper()
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(false))
	if err != nil {
		t.Fatal(err)
	}
	return enc.EncodeAll(make([]byte, n), nil)
}

func TestADecompressionBombCostsAtMostEightMebibytes(t *testing.T) {
	const n = maxBlock
	for name, c := range map[string]struct {
		want  string
		build func(f *forged)
	}{
		"a small frame of a whole block": {"limit 1000 to 1", func(f *forged) {
			f.block(blockHeader{typ: blockNodes, codec: codecZstd, count: 1, rawLen: n}, zeroFrame(t, n))
		}},
		"a frame of more than it says": {"window size exceeded", func(f *forged) {
			f.block(blockHeader{typ: blockNodes, codec: codecZstd, count: 1, rawLen: n}, zeroFrame(t, 64<<20))
		}},
		"frames upon frames": {"exceeds configured limit", func(f *forged) {
			frame := zeroFrame(t, n)
			var stored []byte
			for len(stored) < 1<<20 {
				stored = append(stored, frame...)
			}
			f.block(blockHeader{typ: blockNodes, codec: codecZstd, count: 1, rawLen: n}, stored)
		}},
		"many honest blocks at the highest ratio": {errRest.Error(), func(f *forged) {
			stored := pad(zeroFrame(t, n), n/maxRatio+1)
			for range 400 {
				f.block(blockHeader{
					typ: blockNodes, codec: codecZstd, count: 1, rawLen: n, rawHash: xxhash.Sum64(make([]byte, n)),
				}, stored)
			}
		}},
		"one record of many bombs": {"several blocks is compressed", func(f *forged) {
			stored := pad(zeroFrame(t, n), n/maxRatio+1)
			for i := range 400 {
				f.block(blockHeader{
					typ: blockNodes, codec: codecZstd, count: bit32(i == 0), continued: i < 399, rawLen: n,
				}, stored)
			}
		}},
		"a block larger than a block": {"raw length 2097153, limit 2097152", func(f *forged) {
			f.raw(blockNodes, 1, make([]byte, n+1))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var f forged
			c.build(&f)
			b := f.bytes()
			d := diskWith(t, fileName(0), b)
			var err error
			cost := allocated(func() { _, err = Read(d, dir+"/"+fileName(0), &memory{}, Options{Workers: 1}) })
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if len(b) > 3<<20 || cost > 8<<20 {
				t.Errorf("file of %d bytes cost %d bytes of memory", len(b), cost)
			}
			t.Logf("file %d bytes, %d bytes allocated: %.120s", len(b), cost, fmt.Sprint(err))
		})
	}
}

// TestWhatTheChecksumsOfAForgerAllowIsRefused has files that only one check can refuse.
func TestWhatTheChecksumsOfAForgerAllowIsRefused(t *testing.T) {
	var p previous
	node := appendNode(nil, &p, &tree.Record{Path: []byte("/a"), Data: make([]byte, 500)})
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(false))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		want  string
		build func(f *forged)
	}{
		"blocks that inflate to other bytes": {"checksum of the raw bytes", func(f *forged) {
			f.block(blockHeader{
				typ: blockNodes, codec: codecZstd, count: 1, rawLen: uint32(len(node)), rawHash: xxhash.Sum64(node) + 1,
			}, enc.EncodeAll(node, nil))
		}},
		"blocks that inflate to fewer bytes": {"raw bytes, header says", func(f *forged) {
			f.block(blockHeader{
				typ: blockNodes, codec: codecZstd, count: 1, rawLen: uint32(len(node)) + 1,
			}, enc.EncodeAll(node, nil))
		}},
		"a session after the nodes": {"type 1 after type 3", func(f *forged) {
			f.raw(blockNodes, 1, node)
			f.raw(blockSessions, 1, []byte{2, 2})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var f forged
			c.build(&f)
			_, err := Read(diskWith(t, fileName(0), f.bytes()), dir+"/"+fileName(0), &memory{}, Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func bit32(b bool) uint32 { return uint32(bit(b)) }

// TestPathsCannotBeMultiplied builds a block whose every record repeats a long path by
// reference.
func TestPathsCannotBeMultiplied(t *testing.T) {
	var p previous
	long := strings.Repeat("p", 1<<20)
	raw := appendNode(nil, &p, &tree.Record{Path: []byte(long)})
	again := appendNode(nil, &p, &tree.Record{Path: []byte(long)})
	n := 1 + (maxBlock-len(raw))/len(again)
	raw = append(raw, bytes.Repeat(again, n-1)...)
	var f forged
	f.raw(blockNodes, n, raw)
	var got countSink
	_, err := Read(diskWith(t, fileName(0), f.bytes()), dir+"/"+fileName(0), &got, Options{Workers: 1})
	if !errors.Is(err, errBulk) {
		t.Errorf("got %v, want %v", err, errBulk)
	}
	if got.bytes > maxExpanded+len(long) {
		t.Errorf("delivered %d bytes", got.bytes)
	}
}

type countSink struct {
	discard
	bytes int
}

func (c *countSink) Node(r *tree.Record) error {
	c.bytes += len(r.Path) + len(r.Data)
	return nil
}

func TestAFileLargerThanTheLimitIsRefusedBeforeItIsReadAndNotCondemned(t *testing.T) {
	d := newDisk(t)
	info := mustWrite(t, d, many(1, 1000, 100), 1)
	for _, c := range []struct {
		limit int64
		want  error
	}{{info.RawBytes, nil}, {info.RawBytes - 1, ErrTooLarge}} {
		o := tested()
		o.MaxBytes = c.limit
		report, err := Load(d, dir, &memory{}, o)
		if !errors.Is(err, c.want) {
			t.Errorf("limit %d of %d: got %v, want %v", c.limit, info.RawBytes, err, c.want)
		}
		if err != nil && report.Passed[0].Quarantine != "" {
			t.Errorf("limit %d: condemned as %s", c.limit, report.Passed[0].Quarantine)
		}
	}
}

func TestRecordsThatDoNotParseAreRefused(t *testing.T) {
	var p previous
	good := appendNode(nil, &p, &tree.Record{Path: []byte("/a"), Data: []byte("data")})
	var s previous
	session := appendSession(nil, &s, tree.Session{ID: 5, TimeoutMS: 6})
	for name, c := range map[string]struct {
		typ   blockType
		count int
		raw   []byte
		want  error
	}{
		"a byte is missing":          {blockNodes, 1, good[:len(good)-1], errShort},
		"a byte too many":            {blockNodes, 1, append(good[:len(good):len(good)], 0), errRest},
		"a record too few":           {blockNodes, 2, good, errShort},
		"a record too many":          {blockNodes, 1, append(good[:len(good):len(good)], good...), errRest},
		"a prefix of nothing":        {blockNodes, 1, append([]byte{1}, good[1:]...), errPrefix},
		"a number in two bytes of 0": {blockNodes, 1, append([]byte{0x80, 0}, good[1:]...), errVarint},
		"a path beyond the block":    {blockNodes, 1, []byte{0, 200, 1, 'x'}, errShort},
		"a path of 2^63":             {blockNodes, 1, []byte{0, 255, 255, 255, 255, 255, 255, 255, 255, 127, 'x'}, errVarint},
		"a number of eleven bytes":   {blockSessions, 1, []byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 0}, errVarint},
		"a timeout beyond 32 bits":   {blockSessions, 1, []byte{0, 255, 255, 255, 255, 127}, errVarint},
		"an ACL id below zero":       {blockACLs, 1, []byte{1, 0}, errVarint},
		"half a session":             {blockSessions, 1, session[:1], errShort},
	} {
		t.Run(name, func(t *testing.T) {
			var f forged
			f.raw(c.typ, c.count, c.raw)
			_, err := Read(diskWith(t, fileName(0), f.bytes()), dir+"/"+fileName(0), &memory{}, Options{})
			var corrupt *CorruptError
			if !errors.Is(err, c.want) || !errors.As(err, &corrupt) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// TestReadingAllocatesPerFileNotPerRecord: 50,000 records cost no more than a few buffers.
func TestReadingAllocatesPerFileNotPerRecord(t *testing.T) {
	d := newDisk(t)
	info, err := Write(d, dir, many(1, 50000, 100), 1, Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := testing.AllocsPerRun(3, func() {
		if _, err := Read(d, dir+"/"+info.Name, discard{}, Options{Workers: 1}); err != nil {
			t.Fatal(err)
		}
	})
	if n > 500 {
		t.Errorf("%v allocations for 50,000 records, want at most 500", n)
	}
}
