//go:build !invariants

package znet

// invariants turns on checks that cost: released buffers are overwritten.
const invariants = false
