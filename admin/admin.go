package admin

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"paddock/server"
)

// Config is what admin needs to know. The keys are those of zoo.cfg.
type Config struct {
	Version string    // of this build, "1.2.3"
	Built   time.Time // when; zero prints as 1970

	// FourLetterWords are the words that are answered; "*" answers all, nil DefaultWords. A list is obeyed
	// to the letter: one without srvr refuses srvr. 4lw.commands.whitelist
	FourLetterWords []string

	Enabled     bool          // serve HTTP; admin.enableServer
	Address     string        // host; empty is 127.0.0.1; admin.serverAddress
	Port        int           // 0 is any free port; admin.serverPort
	CommandURL  string        // prefix of commands; empty is /commands; admin.commandURL
	IdleTimeout time.Duration // of a connection; 0 is 30 s; admin.idleTimeout

	MetricsEnabled bool   // serve metrics on a port of their own, too; metricsProvider.className
	MetricsAddress string // host; empty is 127.0.0.1; metricsProvider.httpHost
	MetricsPort    int    // 0 or less: none; metricsProvider.httpPort
	ProcessMetrics bool   // metrics of process and runtime; metricsProvider.exportJvmInfo

	Conf     Conf
	Settings []Setting // the configuration in force; secrets are masked already

	Log *slog.Logger
}

// Conf is what the word conf and the command configuration print.
type Conf struct {
	ClientPort              int    // clientPort; 0 prints as -1
	SecureClientPort        int    // secureClientPort; 0 prints as -1
	DataDir                 string // where the snapshots are
	DataLogDir              string // where the log is
	TickTimeMS              int32  // tickTime
	MaxClientCnxns          int    // maxClientCnxns
	MinSessionTimeoutMS     int32  // minSessionTimeout
	MaxSessionTimeoutMS     int32  // maxSessionTimeout
	ClientPortListenBacklog int    // clientPortListenBacklog
	ServerID                int64  // myid, 0 without
	ClientAddr              string // host:port for clients, "0.0.0.0:2181" where all addresses are meant
	InitLimit, SyncLimit    int    // initLimit, syncLimit; 0 for a server alone
}

// Setting is a line of the configuration in force.
type Setting struct {
	Key, Value string
	Source     string // "default", or where the value comes from
}

// Admin answers operators. Its methods may be called from any goroutine.
type Admin struct {
	cfg     Config
	log     *slog.Logger
	version string // as ZooKeeper prints it

	words     map[string]bool // what is answered; immutable
	traceMask atomic.Int64    // what stmk has set; nothing looks at it
	server    atomic.Pointer[Server]
	answers   answers
	pulse     pulse

	now   func() time.Time
	retry time.Duration // between two attempts to bind

	http      *http.Server
	metrics   *http.Server
	ctx       context.Context // ends when Close is called
	cancel    context.CancelFunc
	running   sync.WaitGroup
	closeOnce sync.Once

	mu    sync.Mutex
	addrs map[*http.Server]net.Addr // bound listeners
}

const (
	bindRetry          = 10 * time.Second
	defaultIdleTimeout = 30 * time.Second
	loopback           = "127.0.0.1"
)

// New returns an Admin for s, which may be nil until Attach: words and commands then say that nothing is
// served yet.
func New(cfg Config, s Server) *Admin {
	cfg.setDefaults()
	a := &Admin{
		cfg: cfg, log: cfg.Log, version: versionLine(cfg.Version, cfg.Built),
		words: allowed(cfg.FourLetterWords),
		now:   time.Now, retry: bindRetry,
		addrs: map[*http.Server]net.Addr{},
	}
	a.traceMask.Store(defaultTraceMask)
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.http = a.newHTTPServer(a.handler())
	a.metrics = a.newHTTPServer(a.metricsHandler())
	if s != nil {
		a.Attach(s)
	}
	return a
}

func (c *Config) setDefaults() {
	if c.Address == "" {
		c.Address = loopback
	}
	if c.MetricsAddress == "" {
		c.MetricsAddress = loopback
	}
	if c.CommandURL == "" {
		c.CommandURL = "/commands"
	}
	c.CommandURL = "/" + trimSlashes(c.CommandURL)
	if c.IdleTimeout <= 0 {
		c.IdleTimeout = defaultIdleTimeout
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

// versionLine is the version as ZooKeeper prints it, which is what scripts read: the release whose
// behaviour we show, a dash, and what it really is.
func versionLine(version string, built time.Time) string {
	if version == "" {
		version = "unknown"
	}
	if built.IsZero() {
		built = time.Unix(0, 0)
	}
	return "3.9.5-paddock-" + version + ", built on " + built.UTC().Format("2006-01-02 15:04 UTC")
}

// Attach says that s has been started: from now on it is asked.
func (a *Admin) Attach(s Server) { a.server.Store(&s) }

// attached returns the server, nil before Attach.
func (a *Admin) attached() Server {
	if s := a.server.Load(); s != nil {
		return *s
	}
	return nil
}

// Words answers a four-letter word; it is a server.Words. A nil answer closes the connection without a
// word. The answer must not be changed.
func (a *Admin) Words(s *server.Server, w [4]byte, rest []byte) []byte {
	if a.attached() == nil {
		a.Attach(s)
	}
	return a.Word(w, rest)
}

// Start binds the ports and serves. A port that cannot be bound is logged, and tried again and again: a
// server does its work without.
func (a *Admin) Start() {
	if a.cfg.Enabled {
		a.serve(a.http, "admin server", net.JoinHostPort(a.cfg.Address, strconv.Itoa(a.cfg.Port)))
	}
	if a.cfg.MetricsEnabled && a.cfg.MetricsPort > 0 {
		a.serve(a.metrics, "metrics", net.JoinHostPort(a.cfg.MetricsAddress, strconv.Itoa(a.cfg.MetricsPort)))
	}
}

// Addr returns the address of the admin port, "" while it is not bound.
func (a *Admin) Addr() string { return a.addrOf(a.http) }

// MetricsAddr returns the address of the metrics port, "" while it is not bound.
func (a *Admin) MetricsAddr() string { return a.addrOf(a.metrics) }

func (a *Admin) addrOf(h *http.Server) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if addr := a.addrs[h]; addr != nil {
		return addr.String()
	}
	return ""
}

// Close closes the ports; requests that are being answered have until ctx ends. It may be called twice.
func (a *Admin) Close(ctx context.Context) {
	a.closeOnce.Do(func() {
		a.cancel()
		for _, h := range []*http.Server{a.http, a.metrics} {
			if h.Shutdown(ctx) != nil {
				_ = h.Close()
			}
		}
		done := make(chan struct{})
		go func() {
			a.running.Wait()
			close(done)
		}()
		select {
		case <-done:
		case <-ctx.Done(): // a loop that hangs: the process ends without it
		}
	})
}
