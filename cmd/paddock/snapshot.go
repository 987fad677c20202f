package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"

	"paddock/snap"
	"paddock/tree"
	"paddock/vfs"
	"paddock/wire"
)

// snapshotCmd is "paddock snapshot": what can be seen of snapshots while no server uses them.
type snapshotCmd struct {
	List   snapshotListCmd   `cmd:"" help:"List the snapshots, newest first."`
	Verify snapshotVerifyCmd `cmd:"" help:"Read every byte of the snapshots and add up their digests."`
	Dump   snapshotDumpCmd   `cmd:"" help:"Print the sessions, ACLs and znodes of a snapshot."`
}

// snapshotDir is the flag that the commands share.
type snapshotDir struct {
	Dir string `required:"" placeholder:"DIR" help:"Directory of the snapshots: dataDir/paddock/snap."`
}

// open locks the directory and lists it.
func (d *snapshotDir) open() (entries []snap.Entry, unlock func(), err error) {
	if unlock, err = lockOffline(d.Dir); err != nil {
		return nil, nil, err
	}
	if entries, err = snap.List(vfs.OS(), d.Dir); err != nil {
		unlock()
		return nil, nil, err
	}
	return entries, unlock, nil
}

func (d *snapshotDir) file(name string) string { return filepath.Join(d.Dir, name) }

// snapshotListCmd is "paddock snapshot list".
type snapshotListCmd struct{ snapshotDir }

// Run prints a table.
func (c *snapshotListCmd) Run(p *process) error {
	entries, unlock, err := c.open()
	if err != nil {
		return err
	}
	defer unlock()
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "FILE\tZXID\tTIME\tZNODES\tSESSIONS\tBYTES\tUNPACKED\tDIGEST")
	for i := range entries {
		e := &entries[i]
		if e.Err != nil {
			fmt.Fprintf(table, "%s\t%v\tdamaged: %v\n", e.Name, e.Zxid, e.Err)
			continue
		}
		fmt.Fprintf(table, "%s\t%v\t%s\t%d\t%d\t%d\t%d\t%016x\n", e.Name, e.Zxid, timeText(e.TimeMS),
			e.Nodes, e.Sessions, e.FileBytes, e.RawBytes, e.Digest)
	}
	return table.Flush()
}

// snapshotVerifyCmd is "paddock snapshot verify".
type snapshotVerifyCmd struct{ snapshotDir }

// Run prints a line a file and fails if one does not verify. It sets nothing aside: the server does
// that when it starts.
func (c *snapshotVerifyCmd) Run(p *process) error {
	entries, unlock, err := c.open()
	if err != nil {
		return err
	}
	defer unlock()
	bad := 0
	for i := range entries {
		e := &entries[i]
		info, err := snap.Verify(vfs.OS(), c.file(e.Name), snap.Options{})
		if err == nil && info.Zxid != e.Zxid {
			err = e.Err // its name denies what it holds
		}
		if err != nil {
			bad++
			fmt.Fprintf(p.stdout, "%s: %v\n", e.Name, err)
			continue
		}
		fmt.Fprintf(p.stdout, "%s: verified, zxid %v, %d znodes, digest %016x\n", e.Name, info.Zxid, info.Nodes, info.Digest)
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d snapshots do not verify", bad, len(entries))
	}
	if len(entries) == 0 {
		fmt.Fprintf(p.stdout, "There is no snapshot in %s.\n", c.Dir)
	}
	return nil
}

// snapshotDumpCmd is "paddock snapshot dump".
type snapshotDumpCmd struct {
	snapshotDir
	File string `placeholder:"NAME" help:"Name of the snapshot in DIR. Default: the newest."`
}

// Run prints one snapshot while it is verified: an error at the end says that what was printed is not to
// be relied on.
func (c *snapshotDumpCmd) Run(p *process) error {
	entries, unlock, err := c.open()
	if err != nil {
		return err
	}
	defer unlock()
	name := c.File
	if name == "" {
		if len(entries) == 0 {
			return fmt.Errorf("there is no snapshot in %s", c.Dir)
		}
		name = entries[0].Name
	}
	out := bufio.NewWriter(p.stdout)
	info, err := snap.Read(vfs.OS(), c.file(name), &snapshotPrinter{out}, snap.Options{Workers: 1})
	if err == nil {
		fmt.Fprintf(out, "%s: zxid %v, %s, %d znodes, %d sessions, digest %016x\n",
			name, info.Zxid, timeText(info.TimeMS), info.Nodes, info.Sessions, info.Digest)
	}
	return errors.Join(err, out.Flush())
}

// snapshotPrinter implements snap.Sink; with one worker it is called from one goroutine at a time.
type snapshotPrinter struct{ w io.Writer }

func (s *snapshotPrinter) Session(id int64, timeoutMS int32) {
	fmt.Fprintf(s.w, "session 0x%x timeout %d ms\n", uint64(id), timeoutMS)
}

func (s *snapshotPrinter) ACL(id uint32, acl wire.ACLVec) error {
	fmt.Fprintf(s.w, "acl %d", id)
	for it := acl.Iter(); it.Next(); {
		a := it.ACL()
		fmt.Fprintf(s.w, " %q:%q:%d", a.Scheme, a.ID, a.Perms)
	}
	_, err := fmt.Fprintln(s.w)
	return err
}

func (s *snapshotPrinter) Node(r *tree.Record) error {
	_, err := fmt.Fprintf(s.w, "%q %d bytes acl %d czxid %v mzxid %v pzxid %v ctime %s mtime %s version %d cversion %d aversion %d owner 0x%x\n",
		r.Path, len(r.Data), r.ACL, r.Czxid, r.Mzxid, r.Pzxid, timeText(r.Ctime), timeText(r.Mtime),
		r.Version, r.Cversion, r.Aversion, uint64(r.Owner))
	return err
}
