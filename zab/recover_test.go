package zab

import (
	"strings"
	"testing"
)

// TestWhatADiskMaySay looks at the first word of a server that starts with it.
func TestWhatADiskMaySay(t *testing.T) {
	for name, c := range map[string]struct {
		log    History
		epochs Epochs
		fatal  string // "" is a vote
	}{
		"nothing":                               {NewHistory(0), Epochs{}, ""},
		"promises, and no log":                  {NewHistory(0), Epochs{7, 3}, ""},
		"a log of the current epoch":            {historyOf(0, zx(3, 1)), Epochs{3, 3}, ""},
		"a log of a later epoch than current":   {historyOf(0, zx(3, 1), zx(5, 1)), Epochs{6, 3}, ""},
		"a snapshot of a later epoch":           {NewHistory(zx(5, 9)), Epochs{5, 3}, ""},
		"a log of an epoch beyond all promises": {historyOf(0, zx(3, 1), zx(5, 1)), Epochs{4, 3}, "the log ends with 0x500000001, and only epoch 4 was ever accepted"},
		"a snapshot of such an epoch":           {NewHistory(zx(5, 9)), Epochs{}, "the log ends with 0x500000009"},
		"an epoch that was never accepted":      {NewHistory(0), Epochs{2, 3}, "the current epoch is 3, and only 2 was ever accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			p := NewPeer(Config{ID: 1, View: mustView(t, lines(3, 0))}, Recovered{History: c.log, Epochs: c.epochs})
			for range 2 { // and nothing else, ever
				out := p.Step(at(0), nil)
				if c.fatal == "" {
					n := said(t, out, 2)
					if n.Leader != 1 || n.Zxid != c.log.Last() || n.PeerEpoch != int64(c.epochs.Current) {
						t.Errorf("votes for %d with %v of epoch %d, want itself with %v of %d", n.Leader, n.Zxid, n.PeerEpoch, c.log.Last(), c.epochs.Current)
					}
					return
				}
				if len(out) != 1 || out[0].Kind != ActionFatal || !strings.HasPrefix(out[0].Text, c.fatal) {
					t.Fatalf("said %+v, want that it is fatal: %s", out, c.fatal)
				}
			}
		})
	}
}

// What an interrupted DIFF has left behind is of a later epoch than the current one, and is told as it is.
func TestAServerWhoseDiffWasInterruptedStartsAgain(t *testing.T) {
	s := newPupil(t, Recovered{History: historyOf(0, zx(1, 1)), Committed: zx(1, 1), Epochs: Epochs{1, 1}})
	s.do(tellEpoch(3), saved(3, 1))
	s.do(tellDiff(zx(2, 1)), tellPropose(zx(2, 1)), tellCommit(zx(2, 1)), durable(zx(2, 1)))
	p := NewPeer(s.p.cfg, Recovered{History: historyOf(0, zx(1, 1), zx(2, 1)), Committed: zx(1, 1), Epochs: Epochs{3, 1}})
	if n := said(t, p.Step(at(0), nil), 2); n.Zxid != zx(2, 1) || n.PeerEpoch != 1 {
		t.Errorf("votes with %v of epoch %d, want %v of 1", n.Zxid, n.PeerEpoch, zx(2, 1))
	}
	again := newPupil(t, Recovered{History: historyOf(0, zx(1, 1), zx(2, 1)), Committed: zx(1, 1), Epochs: Epochs{3, 1}})
	again.says(again.do(tellEpoch(3)), "7: ACKEPOCH 2.1")
}
