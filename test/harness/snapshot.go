package harness

import (
	"hash/adler32"
	"os"
	"path/filepath"
	"strconv"
)

// SnapshotStat is the metadata of a znode as snapshots of Apache's format keep it: Cversion counts
// creations only.
type SnapshotStat struct {
	Czxid, Mzxid, Ctime, Mtime  int64
	Version, Cversion, Aversion int32
	Owner, Pzxid                int64
}

// SnapshotNode is a znode in a snapshot, open to everybody and without data.
type SnapshotNode struct {
	Path string
	Stat SnapshotStat
}

// WriteApacheSnapshot makes dir a data directory of Apache's format that holds the built-in nodes and
// the given ones, parents first, as after transaction zxid. It is the way to counters that no test can
// reach by counting.
func WriteApacheSnapshot(dir string, zxid int64, nodes []SnapshotNode) error {
	const openACL, configACL = -1, 1
	b := Bytes("ZKSN").Int(2).Long(-1)
	b = b.Int(0) // sessions
	b = b.Int(1).Long(configACL).ACLs(ACL{Perms: 1, Scheme: "world", ID: "anyone"})
	b = b.node("", openACL, SnapshotStat{Cversion: int32(len(nodes))})
	b = b.node("/zookeeper", openACL, SnapshotStat{})
	b = b.node("/zookeeper/config", configACL, SnapshotStat{Aversion: -1})
	b = b.node("/zookeeper/quota", openACL, SnapshotStat{})
	for _, n := range nodes {
		b = b.node(n.Path, openACL, n.Stat)
	}
	b = b.Str("/")
	b = b.Long(int64(adler32.Checksum(b))).Str("/")

	version := filepath.Join(dir, "version-2")
	if err := os.MkdirAll(version, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(version, "snapshot."+strconv.FormatInt(zxid, 16)), b, 0o600)
}

func (b Bytes) node(path string, acl int64, s SnapshotStat) Bytes {
	return b.Str(path).Str("").Long(acl).
		Long(s.Czxid).Long(s.Mzxid).Long(s.Ctime).Long(s.Mtime).
		Int(s.Version).Int(s.Cversion).Int(s.Aversion).Long(s.Owner).Long(s.Pzxid)
}
