package vfs

import (
	"fmt"
	"io"
	"io/fs"
	"slices"
	"syscall"
)

// simFile is an open file of a Sim. Like the system's own it goes on to exist without its name.
type simFile struct {
	disk    *Sim
	name    string
	inode   int
	content *inode // in disk.now
	write   bool
	closed  bool
	life    int
}

func (f *simFile) Name() string { return f.name }

// begin locks the disk; the caller unlocks it, whatever the error.
func (f *simFile) begin(op Op) error {
	f.disk.mu.Lock()
	if f.closed || f.life != f.disk.life {
		return pathError(op.Kind.String(), f.name, fs.ErrClosed)
	}
	if !f.write && op.Kind != OpRead {
		return pathError(op.Kind.String(), f.name, syscall.EBADF)
	}
	return nil
}

func (f *simFile) ReadAt(p []byte, off int64) (int, error) {
	op := Op{Kind: OpRead, Name: f.name, Off: off, Len: len(p)}
	err := f.begin(op)
	defer f.disk.mu.Unlock()
	if err == nil {
		err = f.disk.call(op)
	}
	if err != nil {
		return 0, err
	}
	if off >= int64(len(f.content.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.content.data[off:])
	for s := off / SectorSize; s*SectorSize < off+int64(n) && len(f.content.bad) > 0; s++ {
		if f.content.bad[s] {
			return int(max(s*SectorSize-off, 0)), pathError("read", f.name, syscall.EIO)
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *simFile) WriteAt(p []byte, off int64) (int, error) {
	op := Op{Kind: OpWrite, Name: f.name, Off: off, Len: len(p)}
	err := f.begin(op)
	defer f.disk.mu.Unlock()
	if err != nil {
		return 0, err
	}
	fault := f.disk.fault(op)
	if fault == nil {
		fault = &Fault{Short: len(p)}
	} else if fault.Drop {
		return len(p), nil
	}
	at := off + fault.Shift
	if fault.Shift != 0 {
		fault.Short = len(p)
	}
	n := fault.Short
	err = fault.Err
	if room := f.disk.room(f.content); f.disk.capacity > 0 && at+int64(n) > room {
		n, err = int(max(room-at, 0)), pathError("write", f.name, syscall.ENOSPC)
	}
	if n > 0 {
		e := entry{Op: Op{Kind: OpWrite, Name: f.name, Off: at, Len: n}, inode: f.inode}
		if !allZero(p[:n]) {
			e.data = slices.Clone(p[:n])
		}
		f.disk.record(e, fileKey(f.inode))
	}
	return n, err
}

// room returns the length to which f can grow.
func (d *Sim) room(f *inode) int64 {
	return int64(len(f.data)) + max(d.capacity-d.used(), 0)
}

func (f *simFile) Sync() error {
	op := Op{Kind: OpSync, Name: f.name}
	err := f.begin(op)
	defer f.disk.mu.Unlock()
	if err != nil {
		return err
	}
	if fault := f.disk.fault(op); fault != nil {
		if fault.Err != nil {
			// As a kernel does: the pages are clean now and read back as written, and no
			// later sync will write them. A crash keeps any of them or none.
			delete(f.disk.pending, fileKey(f.inode))
		}
		return fault.Err
	}
	f.disk.settle(entry{Op: op, inode: f.inode}, fileKey(f.inode))
	return nil
}

func (f *simFile) Truncate(size int64) error { return f.resize(OpTruncate, size) }

func (f *simFile) Preallocate(size int64) error { return f.resize(OpPreallocate, size) }

func (f *simFile) resize(kind OpKind, size int64) error {
	op := Op{Kind: kind, Name: f.name, Off: size}
	err := f.begin(op)
	defer f.disk.mu.Unlock()
	if err == nil {
		err = f.disk.call(op)
	}
	if err != nil {
		return err
	}
	if f.disk.capacity > 0 && size > f.disk.room(f.content) {
		return pathError(kind.String(), f.name, syscall.ENOSPC)
	}
	f.disk.record(entry{Op: op, inode: f.inode}, fileKey(f.inode))
	return nil
}

func (f *simFile) Size() (int64, error) {
	err := f.begin(Op{Kind: OpRead})
	defer f.disk.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return int64(len(f.content.data)), nil
}

func (f *simFile) Close() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.closed {
		return pathError("close", f.name, fs.ErrClosed)
	}
	f.closed = true
	return nil
}

func allZero(p []byte) bool {
	for _, c := range p {
		if c != 0 {
			return false
		}
	}
	return true
}

// OpKind is what an operation does.
type OpKind uint8

// The operations. Those up to OpMkdir change the disk and are points at which Crash can cut.
const (
	OpCreate OpKind = iota + 1
	OpWrite
	OpTruncate
	OpPreallocate
	OpSync
	OpRename
	OpRemove
	OpSyncDir
	OpMkdir
	OpOpen
	OpRead
	OpList
	OpStat
	OpLock
	OpFree
	OpFlip // damage: see FlipBit and its neighbours
	OpZeroSector
	OpBadSector
)

var opNames = [...]string{
	OpCreate: "create", OpWrite: "write", OpTruncate: "truncate", OpPreallocate: "preallocate",
	OpSync: "sync", OpRename: "rename", OpRemove: "remove", OpSyncDir: "syncdir",
	OpMkdir: "mkdir", OpOpen: "open", OpRead: "read", OpList: "list", OpStat: "stat",
	OpLock: "lock", OpFree: "free", OpFlip: "flip", OpZeroSector: "zero sector",
	OpBadSector: "bad sector",
}

func (k OpKind) String() string { return opNames[k] }

// Op is one operation, as the journal keeps it and as faults are chosen by it.
type Op struct {
	Kind OpKind
	Name string
	To   string // of a rename
	Off  int64  // bytes; the new length of Truncate and Preallocate
	Len  int    // bytes
}

func (o Op) String() string {
	switch o.Kind {
	case OpWrite, OpRead:
		return fmt.Sprintf("%s %s %d+%d", o.Kind, o.Name, o.Off, o.Len)
	case OpTruncate, OpPreallocate:
		return fmt.Sprintf("%s %s to %d", o.Kind, o.Name, o.Off)
	case OpRename:
		return fmt.Sprintf("%s %s %s", o.Kind, o.Name, o.To)
	}
	return fmt.Sprintf("%s %s", o.Kind, o.Name)
}
