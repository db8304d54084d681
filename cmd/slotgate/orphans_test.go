package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"slotgate/upstream/ehrsim"
)

// TestAPatientLeftWithoutAnAppointmentIsListedForTheClinic: the EHR makes a
// Patient and refuses the booking.
func TestAPatientLeftWithoutAnAppointmentIsListedForTheClinic(t *testing.T) {
	t.Parallel()
	w := newKillWorld(t, ehrsim.Options{Dialect: ehrsim.Slots, FHIR: ehrsim.R4}, 30*time.Second,
		", register: search-then-post, coverage: after}\npatients: {register: {orphan_grace: 200ms}")
	n := w.start(t, role{gateway: true})
	public, admin := n.public.url(), n.admin.url()
	refused := func(number string) (newcomerCase, string) {
		t.Helper()
		c := newcomerCase{killWorld: w, t: t, v: visitor{public, "end-user-of-orphans-" + number}, number: number, offer: w.offer(t, public)}
		if _, err := w.sim.SetFaults(ehrsim.Fault{Kind: ehrsim.FaultRefuse, On: "book", Count: 1, Shape: "unprocessable"}); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error {
			status, answer, err := c.book(public)
			if err != nil || status == http.StatusServiceUnavailable {
				return fmt.Errorf("%d %w %s", status, err, answer.text)
			}
			if status < 400 || status >= 500 {
				t.Fatalf("not refused: %d %s", status, answer.text)
			}
			return nil
		})
		return c, c.native()
	}
	first, native := refused("1")
	var row orphanRow
	eventually(t, func() error {
		rows, text := orphansAt(t, admin)
		if len(rows) != 1 || rows[0].Native != native || rows[0].Source != "ehr" || rows[0].ID == "" || rows[0].Since.IsZero() {
			return fmt.Errorf("%s is not listed: %s", native, text)
		}
		if strings.Contains(text, "Newcomer") || strings.Contains(text, "1990-") {
			t.Errorf("more than ids: %s", text)
		}
		row = rows[0]
		return nil
	})
	// An appointment, another one, is what they need.
	first.offer = w.offer(t, public)
	eventually(t, func() error {
		status, answer, err := first.bookUnder(public, "another-key")
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("%d %w %s", status, err, answer.text)
		}
		return nil
	})
	if rows, text := orphansAt(t, admin); slices.ContainsFunc(rows, func(r orphanRow) bool { return r.ID == row.ID }) {
		t.Errorf("booked, and listed: %s", text)
	}
	_, native = refused("2")
	eventually(t, func() error {
		rows, text := orphansAt(t, admin)
		if len(rows) != 1 || rows[0].Native != native {
			return fmt.Errorf("%s is not listed: %s", native, text)
		}
		row = rows[0]
		return nil
	})
	for _, c := range []struct {
		id, body string
		status   int
	}{
		{row.ID, `{"by":"anna"}`, 422},
		{"nobody", `{"by":"anna","reason":"seen"}`, 404},
		{row.ID, `{"by":"anna","reason":"merged"}`, 200},
		{row.ID, `{"by":"anna","reason":"merged"}`, 404},
	} {
		res, err := http.Post(admin+"/api/orphans/"+c.id, "application/json", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != c.status {
			t.Errorf("%s %s: %d", c.id, c.body, res.StatusCode)
		}
	}
	if rows, text := orphansAt(t, admin); len(rows) != 0 {
		t.Errorf("seen to, and listed: %s", text)
	}
}

type orphanRow struct {
	ID, Source, Native string
	Since              time.Time
}

func orphansAt(t *testing.T, admin string) (rows []orphanRow, text string) {
	t.Helper()
	res, err := http.Get(admin + "/api/orphans")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil || json.Unmarshal(data, &rows) != nil {
		t.Fatalf("%v %s", err, data)
	}
	return rows, string(data)
}

// native is the Patient of the case at the EHR.
func (c *newcomerCase) native() string {
	for _, p := range c.sim.Patients() {
		if slices.Contains(p.Identifiers, "urn:mrn|"+c.number) {
			return p.ID
		}
	}
	c.t.Fatal("nobody was made")
	return ""
}
