package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
)

// zooCfg writes a configuration file and returns its path.
func zooCfg(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "zoo.cfg")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestCommandLine(t *testing.T) {
	good := zooCfg(t, "dataDir=/d\nclientPort=2181\ntickTime=2000\nsnapCout=1\n")
	bad := zooCfg(t, "dataDir=/d\nclientPort=2181\ntickTime=2s\nclientPortAddress=a:b\n")
	tests := []struct {
		name           string
		args           []string
		environ        []string
		code           int
		stdout, stderr []string // each is part of it
	}{
		{"no command is a mistake", nil, nil, exitUsage, nil, []string{"expected one of", "paddock --help"}},
		{"an unknown command is a mistake", []string{"serve"}, nil, exitUsage, nil, []string{"serve", "paddock --help"}},
		{"an unknown flag is a mistake", []string{"server", "--port=1"}, nil, exitUsage, nil, []string{"--port"}},
		{"a log level is one of four", []string{"--log-level=loud", "version"}, nil, exitUsage, nil, []string{"debug", "loud"}},
		{"help is no mistake", []string{"--help"}, nil, exitOK, []string{"server", "config check", "version", "bench"}, nil},
		{"help of a command", []string{"server", "--help"}, nil, exitOK, []string{"--strict-config", "PORT DATADIR"}, nil},
		{"version", []string{"version"}, nil, exitOK, []string{"paddock ", " go1."}, nil},
		{"a good file is printed with its warnings", []string{"config", "check", good}, nil, exitOK,
			[]string{"KEY", "tickTime", "2000", "ms", good + ":3"}, []string{"warning: " + good + ":4: snapCout: unknown, no effect (did you mean snapCount?)"}},
		{"defaults are printed on demand", []string{"config", "check", "--all", good}, nil, exitOK, []string{"maxClientCnxns", "default"}, nil},
		{"a bad file is refused with all that is wrong", []string{"config", "check", bad}, nil, exitUsage, nil,
			[]string{"paddock: " + bad + ":3: tickTime: \"2s\" is not a whole number of milliseconds (write 2000)\n", "paddock: " + bad + ":4: clientPortAddress"}},
		{"the server refuses it too", []string{"server", bad}, nil, exitUsage, nil, []string{"tickTime", "clientPortAddress"}},
		{"a file that is not there", []string{"server", "gone.cfg"}, nil, exitUsage, nil, []string{"paddock: gone.cfg: no such file or directory\n"}},
		{"strict takes warnings for errors", []string{"config", "check", "--strict-config", good}, nil, exitUsage, nil, []string{"snapCout"}},
		{"--set wins", []string{"config", "check", good, "--set", "tickTime=1000"}, nil, exitOK, []string{"tickTime", "1000", "--set"}, nil},
		{"-D is --set, with commas", []string{"config", "check", good, "-D4lw.commands.whitelist=ruok,stat", "-Dzookeeper.snapCount=7"}, nil, exitOK,
			[]string{"ruok,srvr,stat", "snapCount", "7"}, nil},
		{"arguments as Apache takes them", []string{"config", "check", "2182", "/x", "1000", "5"}, nil, exitOK, []string{"argument PORT", "2182", "/x", "1000"}, nil},
		{"the environment counts", []string{"config", "check", good}, []string{"JVMFLAGS=-Dzookeeper.snapCount=9"}, exitOK, []string{"snapCount", "JVMFLAGS"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if got := run(tt.args, tt.environ, &stdout, &stderr); got != tt.code {
				t.Errorf("exit code %d, want %d", got, tt.code)
			}
			wantParts(t, "stdout", stdout.String(), tt.stdout)
			wantParts(t, "stderr", stderr.String(), tt.stderr)
		})
	}
}

func wantParts(t *testing.T, name, got string, parts []string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(got, part) {
			t.Errorf("%s is\n%s\nand has no %q", name, got, part)
		}
	}
}

func TestSignalsEndTheContext(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		stopped := errors.New("stopped in peace")
		err := untilSignal(func(ctx context.Context) error {
			if err := syscall.Kill(os.Getpid(), signal); err != nil {
				return err
			}
			<-ctx.Done()
			return stopped
		})
		if !errors.Is(err, stopped) {
			t.Errorf("%v: got %v, want what serve returned", signal, err)
		}
	}
}

func TestExitCodes(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want int
	}{
		{"an error is a failure", errors.New("x"), 1},
		{"a storage error is 70", storageError(errors.New("fsync")), 70},
		{"a wrapped storage error is 70", fmt.Errorf("server: %w", storageError(errors.New("fsync"))), 70},
		{"one of several is enough", errors.Join(errors.New("x"), storageError(errors.New("fsync"))), 70},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := exitCode(tt.err); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
	cause := errors.New("fsync")
	if !errors.Is(storageError(cause), cause) {
		t.Error("a storage error hides its cause")
	}
}

func TestBuildVersion(t *testing.T) {
	commit := &debug.BuildInfo{Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: "true"}}}
	module := &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}
	tests := []struct {
		name   string
		linked string
		info   *debug.BuildInfo
		want   string
	}{
		{"the linker knows best", "9.9", module, "9.9"},
		{"then the module", "", module, "v1.2.3"},
		{"then the commit", "", commit, "commit-0123456789ab+changes"},
		{"then nobody", "", nil, "unknown"},
		{"a build from a bare tree", "", &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := buildVersion(tt.linked, tt.info); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestLogLevels(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var b bytes.Buffer
		log := newLogger(&b, "warn", format)
		log.Info("quiet")
		log.Warn("loud", slog.String("where", "here"))
		if got := b.String(); strings.Contains(got, "quiet") || !strings.Contains(got, "loud") || !strings.Contains(got, "here") {
			t.Errorf("%s at warn logged %s", format, got)
		}
	}
}
