package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math"
	"net"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"paddock/admin"
	"paddock/auth"
	"paddock/bench"
	"paddock/config"
	"paddock/server"
	"paddock/vfs"
)

// runServer serves with cfg until ctx is done and returns when everything accepted is settled.
// What it returns decides the exit code: nil is 0, storageError 70, anything else 1.
func runServer(ctx context.Context, cfg *config.Config, log *slog.Logger) error {
	start := time.Now()
	fatal := make(chan error, 1)
	operators := admin.New(adminConfig(cfg, log), nil)
	sc := serverConfig(cfg, log, fatal)
	sc.Words = operators.Words
	s, err := server.Start(sc)
	if err != nil {
		return err
	}
	if err := useMarker(cfg, log); err != nil {
		return errors.Join(err, s.Close(context.Background()))
	}
	operators.Attach(s)
	operators.Start()
	defer func() {
		end, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		operators.Close(end)
	}()
	info, _ := debug.ReadBuildInfo()
	facts := []any{"clients", s.Addrs(), "dataDir", cfg.DataDir, "dataLogDir", cfg.DataLogDir,
		"admin", cfg.AdminAddr(), "took", time.Since(start).Round(time.Microsecond), "version", buildVersion(version, info)}
	log.Info(upMessage(cfg), append(facts, ensembleFacts(cfg)...)...)
	select {
	case err := <-fatal:
		return storageError(err) // nothing that was not acknowledged may be now: no graceful end
	case <-ctx.Done():
	}
	log.Info("stopping: requests that were read are settled and answered, then the connections close")
	end, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := s.Close(end); err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

// upMessage: one of several listens before it serves. Until it has a leader clients are cut, and words
// answer.
func upMessage(cfg *config.Config) string {
	if cfg.Ensemble != nil {
		return "listening: looking for a leader"
	}
	return "serving"
}

// serverConfig says the same in the server's words.
func serverConfig(cfg *config.Config, log *slog.Logger, fatal chan<- error) server.Config {
	return server.Config{
		Listen: listenAddrs(cfg), Loops: runtime.GOMAXPROCS(0), ServerID: serverID(cfg),
		DataDir: cfg.DataDir, LogDir: cfg.DataLogDir,
		TickMS: cfg.TickTimeMS, MinSessionMS: cfg.MinSessionTimeoutMS, MaxSessionMS: cfg.MaxSessionTimeoutMS,
		MaxFrameBytes: cfg.JuteMaxBuffer, MaxPerAddress: cfg.MaxClientCnxns, MaxConnections: cfg.MaxCnxns,
		HandshakeTimeout: cfg.SessionlessCnxnTimeout, KeepAlive: keepAlive(cfg), NoAutoCreate: !cfg.DataDirAutoCreate,
		ExtendedTypes: cfg.ExtendedTypesEnabled, EnforceQuota: cfg.EnforceQuota, ReconfigEnabled: cfg.ReconfigEnabled,
		NoDigest:     !cfg.DigestEnabled,
		SegmentBytes: segmentBytes(cfg), FsyncWarning: cfg.FsyncWarningThreshold,
		SnapCount: cfg.SnapCount, SnapBytes: cfg.SnapSizeLimitBytes,
		RetainSnapshots: cfg.PurgeSnapRetainCount, RetainFor: cfg.PurgeRetainAge, PurgeEvery: cfg.PurgeInterval,
		ContainerCheck: cfg.ContainerInterval, ContainerPerMinute: cfg.ContainerMaxPerMinute,
		ContainerNeverUsed: cfg.ContainerMaxNeverUsed,
		Auth:               authConfig(cfg),
		Ensemble:           ensembleConfig(cfg),
		FS:                 vfs.OS(), Log: log,
		OnFatal: func(err error) {
			select {
			case fatal <- err:
			default: // the first one is enough
			}
		},
	}
}

// keepAlive is long enough not to disturb anybody and short enough to notice a peer that is gone behind a
// firewall; a session's own time-out comes first in all but odd cases.
func keepAlive(cfg *config.Config) time.Duration {
	if !cfg.ClientTCPKeepAlive {
		return 0
	}
	return 2 * time.Minute
}

func adminConfig(cfg *config.Config, log *slog.Logger) admin.Config {
	info, _ := debug.ReadBuildInfo()
	c := admin.Config{
		Version:         buildVersion(version, info),
		Built:           builtAt(info),
		FourLetterWords: cfg.FourLetterWords,
		Enabled:         cfg.AdminEnabled, Address: cfg.AdminAddress, Port: cfg.AdminPort,
		CommandURL: cfg.AdminCommandURL, IdleTimeout: cfg.AdminIdleTimeout,
		MetricsEnabled: cfg.MetricsEnabled, MetricsAddress: cfg.MetricsAddress, MetricsPort: cfg.MetricsPort,
		ProcessMetrics: cfg.MetricsExportJVM,
		Conf: admin.Conf{
			ClientPort: cfg.ClientPort, SecureClientPort: cfg.SecureClientPort,
			DataDir: cfg.DataDir, DataLogDir: cfg.DataLogDir, TickTimeMS: cfg.TickTimeMS,
			MaxClientCnxns:      cfg.MaxClientCnxns,
			MinSessionTimeoutMS: cfg.MinSessionTimeoutMS, MaxSessionTimeoutMS: cfg.MaxSessionTimeoutMS,
			ClientPortListenBacklog: cfg.ClientPortListenBacklog, ServerID: cfg.ServerID,
			ClientAddr: shownAddr(cfg), InitLimit: cfg.InitLimit, SyncLimit: cfg.SyncLimit,
		},
		Log: log,
	}
	for _, s := range cfg.Effective() {
		c.Settings = append(c.Settings, admin.Setting{Key: s.Key, Value: s.Value, Source: s.Source})
	}
	return c
}

// shownAddr is the address for clients as operators see it.
func shownAddr(cfg *config.Config) string {
	return net.JoinHostPort(cmp.Or(cfg.ClientPortAddress, "0.0.0.0"), strconv.Itoa(cfg.ClientPort))
}

// builtAt is the time of the commit that was built, if it is known.
func builtAt(info *debug.BuildInfo) time.Time {
	if info != nil {
		for _, s := range info.Settings {
			if s.Key == "vcs.time" {
				t, _ := time.Parse(time.RFC3339, s.Value)
				return t
			}
		}
	}
	return time.Time{}
}

func authConfig(cfg *config.Config) auth.Config {
	c := auth.Config{
		DigestDisabled: !cfg.DigestAuthEnabled, DigestAlgorithm: cfg.DigestAlgorithm, SuperDigest: string(cfg.SuperDigest),
		EnforceAuth: cfg.EnforceAuth, EnforceAuthSchemes: cfg.EnforceAuthSchemes, RequireSASL: cfg.SessionRequireClientSASLAuth,
	}
	if cfg.SkipACL {
		c.SkipACL = "yes"
	}
	return c
}

// listenAddrs are the client listeners.
func listenAddrs(cfg *config.Config) []string {
	return []string{net.JoinHostPort(cfg.ClientPortAddress, strconv.Itoa(cfg.ClientPort))}
}

// serverID is the top byte of session ids. A standalone server of ZooKeeper uses 1, whatever conf prints.
func serverID(cfg *config.Config) uint8 {
	if cfg.ServerID >= 1 && cfg.ServerID <= math.MaxUint8 {
		return uint8(cfg.ServerID)
	}
	return 1
}

// segmentBytes: the log is zeroed ahead one segment at a time, so preAllocSize is the size of one.
func segmentBytes(cfg *config.Config) int64 {
	const sector = 512
	return max(cfg.PreAllocBytes, 64<<10) / sector * sector
}

// runBench runs the load generator with the words behind "bench". A signal ends the load, and what was
// measured until then is printed.
func runBench(ctx context.Context, p *process, args []string) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop)
	return bench.Run(ctx, args, p.stdout, p.stderr)
}
