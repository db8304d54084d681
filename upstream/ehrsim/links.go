package ehrsim

import (
	"hash/fnv"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A publisher of files (SMART Scheduling Links): a manifest, and files of one
// type each with a resource a line. It takes no other request.

// linkTypes are those that a publisher tells of, in the order of its manifest.
var linkTypes = []string{"Location", "Practitioner", "PractitionerRole", "Organization", "HealthcareService", "Schedule", "Slot"}

const (
	deepLink  = "http://fhir-registry.smarthealthit.org/StructureDefinition/booking-deep-link"
	bookPhone = "http://fhir-registry.smarthealthit.org/StructureDefinition/booking-phone"
)

// published answers a publisher's requests; false: the server is none.
func (s *Server) published(w http.ResponseWriter, rq *request) bool {
	if s.opts.Dialect != Links {
		return false
	}
	name, isFile := strings.CutPrefix(rq.path, "/files/")
	typ, _ := strings.CutSuffix(name, ".ndjson")
	switch {
	case rq.http.Method != http.MethodGet && rq.http.Method != http.MethodHead:
		http.Error(w, "nothing can be changed here", http.StatusMethodNotAllowed)
	case rq.path == "/$bulk-publish":
		s.sendFile(w, rq, "application/json", appendJSON(nil, s.manifest(rq)))
	case isFile && slices.Contains(linkTypes, typ):
		s.sendFile(w, rq, "application/fhir+ndjson", s.linesOf(typ, rq))
	default:
		http.NotFound(w, rq.http)
	}
	return true
}

// manifest names the files: by their whole addresses, or, where publishers are
// sloppy, seen from the manifest, with types that nobody knows.
func (s *Server) manifest(rq *request) object {
	var output list
	for _, typ := range linkTypes {
		address := rq.base + "/files/" + typ + ".ndjson"
		if s.opts.SloppyLinks {
			address = "files/" + typ + ".ndjson"
		}
		output = append(output, obj("type", typ, "url", address, "extension", obj("state", list{"CA"})))
	}
	if s.opts.SloppyLinks {
		output = append(output, obj("type", "VaccineProduct", "url", "files/none.ndjson"))
	}
	return obj("transactionTime", s.clock.now().UTC().Truncate(time.Hour).Format(time.RFC3339), "request", rq.base+"/$bulk-publish",
		"output", output, "error", list{})
}

// linesOf writes all resources of a type, a line each.
func (s *Server) linesOf(typ string, rq *request) []byte {
	st := s.data()
	st.mu.RLock()
	defer st.mu.RUnlock()
	var out []byte
	if s.opts.SloppyLinks {
		out = append(out, "\xEF\xBB\xBF"...)
	}
	end := "\n"
	if s.opts.SloppyLinks {
		end = "\r\n\r\n"
	}
	if typ != "Slot" {
		if shelf := st.shelves[typ]; shelf != nil {
			for _, id := range shelf.ids {
				out = append(appendJSON(out, shelf.byID[id]), end...)
			}
		}
		return out
	}
	if rq.hits.has(FaultNoSlots) {
		return out
	}
	for i, sl := range st.book {
		out = append(appendJSON(out, s.linkedSlot(sl, rq.base)), end...)
		if s.opts.SloppyLinks && i == 0 {
			out = append(out, `{"resourceType":"Slot","id":"broken","status":"free","start":[]}`+end+`not a resource`+end...)
		}
	}
	return out
}

// linkedSlot is a slot with the page and the phone where it is booked. A sloppy
// publisher writes the hour of an offset alone, and whole addresses of schedules.
func (s *Server) linkedSlot(sl *slot, base string) object {
	o := s.flavour.slot(sl)
	o = o.with("extension", list{
		obj("url", deepLink, "valueUrl", "https://portal.example.org/book?slot="+sl.id),
		obj("url", bookPhone, "valueString", "1-800-555-0100"),
	}, "id")
	if !s.opts.SloppyLinks {
		return o
	}
	o = o.with("schedule", obj("reference", base+"/"+sl.schedule), "id")
	for _, name := range []string{"start", "end"} {
		if text := o.str(name); len(text) > 6 && text[len(text)-3:] == ":00" && (text[len(text)-6] == '-' || text[len(text)-6] == '+') {
			o = o.with(name, text[:len(text)-3], "status")
		}
	}
	return o
}

// sendFile sends it with an ETag, and not at all to who has it.
func (s *Server) sendFile(w http.ResponseWriter, rq *request, media string, data []byte) {
	sum := fnv.New64a()
	_, _ = sum.Write(data)
	tag := `"` + strconv.FormatUint(sum.Sum64(), 36) + `"`
	head := w.Header()
	if s.opts.LinksMaxAge > 0 {
		head.Set("Cache-Control", "max-age="+strconv.Itoa(int(s.opts.LinksMaxAge/time.Second)))
	}
	if !s.opts.SloppyLinks {
		head.Set("ETag", tag)
		if rq.http.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	head.Set("Content-Type", media)
	head.Set("Content-Length", strconv.Itoa(len(data)))
	if rq.hits.has(FaultCutJSON) {
		data = data[:len(data)/2] // net/http closes the connection
	}
	w.WriteHeader(http.StatusOK)
	if rq.http.Method == http.MethodGet {
		_, _ = w.Write(data) // the client may be gone
	}
}
