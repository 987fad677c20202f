package wire

import "strconv"

// Zxid is a transaction's place in the one total order: epoch in the high 32 bits, counter in the
// low.
type Zxid int64

// Epoch returns the epoch of the leader that gave the zxid out.
func (z Zxid) Epoch() int64 { return int64(uint64(z) >> 32) }

// Counter returns the place within the epoch.
func (z Zxid) Counter() int64 { return int64(uint32(z)) }

func (z Zxid) String() string { return "0x" + strconv.FormatUint(uint64(z), 16) }
