package admin

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"paddock/wire"
)

// maxText is the longest answer to a word; what is longer is cut at a line, and says so (bounded).
const (
	maxText = 32 << 20
	cutLine = "(cut here: the answer is longer than 32 MiB)\n"
)

// text gathers the lines of an answer.
type text struct {
	buf  []byte
	full bool
}

func (t *text) add(s string) {
	if t.full || len(t.buf)+len(s) > maxText {
		t.full = true
		return
	}
	t.buf = append(t.buf, s...)
}

func (t *text) addf(format string, a ...any) {
	if !t.full {
		t.add(fmt.Sprintf(format, a...))
	}
}

// bytes returns the answer, nil if there is none.
func (t *text) bytes() []byte {
	if !t.full {
		return t.buf
	}
	lines := t.buf[:bytes.LastIndexByte(t.buf, '\n')+1]
	return append(lines, cutLine...)
}

func trimSlashes(s string) string { return strings.Trim(s, "/") }

// decimal prints as ZooKeeper prints averages: at most four digits behind the point, at least one. (Java
// writes exponents for very small and very large ones; we do not, and parsers are glad.)
func decimal(v float64) string {
	s := strconv.FormatFloat(v, 'f', 4, 64)
	s = strings.TrimRight(s, "0")
	if strings.HasSuffix(s, ".") {
		s += "0"
	}
	return s
}

// hexID prints a session id.
func hexID(id int64) string { return "0x" + strconv.FormatUint(uint64(id), 16) } //nolint:gosec // its bits

// javaAddr prints an address as InetSocketAddress does: an IPv6 address in full.
func javaAddr(a netip.AddrPort) string {
	ip := a.Addr().Unmap()
	if !ip.Is6() {
		return ip.String() + ":" + strconv.Itoa(int(a.Port()))
	}
	var b strings.Builder
	b.WriteByte('[')
	for i, raw := 0, ip.As16(); i < len(raw); i += 2 {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(strconv.FormatUint(uint64(raw[i])<<8|uint64(raw[i+1]), 16))
	}
	b.WriteString("]:" + strconv.Itoa(int(a.Port())))
	return b.String()
}

// opCode names an operation as `cons` does. Source: FinalRequestProcessor's lastOp.
func opCode(op wire.Op) string {
	switch op {
	case wire.OpPing:
		return "PING"
	case wire.OpCreateSession:
		return "SESS"
	case wire.OpMulti:
		return "MULT"
	case wire.OpMultiRead:
		return "MLTR"
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		return "CREA"
	case wire.OpDelete, wire.OpDeleteContainer:
		return "DELE"
	case wire.OpSetData:
		return "SETD"
	case wire.OpReconfig:
		return "RECO"
	case wire.OpSetACL:
		return "SETA"
	case wire.OpCloseSession:
		return "CLOS"
	case wire.OpSync:
		return "SYNC"
	case wire.OpCheck:
		return "CHEC"
	}
	return readCode(op)
}

func readCode(op wire.Op) string {
	switch op {
	case wire.OpExists:
		return "EXIS"
	case wire.OpGetData:
		return "GETD"
	case wire.OpSetWatches:
		return "SETW"
	case wire.OpSetWatches2:
		return "STW2"
	case wire.OpAddWatch:
		return "ADDW"
	case wire.OpGetACL:
		return "GETA"
	case wire.OpGetChildren, wire.OpGetChildren2:
		return "GETC"
	case wire.OpGetAllChildrenNumber:
		return "GETACN"
	case wire.OpCheckWatches:
		return "CHKW"
	case wire.OpRemoveWatches:
		return "REMW"
	case wire.OpWhoAmI:
		return "HOMI"
	case wire.OpGetEphemerals:
		return "GETE"
	}
	return "NA"
}
