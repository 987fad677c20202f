// Package paddock is the root of the repository; it has no code but the tests of its shape. The server
// is in cmd/paddock, the map of the house in docs/ARCHITECTURE.md.
package paddock
