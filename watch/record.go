package watch

import "fmt"

// Kind is the table a watch is in.
type Kind uint8

// Data has getData, exists and recursive watches, Child has getChildren watches; a persistent watch is in both.
const (
	Data Kind = iota
	Child
)

// Mode is how a watch behaves when it fires.
type Mode uint8

const (
	Standard   Mode = iota // fires once
	Persistent             // stays
	Recursive              // stays, and hears of everything below its path; in Data only
)

// modes is a set of modes in both tables.
type modes uint32

const (
	dataStandard modes = 1 << iota
	dataPersistent
	dataRecursive
	childStandard
	childPersistent

	modeBits = 5

	dataModes  = dataStandard | dataPersistent | dataRecursive
	childModes = childStandard | childPersistent
	allModes   = dataModes | childModes
	spent      = dataStandard | childStandard // by an event
)

// modeOf returns a set of one.
func modeOf(kind Kind, mode Mode) modes {
	switch {
	case kind == Data && mode <= Recursive:
		return dataStandard << mode
	case kind == Child && mode <= Persistent:
		return childStandard << mode
	}
	panic(fmt.Sprintf("watch: kind %d has no mode %d", kind, mode))
}

// in reports whether a set has members among others, as a number.
func (m modes) in(others modes) int32 {
	if m&others != 0 {
		return 1
	}
	return 0
}

// maxConn is the largest number of a connection: it shares a word with the modes.
const maxConn = 1<<(32-modeBits) - 1

// ref names a watch: a member, or a path that has only one.
type ref uint32

func pathRef(i uint32) ref   { return ref(i << 1) }
func memberRef(i uint32) ref { return ref(i<<1 | 1) }

func (r ref) isMember() bool { return r&1 != 0 }
func (r ref) index() uint32  { return uint32(r >> 1) }

// owned says whose a watch is. All watches of a connection are in one list.
type owned struct {
	who          uint32 // connection and modes
	older, newer ref    // in the connection's list; 0 at its ends
}

func (o *owned) conn() uint32 { return o.who >> modeBits }
func (o *owned) modes() modes { return modes(o.who) & allModes }

func (o *owned) set(conn uint32, m modes) { o.who = conn<<modeBits | uint32(m) }

// path is a path that is watched. If one connection watches it, owned is that watch. If more do, its
// modes are none, and the other fields are used for what all members have in common.
type path struct {
	text uint32 // handle in the arena: length, bytes
	next uint32 // in its bucket
	tag  uint32
	owned
}

func (p *path) chain() *uint32 { return &p.next }
func (p *path) hash() uint32   { return p.tag }

func (p *path) isShared() bool { return p.modes() == 0 }

// first is the member at which the ring of a shared path begins. The recursive ones come first.
func (p *path) first() uint32     { return uint32(p.older) }
func (p *path) setFirst(m uint32) { p.older = ref(m) }

// inData and inChild count the members of a shared path that have modes in a table.
func (p *path) inData() int32  { return int32(p.newer) }
func (p *path) inChild() int32 { return int32(p.conn()) }

func (p *path) count(inData, inChild int32) {
	p.newer += ref(inData)
	p.who += uint32(inChild) << modeBits
}

// member is the watch of one of several connections on a path.
type member struct {
	path        uint32
	next        uint32 // in its bucket
	left, right uint32 // in the path's ring
	owned
}

func (m *member) chain() *uint32 { return &m.next }
func (m *member) hash() uint32   { return memberHash(m.path, m.conn()) }

// Sizes of the records, checked by a test.
const (
	pathBytes   = 24
	memberBytes = 28
	connBytes   = 12
)

// memberHash mixes the two numbers that name a member: sequences of either spread evenly.
func memberHash(path, conn uint32) uint32 {
	return uint32((uint64(path)<<32 | uint64(conn)) * 0x9e3779b97f4a7c15 >> 32)
}

// conn is what is known of a connection.
type conn struct {
	newest ref    // its list of watches
	data   uint32 // how many of them are in the data table
	told   uint32 // the event it was told last
}
