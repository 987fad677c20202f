//go:build invariants

package runner

// invariants turns on costly checks: a buffer that was given back is overwritten.
const invariants = true
