package upstream

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"slotgate/config"
	"slotgate/config/testenv"
	"slotgate/scheduling"
)

type sourcesFile struct {
	Sources []Options `yaml:"sources"`
}

const goodSource = `sources:
  - id: napa
    base: https://ehr.example.org/fhir
    dialect: argonaut
`

func TestASourceNeedsThreeKeysAndHasDefaultsForTheRest(t *testing.T) {
	t.Parallel()
	var file sourcesFile
	if err := config.Parse("a.yaml", []byte(goodSource), &file); err != nil {
		t.Fatal(err)
	}
	o := file.Sources[0]
	source := o.Source()
	want := scheduling.Source{
		ID: "napa", Name: "napa", Base: "https://ehr.example.org/fhir", Dialect: "argonaut", Release: scheduling.R4,
		MaxAge: 24 * time.Hour, StaleAfter: 15 * time.Minute, Horizon: 60,
	}
	if !reflect.DeepEqual(source, want) {
		t.Errorf("%+v, want %+v", source, want)
	}
	if o.Limits.Rate != 10 || o.Limits.Concurrency != 4 || o.Prefetch.Cron != "@every 1m" || o.Auth.Kind != "none" || o.Quirks.Total != TotalExact {
		t.Errorf("%+v", o)
	}
}

func TestEveryKeyOfTheContractIsRead(t *testing.T) {
	t.Parallel()
	var file sourcesFile
	err := config.Parse("a.yaml", []byte(`sources:
  - id: napa
    name: Napa Valley Health
    base: https://ehr.example.org/fhir/
    dialect: argonaut
    fhir: stu3
    timezone: America/Los_Angeles
    readonly: true
    prefetch: {cron: "@every 1m", horizon: 30d, max_age: 2d, stale_after: 5m, days_per_call: 3, directory: 12h}
    auth: {kind: bearer, token: t0ken}
    limits: {rate: 2.5, concurrency: 1, retries: 0}
    quirks: {schedule_ref: '(arg-s-\d+)$', next_origin: true, total: none, page_size: 50, max_days: 14, no_prefetch: true, offset_paging: never, date_only: true, include: [], status_search: false, accept: xml, params: {service-type: "x"}}
`), &file)
	if err != nil {
		t.Fatal(err)
	}
	o := file.Sources[0]
	source := o.Source()
	if source.Base != "https://ehr.example.org/fhir" || source.Zone.String() != "America/Los_Angeles" || !source.Readonly || source.Horizon != 30 || source.MaxAge != 48*time.Hour {
		t.Errorf("%+v", source)
	}
	if *o.Limits.Retries != 0 || *o.Quirks.StatusSearch || len(o.Quirks.Include) != 0 || o.Quirks.Include == nil {
		t.Errorf("%+v %+v", o.Limits, o.Quirks)
	}
}

// A dialect has what it needs without being told, as a file tells it.
func TestEveryDialectIsReadFromAFileWithNothingButItsRelease(t *testing.T) {
	t.Parallel()
	for dialect, want := range map[string]struct {
		release  scheduling.Release
		register scheduling.RegisterWay
		way      scheduling.RescheduleWay
		bookable bool
	}{
		Argonaut: {scheduling.STU3, scheduling.RegisterPost, scheduling.BookFirst, true},
		Slots:    {scheduling.R4, scheduling.RegisterIfNoneExist, scheduling.BookFirst, true},
		IHE:      {scheduling.R4, scheduling.RegisterIfNoneExist, scheduling.Move, true},
		Epic:     {scheduling.STU3, scheduling.RegisterMatch, scheduling.BookFirst, true},
		Links:    {scheduling.R4, scheduling.RegisterNone, "", false},
	} {
		var file sourcesFile
		err := config.Parse("a.yaml", fmt.Appendf(nil, "sources:\n  - {id: napa, base: 'https://ehr.example.org/fhir', dialect: %s, fhir: %s}\n", dialect, want.release), &file)
		if err != nil {
			t.Errorf("%s: %v", dialect, err)
			continue
		}
		c := registered(t, file.Sources[0], Deps{})
		if can := c.Can(); can.Bookable != want.bookable || can.Reschedule != want.way || c.Registering().Way != want.register {
			t.Errorf("%s: %+v, registers by %s", dialect, can, c.Registering().Way)
		}
	}
}

func TestWrongOptionsAreRefusedWithTheLineAndWhatToDo(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"dialect: hl7":                                           `a.yaml:4: sources[0].dialect: unknown dialect "hl7"; write argonaut, slots, ihe, epic or links`,
		"dialect: ''":                                            "sources[0].dialect: is missing; write argonaut, slots, ihe, epic or links",
		"base: ftp://ehr.example.org":                            "a.yaml:3: sources[0].base: is not an http or https URL",
		"base: https://u:p@ehr.example.org":                      "put credentials into auth",
		"base: https://ehr.example.org?x=1":                      "write the FHIR base URL alone",
		"id: a b":                                                "a.yaml:2: sources[0].id:",
		"fhir: r5":                                               `unknown release "r5"; write stu3 or r4`,
		"timezone: Mars/Olympus":                                 "unknown zone",
		"quirks: {schedule_ref: '('}":                            "sources[0].quirks.schedule_ref: is no regular expression",
		"quirks: {schedule_ref: 'x'}":                            "has no group",
		"quirks: {total: maybe}":                                 "write exact, estimate or none",
		"quirks: {page_size: 0}":                                 "sources[0].quirks.page_size",
		"quirks: {include: [every thing]}":                       "is no _include",
		"quirks: {offset_paging: 'yes please'}":                  "write auto, always or never",
		"quirks: {accept: html}":                                 "write json or xml",
		"quirks: {params: {start: now}}":                         `"start" is set by us`,
		"quirks: {shedule_ref: x}":                               `did you mean "schedule_ref"?`,
		"limits: {rate: -1}":                                     "sources[0].limits.rate",
		"limits: {concurrency: -1}":                              "sources[0].limits.concurrency",
		"limits: {max_body: 10}":                                 "sources[0].limits.max_body",
		"prefetch: {horizon: 36h}":                               "write whole days from 1d to 730d",
		"prefetch: {stale_after: 3d}":                            "write a duration up to max_age",
		"auth: {kind: magic}":                                    "unknown kind",
		"auth: {kind: bearer}":                                   "needs a token or token_file",
		"auth: {token: t0ken}":                                   "credentials are given but kind is none",
		"auth: {kind: client_secret}":                            "needs a client_id",
		"auth: {kind: smart_backend, client_id: x, key: abcdef}": "no private key in PEM form",
		"codes: nowhere.csv":                                     "sources[0].codes: cannot be read",
	} {
		key, _, _ := strings.Cut(line, ":")
		var lines []string
		for _, l := range strings.Split(strings.TrimSuffix(goodSource, "\n"), "\n") {
			if strings.HasPrefix(strings.TrimLeft(l, " -"), key+":") {
				l = l[:len(l)-len(strings.TrimLeft(l, " -"))] + line
				line = ""
			}
			lines = append(lines, l)
		}
		if line != "" {
			lines = append(lines, "    "+line)
		}
		err := config.Parse("a.yaml", []byte(strings.Join(lines, "\n")+"\n"), &sourcesFile{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", strings.Join(lines, "\n"), err, want)
		}
	}
}

func TestTheConnectathonsOwnDescriptionIsReadWithTheBaseSetBefore(t *testing.T) {
	t.Parallel()
	o := Options{Base: "http://127.0.0.1:1/fhir"}
	if err := config.Load(filepath.Join(testenv.Shared(t, "argonaut/connectathon"), "source.yaml"), &o); err != nil {
		t.Fatal(err)
	}
	if o.Base != "http://127.0.0.1:1/fhir" || o.ID != "connectathon" || o.Quirks.ScheduleRef != `(arg-s-\d+)$` {
		t.Errorf("%+v", o)
	}
}

func TestARegistryRefusesTwoSourcesOfOneIDAndWrongOptions(t *testing.T) {
	t.Parallel()
	good := Options{ID: "a", Base: "http://127.0.0.1:1/fhir", Dialect: Slots}
	if _, err := NewRegistry([]Options{good, good}, Deps{}); err == nil || !strings.Contains(err.Error(), `two sources have the id "a"`) {
		t.Errorf("%v", err)
	}
	bad := good
	bad.Dialect = "hl7"
	if _, err := NewRegistry([]Options{bad}, Deps{}); err == nil {
		t.Error("a wrong dialect was taken")
	}
	other := good
	other.ID = "b"
	r, err := NewRegistry([]Options{good, other}, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if _, ok := r.Get("c"); ok || len(r.Clients()) != 2 || r.Sources()[1].ID != "b" {
		t.Errorf("%v", r.Sources())
	}
}

func writeFile(t *testing.T, name, text string) config.Path {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Path(path)
}
