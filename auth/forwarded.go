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

// AppendAuth appends ids as they go to a leader with each request: a wire.AuthVec.
func (ids *Identities) AppendAuth(dst []byte) []byte {
	dst = wire.AppendInt(dst, int32(len(ids.all)))
	for i := range ids.all {
		one := &ids.all[i]
		dst = wire.AppendInt(dst, int32(len(one.scheme)))
		dst = append(dst, one.scheme...)
		dst = wire.AppendBuffer(dst, one.id)
	}
	return dst
}
