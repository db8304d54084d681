package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"slotgate/scheduling"
	"slotgate/upstream"
	"slotgate/upstream/check"
)

type checkCommand struct {
	configFlag
	Source scheduling.SourceID `placeholder:"ID" help:"Only this source."`
	Write  bool                `help:"Hold a free slot far ahead, too, and release it: how the source is written to."`
}

// errUnusable makes the exit code 1.
var errUnusable = errors.New("check: a source cannot be used")

// Run prints one row a capability of each source.
func (c checkCommand) Run(ctx context.Context, con console) error {
	f, err := loadFile(c.Config)
	if err != nil {
		return err
	}
	registry, err := upstream.NewRegistry(f.Sources, upstream.Deps{})
	if err != nil {
		return err
	}
	defer registry.Close()
	_, _ = fmt.Fprintf(con.out, "%s: the configuration is right; sources: %d\n", c.Config, len(f.Sources))
	found, usable := false, true
	for _, o := range f.Sources {
		if c.Source != "" && c.Source != o.ID {
			continue
		}
		found = true
		client, _ := registry.Get(o.ID)
		rows := check.Run(ctx, client)
		if c.Write && check.Usable(rows) {
			rows = append(rows, check.Write(ctx, client)...)
		}
		usable = check.Usable(rows) && usable
		if err := printRows(con, o.ID, rows); err != nil {
			return err
		}
	}
	switch {
	case !found:
		return &wrongConfig{fmt.Errorf("check: %s names no source %q", c.Config, c.Source)}
	case !usable:
		return errUnusable
	default:
		return nil
	}
}

func printRows(con console, id scheduling.SourceID, rows []check.Row) error {
	w := tabwriter.NewWriter(con.out, 0, 4, 2, ' ', 0)
	for _, row := range rows {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", id, row.Name, row.Verdict, row.Why)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("check: %w", err)
	}
	return nil
}
