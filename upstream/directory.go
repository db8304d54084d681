package upstream

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"golang.org/x/sync/errgroup"

	"slotgate/fhir"
	"slotgate/scheduling"
)

// directoryKinds are read whole. A source that cannot search one of them tells
// its records when slots refer to them.
var directoryKinds = []scheduling.Kind{
	scheduling.KindPractitioner, scheduling.KindRole, scheduling.KindLocation,
	scheduling.KindOrganization, scheduling.KindService, scheduling.KindSchedule,
}

// listing is what a search of one kind brought.
type listing struct {
	found scheduling.Directory
	tally scheduling.Tally
	whole bool  // everything of the kind is in found
	err   error // why it could not be searched
}

// Directory reads who and what the source has, whole, and keeps it for the
// fetches to come. The tally counts records that cannot be used, and concepts
// without a common code where a map of codes is configured.
//
// Errors: those of the package. A kind that the source does not know, or does
// not let us search, is not one.
func (c *Client) Directory(ctx context.Context) (scheduling.Directory, scheduling.Tally, error) {
	release, err := c.loading(ctx)
	if err != nil {
		return scheduling.Directory{}, nil, err
	}
	defer release()
	return c.readDirectory(ctx)
}

func (c *Client) readDirectory(ctx context.Context) (scheduling.Directory, scheduling.Tally, error) {
	if p, ok := c.dialect.(publisher); ok {
		return c.published(ctx, p)
	}
	lists := make([]listing, len(directoryKinds))
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(c.opts.Limits.Concurrency)
	for i, kind := range directoryKinds {
		group.Go(func() (err error) {
			lists[i], err = c.list(within, kind)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return scheduling.Directory{}, nil, err
	}
	found, tally := scheduling.NewDirectory(), scheduling.Tally{}
	var unlisted []scheduling.Kind
	for i, list := range lists {
		found.Merge(list.found)
		tally.Merge(list.tally)
		if !list.whole {
			unlisted = append(unlisted, directoryKinds[i])
		}
	}
	if err := allRefused(lists); err != nil {
		return scheduling.Directory{}, nil, err
	}
	c.mapDirectory(found, tally)
	c.metrics.unusable(tally)
	dir := c.known.replace(found, unlisted)
	c.loaded.Store(true)
	return dir, tally, nil
}

// published takes the directory that a publisher put into files, whole.
func (c *Client) published(ctx context.Context, p publisher) (scheduling.Directory, scheduling.Tally, error) {
	list, err := p.directory(ctx, c)
	if err != nil {
		return scheduling.Directory{}, nil, err
	}
	c.mapDirectory(list.found, list.tally)
	c.metrics.unusable(list.tally)
	var unread []scheduling.Kind
	if !list.whole {
		unread = directoryKinds
	}
	dir := c.known.replace(list.found, unread)
	c.loaded.Store(true)
	return dir, list.tally, nil
}

func (c *Client) mapDirectory(found scheduling.Directory, tally scheduling.Tally) {
	unmapped := scheduling.Tally{}
	c.codes.directory(found, unmapped)
	tally.Add(scheduling.Unmapped, unmapped.Total())
}

// allRefused is the source's refusal of our login, when it let us search
// nothing at all for that.
func allRefused(lists []listing) error {
	var login error
	for _, list := range lists {
		switch {
		case list.err == nil:
			return nil
		case scheduling.CodeOf(list.err) == scheduling.SourceLogin:
			login = list.err
		}
	}
	return login
}

// list searches one kind.
func (c *Client) list(ctx context.Context, kind scheduling.Kind) (listing, error) {
	return c.listWhere(ctx, kind, url.Values{})
}

// listWhere searches one kind with more parameters.
func (c *Client) listWhere(ctx context.Context, kind scheduling.Kind, query url.Values) (listing, error) {
	out := listing{found: scheduling.NewDirectory(), tally: scheduling.Tally{}}
	if c.opts.Quirks.PageSize > 0 {
		query.Set("_count", strconv.Itoa(c.opts.Quirks.PageSize))
	}
	q := question{op: "directory", kind: kind, method: http.MethodGet, url: resolve(c.base, string(kind), query), paged: true}
	cut, err := c.pages(ctx, q, func(page *fhir.Page) string {
		out.add(page)
		return ""
	})
	switch {
	case refusedAs(err, http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusGone, http.StatusUnprocessableEntity, http.StatusNotImplemented):
		c.log.Info("source does not let us list a kind of record; they are read one by one",
			"source", c.source.ID, "kind", kind, "status", statusOf(err))
		out.err = err
		return out, nil
	case err != nil:
		return out, err
	}
	if cut != "" {
		c.log.Warn("a list of the source's directory is not complete", "source", c.source.ID, "kind", kind, "why", cut)
	}
	out.whole = cut == ""
	return out, nil
}

func (l *listing) add(page *fhir.Page) {
	l.tally.Merge(page.Broken)
	for i := range page.Entries {
		if res := page.Entries[i].Resource; res != nil {
			_, reason := fhir.AddTo(l.found, res)
			if reason != "" {
				l.tally.Add(reason, 1)
			}
		}
	}
}
