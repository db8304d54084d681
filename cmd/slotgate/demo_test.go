package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"slotgate/config/testenv"
)

// screen is a console that a test can read while the program writes.
type screen = testenv.Log

// program runs slotgate in this process until the test ends.
type testProgram struct {
	out, err screen
	code     chan int
	end      context.CancelFunc
}

func start(t *testing.T, args ...string) *testProgram {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &testProgram{code: make(chan int, 1), end: cancel}
	go func() { p.code <- run(ctx, args, console{&p.out, &p.err}) }()
	t.Cleanup(func() {
		cancel()
		select {
		case code := <-p.code:
			if code != exitOK {
				t.Errorf("exit code %d: %s", code, p.err.String())
			}
		case <-time.After(2 * time.Minute):
			t.Error("the program does not end")
		}
	})
	return p
}

// saw waits until the program has written what the pattern matches.
func (p *testProgram) saw(t *testing.T, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	var found []string
	eventually(t, func() error {
		select {
		case code := <-p.code:
			p.code <- code
			t.Fatalf("it ended with code %d: %s%s", code, p.out.String(), p.err.String())
		default:
		}
		if found = re.FindStringSubmatch(p.out.String()); found == nil {
			return fmt.Errorf("no %q in %q; %s", pattern, p.out.String(), p.err.String())
		}
		return nil
	})
	return found
}

// eventually tries until there is no error, a minute at most.
func eventually(t *testing.T, try func() error) {
	t.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func startDemo(t *testing.T, args ...string) (p *testProgram, gateway, admin string) {
	t.Helper()
	p = start(t, append([]string{"demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"}, args...)...)
	gateway = p.saw(t, `gateway (http://\S+)`)[1]
	admin = p.saw(t, `admin +(http://\S+)`)[1]
	p.saw(t, `ready: \d+ open slots`)
	return p, gateway, admin
}

type sourceRow struct {
	ID       string         `json:"id"`
	State    string         `json:"state"`
	Slots    int            `json:"slots"`
	Unusable map[string]int `json:"unusable"`
}

func sourcesOf(t *testing.T, admin string) map[string]sourceRow {
	t.Helper()
	var list []sourceRow
	getJSON(t, admin+"/api/sources", &list)
	rows := map[string]sourceRow{}
	for _, row := range list {
		rows[row.ID] = row
	}
	return rows
}

func getJSON(t *testing.T, address string, into any) http.Header {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v: %.500s", address, res.Status, err, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("%s: %v: %.500s", address, err, body)
	}
	return res.Header
}

// searchset is as much of a Bundle as these tests look at.
type searchset struct {
	Total int `json:"total"`
	Link  []struct{ Relation, URL string }
	Entry []struct {
		Resource struct {
			ResourceType, ID, Start, End string
			Participant                  []struct {
				Actor struct{ Reference, Display string }
			}
			Issue []struct {
				Severity string
				Details  struct{ Text string }
			}
		}
		Search struct{ Mode string }
	}
}

func (s searchset) next() string {
	for _, link := range s.Link {
		if link.Relation == "next" {
			return link.URL
		}
	}
	return ""
}

func find(t *testing.T, gateway, query string) searchset {
	t.Helper()
	var s searchset
	getJSON(t, gateway+"/fhir/r4/Appointment/$find?"+query, &s)
	return s
}

func TestTheDemoAnswersForAllItsEHRs(t *testing.T) {
	_, gateway, admin := startDemo(t)
	rows := sourcesOf(t, admin)
	if len(rows) < 4 {
		t.Fatalf("%d sources", len(rows))
	}
	eventually(t, func() error {
		for id, row := range sourcesOf(t, admin) {
			if row.State != "ok" || row.Slots < 100 {
				return fmt.Errorf("%s: %+v", id, row)
			}
		}
		return nil
	})
	last := ""
	for _, entry := range find(t, gateway, "_count=100").Entry {
		if entry.Resource.ResourceType != "Appointment" {
			continue
		}
		at, err := time.Parse(time.RFC3339, entry.Resource.Start)
		if err != nil {
			t.Fatal(err)
		}
		if now := at.UTC().Format(time.RFC3339); now < last {
			t.Errorf("%s after %s: not soonest first", now, last)
		} else {
			last = now
		}
	}
	if last == "" {
		t.Error("nothing was found")
	}
}

func TestFindAsksARunningGateway(t *testing.T) {
	_, gateway, _ := startDemo(t)
	var out, errs screen
	code := run(t.Context(), []string{"find", "--at", gateway, "-n", "3"}, console{&out, &errs})
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if code != exitOK || len(lines) != 5 || !strings.HasPrefix(lines[0], "WHEN") {
		t.Errorf("code %d: %s%s", code, out.String(), errs.String())
	}
	var asJSON screen
	code = run(t.Context(), []string{"find", "--at", gateway, "-n", "1", "--json"}, console{&asJSON, &errs})
	var bundle searchset
	if err := json.Unmarshal([]byte(asJSON.String()), &bundle); err != nil || code != exitOK || len(bundle.Entry) != 2 {
		t.Errorf("code %d, %v: %s", code, err, asJSON.String())
	}
	code = run(t.Context(), []string{"find", "--at", gateway, "--from", "yesterday"}, console{&out, &errs})
	if code != exitFailed || !strings.Contains(errs.String(), "400") {
		t.Errorf("a date of nonsense: code %d: %s", code, errs.String())
	}
}

// The connectathon's data are what its README says; nothing of it was mended.
func TestTheConnectathonsSlotsAreAllFound(t *testing.T) {
	dir := testenv.Shared(t, "argonaut/connectathon")
	_, gateway, admin := startDemo(t, "--load", dir)
	eventually(t, func() error {
		if row := sourcesOf(t, admin)["connectathon"]; row.Slots != 1852 {
			return fmt.Errorf("%+v, want 1852 open slots", row)
		}
		return nil
	})
	la, err := time.LoadLocation("America/Los_Angeles")
	if err != nil {
		t.Fatal(err)
	}
	first := time.Now().In(la).Format(time.DateOnly)
	last := time.Now().In(la).AddDate(0, 0, 30).Format(time.DateOnly)
	period := "source=connectathon&start=" + first + "&end=" + last
	if total := find(t, gateway, period+"&_count=0").Total; total != 1852 {
		t.Errorf("total %d, want 1852", total)
	}
	if total := find(t, gateway, period+"&_count=0&specialty=394582007").Total; total == 0 || total > 1852 {
		t.Errorf("%d offers of dermatology", total)
	}
	if coded := find(t, gateway, period+"&_count=0&specialty="+url.QueryEscape("http://snomed.info/sct|394582007")).Total; coded == 0 {
		t.Error("the specialty is not found with its system, which the data leave out")
	}
	seen, eights := map[string]bool{}, 0
	for at := gateway + "/fhir/r4/Appointment/$find?_count=500&" + period; at != ""; {
		var page searchset
		getJSON(t, at, &page)
		for _, entry := range page.Entry {
			if r := entry.Resource; r.ResourceType == "Appointment" {
				if seen[r.ID] {
					t.Errorf("%s twice", r.ID)
				}
				seen[r.ID] = true
				with := map[string]bool{}
				for _, p := range r.Participant {
					kind, _, _ := strings.Cut(p.Actor.Reference, "/")
					with[kind] = true
				}
				if !with["Practitioner"] || !with["Location"] {
					t.Fatalf("%s has no practitioner or no location: %+v", r.ID, r.Participant)
				}
				eights += eight(t, r.Start, la)
			}
		}
		at = page.next()
	}
	if len(seen) != 1852 || eights == 0 {
		t.Errorf("%d offers, %d of them at eight", len(seen), eights)
	}
}

// eight counts an offer at 08:00 in Los Angeles, and holds its offset to be
// that of the place on that day.
func eight(t *testing.T, start string, la *time.Location) int {
	t.Helper()
	at, err := time.Parse(time.RFC3339, start)
	if err != nil {
		t.Fatal(err)
	}
	if _, got := at.Zone(); at.In(la).Format(time.RFC3339) != start {
		t.Errorf("%s carries the offset %d", start, got)
	}
	local := at.In(la)
	if local.Hour() < 8 || local.Hour() > 18 {
		t.Errorf("%s is not within the clinic's hours", local)
	}
	if local.Hour() == 8 && local.Minute() == 0 {
		return 1
	}
	return 0
}

func TestLaw12WithoutTheQuirkEverySlotIsCountedAndNoneOffered(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(testenv.Shared(t, "argonaut/connectathon"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "source.yaml")); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "source.yaml", "id: connectathon\ndialect: argonaut\nfhir: stu3\ntimezone: America/Los_Angeles\n")
	_, gateway, admin := startDemo(t, "--load", dir)
	eventually(t, func() error {
		row := sourcesOf(t, admin)["connectathon"]
		if row.Slots != 0 || row.Unusable["unknown-schedule"] != 1852 {
			return fmt.Errorf("%+v, want all 1852 unusable", row)
		}
		return nil
	})
	answer := find(t, gateway, "source=connectathon")
	told := ""
	for _, issue := range answer.Entry[len(answer.Entry)-1].Resource.Issue {
		told += issue.Details.Text + "\n"
	}
	if answer.Total != 0 || !strings.Contains(told, "1852") {
		t.Errorf("total %d; the outcome tells: %s", answer.Total, told)
	}
}
