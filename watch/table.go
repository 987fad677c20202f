package watch

import (
	"encoding/binary"
	"fmt"

	"paddock/slab"
)

// Table is one loop's watches. Only the loop's goroutine uses it.
type Table struct {
	exact     marks
	recursive marks
	conns     *slab.Array[conn]
	connLimit uint32 // connections below have a record
	event     uint32 // the number of this event: who was told has it too

	// The bulk; see the package comment. Made anew when it has grown large and is empty (release).
	paths   index[path, *path]
	members index[member, *member]
	texts   *slab.Arena

	// Counts of pairs of a connection and a path.
	inData, inChild int
	dataPaths       int // with a watch in the data table
	dataConns       int
}

// NewTable returns an empty table. loop is the loop's number: its bit in the filter.
func NewTable(f *Filter, loop int) *Table {
	if loop < 0 || loop >= maxLoops {
		panic(fmt.Sprintf("watch: loop %d, of at most %d", loop, maxLoops))
	}
	t := &Table{exact: newMarks(f.exact, loop), recursive: newMarks(f.recursive, loop)}
	t.recursive.any = &f.any
	t.conns = slab.NewArray[conn](slab.NewSpace(), firstRecords)
	t.makeBulk()
	return t
}

func (t *Table) makeBulk() {
	space := slab.NewSpace()
	t.paths, t.members = newIndex[path](space), newIndex[member](space)
	t.texts = slab.NewArena(space)
}

// releaseRecords: an empty table that once had more records than this gives their memory back.
const releaseRecords = 1 << 16

// release gives memory back if nothing is left of much. It is called where no record is being looked at.
func (t *Table) release() {
	if t.paths.records.Live() == 0 && max(t.paths.buckets, t.members.buckets) > releaseRecords {
		t.makeBulk()
	}
}

// Reserve sets the loop's bit for the path with this hash before there is a watch: from now on, apply
// tells this loop what happens there. Each call is taken back by one of Unreserve.
func (t *Table) Reserve(hash uint64) { t.exact.add(tagOf(hash)) }

// Unreserve takes a Reserve back.
func (t *Table) Unreserve(hash uint64) { t.exact.remove(tagOf(hash)) }

// ReserveRecursive is Reserve for a recursive watch: for the path and all below it.
func (t *Table) ReserveRecursive(hash uint64) {
	t.exact.add(tagOf(hash))
	t.recursive.add(tagOf(hash))
}

// UnreserveRecursive takes a ReserveRecursive back.
func (t *Table) UnreserveRecursive(hash uint64) {
	t.exact.remove(tagOf(hash))
	t.recursive.remove(tagOf(hash))
}

// Arm adds a mode to what a connection has on a path. text, whose hash is given, is any bytes, and is copied. A
// mode that is there already stays as it is.
func (t *Table) Arm(text []byte, hash uint64, conn uint32, kind Kind, mode Mode) {
	if conn > maxConn {
		panic(fmt.Sprintf("watch: connection %d, of at most %d", conn, maxConn))
	}
	m := modeOf(kind, mode)
	i := t.find(text, tagOf(hash))
	if i == 0 {
		t.release()
		t.watchNew(text, tagOf(hash), conn, m)
		return
	}
	r := t.watchOf(i, conn)
	if r == 0 {
		r = t.join(i, conn)
	}
	t.change(r, t.owned(r).modes()|m)
}

// Types of watches as checkWatches and removeWatches name them. (client-protocol.md 6.7)
var typeModes = [...]struct{ check, remove modes }{
	1: {childStandard, childStandard},
	2: {dataStandard, dataStandard},
	3: {allModes, allModes},
	4: {dataPersistent, dataPersistent | childPersistent},
	5: {dataRecursive, dataRecursive},
}

// KnownType reports whether typ is a type of watches.
func KnownType(typ int32) bool { return typ >= 1 && int(typ) < len(typeModes) }

// Check reports whether a connection has a watch of that type on exactly this path. typ is a known one.
func (t *Table) Check(conn uint32, text []byte, hash uint64, typ int32) bool {
	r := t.lookup(text, hash, conn)
	return r != 0 && t.owned(r).modes()&typeModes[typ].check != 0
}

// Remove takes away a connection's watches of that type on exactly this path, and reports whether there
// were any. typ is a known one.
func (t *Table) Remove(conn uint32, text []byte, hash uint64, typ int32) bool {
	r := t.lookup(text, hash, conn)
	if r == 0 {
		return false
	}
	have := t.owned(r).modes()
	left := have &^ typeModes[typ].remove
	t.change(r, left)
	return left != have
}

// RemoveConn takes away all watches of a connection. Its number may then be used for another.
func (t *Table) RemoveConn(conn uint32) {
	if conn >= t.connLimit {
		return
	}
	for c := t.connAt(conn); c.newest != 0; {
		t.change(c.newest, 0)
	}
	t.release()
}

// Counts returns what wchs prints: of the data table, how many connections watch how many paths, and
// how many pairs of the two there are.
func (t *Table) Counts() (conns, paths, watches int) { return t.dataConns, t.dataPaths, t.inData }

// ChildWatches returns how many pairs of a connection and a path there are in the child table.
func (t *Table) ChildWatches() int { return t.inChild }

// Each calls f for every mode that a connection has on a path; those of one path come one after the other.
// It looks at everything. f must not change the table, nor keep text.
func (t *Table) Each(f func(text []byte, conn uint32, kind Kind, mode Mode)) {
	for b := range t.paths.buckets {
		for i := *t.paths.heads.At(t.paths.heads.First() + b); i != 0; i = t.paths.at(i).next {
			t.eachOn(i, f)
		}
	}
}

func (t *Table) eachOn(i uint32, f func(text []byte, conn uint32, kind Kind, mode Mode)) {
	p := t.paths.at(i)
	text := t.text(p)
	if !p.isShared() {
		eachMode(&p.owned, text, f)
		return
	}
	for m := p.first(); ; {
		x := t.members.at(m)
		eachMode(&x.owned, text, f)
		if m = x.right; m == p.first() {
			return
		}
	}
}

func eachMode(o *owned, text []byte, f func(text []byte, conn uint32, kind Kind, mode Mode)) {
	for kind, last := range []Mode{Data: Recursive, Child: Persistent} {
		for mode := Standard; mode <= last; mode++ {
			if o.modes()&modeOf(Kind(kind), mode) != 0 {
				f(text, o.conn(), Kind(kind), mode)
			}
		}
	}
}

// Bytes returns what the table takes, in bytes. The filter, which all tables share, is not in it.
func (t *Table) Bytes() int {
	return t.paths.bytes(pathBytes) + t.members.bytes(memberBytes) + int(t.texts.Live()) +
		int(t.connLimit)*connBytes + 2*(len(t.exact.counts)+len(t.recursive.counts))
}

// find returns the record of a path, 0 if nobody watches it.
func (t *Table) find(text []byte, tag uint32) uint32 {
	i := *t.paths.head(tag)
	for i != 0 {
		p := t.paths.at(i)
		if p.tag == tag && string(t.text(p)) == string(text) {
			break
		}
		i = p.next
	}
	return i
}

// watchOf returns a connection's watch on a path, 0 if it has none.
func (t *Table) watchOf(i, conn uint32) ref {
	if p := t.paths.at(i); !p.isShared() {
		if p.conn() == conn {
			return pathRef(i)
		}
		return 0
	}
	for m := *t.members.head(memberHash(i, conn)); m != 0; {
		x := t.members.at(m)
		if x.path == i && x.conn() == conn {
			return memberRef(m)
		}
		m = x.next
	}
	return 0
}

func (t *Table) lookup(text []byte, hash uint64, conn uint32) ref {
	if i := t.find(text, tagOf(hash)); i != 0 {
		return t.watchOf(i, conn)
	}
	return 0
}

// text returns the text of a path. It is valid until the path is removed.
func (t *Table) text(p *path) []byte {
	h := slab.Handle(p.text)
	n, prefix := binary.Uvarint(t.texts.Bytes(h, minText))
	return t.texts.Bytes(h, prefix+int(n))[prefix:]
}

// minText is what every block of an arena has at least; the length of a text fits into it.
const minText = 8

func (t *Table) putText(text []byte) uint32 {
	var prefix [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(prefix[:], uint64(len(text)))
	h := t.texts.Alloc(n + len(text))
	b := t.texts.Bytes(h, n+len(text))
	copy(b[copy(b, prefix[:n]):], text)
	return uint32(h)
}

func (t *Table) freeText(p *path) {
	_, prefix := binary.Uvarint(t.texts.Bytes(slab.Handle(p.text), minText))
	t.texts.Free(slab.Handle(p.text), prefix+len(t.text(p)))
}

// connAt returns the record of a connection that has one.
func (t *Table) connAt(c uint32) *conn { return t.conns.At(t.conns.First() + c) }
