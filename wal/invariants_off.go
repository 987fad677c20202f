//go:build !invariants

package wal

const invariants = false
