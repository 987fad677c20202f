package differential

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"syscall"

	"paddock/test/harness"
	"paddock/wire"
)

// rename turns what a server says into what two servers must agree on.
type rename struct {
	root     string
	base     int64          // the zxid at which the stream began
	sessions map[int64]int  // the sessions of the stream, in the order in which they began
	closes   map[int64]bool // zxids of closed sessions: the order of their events is open
}

func (n *rename) zxid(z int64) string {
	switch {
	case z == 0 || z == -1:
		return fmt.Sprint(z)
	case z < n.base:
		return "old"
	}
	return fmt.Sprintf("+%d", z-n.base)
}

func (n *rename) session(id int64) string {
	if id == 0 {
		return "none"
	}
	if _, ok := n.sessions[id]; !ok {
		n.sessions[id] = len(n.sessions)
	}
	return fmt.Sprintf("#%d", n.sessions[id])
}

func (n *rename) connected(r harness.ConnectReply) string {
	passwd := "its password"
	switch {
	case !r.Valid():
		passwd = fmt.Sprintf("%x", r.Passwd)
	case string(r.Passwd) != string(password(r.SessionID)):
		passwd = "another password"
	}
	return fmt.Sprintf("connect: protocol=%d timeout=%d session=%s passwd=%s length=%d",
		r.Protocol, r.TimeoutMS, n.session(r.SessionID), passwd, r.Bytes)
}

func (n *rename) events(events []harness.Event) []string {
	var lines []string
	for i := 0; i < len(events); {
		end := i + 1
		for n.closes[events[i].Zxid] && end < len(events) && events[end].Zxid == events[i].Zxid {
			end++
		}
		first := len(lines)
		for _, e := range events[i:end] {
			lines = append(lines, fmt.Sprintf("event: zxid=%s err=%d type=%d state=%d %q",
				n.zxid(e.Zxid), e.Err, e.Type, e.State, e.Path))
		}
		sort.Strings(lines[first:])
		i = end
	}
	return lines
}

func (n *rename) reply(op wire.Op, r harness.Reply) string {
	head := fmt.Sprintf("%v: xid=%d zxid=%s %v", op, r.Xid, n.zxid(r.Zxid), wire.Code(r.Err))
	if len(r.Body) == 0 || op == wire.OpMultiRead && r.Err != 0 { // see differences: multiread-error-body
		return head
	}
	f := harness.FieldsOf(r.Body)
	body := n.body(op, f)
	if err := f.Err(); err != nil || r.Err != 0 {
		return fmt.Sprintf("%s body %x (%v)", head, r.Body, err)
	}
	return head + " " + body
}

func (n *rename) body(op wire.Op, f *harness.Fields) string {
	switch op {
	case wire.OpCreate, wire.OpSync:
		return text(f.Buf())
	case wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		return text(f.Buf()) + " " + n.stat(f.Stat())
	case wire.OpExists, wire.OpSetData, wire.OpSetACL:
		return n.stat(f.Stat())
	case wire.OpGetData:
		return text(f.Buf()) + " " + n.stat(f.Stat())
	case wire.OpGetACL:
		return fmt.Sprint(aclSets(f.ACLs())) + " " + n.stat(f.Stat())
	case wire.OpGetChildren, wire.OpGetEphemerals:
		return fmt.Sprintf("%q", sorted(f.Strs()))
	case wire.OpGetChildren2:
		return fmt.Sprintf("%q ", sorted(f.Strs())) + n.stat(f.Stat())
	case wire.OpGetAllChildrenNumber, wire.OpAddWatch:
		return fmt.Sprint(f.Int())
	case wire.OpSASL:
		return text(f.Buf())
	case wire.OpWhoAmI:
		var all []string
		for range min(f.Int(), 1000) {
			all = append(all, f.Str()+":"+f.Str())
		}
		return fmt.Sprintf("%q", sorted(all))
	case wire.OpMulti, wire.OpMultiRead:
		return n.multi(f)
	}
	return ""
}

func (n *rename) multi(f *harness.Fields) string {
	var parts []string
	for f.Len() > 0 {
		typ, done, code := wire.Op(f.Int()), f.Bool(), f.Int()
		part := fmt.Sprintf("{%d %v %d", int32(typ), done, code)
		switch {
		case done:
		case typ == wire.OpError:
			part += fmt.Sprintf(" %v", wire.Code(f.Int()))
		case typ != wire.OpDelete && typ != wire.OpCheck:
			part += " " + n.body(typ, f)
		}
		parts = append(parts, part+"}")
	}
	return strings.Join(parts, " ")
}

func (n *rename) stat(s harness.Stat) string {
	times := "T,T"
	switch {
	case s.Ctime == 0 || s.Mtime == 0:
		times = fmt.Sprintf("%v,%v", s.Ctime != 0, s.Mtime != 0)
	case s.Ctime > s.Mtime:
		times = "T>T"
	case s.Czxid == s.Mzxid && s.Ctime != s.Mtime:
		times = "T!=T"
	}
	return fmt.Sprintf("stat{c=%s m=%s p=%s times=%s v=%d cv=%d av=%d owner=%s len=%d children=%d}",
		n.zxid(s.Czxid), n.zxid(s.Mzxid), n.zxid(s.Pzxid), times,
		s.Version, s.Cversion, s.Aversion, n.session(s.Owner), s.DataLength, s.NumChildren)
}

// text tells null and empty apart.
func text(b []byte) string {
	if b == nil {
		return "null"
	}
	return fmt.Sprintf("%q", b)
}

// aclSets sorts runs of digest entries with the same permissions: they may come from auth, whose
// expansion has no order.
func aclSets(acl []harness.ACL) []harness.ACL {
	for i := 0; i < len(acl); {
		end := i + 1
		for end < len(acl) && acl[end].Scheme == "digest" && acl[i].Scheme == "digest" && acl[end].Perms == acl[i].Perms {
			end++
		}
		slices.SortFunc(acl[i:end], func(a, b harness.ACL) int { return strings.Compare(a.ID, b.ID) })
		i = end
	}
	return acl
}

func sorted(all []string) []string {
	slices.Sort(all)
	return all
}

// password computes a session's password (section 2.5 of the protocol's specification).
func password(id int64) []byte {
	const mask = 1<<48 - 1
	seed := (uint64(id) ^ 0xB3415C00 ^ 0x5DEECE66D) & mask
	var p []byte
	for range 4 {
		seed = (seed*0x5DEECE66D + 0xB) & mask
		w := uint32(seed >> 16)
		p = append(p, byte(w), byte(w>>8), byte(w>>16), byte(w>>24))
	}
	return p
}

// broken reports whether err is a write to a connection that the server has closed.
func broken(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}
