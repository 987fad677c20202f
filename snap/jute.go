package snap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"paddock/tree"
	"paddock/wire"
)

// maxItem bounds a string or a buffer of a stream, as maxRecord does a record of a file of ours.
// Nothing is allocated for what such a length claims, only for what has come.
const maxItem = maxRecord - maxFixed

var (
	errCount     = errors.New("count is negative")
	errLength    = errors.New("length is impossible")
	errNullPath  = errors.New("path is null")
	errNullACL   = errors.New("list of ACLs is null or negative")
	errACLTwice  = errors.New("ACL is there twice")
	errNoACL     = errors.New("ACL is not in the table")
	errSignature = errors.New("no signature behind the last node")
)

// nobody is the list that stands for one that is missing: it lets in nobody but the super user.
var nobody = wire.BuildACL(wire.ACL{Perms: 0, Scheme: []byte("world"), ID: []byte("anyone")})

// A phase is what a decoder reads next.
type phase uint8

const (
	atSessions phase = iota // their count
	atSession
	atACLs // their count
	atACL  // id, and count of entries
	atEntry
	atNode
	atSignature
	atEnd
)

var phaseNames = [...]string{
	atSessions: "count of sessions", atSession: "session", atACLs: "count of ACLs", atACL: "ACL",
	atEntry: "ACL", atNode: "node", atSignature: "signature", atEnd: "end",
}

// decoder takes apart what streams and files of Java's format have in common, one item at a time,
// as bytes come. Owned by the goroutine that feeds it.
//
//	Sessions ─▶ Session … ─▶ ACLs ─▶ ACL ─▶ Entry … ─▶ ACL … ─▶ Node … ─▶ "/" ─▶ [Signature] ─▶ End
type decoder struct {
	sink   Sink
	fuzzy  bool // a node may name an ACL that is not there
	signed bool // a signature follows the nodes

	at   phase
	held []byte // an item that has not come whole
	need int    // bytes that it has at least
	err  error  // the first, and final
	info StreamInfo

	left    int32            // sessions, or ACLs, to come
	entries int32            // of the list being read, to come
	list    []byte           // what there is of it
	listID  uint32           // its id here
	ids     map[int64]uint32 // Java's ids, and what they are here
	nobody  uint32           // id of the list nobody, if fuzzy
	record  tree.Record      // the node being delivered
}

func newDecoder(sink Sink, fuzzy bool) decoder {
	return decoder{sink: sink, fuzzy: fuzzy, ids: map[int64]uint32{javaOpenACL: 0}}
}

// feed takes bytes and returns how many: all, unless the end is among them or there is an error.
// An item is parsed where it lies, and copied only if it comes in two calls.
func (d *decoder) feed(b []byte) (n int, err error) {
	for d.err == nil && d.at != atEnd && n < len(b) {
		item := b[n:]
		if len(d.held) > 0 {
			more := min(d.need-len(d.held), len(item))
			d.held = append(d.held, item[:more]...)
			n += more
			if len(d.held) < d.need {
				break
			}
			item = d.held // whole now, or known to need more
		}
		c := cursor{b: item}
		d.err = d.item(&c)
		switch {
		case d.err != nil:
		case c.want > 0:
			if len(d.held) == 0 {
				d.held = append(d.held, item...)
				n += len(item)
			}
			d.need = c.want
		case len(d.held) > 0:
			d.held = frugal(d.held)[:0]
			d.info.Bytes += int64(c.at)
		default:
			n += c.at
			d.info.Bytes += int64(c.at)
		}
	}
	return n, d.err
}

// item reads the next item and delivers it, if it is there as a whole; else c says what it wants.
func (d *decoder) item(c *cursor) error {
	at := d.at
	err := d.step(c)
	if c.err != nil {
		err = c.err
	}
	if err == nil {
		return nil
	}
	return &StreamError{Offset: d.info.Bytes + int64(c.at), Part: d.where(at), Err: err}
}

func (d *decoder) step(c *cursor) error {
	switch d.at {
	case atSessions:
		return d.count(c, atSession)
	case atSession:
		return d.session(c)
	case atACLs:
		return d.count(c, atACL)
	case atACL:
		return d.acl(c)
	case atEntry:
		return d.entry(c)
	case atNode:
		return d.node(c)
	case atSignature:
		return d.signature(c)
	}
	panic(fmt.Sprintf("snap: stream decoder stepped in phase %d", d.at))
}

// where names what is being read.
func (d *decoder) where(at phase) string {
	switch at {
	case atSession:
		return fmt.Sprintf("session %d", d.info.Sessions)
	case atACL, atEntry:
		return fmt.Sprintf("ACL %d", d.info.ACLs)
	case atNode:
		return fmt.Sprintf("node %d", d.info.Nodes)
	}
	return phaseNames[at]
}

// unfinished says what is missing, nil if nothing is.
func (d *decoder) unfinished() error {
	if d.err != nil || d.at == atEnd {
		return d.err
	}
	return &StreamError{
		Offset: d.info.Bytes + int64(len(d.held)), Part: d.where(d.at), Err: io.ErrUnexpectedEOF,
	}
}

func (d *decoder) count(c *cursor, next phase) error {
	n := c.int()
	if !c.whole() {
		return nil
	}
	if n < 0 {
		return fmt.Errorf("%w: %d", errCount, n)
	}
	d.left, d.at = n, next
	return d.counted()
}

// counted goes on when the last of the sessions or ACLs has come.
func (d *decoder) counted() error {
	if d.left > 0 {
		return nil
	}
	if d.at == atSession {
		d.at = atACLs
		return nil
	}
	if d.at = atNode; !d.fuzzy {
		return nil
	}
	d.nobody = uint32(len(d.ids))
	return d.sink.ACL(d.nobody, nobody)
}

func (d *decoder) session(c *cursor) error {
	id, timeout := c.long(), c.int()
	if !c.whole() {
		return nil
	}
	d.sink.Session(id, timeout)
	d.info.Sessions++
	d.left--
	return d.counted()
}

func (d *decoder) acl(c *cursor) error {
	id, n := c.long(), c.int()
	if !c.whole() {
		return nil
	}
	if _, ok := d.ids[id]; ok {
		return fmt.Errorf("%w: %d", errACLTwice, id)
	}
	if n < 0 {
		return fmt.Errorf("%w: %d has %d entries", errNullACL, id, n)
	}
	d.listID = uint32(len(d.ids))
	d.ids[id] = d.listID
	d.list = wire.AppendInt(d.list[:0], n)
	d.entries, d.at = n, atEntry
	return d.listed()
}

func (d *decoder) entry(c *cursor) error {
	c.int()
	c.buffer()
	c.buffer()
	if !c.whole() {
		return nil
	}
	if len(d.list)+c.at > maxItem {
		return fmt.Errorf("%w: more than %d bytes of entries", errLength, maxItem)
	}
	d.list = append(d.list, c.b[:c.at]...)
	d.entries--
	return d.listed()
}

// listed delivers a list when its last entry has come.
func (d *decoder) listed() error {
	if d.entries > 0 {
		return nil
	}
	if err := d.sink.ACL(d.listID, d.list); err != nil {
		return err
	}
	d.list = frugal(d.list)
	d.info.ACLs++
	d.left--
	d.at = atACL
	return d.counted()
}

func (d *decoder) node(c *cursor) error {
	r := &d.record
	r.Path = c.buffer()
	if !c.whole() {
		return nil
	}
	if string(r.Path) == "/" {
		d.at = atEnd
		if d.signed {
			d.at = atSignature
		}
		return nil
	}
	r.Data = c.buffer()
	id := c.long()
	r.Czxid, r.Mzxid = wire.Zxid(c.long()), wire.Zxid(c.long())
	r.Ctime, r.Mtime = c.long(), c.long()
	r.Version, r.Cversion, r.Aversion = c.int(), c.int(), c.int()
	r.Owner, r.Pzxid = c.long(), wire.Zxid(c.long())
	if !c.whole() {
		return nil
	}
	if r.Path == nil {
		return errNullPath
	}
	if len(r.Path) == 0 {
		r.Path = rootPath
	}
	if err := d.translate(r, id); err != nil {
		return err
	}
	if err := d.sink.Node(r); err != nil {
		return err
	}
	d.info.Nodes++
	return nil
}

// translate sets the ACL of a node from the id that the stream has for it.
func (d *decoder) translate(r *tree.Record, id int64) (err error) {
	var ok bool
	if r.ACL, ok = d.ids[id]; ok {
		return nil
	}
	if !d.fuzzy {
		return fmt.Errorf("%.200q: %w: %d", r.Path, errNoACL, id)
	}
	r.ACL = d.nobody
	d.info.Closed++
	return nil
}

func (d *decoder) signature(c *cursor) error {
	n := c.int()
	if c.whole() && int(n) != len(signature) {
		return errSignature // before its bytes come: nobody waits for a billion of them
	}
	got := c.take(len(signature))
	if !c.whole() {
		return nil
	}
	if string(got) != string(signature) {
		return fmt.Errorf("%w: %q", errSignature, got)
	}
	d.at = atEnd
	return nil
}

// cursor reads the fields of an item whose end may not have come. What it returns aliases b.
type cursor struct {
	b    []byte
	at   int
	want int   // bytes that the item has at least, if b has fewer
	err  error // what is wrong with it, whatever comes
}

// whole reports whether every field so far was there.
func (c *cursor) whole() bool { return c.want == 0 && c.err == nil }

func (c *cursor) take(n int) []byte {
	if !c.whole() {
		return nil
	}
	if n > len(c.b)-c.at {
		c.want = c.at + n
		return nil
	}
	b := c.b[c.at : c.at+n : c.at+n]
	c.at += n
	return b
}

func (c *cursor) int() int32 {
	if b := c.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (c *cursor) long() int64 {
	if b := c.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// buffer returns a string or a buffer, nil for null.
func (c *cursor) buffer() []byte {
	n := int(c.int())
	if !c.whole() || n == -1 {
		return nil
	}
	if n < 0 || n > maxItem {
		c.err = fmt.Errorf("%w: %d", errLength, n)
		return nil
	}
	return c.take(n)
}
