package ensemble

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"paddock/test/harness"
)

// Node is a znode as a client sees it.
type Node struct {
	Data string
	ACL  string
	Stat harness.Stat
}

// Tree is everything a client sees on a server.
type Tree struct {
	Zxid  int64 // of the last reply
	Nodes map[string]Node
}

// walker reads a server's tree with a session of its own. It has no right to what others may not read.
type walker struct {
	harness.Session
}

func openWalker(m *harness.Member) (*walker, error) {
	w := &walker{harness.Session{Addrs: []string{m.Addr}, TimeoutMS: 30_000, Patience: 10 * time.Second}}
	if err := w.ConnectTo(0); err != nil {
		return nil, err
	}
	if _, err := w.Call(opSync, harness.Bytes{}.Str("/")); err != nil {
		w.Drop()
		return nil, err
	}
	return w, nil
}

func (w *walker) close() { _ = w.Close() } // nothing hangs on it

// errGone is a node that went away while it was looked at.
var errGone = errors.New("ensemble: the tree changes while it is read")

func (w *walker) ask(op int32, path string, watch bool) (*harness.Fields, error) {
	body := harness.Bytes{}.Str(path)
	if watch {
		body = body.Bool(false)
	}
	r, err := w.Call(op, body)
	switch {
	case err != nil:
		return nil, err
	case r.Err != 0:
		return nil, fmt.Errorf("%w: %s: code %d", errGone, path, r.Err)
	}
	return harness.FieldsOf(r.Body), nil
}

func (w *walker) children(path string) ([]string, error) {
	f, err := w.ask(opGetChildren, path, true)
	if err != nil {
		return nil, err
	}
	names := f.Strs()
	slices.Sort(names)
	return names, nil
}

// walk enters path and all below.
func (w *walker) walk(path string, into map[string]Node) error {
	f, err := w.ask(opGetData, path, true)
	if err != nil {
		return err
	}
	n := Node{Data: f.Str(), Stat: f.Stat()}
	if f, err = w.ask(opGetACL, path, false); err != nil {
		return err
	}
	n.ACL = fmt.Sprint(f.ACLs())
	if path == "/zookeeper/config" {
		n.Stat.Mtime = 0 // each server writes this node by itself when it starts
	}
	into[path] = n
	if n.Stat.NumChildren == 0 {
		return nil
	}
	names, err := w.children(path)
	if err != nil {
		return err
	}
	if path == "/" {
		path = ""
	}
	for _, name := range names {
		if err := w.walk(path+"/"+name, into); err != nil {
			return err
		}
	}
	return nil
}

// Walk reads the tree of a server after a sync.
func Walk(m *harness.Member) (*Tree, error) {
	w, err := openWalker(m)
	if err != nil {
		return nil, fmt.Errorf("ensemble: walk %v: %w", m, err)
	}
	defer w.close()
	t := &Tree{Nodes: map[string]Node{}}
	if err := w.walk("/", t.Nodes); err != nil {
		return nil, fmt.Errorf("ensemble: walk %v: %w", m, err)
	}
	t.Zxid = w.Zxid
	return t, nil
}

// SameTrees reads the trees of all servers that run and compares them. Nobody may write meanwhile.
func SameTrees(e *harness.Ensemble) (*Tree, error) {
	var first *Tree
	var from *harness.Member
	var errs []error
	for _, m := range e.Running() {
		t, err := Walk(m)
		if err != nil && m.Kind() == harness.KindApache38 { // it loses wake-ups (ZOOKEEPER-4537)
			t, err = Walk(m)
		}
		switch {
		case err != nil:
			errs = append(errs, err)
		case first == nil:
			first, from = t, m
		default:
			if diff := first.diff(t); len(diff) > 0 {
				errs = append(errs, fmt.Errorf("ensemble: servers %v and %v differ:\n%s", from, m, joinSome(diff)))
			}
		}
	}
	return first, errors.Join(errs...)
}

// diff says what is different in o, a line each.
func (t *Tree) diff(o *Tree) (lines []string) {
	paths := slices.Collect(maps.Keys(t.Nodes))
	for path := range o.Nodes {
		if _, ok := t.Nodes[path]; !ok {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	for _, path := range paths {
		a, inA := t.Nodes[path]
		b, inB := o.Nodes[path]
		switch {
		case !inA:
			lines = append(lines, path+" is not on the first")
		case !inB:
			lines = append(lines, path+" is not on the second")
		case a != b:
			lines = append(lines, fmt.Sprintf("%s:\n    %+v\n    %+v", path, a, b))
		}
	}
	return lines
}

func joinSome(lines []string) (s string) {
	const keep = 10
	for i, line := range lines {
		if i == keep {
			return s + fmt.Sprintf("  and %d more\n", len(lines)-keep)
		}
		s += "  " + line + "\n"
	}
	return s
}
