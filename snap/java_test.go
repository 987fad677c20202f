package snap

import (
	"bytes"
	"errors"
	"fmt"
	"hash"
	"hash/adler32"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"paddock/tree"
	"paddock/vfs"
	"paddock/wire"
)

var compressions = []Compression{Uncompressed, Gzip, Snappy}

// javaFile writes a tree as a file of Java's format, and returns its name, too.
func javaFile(t testing.TB, d vfs.FS, tr *tree.Tree, c Compression) JavaInfo {
	t.Helper()
	v := view(t, tr)
	defer v.Close()
	info, err := WriteJavaFile(d, dir, v, c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func TestATreeGoesThroughAJavaFile(t *testing.T) {
	for _, noDigest := range []bool{false, true} {
		for _, c := range compressions {
			if noDigest && c != Uncompressed {
				continue
			}
			t.Run(fmt.Sprintf("%q without digest %v", c, noDigest), func(t *testing.T) {
				o := tree.Options{ExtendedTypes: true, NoDigest: noDigest}
				g := rich(o)
				d := newDisk(t)
				wrote := javaFile(t, d, g.t, c)
				paced := 0
				loaded, info, err := ReadJavaFile(d, path.Join(dir, wrote.Name), o, Options{Pace: func(n int) error { paced += n; return nil }})
				if err != nil {
					t.Fatal(err)
				}
				sameTree(t, loaded, g.t)
				if info.Zxid != g.zxid || info.LastZxid != g.zxid || loaded.Applied() != g.zxid || info.Nodes != g.t.NodeCount() || info.Bytes != wrote.Bytes {
					t.Errorf("got %+v", info)
				}
				if noDigest != (info.Digest == nil) || !noDigest && *info.Digest != (JavaDigest{g.zxid, 2, g.t.Digest()}) {
					t.Errorf("got digest %+v, want %#x", info.Digest, g.t.Digest())
				}
				if got := names(t, d); len(got) != 1 || got[0] != JavaName(g.zxid, c) {
					t.Errorf("left %v", got)
				}
				if compressed := info.FileBytes < info.Bytes; compressed != (c != Uncompressed) {
					t.Errorf("%d bytes became a file of %d", info.Bytes, info.FileBytes)
				}
			})
		}
	}
}

func TestNamesOfJavaFiles(t *testing.T) {
	for name, want := range map[string]struct {
		zxid wire.Zxid
		c    Compression
		ok   bool
	}{
		"snapshot.0":                {0, Uncompressed, true},
		"snapshot.10000002a":        {0x10000002a, Uncompressed, true},
		"snapshot.10000002a.gz":     {0x10000002a, Gzip, true},
		"snapshot.f.snappy":         {15, Snappy, true},
		"snapshot.ffffffffffffffff": {-1, Uncompressed, true},
		"snapshot.f.tmp":            {},
		"snapshot.0f":               {},
		"snapshot.F":                {},
		"snapshot.+f":               {},
		"snapshot.":                 {},
		"snapshot.f.":               {},
		"snapshot.f.gz.tmp":         {},
		"log.f":                     {},
		".snapshot.tmp":             {},
	} {
		zxid, c, ok := ParseJavaName(name)
		if zxid != want.zxid || c != want.c || ok != want.ok {
			t.Errorf("%s: got %v, %q, %v, want %v, %q, %v", name, zxid, c, ok, want.zxid, want.c, want.ok)
		}
		if ok && JavaName(zxid, c) != name {
			t.Errorf("%s: made again as %s", name, JavaName(zxid, c))
		}
	}
}

// TestFilesOfJavaServersAreRead reads what servers of Apache's wrote: see testdata/java/README.md.
func TestFilesOfJavaServersAreRead(t *testing.T) {
	const from = "testdata/java"
	read := 0
	files, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if _, _, ok := ParseJavaName(f.Name()); !ok {
			continue
		}
		read++
		b, err := os.ReadFile(path.Join(from, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got, info, err := ReadJavaFile(diskWith(t, f.Name(), b), path.Join(dir, f.Name()), tree.Options{ExtendedTypes: true}, Options{})
		if err != nil {
			t.Errorf("%s: %v", f.Name(), err)
			continue
		}
		if info.Digest == nil || info.Digest.Zxid != info.Zxid || got.Digest() != info.Digest.Digest {
			t.Errorf("%s: the tree has digest %#x, the file says %+v", f.Name(), got.Digest(), info.Digest)
		}
	}
	if read != 3 {
		t.Errorf("read %d files, want 3", read)
	}
}

// plainFile is a small file, before compression.
func plainFile(t testing.TB, s *state) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteJava(&b, ordered{s}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func readPlain(t testing.TB, b []byte, o tree.Options) (*tree.Tree, JavaInfo, error) {
	return ReadJavaFile(diskWith(t, "snapshot.9", b), path.Join(dir, "snapshot.9"), o, Options{})
}

const (
	digestPart = digestSize + sealSize
	lastPart   = lastSize + sealSize
)

// TestAFileMayEndBehindAnySeal: older releases know fewer parts, and either can be turned off.
func TestAFileMayEndBehindAnySeal(t *testing.T) {
	b := plainFile(t, smallTree())
	sealed := func(b []byte, more ...byte) []byte {
		b = append(b[:len(b):len(b)], more...)
		b = wire.AppendLong(b, int64(adler32.Checksum(b)))
		return append(b, 0, 0, 0, 1, '/')
	}
	one := len(b) - digestPart - lastPart
	for name, c := range map[string]struct {
		b            []byte
		digest, last bool
	}{
		"3.9":                            {b, true, true},
		"3.6":                            {b[:len(b)-lastPart], true, false},
		"3.5":                            {b[:one], false, false},
		"3.9 without digests":            {sealed(b[:one], b[len(b)-lastPart:len(b)-sealSize]...), false, true},
		"3.6, digest of version 1":       {sealed(b[:one], []byte("\x00\x00\x00\x00\x00\x00\x00\x09\x00\x00\x00\x01\x00\x00\x00\x041f2e")...), true, false},
		"3.6, no transaction since then": {sealed(b[:one], []byte("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00")...), false, false},
	} {
		got, info, err := readPlain(t, c.b, tree.Options{})
		if err != nil || got.NodeCount() != 6 {
			t.Errorf("%s: got %v", name, err)
			continue
		}
		if info.Digest != nil != c.digest || info.LastZxid == 9 != c.last {
			t.Errorf("%s: got digest %+v, last zxid %v", name, info.Digest, info.LastZxid)
		}
		_, again, err := ReadJava(iotest.HalfReader(bytes.NewReader(c.b)), tree.Options{}, Options{})
		if c.last && (err != nil || again.Zxid != 9) || !c.last && err == nil {
			t.Errorf("%s, without its name: got %v, zxid %v", name, err, again.Zxid)
		}
	}
}

// TestEveryDamagedByteOfAJavaFileIsNoticed flips and cuts.
func TestEveryDamagedByteOfAJavaFileIsNoticed(t *testing.T) {
	good := plainFile(t, smallTree())
	whole := map[int]bool{len(good): true, len(good) - lastPart: true, len(good) - lastPart - digestPart: true}
	read := func(b []byte) error {
		_, _, err := ReadJava(bytes.NewReader(b), tree.Options{}, Options{})
		if errors.Is(err, ErrVersion) {
			err = &CorruptError{Err: err}
		}
		return err
	}
	for i := range good {
		var corrupt *CorruptError
		b := bytes.Clone(good)
		b[i] ^= 1 << (i % 8)
		if err := read(b); !errors.As(err, &corrupt) {
			t.Errorf("byte %d flipped: got %v", i, err)
		}
		_, _, err := readPlain(t, good[:i], tree.Options{})
		if !whole[i] != errors.As(err, &corrupt) || whole[i] && err != nil {
			t.Errorf("cut after %d of %d bytes: got %v", i, len(good), err)
		}
	}
	if err := read(append(good[:len(good):len(good)], 0)); err == nil {
		t.Error("a byte behind the end goes unnoticed")
	}
}

func TestDamageInACompressedFileIsNoticed(t *testing.T) {
	for _, c := range []Compression{Gzip, Snappy} {
		d := newDisk(t)
		g := grown(tree.Options{ExtendedTypes: true})
		name := javaFile(t, d, g.t, c).Name
		good := contents(t, d, name)
		want := g.t.Digest()
		for i := 0; i < len(good); i += 1 + len(good)/30 {
			b := bytes.Clone(good)
			b[i] ^= 0x10
			got, _, err := ReadJavaFile(diskWith(t, name, b), path.Join(dir, name), tree.Options{ExtendedTypes: true}, Options{})
			var corrupt *CorruptError
			// A copy may come from another place that has the same bytes.
			if !errors.As(err, &corrupt) && (err != nil || got.Digest() != want) {
				t.Errorf("%s: byte %d of %d: got %v", c, i, len(good), err)
			}
			if _, _, err := ReadJavaFile(diskWith(t, name, good[:i]), path.Join(dir, name), tree.Options{ExtendedTypes: true}, Options{}); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s: cut after byte %d of %d: got %v", c, i, len(good), err)
			}
		}
	}
}

func TestTheDigestOfAJavaFileIsCompared(t *testing.T) {
	s := smallTree()
	s.digest = 0x1234
	b := plainFile(t, s)
	_, _, err := readPlain(t, b, tree.Options{})
	if !errors.Is(err, ErrDigest) || !strings.Contains(err.Error(), "0x1234") {
		t.Errorf("got %v, want %v", err, ErrDigest)
	}
	if _, _, err := readPlain(t, b, tree.Options{NoDigest: true}); err != nil {
		t.Errorf("where digests are not kept: got %v", err)
	}
	d := diskWith(t, "snapshot.8", b) // the digest's zxid is later than the file's: it is for the log's reader
	_, info, err := ReadJavaFile(d, path.Join(dir, "snapshot.8"), tree.Options{Fuzzy: true}, Options{})
	if err != nil || info.Digest == nil || info.Digest.Zxid != 9 {
		t.Errorf("a digest of later: got %v, %+v", err, info.Digest)
	}
}

func TestWhatIsNoJavaFileIsRefusedByName(t *testing.T) {
	good := plainFile(t, smallTree())
	for name, c := range map[string]struct {
		file string
		b    []byte
		want string
	}{
		"another name":      {"backup.9", good, `"backup.9" is no name`},
		"another magic":     {"snapshot.9", append([]byte("ZKLG"), good[4:]...), "no snapshot of a Java server"},
		"a later version":   {"snapshot.9", append([]byte("ZKSN\x00\x00\x00\x03"), good[8:]...), "version 3"},
		"gzip that is none": {"snapshot.9.gz", good, "snapshot.9.gz is damaged at byte 0: gzip"},
		"no snappy either":  {"snapshot.9.snappy", good, "no stream of the Java snappy library"},
		"framed snappy":     {"snapshot.9.snappy", []byte("\xff\x06\x00\x00sNaPpY and so on, and on"), "no stream of the Java snappy library"},
		"a snappy monster":  {"snapshot.9.snappy", append(bytes.Clone(snappyHeader), 0x7f, 0, 0, 0), "snappy block of 2130706432 bytes"},
		"a snappy bomb":     {"snapshot.9.snappy", append(bytes.Clone(snappyHeader), 0, 0, 0, 5, 0xff, 0xff, 0xff, 0x7f, 0), "bytes inflated"},
		"nothing":           {"snapshot.9", nil, "unexpected EOF"},
		"much behind it":    {"snapshot.9", append(bytes.Clone(good), make([]byte, 2000)...), "behind the first seal"},
	} {
		_, _, err := ReadJavaFile(diskWith(t, c.file, c.b), path.Join(dir, c.file), tree.Options{}, Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestABombIsGivenUpAtTheLimit(t *testing.T) {
	d := newDisk(t)
	g := grown(tree.Options{ExtendedTypes: true})
	info := javaFile(t, d, g.t, Gzip)
	for limit, want := range map[int64]error{info.Bytes: nil, info.Bytes - 1: ErrTooLarge, 100: ErrTooLarge} {
		_, _, err := ReadJavaFile(d, path.Join(dir, info.Name), tree.Options{ExtendedTypes: true}, Options{MaxBytes: limit})
		if !errors.Is(err, want) {
			t.Errorf("limit %d of %d: got %v, want %v", limit, info.Bytes, err, want)
		}
	}
}

func TestAJavaFileIsNeverReplaced(t *testing.T) {
	d := newDisk(t)
	put(t, d, "snapshot.9", []byte("precious"))
	if _, err := WriteJavaFile(d, dir, ordered{smallTree()}, Uncompressed, Options{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v", err)
	}
	if got := contents(t, d, "snapshot.9"); string(got) != "precious" {
		t.Errorf("got %q", got)
	}
}

func TestAFailedWriteLeavesNoJavaFile(t *testing.T) {
	for _, kind := range []vfs.OpKind{vfs.OpCreate, vfs.OpWrite, vfs.OpSync, vfs.OpRename, vfs.OpSyncDir} {
		d := newDisk(t)
		d.SetFaults(vfs.FailNth(kind, 1, vfs.Fault{Err: syscall.EIO}))
		_, err := WriteJavaFile(d, dir, ordered{smallTree()}, Snappy, Options{})
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("%v: got %v", kind, err)
		}
		if got := names(t, d); len(got) != 0 {
			t.Errorf("%v: left %v", kind, got)
		}
	}
}

// TestEveryCrashLeavesAWholeJavaFileOrNone cuts the power at each operation.
func TestEveryCrashLeavesAWholeJavaFileOrNone(t *testing.T) {
	d := newDisk(t)
	first := d.Ops()
	if _, err := WriteJavaFile(d, dir, ordered{smallTree()}, Gzip, Options{}); err != nil {
		t.Fatal(err)
	}
	there := false
	for at := first; at <= d.Ops(); at++ {
		for image := range d.Images(at, 4) {
			got := names(t, image.Disk)
			there = false
			for _, name := range got {
				if name == javaTmp {
					continue
				}
				there = true
				if _, _, err := ReadJavaFile(image.Disk, path.Join(dir, name), tree.Options{}, Options{}); err != nil {
					t.Fatalf("crash after operation %d, %s: %v", at, image.Name, err)
				}
			}
			if !there { // what is left is in nobody's way
				if _, err := WriteJavaFile(image.Disk, dir, ordered{smallTree()}, Gzip, Options{}); err != nil {
					t.Fatalf("again after operation %d, %s: %v", at, image.Name, err)
				}
			}
		}
	}
	if !there {
		t.Error("the file is not there when it was written")
	}
}

func TestADiskThatCannotBeReadCondemnsNoFile(t *testing.T) {
	d := newDisk(t)
	info, err := WriteJavaFile(d, dir, ordered{smallTree()}, Uncompressed, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.BadSector(path.Join(dir, info.Name), 0); err != nil {
		t.Fatal(err)
	}
	_, _, err = ReadJavaFile(d, path.Join(dir, info.Name), tree.Options{}, Options{})
	var corrupt *CorruptError
	if err == nil || errors.As(err, &corrupt) {
		t.Errorf("got %v", err)
	}
}

// BenchmarkJavaFile writes and reads files of a million nodes of 100 bytes.
func BenchmarkJavaFile(b *testing.B) {
	t := million()
	for _, c := range compressions {
		var info JavaInfo
		dir := b.TempDir()
		b.Run(fmt.Sprintf("write%s", c), func(b *testing.B) {
			for b.Loop() {
				if info.Name != "" {
					os.Remove(path.Join(dir, info.Name))
				}
				v := view(b, t)
				var err error
				if info, err = WriteJavaFile(vfs.OS(), dir, v, c, Options{}); err != nil {
					b.Fatal(err)
				}
				v.Close()
			}
			b.SetBytes(info.Bytes)
		})
		b.Run(fmt.Sprintf("read%s", c), func(b *testing.B) {
			for b.Loop() {
				if _, _, err := ReadJavaFile(vfs.OS(), path.Join(dir, info.Name), tree.Options{}, Options{}); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(info.Bytes)
		})
	}
}

func adlerOf(b []byte) hash.Hash32 {
	h := adler32.New()
	h.Write(b)
	return h
}
