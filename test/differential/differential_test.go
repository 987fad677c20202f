package differential

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"paddock/test/harness"
)

const (
	defaultOps = 2000
	streamOps  = 400 // steps of one stream
	shrinkMost = 300 // comparisons spent on shrinking
	shrinkTime = time.Minute
)

// TestMain removes what was built.
func TestMain(m *testing.M) {
	code := m.Run()
	harness.Cleanup()
	os.Exit(code)
}

// TestSameAnswers compares paddock with Apache's server. PADDOCK_DIFF_OPS is how many steps (2,000),
// PADDOCK_DIFF_SEED the first seed (1; "random" draws one, which is printed). PADDOCK_DIFF_PAIR names
// two other targets, as in "apache,apache", which tests this package: two servers of one kind must agree.
func TestSameAnswers(t *testing.T) {
	p := newPair(t)
	seed := firstSeed(t)
	ops := number(t, "PADDOCK_DIFF_OPS", defaultOps)
	done := 0
	for done < ops {
		stream := generate(seed, min(streamOps, ops-done))
		d, err := p.compare(stream)
		if d != nil {
			fmt.Fprintf(os.Stderr, "seed %d, step %d of %d differs; shrinking\n%s\n---\n%s\n", seed, d.step, len(stream), d.said[0], d.said[1])
			t.Fatalf("seed %d, %d steps: %s", seed, len(stream), report(t, p, stream, d))
		}
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		done += len(stream)
		seed++
	}
	t.Logf("%d steps on %s and %s, differences 0", done, p.targets[0].Name, p.targets[1].Name)
}

// report shrinks a stream on the servers that showed it, and then asks two new ones: what they do not
// show depends on the streams before.
func report(t *testing.T, p *pair, stream []step, d *difference) string {
	until := time.Now().Add(shrinkTime)
	short, shortDifference := shrink(stream, d, func(c []step) (*difference, error) {
		if time.Now().After(until) {
			return nil, nil
		}
		return p.compare(c)
	}, shrinkMost)
	clean, err := startPair(p.targets)
	if err != nil {
		t.Fatal(err)
	}
	defer clean.close()
	again, err := clean.compare(short)
	switch {
	case err != nil:
		return p.describe(short, shortDifference) + "on new servers: " + err.Error()
	case again == nil:
		return p.describe(short, shortDifference) + "not seen on new servers\nfirst seen as: " + strings.Join(d.said[:], "\n")
	}
	return clean.describe(short, again)
}

func newPair(t *testing.T) *pair {
	t.Helper()
	names := os.Getenv("PADDOCK_DIFF_PAIR")
	if names == "" {
		names = "paddock,apache"
	}
	a, b, _ := strings.Cut(names, ",")
	p, err := startPair([2]*harness.Target{named(t, a), named(t, b)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	return p
}

func named(t *testing.T, name string) *harness.Target {
	t.Helper()
	find := harness.Apache
	if name == "paddock" {
		find = harness.Paddock
	}
	target, err := find()
	if errors.Is(err, harness.ErrNotAvailable) {
		t.Skip("nothing was compared: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func firstSeed(t *testing.T) uint64 {
	t.Helper()
	if os.Getenv("PADDOCK_DIFF_SEED") == "random" {
		seed := rand.Uint64N(1 << 32)
		t.Logf("PADDOCK_DIFF_SEED=%d", seed)
		return seed
	}
	return uint64(number(t, "PADDOCK_DIFF_SEED", 1))
}

func number(t *testing.T, key string, otherwise int) int {
	t.Helper()
	text := os.Getenv(key)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return n
}
