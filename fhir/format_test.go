package fhir_test

import (
	"testing"

	"slotgate/fhir"
	"slotgate/scheduling"
)

func TestMediaTypesThatWeSpeak(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"application/fhir+json":                  "json",
		"Application/FHIR+JSON; charset=UTF-8":   "json",
		"application/json":                       "json",
		"application/json+fhir":                  "json",
		"application/fhir+json; fhirVersion=4.0": "json",
		"json":                                   "json",
		"application/fhir+xml;charset=utf-8":     "xml",
		"application/xml":                        "xml",
		"text/xml":                               "xml",
		"xml":                                    "xml",
		"json;fhirVersion=4.0":                   "json",
		"xml; charset=utf-8":                     "xml",
		"application/fhir json":                  "json", // a plus sign in a query
		"application/fhir xml":                   "xml",
		"":                                       "",
		"text/html":                              "",
		"application/fhir+turtle":                "",
		"application/json-patch+json":            "",
		"application/fhir+json; charset=iso-8859-1":     "",
		"application/xml; charset=utf-16":               "",
		"jsonx":                                         "",
		"application/x-www-form-urlencoded":             "",
		"application/fhir+json, application/fhir+xml":   "",
		"application/fhir+json;;;;;=;charset=\"utf-8\"": "json",
	} {
		f, ok := fhir.FormatOf(text)
		got := ""
		if ok {
			got = f.String()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestTheReleaseThatAMediaTypeNames(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"application/fhir+json":                                 "stu3 r4",
		"application/fhir+json; fhirVersion=4.0":                "r4",
		`application/fhir+json;charset=utf-8;FHIRversion="3.0"`: "stu3",
		"json;fhirVersion=3.0.2":                                "stu3",
		"json;fhirVersion=4.0.1":                                "r4",
		"json;fhirVersion=4.3":                                  "",
		"json;fhirVersion=4.01":                                 "",
		"json;fhirVersion=":                                     "",
		"":                                                      "stu3 r4",
	} {
		got := ""
		for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
			if fhir.OfRelease(text, rel) {
				got += " " + string(rel)
			}
		}
		if got != want && got != " "+want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	both := "application/fhir+xml;fhirVersion=3.0, application/fhir+json;fhirVersion=4.0;q=0.5"
	if got := fhir.AcceptOf(both, scheduling.STU3); got != "application/fhir+xml;fhirVersion=3.0" {
		t.Errorf("for STU3: %q", got)
	}
	if got := fhir.AcceptOf("application/fhir+xml;fhirVersion=5.0", scheduling.R4); got != "" {
		t.Errorf("for R4: %q", got)
	}
}

func TestTheBestFormatIsChosenByAcceptAndFormat(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, accept, format string
		fallback             fhir.Format
		want                 string
	}{
		{"nobody asks", "", "", fhir.XML, "xml"},
		{"anything goes", "*/*", "", fhir.XML, "xml"},
		{"any application type", "application/*", "", fhir.JSON, "json"},
		{"_format wins over Accept", "application/fhir+xml", "json", fhir.JSON, "json"},
		{"_format that we do not speak", "application/fhir+json", "turtle", fhir.JSON, ""},
		{"the greater weight wins", "application/fhir+json;q=0.4, application/fhir+xml;q=0.9", "", fhir.JSON, "xml"},
		{"the first of equals wins", "application/fhir+xml, application/fhir+json", "", fhir.JSON, "xml"},
		{"a browser", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "", fhir.JSON, "xml"},
		{"weight 0 refuses", "application/fhir+json;q=0", "", fhir.JSON, ""},
		{"anything but JSON", "application/fhir+json;q=0, */*", "", fhir.JSON, "xml"},
		{"nothing that we speak", "text/html, image/png", "", fhir.JSON, ""},
		{"a weight that is none counts nothing", "application/fhir+xml;q=high, application/json;q=0.1", "", fhir.JSON, "json"},
		{"curl's default", "*/*", "", fhir.JSON, "json"},
	} {
		f, ok := fhir.Accepted(c.accept, c.format, c.fallback)
		got := ""
		if ok {
			got = f.String()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func FuzzFormatOf(f *testing.F) {
	for _, s := range []string{"application/fhir+json", "text/xml;q=1", "*/*;q=", ";;;", "a/b;c=\"", "xml", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := fhir.FormatOf(text)
		if !ok {
			return
		}
		if again, ok := fhir.FormatOf(got.ContentType()); !ok || again != got {
			t.Errorf("%q: what we write is not what we read", text)
		}
		if accepted, ok := fhir.Accepted("", text, fhir.JSON); !ok || accepted != got {
			t.Errorf("%q: _format says otherwise", text)
		}
	})
}
