//go:build unix

package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestLockNamesFileAndOwner(t *testing.T) {
	name := filepath.Join(t.TempDir(), "LOCK")
	first, err := OS().Lock(name)
	if err != nil {
		t.Fatal(err)
	}
	_, err = OS().Lock(name)
	if !errors.Is(err, ErrLocked) {
		t.Fatalf("second lock: got %v, want ErrLocked", err)
	}
	for _, want := range []string{name, fmt.Sprintf("pid %d", os.Getpid())} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("second lock: %q does not say %q", err, want)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := OS().Lock(name)
	if err != nil {
		t.Fatalf("lock after release: %v", err)
	}
	again.Close()
}

func TestOSFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	o := OS()
	if err := o.MkdirAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := o.MkdirAll(dir); err != nil {
		t.Fatalf("second MkdirAll: %v", err)
	}
	name := filepath.Join(dir, "f")
	f, err := o.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := o.Create(name); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second Create: got %v, want fs.ErrExist", err)
	}
	if err := o.MkdirAll(name); err == nil {
		t.Error("MkdirAll over a file succeeded")
	}
	if err := f.Preallocate(8192); err != nil {
		t.Fatal(err)
	}
	if err := f.Preallocate(100); err != nil { // never shortens
		t.Fatal(err)
	}
	if n, err := f.Size(); n != 8192 || err != nil {
		t.Errorf("size after Preallocate: got %d, %v, want 8192", n, err)
	}
	if _, err := f.WriteAt([]byte("paddock"), 4096); err != nil {
		t.Fatal(err)
	}
	if err := Zero(f, 4099, 600<<10); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(4105); err != nil {
		t.Fatal(err)
	}
	if err := o.Rename(name, name+"2"); err != nil {
		t.Fatal(err)
	}
	if err := o.SyncDir(dir); err != nil {
		t.Fatal(err)
	}
	if names, err := o.List(dir); !slices.Equal(names, []string{"f2"}) || err != nil {
		t.Errorf("list: got %q, %v, want [f2]", names, err)
	}
	r, err := o.Open(name + "2")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(io.NewSectionReader(r, 4096, 100))
	if string(got) != "pad\x00\x00\x00\x00\x00\x00" || err != nil {
		t.Errorf("read: got %q, %v", got, err)
	}
	if _, err := r.WriteAt([]byte("x"), 0); err == nil {
		t.Error("a file opened for reading was written")
	}
	if info, err := o.Stat(dir); !info.Dir || err != nil {
		t.Errorf("stat of the directory: got %+v, %v", info, err)
	}
	if free, err := o.Free(dir); free <= 0 || err != nil {
		t.Errorf("free: got %d, %v", free, err)
	}
	if err := o.Remove(name + "2"); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"open":       second(o.Open(name)),
		"open write": second(o.OpenWrite(name)),
		"stat":       second(o.Stat(name)),
		"remove":     o.Remove(name),
		"sync dir":   o.SyncDir(name),
		"list":       second(o.List(name)),
		"free":       second(o.Free(name)),
		"lock":       second(o.Lock(filepath.Join(name, "LOCK"))),
	} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s of a missing file: got %v, want fs.ErrNotExist", what, err)
		}
	}
}

func TestOSFileAfterClose(t *testing.T) {
	f, err := OS().Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := f.Size(); err == nil {
		t.Error("Size of a closed file succeeded")
	}
	if err := f.Sync(); err == nil {
		t.Error("Sync of a closed file succeeded")
	}
	if err := f.Preallocate(1); err == nil {
		t.Error("Preallocate of a closed file succeeded")
	}
	if err := Zero(f, 0, 1); err == nil {
		t.Error("Zero of a closed file succeeded")
	}
}

func second[T any](_ T, err error) error { return err }
