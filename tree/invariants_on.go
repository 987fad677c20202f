//go:build invariants

package tree

// invariants: a tree that was loaded is checked as a whole.
const invariants = true
