package upstream

import (
	"net/http"
	"time"

	"slotgate/fhir"
	"slotgate/scheduling"
)

// validAt is when an answer was true by the source's own account: what the
// Bundle says of itself, else the Date of the answer (RFC 9110, 6.6.1), which a
// cache on the way leaves as it was. Zero where neither can be read.
func validAt(page *fhir.Page, header http.Header) time.Time {
	told := ""
	if meta := page.Bundle.Common().Meta; meta != nil {
		told = meta.LastUpdated
	}
	return validOf(told, header)
}

// validOf is the same of what was told.
func validOf(told string, header http.Header) time.Time {
	if told != "" {
		if at, err := scheduling.ParseInstant(told, nil); err == nil {
			return at.UTC()
		}
	}
	if at, err := http.ParseTime(header.Get("Date")); err == nil {
		return at.UTC()
	}
	return time.Time{}
}

// older is the earlier of two times that are known.
func older(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
