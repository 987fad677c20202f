package bench

import (
	"context"
	"fmt"
	"io"
	"runtime"

	"github.com/alecthomas/kong"

	"paddock/bench/echo"
)

// ceilingWord as the first word behind "paddock bench" runs the echo server instead of load. It is not
// in the help: only who measures the generator itself needs it.
const ceilingWord = "echo"

type ceilingOptions struct {
	Addr       string `arg:"" help:"HOST:PORT to listen on."`
	Loops      int    `help:"Event loops. 0: one per core."`
	ValueBytes int    `short:"v" default:"100" help:"Bytes of data in each reply."`
}

func runCeiling(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o ceilingOptions
	helped := false
	parser, err := kong.New(&o, kong.Name("paddock bench "+ceilingWord),
		kong.Description("Answer every request with a reply as long as that of getData."),
		kong.Writers(stdout, stdout), kong.Exit(func(int) { helped = true }))
	if err != nil {
		return err
	}
	if _, err := parser.Parse(args); helped {
		return nil
	} else if err != nil {
		return UsageError{fmt.Errorf("bench %s: %w", ceilingWord, err)}
	}
	if o.Loops == 0 {
		o.Loops = runtime.GOMAXPROCS(0)
	}
	return echo.Run(ctx, echo.Config{Addr: o.Addr, Loops: o.Loops, ValueBytes: o.ValueBytes},
		func() { fmt.Fprintf(stderr, "echo: serving on %s\n", o.Addr) })
}
