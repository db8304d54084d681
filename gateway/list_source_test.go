package gateway

import (
	"net/http"
	"strings"
	"testing"

	"slotgate/scheduling"
)

func TestAListIsLimitedToTheSourcesAskedFor(t *testing.T) {
	t.Parallel()
	w, desk := withDesk(t, nil)
	west, east := w.booked(scheduling.R4, "napa", 0), w.booked(scheduling.R4, "york", 1)
	away := scheduling.Blame(scheduling.SourceDown, "napa", nil, "this source cannot be reached")
	desk.list.Unreached = []*scheduling.Error{away}
	for query, want := range map[string]struct {
		ids      []string
		complete string
	}{
		"":                           {[]string{west, east}, "false"},
		"&source=":                   {[]string{west, east}, "false"},
		"&source=york":               {[]string{east}, "true"},
		"&source=napa":               {[]string{west}, "false"},
		"&source=napa,york":          {[]string{west, east}, "false"},
		"&source=napa&source=york":   {[]string{west, east}, "false"},
		"&source=york&status=booked": {[]string{east}, "true"},
	} {
		for _, rel := range releases() {
			for _, r := range []reply{
				w.get("/fhir/"+string(rel)+"/Appointment?patient=p1"+query, siteKey, "Prefer: handling=strict"),
				w.ask(http.MethodPost, "/fhir/"+string(rel)+"/Appointment/_search", "patient=p1"+query, siteKey, "Content-Type: application/x-www-form-urlencoded"),
			} {
				b := w.bundle(r, rel)
				got := map[string]bool{}
				for _, e := range b.Entry {
					if e.Resource.Common().ID != "" {
						got[e.Resource.Common().ID] = true
					}
				}
				same := len(got) == len(want.ids) && *b.Total == len(want.ids)
				for _, id := range want.ids {
					same = same && got[id]
				}
				if !same || r.header.Get("X-Slotgate-Complete") != want.complete || strings.Contains(r.body, "not applied") {
					t.Errorf("%s, %q: %v, complete %s: %s", rel, query, got, r.header.Get("X-Slotgate-Complete"), r.body)
				}
				if told := strings.Contains(r.body, away.Message); told != (want.complete == "false") {
					t.Errorf("%s, %q: told of what was not reached: %v", rel, query, told)
				}
			}
		}
	}
	for _, unknown := range []string{"nowhere", "%3Cscript%3E,york", "york&source=nowhere"} {
		if r := w.get("/fhir/r4/Appointment?patient=p1&source="+unknown, siteKey); r.status != http.StatusBadRequest || strings.Contains(r.body, "script") {
			t.Errorf("source=%s: %d %s", unknown, r.status, r.body)
		}
	}
	b := w.bundle(w.get("/fhir/r4/Appointment?patient=p1&source=york&_count=0", siteKey), scheduling.R4)
	if !strings.Contains(b.LinkURL("self"), "source=york") {
		t.Errorf("the link forgets the source: %s", b.LinkURL("self"))
	}
	if r := w.get("/fhir/r4/Appointment?patient=p1&source=,", siteKey); r.status != http.StatusBadRequest {
		t.Errorf("an empty source among others: %d", r.status)
	}
}
