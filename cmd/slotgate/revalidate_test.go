package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"slotgate/cache/redistest"
	"slotgate/gateway/auth"
	"slotgate/upstream/ehrsim"
)

// fresherConfig is a source that is looked at once an hour, and a caller with a
// key, who may ask for what is fresher.
func fresherConfig(redis, base string) string {
	text := strings.Replace(configText(redis, base), "@every 1s", "@every 1h", 1)
	return text + fmt.Sprintf("callers: [{id: site, key_sha256: %s}]\ngateway: {revalidate_timeout: 4s}\n", auth.Digest("site"))
}

// fresher asks $find as the caller with a key.
func fresher(t *testing.T, gateway, query string) (total int, ids []string, complete bool, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, gateway+"/fhir/r4/Appointment/$find?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer site")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var b struct {
		Total int
		Entry []struct {
			Resource json.RawMessage
			Search   struct{ Mode string }
		}
	}
	if err := json.NewDecoder(res.Body).Decode(&b); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %v", res.StatusCode, err)
	}
	for _, e := range b.Entry {
		if e.Search.Mode != "match" {
			text += string(e.Resource)
			continue
		}
		var a struct{ ID string }
		_ = json.Unmarshal(e.Resource, &a)
		ids = append(ids, a.ID)
	}
	return b.Total, ids, res.Header.Get("X-Slotgate-Complete") == "true", text
}

// slotCalls are the searches for slots that the EHR answered.
func slotCalls(sim *ehrsim.Server) int {
	n := 0
	for _, r := range sim.Requests(0) {
		if strings.Contains(r.Path, "/Slot") {
			n++
		}
	}
	return n
}

// What the EHR deleted without a trace is shown until the next look, an hour
// later; a _max-age has it gone at once, wherever the worker of the source runs.
func TestMaxAgeAsksTheSourceWhereverItsWorkerRuns(t *testing.T) {
	for name, commands := range map[string][]string{"in one process": {"serve"}, "in two": {"gateway", "prefetch"}} {
		t.Run(name, func(t *testing.T) {
			sim, base := simulate(t, ehrsim.Options{Dialect: ehrsim.Slots, Practitioners: 3, Days: 10})
			path := write(t, t.TempDir(), "slotgate.yaml", fresherConfig(redistest.Start(t).URL(), base))
			gateway, admin := "", ""
			for _, command := range commands {
				if p := start(t, command, "--config", path); command != "prefetch" {
					gateway, admin = p.saw(t, `gateway (http://\S+)`)[1], p.saw(t, `admin +(http://\S+)`)[1]
				}
			}
			want := benchOpenSlots(sim)
			eventually(t, func() error {
				if total, _, complete, _ := fresher(t, gateway, "_count=0"); total != want || !complete {
					return fmt.Errorf("%d offers, want %d; complete %v", total, want, complete)
				}
				return nil
			})
			for _, slot := range sim.Slots("free") {
				if slot.Start.After(sim.Now().Add(time.Minute)) {
					if err := sim.DeleteSlot(slot.ID); err != nil {
						t.Fatal(err)
					}
					break
				}
			}
			calls := slotCalls(sim)
			var asking sync.WaitGroup
			for range 30 {
				asking.Go(func() {
					total, ids, complete, text := fresher(t, gateway, "_max-age=0&_count=3")
					if total != want-1 || len(ids) == 0 || !complete {
						t.Errorf("%d offers of %d, want %d in all; complete %v: %s", len(ids), total, want-1, complete, text)
					}
				})
			}
			asking.Wait()
			if made := slotCalls(sim) - calls; made == 0 || made > 10 {
				t.Errorf("30 callers made %d calls of the source", made)
			}
			if total := find(t, gateway, "_count=0").Total; total != want-1 {
				t.Errorf("others are still shown %d offers", total)
			}
			var rows []struct {
				Ages map[string]struct {
					Windows        int
					Checked, Valid *struct{ P50, P99 float64 }
				}
			}
			getJSON(t, admin+"/api/sources", &rows)
			if near := rows[0].Ages["near"]; near.Windows == 0 || near.Checked == nil || near.Valid == nil || near.Valid.P99 > 600 {
				t.Errorf("ages: %+v", rows[0].Ages)
			}
		})
	}
}

// TestLaw7ASourceThatHangsIsToldWhenFreshOffersAreAskedFor: the answer comes in
// time, without what nobody could confirm.
func TestLaw7ASourceThatHangsIsToldWhenFreshOffersAreAskedFor(t *testing.T) {
	sim, base := simulate(t, ehrsim.Options{Dialect: ehrsim.Slots, Practitioners: 2, Days: 5})
	path := write(t, t.TempDir(), "slotgate.yaml", strings.Replace(fresherConfig(redistest.Start(t).URL(), base), "4s", "500ms", 1))
	gateway := start(t, "serve", "--config", path).saw(t, `gateway (http://\S+)`)[1]
	eventually(t, func() error {
		if total, _, complete, _ := fresher(t, gateway, "_count=0"); total != benchOpenSlots(sim) || !complete {
			return fmt.Errorf("%d offers, complete %v", total, complete)
		}
		return nil
	})
	if _, err := sim.SetFaults(ehrsim.Fault{Kind: ehrsim.FaultLatency, Delay: ehrsim.Duration(3 * time.Second)}); err != nil {
		t.Fatal(err)
	}
	_, ids, complete, text := fresher(t, gateway, "_max-age=0&_count=2")
	if len(ids) != 0 || complete || !strings.Contains(text, "could not be confirmed within _max-age in time") {
		t.Errorf("%d offers, complete %v: %s", len(ids), complete, text)
	}
	if _, ids, complete, _ = fresher(t, gateway, "_count=2"); len(ids) != 2 || !complete {
		t.Errorf("without _max-age: %d offers, complete %v", len(ids), complete)
	}
}
