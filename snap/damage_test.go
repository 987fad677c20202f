package snap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"

	"paddock/vfs"
)

// small is a snapshot of a few blocks of every kind, stored and compressed.
func small(t testing.TB) (*state, Info, []byte) {
	t.Helper()
	s := shapes(0x100000009)
	d := newDisk(t)
	info := mustWrite(t, d, s, 1700000000000)
	return s, info, contents(t, d, info.Name)
}

// refused reads a damaged file and fails unless it is refused as damaged, with a place inside
// the file. Nothing else is right: our files have no bit that means nothing.
func refused(t *testing.T, name string, b []byte, what string) {
	t.Helper()
	var got memory
	_, err := Read(diskWith(t, name, b), dir+"/"+name, &got, Options{Workers: 1})
	var corrupt *CorruptError
	if !errors.As(err, &corrupt) {
		t.Fatalf("%s: got error %v, want a CorruptError", what, err)
	}
	if corrupt.File != name || corrupt.Offset < 0 || corrupt.Offset > int64(len(b)) {
		t.Fatalf("%s: %v does not say where", what, err)
	}
}

func TestEveryFlippedBitIsNoticed(t *testing.T) {
	_, info, good := small(t)
	flips := 0
	for at := range good {
		for bit := range 8 {
			b := append([]byte(nil), good...)
			b[at] ^= 1 << bit
			refused(t, info.Name, b, fmt.Sprintf("bit %d of byte %d", bit, at))
			flips++
		}
	}
	t.Logf("flips=%d silent=0 bytes=%d", flips, len(good))
}

// TestRandomDamageIsNoticed runs longer with SNAP_DAMAGE=n.
func TestRandomDamageIsNoticed(t *testing.T) {
	n := 2000
	if v := os.Getenv("SNAP_DAMAGE"); v != "" {
		fmt.Sscan(v, &n)
	}
	s := many(7, 400, 100)
	d := newDisk(t)
	info := mustWrite(t, d, s, 1)
	good := contents(t, d, info.Name)
	rnd := rand.New(rand.NewPCG(3, 4))
	for range n {
		b := append([]byte(nil), good...)
		at := rnd.IntN(len(b) - 64)
		size := 1 + rnd.IntN(64)
		for i := range size {
			b[at+i] = byte(rnd.Uint32())
		}
		if string(b) == string(good) {
			continue
		}
		refused(t, info.Name, b, fmt.Sprintf("%d bytes at %d", size, at))
	}
}

func TestEverySectorZeroedOrUnreadableIsNoticed(t *testing.T) {
	s := many(7, 100, 100)
	d := newDisk(t)
	info := mustWrite(t, d, s, 1)
	file := dir + "/" + info.Name
	for sector := int64(0); sector*vfs.SectorSize < info.FileBytes; sector++ {
		zeroed := d.Clone()
		if err := zeroed.ZeroSector(file, sector); err != nil {
			t.Fatal(err)
		}
		refused(t, info.Name, contents(t, zeroed, info.Name), fmt.Sprintf("sector %d zeroed", sector))

		bad := d.Clone()
		if err := bad.BadSector(file, sector); err != nil {
			t.Fatal(err)
		}
		_, err := Verify(bad, file, Options{})
		var corrupt *CorruptError
		if !errors.Is(err, syscall.EIO) || errors.As(err, &corrupt) {
			t.Fatalf("sector %d unreadable: got %v, want EIO, which proves no damage", sector, err)
		}
	}
}

func TestEveryTruncationAndEveryLongerFileIsNoticed(t *testing.T) {
	_, info, good := small(t)
	for size := range good {
		refused(t, info.Name, good[:size], fmt.Sprintf("cut to %d", size))
	}
	for _, more := range []int{1, 8, footerSize, 512, 4096} {
		refused(t, info.Name, append(good[:len(good):len(good)], make([]byte, more)...), fmt.Sprintf("%d zeros more", more))
	}
	refused(t, info.Name, append(good[:len(good):len(good)], good...), "twice")
	refused(t, info.Name, append(good[:len(good):len(good)], good[len(good)-footerSize:]...), "two footers")
}

// pieces cuts a sound file into header, blocks and footer.
func pieces(good []byte) (parts [][]byte) {
	parts = append(parts, good[:headerSize])
	end := len(good) - footerSize
	for off := headerSize; off < end; {
		n := blockHeaderSize + int(binary.LittleEndian.Uint32(good[off+20:]))
		parts = append(parts, good[off:off+n])
		off += n
	}
	return append(parts, good[end:])
}

func join(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func TestNoBlockCanBeDroppedRepeatedMovedOrBorrowed(t *testing.T) {
	_, info, good := small(t)
	parts := pieces(good)
	last := len(parts) - 1
	if last < 5 {
		t.Fatalf("only %d blocks", last-1)
	}
	for i := 1; i < last; i++ {
		without := append(append([][]byte{}, parts[:i]...), parts[i+1:]...)
		refused(t, info.Name, join(without...), fmt.Sprintf("block %d dropped", i))
		twice := append(append([][]byte{}, parts[:i+1]...), parts[i:]...)
		refused(t, info.Name, join(twice...), fmt.Sprintf("block %d repeated", i))
		for j := i + 1; j < last; j++ {
			swapped := append([][]byte{}, parts...)
			swapped[i], swapped[j] = parts[j], parts[i]
			refused(t, info.Name, join(swapped...), fmt.Sprintf("blocks %d and %d swapped", i, j))
		}
	}
	// The same content at another time: all lengths are equal, only the chain differs.
	d := newDisk(t)
	mustWrite(t, d, shapes(0x100000009), 1700000000001)
	foreign := pieces(contents(t, d, info.Name))
	for i := range parts {
		mixed := append([][]byte{}, parts...)
		mixed[i] = foreign[i]
		refused(t, info.Name, join(mixed...), fmt.Sprintf("part %d of another file", i))
	}
}

// reseal repairs what a forger would repair: the checksums of headers and the chain. What it
// leaves wrong has to be noticed by other checks.
func reseal(parts [][]byte) []byte {
	var prev uint64
	for i, p := range parts {
		head := p[:headerSize:headerSize]
		switch {
		case i == len(parts)-1:
			head = p[:footerSize:footerSize]
			binary.LittleEndian.PutUint64(head[72:], prev)
		case i > 0:
			head = p[:blockHeaderSize:blockHeaderSize]
			binary.LittleEndian.PutUint64(head[40:], prev)
		}
		appendCheck(head[:len(head)-8], 0, &prev)
	}
	return join(parts...)
}

func TestHeadersWithRightChecksumsButWrongNumbersAreRefused(t *testing.T) {
	_, info, good := small(t)
	put32 := func(b []byte, at int, v uint32) { binary.LittleEndian.PutUint32(b[at:], v) }
	bump := func(b []byte, at int) { binary.LittleEndian.PutUint64(b[at:], binary.LittleEndian.Uint64(b[at:])+1) }
	for name, change := range map[string]func(p [][]byte){
		"header: other zxid than footer": func(p [][]byte) { bump(p[0], 16) },
		"header: a session more":         func(p [][]byte) { bump(p[0], 32) },
		"header: an ACL more":            func(p [][]byte) { bump(p[0], 40) },
		"header: a node more":            func(p [][]byte) { bump(p[0], 48) },
		"header and footer: a node more": func(p [][]byte) { bump(p[0], 48); bump(p[len(p)-1], 48) },
		"header and footer: a session more": func(p [][]byte) {
			bump(p[0], 32)
			bump(p[len(p)-1], 32)
		},
		"footer: a raw byte more":      func(p [][]byte) { bump(p[len(p)-1], 56) },
		"footer: a byte more":          func(p [][]byte) { bump(p[len(p)-1], 64) },
		"footer: a block more":         func(p [][]byte) { p[len(p)-1][8]++ },
		"footer: a block less":         func(p [][]byte) { p[len(p)-1][8]-- },
		"footer: reserved":             func(p [][]byte) { p[len(p)-1][12] = 1 },
		"block: type 0":                func(p [][]byte) { p[1][4] = 0 },
		"block: type 4":                func(p [][]byte) { p[len(p)-2][4] = 4 },
		"block: nodes before sessions": func(p [][]byte) { p[1][4] = 3 },
		"block: unknown codec":         func(p [][]byte) { p[3][5] = 2 },
		"block: unknown flag":          func(p [][]byte) { p[3][6] = 2 },
		"block: reserved":              func(p [][]byte) { p[3][7] = 1 },
		"block: wrong number":          func(p [][]byte) { p[3][8]++ },
		"block: no record":             func(p [][]byte) { put32(p[1], 12, 0) },
		"block: a record more":         func(p [][]byte) { p[3][12]++ },
		"block: more records than bytes": func(p [][]byte) {
			put32(p[1], 12, 1<<30)
		},
		"block: no raw bytes":         func(p [][]byte) { put32(p[3], 16, 0) },
		"block: giant raw length":     func(p [][]byte) { put32(p[3], 16, 1<<31) },
		"block: raw length one more":  func(p [][]byte) { p[3][16]++ },
		"block: raw length one less":  func(p [][]byte) { p[3][16]-- },
		"block: stored length 0":      func(p [][]byte) { put32(p[3], 20, 0) },
		"block: giant stored length":  func(p [][]byte) { put32(p[3], 20, 1<<32-1) },
		"block: continued at the end": func(p [][]byte) { p[len(p)-2][6] = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			var parts [][]byte
			for _, p := range pieces(good) {
				parts = append(parts, append([]byte(nil), p...))
			}
			change(parts)
			refused(t, info.Name, reseal(parts), name)
		})
	}
}

func TestALaterVersionIsRefusedButNoDamage(t *testing.T) {
	_, info, good := small(t)
	for at, what := range map[int]string{8: "version", 12: "flags"} {
		parts := pieces(append([]byte(nil), good...))
		parts[0][at] = 2
		d := diskWith(t, info.Name, reseal(parts))
		var got memory
		report, err := Load(d, dir, &got, tested())
		if !errors.Is(err, ErrNone) || !errors.Is(err, ErrVersion) {
			t.Errorf("%s: got %v, want ErrNone because of ErrVersion", what, err)
		}
		if len(report.Passed) != 1 || report.Passed[0].Quarantine != "" {
			t.Errorf("%s: got %+v, want it left in place", what, report.Passed)
		}
		if left := names(t, d); strings.Join(left, "") != info.Name {
			t.Errorf("%s: directory has %v", what, left)
		}
	}
}
