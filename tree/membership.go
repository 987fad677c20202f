package tree

import "paddock/wire"

// SetConfig writes the ensemble's configuration into /zookeeper/config, as ZooKeeper's servers do when a
// role begins: it is no transaction, and what is below /zookeeper is in nobody's digest. version is that of
// the configuration. Apply's owner calls it, while nobody is served: it tells no watch.
func (t *Tree) SetConfig(text []byte, version wire.Zxid, nowMS int64) {
	c := change{op: wire.OpSetData, path: configPath, data: text}
	set := t.lockSet(&c)
	t.lock(set)
	defer t.unlock(set)
	r := t.find(c.path, c.hash)
	if r == 0 {
		return // a state that was begun by a release that did not have it
	}
	n := t.node(r)
	t.save(r, n)
	t.setValue(r, n, c.data)
	n.version, n.mzxid, n.mtime = -1, int64(version), nowMS
	t.publish(t.Applied())
}
