package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"slotgate/fhir"
	"slotgate/scheduling"
)

// links is the dialect of SMART Scheduling Links
// (https://github.com/smart-on-fhir/smart-scheduling-links): a manifest at
// $bulk-publish names files of Locations, Schedules, PractitionerRoles and Slots,
// one resource a line. Nothing can be held or booked; a slot tells the page or
// the phone where that is done.
//
// The files are few and whole: one reading of them serves every scope, for as
// long as the publisher and our own manners say.
type links struct {
	turn  chan struct{} // held by whoever reads the files
	files map[string]*linksFile
	order []string // of the files that the manifest names now
	index linksFile
}

// linksFile is what we know of one file.
type linksFile struct {
	etag, modified string
	asked          time.Time // when its publisher last said that this is it
	until          time.Time // it is not asked for again before
	outputs        []fhir.ManifestFile
	content        *harvest  // nil for the manifest
	sum            uint64    // hash of what it was read from
	valid          time.Time // of the manifest: what it says of itself
}

func newLinks() *links {
	return &links{turn: make(chan struct{}, 1), files: map[string]*linksFile{}}
}

// linksKinds are the types that we read; others are for other clients.
var linksKinds = []scheduling.Kind{
	scheduling.KindLocation, scheduling.KindPractitioner, scheduling.KindRole, scheduling.KindOrganization,
	scheduling.KindService, scheduling.KindSchedule, scheduling.KindSlot,
}

// manifestPath ends the address of every manifest.
const manifestPath = "$bulk-publish"

func (l *links) fetch(ctx context.Context, c *Client, scope scheduling.Scope) (*harvest, string, error) {
	h := newHarvest(scheduling.KindSlot, c.rule, c.opts.Limits.MaxSlots)
	same := comparisonOf(ctx)
	cut, err := l.with(ctx, c, func() string {
		h.asOf, h.valid = l.index.asked, l.index.valid
		for _, address := range l.order {
			if file := l.files[address]; file.asked.Before(h.asOf) {
				h.asOf = file.asked
			}
		}
		if same.ofFiles(l.sum(c)) {
			return ""
		}
		for _, address := range l.order {
			h.take(l.files[address].content, scope)
		}
		if len(h.records) > h.max {
			return "more than " + strconv.Itoa(h.max) + " slots"
		}
		return ""
	})
	return h, cut, err
}

// directory is everything of the files but the slots. What could not be read of
// any of them is counted here, once, and not again with every scope.
func (l *links) directory(ctx context.Context, c *Client) (listing, error) {
	out := listing{found: scheduling.NewDirectory(), tally: scheduling.Tally{}, whole: true}
	cut, err := l.with(ctx, c, func() string {
		for _, address := range l.order {
			content := l.files[address].content
			out.found.Merge(content.found)
			out.tally.Merge(content.tally)
		}
		return ""
	})
	if out.whole = cut == ""; !out.whole {
		c.log.Warn("the published files are not complete", "source", c.source.ID, "why", cut)
	}
	return out, err
}

// with brings the files up to date and reads them while nobody changes them.
func (l *links) with(ctx context.Context, c *Client, read func() string) (string, error) {
	select {
	case <-ctx.Done():
		return "", ended(ctx, c.source.ID)
	case l.turn <- struct{}{}:
	}
	defer func() { <-l.turn }()
	if cut, err := l.refresh(ctx, c); cut != "" || err != nil {
		return cut, err
	}
	return read(), nil
}

// refresh asks for the manifest and the files whose time has come.
func (l *links) refresh(ctx context.Context, c *Client) (cut string, err error) {
	if err = l.manifest(ctx, c); err != nil {
		return tooBig(err)
	}
	wanted := map[string]*linksFile{}
	var order []string
	for _, output := range l.index.outputs {
		address, err := l.address(c, output.URL)
		if err != nil {
			return "", err
		}
		if _, twice := wanted[address.String()]; twice {
			continue
		}
		file := l.files[address.String()]
		if file == nil {
			file = &linksFile{}
		}
		wanted[address.String()] = file
		order = append(order, address.String())
	}
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(c.opts.Limits.Concurrency)
	for _, address := range order {
		group.Go(func() error { return l.file(within, c, address, wanted[address]) })
	}
	if err := group.Wait(); err != nil {
		return tooBig(err)
	}
	l.files, l.order = wanted, order
	return "", nil
}

// tooBig is an answer that is cut, and no failure of the source.
func tooBig(err error) (cut string, _ error) {
	if tooLarge(err) {
		return "a file is larger than max_body", nil
	}
	return "", err
}

// manifestAt is the manifest's address: base may be it, or the folder above.
func manifestAt(base *url.URL) *url.URL {
	to := *base
	if !strings.HasSuffix(to.Path, "/"+manifestPath) {
		to.Path += "/" + manifestPath
	}
	return &to
}

// sum is of all files, as they are read now.
func (l *links) sum(c *Client) uint64 {
	var parts []string
	for _, address := range l.order {
		parts = append(parts, address, strconv.FormatUint(l.files[address].sum, 16))
	}
	return c.recall.key(parts...)
}

// manifest reads the list of files.
func (l *links) manifest(ctx context.Context, c *Client) error {
	return l.ask(ctx, c, &l.index, &call{
		op: "manifest", url: manifestAt(c.base), header: http.Header{"Accept": {"application/json"}},
	}, func(body []byte) error {
		m, err := fhir.ReadManifest(body)
		if err != nil {
			return err //nolint:wrapcheck // judged by the stack
		}
		l.index.valid, _ = scheduling.ParseInstant(m.TransactionTime, nil)
		l.index.outputs = slices.DeleteFunc(m.Output, func(one fhir.ManifestFile) bool {
			return !slices.Contains(linksKinds, scheduling.Kind(one.Type)) || !c.opts.Quirks.wantsState(one.Extension.State)
		})
		return nil
	})
}

// file reads one of them.
func (l *links) file(ctx context.Context, c *Client, address string, file *linksFile) error {
	to, err := url.Parse(address)
	if err != nil {
		return badAddress(c)
	}
	return l.ask(ctx, c, file, &call{
		op: "file", url: to, header: http.Header{"Accept": {"application/fhir+ndjson"}},
	}, func(body []byte) error {
		sum := c.recall.key(string(body))
		if file.content != nil && file.sum == sum {
			c.metrics.unchanged(0, 1, int64(len(body)))
			return nil
		}
		content := newHarvest(scheduling.KindSlot, c.rule, c.opts.Limits.MaxSlots)
		page := fhir.ReadLines(c.source.Release, body)
		if len(page.Entries) == 0 && page.Broken.Total() > 0 || endsInALine(body) {
			return errNoFile
		}
		content.page(page)
		content.lead(c.opts.Quirks.LinkSource)
		file.content, file.sum = content, sum
		return nil
	})
}

// errNoFile: a page for people stands where the file was, or half of the file.
var errNoFile = errors.New("upstream: it is no file of resources, or not all of it")

// endsInALine tells whether a file ends within a line, as one that was cut.
func endsInALine(body []byte) bool {
	last := bytes.TrimSpace(body[bytes.LastIndexByte(body, '\n')+1:])
	return len(last) > 0 && !json.Valid(last)
}

// address is where a file is, as the manifest says: seen from the manifest's own
// address where it is relative.
func (l *links) address(c *Client, text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || text == "" {
		return nil, badAddress(c)
	}
	return manifestAt(c.base).ResolveReference(u), nil
}

func badAddress(c *Client) error {
	return scheduling.Blame(scheduling.SourceNonsense, c.source.ID, &fault{hurt: true}, "the source's manifest names no address for a file")
}

// ask sends the call if the file's time has come, on the condition that there is
// something new. Nobody asks for a file more than once in quirks.file_every,
// or while the publisher's max-age lasts.
func (l *links) ask(ctx context.Context, c *Client, file *linksFile, send *call, read func(body []byte) error) error {
	if c.now().Before(file.until) {
		return nil
	}
	send.lane, send.method, send.conditional = lanePrefetch, http.MethodGet, file.etag != "" || file.modified != ""
	if file.etag != "" {
		send.header.Set("If-None-Match", file.etag)
	}
	if file.modified != "" {
		send.header.Set("If-Modified-Since", file.modified)
	}
	send.read = func(_ fhir.Format, body []byte) error { return read(body) }
	asked := c.now()
	a, err := c.send(ctx, send)
	if err != nil {
		// What we have may be half of two states: the next time it is read whole.
		file.etag, file.modified = "", ""
		return err
	}
	file.asked, file.until = asked, asked.Add(max(c.opts.Quirks.FileEvery.Std(), maxAge(a.header)))
	c.metrics.page(send.op)
	if a.status == http.StatusNotModified {
		c.metrics.unchanged(1, 0, 0)
		return nil
	}
	file.etag, file.modified = a.header.Get("ETag"), a.header.Get("Last-Modified")
	return nil
}

// longestAge bounds for how long a publisher may keep us from asking.
const longestAge = time.Hour

// maxAge is for how long the publisher says that the answer holds (RFC 9111).
func maxAge(header http.Header) time.Duration {
	for _, directive := range strings.Split(strings.ToLower(header.Get("Cache-Control")), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		if name != "max-age" {
			continue
		}
		if seconds, err := strconv.Atoi(strings.Trim(value, `"`)); err == nil && seconds > 0 {
			return min(time.Duration(min(seconds, 86400))*time.Second, longestAge)
		}
	}
	return 0
}

// take adds what a file has of a scope: copies, since the file stays as it is.
// Days are judged later, in each place's zone; a day more on both sides is enough
// of all of them.
func (h *harvest) take(file *harvest, scope scheduling.Scope) {
	near := scheduling.Days{From: scope.Days.From - 1, To: scope.Days.To + 1}
	for _, r := range file.records {
		if r.timed() && !near.Has(scheduling.DayOf(r.slot.Start, time.UTC)) {
			continue
		}
		one := *r
		h.keep(&one)
	}
	h.found.Merge(file.found)
	h.doubtful = append(h.doubtful, file.doubtful...)
	h.nameless += file.nameless
}

// lead puts our name into the pages that callers are sent to, as the
// specification wants it.
func (h *harvest) lead(source string) {
	for _, r := range h.records {
		if p := r.slot.Portal; p != nil && p.URL != "" && source != "" {
			r.slot.Portal = &scheduling.Portal{URL: withSource(p.URL, source), Phone: p.Phone}
		}
	}
}

func withSource(address, source string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	query := u.Query()
	query.Set("source", source)
	u.RawQuery = query.Encode()
	return u.String()
}
