package slab

// A Limbo lists what its owner freed while somebody may still look at it: blocks of one arena and
// records of one slab. They keep their contents until Release gives them back.
type Limbo struct {
	blocks  []uint64 // handle in the low half, length in the high half
	records []uint32
	bytes   int64
}

// Block adds block h of n bytes.
func (l *Limbo) Block(h Handle, n int) {
	if n == 0 {
		return
	}
	l.blocks = append(l.blocks, uint64(n)<<32|uint64(h))
	l.bytes += int64(BlockBytes(n))
}

// Record adds record i, size being what it takes.
func (l *Limbo) Record(i uint32, size int) {
	l.records = append(l.records, i)
	l.bytes += int64(size)
}

// Bytes returns the memory that waits here.
func (l *Limbo) Bytes() int64 { return l.bytes }

// Absorb moves all that is in m to l.
func (l *Limbo) Absorb(m *Limbo) {
	if len(l.blocks)+len(l.records) == 0 {
		*l, *m = *m, Limbo{}
		return
	}
	l.blocks = append(l.blocks, m.blocks...)
	l.records = append(l.records, m.records...)
	l.bytes += m.bytes
	*m = Limbo{}
}

// Release gives back at most limit blocks and records, and reports whether any are left. It
// counts as freeing: only the owner of a and b calls it.
func Release[T any](l *Limbo, a *Arena, b *Slab[T], limit int) (more bool) {
	for ; limit > 0 && len(l.blocks) > 0; limit-- {
		last := l.blocks[len(l.blocks)-1]
		l.blocks = l.blocks[:len(l.blocks)-1]
		a.Free(Handle(uint32(last)), int(last>>32))
	}
	for ; limit > 0 && len(l.records) > 0; limit-- {
		last := l.records[len(l.records)-1]
		l.records = l.records[:len(l.records)-1]
		b.Free(last)
	}
	if len(l.blocks)+len(l.records) > 0 {
		return true
	}
	*l = Limbo{}
	return false
}

// Records returns how many records wait here.
func (l *Limbo) Records() int { return len(l.records) }
