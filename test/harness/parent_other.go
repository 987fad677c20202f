//go:build !linux

package harness

import "syscall"

// dieWithParent has no portable form: elsewhere an interrupted test may leave its servers running.
func dieWithParent() *syscall.SysProcAttr { return nil }
