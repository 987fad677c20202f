package vfs

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Sim is a disk in memory. It executes each operation at once on its volatile view, which is
// what a running process reads back, and writes it into a journal. From the journal it tells
// what a power cut at any point can leave (Crash, Images): what was synced, and any part of the
// rest.
//
//	operations ──▶ volatile view (reads)
//	          └──▶ journal: create, write … sync … rename, sync dir
//	                            │ Crash(at, keep)
//	                            ▼
//	                        another Sim, as the disk is found after power returns
//
// A Sim has no goroutine, no clock and no randomness but what its seed gives: the same calls
// make the same disk. Directories are durable as soon as they are made.
type Sim struct {
	seed uint64

	mu      sync.Mutex
	base    *state // what the journal starts from; durable
	now     *state // the volatile view
	journal []entry
	folded  int // operations before journal[0], see Compact
	pending map[string][]int
	nextID  int

	faults   func(Op) *Fault
	capacity int64 // bytes; 0 is no limit
	life     int   // counts Kill: files and locks of an earlier life are dead
	locks    map[string]*simLock
}

// state is one view of the disk.
type state struct {
	dirs  map[string]bool
	names map[string]int
	files map[int]*inode
}

type inode struct {
	data []byte
	bad  map[int64]bool // sectors that cannot be read; nil for none
}

// entry is one operation in the journal. Its place in the journal plus folded is its number.
type entry struct {
	Op
	inode    int
	data     []byte // of a write; nil for Len zeros
	syncedBy int    // number of the operation that made it durable; -1 for none yet
}

// NewSim returns an empty disk. The seed decides only which random subsets Images draws.
func NewSim(seed uint64) *Sim {
	return newSim(seed, &state{
		dirs:  map[string]bool{"/": true, ".": true},
		names: map[string]int{},
		files: map[int]*inode{},
	}, 1)
}

func newSim(seed uint64, base *state, nextID int) *Sim {
	return &Sim{
		seed: seed, base: base, now: base.clone(), nextID: nextID,
		pending: map[string][]int{}, locks: map[string]*simLock{},
	}
}

func (s *state) clone() *state {
	c := &state{dirs: maps.Clone(s.dirs), names: maps.Clone(s.names), files: make(map[int]*inode)}
	for _, id := range s.names { //order-free
		f := s.files[id]
		c.files[id] = &inode{data: slices.Clone(f.data), bad: maps.Clone(f.bad)}
	}
	return c
}

// Ops returns the number of operations so far: the points at which Crash can cut are 0 to Ops().
func (d *Sim) Ops() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.folded + len(d.journal)
}

// SetCapacity limits the sum of all files' lengths; growth beyond it fails with ENOSPC. Zero is
// no limit.
func (d *Sim) SetCapacity(bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.capacity = bytes
}

// Kill is the end of the process without the end of the machine: what was written is still
// there and as durable as it was, open files are dead and locks are free.
func (d *Sim) Kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.life++
	clear(d.locks)
}

// Compact forgets the oldest operations as far as they are durable, so that a long run does not
// keep all it ever wrote. Crash can no longer cut before them.
func (d *Sim) Compact() {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for n < len(d.journal) && d.journal[n].syncedBy >= 0 {
		d.base.apply(&d.journal[n], all)
		n++
	}
	d.journal = slices.Delete(d.journal, 0, n)
	d.folded += n
	d.base.dropUnnamed(d.journal)
}

// dropUnnamed forgets files that neither a name nor an operation still to come refers to.
func (s *state) dropUnnamed(journal []entry) {
	used := map[int]bool{}
	for _, id := range s.names { //order-free
		used[id] = true
	}
	for i := range journal {
		used[journal[i].inode] = true
	}
	maps.DeleteFunc(s.files, func(id int, _ *inode) bool { return !used[id] })
}

// record executes an operation on the volatile view and appends it to the journal. What it
// waits for to be durable is the sync of key: a file's number or a directory's name.
func (d *Sim) record(e entry, key string) {
	e.syncedBy = -1
	d.now.apply(&e, all)
	number := d.folded + len(d.journal)
	d.journal = append(d.journal, e)
	d.pending[key] = append(d.pending[key], number)
}

// settle records an operation that makes durable, at once, all that waits for key.
func (d *Sim) settle(e entry, key string) {
	number := d.folded + len(d.journal)
	for _, p := range d.pending[key] {
		d.journal[p-d.folded].syncedBy = number
	}
	delete(d.pending, key)
	e.syncedBy = number
	d.now.apply(&e, all)
	d.journal = append(d.journal, e)
}

func fileKey(id int) string     { return fmt.Sprintf("#%d", id) }
func dirKey(name string) string { return path.Dir(name) }

// apply executes e. keep is asked about every unit of it; see Crash.
func (s *state) apply(e *entry, keep func(sector int64) bool) {
	if e.Kind == OpWrite {
		s.write(e, keep)
		return
	}
	if !keep(wholeOp) {
		return
	}
	if e.Kind == OpRename && e.inode == wholeDir {
		s.renameDir(e.Name, e.To)
		return
	}
	switch f := s.file(e.inode); e.Kind {
	case OpCreate:
		s.names[e.Name] = e.inode
	case OpTruncate:
		f.resize(e.Off)
	case OpPreallocate:
		f.resize(max(e.Off, int64(len(f.data))))
	case OpRename:
		delete(s.names, e.Name)
		s.names[e.To] = e.inode
	case OpRemove:
		delete(s.names, e.Name)
	case OpMkdir:
		s.dirs[e.Name] = true
	case OpFlip:
		if e.Off < int64(len(f.data)) { // else lost with the rest
			f.data[e.Off] ^= byte(e.Len)
		}
	case OpZeroSector:
		clear(f.sector(e.Off))
	case OpBadSector:
		if f.bad == nil {
			f.bad = map[int64]bool{}
		}
		f.bad[e.Off] = true
	}
}

// wholeDir is in the place of a file's number where a directory is meant.
const wholeDir = 0

func (s *state) renameDir(from, to string) {
	moved := func(name string) (string, bool) {
		rest, below := strings.CutPrefix(name, from+"/")
		return to + "/" + rest, below
	}
	for name, id := range maps.Clone(s.names) { //order-free
		if now, ok := moved(name); ok {
			delete(s.names, name)
			s.names[now] = id
		}
	}
	for name := range maps.Clone(s.dirs) { //order-free
		if now, ok := moved(name); ok {
			delete(s.dirs, name)
			s.dirs[now] = true
		}
	}
	delete(s.dirs, from)
	s.dirs[to] = true
}

// file returns a file's content, which there is even where the file's creation was lost: content
// and name are made durable apart, and a rename can bring a new name.
func (s *state) file(id int) *inode {
	f := s.files[id]
	if f == nil {
		f = &inode{}
		s.files[id] = f
	}
	return f
}

func (s *state) write(e *entry, keep func(sector int64) bool) {
	f := s.file(e.inode)
	end := e.Off + int64(e.Len)
	for at := e.Off; at < end; {
		sector := at / SectorSize
		next := min((sector+1)*SectorSize, end)
		if keep(sector) {
			f.resize(max(next, int64(len(f.data))))
			if e.data == nil {
				clear(f.data[at:next])
			} else {
				copy(f.data[at:next], e.data[at-e.Off:next-e.Off])
			}
			if next-at == SectorSize {
				delete(f.bad, sector) // a disk replaces a bad sector when it is written
			}
		}
		at = next
	}
}

func (f *inode) resize(size int64) {
	if n := size - int64(len(f.data)); n > 0 {
		f.data = append(f.data, make([]byte, n)...)
		return
	}
	f.data = slices.Clip(f.data[:size]) // what grows back must be zero
}

func (f *inode) sector(n int64) []byte {
	size := int64(len(f.data))
	return f.data[min(n*SectorSize, size):min((n+1)*SectorSize, size)]
}

// FS methods.

func (d *Sim) Create(name string) (File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	if err := d.call(Op{Kind: OpCreate, Name: name}); err != nil {
		return nil, err
	}
	if _, ok := d.now.names[name]; ok || d.now.dirs[name] {
		return nil, pathError("create", name, fs.ErrExist)
	}
	if !d.now.dirs[path.Dir(name)] {
		return nil, pathError("create", name, fs.ErrNotExist)
	}
	id := d.nextID
	d.nextID++
	d.record(entry{Op: Op{Kind: OpCreate, Name: name}, inode: id}, dirKey(name))
	return d.file(name, id, true), nil
}

func (d *Sim) Open(name string) (File, error) { return d.open(name, false) }

func (d *Sim) OpenWrite(name string) (File, error) { return d.open(name, true) }

func (d *Sim) open(name string, write bool) (File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	if err := d.call(Op{Kind: OpOpen, Name: name}); err != nil {
		return nil, err
	}
	id, ok := d.now.names[name]
	if !ok {
		return nil, pathError("open", name, fs.ErrNotExist)
	}
	return d.file(name, id, write), nil
}

func (d *Sim) file(name string, id int, write bool) *simFile {
	return &simFile{disk: d, name: name, inode: id, content: d.now.files[id], write: write, life: d.life}
}

func (d *Sim) Rename(oldname, newname string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	oldname, newname = path.Clean(oldname), path.Clean(newname)
	op := Op{Kind: OpRename, Name: oldname, To: newname}
	if err := d.call(op); err != nil {
		return err
	}
	id, ok := d.now.names[oldname]
	if !ok && !d.now.dirs[oldname] {
		return pathError("rename", oldname, fs.ErrNotExist)
	}
	if !ok {
		id = wholeDir
		if pending := d.pending[oldname]; len(pending) > 0 { // what is in it waits for the same directory still
			d.pending[newname] = append(d.pending[newname], pending...)
			delete(d.pending, oldname)
		}
	}
	if path.Dir(oldname) != path.Dir(newname) {
		return pathError("rename", newname, syscall.EXDEV) // two directories, two syncs: not used
	}
	d.record(entry{Op: op, inode: id}, dirKey(newname))
	return nil
}

func (d *Sim) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	if err := d.call(Op{Kind: OpRemove, Name: name}); err != nil {
		return err
	}
	id, ok := d.now.names[name]
	if !ok {
		return pathError("remove", name, fs.ErrNotExist)
	}
	d.record(entry{Op: Op{Kind: OpRemove, Name: name}, inode: id}, dirKey(name))
	return nil
}

func (d *Sim) List(dir string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	dir = path.Clean(dir)
	if err := d.call(Op{Kind: OpList, Name: dir}); err != nil {
		return nil, err
	}
	if !d.now.dirs[dir] {
		return nil, pathError("list", dir, fs.ErrNotExist)
	}
	var names []string
	for name := range d.now.names { //order-free
		if path.Dir(name) == dir {
			names = append(names, path.Base(name))
		}
	}
	for name := range d.now.dirs { //order-free
		if path.Dir(name) == dir && name != dir {
			names = append(names, path.Base(name))
		}
	}
	slices.Sort(names)
	return names, nil
}

func (d *Sim) Stat(name string) (Info, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	if err := d.call(Op{Kind: OpStat, Name: name}); err != nil {
		return Info{}, err
	}
	if d.now.dirs[name] {
		return Info{Dir: true}, nil
	}
	id, ok := d.now.names[name]
	if !ok {
		return Info{}, pathError("stat", name, fs.ErrNotExist)
	}
	return Info{Size: int64(len(d.now.files[id].data))}, nil
}

func (d *Sim) MkdirAll(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	dir = path.Clean(dir)
	if err := d.call(Op{Kind: OpMkdir, Name: dir}); err != nil {
		return err
	}
	for at := dir; !d.now.dirs[at]; at = path.Dir(at) {
		if _, ok := d.now.names[at]; ok {
			return pathError("mkdir", at, syscall.ENOTDIR)
		}
		d.settle(entry{Op: Op{Kind: OpMkdir, Name: at}}, "")
	}
	return nil
}

func (d *Sim) SyncDir(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	dir = path.Clean(dir)
	op := Op{Kind: OpSyncDir, Name: dir}
	if err := d.call(op); err != nil {
		delete(d.pending, dir) // never to be trusted again
		return err
	}
	if !d.now.dirs[dir] {
		return pathError("sync", dir, fs.ErrNotExist)
	}
	d.settle(entry{Op: op}, dir)
	return nil
}

func (d *Sim) Free(dir string) (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.call(Op{Kind: OpFree, Name: dir}); err != nil {
		return 0, err
	}
	if d.capacity == 0 {
		return 1 << 50, nil
	}
	return max(d.capacity-d.used(), 0), nil
}

func (d *Sim) used() int64 {
	var sum int64
	for _, id := range d.now.names { //order-free
		sum += int64(len(d.now.files[id].data))
	}
	return sum
}

type simLock struct {
	disk *Sim
	name string
}

func (d *Sim) Lock(name string) (io.Closer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	if err := d.call(Op{Kind: OpLock, Name: name}); err != nil {
		return nil, err
	}
	if !d.now.dirs[path.Dir(name)] {
		return nil, pathError("lock", name, fs.ErrNotExist)
	}
	if d.locks[name] != nil {
		return nil, lockedError(name, fmt.Sprint(d.life+1))
	}
	l := &simLock{disk: d, name: name}
	d.locks[name] = l
	return l, nil
}

func (l *simLock) Close() error {
	l.disk.mu.Lock()
	defer l.disk.mu.Unlock()
	if l.disk.locks[l.name] != l {
		return pathError("unlock", l.name, fs.ErrClosed)
	}
	delete(l.disk.locks, l.name)
	return nil
}

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// Tree lists files and lengths, a line each, for golden tests and messages.
func (d *Sim) Tree() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(d.now.names)) {
		fmt.Fprintf(&b, "%s %d\n", name, len(d.now.files[d.now.names[name]].data))
	}
	return b.String()
}
