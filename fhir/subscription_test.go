package fhir_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slotgate/config/testenv"
	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// What we ask for is the guide's own example, but for what names us.
func TestOurSubscriptionIsTheGuidesExample(t *testing.T) {
	t.Parallel()
	example := map[string]any{}
	if err := json.Unmarshal(readFile(t, filepath.Join(testenv.Shared(t, "argonaut/examples"), "Subscription-example.json")), &example); err != nil {
		t.Fatal(err)
	}
	for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
		made := fhir.Subscription("", scheduling.Channel{Endpoint: "https://feed-handler.com/notification"}, time.Now().Add(time.Hour))
		body, err := fhir.Write(rel, fhir.JSON, made)
		if err != nil {
			t.Fatal(err)
		}
		ours := map[string]any{}
		if err := json.Unmarshal(body, &ours); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"meta", "_criteria", "channel"} {
			want, _ := json.Marshal(example[key])
			got, _ := json.Marshal(ours[key])
			if string(got) != string(want) {
				t.Errorf("%s %s:\n%s\nthe guide:\n%s", rel, key, got, want)
			}
		}
		asXML, dropped, err := fhir.WriteCounting(rel, fhir.XML, made)
		if err != nil || dropped != 0 || !strings.Contains(string(asXML), `<criteria value="Slot?"><extension url=`) {
			t.Errorf("%s: %d lost, %v: %s", rel, dropped, err, asXML)
		}
	}
}

func TestSubscriptionsCarryOurSecretInTheHeader(t *testing.T) {
	t.Parallel()
	end := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	made := fhir.Subscription("7", scheduling.Channel{Endpoint: "https://x/notify/a", Header: "Authorization: Bearer s"}, end)
	body, err := fhir.Write(scheduling.STU3, fhir.XML, made)
	if err != nil {
		t.Fatal(err)
	}
	res, err := fhir.Read(scheduling.STU3, fhir.XML, body)
	if err != nil {
		t.Fatal(err)
	}
	read := res.(*model.Subscription)
	if read.ID != "7" || len(read.Channel.Header) != 1 || read.Channel.Header[0] != "Authorization: Bearer s" {
		t.Errorf("%+v", read)
	}
	read.Status = "active"
	if sub := fhir.ToSubscription(read); sub != (scheduling.Subscription{ID: "7", Status: scheduling.SubscriptionActive, End: end}) {
		t.Errorf("%+v", sub)
	}
}

func TestNotificationsAreReadInBothReleasesAndFormats(t *testing.T) {
	t.Parallel()
	schedule := `{"resourceType":"Schedule","id":"s-1","actor":[{"reference":"https://ehr.example.org/fhir/Practitioner/p-1","display":"Dr. Y"}],
	"planningHorizon":{"start":"2026-11-24T09:15:00Z","end":"2026-11-24T09:30:00Z"}}`
	asXML := `<Schedule xmlns="http://hl7.org/fhir"><id value="s-1"/><actor><reference value="Practitioner/p-1"/></actor><planningHorizon><start value="2026-11-24T09:15:00Z"/><end value="2026-11-24T09:30:00Z"/></planningHorizon></Schedule>`
	slot := `{"resourceType":"Slot","id":"x","schedule":{"reference":"Schedule/s-1"},"status":"busy","start":"2026-11-24T09:15:00Z","end":"2026-11-24T09:30:00Z"}`
	for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
		for _, tc := range []struct {
			format fhir.Format
			body   string
			actors int
		}{{fhir.JSON, schedule, 1}, {fhir.XML, asXML, 1}, {fhir.JSON, slot, 0}} {
			n, err := fhir.ReadNotice(rel, tc.format, []byte(tc.body))
			if err != nil || n.Schedule != "s-1" || len(n.Actors) != tc.actors || n.Start != "2026-11-24T09:15:00Z" || n.End != "2026-11-24T09:30:00Z" {
				t.Errorf("%s: %+v, %v", rel, n, err)
			}
			if tc.actors > 0 && n.Actors[0] != (scheduling.Actor{Kind: scheduling.KindPractitioner, ID: "p-1"}) {
				t.Errorf("%+v", n.Actors[0])
			}
		}
	}
}

func TestWhatIsNoNotificationIsRefused(t *testing.T) {
	t.Parallel()
	horizon := `"planningHorizon":{"start":"2026-11-24","end":"2026-11-25"}`
	for name, body := range map[string]string{
		"no JSON":             `{`,
		"nothing":             `{}`,
		"a list":              `[]`,
		"a patient":           `{"resourceType":"Patient","id":"x"}`,
		"nobody":              `{"resourceType":"Schedule",` + horizon + `}`,
		"a patient as actor":  `{"resourceType":"Schedule","actor":[{"reference":"Patient/x"}],` + horizon + `}`,
		"an id that is none":  `{"resourceType":"Schedule","id":"a b/c","actor":[{"reference":"Practitioner/x"}],` + horizon + `}`,
		"a time that is none": `{"resourceType":"Schedule","id":"s","planningHorizon":{"start":"soon"}}`,
		"an end before start": `{"resourceType":"Schedule","id":"s","planningHorizon":{"start":"2026-11-24","end":"2026-11-01"}}`,
		"a crowd":             `{"resourceType":"Schedule","id":"s","actor":[` + strings.Repeat(`{"reference":"Practitioner/x"},`, 99) + `{"reference":"Practitioner/x"}]}`,
		"a slot of nobody":    `{"resourceType":"Slot","id":"x","start":"2026-11-24T09:15:00Z"}`,
		"too deep":            strings.Repeat(`{"a":`, 9999) + `1` + strings.Repeat(`}`, 9999),
		"another type":        `{"resourceType":"Slotty"}`,
	} {
		_, err := fhir.ReadNotice(scheduling.R4, fhir.JSON, []byte(body))
		if scheduling.CodeOf(err) != scheduling.BadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzReadNotice(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Schedule","id":"s","actor":[{"reference":"Practitioner/x"}],"planningHorizon":{"start":"2026-11-24","end":"2026-11-25T10:00:00"}}`), true, true)
	f.Add([]byte(`<Schedule xmlns="http://hl7.org/fhir"><id value="s"/></Schedule>`), false, false)
	f.Fuzz(func(t *testing.T, body []byte, r4, asJSON bool) {
		rel, format := scheduling.STU3, fhir.XML
		if r4 {
			rel = scheduling.R4
		}
		if asJSON {
			format = fhir.JSON
		}
		n, err := fhir.ReadNotice(rel, format, body)
		if err != nil {
			return
		}
		all := scheduling.Days{From: 20000, To: 20060}
		days, err := n.Days([]*time.Location{time.UTC}, all)
		if err != nil || days.From < all.From || days.To > all.To {
			t.Errorf("%+v: %v, %v", n, days, err)
		}
	})
}
