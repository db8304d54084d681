package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"slotgate/scheduling"
)

func TestPagesGiveEveryOfferOnceWhilePrefetchRuns(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	seen := map[string]bool{}
	next, pages := w.base+"/fhir/r4/Appointment/$find?_count=7", 0
	for next != "" {
		b := w.bundle(w.get(path(t, next)), scheduling.R4)
		list, _ := offers(t, b)
		for _, a := range list {
			if seen[a.ID] {
				t.Errorf("%s came twice", a.ID)
			}
			seen[a.ID] = true
		}
		// The first slot of the first day goes away meanwhile.
		if pages == 1 {
			key := scheduling.WindowKey{Schedule: "sched-1", Day: scheduling.Date(2026, 11, 24)}
			w.replica.Apply("york", scheduling.Change{Windows: []scheduling.Window{{Key: key, Fetch: 2, Checked: noon, Changed: noon}}})
		}
		next, pages = b.LinkURL("next"), pages+1
		if pages > 20 {
			t.Fatal("the pages have no end")
		}
	}
	// Of york's 8 slots of that day, those of the first two pages were seen.
	gone := 0
	for n := range 8 {
		if !seen[scheduling.OfferID("york", 0, fmt.Sprintf("sched-1-0-%d", n))] {
			gone++
		}
	}
	if len(seen) != 72-gone || gone == 8 {
		t.Errorf("%d offers, %d gone", len(seen), gone)
	}
}

func TestALinkThatNobodyCouldFollowIsNotGiven(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	var params []string
	for n := range 100 {
		params = append(params, fmt.Sprintf(`{"name":"specialty","valueString":"urn:%s%d|1"}`, strings.Repeat("long-", 30), n))
	}
	params = append(params, `{"name":"specialty","valueCode":"`+dermatology+`"}`)
	body := `{"resourceType":"Parameters","parameter":[` + strings.Join(params, ",") + "]}"
	b := w.bundle(w.ask(http.MethodPost, "/fhir/r4/Appointment/$find?_count=5", body, "Content-Type: application/json"), scheduling.R4)
	list, outcome := offers(t, b)
	if *b.Total != 48 || len(list) != 5 || b.LinkURL("next") != "" || !strings.Contains(told(outcome), "too long for a next link") {
		t.Errorf("total %d, next of %d bytes, told: %s", *b.Total, len(b.LinkURL("next")), told(outcome))
	}
}

func TestLinksAreOursWhateverTheHostHeaderSays(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, public, want string }{
		{"of the listener", "", ""},
		{"of public_url", "https://slots.example.org/", "https://slots.example.org"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := start(t, func(o *Options, _ *Deps) { o.PublicURL = tc.public })
			want := tc.want
			if want == "" {
				want = w.base
			}
			r := w.get("/fhir/stu3/Appointment/$find?_count=1&patient-reference=Patient/secret", "Host: evil.example",
				"X-Forwarded-Host: evil.example", "Forwarded: host=evil.example")
			if strings.Contains(r.body, "evil.example") || strings.Contains(r.body, "secret") {
				t.Errorf("the answer repeats the request: %s", r.body)
			}
			b := w.bundle(r, scheduling.STU3)
			for _, link := range []string{b.LinkURL("self"), b.LinkURL("next"), b.Entry[0].FullURL} {
				if !strings.HasPrefix(link, want+"/fhir/stu3/Appointment/") {
					t.Errorf("link %q", link)
				}
			}
		})
	}
}

func TestCursorsHoldForOneQueryAndATime(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	next := path(t, w.find("_count=5&source=napa").LinkURL("next"))
	u, err := url.Parse(next)
	if err != nil {
		t.Fatal(err)
	}
	cursor := u.Query().Get("_cursor")
	other := start(t, func(_ *Options, d *Deps) { d.Secret = []byte("another secret of 16 bytes") })
	stranger := path(t, other.find("_count=5&source=napa").LinkURL("next"))
	flipped := []byte(cursor)
	flipped[len(flipped)/2] ^= 1
	for _, tc := range []struct{ name, path string }{
		{"of another query", "/fhir/r4/Appointment/$find?_cursor=" + cursor},
		{"of another source", "/fhir/r4/Appointment/$find?source=york&_cursor=" + cursor},
		{"of another search", "/fhir/r4/Slot?source=napa&_cursor=" + cursor},
		{"of another gateway", stranger},
		{"forged", "/fhir/r4/Appointment/$find?source=napa&_cursor=" + string(flipped)},
		{"cut", "/fhir/r4/Appointment/$find?source=napa&_cursor=" + cursor[:20]},
		{"no base64", "/fhir/r4/Appointment/$find?source=napa&_cursor=%2F%2F"},
		{"huge", "/fhir/r4/Appointment/$find?source=napa&_cursor=" + strings.Repeat("A", 900)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := w.get(tc.path)
			if r.status != http.StatusBadRequest || w.code(r, scheduling.R4) != "bad-request" {
				t.Errorf("status %d: %s", r.status, r.body)
			}
		})
	}
	if r := w.get(next); r.status != http.StatusOK {
		t.Errorf("the cursor itself: %d %s", r.status, r.body)
	}
	if r := w.get(strings.Replace(next, "/r4/", "/stu3/", 1)); r.status != http.StatusOK {
		t.Errorf("on the other base: %d", r.status)
	}
	w.now.set(noon.Add(time.Hour))
	if r := w.get(next); r.status != http.StatusBadRequest || !strings.Contains(r.body, "expired") {
		t.Errorf("an expired one: %d %s", r.status, r.body)
	}
}
