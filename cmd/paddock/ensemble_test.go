package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paddock/config"
	"paddock/zab"
)

// member writes the files of one of three servers and an observer, and returns the path of its zoo.cfg.
func member(t *testing.T, id, more string) (name, dataDir string) {
	t.Helper()
	dataDir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dataDir, "myid"), []byte(id+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return zooCfg(t, "dataDir="+dataDir+"\nclientPort=2181\ninitLimit=10\nsyncLimit=5\n"+
		"server.1=zoo1:2888:3888\nserver.2=[fd00::2]:2888:3888;2182\nserver.3=zoo3:2888:3888\nserver.4=zoo4:2888:3888:observer\n"+more), dataDir
}

func load(t *testing.T, name string) *config.Config {
	t.Helper()
	cfg, _, err := config.Load(config.Options{Args: []string{name}})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestEnsembleConfig(t *testing.T) {
	name, _ := member(t, "3", "")
	e := ensembleConfig(load(t, name))
	got := []any{e.ID, e.View.Len(), e.InitTicks, e.SyncTicks, e.ConnectTicks, e.BindRetries, e.DialTimeout, e.GreetingTimeout,
		e.MaxPacketBytes, e.ClosedToClients, e.AllIPs, e.MayBeEmpty}
	want := "[3 4 10 5 0 -1 5s 15s 16777216 false false false]"
	if text := fmt.Sprint(got); text != want {
		t.Errorf("by default got %s, want %s", text, want)
	}
	name, _ = member(t, "3", "leaderServes=no\nquorumListenOnAllIPs=true\nelectionPortBindRetry=4\ncnxTimeout=1000\n"+
		"quorumCnxnTimeoutMs=2000\nconnectToLearnerMasterLimit=7\ndb.autocreate=true\n")
	e = ensembleConfig(load(t, name))
	got = []any{e.ConnectTicks, e.BindRetries, e.DialTimeout, e.GreetingTimeout, e.ClosedToClients, e.AllIPs, e.MayBeEmpty}
	if text, want := fmt.Sprint(got), "[7 4 1s 2s true true true]"; text != want {
		t.Errorf("as configured got %s, want %s", text, want)
	}
	if ensembleConfig(load(t, zooCfg(t, "dataDir="+t.TempDir()+"\nclientPort=2181\n"))) != nil {
		t.Error("a server without server lines is in an ensemble")
	}
}

func TestALargeRequestFitsIntoAPacket(t *testing.T) {
	const most = 64 << 20
	cfg := &config.Config{JuteMaxBuffer: most, JuteExtraSize: most}
	if got := maxPacketBytes(cfg); got <= most {
		t.Errorf("got %d, want more than a request", got)
	}
}

func TestConfigCheckPrintsTheEnsemble(t *testing.T) {
	name, _ := member(t, "2", "group.1=1:2:3\nweight.1=2\n")
	var stdout, stderr bytes.Buffer
	if code := run([]string{"config", "check", name, "--set", "clientPort=2182"}, nil, &stdout, &stderr); code != exitOK {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	const want = `Server 2 of an ensemble of 4, version 0; groups and weights decide what is a quorum.

SERVER  ROLE         WEIGHT  GROUP  QUORUM                      ELECTION                    CLIENTS
1       participant  2       1      zoo1:2888                   zoo1:3888                   -
2*      participant  1       1      [fd00::2]:2888              [fd00::2]:3888              0.0.0.0:2182
3       participant  1       1      zoo3:2888                   zoo3:3888                   -
4       observer     -       -      zoo4:2888                   zoo4:3888                   -

KEY `
	if got := squeeze(stdout.String()); !strings.HasPrefix(got, squeeze(want)) {
		t.Errorf("got\n%s\nwant\n%s", stdout.String(), want)
	}
}

// squeeze makes one blank of several: how wide a column is does not matter.
func squeeze(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, "\n")
}

func TestTheMarkerCountsOnce(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	name, dir := member(t, "1", "")
	marker := filepath.Join(dir, "initialize")
	if err := os.WriteFile(marker, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := load(t, name)
	if !cfg.Ensemble.MayBeEmpty {
		t.Error("the marker does not count")
	}
	if err := useMarker(cfg, log); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(marker); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the marker is still there: %v", err)
	}
	if load(t, name).Ensemble.MayBeEmpty {
		t.Error("it counts twice")
	}
	if err := useMarker(load(t, name), log); err != nil {
		t.Errorf("without a marker: %v", err)
	}
	if err := os.MkdirAll(filepath.Join(marker, "x"), 0o700); err != nil { // cannot be removed
		t.Fatal(err)
	}
	cfg.Ensemble.Marked = true
	if err := useMarker(cfg, log); err == nil || !strings.Contains(err.Error(), "counts once, and cannot be removed") {
		t.Errorf("a marker that stays: %v", err)
	}
}

// TestTheLineThatSaysThatAMemberIsUp names ports and members.
func TestTheLineThatSaysThatAMemberIsUp(t *testing.T) {
	name, _ := member(t, "4", "")
	cfg := load(t, name)
	if got, want := fmt.Sprint(ensembleFacts(cfg)), "[server 4 role observer quorum [zoo4:2888] election [zoo4:3888] ensemble 1,2,3,4]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := upMessage(cfg); got != "listening: looking for a leader" {
		t.Errorf("got %q", got)
	}
	if cfg.Ensemble.QuorumCnxnTimeout != 15*time.Second {
		t.Errorf("time for a greeting: %v, want syncLimit", cfg.Ensemble.QuorumCnxnTimeout)
	}
}

// TestAMembershipIsKeptForTheNextStart: proposed first, then in force.
func TestAMembershipIsKeptForTheNextStart(t *testing.T) {
	name, dir := member(t, "1", "")
	cfg := load(t, name)
	view := func(version string) *zab.View {
		v, err := zab.ParseView([]byte("server.1=zoo1:2888:3888:participant\nserver.5=zoo5:2888:3888:participant\n" +
			"server.6=zoo6:2888:3888:participant\nversion=" + version))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if err := keepView(cfg, view("100000001"), false); err == nil {
		t.Error("a directory that is not there is no error")
	}
	if err := os.Mkdir(filepath.Join(dir, "paddock"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		version      string
		agreed       bool
		inForce, new string
	}{
		{"100000001", false, "0x0", "0x100000001"},
		{"100000001", true, "0x100000001", "none"},
		{"100000002", false, "0x100000001", "0x100000002"},
		{"100000003", true, "0x100000003", "none"},
	} {
		if err := keepView(cfg, view(step.version), step.agreed); err != nil {
			t.Fatal(err)
		}
		e := load(t, name).Ensemble
		next := "none"
		if e.LastSeen != nil {
			next = e.LastSeen.Version.String()
		}
		if got := e.View.Version.String(); got != step.inForce || next != step.new {
			t.Errorf("after %s (%v): %s and %s, want %s and %s", step.version, step.agreed, got, next, step.inForce, step.new)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "paddock", "*tmp*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
