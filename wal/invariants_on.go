//go:build invariants

package wal

// invariants: what a window has dropped is overwritten.
const invariants = true
