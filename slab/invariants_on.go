//go:build invariants

package slab

// invariants: freed memory is poisoned, and checked when it is handed out again.
const invariants = true
