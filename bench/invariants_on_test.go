//go:build invariants

package bench

const invariants = true
