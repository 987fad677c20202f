package config

// threadKeys tune parts of Apache's server that have no counterpart here.
var threadKeys = []key{
	{name: "serverCnxnFactory", place: property, verdict: Ignored, why: whyNoThreads, doc: "Class of the network layer."},
	{name: "nio.numSelectorThreads", place: property, form: number, verdict: Ignored, why: whyNoThreads, doc: "Selector threads."},
	{name: "nio.numWorkerThreads", place: property, form: number, verdict: Ignored, why: whyNoThreads, doc: "Worker threads."},
	{name: "nio.directBufferBytes", place: property, form: number, unit: "bytes", def: "65536", verdict: Ignored, why: whyNoThreads, doc: "Direct buffers."},
	{name: "nio.shutdownTimeout", place: property, form: number, unit: "ms", def: "5000", verdict: Ignored, why: whyNoThreads, doc: "Time for worker threads to end."},
	{name: "netty.advancedFlowControl.enabled", place: property, form: boolean, def: "false", verdict: Ignored, why: whyNoThreads, doc: "Flow control of Netty."},
	{name: "netty.server.earlyDropSecureConnectionHandshakes", place: property, form: boolean, def: "false", verdict: Ignored, why: whyNoThreads, doc: "Drop TLS handshakes before the server is up."},
	{name: "intBufferStartingSizeBytes", place: property, form: number, unit: "bytes", def: "1024", verdict: Ignored, why: whyNoThreads, doc: "First size of a reply buffer."},
	{name: "commitProcessor.numWorkerThreads", place: property, form: number, verdict: Ignored, why: whyNoThreads, doc: "Threads of the commit stage."},
	{name: "commitProcessor.maxReadBatchSize", place: property, form: number, def: "-1", min: negative, verdict: Ignored, why: whyNoThreads, doc: "Reads per turn of the commit stage."},
	{name: "commitProcessor.maxCommitBatchSize", place: property, form: number, def: "1", verdict: Ignored, why: whyNoThreads, doc: "Commits per turn of the commit stage."},
	{name: "commitProcessor.shutdownTimeout", place: property, form: number, unit: "ms", def: "5000", verdict: Ignored, why: whyNoThreads, doc: "Time for those threads to end."},
	{name: "forward_learner_requests_to_commit_processor_disabled", place: property, form: boolean, def: "false", verdict: Ignored, why: whyNoThreads, doc: "Shortcut in a learner's stages."},
	{name: "follower.skipLearnerRequestToNextProcessor", place: property, form: boolean, def: "false", verdict: Ignored, why: whyNoThreads, doc: "Shortcut in a follower's stages."},
	{name: "follower.nodelay", place: flagOnly, form: boolean, def: "true", verdict: Ignored, why: whyNoThreads, doc: "TCP_NODELAY; always on here."},
	{name: "leader.nodelay", place: flagOnly, form: boolean, def: "true", verdict: Ignored, why: whyNoThreads, doc: "TCP_NODELAY; always on here."},
	{name: "leader.closeSocketAsync", place: property, form: boolean, def: "false", verdict: Ignored, why: whyNoThreads, doc: "Close sockets from another thread."},
	{name: "learner.closeSocketAsync", place: property, form: boolean, def: "false", verdict: Ignored, why: whyNoThreads, doc: "Close sockets from another thread."},
	{name: "learner.asyncSending", place: property, form: boolean, def: "false", verdict: Ignored, why: whyNoThreads, doc: "Send from another thread."},
	{name: "controllerPort", place: property, form: number, unit: "port", max: maxPort, verdict: Ignored, why: "for tests of Apache's server only", doc: "Port of the test controller."},
}

// deadKeys are headings of Apache's documentation that its code does not read. The verdict's
// reason is the name that works.
var deadKeys = []key{
	{name: "connectionMaxTokens", verdict: Dead, why: "connection_throttle_tokens"},
	{name: "connectionTokenFillTime", verdict: Dead, why: "connection_throttle_fill_time"},
	{name: "connectionTokenFillCount", verdict: Dead, why: "connection_throttle_fill_count"},
	{name: "connectionFreezeTime", verdict: Dead, why: "connection_throttle_freeze_time"},
	{name: "connectionDropIncrease", verdict: Dead, why: "connection_throttle_drop_increase"},
	{name: "connectionDropDecrease", verdict: Dead, why: "connection_throttle_drop_decrease"},
	{name: "connectionDecreaseRatio", verdict: Dead, why: "connection_throttle_decrease_ratio"},
	{name: "requestThrottleLimit", verdict: Dead, why: "request_throttle_max_requests"},
	{name: "requestThrottleStallTime", verdict: Dead, why: "request_throttle_stall_time"},
	{name: "requestThrottleDropStale", verdict: Dead, why: "request_throttle_drop_stale"},
	{name: "requestStaleLatencyCheck", verdict: Dead, why: "request_stale_latency_check"},
	{name: "requestStaleConnectionCheck", verdict: Dead, why: "request_stale_connection_check"},
	{name: "advancedFlowControlEnabled", verdict: Dead, why: "netty.advancedFlowControl.enabled"},
	{name: "maxConcurrentSnapSyncs", verdict: Dead, why: "leader.maxConcurrentSnapSyncs"},
	{name: "maxConcurrentDiffSyncs", verdict: Dead, why: "leader.maxConcurrentDiffSyncs"},
	{name: "maxTimeToWaitForEpoch", verdict: Dead, why: "leader.maxTimeToWaitForEpoch"},
	{name: "throttledOpWaitTime", verdict: Dead, why: "throttled_op_wait_time"},
	{name: "outstandingHandshake.limit", verdict: Dead, why: "netty.server.outstandingHandshake.limit"},
}

const (
	whyJVM    = "for the Java virtual machine or its libraries"
	whyClient = "read by clients, not by servers"
)

// jvmKeys turn up in files and flags of Java servers and mean nothing to any other.
var jvmKeys = []key{
	{name: "java.*", prop: "java.*", verdict: JVM, why: whyJVM, doc: "Java."},
	{name: "javax.*", prop: "javax.*", verdict: JVM, why: whyJVM, doc: "Java (TLS stores among others)."},
	{name: "jdk.*", prop: "jdk.*", verdict: JVM, why: whyJVM, doc: "Java."},
	{name: "sun.*", prop: "sun.*", verdict: JVM, why: whyJVM, doc: "Java."},
	{name: "com.sun.*", prop: "com.sun.*", verdict: JVM, why: whyJVM, doc: "Java (JMX among others)."},
	{name: "user.*", prop: "user.*", verdict: JVM, why: whyJVM, doc: "Java."},
	{name: "file.*", prop: "file.*", verdict: JVM, why: whyJVM, doc: "Java."},
	{name: "io.netty.*", prop: "io.netty.*", verdict: JVM, why: whyJVM, doc: "Netty."},
	{name: "org.eclipse.jetty.*", prop: "org.eclipse.jetty.*", verdict: JVM, why: whyJVM, doc: "Jetty."},
	{name: "log4j*", prop: "log4j*", verdict: JVM, why: whyJVM, doc: "log4j; see `--log-level`."},
	{name: "logback*", prop: "logback*", verdict: JVM, why: whyJVM, doc: "logback; see `--log-level`."},
	{name: "log.*", place: property, verdict: JVM, why: whyJVM, doc: "Log files (`zookeeper.log.dir`, `zookeeper.log.file`); the log goes to standard error."},
	{name: "root.logger", place: property, verdict: JVM, why: whyJVM, doc: "log4j; see `--log-level`."},
	{name: "console.threshold", place: property, verdict: JVM, why: whyJVM, doc: "log4j; see `--log-level`."},
	{name: "jmx.*", place: property, verdict: JVM, why: whyJVM, doc: "JMX."},
	{name: "client.secure", place: property, verdict: Ignored, why: whyClient, doc: "TLS of a client."},
	{name: "clientCnxnSocket", place: property, verdict: Ignored, why: whyClient, doc: "Class of a client's network layer."},
	{name: "sasl.client*", place: property, verdict: Ignored, why: whyClient, doc: "SASL of a client."},
	{name: "server.principal", place: property, verdict: Ignored, why: whyClient, doc: "Principal that a client expects."},
	{name: "request.timeout", place: property, verdict: Ignored, why: whyClient, doc: "Time a client waits."},
	{name: "disableAutoWatchReset", place: property, verdict: Ignored, why: whyClient, doc: "Watches after a reconnect."},
	{name: "shuffleDnsResponse", place: property, verdict: Ignored, why: whyClient, doc: "Order of a client's servers."},
	{name: "hostProvider.*", place: property, verdict: Ignored, why: whyClient, doc: "A client's list of servers."},
	{name: "configuration", place: property, verdict: Ignored, why: whyClient, doc: "File of a client."},
	{name: "version", verdict: Ignored, why: "the version belongs to the dynamic file", doc: "Version of the membership."},
}
