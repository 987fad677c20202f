package wal

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"

	"paddock/vfs"
	"paddock/wire"
)

// damagedLog is a log of several segments, with a cut and idle seals. Its last batch is vouched
// for by a seal if sealed, else by nothing.
func damagedLog(t *testing.T, sealed bool) (*vfs.Sim, *model) {
	t.Helper()
	d, m := vfs.NewSim(2), newModel()
	l := mustOpen(t, d, small())
	for _, s := range []step{
		commits(1, 20), commits(3, 200), seals(), commits(1, 500), prepares(), commits(2, 600),
		seals(), truncates(1), commits(1, 900), prepares(), commits(1, 30), commits(2, 300),
	} {
		must(t, s.do(l, m))
	}
	if sealed {
		must(t, l.Close())
	}
	return d.Clone(), m // as after a crash that kept all, or after the close
}

// outcome opens a damaged disk and says what came of it: "right", the class of a refusal, or
// "lost" where the log differs from the model without a word.
func outcome(t *testing.T, what string, d *vfs.Sim, m *model, after wire.Zxid) string {
	t.Helper()
	o := small()
	o.After = after
	l, err := Open(d, dir, o)
	if err != nil {
		return refusal(t, what, d, err)
	}
	defer l.Close()
	why := m.differs(l, after)
	if why == "" {
		return "right"
	}
	short := m.clone()
	short.truncate(l.Last())
	if l.Last() < m.last && short.differs(l, after) == "" {
		return "lost"
	}
	t.Errorf("%s: opened as something that never was: %s", what, why)
	return "wrong"
}

// refusal checks that a refused log is refused by name: class, file, offset and what to do.
func refusal(t *testing.T, what string, d *vfs.Sim, err error) string {
	t.Helper()
	var damage *DamageError
	if !errors.As(err, &damage) {
		t.Errorf("%s: refused without a name: %v", what, err)
		return "wrong"
	}
	text := err.Error()
	for _, want := range []string{dir + "/", segmentSuffix, "at byte", "zxid", "paddock log accept-loss --dir " + dir} {
		if !strings.Contains(text, want) {
			t.Errorf("%s: refusal does not say %q: %s", what, want, text)
		}
	}
	if damage.After >= 0 && damage.Until >= 0 && damage.After > damage.Until {
		t.Errorf("%s: lost transactions from %d to %d", what, damage.After, damage.Until)
	}
	for class, name := range map[error]string{ErrHole: "hole", ErrSuspect: "suspect", ErrDiverged: "diverged"} {
		if errors.Is(err, class) {
			return name
		}
	}
	t.Errorf("%s: refused without a class: %v", what, err)
	return "wrong"
}

// TestEveryBit flips each bit, and zeroes and makes unreadable each sector, of all segments of a
// log: what comes back is right, or refused by name. Only the zeroing of a sector of the very last
// batch, while nothing vouches for it, is taken for a torn write (testing.md 5.1).
func TestEveryBit(t *testing.T) {
	for _, sealed := range []bool{true, false} {
		t.Run(fmt.Sprintf("sealed %v", sealed), func(t *testing.T) {
			disk, m := damagedLog(t, sealed)
			stride := 41
			if long {
				stride = 1
			}
			counts := map[string]int{}
			flips := 0
			for _, name := range segmentFiles(t, disk) {
				file := path.Join(dir, name)
				bits := len(fileBytes(t, disk, file)) * 8
				for bit := flips % stride; bit < bits; bit += stride {
					d := disk.Clone()
					must(t, d.FlipBit(file, int64(bit/8), uint(bit%8)))
					what := fmt.Sprintf("bit %d of byte %d of %s", bit%8, bit/8, name)
					counts["flip "+outcome(t, what, d, m, 0)]++
					flips++
				}
				for s := range int64(bits / 8 / sectorSize) {
					d := disk.Clone()
					must(t, d.ZeroSector(file, s))
					what := fmt.Sprintf("sector %d of %s zeroed", s, name)
					two := d.Clone()
					got := outcome(t, what, d, m, 0)
					counts["zero "+got]++
					if got == "lost" && (sealed || !inLastBatch(t, disk, name, s)) {
						t.Errorf("%s: silent loss", what)
					}
					if next := (s + 1) * sectorSize; sealed && next < int64(bits/8) {
						// A batch and its seal together: the index, elsewhere, vouches for them.
						must(t, two.ZeroSector(file, s+1))
						if got := outcome(t, what+", and the next", two, m, 0); got == "lost" {
							t.Errorf("%s, and the next: silent loss", what)
						}
					}
					d = disk.Clone()
					must(t, d.BadSector(file, s))
					counts["unreadable "+outcome(t, fmt.Sprintf("sector %d of %s unreadable", s, name), d, m, 0)]++
				}
			}
			t.Logf("flips %d, outcomes %v, silent loss %d", flips, counts, counts["flip lost"]+counts["unreadable lost"])
			if n := counts["flip lost"] + counts["unreadable lost"]; n != 0 {
				t.Errorf("silent losses: got %d, want 0", n)
			}
			for _, kind := range []string{"flip right", "flip hole", "zero hole", "unreadable hole"} {
				if counts[kind] == 0 {
					t.Errorf("no damage came out as %q", kind)
				}
			}
		})
	}
}

// inLastBatch says whether a sector belongs to the last batch of the log.
func inLastBatch(t *testing.T, d *vfs.Sim, name string, sector int64) bool {
	t.Helper()
	ids, _, err := listSegments(d, dir)
	must(t, err)
	rc := &recovery{fs: d, dir: dir, ids: ids}
	must(t, rc.run())
	off := sector * sectorSize
	return name == segmentName(rc.head) && off >= rc.tail.lastAt && off < rc.tail.end
}

// TestFileDamage takes away, shortens, lengthens and swaps whole segments.
func TestFileDamage(t *testing.T) {
	disk, m := damagedLog(t, true)
	names := segmentFiles(t, disk)
	size := func(d *vfs.Sim, name string, size int64) {
		f, err := d.OpenWrite(path.Join(dir, name))
		must(t, err)
		must(t, f.Truncate(size))
	}
	kinds := map[string]func(d *vfs.Sim, name string){
		"missing":    func(d *vfs.Sim, name string) { must(t, d.Remove(path.Join(dir, name))) },
		"shortened":  func(d *vfs.Sim, name string) { size(d, name, minSegment-sectorSize) },
		"empty":      func(d *vfs.Sim, name string) { size(d, name, 0) },
		"lengthened": func(d *vfs.Sim, name string) { size(d, name, 3*minSegment) },
		"replaced by its neighbour": func(d *vfs.Sim, name string) {
			other := names[0]
			if name == other {
				other = names[1]
			}
			must(t, d.Rename(path.Join(dir, other), path.Join(dir, name)))
		},
		"unopenable": func(d *vfs.Sim, name string) {
			d.SetFaults(func(op vfs.Op) *vfs.Fault {
				if op.Kind == vfs.OpOpen && op.Name == path.Join(dir, name) {
					return &vfs.Fault{Err: errors.New("permission denied")}
				}
				return nil
			})
		},
	}
	for kind, damage := range kinds {
		for _, name := range names {
			d := disk.Clone()
			damage(d, name)
			what := name + " " + kind
			// A segment that a truncation made void is not needed.
			if got := outcome(t, what, d, m, 0); got != "hole" && got != "right" || got == "right" && needed(t, disk, name) {
				t.Errorf("%s: got %s, want hole", what, got)
			}
		}
	}
}

// needed says whether the log has something in a segment, or its end.
func needed(t *testing.T, d *vfs.Sim, name string) bool {
	t.Helper()
	ids, _, err := listSegments(d, dir)
	must(t, err)
	rc := &recovery{fs: d, dir: dir, ids: ids}
	must(t, rc.run())
	for _, k := range rc.links {
		if segmentName(k.id) == name {
			return true
		}
	}
	return false
}

// TestDamageThatASnapshotCovers damages each sector of the log and opens it for a snapshot of each
// zxid: what is needed is right or refused, and what is not needed refuses nothing.
func TestDamageThatASnapshotCovers(t *testing.T) {
	disk, m := damagedLog(t, true)
	accepted, reported := 0, 0
	for after := wire.Zxid(0); after <= m.last; after++ {
		for _, name := range segmentFiles(t, disk) {
			for s := range int64(minSegment / sectorSize) {
				d := disk.Clone()
				must(t, d.BadSector(path.Join(dir, name), s))
				o := small()
				o.After = after
				l, err := Open(d, dir, o)
				if err != nil {
					refusal(t, "bad sector", d, err)
					continue
				}
				accepted++
				if why := m.differs(l, after); why != "" {
					t.Errorf("sector %d of %s unreadable, snapshot at %d: %s", s, name, after, why)
				}
				for _, e := range l.Recovery().Damage {
					reported++
					if e.Until > after {
						t.Errorf("sector %d of %s, snapshot at %d: accepted damage up to %d", s, name, after, e.Until)
					}
				}
				goOn(t, fmt.Sprintf("sector %d of %s unreadable, snapshot at %d", s, name, after), l, m, after)
			}
		}
	}
	t.Logf("accepted %d, with %d reports", accepted, reported)
	if reported == 0 {
		t.Error("no damage was accepted and reported")
	}
}

// Of a log with two batches the first is damaged, and not needed, and the second is damaged too.
func TestDamageBehindDamage(t *testing.T) {
	d, m := vfs.NewSim(1), newModel()
	l := mustOpen(t, d, small())
	must(t, commits(1, 20).do(l, m))
	must(t, commits(1, 1200).do(l, m))
	must(t, d.ZeroSector(dir+"/"+segmentName(1), 3))
	must(t, d.ZeroSector(dir+"/"+segmentName(1), 5))
	if got := outcome(t, "both damaged", d.Clone(), m, 1); got != "hole" {
		t.Errorf("got %s, want hole", got)
	}
}

// TestNewestSegmentLost takes away the end of the log as a whole. What is left knows that there
// was more: by the gap before the prepared segment, or by the closing entry of the one before.
func TestNewestSegmentLost(t *testing.T) {
	for name, lost := range map[string][]uint64{
		"the last one, before a prepared one": {2},
		"the last one and the prepared one":   {2, 3},
		"all but the prepared one":            {1, 2},
	} {
		d, m := vfs.NewSim(1), newModel()
		l := mustOpen(t, d, small())
		must(t, commits(1, 1500).do(l, m))
		must(t, commits(1, 1500).do(l, m))
		prepareAll(t, l)
		d = d.Crash(d.Ops(), func(vfs.Unit) bool { return false })
		for _, id := range lost {
			must(t, d.Remove(dir+"/"+segmentName(id)))
		}
		if got := outcome(t, name, d, m, 0); got != "hole" {
			t.Errorf("%s: got %s, want hole", name, got)
		}
	}
}

// TestAcceptLoss damages a log in all places, gives up what is lost, and goes on: the log that
// remains is a beginning of the old one, without what a truncation had made void, and damage to
// one batch does not cost what came before it.
func TestAcceptLoss(t *testing.T) {
	disk, m := damagedLog(t, true)
	bad := func(d *vfs.Sim, name string, s int64) { must(t, d.BadSector(path.Join(dir, name), s)) }
	kinds := map[string]func(d *vfs.Sim, name string, s int64){
		"sector unreadable": bad,
		"segment removed": func(d *vfs.Sim, name string, s int64) {
			must(t, d.Remove(path.Join(dir, name)))
		},
		"sector unreadable, and no other segment has an index": func(d *vfs.Sim, name string, s int64) {
			bad(d, name, s)
			for _, other := range segmentFiles(t, d) {
				if other != name {
					must(t, d.ZeroSector(path.Join(dir, other), 1))
					must(t, d.ZeroSector(path.Join(dir, other), 2))
				}
			}
		},
	}
	gaveUp := 0
	for kind, damage := range kinds {
		for _, after := range []wire.Zxid{0, 2} {
			for _, name := range segmentFiles(t, disk) {
				for s := range int64(minSegment / sectorSize) {
					d := disk.Clone()
					damage(d, name, s)
					what := fmt.Sprintf("%s: %s sector %d, snapshot at %s", kind, name, s, after)
					if acceptsLoss(t, what, d, m, after) {
						gaveUp++
					}
				}
			}
		}
	}
	t.Logf("gave up %d times", gaveUp)
	if gaveUp == 0 {
		t.Error("nothing was given up")
	}
}

// acceptsLoss gives up what d has lost, checks what remains, and says whether there was a loss.
func acceptsLoss(t *testing.T, what string, d *vfs.Sim, m *model, after wire.Zxid) bool {
	t.Helper()
	o := small()
	o.After = after
	ops := d.Ops()
	would, err := ExamineLoss(d, dir, o)
	if err != nil || d.Ops() != ops {
		t.Errorf("%s: examined: %v, %d operations on the disk", what, err, d.Ops()-ops)
	}
	loss, err := AcceptLoss(d, dir, o)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return false
	}
	if would.Last != loss.Last || (would.Damage == nil) != (loss.Damage == nil) {
		t.Errorf("%s: gave up %+v, announced %+v", what, loss, would)
	}
	l, err := Open(d, dir, o)
	if err != nil {
		t.Errorf("%s: after accept-loss: %v", what, err)
		return true
	}
	if l.Last() != loss.Last {
		t.Errorf("%s: last zxid: got %s, want %s", what, l.Last(), loss.Last)
	}
	if loss.Damage == nil && loss.Last != m.last {
		t.Errorf("%s: lost without damage", what)
	}
	if loss.Damage != nil && loss.Damage.After > loss.Last {
		t.Errorf("%s: the log ends at %s, but %s was there", what, loss.Last, loss.Damage.After)
	}
	rest := m.clone()
	rest.truncate(loss.Last)
	rest.base = l.Base()
	if why := rest.differs(l, max(after, l.Base())); why != "" {
		t.Errorf("%s: after accept-loss: %s", what, why)
	}
	goOn(t, what, l, rest, after)
	return loss.Damage != nil
}
