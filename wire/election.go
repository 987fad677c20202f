package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"strings"
)

// What servers say to each other on the election port: whoever opened a connection greets, once and
// without an answer, and then votes go both ways in frames. Source: QuorumCnxManager,
// FastLeaderElection; ZooKeeper 3.4 to 3.10.

// How a greeting begins.
const (
	// GreetingV1 is what servers since 3.5 say: one address.
	GreetingV1 int64 = -65536
	// GreetingV2 is what servers since 3.6 say where multiAddress is enabled: one address or more.
	GreetingV2 int64 = -65535
	// GreetingLegacy is what servers before 3.5 say: their id and no more. The number is ours.
	GreetingLegacy int64 = 0
)

// ObserverWithoutID is the server id in the greeting of an observer that has none. Who is greeted
// gives it a negative one, which only names the connection.
const ObserverWithoutID int64 = math.MaxInt64

// MaxGreetingAddrs is the most bytes that the addresses of a greeting take.
const MaxGreetingAddrs = 2048

// ErrGreeting: what a connection of the election port began with is no greeting.
var ErrGreeting = errors.New("wire: no greeting of an election port")

// Greeting says who has opened a connection, and where it can be called back.
type Greeting struct {
	Version  int64 // GreetingV1, GreetingV2 or GreetingLegacy
	ServerID int64
	Addrs    AddrVec // empty in a legacy one
}

const (
	legacyGreetingBytes = 8
	greetingAddrsAt     = 8 + 8 + 4
)

// Append appends g. It has to leave in one write: a Java server reads the addresses with a single
// read, and gives up where that is short.
func (g *Greeting) Append(dst []byte) []byte {
	if g.Version == GreetingLegacy {
		return AppendLong(dst, g.ServerID)
	}
	dst = AppendLong(dst, g.Version)
	dst = AppendLong(dst, g.ServerID)
	return AppendBuffer(dst, g.Addrs)
}

// NextGreeting takes the greeting that b begins with apart; n is its length. n is 0 where b has not
// all of it yet. What is no greeting is refused with ErrGreeting as soon as that shows. The
// greeting aliases b.
func NextGreeting(b []byte) (g Greeting, n int, err error) {
	if len(b) < legacyGreetingBytes {
		return Greeting{}, 0, nil
	}
	r := NewReader(b)
	switch first := r.Long(); {
	case first >= 0:
		return Greeting{Version: GreetingLegacy, ServerID: first}, legacyGreetingBytes, nil
	case first == GreetingV1 || first == GreetingV2:
		g.Version = first
	default:
		return Greeting{}, 0, ErrGreeting
	}
	if len(b) < greetingAddrsAt {
		return Greeting{}, 0, nil
	}
	g.ServerID = r.Long()
	length := int(r.Int())
	if length <= 0 || length > MaxGreetingAddrs {
		return Greeting{}, 0, ErrGreeting
	}
	if r.Len() < length {
		return Greeting{}, 0, nil
	}
	if g.Addrs = r.take(length); !g.Addrs.valid() {
		return Greeting{}, 0, ErrGreeting
	}
	return g, greetingAddrsAt + length, nil
}

// AddrVec is the text of one address or several: host:port, with | between them. Hosts are as their
// server's config spells them, with brackets around what has a colon.
type AddrVec []byte

// AppendAddr appends one address to those that are in v.
func AppendAddr(v AddrVec, host string, port uint16) AddrVec {
	if len(v) > 0 {
		v = append(v, '|')
	}
	if strings.IndexByte(host, ':') >= 0 {
		v = append(append(append(v, '['), host...), ']')
	} else {
		v = append(v, host...)
	}
	return strconv.AppendUint(append(v, ':'), uint64(port), 10)
}

// valid reports whether all of v are addresses.
func (v AddrVec) valid() bool {
	for len(v) > 0 {
		one, rest, more := bytes.Cut(v, []byte{'|'})
		if _, _, ok := splitAddr(one); !ok || more && len(rest) == 0 {
			return false
		}
		v = rest
	}
	return true
}

// splitAddr takes host:port apart. It is stricter than Java, which ignores what is behind a second
// colon: no server writes that.
func splitAddr(b []byte) (host []byte, port uint16, ok bool) {
	colon := bytes.LastIndexByte(b, ':')
	if colon < 1 {
		return nil, 0, false
	}
	if port, ok = parsePort(b[colon+1:]); !ok {
		return nil, 0, false
	}
	host = b[:colon:colon]
	if host[0] == '[' {
		if len(host) < 3 || host[len(host)-1] != ']' {
			return nil, 0, false
		}
		host = host[1 : len(host)-1 : len(host)-1]
		return host, port, bytes.IndexByte(host, ']') < 0
	}
	return host, port, bytes.IndexByte(host, ':') < 0
}

func parsePort(b []byte) (port uint16, ok bool) {
	if len(b) == 0 || len(b) > 5 {
		return 0, false
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return uint16(n), n <= math.MaxUint16
}

// Iter walks the addresses.
func (v AddrVec) Iter() AddrIter { return AddrIter{rest: v} }

// AddrIter walks an AddrVec: for it := v.Iter(); it.Next(); { it.Host(), it.Port() }.
type AddrIter struct {
	rest []byte
	host []byte
	port uint16
}

// Next goes to the next address, if there is one.
func (it *AddrIter) Next() bool {
	if len(it.rest) == 0 {
		return false
	}
	var one []byte
	var ok bool
	one, it.rest, _ = bytes.Cut(it.rest, []byte{'|'})
	it.host, it.port, ok = splitAddr(one)
	return ok
}

// Host returns the host, without brackets. It aliases the vector.
func (it *AddrIter) Host() []byte { return it.host }

// Port returns the port.
func (it *AddrIter) Port() uint16 { return it.port }

// Wildcard reports whether the host stands for all of a machine's own addresses. Nobody can be
// called back there: the address in the config is to be used.
func (it *AddrIter) Wildcard() bool {
	return len(bytes.Trim(it.host, "0.:")) == 0 // 0.0.0.0, ::, and their other spellings
}

// MaxMessage is the most bytes that a frame of the election port has, without its length.
const MaxMessage = 512 << 10

// ErrMessageLength: a frame of the election port is empty or too long.
var ErrMessageLength = errors.New("wire: impossible length of an election message")

// NextMessage returns what is in the frame that b begins with; n is the frame's length. n is 0
// where b has not all of it yet. A length that cannot be is refused with ErrMessageLength before
// the bytes arrive, and ends the connection. The payload aliases b. BeginFrame and EndFrame write
// such a frame.
func NextMessage(b []byte) (payload []byte, n int, err error) {
	if len(b) < 4 {
		return nil, 0, nil
	}
	length := int(int32(binary.BigEndian.Uint32(b)))
	if length < 1 || length > MaxMessage {
		return nil, 0, ErrMessageLength
	}
	if n = 4 + length; len(b) < n {
		return nil, 0, nil
	}
	return b[4:n:n], n, nil
}

// NotificationVersion is the version of the notifications that Append writes.
const NotificationVersion int32 = 2

// Lengths of notifications by which a receiver tells the old ones.
const (
	notification34Bytes  = 28 // before 3.4: no epoch
	notification346Bytes = 40 // 3.4.6: a version, which nobody reads
)

// Notification is a server's vote, and what it is doing.
type Notification struct {
	State     int32 // 0 LOOKING, 1 FOLLOWING, 2 LEADING, 3 OBSERVING; others are ignored
	Leader    int64 // whom it votes for, or follows
	Zxid      Zxid
	Round     int64 // electionEpoch, the clock of the election
	PeerEpoch int64
	Version   int32  // 0 in old ones
	Config    []byte // the text of the sender's committed config; nil in old ones
}

// Append appends m as a notification of NotificationVersion, whatever m.Version is.
func (m *Notification) Append(dst []byte) []byte {
	dst = AppendInt(dst, m.State)
	dst = AppendLong(dst, m.Leader)
	dst = AppendLong(dst, int64(m.Zxid))
	dst = AppendLong(dst, m.Round)
	dst = AppendLong(dst, m.PeerEpoch)
	dst = AppendInt(dst, NotificationVersion)
	dst = AppendInt(dst, int32(len(m.Config))) // never null: a receiver drops that
	return append(dst, m.Config...)
}

// Decode reads m from r, which has one message. Old forms are told by their length, as Java tells
// them. After an error the message is dropped, but the connection stays.
func (m *Notification) Decode(r *Reader) error {
	length := r.Len()
	*m = Notification{State: r.Int(), Leader: r.Long(), Zxid: r.Zxid(), Round: r.Long()}
	if length == notification34Bytes {
		m.PeerEpoch = int64(m.Zxid) >> 32
		return r.Err()
	}
	m.PeerEpoch = r.Long()
	if length == notification346Bytes {
		r.Int()
		return r.Err()
	}
	if m.Version = r.Int(); m.Version < 2 {
		return r.Err()
	}
	if m.Config = r.Buffer(); r.Err() == nil && m.Config == nil {
		r.fail(ErrLength)
	}
	return r.Err()
}
