package wire

import (
	"encoding/binary"
	"math"
)

// Encoders append to a slice that the caller owns, and return it.

// AppendBool appends a boolean.
func AppendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// AppendInt appends an int.
func AppendInt(dst []byte, v int32) []byte { return binary.BigEndian.AppendUint32(dst, uint32(v)) }

// AppendLong appends a long.
func AppendLong(dst []byte, v int64) []byte { return binary.BigEndian.AppendUint64(dst, uint64(v)) }

// AppendBuffer appends a buffer: its length, then its bytes. nil and empty differ on the wire: nil
// has length -1, and clients read it as null.
func AppendBuffer(dst, b []byte) []byte {
	if b == nil {
		return binary.BigEndian.AppendUint32(dst, math.MaxUint32) // -1
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(b)))
	return append(dst, b...)
}

// AppendString appends a string; nil is null, as in AppendBuffer.
func AppendString(dst, s []byte) []byte { return AppendBuffer(dst, s) }

// BeginFrame leaves room for a frame's length; EndFrame fills it in.
func BeginFrame(dst []byte) (out []byte, mark int) { return append(dst, 0, 0, 0, 0), len(dst) }

// EndFrame writes the length of the frame that BeginFrame opened at mark.
func EndFrame(dst []byte, mark int) []byte {
	binary.BigEndian.PutUint32(dst[mark:], uint32(len(dst)-mark-4))
	return dst
}
