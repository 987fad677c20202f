package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/alecthomas/kong"

	"paddock/config"
)

// cli is the command line.
type cli struct {
	LogLevel  string `help:"Least severe level that is logged (${enum})." enum:"debug,info,warn,error" default:"info"`
	LogFormat string `help:"Format of log lines on standard error (${enum})." enum:"text,json" default:"text"`

	Server   serverCmd   `cmd:"" help:"Run the server."`
	Config   configCmd   `cmd:"" help:"Look at configurations."`
	Log      logCmd      `cmd:"" help:"Print or mend the log of a server that is stopped."`
	Snapshot snapshotCmd `cmd:"" help:"Look at the snapshots of a server that is stopped."`
	Version  versionCmd  `cmd:"" help:"Print version, commit and platform."`
	Bench    benchCmd    `cmd:"" help:"Put load on a server and measure it."`
}

// process is what a command has of the process it runs in.
type process struct {
	environ        []string
	stdout, stderr io.Writer
	log            *slog.Logger
}

// run parses args, runs the command and returns the exit code.
func run(args, environ []string, stdout, stderr io.Writer) int {
	var (
		c      cli
		exited = -1
	)
	parser, err := kong.New(&c,
		kong.Name("paddock"),
		kong.Description("A coordination server that speaks ZooKeeper's protocol."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exited = code }),
		kong.Vars{"args_help": argsHelp},
	)
	if err != nil {
		panic(err) // the struct above is wrong
	}
	command, err := parser.Parse(args)
	if exited >= 0 { // --help
		return exited
	}
	if err != nil {
		fmt.Fprintf(stderr, "paddock: %v (paddock --help tells more)\n", err)
		return exitUsage
	}
	p := &process{environ, stdout, stderr, newLogger(stderr, c.LogLevel, c.LogFormat)}
	if err := command.Run(p); err != nil {
		printError(stderr, err)
		return exitCode(err)
	}
	return exitOK
}

// printError prints each line of err under the name of the program.
func printError(w io.Writer, err error) {
	for text := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintf(w, "paddock: %s\n", text)
	}
}

// newLogger returns the log of the process. Level and format have been checked by the parser.
func newLogger(w io.Writer, level, format string) *slog.Logger {
	var options slog.HandlerOptions
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err == nil {
		options.Level = l
	}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, &options))
	}
	return slog.New(slog.NewTextHandler(w, &options))
}

// configArgs are the words by which server and config check find a configuration.
type configArgs struct {
	Args         []string `arg:"" optional:"" name:"zoo.cfg" help:"${args_help}"`
	Set          []string `short:"D" sep:"none" placeholder:"KEY=VALUE" help:"Set one key of zoo.cfg; wins over the file. May be repeated."`
	StrictConfig bool     `help:"Take warnings about the configuration for errors."`
}

const argsHelp = "Configuration file; or PORT DATADIR [TICKTIME [MAXCNXNS]], as Apache takes them " +
	"(milliseconds, connections per address). Without either: defaults, port 2181 and ./data."

func (a *configArgs) load(p *process) (*config.Config, []config.Warning, error) {
	return config.Load(config.Options{Args: a.Args, Set: a.Set, Strict: a.StrictConfig, Environ: p.environ})
}

// Exit codes. Apache's numbers, and 70 as in sysexits.h.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2  // invocation or configuration
	exitStorage = 70 // a write or a sync failed, or the state cannot be trusted: see runServer
)

// exitCode returns the code for an error: the one it carries, or 1.
func exitCode(err error) int {
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return coded.ExitCode()
	}
	return exitFailure
}

// codedError is an error that ends the process with a code of its own.
type codedError struct {
	error
	code int
}

func (e codedError) ExitCode() int { return e.code }
func (e codedError) Unwrap() error { return e.error }

// storageError marks err as one after which nothing may be acknowledged any more (fsync-once):
// the process ends with exit code 70.
func storageError(err error) error { return codedError{err, exitStorage} }
