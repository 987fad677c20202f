package tree

import (
	"bytes"

	"github.com/cespare/xxhash/v2"
)

// Hash is the hash of a path, xxhash64: it chooses the path's shard here, and the bucket of its
// watches.
func Hash(path []byte) uint64 { return xxhash.Sum64(path) }

var rootPath = []byte("/")

// split cuts a path at its last slash. The parent of a top-level path is "/". The path must hold
// a slash; the root has no parent and must not be asked.
func split(path []byte) (parent, name []byte) {
	cut := bytes.LastIndexByte(path, '/')
	if cut <= 0 {
		return rootPath, path[cut+1:]
	}
	return path[:cut], path[cut+1:]
}

// isRoot: the empty path is an alias of the root for lookups.
func isRoot(path []byte) bool { return len(path) == 0 || len(path) == 1 && path[0] == '/' }

// javaLength is the length of a path as Java counts it, in UTF-16 units: data sizes shown to
// operators add it up.
func javaLength(path []byte) (n int64) {
	for _, c := range path {
		if c&0xC0 != 0x80 {
			n++
		}
		if c >= 0xF0 {
			n++ // four bytes are two surrogates
		}
	}
	return n
}

// isPath reports whether node r is the one at path. It compares names from the leaf up; the
// ancestors' shards need no lock, because a locked node pins its ancestors.
func (t *Tree) isPath(r ref, path []byte) bool {
	for {
		n := t.node(r)
		if n.parent == 0 {
			return len(path) == 0
		}
		name := t.name(r, n)
		cut := len(path) - len(name)
		if cut < 1 || path[cut-1] != '/' || string(path[cut:]) != string(name) {
			return false
		}
		path, r = path[:cut-1], n.parent
	}
}

// appendPath appends the path of node r to dst. The caller pins r.
func (t *Tree) appendPath(dst []byte, r ref) []byte {
	size := 0
	for n := t.node(r); n.parent != 0; n = t.node(n.parent) {
		size += 1 + n.nameLen()
	}
	if size == 0 {
		return append(dst, '/')
	}
	start := len(dst)
	dst = append(dst, make([]byte, size)...)
	end := start + size
	for n := t.node(r); n.parent != 0; n = t.node(r) {
		end -= copy(dst[end-n.nameLen():end], t.name(r, n))
		end--
		dst[end] = '/'
		r = n.parent
	}
	return dst
}
