package wal

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"

	"paddock/vfs"
	"paddock/wire"
)

var rewrite = flag.Bool("rewrite", false, "write the outputs of the transcripts in testdata")

// TestTranscripts runs testdata/*.txt: comments and commands, "----", what they print, and an empty
// line. See transcript.run for the commands.
func TestTranscripts(t *testing.T) {
	names, err := vfs.OS().List("testdata")
	must(t, err)
	for _, name := range names {
		if !strings.HasSuffix(name, ".txt") {
			continue
		}
		t.Run(strings.TrimSuffix(name, ".txt"), func(t *testing.T) {
			file := path.Join("testdata", name)
			want, err := os.ReadFile(file)
			must(t, err)
			got := runTranscript(string(want))
			if *rewrite {
				must(t, os.WriteFile(file, []byte(got), 0o644))
			} else if got != string(want) {
				t.Errorf("%s: got\n%s", file, got)
			}
		})
	}
}

type transcript struct {
	disk *vfs.Sim
	log  *Log
	last wire.Zxid
	out  bytes.Buffer
}

// runTranscript returns text with the outputs as they are.
func runTranscript(text string) string {
	var all strings.Builder
	x := &transcript{disk: vfs.NewSim(1)}
	for _, block := range strings.Split(strings.TrimSpace(text), "\n\n") {
		input, _, _ := strings.Cut(block, "----")
		x.out.Reset()
		for line := range strings.Lines(input) {
			if line = strings.TrimSpace(line); line == "new disk" {
				*x = transcript{disk: vfs.NewSim(1)}
			} else if line != "" && line[0] != '#' {
				x.run(strings.Fields(line))
			}
		}
		fmt.Fprintf(&all, "%s----\n%s\n", input, &x.out)
	}
	return strings.TrimSpace(all.String()) + "\n"
}

// run executes one command. Segments are 4 KiB; files are named by their segment's number.
func (x *transcript) run(f []string) {
	n := make([]int64, len(f))
	for i := range f {
		n[i], _ = strconv.ParseInt(f[i], 0, 64)
	}
	arg := func(i int) int64 {
		if i < len(n) {
			return n[i]
		}
		return 0
	}
	file := path.Join(dir, segmentName(uint64(arg(1))))
	var err error
	switch f[0] {
	case "open": // AFTER
		err = x.open(wire.Zxid(arg(1)))
	case "commit": // TRANSACTIONS BYTES
		b := NewBatch(0)
		for range arg(1) {
			x.last++
			b.Add(x.last, txnBytes(x.last, 1, int(arg(2))))
		}
		err = x.log.Commit(b, x.last-1, 0, 0)
	case "seal":
		err = x.log.Seal()
	case "prepare":
		for more := true; more && err == nil; {
			more, err = x.log.Prepare()
		}
	case "truncate": // ZXID
		if err = x.log.TruncateTo(wire.Zxid(arg(1))); err == nil {
			x.last = wire.Zxid(arg(1))
		}
	case "restart": // ZXID
		x.last = wire.Zxid(arg(1))
		err = x.log.Restart(x.last)
	case "remove": // ZXID
		err = x.log.RemoveThrough(wire.Zxid(arg(1)))
	case "replay": // ZXID
		err = x.log.Replay(wire.Zxid(arg(1)), func(txn []byte) error {
			name, _, _ := bytes.Cut(txn, []byte("|"))
			fmt.Fprintf(&x.out, "%s, %d bytes\n", name, len(txn))
			return nil
		})
	case "close":
		err = x.log.Close()
	case "kill":
		x.disk.Kill()
	case "crash": // all | none | tear SECTOR
		x.disk = x.disk.Crash(x.disk.Ops(), func(u vfs.Unit) bool {
			return f[1] == "all" || f[1] == "tear" && u.Sector != arg(2)
		})
	case "unsynced": // from here on, syncs do nothing
		x.disk.SetFaults(func(op vfs.Op) *vfs.Fault {
			if op.Kind == vfs.OpSync {
				return &vfs.Fault{Drop: true}
			}
			return nil
		})
	case "flip": // SEGMENT BYTE
		err = x.disk.FlipBit(file, arg(2), 0)
	case "zero": // SEGMENT SECTOR
		err = x.disk.ZeroSector(file, arg(2))
	case "bad": // SEGMENT SECTOR
		err = x.disk.BadSector(file, arg(2))
	case "rm": // SEGMENT
		err = x.disk.Remove(file)
	case "accept-loss": // AFTER
		o := small()
		o.After = wire.Zxid(arg(1))
		var loss Loss
		if loss, err = AcceptLoss(x.disk, dir, o); err == nil {
			fmt.Fprintf(&x.out, "gave up %v, goes on after %s\n", loss.Damage != nil, loss.Last)
		}
	case "dump":
		err = Dump(&x.out, x.disk, dir, DumpOptions{})
	default:
		err = fmt.Errorf("unknown command %q", f[0])
	}
	if err != nil {
		fmt.Fprintf(&x.out, "%s\n", strings.Join(strings.SplitAfter(err.Error(), ": "), "\n    "))
	}
}

func (x *transcript) open(after wire.Zxid) error {
	o := small()
	o.After = after
	l, err := Open(x.disk, dir, o)
	if err != nil {
		return err
	}
	x.log, x.last = l, l.Last()
	r := l.Recovery()
	fmt.Fprintf(&x.out, "has what follows %s up to %s; read %d batches in %d segments, torn %v, rewritten %d\n",
		l.Base(), l.Last(), r.Batches, r.Segments, r.Torn, r.Rewritten)
	for _, d := range r.Damage {
		fmt.Fprintf(&x.out, "not needed: %v in %s at byte %d, after %s up to %s: %v\n",
			d.Class, path.Base(d.File), d.Offset, d.After, d.Until, d.Err)
	}
	return nil
}
