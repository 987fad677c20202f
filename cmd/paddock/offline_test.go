package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paddock/snap"
	"paddock/tree"
	"paddock/vfs"
	"paddock/wal"
	"paddock/wire"
)

// A stopped server's directory: a session, a node, a multi, an error, changes of /a up to zxid 12, each in
// a batch of its own; a snapshot at 3; all sealed.
type stopped struct {
	dir, log, snap string
	file           string // the one segment
}

func stoppedServer(t *testing.T) stopped {
	t.Helper()
	dir := t.TempDir()
	d := stopped{dir: dir, log: filepath.Join(dir, "paddock", "log"), snap: filepath.Join(dir, "paddock", "snap")}
	d.file = filepath.Join(d.log, "0000000000000001.wal")
	must(t, os.MkdirAll(d.snap, 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "paddock", "lock"), nil, 0o600))
	l, err := wal.Open(vfs.OS(), d.log, wal.Options{SegmentBytes: 64 << 10})
	must(t, err)
	state := tree.New(tree.Options{})
	b := wal.NewBatch(0)
	for i, txn := range script() {
		zxid := wire.Zxid(i + 1)
		b.Reset()
		b.Add(zxid, txn)
		must(t, l.Commit(b, 0, 0, 0))
		state.Apply(txn, nil, nil)
		if zxid == 3 {
			view, err := state.OpenView()
			must(t, err)
			_, err = snap.Write(vfs.OS(), d.snap, view, 1_700_000_000_000, snap.Options{})
			must(t, err)
			view.Close()
		}
	}
	must(t, l.Close())
	return d
}

func script() (txns [][]byte) {
	add := func(typ wire.Op, body []byte) {
		h := wire.TxnHeader{ClientID: 0x100, Cxid: 7, Zxid: wire.Zxid(len(txns) + 1), Time: 1_700_000_000_123, Type: typ}
		txns = append(txns, append(h.Append(nil), body...))
	}
	session := wire.CreateSessionTxn{TimeOut: 30_000}
	add(wire.OpCreateSession, session.Append(nil))
	create := wire.CreateTxn{Path: []byte("/a"), Data: []byte("one"), ACL: wire.OpenACL, ParentCVersion: 1}
	add(wire.OpCreate, create.Append(nil))
	multi, mark := wire.BeginMultiTxn(nil)
	multi, part := wire.BeginTxnPart(multi, wire.OpCreate)
	create = wire.CreateTxn{Path: []byte("/b\n"), ACL: wire.OpenACL, ParentCVersion: 2}
	multi = wire.EndTxnPart(create.Append(multi), part)
	multi, part = wire.BeginTxnPart(multi, wire.OpSetData)
	set := wire.SetDataTxn{Path: []byte("/a"), Data: []byte("zwei"), Version: 1}
	multi = wire.EndTxnPart(set.Append(multi), part)
	add(wire.OpMulti, wire.EndMultiTxn(multi, mark, 2))
	failed := wire.ErrorTxn{Err: wire.NoNode}
	add(wire.OpError, failed.Append(nil))
	for version := int32(2); version < 10; version++ {
		set := wire.SetDataTxn{Path: []byte("/a"), Data: []byte("x"), Version: version}
		add(wire.OpSetData, set.Append(nil))
	}
	return txns
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// paddock runs a command line and returns the exit code and what it printed.
func paddock(args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(args, nil, &out, &err)
	return code, out.String(), err.String()
}

// batchAt returns where in the segment the transaction zxid stands: the first sector is at 8 + index.
func (d *stopped) batchAt(t *testing.T, zxid wire.Zxid) int64 {
	t.Helper()
	_, out, _ := paddock("log", "dump", "--dir", d.log)
	for line := range strings.Lines(out) {
		var off int64
		var first wire.Zxid
		if n, _ := fmt.Sscanf(line, " %d data #%d 0x%x..", &off, new(int), &first); n == 3 && first == zxid {
			return off
		}
	}
	t.Fatalf("zxid %v is not in\n%s", zxid, out)
	return 0
}

func (d *stopped) damage(t *testing.T, file string, off int64) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	b := make([]byte, 1)
	_, err = f.ReadAt(b, off)
	must(t, err)
	b[0] ^= 1
	_, err = f.WriteAt(b, off)
	must(t, err)
}

func TestLogDump(t *testing.T) {
	d := stoppedServer(t)
	code, out, stderr := paddock("log", "dump", "--dir", d.log)
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	wantParts(t, "dump", out, []string{
		"segment 1: 65536 bytes",
		"0x1 2023-11-14T22:13:20.123Z createSession session 0x100 cxid 7 timeout 30000 ms\n",
		"0x2 2023-11-14T22:13:20.123Z create session 0x100 cxid 7 \"/a\" 3 bytes\n",
		"0x3 2023-11-14T22:13:20.123Z multi session 0x100 cxid 7 [create \"/b\\n\" 0 bytes] [setData \"/a\" 4 bytes]\n",
		"0x4 2023-11-14T22:13:20.123Z error session 0x100 cxid 7 NoNode(-101)\n",
		"0x5 2023-11-14T22:13:20.123Z setData session 0x100 cxid 7 \"/a\" 1 bytes\n",
		"seal",
	})
	code, out, _ = paddock("log", "dump", "--dir", d.log, "--from", "0x4", "--to", "5")
	if code != exitOK || !strings.Contains(out, " 0x4 ") || !strings.Contains(out, " 0x5 ") ||
		strings.Contains(out, " 0x3 ") || strings.Contains(out, " 0x6 ") || strings.Contains(out, "seal") {
		t.Errorf("dump of 4 to 5: code %d,\n%s", code, out)
	}
	for _, bad := range []string{"-1", "x", ""} {
		if code, _, stderr := paddock("log", "dump", "--dir", d.log, "--from="+bad); code != exitUsage {
			t.Errorf("--from=%s: exit code %d, %s", bad, code, stderr)
		}
	}
	if code, _, stderr := paddock("log", "dump", "--dir", filepath.Join(d.dir, "none")); code != exitFailure {
		t.Errorf("no directory: exit code %d, %s", code, stderr)
	}
}

func TestTransactionsThatDoNotDecodeArePrintedAsSuch(t *testing.T) {
	txn := script()[1]
	if got := txnLine(txn[:40]); !strings.HasPrefix(got, "40 bytes that are no transaction: ") {
		t.Errorf("got %q", got)
	}
}

func TestAcceptLoss(t *testing.T) {
	d := stoppedServer(t)
	code, out, _ := paddock("log", "accept-loss", "--dir", d.log, "--yes")
	if code != exitOK || !strings.Contains(out, "The log is whole up to zxid 0xc: there is nothing to give up.\n") {
		t.Fatalf("a whole log: exit code %d, %s", code, out)
	}

	at := d.batchAt(t, 6)
	d.damage(t, d.file, at+140)
	_, openErr := wal.Open(vfs.OS(), d.log, wal.Options{After: 3})
	if openErr == nil || !strings.HasSuffix(openErr.Error(), "paddock log accept-loss --dir "+d.log) {
		t.Fatalf("open of the damaged log: %v", openErr)
	}
	before, err := os.ReadFile(d.file)
	must(t, err)
	want := []string{
		"Snapshot: " + filepath.Join(d.snap, "0000000000000003.snap") + ", zxid 0x3, verified.\n",
		fmt.Sprintf("Damage: hole at byte %d of %s: a sector of the batch does not match its sum\n", at, d.file),
		"Cannot be read: transactions after zxid 0x5 up to 0x6.\n",
		"The log would end at zxid 0x5. Given up although they can be read: 6 transactions, 0x7 to 0xc\n" +
			"(paddock log dump --dir " + d.log + " --from 0x7 prints them).\n",
		"Clients may have been told that all of these had happened. Restoring the file from a copy loses nothing.\n",
	}
	code, out, stderr := paddock("log", "accept-loss", "--dir", d.log)
	if code != exitFailure || stderr != "paddock: nothing was changed; with --yes the above is given up\n" {
		t.Errorf("without --yes: exit code %d, %s", code, stderr)
	}
	wantParts(t, "without --yes", out, want)
	if after, err := os.ReadFile(d.file); err != nil || !bytes.Equal(before, after) {
		t.Errorf("without --yes the segment was changed, or %v", err)
	}

	code, out, stderr = paddock("log", "accept-loss", "--dir", d.log, "--yes")
	if code != exitOK {
		t.Errorf("with --yes: exit code %d, %s", code, stderr)
	}
	wantParts(t, "with --yes", out, append(want, "Given up. The log goes on after zxid 0x5, and the server can start.\n"))
	l, err := wal.Open(vfs.OS(), d.log, wal.Options{After: 3})
	must(t, err)
	if l.Last() != 5 {
		t.Errorf("the log ends at %v, want 0x5", l.Last())
	}
	must(t, l.Close())
	if code, out, _ := paddock("log", "dump", "--dir", d.log, "--from", "7"); code != exitOK || !strings.Contains(out, " 0xc ") {
		t.Errorf("what was given up cannot be dumped any more: exit code %d\n%s", code, out)
	}
}

// What comes before the snapshot is not needed, and is never a reason to give up the rest.
func TestAcceptLossGoesByTheSnapshot(t *testing.T) {
	d := stoppedServer(t)
	d.damage(t, d.file, d.batchAt(t, 2)+200)
	code, out, stderr := paddock("log", "accept-loss", "--dir", d.log, "--yes")
	if code != exitOK || !strings.Contains(out, "The log is whole up to zxid 0xc") {
		t.Errorf("damage below the snapshot: exit code %d, %s%s", code, out, stderr)
	}
	elsewhere := filepath.Join(t.TempDir(), "snapshots")
	must(t, os.Rename(d.snap, elsewhere))
	code, _, stderr = paddock("log", "accept-loss", "--dir", d.log, "--yes")
	if want := "paddock: there is no " + d.snap + ": say with --snapshots where the snapshots are (dataDir/paddock/snap)\n"; code != exitFailure || stderr != want {
		t.Errorf("without the snapshots: exit code %d, %q, want %q", code, stderr, want)
	}
	if code, out, stderr = paddock("log", "accept-loss", "--dir", d.log, "--snapshots", elsewhere); code != exitOK {
		t.Errorf("with --snapshots: exit code %d, %s%s", code, out, stderr)
	}
	d.damage(t, filepath.Join(elsewhere, "0000000000000003.snap"), 300)
	code, out, stderr = paddock("log", "accept-loss", "--dir", d.log, "--snapshots", elsewhere)
	if code != exitFailure || !strings.Contains(out, "is passed over: ") || !strings.Contains(out, "the log is all there is") ||
		!strings.Contains(out, "The log would end at zxid 0x1. Given up although they can be read: 10 transactions, 0x3 to 0xc") {
		t.Errorf("with a damaged snapshot: exit code %d, %s%s", code, out, stderr)
	}
}

func TestOfflineCommandsWantTheRightDirectory(t *testing.T) {
	d := stoppedServer(t)
	code, _, stderr := paddock("log", "accept-loss", "--dir", d.dir)
	if want := "paddock: " + d.dir + " is not the directory of a log: that is dataLogDir/paddock/log\n"; code != exitFailure || stderr != want {
		t.Errorf("the data directory: exit code %d, %q, want %q", code, stderr, want)
	}
	none := filepath.Join(d.dir, "none")
	for _, args := range [][]string{
		{"log", "accept-loss", "--dir", none}, {"log", "dump", "--dir", none},
		{"snapshot", "list", "--dir", none}, {"snapshot", "verify", "--dir", none}, {"snapshot", "dump", "--dir", none},
	} {
		if code, _, stderr := paddock(args...); code != exitFailure || !strings.Contains(stderr, "no such file") {
			t.Errorf("%q: exit code %d, %s", args, code, stderr)
		}
		if _, err := os.Stat(none); err == nil {
			t.Fatalf("%q made the directory", args)
		}
	}
}

func TestOfflineCommandsRefuseADirectoryInUse(t *testing.T) {
	d := stoppedServer(t)
	commands := [][]string{
		{"log", "dump", "--dir", d.log}, {"log", "accept-loss", "--dir", d.log + "/", "--yes"},
		{"snapshot", "list", "--dir", d.snap}, {"snapshot", "verify", "--dir", d.snap}, {"snapshot", "dump", "--dir", d.snap},
	}
	refuse := func(lock string, commands [][]string) {
		t.Helper()
		held, err := vfs.OS().Lock(lock)
		must(t, err)
		defer held.Close()
		for _, args := range commands {
			code, out, stderr := paddock(args...)
			want := fmt.Sprintf("vfs: %s: locked by another process (pid %d)\n", lock, os.Getpid())
			if code != exitFailure || out != "" || !strings.Contains(stderr, args[3]+" is in use") && !strings.Contains(stderr, "directory "+d.log) ||
				!strings.HasSuffix(stderr, want) {
				t.Errorf("%q: exit code %d, %s%s, want it to end in %q", args, code, out, stderr, want)
			}
		}
	}
	refuse(filepath.Join(d.dir, "paddock", "lock"), commands)
	refuse(filepath.Join(d.log, "LOCK"), commands[:1])
	for _, args := range commands {
		if code, _, stderr := paddock(args...); code != exitOK {
			t.Errorf("%q after the server has ended: exit code %d, %s", args, code, stderr)
		}
	}
}

func TestSnapshotCommands(t *testing.T) {
	d := stoppedServer(t)
	const name = "0000000000000003.snap"
	code, out, stderr := paddock("snapshot", "list", "--dir", d.snap)
	if code != exitOK {
		t.Fatalf("list: exit code %d, %s", code, stderr)
	}
	wantParts(t, "list", out, []string{"FILE", "DIGEST", name + "  0x3   2023-11-14T22:13:20.000Z  6 "})
	code, out, _ = paddock("snapshot", "verify", "--dir", d.snap)
	if code != exitOK || !strings.HasPrefix(out, name+": verified, zxid 0x3, 6 znodes, digest ") {
		t.Errorf("verify: exit code %d, %s", code, out)
	}
	code, out, stderr = paddock("snapshot", "dump", "--dir", d.snap)
	if code != exitOK {
		t.Fatalf("dump: exit code %d, %s", code, stderr)
	}
	wantParts(t, "dump", out, []string{
		"session 0x100 timeout 30000 ms\n",
		"\"/a\" 4 bytes acl 0 czxid 0x2 mzxid 0x3 pzxid 0x2 ",
		"\"/b\\n\" 0 bytes acl 0 czxid 0x3 ",
		name + ": zxid 0x3, 2023-11-14T22:13:20.000Z, 6 znodes, 1 sessions, digest ",
	})

	d.damage(t, filepath.Join(d.snap, name), 300)
	code, out, stderr = paddock("snapshot", "verify", "--dir", d.snap)
	if code != exitFailure || !strings.Contains(out, name+": ") || stderr != "paddock: 1 of 1 snapshots do not verify\n" {
		t.Errorf("verify of a damaged one: exit code %d, %s%s", code, out, stderr)
	}
	if code, _, _ = paddock("snapshot", "dump", "--dir", d.snap, "--file", name); code != exitFailure {
		t.Errorf("dump of a damaged one: exit code %d", code)
	}
	must(t, os.Truncate(filepath.Join(d.snap, name), 10))
	if code, out, _ = paddock("snapshot", "list", "--dir", d.snap); code != exitOK || !strings.Contains(out, "damaged: ") {
		t.Errorf("list of a cut one: exit code %d, %s", code, out)
	}
	must(t, os.Remove(filepath.Join(d.snap, name)))
	if code, out, _ = paddock("snapshot", "verify", "--dir", d.snap); code != exitOK || !strings.Contains(out, "There is no snapshot in ") {
		t.Errorf("verify of none: exit code %d, %s", code, out)
	}
	if code, _, stderr = paddock("snapshot", "dump", "--dir", d.snap); code != exitFailure || !strings.Contains(stderr, "there is no snapshot in ") {
		t.Errorf("dump of none: exit code %d, %s", code, stderr)
	}
}
