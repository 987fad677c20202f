package zab

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"paddock/wire"
)

// historyOf returns the history after base of these zxids.
func historyOf(base wire.Zxid, zxids ...wire.Zxid) History {
	h := NewHistory(base)
	for _, z := range zxids {
		h.Append(z)
	}
	return h
}

// upTo returns the zxids of an epoch, from 1.
func upTo(epoch, last int64) []wire.Zxid {
	var zxids []wire.Zxid
	for c := int64(1); c <= last; c++ {
		zxids = append(zxids, zx(epoch, c))
	}
	return zxids
}

func TestFollows(t *testing.T) {
	for _, c := range []struct {
		name       string
		prev, next wire.Zxid
		want       bool
	}{
		{"the next counter", zx(1, 3), zx(1, 4), true},
		{"the same", zx(1, 3), zx(1, 3), false},
		{"a hole in an epoch", zx(1, 3), zx(1, 5), false},
		{"one back", zx(1, 3), zx(1, 2), false},
		{"the first of the next epoch", zx(1, 3), zx(2, 1), true},
		{"the first of a much later epoch", zx(1, 3), zx(9, 1), true},
		{"the second of the next epoch", zx(1, 3), zx(2, 2), false},
		{"the epoch itself is no transaction", zx(1, 3), zx(2, 0), false},
		{"the first of an earlier epoch", zx(3, 3), zx(2, 1), false},
		{"the first behind the epoch itself", zx(2, 0), zx(2, 1), true},
		{"the first of all", 0, 1, true},
	} {
		if got := Follows(c.prev, c.next); got != c.want {
			t.Errorf("%s: Follows(%v, %v) = %v, want %v", c.name, c.prev, c.next, got, c.want)
		}
	}
}

func TestHistoryFindsItsPlaces(t *testing.T) {
	h := historyOf(zx(1, 7), append(append(upTo(2, 3), upTo(4, 2)...), upTo(5, 1)...)...)
	for _, c := range []struct {
		name    string
		z       wire.Zxid
		has     bool
		floor   wire.Zxid // 0: there is none
		next    wire.Zxid // 0: there is none
		hasNext bool
	}{
		{"below the base", zx(1, 6), false, 0, 0, false},
		{"the base", zx(1, 7), true, zx(1, 7), zx(2, 1), true},
		{"behind the base, in its epoch", zx(1, 8), false, zx(1, 7), zx(2, 1), true},
		{"an epoch before its first", zx(2, 0), false, zx(1, 7), zx(2, 1), true},
		{"the first of a run", zx(2, 1), true, zx(2, 1), zx(2, 2), true},
		{"the last of a run", zx(2, 3), true, zx(2, 3), zx(4, 1), true},
		{"behind a run, in its epoch", zx(2, 4), false, zx(2, 3), zx(4, 1), true},
		{"an epoch without transactions", zx(3, 1), false, zx(2, 3), zx(4, 1), true},
		{"the last", zx(5, 1), true, zx(5, 1), 0, false},
		{"above the last", zx(5, 2), false, zx(5, 1), 0, false},
	} {
		floor, ok := h.Floor(c.z)
		if got := h.Has(c.z); got != c.has {
			t.Errorf("%s: Has(%v) = %v, want %v", c.name, c.z, got, c.has)
		}
		if floor != c.floor || ok != (c.floor != 0) {
			t.Errorf("%s: Floor(%v) = %v, %v, want %v", c.name, c.z, floor, ok, c.floor)
		}
		if next, ok := h.Next(c.z); next != c.next || ok != c.hasNext {
			t.Errorf("%s: Next(%v) = %v, %v, want %v, %v", c.name, c.z, next, ok, c.next, c.hasNext)
		}
	}
	if got, want := h.String(), "(0x100000007 0x200000001..0x200000003 0x400000001..0x400000002 0x500000001..0x500000001)"; got != want {
		t.Errorf("String() = %s, want %s", got, want)
	}
}

func TestHistoryRefusesWhatMakesAHole(t *testing.T) {
	for name, f := range map[string]func(*History){
		"append over a hole":           func(h *History) { h.Append(zx(2, 5)) },
		"append what it has":           func(h *History) { h.Append(zx(2, 3)) },
		"truncate below the base":      func(h *History) { h.TruncateTo(zx(1, 6)) },
		"truncate to what it lacks":    func(h *History) { h.TruncateTo(zx(1, 9)) },
		"truncate to behind its end":   func(h *History) { h.TruncateTo(zx(2, 4)) },
		"append the epoch without one": func(h *History) { h.Append(zx(3, 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			h := historyOf(zx(1, 7), upTo(2, 3)...)
			before := h.String()
			defer func() {
				if recover() == nil {
					t.Errorf("it went on: %v, then %v", before, &h)
				}
			}()
			f(&h)
		})
	}
}

// TestHistoryIsAListOfZxids does to a History what it does to a plain list.
func TestHistoryIsAListOfZxids(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := zx(rapid.Int64Range(0, 2).Draw(t, "base epoch"), rapid.Int64Range(0, 3).Draw(t, "base counter"))
		h, list := NewHistory(base), []wire.Zxid{base}
		last := func() wire.Zxid { return list[len(list)-1] }
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"next", "epoch", "truncate", "purge", "reset", "clone"}).Draw(t, "step") {
			case "next":
				list = append(list, last()+1)
				h.Append(last())
			case "epoch":
				list = append(list, zx(last().Epoch()+rapid.Int64Range(1, 3).Draw(t, "epochs on"), 1))
				h.Append(last())
			case "truncate":
				list = list[:rapid.IntRange(1, len(list)).Draw(t, "kept")]
				h.TruncateTo(last())
			case "purge":
				list = list[rapid.IntRange(0, len(list)-1).Draw(t, "purged"):]
				h.PurgeTo(list[0])
				h.PurgeTo(list[0] - 1)
			case "reset":
				list = []wire.Zxid{last()}
				h.Reset(last())
			case "clone":
				c := h.Clone()
				h.Append(last() + 1) // the copy must not see it
				h = c
			}
			if h.Base() != list[0] || h.Last() != last() {
				t.Fatalf("%v: Base %v, Last %v, want %v, %v", &h, h.Base(), h.Last(), list[0], last())
			}
			near := rapid.SampledFrom(list).Draw(t, "near") + wire.Zxid(rapid.SampledFrom([]int64{-2, -1, 0, 1, 2, 1 << 32, -1 << 32}).Draw(t, "off"))
			lookUp(t, &h, list, near)
		}
	})
}

func lookUp(t *rapid.T, h *History, list []wire.Zxid, z wire.Zxid) {
	i, has := slices.BinarySearch(list, z)
	if got := h.Has(z); got != has {
		t.Fatalf("%v: Has(%v) = %v, want %v", h, z, got, has)
	}
	floor, ok := h.Floor(z)
	switch wantOK := z >= list[0]; {
	case ok != wantOK:
		t.Fatalf("%v: Floor(%v) = %v, %v, want %v", h, z, floor, ok, wantOK)
	case ok && has && floor != z, ok && !has && floor != list[i-1]:
		t.Fatalf("%v: Floor(%v) = %v", h, z, floor)
	}
	if has {
		i++
	}
	next, ok := h.Next(z)
	switch wantOK := z >= list[0] && i < len(list); {
	case ok != wantOK:
		t.Fatalf("%v: Next(%v) = %v, %v, want %v", h, z, next, ok, wantOK)
	case ok && next != list[i]:
		t.Fatalf("%v: Next(%v) = %v, want %v", h, z, next, list[i])
	}
}

func TestARunIsAppendedAsItsZxidsAre(t *testing.T) {
	one, all := NewHistory(zx(1, 2)), NewHistory(zx(1, 2))
	one.AppendRun(zx(1, 3), zx(1, 7))
	one.AppendRun(zx(2, 1), zx(2, 1))
	for _, x := range []wire.Zxid{zx(1, 3), zx(1, 4), zx(1, 5), zx(1, 6), zx(1, 7), zx(2, 1)} {
		all.Append(x)
	}
	if one.String() != all.String() {
		t.Errorf("got %v, want %v", &one, &all)
	}
}
