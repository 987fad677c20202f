package config

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write golden files and docs/configuration.md instead of comparing")

// compare compares got with a golden file, or writes it.
func compare(t *testing.T, name, got string) {
	t.Helper()
	if *rewrite {
		write(t, name, got)
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (rewrite with -rewrite and read the difference); got:\n%s", name, got)
	}
}

// onlyTestdata reads files of testdata, and finds nothing elsewhere: what lies in the
// directories that the test files name is not part of a test. But for myid: every server is 1.
func onlyTestdata(name string) ([]byte, error) {
	if filepath.Base(name) == "myid" {
		return []byte("1\n"), nil
	}
	if !strings.HasPrefix(name, "testdata/") {
		return nil, fs.ErrNotExist
	}
	return os.ReadFile(name)
}

// report is all that Load says: what is wrong, what was warned of, and what is in force.
func report(c *Config, warnings []Warning, err error) string {
	var b strings.Builder
	if err != nil {
		for text := range strings.SplitSeq(err.Error(), "\n") {
			fmt.Fprintf(&b, "error: %s\n", text)
		}
	}
	for _, w := range warnings {
		kind := "warning"
		if w.Notice {
			kind = "note"
		}
		fmt.Fprintf(&b, "%s: %s\n", kind, w)
	}
	if err != nil {
		return b.String()
	}
	if e := c.Ensemble; e != nil {
		fmt.Fprintf(&b, "ensemble: server %d, quorum %v, election %v\n", e.MyID, e.QuorumAddrs(), e.ElectionAddrs())
		for line := range strings.SplitSeq(e.View.String(), "\n") {
			fmt.Fprintf(&b, "ensemble: %s\n", line)
		}
	}
	for _, s := range c.Effective() {
		if s.Source != "default" {
			fmt.Fprintf(&b, "%s=%s [%s, %s]\n", s.Key, s.Value, s.Source, s.Verdict)
		}
	}
	return b.String()
}

// TestRealFiles loads files as they are in the field; beside each lies what must come of it.
func TestRealFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/zoo/*")
	if err != nil {
		t.Fatal(err)
	}
	loaded := 0
	for _, file := range files {
		if !slices.Contains([]string{".cfg", ".properties"}, filepath.Ext(file)) {
			continue
		}
		loaded++
		t.Run(filepath.Base(file), func(t *testing.T) {
			got := report(Load(Options{Args: []string{file}, ReadFile: onlyTestdata}))
			compare(t, file+".golden", got)
		})
	}
	if loaded < 12 {
		t.Errorf("loaded %d files of testdata/zoo, want 12 at least", loaded)
	}
}

// TestMistakes loads the blocks of testdata/mistakes.txt.
func TestMistakes(t *testing.T) {
	const name = "testdata/mistakes.txt"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "\n## ")
	for i, block := range blocks[1:] {
		title, body, _ := strings.Cut(block, "\n")
		body, _, _ = strings.Cut(body, "----\n")
		body = strings.TrimSpace(body) + "\n"
		t.Run(title, func(t *testing.T) {
			blocks[i+1] = title + "\n" + body + "----\n" + report(loadBlock(body))
		})
	}
	for i, block := range blocks {
		blocks[i] = strings.TrimSpace(block)
	}
	compare(t, name, strings.Join(blocks, "\n\n## ")+"\n")
}

// loadBlock loads one block: lines for zoo.cfg, and "$ set", "$ env", "$ args", "$ file" and
// "$ also" (another file) for what is around it.
func loadBlock(body string) (*Config, []Warning, error) {
	o := Options{Args: []string{"zoo.cfg"}}
	files := map[string]string{}
	var lines []string
	for text := range strings.Lines(body) {
		text = strings.TrimSuffix(text, "\n")
		directive, ok := strings.CutPrefix(text, "$ ")
		if !ok {
			lines = append(lines, text)
			continue
		}
		verb, rest, _ := strings.Cut(directive, " ")
		switch verb {
		case "set":
			o.Set = append(o.Set, rest)
		case "env":
			o.Environ = append(o.Environ, rest)
		case "args":
			o.Args = strings.Fields(rest)
		case "file":
			o.Args = []string{rest}
		case "also":
			file, contents, _ := strings.Cut(rest, " ")
			files[file] = strings.ReplaceAll(contents, `\n`, "\n")
		}
	}
	files["zoo.cfg"] = strings.Join(lines, "\n")
	o.ReadFile = readFrom(files)
	return Load(o)
}

func readFrom(files map[string]string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		contents, ok := files[name]
		if !ok && strings.HasPrefix(name, "testdata/") {
			return os.ReadFile(name)
		}
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		return []byte(contents), nil
	}
}
