package quorum

import (
	"fmt"
	"strings"

	"paddock/wire"
	"paddock/zab"
)

// line is something that has happened, kept unformatted: few of them are ever read.
type line struct {
	at   int64
	id   zab.ServerID // 0: the world
	kind byte         // 't'ext, 'e'vent or 'a'ction
	what string
	n    [3]int64
	ev   zab.EventKind
	act  zab.ActionKind
	link zab.Link
	zxid wire.Zxid
	from wire.Zxid
	typ  wire.PacketType
	to   zab.ServerID
	note wire.Notification
	ep   zab.Epochs
	text string
}

const ringLines = 250

func (w *world) put(l line) {
	l.at = w.now
	h := w.hash
	mix := func(x uint64) { h = (h ^ x) * 0x9e3779b97f4a7c15; h ^= h >> 29 }
	mix(uint64(l.at))
	mix(uint64(l.id)<<32 | uint64(l.kind)<<24 | uint64(l.ev)<<16 | uint64(l.act)<<8 | uint64(l.typ))
	mix(uint64(l.zxid))
	mix(uint64(l.link)<<32 ^ uint64(l.from) ^ uint64(l.to))
	mix(uint64(l.note.Leader) ^ uint64(l.note.Zxid)<<8 ^ uint64(l.note.Round)<<16 ^ uint64(l.ep.Accepted)<<32)
	for _, n := range l.n {
		mix(uint64(n))
	}
	for i := range len(l.what) {
		h = (h ^ uint64(l.what[i])) * 1099511628211
	}
	w.hash = h
	if w.opts.Trace != nil {
		fmt.Fprintln(w.opts.Trace, l.String())
	}
	if len(w.ring) < ringLines {
		w.ring = append(w.ring, l)
		return
	}
	w.ring[w.ringAt] = l
	w.ringAt = (w.ringAt + 1) % ringLines
}

// say takes down what has happened; what has a verb for each of n.
func (w *world) say(s *server, what string, n ...int64) {
	l := line{kind: 't', what: what}
	copy(l.n[:], n)
	if s != nil {
		l.id = s.id
	}
	w.put(l)
}

func (w *world) sayEvent(s *server, ev *zab.Event) {
	if ev.Kind == zab.EventTick {
		return
	}
	w.put(line{id: s.id, kind: 'e', ev: ev.Kind, link: ev.Link, zxid: zxidOf(ev.Zxid, ev.Packet.Zxid), typ: ev.Packet.Type, to: ev.From, note: ev.Note, ep: ev.Epochs})
}

func (w *world) sayAction(s *server, a *zab.Action) {
	w.put(line{id: s.id, kind: 'a', act: a.Kind, link: a.Link, zxid: zxidOf(a.Zxid, a.Packet.Zxid), from: a.From, typ: a.Packet.Type, to: a.To, note: a.Note, ep: a.Epochs, text: a.Text})
}

func zxidOf(a, b wire.Zxid) wire.Zxid {
	if a != 0 {
		return a
	}
	return b
}

// tail returns the last lines.
func (w *world) tail() []string {
	var lines []string
	for i := range w.ring {
		lines = append(lines, w.ring[(w.ringAt+i)%len(w.ring)].String())
	}
	return lines
}

func (l line) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%10.3fms ", float64(l.at)/1000)
	if l.id != 0 {
		fmt.Fprintf(&b, "%d ", l.id)
	}
	switch l.kind {
	case 't':
		args := []any{l.n[0], l.n[1], l.n[2]}
		fmt.Fprintf(&b, l.what, args[:strings.Count(l.what, "%")]...)
		return b.String()
	case 'e':
		b.WriteString("◀ " + eventNames[l.ev])
	case 'a':
		b.WriteString("  ▶ " + actionNames[l.act])
	}
	if l.link != 0 {
		fmt.Fprintf(&b, " link %d", l.link)
	}
	if l.to != 0 {
		fmt.Fprintf(&b, " server %d", l.to)
	}
	if l.typ != 0 {
		fmt.Fprintf(&b, " %v", l.typ)
	}
	if l.from != 0 {
		fmt.Fprintf(&b, " from %v", l.from)
	}
	if l.zxid != 0 {
		fmt.Fprintf(&b, " %v", l.zxid)
	}
	if l.ep != (zab.Epochs{}) {
		fmt.Fprintf(&b, " %+v", l.ep)
	}
	if l.ev == zab.EventNotification || l.act == zab.ActionNotify {
		fmt.Fprintf(&b, " %v votes %d zxid %v round %d epoch %d", zab.State(l.note.State), l.note.Leader, l.note.Zxid, l.note.Round, l.note.PeerEpoch)
	}
	if l.text != "" {
		b.WriteString(": " + l.text)
	}
	return b.String()
}

var eventNames = [...]string{
	zab.EventTick: "tick", zab.EventNotification: "vote", zab.EventAccepted: "accepted", zab.EventDialed: "dialed",
	zab.EventDialFailed: "dial failed", zab.EventPacket: "packet", zab.EventLost: "lost", zab.EventDurable: "durable",
	zab.EventEpochsSaved: "epochs saved", zab.EventTruncated: "truncated", zab.EventSnapshotOpened: "snapshot opened",
	zab.EventSnapshotReceived: "snapshot received", zab.EventInstalled: "installed", zab.EventProposed: "proposed",
	zab.EventSync: "sync", zab.EventResign: "resign",
	zab.EventProgress: "progress", zab.EventPurged: "purged",
}

var actionNames = [...]string{
	zab.ActionNotify: "vote", zab.ActionDial: "dial", zab.ActionClose: "close", zab.ActionSend: "send",
	zab.ActionSaveEpochs: "save epochs", zab.ActionAppend: "append", zab.ActionCommit: "commit",
	zab.ActionTruncate: "truncate", zab.ActionSnapshot: "snapshot", zab.ActionStream: "stream",
	zab.ActionPropose: "propose", zab.ActionCommits: "commits", zab.ActionInform: "inform",
	zab.ActionInstall: "install", zab.ActionDiscard: "discard", zab.ActionLead: "lead", zab.ActionServe: "serve",
	zab.ActionRest: "rest", zab.ActionRequest: "request", zab.ActionTouch: "touch",
	zab.ActionRevalidate: "revalidate", zab.ActionPong: "pong", zab.ActionRevalidated: "revalidated",
	zab.ActionSynced: "synced", zab.ActionFatal: "fatal", zab.ActionTrust: "trust",
	zab.ActionView: "view",
}
