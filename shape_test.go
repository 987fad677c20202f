package paddock

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The shape of the house (docs/ARCHITECTURE.md) as tests: who may import whom, and what deciding
// packages may not do. They run with all others, so that purity is never added later.

// floors says how high each room is. A room imports rooms on lower floors only.
var floors = map[string]int{
	"wire": 0, "vfs": 0, "slab": 0,
	"tree": 1, "watch": 1, "session": 1, "auth": 1,
	"net": 2, "wal": 2, "snap": 2, "zab": 2,
	"server": 3,
	"admin":  4, "config": 4, "sim": 4,
	"cmd": 5,
}

// apart are folders that are not rooms: they may look at everything, and no room may look at them.
var apart = []string{"doc.go", "bench", "fuzz", "test"}

// pure are the rooms that decide, and what of sync they may use for readers on other goroutines.
var pure = map[string][]string{
	"wire":    nil,
	"auth":    nil,
	"zab":     nil,
	"tree":    {"sync", "sync/atomic"}, // shards
	"watch":   {"sync/atomic"},         // the filter
	"session": {"sync", "sync/atomic"}, // a touch is one atomic store; lookups come from every loop
}

// shells are folders of deciding rooms that drive what decides there: goroutines, sockets and clocks are
// theirs, and nothing that decides knows them.
var shells = []string{"zab/runner", "zab/transport"}

// pureFiles are the stages of the server: pure files in a room that also has a shell.
var pureFiles = []string{"server/sequence.go", "server/multi.go", "server/overlay.go", "server/read.go", "server/reply.go", "server/stats.go"}

// forbidden imports of deciding code, and of `time` everything but these.
var (
	forbidden   = []string{"os", "net", "math/rand", "math/rand/v2", "crypto/rand", "syscall", "io/ioutil", "os/exec"}
	allowedTime = []string{"Duration", "Nanosecond", "Microsecond", "Millisecond", "Second", "Minute", "Hour"}
)

type source struct {
	path string // slash-separated, from the root of the repository
	room string
	file *ast.File
	fset *token.FileSet
}

// sources parses every Go file of the repository that is not a test.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "bin") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		path = filepath.ToSlash(path)
		room, _, _ := strings.Cut(path, "/")
		all = append(all, source{path, room, f, fset})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Fatalf("only %d source files found: the test looks in the wrong place", len(all))
	}
	return all
}

func (s source) imports() []string {
	var paths []string
	for _, i := range s.file.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		paths = append(paths, p)
	}
	return paths
}

func TestImportsPointDownTheFloors(t *testing.T) {
	for _, s := range sources(t) {
		floor, isRoom := floors[s.room]
		if !isRoom && !slices.Contains(apart, s.room) {
			t.Errorf("%s: %q is not a room of the house: give it a floor here and a line in docs/ARCHITECTURE.md", s.path, s.room)
			continue
		}
		for _, p := range s.imports() {
			inside, ok := strings.CutPrefix(p, "paddock/")
			if !ok {
				continue
			}
			room, _, _ := strings.Cut(inside, "/")
			if !isRoom || room == s.room {
				continue
			}
			if s.room == "cmd" && room == "bench" {
				continue // `paddock bench` is a command of the one binary
			}
			if other, ok := floors[room]; !ok || other >= floor {
				t.Errorf("%s imports %s: %s is on floor %d, %s on floor %d", s.path, p, s.room, floor, room, other)
			}
		}
	}
}

func TestGnetIsKnownToNetOnly(t *testing.T) {
	for _, s := range sources(t) {
		for _, p := range s.imports() {
			if strings.HasPrefix(p, "github.com/panjf2000/gnet") && s.room != "net" && s.room != "bench" {
				t.Errorf("%s imports %s: only net knows it", s.path, p)
			}
		}
	}
}

func TestUnsafeHasOneHome(t *testing.T) {
	for _, s := range sources(t) {
		if s.room != "slab" && slices.Contains(s.imports(), "unsafe") {
			t.Errorf("%s imports unsafe: its one home is slab", s.path)
		}
	}
}

func TestDecidingCodeIsPure(t *testing.T) {
	seen := 0
	for _, s := range sources(t) {
		allowedSync, isPure := pure[s.room]
		if !isPure && !slices.Contains(pureFiles, s.path) || slices.Contains(shells, path.Dir(s.path)) {
			continue
		}
		seen++
		for _, p := range s.imports() {
			if slices.Contains(shells, strings.TrimPrefix(p, "paddock/")) {
				t.Errorf("%s imports %s: what decides does not know its shell", s.path, p)
			}
		}
		for _, fault := range impurities(s, allowedSync) {
			t.Error(fault)
		}
	}
	if seen < len(pureFiles) {
		t.Errorf("only %d deciding files seen", seen)
	}
}

// impurities lists what deciding code must not do: import I/O or chance, look at a clock, start a
// goroutine, use a channel, walk a map without a mark that says why its order does not matter.
func impurities(s source, allowedSync []string) []string {
	var faults []string
	fault := func(n ast.Node, format string, a ...any) {
		faults = append(faults, fmt.Sprintf("%s: ", s.fset.Position(n.Pos()))+fmt.Sprintf(format, a...))
	}
	for _, i := range s.file.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		if slices.Contains(forbidden, p) || strings.HasPrefix(p, "sync") && !slices.Contains(allowedSync, p) {
			fault(i, "imports %s", p)
		}
	}
	marks := orderFreeLines(s)
	maps := mapNames(s.file)
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			fault(n, "starts a goroutine")
		case *ast.SelectStmt:
			fault(n, "selects")
		case *ast.SendStmt:
			fault(n, "sends on a channel")
		case *ast.ChanType:
			fault(n, "has a channel")
		case *ast.UnaryExpr:
			if n.Op == token.ARROW {
				fault(n, "receives from a channel")
			}
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && x.Obj == nil && !slices.Contains(allowedTime, n.Sel.Name) {
				fault(n, "uses time.%s", n.Sel.Name)
			}
		case *ast.RangeStmt:
			if maps[lastName(n.X)] && !marks[s.fset.Position(n.Pos()).Line] {
				fault(n, "walks the map %s: sort its keys, or say with // order-free why the order does not matter", lastName(n.X))
			}
		}
		return true
	})
	return faults
}

func orderFreeLines(s source) map[int]bool {
	lines := map[int]bool{}
	for _, g := range s.file.Comments {
		for _, c := range g.List {
			if strings.Contains(c.Text, "order-free") {
				line := s.fset.Position(c.Pos()).Line
				lines[line], lines[line+1] = true, true
			}
		}
	}
	return lines
}

// mapNames collects the names of variables and fields of the file that are maps.
func mapNames(f *ast.File) map[string]bool {
	names := map[string]bool{}
	note := func(ids []*ast.Ident, typ ast.Expr) {
		if _, ok := typ.(*ast.MapType); ok {
			for _, id := range ids {
				names[id.Name] = true
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			note(n.Names, n.Type)
		case *ast.ValueSpec:
			note(n.Names, n.Type)
			for i, v := range n.Values {
				if isMapExpr(v) && i < len(n.Names) {
					names[n.Names[i].Name] = true
				}
			}
		case *ast.AssignStmt:
			for i, v := range n.Rhs {
				if isMapExpr(v) && i < len(n.Lhs) {
					names[lastName(n.Lhs[i])] = true
				}
			}
		}
		return true
	})
	return names
}

func isMapExpr(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.CompositeLit:
		_, ok := e.Type.(*ast.MapType)
		return ok
	case *ast.CallExpr:
		if id, ok := e.Fun.(*ast.Ident); ok && id.Name == "make" && len(e.Args) > 0 {
			_, ok := e.Args[0].(*ast.MapType)
			return ok
		}
	}
	return false
}

func lastName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// TestShapeTestsBite feeds the lint code that breaks each rule: a rule nobody has seen fail is none.
func TestShapeTestsBite(t *testing.T) {
	const bad = `package bad
import ("os"; "sync"; "time")
type t struct{ m map[string]int; c chan int }
func f(x *t) {
	go f(x)
	x.c <- 1
	<-x.c
	select {}
	for range x.m {}
	for range x.m {} // order-free: counts only
	_ = time.Now()
	_ = time.Second
	os.Exit(1)
	var mu sync.Mutex
	mu.Lock()
}`
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "bad.go", bad, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	got := impurities(source{"bad.go", "bad", f, fset}, nil)
	want := []string{"imports os", "imports sync", "has a channel", "starts a goroutine", "sends on a channel",
		"receives from a channel", "selects", "walks the map m", "uses time.Now"}
	for _, w := range want {
		if n := strings.Count(strings.Join(got, "\n"), w); n != 1 {
			t.Errorf("%q found %d times, want once, in:\n%s", w, n, strings.Join(got, "\n"))
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %d faults, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
}

// TestEveryRoomHasADoor: a newcomer can read each room's doc.go alone, and ARCHITECTURE.md names it.
func TestEveryRoomHasADoor(t *testing.T) {
	doc, err := os.ReadFile("docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	for room := range floors {
		if room != "cmd" {
			if _, err := os.Stat(filepath.Join(room, "doc.go")); err != nil {
				t.Errorf("room %s: %v", room, err)
			}
		}
		if !strings.Contains(string(doc), "`"+room) {
			t.Errorf("docs/ARCHITECTURE.md does not name the room `%s`", room)
		}
	}
}
