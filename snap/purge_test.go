package snap

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"paddock/tree"
	"paddock/vfs"
	"paddock/wire"
)

const hourMS = int64(time.Hour / time.Millisecond)

// hourly is a disk with n snapshots at zxids 10, 20, … taken at 1:00, 2:00, …
func hourly(t *testing.T, n int) *vfs.Sim {
	t.Helper()
	d := newDisk(t)
	for i := 1; i <= n; i++ {
		mustWrite(t, d, shapes(wire.Zxid(10*i)), int64(i)*hourMS)
	}
	return d
}

func zxids(infos []Info) string {
	var b strings.Builder
	for _, i := range infos {
		fmt.Fprintf(&b, "%d ", int64(i.Zxid))
	}
	return strings.TrimSpace(b.String())
}

func TestPurgeKeepsCountAndAge(t *testing.T) {
	for name, c := range map[string]struct {
		snapshots int
		keep      Retention
		damage    []int64 // zxids
		kept      string
		through   wire.Zxid
		removed   int
	}{
		"count alone":                       {6, Retention{Count: 4, NowMS: 100 * hourMS}, nil, "60 50 40 30", 30, 2},
		"never fewer than three":            {6, Retention{Count: 0, NowMS: 100 * hourMS}, nil, "60 50 40", 40, 3},
		"the young stay and hold the log":   {6, Retention{Count: 3, Age: 5 * time.Hour, NowMS: 6 * hourMS}, nil, "60 50 40 30 20", 20, 1},
		"all are young":                     {6, Retention{Count: 3, Age: 24 * time.Hour, NowMS: 6 * hourMS}, nil, "60 50 40 30 20 10", 10, 0},
		"a time in the future protects not": {6, Retention{Count: 3, Age: 24 * time.Hour, NowMS: 1}, nil, "60 50 40", 40, 3},
		"two are too few":                   {2, Retention{Count: 3, NowMS: 100 * hourMS}, nil, "20 10", 0, 0},
		"three, none to spare":              {3, Retention{Count: 3, NowMS: 100 * hourMS}, nil, "30 20 10", 10, 0},
		"three where more are wanted":       {3, Retention{Count: 10, NowMS: 100 * hourMS}, nil, "30 20 10", 10, 0},
		"damaged ones do not count":         {6, Retention{Count: 3, NowMS: 100 * hourMS}, []int64{60, 40}, "50 30 20", 20, 1},
		"too few after damage":              {5, Retention{Count: 3, NowMS: 100 * hourMS}, []int64{50, 40, 30}, "20 10", 0, 0},
		"none at all":                       {0, Retention{Count: 3, NowMS: 100 * hourMS}, nil, "", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := hourly(t, c.snapshots)
			for _, z := range c.damage {
				if err := d.FlipBit(path.Join(dir, fileName(wire.Zxid(z))), 700, 0); err != nil {
					t.Fatal(err)
				}
			}
			p, err := Purge(d, dir, c.keep, tested())
			if err != nil {
				t.Fatal(err)
			}
			if got := zxids(p.Kept); got != c.kept || p.LogThrough != c.through || len(p.Removed) != c.removed {
				t.Errorf("kept %s, log through %d, removed %v; want %s, %d, %d of them",
					got, int64(p.LogThrough), p.Removed, c.kept, int64(c.through), c.removed)
			}
			if !slices.IsSorted(p.Removed) {
				t.Errorf("removed %v, want the oldest first: a crash must leave no gap", p.Removed)
			}
			if len(p.Passed) != len(c.damage) {
				t.Errorf("passed over %+v", p.Passed)
			}
			var there []Info
			entries, err := List(d, dir)
			for _, e := range entries {
				there = append(there, e.Info)
			}
			if got := zxids(there); err != nil || got != c.kept {
				t.Errorf("directory has %s, want %s (%v)", got, c.kept, err)
			}
		})
	}
}

func TestPurgeThatFailsAllowsNothing(t *testing.T) {
	keep := Retention{Count: 3, NowMS: 100 * hourMS}
	for name, fault := range map[string]func(vfs.Op) *vfs.Fault{
		"list":       vfs.FailNth(vfs.OpList, 1, vfs.Fault{Err: syscall.EIO}),
		"first sync": vfs.FailNth(vfs.OpSyncDir, 1, vfs.Fault{Err: syscall.EIO}),
		"a remove":   vfs.FailNth(vfs.OpRemove, 2, vfs.Fault{Err: syscall.EIO}),
		"last sync":  vfs.FailNth(vfs.OpSyncDir, 2, vfs.Fault{Err: syscall.EIO}),
		"nothing readable": func(op vfs.Op) *vfs.Fault {
			if op.Kind == vfs.OpRead {
				return &vfs.Fault{Err: syscall.EIO}
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := hourly(t, 6)
			d.SetFaults(fault)
			p, err := Purge(d, dir, keep, tested())
			if p.LogThrough != 0 || err == nil && name != "nothing readable" {
				t.Errorf("got %v, log through %v", err, p.LogThrough)
			}
			d.SetFaults(nil)
			p, err = Purge(d, dir, keep, tested())
			if err != nil || zxids(p.Kept) != "60 50 40" || p.LogThrough != 40 {
				t.Errorf("next time: %v, kept %s", err, zxids(p.Kept))
			}
		})
	}
}

// incompressible is a state of one value that is larger than what Pace is called for.
func incompressible(z wire.Zxid) *state {
	s := &state{zxid: z, records: []tree.Record{{Path: []byte("/"), Data: make([]byte, syncEvery+maxBlock)}}}
	for i := range s.records[0].Data {
		s.records[0].Data[i] = byte(i * i >> 7)
	}
	return s
}

func TestPurgeEndsWhenThePacerSaysSoAndCondemnsNothing(t *testing.T) {
	d := newDisk(t)
	for i := 1; i <= 4; i++ {
		if _, err := Write(d, dir, incompressible(wire.Zxid(i)), 1, Options{}); err != nil {
			t.Fatal(err)
		}
	}
	stop := errors.New("server stops")
	o := Options{Pace: func(int) error { return stop }}
	p, err := Purge(d, dir, Retention{Count: 3, NowMS: 1}, o)
	if !errors.Is(err, stop) || len(p.Removed)+len(p.Passed) != 0 || len(names(t, d)) != 4 {
		t.Errorf("got %v, %+v", err, p)
	}
}
