// Package tree is the state of a server: znodes, ACLs, ephemerals, quotas, sessions.
package tree
