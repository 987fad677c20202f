package auth

import (
	"bytes"
	"crypto/subtle"
	"net/netip"

	"paddock/wire"
)

// Identity is one answer to who a client is.
type Identity struct{ Scheme, ID string }

// Identities is who a client is. It never changes: Authenticate makes another. Any goroutine may use it.
type Identities struct {
	rules *Rules
	all   []identity // no two are equal
	super bool       // one of them is of scheme super
}

// identity is an Identity, ready to be compared.
type identity struct {
	scheme string
	id     []byte     // as text that Java wrote
	addr   netip.Addr // of scheme ip: what the id spells
}

// A client may collect identities, but not without end: the server keeps them for as long as the
// connection lives, and every request has to look at them. Apache's server has no such limit.
const (
	maxIdentities    = 256
	maxIdentityBytes = 256 << 10 // of all their ids
)

// Connect returns who a new connection is: its address.
func (r *Rules) Connect(addr netip.Addr) *Identities {
	addr = addr.Unmap()
	one := identity{scheme: schemeIP, id: appendJavaAddr(nil, addr), addr: addr}
	return &Identities{rules: r, all: []identity{one}}
}

// with returns ids and one more. If there are too many it returns nil.
func (ids *Identities) with(one identity) *Identities {
	size := len(one.id)
	for i := range ids.all {
		have := &ids.all[i]
		if have.scheme == one.scheme && subtle.ConstantTimeCompare(have.id, one.id) == 1 {
			return ids
		}
		size += len(have.id)
	}
	if len(ids.all) >= maxIdentities || size > maxIdentityBytes {
		return nil
	}
	more := append(ids.all[:len(ids.all):len(ids.all)], one)
	return &Identities{rules: ids.rules, all: more, super: ids.super || one.scheme == schemeSuper}
}

// All returns the identities, for people to read.
func (ids *Identities) All() []Identity {
	all := make([]Identity, 0, len(ids.all))
	for i := range ids.all {
		all = append(all, Identity{ids.all[i].scheme, string(ids.all[i].id)})
	}
	return all
}

// Authenticate takes an auth packet: data, null if it is nil, is proof for scheme. It returns who the
// client is then, or AuthFailed and nobody; ids stays what it was. data is not kept.
func (r *Rules) Authenticate(ids *Identities, scheme, data []byte) (*Identities, wire.Code) {
	switch string(scheme) {
	case schemeIP:
		return ids, wire.OK // it is there from the beginning
	case schemeDigest:
		if r.digest == nil || data == nil {
			return nil, wire.AuthFailed
		}
		if ids = r.authenticateDigest(ids, data); ids == nil {
			return nil, wire.AuthFailed
		}
		return ids, wire.OK
	}
	return nil, wire.AuthFailed
}

// authenticateDigest accepts everybody: who knows the password of a user has the same id as it.
func (r *Rules) authenticateDigest(ids *Identities, userPassword []byte) *Identities {
	id := r.digest.id(userPassword)
	if r.superDigest != nil && subtle.ConstantTimeCompare(id, r.superDigest) == 1 {
		if ids = ids.with(identity{scheme: schemeSuper, id: []byte{}}); ids == nil {
			return nil
		}
	}
	return ids.with(identity{scheme: schemeDigest, id: id})
}

// May reports whether a list lets one of ids do what need says; of several bits in need, one
// suffices. A list that is null or empty lets everybody. Source: ZooKeeperServer.checkACL.
func (ids *Identities) May(acl wire.ACLVec, need int32) bool {
	if ids.rules.skipACL || ids.super || acl.Len() == 0 {
		return true
	}
	for it := acl.Iter(); it.Next(); {
		if a := it.ACL(); a.Perms&need != 0 && ids.match(&a) {
			return true
		}
	}
	return false
}

// match reports whether an entry is about one of ids.
func (ids *Identities) match(a *wire.ACL) bool {
	switch string(a.Scheme) {
	case schemeWorld:
		return string(a.ID) == worldID
	case schemeDigest:
		return ids.matchDigest(a.ID) // where digest is off, nobody has such an identity
	case schemeIP:
		return ids.matchIP(a.ID)
	}
	return false
}

func (ids *Identities) matchDigest(id []byte) bool {
	for i := range ids.all {
		have := &ids.all[i]
		if have.scheme == schemeDigest && subtle.ConstantTimeCompare(have.id, id) == 1 {
			return true
		}
	}
	return false
}

func (ids *Identities) matchIP(id []byte) bool {
	net, ok := parseNetwork(id)
	if !ok {
		return false
	}
	for i := range ids.all {
		if have := &ids.all[i]; have.scheme == schemeIP && net.contains(have.addr) {
			return true
		}
	}
	return false
}

// AppendWhoAmI appends the body of a whoAmI reply: the scheme and the user of each identity. Of a
// digest the user is what stands before the hash; super has none. Clients must not rely on the order, which
// in Java is that of a hash table.
func (r *Rules) AppendWhoAmI(dst []byte, ids *Identities) []byte {
	dst = wire.AppendInt(dst, int32(len(ids.all)))
	for i := len(ids.all) - 1; i >= 0; i-- { // newest first, the address last, as Java mostly has it
		one := &ids.all[i]
		user := one.id
		switch one.scheme {
		case schemeDigest:
			user, _, _ = bytes.Cut(user, colon)
		case schemeSuper:
			user = []byte{}
		}
		dst = wire.AppendString(wire.AppendString(dst, []byte(one.scheme)), user)
	}
	return dst
}
