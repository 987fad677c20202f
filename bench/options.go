package bench

import (
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// Options say what load to put on which servers. The zero value of a field that has a default in its
// tag is not that default: start from DefaultOptions.
type Options struct {
	Targets []string `arg:"" name:"target" help:"Servers, HOST:PORT. Connections go to them in turn."`

	Op         string  `default:"get" help:"What to send: get, exists, set, create, delete, children, multi, mixed, watch; or shares of the first seven, as in get=80,exists=10,set=10."`
	ReadShare  float64 `default:"0.9" help:"Of mixed: the share of get; the rest is set."`
	ValueBytes int     `short:"v" default:"100" help:"Bytes of data in each node."`
	Keys       int     `short:"k" default:"1000" help:"Nodes to choose from, evenly at random."`
	Children   int     `default:"10" help:"Of children: how many each node has."`
	MultiOps   int     `default:"10" help:"Of multi: setData operations in each."`
	Ephemeral  bool    `help:"Of create: ephemeral nodes."`
	Watchers   int     `default:"100" help:"Of watch: connections that watch the one node."`
	Rearm      bool    `help:"Of watch: one-time watches, set again after each event, instead of persistent ones (which need a server of 3.6 or later)."`

	Conns       int           `short:"c" default:"8" help:"Connections, each with a session."`
	Outstanding int           `short:"o" default:"64" help:"Requests outstanding on each connection: kept at that number, or with --rate at most that many."`
	Rate        float64       `help:"Requests per second in all, due at fixed times whether or not the server keeps up. 0: as fast as answers come."`
	Duration    time.Duration `short:"d" help:"How long to measure; 10s, or 10m at most where there is a --count."`
	Count       int64         `short:"n" help:"Stop after so many requests. Of watch: changes."`
	Warmup      time.Duration `default:"1s" help:"Load before that, which is not measured."`

	Root           string        `default:"/paddock-bench" help:"Node below which everything happens."`
	Keep           bool          `help:"Leave the nodes there."`
	SessionTimeout time.Duration `default:"30s" help:"Session time-out to ask for."`
	Loops          int           `help:"Threads of the generator. 0: half of the cores, 1 at least."`
	Seed           uint64        `default:"1" help:"Of the random choices."`

	PID   []int `help:"Process id of a server on this machine, for its CPU time and memory. May be repeated."`
	JSON  bool  `name:"json" help:"Print the result as JSON."`
	Quiet bool  `short:"q" help:"No progress lines."`
}

// Limits that keep a slip of the finger from becoming an incident.
const (
	maxConns       = 100_000
	maxOutstanding = 1 << 16
	maxIDs         = 100_000_000 // names have eight digits
	maxDuration    = 24 * time.Hour
	countDuration  = 10 * time.Minute
)

// UsageError is a mistake in the words of the command line.
type UsageError struct{ error }

// ExitCode is that of a wrong invocation.
func (UsageError) ExitCode() int { return 2 }

// Unwrap returns what was wrong.
func (e UsageError) Unwrap() error { return e.error }

// DefaultOptions are those of the command line, for one target.
func DefaultOptions(target string) Options {
	o, _, err := parse([]string{target}, io.Discard)
	if err != nil {
		panic(err) // the tags above are wrong
	}
	return o
}

// parse reads the command line. helped says that it asked for help and has got it.
func parse(args []string, stdout io.Writer) (o Options, helped bool, err error) {
	parser, err := kong.New(&o, kong.Name("paddock bench"),
		kong.Description("Put load on ZooKeeper servers and measure it. Its own cost is printed beside every figure."),
		kong.Writers(stdout, stdout), kong.Exit(func(int) { helped = true }))
	if err != nil {
		return o, false, err
	}
	_, err = parser.Parse(args)
	if helped {
		return o, true, nil
	}
	if err == nil {
		err = o.normalise()
	}
	if err != nil {
		return o, false, UsageError{fmt.Errorf("bench: %w", err)}
	}
	return o, false, nil
}

// normalise fills in what depends on other fields and reports all that is wrong at once.
func (o *Options) normalise() error {
	if o.Loops == 0 {
		o.Loops = max(1, runtime.GOMAXPROCS(0)/2)
	}
	o.Loops = min(o.Loops, max(o.Conns, 1))
	if o.Op == kindNames[kindDelete] {
		o.Warmup = 0 // it would eat what there is to measure
	}
	if o.Duration == 0 {
		o.Duration = 10 * time.Second
		if o.Count > 0 {
			o.Duration = countDuration
		}
	}
	var errs []error
	check := func(ok bool, format string, a ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, a...))
		}
	}
	check(len(o.Targets) > 0, "no target")
	check(o.Conns >= 1 && o.Conns <= maxConns, "--conns %d: want 1 to %d", o.Conns, maxConns)
	check(o.Outstanding >= 1 && o.Outstanding <= maxOutstanding, "--outstanding %d: want 1 to %d", o.Outstanding, maxOutstanding)
	check(o.Keys >= 1 && o.Keys <= maxIDs/10, "--keys %d: want 1 to %d", o.Keys, maxIDs/10)
	check(o.ValueBytes >= 0 && o.ValueBytes < 64<<20, "--value-bytes %d: want 0 to 64 MiB", o.ValueBytes)
	check(o.Children >= 0 && o.Children*o.Keys <= maxIDs, "--children %d: with %d keys at most %d", o.Children, o.Keys, maxIDs/max(o.Keys, 1))
	check(o.MultiOps >= 1 && o.MultiOps <= 10_000, "--multi-ops %d: want 1 to 10000", o.MultiOps)
	check(o.Watchers >= 1 && o.Watchers <= maxConns, "--watchers %d: want 1 to %d", o.Watchers, maxConns)
	check(o.ReadShare >= 0 && o.ReadShare <= 1, "--read-share %v: want 0 to 1", o.ReadShare)
	check(o.Rate >= 0 && o.Rate <= 1e8 && !math.IsNaN(o.Rate), "--rate %v: want 0 to 100000000", o.Rate)
	check(o.Duration > 0 && o.Duration <= maxDuration, "--duration %v: want up to %v", o.Duration, maxDuration)
	check(o.Warmup >= 0 && o.Warmup <= maxDuration, "--warmup %v: want 0 to %v", o.Warmup, maxDuration)
	check(o.Count >= 0 && o.Count <= math.MaxInt64/2, "--count %d: want 0 or more", o.Count)
	check(o.SessionTimeout >= time.Second && o.SessionTimeout <= time.Hour, "--session-timeout %v: want 1s to 1h", o.SessionTimeout)
	check(len(o.Root) > 1 && o.Root[0] == '/' && !strings.HasSuffix(o.Root, "/") && !strings.Contains(o.Root, "#"),
		"--root %q: want /NAME, without #", o.Root)
	check(!(o.Op == opWatch && o.Rate > 0), "--rate does not go with watch: changes follow each other")
	if _, err := o.shares(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// opWatch and opMixed are the words of --op that are not kinds.
const (
	opWatch = "watch"
	opMixed = "mixed"
)

// shares says how often each kind is sent. They sum up to 1, but for watch: all are 0 there.
func (o *Options) shares() (shares [kinds]float64, err error) {
	switch o.Op {
	case opWatch:
		return shares, nil
	case opMixed:
		shares[kindGet], shares[kindSet] = o.ReadShare, 1-o.ReadShare
		return shares, nil
	}
	sum := 0.0
	for word := range strings.SplitSeq(o.Op, ",") {
		name, weight, weighted := strings.Cut(word, "=")
		k, ok := kindOf(name)
		if !ok {
			return shares, fmt.Errorf("--op %s: no operation %q", o.Op, name)
		}
		w := 1.0
		if weighted {
			if w, err = strconv.ParseFloat(weight, 64); err != nil || !(w > 0 && w < 1e9) {
				return shares, fmt.Errorf("--op %s: %q is no weight", o.Op, weight)
			}
		}
		if shares[k] > 0 {
			return shares, fmt.Errorf("--op %s: %s twice", o.Op, name)
		}
		shares[k] = w
		sum += w
	}
	if shares[kindDelete] > 0 && shares[kindDelete] != sum {
		return shares, fmt.Errorf("--op %s: delete goes alone, for it comes to an end", o.Op)
	}
	for k := range shares {
		shares[k] /= sum
	}
	return shares, nil
}
