package differential

import (
	"errors"
	"testing"

	"paddock/wire"
)

func TestShrinkKeepsOnlyWhatDiffers(t *testing.T) {
	var stream []step
	for i := range 200 {
		stream = append(stream, step{slot: i % slots, reqs: []req{{op: wire.OpPing}}})
	}
	multi := req{op: wire.OpMulti, parts: []req{{op: wire.OpCheck, path: "/b"}, {op: wire.OpDelete, path: "/a"}, {op: wire.OpCheck}}}
	stream[60] = step{reqs: []req{{op: wire.OpCreate, path: "/a"}}}
	stream[140] = step{action: burst, reqs: []req{{op: wire.OpSync}, multi, {op: wire.OpSync}}}

	// The made-up servers differ where a multi deletes /a after /a has been created.
	tries := 0
	compare := func(s []step) (*difference, error) {
		tries++
		created := false
		for i, one := range s {
			for _, r := range one.reqs {
				created = created || r.op == wire.OpCreate
				for _, p := range r.parts {
					if created && p.op == wire.OpDelete {
						return &difference{step: i}, nil
					}
				}
			}
		}
		return nil, nil
	}
	d, _ := compare(stream)
	short, d := shrink(stream, d, compare, shrinkMost)
	if len(short) != 2 || d.step != 1 {
		t.Fatalf("got %d steps that differ in %d, want 2 that differ in 1: %v", len(short), d.step, short)
	}
	if reqs := short[1].reqs; len(reqs) != 1 || len(reqs[0].parts) != 1 {
		t.Errorf("got %v, want the delete alone", short[1])
	}
	if len(stream[140].reqs) != 3 || len(stream[140].reqs[1].parts) != 3 {
		t.Errorf("the stream given was changed: %v", stream[140])
	}
	t.Logf("%d comparisons", tries)
}

func TestFirstDifference(t *testing.T) {
	same := []string{"a", "b"}
	broken := errors.New("broken")
	for _, c := range []struct {
		name string
		said [2]transcript
		errs [2]error
		step int // -1 is no difference
	}{
		{"equal transcripts", [2]transcript{{same, nil}, {same, nil}}, [2]error{}, -1},
		{"another line", [2]transcript{{same, {"a"}}, {same, {"b"}}}, [2]error{}, 1},
		{"one line more", [2]transcript{{same, {"a"}}, {same, {"a", "event"}}}, [2]error{}, 1},
		{"lines in another order", [2]transcript{{{"b", "a"}}, {same}}, [2]error{}, 0},
		{"one run broke off", [2]transcript{{same}, {same, same}}, [2]error{broken, nil}, 1},
		{"both broke off in one place", [2]transcript{{same}, {same}}, [2]error{broken, broken}, -1},
	} {
		got := -1
		if d := firstDifference(c.said, c.errs); d != nil {
			got = d.step
		}
		if got != c.step {
			t.Errorf("%s: differs in step %d, want %d", c.name, got, c.step)
		}
	}
}
