package quorum

import (
	"slices"

	"paddock/zab"
)

// image is what a power cut would leave of a disk: a snapshot and a log behind it, as one list, and the
// record of promises.
type image struct {
	log       *txn
	floor     *txn // the log begins behind it; a snapshot has all up to it, at least
	committed *txn // what the disk says is committed: with the batches of the log, or in a snapshot
	epochs    zab.Epochs
	trust     zab.Trust
	lost      *txn // the log before a hole was torn into it; nil: there is none
}

// disk does one thing to the log at a time, in order, and keeps the promises beside it. A job takes
// effect when it is synced; a crash finds it half done.
type disk struct {
	s          *server
	image      image
	jobs       []job
	busy       bool
	saving     []zab.Epochs // the first is on its way if writing
	writing    bool
	stuckUntil int64
}

type jobKind int

const (
	jobAppend jobKind = iota
	jobTruncate
	jobTrust   // the log is rightly empty
	jobInstall // a snapshot up to floor, and what was kept behind it, take the place of everything
)

type job struct {
	kind      jobKind
	to        *txn // the log ends here afterwards
	floor     *txn
	committed *txn
}

// add queues a job of the log.
func (d *disk) add(j job) {
	if last := len(d.jobs) - 1; j.kind == jobAppend && last >= 0 && d.jobs[last].kind == jobAppend &&
		(last > 0 || !d.busy) && !d.s.w.dice.chance(d.s.w.plan.splitLog) {
		d.jobs[last].to = j.to // one sync for all that has gathered
		return
	}
	d.jobs = append(d.jobs, j)
	d.next()
}

// next starts the first job, if the disk is free.
func (d *disk) next() {
	if d.busy || len(d.jobs) == 0 {
		return
	}
	d.busy = true
	d.jobs[0].committed = common(d.s.line, d.jobs[0].to)
	if d.jobs[0].kind == jobInstall {
		d.jobs[0].committed = d.jobs[0].floor
	}
	d.takes(func() {
		j := d.jobs[0]
		d.jobs, d.busy = d.jobs[1:], false
		if w := d.s.w; !w.calm && w.dice.chance(w.plan.midJob) {
			w.hit(markCrashBehindJob)
			d.apply(j)
			w.crash(d.s) // it is on the disk, and nobody knows
			return
		}
		d.done(j)
		d.next()
		d.saveNext()
	})
}

// takes runs f when a sync is done, if the server still runs.
func (d *disk) takes(f func()) {
	w, life := d.s.w, d.s.life
	t := w.dice.around(w.plan.sync)
	if !w.calm && w.dice.chance(w.plan.slow) {
		t *= int64(w.dice.log(10, 1000))
		t = min(t, 10*second)
	}
	t = max(t, d.stuckUntil-w.now)
	w.after(t, func() {
		if d.s.life != life {
			return
		}
		if d.stuckUntil > w.now {
			d.takes(f)
			return
		}
		f()
	})
}

// done makes a job part of the image, and tells the machine.
func (d *disk) done(j job) {
	d.apply(j)
	s := d.s
	w := s.w
	switch j.kind {
	case jobAppend:
		w.say(s, "disk: log durable up to %#x", int64(j.to.zxid))
		s.post(func() { s.step(zab.Event{Kind: zab.EventDurable, Zxid: j.to.zxid}) })
	case jobTruncate:
		w.say(s, "disk: log ends at %#x", int64(j.to.zxid))
		s.post(func() { s.step(zab.Event{Kind: zab.EventTruncated, Zxid: j.to.zxid}) })
	case jobInstall:
		w.say(s, "disk: snapshot %#x and log to %#x", int64(j.floor.zxid), int64(j.to.zxid))
		s.post(func() { s.installed(j) })
	}
	s.post(s.apply)
}

// apply changes the image.
func (d *disk) apply(j job) {
	before := d.image.log
	d.image.log = j.to
	switch {
	case j.kind == jobTrust:
		d.image.trust = zab.Trusted
	case j.kind == jobInstall:
		d.image.floor, d.image.committed = j.floor, j.committed
		if d.image.trust != zab.Trusted {
			d.s.w.hit(markHoleFilled)
		}
		d.image.trust, d.image.lost = zab.Trusted, nil
	case j.committed != nil && j.committed.n > d.image.committed.n:
		d.image.committed = j.committed
	}
	if d.image.committed.n > j.to.n {
		d.s.w.fail("disk of %d: committed up to %v, but the log ends at %v", d.s.id, d.image.committed, j.to)
	}
	if j.kind == jobTruncate || j.kind == jobInstall {
		d.s.w.ghost.shrunk(d.s, before)
	}
	d.s.w.ghost.durable(d.s)
}

// save writes a record of promises, after those that are on their way.
func (d *disk) save(e zab.Epochs) {
	d.saving = append(d.saving, e)
	d.saveNext()
}

func (d *disk) saveNext() {
	trusting := slices.ContainsFunc(d.jobs, func(j job) bool { return j.kind == jobTrust })
	if d.writing || len(d.saving) == 0 || trusting {
		return // who is trusted for its promises has to be so after a crash
	}
	d.writing = true
	d.takes(func() {
		e := d.saving[0]
		d.saving, d.writing = d.saving[1:], false
		d.saved(e)
		s := d.s
		s.post(func() { s.step(zab.Event{Kind: zab.EventEpochsSaved, Epochs: e}) })
		d.saveNext()
	})
}

func (d *disk) saved(e zab.Epochs) {
	before := d.image.epochs
	d.image.epochs = e
	d.s.w.say(d.s, "disk: accepted %d current %d", int64(e.Accepted), int64(e.Current))
	d.s.w.ghost.saved(d.s, before)
	d.s.w.ghost.durable(d.s)
}

// snapshot makes what is applied durable in its own file, and lets go of a part of the log.
func (d *disk) snapshot() {
	s, w := d.s, d.s.w
	at := s.applied
	d.takes(func() {
		if !d.image.log.has(at) || at.n <= d.image.floor.n {
			return // another took the place of everything meanwhile
		}
		w.say(s, "disk: own snapshot %#x", int64(at.zxid))
		d.image.floor = d.image.log.at(w.dice.between(d.image.floor.n, at.n))
		if at.n > d.image.committed.n {
			d.image.committed = at
		}
		if w.dice.chance(w.plan.purges) {
			s.purged(d.image.floor)
		}
	})
}

// damage tears a hole into the log: what is behind it cannot be used, and often nothing can. The promises are
// kept. It happens to so few that those who can be trusted are still a quorum (testing.md 5.4, level A).
func (d *disk) damage() {
	s, w, img := d.s, d.s.w, &d.image
	trusted := func(v *server) bool { return v != s && v.disk.image.trust == zab.Trusted }
	if img.log.n == 0 || img.trust != zab.Trusted || s.voter && !w.ghost.quorum(trusted) {
		return
	}
	w.hit(markHoleInLog)
	img.lost, img.trust = img.log, zab.Damaged
	img.log = img.log.at(w.dice.IntN(img.log.n))
	if w.dice.chance(0.5) {
		img.log = w.forest.root
	}
	if img.log == w.forest.root && w.dice.chance(0.5) {
		img.trust = zab.Empty
	}
	img.floor, img.committed = common(img.floor, img.log), common(img.committed, img.log)
	w.say(s, "disk: damaged, the log ends at %#x", int64(img.log.zxid))
}

// crash leaves the image, and of what was on its way some or nothing: all of it if the write got
// through, and of a batch its beginning.
func (d *disk) crash() {
	w := d.s.w
	if d.busy {
		j := d.jobs[0]
		whole := w.dice.chance(0.4)
		switch {
		case j.kind == jobAppend && !whole:
			cut := d.image.log.n + w.dice.IntN(j.to.n-d.image.log.n)
			if cut > d.image.log.n {
				w.hit(markTornBatch)
			}
			w.hit(markTailForgotten)
			j.to, j.committed = j.to.at(cut), nil
			d.apply(j)
		case whole:
			d.apply(j)
		}
	}
	if d.writing {
		if w.dice.chance(0.5) {
			d.saved(d.saving[0])
		} else {
			w.hit(markEpochForgotten)
		}
	}
	d.jobs, d.busy, d.saving, d.writing, d.stuckUntil = nil, false, nil, false, 0
}
