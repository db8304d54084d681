package upstream

import (
	"context"

	"slotgate/fhir"
)

// page sends a call and reads its answer as a page.
func (c *Client) page(ctx context.Context, send *call) (*fhir.Page, error) {
	return (&walk{client: c}).page(ctx, send)
}

// page reads the page that a call asks for, and notes by what it is known again
// where that is wanted.
func (w *walk) page(ctx context.Context, send *call) (*fhir.Page, error) {
	if kept, ok := w.same.take(send); ok {
		return w.unpack(send, kept)
	}
	c := w.client
	var page *fhir.Page
	var print pagePrint
	send.read = func(f fhir.Format, body []byte) (err error) {
		if w.same != nil {
			print, _ = c.printer().print(body)
		}
		page, err = fhir.ReadBundle(c.source.Release, f, body)
		return err //nolint:wrapcheck // judged by the stack
	}
	a, err := c.send(ctx, send)
	if err != nil {
		return nil, err
	}
	page.Valid = validAt(page, a.header)
	c.metrics.page(send.op)
	w.trace(c.trace(send, print.sum, a.header))
	return page, nil
}

// unpack decodes a page that came just before, when it seemed that it need not be.
func (w *walk) unpack(send *call, kept heldPage) (page *fhir.Page, err error) {
	c := w.client
	if page = kept.page; page == nil {
		if page, err = fhir.ReadBundle(c.source.Release, kept.format, kept.body); err != nil {
			return nil, judgeBody(c.source.ID, err)
		}
	}
	page.Valid = validAt(page, kept.header)
	w.trace(c.trace(send, kept.sum, kept.header))
	return page, nil
}

func (w *walk) trace(page pageTrace) {
	if w.same != nil {
		w.traces = append(w.traces, page)
	}
}

// leads notes how the latest page led on.
func (w *walk) leads(next string, linked bool) {
	if n := len(w.traces); n > 0 {
		at := &w.traces[n-1]
		at.next, at.linked, at.since = next, linked, w.client.now().Unix()
	}
}
