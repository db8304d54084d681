package gateway

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"
)

func TestACompressedBodyIsRefusedUnread(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write([]byte(`{"resourceType":"Parameters","parameter":[{"name":"start","valueString":"` + strings.Repeat("a", 8<<20) + `"}]}`))
	_ = z.Close()
	for _, coding := range []string{"gzip", "GZIP", "br", "deflate", "gzip, gzip", "foo"} {
		for _, path := range []string{"/fhir/r4/Appointment/$find", "/fhir/stu3/Practitioner/_search"} {
			r := w.ask(http.MethodPost, path, bomb.String(),
				"Content-Type: application/fhir+json", "Content-Encoding: "+coding)
			if r.status != http.StatusUnsupportedMediaType || !strings.Contains(r.body, "OperationOutcome") {
				t.Errorf("%s to %s: status %d: %.300s", coding, path, r.status, r.body)
			}
		}
	}
	plain := w.ask(http.MethodPost, "/fhir/r4/Appointment/$find", `{"resourceType":"Parameters"}`,
		"Content-Type: application/fhir+json", "Content-Encoding: identity")
	if plain.status != http.StatusOK {
		t.Errorf("identity: status %d: %.300s", plain.status, plain.body)
	}
}

func TestCursorsOutliveAChangeOfTheirSecret(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	next := ""
	for _, link := range w.find("_count=1").Link {
		if link.Relation == "next" {
			next = strings.TrimPrefix(link.URL, w.base)
		}
	}
	if next == "" {
		t.Fatal("no next link")
	}
	other := []byte("another secret of all gateways..")
	for _, c := range []struct {
		name  string
		older [][]byte
		want  int
	}{
		{"the old one is still read", [][]byte{w.server.deps.Secret}, http.StatusOK},
		{"the old one is gone", nil, http.StatusBadRequest},
	} {
		if err := w.server.SetSecrets(other, c.older...); err != nil {
			t.Fatal(err)
		}
		if r := w.get(next); r.status != c.want {
			t.Errorf("%s: status %d, want %d", c.name, r.status, c.want)
		}
	}
	if w.server.SetSecrets([]byte("short")) == nil {
		t.Error("a short secret was taken")
	}
}
