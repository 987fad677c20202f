package tree

import (
	"bytes"
	"slices"
	"strconv"
)

var (
	limitsName = []byte("zookeeper_limits")
	statsName  = []byte("zookeeper_stats")
)

// A quota is an active quota: there is a limits node for root. Immutable.
type quota struct {
	root          []byte
	limits, stats []byte // paths below /zookeeper/quota
	limitsHash    uint64
	statsHash     uint64
}

// Quota is what the sequencer needs to know of the quota nearest to a path. A limit of -1 is none.
type Quota struct {
	Root                 []byte // immutable
	CountSoft, CountHard int64
	BytesSoft, BytesHard int64
	Count, Bytes         int64 // as counted so far
	Counted              bool  // there is a node that keeps the count; without one nothing is enforced
}

func newQuota(root []byte) *quota {
	q := &quota{root: bytes.Clone(root)}
	base := append(bytes.Clone(quotaPath), root...)
	q.limits = append(append(bytes.Clone(base), '/'), limitsName...)
	q.stats = append(append(bytes.Clone(base), '/'), statsName...)
	q.limitsHash, q.statsHash = Hash(q.limits), Hash(q.stats)
	return q
}

// Quota fills q with the quota of the nearest ancestor-or-self of path that has one, and reports
// whether there is any. Limits that cannot be read are none; usage that cannot be read is 0. Any
// goroutine.
func (t *Tree) Quota(path []byte, q *Quota) bool {
	t.mu.RLock()
	active := t.nearestQuota(path)
	t.mu.RUnlock()
	if active == nil {
		return false
	}
	var limits, stats tracked
	t.readTracked(active.limits, active.limitsHash, &limits)
	counted := t.readTracked(active.stats, active.statsHash, &stats)
	*q = Quota{
		Root:      active.root,
		CountSoft: limits.get(countKey), CountHard: limits.get(countHardKey),
		BytesSoft: limits.get(bytesKey), BytesHard: limits.get(bytesHardKey),
		Count: max(stats.get(countKey), 0), Bytes: max(stats.get(bytesKey), 0), Counted: counted,
	}
	return true
}

// readTracked fills dst from the text of a node, and reports whether there is such a node.
func (t *Tree) readTracked(path []byte, hash uint64, dst *tracked) (exists bool) {
	sh := t.shardOf(hash)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	r := t.find(path, hash)
	if r == 0 || !dst.parse(t.value(r, t.node(r))) {
		dst.n = 0
	}
	dst.detach()
	return r != 0
}

// nearestQuota returns the active quota of the deepest ancestor-or-self of path, nil if there is
// none.
func (t *Tree) nearestQuota(path []byte) *quota {
	if len(t.quotas) == 0 {
		return nil
	}
	for ; !isRoot(path); path, _ = split(path) {
		if q := t.quotas[string(path)]; q != nil {
			return q
		}
	}
	return nil
}

// quotaRoot returns the path that a node with parent is a limits or stats node for; false if it is
// none. A quota on the root is none: ZooKeeper crashes on it (client-protocol.md 15).
func quotaRoot(parent []byte) ([]byte, bool) {
	if !hasPrefix(parent, quotaSlash) {
		return nil, false
	}
	return parent[len(quotaPath):], true
}

func (t *Tree) quotaCreated(path, parent, name []byte, length int) {
	if root, ok := quotaRoot(parent); ok {
		switch {
		case bytes.Equal(name, limitsName):
			t.activate(root)
		case bytes.Equal(name, statsName):
			t.recount(root)
		}
	}
	t.track(path, 1, int64(length))
}

func (t *Tree) quotaDeleted(path, parent, name []byte, length int) {
	if root, ok := quotaRoot(parent); ok && bytes.Equal(name, limitsName) {
		t.mu.Lock()
		delete(t.quotas, string(root))
		t.mu.Unlock()
	}
	t.track(path, -1, -int64(length))
}

func (t *Tree) quotaChanged(path []byte, grown int) { t.track(path, 0, int64(grown)) }

func (t *Tree) activate(root []byte) {
	q := newQuota(root)
	t.mu.Lock()
	t.quotas[string(q.root)] = q
	t.mu.Unlock()
}

// track adds to the counts of the quota nearest to path. It is no transaction of its own: only the
// data of the stats node changes. Text that cannot be read is replaced by a fresh count.
func (t *Tree) track(path []byte, count, length int64) {
	q := t.nearestQuota(path)
	if q == nil {
		return
	}
	r := t.find(q.stats, q.statsHash)
	if r == 0 {
		return // limits without stats: nothing to keep
	}
	n := t.node(r)
	var k tracked
	if !k.parse(t.value(r, n)) {
		t.recount(q.root)
		return
	}
	k.set(countKey, k.get(countKey)+count)
	k.set(bytesKey, k.get(bytesKey)+length)
	t.setStats(r, n, &k)
}

// recount walks the subtree of root and writes what it finds to the stats node, if there is one.
func (t *Tree) recount(root []byte) {
	base := len(quotaPath) + len(root) + 1 + len(statsName)
	path := append(append(append(make([]byte, 0, base+1), quotaPath...), root...), '/')
	path = append(path, statsName...)
	stats := t.find(path, Hash(path))
	if stats == 0 {
		return
	}
	var count, length int64
	if top := t.find(root, Hash(root)); top != 0 {
		for r := top; r != 0; r = t.following(r, top) {
			count++
			length += int64(max(t.node(r).dataLen, 0))
		}
	}
	var k tracked
	k.set(countKey, count)
	k.set(bytesKey, length)
	t.setStats(stats, t.node(stats), &k)
}

func (t *Tree) setStats(r ref, n *node, k *tracked) {
	t.save(r, n)
	t.apply.stats = k.append(t.apply.stats[:0])
	t.setValue(r, n, t.apply.stats)
}

// setUpQuotas finds the active quotas of a tree that was loaded, and recounts them, as ZooKeeper
// does.
func (t *Tree) setUpQuotas() {
	top := t.find(quotaPath, Hash(quotaPath))
	var path []byte
	for r := top; r != 0; r = t.following(r, top) {
		if !bytes.Equal(t.name(r, t.node(r)), limitsName) {
			continue
		}
		path = t.appendPath(path[:0], r)
		parent, _ := split(path)
		if root, ok := quotaRoot(parent); ok {
			t.activate(root)
			t.recount(root)
		}
	}
}

// Keys of the text in limits and stats nodes.
var (
	countKey     = []byte("count")
	bytesKey     = []byte("bytes")
	countHardKey = []byte("countHardLimit")
	bytesHardKey = []byte("byteHardLimit")
)

// tracked is the text of a limits or stats node, read (StatsTrack in ZooKeeper):
// "count=5,bytes=-1", with ',' or ';' between pairs, in runs too.
type tracked struct {
	pairs [12]pair // more are not read: the text is ours, or somebody plays with it
	n     int
}

type pair struct {
	key   []byte // aliases the text
	value int64
}

// parse reads text. It reports false where ZooKeeper would throw.
func (k *tracked) parse(text []byte) bool {
	k.n = 0
	for first := true; len(text) > 0; first = false {
		end := bytes.IndexAny(text, ",;")
		if end < 0 {
			end = len(text)
		}
		if end == 0 && first || end > 0 && !k.parsePair(text[:end]) {
			return false
		}
		text = text[min(end+1, len(text)):]
	}
	return true
}

// parsePair reads "key=number". Whatever follows a second '=' is ignored: the canonical text has
// one.
func (k *tracked) parsePair(text []byte) bool {
	key, rest, ok := bytes.Cut(text, []byte("="))
	number, _, _ := bytes.Cut(rest, []byte("="))
	value, valid := parseLong(number)
	if !ok || !valid || k.n == len(k.pairs) {
		return false
	}
	k.set(key, value)
	return true
}

// parseLong is Long.parseLong for ASCII digits.
func parseLong(b []byte) (v int64, ok bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	v, err := strconv.ParseInt(string(b), 10, 64)
	return v, err == nil
}

// get returns the value of key, -1 if it is missing.
func (k *tracked) get(key []byte) int64 {
	for _, p := range k.pairs[:k.n] {
		if bytes.Equal(p.key, key) {
			return p.value
		}
	}
	return -1
}

func (k *tracked) set(key []byte, value int64) {
	for i := range k.pairs[:k.n] {
		if bytes.Equal(k.pairs[i].key, key) {
			k.pairs[i].value = value
			return
		}
	}
	if k.n < len(k.pairs) {
		k.pairs[k.n] = pair{key, value}
		k.n++
	}
}

// detach keeps only the pairs whose keys we know, under our own names, so that the text may go.
func (k *tracked) detach() {
	known := [...][]byte{countKey, bytesKey, countHardKey, bytesHardKey}
	var d tracked
	for _, key := range known {
		if v := k.get(key); v != -1 {
			d.set(key, v)
		}
	}
	*k = d
}

// append appends the canonical text. The '=' after the bytes makes servers before 3.7 ignore the
// rest.
func (k *tracked) append(dst []byte) []byte {
	dst = append(dst, "count="...)
	dst = strconv.AppendInt(dst, k.get(countKey), 10)
	dst = append(dst, ",bytes="...)
	dst = strconv.AppendInt(dst, k.get(bytesKey), 10)
	slices.SortFunc(k.pairs[:k.n], func(a, b pair) int { return bytes.Compare(a.key, b.key) })
	mark := byte('=')
	for _, p := range k.pairs[:k.n] {
		if bytes.Equal(p.key, countKey) || bytes.Equal(p.key, bytesKey) {
			continue
		}
		if mark != 0 {
			dst, mark = append(dst, mark), 0
		}
		dst = append(append(append(dst, ';'), p.key...), '=')
		dst = strconv.AppendInt(dst, p.value, 10)
	}
	return dst
}
