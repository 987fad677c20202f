package session

import (
	"crypto/subtle"
	"encoding/binary"
	"math"
)

// A session's password is what java.util.Random gives for its id: a linear congruential generator of
// 48 bits, seeded with the id and a constant. Source: ZooKeeperServer.generatePasswd.
const (
	passwordSalt = 0xB3415C00
	lcgFactor    = 0x5DEECE66D
	lcgAddend    = 0xB
	lcgMask      = 1<<48 - 1
)

// Password returns the password of a session.
func Password(id int64) [16]byte {
	var p [16]byte
	state := (uint64(id) ^ passwordSalt ^ lcgFactor) & lcgMask
	for i := 0; i < len(p); i += 4 {
		state = (state*lcgFactor + lcgAddend) & lcgMask
		binary.LittleEndian.PutUint32(p[i:], uint32(state>>16))
	}
	return p
}

// CheckPassword reports whether passwd is the password of session id. How long it takes does not
// depend on the bytes of passwd. Session 0 does not exist, whatever its password.
func CheckPassword(id int64, passwd []byte) bool {
	want := Password(id)
	return subtle.ConstantTimeCompare(want[:], passwd) == 1 && id != 0
}

// NegotiateTimeout returns the session timeout, in milliseconds, for a client that asked for want:
// want held to [minMS, maxMS]. It never fails; zero and negative wants get minMS.
// Source: ZooKeeperServer.processConnectRequest.
func NegotiateTimeout(want, minMS, maxMS int32) int32 { return min(max(want, minMS), maxMS) }

// FirstID returns the first session id a server gives out; each next session has the next integer.
//
//	63     56 55                                    16 15      0
//	┌────────┬────────────────────────────────────────┬─────────┐
//	│ server │ low 40 bits of the time at start, in ms │ 0       │
//	└────────┴────────────────────────────────────────┴─────────┘
//
// wallMS is wall time: Apache's servers take the machine's uptime, so their ids repeat after a reboot. The
// smallest integer of all is skipped, for it is the owner of container nodes.
func FirstID(serverID uint8, wallMS int64) int64 {
	id := int64(uint64(wallMS)<<24>>8 | uint64(serverID)<<56)
	if id == math.MinInt64 {
		id++
	}
	return id
}
