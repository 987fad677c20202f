package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var (
	testName = regexp.MustCompile("`([a-z/]+)/((?:Test|Fuzz)\\w+)`")
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
)

// TestGuaranteesNameTestsThatExist: a promise whose test was renamed away is a promise without a test.
func TestGuaranteesNameTestsThatExist(t *testing.T) {
	page, err := os.ReadFile("../../docs/guarantees.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]map[string]bool{} // by directory
	named := testName.FindAllStringSubmatch(string(page), -1)
	for _, n := range named {
		dir, name := n[1], n[2]
		if tests[dir] == nil {
			tests[dir] = testsOf(t, dir)
		}
		if !tests[dir][name] {
			t.Errorf("there is no %s in %s", name, dir)
		}
	}
	if len(named) < 50 {
		t.Errorf("%d names were found on the page, that is too few", len(named))
	}
}

func testsOf(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range testFunc.FindAllStringSubmatch(string(text), -1) {
			names[f[1]] = true
		}
	}
	return names
}
