package config

import (
	"cmp"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"time"
)

// Config holds the values the server runs with. Each field names its zoo.cfg key; unit and
// default follow where they are not obvious. Load fills in every one; zero values mean nothing.
type Config struct {
	// File is the path of the configuration file, empty when there was none.
	File string

	// Files.

	DataDir           string // dataDir; required; snapshots, myid, lock
	DataLogDir        string // dataLogDir; default: DataDir; transaction logs
	DataDirAutoCreate bool   // datadir.autocreate; default true
	ServerID          int64  // content of dataDir/myid; 0 without such a file

	// Listeners. ClientAddr, AdminAddr and MetricsAddr join hosts and ports.

	ClientPort              int    // clientPort; 0 = none
	ClientPortAddress       string // clientPortAddress; host or IP; empty = all
	ClientPortListenBacklog int    // clientPortListenBacklog; default -1, the system's; shown by conf
	SecureClientPort        int    // secureClientPort; 0 = none; TLS is not served yet
	SecureClientPortAddress string // secureClientPortAddress; empty = all

	// Time and sessions.

	TickTimeMS          int32 // tickTime; default 3000 ms
	MinSessionTimeoutMS int32 // minSessionTimeout; default 2 ticks
	MaxSessionTimeoutMS int32 // maxSessionTimeout; default 20 ticks

	// Connections.

	MaxClientCnxns         int           // maxClientCnxns; connections per source address; default 60; 0 = no limit
	MaxCnxns               int           // maxCnxns; connections in all; default 0 = no limit
	SessionlessCnxnTimeout time.Duration // nio.sessionlessCnxnTimeout; default 10 s; to send a ConnectRequest
	ClientTCPKeepAlive     bool          // clientTcpKeepAlive; default true (Apache: false)

	// Requests.

	JuteMaxBuffer              int           // jute.maxbuffer; largest request in bytes; default 1048575
	JuteExtraSize              int           // jute.maxbuffer.extrasize; slack in bytes for lengths inside records; default JuteMaxBuffer
	GlobalOutstandingLimit     int           // globalOutstandingLimit; default 1000 requests; not used
	EnforceQuota               bool          // enforceQuota; default false; hard quotas refuse writes
	EnableEagerACLCheck        bool          // enableEagerACLCheck; default false
	CloseSessionTxnEnabled     bool          // closeSessionTxn.enabled; default true
	RequestThrottleMaxRequests int           // request_throttle_max_requests; default 0 = off
	RequestThrottleStallTime   time.Duration // request_throttle_stall_time; default 100 ms
	ThrottledOpWaitTime        time.Duration // throttled_op_wait_time; default 0 = off
	LargeRequestMaxBytes       int64         // largeRequestMaxBytes; default 100 MiB
	LargeRequestThreshold      int64         // largeRequestThreshold in bytes; default -1 = off

	// Log and snapshots.

	SnapCount             int           // snapCount; transactions between snapshots; default 100000, at least 2
	SnapSizeLimitBytes    int64         // snapSizeLimitInKb; log bytes between snapshots; default 4 GiB; <= 0 = off
	PreAllocBytes         int64         // preAllocSize; how far ahead the log is zeroed; default 64 MiB
	TxnLogSizeLimitBytes  int64         // txnLogSizeLimitInKb; default off; not used
	ForceSync             bool          // forceSync; default true; false: an acknowledged write may be lost
	FsyncWarningThreshold time.Duration // fsync.warningthresholdms; default 1 s
	DigestEnabled         bool          // digest.enabled; default true; digests of the tree in the log

	// Purge: a snapshot goes when it is neither among the newest PurgeSnapRetainCount nor
	// younger than PurgeRetainAge, and with it the log that only it needed.

	PurgeInterval        time.Duration // autopurge.purgeInterval; default 1 h (Apache: off); 0 = never purge
	PurgeSnapRetainCount int           // autopurge.snapRetainCount; default 3, at least 3
	PurgeRetainAge       time.Duration // autopurge.retainAge (ours); default 24 h, or 0 when purgeInterval was set

	// Nodes that the server deletes by itself.

	ExtendedTypesEnabled  bool          // extendedTypesEnabled; default false; TTL nodes
	ContainerInterval     time.Duration // znode.container.checkIntervalMs; default 60 s; 0 = never looked for
	ContainerMaxPerMinute int           // znode.container.maxPerMinute; default 10000
	ContainerMaxNeverUsed time.Duration // znode.container.maxNeverUsedIntervalMs; default 300 s; 0 = kept for ever

	// Authentication. See client-facing documents for what each of them lets in.

	SkipACL                      bool     // skipACL; default false; true only for the word "yes"
	DigestAuthEnabled            bool     // DigestAuthenticationProvider.enabled; default true
	DigestAlgorithm              string   // DigestAuthenticationProvider.digestAlg; canonical name; default "SHA1"
	SuperDigest                  Secret   // DigestAuthenticationProvider.superDigest; "user:hash"; empty = none
	X509SuperUser                string   // X509AuthenticationProvider.superUser; subject
	SuperUser                    string   // superUser; SASL identity
	AuthSchemes                  []string // ip, digest and those of authProvider.*, sorted
	EnforceAuth                  bool     // enforce.auth.enabled; default false
	EnforceAuthSchemes           []string // enforce.auth.schemes
	SessionRequireClientSASLAuth bool     // sessionRequireClientSASLAuth; default false
	AllowSASLFailedClients       bool     // allowSaslFailedClients; default false
	AuditEnable                  bool     // audit.enable; default false

	// Four-letter words: what is allowed; a single "*" allows all.

	FourLetterWords []string // 4lw.commands.whitelist

	// Admin server and metrics.

	AdminEnabled     bool          // admin.enableServer; default true
	AdminAddress     string        // admin.serverAddress; default 127.0.0.1 (Apache: all)
	AdminPort        int           // admin.serverPort; default 8080
	AdminCommandURL  string        // admin.commandURL; default /commands
	AdminIdleTimeout time.Duration // admin.idleTimeout; default 30 s
	AdminSnapshot    bool          // admin.snapshot.enabled; default true
	AdminRestore     bool          // admin.restore.enabled; default true
	AdminRateLimit   time.Duration // admin.rateLimiterIntervalInMS; default 300 s; between snapshots or restores
	MetricsEnabled   bool          // metricsProvider.className names the Prometheus provider
	MetricsAddress   string        // metricsProvider.httpHost; default 0.0.0.0
	MetricsPort      int           // metricsProvider.httpPort; default 7000
	MetricsExportJVM bool          // metricsProvider.exportJvmInfo; default true; process metrics
	JVMPauseMonitor  bool          // jvm.pause.monitor; default false; warn of a stalled process
	JVMPauseWarn     time.Duration // jvm.pause.warn-threshold.ms; default 10 s
	JVMPauseInfo     time.Duration // jvm.pause.info-threshold.ms; default 1 s
	JVMPauseSleep    time.Duration // jvm.pause.sleep.time.ms; default 500 ms

	// Ensemble is nil for a server that stands alone.
	Ensemble *Ensemble

	EnsembleSettings // as they were given, also where Ensemble is nil

	origins map[string]string // by key: where a value that is not the default came from
	extras  []Setting         // what was given but is bound to no field, in the order given
}

// ClientAddr returns the address to listen on for clients, "" without a client port.
func (c *Config) ClientAddr() string { return join(c.ClientPortAddress, c.ClientPort) }

// MembershipFile returns the path of the file that keeps a membership which a reconfig has made, in the text
// of zab.View. One that is proposed, and not in force yet, is beside it, with .next behind its name. Who runs
// the server writes them; see NextMembershipFile.
func (c *Config) MembershipFile() string { return filepath.Join(c.DataDir, "paddock", "membership") }

// NextMembershipFile returns the path of the file of a proposed membership.
func (c *Config) NextMembershipFile() string { return c.MembershipFile() + nextSuffix }

// InitializeMarker returns the path of the file that lets an empty server of an ensemble vote at
// once; see Ensemble.Marked.
func (c *Config) InitializeMarker() string {
	return filepath.Join(cmp.Or(c.DataLogDir, c.DataDir), "initialize")
}

// AdminAddr returns the address of the admin server, "" when it is off. Port 0 is any free one.
func (c *Config) AdminAddr() string {
	if !c.AdminEnabled {
		return ""
	}
	return net.JoinHostPort(c.AdminAddress, strconv.Itoa(c.AdminPort))
}

// MetricsAddr returns the address of the metrics listener, "" when no provider was asked for.
func (c *Config) MetricsAddr() string {
	if !c.MetricsEnabled {
		return ""
	}
	return join(c.MetricsAddress, c.MetricsPort)
}

func join(host string, port int) string {
	if port == 0 {
		return ""
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// Secret is a value that prints as asterisks, so that no log line can give it away.
// string(s) is the value.
type Secret string

const mask = "********"

// String returns asterisks, or nothing for an empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// GoString keeps %#v from printing the value.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// LogValue keeps slog from printing the value.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps encoders from printing the value.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
