package differential

import (
	"fmt"
	"strings"
)

// intended is one place where paddock answers differently from Apache's server on purpose.
type intended struct {
	name    string // for comments elsewhere
	request string
	apache  string // what Apache's server does
	paddock string
	reason  string
	handled string // how this suite keeps the difference from hiding others
	tested  string // where paddock's answer is pinned
}

// differences is the reviewed list. A difference that is not in it is a bug, of one server or the other.
// Adding an entry is a decision: it needs a reason that a user would accept.
var differences = []intended{
	{
		name:    "create-ttl-flags",
		request: "createTTL outside a multi with flags 0 to 4 and a negative ttl",
		apache:  "accepts it and stops the whole process while applying it",
		paddock: "BadArguments",
		reason:  "any client could stop the server",
		handled: "never sent",
		tested:  "TestHazards/h01",
	},
	{
		name:    "quota-on-root",
		request: "create of /zookeeper/quota/zookeeper_limits, a quota on the root",
		apache:  "stops the whole process",
		paddock: "creates the node, which has no effect",
		reason:  "any client could stop the server",
		handled: "never sent",
		tested:  "TestHazards/h02",
	},
	{
		name:    "quota-stats-text",
		request: "text that is not key=number in an active zookeeper_stats, then a write below its node",
		apache:  "stops the whole process",
		paddock: "counts on from zero",
		reason:  "any client could stop the server",
		handled: "never sent",
		tested:  "TestHazards/h03",
	},
	{
		name:    "quota-limits-text",
		request: "text that is not key=number in zookeeper_limits, with enforceQuota on",
		apache:  "every write below fails with MarshallingError",
		paddock: "no limit",
		reason:  "a typing error in a limit must not stop all writers, and the error names nothing",
		handled: "never sent",
		tested:  "TestHazards/h04",
	},
	{
		name:    "delete-container",
		request: "deleteContainer (20) from a client",
		apache:  "deletes any childless node, without looking at ACLs",
		paddock: "Unimplemented, and the connection is closed",
		reason:  "it goes around the ACLs; no client library sends it",
		handled: "never sent",
		tested:  "TestHazards/h05",
	},
	{
		name:    "create-session",
		request: "createSession (-10) from a client",
		apache:  "answers with a second connect reply",
		paddock: "Unimplemented, and the connection is closed",
		reason:  "it is an op of the servers; no client library sends it",
		handled: "never sent",
		tested:  "TestHazards/h06",
	},
	{
		name:    "renewal-password",
		request: "renewal of a session with a wrong password while its owner is connected",
		apache:  "closes the owner's connection, then looks at the password",
		paddock: "looks at the password first and leaves the owner alone",
		reason:  "whoever knows a session id, which logs and metrics show, could disconnect its owner",
		handled: "wrong passwords are tried only while nobody holds the session",
		tested:  "TestFacts/005, TestHazards/h09",
	},
	{
		name:    "reply-order",
		request: "auth, sasl and unknown ops behind requests that are not answered yet",
		apache:  "their replies may overtake those of earlier requests, which are lost if the connection closes",
		paddock: "every reply leaves in the order of requests",
		reason:  "kazoo pairs an auth reply with the oldest pending request; no client needs the overtaking",
		handled: "such requests are not put into bursts",
		tested:  "TestFacts/031, TestFacts/134",
	},
	{
		name:    "closing-session",
		request: "requests pipelined behind closeSession",
		apache:  "mostly no reply, now and then SessionExpired",
		paddock: "no reply",
		reason:  "one of Apache's two answers, always the same",
		handled: "nothing is pipelined behind closeSession",
		tested:  "TestFacts/020",
	},
	{
		name:    "multiread-error-body",
		request: "a multiRead that fails as a whole",
		apache:  "MarshallingError with the results that were ready as a body",
		paddock: "MarshallingError without a body",
		reason:  "clients do not read the body of an error",
		handled: "the body is not compared",
		tested:  "TestFacts/075",
	},
	{
		name:    "container-ephemeral-flag",
		request: "createContainer with the flag of ephemerals, then a create below it in the same multi or pipelined",
		apache:  "until it is applied the container counts as ephemeral: NoChildrenForEphemerals, in a pipeline only if the server is slow",
		paddock: "a container from the start",
		reason:  "the answer depends on a race; no client library sends the flag",
		handled: "the flag is sent only alone",
		tested:  "TestHazards/h12",
	},
	{
		name:    "pending-acl",
		request: "setACL with writes pipelined behind it",
		apache:  "the writes are checked against the old list until the new one is applied",
		paddock: "they are checked against the new list",
		reason:  "a session's writes take effect in their order, ACLs included",
		handled: "setACL is sent only alone",
		tested:  "TestHazards/h13",
	},
	{
		name:    "setwatches-null",
		request: "setWatches or setWatches2 with a null list that is not the first",
		apache:  "deals with the lists before it, events included, then MarshallingError",
		paddock: "MarshallingError, and nothing else",
		reason:  "a request is refused or carried out, not both",
		handled: "only the first list is null",
		tested:  "TestFacts/090",
	},
	{
		name:    "empty-path-count",
		request: "getAllChildrenNumber of the empty path, which elsewhere is the root",
		apache:  "one more than for /, for it counts the root itself",
		paddock: "the same as for /",
		reason:  "one node has one number of descendants; no client library sends the empty path",
		handled: "never sent",
		tested:  "TestHazards/h14",
	},
	{
		name:    "whitelist",
		request: "four-letter words without 4lw.commands.whitelist",
		apache:  "srvr alone is answered",
		paddock: "ruok, srvr, mntr, isro, conf, stat, live, redy and envi are",
		reason:  "probes and dashboards work at once; what lists paths or resets counters still has to be asked for",
		handled: "all words are allowed",
		tested:  "TestFacts/122",
	},
	{
		name:    "data-size",
		request: "zk_approximate_data_size once quota statistics have grown or shrunk",
		apache:  "does not count what the server itself writes into zookeeper_stats",
		paddock: "counts the bytes that are there",
		reason:  "it is the size of the data",
		handled: "not compared in streams with quotas or a restart, at which Apache counts anew",
		tested:  "TestHazards/h15",
	},
	{
		name:    "watch-null-path",
		request: "addWatch with a null path",
		apache:  "registers a watch under a null key",
		paddock: "answers the same and registers nothing",
		reason:  "there is no node it could tell about",
		handled: "never sent",
		tested:  "TestFacts/039, TestHazards/h08",
	},
}

// rows of docs/compatibility.md between these lines belong to this package.
const (
	beginRows = "<!-- written by go test ./test/differential -rewrite: begin -->\n"
	endRows   = "<!-- end -->\n"
)

// table renders differences for docs/compatibility.md.
func table() string {
	var b strings.Builder
	b.WriteString("\n| Request | Apache ZooKeeper | paddock | Why | Tested by |\n|---|---|---|---|---|\n")
	for _, d := range differences {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | `%s` |\n", d.request, d.apache, d.paddock, d.reason,
			strings.ReplaceAll(d.tested, ", ", "`, `"))
	}
	b.WriteString("\n")
	return b.String()
}
