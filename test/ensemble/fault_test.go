package ensemble

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"paddock/test/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.OwnNetwork(m.Run)) }

// settings of the tests: a short tick, so that a server that is cut off notices soon.
var settings = harness.Settings{"tickTime": "400", "syncLimit": "3", "initLimit": "25", "snapCount": "2000"}

// kinds is which servers to take: PADDOCK_ENSEMBLE_KINDS, three of ours without it.
func kinds() string { return cmp.Or(os.Getenv("PADDOCK_ENSEMBLE_KINDS"), "GGG") }

// start starts an ensemble that ends with the test. Where it fails its logs are kept.
func start(t *testing.T, c harness.EnsembleConfig) *harness.Ensemble {
	t.Helper()
	e, err := harness.NewEnsemble(c)
	if errors.Is(err, harness.ErrNotAvailable) {
		t.Skip("nothing was tested: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			e.Keep()
			t.Logf("logs are kept in %s", e.Dir)
		}
		e.Close()
	})
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	return e
}

// TestFaults runs one deck of faults, or as many as PADDOCK_ENSEMBLE_FOR has time for.
func TestFaults(t *testing.T) {
	seed, err := strconv.ParseUint(cmp.Or(os.Getenv("PADDOCK_ENSEMBLE_SEED"), strconv.FormatInt(time.Now().UnixNano(), 10)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("PADDOCK_ENSEMBLE_KINDS=%s PADDOCK_ENSEMBLE_SEED=%d", kinds(), seed)
	var lasts time.Duration
	if s := os.Getenv("PADDOCK_ENSEMBLE_FOR"); s != "" {
		if lasts, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	begin := time.Now()
	for round := uint64(0); ; round++ {
		faults(t, seed+round, lasts > 0)
		if time.Since(begin) >= lasts || t.Failed() {
			return
		}
	}
}

// faults is one ensemble with one deck. Long ones have longer faults.
func faults(t *testing.T, seed uint64, long bool) {
	e := start(t, harness.EnsembleConfig{Kinds: kinds(), Settings: settings})
	defer e.Close()
	load, err := StartLoad(e, LoadConfig{Seed: seed, Patience: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer load.Stop()
	n := &Nemesis{Ensemble: e, Load: load, Rand: rand.New(rand.NewPCG(seed, 0)), Longest: 3200 * time.Millisecond, Log: t.Logf}
	if long {
		n.Longest = 8 * time.Second
	}
	for range Faults {
		if err := n.Turn(); err != nil {
			t.Fatal(err)
		}
	}
	begin := time.Now()
	r, err := load.Judge()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s; judged in %v", r, time.Since(begin).Round(time.Millisecond))
	for _, name := range slices.Sorted(maps.Keys(n.Skipped)) {
		t.Logf("NOT TESTED: %s: %v", name, e.NoCuts)
	}
	for i, err := range r.Broken {
		if i == 10 {
			t.Errorf("and %d more", len(r.Broken)-i)
			break
		}
		t.Error(err)
	}
	if !t.Failed() && r.Acknowledged < 1000 {
		t.Errorf("only %d writes were acknowledged: this run shows nothing", r.Acknowledged)
	}
	mismatches(t, e)
}

// mismatches counts how often Apache's servers found their tree different from what the leader says. They
// do under these faults, also among themselves; ours stop instead.
func mismatches(t *testing.T, e *harness.Ensemble) {
	t.Helper()
	for _, m := range e.Running() {
		all, err := m.Monitor()
		if err != nil {
			t.Errorf("%v: mntr: %v", m, err)
			continue
		}
		if n := all["zk_digest_mismatches_count"]; n != "0" {
			t.Logf("%v counts %s digest mismatches", m, n)
		}
	}
}

// TestCuts says clearly where cuts were not tested.
func TestCuts(t *testing.T) {
	n, err := harness.NewNetwork(0)
	if errors.Is(err, harness.ErrNotAvailable) {
		t.Skip("no partitions were tested: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	n.Close()
}

// history makes operations from lines "client call return what…", for the tests of the checks.
func op(client int, call, ret int64, o Op) Op {
	o.Client, o.Session, o.Call, o.Return = client, int64(client), call, ret
	if o.Key == "" {
		o.Key = "/k"
	}
	return o
}

func TestTheModelBites(t *testing.T) {
	born := op(0, 1, 2, Op{Kind: OpCreate, Value: "a"})
	for name, tc := range map[string]struct {
		ops   []Op
		legal bool
	}{
		"a write is read behind a sync": {[]Op{born, op(1, 3, 4, Op{Kind: OpSet, Value: "b", Version: 1}),
			op(2, 5, 6, Op{Kind: OpSyncRead, Got: "b", Version: 1})}, true},
		"a sync shows too little": {[]Op{born, op(1, 3, 4, Op{Kind: OpSet, Value: "b", Version: 1}),
			op(2, 5, 6, Op{Kind: OpSyncRead, Got: "a"})}, false},
		"a plain read may": {[]Op{born, op(1, 3, 4, Op{Kind: OpSet, Value: "b", Version: 1}),
			op(2, 5, 6, Op{Kind: OpRead, Got: "a"})}, true},
		"a write without an answer may happen late": {[]Op{born, op(1, 3, forever, Op{Kind: OpSet, Value: "b"}),
			op(2, 5, 6, Op{Kind: OpSyncRead, Got: "a"}), op(2, 7, 8, Op{Kind: OpSyncRead, Got: "b", Version: 1})}, true},
		"but not come and go": {[]Op{born, op(1, 3, forever, Op{Kind: OpSet, Value: "b"}),
			op(2, 5, 6, Op{Kind: OpSyncRead, Got: "b", Version: 1}), op(2, 7, 8, Op{Kind: OpSyncRead, Got: "a"})}, false},
		"an acknowledged write is lost": {[]Op{born, op(1, 3, 4, Op{Kind: OpSet, Value: "b", Version: 1}),
			op(2, 5, 6, Op{Kind: OpLastRead, Got: "a"})}, false},
		"two creates without a delete": {[]Op{born, op(1, 3, 4, Op{Kind: OpCreate, Value: "b"})}, false},
		"a create after a delete": {[]Op{born, op(1, 3, 4, Op{Kind: OpDelete}), op(1, 5, 6, Op{Kind: OpCreate, Value: "b"}),
			op(1, 7, 8, Op{Kind: OpLastRead, Got: "b"})}, true},
		"two swaps of one version": {[]Op{born, op(1, 3, 9, Op{Kind: OpSwap, Value: "b", Version: 1}),
			op(2, 4, 8, Op{Kind: OpSwap, Value: "c", Version: 1})}, false},
		"a refusal without a reason":   {[]Op{born, op(1, 3, 4, Op{Kind: OpSwap, Code: codeBadVersion})}, false},
		"a missing node that is there": {[]Op{born, op(1, 3, 4, Op{Kind: OpSet, Code: codeNoNode})}, false},
	} {
		v := linearizable(tc.ops, OpCreate, OpSet, OpSwap, OpDelete, OpSyncRead, OpLastRead)
		if got := v.Illegal == 0; got != tc.legal {
			t.Errorf("%s: legal is %v, want %v: %v", name, got, tc.legal, v.Why)
		}
	}
}

func TestTheOrderBites(t *testing.T) {
	wrote := func(client int, call, ret int64, value string, version int32, zxid int64) Op {
		return op(client, call, ret, Op{Kind: OpSet, Value: value, Version: version, Mzxid: zxid, Stamp: zxid})
	}
	saw := func(client int, call, ret int64, value string, version int32, zxid, stamp int64) Op {
		return op(client, call, ret, Op{Kind: OpRead, Got: value, Version: version, Mzxid: zxid, Stamp: stamp, Exact: true})
	}
	a, b := wrote(1, 1, 2, "a", 1, 10), wrote(1, 3, 4, "b", 2, 20)
	for name, tc := range map[string]struct {
		ops  []Op
		want string // empty: nothing is wrong
	}{
		"all is well":                     {[]Op{a, b, saw(2, 5, 6, "b", 2, 20, 20)}, ""},
		"a stale read that says so":       {[]Op{a, b, saw(2, 5, 6, "a", 1, 10, 19)}, ""},
		"a stale read that does not":      {[]Op{a, b, saw(2, 5, 6, "a", 1, 10, 20)}, "lacks the write"},
		"a read ahead of its zxid":        {[]Op{a, b, saw(2, 5, 6, "b", 2, 20, 15)}, "behind its zxid"},
		"a session goes back":             {[]Op{a, b, saw(2, 5, 6, "b", 2, 20, 20), saw(2, 7, 8, "a", 1, 10, 19)}, "went back"},
		"another session may be behind":   {[]Op{a, b, saw(2, 5, 6, "b", 2, 20, 20), saw(3, 7, 8, "a", 1, 10, 19)}, ""},
		"a session forgets its own write": {[]Op{a, b, saw(1, 5, 6, "a", 1, 10, 20)}, "go back"},
		"a value out of nowhere":          {[]Op{a, b, saw(2, 5, 6, "z", 2, 20, 20)}, "nobody wrote"},
		"a value of another key":          {[]Op{a, op(2, 5, 6, Op{Kind: OpRead, Key: "/other", Got: "a", Mzxid: 10, Stamp: 10})}, "nobody wrote"},
		"a later write, a smaller zxid":   {[]Op{b, wrote(2, 5, 6, "c", 3, 15)}, "no greater zxid"},
		"two writes, one zxid":            {[]Op{wrote(1, 1, 9, "a", 1, 10), wrote(2, 2, 8, "b", 2, 10)}, "one zxid"},
		"a node vanishes":                 {[]Op{a, op(1, 3, 4, Op{Kind: OpRead, Code: codeNoNode, Stamp: 30})}, "nobody deleted"},
		"a node is deleted": {[]Op{a, op(2, 3, 4, Op{Kind: OpDelete, Stamp: 20}),
			op(1, 5, 6, Op{Kind: OpRead, Code: codeNoNode, Stamp: 30})}, ""},
	} {
		got := fmt.Sprint(checkOrder(tc.ops).Broken)
		if tc.want == "" && got != "[]" || !strings.Contains(got, tc.want) {
			t.Errorf("%s: got %s, want %q", name, got, tc.want)
		}
	}
}
