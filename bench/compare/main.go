package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"paddock/bench"
)

// options are the flags.
type options struct {
	Rounds    int           `short:"r" default:"3" help:"How often each server has its turn at each load."`
	Duration  time.Duration `short:"d" default:"10s" help:"Of each measurement."`
	Warmup    time.Duration `default:"2s" help:"Before each measurement."`
	JVMWarmup time.Duration `name:"jvm-warmup" default:"15s" help:"Mixed load on both servers before the first measurement."`
	Starts    int           `default:"9" help:"How often the start of paddock is timed; Apache's a third as often."`
	Servers   int           `default:"1" help:"How many servers on each side: 1, or an ensemble, which has loads of its own; nothing is written then."`
	Only      []string      `placeholder:"LOAD" help:"These loads only, by their names in the table. Nothing is written then."`

	Dir    string `help:"Where the servers' data go. The system's temporary directory by default."`
	Bin    string `default:"bin/paddock" help:"The paddock binary."`
	Apache string `default:"test/apache/run.sh" help:"What starts Apache's server: PORT DATADIR."`
	Xmx    string `default:"4g" help:"Heap of the JVM, unless APACHE_XMX says otherwise."`
	JVM    string `default:"-Xms4g -XX:+UseG1GC" help:"Options of the JVM, unless APACHE_JVM says otherwise."`
	Doc    string `default:"docs/benchmarks.md" help:"The document whose table is replaced; empty: none."`
}

func main() {
	var o options
	kong.Parse(&o, kong.Name("compare"), kong.Description("Measure Apache's server and paddock in turn."))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	missed, err := run(ctx, &o, os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintf(os.Stderr, "compare: %v\n", err)
		os.Exit(1)
	}
	if missed {
		os.Exit(1)
	}
}

// run measures everything and reports. missed says that a target was.
func run(ctx context.Context, o *options, args []string, stdout io.Writer) (missed bool, err error) {
	chosen, err := choose(loadsOf(o.Servers), o.Only)
	if err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp(o.Dir, "paddock-compare-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	c := &comparison{o: o, dir: dir, stdout: stdout}
	r := &report{machine: describeMachine(dir), command: commandLine(args), commit: commit(), options: *o}
	fmt.Fprintf(stdout, "%s\n\n", r.machine)
	if o.Servers == 1 {
		if r.starts, err = c.starts(ctx); err != nil {
			return false, err
		}
	}
	if r.rows, err = c.loads(ctx, chosen); err != nil {
		return false, err
	}
	if o.Servers == 1 {
		if r.ceiling, err = c.ceiling(ctx); err != nil {
			return false, err
		}
	}
	r.verdicts = judge(r)
	r.write(stdout)
	if o.Doc != "" && len(o.Only) == 0 && o.Servers == 1 {
		if err := replaceTable(o.Doc, r); err != nil {
			return false, err
		}
		fmt.Fprintf(stdout, "\nwritten to %s\n", o.Doc)
	}
	return r.missed(), nil
}

// comparison is one run of the command.
type comparison struct {
	o      *options
	dir    string
	stdout io.Writer
}

// sides in the order in which they take turns.
const (
	apache = iota
	paddock
	sides
)

var sideNames = [sides]string{"Apache", "paddock"}

// start starts one side in a new directory.
func (c *comparison) start(ctx context.Context, side int) (*serverProcess, error) {
	dir, err := os.MkdirTemp(c.dir, strings.ToLower(sideNames[side])+"-")
	if err != nil {
		return nil, err
	}
	if side == apache {
		env := []string{"APACHE_XMX=" + envOr("APACHE_XMX", c.o.Xmx), "APACHE_JVM=" + envOr("APACHE_JVM", c.o.JVM),
			"APACHE_CFG=maxClientCnxns=0"}
		return launch(ctx, dir, env, func(port string) []string { return []string{c.o.Apache, port, filepath.Join(dir, "data")} })
	}
	return launch(ctx, dir, nil, func(port string) []string {
		return []string{c.o.Bin, "server", "-D", "clientPort=" + port, "-D", "clientPortAddress=127.0.0.1",
			"-D", "dataDir=" + filepath.Join(dir, "data"), "-D", "admin.enableServer=false", "-D", "maxClientCnxns=0"}
	})
}

func envOr(key, value string) string {
	if v, ok := os.LookupEnv(key); ok {
		return v
	}
	return value
}

// starts times from exec to the first session, in empty directories.
func (c *comparison) starts(ctx context.Context) (s [sides]startTime, err error) {
	for side := range sides {
		n := c.o.Starts
		if side == apache {
			n = max(1, n/3)
		}
		var all []float64
		for range n {
			p, err := c.start(ctx, side)
			if err != nil {
				return s, err
			}
			all = append(all, float64(p.took)/1e6)
			if err := errors.Join(p.stop(), os.RemoveAll(p.dir)); err != nil {
				return s, err
			}
		}
		s[side] = startTime{median(all), len(all)}
		fmt.Fprintf(c.stdout, "start  %-8s %8.1f ms (median of %d)\n", sideNames[side], s[side].ms, s[side].n)
	}
	return s, nil
}

// service is what is under load: a server or an ensemble.
type service struct {
	addrs []string
	pids  []int
	stop  func()
}

// serve starts what one side serves with.
func (c *comparison) serve(ctx context.Context, side int) (*service, error) {
	if c.o.Servers > 1 {
		return c.ensemble(side)
	}
	p, err := c.start(ctx, side)
	if err != nil {
		return nil, err
	}
	return p.service(), nil
}

// loads measures all loads on both sides, in turn.
func (c *comparison) loads(ctx context.Context, chosen []load) ([]row, error) {
	var services [sides]*service
	for side := range sides {
		s, err := c.serve(ctx, side)
		if err != nil {
			return nil, err
		}
		defer s.stop()
		services[side] = s
		if err := c.warmUp(ctx, s); err != nil {
			return nil, err
		}
	}
	var rows []row
	for _, l := range chosen {
		r := row{load: l}
		for round := range c.o.Rounds {
			for side, s := range services {
				res, err := c.measure(ctx, l, s)
				if err != nil {
					return nil, fmt.Errorf("%s, %s: %w", sideNames[side], l.name, err)
				}
				r.results[side] = append(r.results[side], res)
				fmt.Fprintf(c.stdout, "%-22s %d/%d  %-8s %10.0f /s  p50 %9.0f µs  p99 %9.0f µs  %8.3f µs CPU/op  (generator %.3f)\n",
					l.name, round+1, c.o.Rounds, sideNames[side], res.PerSecond, res.Latency.P50, res.Latency.P99, res.Server.PerOp, res.Generator.PerOp)
			}
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// ceiling measures the echo server: what there is to get out of this machine and this event loop.
func (c *comparison) ceiling(ctx context.Context) (*bench.Result, error) {
	dir, err := os.MkdirTemp(c.dir, "echo-")
	if err != nil {
		return nil, err
	}
	p, err := launch(ctx, dir, nil, func(port string) []string {
		return []string{c.o.Bin, "bench", "echo", "127.0.0.1:" + port}
	})
	if err != nil {
		return nil, err
	}
	defer p.stop()
	return c.measure(ctx, loads[0], p.service())
}

// warmUp lets the JVM compile; ours gets the same.
func (c *comparison) warmUp(ctx context.Context, s *service) error {
	if c.o.JVMWarmup <= 0 {
		return nil
	}
	o := bench.DefaultOptions(s.addrs[0])
	o.Targets = s.addrs
	o.Op, o.Warmup, o.Duration = "get=6,set=2,create=1,exists=1", 0, c.o.JVMWarmup
	_, err := bench.Measure(ctx, o, io.Discard)
	return err
}

// measure is one cell of the table. A server that refuses requests or hangs up has no figures.
func (c *comparison) measure(ctx context.Context, l load, s *service) (*bench.Result, error) {
	o := bench.DefaultOptions(s.addrs[0])
	o.Targets = s.addrs
	o.Op, o.Conns, o.Outstanding = l.op, l.conns, l.outstanding
	o.Warmup, o.Duration, o.PID, o.Loops = c.o.Warmup, c.o.Duration, s.pids, max(1, runtime.NumCPU()/2)
	res, err := bench.Measure(ctx, o, io.Discard)
	switch {
	case err != nil:
		return nil, err
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case len(res.Errors) > 0 || len(res.Lost) > 0:
		return nil, fmt.Errorf("errors %v, connections lost: %v", res.Errors, res.Lost)
	}
	return res, nil
}
