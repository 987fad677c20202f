// Package edge holds the edge cases of the client protocol as tests, one for each numbered fact of the
// protocol specification's section 13 and one for each hazard of its section 15.
//
// A case's name begins with its fact's number. Cases share servers: those on one server run side by
// side, each below a node of its own; a server marked alone runs one case at a time, for cases that
// count zxids or look at the whole server.
//
// The suite runs against paddock. PADDOCK_TARGET=apache runs it against Apache's server instead, which
// is how the suite itself is validated: a case must hold for both, or say in its text where and why the
// two differ (an older release, or a hazard we refuse to copy). Facts that one standalone server cannot
// show are in the table notStandalone with the reason; they are printed, and never counted as passed.
package edge
