package session

import (
	"maps"
	"testing"
)

func TestResetMakesSessionsAnew(t *testing.T) {
	table := NewTable(10)
	old, gone := table.Add(1, 100, 0), table.Add(2, 100, 0)
	old.SetOwner(7)
	old.MarkClosing()
	table.Reset([]Entry{{1, 50}, {3, 70}}, 1000)
	if table.Len() != 2 || table.Lookup(2) != nil || !gone.Closing() {
		t.Errorf("%d sessions; the one that is gone: %v, closing %v", table.Len(), table.Lookup(2), gone.Closing())
	}
	if s := table.Lookup(1); s == old || s.Closing() || s.Owner() != 0 || s.TimeoutMS() != 50 {
		t.Errorf("session 1 is as it was: %+v", s)
	}
	if due := table.Expire(1040, nil); len(due) != 0 {
		t.Errorf("%d sessions expire before their timeout", len(due))
	}
	if due := table.Expire(1200, nil); len(due) != 2 {
		t.Errorf("%d sessions expire, want 2", len(due))
	}
}

func TestTouchedAreThoseOfConnectionsHere(t *testing.T) {
	table := NewTable(10)
	for id, owner := range map[int64]uint64{1: 5, 2: 0, 3: 1<<63 | 9, 4: 6} {
		table.Add(id, int32(100*id), id).SetOwner(owner)
	}
	got := map[int64]int32{}
	table.Touched(1, func(id int64, timeoutMS int32) { got[id] = timeoutMS })
	if want := map[int64]int32{1: 100, 4: 400}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	clear(got)
	table.Touched(2, func(id int64, timeoutMS int32) { got[id] = timeoutMS })
	if want := map[int64]int32{4: 400}; !maps.Equal(got, want) {
		t.Errorf("since 2: got %v, want %v", got, want)
	}
}
