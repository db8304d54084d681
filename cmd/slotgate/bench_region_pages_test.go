package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"slotgate/fhir"
	"slotgate/upstream"
)

// serve answers one call of an EHR.
func (t *tenant) serve(w http.ResponseWriter, rq *http.Request, path string) {
	kind := &regionKinds[t.kind]
	switch {
	case path == "metadata":
		_, _ = io.WriteString(w, `{"resourceType":"CapabilityStatement","status":"active","fhirVersion":"4.0.1","format":["json"],"rest":[{"mode":"server"}]}`)
	case path == "Slot" && kind.dialect == upstream.Slots, path == "Slot/$prefetch" && !kind.find && kind.dialect == upstream.Argonaut:
		t.search(w, rq, path)
	case path == "Appointment/$find" && kind.find:
		t.find(w, rq)
	case kind.dialect == upstream.Links && path == "$bulk-publish":
		t.manifest(w)
	case kind.dialect == upstream.Links && strings.HasPrefix(path, "files/"):
		t.file(w, rq, strings.TrimSuffix(strings.TrimPrefix(path, "files/"), ".ndjson"))
	default:
		t.list(w, path)
	}
}

// dayOf is the day of an instant, counted from the first.
func (t *tenant) dayOf(at time.Time) int {
	local := at.In(t.zone)
	y, m, d := local.Date()
	y0, m0, d0 := t.first.Date()
	return int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Sub(time.Date(y0, m0, d0, 0, 0, 0, 0, time.UTC)) / (24 * time.Hour))
}

// span is the days that a period touches.
func (t *tenant) span(start, end string) (from, to int) {
	begin, err := time.Parse(time.RFC3339Nano, strings.TrimPrefix(start, "ge"))
	if err != nil {
		return 0, 0
	}
	finish, err := time.Parse(time.RFC3339Nano, strings.TrimPrefix(end, "lt"))
	if err != nil {
		return 0, 0
	}
	return t.dayOf(begin), t.dayOf(finish.Add(-time.Nanosecond)) + 1
}

// search answers with slots: in pages where _count says so, else all at once.
func (t *tenant) search(w http.ResponseWriter, rq *http.Request, path string) {
	query := rq.URL.Query()
	start, end := query.Get("start"), query.Get("end")
	if path == "Slot" && len(query["start"]) == 2 {
		start, end = query["start"][0], query["start"][1]
	}
	from, to := t.span(start, end)
	version := t.version(from, to)
	if t.unchanged(w, rq, rq.URL.RawQuery, version) {
		return
	}
	count, _ := strconv.Atoi(query.Get("_count"))
	page, _ := strconv.Atoi(query.Get("page"))
	if count == 0 {
		count = 1 << 30
	}
	total := 0
	body := t.open()
	t.each(from, to, func(day, schedule, tick int) {
		if total >= page*count && total < (page+1)*count {
			body = t.entry(body, "match", "Slot", t.slotID(day, schedule, tick), func(b []byte) []byte { return t.slot(b, day, schedule, tick) })
		}
		total++
	})
	for schedule := range t.region.spec.Schedules {
		body = t.entry(body, "include", "Schedule", "s"+strconv.Itoa(schedule), func(b []byte) []byte { return t.schedule(b, schedule) })
	}
	next := ""
	if (page+1)*count < total {
		query.Set("page", strconv.Itoa(page+1))
		next = t.base + "/" + path + "?" + query.Encode()
	}
	t.slots.Add(int64(max(0, min(total-page*count, count))))
	t.answer(w, rq.URL.RawQuery, version, closed(body, total, next))
}

// find answers with appointments that could be made on the days asked for.
func (t *tenant) find(w http.ResponseWriter, rq *http.Request) {
	start, end, question := findPeriod(rq)
	from, to := t.span(start, end)
	version := t.version(from, to)
	if rq.Method == http.MethodGet && t.unchanged(w, rq, question, version) {
		return
	}
	body, total := t.open(), 0
	call := t.answers.Load()
	t.each(from, to, func(day, schedule, tick int) {
		id := "a." + t.slotID(day, schedule, tick)
		if regionKinds[t.kind].dialect == upstream.Epic {
			id = "t." + strconv.FormatInt(call, 36) + "." + id // another one each time
		}
		body = t.entry(body, "match", "Appointment", id, func(b []byte) []byte { return t.appointment(b, id, day, schedule, tick) })
		total++
	})
	t.slots.Add(int64(total))
	t.answer(w, question, version, closed(body, total, ""))
}

// findPeriod reads the period from the address, or from the body of a POST.
func findPeriod(rq *http.Request) (start, end, question string) {
	query := rq.URL.Query()
	if rq.Method == http.MethodGet {
		return query.Get("start"), query.Get("end"), rq.URL.RawQuery
	}
	body, _ := io.ReadAll(io.LimitReader(rq.Body, 1<<20))
	var in struct {
		Parameter []struct{ Name, ValueDateTime string }
	}
	_ = json.Unmarshal(body, &in)
	for _, p := range in.Parameter {
		switch p.Name {
		case "start", "startTime":
			start = p.ValueDateTime
		case "end", "endTime":
			end = p.ValueDateTime
		}
	}
	return start, end, string(body)
}

// unchanged answers 304 to whoever has the present version.
func (t *tenant) unchanged(w http.ResponseWriter, rq *http.Request, question string, version uint64) bool {
	if regionKinds[t.kind].manners != tagged {
		return false
	}
	tag := `W/"` + digest(question, strconv.FormatUint(version, 10)) + `"`
	w.Header().Set("ETag", tag)
	if rq.Header.Get("If-None-Match") != tag {
		return false
	}
	t.answers.Add(1)
	t.spared.Add(1)
	w.WriteHeader(http.StatusNotModified)
	return true
}

// answer sends what was asked for, and notes whether there is anything new in it.
func (t *tenant) answer(w http.ResponseWriter, question string, version uint64, body []byte) {
	if regionKinds[t.kind].manners == stamped {
		body = append(body[:len(body)-1], `,"meta":{"lastUpdated":"`+time.Now().UTC().Format("2006-01-02T15:04:05.000Z")+
			`"},"id":"`+strconv.FormatInt(time.Now().UnixNano(), 36)+`"}`...)
	}
	t.sent(question, version, len(body))
	w.Header().Set("Content-Type", "application/fhir+json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

// sent counts an answer.
func (t *tenant) sent(question string, version uint64, length int) {
	t.answers.Add(1)
	t.bytes.Add(int64(length))
	if before, ok := t.said.Swap(question, version); ok && before == version {
		t.repeated.Add(1)
	}
}

// list answers the search of a directory.
func (t *tenant) list(w http.ResponseWriter, kind string) {
	body, total := t.open(), 0
	for _, line := range t.records(kind) {
		body = t.entry(body, "match", kind, strconv.Itoa(total), func(b []byte) []byte { return append(b, line...) })
		total++
	}
	w.Header().Set("Content-Type", "application/fhir+json")
	_, _ = w.Write(closed(body, total, ""))
}

// records are the directory of a kind: a doctor and a schedule of each number,
// all at one place.
func (t *tenant) records(kind string) [][]byte {
	var out [][]byte
	switch kind {
	case "Location":
		out = append(out, []byte(`{"resourceType":"Location","id":"l","status":"active","name":"Practice `+strconv.Itoa(t.n)+
			`","address":{"line":["`+strconv.Itoa(t.n)+` Main Street"],"city":"Town `+strconv.Itoa(t.n%40)+`","state":"IL","postalCode":"60601"}}`))
	case "Practitioner":
		for n := range t.region.spec.Schedules {
			out = append(out, []byte(`{"resourceType":"Practitioner","id":"p`+strconv.Itoa(n)+
				`","active":true,"identifier":[{"system":"http://hl7.org/fhir/sid/us-npi","value":"`+strconv.Itoa(1000000000+100*t.n+n)+
				`"}],"name":[{"family":"Doctor`+strconv.Itoa(n)+`","given":["Practice`+strconv.Itoa(t.n)+`"]}]}`))
		}
	case "Schedule":
		for n := range t.region.spec.Schedules {
			out = append(out, t.schedule(nil, n))
		}
	}
	return out
}

// manifest names the files of a publisher: the directory, and slots by the week.
func (t *tenant) manifest(w http.ResponseWriter) {
	type output struct {
		Type string `json:"type"`
		URL  string `json:"url"`
	}
	var files []output
	for _, kind := range []string{"Location", "Practitioner", "Schedule"} {
		files = append(files, output{kind, t.base + "/files/" + kind + ".ndjson"})
	}
	for week := range (len(t.days) + 6) / 7 {
		files = append(files, output{"Slot", t.base + "/files/Slot-" + strconv.Itoa(week) + ".ndjson"})
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"transactionTime": time.Now().UTC().Format(time.RFC3339Nano), "request": t.base + "/$bulk-publish", "output": files,
	})
}

func (t *tenant) file(w http.ResponseWriter, rq *http.Request, name string) {
	kind, part, isSlots := strings.Cut(name, "-")
	week, _ := strconv.Atoi(part)
	version := uint64(0)
	if isSlots {
		version = t.version(7*week, 7*week+7)
	}
	if t.unchanged(w, rq, name, version) {
		return
	}
	var body []byte
	for _, line := range t.records(kind) {
		body = append(append(body, line...), '\n')
	}
	if isSlots {
		t.each(7*week, 7*week+7, func(day, schedule, tick int) {
			body = append(t.slot(body, day, schedule, tick), '\n')
			t.slots.Add(1)
		})
	}
	t.sent(name, version, len(body))
	w.Header().Set("Content-Type", "application/fhir+ndjson")
	_, _ = w.Write(body)
}

const (
	regionCategory = `"serviceCategory":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/service-category","code":"17","display":"General Practice"}]}],`
	regionService  = `"serviceType":[{"coding":[{"system":"http://snomed.info/sct","code":"408443003","display":"General medical practice"}],"text":"Office visit"}],` +
		`"specialty":[{"coding":[{"system":"http://snomed.info/sct","code":"394802001","display":"General medicine"}]}],` +
		`"appointmentType":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0276","code":"ROUTINE","display":"Routine appointment"}]},`
	regionInstant = "2006-01-02T15:04:05Z07:00"
)

// open begins a bundle.
func (t *tenant) open() []byte {
	return append(make([]byte, 0, 64<<10), `{"resourceType":"Bundle","type":"searchset","entry":[`...)
}

// entry puts a resource into a bundle.
func (t *tenant) entry(body []byte, mode, kind, id string, resource func([]byte) []byte) []byte {
	if body[len(body)-1] == '}' {
		body = append(body, ',')
	}
	body = append(body, `{"fullUrl":"`...)
	body = append(append(append(append(append(body, t.base...), '/'), kind...), '/'), id...)
	body = append(body, `","resource":`...)
	body = resource(body)
	return append(append(append(body, `,"search":{"mode":"`...), mode...), `"}}`...)
}

// closed ends a bundle.
func closed(body []byte, total int, next string) []byte {
	body = append(append(body, `],"total":`...), strconv.Itoa(total)...)
	if next != "" {
		link, _ := json.Marshal([]map[string]string{{"relation": "next", "url": next}})
		body = append(append(body, `,"link":`...), link...)
	}
	return append(body, '}')
}

func (t *tenant) period(b []byte, day, tick int) []byte {
	at := t.begin(day, tick)
	b = append(b, `"start":"`...)
	b = at.AppendFormat(b, regionInstant)
	b = append(b, `","end":"`...)
	return append(at.Add(regionLength).AppendFormat(b, regionInstant), '"')
}

func (t *tenant) slot(b []byte, day, schedule, tick int) []byte {
	b = append(append(b, `{"resourceType":"Slot","id":"`...), t.slotID(day, schedule, tick)...)
	b = t.service(append(b, `","meta":{"versionId":"1"},`...))
	b = append(append(b, `"schedule":{"reference":"Schedule/s`...), strconv.Itoa(schedule)...)
	b = append(b, `"},"status":"free",`...)
	if regionKinds[t.kind].dialect == upstream.Links { // where it is booked
		b = append(append(b, `"extension":[{"url":"`...), fhir.DeepLinkExtension...)
		b = append(append(append(append(b, `","valueUrl":"`...), t.base...), "/book?slot="...), t.slotID(day, schedule, tick)...)
		b = append(b, `"}],`...)
	}
	return append(t.period(b, day, tick), '}')
}

func (t *tenant) schedule(b []byte, n int) []byte {
	id := strconv.Itoa(n)
	return append(b, `{"resourceType":"Schedule","id":"s`+id+`","active":true,"actor":[{"reference":"Practitioner/p`+id+`"},{"reference":"Location/l"}]}`...)
}

func (t *tenant) appointment(b []byte, id string, day, schedule, tick int) []byte {
	b = append(append(b, `{"resourceType":"Appointment","id":"`...), id...)
	b = t.service(append(b, `","status":"proposed",`...))
	if regionKinds[t.kind].dialect != upstream.Epic {
		b = append(append(append(b, `"slot":[{"reference":"Slot/`...), t.slotID(day, schedule, tick)...), `"}],`...)
	}
	b = append(b, `"participant":[{"actor":{"reference":"Practitioner/p`...)
	b = strconv.AppendInt(b, int64(schedule), 10)
	b = append(b, `"},"required":"required","status":"needs-action"},{"actor":{"reference":"Location/l"},"required":"required","status":"needs-action"}],`...)
	return append(t.period(b, day, tick), '}')
}

// service is what a slot is for. Its category is one in STU3, and left out there.
func (t *tenant) service(b []byte) []byte {
	if regionKinds[t.kind].release == "r4" {
		b = append(b, regionCategory...)
	}
	return append(b, regionService...)
}
