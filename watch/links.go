package watch

// This file is where watches come, change and go: all the lists, and all that is counted.

// owned returns the part of a watch that says whose it is.
func (t *Table) owned(r ref) *owned {
	if r.isMember() {
		return &t.members.at(r.index()).owned
	}
	return &t.paths.at(r.index()).owned
}

// watchNew enters a path with its first watch.
func (t *Table) watchNew(text []byte, tag, conn uint32, m modes) {
	i, p := t.paths.records.Alloc()
	*p = path{text: t.putText(text), tag: tag}
	p.set(conn, m)
	t.paths.add(i)
	t.exact.add(tag)
	t.own(pathRef(i))
	t.count(p, conn, 0, m)
}

// join gives a connection a watch without modes on a path that others watch. The caller sets them.
func (t *Table) join(i, conn uint32) ref {
	p := t.paths.at(i)
	if !p.isShared() {
		t.share(i)
	}
	m, x := t.members.records.Alloc()
	*x = member{path: i}
	x.set(conn, 0)
	t.members.add(m)
	t.enterRing(p, m)
	t.own(memberRef(m))
	return memberRef(m)
}

// share makes the one watch of a path a member, so that there can be more.
func (t *Table) share(i uint32) {
	p := t.paths.at(i)
	m, x := t.members.records.Alloc()
	*x = member{path: i, left: m, right: m, owned: p.owned}
	t.members.add(m)
	t.relink(pathRef(i), memberRef(m))
	p.owned = owned{}
	p.setFirst(m)
	p.count(x.modes().in(dataModes), x.modes().in(childModes))
}

// change gives a watch other modes; with none it is gone.
func (t *Table) change(r ref, to modes) {
	o := t.owned(r)
	from, conn := o.modes(), o.conn()
	i := r.index()
	if r.isMember() {
		i = t.members.at(i).path
	}
	p := t.paths.at(i)
	t.count(p, conn, from, to)
	if to == 0 {
		t.drop(r, i)
		return
	}
	o.set(conn, to)
	if r.isMember() && (from^to)&dataRecursive != 0 {
		t.leaveRing(p, r.index())
		t.enterRing(p, r.index())
	}
}

// drop removes a watch, and its path with the last one.
func (t *Table) drop(r ref, i uint32) {
	t.disown(r)
	p := t.paths.at(i)
	if r.isMember() {
		t.leaveRing(p, r.index())
		t.members.remove(r.index())
		if p.first() != 0 {
			return
		}
	}
	t.exact.remove(p.tag)
	t.freeText(p)
	t.paths.remove(i)
}

// count notes that the modes of a connection on a path change. Nothing else counts.
func (t *Table) count(p *path, conn uint32, from, to modes) {
	inData := to.in(dataModes) - from.in(dataModes)
	inChild := to.in(childModes) - from.in(childModes)
	t.inData += int(inData)
	t.inChild += int(inChild)

	before, after := from.in(dataModes), to.in(dataModes) // watches of the path in the data table
	if p.isShared() {
		before = p.inData()
		p.count(inData, inChild)
		after = p.inData()
	}
	t.dataPaths += step(before, after)

	c := t.connAt(conn)
	had := int32(c.data)
	c.data += uint32(inData)
	t.dataConns += step(had, int32(c.data))

	switch to.in(dataRecursive) - from.in(dataRecursive) {
	case 1:
		t.recursive.add(p.tag)
	case -1:
		t.recursive.remove(p.tag)
	}
}

// step is 1 if a count leaves zero, -1 if it comes back.
func step(before, after int32) int { return int(min(after, 1) - min(before, 1)) }

// own puts a new watch at the head of its connection's list.
func (t *Table) own(r ref) {
	o := t.owned(r)
	if n := o.conn() + 1; n > t.connLimit {
		t.conns.Grow(t.conns.First() + n)
		t.connLimit = n
	}
	c := t.connAt(o.conn())
	o.older, o.newer = c.newest, 0
	if o.older != 0 {
		t.owned(o.older).newer = r
	}
	c.newest = r
}

// disown takes a watch out of its connection's list.
func (t *Table) disown(r ref) {
	o := t.owned(r)
	if o.older != 0 {
		t.owned(o.older).newer = o.newer
	}
	if o.newer != 0 {
		t.owned(o.newer).older = o.older
	} else {
		t.connAt(o.conn()).newest = o.older
	}
}

// relink gives the place of one watch in its connection's list to a copy of it.
func (t *Table) relink(from, to ref) {
	o := t.owned(from)
	if o.older != 0 {
		t.owned(o.older).newer = to
	}
	if o.newer != 0 {
		t.owned(o.newer).older = to
	} else {
		t.connAt(o.conn()).newest = to
	}
}

// enterRing puts a member into the ring of its path: to the front if it is recursive, else to the back.
func (t *Table) enterRing(p *path, m uint32) {
	x := t.members.at(m)
	first := p.first()
	if first == 0 {
		x.left, x.right = m, m
		p.setFirst(m)
		return
	}
	f := t.members.at(first)
	x.left, x.right = f.left, first
	t.members.at(f.left).right = m
	f.left = m
	if x.modes()&dataRecursive != 0 {
		p.setFirst(m)
	}
}

// leaveRing takes a member out of the ring of its path.
func (t *Table) leaveRing(p *path, m uint32) {
	x := t.members.at(m)
	if x.right == m {
		p.setFirst(0)
		return
	}
	t.members.at(x.left).right = x.right
	t.members.at(x.right).left = x.left
	if p.first() == m {
		p.setFirst(x.right)
	}
}
