package sim

import "paddock/server"

// Mutant is a bug that a server of this protocol has had, built in again for one run.
type Mutant struct {
	Name   string
	Broken string // the promises that it breaks, as messages begin
	Seeds  int    // it must be found within so many

	defect server.Defect
	spoil  func(*world) // with the disk, after a crash
	plan   func(*plan)
}
