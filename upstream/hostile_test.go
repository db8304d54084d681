package upstream

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"slotgate/config"
	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

func TestWhatGoesWrongAtASourceIsToldByItsCode(t *testing.T) {
	t.Parallel()
	short := func(o *Options) { o.Limits.Timeout = config.Duration(150 * time.Millisecond) }
	for name, tc := range map[string]struct {
		fault ehrsim.Fault
		code  scheduling.Code
		bend  func(*Options)
	}{
		"500":               {ehrsim.Fault{Kind: ehrsim.FaultStatus}, scheduling.SourceDown, nil},
		"503":               {ehrsim.Fault{Kind: ehrsim.FaultStatus, Status: 503}, scheduling.SourceDown, nil},
		"504":               {ehrsim.Fault{Kind: ehrsim.FaultStatus, Status: 504}, scheduling.SourceSlow, nil},
		"401":               {ehrsim.Fault{Kind: ehrsim.FaultStatus, Status: 401}, scheduling.SourceLogin, nil},
		"403":               {ehrsim.Fault{Kind: ehrsim.FaultStatus, Status: 403}, scheduling.SourceLogin, nil},
		"422":               {ehrsim.Fault{Kind: ehrsim.FaultStatus, Status: 422}, scheduling.SourceRefused, nil},
		"302 to nowhere":    {ehrsim.Fault{Kind: ehrsim.FaultStatus, Status: 304}, scheduling.SourceNonsense, nil},
		"429":               {ehrsim.Fault{Kind: ehrsim.FaultThrottle, RetryAfter: 60}, scheduling.Throttled, nil},
		"429 in words":      {ehrsim.Fault{Kind: ehrsim.FaultThrottleText, RetryAfter: 844}, scheduling.Throttled, nil},
		"HTML":              {ehrsim.Fault{Kind: ehrsim.FaultHTML}, scheduling.SourceNonsense, nil},
		"nothing in a body": {ehrsim.Fault{Kind: ehrsim.FaultEmptyBody}, scheduling.SourceNonsense, nil},
		"nothing at all":    {ehrsim.Fault{Kind: ehrsim.FaultHang}, scheduling.SourceSlow, short},
		"a cut connection":  {ehrsim.Fault{Kind: ehrsim.FaultReset}, scheduling.SourceDown, nil},
		"half a JSON":       {ehrsim.Fault{Kind: ehrsim.FaultCutJSON}, scheduling.SourceDown, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, base := sim(t, practice(slotsSim(nil)))
			c := client(t, base, tc.bend)
			fetch(t, c, ahead(noon, 2)) // the directory is known before it goes wrong
			if _, err := srv.SetFaults(tc.fault); err != nil {
				t.Fatal(err)
			}
			_, err := c.Fetch(t.Context(), ahead(noon, 2))
			e := scheduling.AsError(err)
			if e == nil || e.Code != tc.code || e.Source != "src" || e.Who != scheduling.AtEHR {
				t.Fatalf("got %v, want %s", err, tc.code)
			}
			for _, leak := range []string{"Sign in", "maintenance", "simulated", "internal error", "?", "start="} {
				if strings.Contains(e.Error(), leak) {
					t.Errorf("%q in %s", leak, e.Error())
				}
			}
			if strings.HasPrefix(name, "429") && e.RetryAfter < 50*time.Second {
				t.Errorf("retry after %v", e.RetryAfter)
			}
		})
	}
}

func TestOneBadAnswerIsAskedForAgain(t *testing.T) {
	t.Parallel()
	for _, kind := range []ehrsim.FaultKind{ehrsim.FaultStatus, ehrsim.FaultReset, ehrsim.FaultCutJSON, ehrsim.FaultHTML} {
		srv, base := sim(t, practice(slotsSim(nil)))
		c := client(t, base, nil)
		want := fetch(t, c, ahead(noon, 2)).Slots()
		if _, err := srv.SetFaults(ehrsim.Fault{Kind: kind, Count: 2}); err != nil {
			t.Fatal(err)
		}
		if got := fetch(t, c, ahead(noon, 2)); got.Slots() != want || !got.Complete {
			t.Errorf("%s: %d slots, want %d", kind, got.Slots(), want)
		}
	}
}

func TestLaw8AnAnswerThatIsNotWholeIsNeverComplete(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault ehrsim.Fault
		bend  func(*Options)
	}{
		"a million pages":            {ehrsim.Fault{Kind: ehrsim.FaultEndlessPages}, func(o *Options) { o.Limits.MaxPages = 12 }},
		"a million slots":            {ehrsim.Fault{Kind: ehrsim.FaultEndlessPages}, func(o *Options) { o.Limits.MaxSlots = 500 }},
		"pages in a circle":          {ehrsim.Fault{Kind: ehrsim.FaultCirclePages}, nil},
		"a total that is not met":    {ehrsim.Fault{Kind: ehrsim.FaultWrongTotal}, nil},
		"half the entries":           {ehrsim.Fault{Kind: ehrsim.FaultCutAnswer, Path: "/Slot"}, nil},
		"a next at another origin":   {ehrsim.Fault{Kind: ehrsim.FaultForeignNext, Link: "http://127.0.0.2:1/fhir/Slot?page=2"}, nil},
		"a body larger than the cap": {ehrsim.Fault{Kind: ehrsim.FaultHugeGzip, Path: "/Slot", Size: 8 << 20}, func(o *Options) { o.Limits.MaxBody = 1 << 20 }},
		"a later page that is gone":  {ehrsim.Fault{Kind: ehrsim.FaultStatus, Status: 410, Path: "/?_"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, base := sim(t, practice(slotsSim(nil)))
			c := client(t, base, func(o *Options) {
				o.Quirks.PageSize = 30
				if tc.bend != nil {
					tc.bend(o)
				}
			})
			whole := fetch(t, c, ahead(noon, 8))
			if strings.HasPrefix(name, "a million") {
				// The pages before the fault was set are fewer than the caps.
				whole.Complete = true
			}
			if !whole.Complete {
				t.Fatalf("without a fault: %s", whole.Cut)
			}
			tc.fault.Path = pathOr(tc.fault.Path, "/")
			if _, err := srv.SetFaults(tc.fault); err != nil {
				t.Fatal(err)
			}
			got := fetch(t, c, ahead(noon, 8))
			if got.Complete || got.Cut == "" {
				t.Errorf("complete: %v, cut: %q, %d slots", got.Complete, got.Cut, got.Slots())
			}
			if strings.Contains(got.Cut, "127.0.0.2") {
				t.Errorf("text of the source in %q", got.Cut)
			}
		})
	}
}

func pathOr(path, other string) string {
	if path == "" {
		return other
	}
	return path
}

func TestLaw8TheTotalIsWorthWhatTheConfigurationSays(t *testing.T) {
	t.Parallel()
	for total, whole := range map[string]bool{TotalExact: false, TotalEstimate: true, TotalNone: true} {
		_, base := sim(t, practice(slotsSim(func(o *ehrsim.Options) {
			o.Faults = []ehrsim.Fault{{Kind: ehrsim.FaultWrongTotal, Path: "/Slot"}}
		})))
		c := client(t, base, func(o *Options) { o.Quirks.Total, o.Quirks.OffsetPaging = total, "never" })
		if got := fetch(t, c, ahead(noon, 2)); got.Complete != whole || got.Slots() == 0 {
			t.Errorf("total %s: complete %v (%s), %d slots", total, got.Complete, got.Cut, got.Slots())
		}
	}
}

func TestLaw8AnOutcomeThatSaysCutIsBelieved(t *testing.T) {
	t.Parallel()
	for note, whole := range map[string]bool{
		`{"severity":"warning","code":"incomplete"}`:                                                           false,
		`{"severity":"warning","code":"processing","details":{"text":"Results were TRUNCATED to 100"}}`:        false,
		`{"severity":"error","code":"exception","diagnostics":"one of our calendars is away"}`:                 false,
		`{"severity":"warning","code":"too-costly"}`:                                                           false,
		`{"severity":"information","code":"informational","diagnostics":"slots outside the period are shown"}`: true,
		`{"severity":"error","code":"not-found","diagnostics":"no slots"}`:                                     true,
		`{"severity":"warning","code":"not-supported","diagnostics":"_include was ignored"}`:                   true,
	} {
		c := client(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprintf(w, `{"resourceType":"Bundle","type":"searchset","total":0,"entry":[{"resource":{"resourceType":"OperationOutcome","issue":[%s]},"search":{"mode":"outcome"}}]}`, note)
		}), nil)
		if got := fetch(t, c, ahead(noon, 2)); got.Complete != whole {
			t.Errorf("%s: complete %v", note, got.Complete)
		}
	}
}

// page writes slots as a searchset; next may be empty.
func page(w http.ResponseWriter, total int, next string, slots ...string) {
	var entries []string
	for _, slot := range slots {
		entries = append(entries, `{"resource":`+slot+`,"search":{"mode":"match"}}`)
	}
	b := map[string]any{"resourceType": "Bundle", "type": "searchset", "entry": json.RawMessage("[" + strings.Join(entries, ",") + "]")}
	if len(entries) == 0 {
		delete(b, "entry")
	}
	if total >= 0 {
		b["total"] = total
	}
	if next != "" {
		b["link"] = []map[string]string{{"relation": "next", "url": next}}
	}
	w.Header().Set("Content-Type", "application/fhir+json")
	_ = json.NewEncoder(w).Encode(b)
}

// slotJSON is one slot of schedule s1, a quarter of an hour after nine o'clock
// plus n quarters, on the third of February.
func slotJSON(id string, n int) string {
	start := time.Date(2026, 2, 3, 9, 15*n, 0, 0, time.UTC)
	return fmt.Sprintf(`{"resourceType":"Slot","id":%q,"status":"free","schedule":{"reference":"Schedule/s1"},"start":%q,"end":%q}`,
		id, start.Format(time.RFC3339), start.Add(15*time.Minute).Format(time.RFC3339))
}

// tiny serves one practitioner with one schedule, and slots as told.
func tiny(slots http.HandlerFunc) http.HandlerFunc {
	one := map[string]string{
		"Practitioner": `{"resourceType":"Practitioner","id":"p1","name":[{"family":"Ng"}]}`,
		"Location":     `{"resourceType":"Location","id":"l1","name":"Main"}`,
		"Schedule":     `{"resourceType":"Schedule","id":"s1","actor":[{"reference":"Practitioner/p1"},{"reference":"Location/l1"}]}`,
	}
	return func(w http.ResponseWriter, r *http.Request) {
		kind := strings.Trim(strings.TrimPrefix(r.URL.Path, "/fhir"), "/")
		switch {
		case one[kind] != "":
			page(w, 1, "", one[kind])
		case strings.HasPrefix(kind, "Slot"), kind == "":
			slots(w, r)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}
}

func utc(o *Options) { o.Timezone = config.Zone{Location: time.UTC} }

func TestPagesAreWalkedAsRealServersWriteThem(t *testing.T) {
	t.Parallel()
	four := []string{slotJSON("a", 0), slotJSON("b", 1), slotJSON("c", 2), slotJSON("d", 3)}
	for name, tc := range map[string]struct {
		serve http.HandlerFunc
		want  int
		whole bool
	}{
		"a link from the root": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("page") == "2" {
				page(w, 4, "", four[2:]...)
				return
			}
			page(w, 4, "/fhir/Slot?page=2", four[:2]...)
		}, 4, true},
		"a link that is a query": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("page") == "2" {
				page(w, 4, "", four[2:]...)
				return
			}
			page(w, 4, "?page=2", four[:2]...)
		}, 4, true},
		"an empty page in the middle": {func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Query().Get("page") {
			case "":
				page(w, 4, "Slot?page=2", four[:2]...)
			case "2":
				page(w, 4, "Slot?page=3")
			default:
				page(w, 4, "", four[2:]...)
			}
		}, 4, true},
		"no total and no next: one more page is asked for, and is empty": {func(w http.ResponseWriter, r *http.Request) {
			at, _ := strconv.Atoi(r.URL.Query().Get("_offset"))
			page(w, -1, "", four[min(at, 4):min(at+2, 4)]...)
		}, 4, true},
		"no total, no next, and _offset is not known": {func(w http.ResponseWriter, _ *http.Request) {
			page(w, -1, "", four...)
		}, 4, true},
		"no total, no next, and _offset is refused": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("_offset") {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			page(w, -1, "", four...)
		}, 4, true},
		"a total that is larger, and _offset is not known": {func(w http.ResponseWriter, _ *http.Request) {
			page(w, 9, "", four...)
		}, 4, false},
		"a link that is none": {func(w http.ResponseWriter, _ *http.Request) {
			page(w, 4, "http://[::1:443:443/x", four[:2]...)
		}, 2, false},
		"the same page under ever new links": {func(w http.ResponseWriter, r *http.Request) {
			page(w, 9, "Slot?page=1"+r.URL.Query().Get("page"), four...)
		}, 4, false},
		"JSON as text/html": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = fmt.Fprintf(w, `  {"resourceType":"Bundle","type":"searchset","total":1,"entry":[{"resource":%s}]}`, four[0])
		}, 1, true},
		"an entry that is broken costs itself": {func(w http.ResponseWriter, _ *http.Request) {
			page(w, 3, "", four[0], `{"resourceType":"Slot","id":7,"status":[]}`, four[1])
		}, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := client(t, serve(t, tiny(tc.serve)), utc)
			got := fetch(t, c, ahead(noon, 2))
			if got.Slots() != tc.want || got.Complete != tc.whole {
				t.Errorf("%d slots, complete %v (%s), unusable %v; want %d, %v", got.Slots(), got.Complete, got.Cut, got.Unusable, tc.want, tc.whole)
			}
		})
	}
}

func TestARepeatedIDKeepsTheLatestAndTwoTimesAreAConflict(t *testing.T) {
	t.Parallel()
	moved := slotJSON("b", 7)
	taken := strings.Replace(slotJSON("c", 2), "free", "busy", 1)
	c := client(t, serve(t, tiny(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("page") == "2" {
			page(w, 3, "", slotJSON("a", 0), moved, taken)
			return
		}
		page(w, 3, "Slot?page=2", slotJSON("a", 0), slotJSON("b", 1), slotJSON("c", 2))
	})), utc)
	got := fetch(t, c, ahead(noon, 2))
	if ids := idsOf(got); len(ids) != 1 || ids[0] != "a" || got.Unusable[scheduling.Conflicting] != 1 || got.Unusable.Total() != 1 {
		t.Errorf("%v, unusable %v", ids, got.Unusable)
	}
}

func TestABodyIsCappedAfterItWasUnpacked(t *testing.T) {
	t.Parallel()
	sent := 0
	c := client(t, serve(t, tiny(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		zip := gzip.NewWriter(w)
		chunk := make([]byte, 1<<20)
		for range 8 {
			n, err := zip.Write(chunk)
			if sent += n; err != nil {
				return
			}
		}
		_ = zip.Close()
	})), func(o *Options) { o.Limits.MaxBody = 1 << 20 })
	got := fetch(t, c, ahead(noon, 2))
	if got.Complete || !strings.Contains(got.Cut, "max_body") {
		t.Errorf("complete %v: %s", got.Complete, got.Cut)
	}
}

func TestASourceThatIsNotThereIsDown(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + ln.Addr().String() + "/fhir"
	_ = ln.Close()
	c := client(t, base, nil)
	if _, err = c.Fetch(t.Context(), ahead(noon, 2)); scheduling.CodeOf(err) != scheduling.SourceDown {
		t.Errorf("%v", err)
	}
}
