//go:build !linux

package harness

import "fmt"

// OwnNetwork calls run: namespaces are Linux's.
func OwnNetwork(run func() int) int {
	defer Cleanup()
	return run()
}

// Network is not there on this system; see network_linux.go.
type Network struct{}

// Host is not there on this system.
type Host struct{}

func (h *Host) do(f func() error) error { return f() }

// IP returns no address.
func (h *Host) IP() string { return "" }

// NewNetwork returns ErrNotAvailable.
func NewNetwork(int) (*Network, error) {
	return nil, fmt.Errorf("%w: network namespaces are Linux's", ErrNotAvailable)
}

// Host returns nothing.
func (n *Network) Host(int) *Host { return nil }

// Cut does nothing.
func (n *Network) Cut(from, to int) error { return nil }

// Mend does nothing.
func (n *Network) Mend(from, to int) error { return nil }

// Heal does nothing.
func (n *Network) Heal() error { return nil }

// Close does nothing.
func (n *Network) Close() {}
