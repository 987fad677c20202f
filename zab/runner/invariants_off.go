//go:build !invariants

package runner

// invariants turns on costly checks: see invariants_on.go.
const invariants = false
