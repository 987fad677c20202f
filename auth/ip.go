package auth

import (
	"bytes"
	"math"
	"net/netip"
	"strconv"
)

// network is what an ACL id of scheme ip names: the addresses that begin with some bits.
type network struct {
	addr [16]byte // a v4 address has four bytes
	n    int      // bytes in addr: 4 or 16
	bits int
}

// parseNetwork reads an address and, behind a slash, how many of its bits count. It allocates nothing.
// Source: IPAuthenticationProvider.
func parseNetwork(id []byte) (network, bool) {
	addr, bits, hasBits := bytes.Cut(id, []byte{'/'})
	var net network
	if !net.parseV4(addr) && !net.parseV6(addr) {
		return network{}, false
	}
	net.bits = net.n * 8
	if hasBits {
		n, ok := parseJavaInt(bits)
		if !ok || n < 0 || n > net.bits {
			return network{}, false
		}
		net.bits = n
	}
	return net, true
}

// parseV4 reads four decimal numbers up to 255.
func (n *network) parseV4(b []byte) bool {
	for i := range 4 {
		part, rest, more := bytes.Cut(b, []byte{'.'})
		v, ok := parseJavaInt(part)
		if !ok || v < 0 || v > 255 || more != (i < 3) {
			return false
		}
		n.addr[i] = byte(v)
		b = rest
	}
	n.n = 4
	return true
}

// parseV6 reads eight groups of up to four hex digits; once, :: may stand for one group of zero or more.
func (n *network) parseV6(b []byte) bool {
	n.n, n.addr = 16, [16]byte{}
	front, back, gap := bytes.Cut(b, []byte("::"))
	if !gap {
		groups, ok := parseGroups(front, n.addr[:])
		return ok && groups == 8
	}
	var tail [16]byte
	f, ok1 := parseGroups(front, n.addr[:])
	k, ok2 := parseGroups(back, tail[:])
	if !ok1 || !ok2 || f+k > 7 {
		return false
	}
	copy(n.addr[16-2*k:], tail[:2*k])
	return true
}

// parseGroups reads groups between colons into dst, and returns how many; no text is no groups.
func parseGroups(b, dst []byte) (groups int, ok bool) {
	for more := len(b) > 0; more; groups++ {
		var part []byte
		part, b, more = bytes.Cut(b, colon)
		if len(part) == 0 || len(part) > 4 || groups == 8 {
			return 0, false
		}
		v := 0
		for _, c := range part {
			d := hexDigit(c)
			if d < 0 {
				return 0, false
			}
			v = v<<4 | d
		}
		dst[2*groups], dst[2*groups+1] = byte(v>>8), byte(v)
	}
	return groups, true
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// parseJavaInt reads what Integer.parseInt does: digits, with a sign or without, of a number that fits in
// 32 bits. (Java also takes digits of other scripts; those we refuse.)
func parseJavaInt(b []byte) (int, bool) {
	sign := 1
	if len(b) > 0 && (b[0] == '+' || b[0] == '-') {
		if b[0] == '-' {
			sign = -1
		}
		b = b[1:]
	}
	if len(b) == 0 {
		return 0, false
	}
	v := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		if v = v*10 + int(c-'0'); v > math.MaxInt32 {
			return 0, false // nobody here wants -2^31
		}
	}
	return sign * v, true
}

// contains reports whether an address begins as the network does. An address of the other family does not,
// nor does one with a zone: Java cannot read those back from the identity it makes of them.
func (n *network) contains(a netip.Addr) bool {
	if a.Zone() != "" || a.BitLen() != n.n*8 {
		return false
	}
	var b [16]byte
	if a.Is4() {
		v4 := a.As4()
		copy(b[:], v4[:])
	} else {
		b = a.As16()
	}
	whole := n.bits / 8
	if !bytes.Equal(b[:whole], n.addr[:whole]) {
		return false
	}
	rest := n.bits % 8
	return rest == 0 || (b[whole]^n.addr[whole])>>(8-rest) == 0
}

// appendJavaAddr appends an address as Java spells it: of v6 all eight groups, without leading zeros.
// Source: InetAddress.getHostAddress.
func appendJavaAddr(dst []byte, a netip.Addr) []byte {
	if !a.Is6() {
		if a.IsValid() {
			dst = a.AppendTo(dst)
		}
		return dst
	}
	b := a.As16()
	for i := 0; i < 16; i += 2 {
		if i > 0 {
			dst = append(dst, ':')
		}
		dst = strconv.AppendUint(dst, uint64(b[i])<<8|uint64(b[i+1]), 16)
	}
	if zone := a.Zone(); zone != "" {
		dst = append(append(dst, '%'), zone...)
	}
	return dst
}
