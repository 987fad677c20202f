package auth

import (
	"bytes"
	"net/netip"

	"paddock/wire"
)

// Forwarded returns who a client is that another server of the ensemble vouches for: what it says is
// believed, as Apache's leaders do. It keeps nothing of v. A null or empty vector is nobody: an ACL has to
// let everybody.
func (r *Rules) Forwarded(v wire.AuthVec) *Identities {
	ids := &Identities{rules: r}
	for it := v.Iter(); it.Next(); {
		said := it.AuthID()
		one := identity{scheme: string(said.Scheme), id: bytes.Clone(said.ID)}
		if one.scheme == schemeIP {
			one.addr, _ = netip.ParseAddr(string(said.ID)) // else it is in no network
		}
		more := ids.with(one)
		if more == nil {
			break // too many: who has fewer rights is not a danger
		}
		ids = more
	}
	return ids
}

// AuthVec returns ids as they go to a leader with each request. It is encoded once.
func (ids *Identities) AuthVec() wire.AuthVec {
	if v := ids.encoded.Load(); v != nil {
		return *v
	}
	all := make([]wire.AuthID, 0, len(ids.all))
	for i := range ids.all {
		all = append(all, wire.AuthID{Scheme: []byte(ids.all[i].scheme), ID: ids.all[i].id})
	}
	v := wire.BuildAuth(all...)
	ids.encoded.Store(&v)
	return v
}
