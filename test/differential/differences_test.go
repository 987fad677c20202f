package differential

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paddock/test/harness"
)

var rewrite = flag.Bool("rewrite", false, "write the intended differences into docs/compatibility.md")

// TestDifferencesAreDocumented keeps docs/compatibility.md and the list here the same.
func TestDifferencesAreDocumented(t *testing.T) {
	file := filepath.Join(harness.Root(), "docs", "compatibility.md")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), beginRows)
	_, after, ok2 := strings.Cut(rest, endRows)
	if !ok || !ok2 {
		t.Fatalf("%s lacks the lines %q and %q", file, beginRows, endRows)
	}
	want := before + beginRows + table() + endRows + after
	if string(text) == want {
		return
	}
	if !*rewrite {
		t.Fatalf("%s is out of date: run go test ./test/differential -rewrite", file)
	}
	if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestEveryDifferenceIsReasoned(t *testing.T) {
	seen := make(map[string]bool)
	for _, d := range differences {
		for what, text := range map[string]string{
			"name": d.name, "request": d.request, "apache": d.apache, "paddock": d.paddock,
			"reason": d.reason, "handled": d.handled, "tested": d.tested,
		} {
			if text == "" || strings.ContainsAny(text, "|\n") {
				t.Errorf("%s: its %s is %q", d.name, what, text)
			}
		}
		if seen[d.name] {
			t.Errorf("%s is there twice", d.name)
		}
		seen[d.name] = true
	}
}

// TestGenerateKeepsClearOfHazards: what would stop Apache's server is never sent to it.
func TestGenerateKeepsClearOfHazards(t *testing.T) {
	var check func(seed uint64, r req, top bool)
	check = func(seed uint64, r req, top bool) {
		switch {
		case known(r.op) && (r.op == -10 || r.op == 20):
			t.Errorf("seed %d sends op %d", seed, r.op)
		case top && r.op == 21 && r.flags < 5 && r.ttl < 0:
			t.Errorf("seed %d sends createTTL with flags %d and ttl %d", seed, r.flags, r.ttl)
		case r.path.in("") == "/zookeeper/quota/zookeeper_limits":
			t.Errorf("seed %d puts a quota on the root", seed)
		}
		for _, p := range r.parts {
			check(seed, p, false)
		}
	}
	for seed := range uint64(200) {
		for _, s := range generate(seed, streamOps) {
			for _, r := range s.reqs {
				check(seed, r, true)
			}
		}
	}
}

func TestGenerateIsDeterministic(t *testing.T) {
	for seed := range uint64(4) {
		a, b := generate(seed, streamOps), generate(seed, streamOps)
		for i := range a {
			if a[i].String() != b[i].String() {
				t.Fatalf("seed %d, step %d: %v, then %v", seed, i, a[i], b[i])
			}
		}
	}
}
