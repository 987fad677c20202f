package vfs

import (
	"io/fs"
	"path"
)

// Fault is what goes wrong with one operation.
type Fault struct {
	Err   error // returned, as the Err of an fs.PathError
	Short int   // of a write that fails: the bytes that are written all the same
	Drop  bool  // a write, or a sync of a file, that is reported done, and is not
	Shift int64 // a write that lands that many bytes away, and is reported done
}

// SetFaults has decide asked before every operation; nil answers leave it alone. It is called
// with the disk locked and must not use it. A failed Sync leaves what it should have synced in
// the volatile view, and out of every later Sync's reach.
func (d *Sim) SetFaults(decide func(Op) *Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = decide
}

// FailNth fails the nth operation (from 1) of a kind, once.
func FailNth(kind OpKind, n int, f Fault) func(Op) *Fault {
	return func(op Op) *Fault {
		if op.Kind == kind {
			if n--; n == 0 {
				return &f
			}
		}
		return nil
	}
}

func (d *Sim) fault(op Op) *Fault {
	if d.faults == nil {
		return nil
	}
	f := d.faults(op)
	if f == nil {
		return nil
	}
	c := *f
	if c.Err != nil {
		c.Err = pathError(op.Kind.String(), op.Name, c.Err)
	}
	return &c
}

// call asks for the fault of an operation that can only fail or not.
func (d *Sim) call(op Op) error {
	if f := d.fault(op); f != nil {
		return f.Err
	}
	return nil
}

// FlipBit inverts one bit of a file, on the disk and in the view of it.
func (d *Sim) FlipBit(name string, off int64, bit uint) error {
	return d.damage(Op{Kind: OpFlip, Name: name, Off: off, Len: 1 << (bit % 8)}, off)
}

// ZeroSector overwrites one sector with zeros.
func (d *Sim) ZeroSector(name string, sector int64) error {
	return d.damage(Op{Kind: OpZeroSector, Name: name, Off: sector}, sector*SectorSize)
}

// BadSector makes reads of one sector fail with EIO, until it is written whole.
func (d *Sim) BadSector(name string, sector int64) error {
	return d.damage(Op{Kind: OpBadSector, Name: name, Off: sector}, sector*SectorSize)
}

func (d *Sim) damage(op Op, off int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	op.Name = path.Clean(op.Name)
	id, ok := d.now.names[op.Name]
	if !ok || off >= int64(len(d.now.files[id].data)) {
		return pathError(op.Kind.String(), op.Name, fs.ErrNotExist)
	}
	d.settle(entry{Op: op, inode: id}, "")
	return nil
}
