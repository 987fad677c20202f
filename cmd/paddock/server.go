package main

import (
	"context"
	"log/slog"
	"os/signal"
	"syscall"

	"paddock/config"
)

// serverCmd is "paddock server".
type serverCmd struct {
	configArgs
}

// Run loads the configuration and serves until SIGTERM or SIGINT.
func (c *serverCmd) Run(p *process) error {
	cfg, warnings, err := c.load(p)
	logWarnings(p.log, warnings)
	if err != nil {
		return err
	}
	logConfig(p.log, cfg)
	return untilSignal(func(ctx context.Context) error { return runServer(ctx, cfg, p.log) })
}

// untilSignal calls serve with a context that SIGTERM and SIGINT end: the server then closes
// its connections and files in peace. A second signal gets the system's default treatment,
// which is the end of the process.
func untilSignal(serve func(context.Context) error) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop)
	return serve(ctx)
}

func logWarnings(log *slog.Logger, warnings []config.Warning) {
	for _, w := range warnings {
		level := slog.LevelWarn
		if w.Notice {
			level = slog.LevelInfo
		}
		log.Log(context.Background(), level, "configuration", "where", w.Where, "key", w.Key, "problem", w.Text)
	}
}

// logConfig names what is in force, secrets masked: what was asked for at Info, defaults at Debug.
func logConfig(log *slog.Logger, cfg *config.Config) {
	log.Info("configuration read", "file", cfg.File)
	for _, s := range cfg.Effective() {
		level := slog.LevelInfo
		if s.Source == "default" {
			level = slog.LevelDebug
		}
		log.Log(context.Background(), level, "setting", "key", s.Key, "value", s.Value, "unit", s.Unit,
			"source", s.Source, "verdict", string(s.Verdict))
	}
}
