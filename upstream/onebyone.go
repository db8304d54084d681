package upstream

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

const (
	// maxReads bounds what one fetch reads one by one. The rest waits for the
	// next: until then the fetch counts as cut.
	maxReads = 100
	// maxMisses in a row mean that the source does not have what its slots
	// refer to: the rest is not even tried.
	maxMisses = 8
)

// oneByOne reads records that others refer to.
type oneByOne struct {
	client *Client
	found  scheduling.Directory
	reads  int
	misses int
	tally  scheduling.Tally
	full   bool // there was more than maxReads
}

// close reads what is missing in dir for the schedules and whom they bind, and
// whom those refer to.
func (o *oneByOne) close(ctx context.Context, schedules map[string]bool, dir scheduling.Directory) error {
	for _, id := range slices.Sorted(maps.Keys(schedules)) {
		if err := o.want(ctx, dir, scheduling.KindSchedule, id, 0); err != nil {
			return err
		}
	}
	return nil
}

// maxDepth ends a chain of references: schedule, role, service, organization.
const maxDepth = 4

// want reads a record unless it is known, and then what it refers to.
func (o *oneByOne) want(ctx context.Context, dir scheduling.Directory, kind scheduling.Kind, id string, depth int) error {
	if id == "" || depth > maxDepth {
		return nil
	}
	if !hasRecord(dir, kind, id) {
		got, err := o.read(ctx, kind, id)
		if err != nil || !got {
			return err
		}
		copyRecord(dir, o.found, kind, id)
	} else if depth > 1 {
		return nil // it was looked at when it came
	}
	for _, ref := range refsOf(dir, kind, id) {
		if err := o.want(ctx, dir, ref.Kind, ref.ID, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// read asks for one record. It is false when the source does not have it, and
// when no more may be asked for.
func (o *oneByOne) read(ctx context.Context, kind scheduling.Kind, id string) (bool, error) {
	c := o.client
	if _, files := c.dialect.(publisher); files {
		return false, nil // what is in no file is nowhere
	}
	switch {
	case !readable(kind) || c.known.isAbsent(kind, id, c.now()) || o.misses >= maxMisses:
		return false, nil
	case o.reads >= maxReads:
		o.full = true
		return false, nil
	}
	o.reads++
	res, err := o.ask(ctx, string(kind)+"/"+id)
	if refusedAs(err, http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusGone,
		http.StatusMethodNotAllowed, http.StatusUnprocessableEntity, http.StatusNotImplemented) {
		o.misses++
		c.known.miss(kind, id, c.now())
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if res == nil {
		o.tally.Add(scheduling.BadResource, 1)
	}
	if res == nil || res.ResourceType() != string(kind) || res.Common().ID != id {
		o.misses++
		c.known.miss(kind, id, c.now())
		return false, nil
	}
	o.misses = 0
	added, _ := fhir.AddTo(o.found, res)
	return added, nil
}

// ask gives nil for a record that is one and cannot be read: that is no fault of
// the whole source.
func (o *oneByOne) ask(ctx context.Context, path string) (res model.Resource, err error) {
	c := o.client
	_, err = c.send(ctx, &call{
		op: "read", lane: laneRead, method: http.MethodGet, url: resolve(c.base, path, nil),
		read: func(f fhir.Format, body []byte) (err error) {
			if res, err = fhir.Read(c.source.Release, f, body); err != nil && fhir.IsRecord(f, body) {
				res, err = nil, nil
			}
			return err //nolint:wrapcheck // judged by the stack
		},
	})
	return res, err
}

// readable are the kinds of the directory.
func readable(kind scheduling.Kind) bool { return slices.Contains(directoryKinds, kind) }
