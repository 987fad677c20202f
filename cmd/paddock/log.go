package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"paddock/snap"
	"paddock/vfs"
	"paddock/wal"
	"paddock/wire"
)

// logCmd is "paddock log": what can be done to a log while no server uses it.
type logCmd struct {
	Dump       logDumpCmd    `cmd:"" help:"Print the log: batches and their transactions."`
	AcceptLoss acceptLossCmd `cmd:"" help:"Give up what a damaged log has lost, so that the server starts."`
}

// logDumpCmd is "paddock log dump".
type logDumpCmd struct {
	Dir  string  `required:"" placeholder:"DIR" help:"Directory of the log: dataLogDir/paddock/log."`
	From zxidArg `placeholder:"ZXID" help:"First zxid to print, as 0x1f or 31."`
	To   zxidArg `placeholder:"ZXID" help:"Last zxid to print."`
}

// Run prints what the segments hold, damage too. Transactions that a later segment replaces are
// printed where they are.
func (c *logDumpCmd) Run(p *process) error {
	unlock, err := lockOffline(c.Dir, "LOCK")
	if err != nil {
		return err
	}
	defer unlock()
	out := bufio.NewWriter(p.stdout)
	err = wal.Dump(out, vfs.OS(), c.Dir, wal.DumpOptions{
		From: wire.Zxid(c.From), To: wire.Zxid(c.To),
		Txn: func(_ wire.Zxid, txn []byte) string { return txnLine(txn) },
	})
	return errors.Join(err, out.Flush())
}

// acceptLossCmd is "paddock log accept-loss", which the errors of a damaged log name.
type acceptLossCmd struct {
	Dir       string `required:"" placeholder:"DIR" help:"Directory of the log: dataLogDir/paddock/log."`
	Snapshots string `placeholder:"DIR" help:"Directory of the snapshots: dataDir/paddock/snap. Default: snap beside the log."`
	Yes       bool   `help:"Do it. Without it nothing is changed, and what would be given up is printed."`
}

// Help is printed by --help.
func (c *acceptLossCmd) Help() string {
	return "Without --yes it says what would be given up and changes nothing. No file is removed: what was given up can still be " +
		"read with paddock log dump. Run it as the user the server runs as, who has to be able to open what it writes."
}

// Run examines the log, says what is lost, and with --yes gives it up.
func (c *acceptLossCmd) Run(p *process) error {
	if err := isLog(c.Dir); err != nil {
		return err
	}
	unlock, err := lockOffline(c.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	after, err := c.snapshot(p)
	if err != nil {
		return err
	}
	o := wal.Options{After: after}
	loss, err := wal.ExamineLoss(vfs.OS(), c.Dir, o)
	if err != nil {
		return err
	}
	if loss.Damage == nil {
		fmt.Fprintf(p.stdout, "The log is whole up to zxid %v: there is nothing to give up.\n", loss.Last)
		return nil
	}
	c.explain(p, &loss)
	if !c.Yes {
		return errors.New("nothing was changed; with --yes the above is given up")
	}
	if loss, err = wal.AcceptLoss(vfs.OS(), c.Dir, o); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "Given up. The log goes on after zxid %v, and the server can start.\n", loss.Last)
	return nil
}

// isLog keeps a mistyped directory from being made, and found whole.
func isLog(dir string) error {
	names, err := vfs.OS().List(dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if n == "LOCK" || strings.HasSuffix(n, ".wal") {
			return nil
		}
	}
	return fmt.Errorf("%s is not the directory of a log: that is dataLogDir/paddock/log", dir)
}

// snapshot returns the zxid of the snapshot that the server would load: up to there the log is not
// needed. Without the snapshots nobody can say what is lost.
func (c *acceptLossCmd) snapshot(p *process) (wire.Zxid, error) {
	dir := c.Snapshots
	if dir == "" {
		dir = filepath.Join(filepath.Dir(filepath.Clean(c.Dir)), "snap")
	}
	entries, err := snap.List(vfs.OS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("there is no %s: say with --snapshots where the snapshots are (dataDir/paddock/snap)", dir)
	}
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		info, err := snap.Verify(vfs.OS(), filepath.Join(dir, e.Name), snap.Options{})
		if err == nil && info.Zxid != e.Zxid {
			err = e.Err
		}
		if err == nil {
			fmt.Fprintf(p.stdout, "Snapshot: %s, zxid %v, verified.\n", filepath.Join(dir, e.Name), info.Zxid)
			return info.Zxid, nil
		}
		fmt.Fprintf(p.stdout, "Snapshot %s is passed over: %v\n", filepath.Join(dir, e.Name), err)
	}
	fmt.Fprintf(p.stdout, "There is no snapshot in %s: the log is all there is.\n", dir)
	return 0, nil
}

// explain says exactly what is given up: what cannot be read, and what can but comes later.
func (c *acceptLossCmd) explain(p *process, loss *wal.Loss) {
	d := loss.Damage
	fmt.Fprintf(p.stdout, "Damage: %v at byte %d of %s: %v\n", d.Class, d.Offset, d.File, d.Err)
	fmt.Fprintf(p.stdout, "Cannot be read: transactions after zxid %s up to %s.\n", zxidOrUnknown(d.After), zxidOrUnknown(d.Until))
	fmt.Fprintf(p.stdout, "The log would end at zxid %v. ", loss.Last)
	if first, last, n := c.readableAbove(loss.Last); n > 0 {
		fmt.Fprintf(p.stdout, "Given up although they can be read: %d transactions, %v to %v\n(paddock log dump --dir %s --from %v prints them).\n",
			n, first, last, c.Dir, first)
	} else {
		fmt.Fprintln(p.stdout, "No transaction after it can be read.")
	}
	fmt.Fprintln(p.stdout, "Clients may have been told that all of these had happened. Restoring the file from a copy loses nothing.")
}

// readableAbove counts the transactions after z that verify, wherever they are.
func (c *acceptLossCmd) readableAbove(z wire.Zxid) (first, last wire.Zxid, n int) {
	seen := map[wire.Zxid]bool{}
	wal.Dump(io.Discard, vfs.OS(), c.Dir, wal.DumpOptions{From: z + 1, Txn: func(zxid wire.Zxid, _ []byte) string {
		if seen[zxid] {
			return "" // written twice, because a start found no seal
		}
		seen[zxid] = true
		if n++; n == 1 || zxid < first {
			first = zxid
		}
		last = max(last, zxid)
		return ""
	}})
	return first, last, n
}

func zxidOrUnknown(z wire.Zxid) string {
	if z < 0 {
		return "unknown"
	}
	return z.String()
}

// lockOffline sees to it that no server uses dir while the command runs. It takes the lock that the
// server holds beside the directory, and those named in it, where they are; the copy of a directory
// that never was a server's has none.
func lockOffline(dir string, own ...string) (unlock func(), err error) {
	names := []string{filepath.Join(filepath.Dir(filepath.Clean(dir)), "lock")}
	for _, n := range own {
		names = append(names, filepath.Join(dir, n))
	}
	var unlocks []func() error
	unlock = func() {
		for _, f := range unlocks {
			f()
		}
	}
	for _, name := range names {
		if _, err := vfs.OS().Stat(name); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		lock, err := vfs.OS().Lock(name)
		if err != nil {
			unlock()
			return nil, fmt.Errorf("%s is in use, stop the server first: %w", dir, err)
		}
		unlocks = append(unlocks, lock.Close)
	}
	return unlock, nil
}

// zxidArg is a zxid on the command line: decimal, or hexadecimal with 0x as it is printed.
type zxidArg wire.Zxid

// UnmarshalText implements encoding.TextUnmarshaler.
func (z *zxidArg) UnmarshalText(b []byte) error {
	n, err := strconv.ParseInt(string(b), 0, 64)
	if err != nil || n < 0 {
		return fmt.Errorf("%q is not a zxid (write 0x1f or 31)", b)
	}
	*z = zxidArg(n)
	return nil
}

// txnLine is a transaction on one line: zxid, time, type, session, and what it does. Paths are quoted,
// for they may hold anything.
func txnLine(txn []byte) string {
	r := wire.NewReader(txn)
	var h wire.TxnHeader
	err := h.Decode(&r)
	if err == nil {
		err = wire.VerifyTxn(txn)
	}
	if err != nil {
		return fmt.Sprintf("%d bytes that are no transaction: %v", len(txn), err)
	}
	return fmt.Sprintf("%v %s %v session 0x%x cxid %d%s", h.Zxid, timeText(h.Time), h.Type, uint64(h.ClientID), h.Cxid, txnDetail(h.Type, &r))
}

func timeText(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }

// txnDetail decodes the body of a transaction that has been verified.
func txnDetail(typ wire.Op, r *wire.Reader) string {
	switch typ {
	case wire.OpMulti:
		return multiDetail(r)
	case wire.OpCreateSession:
		return fmt.Sprintf(" timeout %d ms", r.Int())
	case wire.OpCloseSession:
		return closeDetail(r)
	case wire.OpError:
		return " " + r.Code().String()
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL, wire.OpSetData, wire.OpReconfig:
		path := r.String()
		return fmt.Sprintf(" %q %d bytes", path, len(r.Buffer()))
	}
	return fmt.Sprintf(" %q", r.String()) // delete, setACL, check
}

func multiDetail(r *wire.Reader) string {
	var t wire.MultiTxn
	t.Decode(r)
	var b strings.Builder
	for t.Next() {
		part := wire.NewReader(t.Body())
		fmt.Fprintf(&b, " [%v%s]", t.Op(), txnDetail(t.Op(), &part))
	}
	return b.String()
}

func closeDetail(r *wire.Reader) string {
	var t wire.CloseSessionTxn
	t.Decode(r)
	var b strings.Builder
	for it := t.Paths.Iter(); it.Next(); {
		fmt.Fprintf(&b, " %q", it.Value())
	}
	return b.String()
}
