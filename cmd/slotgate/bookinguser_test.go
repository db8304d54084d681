package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// answer is as much of an answer to hold, book, cancel or read as tests look at.
type answer struct {
	code    int // 0: no answer came
	header  http.Header
	status  string // of the Appointment, "" without one
	id      string
	errors  []string // codes of urn:slotgate:error
	doubt   bool     // 202, or the tag in-doubt
	raw     string
	failure error
}

func (a answer) String() string { return fmt.Sprintf("%d %s %v", a.code, a.status, a.errors) }

// has tells whether one of the outcome's codes is this.
func (a answer) has(code string) bool {
	for _, have := range a.errors {
		if have == code {
			return true
		}
	}
	return false
}

// user is one end user of the application that calls.
type user struct {
	house   *house
	session string
	patient string // at every EHR
}

func (h *house) user(number int) user {
	return user{h, fmt.Sprintf("end-user-number-%05d", number), fmt.Sprintf("Patient/pat-%d", 1+number%5)}
}

// tell sends one request to a node and reads the answer.
func (u user) tell(ctx context.Context, node int, method, path, body string, header ...string) answer {
	req, err := http.NewRequestWithContext(ctx, method, u.house.nodes[node].public.url()+path, strings.NewReader(body))
	if err != nil {
		return answer{failure: err}
	}
	req.Header.Set("Authorization", "Bearer demo")
	req.Header.Set("X-Slotgate-Session", u.session)
	req.Header.Set("Accept", "application/fhir+json")
	if body != "" {
		req.Header.Set("Content-Type", "application/fhir+json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := u.house.client.Do(req)
	if err != nil {
		return answer{failure: err}
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	a := answer{code: res.StatusCode, header: res.Header, raw: string(data), failure: err}
	a.read(data)
	return a
}

func (a *answer) read(data []byte) {
	var resource any
	if json.Unmarshal(data, &resource) != nil {
		return
	}
	a.walk(resource)
	a.doubt = a.doubt || a.code == http.StatusAccepted
}

// walk finds the Appointment and the codes, wherever they stand.
func (a *answer) walk(v any) {
	switch v := v.(type) {
	case map[string]any:
		if v["resourceType"] == "Appointment" {
			a.status, _ = v["status"].(string)
			a.id, _ = v["id"].(string)
		}
		if v["system"] == "urn:slotgate:error" {
			code, _ := v["code"].(string)
			a.errors = append(a.errors, code)
		}
		a.doubt = a.doubt || v["code"] == "in-doubt"
		for _, member := range v {
			a.walk(member)
		}
	case []any:
		for _, element := range v {
			a.walk(element)
		}
	}
}

// bookBody asks for an offer for the user's patient.
func (u user) bookBody(comment string) string {
	return fmt.Sprintf(`{"resourceType":"Parameters","parameter":[
		{"name":"patient-id","valueString":%q},{"name":"comment","valueString":%q}]}`, u.patient, comment)
}

func (u user) hold(ctx context.Context, node int, offer string, header ...string) answer {
	return u.tell(ctx, node, http.MethodPost, "/fhir/r4/Appointment/"+offer+"/$hold", "", header...)
}

// book books with the session as the comment, by which the EHR's book is read.
func (u user) book(ctx context.Context, node int, offer string, header ...string) answer {
	return u.tell(ctx, node, http.MethodPost, "/fhir/r4/Appointment/"+offer+"/$book", u.bookBody(u.session), header...)
}

func (u user) see(ctx context.Context, node int, offer string) answer {
	return u.tell(ctx, node, http.MethodGet, "/fhir/r4/Appointment/"+offer, "")
}

func (u user) cancel(ctx context.Context, node int, offer string, header ...string) answer {
	header = append([]string{"Content-Type", "application/json-patch+json"}, header...)
	return u.tell(ctx, node, http.MethodPatch, "/fhir/r4/Appointment/"+offer, `[{"op":"replace","path":"/status","value":"cancelled"}]`, header...)
}
