package snap

import (
	"bytes"
	"errors"
	"os"
	"path"
	"testing"

	"paddock/tree"
)

// FuzzStream gives a stream of any bytes, at once and in pieces: both ways it is the same tree or
// the same error, at a cost bounded by its length. What loads is written to a stream that loads to
// the same tree.
func FuzzStream(f *testing.F) {
	f.Add(streamOf(f, ordered{smallTree()}), uint16(7), false)
	f.Add(snapshotOf(f, tree.New(tree.Options{})), uint16(1), true)
	var empty forgedStream
	f.Add([]byte(empty.int(0).int(1).long(5).int(1<<30).int(31)), uint16(3), true)
	f.Add([]byte(empty.int(0).int(0).node("", -1).node("/zookeeper", 5).node("/zookeeper/quota", 6).node("/zookeeper/quota/zookeeper_limits", 7).end()), uint16(90), true)
	f.Fuzz(func(t *testing.T, b []byte, size uint16, fuzzy bool) {
		if len(b) > 1<<16 {
			return
		}
		o := tree.Options{Shards: 2, ExtendedTypes: true, Fuzzy: fuzzy}
		const zxid = 1 << 40
		var d decoder
		cost := allocated(func() {
			d = newDecoder(discard{}, fuzzy)
			d.signed = true
			_, _ = d.feed(b) // what it says, fed says again
		})
		if limit := uint64(64<<10 + 50*len(b)); cost > limit {
			t.Fatalf("%d bytes cost %d bytes of memory, want at most %d", len(b), cost, limit)
		}
		whole, info, err := fed(b, o, zxid, max(len(b), 1))
		inPieces, info2, err2 := fed(b, o, zxid, int(size)%997+1)
		if (err == nil) != (err2 == nil) || err != nil && err.Error() != err2.Error() || info != info2 {
			t.Fatalf("at once: %v, %+v\nin pieces: %v, %+v", err, info, err2, info2)
		}
		if err != nil || fuzzy && (whole.Settle() != nil || inPieces.Settle() != nil) {
			return
		}
		sameTree(t, inPieces, whole)
		again, _, err := fed(snapshotOf(t, whole), tree.Options{ExtendedTypes: true}, zxid, 100)
		if err != nil {
			t.Fatal(err)
		}
		sameTree(t, again, whole)
	})
}

// FuzzJavaFile gives a file of any bytes, compressed in one of the ways. It is read, or refused as
// damaged; the memory it costs is bounded by what it has. With fix set its seals are made to fit,
// so that what lies behind them is reached.
func FuzzJavaFile(f *testing.F) {
	f.Add(plainFile(f, smallTree()), uint8(0), false)
	f.Add(plainFile(f, smallTree()), uint8(0), true)
	for i, name := range []string{"snapshot.4b", "snapshot.95.gz", "snapshot.df.snappy"} {
		b, err := os.ReadFile(path.Join("testdata/java", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, uint8(i), false)
	}
	f.Fuzz(func(t *testing.T, b []byte, which uint8, fix bool) {
		if len(b) > 1<<16 {
			return
		}
		c := compressions[int(which)%len(compressions)]
		if fix && c == Uncompressed {
			b = resealed(b)
		}
		name := JavaName(9, c)
		disk := diskWith(t, name, b)
		o := Options{MaxBytes: 4 << 20}
		var info JavaInfo
		cost := allocated(func() { info, _ = deliverJava(disk, path.Join(dir, name), 9, c, discard{}, true, o) })
		if limit := uint64(4<<20) + 2*uint64(len(b)+int(info.Bytes)); cost > limit {
			t.Fatalf("%d bytes, %d inflated, cost %d bytes of memory, want at most %d", len(b), info.Bytes, cost, limit)
		}
		got, info, err := ReadJavaFile(disk, path.Join(dir, name), tree.Options{ExtendedTypes: true, Fuzzy: true}, o)
		if err != nil {
			var corrupt *CorruptError
			if !errors.As(err, &corrupt) && !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrVersion) {
				t.Fatalf("got %v", err)
			}
			return
		}
		if got.Settle() != nil {
			return
		}
		again := newDisk(t)
		wrote := javaFile(t, again, got, Gzip)
		second, _, err := ReadJavaFile(again, path.Join(dir, wrote.Name), tree.Options{ExtendedTypes: true}, Options{})
		if err != nil {
			t.Fatalf("read from %+v, written as %+v: %v", info, wrote, err)
		}
		sameTree(t, second, got)
	})
}

// resealed sets the seals of a plain file to what its bytes have, if its body has an end.
func resealed(b []byte) []byte {
	if len(b) < javaHeaderSize {
		return b
	}
	d := newDecoder(discard{}, true)
	n, err := d.feed(b[javaHeaderSize:])
	if err != nil || d.at != atEnd {
		return b
	}
	var out bytes.Buffer
	rest := b[javaHeaderSize+n:]
	out.Write(b[:javaHeaderSize+n])
	for _, part := range []int{0, digestSize, lastSize} {
		if len(rest) < part+sealSize {
			break
		}
		out.Write(rest[:part])
		rest = rest[part+sealSize:]
		out.Write(appendSeal(nil, adlerOf(out.Bytes())))
	}
	return out.Bytes()
}
