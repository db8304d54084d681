package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"slotgate/cache/redistest"
	"slotgate/config/testenv"
	"slotgate/scheduling"
)

// bookReport is what .ci/npm/book.mjs tells.
type bookReport struct {
	Raced struct {
		Statuses map[string]int
		Codes    []string
	}
	Steps map[string]struct {
		ID, Status, Start, Slot string
		Patients, Codes         []string
		Refused                 int
	}
}

// A client that nobody here wrote (npm fhir-kit-client) holds, books and cancels
// by the gateway at a server that nobody here wrote (npm @medplum/fhir-router),
// which knows no holds, no double bookings, and takes whatever is written.
func TestAForeignClientBooksAtAForeignServer(t *testing.T) {
	base := testenv.StartNode(t, "medplum.mjs")
	patient := map[string]any{"resourceType": "Patient", "id": "pat-1", "name": []any{map[string]any{"family": "Pike"}}}
	load(t, base, append(foreignPractice(60), patient))
	digest := sha256.Sum256([]byte(killKey))
	secret := base64.StdEncoding.EncodeToString(make([]byte, 32))
	path := write(t, t.TempDir(), "slotgate.yaml", fmt.Sprintf(`
listen: 127.0.0.1:0
admin: 127.0.0.1:0
gateway: {request_timeout: 2m, booking_timeout: 2m, write_timeout: 3m}
redis: {dial_timeout: 30s, read_timeout: 30s, write_timeout: 30s, url: %q}
anonymous: [find, directory]
vault: {keys: [{id: k, key: %q}]}
booking: {secret: %q, settle_every: 100ms}
callers: [{id: site, key_sha256: %s, trusted: [foreign]}]
sources:
  - {id: foreign, base: %q, dialect: slots, fhir: r4, prefetch: {cron: "@every 1s"}, limits: {rate: 1000, concurrency: 20}}
`, redistest.Start(t).URL(), secret, secret, hex.EncodeToString(digest[:]), base))
	p := start(t, "serve", "--config", path)
	gateway, admin := p.saw(t, `gateway (http://\S+)`)[1], p.saw(t, `admin (http://\S+)`)[1]
	eventually(t, func() error {
		if row := sourcesOf(t, admin)["foreign"]; row.Slots != 60 {
			return fmt.Errorf("%+v: %.2000s", row, p.err.String())
		}
		return nil
	})
	v := visitor{gateway, "who-opens-the-door"}
	eventually(t, func() error { // the books of a new Redis are open
		status, _, err := v.do(t, "hold", scheduling.SourceTag("foreign")+"-aaaaaaaaaaaaaaaaaaaa", "", "")
		if err != nil || status != 404 {
			return fmt.Errorf("%d %w", status, err)
		}
		return nil
	})
	const racers = 40
	out := testenv.RunNode(t, "book.mjs", gateway+"/fhir/r4", fmt.Sprintf(
		`{"headers": {"Authorization": "Bearer %s"}, "patient": "pat-1", "racers": %d, "find": {"_count": "60"}}`, killKey, racers))
	var report bookReport
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if want := map[string]int{"booked": 1, "409": racers - 1}; !maps.Equal(report.Raced.Statuses, want) || !slices.Contains(report.Raced.Codes, "slot-taken") {
		t.Errorf("forty after one slot: %+v, want %v", report.Raced, want)
	}
	first := report.Steps["find"]
	for step, status := range map[string]string{
		"find": "proposed", "hold": "pending", "book": "booked", "read": "booked", "list": "booked", "cancel": "cancelled", "again": "proposed",
	} {
		got := report.Steps[step]
		if got.Status != status || got.Start != first.Start || got.Slot != first.Slot || (got.ID == first.ID) == (step == "again") {
			t.Errorf("%s: %+v, want %s of %+v", step, got, status, first)
		}
		if (status == "booked") != (len(got.Patients) == 1) && step != "hold" && step != "cancel" {
			t.Errorf("%s: patients %v", step, got.Patients)
		}
	}
	theirBook(t, base)
}

// theirBook holds the server's own book: one appointment stands, on a busy slot,
// and every other slot is free.
func theirBook(t *testing.T, base string) {
	t.Helper()
	var found searchset
	getJSON(t, base+"/Appointment?status=booked&_count=100", &found)
	if len(found.Entry) != 1 {
		t.Errorf("%d appointments stand at the server", len(found.Entry))
	}
	eventually(t, func() error {
		var free searchset
		getJSON(t, base+"/Slot?status=free&_count=0", &free)
		if free.Total != 59 {
			return fmt.Errorf("%d free slots, want 59", free.Total)
		}
		return nil
	})
}
