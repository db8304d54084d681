package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// configFlag is the one flag of all commands that run on a configuration.
type configFlag struct {
	Config string `required:"" type:"existingfile" placeholder:"FILE" help:"The YAML file; see deploy/slotgate.example.yaml. It is read again at SIGHUP."`
}

type serveCommand struct{ configFlag }

// Run runs both halves until the process is told to end.
func (c serveCommand) Run(ctx context.Context, con console) error {
	return c.run(ctx, con, role{gateway: true, prefetch: true})
}

type gatewayCommand struct{ configFlag }

// Run runs a gateway alone.
func (c gatewayCommand) Run(ctx context.Context, con console) error {
	return c.run(ctx, con, role{gateway: true})
}

type prefetchCommand struct{ configFlag }

// Run runs a prefetch worker alone.
func (c prefetchCommand) Run(ctx context.Context, con console) error {
	return c.run(ctx, con, role{prefetch: true})
}

// load reads the file, as each start and each SIGHUP does.
func (c configFlag) load(r role) (*file, error) {
	return loadFileFor(c.Config, r)
}

func (c configFlag) run(ctx context.Context, con console, r role) error {
	f, err := c.load(r)
	if err != nil {
		return err
	}
	log := newLogger(con.err)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	n, err := startNode(ctx, f, r, log)
	if err != nil {
		return err
	}
	if n.public != nil {
		_, _ = fmt.Fprintf(con.out, "gateway %s\n", n.public.url())
	}
	_, _ = fmt.Fprintf(con.out, "admin %s\n", n.admin.url())
	again := func() (*file, error) { return c.load(r) }
	err = n.watch(ctx, hangups, again, log)
	n.stop()
	return err
}

// watch waits for the end: asked for by ctx (nil), or forced by a part that
// broke. At every hangup the configuration is read again; a bad one changes
// nothing.
func (n *node) watch(ctx context.Context, hangups <-chan os.Signal, again func() (*file, error), log *slog.Logger) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-n.broken:
			return err
		case <-hangups:
			f, err := again()
			if err == nil {
				err = n.reload(f)
			}
			if err != nil {
				log.Error("the configuration was not taken over; the one before goes on", "error", err)
				continue
			}
			log.Info("the configuration was read again", "sources", len(f.Sources))
		}
	}
}
