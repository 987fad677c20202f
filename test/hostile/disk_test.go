package hostile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"paddock/test/harness"
	"paddock/wire"
)

// smallDisk mounts a file system of that many MiB in memory; it is gone after the test.
func smallDisk(t *testing.T, mib int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", mib)); err != nil {
		t.Skipf("NOT TESTED: a small disk cannot be mounted here (%v); package server tests it with a file system of its own", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// A disk that fills up: writes are refused with a code that every client retries, reads go on, nobody
// expires, nothing acknowledged is lost, and with space it all goes on.
func TestAFullDisk(t *testing.T) {
	t.Parallel() // nothing is measured here
	disk := smallDisk(t, 112)
	s := start(t, harness.Settings{"dataDir": disk, "preAllocSize": "1024", "snapCount": "1000000"})
	c, silent := open(t, s, 1000), open(t, s, 1000)
	c.ok(wire.OpCreate, createBody("/d", nil, 0))
	silent.ok(wire.OpCreate, createBody("/silent", nil, 1))
	// Somebody else's file leaves less than the server keeps free.
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 60<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	acked, refusal := 0, int32(0)
	eventually(t, 15*time.Second, "a write is refused", func() bool {
		r := c.call(wire.OpCreate, createBody(fmt.Sprintf("/d/%d", acked), nil, 0))
		if refusal = r.Err; r.Err == 0 {
			acked++
		}
		return r.Err != 0
	})
	if refusal != int32(wire.OperationTimeout) {
		t.Fatalf("the refusal is code %d, want %d", refusal, wire.OperationTimeout)
	}
	wantLog(t, s, "level=ERROR", "the disk is nearly full: writes are refused until there is space, reads go on", "freeBytes=")
	for _, op := range []struct {
		op   wire.Op
		body harness.Bytes
	}{
		{wire.OpSetData, setBody("/d", nil)}, {wire.OpDelete, harness.Bytes(nil).Str("/d").Int(-1)},
		{wire.OpMulti, harness.Bytes(nil).Int(-1).Bool(true).Int(-1)},
	} {
		if r := c.call(op.op, op.body); r.Err != int32(wire.OperationTimeout) {
			t.Errorf("%v on a full disk: code %d, want %d", op.op, r.Err, wire.OperationTimeout)
		}
	}
	for i := range acked {
		c.ok(wire.OpExists, readBody(fmt.Sprintf("/d/%d", i), false))
	}
	time.Sleep(2500 * time.Millisecond) // more than the silent session's timeout
	c.ok(wire.OpExists, readBody("/silent", false))
	if n, lives := renew(t, s, silent); !lives {
		t.Error("a session expired on a full disk")
	} else {
		n.ok(wire.OpGetData, readBody("/d", false))
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	eventually(t, 15*time.Second, "writes are taken again", func() bool {
		r := c.call(wire.OpCreate, createBody(fmt.Sprintf("/d/%d", acked), nil, 0))
		if r.Err != 0 && r.Err != int32(wire.OperationTimeout) {
			t.Fatalf("code %d", r.Err)
		}
		return r.Err == 0
	})
	acked++
	wantLog(t, s, "there is space again: writes are taken")
	s.Kill()
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	d := open(t, s, 10_000)
	for i := range acked {
		d.ok(wire.OpExists, readBody(fmt.Sprintf("/d/%d", i), false))
	}
	if r := d.call(wire.OpExists, readBody(fmt.Sprintf("/d/%d", acked), false)); r.Err != int32(wire.NoNode) {
		t.Errorf("a refused write is there: code %d", r.Err)
	}
}

// A disk without any space at all, from one moment to the next: the log cannot be written, so the
// server stops rather than acknowledge; what it had acknowledged is there when there is space again.
func TestADiskFullBetweenTwoLooks(t *testing.T) {
	t.Parallel() // nothing is measured here
	disk := smallDisk(t, 112)
	s := start(t, harness.Settings{"dataDir": disk, "preAllocSize": "64", "snapCount": "1000000"})
	c := open(t, s, 10_000)
	c.ok(wire.OpCreate, createBody("/d", nil, 0))
	ballast := filepath.Join(disk, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for chunk := make([]byte, 1<<20); err == nil; {
		_, err = f.Write(chunk)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	acked := 0
	c.Timeout = 2 * time.Second // a write that waits for space has no answer, and that is right too
	data := make([]byte, 20<<10)
	for i := range 2000 {
		r, err := c.try(wire.OpCreate, createBody(fmt.Sprintf("/d/%d", i), data, 0))
		if err != nil || r.Err == int32(wire.OperationTimeout) {
			break
		}
		if r.Err != 0 {
			t.Fatalf("code %d", r.Err)
		}
		acked++
	}
	f.Close() // an open file keeps its space
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if s.Alive() {
		t.Logf("the server noticed in time: it lives, %d writes acknowledged", acked)
		s.Kill()
	} else {
		wantLog(t, s, "the server stops", "no space left on device")
		if code := exitCode(s.Stop()); code != 70 {
			t.Errorf("exit code %d, want 70", code)
		}
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	d := open(t, s, 10_000)
	for i := range acked {
		d.ok(wire.OpExists, readBody(fmt.Sprintf("/d/%d", i), false))
	}
	t.Logf("%d writes acknowledged, all there", acked)
}

func exitCode(err error) int {
	var e interface{ ExitCode() int }
	if errors.As(err, &e) {
		return e.ExitCode()
	}
	return 0
}

func TestRefusalsAtStart(t *testing.T) {
	t.Parallel() // nothing is measured here
	t.Run("a file where the data directory should be", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		said, code := refused(t, harness.Settings{"dataDir": file})
		wantRefusal(t, said, code, file, "not a directory")
	})
	t.Run("a read-only data directory", func(t *testing.T) {
		disk := smallDisk(t, 1)
		if err := syscall.Mount("", disk, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
			t.Skipf("NOT TESTED: a file system cannot be made read-only here: %v", err)
		}
		said, code := refused(t, harness.Settings{"dataDir": disk})
		wantRefusal(t, said, code, disk, "read-only file system", "dataDir has to be writable")
	})
	t.Run("a disk without space", func(t *testing.T) {
		disk := smallDisk(t, 1)
		if err := os.WriteFile(filepath.Join(disk, "ballast"), make([]byte, 1<<20), 0o600); err == nil {
			t.Log("the ballast fits")
		}
		said, code := refused(t, harness.Settings{"dataDir": disk})
		wantRefusal(t, said, code, disk, "no space left on device")
	})
	t.Run("another server in the directory", func(t *testing.T) {
		s := start(t, nil)
		said, code := refused(t, harness.Settings{"dataDir": s.Dir})
		wantRefusal(t, said, code, s.Dir, "pid "+strconv.Itoa(s.Pid()), "locked by another process")
		open(t, s, 1000).ok(wire.OpGetData, readBody("/", false))
	})
	t.Run("a port in use", func(t *testing.T) {
		s := start(t, nil)
		_, port, _ := strings.Cut(s.Addr, ":")
		said, code := refused(t, harness.Settings{"clientPort": port})
		wantRefusal(t, said, code, s.Addr, "in use")
		open(t, s, 1000).ok(wire.OpGetData, readBody("/", false))
	})
	t.Run("the data of an Apache server", func(t *testing.T) {
		dir := t.TempDir()
		if err := harness.WriteApacheSnapshot(dir, 7, nil); err != nil {
			t.Fatal(err)
		}
		said, code := refused(t, harness.Settings{"dataDir": dir})
		wantRefusal(t, said, code, filepath.Join(dir, "version-2", "snapshot.7"), "Apache")
	})
}

// filled is a server that was stopped with some data in it; restart and look are up to the caller.
func filled(t *testing.T, more harness.Settings, n int) *harness.Server {
	t.Helper()
	s := start(t, more)
	c := open(t, s, 10_000)
	c.ok(wire.OpCreate, createBody("/f", nil, 0))
	for i := range n {
		c.ok(wire.OpCreate, createBody(fmt.Sprintf("/f/%d", i), []byte(strings.Repeat("data ", 50)), 0))
	}
	if err := s.Stop(); err != nil {
		t.Fatalf("stop: %v\n%s", err, s.LogTail())
	}
	return s
}

func glob(t *testing.T, pattern ...string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(pattern...))
	if err != nil || len(names) == 0 {
		t.Fatalf("%v: %v, %v", pattern, names, err)
	}
	return names // sorted
}

// flip turns one byte of a file.
func flip(t *testing.T, name string, off int64) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[off] ^= 0x10
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// One byte turned in the middle of the log: the server does not start, and says where.
func TestADamagedLogIsNotStartedFrom(t *testing.T) {
	t.Parallel() // nothing is measured here
	s := filled(t, nil, 200)
	segment := glob(t, s.Dir, "paddock", "log", "*")[0]
	b, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	at := int64(bytes.Index(b, []byte("/f/100"))) // in the middle of the log
	if at < 0 {
		t.Fatalf("%s does not hold the transactions", segment)
	}
	flip(t, segment, at)
	err = s.Restart()
	if err == nil {
		t.Fatalf("the server started from a damaged log\n%s", s.LogTail())
	}
	wantRefusal(t, err.Error(), exitCode(err), segment, "at byte", "paddock log accept-loss")
	flip(t, segment, at) // it was this byte alone
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	open(t, s, 1000).ok(wire.OpExists, readBody("/f/199", false))
}

// One byte turned in the newest snapshot: an older one and more of the log do as well.
func TestADamagedSnapshotIsPassedOver(t *testing.T) {
	t.Parallel() // nothing is measured here
	s := filled(t, harness.Settings{"snapCount": "100"}, 450)
	snaps := glob(t, s.Dir, "paddock", "snap", "*.snap")
	if len(snaps) < 2 {
		t.Fatalf("only %v: nothing to fall back on", snaps)
	}
	newest := snaps[len(snaps)-1]
	info, err := os.Stat(newest)
	if err != nil {
		t.Fatal(err)
	}
	flip(t, newest, info.Size()/2)
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	wantLog(t, s, "level=ERROR", "snapshot passed over", filepath.Base(newest), "kept as")
	c := open(t, s, 1000)
	for i := range 450 {
		c.ok(wire.OpExists, readBody(fmt.Sprintf("/f/%d", i), false))
	}
	if len(glob(t, s.Dir, "paddock", "snap", filepath.Base(newest)+".corrupt*")) != 1 {
		t.Error("the damaged snapshot is not kept for whoever wants to look at it")
	}
}
