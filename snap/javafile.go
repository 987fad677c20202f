package snap

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"paddock/wire"
)

// Snapshot files of ZooKeeper's own format, to come from a Java server's data directory and to
// leave one behind (FileSnap, SnapStream, ZooKeeper 3.9):
//
//	"ZKSN" 2 -1 │ sessions, ACLs, nodes, "/" │ seal │ zxid 2 digest │ seal │ last zxid │ seal
//	  header    │    as StreamWriter's       │      │  since 3.6    │      │ since 3.9 │
//
// A seal is the Adler-32 of all before it, and "/". Behind any of them the file may end. The whole
// may be compressed; then the name says how.
const (
	javaMagic      = 0x5a4b534e // "ZKSN"
	javaVersion    = 2
	javaDBID       = -1
	javaHeaderSize = 4 + 4 + 8
	sealSize       = 8 + 4 + 1
	digestVersion  = 2
	digestSize     = 8 + 4 + 8
	lastSize       = 8
	// trailerMax is more than can follow the first seal, whatever writer it was: the digests of
	// version 1 were strings.
	trailerMax = 1 << 10
	javaPrefix = "snapshot."
)

// Compression is how a Java snapshot file is compressed as a whole, by the name that ZooKeeper has
// for it: zookeeper.snapshot.compression.method.
type Compression string

const (
	Uncompressed Compression = ""
	Gzip         Compression = "gz"
	Snappy       Compression = "snappy" // as the Java library frames it, not as the format's own document does
)

// JavaName returns the name of the snapshot file at zxid, as Java's servers look for it.
func JavaName(zxid wire.Zxid, c Compression) string {
	name := javaPrefix + strconv.FormatUint(uint64(zxid), 16)
	if c == Uncompressed {
		return name
	}
	return name + "." + string(c)
}

// ParseJavaName reports whether name, without a directory, is one that JavaName makes.
func ParseJavaName(name string) (zxid wire.Zxid, c Compression, ok bool) {
	digits, ok := strings.CutPrefix(name, javaPrefix)
	if !ok {
		return 0, "", false
	}
	digits, extension, compressed := strings.Cut(digits, ".")
	c = Compression(extension)
	if compressed && c != Gzip && c != Snappy {
		return 0, "", false // a copy somebody made, or what is left of a file that was being written
	}
	z, err := strconv.ParseUint(digits, 16, 64)
	if err != nil || strconv.FormatUint(z, 16) != digits {
		return 0, "", false
	}
	return wire.Zxid(z), c, true
}

// JavaInfo describes a snapshot file of Java's format.
type JavaInfo struct {
	StreamInfo             // Bytes is the length before compression
	Name       string      // without the directory; empty for what is no file
	Zxid       wire.Zxid   // what the name says; without one, LastZxid
	Digest     *JavaDigest // nil if there is none
	// LastZxid is the last transaction that the writer had applied when it began, 0 if the file
	// does not say.
	LastZxid  wire.Zxid
	FileBytes int64
}

// JavaDigest is what a file says of the tree's digest. The tree has it after Zxid: beyond the
// file's own zxid if transactions were applied while it was written, and then it can be compared
// when they are applied again.
type JavaDigest struct {
	Zxid    wire.Zxid
	Version int32 // of the way to compute it. Ours, and that of 3.6 and later, is 2
	Digest  uint64
}

// ErrDigest is in the chain when a file is whole and its nodes have another digest than it says:
// its writer was in disagreement with itself, or ran with another charset than UTF-8.
var ErrDigest = errors.New("digest of the nodes differs")

// errSeal is a checksum that differs.
var errSeal = errors.New("checksum differs")

func appendJavaHeader(dst []byte) []byte {
	dst = wire.AppendInt(dst, javaMagic)
	dst = wire.AppendInt(dst, javaVersion)
	return wire.AppendLong(dst, javaDBID)
}

func parseJavaHeader(b []byte) error {
	r := wire.NewReader(b)
	magic, version := r.Int(), r.Int()
	switch {
	case r.Err() != nil || magic != javaMagic:
		return errors.New("this is no snapshot of a Java server")
	case version != javaVersion:
		return fmt.Errorf("%w: version %d", ErrVersion, version)
	}
	return nil // the dbid is looked at by nobody
}
