package snap

import (
	"errors"
	"runtime"
	"sync"

	"paddock/tree"
	"paddock/vfs"
	"paddock/wire"
)

// LoadTree is Load into a tree of the given options. With an error there is no tree.
func LoadTree(fsys vfs.FS, dir string, shape tree.Options, o Options) (*tree.Tree, Report, error) {
	target := treeTarget{shape: shape}
	report, err := Load(fsys, dir, &target, o)
	return target.tree, report, err
}

// treeTarget makes a tree of the snapshot that verifies.
type treeTarget struct {
	shape  tree.Options
	loader *tree.Loader
	tree   *tree.Tree
}

func (t *treeTarget) Begin(Info) (Sink, error) {
	t.loader = tree.NewLoader(t.shape)
	return t.loader, nil
}

// Finish links the shards on all cores and compares the digest, if the file has one.
func (t *treeTarget) Finish(info Info) (err error) {
	if err := t.link(); err != nil {
		return err
	}
	if info.Digest == 0 {
		t.tree, err = t.loader.FinishUnchecked(info.Zxid)
	} else {
		t.tree, err = t.loader.Finish(info.Zxid, info.Digest)
	}
	return err
}

func (t *treeTarget) link() error {
	workers := runtime.GOMAXPROCS(0)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for shard := w; shard < t.loader.Shards() && errs[w] == nil; shard += workers {
				errs[w] = t.loader.Link(shard)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// treeDigest is one node's share of the tree's digest.
func treeDigest(r *tree.Record) uint64 {
	if !tree.Digested(r.Path) {
		return 0
	}
	stat := wire.Stat{
		Czxid: r.Czxid, Mzxid: r.Mzxid, Pzxid: r.Pzxid, Ctime: r.Ctime, Mtime: r.Mtime,
		Version: r.Version, Cversion: r.Cversion, Aversion: r.Aversion, EphemeralOwner: r.Owner,
	}
	return uint64(tree.StatCRC(tree.PathDataCRC(r.Path, r.Data), &stat))
}
