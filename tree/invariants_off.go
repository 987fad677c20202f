//go:build !invariants

package tree

const invariants = false
