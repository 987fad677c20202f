package sim

import (
	"errors"
	"log/slog"
	"strings"
	"time"

	"paddock/server"
	"paddock/vfs"
	"paddock/wire"
	"paddock/zab"
)

// host is a machine with one server: its disk, its clock, and the process, which comes and goes.
type host struct {
	w      *world
	number int
	name   string // before what it says; empty for a server alone
	disk   *vfs.Sim

	srv         *server.Driven // nil while it is down
	life        int            // counts starts: what belongs to an earlier one is dropped
	stepping    bool           // a step of the pipeline is on its way
	pausedUntil int64
	crashSoon   bool // the next step that touches the disk is cut short
	sessionMS   int64
	beatAt      int64

	// Of a member of an ensemble.
	member   *member
	view     *zab.View
	skew     time.Duration // of the wall clock
	compared wire.Zxid     // in this life: up to here its log is that of the others
	damaged  bool          // it has lost something, and has not got it again
}

func (h *host) note(format string, args ...any) { h.w.note(h.name+format, args...) }

func (h *host) wall() time.Time { return h.w.wall().Add(h.skew) }

func (h *host) config() server.Config {
	p := &h.w.plan
	cfg := server.Config{
		Loops: p.loops, ServerID: uint8(h.number), DataDir: "/data", LogDir: "/data",
		TickMS: p.tickMS, MinSessionMS: p.minTimeoutMS, MaxSessionMS: p.maxTimeoutMS,
		MaxFrameBytes: 1 << 20, HandshakeTimeout: 10 * time.Second, ExtendedTypes: true,
		SegmentBytes: p.segmentBytes, SnapCount: p.snapCount, RetainSnapshots: 2, TxnDigests: p.txnDigests,
		ContainerCheck: time.Second, ContainerPerMinute: 10_000, MinFreeBytes: 1,
		FS: h.disk, Log: slog.New(slog.DiscardHandler),
		OnFatal: func(err error) {
			if strings.Contains(err.Error(), "digest") {
				h.w.fail("Z14: %v", err)
				return
			}
			h.w.fail("the server has failed: %v", err)
		},
	}
	if h.view != nil {
		cfg.Ensemble = h.w.plan.ensemble.config(h)
	}
	return cfg
}

// start starts the server on what the disk has.
func (h *host) start() {
	if m := h.w.opts.Mutant; m != nil && m.disk != nil {
		m.disk(h)
	}
	if err := h.disk.MkdirAll("/data"); err != nil {
		h.w.fail("%v", err)
		return
	}
	h.life++
	h.sessionMS, h.beatAt, h.pausedUntil, h.stepping, h.crashSoon = 0, h.w.now, 0, false, false
	srv, err := h.drive()
	if err != nil {
		h.w.fail("the server does not start: %v\n%s", err, h.disk.Tree())
		return
	}
	h.srv = srv
	h.note("server starts, life %d, zxid %v", h.life, srv.Applied())
	h.begins()
	h.collect()
}

func (h *host) drive() (*server.Driven, error) {
	if h.view == nil {
		return server.DriveWith(h.defect(), h.config(), h.wall())
	}
	return h.join()
}

func (h *host) defect() server.Defect {
	if h.w.opts.Mutant == nil {
		return ""
	}
	return h.w.opts.Mutant.defect
}

// begins is a server that keeps the sessions from now on: every session has a whole timeout again.
func (h *host) begins() {
	if !h.keepsSessions() {
		return
	}
	for _, s := range h.w.history.sessions {
		s.contacts = append(s.contacts, h.contact())
	}
}

// keepsSessions says whether it is this server by whose clock sessions end.
func (h *host) keepsSessions() bool { return h.member == nil || h.member.leads != 0 }

// contact is now, by the clock of a server that keeps the sessions.
func (h *host) contact() contact {
	term := h.life
	if h.member != nil {
		term = h.member.term
	}
	return contact{term, h.sessionMS, h.w.history.next()}
}

// stop ends the server in good order.
func (h *host) stop() {
	for h.srv.Waiting(server.Sequence)+h.srv.Waiting(server.Commit)+h.srv.Waiting(server.Apply) > 0 {
		for st := server.Sequence; st <= server.Apply; st++ {
			h.stage(st)
		}
	}
	h.collect()
	srv := h.srv
	h.srv = nil
	if err := srv.Close(); err != nil {
		h.w.fail("close: %v", err)
	}
}

var errEnough = errors.New("sim: that was all")

// collect reads what is committed in the log and we have not, and compares the state of the server with the
// model's later. It has to come before anything of the log is removed.
func (h *host) collect() {
	w := h.w
	if w.failure != nil {
		return
	}
	base, upTo := h.srv.Base(), wire.Zxid(1<<63-1)
	if h.member != nil {
		base, upTo = max(base, h.compared), h.srv.Applied()
	}
	at := w.find(base)
	if at == len(w.log) && base > w.last() {
		if h.member == nil {
			w.fail("Z11: the log begins after %v, and %v is the last we have seen of it", base, w.last())
		}
		w.marks["a log that begins behind what was collected"]++
		return // others have what is between
	}
	err := h.srv.Replay(base, func(txn []byte) error {
		if zxidOf(txn) > upTo {
			return errEnough
		}
		if at == len(w.log) {
			w.log = append(w.log, append([]byte(nil), txn...))
		} else if err := sameTxn(zxidOf(w.log[at]), w.log[at], txn); err != nil {
			return err
		}
		at++
		return nil
	})
	switch {
	case err != nil && !errors.Is(err, errEnough):
		w.fail("%w", err)
	case at < len(w.log) && zxidOf(w.log[at]) <= upTo:
		w.fail("Z11: %stransactions up to %v were committed; the log ends before %v", h.name, w.last(), zxidOf(w.log[at]))
	}
	h.compared = upTo
	w.history.digests = append(w.history.digests, digestAt{h.srv.Applied(), h.srv.Digest(), h.srv.Nodes()})
}

// kick sees to it that the server takes its next step, if there is one.
func (h *host) kick() {
	if h.stepping || h.srv == nil || h.w.failure != nil || !h.runnable() {
		return
	}
	h.stepping = true
	life := h.life
	h.w.at(max(h.w.now, h.pausedUntil)+h.w.dice.around(h.w.plan.step), "step", func() {
		if life != h.life {
			return
		}
		h.stepping = false
		if h.srv != nil && h.pausedUntil <= h.w.now {
			h.step()
		}
	})
}

func (h *host) runnable() bool {
	for st := server.Sequence; st <= server.Apply; st++ {
		if h.srv.Waiting(st) > 0 {
			return true
		}
	}
	for i := range h.w.plan.loops {
		if h.srv.Rung(i) {
			return true
		}
	}
	return h.member != nil && len(h.member.box) > 0
}

// step runs one stage, or answers one bell: whichever is drawn of those that can.
func (h *host) step() {
	var can []func()
	busy := [...]float64{server.Commit: h.w.plan.diskBusy, server.Apply: h.w.plan.applyBusy}
	for st := server.Sequence; st <= server.Apply; st++ {
		if h.srv.Waiting(st) > 0 && !h.w.dice.chance(busy[st]) {
			can = append(can, func() { h.stage(st) })
		}
	}
	for i := range h.w.plan.loops {
		if h.srv.Rung(i) {
			can = append(can, func() {
				h.note("loop %d answers its bell", i)
				h.srv.Answer(i)
			})
		}
	}
	if h.member != nil && len(h.member.box) > 0 {
		can = append(can, h.member.turn)
	}
	if len(can) > 0 {
		can[h.w.dice.IntN(len(can))]()
	}
}

// stage runs a stage with some of what waits for it.
func (h *host) stage(st server.Stage) {
	n := h.srv.Waiting(st)
	if n == 0 {
		return
	}
	n = 1 + h.w.dice.IntN(n)
	h.note("stage %d with %d", st, n)
	h.srv.SetTime(h.wall())
	h.disked(func() {
		before := h.srv.Given()
		h.srv.Run(st, n)
		after := h.srv.Given()
		if after.Epoch() != before.Epoch() {
			before = wire.Zxid(after.Epoch() << 32)
		}
		for z := before + 1; z <= after; z++ {
			h.w.sequenced[z] = h.contact()
		}
	}, st == server.Commit)
	if h.srv != nil && st == server.Apply && h.srv.CheckpointDue() {
		h.snapshot()
	}
}

// disked does something that writes to the disk and says nothing to anybody; a crash that is due may hit
// in its middle.
func (h *host) disked(f func(), writes bool) {
	before := h.disk.Ops()
	f()
	after := h.disk.Ops()
	if h.crashSoon && writes && after > before && h.w.failure == nil {
		h.crashSoon = false
		h.w.marks["crash in mid-step"]++
		h.crash(before + h.w.dice.IntN(after-before+1))
		return
	}
	if after > 20_000 && h.w.dice.chance(0.01) {
		h.disk.Compact()
	}
}

// snapshot opens a view now, and writes it later, when there is something else on the way already.
func (h *host) snapshot() {
	write := h.srv.Checkpoint()
	if write == nil {
		return
	}
	h.w.marks["snapshot"]++
	life := h.life
	h.w.after(h.w.dice.around(20*h.w.plan.step), "snapshot", func() {
		if life != h.life || h.srv == nil {
			return
		}
		h.note("snapshot")
		h.disked(write, true)
		if h.srv == nil || life != h.life {
			return
		}
		h.collect()
		h.note("purge")
		h.disked(h.srv.Purge, true)
	})
}

// house is what the server does now and then.
func (h *host) house() {
	if h.srv == nil || h.pausedUntil > h.w.now {
		return
	}
	h.note("sweep")
	h.srv.Sweep()
	if h.w.plan.prepare {
		h.disked(func() {
			for h.srv.Prepare() {
			}
		}, true)
	}
}

// beat is a step of the server's time.
func (h *host) beat() {
	if h.srv != nil && h.pausedUntil <= h.w.now {
		const longest = 500 // ms: the sessions do not notice a longer pause
		h.sessionMS += min((h.w.now-h.beatAt)/1000, longest)
		h.beatAt += (h.w.now - h.beatAt) / 1000 * 1000
		h.disked(func() { h.srv.Beat(h.wall()) }, true)
	}
	if h.member != nil && h.srv != nil {
		h.member.letter(h.member.tick)
	}
	h.w.after(h.w.plan.beat, "beat", h.beat)
}

// crash ends the process after the disk's first at operations: with the machine, or alone.
func (h *host) crash(at int) {
	if h.srv == nil {
		return
	}
	h.w.marks["crash"]++
	if h.w.dice.chance(h.w.plan.powerCut) {
		kept := []float64{0, 0.5, 1}[h.w.dice.IntN(3)]
		h.disk = h.disk.Crash(at, func(vfs.Unit) bool { return h.w.dice.chance(kept) })
		h.note("power cut, %v of what was not synced is kept", kept)
		h.w.marks["power cut"]++
	} else if at < h.disk.Ops() {
		h.note("kill in the middle of a step")
		h.disk = h.disk.Crash(at, func(vfs.Unit) bool { return true })
	} else {
		h.note("kill")
		h.disk.Kill()
	}
	h.spoil()
	if h.view != nil && h.w.dice.chance(h.w.plan.ensemble.damages) {
		h.hole()
	}
	h.srv = nil
	h.life++
	if h.member != nil {
		h.member.dies()
	}
	for _, c := range h.w.clients {
		if c.link != nil && c.link.h == h {
			c.link.kernel = c.link.kernel[:h.w.dice.IntN(len(c.link.kernel)+1)]
			c.link.serverEnds()
		}
	}
	h.w.after(h.w.dice.around(int64(h.w.dice.log(float64(ms), float64(3*second)))), "restart", func() {
		h.start()
		if h.w.phase == phaseFaults && h.w.dice.chance(0.1) {
			h.crash(h.disk.Ops()) // at once again
		}
	})
}

// spoil gives a mutant its turn with the disk.
func (h *host) spoil() {
	if m := h.w.opts.Mutant; m != nil && m.spoil != nil {
		m.spoil(h)
	}
}

// checkDurable opens what a power cut now would leave of the disk, with nothing kept that was not synced.
func (h *host) checkDurable(stamp wire.Zxid) {
	if h.member != nil {
		h.w.checkQuorumDurable(stamp)
		return
	}
	image := h.disk.Crash(h.disk.Ops(), func(vfs.Unit) bool { return false })
	h.w.marks["durable images checked"]++
	cfg := h.config()
	cfg.FS = image
	srv, err := server.Drive(cfg, h.wall())
	if err != nil {
		h.w.fail("Z12: the server does not start on what is durable: %v", err)
		return
	}
	h.w.durable = srv.Applied()
	if h.w.durable < stamp {
		h.w.fail("Z12: a reply stamped %v has left; what is durable ends at %v", stamp, h.w.durable)
	}
}

// pause stops the process for a while; bytes for it wait.
func (h *host) pause() {
	if h.srv == nil || h.pausedUntil > h.w.now {
		return
	}
	h.pausedUntil = h.w.now + int64(h.w.dice.log(float64(10*ms), float64(60*second)))
	h.note("the process is stopped for %d ms", (h.pausedUntil-h.w.now)/1000)
	h.w.marks["pause"]++
}
