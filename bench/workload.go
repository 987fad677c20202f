package bench

import (
	"encoding/binary"
	"math"

	"paddock/wire"
)

// kind is what a request asks for, as far as the figures tell requests apart.
type kind uint8

const (
	kindGet kind = iota
	kindExists
	kindSet
	kindCreate
	kindDelete
	kindChildren
	kindMulti
	kindEvent // of a watch: from the write of the change to the event at one watcher
	kindAll   // of a watch: from the write of the change to the event at the last watcher
	kindArm   // setting a watch; and whatever else nobody asks about
	kinds
)

var kindNames = [kinds]string{"get", "exists", "set", "create", "delete", "children", "multi", "event", "all-told", "arm"}

// kindOf returns the kind that --op calls so.
func kindOf(name string) (kind, bool) {
	for k := kindGet; k <= kindMulti; k++ {
		if kindNames[k] == name {
			return k, true
		}
	}
	return 0, false
}

// digits is the length of the number at the end of a node's name.
const digits = 8

// template is a request with its xid and its numbers left open.
type template struct {
	kind  kind
	frame []byte
	holes []int // offsets in frame of the digits of nodes' names
}

// xidAt is where the xid stands in a frame.
const xidAt = 4

// newTemplate frames a request. body appends its record; in it, names end in a run of digits '#'.
func newTemplate(k kind, op wire.Op, body func(dst []byte) []byte) template {
	frame, mark := wire.BeginFrame(nil)
	h := wire.RequestHeader{Op: op}
	frame = wire.EndFrame(body(h.Append(frame)), mark)
	t := template{kind: k, frame: frame}
	for i := 0; i+digits <= len(frame); i++ {
		if string(frame[i:i+digits]) == hole {
			t.holes = append(t.holes, i)
			i += digits - 1
		}
	}
	return t
}

const hole = "########"

// append appends the request and returns where it begins.
func (t *template) append(dst []byte, xid int32) (out []byte, start int) {
	start = len(dst)
	dst = append(dst, t.frame...)
	binary.BigEndian.PutUint32(dst[start+xidAt:], uint32(xid))
	return dst, start
}

const pairs = "00010203040506070809" + "10111213141516171819" + "20212223242526272829" + "30313233343536373839" +
	"40414243444546474849" + "50515253545556575859" + "60616263646566676869" + "70717273747576777879" +
	"80818283848586878889" + "90919293949596979899"

// putDigits writes v as eight digits.
func putDigits(b []byte, v uint32) {
	_ = b[digits-1]
	for i := digits - 2; i >= 0; i -= 2 {
		p := v % 100 * 2
		b[i], b[i+1] = pairs[p], pairs[p+1]
		v /= 100
	}
}

// names are the nodes of a run:
//
//	root/k/00000000 …   keys: get, exists, set, multi
//	root/p/00000000 …   parents of children, below each 00000000 …
//	root/n/00000000 …   made by create, eaten by delete
//	root/w              watched
type names struct{ root string }

func (n names) dirs() []string { return []string{n.root, n.root + "/k", n.root + "/p", n.root + "/n"} }
func (n names) key() string    { return n.root + "/k/" + hole }
func (n names) parent() string { return n.root + "/p/" + hole }
func (n names) child() string  { return n.root + "/p/" + hole + "/" + hole }
func (n names) fresh() string  { return n.root + "/n/" + hole }
func (n names) watched() string {
	return n.root + "/w"
}

// value returns the data of a node: not zeros, so that nobody compresses it away, and no '#'.
func value(n int) []byte {
	b := make([]byte, n)
	x := uint32(2463534242)
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = 'a' + byte(x>>16)%26
	}
	return b
}

func createTemplate(path string, data []byte, flags int32) template {
	q := wire.CreateRequest{Path: []byte(path), Data: data, ACL: wire.OpenACL, Flags: flags}
	return newTemplate(kindCreate, wire.OpCreate, q.Append)
}

func deleteTemplate(path string) template {
	q := wire.DeleteRequest{Path: []byte(path), Version: -1}
	return newTemplate(kindDelete, wire.OpDelete, q.Append)
}

func setTemplate(path string, data []byte) template {
	q := wire.SetDataRequest{Path: []byte(path), Data: data, Version: -1}
	return newTemplate(kindSet, wire.OpSetData, q.Append)
}

func readTemplate(k kind, op wire.Op, path string, watch bool) template {
	q := wire.ReadRequest{Path: []byte(path), Watch: watch}
	return newTemplate(k, op, q.Append)
}

func multiTemplate(path string, data []byte, ops int) template {
	set := wire.SetDataRequest{Path: []byte(path), Data: data, Version: -1}
	return newTemplate(kindMulti, wire.OpMulti, func(dst []byte) []byte {
		for range ops {
			dst = set.Append(wire.AppendMultiHeader(dst, wire.OpSetData, false, -1))
		}
		return wire.AppendMultiEnd(dst)
	})
}

// templates are the requests of a run, by kind.
func (o *Options) templates() (ts [kinds]template) {
	n, data := names{o.Root}, value(o.ValueBytes)
	flags := wire.FlagsPersistent
	if o.Ephemeral {
		flags = wire.FlagsEphemeral
	}
	ts[kindGet] = readTemplate(kindGet, wire.OpGetData, n.key(), false)
	ts[kindExists] = readTemplate(kindExists, wire.OpExists, n.key(), false)
	ts[kindSet] = setTemplate(n.key(), data)
	ts[kindCreate] = createTemplate(n.fresh(), data, flags)
	ts[kindDelete] = deleteTemplate(n.fresh())
	ts[kindChildren] = readTemplate(kindChildren, wire.OpGetChildren, n.parent(), false)
	ts[kindMulti] = multiTemplate(n.key(), data, o.MultiOps)
	return ts
}

// source is where a loop gets its requests from. It belongs to that loop.
type source interface {
	// append appends the next request and says what it is; ok is false when there are no more.
	append(dst []byte, xid int32) (out []byte, k kind, ok bool)
}

// mix sends the kinds of a run in their shares, each on a node chosen at random.
type mix struct {
	templates [kinds]template
	upTo      [kinds]uint64 // a random uint32 below upTo[k] and not below that of the kind before means k
	keys      uint32
	random    uint64 // state of an xorshift generator; never 0
	fresh     ids    // nodes to create or to delete
}

// ids hands out every stride-th number below end, so that loops need not agree.
type ids struct{ next, stride, end uint32 }

func (s *ids) take() (id uint32, ok bool) {
	if s.next >= s.end {
		return 0, false
	}
	id = s.next
	s.next += s.stride
	return id, true
}

// newMix returns the source of loop number loop of loops.
func newMix(o *Options, loop, loops int) (*mix, error) {
	shares, err := o.shares()
	if err != nil {
		return nil, err
	}
	m := &mix{templates: o.templates(), keys: uint32(o.Keys), random: (o.Seed+uint64(loop))*0x9e3779b97f4a7c15 | 1}
	m.fresh = ids{uint32(loop), uint32(loops), maxIDs}
	if shares[kindDelete] > 0 {
		m.fresh.end = uint32(o.deletable())
	}
	m.upTo = cumulate(shares)
	return m, nil
}

// cumulate sums the shares up in units of 2^-32. The last kind that is sent at all takes what rounding
// left over.
func cumulate(shares [kinds]float64) (upTo [kinds]uint64) {
	sum, last := 0.0, 0
	for k, share := range shares {
		sum += share
		upTo[k] = uint64(sum * (1 << 32))
		if share > 0 {
			last = k
		}
	}
	upTo[last] = 1 << 32
	return upTo
}

// deletable is how many nodes delete needs: one for each request.
func (o *Options) deletable() int64 {
	if o.Count > 0 {
		return min(o.Count, maxIDs)
	}
	return 100_000
}

func (m *mix) roll() uint64 {
	m.random ^= m.random << 13
	m.random ^= m.random >> 7
	m.random ^= m.random << 17
	return m.random
}

func (m *mix) append(dst []byte, xid int32) ([]byte, kind, bool) {
	x := m.roll()
	k := kind(0)
	for x&math.MaxUint32 >= m.upTo[k] {
		k++
	}
	t := &m.templates[k]
	id := uint32((x >> 32) * uint64(m.keys) >> 32)
	if k == kindCreate || k == kindDelete {
		var ok bool
		if id, ok = m.fresh.take(); !ok {
			return dst, k, false
		}
	}
	dst, start := t.append(dst, xid)
	for i, at := range t.holes {
		if i > 0 { // the other operations of a multi
			id = uint32((m.roll() >> 32) * uint64(m.keys) >> 32)
		}
		putDigits(dst[start+at:], id)
	}
	return dst, k, true
}

// walk sends one request for each number of ids, in order: it makes the nodes and takes them away.
type walk struct {
	template template
	ids      ids
	below    uint32 // not 0: number n is child n%below of parent n/below
}

func (w *walk) append(dst []byte, xid int32) ([]byte, kind, bool) {
	id, ok := w.ids.take()
	if !ok {
		return dst, 0, false
	}
	dst, start := w.template.append(dst, xid)
	for i, at := range w.template.holes {
		n := id
		switch {
		case w.below > 0 && i == 0:
			n = id / w.below
		case w.below > 0:
			n = id % w.below
		}
		putDigits(dst[start+at:], n)
	}
	return dst, w.template.kind, true
}
