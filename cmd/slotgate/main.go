// Command slotgate is the open-scheduling gateway: it prefetches the open slots
// of many EHRs into Redis and answers for all of them through one FHIR API.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // zones, on machines that have none

	"github.com/alecthomas/kong"

	"slotgate/cache"
)

// The exit codes, as scripts rely on them.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2 // wrong usage or wrong config
)

// commands are the subcommands; each says in its own file what it does.
type commands struct {
	Demo     demoCommand     `cmd:"" help:"Run simulated EHRs, prefetch and gateway in one process, with nothing installed."`
	Serve    serveCommand    `cmd:"" help:"Run gateway and prefetch in one process."`
	Gateway  gatewayCommand  `cmd:"" help:"Run a gateway alone; run as many as you like."`
	Prefetch prefetchCommand `cmd:"" help:"Run a prefetch worker alone; run as many as you like."`
	Check    checkCommand    `cmd:"" help:"Tell whether the config is right and what each source can do."`
	Find     findCommand     `cmd:"" help:"Ask a running gateway for open appointments."`
	Version  versionCommand  `cmd:"" help:"Tell version, commit, Go and FHIR versions."`
}

// console is where a subcommand writes.
type console struct {
	out, err io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// go-redis would write to standard error by itself, whatever is asked for.
	cache.LogClientTo(newLogger(os.Stderr))
	code := run(ctx, os.Args[1:], console{os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// run is main without the process around it.
func run(ctx context.Context, args []string, con console) int {
	var cmds commands
	parser, err := kong.New(&cmds,
		kong.Name("slotgate"),
		kong.Description("Open slots of many EHRs: found, held and booked through one FHIR API."),
		kong.Writers(con.out, con.err),
		kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(con),
	)
	if err != nil {
		return fail(con, err, exitFailed)
	}
	chosen, err := parser.Parse(args)
	if err != nil {
		return fail(con, fmt.Errorf("%w (see slotgate -h)", err), exitUsage)
	}
	err = chosen.Run()
	var wrong *wrongConfig
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &wrong):
		return fail(con, err, exitUsage)
	default:
		return fail(con, err, exitFailed)
	}
}

func fail(con console, err error, code int) int {
	_, _ = fmt.Fprintf(con.err, "slotgate: %v\n", err)
	return code
}

// wrongConfig marks an error of the config file or of the flags: exit code 2.
type wrongConfig struct{ err error }

func (w *wrongConfig) Error() string { return w.err.Error() }
func (w *wrongConfig) Unwrap() error { return w.err }
