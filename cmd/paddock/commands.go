package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"text/tabwriter"

	"paddock/config"
)

// configCmd is "paddock config".
type configCmd struct {
	Check checkCmd `cmd:"" help:"Check a configuration and print what would be in force: the ensemble, and the settings."`
}

// checkCmd is "paddock config check".
type checkCmd struct {
	configArgs
	All bool `help:"Print defaults too."`
}

// Run prints warnings to standard error and the table to standard output. Mistakes end in an
// error, all of them at once.
func (c *checkCmd) Run(p *process) error {
	cfg, warnings, err := c.load(p)
	for _, w := range warnings {
		kind := "warning"
		if w.Notice {
			kind = "note"
		}
		fmt.Fprintf(p.stderr, "%s: %s\n", kind, w)
	}
	if err != nil {
		return err
	}
	if err := printEnsemble(p.stdout, cfg.Ensemble); err != nil {
		return err
	}
	return printSettings(p.stdout, cfg.Effective(), c.All)
}

func printSettings(w io.Writer, settings []config.Setting, all bool) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "KEY\tVALUE\tUNIT\tSOURCE\tVERDICT")
	for _, s := range settings {
		if all || s.Source != "default" {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", s.Key, s.Value, s.Unit, s.Source, s.Verdict)
		}
	}
	return table.Flush()
}

// versionCmd is "paddock version".
type versionCmd struct{}

// version is set by the linker: -ldflags "-X main.version=1.2.3".
var version string

// Run prints one line.
func (versionCmd) Run(p *process) error {
	info, _ := debug.ReadBuildInfo()
	_, err := fmt.Fprintf(p.stdout, "paddock %s %s %s/%s\n",
		buildVersion(version, info), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// buildVersion returns the version the linker set, else that of the module, else the commit.
// info may be nil.
func buildVersion(linked string, info *debug.BuildInfo) string {
	if linked != "" {
		return linked
	}
	if info == nil {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	commit, changed := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "+changes"
		}
	}
	if commit == "" {
		return "unknown"
	}
	return "commit-" + commit + changed
}

// benchCmd is "paddock bench". Its words are the load generator's own.
type benchCmd struct {
	Args []string `arg:"" optional:"" passthrough:"" help:"See paddock bench --help."`
}

// Run hands over to the load generator.
func (c *benchCmd) Run(p *process) error {
	return runBench(context.Background(), p, c.Args)
}
