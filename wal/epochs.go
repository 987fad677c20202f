package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/cespare/xxhash/v2"

	"paddock/vfs"
)

// Epochs is what a server has promised to its ensemble, and for whom: the epochs of discovery
// and synchronization. docs/format/epochs.md gives its bytes on the disk.
type Epochs struct {
	Accepted uint32 // the server follows no leader of an epoch below this
	Current  uint32 // the epoch of the last leader whose history became the server's; at most Accepted
	// ServerID and ClusterID say whose promises these are; 0 is not known yet. What is once known
	// does not change.
	ServerID  int64
	ClusterID uint64
	// Generation counts the records. Save sets it; 0 is a server that has never saved one.
	Generation uint64
}

const (
	epochMagic    = "PDKEPOCH"
	epochVersion  = 1
	growingEpochs = "epochs.tmp" // a copy that is being made, not yet named
)

var epochNames = [2]string{"epochs-1", "epochs-2"}

var (
	// ErrEpochsLost: there was an epoch record, and none can be read. See EpochsLostError.
	ErrEpochsLost = errors.New("wal: the epoch record is lost")
	// ErrEpochsBack is returned by Save for a record that takes back or contradicts what was
	// promised. Nothing was written.
	ErrEpochsBack = errors.New("wal: the epoch record cannot go back")
)

// EpochsLostError refuses a server that no longer knows what it has promised. A made-up or older
// record would let it vote twice in one epoch, so there is no command that accepts the loss.
type EpochsLostError struct {
	Dir  string
	Errs [2]error // what is wrong with each copy
}

func (e *EpochsLostError) Error() string {
	return fmt.Sprintf("%v: in %s, %s: %v; %s: %v. What this server has promised to its ensemble cannot be known, "+
		"from no other server either, so it must not join under its id again: "+
		"remove the id from the ensemble by reconfiguration, and add the server with an empty directory under a new one",
		ErrEpochsLost, e.Dir, epochNames[0], e.Errs[0], epochNames[1], e.Errs[1])
}

// Unwrap returns ErrEpochsLost and the causes.
func (e *EpochsLostError) Unwrap() []error { return []error{ErrEpochsLost, e.Errs[0], e.Errs[1]} }

// EpochFile keeps the epoch record in two files, of which at most one is not durable at any time.
// It has one owner at a time. Whoever opens it holds the lock of a directory that belongs to the
// same server.
type EpochFile struct {
	fs       vfs.FS
	dir      string
	saved    Epochs
	repaired error // what was wrong with a copy that OpenEpochs repaired
	err      error // the first failure: nothing is saved after it
}

// OpenEpochs returns the epoch record in dir, which it makes where there is none. The zero record
// is that of a server that has never saved one; whether it may be that (a log beside it says no)
// is for the caller to judge. A bad copy is repaired from the good one. Where there is no good one,
// the error is an *EpochsLostError; where a later version wrote one, a *VersionError.
//
// What OpenEpochs returns is durable: both copies were written again, for what was read may have
// been in the page cache alone (as R10 has it for the log).
func OpenEpochs(fsys vfs.FS, dir string) (*EpochFile, Epochs, error) {
	f := &EpochFile{fs: fsys, dir: dir}
	if err := fsys.MkdirAll(dir); err != nil {
		return nil, Epochs{}, fmt.Errorf("wal: %w", err)
	}
	if err := fsys.Remove(path.Join(dir, growingEpochs)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, Epochs{}, fmt.Errorf("wal: %w", err)
	}
	var copies [2]epochCopy
	for i := range copies {
		var err error
		if copies[i], err = f.read(i); err != nil {
			return nil, Epochs{}, err
		}
	}
	e, err := f.choose(&copies)
	if err != nil || e.Generation == 0 {
		return f, e, err
	}
	return f, e, f.reinforce(e, &copies)
}

// epochCopy is what one of the two files holds. err is why it holds nothing.
type epochCopy struct {
	e   Epochs
	err error
}

// read reads a copy. What it cannot tell from damage is its err; the second result is for what
// has nothing to do with the content.
func (f *EpochFile) read(i int) (epochCopy, error) {
	name := path.Join(f.dir, epochNames[i])
	file, err := f.fs.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return epochCopy{err: fs.ErrNotExist}, nil
	}
	if err != nil {
		return epochCopy{}, fmt.Errorf("wal: %w", err)
	}
	defer file.Close()
	var b [sectorSize]byte
	size, err := file.Size()
	if err == nil && size != sectorSize {
		err = errEpochSize
	}
	if err == nil {
		_, err = file.ReadAt(b[:], 0)
	}
	if err != nil {
		return epochCopy{err: err}, nil
	}
	c := epochCopy{}
	c.e, c.err = decodeEpochs(b[:], name)
	var version *VersionError
	if errors.As(c.err, &version) {
		return c, c.err
	}
	return c, nil
}

// choose returns the record that counts: the good one of the higher generation, or the zero record
// where there is no copy at all.
func (f *EpochFile) choose(c *[2]epochCopy) (Epochs, error) {
	absent := func(i int) bool { return c[i].err == fs.ErrNotExist }
	switch {
	case absent(0) && absent(1):
		return Epochs{}, nil
	case c[0].err != nil && c[1].err != nil:
		return Epochs{}, &EpochsLostError{Dir: f.dir, Errs: [2]error{c[0].err, c[1].err}}
	case c[0].err != nil:
		return c[1].e, nil
	case c[1].err != nil:
		return c[0].e, nil
	case c[0].e.Generation == c[1].e.Generation && c[0].e != c[1].e:
		return Epochs{}, &EpochsLostError{Dir: f.dir, Errs: [2]error{errEpochTwo, errEpochTwo}}
	case c[0].e.Generation > c[1].e.Generation:
		return c[0].e, nil
	}
	return c[1].e, nil
}

// reinforce makes e durable in both files. A good copy is written where it is: that needs no space.
// A bad one gets a new file; so do both of the first generation, whose names may not be durable.
// The first comes first, as in Save: while it is on its way the second still has what it had.
func (f *EpochFile) reinforce(e Epochs, c *[2]epochCopy) error {
	for i := range c {
		inPlace := c[i].err == nil && e.Generation > 1
		if c[i].err != nil {
			f.repaired = fmt.Errorf("%s: %w", epochNames[i], c[i].err)
		}
		if err := f.write(i, e, inPlace); err != nil {
			return err
		}
	}
	if err := f.fs.SyncDir(f.dir); err != nil {
		return f.fail(err)
	}
	f.saved = e
	return nil
}

// Repaired says which copy OpenEpochs made again, and what was wrong with it; nil for neither.
func (f *EpochFile) Repaired() error { return f.repaired }

// Epochs returns the record that is durable.
func (f *EpochFile) Epochs() Epochs { return f.saved }

// Save makes e durable, whatever its Generation says, in both files: only then may anybody hear of
// it. A crash meanwhile leaves the record before it or e. ErrEpochsBack changes nothing; any other
// error is final, as a Commit's is: the process has to stop (R12).
func (f *EpochFile) Save(e Epochs) error {
	if f.err != nil {
		return f.err
	}
	e.Generation = f.saved.Generation
	if e == f.saved && e.Generation > 0 {
		return nil
	}
	if err := f.saved.allows(e); err != nil {
		return err
	}
	e.Generation++
	for i := range epochNames {
		if err := f.write(i, e, e.Generation > 1); err != nil {
			return err
		}
	}
	f.saved = e
	return nil
}

// allows says whether next keeps what e promised.
func (e Epochs) allows(next Epochs) error {
	switch {
	case next.Accepted < e.Accepted || next.Current < e.Current:
		return fmt.Errorf("%w: accepted %d, current %d after accepted %d, current %d",
			ErrEpochsBack, next.Accepted, next.Current, e.Accepted, e.Current)
	case next.Current > next.Accepted:
		return fmt.Errorf("%w: current epoch %d above the accepted one, %d",
			ErrEpochsBack, next.Current, next.Accepted)
	case e.ServerID != 0 && next.ServerID != e.ServerID || e.ClusterID != 0 && next.ClusterID != e.ClusterID:
		return fmt.Errorf("%w: it is of server %d in cluster %x, not of server %d in cluster %x",
			ErrEpochsBack, e.ServerID, e.ClusterID, next.ServerID, next.ClusterID)
	}
	return nil
}

// write makes e durable in one of the files.
func (f *EpochFile) write(i int, e Epochs, inPlace bool) error {
	var b [sectorSize]byte
	e.encode(b[:])
	name := path.Join(f.dir, epochNames[i])
	var err error
	if inPlace {
		err = f.overwrite(name, b[:])
	} else {
		err = f.replace(name, b[:])
	}
	if err != nil {
		return f.fail(err)
	}
	return nil
}

// overwrite changes one sector, which a disk writes whole or not at all, and no metadata.
func (f *EpochFile) overwrite(name string, b []byte) error {
	file, err := f.fs.OpenWrite(name)
	if err != nil {
		return err
	}
	return writeSynced(file, b)
}

// replace makes a file that has the name only when its content is durable.
func (f *EpochFile) replace(name string, b []byte) error {
	growing := path.Join(f.dir, growingEpochs)
	file, err := f.fs.Create(growing)
	if err != nil {
		return err
	}
	if err := writeSynced(file, b); err != nil {
		return err
	}
	if err := f.fs.Rename(growing, name); err != nil {
		return err
	}
	return f.fs.SyncDir(f.dir)
}

func writeSynced(file vfs.File, b []byte) error {
	_, err := file.WriteAt(b, 0)
	if err == nil {
		err = file.Sync()
	}
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	return err
}

func (f *EpochFile) fail(err error) error {
	f.err = fmt.Errorf("wal: epoch record in %s failed after accepted %d, current %d: %w",
		f.dir, f.saved.Accepted, f.saved.Current, err)
	return f.err
}

// Why a copy holds no record.
var (
	errEpochSize   = errors.New("its length is not that of an epoch record")
	errEpochSum    = errors.New("it does not match its checksum")
	errEpochFields = errors.New("its checksum is right and its content contradicts itself")
	errEpochTwo    = errors.New("it contradicts the other copy, which has the same generation")
)

// encode fills a sector.
func (e *Epochs) encode(dst []byte) {
	be := binary.BigEndian
	clear(dst[:sectorSize])
	copy(dst, epochMagic)
	be.PutUint32(dst[8:], epochVersion)
	be.PutUint32(dst[12:], e.Accepted)
	be.PutUint32(dst[16:], e.Current)
	be.PutUint64(dst[24:], e.Generation)
	be.PutUint64(dst[32:], uint64(e.ServerID))
	be.PutUint64(dst[40:], e.ClusterID)
	be.PutUint64(dst[sectorSize-8:], xxhash.Sum64(dst[:sectorSize-8]))
}

// decodeEpochs decodes a sector of the file name. What decodes encodes to the same bytes.
func decodeEpochs(b []byte, name string) (Epochs, error) {
	be := binary.BigEndian
	if string(b[:8]) != epochMagic || xxhash.Sum64(b[:sectorSize-8]) != be.Uint64(b[sectorSize-8:]) {
		return Epochs{}, errEpochSum
	}
	if v := be.Uint32(b[8:]); v != epochVersion {
		return Epochs{}, &VersionError{File: name, Version: v, Reads: epochVersion}
	}
	e := Epochs{
		Accepted:   be.Uint32(b[12:]),
		Current:    be.Uint32(b[16:]),
		Generation: be.Uint64(b[24:]),
		ServerID:   int64(be.Uint64(b[32:])),
		ClusterID:  be.Uint64(b[40:]),
	}
	if e.Generation == 0 || e.Current > e.Accepted || be.Uint32(b[20:]) != 0 || !allZero(b[48:sectorSize-8]) {
		return Epochs{}, errEpochFields
	}
	return e, nil
}
